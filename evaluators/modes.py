"""Does the generator leave out kinds of real faces, or make few different ones?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from augface.artifacts import image_grid, table
from augface.data.splits import groups_of
from augface.evaluators.base import Context, Evaluator, Findings
from augface.evaluators.compared import Compared
from augface.evaluators.sides import Rows
from augface.metrics import duplicates, modes
from augface.metrics.duplicates import DuplicateTest, duplicate_test, support_size
from augface.metrics.intervals import NORMAL, Interval, clustered_variance, normal_interval
from augface.metrics.manifolds import REPLICATES, prdc_intervals
from augface.metrics.modes import Chance, ModeTest, family, mode_test, share_ratio
from augface.metrics.modes import Modes as Found
from augface.metrics.neighbours import k_nearest
from augface.results import Artifact, Measurement, Skipped
from augface.seeds import random_generator

MINIMUM = 100
"""Faces on each side, below which bins hold too few."""
MOST = 10_000
"""Faces of each side."""
PIXELS = "pixels"
"""The space of near-duplicates, and one more for bins: it sees colours and backgrounds, which networks look past."""
LEVEL = 0.05
K = 5
"""The neighbour whose distance is a ball's radius, for coverage."""
HANDFUL, MOST_ATTRIBUTES = 5, 8
"""Attributes whose pairs are looked at: where fewer than two are asked about, a handful of the most balanced."""
GROUP_FACES = 20
"""Faces of both sides together, below which a group is left out."""
SHOWN, SHOWN_BINS = 8, 4

People = Rows | None
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Groups:
    """All four combinations of each pair of attributes, as the judge sees them.

    Attributes:
        names: G groups.
        reference, fake: (N, G) and (M, G) which face it puts where.
    """

    names: list[dict[str, bool]]
    reference: Flags
    fake: Flags


@dataclass(frozen=True)
class Faces:
    """Who is on the compared faces; where that is not known, near-duplicates count as one person."""

    compared: Compared

    @cached_property
    def reference_people(self) -> Rows:
        """(n,)."""
        return groups_of(self.compared.context.reference)[self.compared.match.reference]

    @cached_property
    def other_people(self) -> Rows:
        """(n,)."""
        return groups_of(self.compared.context.sides.other)[self.compared.match.other]

    @property
    def fake_people(self) -> People:
        """(n,) or None: made faces show someone only where real ones stand in for them."""
        persons = self.compared.context.synthetic.identity
        return None if persons is None else persons[self.compared.match.synthetic]


class Modes(Evaluator):
    """Bins that differ (Richardson & Weiss 2018), groups of attributes, near-duplicates and coverage; one alarm."""

    name: ClassVar[str] = "modes"

    def evaluate(self, context: Context) -> Findings:
        """Compare made faces with held-out ones in bins made of other real ones; the alarm is one for all tests."""
        match = context.sides.match(most=MOST)
        if len(match) < MINIMUM:
            reason = (
                f"{len(match)} faces on each side are too few to tell which kinds are missing; at least {MINIMUM} made "
                "faces, as many held-out real ones and as many other real ones are needed."
            )
            return Findings([], skipped=[Skipped(evaluator=self.name, reason=reason)])
        spaces = [Compared(self.name, context, space, match) for space in dict.fromkeys([*context.spaces, PIXELS])]
        faces = Faces(spaces[0])
        groups = _groups(spaces[0])
        test = mode_test(
            [space.reference for space in spaces],
            [space.fake for space in spaces],
            [space.other for space in spaces],
            reference_people=faces.reference_people,
            fake_people=faces.fake_people,
            reference_groups=None if groups is None else groups.reference,
            fake_groups=None if groups is None else groups.fake,
            random=random_generator(context.seed, "modes"),
        )
        pixels = spaces[[space.space for space in spaces].index(PIXELS)]
        repeats = duplicate_test(
            pixels.fake,
            [pixels.reference, pixels.other],
            fake_people=faces.fake_people,
            real_people=[faces.reference_people, faces.other_people],
        )
        p_value, duplicates_p_value = family(test.p_value, repeats.p_value)
        findings = Findings([])
        for space, found in zip(spaces, test.spaces, strict=True):
            findings.measurements.extend(_bin_measurements(space, found, p_value if space is spaces[0] else None))
        findings.measurements.extend(_duplicate_measurements(pixels, faces, repeats, duplicates_p_value))
        findings.measurements.append(_coverage_ratio(spaces[0], faces))
        findings.artifacts.extend([*_vanished(spaces[0], test.spaces[0]), _bins_table(spaces[0], test.spaces[0])])
        if groups is not None:
            findings.measurements.extend(_group_measurements(spaces[0], faces, groups, test))
            findings.artifacts.append(_groups_table(spaces[0], groups, test))
        else:
            reason = "Combinations of attributes need labels of the faces that the generator learnt from, two at least."
            findings.skipped.append(Skipped(evaluator=self.name, reason=reason))
        findings.artifacts.extend(_nearest_pairs(pixels, repeats))
        return findings


def _groups(compared: Compared) -> Groups | None:
    """The groups that are large enough; None where there is no judge of at least two attributes."""
    context, match = compared.context, compared.match
    seen_real, seen_fake = context.judged(context.reference), context.judged(context.synthetic)
    if seen_real is None or seen_fake is None or seen_real.shape[1] < 2:
        return None
    real, fake = seen_real.iloc[match.reference] > 0.5, seen_fake.iloc[match.synthetic] > 0.5
    groups = [
        dict(zip(pair, values, strict=True))
        for pair in itertools.combinations(_attributes(context, real), 2)
        for values in itertools.product((True, False), repeat=2)
    ]
    members = [
        np.array([(side[list(group)] == list(group.values())).all(axis=1) for group in groups]) for side in (real, fake)
    ]
    enough = sum(side.sum(axis=1) for side in members) >= GROUP_FACES
    names = [group for group, large in zip(groups, enough, strict=True) if large]
    return Groups(names, members[0][enough].T, members[1][enough].T)


def _attributes(context: Context, real: pd.DataFrame) -> list[str]:
    """Those asked about; where they make no pair, with the most balanced."""
    asked = [name for name in dict.fromkeys([*context.by, *context.targets]) if name in real]
    if len(asked) > 1:
        return asked[:MOST_ATTRIBUTES]
    balanced = (real.mean() - 0.5).abs().sort_values(kind="stable").index
    return list(dict.fromkeys([*asked, *map(str, balanced)]))[:HANDFUL]


def _bin_measurements(compared: Compared, found: Found, p_value: float | None) -> list[Measurement]:
    """The missing share, which carries the alarm where `p_value` is given; the bins that differ; their divergence."""
    bins = len(found.bins.real)
    protocol = {
        "bins": bins,
        "resolutions": list(modes.RESOLUTIONS),
        "clusterings": f"{modes.CLUSTERINGS} of each resolution, as they are and half whitened",
        "components": modes.COMPONENTS,
        "bins_of": "other real faces",
        "null": f"{modes.TURNS} random turns of people",
        "most": MOST,
    }
    missing = compared.measurement(
        "missing_share",
        found.missing,
        meaning="The share of real faces whose kinds are not made or made too seldom; about 0 where nothing is missing."
        + (
            " The p-value is of all bins in all spaces and of the groups of attributes: that made faces are of all "
            "kinds as often as real ones."
            if p_value is not None
            else ""
        ),
        protocol={
            **protocol,
            "suspect": modes.SUSPECT,
            "interval": "bins chosen on one half of the people, measured on the other, both ways round",
            **(
                {"family": f"with near-duplicates, {1 - modes.DUPLICATES_LEVEL:g} of the level"}
                if p_value is not None
                else {}
            ),
        },
        p_value=p_value,
    )
    verdict = "info" if p_value is None else "fail" if p_value < LEVEL else "pass"
    return [
        missing.model_copy(update={"verdict": verdict, "unit": "%"}),
        _against_chance(
            compared,
            "different_bins",
            found.different,
            meaning=f"Of {bins} bins of real faces, how many hold a share of the made faces that differs from that of "
            "held-out ones at 5 % each (NDB); the baseline is what chance gives.",
            protocol=protocol,
        ),
        _against_chance(
            compared,
            "bin_divergence",
            found.divergence,
            meaning="Jensen-Shannon divergence of the shares of the bins in bits: 0 for equal shares, 1 where no bin "
            "has both; the baseline is what chance gives.",
            protocol=protocol,
        ),
    ]


def _against_chance(
    compared: Compared, name: str, number: Chance, meaning: str, protocol: dict[str, Any]
) -> Measurement:
    """A number without an interval of its own: `warn` where it is above the 95 % that chance gives."""
    measurement = compared.measurement(
        name,
        Interval(number.value, float("nan"), float("nan")),
        null=number.null,
        meaning=meaning,
        protocol=protocol,
        p_value=number.p_value,
    )
    return measurement.model_copy(update={"verdict": "warn" if number.value > number.null.high else "pass"})


def _duplicate_measurements(compared: Compared, faces: Faces, test: DuplicateTest, p_value: float) -> list[Measurement]:
    """The share of made faces that repeat another, with the alarm; how many different faces the generator has."""
    pairs = test.real_pairs[0]  # of the held-out faces
    near = pairs.distances <= test.threshold
    protocol = {
        "threshold": round(test.threshold, 6),
        "near": f"the {duplicates.NEAR} nearest pairs of two sets of real faces of different people",
        "neighbours": duplicates.NEIGHBOURS,
        "most": MOST,
    }
    share = compared.measurement(
        "duplicate_share",
        _share(test.repeating, faces.fake_people),
        null=_share(pairs.repeating(test.threshold, len(compared)), faces.reference_people),
        meaning="The share of made faces that have a near-duplicate among the made ones, nearer than real faces of "
        f"different people are. There are {test.separate} separate pairs, and {test.real_separate:g} among as many "
        "real faces.",
        protocol={
            **protocol,
            "interval": "normal, clustered by people",
            "family": f"with the modes, {modes.DUPLICATES_LEVEL:g} of the level",
        },
        p_value=p_value,
    )
    support = compared.measurement(
        "support_size",
        test.support,
        null=support_size(pairs.first[near], pairs.second[near], len(compared)),
        direction="higher",
        decides=False,
        meaning="How many equally frequent faces would give so many near-duplicates: an estimate of the number of "
        "different faces that the generator makes, and only a lower bound where it made none twice.",
        protocol={**protocol, "interval": "exact Poisson of as many independent pairs"},
    )
    verdict = "fail" if p_value < LEVEL else "pass"
    return [share.model_copy(update={"verdict": verdict, "unit": "%"}), support.model_copy(update={"unit": "faces"})]


def _share(flags: Flags, people: People) -> Interval:
    share = float(flags.mean())
    scatter = clustered_variance((flags - share).astype(np.float64), people)
    number = normal_interval(share, float(np.sqrt(scatter)))
    return Interval(share, max(0.0, number.low), min(1.0, number.high))


def _coverage_ratio(compared: Compared, faces: Faces) -> Measurement:
    """Coverage by made faces over that by other real ones, both of the held-out ones."""
    made, other = (
        prdc_intervals(
            compared.reference,
            side,
            K,
            real_groups=faces.reference_people,
            fake_groups=people,
            random=random_generator(compared.context.seed, "coverage"),
        )["coverage"]
        for side, people in ((compared.fake, faces.fake_people), (compared.other, faces.other_people))
    )
    if other.value == 0:
        ratio = Interval(float("nan"), float("nan"), float("nan"))
    else:
        errors = [(number.high - number.low) / 2 / NORMAL for number in (made, other)]
        value = made.value / other.value
        ratio = normal_interval(value, float(np.hypot(errors[0], value * errors[1])) / other.value)
    measurement = compared.measurement(
        "coverage_ratio",
        Interval(ratio.value, max(0.0, ratio.low), ratio.high),
        direction="higher",
        meaning="How many held-out real faces have a made one near them, over how many have another real one near "
        "them: 1 where made faces cover real variety as real ones do.",
        protocol={"k": K, "interval": f"delta method; {REPLICATES} random halves of the people of each side"},
    )
    return measurement.model_copy(
        update={"verdict": "warn" if ratio.high < 1 else "pass" if ratio.low >= 0 else "info"}
    )


def _group_measurements(compared: Compared, faces: Faces, groups: Groups, test: ModeTest) -> list[Measurement]:
    """Share among made faces over share among real ones, of each group."""
    assert test.groups is not None
    found = []
    for number, group in enumerate(groups.names):
        p_value = float(test.groups.p_values[number])
        ratio = share_ratio(
            groups.reference[:, number], groups.fake[:, number], faces.reference_people, faces.fake_people
        )
        measurement = compared.measurement(
            "group_ratio",
            ratio,
            null=Interval(1.0, 1.0, 1.0),
            decides=False,
            meaning="The share of this group among made faces over that among held-out real ones, as one classifier "
            "sees both: 1 is right, 0 is a group that vanished. The p-value is corrected for all groups.",
            protocol={
                "judge": "cut at 0.5 on both sides",
                "interval": "log ratio, clustered by people",
                "groups": len(groups.names),
                "null": f"{modes.TURNS} random turns of people",
            },
            p_value=p_value,
        )
        verdict = "warn" if p_value < LEVEL else "pass"
        found.append(measurement.model_copy(update={"verdict": verdict, "direction": "target", "group": group}))
    return found


def _vanished(compared: Compared, found: Found) -> list[Artifact]:
    """Real faces of the bins that are made too seldom, those farthest from any made face, with the nearest below."""
    context, match = compared.context, compared.match
    order = np.argsort(-found.bins.z, kind="stable")
    lost = order[found.bins.missing_p_values[order] < LEVEL][:SHOWN_BINS]
    if not context.show_real or not len(lost):
        return []
    distances, nearest = (part[:, 0] for part in k_nearest(compared.reference, compared.fake, 1))
    rows, labels = [], []
    for number in lost:
        members = np.flatnonzero(found.reference_bins == number)
        farthest = members[np.argsort(-distances[members], kind="stable")][:SHOWN]
        rows += [context.reference.images[match.reference[farthest]]]
        rows += [context.synthetic.images[match.synthetic[nearest[farthest]]]]
        labels += [f"bin {number + 1}: {found.bins.real[number]:.1%} of real, {found.bins.fake[number]:.1%} of made"]
        labels += ["nearest made"]
    return [
        image_grid(
            rows,
            name="vanished",
            title="Kinds of real faces that are made too seldom",
            caption="Of each bin that lacks made faces, the real ones that are farthest from any made one, with that "
            "nearest made face below.",
            section=Modes.name,
            row_labels=labels,
            shows_real_people=context.reference.shows_people,
        )
    ]


def _bins_table(compared: Compared, found: Found) -> Artifact:
    """All bins, those that lack most made faces first."""
    bins = found.bins
    difference, reach = bins.fake - bins.real, NORMAL * bins.error
    frame = pd.DataFrame(
        {
            "bin": np.arange(1, len(bins.real) + 1),
            "share of real": bins.real,
            "share of made": bins.fake,
            "difference": difference,
            "low": difference - reach,
            "high": difference + reach,
            "p (corrected)": bins.p_values,
        }
    )
    return table(
        frame.iloc[np.argsort(-bins.z, kind="stable")].round(4),
        name="bins",
        title="Shares of the bins",
        caption="Bins are clusters of other real faces. The difference of the shares has a 95 % interval, with the "
        "pictures of a person kept together; p-values are corrected for the number of bins.",
        section=compared.evaluator,
    )


def _groups_table(compared: Compared, groups: Groups, test: ModeTest) -> Artifact:
    """All groups, with what became of each."""
    assert test.groups is not None
    shares = test.groups
    differs = shares.p_values < LEVEL
    fate = np.where(~differs, "", np.where(shares.fake == 0, "vanished", np.where(shares.z > 0, "too few", "too many")))
    frame = pd.DataFrame(
        {
            "group": [
                " and ".join(name if value else f"not {name}" for name, value in group.items())
                for group in groups.names
            ],
            "share of real": shares.real.round(4),
            "share of made": shares.fake.round(4),
            "p (corrected)": shares.p_values,
            "made": fate,
        }
    )
    return table(
        frame.iloc[np.argsort(-abs(shares.z), kind="stable")],
        name="groups",
        title="Shares of the combinations of attributes",
        caption="As one classifier, trained on real faces, sees made and held-out ones, with the same errors on both. "
        "p-values are corrected for the number of groups.",
        section=compared.evaluator,
    )


def _nearest_pairs(compared: Compared, test: DuplicateTest) -> list[Artifact]:
    """The made faces that are nearest to each other, no face twice."""
    chosen = np.flatnonzero(test.pairs.separate)[:SHOWN]
    if not len(chosen):
        return []
    made = compared.context.synthetic
    sides: Sequence[Rows] = [compared.match.synthetic[rows[chosen]] for rows in (test.pairs.first, test.pairs.second)]
    return [
        image_grid(
            [made.images[rows] for rows in sides],
            name="nearest-pairs",
            title="The made faces that are most alike",
            caption=f"Pairs, one above the other, the nearest first; {test.separate} pairs are near-duplicates: nearer "
            "than real faces of different people are.",
            section=Modes.name,
            shows_real_people=False,
        )
    ]

"""Does the generator leave out kinds of real faces, or generate few different ones?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from augface.arrays import Booleans, Integers
from augface.data.groups import Subgroup, combinations
from augface.data.splits import groups_of
from augface.errors import require
from augface.evaluators._compared import Compared
from augface.evaluators.base import NEXT, Context, Evaluator, Findings, Suggestion, Urgency
from augface.metrics import bin_shares, duplicates
from augface.metrics.bin_shares import Chance, ShareTest, SpaceShares, share_ratio, share_test
from augface.metrics.duplicates import DuplicateTest, duplicate_test, support_size
from augface.metrics.intervals import NORMAL, Interval, clustered_variance, normal_interval
from augface.metrics.kernel_entropy import SHARE, default_bandwidth, mode_count
from augface.metrics.manifolds import REPLICATES, prdc_intervals
from augface.metrics.multiple_testing import weighted_bonferroni
from augface.metrics.neighbourhoods import HALVES
from augface.metrics.neighbours import k_nearest
from augface.metrics.overrepresented import Overrepresented, overrepresented_mode
from augface.results import Artifact, Measurement, Section
from augface.results.artifacts import image_grid, table
from augface.results.severity import severity
from augface.seeds import random_generator

MINIMUM = 100
"""Faces on each side, below which bins hold too few."""
MOST = 10_000
"""Faces of each side."""
PIXELS = "pixels"
"""The space of near-duplicates, and one more for bins: it sees colours and backgrounds, which networks look past."""
LEVEL = 0.05
DUPLICATES_LEVEL = 0.1
"""Part of the level of the alarm that the test for near-duplicates takes, whose p-values are far below it where there
are any; the test of modes takes the rest."""
K = 5
"""The neighbour whose distance is a ball's radius, for coverage."""
HANDFUL, MOST_ATTRIBUTES = 5, 8
"""Attributes whose pairs are looked at: where fewer than two are requested, a handful of the most balanced."""
GROUP_FACES = 20
"""Faces of both sides together, below which a group is left out."""
SHOWN, SHOWN_BINS = 8, 4
VARIETY_MOST = 600
"""Faces of each side whose kernel matrices are taken apart, in time that grows with the cube."""
OVERMADE_SHOWN = 12
COLLAPSED = 0.25
"""The share of near-duplicates from which on a generator counts as collapsed."""

People = Integers | None


@dataclass(frozen=True)
class Groups:
    """All four combinations of each pair of attributes, as the judge sees them."""

    subgroups: list[Subgroup]
    """G subgroups."""
    reference: Booleans
    """(N, G) which of them each held-out face is put into."""
    synthetic: Booleans
    """(M, G) which of them each synthetic face is put into."""


@dataclass(frozen=True)
class Faces:
    """Who is on the compared faces; where that is not known, near-duplicates count as one person."""

    compared: Compared

    @cached_property
    def reference_people(self) -> Integers:
        """(n,) the person on each held-out face."""
        return groups_of(self.compared.context.reference)[self.compared.match.reference]

    @cached_property
    def other_people(self) -> Integers:
        """(n,) the person on each other real face."""
        return groups_of(self.compared.context.sides.other)[self.compared.match.other]

    @property
    def synthetic_people(self) -> People:
        """(n,) or None: synthetic faces show someone only where real ones stand in for them."""
        people = self.compared.context.samples.identity
        return None if people is None else people[self.compared.match.synthetic]


class Modes(Evaluator):
    """Bins that differ (Richardson & Weiss 2018), groups of attributes, near-duplicates and coverage; one alarm."""

    section: ClassVar[Section] = Section(
        key="modes",
        title="Lost modes",
        meaning="Kinds of real faces that the generator makes too seldom, or no longer makes.",
        key_measures=("missing_share", "duplicate_share"),
        lights={"diverse": ("missing_share", "duplicate_share", "coverage_ratio")},
        one_each=True,
        by_group="group_ratio",
    )

    def evaluate(self, context: Context) -> Findings:
        """Compare synthetic faces with held-out ones in clusters of other real ones; the alarm is one for all tests."""
        match = context.sides.match(most=MOST)
        if len(match) < MINIMUM:
            reason = (
                f"{len(match)} faces on each side are too few to say which kinds are missing; at least {MINIMUM} "
                "synthetic faces, as many held-out real ones and as many other real ones are needed."
            )
            return Findings(skipped=[self.skip(reason)])
        spaces = [Compared(self.name, context, space, match) for space in dict.fromkeys([*context.spaces, PIXELS])]
        faces = Faces(spaces[0])
        groups = _groups(spaces[0])
        test = share_test(
            [space.reference for space in spaces],
            [space.synthetic for space in spaces],
            [space.other for space in spaces],
            reference_people=faces.reference_people,
            fake_people=faces.synthetic_people,
            reference_groups=None if groups is None else groups.reference,
            fake_groups=None if groups is None else groups.synthetic,
            random=random_generator(context.seed, "modes"),
        )
        pixels = spaces[[space.space for space in spaces].index(PIXELS)]
        repeats = duplicate_test(
            pixels.synthetic,
            [pixels.reference, pixels.other],
            fake_people=faces.synthetic_people,
            real_people=[faces.reference_people, faces.other_people],
        )
        p_value, duplicates_p_value = weighted_bonferroni(
            (test.p_value, 1 - DUPLICATES_LEVEL), (repeats.p_value, DUPLICATES_LEVEL)
        )
        findings = Findings()
        for space, found in zip(spaces, test.spaces, strict=True):
            findings.measurements.extend(_bin_measurements(space, found, p_value if space is spaces[0] else None))
        findings.measurements.extend(_duplicate_measurements(pixels, faces, repeats, duplicates_p_value))
        findings.measurements.append(_coverage_ratio(spaces[0], faces))
        modes, overmade = _variety(spaces[0], faces)
        findings.measurements.extend(modes)
        if modes[1].verdict != "pass":
            findings.artifacts.append(_overmade_faces(spaces[0], overmade))
        findings.artifacts.extend([*_vanished(spaces[0], test.spaces[0]), _bins_table(spaces[0], test.spaces[0])])
        if groups is not None:
            findings.measurements.extend(_group_measurements(spaces[0], faces, groups, test))
            findings.artifacts.append(_groups_table(spaces[0], groups, test))
        else:
            reason = "Combinations of attributes need labels of the faces that the generator learnt from, two at least."
            findings.skipped.append(self.skip(reason))
        findings.artifacts.extend(_nearest_pairs(pixels, repeats))
        return findings

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """Another start, where the generator makes the same faces again; else the kinds that are missing."""
        found = {one.name: one for one in reversed(measurements) if not one.group and one.alarm}
        repeated, missing = found.get("duplicate_share"), found.get("missing_share")
        if repeated is not None and (repeated.low or 0) > COLLAPSED:
            reason = f"{repeated.value:.0%} of the synthetic faces are near-duplicates of others: it has collapsed."
            title = "Start the generator's training again with another seed"
            return [Suggestion(Urgency.USELESS + 1, title, reason, [repeated], options={"--seed": NEXT})]
        if missing is not None and missing.value is not None:
            reason = f"The kinds that {missing.value:.0%} of real faces belong to are generated too seldom or never."
            return [Suggestion(Urgency.WEAK + 2, "Look at the kinds of faces that are missing", reason, [missing])]
        return []


def _groups(compared: Compared) -> Groups | None:
    """The groups that are large enough; None where there is no judge of at least two attributes."""
    context, match = compared.context, compared.match
    seen_real, seen_synthetic = context.judged(context.reference), context.judged(context.samples)
    if seen_real is None or seen_synthetic is None or seen_real.shape[1] < 2:
        return None
    real, synthetic = seen_real.iloc[match.reference] > 0.5, seen_synthetic.iloc[match.synthetic] > 0.5
    groups = [group for pair in itertools.combinations(_attributes(context, real), 2) for group in combinations(pair)]
    members = [
        np.array([(side[list(group)] == list(group.values())).all(axis=1) for group in groups])
        for side in (real, synthetic)
    ]
    enough = sum(side.sum(axis=1) for side in members) >= GROUP_FACES
    large = [group for group, is_large in zip(groups, enough, strict=True) if is_large]
    return Groups(large, members[0][enough].T, members[1][enough].T)


def _attributes(context: Context, real: pd.DataFrame) -> list[str]:
    """Those requested; where they make no pair, with the most balanced."""
    asked = [name for name in dict.fromkeys([*context.by, *context.targets]) if name in real]
    if len(asked) > 1:
        return asked[:MOST_ATTRIBUTES]
    balanced = (real.mean() - 0.5).abs().sort_values(kind="stable").index
    return list(dict.fromkeys([*asked, *map(str, balanced)]))[:HANDFUL]


def _bin_measurements(compared: Compared, found: SpaceShares, p_value: float | None) -> list[Measurement]:
    """The missing share, which carries the alarm where `p_value` is given; the bins that differ; their divergence."""
    bins = len(found.bins.real)
    protocol = {
        "bins": bins,
        "resolutions": list(bin_shares.RESOLUTIONS),
        "clusterings": f"{bin_shares.CLUSTERINGS} of each resolution, as they are and half whitened",
        "components": bin_shares.COMPONENTS,
        "bins_of": "other real faces",
        "null": f"{bin_shares.SIGN_FLIPS} random sign flips of people",
        "most": MOST,
    }
    missing = compared.measurement(
        "missing_share",
        found.missing,
        label="Share of real faces whose kind is missing",
        unit="%",
        verdict="info" if p_value is None else "fail" if p_value < LEVEL else "pass",
        alarm=None if p_value is None else p_value < LEVEL,
        meaning="The share of real faces whose kinds are generated too seldom or never; about 0 if nothing is missing."
        + (
            " The p-value is of all bins in all spaces and of the groups of attributes: that synthetic faces are of "
            "all kinds as often as real ones."
            if p_value is not None
            else ""
        ),
        protocol={
            **protocol,
            "suspect": bin_shares.SUSPECT,
            "interval": "bins chosen on one half of the people, measured on the other, both ways round",
            **(
                {"family": f"with near-duplicates, {1 - DUPLICATES_LEVEL:g} of the level"}
                if p_value is not None
                else {}
            ),
        },
        p_value=p_value,
    )
    return [
        missing,
        _against_chance(
            compared,
            "different_bins",
            found.different,
            label="Bins that differ",
            meaning=f"Of {bins} bins of real faces, how many hold a share of the synthetic faces that differs from "
            "that of held-out ones at 5 % each (NDB); the baseline is what chance gives.",
            protocol=protocol,
        ),
        _against_chance(
            compared,
            "bin_divergence",
            found.divergence,
            label="Divergence of the bins",
            meaning="Jensen-Shannon divergence of the shares of the bins in bits: 0 for equal shares, 1 where no bin "
            "has both; the baseline is what chance gives.",
            protocol=protocol,
        ),
    ]


def _against_chance(
    compared: Compared, name: str, number: Chance, *, label: str, meaning: str, protocol: dict[str, Any]
) -> Measurement:
    """A number without an interval of its own: `warn` where it is above the 95 % that chance gives."""
    return compared.measurement(
        name,
        Interval(number.value, float("nan"), float("nan")),
        label=label,
        null=number.null,
        verdict="warn" if number.value > number.null.high else "pass",
        meaning=meaning,
        protocol=protocol,
        p_value=number.p_value,
    )


def _duplicate_measurements(compared: Compared, faces: Faces, test: DuplicateTest, p_value: float) -> list[Measurement]:
    """The share of synthetic faces that repeat another, with the alarm; how many different faces the generator has."""
    pairs = test.real_pairs[0]  # of the held-out faces
    near = pairs.distances <= test.threshold
    protocol = {
        "near": f"the {duplicates.NEAR} nearest pairs of two sets of real faces of different people",
        "neighbours": duplicates.NEIGHBOURS,
        "most": MOST,
    }
    share = compared.measurement(
        "duplicate_share",
        _share(test.repeating, faces.synthetic_people),
        label="Near-duplicates",
        unit="%",
        verdict="fail" if p_value < LEVEL else "pass",
        alarm=p_value < LEVEL,
        null=_share(pairs.repeating(test.threshold, len(compared)), faces.reference_people),
        meaning="The share of synthetic faces that have a near-duplicate among the synthetic ones, nearer than real "
        f"faces of different people are. There are {test.separate} separate pairs, and {test.real_separate:g} among as "
        "many real faces.",
        protocol={
            **protocol,
            "interval": "normal, clustered by people",
            "family": f"with the modes, {DUPLICATES_LEVEL:g} of the level",
        },
        found={"threshold": round(test.threshold, 6)},
        p_value=p_value,
    )
    support = compared.measurement(
        "support_size",
        test.support,
        label="Different faces, estimated",
        unit="faces",
        verdict="info",
        null=support_size(pairs.first[near], pairs.second[near], len(compared)),
        direction="higher",
        meaning="How many equally frequent faces would give so many near-duplicates: an estimate of the number of "
        "different faces that the generator has, and only a lower bound where none came out twice.",
        protocol={**protocol, "interval": "exact Poisson of as many independent pairs"},
    )
    return [share, support]


def _share(flags: Booleans, people: People) -> Interval:
    share = float(flags.mean())
    scatter = clustered_variance((flags - share).astype(np.float64), people)
    number = normal_interval(share, float(np.sqrt(scatter)))
    return Interval(share, max(0.0, number.low), min(1.0, number.high))


def _coverage_ratio(compared: Compared, faces: Faces) -> Measurement:
    """Coverage by synthetic faces over that by other real ones, both of the held-out ones."""
    synthetic, other = (
        prdc_intervals(
            compared.reference,
            side,
            K,
            real_groups=faces.reference_people,
            fake_groups=people,
            random=random_generator(compared.context.seed, "coverage"),
        )["coverage"]
        for side, people in ((compared.synthetic, faces.synthetic_people), (compared.other, faces.other_people))
    )
    if other.value == 0:
        ratio = Interval(float("nan"), float("nan"), float("nan"))
    else:
        errors = [(number.high - number.low) / 2 / NORMAL for number in (synthetic, other)]
        value = synthetic.value / other.value
        ratio = normal_interval(value, float(np.hypot(errors[0], value * errors[1])) / other.value)
    number = Interval(ratio.value, max(0.0, ratio.low), ratio.high)
    return compared.measurement(
        "coverage_ratio",
        number,
        label="Coverage, next to that of real faces",
        direction="higher",
        verdict=severity(number, (1.0, 1.0, 1.0), useless=0.0),
        meaning="How many held-out real faces have a synthetic one near them, over how many have another real one near "
        "them: 1 where synthetic faces cover real variety as real ones do.",
        protocol={"k": K, "interval": f"delta method; {REPLICATES} random halves of the people of each side"},
    )


def _group_measurements(compared: Compared, faces: Faces, groups: Groups, test: ShareTest) -> list[Measurement]:
    """Share among synthetic faces over share among real ones, of each group."""
    p_values = require(test.groups).p_values
    found = []
    for number, group in enumerate(groups.subgroups):
        p_value = float(p_values[number])
        ratio = share_ratio(
            groups.reference[:, number], groups.synthetic[:, number], faces.reference_people, faces.synthetic_people
        )
        found.append(
            compared.measurement(
                "group_ratio",
                ratio,
                label="Share among synthetic faces over share among real ones",
                direction="target",
                group=group,
                null=Interval(1.0, 1.0, 1.0),
                verdict="warn" if p_value < LEVEL else "pass",
                meaning="The share of this subgroup among synthetic faces over that among held-out real ones, as one "
                "classifier sees both: 1 is right, 0 is a subgroup that vanished. The p-value is corrected for all of "
                "them.",
                protocol={
                    "judge": "cut at 0.5 on both sides",
                    "interval": "log ratio, clustered by people",
                    "groups": len(groups.subgroups),
                    "null": f"{bin_shares.SIGN_FLIPS} random sign flips of people",
                },
                p_value=p_value,
            )
        )
    return found


def _variety(compared: Compared, faces: Faces) -> tuple[list[Measurement], Overrepresented]:
    """The number of modes, and how much too often the most over-represented one is generated, beside real faces."""
    reference, synthetic, other = (
        side[:VARIETY_MOST] for side in (compared.reference, compared.synthetic, compared.other)
    )
    people, synthetic_people, other_people = (
        None if side is None else side[:VARIETY_MOST]
        for side in (faces.reference_people, faces.synthetic_people, faces.other_people)
    )
    width = default_bandwidth(reference)
    protocol = {"kernel": "Gaussian", "bandwidth": f"{SHARE:g} of the median distance of held-out faces"}
    found, null = (
        overrepresented_mode(
            reference,
            side,
            width,
            real_groups=people,
            fake_groups=own,
            random=random_generator(compared.context.seed, "over-represented"),
        )
        for side, own in ((synthetic, synthetic_people), (other, other_people))
    )
    count = compared.measurement(
        "mode_count",
        mode_count(synthetic, width, synthetic_people),
        label="Modes, in effect",
        null=mode_count(other, width, other_people),
        useless=1.0,
        direction="higher",
        meaning="How many different kinds of faces there are among as many synthetic ones, in effect (Rényi kernel "
        "entropy); 1 where all are alike. It needs no real faces: those are beside it.",
        protocol={**protocol, "order": 2, "most": VARIETY_MOST, "interval": "delta method, clustered by people"},
    )
    excess = compared.measurement(
        "overmade_share",
        found.excess,
        label="Generated too often",
        unit="%",
        null=null.excess,
        useless=1.0,
        meaning="The share of synthetic faces that are of the kind which is generated too often, beyond the share of "
        "real faces that are; about 0 if none is (after kernel entropic novelty).",
        protocol={
            **protocol,
            "most": VARIETY_MOST,
            "interval": f"{HALVES} random halves of the people where known, else of the faces",
        },
    )
    return [count, excess], found


def _overmade_faces(compared: Compared, found: Overrepresented) -> Artifact:
    """The synthetic faces that belong most to the kind that is generated too often."""
    most = np.argsort(-found.belonging, kind="stable")[:OVERMADE_SHOWN]
    return image_grid(
        compared.context.samples.images[compared.match.synthetic[most]],
        name="overmade",
        title="The kind of face that is generated too often",
        caption="The synthetic faces that belong most to the kind whose share most exceeds that among real faces; "
        "where the excess is about 0 there is no such kind.",
        section=Modes.name,
        columns=OVERMADE_SHOWN,
    )


def _vanished(compared: Compared, found: SpaceShares) -> list[Artifact]:
    """Real faces of under-represented bins, those farthest from any synthetic face, with the nearest of those below."""
    context, match = compared.context, compared.match
    order = np.argsort(-found.bins.z, kind="stable")
    lost = order[found.bins.missing_p_values[order] < LEVEL][:SHOWN_BINS]
    if not context.show_real or not len(lost):
        return []
    distances, nearest = (part[:, 0] for part in k_nearest(compared.reference, compared.synthetic, 1))
    rows, labels = [], []
    for number in lost:
        members = np.flatnonzero(found.reference_bins == number)
        farthest = members[np.argsort(-distances[members], kind="stable")][:SHOWN]
        rows += [context.reference.images[match.reference[farthest]]]
        rows += [context.samples.images[match.synthetic[nearest[farthest]]]]
        labels += [
            f"bin {number + 1}: {found.bins.real[number]:.1%} of real, {found.bins.fake[number]:.1%} of synthetic"
        ]
        labels += ["nearest synthetic"]
    return [
        image_grid(
            rows,
            name="vanished",
            title="Kinds of real faces that are generated too seldom",
            caption="Of each bin that lacks synthetic faces, the real ones that are farthest from any synthetic one, "
            "with that nearest synthetic face below.",
            section=Modes.name,
            row_labels=labels,
            shows_real_people=context.reference.shows_people,
        )
    ]


def _bins_table(compared: Compared, found: SpaceShares) -> Artifact:
    """All bins, those that lack most synthetic faces first."""
    bins = found.bins
    difference, reach = bins.fake - bins.real, NORMAL * bins.error
    frame = pd.DataFrame(
        {
            "bin": np.arange(1, len(bins.real) + 1),
            "share of real": bins.real,
            "share of synthetic": bins.fake,
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


def _groups_table(compared: Compared, groups: Groups, test: ShareTest) -> Artifact:
    """All subgroups, with what became of each."""
    shares = require(test.groups)
    differs = shares.p_values < LEVEL
    fate = np.where(~differs, "", np.where(shares.fake == 0, "vanished", np.where(shares.z > 0, "too few", "too many")))
    frame = pd.DataFrame(
        {
            "subgroup": [str(group) for group in groups.subgroups],
            "share of real": shares.real.round(4),
            "share of synthetic": shares.fake.round(4),
            "p (corrected)": shares.p_values,
            "generated": fate,
        }
    )
    return table(
        frame.iloc[np.argsort(-abs(shares.z), kind="stable")],
        name="groups",
        title="Shares of the combinations of attributes",
        caption="As one classifier, trained on real faces, sees synthetic and held-out ones, with the same errors on "
        "both. p-values are corrected for the number of subgroups.",
        section=compared.evaluator,
    )


def _nearest_pairs(compared: Compared, test: DuplicateTest) -> list[Artifact]:
    """The synthetic faces that are nearest to each other, no face twice."""
    chosen = np.flatnonzero(test.pairs.separate)[:SHOWN]
    if not len(chosen):
        return []
    faces = compared.context.samples
    sides: Sequence[Integers] = [
        compared.match.synthetic[rows[chosen]] for rows in (test.pairs.first, test.pairs.second)
    ]
    return [
        image_grid(
            [faces.images[rows] for rows in sides],
            name="nearest-pairs",
            title="The synthetic faces that are most alike",
            caption=f"Pairs, one above the other, the nearest first; {test.separate} pairs are near-duplicates: nearer "
            "than real faces of different people are.",
            section=Modes.name,
            shows_real_people=False,
        )
    ]

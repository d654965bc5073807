"""What a report shows beside its numbers: the faces that fooled most and least, who answered, how exposures went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from augface.data.images import decode_picture, quiet_decoding
from augface.metrics.intervals import proportion_interval
from augface.metrics.staircase import EXPOSURES
from augface.results import Artifact
from augface.results.artifacts import image_grid, series, table
from augface.study.design import Task
from augface.study.folder import Study
from augface.study.measures import Findings, centred
from augface.study.records import Records

SHOWN = 12
GLANCE_FACES = 4
LARGEST_TILE = 128
RATERS_SECTION = "raters"


def exhibits(study: Study, records: Records, found: Mapping[Task, Findings]) -> list[Artifact]:
    """Pictures, tables and curves."""
    artifacts: list[Artifact] = [_glance(study)]
    if "untimed" in found and len(records.of("untimed")):
        artifacts += _fooling(study, records)
    if "flash" in found and found["flash"].thresholds:
        artifacts += _exposures(records, found["flash"])
    if len(faces := _all_faces(study, records)):
        artifacts.append(
            table(
                faces, name="faces", title="Every face",
                caption="How often it was called real without time pressure, by how many, with Wilson's interval, "
                "and its mean rating once each rater's own mean is taken off.",
                section=RATERS_SECTION,
            )
        )  # fmt: skip
    artifacts += _raters(records)
    return artifacts


def _glance(study: Study) -> Artifact:
    """The first faces of each kind, which are in random order."""
    plan = study.plan
    return image_grid(
        [_tiles(study, plan.numbers(kind)[:GLANCE_FACES].tolist()) for kind in range(len(plan.kinds))],
        name="glance",
        title="Faces of the study",
        caption=f"Drawn at random: real ones in the first row, then those of {', '.join(plan.generators)}.",
        section=RATERS_SECTION,
        row_labels=["real" if kind == 0 else one.name for kind, one in enumerate(plan.kinds)],
        shows_real_people=any(one.people for one in plan.kinds),
    )


def called_real(records: Records) -> pd.DataFrame:
    """By picture: `share` of answers that are "real", `answers`, and `shrunk`, drawn towards the mean of its kind.

    A share of few answers is a poor guide: the best of a hundred faces are mostly lucky. Shares are drawn to the mean
    by as much as the spread between faces says (a beta-binomial fitted by moments).
    """
    answers = records.of("untimed")
    real = (answers["answer"] == "real").astype(np.float64)
    groups = real.groupby(answers["left"])
    faces = pd.DataFrame({"share": groups.mean(), "answers": groups.size()})
    faces["kind"] = [records.plan.pictures[int(picture)].kind for picture in faces.index]
    shrunk = faces["share"].copy()
    for _, own in faces.groupby("kind"):
        shrunk[own.index] = _shrunk(own["share"].to_numpy(), own["answers"].to_numpy())
    return faces.assign(shrunk=shrunk)


def _shrunk(shares: npt.NDArray[np.float64], answers: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    mean = float(np.average(shares, weights=answers))
    chance = mean * (1 - mean) / answers
    between = max(float(np.var(shares) - chance.mean()), 0.0)
    weight = between / (between + chance) if between > 0 else np.zeros(len(shares))
    return mean + weight * (shares - mean)


def _fooling(study: Study, records: Records) -> list[Artifact]:
    faces = called_real(records)
    artifacts: list[Artifact] = []
    for kind, one in enumerate(records.plan.kinds):
        own = faces[faces["kind"] == kind].sort_values("shrunk", kind="stable")
        if len(own) < 2:
            continue
        count = min(SHOWN, len(own) // 2)
        rows = [list(own.index[::-1][:count]), list(own.index[:count])]
        shares = [[f"{faces['share'][picture]:.0%}" for picture in row] for row in rows]
        named = "Real faces" if kind == 0 else f"Faces of {one.name}"
        artifacts.append(
            image_grid(
                [_tiles(study, row) for row in rows],
                name=f"called-real-{kind}",
                title=f"{named} that were called real most and least often",
                caption="Top: called real most often, from the left "
                f"({', '.join(shares[0])} of answers). Below: least often ({', '.join(shares[1])}). Few people saw "
                "each face; the order allows for it.",
                section="untimed",
                row_labels=["called real", "called generated"],
                shows_real_people=one.people,
            )
        )
    return artifacts


def _tiles(study: Study, pictures: Sequence[int]) -> npt.NDArray[np.uint8]:
    from augface.data.images import resize_faces

    with quiet_decoding():
        faces = np.stack([decode_picture(study.picture_path(int(picture)).read_bytes()) for picture in pictures])
    return faces if faces.shape[1] <= LARGEST_TILE else resize_faces(faces, LARGEST_TILE)


def _exposures(records: Records, found: Findings) -> list[Artifact]:
    axis = np.array(EXPOSURES)
    lines = {f"{name}, fitted": one.share_right(axis) for name, one in found.thresholds.items()}
    answers = records.of("flash")
    right = (answers["answer"] == "generated") == (answers["left_kind"] > 0)
    nearest = np.abs(np.log(answers["exposure"].to_numpy()[:, None]) - np.log(axis)).argmin(axis=1)
    for number, name in enumerate(records.plan.generators, start=1):
        own = answers["generator"].to_numpy() == number
        counts = np.bincount(nearest[own], minlength=len(axis))
        sums = np.bincount(nearest[own], right.to_numpy(dtype=np.float64)[own], minlength=len(axis))
        lines[f"{name}, answers"] = np.where(counts >= 10, sums / np.maximum(counts, 1), np.nan)
    return [
        series(
            axis, lines, name="exposures", title="How many are right after how long a look",
            caption="Fitted: the typical person. Answers: the share of right ones at each exposure with ten answers or "
            "more; since exposures follow the answers, those who see well are over-represented at short ones.",
            section="flash", x_label="exposure in ms", y_label="share of right answers",
        )
    ]  # fmt: skip


def _all_faces(study: Study, records: Records) -> pd.DataFrame:
    columns: dict[str, pd.Series[float]] = {}
    if len(records.of("untimed")):
        faces = called_real(records)
        intervals = [
            proportion_interval(share * count, count)
            for share, count in zip(faces["share"], faces["answers"], strict=True)
        ]
        columns |= {
            "called real": faces["share"],
            "from": pd.Series([one.low for one in intervals], index=faces.index),
            "to": pd.Series([one.high for one in intervals], index=faces.index),
            "answers": faces["answers"],
        }
    if len(ratings := records.of("rating")):
        columns["rating"] = centred(ratings).groupby(ratings["left"]).mean()
    if not columns:
        return pd.DataFrame()
    faces_table = pd.DataFrame(columns).sort_index()
    pictures = [study.plan.pictures[int(picture)] for picture in faces_table.index]
    faces_table.insert(0, "of", [study.plan.kinds[one.kind].name for one in pictures])
    faces_table.insert(1, "face", [one.source for one in pictures])
    return faces_table


def _raters(records: Records) -> list[Artifact]:
    raters = records.raters
    people = pd.DataFrame(
        {
            "rater": np.arange(1, len(raters) + 1),
            "answers": raters["answers"],
            "attention checks passed": [f"{one.passed:.0%} of {one.checks}" for one in raters.itertuples()],
            "counts": raters["counts"].astype(bool),
            "came by": raters["group"].map({"rater": "server", "file": "file", "simulated": "simulation"}),
        }
    )
    answers = records.answers
    times = answers.groupby("block", sort=False)["rt"].median() / 1000
    for block in records.plan.blocks:
        if block in times.index:
            own = answers[answers["block"] == block].groupby("rater")["rt"].median() / 1000
            people[f"seconds, {block}"] = raters["rater"].map(own).round(2)
    artifacts: list[Artifact] = [
        table(
            people, name="raters", title="Every rater",
            caption="Who answered how much, without a name; how many attention checks they passed; the median "
            "seconds they took for an answer.",
            section=RATERS_SECTION,
        )
    ]  # fmt: skip
    off = answers["frames_off"].dropna()
    if len(off):
        counts = off.value_counts().sort_index()
        frames = pd.DataFrame(
            {"frames longer than asked for": counts.index.astype(int), "brief exposures": counts.to_numpy()}
        )
        artifacts.append(
            table(
                frames, name="frames", title="How exact brief exposures were",
                caption="As the browser's frames tell; what the screen then does, no page can know. Exposures that "
                "were later than the plan allows are left out before.",
                section=RATERS_SECTION,
            )
        )  # fmt: skip
    return artifacts

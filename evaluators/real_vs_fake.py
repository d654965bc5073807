"""Can a classifier that knows nothing of the generator tell made faces from real ones, and by what?"""

from __future__ import annotations

from typing import ClassVar

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from augface.artifacts import image_grid, series, table
from augface.classifier import AttributeClassifier
from augface.data.dataset import FaceDataset, Pixels
from augface.data.splits import near_duplicates
from augface.detector import WASHING, Detector, washed
from augface.evaluators.base import Context, Evaluator, Findings
from augface.evaluators.compared import Compared, most_of
from augface.features.base import Features
from augface.features.extraction import features_of
from augface.metrics.classification import TwoSampleTest, auc_interval, roc_at, two_sample_test
from augface.metrics.spectrum import radial_spectrum
from augface.results import Artifact, Measurement, Skipped
from augface.seeds import derive_seed, random_generator

MINIMUM = 100
"""Faces on each side, below which a classifier has too little to learn from."""
PEOPLE = 20
"""Separate people on each side, below which half of them are too few to learn from."""
MOST = 2_000
"""Faces of each side: washed ones have no features yet, and take time."""
NETWORK_IMAGES = 20_000
"""Images that the small network is shown while it learns."""
SHOWN = 12

PROTOCOL = {
    "classifier": "logistic regression, its strength chosen within the learning half",
    "split": "one, by people; the classifier learns on one half and is tested on the other",
    "interval": "placement values, those of a person together, in Wilson's form",
    "most": MOST,
}
WASHED = {"input": "washed images", **{f"washing_{name}": value for name, value in WASHING.items()}}

Scores = npt.NDArray[np.float64]
People = npt.NDArray[np.int64] | None


class RealVsFake(Evaluator):
    """The classifier two-sample test (Lopez-Paz & Oquab 2017) on frozen features and on pixels; it decides nothing."""

    name: ClassVar[str] = "real_vs_fake"

    def evaluate(self, context: Context) -> Findings:
        """Test washed faces and those in the files beside other real ones; leave a detector in the context's folder."""
        match = context.sides.match(most=MOST)
        if len(match) < MINIMUM:
            return _skipped(
                f"{len(match)} faces on each side are too few to learn from; at least {MINIMUM} are needed."
            )
        compared = Compared(self.name, context, context.spaces[0], match)
        reference = context.reference.select(match.reference)
        synthetic = context.synthetic.select(match.synthetic)
        other = context.sides.other.select(match.other)
        people, made_people, other_people = _people(reference), synthetic.identity, _people(other, len(reference))
        known = min(len(np.unique(side)) for side in (people, made_people, other_people) if side is not None)
        if known < PEOPLE:
            return _skipped(f"the faces of a side are of {known} people; to test on others, {PEOPLE} are needed.")

        pixels = [washed(np.asarray(side.images)) for side in (reference, synthetic, other)]
        features = [_features(compared, images) for images in pixels]
        clean = _test(context, features[0], features[1], people, made_people)
        null = _test(context, features[0], features[2], people, other_people)
        raw = _test(context, compared.reference, compared.fake, people, made_people)
        raw_null = _test(context, compared.reference, compared.other, people, other_people)
        network = _network(context, pixels[0], pixels[1], clean)
        seen = _log_odds(network, pixels[0][clean.real_tested]), _log_odds(network, pixels[1][clean.fake_tested])
        network_auc, network_p_value = auc_interval(
            *seen, people[clean.real_tested], None if made_people is None else made_people[clean.fake_tested]
        )

        if context.folder is not None:
            detector = Detector.of_test(
                clean,
                features[0],
                features[1],
                space=context.space(compared.space),
                size=reference.size,
                real_spec=context.reference.source.spec,
                synthetic_spec=context.synthetic.source.spec,
            )
            detector.save(context.folder / "detector")

        chances = np.linspace(0, 1, 101)
        curves = {
            "made": roc_at(chances, *clean.tested_scores),
            "made, files as they are": roc_at(chances, *raw.tested_scores),
            "made, by the small network": roc_at(chances, *seen),
            "other real faces": roc_at(chances, *null.tested_scores),
        }
        findings = Findings(
            [
                compared.measurement(
                    "detection_auc",
                    clean.auc,
                    null=null.auc,
                    p_value=clean.p_value,
                    decides=False,
                    protocol={**PROTOCOL, **WASHED},
                    meaning="How often a classifier finds a made face less real than a real one, of people it has not "
                    "seen and with the traces of files washed off; 0.5 is guessing. Far below it, made faces repeat "
                    "real ones.",
                ),
                compared.measurement(
                    "detection_accuracy",
                    clean.accuracy,
                    null=null.accuracy,
                    decides=False,
                    protocol={**PROTOCOL, **WASHED},
                    meaning="The share of washed faces, as many real as made, that the classifier calls rightly.",
                ),
                compared.measurement(
                    "detection_auc_raw",
                    raw.auc,
                    null=raw_null.auc,
                    p_value=raw.p_value,
                    decides=False,
                    protocol=PROTOCOL,
                    meaning="The same of the files as they are: what is above the washed one may come from format, "
                    "size or compression rather than from faces.",
                ),
                Measurement(
                    evaluator=self.name,
                    name="detection_auc_network",
                    value=network_auc.value,
                    low=network_auc.low,
                    high=network_auc.high,
                    p_value=network_p_value,
                    direction="lower",
                    meaning="The same by a small network that learns from the washed pixels themselves.",
                    n_real=len(match),
                    n_fake=len(match),
                    protocol={
                        **PROTOCOL,
                        **WASHED,
                        "classifier": "small convolutional network",
                        "network_images": NETWORK_IMAGES,
                        "size": reference.size,
                        "seed": context.seed,
                    },
                ),
            ],
            [
                *_most_and_least_convincing(synthetic, clean),
                _roc(chances, curves),
                _spectra(reference, synthetic, other),
            ],
        )
        if network_auc.low > 0.5:
            findings.artifacts.append(_where_it_looks(synthetic, pixels[1], network, clean))
        else:
            reason = "where the network looks: it tells made faces from real ones no better than by guessing."
            findings.skipped.append(Skipped(evaluator=self.name, reason=reason))
        return findings


def _skipped(reason: str) -> Findings:
    return Findings([], skipped=[Skipped(evaluator=RealVsFake.name, reason=reason)])


def _people(faces: FaceDataset, first: int = 0) -> npt.NDArray[np.int64]:
    """(N,) who is on each face; where that is not known, copies of a picture belong together, numbered from `first`."""
    return near_duplicates(faces) + first if faces.identity is None else faces.identity


def _features(compared: Compared, images: Pixels) -> Features:
    return features_of(FaceDataset.from_arrays(images, spec="washed"), compared.context.space(compared.space))


def _test(context: Context, real: Features, fake: Features, real_people: People, fake_people: People) -> TwoSampleTest:
    """The test on the one split of these people that belongs to the seed."""
    random = random_generator(context.seed, "real against made")
    return two_sample_test(real, fake, real_people=real_people, fake_people=fake_people, random=random)


def _network(context: Context, real: Pixels, fake: Pixels, test: TwoSampleTest) -> AttributeClassifier:
    """A small network that learns on the learning half of a test; its threshold is not used."""
    both = FaceDataset.from_arrays(np.concatenate([real, fake]), {"made": [False] * len(real) + [True] * len(fake)})
    tested = np.concatenate([test.real_tested, test.fake_tested])
    seed = derive_seed(context.seed, "real against made")
    return AttributeClassifier.train(both, tested, seed=seed, images=NETWORK_IMAGES)


def _log_odds(network: AttributeClassifier, images: Pixels) -> Scores:
    """(N,) of being made."""
    return network.log_odds(FaceDataset.from_arrays(images, content_hash="").images)[:, 0].astype(np.float64)


def _most_and_least_convincing(synthetic: FaceDataset, test: TwoSampleTest) -> list[Artifact]:
    """Each made face is scored by a classifier that did not learn on it."""
    kinds = {"most convincing": -test.fake_scores, "least convincing": test.fake_scores}
    rows = {kind: most_of(scores, SHOWN) for kind, scores in kinds.items()}
    names = [
        pd.DataFrame({"kind": kind, "file": synthetic.names[best], "log-odds": test.fake_scores[best]})
        for kind, best in rows.items()
    ]
    return [
        image_grid(
            [synthetic.images[best] for best in rows.values()],
            name="convincing",
            title="The most and the least convincing made faces",
            caption="Made faces that the classifier takes for real most readily (top) and least readily (bottom), each "
            "judged by one that had not seen it.",
            section=RealVsFake.name,
            row_labels=list(rows),
        ),
        table(
            pd.concat(names),
            name="convincing-names",
            title="The most and the least convincing made faces, by name",
            caption="Log-odds of being made, at even odds beforehand; below 0 the classifier takes the face for real.",
            section=RealVsFake.name,
        ),
    ]


def _roc(chances: Scores, curves: dict[str, Scores]) -> Artifact:
    return series(
        chances,
        curves,
        name="roc",
        title="How many made faces are found, and at what price",
        caption="Share of made faces that are found over the share of real faces that are taken for made ones, of "
        "people whom the classifiers had not seen. The diagonal is guessing, where other real faces should lie.",
        section=RealVsFake.name,
        x_label="share of real faces called made",
        y_label="share of made faces found",
    )


def _spectra(reference: FaceDataset, synthetic: FaceDataset, other: FaceDataset) -> Artifact:
    sides = {"held-out real": reference, "made": synthetic, "other real": other}
    spectra = {label: radial_spectrum(np.asarray(side.images)) for label, side in sides.items()}
    return series(
        spectra["made"][0],
        {label: power for label, (_, power) in spectra.items()},
        name="spectrum",
        title="How much fine detail there is",
        caption="Power of the grey pictures by frequency, averaged over all directions, before any washing. Generators "
        "often have too much or too little at the highest frequencies (Durall et al. 2020).",
        section=RealVsFake.name,
        x_label="cycles per image",
        y_label="log10 of mean power",
    )


def _where_it_looks(
    synthetic: FaceDataset, pixels: Pixels, network: AttributeClassifier, test: TwoSampleTest
) -> Artifact:
    """Made faces of the tested half that the network is sure of, and what it loses where a part of them is hidden."""
    tested = np.flatnonzero(test.fake_tested)
    shown = tested[most_of(_log_odds(network, pixels[tested]), SHOWN)]
    faces, maps = synthetic.images[shown], occlusion_maps(network, pixels[shown])
    return image_grid(
        [faces, np.stack([_overlaid(face, heat) for face, heat in zip(faces, maps, strict=True)])],
        name="where",
        title="Where the network looks",
        caption="Made faces of which the small network is surest, and below each the same face in grey with a map laid "
        "over it: the brighter yellow, the more of its certainty goes when the details of that place are hidden.",
        section=RealVsFake.name,
        row_labels=["made", "what gives it away"],
    )


def occlusion_maps(network: AttributeClassifier, images: Pixels) -> npt.NDArray[np.float64]:
    """What a place contributes to the network's certainty (Zeiler & Fergus 2014, arXiv:1311.2901, section 4.2).

    A patch of a quarter of the side slides over the picture and is replaced by its coarse content, which has no edges
    of its own; the mean loss of log-odds over the patches that cover a pixel is its value.

    Args:
        network: with one output.
        images: uint8 (N, S, S, 3).

    Returns:
        (N, S, S), losses of log-odds.
    """
    side = images.shape[1]
    patch, step = side // 4, max(1, side // 16)
    corners = [*range(0, side - patch, step), side - patch]
    maps = np.empty(images.shape[:3])
    for number, image in enumerate(images):
        coarse = np.asarray(Image.fromarray(image).resize((4, 4), Image.Resampling.BOX).resize((side, side)))
        places = [(slice(top, top + patch), slice(left, left + patch)) for top in corners for left in corners]
        hidden = np.repeat(image[None], len(places) + 1, axis=0)  # the last one stays whole
        for row, place in enumerate(places):
            hidden[row][place] = coarse[place]
        scores = _log_odds(network, hidden)
        losses, covered = np.zeros((2, side, side))
        for place, score in zip(places, scores, strict=False):
            losses[place] += scores[-1] - score
            covered[place] += 1
        maps[number] = losses / covered
    return maps


def _overlaid(face: Pixels, heat: npt.NDArray[np.float64]) -> Pixels:
    """A face in grey under its map, in colours that the colour-blind can tell too; blue where nothing is lost."""
    share = (heat / max(heat.max(), 1e-6)).clip(0, 1)
    colours = (255 * mpl.colormaps["cividis"](share)[..., :3]).astype(np.uint8)
    layer = Image.fromarray(colours).resize(face.shape[1::-1], Image.Resampling.BICUBIC)
    return np.asarray(Image.blend(Image.fromarray(face).convert("L").convert("RGB"), layer, 0.5))

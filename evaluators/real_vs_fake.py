"""Can a classifier that knows nothing of the generator distinguish synthetic faces from real ones, and by what?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image

from augface.arrays import Floats64, Integers, Pixels
from augface.classifiers.attributes import AttributeClassifier
from augface.classifiers.detector import COMPRESSION, Detector, compression_normalised
from augface.data.dataset import FaceDataset
from augface.data.splits import near_duplicates
from augface.evaluators._compared import Compared, most_of
from augface.evaluators.base import Context, Evaluator, Findings, Suggestion, Urgency
from augface.features.base import Features
from augface.features.extraction import features_of
from augface.metrics.classification import TwoSampleTest, auc_interval, roc_at, two_sample_test
from augface.metrics.intervals import Interval, normal_interval
from augface.metrics.spectrum import FINE, fine_detail, radial_spectrum
from augface.results import Artifact, Measurement, Section
from augface.results.artifacts import image_grid, series, table
from augface.results.severity import severity
from augface.seeds import derive_seed, random_generator

MINIMUM = 100
"""Faces on each side, below which a classifier has too little to learn from."""
PEOPLE = 20
"""Separate people on each side, below which half of them are too few to learn from."""
MOST = 1_000
"""Faces of each side: compression-normalised ones have no features yet, and take time."""
NETWORK_IMAGES = 10_000
"""Images that the small network is shown while it learns."""
SHOWN = 12

PROTOCOL = {
    "classifier": "logistic regression, its strength chosen within the learning half",
    "split": "one, by people; the classifier learns on one half and is tested on the other",
    "interval": "placement values, those of a person together, in Wilson's form",
    "most": MOST,
}
NORMALISED = {
    "input": "compression-normalised images",
    **{f"compression_{name}": value for name, value in COMPRESSION.items()},
}

People = Integers | None


class RealVsFake(Evaluator):
    """The classifier two-sample test (Lopez-Paz & Oquab 2017) on frozen features and on pixels; it decides nothing."""

    section: ClassVar[Section] = Section(
        key="real_vs_fake",
        title="Real or synthetic?",
        meaning="How well a classifier distinguishes the two. It decides nothing by itself.",
        key_measures=("detection_auc", "fine_detail"),
        lights={"realistic": ("detection_auc",)},
        separability="detection_auc",
    )

    def evaluate(self, context: Context) -> Findings:
        """Test compression-normalised faces and those of the files; leave a detector in the context's folder."""
        match = context.sides.match(most=MOST)
        if len(match) < MINIMUM:
            return self._too_few(
                f"{len(match)} faces on each side are too few to learn from; at least {MINIMUM} are needed."
            )
        compared = Compared(self.name, context, context.spaces[0], match)
        reference = context.reference.select(match.reference)
        synthetic = context.samples.select(match.synthetic)
        other = context.sides.other.select(match.other)
        people, synthetic_people, other_people = _people(reference), synthetic.identity, _people(other, len(reference))
        known = min(len(np.unique(side)) for side in (people, synthetic_people, other_people) if side is not None)
        if known < PEOPLE:
            return self._too_few(f"the faces of a side are of {known} people; to test on others, {PEOPLE} are needed.")

        pixels = [compression_normalised(np.asarray(side.images)) for side in (reference, synthetic, other)]
        features = [_features(compared, images) for images in pixels]
        clean = _test(context, features[0], features[1], people, synthetic_people)
        null = _test(context, features[0], features[2], people, other_people)
        raw = _test(context, compared.reference, compared.synthetic, people, synthetic_people)
        raw_null = _test(context, compared.reference, compared.other, people, other_people)
        network = _network(context, pixels[0], pixels[1], clean)
        seen = _log_odds(network, pixels[0][clean.real_tested]), _log_odds(network, pixels[1][clean.fake_tested])
        network_auc, network_p_value = auc_interval(
            *seen, people[clean.real_tested], None if synthetic_people is None else synthetic_people[clean.fake_tested]
        )

        if context.folder is not None:
            detector = Detector.calibrated(
                clean.model,
                (features[0][~clean.real_tested], features[1][~clean.fake_tested]),
                (features[0][clean.real_tested], features[1][clean.fake_tested]),
                auc=clean.auc,
                people=clean.people,
                space=context.space(compared.space),
                size=reference.size,
                real_spec=context.reference.source.spec,
                synthetic_spec=context.samples.source.spec,
            )
            detector.save(context.folder / "detector")

        chances = np.linspace(0, 1, 101)
        curves = {
            "synthetic": roc_at(chances, *clean.tested_scores),
            "synthetic, files as they are": roc_at(chances, *raw.tested_scores),
            "synthetic, by the small network": roc_at(chances, *seen),
            "other real faces": roc_at(chances, *null.tested_scores),
        }
        findings = Findings(
            [
                compared.measurement(
                    "detection_auc",
                    clean.auc,
                    label="Distinguished from real faces (AUC)",
                    null=null.auc,
                    useless=1.0,
                    p_value=clean.p_value,
                    protocol={**PROTOCOL, **NORMALISED},
                    meaning="How often a classifier finds a synthetic face less real than a real one, of people it has "
                    "not seen and with the traces of compression covered; 0.5 is guessing. Far below it, synthetic "
                    "faces repeat real ones.",
                ),
                compared.measurement(
                    "detection_accuracy",
                    clean.accuracy,
                    label="Distinguished from real faces (accuracy)",
                    null=null.accuracy,
                    verdict="info",
                    protocol={**PROTOCOL, **NORMALISED},
                    meaning="The share of compression-normalised faces, as many real as synthetic, that the classifier "
                    "gets right.",
                ),
                compared.measurement(
                    "detection_auc_raw",
                    raw.auc,
                    label="Distinguished by the files as they are (AUC)",
                    null=raw_null.auc,
                    p_value=raw.p_value,
                    verdict="info",
                    protocol=PROTOCOL,
                    meaning="The same of the files as they are: what it has more than the normalised one may come from "
                    "format, size or compression rather than from faces.",
                ),
                Measurement(
                    evaluator=self.name,
                    name="detection_auc_network",
                    label="Distinguished by a network (AUC)",
                    value=network_auc.value,
                    low=network_auc.low,
                    high=network_auc.high,
                    p_value=network_p_value,
                    direction="lower",
                    meaning="The same by a small network trained on the compression-normalised pixels.",
                    n_real=len(match),
                    n_fake=len(match),
                    protocol={
                        **PROTOCOL,
                        **NORMALISED,
                        "classifier": "small convolutional network",
                        "network_images": NETWORK_IMAGES,
                        "size": reference.size,
                        "seed": context.seed,
                    },
                ),
                _fine_detail(compared, reference, synthetic, other),
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
            reason = "where the network looks: it distinguishes synthetic faces from real ones no better than chance."
            findings.skipped.append(self.skip(reason))
        return findings

    @classmethod
    def suggestions(cls, measurements: Sequence[Measurement]) -> list[Suggestion]:
        """What too much or too little fine detail comes from."""
        found = [one for one in measurements if one.name == "fine_detail" and one.verdict in ("warn", "fail")]
        return [
            Suggestion(
                Urgency.WEAK - 1 if one.verdict == "fail" else Urgency.FINE,
                "Train longer: the faces have a pattern or noise at the finest detail"
                if one.value > 0
                else "Train longer: the faces are blurred",
                f"They have {10**one.value:.2g} times the power of real faces at the highest frequencies.",
                [one],
                train_longer=True,
            )
            for one in found
            if one.value is not None
        ]

    def _too_few(self, reason: str) -> Findings:
        return Findings(skipped=[self.skip(reason)])


def _people(faces: FaceDataset, first: int = 0) -> Integers:
    """(N,) the person on each face; where that is not known, copies of a picture share a number, from `first` on."""
    return near_duplicates(faces) + first if faces.identity is None else faces.identity


def _features(compared: Compared, images: Pixels) -> Features:
    return features_of(
        FaceDataset.from_arrays(images, spec="compression-normalised"), compared.context.space(compared.space)
    )


def _test(context: Context, real: Features, fake: Features, real_people: People, fake_people: People) -> TwoSampleTest:
    """The test on the one split of these people that belongs to the seed."""
    random = random_generator(context.seed, "real against made")
    return two_sample_test(real, fake, real_people=real_people, fake_people=fake_people, random=random)


def _network(context: Context, real: Pixels, fake: Pixels, test: TwoSampleTest) -> AttributeClassifier:
    """A small network that learns on the learning half of a test; its threshold is not used."""
    both = FaceDataset.from_arrays(
        np.concatenate([real, fake]), {"synthetic": [False] * len(real) + [True] * len(fake)}
    )
    tested = np.concatenate([test.real_tested, test.fake_tested])
    seed = derive_seed(context.seed, "real against made")
    return AttributeClassifier.train(both, tested, seed=seed, images=NETWORK_IMAGES)


def _log_odds(network: AttributeClassifier, images: Pixels) -> Floats64:
    """(N,) log-odds of being synthetic."""
    return network.log_odds(FaceDataset.from_arrays(images, content_hash="").images)[:, 0].astype(np.float64)


def _most_and_least_convincing(synthetic: FaceDataset, test: TwoSampleTest) -> list[Artifact]:
    """Each synthetic face is scored by a classifier that did not learn on it."""
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
            title="The most and the least convincing synthetic faces",
            caption="Synthetic faces that the classifier takes for real most readily (top) and least readily (bottom), "
            "each judged by one that had not seen it.",
            section=RealVsFake.name,
            row_labels=list(rows),
        ),
        table(
            pd.concat(names),
            name="convincing-names",
            title="The most and the least convincing synthetic faces, by name",
            caption="Log-odds of being synthetic, at even prior odds; below 0 the classifier takes the face for real.",
            section=RealVsFake.name,
        ),
    ]


def _fine_detail(compared: Compared, reference: FaceDataset, synthetic: FaceDataset, other: FaceDataset) -> Measurement:
    """How much more, or less, fine detail synthetic faces have than real ones, in decades of power."""
    real, fake, others = (fine_detail(np.asarray(side.images)) for side in (reference, synthetic, other))
    scatter = real.var() / len(real)

    def beyond(side: Floats64) -> Interval:
        return normal_interval(float(side.mean() - real.mean()), float(np.sqrt(side.var() / len(side) + scatter)))

    number, null = beyond(fake), beyond(others)
    return compared.measurement(
        "fine_detail",
        number,
        label="Fine detail, beyond that of real faces",
        null=null,
        verdict=severity(number, null, useless=1.0 if number.value > null.value else -1.0),
        direction="target",
        protocol={"power": f"from {FINE:g} of the highest frequency on, grey", "unit": "decimal logarithm"},
        meaning="Power at the highest frequencies over that of real faces, as a decimal logarithm: 0 is right; below "
        "it synthetic faces are blurred, above it they have noise or a regular pattern.",
    )


def _roc(chances: Floats64, curves: dict[str, Floats64]) -> Artifact:
    return series(
        chances,
        curves,
        name="roc",
        title="How many synthetic faces are found, and at what price",
        caption="Share of synthetic faces that are found over the share of real faces that are taken for synthetic "
        "ones, of people whom the classifiers had not seen. The diagonal is guessing, where other real faces should "
        "lie.",
        section=RealVsFake.name,
        x_label="share of real faces taken for synthetic",
        y_label="share of synthetic faces found",
    )


def _spectra(reference: FaceDataset, synthetic: FaceDataset, other: FaceDataset) -> Artifact:
    sides = {"held-out real": reference, "synthetic": synthetic, "other real": other}
    spectra = {label: radial_spectrum(np.asarray(side.images)) for label, side in sides.items()}
    return series(
        spectra["synthetic"][0],
        {label: power for label, (_, power) in spectra.items()},
        name="spectrum",
        title="How much fine detail there is",
        caption="Power of the grey pictures by frequency, averaged over all directions, before any normalisation. "
        "Generators often have too much or too little at the highest frequencies (Durall et al. 2020).",
        section=RealVsFake.name,
        x_label="cycles per image",
        y_label="log10 of mean power",
    )


def _where_it_looks(
    synthetic: FaceDataset, pixels: Pixels, network: AttributeClassifier, test: TwoSampleTest
) -> Artifact:
    """Synthetic faces of the tested half that the network is sure of, and what it loses where a part is hidden."""
    tested = np.flatnonzero(test.fake_tested)
    shown = tested[most_of(_log_odds(network, pixels[tested]), SHOWN)]
    faces, maps = synthetic.images[shown], occlusion_maps(network, pixels[shown])
    return image_grid(
        [faces, np.stack([_overlaid(face, heat) for face, heat in zip(faces, maps, strict=True)])],
        name="where",
        title="Where the network looks",
        caption="Synthetic faces of which the small network is surest, and below each the same face in grey with a map "
        "laid over it: the brighter yellow, the more of its certainty goes when the details of that place are hidden.",
        section=RealVsFake.name,
        row_labels=["synthetic", "what gives it away"],
    )


def occlusion_maps(network: AttributeClassifier, images: Pixels) -> Floats64:
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


def _overlaid(face: Pixels, heat: Floats64) -> Pixels:
    """A face in grey under its map, in colours for the colour-blind too; blue where nothing is lost."""
    share = (heat / max(heat.max(), 1e-6)).clip(0, 1)
    colours = (255 * mpl.colormaps["cividis"](share)[..., :3]).astype(np.uint8)
    layer = Image.fromarray(colours).resize(face.shape[1::-1], Image.Resampling.BICUBIC)
    return np.asarray(Image.blend(Image.fromarray(face).convert("L").convert("RGB"), layer, 0.5))

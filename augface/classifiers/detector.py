"""A saved detector: classifies pictures as real or synthetic, says how sure it is, and what is unlike all it knows."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy import special

from augface.arrays import Booleans, Floats64, Pixels
from augface.errors import DataError
from augface.features import FEATURE_SPACES, create_feature_space
from augface.features.base import Features, FeatureSpace
from augface.files import atomic_path
from augface.metrics.classification import Logistic, platt_scaled
from augface.metrics.intervals import Interval
from augface.processes import spread
from augface.version import __version__

LARGEST = 128
"""Pixels of a side, to which larger pictures are brought."""
SHRUNK_TO = 0.75
QUALITY = 75
COMPRESSION: Mapping[str, str | int | float] = {
    "largest_side": LARGEST,
    "steps": "JPEG, shrink, JPEG",
    "shrunk_to": SHRUNK_TO,
    "resize": "lanczos",
    "jpeg_quality": QUALITY,
    "jpeg_subsampling": "4:2:0",
}
"""What is done to all pictures before they are compared, so that what files went through cannot distinguish them.

The first JPEG changes files of this quality hardly any more, and the others as much as those were changed before; the
second, on another grid, covers much of what other qualities leave.
"""

VARIATIONS: tuple[tuple[int, int], ...] = (
    (64, 40), (64, 60), (64, 80), (64, 95), (128, 40), (128, 95), (256, 40), (256, 95),
)  # fmt: skip
"""Sides in pixels and JPEG qualities that a picture may come by: an answer that depends on them is unsure."""

TASK = 128
"""Pictures that a process looks at at a time."""
AXES = 64
"""Directions in which the features of known pictures are described one by one."""
OUT_OF_DISTRIBUTION_SHARE = 0.01
"""Share of the held-out real and synthetic faces that count as out of distribution."""
SUPPORT = 3
"""Faces without an error that it takes to say that errors are rarer than one in as many (95 %, the rule of three)."""

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
MAX_CONFIG_BYTES = 100_000
MAX_WEIGHTS_BYTES = 100_000_000

Text = Annotated[str, Field(max_length=2_000)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


def compression_normalised(images: Pixels) -> Pixels:
    """Pictures with the traces of their files' compression covered, by `COMPRESSION`.

    Args:
        images: uint8 (N, H, H, 3).

    Returns:
        uint8 (N, S, S, 3), where S is three quarters of H, or of `LARGEST` where H is larger.
    """
    before = min(images.shape[1], LARGEST)
    side = round(SHRUNK_TO * before)
    rows = np.empty((len(images), side, side, 3), dtype=np.uint8)
    for row, image in zip(rows, images, strict=True):
        row[:] = _through_jpeg(_through_jpeg(Image.fromarray(image), before), side)
    return rows


def varied(images: Pixels, side: int, quality: int) -> Pixels:
    """Pictures as they are after they were brought to another size, saved as JPEG and brought back.

    Args:
        images: uint8 (N, H, H, 3).
        side: pixels.
        quality: of the JPEG, 1 to 95.

    Returns:
        uint8 (N, H, H, 3).
    """
    rows = np.empty_like(images)
    for row, image in zip(rows, images, strict=True):
        row[:] = _of_side(_through_jpeg(Image.fromarray(image), side, quality), len(image))
    return rows


def _through_jpeg(image: Image.Image, side: int, quality: int = QUALITY) -> Image.Image:
    file = io.BytesIO()
    _of_side(image, side).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return Image.open(file)


def _of_side(image: Image.Image, side: int) -> Image.Image:
    return image if image.width == side else image.resize((side, side), Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class DensityModel:
    """The density of features of known pictures: two normal clouds of one shape, of real and of synthetic faces.

    All features are brought to one length first. The shape has a variance of its own along each axis and one for all
    other directions (Tipping & Bishop 1999).

    Attributes:
        centres: (2, D) means of real and of synthetic faces.
        axes: (k, D) orthonormal directions.
        variances: (k,) variances along the axes.
        rest: the variance along each other direction.
    """

    centres: Features
    axes: Features
    variances: Features
    rest: float

    @classmethod
    def fit(cls, real: Features, fake: Features) -> DensityModel:
        """The model of (m, D) and (n, D) features."""
        real, fake = _of_one_length(real), _of_one_length(fake)
        centres = np.stack([real.mean(axis=0), fake.mean(axis=0)])
        within = np.concatenate([real - centres[0], fake - centres[1]])
        values, vectors = np.linalg.eigh(within.T @ within / len(within))
        values, kept = np.maximum(values, 1e-6), min(AXES, len(values) - 1)
        return cls(centres, vectors[:, -kept:].T, values[-kept:], float(values[:-kept].mean()))

    def distances(self, features: Features) -> Floats64:
        """(N,) squared Mahalanobis distance of (N, D) features to the nearer cloud."""
        scaled, nearest = _of_one_length(features), np.full(len(features), np.inf)
        for centre in self.centres:
            offsets = scaled - centre
            along = np.square(offsets @ self.axes.T)
            beside = np.maximum(np.square(offsets).sum(axis=1) - along.sum(axis=1), 0)
            nearest = np.minimum(nearest, (along / self.variances).sum(axis=1) + beside / self.rest)
        return nearest


def _of_one_length(features: Features) -> Features:
    """Features of mean square 1: their length is about contrast rather than content."""
    lengths = np.sqrt(np.square(features).mean(axis=1, keepdims=True))
    return np.asarray(features / lengths.clip(min=1e-6), dtype=np.float32)


class DetectorConfig(BaseModel):
    """What a detector is and was trained against: the content of its `config.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    format: Literal["augface detector 1"] = "augface detector 1"
    size: Annotated[int, Field(ge=8, le=1024)]
    """Height and width in pixels that pictures are brought to."""
    space: Text
    protocol: dict[str, str | int | float]
    """The protocol of the feature space."""
    compression: dict[str, str | int | float] = Field(alias="washing")
    """How pictures are compression-normalised."""
    synthetic: Text
    """Whose faces it distinguishes from those of `real`."""
    real: Text
    faces: Count
    """How many there were of each side; it was trained on one half and tested on the other."""
    people: Count
    """Separate people, or pictures where they are not known, on the smaller side of the tested half."""
    auc: tuple[Share, Share, Share]
    """The area under the ROC curve on people it has not seen, with its 95 % interval."""
    unseen: dict[Text, tuple[Share, Share, Share]] = Field(default_factory=dict, max_length=100)
    """Where it was trained on several generators: of each the AUC of a detector that was trained on the others only."""
    calibration_error: Share | None = None
    """The expected calibration error on people it has not seen, where that was measured."""
    limit: Annotated[FiniteFloat, Field(ge=0, le=50)]
    """Logarithm of the largest likelihood ratio that so many tested faces can support."""
    largest_distance: Annotated[FiniteFloat, Field(ge=0, alias="unlike")]
    """The squared distance beyond which a picture is out of distribution."""
    created: Text
    augface: Text
    weights_sha256: Text = ""


@dataclass(frozen=True)
class Predictions:
    """What a detector says of N pictures.

    Attributes:
        log_ratio: (N,) logarithm of how much likelier such a picture is among synthetic faces than among real ones.
        out_of_distribution: (N,) whether it is unlike both, so that `log_ratio` means nothing.
        unsure: (N,) whether `log_ratio` would be on the other side of 0 had the picture come in another size or JPEG
            quality (`VARIATIONS`).
    """

    log_ratio: Floats64
    out_of_distribution: Booleans
    unsure: Booleans

    def probabilities(self, prior: float) -> Floats64:
        """(N,) probability of being synthetic where `prior` (0 to 1, exclusive) of such pictures are; NaN where out of
        distribution."""
        return np.where(self.out_of_distribution, np.nan, special.expit(self.log_ratio + special.logit(prior)))


@dataclass(frozen=True)
class Detector:
    """A classifier with calibrated scores that has seen the faces of generators, and none of their insides."""

    config: DetectorConfig
    model: Logistic
    density: DensityModel

    @classmethod
    def calibrated(
        cls,
        model: Logistic,
        learnt: tuple[Features, Features],
        held_out: tuple[Features, Features],
        *,
        auc: Interval,
        people: int,
        space: FeatureSpace,
        size: int,
        real_spec: str,
        synthetic_spec: str,
        unseen: Mapping[str, Interval] | None = None,
        calibration_error: float | None = None,
    ) -> Detector:
        """A classifier that learnt on some people, calibrated on others.

        Args:
            model: the classifier.
            learnt: features of the real and of the synthetic faces that it learnt from, in `space`, of
                compression-normalised pictures.
            held_out: the same of other people.
            auc: on people that it has not seen.
            people: separate people on the smaller side of those that `auc` is of.
            space: the feature space.
            size: height and width of the pictures before they are normalised.
            real_spec, synthetic_spec: where they come from, for people to read.
            unseen: of each generator the AUC of a detector that was trained without it.
            calibration_error: on people that it has not seen.
        """
        density = DensityModel.fit(*learnt)
        config = DetectorConfig(
            size=size,
            space=space.name,
            protocol=space.protocol,
            washing=dict(COMPRESSION),
            synthetic=synthetic_spec,
            real=real_spec,
            faces=min(len(side) + len(other) for side, other in zip(learnt, held_out, strict=True)),
            people=people,
            auc=(auc.value, auc.low, auc.high),
            unseen={name: (one.value, one.low, one.high) for name, one in (unseen or {}).items()},
            calibration_error=calibration_error,
            limit=float(np.log(max(people / SUPPORT, 1))),
            largest_distance=float(
                np.quantile(density.distances(np.concatenate(held_out)), 1 - OUT_OF_DISTRIBUTION_SHARE)
            ),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            augface=__version__,
        )
        return cls(config, platt_scaled(model, *held_out), density)

    def predict(self, images: Pixels, space: FeatureSpace) -> Predictions:
        """Classify pictures, uint8 (N, size, size, 3), by the features of `space()`."""
        features = self._features(images, space)
        scores, unlike = self.scores(features), self.density.distances(features) > self.config.largest_distance
        flips = np.zeros(len(images), dtype=np.bool_)
        known = np.flatnonzero(~unlike)
        for side, quality in VARIATIONS if len(known) else ():
            other = self.scores(self._features(varied(images[known], side, quality), space))
            flips[known] |= (other > 0) != (scores[known] > 0)
        return Predictions(scores, unlike, flips)

    def scores(self, features: Features) -> Floats64:
        """(N,) logarithms of likelihood ratios of (N, D) features, no larger than the tested faces can support."""
        return np.clip(self.model.scores(features), -self.config.limit, self.config.limit)

    def _features(self, images: Pixels, space: FeatureSpace) -> Features:
        """Those of compression-normalised pictures, by all processes of the job."""
        parts = [images[start : start + TASK] for start in range(0, max(1, len(images)), TASK)]
        return np.concatenate(list(spread(partial(_seen, space), parts)))

    def space(self) -> FeatureSpace:
        """The feature space it sees by.

        Raises:
            DataError: this augface has another version of it, or none.
        """
        if self.config.space in FEATURE_SPACES:
            space = create_feature_space(self.config.space)
            here = space.protocol, space.dimension, COMPRESSION
            if here == (self.config.protocol, len(self.model.weights), self.config.compression):
                return space
        raise DataError(
            f"The detector was trained by augface {self.config.augface}, which saw pictures through another version of "
            f"the {self.config.space} features than this one. Use that augface, or train a detector anew."
        )

    def save(self, directory: Path) -> None:
        """Write `config.json` and `weights.safetensors` to a folder, whole or not at all."""
        arrays = {
            "weights": self.model.weights,
            "bias": np.array(self.model.bias),
            "centres": self.density.centres,
            "axes": self.density.axes,
            "variances": self.density.variances,
            "rest": np.array(self.density.rest),
        }
        content = save({name: np.array(array, dtype=np.float32, order="C") for name, array in arrays.items()})
        config = self.config.model_copy(update={"weights_sha256": hashlib.sha256(content).hexdigest()})
        with atomic_path(directory) as temporary:
            temporary.mkdir()
            (temporary / WEIGHTS).write_bytes(content)
            (temporary / CONFIG).write_text(config.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Detector:
        """The detector in a folder, or in the folder `detector` of a run.

        Raises:
            DataError: there is none, or its files are damaged, too large or do not belong together.
        """
        inner = directory / "detector"
        folder = inner if inner.is_dir() else directory
        try:
            config = DetectorConfig.model_validate_json(_content(folder / CONFIG, MAX_CONFIG_BYTES))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole file"
            raise DataError(f"{folder / CONFIG} is not that of a detector: {where}: {first['msg']}.") from error
        content = _content(folder / WEIGHTS, MAX_WEIGHTS_BYTES)
        if hashlib.sha256(content).hexdigest() != config.weights_sha256:
            raise DataError(f"{folder / WEIGHTS} does not belong to {folder / CONFIG}: it was changed or cut short.")
        try:
            arrays: dict[str, npt.NDArray[Any]] = load(content)
            weights, axes, centres = arrays["weights"], arrays["axes"], arrays["centres"]
            dimension, kept = len(weights), len(axes)
            shapes: dict[str, tuple[int, ...]] = {
                "weights": (dimension,),
                "bias": (),
                "centres": (2, dimension),
                "axes": (kept, dimension),
                "variances": (kept,),
                "rest": (),
            }
            for name, shape in shapes.items():
                if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                    raise ValueError(f"{name} has another shape or is not finite")
            if not (arrays["variances"] > 0).all() or not arrays["rest"] > 0:
                raise ValueError("a variance is not above 0")
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise DataError(f"{folder / WEIGHTS} does not hold a detector: {error}.") from error
        density = DensityModel(centres, axes, arrays["variances"], float(arrays["rest"]))
        return cls(config, Logistic(weights.astype(np.float64), float(arrays["bias"])), density)


def _seen(space: FeatureSpace, images: Pixels) -> Features:
    return space.extract(compression_normalised(images))


def _content(path: Path, limit: int) -> bytes:
    """The bytes of a file that may have at most `limit`."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise DataError(
            f"{path.parent} holds no detector: {path.name} cannot be read ({error.strerror}). "
            "`augface evaluate … --out DIR` leaves one in DIR/detector."
        ) from error
    if len(content) > limit:
        raise DataError(f"{path} is longer than {limit:,} bytes, which no detector's is.")
    return content

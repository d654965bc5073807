"""Single measures in one line each. The numbers are those of `evaluate`, from the same functions.

Both sides are what `evaluate` takes: folders or zips, data sets, arrays, tensors, lists of PIL images, the folder of a
run or a generator.

Two kinds of numbers are told apart. `fid`, `kid`, `fd_dinov2` and `cmmd` are of all images on both sides, as other
tools give them, and have no baseline. `frechet_distance`, `kernel_distance` and `precision_recall` stand beside the
same number of real faces against other real faces, at the same n: without `train`, half of the real faces are those
others, so that they are measured at half the number of real faces.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from augface.errors import DataError
from augface.evaluation.evaluate import open_sides, side_warnings
from augface.evaluation.inputs import Faces, held_out
from augface.evaluators import fidelity, prdc
from augface.evaluators._compared import Compared
from augface.evaluators.base import Context, Evaluator
from augface.evaluators.fidelity import Fidelity
from augface.evaluators.prdc import Prdc
from augface.features import DEFAULT_SPACE, create_feature_space
from augface.features.inception import InceptionSpace
from augface.features.timm_spaces import DinoSpace, LargeClipSpace
from augface.metrics.frechet import warn_of_few_rows
from augface.metrics.kernel import distance_of_halves
from augface.results import Measurement
from augface.results.score import Score

log = logging.getLogger("augface")


class PrecisionRecall(NamedTuple):
    """What `precision_recall` gives."""

    precision: Score
    recall: Score


def fid(real: Faces, synthetic: Faces, *, size: int | None = None) -> Score:
    """The Fréchet Inception distance (Heusel et al. 2017) of all images, with clean-fid's resizing and Inception.

    Args:
        real: the real images; see `evaluate`. Where they have splits, those held out from training.
        synthetic: the synthetic images.
        size: pixels that both sides are brought to first. Where it is not given, plain folders are looked at in their
            own size.

    Returns:
        A float, 0 or more, with its interval. It is biased upwards by an amount that falls with the number of images:
        below 4,096 a side a `TooFewRowsWarning` says that nothing can be concluded from it.

    Raises:
        AugfaceError: a side cannot be read, holds fewer than 3 images, or Inception's weights are not here and cannot
            be downloaded.

    Example::

        score = augface.fid("real", "synthetic")
        print(score, score.low, score.n_real)
    """
    return _published(fidelity.fid, real, synthetic, InceptionSpace.name, size)


def kid(real: Faces, synthetic: Faces, *, size: int | None = None) -> Score:
    """The kernel Inception distance (Bińkowski et al. 2018) of all images, from all pairs; unbiased at any number.

    Args:
        real, synthetic, size: as in `fid`.

    Returns:
        A float with its interval, about 0 for two samples of one population, where it may be negative. Not multiplied
        by anything.

    Raises:
        AugfaceError: as `fid`.

    Example::

        score = augface.kid("real", "synthetic")
        print(score, score.low, score.n_real)
    """
    return _published(fidelity.kid, real, synthetic, InceptionSpace.name, size)


def fd_dinov2(real: Faces, synthetic: Faces, *, size: int | None = None) -> Score:
    """The Fréchet distance of all images in the space of DINOv2 ViT-L/14 (Stein et al. 2023, arXiv:2306.04675).

    Args:
        real, synthetic, size: as in `fid`.

    Returns:
        A float, 0 or more, with its interval; biased as `fid` is, with a warning below 2,048 images a side.

    Raises:
        AugfaceError: as `fid`, of DINOv2's weights.

    Example::

        score = augface.fd_dinov2("real", "synthetic")
        print(score, score.low, score.n_real)
    """
    return _published(fidelity.fd_dinov2, real, synthetic, DinoSpace.name, size)


def cmmd(real: Faces, synthetic: Faces, *, size: int | None = None) -> Score:
    """CMMD of all images: maximum mean discrepancy in CLIP's space, Gaussian kernel (Jayasumana et al. 2024).

    Args:
        real, synthetic, size: as in `fid`.

    Returns:
        A float, 0 or more, times 1,000, as the authors' code (arXiv:2401.09603) gives it, with its interval.

    Raises:
        AugfaceError: as `fid`, of the weights of CLIP ViT-L/14 at 336 pixels.

    Example::

        score = augface.cmmd("real", "synthetic")
        print(score, score.low, score.n_real)
    """
    return _published(fidelity.cmmd, real, synthetic, LargeClipSpace.name, size)


def frechet_distance(
    real: Faces,
    synthetic: Faces,
    *,
    space: str = DEFAULT_SPACE,
    train: Faces | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Score:
    """The Fréchet distance of the synthetic faces from held-out real ones in any feature space.

    Args:
        real: the real faces; see `evaluate`.
        synthetic: the synthetic faces.
        space: the feature space; `augface list features` names them.
        train: the faces that the generator learnt from, where `real` does not hold them; they are the baseline.
        size: as in `fid`.
        seed: of the faces that are drawn, so that all sides have as many.

    Returns:
        A float, 0 or more, with its interval and its `baseline`: the distance of other real faces at the same n. With
        fewer faces than twice the dimension of the space a `TooFewRowsWarning` says that it is mostly bias.

    Raises:
        AugfaceError: a side cannot be read or is too small, no such space, or its weights are missing.

    Example::

        distance = augface.frechet_distance("real", "synthetic", space="clip")
        print(distance, distance.baseline.value, distance.verdict)
    """
    compared = _compared(Fidelity, real, synthetic, space, train, size, seed, at_least=fidelity.MINIMUM)
    warn_of_few_rows(len(compared), compared.dimension, stacklevel=3)
    return Score(fidelity.frechet_distance(compared)[0])


def kernel_distance(
    real: Faces,
    synthetic: Faces,
    *,
    space: str = DEFAULT_SPACE,
    train: Faces | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Score:
    """The kernel distance of the synthetic faces from held-out real ones in any feature space, unbiased at any number.

    Args:
        real, synthetic, space, train, size, seed: as in `frechet_distance`.

    Returns:
        A float with its interval, its `baseline`, its `verdict`, and the `p_value` of the hypothesis that real and
        synthetic faces come from one population.

    Raises:
        AugfaceError: as `frechet_distance`.

    Example::

        distance = augface.kernel_distance("real", "synthetic")
        print(f"{distance:.4f}", distance < 0.05, distance.p_value)
    """
    compared = _compared(Fidelity, real, synthetic, space, train, size, seed, at_least=fidelity.MINIMUM)
    return Score(fidelity.kernel_distance(compared, distance_of_halves(compared.reference), test=True)[0])


def precision_recall(
    real: Faces,
    synthetic: Faces,
    *,
    space: str = DEFAULT_SPACE,
    train: Faces | None = None,
    size: int | None = None,
    seed: int = 0,
) -> PrecisionRecall:
    """How many synthetic faces look real, and how much of real variety they have (Kynkäänniemi et al. 2019).

    Args:
        real, synthetic, space, train, size, seed: as in `frechet_distance`.

    Returns:
        `precision` and `recall`, floats from 0 to 1, each with its interval and its `baseline`.

    Raises:
        AugfaceError: as `frechet_distance`.

    Example::

        precision, recall = augface.precision_recall("real", "synthetic")
        print(precision, recall, recall.baseline.value)
    """
    compared = _compared(Prdc, real, synthetic, space, train, size, seed, at_least=prdc.MINIMUM)
    found = {one.name: Score(one) for one in prdc.precision_recall_density_coverage(compared)}
    return PrecisionRecall(found["precision"], found["recall"])


MEASURES: Mapping[str, Callable[..., Score | PrecisionRecall]] = {
    measure.__name__: measure
    for measure in (fid, kid, fd_dinov2, cmmd, frechet_distance, kernel_distance, precision_recall)
}
"""By name, for the command line."""


def _published(
    measure: Callable[[Compared], Measurement], real: Faces, synthetic: Faces, space: str, size: int | None
) -> Score:
    """A number of all images."""
    compared = _compared(Fidelity, real, synthetic, space, None, size, 0, at_least=0)
    if measure in (fidelity.fid, fidelity.fd_dinov2):
        fewest = min(len(compared.context.reference), len(compared.context.samples))
        warn_of_few_rows(fewest, compared.dimension, stacklevel=4)
    return Score(measure(compared))


def _compared(
    evaluator: type[Evaluator],
    real: Faces,
    synthetic: Faces,
    space: str,
    train: Faces | None,
    size: int | None,
    seed: int,
    *,
    at_least: int,
) -> Compared:
    """The sides of a measure in a space, with at least so many faces on each."""
    create_feature_space(space)  # fails now where there is none of this name, or its weights are missing
    opened = open_sides(real, synthetic, train, size=size, seed=seed)
    context = Context(
        reference=held_out(opened.real),
        samples=opened.synthetic,
        train=opened.real.train if opened.train is None else opened.train,
        spaces=(space,),
        seed=seed,
    )
    for warning in side_warnings(context):
        log.warning(warning)
    compared = Compared(evaluator.name, context, space, context.sides.match())
    if len(compared) < at_least:
        halves = " (half of the real faces are the baseline)" if context.train is None else ""
        raise DataError(f"{len(compared)} faces on each side are too few; at least {at_least} are needed{halves}.")
    return compared

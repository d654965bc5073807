"""Measures of likeness as pure functions of arrays. They know nothing of images, models or files."""

from augface.metrics.frechet import (
    TooFewRowsWarning,
    corrected_frechet,
    frechet_distance,
    frechet_distance_of_moments,
    frechet_estimate,
)
from augface.metrics.inception_score import inception_score
from augface.metrics.intervals import (
    Interval,
    clustered_variance,
    normal_interval,
    proportion_interval,
    squared_interval,
)
from augface.metrics.kernel import kernel_distance, kernel_distance_of_subsets, kernel_estimate, kernel_test
from augface.metrics.manifolds import neighbour_scores, prdc, prdc_intervals
from augface.metrics.neighbours import k_nearest
from augface.metrics.thresholds import balanced_threshold

__all__ = [
    "Interval",
    "TooFewRowsWarning",
    "balanced_threshold",
    "clustered_variance",
    "corrected_frechet",
    "frechet_distance",
    "frechet_distance_of_moments",
    "frechet_estimate",
    "inception_score",
    "k_nearest",
    "kernel_distance",
    "kernel_distance_of_subsets",
    "kernel_estimate",
    "kernel_test",
    "neighbour_scores",
    "normal_interval",
    "prdc",
    "prdc_intervals",
    "proportion_interval",
    "squared_interval",
]

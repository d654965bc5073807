"""Measures of likeness as pure functions of arrays. They know nothing of images, models or files."""

from augface.metrics.frechet import frechet_distance
from augface.metrics.intervals import Interval, jackknife_interval, proportion_interval
from augface.metrics.kernel import KernelDistance, kernel_distance, kernel_test
from augface.metrics.neighbours import k_nearest, prdc
from augface.metrics.thresholds import balanced_threshold

__all__ = [
    "Interval",
    "KernelDistance",
    "balanced_threshold",
    "frechet_distance",
    "jackknife_interval",
    "k_nearest",
    "kernel_distance",
    "kernel_test",
    "prdc",
    "proportion_interval",
]

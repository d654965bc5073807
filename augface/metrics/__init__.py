"""Measures of likeness as pure functions of arrays. They know nothing of images, models or files."""

from augface.metrics.bin_shares import share_test
from augface.metrics.classification import accuracy_interval, auc_interval, two_sample_test
from augface.metrics.duplicates import duplicate_test
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
from augface.metrics.multiple_testing import holm, weighted_bonferroni
from augface.metrics.neighbours import k_nearest
from augface.metrics.prevalence import adherence_test, classification_scores, leakage_test
from augface.metrics.thresholds import balanced_threshold
from augface.metrics.verification import Leakage, identity_leakage, same_person_auc

__all__ = [
    "Interval",
    "Leakage",
    "TooFewRowsWarning",
    "accuracy_interval",
    "adherence_test",
    "auc_interval",
    "balanced_threshold",
    "classification_scores",
    "clustered_variance",
    "corrected_frechet",
    "duplicate_test",
    "frechet_distance",
    "frechet_distance_of_moments",
    "frechet_estimate",
    "holm",
    "identity_leakage",
    "inception_score",
    "k_nearest",
    "kernel_distance",
    "kernel_distance_of_subsets",
    "kernel_estimate",
    "kernel_test",
    "leakage_test",
    "neighbour_scores",
    "normal_interval",
    "prdc",
    "prdc_intervals",
    "proportion_interval",
    "same_person_auc",
    "share_test",
    "squared_interval",
    "two_sample_test",
    "weighted_bonferroni",
]

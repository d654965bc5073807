"""Measures of likeness as pure functions of arrays. They know nothing of images, models or files."""

from augface.metrics.agreement import krippendorff_alpha
from augface.metrics.bin_shares import share_test
from augface.metrics.bounded import bounded_precision_coverage
from augface.metrics.calibration import balanced_calibration_error
from augface.metrics.classification import accuracy_interval, auc_drop, auc_interval, two_sample_test
from augface.metrics.crossed import (
    CrossedEstimate,
    crossed_difference,
    crossed_estimate,
    crossed_mean,
    pigeonhole_bootstrap,
)
from augface.metrics.duplicates import duplicate_test
from augface.metrics.equivalence import equivalence_p_value
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
from augface.metrics.kernel import (
    cmmd_estimate,
    kernel_distance,
    kernel_distance_of_subsets,
    kernel_estimate,
    kernel_test,
)
from augface.metrics.kernel_entropy import default_bandwidth, fourier_mode_count, mode_count
from augface.metrics.manifolds import neighbour_scores, prdc, prdc_intervals
from augface.metrics.membership import face_scores, found_at, membership_test, person_scores
from augface.metrics.mind import monge_inception_distance
from augface.metrics.multiple_testing import holm, weighted_bonferroni
from augface.metrics.neighbours import k_nearest
from augface.metrics.overrepresented import overrepresented_mode
from augface.metrics.paired_comparisons import davidson
from augface.metrics.prevalence import adherence_test, classification_scores, leakage_test
from augface.metrics.psychometric import threshold
from augface.metrics.signal_detection import detection
from augface.metrics.thresholds import balanced_threshold
from augface.metrics.variety import novelty, vendi_score
from augface.metrics.verification import Leakage, identity_leakage, same_person_auc

__all__ = [
    "CrossedEstimate",
    "Interval",
    "Leakage",
    "TooFewRowsWarning",
    "accuracy_interval",
    "adherence_test",
    "auc_drop",
    "auc_interval",
    "balanced_calibration_error",
    "balanced_threshold",
    "bounded_precision_coverage",
    "classification_scores",
    "clustered_variance",
    "cmmd_estimate",
    "corrected_frechet",
    "crossed_difference",
    "crossed_estimate",
    "crossed_mean",
    "davidson",
    "default_bandwidth",
    "detection",
    "duplicate_test",
    "equivalence_p_value",
    "face_scores",
    "found_at",
    "fourier_mode_count",
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
    "krippendorff_alpha",
    "leakage_test",
    "membership_test",
    "mode_count",
    "monge_inception_distance",
    "neighbour_scores",
    "normal_interval",
    "novelty",
    "overrepresented_mode",
    "person_scores",
    "pigeonhole_bootstrap",
    "prdc",
    "prdc_intervals",
    "proportion_interval",
    "same_person_auc",
    "share_test",
    "squared_interval",
    "threshold",
    "two_sample_test",
    "vendi_score",
    "weighted_bonferroni",
]

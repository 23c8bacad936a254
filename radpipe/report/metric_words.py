"""What metrics are called, which way is better, and how a value of one is written."""

from __future__ import annotations

from radpipe.evaluation.fold_metrics import FOLD_METRICS, HIGHER_IS_BETTER

METRIC_NAMES = {
    "auc": "AUC", "average_precision": "average precision", "brier": "Brier score", "macro_auc": "AUC over the classes",
    "log_loss": "log loss", "accuracy": "accuracy", "harrell_c": "concordance", "uno_c": "concordance (Uno)",
    "auc_at_horizon": "AUC at the horizon", "brier_at_horizon": "Brier score at the horizon", "rmse": "root mean squared error",
    "mae": "mean absolute error", "r2": "explained variance", "spearman": "rank correlation", "brier_classes": "Brier score, all classes",
    "calibration_slope": "calibration slope", "calibration_intercept": "calibration intercept", "ece": "calibration error (ECE)",
    "sensitivity": "sensitivity", "specificity": "specificity", "observed_minus_expected_at_horizon": "observed minus expected risk",
}  # fmt: skip
MEANINGS = {
    "auc": "the chance that a patient with the event gets a higher predicted risk than one without; 0.5 is a coin toss, 1 is perfect",
    "macro_auc": "the chance that a patient of a class gets a higher probability of it than one of another class, mean over the classes; "
    "0.5 is a coin toss, 1 is perfect",
    "harrell_c": "the chance that of two patients the one with the higher predicted risk has the event first; 0.5 is a coin toss, 1 is perfect",
    "spearman": "how far the order of the predictions is the order of the outcomes; 0 is no relation, 1 is the same order",
}
CHANCE = {"auc": 0.5, "macro_auc": 0.5, "harrell_c": 0.5, "spearman": 0.0}
"""What the leading metric of each kind of outcome is worth where nothing is foretold."""


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of the metric is the better one: errors and losses. False for a name nobody knows."""
    return metric == "brier_classes" or not HIGHER_IS_BETTER.get(metric, True)


def has_unit(metric: str) -> bool:
    """Whether the metric is in the outcome's own unit, so that nothing bounds it by 1."""
    return metric in FOLD_METRICS and FOLD_METRICS[metric].unit == "outcome"


def most(metric: str) -> float:
    """The largest difference of two values of the metric that there can be."""
    return float("inf") if has_unit(metric) or metric in ("log_loss", "r2") else 2.0 if metric == "spearman" else 1.0

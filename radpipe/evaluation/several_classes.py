"""Metrics of two or more classes. y : (n,) class indices. p : (n, k) probabilities."""

from __future__ import annotations

import numpy as np

from radpipe.evaluation.formulas import auc
from radpipe.typing import FloatArray, IntArray

LEAST = 1e-15
"""A probability of 0 for what happened would cost infinitely much in the log loss; it is taken as this."""


def macro_auc(y: IntArray, p: FloatArray) -> float:
    """Mean over classes of the AUC of one class against the rest; NaN where a class is missing. Two classes: the AUC."""
    return float(np.mean([auc((y == k).astype(np.int64), p[:, k]) for k in range(p.shape[1])]))


def log_loss(y: IntArray, p: FloatArray) -> float:
    """Mean of minus the log of the probability given to what happened, in nats; ln k is knowing nothing of k classes."""
    if not len(y):
        return float("nan")
    return float(-np.mean(np.log(np.maximum(p[np.arange(len(y)), y], LEAST))))


def brier_of_classes(y: IntArray, p: FloatArray) -> float:
    """Mean squared distance of the probabilities to what happened, summed over classes: 0 to 2 (two classes: twice Brier)."""
    return float(np.mean(np.sum((p - np.eye(p.shape[1])[y]) ** 2, axis=1))) if len(y) else float("nan")


def accuracy(y: IntArray, p: FloatArray) -> float:
    """Share for which the class with the highest probability is the right one; the first of equals."""
    return float(np.mean(np.argmax(p, axis=1) == y)) if len(y) else float("nan")

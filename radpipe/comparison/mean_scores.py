"""One score a case, for the tests that hold scores fixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radpipe.comparison.test import PairedFold
from radpipe.evaluation.fold_metrics import Truth
from radpipe.typing import FloatArray, IntArray

CONDITIONAL = "conditional on these scores: it does not count training variance and carries no verdict on the methods"
HELD_OUT = "on a held-out set: it holds for these two fitted models and patients like these"


@dataclass(frozen=True)
class MeanScores:
    """cases, y : (n,). a, b : (n,) or (n, k), the mean over repeats. called : (2, n) whether each side calls class 1, by the mean
    score against the mean of the fits' thresholds."""

    cases: NDArray[np.str_]
    patients: NDArray[np.str_]
    truth: Truth
    a: FloatArray
    b: FloatArray
    called: NDArray[np.bool_]
    repeats: int

    @property
    def y(self) -> IntArray:
        return self.truth.y

    def in_words(self) -> str:
        """Where the scores come from, and what follows from that."""
        return f"on out-of-fold scores averaged over repeats; {CONDITIONAL}" if self.repeats else HELD_OUT


def mean_scores(folds: tuple[PairedFold, ...]) -> MeanScores:
    """Average over the repeats. A single fold that learnt from nobody (n_learnt = 0) is a held-out set."""
    cases = np.unique(np.concatenate([fold.cases for fold in folds]))
    shape = (len(cases), *folds[0].a.shape[1:])
    total, thresholds, count = (np.zeros(shape), np.zeros(shape)), np.zeros((2, len(cases))), np.zeros(len(cases))
    y, time, value = np.zeros(len(cases), np.int64), np.full(len(cases), np.nan), np.full(len(cases), np.nan)
    patients = cases.astype(object)
    for fold in folds:
        at = np.searchsorted(cases, fold.cases)
        total[0][at] += fold.a
        total[1][at] += fold.b
        thresholds[:, at] += np.array([[fold.threshold_a], [fold.threshold_b]])
        count[at] += 1
        y[at] = fold.y
        if fold.time is not None:
            time[at] = fold.time
        if fold.value is not None:
            value[at] = fold.value
        if fold.patients is not None:
            patients[at] = fold.patients
    per_case = count if len(shape) == 1 else count[:, None]
    a, b = total[0] / per_case, total[1] / per_case
    called = np.stack([a, b]) >= thresholds / count if a.ndim == 1 else np.zeros((2, len(cases)), bool)
    truth = Truth(
        y, time if folds[0].time is not None else None, value if folds[0].value is not None else None, folds[0].horizon
    )  # fmt: skip
    held_out = len(folds) == 1 and folds[0].n_learnt == 0
    return MeanScores(
        cases, patients.astype(str), truth, a, b, called, 0 if held_out else len({fold.repeat for fold in folds})
    )  # fmt: skip

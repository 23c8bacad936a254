"""Logistic regression: the reference on clinical columns and on volume, of two classes or more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from radpipe.models.calibrate import Calibration, ClassesCalibration, youden
from radpipe.models.columns import Columns, together
from radpipe.models.config import LogisticParams, logarithms
from radpipe.models.fitted import FittedTable, Line, loader
from radpipe.models.model import Examples, check_parts
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class Logits(Line):
    """coefficients : (p + 1,) of two classes, else (k, p + 1); the intercept last."""

    def raw(self, x: FloatArray) -> FloatArray:
        """(n,) of class 1 for two classes, (n, k) for more."""
        if self.coefficients.ndim == 1:
            return np.asarray(expit(super().raw(x)))
        return np.asarray(softmax(x @ self.coefficients[:, :-1].T + self.coefficients[:, -1], axis=1))


def fit(train: Examples, selection: Examples, params: LogisticParams, *, seed: int) -> FittedTable:
    """Fit on the training and selection part together: nothing here is stopped or chosen, so no patient needs to stand apart.

    The seed changes nothing: the penalised likelihood has one maximum. It is calibrated by itself, so nothing is recalibrated,
    and the selection error is not given, being in-sample. More than two classes are multinomial.
    """
    saw = check_parts(train, selection, many=True)
    everyone = together(train, selection)
    columns = Columns.learn(everyone, logarithm=logarithms(params))
    scaled = columns.apply(everyone)
    model = LogisticRegression(C=params.c, tol=1e-10, max_iter=10_000).fit(scaled, everyone.y)
    two = train.n_classes == 2
    coefficients = np.append(model.coef_[0], model.intercept_[0]) if two else np.column_stack([model.coef_, model.intercept_])
    core = Logits(coefficients)
    p = core.raw(scaled)
    summary = {
        "n_inputs": len(columns.encoder.names),
        "n_parameters": coefficients.size,
        "epochs": 0,
        "train_error": float(log_loss(everyone.y, p, labels=list(range(train.n_classes)))),
        "regularisation": float(0.5 * np.sum(coefficients[..., :-1] ** 2) / (params.c * len(everyone))),
        "selection_error": None,
        "inputs": " ".join(columns.encoder.inputs),
    }
    calibration: Calibration | ClassesCalibration = ClassesCalibration((0.0,) * train.n_classes, 1.0, saw)
    if two:
        calibration = Calibration(threshold=youden(p, everyone.y), saw=saw)
    return FittedTable(params, columns, core, calibration, saw, summary)


load = loader(LogisticParams, Logits.from_state)

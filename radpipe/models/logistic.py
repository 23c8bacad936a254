"""Logistic regression: the reference on clinical columns and on volume, of two classes or more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from radpipe.errors import SchemaError
from radpipe.models.calibrate import Calibration, ClassesCalibration, calibration_from_json, youden
from radpipe.models.columns import Columns, together
from radpipe.models.config import LogisticParams, logarithms
from radpipe.models.model import Examples, check_parts
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedLogistic:
    """See :class:`radpipe.models.model.Fitted`. coefficients : (p + 1,) of two classes, else (k, p + 1); on standardised inputs, the
    intercept last."""

    params: LogisticParams
    columns: Columns
    coefficients: FloatArray
    calibration: Calibration | ClassesCalibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def predict_proba(self, examples: Examples) -> FloatArray:
        return self.calibration.apply(_probabilities(self.columns.apply(examples), self.coefficients))

    def predict_score(self, examples: Examples) -> FloatArray:
        raise SchemaError("classes have no score.", hint="Ask for probabilities.")

    def facts(self) -> dict[str, Any]:
        return {**self.summary, **self.calibration.facts()}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {**self.columns.arrays(), "coefficients": self.coefficients.copy()}
        info = {
            "kind": "logistic",
            "params": self.params.model_dump(mode="json"),
            "encoder": self.columns.encoder.to_json(),
            "calibration": self.calibration.to_json(),
            "saw": sorted(self.saw),
            "facts": self.summary,
        }
        return arrays, info


def fit(train: Examples, selection: Examples, params: LogisticParams, *, seed: int) -> FittedLogistic:
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
    p = _probabilities(scaled, coefficients)
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
    return FittedLogistic(params, columns, coefficients, calibration, saw, summary)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedLogistic:
    """The model whose ``state()`` this is."""
    calibration = calibration_from_json(info["calibration"])
    assert isinstance(calibration, Calibration | ClassesCalibration)
    return FittedLogistic(
        LogisticParams.model_validate(info["params"]),
        Columns.from_state(arrays, info),
        np.array(arrays["coefficients"]),
        calibration,
        frozenset(info["saw"]),
        dict(info["facts"]),
    )


def _probabilities(x: FloatArray, coefficients: FloatArray) -> FloatArray:
    """(n,) of class 1 for two classes, (n, k) for more."""
    if coefficients.ndim == 1:
        return np.asarray(expit(x @ coefficients[:-1] + coefficients[-1]))
    return np.asarray(softmax(x @ coefficients[:, :-1].T + coefficients[:, -1], axis=1))

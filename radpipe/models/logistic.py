"""Logistic regression: the reference on clinical columns and on volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from radpipe.models.calibrate import Calibration, youden
from radpipe.models.config import LogisticParams
from radpipe.models.encode import Encoder, table_of
from radpipe.models.model import Examples, check_parts
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedLogistic:
    """See :class:`radpipe.models.model.Fitted`. coefficients : (p + 1,), on standardised inputs, the intercept last."""

    params: LogisticParams
    encoder: Encoder
    centre: FloatArray
    scale: FloatArray
    coefficients: FloatArray
    calibration: Calibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def predict_proba(self, examples: Examples) -> FloatArray:
        x = (self.encoder.apply(examples) - self.centre) / self.scale
        return self.calibration.apply(expit(x @ self.coefficients[:-1] + self.coefficients[-1]))

    def facts(self) -> dict[str, Any]:
        return {**self.summary, **self.calibration.facts()}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {"centre": self.centre.copy(), "scale": self.scale.copy(), "coefficients": self.coefficients.copy()}
        info = {
            "kind": "logistic",
            "params": self.params.model_dump(mode="json"),
            "encoder": self.encoder.to_json(),
            "calibration": self.calibration.to_json(),
            "saw": sorted(self.saw),
            "facts": self.summary,
        }
        return arrays, info


def fit(train: Examples, selection: Examples, params: LogisticParams, *, seed: int) -> FittedLogistic:
    """Fit on the training and selection part together: nothing here is stopped or chosen, so no patient needs to stand apart.

    The seed changes nothing: the penalised likelihood has one maximum. It is calibrated by itself, so nothing is recalibrated,
    and the selection error is not given, being in-sample.
    """
    saw = check_parts(train, selection)
    everyone = _together(train, selection)
    encoder = Encoder.learn(everyone, logarithm=params.inputs == "volume")
    x = encoder.apply(everyone)
    centre, scale = x.mean(axis=0), x.std(axis=0, ddof=1)
    # A column that only two patients share can lose its spread when gaps are filled.
    scale = np.where(scale > 0, scale, 1.0)
    scaled = (x - centre) / scale
    model = LogisticRegression(C=params.c, tol=1e-10, max_iter=10_000).fit(scaled, everyone.y)
    coefficients = np.append(model.coef_[0], model.intercept_[0])
    p = expit(scaled @ coefficients[:-1] + coefficients[-1])
    summary = {
        "n_inputs": len(encoder.names),
        "n_parameters": len(coefficients),
        "epochs": 0,
        "train_error": float(log_loss(everyone.y, p, labels=[0, 1])),
        "regularisation": float(0.5 * np.sum(coefficients[:-1] ** 2) / (params.c * len(everyone))),
        "selection_error": None,
        "inputs": " ".join(encoder.inputs),
    }
    calibration = Calibration(threshold=youden(p, everyone.y))
    return FittedLogistic(params, encoder, centre, scale, coefficients, calibration, saw, summary)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedLogistic:
    """The model whose ``state()`` this is."""
    return FittedLogistic(
        LogisticParams.model_validate(info["params"]),
        Encoder.from_json(info["encoder"]),
        np.array(arrays["centre"]),
        np.array(arrays["scale"]),
        np.array(arrays["coefficients"]),
        Calibration.from_json(info["calibration"]),
        frozenset(info["saw"]),
        dict(info["facts"]),
    )


def _together(train: Examples, selection: Examples) -> Examples:
    return Examples(
        train.case_ids + selection.case_ids,
        train.patient_ids + selection.patient_ids,
        np.concatenate([train.y, selection.y]),
        pd.concat([table_of(train), table_of(selection)]),
    )

"""No model at all: what everybody is told who is not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.metrics import log_loss

from radpipe.models.calibrate import (
    AnyCalibration,
    Calibration,
    ClassesCalibration,
    NumberCalibration,
    calibration_from_json,
    survival_calibration,
)
from radpipe.models.config import PrevalenceParams
from radpipe.models.fitted import Calibrated
from radpipe.models.model import EVENT, Examples, check_parts
from radpipe.models.survival import partial_likelihood, risk_sets
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedPrevalence(Calibrated):
    """See :class:`radpipe.models.model.Fitted`. level : (k,) shares of the classes; (1,) the mean of a number; (1,) 0 for times."""

    params: PrevalenceParams
    level: FloatArray
    calibration: AnyCalibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def raw(self, examples: Examples) -> FloatArray:
        n = len(examples)
        return np.tile(self.level, (n, 1)) if len(self.level) > 2 else np.full(n, float(self.level[-1]))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {"level": self.level.copy()}, self.record()


def fit(train: Examples, selection: Examples, params: PrevalenceParams, *, seed: int) -> FittedPrevalence:
    """The classes' shares, the mean, or the hazard without covariates, of the training and selection part together."""
    saw = check_parts(train, selection, kinds=("classes", "number", "time_to_event"), many=True)
    y = np.concatenate([train.y, selection.y])
    calibration: AnyCalibration
    if train.kind == "number":
        value = np.concatenate([np.asarray(train.value), np.asarray(selection.value)])
        level, error, calibration = np.array([value.mean()]), float(value.var()), NumberCalibration()
    elif train.kind == "time_to_event":
        zero = np.zeros(len(train)), np.zeros(len(selection))
        calibration = survival_calibration(zero[0], train, zero[1], selection)
        time = np.concatenate([np.asarray(train.time), np.asarray(selection.time)])
        likelihood = partial_likelihood(np.zeros((len(y), 1)), np.zeros(1), risk_sets(time, y == EVENT))[0]
        level, error = np.zeros(1), float(-likelihood / (y == EVENT).sum())
    else:
        k = train.n_classes
        level = np.bincount(y, minlength=k) / len(y)
        error = float(log_loss(y, np.tile(level, (len(y), 1)), labels=list(range(k))))
        # Everybody stands on one side of any threshold.
        calibration = Calibration(threshold=0.5) if k == 2 else ClassesCalibration((0.0,) * k)
        calibration = replace(calibration, saw=saw)
    summary = {
        "n_inputs": 0, "n_parameters": len(level), "epochs": 0, "train_error": error, "regularisation": None,
        "selection_error": None, "inputs": "",
    }  # fmt: skip
    return FittedPrevalence(params, level, calibration, saw, summary)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedPrevalence:
    """The model whose ``state()`` this is."""
    return FittedPrevalence(
        PrevalenceParams.model_validate(info["params"]),
        np.array(arrays["level"]),
        calibration_from_json(info["calibration"]),
        frozenset(info["saw"]),
        dict(info["facts"]),
    )

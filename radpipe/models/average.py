"""Other models of the same fold, averaged and recalibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.metrics import log_loss

from radpipe.errors import SchemaError
from radpipe.models.calibrate import AnyCalibration, calibrate_for, calibration_from_json
from radpipe.models.config import AverageParams
from radpipe.models.encode import table_of
from radpipe.models.fitted import Calibrated
from radpipe.models.model import Examples, check_parts
from radpipe.models.survival import partial_likelihood, risk_sets
from radpipe.typing import FloatArray


def columns_of(name: str, n_classes: int) -> list[str]:
    """The columns that a model's predictions have among an average's inputs: itself (probability of class 1, or score), or
    ``<model>:<class>`` of more than two classes."""
    return [name] if n_classes <= 2 else [f"{name}:{k}" for k in range(n_classes)]


@dataclass(frozen=True)
class FittedAverage(Calibrated):
    """See :class:`radpipe.models.model.Fitted`. The examples' table holds the members' predictions; see :func:`columns_of`."""

    params: AverageParams
    n_classes: int
    calibration: AnyCalibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def raw(self, examples: Examples) -> FloatArray:
        return _mean(examples, self.params, self.n_classes)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {"weights": np.full(len(self.params.of), 1 / len(self.params.of))}, self.record(n_classes=self.n_classes)


def fit(train: Examples, selection: Examples, params: AverageParams, *, seed: int) -> FittedAverage:
    """Nothing is fitted but the recalibration, on the selection part. The seed changes nothing.

    The members' predictions of the training part are of cases they learnt from, so nothing here may be learnt from those; how much
    each member weighs is not asked of so few patients.
    """
    saw = check_parts(train, selection, kinds=("classes", "number", "time_to_event"), many=True)
    raw, raw_selection = (_mean(part, params, train.n_classes) for part in (train, selection))
    calibration = calibrate_for(raw, train, raw_selection, selection, params.calibration)
    summary = {
        "n_inputs": len(params.of),
        # Of the recalibration; the members' own stand in their rows.
        "n_parameters": 2 if train.kind == "classes" and train.n_classes == 2 else 1,
        "epochs": 0,
        "train_error": _error(raw, train),
        "regularisation": None,
        "selection_error": _error(raw_selection, selection),
        "inputs": " ".join(params.of),
    }
    return FittedAverage(params, train.n_classes, calibration, saw, summary)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedAverage:
    """The model whose ``state()`` this is."""
    if "weights" not in arrays:
        raise KeyError("weights")
    return FittedAverage(
        AverageParams.model_validate(info["params"]),
        int(info["n_classes"]),
        calibration_from_json(info["calibration"]),
        frozenset(info["saw"]),
        dict(info["facts"]),
    )


def _mean(examples: Examples, params: AverageParams, n_classes: int) -> FloatArray:
    """(n,) mean of the members, or (n, k) of more than two classes."""
    table = table_of(examples)
    wanted = [columns_of(name, n_classes) for name in params.of]
    missing = [name for columns in wanted for name in columns if name not in table.columns]
    if missing:
        raise SchemaError(f"the predictions {missing[0]!r} of a member are missing.", hint="An average needs all its models.")
    members = np.stack([table[columns].to_numpy(np.float64) for columns in wanted])
    mean: FloatArray = members.mean(axis=0)
    return mean if n_classes > 2 else mean[:, 0]


def _error(raw: FloatArray, part: Examples) -> float | None:
    if part.kind == "number":
        return float(np.mean((raw - np.asarray(part.value)) ** 2))
    if part.kind == "classes":
        p = raw if raw.ndim == 2 else np.column_stack([1 - raw, raw])
        return float(log_loss(part.y, p, labels=list(range(p.shape[1]))))
    event = part.y == 1
    if not event.any():
        return None
    return float(-partial_likelihood(raw[:, None], np.ones(1), risk_sets(np.asarray(part.time), event))[0] / event.sum())

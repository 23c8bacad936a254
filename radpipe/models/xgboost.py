"""Gradient-boosted trees on the features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xgboost as xgb

from radpipe.core.seeds import derive_seed
from radpipe.errors import SchemaError
from radpipe.models.calibrate import AnyCalibration, NumberCalibration, SurvivalCalibration, calibrate_for, calibration_from_json
from radpipe.models.config import XgboostParams, logarithms
from radpipe.models.encode import Encoder
from radpipe.models.model import EVENT, Examples, check_parts
from radpipe.models.stopping import BestSoFar
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedXgboost:
    """See :class:`radpipe.models.model.Fitted`. booster : cut after the best tree."""

    params: XgboostParams
    encoder: Encoder
    booster: xgb.Booster
    calibration: AnyCalibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def predict_proba(self, examples: Examples) -> FloatArray:
        return self.calibration.apply(_predict(self.booster, self.encoder.apply(examples), self._is_hazard))

    def predict_score(self, examples: Examples) -> FloatArray:
        if not isinstance(self.calibration, SurvivalCalibration | NumberCalibration):
            raise SchemaError("classes have no score.", hint="Ask for probabilities.")
        return self.calibration.score(_predict(self.booster, self.encoder.apply(examples), self._is_hazard))

    @property
    def _is_hazard(self) -> bool:
        return isinstance(self.calibration, SurvivalCalibration)

    def facts(self) -> dict[str, Any]:
        return {**self.summary, **self.calibration.facts()}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {"booster": np.frombuffer(bytes(self.booster.save_raw("ubj")), np.uint8).copy()}
        info = {
            "kind": "xgboost",
            "params": self.params.model_dump(mode="json"),
            "encoder": self.encoder.to_json(),
            "calibration": self.calibration.to_json(),
            "saw": sorted(self.saw),
            "facts": self.summary,
        }
        return arrays, info


def fit(train: Examples, selection: Examples, params: XgboostParams, *, seed: int) -> FittedXgboost:
    """Boost on the training part, stop and recalibrate on the selection part.

    Chen and Guestrin 2016, doi:10.1145/2939672.2939785. The loss is that of the outcome's kind: cross-entropy, squared error, or
    Cox's partial likelihood.
    """
    saw = check_parts(train, selection, kinds=("classes", "number", "time_to_event"), many=True)
    encoder = Encoder.learn(train, logarithm=logarithms(params), keep_missing=True)
    inside, inside_selection = encoder.apply(train), encoder.apply(selection)
    data, data_selection = _matrix(inside, _label(train)), _matrix(inside_selection, _label(selection))
    error_term, loss = _loss(train)
    log: dict[str, dict[str, list[float]]] = {}
    stopper = _Stop(BestSoFar(params.minimum_rounds, params.patience))
    booster = xgb.train(
        {
            **loss, "eta": params.learning_rate, "max_depth": params.depth, "subsample": params.subsample,
            "colsample_bytree": params.columns, "lambda": params.l2, "tree_method": "exact", "nthread": 1,
            "seed": derive_seed(seed, "xgboost") % 2**31, "verbosity": 0,
        },
        data, num_boost_round=params.rounds, evals=[(data, "train"), (data_selection, "selection")], evals_result=log,
        callbacks=[stopper], verbose_eval=False,
    )  # fmt: skip
    steps = len(log["train"][error_term])
    trees = min(stopper.best.step, steps)
    booster = booster[:trees]
    booster.set_param({"nthread": 1})
    history = [
        {"member": 0, "epoch": step + 1, "loss": None, "error": error, "regularisation": None, "selection_error": other}
        for step, (error, other) in enumerate(zip(log["train"][error_term], log["selection"][error_term], strict=True))
    ]
    summary = {
        "n_inputs": len(encoder.names),
        "n_parameters": int((booster.trees_to_dataframe()["Feature"] == "Leaf").sum()),
        "epochs": steps,
        "train_error": _finite(history[trees - 1]["error"]),
        "regularisation": None,
        "selection_error": _finite(history[trees - 1]["selection_error"]),
        "inputs": " ".join(encoder.inputs),
    }
    hazard = train.kind == "time_to_event"
    raw, raw_selection = _predict(booster, inside, hazard), _predict(booster, inside_selection, hazard)
    calibration = calibrate_for(raw, train, raw_selection, selection, params.calibration)
    return FittedXgboost(params, encoder, booster, calibration, saw, summary, history)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedXgboost:
    """The model whose ``state()`` this is."""
    booster = xgb.Booster(params={"nthread": 1, "verbosity": 0})
    booster.load_model(bytearray(np.asarray(arrays["booster"], np.uint8).tobytes()))
    return FittedXgboost(
        XgboostParams.model_validate(info["params"]),
        Encoder.from_json(info["encoder"]),
        booster,
        calibration_from_json(info["calibration"]),
        frozenset(info["saw"]),
        dict(info["facts"]),
    )


class _Stop(xgb.callback.TrainingCallback):
    """The early stopping all models share; xgboost's own has no first rounds without a say."""

    def __init__(self, best: BestSoFar) -> None:
        super().__init__()
        self.best = best

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: dict[str, Any]) -> bool:
        self.best.offer(epoch + 1, float(next(iter(evals_log["selection"].values()))[-1]), None)
        return self.best.stop


def _finite(error: float) -> float | None:
    """None where the error is not defined: Cox's likelihood of a selection part without an event."""
    return float(error) if np.isfinite(error) else None


def _matrix(x: FloatArray, y: np.ndarray | None = None) -> xgb.DMatrix:
    return xgb.DMatrix(x, label=y, nthread=1)


def _predict(booster: xgb.Booster, x: FloatArray, hazard: bool = False) -> FloatArray:
    """(n,) probability of class 1, value or (hazard) logarithm of the hazard; (n, k) of more than two classes."""
    return booster.predict(_matrix(x), output_margin=hazard).astype(np.float64)


def _loss(train: Examples) -> tuple[str, dict[str, Any]]:
    """Name of the error term, and xgboost's settings for it."""
    if train.kind == "number":
        return "rmse", {
            "objective": "reg:squarederror",
            "eval_metric": "rmse",
            "base_score": float(np.mean(np.asarray(train.value))),
        }
    if train.kind == "time_to_event":
        return "cox-nloglik", {"objective": "survival:cox", "eval_metric": "cox-nloglik"}
    if train.n_classes > 2:
        return "mlogloss", {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": train.n_classes}
    return "logloss", {"objective": "binary:logistic", "eval_metric": "logloss", "base_score": float(train.y.mean())}


def _label(part: Examples) -> np.ndarray:
    if part.kind == "number":
        return np.asarray(part.value)
    if part.kind == "classes":
        return part.y
    # xgboost writes a censored time as a negative one, so a time of 0 would have no sign; only the order counts.
    rank = np.unique(np.asarray(part.time), return_inverse=True)[1] + 1.0
    return np.where(part.y == EVENT, rank, -rank)

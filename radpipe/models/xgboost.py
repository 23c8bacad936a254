"""Gradient-boosted trees on the features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb

from radpipe.core.seeds import derive_seed
from radpipe.models.calibrate import calibrate_for
from radpipe.models.config import XgboostParams, logarithms
from radpipe.models.encode import Encoder
from radpipe.models.fitted import FittedTable, loader
from radpipe.models.model import EVENT, Examples, check_parts
from radpipe.models.stopping import BestSoFar
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class Boosted:
    """booster : cut after the best tree. hazard : whether it predicts the logarithm of a hazard."""

    booster: xgb.Booster
    hazard: bool

    def raw(self, x: FloatArray) -> FloatArray:
        """(n,) probability of class 1, value or logarithm of the hazard; (n, k) of more than two classes."""
        return self.booster.predict(_matrix(x), output_margin=self.hazard).astype(np.float64)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"booster": np.frombuffer(bytes(self.booster.save_raw("ubj")), np.uint8).copy()}

    def facts(self) -> dict[str, Any]:
        return {"hazard": self.hazard}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> Boosted:
        booster = xgb.Booster(params={"nthread": 1, "verbosity": 0})
        booster.load_model(bytearray(np.asarray(arrays["booster"], np.uint8).tobytes()))
        return cls(booster, bool(info["hazard"]))


def fit(train: Examples, selection: Examples, params: XgboostParams, *, seed: int) -> FittedTable:
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
    history: list[dict[str, Any]] = [
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
    core = Boosted(booster, train.kind == "time_to_event")
    calibration = calibrate_for(core.raw(inside), train, core.raw(inside_selection), selection, params.calibration)
    return FittedTable(params, encoder, core, calibration, saw, summary, history)


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


load = loader(XgboostParams, Boosted.from_state)

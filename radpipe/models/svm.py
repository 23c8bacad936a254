"""A support vector machine on the features, kept as its support vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.metrics import log_loss
from sklearn.svm import SVC

from radpipe.errors import SchemaError
from radpipe.models.calibrate import AnyCalibration, Calibration, calibrate_for, calibration_from_json
from radpipe.models.columns import Columns
from radpipe.models.config import SvmParams, logarithms
from radpipe.models.model import Examples, check_parts
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedSvm:
    """See :class:`radpipe.models.model.Fitted`. vectors : (v, p) support vectors; weights : (m, v) of each machine, one against the
    rest (m = 1 of two classes); offsets : (m,); gamma : of the rbf kernel, 0 for the linear one."""

    params: SvmParams
    columns: Columns
    vectors: FloatArray
    weights: FloatArray
    offsets: FloatArray
    gamma: float
    calibration: AnyCalibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def decide(self, x: FloatArray) -> FloatArray:
        """(n, p) standardised -> (n, m) decision values."""
        similar = x @ self.vectors.T
        if self.gamma:
            apart = (x**2).sum(axis=1)[:, None] + (self.vectors**2).sum(axis=1)[None, :] - 2 * similar
            similar = np.exp(-self.gamma * np.maximum(apart, 0.0))
        return np.asarray(similar @ self.weights.T + self.offsets)

    def raw(self, x: FloatArray) -> FloatArray:
        """Decision values as if they were logits; the recalibration says what they are worth."""
        found = self.decide(x)
        return np.asarray(expit(found[:, 0]) if found.shape[1] == 1 else softmax(found, axis=1))

    def predict_proba(self, examples: Examples) -> FloatArray:
        return self.calibration.apply(self.raw(self.columns.apply(examples)))

    def predict_score(self, examples: Examples) -> FloatArray:
        raise SchemaError("classes have no score.", hint="Ask for probabilities.")

    def facts(self) -> dict[str, Any]:
        return {**self.summary, **self.calibration.facts()}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {
            **self.columns.arrays(), "vectors": self.vectors.copy(), "weights": self.weights.copy(), "offsets": self.offsets.copy(),
        }  # fmt: skip
        info = {
            "kind": "svm",
            "params": self.params.model_dump(mode="json"),
            "encoder": self.columns.encoder.to_json(),
            "gamma": self.gamma,
            "calibration": self.calibration.to_json(),
            "saw": sorted(self.saw),
            "facts": self.summary,
        }
        return arrays, info


def fit(train: Examples, selection: Examples, params: SvmParams, *, seed: int) -> FittedSvm:
    """Fit on the training part; the decision value is made a probability on the selection part. The seed changes nothing.

    Cortes and Vapnik 1995, doi:10.1007/BF00994018. Of more than two classes one machine against the rest of each.
    """
    saw = check_parts(train, selection, many=True)
    columns = Columns.learn(train, logarithm=logarithms(params))
    x, x_selection = columns.apply(train), columns.apply(selection)
    gamma = 0.0 if params.kernel == "linear" else params.gamma or 1.0 / x.shape[1]
    machines = [1] if train.n_classes == 2 else list(range(train.n_classes))
    weights, offsets = np.zeros((len(machines), len(train))), np.zeros(len(machines))
    for place, label in enumerate(machines):
        machine = SVC(C=params.c, kernel=params.kernel, gamma=gamma or "scale", tol=1e-8).fit(x, train.y == label)
        weights[place, machine.support_] = machine.dual_coef_[0]
        offsets[place] = machine.intercept_[0]
    support = np.flatnonzero((weights != 0).any(axis=0))
    bare = FittedSvm(params, columns, x[support], weights[:, support], offsets, float(gamma), Calibration(), saw, {})
    p, p_selection = bare.raw(x), bare.raw(x_selection)
    labels = list(range(train.n_classes))
    summary = {
        "n_inputs": x.shape[1],
        "n_parameters": int(weights[:, support].size + len(offsets)),
        "epochs": 0,
        "train_error": float(log_loss(train.y, p, labels=labels)),
        "regularisation": None,
        "selection_error": float(log_loss(selection.y, p_selection, labels=labels)),
        "inputs": " ".join(columns.encoder.inputs),
    }
    calibration = calibrate_for(p, train, p_selection, selection, params.calibration)
    return FittedSvm(params, columns, x[support], weights[:, support], offsets, float(gamma), calibration, saw, summary)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedSvm:
    """The model whose ``state()`` this is."""
    return FittedSvm(
        SvmParams.model_validate(info["params"]),
        Columns.from_state(arrays, info),
        np.array(arrays["vectors"]),
        np.array(arrays["weights"]),
        np.array(arrays["offsets"]),
        float(info["gamma"]),
        calibration_from_json(info["calibration"]),
        frozenset(info["saw"]),
        dict(info["facts"]),
    )

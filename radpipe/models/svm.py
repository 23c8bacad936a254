"""A support vector machine on the features, kept as its support vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.metrics import log_loss
from sklearn.svm import SVC

from radpipe.models.calibrate import calibrate_for
from radpipe.models.columns import Columns
from radpipe.models.config import SvmParams, logarithms
from radpipe.models.fitted import FittedTable, loader
from radpipe.models.model import Examples, check_parts
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class Machines:
    """vectors : (v, p) support vectors; weights : (m, v) of each machine, one against the rest (m = 1 of two classes); offsets : (m,);
    gamma : of the rbf kernel, 0 for the linear one."""

    vectors: FloatArray
    weights: FloatArray
    offsets: FloatArray
    gamma: float

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

    def arrays(self) -> dict[str, np.ndarray]:
        return {"vectors": self.vectors.copy(), "weights": self.weights.copy(), "offsets": self.offsets.copy()}

    def facts(self) -> dict[str, Any]:
        return {"gamma": self.gamma}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> Machines:
        vectors, weights, offsets = (np.array(arrays[name]) for name in ("vectors", "weights", "offsets"))
        return cls(vectors, weights, offsets, float(info["gamma"]))


def fit(train: Examples, selection: Examples, params: SvmParams, *, seed: int) -> FittedTable:
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
    core = Machines(x[support], weights[:, support], offsets, float(gamma))
    p, p_selection = core.raw(x), core.raw(x_selection)
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
    return FittedTable(params, columns, core, calibration, saw, summary)


load = loader(SvmParams, Machines.from_state)

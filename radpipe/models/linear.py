"""Ridge regression of a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from radpipe.models.calibrate import NumberCalibration
from radpipe.models.columns import Columns, together
from radpipe.models.config import LinearParams, logarithms
from radpipe.models.model import Examples, check_parts
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedLinear:
    """See :class:`radpipe.models.model.Fitted`. coefficients : (p + 1,), of standardised inputs in the outcome's unit, the intercept last."""

    params: LinearParams
    columns: Columns
    coefficients: FloatArray
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def predict_score(self, examples: Examples) -> FloatArray:
        return np.asarray(self.columns.apply(examples) @ self.coefficients[:-1] + self.coefficients[-1])

    def predict_proba(self, examples: Examples) -> FloatArray:
        return NumberCalibration().apply(np.zeros(0))

    def facts(self) -> dict[str, Any]:
        return {**self.summary, **NumberCalibration().facts()}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {**self.columns.arrays(), "coefficients": self.coefficients.copy()}
        info = {
            "kind": "linear",
            "params": self.params.model_dump(mode="json"),
            "encoder": self.columns.encoder.to_json(),
            "saw": sorted(self.saw),
            "facts": self.summary,
        }
        return arrays, info


def fit(train: Examples, selection: Examples, params: LinearParams, *, seed: int) -> FittedLinear:
    """Fit on the training and selection part together, as logistic regression: nothing is stopped or chosen. The seed changes nothing.

    Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634. The outcome is standardised for the penalty, so that its unit
    changes nothing but the unit of the answer.
    """
    saw = check_parts(train, selection, kinds=("number",))
    everyone = together(train, selection)
    columns = Columns.learn(everyone, logarithm=logarithms(params))
    scaled = columns.apply(everyone)
    value = np.asarray(everyone.value)
    centre, spread = float(value.mean()), float(value.std(ddof=1))
    model = Ridge(alpha=params.penalty).fit(scaled, (value - centre) / spread)
    coefficients = np.append(model.coef_ * spread, float(model.intercept_) * spread + centre)
    gap = scaled @ coefficients[:-1] + coefficients[-1] - value
    summary = {
        "n_inputs": len(columns.encoder.names),
        "n_parameters": len(coefficients),
        "epochs": 0,
        "train_error": float(np.mean(gap**2)),
        "regularisation": float(0.5 * params.penalty * np.sum(model.coef_**2) / len(everyone)),
        "selection_error": None,
        "inputs": " ".join(columns.encoder.inputs),
    }
    return FittedLinear(params, columns, coefficients, saw, summary)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedLinear:
    """The model whose ``state()`` this is."""
    return FittedLinear(
        LinearParams.model_validate(info["params"]),
        Columns.from_state(arrays, info),
        np.array(arrays["coefficients"]),
        frozenset(info["saw"]),
        dict(info["facts"]),
    )

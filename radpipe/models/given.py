"""Predictions made elsewhere, for the same patients: a column of the manifest in a model's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.metrics import log_loss

from radpipe.errors import SchemaError
from radpipe.models.calibrate import Calibration, youden
from radpipe.models.config import GivenParams
from radpipe.models.encode import table_of
from radpipe.models.fitted import Calibrated
from radpipe.models.model import Examples, check_parts
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedGiven(Calibrated):
    """See :class:`radpipe.models.model.Fitted`. Nothing is learnt but the threshold."""

    params: GivenParams
    calibration: Calibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def raw(self, examples: Examples) -> FloatArray:
        return told(examples, self.params)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {"threshold": np.array(self.calibration.threshold)}, self.record()


def told(examples: Examples, params: GivenParams) -> FloatArray:
    """(n,) probability of class 1, as the column has it. SchemaError for a patient without one, or one that is none."""
    table = table_of(examples)
    if params.column not in table.columns:
        raise SchemaError(
            f"there is no column {params.column!r} among the given ones ({', '.join(map(str, table.columns))}).",
            hint="Name it in cohort.given.",
        )
    try:
        values = table[params.column].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"the given column {params.column!r} holds text.", hint="It must hold numbers.") from error
    p = expit(values) if params.scale == "logit" else values
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        place = int(np.argmax(wrong))
        what = "is missing" if np.isnan(p[place]) else f"is {values[place]:g}, not a probability"
        raise SchemaError(
            f"the given prediction {params.column!r} {what}.",
            hint="Leave the case out of the manifest, or set scale: logit for logarithms of odds.",
            case_id=examples.case_ids[place],
        )
    return np.asarray(p)


def fit(train: Examples, selection: Examples, params: GivenParams, *, seed: int) -> FittedGiven:
    """Only the threshold is learnt, on both parts. Whom the model behind the column saw, nobody here can know: params.in_sample says it."""
    saw = check_parts(train, selection)
    p, y = np.concatenate([told(train, params), told(selection, params)]), np.concatenate([train.y, selection.y])
    summary = {
        "n_inputs": 1, "n_parameters": 1, "epochs": 0,
        "train_error": float(log_loss(y, np.column_stack([1 - p, p]), labels=[0, 1])),
        "regularisation": None, "selection_error": None, "inputs": params.column,
    }  # fmt: skip
    return FittedGiven(params, Calibration(threshold=youden(p, y), saw=saw), saw, summary)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedGiven:
    """The model whose ``state()`` this is."""
    calibration = Calibration.from_json(info["calibration"])
    assert float(arrays["threshold"]) == calibration.threshold
    return FittedGiven(GivenParams.model_validate(info["params"]), calibration, frozenset(info["saw"]), dict(info["facts"]))

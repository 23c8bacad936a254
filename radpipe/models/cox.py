"""Cox's proportional hazards model with a ridge penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from radpipe.models.calibrate import SurvivalCalibration, calibration_from_json, survival_calibration
from radpipe.models.columns import Columns, together
from radpipe.models.config import CoxParams, logarithms
from radpipe.models.model import EVENT, Examples, check_parts
from radpipe.models.survival import fit_cox, partial_likelihood, risk_sets
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedCox:
    """See :class:`radpipe.models.model.Fitted`. coefficients : (p,), on standardised inputs."""

    params: CoxParams
    columns: Columns
    coefficients: FloatArray
    calibration: SurvivalCalibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def predict_score(self, examples: Examples) -> FloatArray:
        return self.calibration.score(self.columns.apply(examples) @ self.coefficients)

    def predict_proba(self, examples: Examples) -> FloatArray:
        return self.calibration.apply(self.columns.apply(examples) @ self.coefficients)

    def facts(self) -> dict[str, Any]:
        return {**self.summary, **self.calibration.facts()}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {**self.columns.arrays(), "coefficients": self.coefficients.copy()}
        info = {
            "kind": "cox",
            "params": self.params.model_dump(mode="json"),
            "encoder": self.columns.encoder.to_json(),
            "calibration": self.calibration.to_json(),
            "saw": sorted(self.saw),
            "facts": self.summary,
        }
        return arrays, info


def fit(train: Examples, selection: Examples, params: CoxParams, *, seed: int) -> FittedCox:
    """Fit on the training and selection part together: nothing is stopped or chosen. The seed changes nothing.

    Competing events end a patient's time at risk (the cause-specific hazard); the probability by the horizon counts them.
    Verweij and van Houwelingen 1994, doi:10.1002/sim.4780132307, for the penalty.
    """
    saw = check_parts(train, selection, kinds=("time_to_event",))
    everyone = together(train, selection)
    columns = Columns.learn(everyone, logarithm=logarithms(params))
    scaled = columns.apply(everyone)
    time, event = np.asarray(everyone.time), everyone.y == EVENT
    coefficients = fit_cox(scaled, time, event, penalty=params.penalty, ties=params.ties)
    score = scaled @ coefficients
    # The likelihood of one column that is the score itself: the same value without p by p derivatives.
    value = partial_likelihood(score[:, None], np.ones(1), risk_sets(time, event), params.ties)[0]
    calibration = survival_calibration(score[: len(train)], train, score[len(train) :], selection)
    events = int(event.sum())
    summary = {
        "n_inputs": len(columns.encoder.names),
        "n_parameters": len(coefficients),
        "epochs": 0,
        "train_error": float(-value / events),
        "regularisation": float(0.5 * params.penalty * np.sum(coefficients**2) / events),
        "selection_error": None,
        "inputs": " ".join(columns.encoder.inputs),
    }
    return FittedCox(params, columns, coefficients, calibration, saw, summary)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedCox:
    """The model whose ``state()`` this is."""
    calibration = calibration_from_json(info["calibration"])
    assert isinstance(calibration, SurvivalCalibration)
    return FittedCox(
        CoxParams.model_validate(info["params"]),
        Columns.from_state(arrays, info),
        np.array(arrays["coefficients"]),
        calibration,
        frozenset(info["saw"]),
        dict(info["facts"]),
    )

"""What fitted models share: calibration of what they say by themselves, their facts, and of those that read a table their state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from radpipe.core.settings import Settings
from radpipe.models.calibrate import AnyCalibration, calibration_from_json
from radpipe.models.columns import Columns
from radpipe.models.encode import Encoder
from radpipe.models.model import Examples
from radpipe.typing import FloatArray


class Calibrated(ABC):
    """Predictions and facts of a model that has ``raw``: what it says by itself, as ``calibrate_for`` takes it."""

    params: Any
    calibration: AnyCalibration
    saw: frozenset[str]
    summary: dict[str, Any]

    @abstractmethod
    def raw(self, examples: Examples) -> FloatArray: ...

    def predict_proba(self, examples: Examples) -> FloatArray:
        return self.calibration.apply(self.raw(examples))

    def predict_score(self, examples: Examples) -> FloatArray:
        return self.calibration.score(self.raw(examples))

    def facts(self) -> dict[str, Any]:
        return {**self.summary, **self.calibration.facts()}

    def record(self, **own: Any) -> dict[str, Any]:
        """What JSON keeps of every model, and its own."""
        return {
            "kind": self.params.kind,
            "params": self.params.model_dump(mode="json"),
            **own,
            "calibration": self.calibration.to_json(),
            "saw": sorted(self.saw),
            "facts": self.summary,
        }


class Core(Protocol):
    """What was learnt from the numbers of a table, apart from how the table became numbers."""

    def raw(self, x: FloatArray) -> FloatArray:
        """(n, p) -> what the calibration takes."""

    def arrays(self) -> dict[str, np.ndarray]: ...

    def facts(self) -> dict[str, Any]:
        """What JSON keeps beside the arrays."""


@dataclass(frozen=True)
class FittedTable(Calibrated):
    """See :class:`radpipe.models.model.Fitted`. inputs : a table -> numbers (n, p), standardised where they are Columns."""

    params: Any
    inputs: Columns | Encoder
    core: Any
    calibration: AnyCalibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def raw(self, examples: Examples) -> FloatArray:
        return np.asarray(self.core.raw(self.inputs.apply(examples)))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        if isinstance(self.inputs, Columns):
            encoder, arrays = self.inputs.encoder, self.inputs.arrays()
        else:
            encoder, arrays = self.inputs, {}
        return {**arrays, **self.core.arrays()}, self.record(encoder=encoder.to_json(), **self.core.facts())


def loader(
    params: type[Settings], core: Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], Any]
) -> Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], FittedTable]:
    """The function that makes a model from what its ``state()`` gave. core : the same for what was learnt."""

    def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedTable:
        return FittedTable(
            params.model_validate(info["params"]),
            Columns.from_state(arrays, info) if "centre" in arrays else Encoder.from_json(info["encoder"]),
            core(arrays, info),
            calibration_from_json(info["calibration"]),
            frozenset(info["saw"]),
            dict(info["facts"]),
        )

    return load


@dataclass(frozen=True)
class Line:
    """A weighted sum. coefficients : (p + 1,), the intercept last."""

    coefficients: FloatArray

    def raw(self, x: FloatArray) -> FloatArray:
        return np.asarray(x @ self.coefficients[:-1] + self.coefficients[-1])

    def arrays(self) -> dict[str, np.ndarray]:
        return {"coefficients": self.coefficients.copy()}

    def facts(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> Line:
        return cls(np.array(arrays["coefficients"]))

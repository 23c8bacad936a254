"""What the inputs are chosen for: classes, a number, or the time to an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from scipy.stats import rankdata

from radpipe.errors import CohortError, SchemaError
from radpipe.typing import FloatArray, IntArray

Kind = Literal["classes", "number", "time_to_event"]
EVENT = 1


@dataclass(frozen=True)
class Target:
    """Outcomes of n patients, checked when made.

    y : (n,) class index; for time_to_event 0 censored, 1 the event meant, 2 a competing one (which ends observation, so that
    inputs are chosen for the cause-specific hazard); for a number any. value : (n,), finite. time : (n,), finite, not negative.
    """

    kind: Kind
    y: IntArray
    value: FloatArray | None = None
    time: FloatArray | None = None

    def __post_init__(self) -> None:
        numbers = {"number": self.value, "time_to_event": self.time}.get(self.kind, self.y)
        name = {"number": "value", "time_to_event": "time"}.get(self.kind, "class")
        if numbers is None or np.shape(numbers) != np.shape(self.y):
            raise SchemaError(f"{len(self.y)} outcomes without a {name} each.", hint=f"Give every patient a {name}.")
        if len(self.y) and (not np.isfinite(numbers).all() or (self.kind != "number" and np.min(numbers) < 0)):
            raise SchemaError(f"a {name} of an outcome is negative or not finite.", hint="Check the outcome columns.")

    @classmethod
    def of(cls, outcome: Target | IntArray | Sequence[int]) -> Target:
        """Class indices may come as they are."""
        return outcome if isinstance(outcome, Target) else cls("classes", np.asarray(outcome).astype(np.int64))

    @classmethod
    def told(cls, task: Mapping[str, Any]) -> Target:
        """From JSON values: ``y``, and in ``outcome`` (left out for classes) its kind and the list ``time`` or ``value``."""
        further = task.get("outcome", {})
        lists = {name: np.asarray(further[name], dtype=float) for name in ("time", "value") if name in further}
        return cls(further.get("kind", "classes"), np.asarray(task["y"], dtype=np.int64), **lists)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: IntArray) -> Target:
        """These patients."""
        return Target(
            self.kind,
            self.y[rows],
            None if self.value is None else self.value[rows],
            None if self.time is None else self.time[rows],
        )

    def columns(self) -> list[FloatArray]:
        """What tells two patients' outcomes apart, for an order of rows."""
        return [np.asarray(part, dtype=float) for part in (self.y, self.value, self.time) if part is not None]

    def refuse_empty(self) -> None:
        """CohortError where there is nothing to tell apart."""
        hint = "Use fewer folds or check the outcome column."
        if self.kind == "classes" and len(np.unique(self.y)) < 2:
            raise CohortError("the training part has patients of one class only, so no input can be chosen.", hint=hint)
        if self.kind == "number" and (self.value is None or len(np.unique(self.value)) < 2):
            raise CohortError("the outcome has one value only in the training part, so no input can be chosen.", hint=hint)
        if self.kind == "time_to_event" and not (self.y == EVENT).any():
            raise CohortError("the training part has no event, so no input can be chosen.", hint=hint)

    def tells(self) -> bool:
        """Whether there is anything to tell apart."""
        try:
            self.refuse_empty()
        except CohortError:
            return False
        return True

    def responses(self) -> FloatArray:
        """(n, m) what least squares should explain: an indicator a class, ranks of the number, or martingale residuals.

        The Gini impurity is the sum of the variances of the indicators, so one formula splits for all kinds. The residuals are
        event minus cumulative hazard (Nelson-Aalen) without any input: Therneau 1990, doi:10.1093/biomet/77.1.147; their use in
        trees: LeBlanc and Crowley 1992, doi:10.2307/2532300.
        """
        if self.kind == "classes":
            return np.asarray(self.y[:, None] == np.unique(self.y)[None, :], dtype=float)
        if self.kind == "number":
            return np.asarray((rankdata(self.value) - 1) / max(1, len(self) - 1))[:, None]
        assert self.time is not None
        event = self.y == EVENT
        at = np.unique(self.time[event])
        at_risk = (self.time[None, :] >= at[:, None]).sum(axis=1)
        deaths = (self.time[event][None, :] == at[:, None]).sum(axis=1)
        hazard = np.concatenate([[0.0], np.cumsum(deaths / at_risk)])
        return np.asarray(event - hazard[np.searchsorted(at, self.time, side="right")], dtype=float)[:, None]

    def strata(self) -> IntArray:
        """(n,) the group to balance when patients are dealt: the class or event, or the quarter of the number."""
        if self.kind != "number":
            return self.y
        return np.asarray(np.minimum((rankdata(self.value) - 1) * 4 // len(self), 3), dtype=np.int64)


class Trainer(Protocol):
    """Trains the network that the inputs are chosen for; a room of its own, so it comes in as an argument."""

    def __call__(
        self,
        values: FloatArray,
        target: Target,
        selection_values: FloatArray,
        selection_target: Target,
        subsets: Sequence[Sequence[int]],
        *,
        seed: int,
    ) -> FloatArray:
        """(len(subsets),) selection error (the error term alone) of a network trained on each subset of columns.

        values : (n, p) training rows, selection_values : (m, p), gaps filled with the training medians; not scaled.
        """

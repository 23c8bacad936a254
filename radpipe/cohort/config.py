"""Settings of the cohort stage."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from radpipe.core.settings import Settings

# The cohort table's own columns; written out because its schema lives with pandas, which reading a workflow need not import.
RESERVED = frozenset(
    {
        "case_id", "patient_id", "modality", "image_path", "mask_path", "label", "outcome", "image_sha256", "mask_sha256",
        "mask_volume_ml", "time", "value",
    }
)  # fmt: skip
OutcomeKind = Literal["classes", "number", "time_to_event"]
OUTCOME_KINDS: tuple[OutcomeKind, ...] = ("classes", "number", "time_to_event")


def _text(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("YAML reads yes, no, true and false as truth values: write the class in quotes, such as 'yes'")
    return str(value) if isinstance(value, int | float) else value


def _texts(value: Any) -> Any:
    """One value or several, each as the text that stands in the cell."""
    return tuple(_text(item) for item in (value if isinstance(value, list | tuple) else (value,)))


Values = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class CohortSettings(Settings):
    """Which cases, which outcome, which clinical columns."""

    manifest: str
    """CSV with one row a case (case_id, patient_id, modality, image_path, mask_path, label, outcome columns; or PyRadiomics'
    ID, Image, Mask, Label), relative to the workflow file; or ``builtin:sts_pet``, the embedded cohort."""
    outcome: str
    """Column with the outcome: two or more classes, a number, or for time_to_event the status at the end of follow-up."""
    outcome_kind: OutcomeKind = "classes"
    """What the outcome is: classes, a finite number, or the time to an event that not everybody has had yet."""
    positive: str | None = None
    """The outcome's value that counts as class 1, of two. Needed where the column does not hold 0 and 1."""
    classes: Values = ()
    """The outcome's values in the order of their class index, from 0; by default more than two classes are sorted."""
    time: str | None = None
    """time_to_event: column with the time to the event or to the end of follow-up; 0 or more, in any unit."""
    event: Values = ()
    """time_to_event: value(s) of ``outcome`` that mean the event."""
    competing: Values = ()
    """time_to_event: values of ``outcome`` that mean another event, after which the event cannot happen."""
    censored: Values = ()
    """time_to_event: values of ``outcome`` that mean that follow-up ended without an event; 0 needs no naming."""
    horizon: float | None = Field(None, gt=0)
    """time_to_event: the time by which the event's probability is told, in the unit of ``time``."""
    clinical: tuple[str, ...] = ()
    """Columns for models on clinical data; numbers or categories, cells may be empty."""
    given: tuple[str, ...] = ()
    """Columns with predictions made elsewhere, for models of kind given; no other model reads them."""
    modality: Literal["CT", "PET", "MR"] | None = None
    """Modality of the cases whose manifest row does not give one."""

    @field_validator("positive", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return _text(value)

    @model_validator(mode="after")
    def _check_outcome(self) -> CohortSettings:
        of_kind = {"classes": ("positive", "classes"), "time_to_event": ("time", "event", "competing", "censored", "horizon")}
        for kind, names in of_kind.items():
            given = [name for name in names if getattr(self, name) not in (None, ())]
            if given and kind != self.outcome_kind:
                raise ValueError(f"{given[0]} goes with outcome_kind: {kind}, and this is {self.outcome_kind}")
        if self.classes and self.positive is not None:
            raise ValueError("classes and positive both say which class is which; give one of them")
        if len(self.classes) == 1:
            raise ValueError("classes names one class; a model needs two")
        if self.outcome_kind == "time_to_event":
            for name, what in (("time", "the column of times"), ("event", "the status that means the event")):
                if not getattr(self, name):
                    raise ValueError(f"outcome_kind: time_to_event needs {name}, {what}")
            if self.horizon is None or not math.isfinite(self.horizon):
                raise ValueError("outcome_kind: time_to_event needs horizon, the time by which the event's probability is told")
            if self.time == self.outcome:
                raise ValueError(f"time and outcome name the same column {self.time!r}; the outcome is the status")
        named = [*self.event, *self.competing, *self.censored, *self.classes]
        repeated = {value for value in named if named.count(value) > 1}
        if repeated:
            where = "classes" if self.classes else "event, competing and censored"
            raise ValueError(f"{where} name {sorted(repeated)[0]!r} twice")
        return self

    @model_validator(mode="after")
    def _check_columns(self) -> CohortSettings:
        if self.outcome in self.clinical:
            raise ValueError(f"the outcome {self.outcome!r} stands among the clinical columns: a model would read the answer")
        if self.time in self.clinical:
            raise ValueError(f"the time {self.time!r} stands among the clinical columns: a model would read the answer")
        columns = (*self.clinical, *self.given)
        repeated = {name for name in columns if columns.count(name) > 1}
        if repeated:
            raise ValueError(f"clinical and given name {sorted(repeated)[0]!r} twice")
        taken = RESERVED.intersection(columns)
        if taken:
            raise ValueError(
                f"clinical or given names {sorted(taken)[0]!r}, which is a column of the cohort table itself; rename it"
            )
        return self


class SplitSettings(Settings):
    """Repeated, stratified, patient-grouped cross-validation with a selection (validation) part inside each training part."""

    repeats: int = Field(default=3, ge=1, le=1000)
    """How often all patients are dealt to folds anew."""
    folds: int = Field(default=5, ge=2, le=100)
    """Outer folds a repeat; every case is tested once in each repeat."""
    selection_fraction: float = Field(default=0.25, gt=0.0, le=0.5)
    """Part of each training part's patients, per class, that chooses (early stopping, recalibration) instead of fitting."""

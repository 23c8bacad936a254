"""Settings of the cohort stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from radpipe.core.settings import Settings

# The cohort table's own columns; written out because its schema lives with pandas, which reading a workflow need not import.
RESERVED = frozenset(
    {
        "case_id", "patient_id", "modality", "image_path", "mask_path", "label", "outcome", "image_sha256", "mask_sha256",
        "mask_volume_ml",
    }
)  # fmt: skip


class CohortSettings(Settings):
    """Which cases, which outcome, which clinical columns."""

    manifest: str
    """CSV with one row a case (case_id, patient_id, modality, image_path, mask_path, label, outcome columns; or PyRadiomics'
    ID, Image, Mask, Label), relative to the workflow file; or ``builtin:sts_pet``, the embedded cohort."""
    outcome: str
    """Column with the outcome; two classes."""
    positive: str | None = None
    """The outcome's value that counts as class 1. Needed where the column does not hold 0 and 1."""
    clinical: tuple[str, ...] = ()
    """Columns for models on clinical data; numbers or categories, cells may be empty."""
    modality: Literal["CT", "PET", "MR"] | None = None
    """Modality of the cases whose manifest row does not give one."""

    @field_validator("positive", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("YAML reads yes, no, true and false as truth values: write the class in quotes, such as 'yes'")
        return str(value) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _check_columns(self) -> CohortSettings:
        if self.outcome in self.clinical:
            raise ValueError(f"the outcome {self.outcome!r} stands among the clinical columns: a model would read the answer")
        repeated = {name for name in self.clinical if self.clinical.count(name) > 1}
        if repeated:
            raise ValueError(f"clinical names {sorted(repeated)[0]!r} twice")
        taken = RESERVED.intersection(self.clinical)
        if taken:
            raise ValueError(f"clinical names {sorted(taken)[0]!r}, which is a column of the cohort table itself; rename it")
        return self


class SplitSettings(Settings):
    """Repeated, stratified, patient-grouped cross-validation with a selection (validation) part inside each training part."""

    repeats: int = Field(default=3, ge=1, le=1000)
    """How often all patients are dealt to folds anew."""
    folds: int = Field(default=5, ge=2, le=100)
    """Outer folds a repeat; every case is tested once in each repeat."""
    selection_fraction: float = Field(default=0.25, gt=0.0, le=0.5)
    """Part of each training part's patients, per class, that chooses (early stopping, recalibration) instead of fitting."""

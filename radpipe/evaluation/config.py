"""Settings of the evaluation."""

from __future__ import annotations

from pydantic import Field, field_validator

from radpipe.core.settings import Settings


class EvaluationSettings(Settings):
    """How sure a number must be, and how its interval is made."""

    confidence: float = Field(0.95, ge=0.5, lt=1.0)
    """Confidence level of every interval."""
    bootstrap_resamples: int = Field(2000, ge=200, le=100_000)
    """Resamples of the patients behind the intervals of Brier score and calibration."""
    bootstrap_seed: int = Field(20261121, ge=0)
    """All chance of the bootstrap comes from here."""
    ece_bins: int = Field(10, ge=2, le=100)
    """Bins, of equal number of cases, of the expected calibration error."""
    decision_thresholds: tuple[float, ...] = tuple(round(0.05 * k, 2) for k in range(1, 13))
    """Risks at which a decision curve is read: who has at least as much would be treated."""
    conformal_level: float = Field(0.9, ge=0.5, lt=1.0)
    """Share of the patients of each class whose prediction set should hold what happens to them."""
    subgroup_least: int = Field(10, ge=2)
    """Patients with and without the event that a subgroup needs before a number is told of it."""
    risk_groups: int = Field(2, ge=2, le=4)
    """Groups of patients of similar risk (time_to_event), cut at quantiles of the training part's own scores."""

    @field_validator("decision_thresholds")
    @classmethod
    def _risks(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not values or list(values) != sorted({*values}) or not 0 <= values[0] <= values[-1] < 1:
            raise ValueError("decision_thresholds are risks from 0 to below 1, each once, rising")
        return values

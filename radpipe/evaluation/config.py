"""Settings of the evaluation."""

from __future__ import annotations

from pydantic import Field

from radpipe.core.settings import Settings


class EvaluationSettings(Settings):
    """How sure a number must be, and how its interval is made."""

    confidence: float = Field(0.95, ge=0.5, lt=1.0)
    """Confidence level of every interval."""
    bootstrap_resamples: int = Field(2000, ge=200, le=100_000)
    """Resamples of the patients behind the intervals of Brier score and calibration."""
    bootstrap_seed: int = Field(20261121, ge=0)
    """All chance of the bootstrap comes from here."""

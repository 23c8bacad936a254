"""Settings of the comparison."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from radpipe.core.settings import Settings


class ComparisonSettings(Settings):
    """What was asked before any outcome was read, and by which rule it is answered."""

    primary: tuple[str, str] | None = None
    """The one pair of models whose comparison counts by itself; every other pair is exploratory and Holm-adjusted."""
    metric: Literal["auc", "average_precision", "brier"] = "auc"
    """What is compared, fold by fold."""
    margin: float = Field(0.05, gt=0.0, lt=1.0)
    """Differences within plus or minus this, in units of the metric, count as equivalent."""
    alpha: float = Field(0.05, gt=0.0, lt=0.5)
    """Error rate of every test; intervals have the level 1 - alpha."""
    conditional: tuple[str, ...] = ()
    """Further tests to print, conditional on these very scores (``delong``); they never carry a verdict."""

    @model_validator(mode="after")
    def _two_models(self) -> ComparisonSettings:
        if self.primary and self.primary[0] == self.primary[1]:
            raise ValueError(f"primary names {self.primary[0]!r} twice; it takes two different models")
        return self

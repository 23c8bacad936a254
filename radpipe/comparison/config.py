"""Settings of the comparison."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from radpipe.core.settings import Settings


class ControlSettings(Settings):
    """Negative controls: the whole chain again on data in which nothing can be foretold (``radpipe run --controls``)."""

    permutations: int = Field(100, ge=20, le=10_000)
    """Runs with outcomes dealt anew; fewer than 100 leave the mean too unsure to flag anything but a gross leak."""
    model: str | None = None
    """Model of the permuted runs; by default the primary pair's that eats features, or the first that does."""
    noise_columns: int = Field(1000, ge=0, le=100_000)
    """Columns of noise added to the features; 0 leaves this control out."""
    networks: bool = True
    """Whether image networks too are trained on shuffled voxels and on random regions."""


class ComparisonSettings(Settings):
    """What was asked before any outcome was read, and by which rule it is answered."""

    primary: tuple[str, str] | None = None
    """The one pair of models whose comparison counts by itself; every other pair is exploratory and Holm-adjusted."""
    metric: Literal[
        "auc", "average_precision", "brier", "log_loss", "macro_auc", "accuracy", "harrell_c", "uno_c", "auc_at_horizon",
        "brier_at_horizon", "rmse", "mae", "r2", "spearman",
    ] = "auc"  # fmt: skip
    """What is compared, fold by fold. ``auc`` means, for other outcomes than two classes, what stands in its place: macro_auc of
    more classes, harrell_c of times to an event, rmse of numbers."""
    margin: float = Field(0.05, gt=0.0, lt=1.0)
    """Differences within plus or minus this count as equivalent: in units of the metric; of rmse and mae, which are in the
    outcome's unit, in standard deviations of the outcome."""
    alpha: float = Field(0.05, gt=0.0, lt=0.5)
    """Error rate of every test; intervals have the level 1 - alpha."""
    conditional: tuple[str, ...] = ()
    """Further tests to print, conditional on these very scores (``delong``, ``mcnemar``, ``paired_bootstrap``); they
    never carry a verdict."""

    @model_validator(mode="after")
    def _two_models(self) -> ComparisonSettings:
        if self.primary and self.primary[0] == self.primary[1]:
            raise ValueError(f"primary names {self.primary[0]!r} twice; it takes two different models")
        return self

"""Settings of the report."""

from __future__ import annotations

from pydantic import Field

from radpipe.core.settings import Settings


class ReportSettings(Settings):
    """What is shown; nothing here changes a number."""

    outcome_name: str = ""
    """The outcome in words, as in "lung metastasis"; made from the outcome's column where empty."""
    examples: int = Field(6, ge=0, le=24)
    """Cases drawn with their outlines, spread evenly from the worst to the best Dice."""
    score_pictures: int = Field(60, ge=0, le=400)
    """Cases up to which each one's picture stands beside its predicted risk; of a larger cohort none is drawn."""
    map_examples: int = Field(3, ge=0, le=12)
    """Cases drawn with their feature maps and habitats, where a run makes maps."""
    features_shown: int = Field(12, ge=1, le=60)
    """Features in the plot of what selection kept, most often kept first."""
    calibration_groups: int = Field(4, ge=2, le=20)
    """Groups of equal size in the calibration plot."""
    assumed_r2: float = Field(0.2, gt=0.0, lt=0.9)
    """Cox-Snell R2 that the sample-size reasoning (Riley) assumes a model could reach."""

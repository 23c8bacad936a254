"""Settings of what happens to an image before a network sees it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from radpipe.core.settings import Settings

Millimetres = Annotated[float, Field(gt=0, le=50)]


class PreprocessingSettings(Settings):
    """Spacing, intensity and crop of the networks' images. Feature extraction has its own, in PyRadiomics' parameter file."""

    spacing_mm: tuple[Millimetres, Millimetres, Millimetres] | None = None
    """Voxel spacing to resample to, mm; in the order x, y, z, as PyRadiomics' resampledPixelSpacing. null: the image's own."""
    interpolation: Literal["linear", "bspline"] = "linear"
    """Of the image. B-splines are sharper but overshoot at edges (a SUV below 0). Masks: always nearest neighbour."""
    intensity: Literal["by_modality", "zscore", "none"] = "by_modality"
    """by_modality: CT window and PET square root to 0 to 1, MR z-score; zscore: that for all; none: as it came."""
    ct_window_hu: tuple[float, float] = (-200.0, 300.0)
    """Lowest and highest HU that CT keeps apart; soft tissue with its fat and enhancement by default."""
    pet_max_suv: float = Field(default=20.0, gt=0, le=1000)
    """SUV that becomes 1; higher ones are clipped."""
    margin_mm: float = Field(default=10.0, ge=0, le=200)
    """Free space between the lesion's box and the edge of the crop that an image network sees, mm."""

    @model_validator(mode="after")
    def _check_window(self) -> PreprocessingSettings:
        low, high = self.ct_window_hu
        if low >= high:
            raise ValueError(f"ct_window_hu is ({low:g}, {high:g}); the first must be below the second")
        return self

"""Voxels with a place and a unit."""

from __future__ import annotations

from dataclasses import dataclass

from radpipe.core.grid import Grid
from radpipe.typing import BoolVolume, Volume

UNITS = {"CT": "HU", "PET": "SUV", "MR": "arbitrary"}


@dataclass(frozen=True)
class Image:
    """voxels : (z, y, x) on ``grid``, in the dtype they came in (PyRadiomics resamples int16 as int16). unit : HU, SUV, arbitrary."""

    grid: Grid
    voxels: Volume
    unit: str = "arbitrary"

    def __post_init__(self) -> None:
        if self.voxels.shape != self.grid.shape:
            raise ValueError(f"voxels {self.voxels.shape} do not fill the grid {self.grid.shape}")


@dataclass(frozen=True)
class Mask:
    """voxels : (z, y, x) bool on ``grid``; True inside the region."""

    grid: Grid
    voxels: BoolVolume

    def __post_init__(self) -> None:
        if self.voxels.shape != self.grid.shape or self.voxels.dtype != bool:
            raise ValueError(
                f"mask voxels {self.voxels.shape} {self.voxels.dtype} do not fill the grid {self.grid.shape} as bool"
            )

    @property
    def volume_ml(self) -> float:
        return float(self.voxels.sum()) * self.grid.voxel_volume_mm3 / 1000.0

"""Mean over a cube (or square) of voxels; IBSI 2 "mean filter" (S60F)."""

from __future__ import annotations

from pydantic import Field, field_validator

from radpipe.filters.ibsi_common import FilterSettings, Triple, box_mean, checked, named, where_said
from radpipe.typing import FloatArray, Volume


class MeanSettings(FilterSettings):
    """The mean filter."""

    support: int = Field(default=5, ge=3, le=101)
    """Side of the square or cube, voxels; odd."""

    @field_validator("support")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"must be odd, so that it has a middle (nearest: {value - 1} or {value + 1})")
        return value


PARAMS = MeanSettings


def apply(voxels: Volume, params: MeanSettings, spacing_mm: Triple) -> FloatArray:
    """(z, y, x) -> (z, y, x): the mean of the voxels around each, in the image's unit."""
    return box_mean(checked(voxels, params, "mean"), params.support, params.axes, params.padding)


def reach(params: MeanSettings, spacing_mm: Triple) -> int:
    """Voxels around a voxel that its response depends on."""
    return params.support // 2


def prefix(params: MeanSettings) -> str:
    """Of the columns: mean-5-3D."""
    return named("mean", str(params.support), params=params)


def meaning(params: MeanSettings) -> str:
    """For the dictionary."""
    return f"mean over {params.support} voxels a side, {where_said(params)}"

"""Laws' kernels: level, edge, spot, wave and ripple combined along the axes, and their energy; IBSI 2 (JTXT)."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from radpipe.core.registry import nearest
from radpipe.filters.ibsi_common import (
    Chain,
    PooledSettings,
    Triple,
    box_mean,
    checked,
    named,
    pooled_separable,
    pooling_part,
    pooling_said,
    where_said,
)
from radpipe.typing import FloatArray, Volume

# Each has a norm of 1.
KERNELS: dict[str, FloatArray] = {
    name: np.array(taps) / np.sqrt(np.sum(np.square(taps)))
    for name, taps in {
        "L3": (1.0, 2.0, 1.0),
        "E3": (-1.0, 0.0, 1.0),
        "S3": (-1.0, 2.0, -1.0),
        "L5": (1.0, 4.0, 6.0, 4.0, 1.0),
        "E5": (-1.0, -2.0, 0.0, 2.0, 1.0),
        "S5": (-1.0, 0.0, 2.0, 0.0, -1.0),
        "W5": (-1.0, 2.0, 0.0, -2.0, 1.0),
        "R5": (1.0, -4.0, 6.0, -4.0, 1.0),
    }.items()
}


class LawsSettings(PooledSettings):
    """The Laws kernels filter."""

    kernels: str = "L5E5E5"
    """Names of the kernels along x, y (and z in 3D), written together: L3, E3, S3, L5, E5, S5, W5, R5."""
    delta: int | None = Field(default=None, ge=1, le=50)
    """The energy map: mean of the absolute response over 2 delta + 1 voxels a side; null leaves the response as it is."""

    @model_validator(mode="after")
    def _kernels_fit(self) -> LawsSettings:
        names = split(self.kernels)
        for name in names:
            if name not in KERNELS:
                raise ValueError(
                    f"kernels {self.kernels!r}: there is no kernel {name!r}.{nearest(name, KERNELS)} Choose from {', '.join(KERNELS)}"
                )
        if len(names) != len(self.axes):
            raise ValueError(
                f"kernels {self.kernels!r} names {len(names)} kernels; dimension {self.dimension} needs {len(self.axes)}"
            )
        return self


PARAMS = LawsSettings


def split(kernels: str) -> list[str]:
    """L5E5E5 -> L5, E5, E5."""
    return [kernels[start : start + 2] for start in range(0, len(kernels), 2)]


def apply(voxels: Volume, params: LawsSettings, spacing_mm: Triple) -> FloatArray:
    """(z, y, x) -> (z, y, x), in the image's unit; the energy map where delta is given."""
    chains: list[Chain] = [((KERNELS[name], 0),) for name in reversed(split(params.kernels))]  # written x first, kept z first
    response = pooled_separable(checked(voxels, params, "laws"), chains, params)
    if params.delta is None:
        return response
    np.abs(response, out=response)
    return box_mean(response, 2 * params.delta + 1, params.axes, params.padding, into=response)


def reach(params: LawsSettings, spacing_mm: Triple) -> int:
    """Voxels around a voxel that its response depends on."""
    return max(KERNELS[name].size // 2 for name in split(params.kernels)) + (params.delta or 0)


def prefix(params: LawsSettings) -> str:
    """Of the columns: laws-L5E5E5-max-energy-7-3D."""
    energy = None if params.delta is None else f"energy-{params.delta}"
    return named("laws", params.kernels, pooling_part(params), energy, params=params)


def meaning(params: LawsSettings) -> str:
    """For the dictionary."""
    energy = "" if params.delta is None else f", mean of absolute values over {2 * params.delta + 1} voxels a side"
    return f"Laws kernels {params.kernels}{pooling_said(params)}{energy}, {where_said(params)}"

"""Riesz transform of the Simoncelli wavelet; IBSI 2 (AYRS of PRT7)."""

from __future__ import annotations

from pydantic import model_validator

from radpipe.filters import ibsi_riesz, ibsi_simoncelli
from radpipe.filters.ibsi_common import Triple, checked
from radpipe.filters.ibsi_fourier import filtered
from radpipe.filters.ibsi_simoncelli import SimoncelliSettings
from radpipe.typing import FloatArray, Volume


class RieszSimoncelliSettings(SimoncelliSettings):
    """The Riesz transform of the Simoncelli filter."""

    order: tuple[int, ...] = (1, 0, 0)
    """Order l along x, y (and z in 3D): (1, 0, 0) is odd along x, (0, 2, 0) even along y."""

    @model_validator(mode="after")
    def _order_fits(self) -> RieszSimoncelliSettings:
        ibsi_riesz.refuse_order(self.order, self.axes, self.dimension)
        return self


PARAMS = RieszSimoncelliSettings


def apply(voxels: Volume, params: RieszSimoncelliSettings, spacing_mm: Triple) -> FloatArray:
    """(z, y, x) -> (z, y, x), in the image's unit."""
    volume = checked(voxels, params, "riesz_simoncelli")
    ibsi_simoncelli.check_level(volume.shape, params, "riesz_simoncelli")
    return filtered(
        volume,
        params.axes,
        params.padding,
        lambda grid: ibsi_simoncelli.band(grid, params.level) * ibsi_riesz.transfer(grid, params.order),
    )


def reach(params: RieszSimoncelliSettings, spacing_mm: Triple) -> None:
    """None: the response depends on the whole image."""


def prefix(params: RieszSimoncelliSettings) -> str:
    """Of the columns: riesz-1-0-0-simoncelli-level-1-3D."""
    return f"{ibsi_riesz.order_part(params.order)}-{ibsi_simoncelli.prefix(params)}"


def meaning(params: RieszSimoncelliSettings) -> str:
    """For the dictionary."""
    return f"Riesz transform of order {params.order} (x, y, z) of the {ibsi_simoncelli.meaning(params)}"

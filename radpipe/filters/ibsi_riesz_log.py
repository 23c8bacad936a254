"""Riesz transform of the Laplacian of Gaussian; IBSI 2 (AYRS of L6PA)."""

from __future__ import annotations

from pydantic import model_validator

from radpipe.filters import ibsi_log, ibsi_riesz
from radpipe.filters.ibsi_common import Triple, checked, padded
from radpipe.filters.ibsi_fourier import filtered
from radpipe.filters.ibsi_log import LogSettings
from radpipe.typing import FloatArray, Volume


class RieszLogSettings(LogSettings):
    """The Riesz transform of the Laplacian of Gaussian."""

    order: tuple[int, ...] = (1, 0, 0)
    """Order l along x, y (and z in 3D): (1, 0, 0) is odd along x, (0, 2, 0) even along y."""

    @model_validator(mode="after")
    def _order_fits(self) -> RieszLogSettings:
        ibsi_riesz.refuse_order(self.order, self.axes, self.dimension)
        return self


PARAMS = RieszLogSettings


def apply(voxels: Volume, params: RieszLogSettings, spacing_mm: Triple) -> FloatArray:
    """(z, y, x) -> (z, y, x), in the unit of the Laplacian of Gaussian.

    Both filters run on the padded image: the Riesz transform looks far. What the Laplacian gives outside the image goes on as
    the image does: mirrored and periodic at once, zero or as its neighbour beyond the kernel's reach.
    """
    volume = checked(voxels, params, "riesz_log")
    grown = ibsi_log.reach(params, spacing_mm) if params.padding in ("zero", "nearest") else 0
    whole = padded(volume, [(grown, grown) if axis in params.axes else (0, 0) for axis in range(3)], params.padding)
    response = ibsi_log.laplacian(whole, params, spacing_mm)
    del whole
    return filtered(
        response, params.axes, params.padding, lambda grid: ibsi_riesz.transfer(grid, params.order), grown=grown, spend=True
    )


def reach(params: RieszLogSettings, spacing_mm: Triple) -> None:
    """None: the response depends on the whole image."""


def prefix(params: RieszLogSettings) -> str:
    """Of the columns: riesz-1-0-0-log-sigma-1-5-mm-3D."""
    return f"{ibsi_riesz.order_part(params.order)}-{ibsi_log.prefix(params)}"


def meaning(params: RieszLogSettings) -> str:
    """For the dictionary."""
    return f"Riesz transform of order {params.order} (x, y, z) of the {ibsi_log.meaning(params)}"

"""Laplacian of Gaussian: blobs and edges of one size; IBSI 2 (L6PA)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from radpipe.filters.ibsi_common import (
    FilterSettings,
    Triple,
    Unit,
    checked,
    convolved,
    in_voxels,
    kernel_radius,
    named,
    number,
    slabs,
    where_said,
)
from radpipe.typing import FloatArray, Volume


class LogSettings(FilterSettings):
    """The Laplacian of Gaussian filter."""

    sigma: float = Field(default=1.5, gt=0, le=100)
    """Standard deviation of the Gaussian, in ``unit``."""
    unit: Unit = "mm"
    """mm (divided by the voxels' side, which must be equal in all filtered axes) or voxel."""
    cutoff: float = Field(default=4.0, ge=1, le=10)
    """The kernel is cut at this many sigma from its middle, along each axis (a cube, not a ball)."""


PARAMS = LogSettings


def apply(voxels: Volume, params: LogSettings, spacing_mm: Triple) -> FloatArray:
    """(z, y, x) -> (z, y, x): positive in dark spots, negative in bright ones; the image's unit over voxels squared."""
    return laplacian(checked(voxels, params, "log"), params, spacing_mm)


def laplacian(voxels: Volume, params: LogSettings, spacing_mm: Triple) -> FloatArray:
    """The filter itself. The sampled kernel, (r^2/sigma^2 - D)/sigma^2 times a Gaussian, is a sum of D separable kernels: along
    each axis once the Gaussian's second derivative, the Gaussian along the others."""
    sigma = in_voxels(params.sigma, params.unit, spacing_mm, params.axes, "log")
    radius = kernel_radius(params.cutoff, sigma)
    x = np.arange(-radius, radius + 1.0)
    gaussian = np.exp(-x * x / (2 * sigma * sigma)) / (np.sqrt(2 * np.pi) * sigma)
    second = gaussian * (x * x / sigma**2 - 1.0) / sigma**2
    bend, smooth = ((second, 0),), ((gaussian, 0),)
    # Along z (3D) the whole image; along y and x a few planes at a time, written where nothing is needed any more.
    through = 0 in params.axes
    curved = convolved(voxels, bend, 0, params.padding) if through else np.empty(voxels.shape)
    smoothed = convolved(voxels, smooth, 0, params.padding) if through else voxels
    for planes in slabs(len(voxels)):
        # (smoothed along all axes so far, sum of those with one second derivative among them)
        flat: Volume = smoothed[planes]
        so_far: FloatArray | None = curved[planes] if through else None
        for axis in (1, 2):
            bent = convolved(flat, bend, axis, params.padding)
            if so_far is not None:
                bent += convolved(so_far, smooth, axis, params.padding)
            so_far = bent
            if axis == 1:
                flat = convolved(flat, smooth, axis, params.padding)
        assert so_far is not None
        curved[planes] = so_far
    return curved


def reach(params: LogSettings, spacing_mm: Triple) -> int:
    """Voxels around a voxel that its response depends on."""
    return kernel_radius(params.cutoff, in_voxels(params.sigma, params.unit, spacing_mm, params.axes, "log"))


def prefix(params: LogSettings) -> str:
    """Of the columns: log-sigma-1-5-mm-3D."""
    cut = None if params.cutoff == 4.0 else f"cut-{number(params.cutoff)}"
    return named("log-sigma", number(params.sigma), params.unit, cut, params=params)


def meaning(params: LogSettings) -> str:
    """For the dictionary."""
    return f"Laplacian of Gaussian, sigma {params.sigma:g} {params.unit}, cut at {params.cutoff:g} sigma, {where_said(params)}"

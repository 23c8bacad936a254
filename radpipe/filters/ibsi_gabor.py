"""Gabor: stripes of one width and direction, by their magnitude; IBSI 2 (Q88H)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from scipy import fft

from radpipe.errors import ConfigError
from radpipe.filters.ibsi_common import (
    FilterSettings,
    Pooling,
    Triple,
    Unit,
    checked,
    in_voxels,
    named,
    number,
    padded,
    where_said,
)
from radpipe.typing import FloatArray, Volume

# The envelope is 2e-11 of its height there: the kernel is not visibly cut.
_CUTOFF = 7.0
_MOST_RADIUS = 500  # voxels; beyond, kernel and padding take gigabytes
_PIECE = 1 << 16  # voxels of padded planes that are filtered at a time, or one plane: 1 MiB a complex array
_PLANES = {"2D": ((1, 2),), "3D": ((1, 2), (0, 2), (0, 1))}


class GaborSettings(FilterSettings):
    """The Gabor filter (a filter of planes; 3D averages over the three orthogonal sets of planes)."""

    sigma: float = Field(default=5.0, gt=0, le=100)
    """Standard deviation of the envelope along the wave, in ``unit``."""
    wavelength: float = Field(default=2.0, gt=0, le=400)
    """Of the wave (the manual's lambda), in ``unit``."""
    gamma: float = Field(default=1.5, ge=0.05, le=20)
    """Aspect ratio: the envelope's standard deviation across the wave is sigma / gamma."""
    theta: float = Field(default=0.0, ge=0, lt=360)
    """Direction of the wave, degrees, from x towards y (clockwise on a screen with y downwards)."""
    rotation_step: float | None = Field(default=None, ge=1, le=180)
    """Rotation invariance: pool the magnitudes over directions this many degrees apart (the manual's delta theta), from theta
    around the whole circle; null keeps the one direction theta."""
    pooling: Pooling = "average"
    """Of the directions' magnitudes. The three sets of planes are averaged always."""
    unit: Unit = "mm"
    """Of sigma and wavelength: mm (divided by the voxels' side, which must be equal in all filtered axes) or voxel."""

    @field_validator("rotation_step")
    @classmethod
    def _divides_the_circle(cls, value: float | None) -> float | None:
        if value is not None and abs(360.0 / value - round(360.0 / value)) > 1e-9:
            raise ValueError(f"must divide 360 degrees into whole parts (nearest: {360.0 / round(360.0 / value):g})")
        return value

    def directions(self) -> list[float]:
        """Radians, in [0, pi), each once: a wave and its opposite have one magnitude, and either all or none come up twice."""
        steps = 1 if self.rotation_step is None else round(360.0 / self.rotation_step)
        degrees = (round((self.theta + i * 360.0 / steps) % 180.0, 9) % 180.0 for i in range(steps))
        return [math.radians(angle) for angle in dict.fromkeys(degrees)]


PARAMS = GaborSettings


def apply(voxels: Volume, params: GaborSettings, spacing_mm: Triple) -> FloatArray:
    """(z, y, x) -> (z, y, x): the magnitude, >= 0, in the image's unit times voxels of the envelope (it is not normalised)."""
    volume = checked(voxels, params, "gabor")
    sigma, wavelength = (in_voxels(s, params.unit, spacing_mm, params.axes, "gabor") for s in (params.sigma, params.wavelength))
    planes = _PLANES[params.dimension]
    total = np.zeros(volume.shape)
    for plane in planes:
        _add_by_plane(total, volume, plane, sigma, wavelength, params)
    total /= len(planes)
    return total


def kernel(sigma: float, wavelength: float, gamma: float, theta: float, radius: int) -> NDArray[np.complex128]:
    """(2 radius + 1, 2 radius + 1) complex, rows along the slower axis. sigma, wavelength : voxels. theta : radians."""
    row, column = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    along = column * math.cos(theta) + row * math.sin(theta)
    across = row * math.cos(theta) - column * math.sin(theta)
    envelope = np.exp(-(along**2 + (gamma * across) ** 2) / (2 * sigma * sigma))
    return np.asarray(envelope * np.exp(2j * math.pi / wavelength * along))


def _radius(sigma: float, gamma: float) -> int:
    """Voxels on each side of the kernel. ConfigError where they are more than can be handled. sigma : voxels."""
    radius = math.ceil(_CUTOFF * sigma * max(1.0, 1.0 / gamma))
    if radius > _MOST_RADIUS:
        raise ConfigError(
            f"the gabor filter's kernel would reach {radius} voxels (sigma {sigma:g} voxels, gamma {gamma:g}); at most {_MOST_RADIUS}.",
            hint="Set a smaller sigma or a larger gamma, or resample to larger voxels.",
        )
    return radius


def _add_by_plane(
    total: FloatArray, volume: Volume, plane: tuple[int, int], sigma: float, wavelength: float, params: GaborSettings
) -> None:
    """Add the pooled magnitudes of all planes along the two axes, by products of Fourier transforms, some planes at a time."""
    radius = _radius(sigma, params.gamma)
    across = ({0, 1, 2} - set(plane)).pop()
    stack, out = np.moveaxis(volume, across, 0), np.moveaxis(total, across, 0)
    rows, columns = stack.shape[1:]
    size = (fft.next_fast_len(rows + 2 * radius), fft.next_fast_len(columns + 2 * radius))
    spectra = [fft.fft2(kernel(sigma, wavelength, params.gamma, theta, radius), size) for theta in params.directions()]
    some = max(1, _PIECE // (size[0] * size[1]))
    # In the full convolution the kernel's middle comes radius late, after radius of padding. What wraps around at the end
    # of a transform of this size lands in the first 2 radius rows and columns, outside.
    inside = (slice(None), slice(2 * radius, 2 * radius + rows), slice(2 * radius, 2 * radius + columns))
    for first in range(0, stack.shape[0], some):
        piece = padded(stack[first : first + some], ((0, 0), (radius, radius), (radius, radius)), params.padding)
        spectrum = fft.fft2(piece.astype(np.float64), size)
        pooled = np.zeros((piece.shape[0], rows, columns))
        for of_kernel in spectra:
            magnitude = np.abs(fft.ifft2(spectrum * of_kernel, overwrite_x=True)[inside])
            if params.pooling == "max":
                np.maximum(pooled, magnitude, out=pooled)
            else:
                pooled += magnitude / len(spectra)
        out[first : first + some] += pooled


def reach(params: GaborSettings, spacing_mm: Triple) -> int:
    """Voxels around a voxel that its response depends on."""
    return _radius(in_voxels(params.sigma, params.unit, spacing_mm, params.axes, "gabor"), params.gamma)


def prefix(params: GaborSettings) -> str:
    """Of the columns: gabor-sigma-5-0-lambda-2-0-mm-gamma-1-5-average-22-5-3D."""
    turned = None if params.rotation_step is None else f"{params.pooling}-{number(params.rotation_step)}"
    theta = f"theta-{number(params.theta)}" if params.rotation_step is None or params.theta else None
    scale = f"sigma-{number(params.sigma)}-lambda-{number(params.wavelength)}-{params.unit}-gamma-{number(params.gamma)}"
    return named("gabor", scale, theta, turned, params=params)


def meaning(params: GaborSettings) -> str:
    """For the dictionary."""
    kernel_said = f"sigma {params.sigma:g} {params.unit}, wavelength {params.wavelength:g} {params.unit}, gamma {params.gamma:g}"
    if params.rotation_step is None:
        turned = f"at {params.theta:g} degrees"
    else:
        turned = f"{params.pooling} over directions {params.rotation_step:g} degrees apart"
    planes = "" if params.dimension == "2D" else ", averaged over the three orthogonal planes"
    return f"magnitude of a Gabor filter ({kernel_said}), {turned}{planes}, {where_said(params)}"

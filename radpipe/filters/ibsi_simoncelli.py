"""Simoncelli's non-separable wavelet: structure of one width in all directions; the band-pass (B) map of a level; IBSI 2 (PRT7)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from radpipe.errors import ConfigError
from radpipe.filters.ibsi_common import FilterSettings, Padding, Triple, checked, named, where_said
from radpipe.filters.ibsi_fourier import filtered, frequencies, padded_lengths, radius_squared
from radpipe.typing import FloatArray, Volume


class SimoncelliSettings(FilterSettings):
    """The Simoncelli filter."""

    padding: Padding = "periodic"
    """What lies outside the image. periodic is the filter as it was standardised: a product of transforms of the image as it
    is. zero, nearest and mirror make the image twice as long first, and its grid of frequencies twice as fine."""
    level: int = Field(default=1, ge=1, le=8)
    """Decomposition level: the band is centred on a wavelength of 4 voxels at level 1, 8 at level 2, and so on."""


PARAMS = SimoncelliSettings


def apply(voxels: Volume, params: SimoncelliSettings, spacing_mm: Triple) -> FloatArray:
    """(z, y, x) -> (z, y, x): the B map, in the image's unit."""
    volume = checked(voxels, params, "simoncelli")
    check_level(volume.shape, params, "simoncelli")
    return filtered(volume, params.axes, params.padding, lambda grid: band(grid, params.level))


def band(grid: Sequence[FloatArray], level: int) -> FloatArray:
    """The filter in the frequency domain: cos(pi/2 log2(2 r / top)) for top/4 < r <= top = 2^(1 - level), else 0."""
    top = 2.0 ** (1 - level)
    squared = radius_squared(grid)
    inside = (squared > (top / 4) ** 2) & (squared <= top**2)
    # log2(2 r / top), from the squared radius; 1 where the band is not, to stay clear of log 0.
    octave = 0.5 * np.log2(np.where(inside, squared, 1.0)) + level
    return np.where(inside, np.cos(math.pi / 2 * octave), 0.0)


def check_level(shape: tuple[int, ...], params: SimoncelliSettings, name: str) -> None:
    """ConfigError where the level's band reaches the lowest frequency of so small an image: a constant would give a response."""
    lengths = padded_lengths(shape, params.axes, params.padding)
    lowest = math.sqrt(sum(float(frequencies(n)[0]) ** 2 for n in lengths if n > 1)) if min(lengths) > 1 else math.inf
    if lowest <= 2.0 ** (-1 - params.level):
        return
    best = math.floor(-1 - math.log2(lowest)) if 0 < lowest < math.inf else 0
    sizes = " x ".join(str(shape[axis]) for axis in params.axes)
    raise ConfigError(
        f"the {name} filter cannot run at level {params.level} on {sizes} voxels: its widest waves do not fit.",
        hint=f"Set level: {best} or lower." if best >= 1 else f"Set dimension: 2D for {name}, or leave it out.",
    )


def reach(params: SimoncelliSettings, spacing_mm: Triple) -> None:
    """None: the response depends on the whole image."""


def prefix(params: SimoncelliSettings) -> str:
    """Of the columns: simoncelli-level-1-3D."""
    return named("simoncelli", f"level-{params.level}", params=params)


def meaning(params: SimoncelliSettings) -> str:
    """For the dictionary."""
    return f"band-pass map of level {params.level} of the Simoncelli wavelet, {where_said(params)}"

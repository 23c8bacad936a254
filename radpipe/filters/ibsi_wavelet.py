"""Separable wavelets, undecimated: one sub-band of a level, on the image's own grid; IBSI 2."""

from __future__ import annotations

import numpy as np
import pywt
from pydantic import Field, field_validator, model_validator

from radpipe.core.registry import nearest
from radpipe.filters.ibsi_common import (
    Chain,
    PooledSettings,
    Step,
    Triple,
    chain_reach,
    checked,
    named,
    pooled_separable,
    pooling_part,
    pooling_said,
    where_said,
)
from radpipe.typing import FloatArray, Volume


class WaveletSettings(PooledSettings):
    """The separable wavelet filter."""

    wavelet: str = "db3"
    """Name of a discrete wavelet as PyWavelets has it: haar, db2, coif1, sym4, ..."""
    subband: str = "LLH"
    """Low- (L) or high-pass (H) along x, y (and z in 3D) at ``level``; the levels before it are low-pass along all axes."""
    level: int = Field(default=1, ge=1, le=6)
    """Decomposition level; each doubles the length of the kernels."""

    @field_validator("wavelet")
    @classmethod
    def _known(cls, value: str) -> str:
        known = pywt.wavelist(kind="discrete")
        if value not in known:
            raise ValueError(f"there is no discrete wavelet named {value!r}.{nearest(value, known)}")
        return value

    @model_validator(mode="after")
    def _subband_fits(self) -> WaveletSettings:
        if len(self.subband) != len(self.axes) or set(self.subband) - set("LH"):
            raise ValueError(
                f"subband {self.subband!r} must be {len(self.axes)} letters L or H with dimension {self.dimension}"
                f" ({'LL, LH, HL, HH' if self.dimension == '2D' else 'LLL, LLH, ..., HHH'})"
            )
        return self


PARAMS = WaveletSettings


def chains_of(params: WaveletSettings) -> list[Chain]:
    """The convolutions along each of ``params.axes``: low-pass for the levels before the last, then the sub-band's letter."""
    wavelet = pywt.Wavelet(params.wavelet)
    taps = {"L": np.array(wavelet.dec_lo), "H": np.array(wavelet.dec_hi)}

    def step(letter: str, level: int) -> Step:
        # A trous: 2^(level-1) - 1 zeros behind every tap, the last one included, or the rotations' centres do not meet.
        spread = 2 ** (level - 1)
        kernel = np.zeros(taps[letter].size * spread)
        kernel[::spread] = taps[letter]
        return kernel, 0

    letters = reversed(params.subband)  # written x first, kept z first
    return [(*(step("L", level) for level in range(1, params.level)), step(letter, params.level)) for letter in letters]


def apply(voxels: Volume, params: WaveletSettings, spacing_mm: Triple) -> FloatArray:
    """(z, y, x) -> (z, y, x): the sub-band, in the image's unit times PyWavelets' gain (sqrt 2 a low-pass)."""
    return pooled_separable(checked(voxels, params, "wavelet"), chains_of(params), params)


def reach(params: WaveletSettings, spacing_mm: Triple) -> int:
    """Voxels around a voxel that its response depends on."""
    return max(chain_reach(chain) for chain in chains_of(params)) + params.level


def prefix(params: WaveletSettings) -> str:
    """Of the columns: wavelet-db3-LLH-level-1-average-3D."""
    level = f"level-{params.level}"
    wavelet = params.wavelet.replace(".", "-")
    return named("wavelet", wavelet, params.subband, level, pooling_part(params), params=params)


def meaning(params: WaveletSettings) -> str:
    """For the dictionary."""
    name = f"sub-band {params.subband} of level {params.level} of the undecimated {params.wavelet} wavelet"
    return f"{name}{pooling_said(params)}, {where_said(params)}"

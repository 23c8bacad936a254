"""Filters that are given in the frequency domain: the manual's grid of frequencies, padding, and the product of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from radpipe.filters.ibsi_common import Padding, padded
from radpipe.typing import FloatArray

# Frequencies along each filtered axis, 1 at half a cycle a voxel, shaped to be broadcast -> the filter's values there.
Spectrum = NDArray[np.float64] | NDArray[np.complex128]
Transfer = Callable[[Sequence[FloatArray]], Spectrum]
_PIECE = 1 << 21  # frequencies that are multiplied at a time: a few arrays of 16 to 32 MiB


def frequencies(n: int) -> FloatArray:
    """(n,) frequencies in the order of a discrete transform: from -1 to +1, both included, shifted so that the middle comes first.

    The consensus of IBSI 2 rests on this grid: for even n it has no frequency 0 and lies half a step beside that of numpy's
    fftfreq, with which response maps 8.a.2 and 8.a.3 come out 2.5 and 8 % off.
    """
    half = (n - 1) / 2.0
    return np.asarray(fft.ifftshift((np.arange(n) - half) / half), dtype=np.float64)


def extended(
    voxels: FloatArray, axes: Sequence[int], padding: Padding, at_least: int = 0
) -> tuple[FloatArray, tuple[slice, ...]]:
    """(voxels padded to twice their length along ``axes``, where the voxels lie in it); periodic ones need no more.

    Twice the length makes mirrored voxels periodic, which is what a discrete transform takes them for. at_least : voxels of
    padding on each side that another convolution needs before it.
    """
    if padding == "periodic":
        return voxels, (slice(None),) * 3
    widths, inside = [], []
    for axis, n in enumerate(voxels.shape):
        before = n // 2 if axis in axes else 0
        after = n - n // 2 if axis in axes else 0
        if axis in axes and padding != "mirror":
            before, after = max(before, at_least), max(after, at_least)
        widths.append((before, after))
        inside.append(slice(before, before + n))
    return padded(voxels, widths, padding), tuple(inside)


def padded_lengths(shape: Sequence[int], axes: Sequence[int], padding: Padding) -> list[int]:
    """The lengths along ``axes`` after :func:`extended`."""
    return [shape[axis] if padding == "periodic" else 2 * shape[axis] for axis in axes]


def multiplied(voxels: FloatArray, axes: Sequence[int], transfer: Transfer) -> FloatArray:
    """The real part of the filtered voxels. transfer : evaluated on the grid of frequencies along ``axes``, piece by piece."""
    if len(axes) == 2:
        response = np.empty_like(voxels)
        factor = _half_factor(voxels.shape[1:], transfer, slice(None))
        for index, plane in enumerate(voxels):
            response[index] = fft.irfftn(fft.rfftn(plane) * factor, s=plane.shape, overwrite_x=True)
        return response
    spectrum = fft.rfftn(voxels)
    some = max(1, _PIECE // (spectrum.shape[1] * spectrum.shape[2]))
    for first in range(0, spectrum.shape[0], some):
        part = slice(first, min(first + some, spectrum.shape[0]))
        spectrum[part] *= _half_factor(voxels.shape, transfer, part)
    return np.asarray(fft.irfftn(spectrum, s=voxels.shape, overwrite_x=True))


def _half_factor(shape: Sequence[int], transfer: Transfer, part: slice) -> Spectrum:
    """The transfer for the half of the spectrum that a transform of real voxels keeps; ``part`` of the first axis.

    On a grid that is not symmetric the response of real voxels has an imaginary part, which is dropped; the mean of a filter's
    value and the conjugate of that at the opposite frequency leaves it out from the start.
    """
    here, opposite = [], []
    for axis, n in enumerate(shape):
        grid = frequencies(n)
        back = grid[-np.arange(n) % n]
        keep = part if axis == 0 else slice(n // 2 + 1) if axis == len(shape) - 1 else slice(None)
        view = [1] * len(shape)
        view[axis] = -1
        here.append(grid[keep].reshape(view))
        opposite.append(back[keep].reshape(view))
    values: Spectrum = (transfer(here) + np.conj(transfer(opposite))) / 2.0
    return values


def radius_squared(grid: Sequence[FloatArray]) -> FloatArray:
    """Squared distance from frequency 0."""
    total: FloatArray = np.zeros(())
    for coordinate in grid:
        total = total + coordinate * coordinate
    return total

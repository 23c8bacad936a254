"""Filters that are given in the frequency domain: the manual's grid of frequencies, padding, and the product of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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


def padded_lengths(shape: Sequence[int], axes: Sequence[int], padding: Padding) -> list[int]:
    """The lengths along ``axes`` that are transformed: twice the image's, which makes mirrored voxels periodic, as a discrete
    transform takes them for; its own where padding is periodic."""
    return [shape[axis] if padding == "periodic" else 2 * shape[axis] for axis in axes]


def filtered(voxels: FloatArray, axes: Sequence[int], padding: Padding, transfer: Transfer, *, grown: int = 0) -> FloatArray:
    """The real part of the product of transforms, on the voxels' own grid.

    grown : voxels on each side along ``axes`` that are padding already (where another filter came first); they are cut off.
    An axis is padded just before it is transformed and cut just after, and the first one is done piece by piece: the spectrum
    of the padded volume, 8 times the image in each of several copies, is never held whole: all takes about 7 images.
    """
    sides = {axis: _Side.of(voxels.shape[axis], padding, grown) for axis in axes}
    if len(axes) == 2:
        response = np.empty((voxels.shape[0], sides[1].size, sides[2].size))
        factor = _half_factor([sides[1].length, sides[2].length], transfer)
        for index in range(len(voxels)):  # one plane after the other
            spectrum = _forward(voxels[index : index + 1], sides, padding)
            spectrum *= factor
            response[index] = _back(spectrum, sides)[0]
        return response
    spectrum = _forward(voxels, sides, padding)
    first = sides[0]
    lengths = [side.length for side in sides.values()]
    result = np.empty((first.size, *spectrum.shape[1:]), dtype=np.complex128) if grown else spectrum
    some = max(1, _PIECE // (first.length * spectrum.shape[2]))
    for start in range(0, spectrum.shape[1], some):
        part = slice(start, min(start + some, spectrum.shape[1]))
        piece = fft.fft(first.pad(spectrum[:, part], 0, padding), axis=0, overwrite_x=True)
        piece *= _half_factor(lengths, transfer, part)
        result[:, part] = fft.ifft(piece, axis=0, overwrite_x=True)[first.inside]
    return _back(result, sides)


@dataclass(frozen=True)
class _Side:
    """One filtered axis. before, after : voxels of padding still to add. inside : the image in the whole. length : of the whole."""

    before: int
    after: int
    inside: slice
    length: int

    @staticmethod
    def of(n: int, padding: Padding, grown: int) -> _Side:
        if padding == "periodic":
            return _Side(0, 0, slice(0, n), n)
        size = n - 2 * grown
        before, after = max(size // 2, grown), max(size - size // 2, grown)
        return _Side(before - grown, after - grown, slice(before, before + size), before + size + after)

    @property
    def size(self) -> int:
        """Of the image."""
        return int(self.inside.stop - self.inside.start)

    def pad(self, voxels: NDArray[Any], axis: int, padding: Padding) -> NDArray[Any]:
        widths = [(0, 0)] * voxels.ndim
        widths[axis] = (self.before, self.after)
        return padded(voxels, widths, padding)


def _forward(voxels: FloatArray, sides: dict[int, _Side], padding: Padding) -> NDArray[np.complex128]:
    """Transformed along x and y."""
    spectrum = fft.rfft(sides[2].pad(voxels, 2, padding), axis=2, overwrite_x=True)
    return np.asarray(fft.fft(sides[1].pad(spectrum, 1, padding), axis=1, overwrite_x=True))


def _back(spectrum: NDArray[np.complex128], sides: dict[int, _Side]) -> FloatArray:
    """Back along y and x, cut to the image."""
    spectrum = fft.ifft(spectrum, axis=1, overwrite_x=True)[:, sides[1].inside]
    return np.ascontiguousarray(fft.irfft(spectrum, sides[2].length, axis=2)[:, :, sides[2].inside])


def _half_factor(shape: Sequence[int], transfer: Transfer, part: slice = slice(None)) -> Spectrum:
    """The transfer for the half of the spectrum that a transform of real voxels keeps; ``part`` of the last axis but one.

    On a grid that is not symmetric the response of real voxels has an imaginary part, which is dropped; the mean of a filter's
    value and the conjugate of that at the opposite frequency leaves it out from the start.
    """
    here, opposite = [], []
    for axis, n in enumerate(shape):
        grid = frequencies(n)
        back = grid[-np.arange(n) % n]
        last = len(shape) - 1
        keep = slice(n // 2 + 1) if axis == last else part if axis == last - 1 else slice(None)
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

"""Filters that are given in the frequency domain: the manual's grid of frequencies, padding, and the product of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from radpipe.filters.ibsi_common import Padding, padded
from radpipe.typing import FloatArray, Volume

# Frequencies along each filtered axis, 1 at half a cycle a voxel, shaped to be broadcast -> the filter's values there.
Spectrum = NDArray[np.float64] | NDArray[np.complex128]
Transfer = Callable[[Sequence[FloatArray]], Spectrum]
_SHARE = 128  # one in so many frequencies along x is looked at at a time
_SPENT = 8  # planes that are let go together


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


def filtered(
    voxels: Volume, axes: Sequence[int], padding: Padding, transfer: Transfer, *, grown: int = 0, spend: bool = False
) -> FloatArray:
    """The real part of the product of transforms, on the voxels' own grid.

    grown : voxels on each side along ``axes`` that are padding already (where another filter came first); they are cut off.
    spend : voxels is an array of its own that nobody needs afterwards; in 3D it is left empty.
    Held, beside the voxels, is their transform along x: as much as the image in float64 where padding is periodic, twice as much
    with other padding. It is padded along y and z, and transformed along these, for a few of its frequencies at a time, so that
    the spectrum of the padded volume, 8 times the image, is never held whole. The response takes its place.
    """
    sides = {axis: _Side.of(voxels.shape[axis], padding, grown) for axis in axes}
    across, down = sides[2], sides[1]
    if len(axes) == 2:
        response = np.empty((len(voxels), down.size, across.size))
        factor = _half_factor([down.length, across.length], transfer)
        for index, plane in enumerate(voxels):  # one after the other
            spectrum = fft.fft(down.pad(_forward(plane, across, padding), 0, padding), axis=0, overwrite_x=True)
            spectrum *= factor
            response[index] = _back(fft.ifft(spectrum, axis=0, overwrite_x=True)[down.inside], across)
        return response
    through = sides[0]
    lengths = [through.length, down.length, across.length]
    depth, height, width = len(voxels), voxels.shape[1], across.length // 2 + 1
    room = np.empty(2 * depth * height * width)
    spectrum = room.view(np.complex128).reshape(depth, height, width)
    for index in reversed(range(depth)):
        spectrum[index] = _forward(voxels[index], across, padding)
        if spend and index % _SPENT == 0:
            voxels.resize((index, *voxels.shape[1:]), refcheck=False)
    abreast = max(1, width // _SHARE)
    for start in range(0, width, abreast):
        part = slice(start, start + abreast)
        piece = np.moveaxis(spectrum[:, :, part], 2, 0)  # (x, z, y)
        piece = fft.fft(down.pad(piece, 2, padding), axis=2)
        piece = fft.fft(through.pad(piece, 1, padding), axis=1, overwrite_x=True)
        piece *= _half_factor(lengths, transfer, part)
        piece = fft.ifft(piece, axis=1, overwrite_x=True)[:, through.inside]
        piece = fft.ifft(piece, axis=2, overwrite_x=True)[:, :, down.inside]
        spectrum[: through.size, : down.size, part] = np.moveaxis(piece, 0, 2)
    # A plane of the response is shorter than one of the spectrum: it is put where planes were that are back already.
    plane_size = down.size * across.size
    for index in range(through.size):
        plane = _back(spectrum[index, : down.size], across)
        room[index * plane_size : (index + 1) * plane_size] = plane.ravel()
    del spectrum
    room.resize(through.size * plane_size, refcheck=False)  # nothing looks into what is let go
    return room.reshape(through.size, down.size, across.size)


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


def _forward(plane: Volume, side: _Side, padding: Padding) -> NDArray[np.complex128]:
    """A plane (y, x) padded and transformed along x."""
    return np.asarray(fft.rfft(side.pad(plane.astype(np.float64), 1, padding), axis=1))


def _back(plane: NDArray[np.complex128], side: _Side) -> FloatArray:
    """A plane back along x, cut to the image."""
    return np.asarray(fft.irfft(plane, side.length, axis=1)[:, side.inside])


def _half_factor(shape: Sequence[int], transfer: Transfer, part: slice = slice(None)) -> Spectrum:
    """The transfer for the half of the spectrum that a transform of real voxels keeps: of a plane (y, x); of a volume, for ``part``
    of the frequencies along x, (x, z, y). shape : lengths along (z), y, x.

    On a grid that is not symmetric the response of real voxels has an imaginary part, which is dropped; the mean of a filter's
    value and the conjugate of that at the opposite frequency leaves it out from the start.
    """
    here, opposite = [], []
    last = len(shape) - 1
    for axis, n in enumerate(shape):
        grid = frequencies(n)
        back = grid[-np.arange(n) % n]
        if axis == last:
            grid, back = grid[: n // 2 + 1][part], back[: n // 2 + 1][part]
        view = [1] * len(shape)
        view[axis if len(shape) == 2 else (axis + 1) % 3] = -1
        here.append(grid.reshape(view))
        opposite.append(back.reshape(view))
    values: Spectrum = (transfer(here) + np.conj(transfer(opposite))) / 2.0
    return values


def radius_squared(grid: Sequence[FloatArray]) -> FloatArray:
    """Squared distance from frequency 0."""
    total: FloatArray = np.zeros(())
    for coordinate in grid:
        total = total + coordinate * coordinate
    return total

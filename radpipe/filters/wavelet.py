"""Wavelet: undecimated wavelet transform, all combinations of low (L) and high (H) pass along the axes.

PyRadiomics pads every axis to an even size by wrapping around, and takes the image to be periodic. Its levels are repeated
passes of the same filter over the last level's LL..L, not dilated ones. An axis along which the region is farther from both ends
of the image than the filter reaches is cut to the region and that reach; along any other whole lines go through, for at the
far end PyWavelets adds the terms in another order.
"""
# mypy: disallow-untyped-calls=False
# (PyWavelets has no type hints)

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
import pywt

from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings
from radpipe.typing import FloatArray, Volume

_CHUNK_VOXELS = 50_000


@dataclass(frozen=True)
class _Axis:
    """How one axis is cut. margin : voxels that one pass loses at either end; 0 where whole lines go through. box : where the
    region lies within what is left after the last pass."""

    margin: int
    box: slice

    def kept(self, size: int) -> slice:
        """Of a line of this size, what is right after one more pass."""
        return slice(self.margin, size - self.margin)

    def region(self, passes_left: int) -> slice:
        """The region's box in a line of which so many passes are to be made."""
        lost = self.margin * passes_left
        return slice(self.box.start + lost, self.box.stop + lost)


def prefixes(settings: FilterSettings) -> list[str]:
    """Details of every level, and the last level's approximation."""
    letters = 2 if settings.force2D else 3
    names = []
    for level in range(1, settings.level + 1):
        start = _name(level)
        names += [start + "".join(band) for band in product("LH", repeat=letters) if "H" in band]
    return [*names, _name(settings.level) + "L" * letters]


def _name(level: int) -> str:
    return "wavelet-" if level == 1 else f"wavelet{level}-"


def _named(start: str, band: tuple[str, Volume]) -> Response:
    return start + band[0], band[1]


def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
    """The responses in the dtype of PyWavelets: float32 for float32 images, else float64."""
    wavelet = pywt.Wavelet(settings.wavelet)
    passes = settings.start_level + settings.level
    filtered = tuple(axis for axis in (2, 1, 0) if not (settings.force2D and axis == settings.force2Ddimension))
    data, axes = _cut(scene, filtered, wavelet.dec_len, passes)
    lowest = "L" * len(filtered)
    for done in range(1, passes + 1):
        level = done - settings.start_level
        one = _Pass(scene, wavelet, filtered, axes)
        if level >= 1:
            box = [axis.region(passes - done + 1) for axis in axes]
            yield from map(partial(_named, _name(level)), one.details(data, box))  # which keeps none of them
        if done < passes:
            data = one.volume(data, lowest, [axis.kept(size) for axis, size in zip(axes, data.shape, strict=True)])
        else:
            yield from map(partial(_named, _name(settings.level)), one.bands(data, box, tuple(lowest[1:]), "L"))


def _cut(scene: Scene, filtered: tuple[int, ...], reach: int, passes: int) -> tuple[Volume, tuple[_Axis, ...]]:
    """What of the image bears on the region, with even sizes along the filtered axes."""
    data = scene.voxels
    axes = []
    for axis, (side, size) in enumerate(zip(scene.box, scene.voxels.shape, strict=True)):
        cut = [slice(None)] * 3
        margin = reach * passes
        uneven = (side.stop - side.start) % 2
        if axis not in filtered:
            cut[axis] = side
            axes.append(_Axis(0, slice(0, side.stop - side.start)))
        elif side.start >= margin and side.stop + margin + uneven <= size:
            cut[axis] = slice(side.start - margin, side.stop + margin + uneven)
            axes.append(_Axis(reach, slice(0, side.stop - side.start)))
        else:
            axes.append(_Axis(0, side))
        data = data[tuple(cut)]
    wrapped = [(0, size % 2 if axis in filtered and axes[axis].margin == 0 else 0) for axis, size in enumerate(data.shape)]
    if any(after for _, after in wrapped):
        data = np.pad(data, wrapped, "wrap")
    return data, (axes[0], axes[1], axes[2])


@dataclass(frozen=True)
class _Pass:
    """One pass along every filtered axis, the last of which is the slowest in memory. A few planes go through at a time, so that
    little more than one volume is held."""

    scene: Scene
    wavelet: pywt.Wavelet
    filtered: tuple[int, ...]
    axes: tuple[_Axis, ...]

    def details(self, data: Volume, box: list[slice]) -> Iterator[tuple[str, Volume]]:
        """(letters, (n,) response at the region's voxels), of all bands but the lowest. box : where the region lies in the data."""
        for letters in product("LH", repeat=len(self.filtered) - 1):
            yield from self.bands(data, box, letters, "LH" if "H" in letters else "H")

    def bands(self, data: Volume, box: list[slice], letters: tuple[str, ...], ends: str) -> Iterator[tuple[str, Volume]]:
        """Of the bands with these letters, those that end in one of ``ends``."""
        last = self.filtered[-1]
        volume = self._planes(data, letters, box, last)
        found = [("".join(letters) + end, self._at_region(volume, end, box, last)) for end in ends]
        del volume
        while found:
            yield found.pop(0)

    def volume(self, data: Volume, band: str, kept: list[slice]) -> Volume:
        """The response of one band in all voxels kept."""
        last = self.filtered[-1]
        volume = self._planes(data, tuple(band[:-1]), kept, last)
        if last != 0:
            return np.concatenate([self._along(volume[i : i + 1], last, band[-1], kept[last]) for i in range(len(volume))])
        return self._along(volume, 0, band[-1], kept[0])

    def _planes(self, data: Volume, letters: tuple[str, ...], wanted: list[slice], last: int) -> Volume:
        """The data after all axes but the last; cut to what is wanted along all but the last."""
        z, y, x = ((slice(None) if axis == last else side) for axis, side in enumerate(wanted))
        shape = [len(range(size)[side]) for size, side in zip(data.shape, (z, y, x), strict=True)]
        result = np.empty(shape, np.float32 if data.dtype == np.float32 else np.float64)
        given = data[z]
        sides = {2: x, 1: y}
        step = max(1, _CHUNK_VOXELS // (data.shape[1] * data.shape[2]))
        for start in range(0, len(given), step):
            planes = given[start : start + step]
            for axis in (2, 1):
                letter = dict(zip(self.filtered, letters, strict=False)).get(axis)
                keep: list[slice] = [slice(None)] * 3
                keep[axis] = sides[axis]
                planes = planes[tuple(keep)] if letter is None else self._along(planes, axis, letter, sides[axis])
            result[start : start + step] = planes
        return result

    def _at_region(self, volume: Volume, letter: str, box: list[slice], last: int) -> Volume:
        mask = self.scene.mask
        result = np.empty(np.count_nonzero(mask), volume.dtype)
        step = max(1, _CHUNK_VOXELS // (volume.shape[1] * volume.shape[2]))
        found = 0
        for start in range(0, len(mask), step):
            stop = min(start + step, len(mask))
            if last == 0:
                part = self._along(volume, 0, letter, slice(box[0].start + start, box[0].start + stop))
            else:
                part = self._along(volume[start:stop], last, letter, box[last])
            inside = part[mask[start:stop]]
            result[found : found + inside.size] = inside
            found += inside.size
        return result

    def _along(self, data: Volume, axis: int, letter: str, wanted: slice) -> Volume:
        """One pass along one axis, of which a part is wanted."""
        kind = np.float32 if data.dtype == np.float32 else np.float64
        compiled = self.scene.periodic_pass
        if compiled is None or data.shape[axis] < self.wavelet.dec_len:
            response: Volume = pywt.swt(data, self.wavelet, level=1, axis=axis)[0][letter == "H"]
            return response[(slice(None),) * axis + (wanted,)]
        before, after = data.shape[:axis], data.shape[axis + 1 :]
        lines: Volume = np.ascontiguousarray(data, kind).reshape(math.prod(before), data.shape[axis], math.prod(after))
        return compiled(lines, taps(self.wavelet.name, letter, kind), wanted.start, wanted.stop).reshape(
            *before, wanted.stop - wanted.start, *after
        )


@lru_cache(maxsize=64)
def taps(name: str, letter: str, kind: type[np.floating[Any]]) -> FloatArray:
    """(n,) of the low or high pass, as PyWavelets has them in this precision: some of its wavelets are scaled in float32, and
    their float32 taps are not the nearest to those it tells. So it is asked for its response to a single 1."""
    wavelet = pywt.Wavelet(name)
    n = wavelet.dec_len
    one = np.zeros(2 * n, kind)
    one[n] = 1
    response = pywt.swt(one, wavelet, level=1)[0][letter == "H"]
    return np.array(response[n - n // 2 : n - n // 2 + n])


def _told(prefix: str, settings: FilterSettings) -> str:
    name, band = prefix.split("-")
    axes = [
        letter for axis, letter in ((2, "x"), (1, "y"), (0, "z")) if not (settings.force2D and axis == settings.force2Ddimension)
    ]
    words = ", ".join(f"{'low' if kind == 'L' else 'high'} pass along {axis}" for kind, axis in zip(band, axes, strict=True))
    level = settings.start_level + int(name.removeprefix("wavelet") or 1)
    return f"the {settings.wavelet} wavelet response of level {level} ({words})"


WAVELET = ImageType(prefixes, respond, _told)

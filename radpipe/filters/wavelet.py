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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
            for letters in product("LH", repeat=len(filtered)):
                if "H" in letters:
                    yield _name(level) + "".join(letters), one.region(data, box, letters)
        if done < passes:
            data = one.volume(data, lowest, [axis.kept(size) for axis, size in zip(axes, data.shape, strict=True)])
        else:
            yield _name(settings.level) + lowest, one.region(data, box, tuple(lowest))


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
    no volume is held but what is asked for."""

    scene: Scene
    wavelet: pywt.Wavelet
    filtered: tuple[int, ...]
    axes: tuple[_Axis, ...]

    def region(self, data: Volume, box: list[slice], letters: tuple[str, ...]) -> Volume:
        """(n,) response of one band at the region's voxels. box : where the region lies in the data."""
        values = np.empty(int(np.count_nonzero(self.scene.mask)), _kind(data))
        filled = 0
        for planes, response in self._some_planes(data, letters, box):
            inside = response[self.scene.mask[planes]]
            values[filled : filled + inside.size] = inside
            filled += inside.size
        return values

    def volume(self, data: Volume, band: str, kept: list[slice]) -> Volume:
        """The response of one band in all voxels kept."""
        result = np.empty([side.stop - side.start for side in kept], _kind(data))
        for planes, response in self._some_planes(data, tuple(band), kept):
            result[planes] = response
        return result

    def _some_planes(self, data: Volume, letters: Sequence[str], wanted: list[slice]) -> Iterator[tuple[slice, Volume]]:
        """(planes of what is wanted, the response there), some planes at a time."""
        *letters, end = letters
        last, z, n = self.filtered[-1], wanted[0], len(data)
        step = max(1, _CHUNK_VOXELS // (data.shape[1] * data.shape[2]))
        if last != 0:
            for start in range(z.start, z.stop, step):
                stop = min(start + step, z.stop)
                planes = self._across(data[start:stop], letters, wanted)
                yield slice(start - z.start, stop - z.start), self._along(planes, last, end, wanted[last])
            return
        if not self._by_kernel(n):
            planes = self._across(data, letters, wanted)
            yield slice(0, z.stop - z.start), self._along(planes, 0, end, z)
            return
        after = self.wavelet.dec_len // 2  # planes that the response in a plane depends on
        before = self.wavelet.dec_len - 1 - after
        turn = min(max(n - after, z.start), z.stop)  # from here on these have come round, and are added in another order
        step = max(step, after)
        held: Volume | None = None
        for start in range(z.start, turn, step):
            stop = min(start + step, turn)
            unknown = np.arange(start - before if held is None else start + after, stop + after)
            planes = self._across(data.take(unknown, axis=0, mode="wrap"), letters, wanted)
            held = planes if held is None else np.concatenate([held[len(held) - before - after :], planes])
            own = slice(before, before + stop - start)
            yield slice(start - z.start, stop - z.start), self._along(held, 0, end, own)
        if turn < z.stop:
            held = self._across(data[np.r_[0:after, turn - before : n]], letters, wanted)
            own = slice(len(held) - (n - turn), len(held) - (n - z.stop))
            yield slice(turn - z.start, z.stop - z.start), self._along(held, 0, end, own)

    def _across(self, planes: Volume, letters: Sequence[str], wanted: list[slice]) -> Volume:
        """These planes after all axes but the last; cut to what is wanted along x and y, but for the last."""
        letter_of = dict(zip(self.filtered, letters, strict=False))
        for axis in (2, 1):
            if axis in letter_of:
                planes = self._along(planes, axis, letter_of[axis], wanted[axis])
            elif axis != self.filtered[-1]:
                planes = planes[(slice(None),) * axis + (wanted[axis],)]
        return planes

    def _by_kernel(self, size: int) -> bool:
        return self.scene.periodic_pass is not None and size >= self.wavelet.dec_len

    def _along(self, data: Volume, axis: int, letter: str, wanted: slice) -> Volume:
        """One pass along one axis, of which a part is wanted."""
        compiled = self.scene.periodic_pass
        if compiled is None or not self._by_kernel(data.shape[axis]):
            response: Volume = pywt.swt(data, self.wavelet, level=1, axis=axis)[0][letter == "H"]
            return response[(slice(None),) * axis + (wanted,)]
        before, after, kind = data.shape[:axis], data.shape[axis + 1 :], _kind(data)
        lines: Volume = np.ascontiguousarray(data, kind).reshape(math.prod(before), data.shape[axis], math.prod(after))
        return compiled(lines, taps(self.wavelet.name, letter, kind), wanted.start, wanted.stop).reshape(
            *before, wanted.stop - wanted.start, *after
        )


def _kind(data: Volume) -> Any:
    """PyWavelets' dtype."""
    return np.float32 if data.dtype == np.float32 else np.float64


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

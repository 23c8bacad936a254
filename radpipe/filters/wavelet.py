"""Wavelet: undecimated wavelet transform, all combinations of low (L) and high (H) pass along the axes.

PyRadiomics pads every axis to an even size by wrapping around, and takes the image to be periodic. Its levels are repeated
passes of the same filter over the last level's LL..L, not dilated ones. An axis along which the region is farther from both ends
of the image than the filter reaches is cut to the region and that reach; along any other whole lines go through, for at the
far end PyWavelets adds the terms in another order.
"""
# mypy: disallow-untyped-calls=False
# (PyWavelets has no type hints)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pywt

from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings
from radpipe.typing import BoolVolume, Volume


@dataclass(frozen=True)
class _Axis:
    """How one axis is cut. margin : voxels that one pass loses at either end; 0 where whole lines go through. box : where the
    region lies within what is left after the last pass."""

    margin: int
    box: slice


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
        last = done == passes
        approximation: Volume | None = None
        for band, part in _bands(data, wavelet, filtered, axes, scene.mask if last else None, ""):
            if band == lowest:
                approximation = part
            elif level < 1:
                break  # before start_level only the approximation is used, and it comes first
            else:
                yield _name(level) + band, part if last else part[_box(axes, passes - done)][scene.mask]
        assert approximation is not None
        data = approximation
    yield _name(settings.level) + lowest, data


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


def _bands(
    data: Volume, wavelet: pywt.Wavelet, filtered: tuple[int, ...], axes: tuple[_Axis, ...], mask: BoolVolume | None, band: str
) -> Iterator[tuple[str, Volume]]:
    """(letters, response) of one pass, one band after the other, so that few of them are in memory. mask : of the last pass, whose
    responses are wanted at the region's voxels only."""
    if not filtered:
        yield band, data
        return
    axis = filtered[0]
    low, high = pywt.swt(data, wavelet, level=1, axis=axis)[0]
    keep = [slice(None)] * 3
    margin = axes[axis].margin
    keep[axis] = slice(margin, low.shape[axis] - margin)
    low, high = low[tuple(keep)], high[tuple(keep)]
    if mask is not None:
        keep[axis] = axes[axis].box
        low, high = low[tuple(keep)], high[tuple(keep)]
        if len(filtered) == 1:
            low, high = low[mask], high[mask]
    del data
    yield from _bands(low, wavelet, filtered[1:], axes, mask, band + "L")
    del low
    yield from _bands(high, wavelet, filtered[1:], axes, mask, band + "H")


def _box(axes: tuple[_Axis, ...], passes_left: int) -> tuple[slice, ...]:
    """The region's box within a response after which this many passes are still to come."""
    if passes_left == 0:
        return (slice(None),) * 3
    return tuple(slice(a.box.start + a.margin * passes_left, a.box.stop + a.margin * passes_left) for a in axes)


def _told(prefix: str, settings: FilterSettings) -> str:
    name, band = prefix.split("-")
    axes = [
        letter for axis, letter in ((2, "x"), (1, "y"), (0, "z")) if not (settings.force2D and axis == settings.force2Ddimension)
    ]
    words = ", ".join(f"{'low' if kind == 'L' else 'high'} pass along {axis}" for kind, axis in zip(band, axes, strict=True))
    level = settings.start_level + int(name.removeprefix("wavelet") or 1)
    return f"the {settings.wavelet} wavelet response of level {level} ({words})"


WAVELET = ImageType(prefixes, respond, _told)

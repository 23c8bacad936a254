"""From image and mask to what IBSI features are computed on: resample, round, resegment; two masks.

The order is the reference manual's (doi:10.1148/radiol.2020191145, chapter "Image processing"): interpolate image and mask,
round the image where it is on a scale of whole numbers, then resegment. The *morphological* mask is the interpolated one;
the *intensity* mask is what range and outlier resegmentation leave of it. Both are judged on the interpolated mask.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError
from radpipe.features.ibsi import sums
from radpipe.features.ibsi.parameters import IbsiParameters
from radpipe.features.region import Box, bounding_box
from radpipe.typing import BoolVolume, FloatArray, IntArray, Volume

Interpolation = Literal["nearest", "linear", "cubic"]
Triple = tuple[float, float, float]
WHOLE: Box = (slice(None), slice(None), slice(None))
# A cubic spline's coefficients feel every voxel of a line, each step away by 0.268 less: 40 steps are 1e-23.
_REACH = {"nearest": 1, "linear": 1, "cubic": 40}
_ABREAST = 8  # planes that are interpolated at a time
# 0.5 of a voxel comes out of sums of weights as 0.49999999999.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Prepared:
    """voxels : (z, y, x), resampled (float64; else in the image's dtype, a part of the image itself) and rounded. morphological,
    intensity : (z, y, x) bool, before and after resegmentation. spacing_mm : (z, y, x), mm."""

    voxels: Volume
    morphological: BoolVolume
    intensity: BoolVolume
    spacing_mm: Triple

    def box(self, margin_mm: float = 0.0) -> Box:
        """The morphological mask's box, widened by margin_mm on every side as far as the image goes."""
        by = [math.ceil(margin_mm / size) for size in self.spacing_mm]
        return widened(bounding_box(self.morphological), self.voxels.shape, by)

    def cropped(self, margin_mm: float = 0.0) -> Prepared:
        """Cut to :meth:`box`."""
        box = self.box(margin_mm)
        return Prepared(self.voxels[box], self.morphological[box], self.intensity[box], self.spacing_mm)


def prepare(image: Image, mask: Mask, parameters: IbsiParameters, *, margin_mm: float | None = None) -> Prepared:
    """Everything before the filter and the features.

    margin_mm : keep only the region's box and this much around it, exactly as cut from the whole; None keeps the whole image
    (a filter may look at all of it). EmptyRoiError: nothing is left. FileProblem: NaN or infinite intensities in the region.
    GeometryError: image and mask differ in size.
    """
    if image.grid.shape != mask.grid.shape:
        raise GeometryError(
            f"the image has {image.grid.shape} voxels, the mask {mask.grid.shape} (z, y, x).",
            hint="Bring the mask to the image's grid.",
        )
    refuse_undefined(image.voxels, mask.voxels)
    old = image.grid.spacing_mm
    voxels: Volume = image.voxels
    morphological, spacing = mask.voxels, old
    resample = parameters.resample
    if resample is not None:
        spacing = resample.spacing_zyx(old, parameters.dimension)
        window = WHOLE
        if margin_mm is not None:
            window = output_window(bounding_box(mask.voxels), mask.voxels.shape, old, spacing, margin_mm)
        morphological = interpolate_mask(mask.voxels, old, spacing, resample.mask_interpolation, resample.mask_threshold, window)
        voxels = interpolate(voxels, old, spacing, resample.interpolation, window)
        if not morphological.any():
            raise EmptyRoiError(
                f"no voxel of the region is left at {spacing} mm (z, y, x).",
                hint="Use a smaller resample.spacing_mm, or exclude the case.",
            )
        refuse_undefined(voxels, morphological)
    elif margin_mm is not None:
        box = widened(bounding_box(morphological), voxels.shape, [math.ceil(margin_mm / s) for s in spacing])
        voxels, morphological = voxels[box], morphological[box]
    if parameters.round_intensities and voxels.dtype.kind == "f":
        voxels = np.rint(voxels, out=voxels if resample is not None and voxels.flags.writeable else None)
    intensity = resegment(voxels, morphological, parameters.resegment_range, parameters.outlier_sigma)
    return Prepared(voxels, morphological, intensity, spacing)


def all_finite(voxels: Volume) -> bool:
    """Looked at plane by plane."""
    return voxels.dtype.kind != "f" or all(bool(np.isfinite(plane).all()) for plane in voxels)


def refuse_undefined(voxels: Volume, mask: BoolVolume) -> None:
    """FileProblem where the region holds NaN or infinite intensities; EmptyRoiError where it is empty."""
    box = bounding_box(mask)
    if voxels.dtype.kind != "f":
        return
    inside = mask[box]
    bad = sum(int(np.count_nonzero(~np.isfinite(plane[part]))) for plane, part in zip(voxels[box], inside, strict=True))
    if bad:
        raise FileProblem(
            f"{bad} of the region's {np.count_nonzero(inside)} voxels are NaN or infinite.",
            hint="Mend the image, or cut these voxels from the mask.",
        )


def resampled_axis(n: int, old_mm: float, new_mm: float) -> FloatArray:
    """Places of the new voxel centres along one axis, in indices of the old grid.

    The new grid has ceil(n * old / new) voxels and shares its centre with the old one (manual, "Interpolation").
    """
    if old_mm == new_mm:
        return np.arange(n, dtype=np.float64)
    ratio = new_mm / old_mm
    size = math.ceil(round(n * old_mm / new_mm, 9))
    return np.asarray(0.5 * (n - 1) - 0.5 * (size - 1) * ratio + np.arange(size) * ratio, dtype=np.float64)


def interpolate(
    voxels: Volume, spacing_mm: Sequence[float], new_mm: Sequence[float], method: Interpolation, window: Box = WHOLE
) -> FloatArray:
    """(z, y, x) on the new grid, float64. window : the part of the new grid that is wanted; the same values as in the whole.

    nearest, linear, or cubic (interpolating B-spline). Axes whose spacing stays are not touched. Outside the old grid, up to
    half a new voxel, the outermost voxels go on (linear, nearest) or are mirrored (cubic). FileProblem: NaN or infinite voxels
    with cubic.
    """
    places = [
        resampled_axis(n, old, new)[part] for n, old, new, part in zip(voxels.shape, spacing_mm, new_mm, window, strict=True)
    ]
    reach = _REACH[method]
    starts, cut = [], []
    for place, n in zip(places, voxels.shape, strict=True):
        first = max(math.floor(place[0]) - reach, 0)
        starts.append(first)
        cut.append(slice(first, min(math.ceil(place[-1]) + reach + 1, n)))
    source = voxels[tuple(cut)]
    if method == "cubic" and not all_finite(source):
        raise FileProblem(
            "the image has NaN or infinite voxels, which a cubic spline spreads along whole lines.",
            hint="Mend the image, or set interpolation: linear.",
        )

    def along(piece: Volume, axis: int) -> Volume:
        if spacing_mm[axis] == new_mm[axis]:
            low = round(places[axis][0]) - starts[axis]
            return piece[(*[slice(None)] * axis, slice(low, low + places[axis].size))]
        return _along(piece.astype(np.float64, copy=False), axis, places[axis], starts[axis], voxels.shape[axis], method)

    # The axis that shrinks most goes first: less is left for the others. Two axes are done for a few planes across the third, so
    # that of what lies between them nothing is held but these.
    first, second, third = sorted(range(3), key=lambda axis: places[axis].size / source.shape[axis])
    shape = [source.shape[axis] if axis == third else places[axis].size for axis in range(3)]
    with np.errstate(invalid="ignore"):  # infinite voxels far from the region are none of its business
        between = np.empty(shape)
        for part in _planes(source.shape[third], third):
            between[part] = along(along(source[part], first), second)
        if spacing_mm[third] == new_mm[third]:
            return np.asarray(along(between, third))
        shape[third] = places[third].size
        result = np.empty(shape)
        for part in _planes(shape[first], first):
            result[part] = along(between[part], third)
    return result


def _planes(n: int, axis: int) -> Iterator[tuple[slice, ...]]:
    """Index of a few planes across the axis, 0 .. n."""
    return ((*[slice(None)] * axis, slice(start, start + _ABREAST)) for start in range(0, n, _ABREAST))


def interpolate_mask(
    mask: BoolVolume,
    spacing_mm: Sequence[float],
    new_mm: Sequence[float],
    method: Interpolation,
    threshold: float,
    window: Box = WHOLE,
) -> BoolVolume:
    """(z, y, x) bool on the new grid: inside where at least ``threshold`` of the interpolated mask is."""
    share = interpolate(mask, spacing_mm, new_mm, method, window)
    return np.asarray(share >= threshold - _ROUNDING)


def _along(voxels: FloatArray, axis: int, places: FloatArray, start: int, size: int, method: Interpolation) -> FloatArray:
    """Interpolate along one axis. voxels : begin at index ``start`` of an axis of ``size`` voxels. places : of the whole axis."""
    if method == "cubic" and voxels.shape[axis] > 1:
        voxels = np.asarray(ndimage.spline_filter1d(voxels, 3, axis=axis, output=np.float64, mode="mirror"))
    taps, weights = _taps(places, size, method)
    taps = taps - start
    shape = [1, 1, 1]
    shape[axis] = places.size
    result: FloatArray = np.take(voxels, taps[0], axis=axis)
    if len(taps) > 1:
        result = result * weights[0].reshape(shape)
    for tap, weight in zip(taps[1:], weights[1:], strict=True):
        result += np.take(voxels, tap, axis=axis) * weight.reshape(shape)
    return result


def _taps(places: FloatArray, size: int, method: Interpolation) -> tuple[IntArray, FloatArray]:
    """(taps, n) indices and weights of what every new voxel is made of."""
    if method == "nearest":
        # A place in the middle of two voxels takes the later one, whatever rounding made of it.
        near = np.floor(places + 0.5 + _ROUNDING).astype(np.int64)
        return np.clip(near, 0, size - 1)[None], np.ones((1, places.size))
    if method == "linear":
        inside = np.clip(places, 0.0, size - 1.0)
        low = np.minimum(np.floor(inside).astype(np.int64), max(size - 2, 0))
        share = inside - low
        return np.stack([low, np.minimum(low + 1, size - 1)]), np.stack([1.0 - share, share])
    low = np.floor(places).astype(np.int64)
    t = places - low
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6.0
    taps = low + np.arange(-1, 3)[:, None]
    if size == 1:
        return np.zeros_like(taps), weights
    period = 2 * (size - 1)
    taps = np.abs(taps) % period
    return np.minimum(taps, period - taps), weights


def output_window(box: Box, shape: Sequence[int], old_mm: Sequence[float], new_mm: Sequence[float], margin_mm: float) -> Box:
    """The part of the new grid that holds whatever becomes of the old grid's ``box``, and margin_mm around it."""
    window = []
    for side, n, old, new in zip(box, shape, old_mm, new_mm, strict=True):
        places = resampled_axis(n, old, new)
        reach = 2.0 + margin_mm / old
        near = np.flatnonzero((places >= side.start - reach) & (places <= side.stop - 1 + reach))
        if near.size == 0:  # a new voxel so large that none of its centres lies near the box
            near = np.array([int(np.argmin(np.abs(places - 0.5 * (side.start + side.stop - 1))))])
        window.append(slice(int(near[0]), int(near[-1]) + 1))
    return window[0], window[1], window[2]


def widened(box: Box, shape: Sequence[int], by: Sequence[int]) -> Box:
    """The box with ``by`` more voxels on both sides of every axis, as far as the image goes."""
    sides = [slice(max(side.start - more, 0), min(side.stop + more, n)) for side, n, more in zip(box, shape, by, strict=True)]
    return sides[0], sides[1], sides[2]


def resegment(
    voxels: Volume,
    mask: BoolVolume,
    limits: tuple[float | None, float | None] | None,
    outlier_sigma: float | None,
) -> BoolVolume:
    """The intensity mask: voxels of the mask within ``limits`` (inclusive) and within outlier_sigma standard deviations of the mean.

    Mean and standard deviation (over n) are those of the mask before the range is applied (manual, "Re-segmentation").
    EmptyRoiError where no voxel is left.
    """
    if limits is None and outlier_sigma is None:
        return mask
    box = bounding_box(mask)
    part = mask[box].copy()
    values = voxels[box][part].astype(np.float64, copy=False)
    keep = np.ones(values.size, dtype=bool)
    said = []
    if limits is not None:
        low, high = limits
        if low is not None:
            keep &= values >= low
        if high is not None:
            keep &= values <= high
        said.append(f"range {low} to {high}")
    if outlier_sigma is not None:
        mean = float(values.mean())
        deviation = math.sqrt(sums.mean(lambda piece: np.square(values[piece] - mean), values.size))
        keep &= (values >= mean - outlier_sigma * deviation) & (values <= mean + outlier_sigma * deviation)
        said.append(f"{outlier_sigma:g} standard deviations around {mean:.6g}")
    if not keep.any():
        raise EmptyRoiError(
            f"resegmentation ({'; '.join(said)}) leaves none of {values.size} voxels, which lie in "
            f"{values.min():.6g} to {values.max():.6g}.",
            hint="Widen resegment_range, or exclude the case.",
        )
    part[part] = keep
    result = np.zeros_like(mask)
    result[box] = part
    return result

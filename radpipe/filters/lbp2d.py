"""LBP2D: local binary patterns, plane by plane: which neighbours on a circle are at least as bright as the centre.

Ojala 2002, doi:10.1109/TPAMI.2002.1017623; nri_uniform: Ahonen 2006, doi:10.1109/TPAMI.2006.244. Neighbours between voxels
are interpolated linearly, those outside the image are 0. As PyRadiomics does it with scikit-image, the patterns are written in
the image's dtype: the patterns of an image of bytes are cut to bytes, and a variance to a whole number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings
from radpipe.typing import BoolVolume, FloatArray, Volume

_CHUNK_VOXELS = 20_000


def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
    """One response; its planes lie across force2Ddimension, also where force2D is off."""
    reach = math.ceil(settings.lbp2DRadius) + 1
    part, inside = scene.around(reach)
    result: Volume = np.zeros(scene.mask.shape, scene.voxels.dtype)
    # PyRadiomics exchanges the axis with the first one, so along y the rows are z, and along x the columns are z.
    across = settings.force2Ddimension
    order = [0, 1, 2]
    order[0], order[across] = order[across], order[0]
    out, sides, boxes = result.transpose(order), [inside[axis] for axis in order], [scene.box[axis] for axis in order]
    given = part.transpose(order)[sides[0]]
    # Each plane with a margin of the reach on every side; zeros where the image ends.
    depth, *shape = out.shape
    target = [slice(reach - side.start, reach - side.start + size) for side, size in zip(sides[1:], given.shape[1:], strict=True)]
    rows, columns = (size + 2 * reach for size in shape)
    step = max(1, _CHUNK_VOXELS // (rows * columns))
    for first in range(0, depth, step):
        chunk = slice(first, first + step)
        planes = np.zeros((min(step, depth - first), rows, columns))
        planes[:, target[0], target[1]] = given[chunk]
        start = (boxes[1].start, boxes[2].start)
        found = patterns(planes, reach, start, settings.lbp2DSamples, settings.lbp2DRadius, settings.lbp2DMethod)
        with np.errstate(invalid="ignore"):
            out[chunk] = found.astype(out.dtype)
    yield "lbp-2D", result[scene.mask]


def patterns(planes: FloatArray, margin: int, start: tuple[int, int], samples: int, radius: float, method: str) -> FloatArray:
    """(n, rows, columns) of the patterns' numbers; NaN beside a hole in the image, and where a variance is 0.

    planes : (n, rows + 2 margin, columns + 2 margin). start : row and column of the first voxel in the whole image; weights of
    interpolation are rounded as they are there, for a neighbour as bright as the centre is told by the last digit.
    """
    rows, columns = planes.shape[1] - 2 * margin, planes.shape[2] - 2 * margin
    centre = planes[:, margin : margin + rows, margin : margin + columns]
    turns = 2 * np.pi * np.arange(samples, dtype=np.float64) / samples
    down, right = np.round(-radius * np.sin(turns), 5), np.round(radius * np.cos(turns), 5)
    shape = centre.shape
    if method == "var":
        total, squares = np.zeros(shape), np.zeros(shape)
        for k in range(samples):
            neighbour = _at(planes, margin, start, down[k], right[k])
            total += neighbour
            squares += neighbour * neighbour
        variance = (squares - (total * total) / samples) / samples
        variance[variance == 0] = np.nan
        return variance
    ones = np.empty((samples, *shape), bool)
    hole = np.zeros(shape, bool)
    whole = bool(np.isfinite(planes).all())
    for k in range(samples):
        with np.errstate(invalid="ignore"):
            neighbour = _at(planes, margin, start, down[k], right[k])
            ones[k] = neighbour - centre >= 0
        if not whole:
            hole |= ~np.isfinite(neighbour)
    found = _numbers(ones, method)
    found[hole] = np.nan  # a hole in the image is not dark
    return found


def _numbers(ones: BoolVolume, method: str) -> FloatArray:
    """The pattern of ones (samples, ...) as a number (...)."""
    samples = len(ones)
    if method in ("default", "ror"):
        return _as_number(ones, rotate=method == "ror")
    changes = np.count_nonzero(ones[1:] != ones[:-1], axis=0)
    count = np.count_nonzero(ones, axis=0)
    if method == "uniform":
        return np.where(changes <= 2, count, samples + 1).astype(np.float64)
    first_one, first_zero = ones.argmax(axis=0), (~ones).argmax(axis=0)
    turned = np.where(first_one == 0, count - first_zero, samples - first_one)
    number = 1 + (count - 1) * samples + turned
    number = np.where(count == 0, 0, np.where(count == samples, samples * (samples - 1) + 1, number))
    return np.where(changes <= 2, number, samples * (samples - 1) + 2).astype(np.float64)


def _at(planes: FloatArray, margin: int, start: tuple[int, int], down: float, right: float) -> FloatArray:
    """The planes at this offset from every voxel, interpolated linearly along columns, then along rows."""
    places = []
    for axis, (origin, offset) in enumerate(zip(start, (down, right), strict=True), 1):
        size = planes.shape[axis] - 2 * margin
        at = np.arange(origin, origin + size) + offset
        below, above = np.floor(at), np.ceil(at)
        low, high = (int(side[0]) - origin + margin for side in (below, above))
        places.append((slice(low, low + size), slice(high, high + size), at - below))
    (top, bottom, part_down), (left, right_, part_right) = places
    if not part_down.any() and not part_right.any():
        return planes[:, top, left]
    d, r = part_down[None, :, None], part_right[None, None, :]
    upper = (1 - r) * planes[:, top, left] + r * planes[:, top, right_]
    lower = (1 - r) * planes[:, bottom, left] + r * planes[:, bottom, right_]
    return np.asarray((1 - d) * upper + d * lower)


def _as_number(ones: BoolVolume, *, rotate: bool) -> FloatArray:
    """Bits, the first the least, as a whole number; rotate : the least number that turning the bits gives."""
    samples = len(ones)
    number = np.zeros(ones.shape[1:], np.int64)
    for k in range(samples):
        number |= ones[k].astype(np.int64) << k
    least = number
    if rotate:
        for _ in range(1, samples):
            number = (number >> 1) | ((number & 1) << (samples - 1))
            least = np.minimum(least, number)
    return least.astype(np.float64)


def _told(prefix: str, settings: FilterSettings) -> str:
    axis = "zyx"[settings.force2Ddimension]
    return (
        f"local binary patterns ({settings.lbp2DMethod}) of {settings.lbp2DSamples} neighbours (radius {settings.lbp2DRadius:g}, "
        f"in voxels) in the planes across {axis}"
    )


LBP2D = ImageType(lambda settings: ["lbp-2D"], respond, _told, keeps_unit=False)

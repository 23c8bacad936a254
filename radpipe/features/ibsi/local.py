"""Local intensity: the mean intensity in a sphere of 1 cm3 (IBSI 9ST6). The sphere takes voxels outside the region, too.

Frings 2014, doi:10.1148/radiol.14131012.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from radpipe.features.region import bounding_box
from radpipe.typing import BoolVolume, FloatArray, Volume

_LEAST_BLOCK = 36  # voxels a side
RADIUS_MM = 10.0 * (3.0 / (4.0 * math.pi)) ** (1.0 / 3.0)


def compute(voxels: Volume, mask: BoolVolume, spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    """Both features. voxels : (z, y, x), the region's box with at least RADIUS_MM around it where the image goes so far.

    mask : (z, y, x), the intensity mask. Voxels beyond the image's edge, and those that are NaN or infinite, do not count.
    """
    highest = max(float(plane[inside].max()) for plane, inside in zip(voxels, mask, strict=True) if inside.any())
    local, everywhere = -math.inf, -math.inf
    for peaks, values in sphere_means(voxels, mask, spacing_mm):
        everywhere = max(everywhere, float(peaks.max()))
        at_highest = peaks[values == highest]
        if at_highest.size:
            local = max(local, float(at_highest.max()))
    return {"LocalIntensityPeak": local, "GlobalIntensityPeak": everywhere}


def sphere(spacing_mm: tuple[float, float, float]) -> BoolVolume:
    """(z, y, x) voxels whose centres lie within the radius of the middle one's."""
    reach = [math.floor(RADIUS_MM / size) for size in spacing_mm]
    axes = [np.arange(-n, n + 1) * size for n, size in zip(reach, spacing_mm, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return np.asarray(z * z + y * y + x * x <= RADIUS_MM**2)


def sphere_means(
    voxels: Volume, mask: BoolVolume, spacing_mm: tuple[float, float, float]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """(mean intensity in the sphere around, intensity) of the voxels of the mask, block by block, (n,) each.

    Blocks, of the region's box, are as large as makes a transform worth its while, and read the sphere's radius more on every
    side. Intensities are taken relative to their middle, so that the transform's rounding is small against their spread.
    """
    kernel = sphere(spacing_mm)
    reach = [size // 2 for size in kernel.shape]
    box = bounding_box(mask)
    middle = _middle(voxels, mask)
    sides = [list(_cuts(side.start, side.stop, max(_LEAST_BLOCK, 3 * far))) for side, far in zip(box, reach, strict=True)]
    transformed: dict[tuple[int, ...], NDArray[np.complex128]] = {}
    for block in itertools.product(*sides):
        inside = mask[block]
        if not inside.any():
            continue
        around = tuple(
            slice(max(side.start - far, 0), min(side.stop + far, n))
            for side, far, n in zip(block, reach, voxels.shape, strict=True)
        )
        piece = voxels[around].astype(np.float64)
        known = np.isfinite(piece)
        piece -= middle
        piece[~known] = 0.0
        # Long enough for the kernel, and for one reach of zeros behind the piece: what wraps around meets only these.
        shape = tuple(fft.next_fast_len(max(n + far, 2 * far + 1), real=True) for n, far in zip(piece.shape, reach, strict=True))
        if shape not in transformed:
            transformed[shape] = fft.rfftn(_wrapped(kernel, shape))
        cut = tuple(slice(side.start - whole.start, side.stop - whole.start) for side, whole in zip(block, around, strict=True))
        sums = _convolved(piece, transformed[shape], shape)[cut][inside]
        full = all(
            side.stop - side.start == b.stop - b.start + 2 * far for side, b, far in zip(around, block, reach, strict=True)
        )
        if full and known.all():
            counts: FloatArray | float = float(np.count_nonzero(kernel))
        else:
            counts = np.rint(_convolved(known.astype(np.float64), transformed[shape], shape)[cut][inside])
        yield middle + sums / counts, voxels[block][inside].astype(np.float64)


def _convolved(piece: FloatArray, transformed: NDArray[np.complex128], shape: tuple[int, ...]) -> FloatArray:
    spectrum = fft.rfftn(piece, shape)
    spectrum *= transformed
    return np.asarray(fft.irfftn(spectrum, shape, overwrite_x=True))


def _wrapped(kernel: BoolVolume, shape: tuple[int, ...]) -> FloatArray:
    """The kernel with its middle at index 0."""
    whole = np.zeros(shape)
    whole[tuple(slice(n) for n in kernel.shape)] = kernel
    return np.roll(whole, [-(n // 2) for n in kernel.shape], axis=(0, 1, 2))


def _cuts(start: int, stop: int, most: int) -> Iterator[slice]:
    """start .. stop in pieces of nearly one size, none longer than ``most``."""
    count = math.ceil((stop - start) / most)
    edges = [start + (stop - start) * k // count for k in range(count + 1)]
    return (slice(first, last) for first, last in itertools.pairwise(edges))


def _middle(voxels: Volume, mask: BoolVolume) -> float:
    """Of the lowest and the highest intensity in the mask."""
    planes = [plane[inside] for plane, inside in zip(voxels, mask, strict=True) if inside.any()]
    return 0.5 * min(float(values.min()) for values in planes) + 0.5 * max(float(values.max()) for values in planes)

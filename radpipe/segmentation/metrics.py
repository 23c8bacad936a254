"""How well two outlines agree, and how well one does without looking at the image."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from radpipe.errors import EmptyRoiError
from radpipe.typing import BoolVolume, FloatArray

NO_LOOK_FILL = 0.65


def dice(a: BoolVolume, b: BoolVolume) -> float:
    """2 |a and b| / (|a| + |b|), 0 to 1; two empty masks agree and give 1. Dice 1945, doi:10.2307/1932409."""
    a, b = _pair(a, b)
    total = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / total if total else 1.0


def hausdorff95_mm(a: BoolVolume, b: BoolVolume, spacing_mm: tuple[float, float, float]) -> float:
    """95 % Hausdorff distance of two masks (z, y, x), mm.

    Surfaces are the mask voxels with a neighbour (of 6) outside the mask or the image; distances are between voxel centres.
    The larger of the two directed 95th percentiles (linear between ranks), as MONAI's ``compute_hausdorff_distance`` has it.
    EmptyRoiError where one is empty: there is no distance to nothing. Huttenlocher 1993, doi:10.1109/34.232073.
    """
    a, b = _pair(a, b)
    if not (a.any() and b.any()):
        raise EmptyRoiError(
            "a Hausdorff distance needs two masks with at least one voxel each.", hint="Count an empty outline as a failed case."
        )
    # Outside the box around both masks there is neither surface nor nearest surface point: cut, then both distances are cheap.
    box = ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = a[box], b[box]
    return max(_directed(a, b, spacing_mm), _directed(b, a, spacing_mm))


def no_look_ellipsoid(shape: tuple[int, int, int], fill: float = NO_LOOK_FILL) -> BoolVolume:
    """The outline of someone who does not look: an ellipsoid in the middle of the image, (z, y, x) bool.

    fill : its axes as a share of the image's. The default is the share that agrees best with the given outlines of the embedded
    cohort (mean Dice 0.50 there), so this baseline knows even the average lesion: a network must beat it to have seen anything.
    A voxel belongs to it when its centre does; the middle voxel always does.
    """
    radii = [max(fill * n / 2.0, 0.5) for n in shape]
    axes: list[FloatArray] = [((np.arange(n) - (n - 1) / 2.0) / radius) ** 2 for n, radius in zip(shape, radii, strict=True)]
    inside: BoolVolume = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] <= 1.0
    if not inside.any():
        inside[tuple((n - 1) // 2 for n in shape)] = True
    return inside


def _pair(a: BoolVolume, b: BoolVolume) -> tuple[BoolVolume, BoolVolume]:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != bool or b.dtype != bool:
        raise ValueError(f"two bool masks of one shape are compared, not {a.shape} {a.dtype} and {b.shape} {b.dtype}")
    return a, b


def _surface(mask: BoolVolume) -> BoolVolume:
    return mask & ~ndimage.binary_erosion(mask)


def _directed(a: BoolVolume, b: BoolVolume, spacing_mm: tuple[float, float, float]) -> float:
    to_b = ndimage.distance_transform_edt(~_surface(b), sampling=spacing_mm)
    return float(np.percentile(to_b[_surface(a)], 95))

"""Outlines as another reader, or the same one tomorrow, might have drawn them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage

from radpipe.core.image import Mask
from radpipe.errors import EmptyRoiError
from radpipe.typing import FloatArray

Change = Literal["translation", "rotation", "volume", "contour"]
MARGIN_MM = 10.0


def perturb_mask(mask: Mask, change: Change, amount: float, chance: np.random.Generator) -> Mask:
    """The mask on its own grid, changed a little.

    translation : moved by ``amount`` voxels in a random direction. rotation : turned by ``amount`` degrees, to either side, about the z
    axis through its middle. volume : grown or shrunk along its distance, by a random fraction up to ``amount``. contour : every
    part of the contour moves in or out by a smooth random field with a standard deviation of ``amount`` mm, at the same volume.
    Moved and turned masks are interpolated linearly and cut at a half. EmptyRoiError where nothing is left.
    After Zwanenburg 2019, doi:10.1038/s41598-018-36938-4, who moves and turns image and mask together and draws contours anew by
    supervoxels; here only the outline changes, and the contour by a random field.
    """
    box = _box(mask)
    inside = mask.voxels[box].astype(np.float64)
    spacing = np.asarray(mask.grid.spacing_mm, dtype=float)
    if change == "translation":
        direction = chance.normal(size=3)
        new = ndimage.shift(inside, amount * direction / np.linalg.norm(direction), order=1) >= 0.5
    elif change == "rotation":
        new = _turned(inside, np.deg2rad(amount) * chance.choice([-1.0, 1.0]), spacing) >= 0.5
    else:
        distance = _signed_distance(inside > 0, spacing)
        size = float(inside.sum())
        if change == "volume":
            size *= 1 + chance.uniform(-amount, amount)
        else:
            distance = distance + amount * _field(inside.shape, spacing, chance)
        new = np.zeros(inside.size, bool)
        new[np.argsort(distance, axis=None, kind="stable")[: max(1, round(size))]] = True
        new = new.reshape(inside.shape)
    if not new.any():
        raise EmptyRoiError(
            f"nothing is left of the outline after its {change}.",
            hint="Choose smaller selection.robustness, or leave the change out.",
        )
    voxels = np.zeros_like(mask.voxels)
    voxels[box] = new
    return Mask(mask.grid, voxels)


def _box(mask: Mask) -> tuple[slice, slice, slice]:
    """Around the region with room for the change, within the image: a whole CT need not be turned for a nodule."""
    found = []
    for axis, spacing in enumerate(mask.grid.spacing_mm):
        used = np.flatnonzero(mask.voxels.any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(used):
            raise EmptyRoiError("the outline is empty.", hint="Draw it, or leave the case out.")
        margin = int(np.ceil(MARGIN_MM / spacing)) + 2
        found.append(slice(max(0, int(used[0]) - margin), int(used[-1]) + margin + 1))
    return (found[0], found[1], found[2])


def _signed_distance(inside: np.ndarray, spacing: FloatArray) -> FloatArray:
    """mm from the border, negative inside."""
    outside = ndimage.distance_transform_edt(~inside, sampling=spacing)
    within = ndimage.distance_transform_edt(inside, sampling=spacing)
    return np.asarray(outside - within)


def _turned(inside: FloatArray, angle: float, spacing: FloatArray) -> FloatArray:
    """About z, in mm: voxels need not be square."""
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[1.0, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    matrix = np.diag(1 / spacing) @ turn @ np.diag(spacing)
    middle = np.asarray(ndimage.center_of_mass(inside))
    return np.asarray(ndimage.affine_transform(inside, matrix, offset=middle - matrix @ middle, order=1))


def _field(shape: tuple[int, ...], spacing: FloatArray, chance: np.random.Generator, reach_mm: float = 5.0) -> FloatArray:
    """Smooth noise with mean 0 and standard deviation 1; parts nearer than about ``reach_mm`` move together."""
    smooth = ndimage.gaussian_filter(chance.normal(size=shape), reach_mm / spacing, mode="wrap")
    return np.asarray((smooth - smooth.mean()) / max(float(smooth.std()), 1e-12))

"""Where the face is in a head CT or MR: the voxels to blank, with the brain out of reach by construction.

The face lies before and below the brain. A plane, turned by 45 degrees from the forehead's down and back, touches the brain's front
from below with a margin (the idea of Schimke and Hale 2011, "Quickshear Defacing for Neuroimages"); what lies beyond it, within
DEPTH_MM of the skin and not below the chin, goes, and so does the air before it. The shell keeps the neck and the spine. In CT the
brain is what the skull encloses; in MR it is placed by the vertex and the length of the head. Ears stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radpipe.core.grid import Grid
from radpipe.typing import FloatArray, Volume

DEPTH_MM = 40.0
MARGIN_MM = 5.0
_CHIN_MM = 165.0  # below the brain's front
_BONE_HU, _SKIN_HU = 250.0, -300.0
_COARSE_MM = 2.0
_BRAIN_ML = 60.0
_HEAD_MM = 190.0  # from forehead to back, of an adult
_FRONT_MM = 108.0  # of an adult, from the vertex to the lowest level at which the brain lies right behind the forehead
_HALF = 0.5**0.5


class NotFound(Exception):
    """No face can be placed. why : a sentence. no_head : nothing of a head is in the image."""

    def __init__(self, why: str, *, no_head: bool = False) -> None:
        super().__init__(why)
        self.why, self.no_head = why, no_head


@dataclass(frozen=True, eq=False)
class Face:
    """Both (z, y, x). face : voxels to blank. brain : voxels that must not change. head : the body, without the air in it."""

    face: Volume
    brain: Volume
    head: Volume


def find_face(voxels: FloatArray, grid: Grid, modality: str) -> Face:
    """voxels : HU of a CT, anything of an MR. NotFound where no head, or not enough of one, is in the image.

    Found on a grid of about 2 mm, for a face has no finer border; the brain's margin is wider than that.
    """
    steps = [max(1, int(_COARSE_MM / length + 0.01)) for length in grid.spacing_mm]
    coarse = np.ascontiguousarray(voxels[:: steps[0], :: steps[1], :: steps[2]], dtype=np.float32)
    spacing = tuple(length * step for length, step in zip(grid.spacing_mm, steps, strict=True))
    found = _find(coarse, Grid(coarse.shape, spacing, grid.origin_mm, grid.direction), modality)

    def fine(mask: Volume) -> Volume:
        for axis, step in enumerate(steps):
            mask = np.repeat(mask, step, axis=axis) if step > 1 else mask
        return mask[: voxels.shape[0], : voxels.shape[1], : voxels.shape[2]]

    return Face(fine(found.face), fine(found.brain), fine(found.head))


def _find(voxels: FloatArray, grid: Grid, modality: str) -> Face:
    place = _Place(grid)
    if modality == "CT":
        head = _largest(voxels > _SKIN_HU)
        brain = _enclosed(voxels, grid, place)
        volume_ml = float(brain.sum()) * float(np.prod(grid.spacing_mm)) / 1000
        if volume_ml < _BRAIN_ML:
            raise NotFound("no brain enclosed by a skull was found in it, so the face cannot be placed.", no_head=True)
        behind = place.beyond()[brain].max() + MARGIN_MM
        front = float(place.up()[brain & (place.back() < np.quantile(place.back()[brain], 0.05))].min())
    else:
        head = _largest(ndimage.gaussian_filter(voxels, 1.0) > 0.5 * _otsu(voxels))
        brain, behind, front = _by_vertex(head, place)
    face = (place.beyond() > behind) & (place.up() > front - _CHIN_MM)
    face &= _near_skin(head, grid, place)
    face &= ~ndimage.binary_dilation(brain, iterations=1) if brain.any() else True
    if float((face & head).sum()) * float(np.prod(grid.spacing_mm)) < 20_000:
        raise NotFound("hardly anything of a face was found in it.", no_head=modality == "CT" and not brain.any())
    return Face(face, brain, head)


class _Place:
    """Where each voxel lies: mm to the back, mm up, and mm beyond the slanted plane through the origin (front and down)."""

    def __init__(self, grid: Grid) -> None:
        zero = grid.world_mm(np.zeros((1, 3)))[0]
        self.steps = np.stack([grid.world_mm(np.eye(3)[axis : axis + 1])[0] - zero for axis in range(3)], axis=1)  # LPS x axis
        self.zero, self.shape = zero, grid.shape
        self.back_axis = int(np.argmax(np.abs(self.steps[1])))
        self.up_axis = int(np.argmax(np.abs(self.steps[2])))

    def _field(self, row: int) -> FloatArray:
        parts = [
            (np.arange(length) * self.steps[row, axis]).reshape([-1 if one == axis else 1 for one in range(3)])
            for axis, length in enumerate(self.shape)
        ]
        return (self.zero[row] + parts[0] + parts[1] + parts[2]).astype(np.float32)

    def back(self) -> FloatArray:
        return self._field(1)

    def up(self) -> FloatArray:
        return self._field(2)

    def beyond(self) -> FloatArray:
        return (-self.back() - self.up()) * np.float32(_HALF)


def _enclosed(voxels: FloatArray, grid: Grid, place: _Place) -> Volume:
    """What a ring of bone encloses, slice by slice from top to bottom, and is as dense as brain."""
    turned = np.moveaxis(voxels, place.up_axis, 0)
    spacing = [length for axis, length in enumerate(grid.spacing_mm) if axis != place.up_axis]
    reach = [max(1, round(6.0 / length)) for length in spacing]
    ball = np.hypot(*np.meshgrid(*[np.arange(-r, r + 1) / r for r in reach], indexing="ij")) <= 1
    found = np.zeros(turned.shape, bool)
    for at, plane in enumerate(turned):
        bone = plane > _BONE_HU
        if bone.sum() * spacing[0] * spacing[1] < 500:  # mm2: less than a skull's ring
            continue
        wide = np.pad(bone, [(r, r) for r in reach])
        closed = ndimage.binary_closing(wide, ball)[reach[0] : -reach[0], reach[1] : -reach[1]]
        inside = ndimage.binary_fill_holes(closed) & ~closed
        found[at] = inside & (plane > -20) & (plane < 100)
    opened = ndimage.binary_opening(found, iterations=2)
    brain = _largest(opened) if opened.any() else opened
    return np.moveaxis(brain, 0, place.up_axis)


def _by_vertex(head: Volume, place: _Place) -> tuple[Volume, float, float]:
    """(brain, the plane, the level of its front) of an MR, from the top of the head and its length."""
    up, back = place.up(), place.back()
    levels = up[head]
    if levels.size == 0:
        raise NotFound("no head was found in it.")
    top = float(np.quantile(levels, 0.9995))
    highest = float(up.max())
    if highest - top < 2.0:
        raise NotFound("the top of the head is not in the image, so the face cannot be placed.")
    band = head & (up < top - 55) & (up > top - 85)
    if not band.any():
        raise NotFound("too little of the head is in the image, so the face cannot be placed.")
    first, last = (float(np.quantile(back[band], share)) for share in (0.002, 0.998))
    length = last - first
    if not 120 < length < 240:
        raise NotFound("its head is of no usual size, so the face cannot be placed.")
    size = float(np.clip(length / _HEAD_MM, 0.75, 1.15))
    front = top - _FRONT_MM * size
    behind = (-(first + 8.0) - front) * _HALF
    centre = (first + 0.5 * length, top - 0.5 * 140 * size)
    oval = ((back - centre[0]) / (0.5 * length - 12)) ** 2 + ((up - centre[1]) / (0.5 * 140 * size - 8)) ** 2 < 1
    return head & (oval | ((up > front) & (back > first + 12))), behind, front


def _near_skin(head: Volume, grid: Grid, place: _Place) -> Volume:
    """Voxels before the skin's front and up to DEPTH_MM behind it, line by line from the front to the back."""
    axis = place.back_axis
    forward = place.steps[1, axis] > 0  # whether the index grows to the back
    ordered = head if forward else np.flip(head, axis)
    depth = np.cumsum(np.maximum.accumulate(ordered, axis=axis), axis=axis, dtype=np.float32) * grid.spacing_mm[axis]
    near = depth <= DEPTH_MM
    # A line without a body in it is air: nothing to blank, and no harm in it.
    return near if forward else np.flip(near, axis)


def _largest(mask: Volume) -> Volume:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    return labels == int(np.argmax(np.bincount(labels.ravel())[1:])) + 1


def _otsu(voxels: FloatArray) -> float:
    """Otsu 1979: the value that parts a histogram best."""
    low, high = (float(value) for value in np.quantile(voxels, (0.0, 0.995)))
    counts, edges = np.histogram(voxels, 128, (low, max(high, low + 1e-6)))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    mean_below = np.cumsum(counts * middles) / np.maximum(below, 1)
    mean_above = ((counts * middles).sum() - np.cumsum(counts * middles)) / np.maximum(above, 1)
    return float(middles[int(np.argmax(below * above * (mean_below - mean_above) ** 2))])

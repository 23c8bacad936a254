"""A case's feature maps and habitats, cut into three planes through its lesion: what the page shows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask

PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One plane, seen as a radiologist does: the patient's right on the left, front up (axial); head up (coronal, sagittal),
    front on the left (sagittal).

    image : (rows, columns). outline : the same, bool. maps : column -> the same, NaN where there is no value. habitats : the same,
    0 none, 1 to k; None without habitats. spacing_mm : of rows and columns.
    """

    name: str
    spacing_mm: tuple[float, float]
    image: NDArray[Any]
    outline: NDArray[np.bool_]
    maps: Mapping[str, NDArray[np.floating]]
    habitats: NDArray[np.uint8] | None


@dataclass(frozen=True, kw_only=True)
class MapPicture:
    """planes : of PLANES, each where the lesion's cross-section is largest. unit, modality : of the image."""

    case_id: str
    planes: tuple[Plane, ...]
    unit: str = ""
    modality: str = ""


def map_picture(
    case_id: str,
    image: Image,
    outline: Mask,
    maps: Mapping[str, NDArray[np.floating]],
    habitats: NDArray[np.uint8] | None,
    *,
    modality: str = "",
    margin_mm: float = 12.0,
) -> MapPicture:
    """maps : column -> (z, y, x) on the image's grid, NaN where there is no value. habitats : the same, 0 none, or None."""
    order, flips = anatomical(image.grid)

    def seen(voxels: NDArray[Any]) -> NDArray[Any]:
        return np.flip(voxels.transpose(order), [axis for axis, flip in enumerate(flips) if flip])

    inside = seen(outline.voxels)
    spacing = tuple(image.grid.spacing_mm[axis] for axis in order)
    windows = [_window(inside, axis, round(margin_mm / spacing[axis])) for axis in range(3)]
    planes = []
    for axis, name in enumerate(PLANES):
        others = tuple(other for other in range(3) if other != axis)
        place = int(np.argmax(inside.sum(axis=others)))
        cut: list[slice | int] = list(windows)
        cut[axis] = place
        where = tuple(cut)
        planes.append(
            Plane(
                name=name,
                spacing_mm=(spacing[others[0]], spacing[others[1]]),
                image=np.array(seen(image.voxels)[where]),
                outline=np.array(inside[where]),
                maps={column: np.array(seen(voxels)[where]) for column, voxels in maps.items()},
                habitats=None if habitats is None else np.array(seen(habitats)[where]),
            )
        )
    return MapPicture(
        case_id=case_id, planes=tuple(planes), unit=image.unit if image.unit != "arbitrary" else "", modality=modality
    )


def anatomical(grid: Grid) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """(array axes that run most nearly along the patient's height, depth and width; which of them to turn round).

    Afterwards the first axis runs from head to feet, the second from front to back, the third from the patient's right to left.
    An image so oblique that two of its axes lie nearest to the same direction keeps the order of its array.
    """
    along = np.asarray(grid.direction).reshape(3, 3)[:, ::-1]  # columns: array axes z, y, x; rows: L, P, S
    nearest = np.abs(along).argmax(axis=1)  # of L, P, S: which array axis
    if len(set(nearest.tolist())) < 3:
        return (0, 1, 2), (False, False, False)
    left, back, up = (int(axis) for axis in nearest)
    return (up, back, left), (bool(along[2, up] > 0), bool(along[1, back] < 0), bool(along[0, left] < 0))


def _window(inside: NDArray[np.bool_], axis: int, margin: int) -> slice:
    others = tuple(other for other in range(3) if other != axis)
    used = np.flatnonzero(inside.any(axis=others))
    if not len(used):
        return slice(0, inside.shape[axis])
    return slice(max(0, int(used[0]) - margin), int(used[-1]) + margin + 1)

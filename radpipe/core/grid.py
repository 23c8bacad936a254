"""Where the voxels of an array lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radpipe.typing import FloatArray

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels in patient space.

    shape : (z, y, x), voxels; array order.
    spacing_mm : (z, y, x), mm; array order.
    origin_mm : (x, y, z) in LPS, mm; the centre of voxel (0, 0, 0).
    direction : 3 x 3, row-major, as ITK keeps it: column j is the LPS direction of index axis j, in the order x, y, z.
    """

    shape: tuple[int, int, int]
    spacing_mm: Triple
    origin_mm: Triple = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @property
    def voxel_volume_mm3(self) -> float:
        return float(np.prod(self.spacing_mm))

    def world_mm(self, index_zyx: FloatArray) -> FloatArray:
        """(..., 3) index in (z, y, x) -> (..., 3) LPS position in (x, y, z), mm."""
        matrix = np.asarray(self.direction).reshape(3, 3) * np.asarray(self.spacing_mm[::-1])
        return np.asarray(np.asarray(index_zyx, float)[..., ::-1] @ matrix.T + np.asarray(self.origin_mm), dtype=np.float64)

    def cropped(self, start_zyx: tuple[int, int, int], shape: tuple[int, int, int]) -> Grid:
        """The grid of ``array[start:start + shape]``; start may be negative (padding)."""
        origin = self.world_mm(np.asarray(start_zyx, float))
        return Grid(shape, self.spacing_mm, (float(origin[0]), float(origin[1]), float(origin[2])), self.direction)


def grid_differences(image: Grid, mask: Grid, tolerance: float = 1e-4) -> list[str]:
    """What differs between two grids, in words with numbers; empty where they are the same.

    tolerance : of the voxel spacing for spacing and origin; absolute for direction cosines. 1e-4 of a voxel
    is above the rounding of float32 headers and far below anything that moves a feature.
    """
    found = []
    spacing = np.asarray(image.spacing_mm)
    if image.shape != mask.shape:
        found.append(f"size (x, y, z): image {image.shape[::-1]}, mask {mask.shape[::-1]} voxels")
    if np.any(np.abs(spacing - mask.spacing_mm) > tolerance * spacing):
        gap = np.abs(spacing - mask.spacing_mm).max()
        found.append(
            f"spacing (x, y, z): image {_mm(image.spacing_mm[::-1])}, mask {_mm(mask.spacing_mm[::-1])} mm, off by up to {gap:.4g} mm"
        )
    shift = np.asarray(mask.origin_mm) - image.origin_mm
    if np.any(np.abs(shift) > tolerance * spacing.max()):
        voxels = np.abs(shift / spacing[::-1]).max()
        found.append(
            f"origin (x, y, z): image {_mm(image.origin_mm)}, mask {_mm(mask.origin_mm)} mm, "
            f"shifted by {_mm(tuple(shift))} mm ({voxels:.3g} voxels)"
        )
    turn = np.abs(np.asarray(image.direction) - mask.direction).max()
    if turn > tolerance:
        found.append(f"direction: cosines differ by up to {turn:.4g} (image {_mm(image.direction)}, mask {_mm(mask.direction)})")
    return found


def _mm(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"

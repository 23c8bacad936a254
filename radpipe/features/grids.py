"""Whether a mask lies on its image's grid, and PyRadiomics' ``correctMask`` where it does not."""

from __future__ import annotations

import numpy as np

from radpipe.core.grid import Grid, grid_differences
from radpipe.core.image import Mask
from radpipe.errors import EmptyRoiError, GeometryError

TOLERANCE = 1e-4
"""Of a voxel: above the rounding of float32 headers, and far below anything that moves a feature."""
_EDGE = 1e-3  # of a voxel; PyRadiomics' own allowance for the region's corners


def on_image_grid(image: Grid, mask: Mask, *, correct: bool = False, tolerance: float | None = None) -> tuple[Mask, bool]:
    """The mask on the image's grid, and whether it had to be resampled for that.

    correct : PyRadiomics' correctMask; a mask on another grid is resampled by nearest neighbour. The region's box must
    lie inside the image. tolerance : PyRadiomics' geometryTolerance, in voxels for spacing and origin, absolute for
    direction cosines; None is TOLERANCE. GeometryError names what differs and by how much; EmptyRoiError where no voxel
    of the region is left.
    """
    differences = grid_differences(image, mask.grid, TOLERANCE if tolerance is None else tolerance)
    if not differences:
        return mask, False
    if not correct:
        raise GeometryError(
            f"the mask is not on the image's grid: {'; '.join(differences)}.",
            hint="Export both from the same series; or set correctMask: true to resample the mask (nearest neighbour), or "
            "geometryTolerance (in voxels) where a difference is rounding.",
        )
    refuse_outside(image, mask)
    from radpipe.preprocessing.resample import resample_mask

    try:
        return resample_mask(mask, image), True
    except EmptyRoiError as error:
        raise EmptyRoiError(
            f"no voxel of the region ({int(mask.voxels.sum())} voxels) is left on the image's grid.",
            hint="The image's voxels are too coarse for this region: exclude the case.",
        ) from error


def refuse_outside(image: Grid, mask: Mask) -> None:
    """GeometryError unless the region's box, to its outer edges, lies inside the image."""
    from radpipe.features.region import bounding_box  # with it come the kernels, which who only reads can do without

    box = bounding_box(mask.voxels)
    corners = np.array([[side.start - 0.5 for side in box], [side.stop - 0.5 for side in box]])
    matrix = np.asarray(image.direction).reshape(3, 3) * np.asarray(image.spacing_mm[::-1])
    world = mask.grid.world_mm(corners) - np.asarray(image.origin_mm)
    index = np.linalg.solve(matrix, world.T).T  # (2, 3) in x, y, z
    low, high = index.min(axis=0), index.max(axis=0)
    size = np.asarray(image.shape[::-1])
    if np.any(low < -0.5 - _EDGE) or np.any(high > size - 0.5 + _EDGE):
        spans = ", ".join(f"{axis} {a + 0.5:.4g} to {b + 0.5:.4g}" for axis, a, b in zip("xyz", low, high, strict=True))
        raise GeometryError(
            f"the region reaches outside the image: its box spans {spans} voxels of the image, which has {tuple(image.shape[::-1])}.",
            hint="Check that the mask belongs to this image; a region outside it cannot be corrected.",
        )

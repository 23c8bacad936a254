"""The repairs that ``radpipe doctor --fix`` makes, and what makes each of them safe."""

from __future__ import annotations

import numpy as np

from radpipe.core.grid import Grid
from radpipe.errors import GeometryError
from radpipe.intake.geometry_faults import lattice, on_image
from radpipe.typing import Volume

SAFE = {
    "use-image-header": "The headers differ by rounding (under 0.05 voxel everywhere): the mask gets the image's header, its voxels stay.",
    "reorder-axes": "The same voxels at the same places, stored in another order: they are stored in the image's order.",
    "fit-to-image": "All voxels of the mask lie on voxels of the image, and the region does not end where the mask does: "
    "empty voxels are added, or cut off.",
    "use-label": "The mask holds one label only, and no other row means it: the manifest's label is set to it.",
    "rewrite-header": "The two orientations in the NIfTI header differ by rounding: the file is written with the one that "
    "is read anyway.",
}
"""Every one of these leaves each voxel of the region where the file's own header puts it, to a twentieth of a voxel."""

REFUSED = {
    "shift": "The files do not say which of two places is the right one.",
    "flip": "Header or voxels may be turned; a flipped outline looks plausible and is wrong.",
    "transposed-axes": "Where the header contradicts the voxels, an axis may be turned round as well.",
    "resolution": "Resampling changes the outline; correctMask: true does it where that is wanted.",
    "rotation": "Resampling changes the outline.",
    "slices": "Where the region ends at the mask's edge, part of the outline may be missing.",
    "nifti-orientations": "The files do not say which of the two orientations is right.",
    "not-coinciding": "The files do not say which of the regions is right.",
    "crumbs": "A small piece may be a lesion.",
    "gap": "An outline that nobody drew is not made up.",
}
MASK_REPAIRS = ("use-image-header", "reorder-axes", "fit-to-image")


def mended_mask(image: Grid, mask: Grid, voxels: Volume) -> Volume:
    """The mask's voxels (z, y, x; all labels) on the image's grid; GeometryError where that would move or lose any of them."""
    place = lattice(image, mask)
    if place is None:
        raise GeometryError("the mask's voxels do not lie on the image's.", hint="Export the mask again from this image.")
    found, lost = on_image(voxels, place, image.shape)
    if lost:
        raise GeometryError(
            f"{lost} voxels of the mask's regions lie outside the image.", hint="Check that the mask belongs to this image."
        )
    return found


def whole_labels(voxels: Volume) -> Volume:
    """Labels in the smallest whole type that holds them; a NIfTI mask that came scaled is float."""
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize <= 4:
        return voxels
    exact = np.rint(voxels).astype(np.int64)
    for kind in (np.uint8, np.int16, np.int32):
        if np.iinfo(kind).min <= exact.min() and exact.max() <= np.iinfo(kind).max:
            return exact.astype(kind)
    return exact

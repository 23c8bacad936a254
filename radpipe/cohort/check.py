"""Whether an image and its mask belong together."""

from __future__ import annotations

from radpipe.core.case import Case
from radpipe.core.grid import grid_differences
from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError, GeometryError


def check_case(image: Image, mask: Mask, case: Case) -> dict[str, float]:
    """Facts about the case for the cohort table: ``mask_volume_ml``.

    GeometryError where the mask is on another grid, saying what differs and by how much; EmptyRoiError where it is empty.
    """
    differences = grid_differences(image.grid, mask.grid)
    if differences:
        raise GeometryError(
            f"the mask is not on the image's grid: {'; '.join(differences)}.",
            hint="Resample the mask onto the image (nearest neighbour), or export both from the same series.",
            case_id=case.case_id,
            path=case.mask_path,
        )
    if not mask.voxels.any():
        raise EmptyRoiError("the mask is empty.", hint="Draw the region again.", case_id=case.case_id, path=case.mask_path)
    return {"mask_volume_ml": mask.volume_ml}

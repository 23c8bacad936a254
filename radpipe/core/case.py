"""Who is in the study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One lesion of one patient on one image.

    label : the value of the region's voxels in the mask file. outcome : class index, 0 .. n_classes - 1.
    image_sha256, mask_sha256 : of the files' bytes; "" until the files were checked.
    """

    case_id: str
    patient_id: str
    modality: str
    image_path: Path
    mask_path: Path
    label: int
    outcome: int
    image_sha256: str = ""
    mask_sha256: str = ""

"""Reading one case as its settings ask: label, label_channel, roi, correctMask, geometryTolerance. No pandas, no Dask."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from radpipe.core.image import Image, Mask
from radpipe.errors import FileProblem, RadpipeError
from radpipe.io.volumes import LabelMap, is_dicom, read_image, read_label_map


@dataclass(frozen=True)
class Reading:
    """How a mask is read. label : the region's value. label_channel : which mask, from 0, of a file that holds several; None
    refuses such a file. correct_mask : resample a mask on another grid. tolerance : of grids, in voxels; None for radpipe's.
    resamples : the extraction resamples image and mask anyway, each from its own grid. roi : name, number or pattern of the region
    in an RTSTRUCT or SEG file; "" where it holds one. modality : of the image, where a DICOM folder holds several series."""

    label: int = 1
    label_channel: int | None = None
    correct_mask: bool = False
    tolerance: float | None = None
    resamples: bool = False
    roi: str = ""
    modality: str = ""

    def of_case(self, label: int | None, label_channel: int | None) -> Reading:
        """With what the case itself says."""
        return replace(
            self,
            label=self.label if label is None else label,
            label_channel=self.label_channel if label_channel is None else label_channel,
        )


def reading_of(params: Mapping[str, Any]) -> Reading:
    """From PyRadiomics' mapping, which the features room has checked."""
    setting = params.get("setting") or {}
    return Reading(
        label=1 if setting.get("label") is None else setting["label"],
        label_channel=setting.get("label_channel"),
        correct_mask=bool(setting.get("correctMask")),
        tolerance=setting.get("geometryTolerance"),
        resamples=setting.get("resampledPixelSpacing") is not None and setting.get("interpolator", "sitkBSpline") is not None,
    )


@dataclass(frozen=True)
class Pair:
    """An image and its region, on the same grid unless the extraction resamples both. diagnostics : entries that only the mask's file could tell."""

    image: Image
    mask: Mask
    diagnostics: dict[str, Any] = field(default_factory=dict)


def read_pair(
    image_path: Path, mask_path: Path, reading: Reading, *, unit: str = "arbitrary", case_id: str = "", diagnostics: bool = True
) -> Pair:
    """Both files of a case, checked against each other. FileProblem, GeometryError or EmptyRoiError with case and path.

    The image may be a DICOM folder, and the mask an RTSTRUCT or SEG file beside it: the ROI is the reading's, or the only one.
    """
    if is_dicom(mask_path) and not os.path.isdir(mask_path):
        image, labels = _read_dicom(image_path, mask_path, reading, unit, case_id)
        return _matched(image, labels, replace(reading, label=1), mask_path, case_id, diagnostics)
    image = read_image(image_path, unit=unit, case_id=case_id)
    labels = read_label_map(mask_path, label_channel=reading.label_channel, case_id=case_id)
    return _matched(image, labels, reading, mask_path, case_id, diagnostics)


def _read_dicom(image_path: Path, mask_path: Path, reading: Reading, unit: str, case_id: str) -> tuple[Image, LabelMap]:
    if not is_dicom(image_path):
        raise FileProblem(
            "contours and segmentations in DICOM belong to a DICOM series, and the image is none: nothing says that both share a space.",
            hint="Give the folder of the DICOM series, or make NIfTI of both with `radpipe ingest`.", case_id=case_id, path=mask_path,
        )  # fmt: skip
    from radpipe.io.dicom.pairs import read_dicom_pair  # here: a NIfTI user does without pydicom

    image, labels = read_dicom_pair(
        image_path, mask_path, roi=reading.roi, modality=reading.modality, correct=reading.correct_mask, case_id=case_id
    )
    if unit not in ("arbitrary", image.unit):
        raise FileProblem(
            f"its values are {image.unit}, and {unit} is expected.",
            hint="Correct the modality, or the path.",
            case_id=case_id,
            path=image_path,
        )
    return image, labels


def _matched(image: Image, labels: LabelMap, reading: Reading, mask_path: Path, case_id: str, diagnostics: bool) -> Pair:
    try:
        return matched(image, labels, reading, diagnostics=diagnostics)
    except RadpipeError as error:
        raise error.about(case_id=case_id, path=mask_path) from error


def matched(image: Image, labels: LabelMap, reading: Reading, *, diagnostics: bool = True) -> Pair:
    """The labels' region on the image's grid; see :func:`read_pair`."""
    from radpipe.features.grids import on_image_grid, refuse_outside

    given = labels.region(reading.label)
    if reading.correct_mask and reading.resamples:
        # Resampling once, as PyRadiomics does: twice would move the outline twice.
        refuse_outside(image.grid, given)
        mask, corrected = given, False
    else:
        mask, corrected = on_image_grid(image.grid, given, correct=reading.correct_mask, tolerance=reading.tolerance)
    if not diagnostics:
        return Pair(image, mask)
    from radpipe.features.diagnostics import of_corrected_mask, of_mask_file

    found = of_mask_file(labels.voxels, labels.grid, given.voxels)
    if corrected:
        found |= of_corrected_mask(image, mask)
    return Pair(image, mask, found)

"""A DICOM image and a region in DICOM: which series and which region are meant, and the region on the image's grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from radpipe.core.image import Image, Mask
from radpipe.errors import CohortError, FileProblem, GeometryError, RadpipeError
from radpipe.io.dicom import headers, rtstruct, seg
from radpipe.io.dicom.headers import Unreadable
from radpipe.io.dicom.registration import Placement, Registration, read_registration, told
from radpipe.io.dicom.rtstruct import StructureRoi, StructureSet
from radpipe.io.dicom.scan import Export, Left, Series, group, scan_file, scan_folder
from radpipe.io.dicom.seg import Segments, SegRegion
from radpipe.io.dicom.series import choose, files_of, read_series
from radpipe.io.named import listed, only
from radpipe.io.volumes import LabelMap

_KINDS = headers.tags("SOPClassUID", "Modality")


def read_dicom_pair(
    image_path: Path, mask_path: Path, *, roi: str = "", modality: str = "", correct: bool = False, case_id: str = ""
) -> tuple[Image, LabelMap]:
    """A DICOM image and a region of an RTSTRUCT or SEG file; the region has the label 1.

    roi : name, number or pattern of the region; '' where the file holds one. Several series in the image's folder: the one that
    the region was drawn on, else the only one of that modality. Registration objects in that folder are used where the frames of
    reference differ; where that fails, those that could not be read are named. correct : a segmentation on other voxels keeps
    its own grid, to be resampled (correctMask). Of files that were not de-identified no message quotes what identifies.
    """
    with headers.seen([mask_path, *files_of(image_path)], roi):
        return _pair(image_path, mask_path, roi, modality, correct, case_id)


def _pair(image_path: Path, mask_path: Path, roi: str, modality: str, correct: bool, case_id: str) -> tuple[Image, LabelMap]:
    region = read_region(mask_path, roi, case_id=case_id)
    export = _export(image_path, case_id)
    try:
        series = _chosen(export, region.drawn_on, modality, image_path)
        image = read_series(series, case_id=case_id)
    except RadpipeError as error:
        raise error.about(case_id=case_id, path=image_path) from error
    registrations, unread = _registrations(export)
    try:
        where = region.place(series, registrations)
    except GeometryError as error:
        problem = f"{error.problem} {unread}".strip()
        raise GeometryError(problem, hint=error.hint, case_id=case_id, path=error.path or mask_path) from error
    try:
        mask = region.on(image, where, correct=correct)
    except RadpipeError as error:
        raise error.about(case_id=case_id, path=mask_path) from error
    return image, LabelMap(mask.grid, mask.voxels.astype(np.uint8), str(mask_path))


class Region:
    """One region of an RTSTRUCT or SEG file, before it meets an image; several contours sets or segments where a pattern fits
    several: then all of them together."""

    def __init__(self, source: StructureSet | Segments, parts: Sequence[StructureRoi] | Sequence[SegRegion]) -> None:
        self.source = source
        self.parts = parts

    @property
    def drawn_on(self) -> tuple[str, ...]:
        """The series that the file refers to."""
        return self.source.referenced_series

    def place(self, series: Series, registrations: Sequence[Registration] = ()) -> Placement:
        """How its positions become the series'; GeometryError where nothing ties them together."""
        found = [self._place(part, series, registrations) for part in self.parts]
        if any((one.matrix is None) != (found[0].matrix is None) or one.rule != found[0].rule for one in found):
            raise GeometryError(
                "its ROIs were drawn in different frames of reference.",
                hint="Name one ROI, not a pattern.",
                path=self.source.path,
            )
        return found[0]

    def _place(self, part: StructureRoi | SegRegion, series: Series, registrations: Sequence[Registration]) -> Placement:
        about = {"series_uid": series.uid, "frame_of_reference_uid": series.frame_of_reference_uid}
        if isinstance(part, StructureRoi):
            assert isinstance(self.source, StructureSet)
            return rtstruct.place(self.source, part, **about, registrations=registrations)
        assert isinstance(self.source, Segments)
        return seg.place(self.source, part, **about, registrations=registrations)

    def on(self, image: Image, where: Placement, *, correct: bool = False) -> Mask:
        """Its voxels on the image's grid (or, to be corrected, a segmentation's on its own)."""
        masks = [self._on(part, image, where, correct) for part in self.parts]
        voxels = masks[0].voxels
        for other in masks[1:]:
            voxels = voxels | other.voxels
        return Mask(masks[0].grid, voxels)

    def _on(self, part: StructureRoi | SegRegion, image: Image, where: Placement, correct: bool) -> Mask:
        if isinstance(part, StructureRoi):
            return rtstruct.rasterise(part, image.grid, transform=where.matrix)[0]
        if not correct:
            return part.on_grid(image.grid, transform=where.matrix)
        return part.mask if where.matrix is None else seg.moved(part.mask, where.matrix)


def read_region(path: Path, roi: str = "", *, case_id: str = "") -> Region:
    """The region of an RTSTRUCT or SEG file that ``roi`` means; the only one where it is ''. FileProblem, listing the names,
    where the file holds several and nobody says which, or none of that name."""
    kind = region_kind(path, case_id=case_id)
    source: StructureSet | Segments
    try:
        if kind == "RTSTRUCT":
            source = rtstruct.read_rtstruct(path, case_id=case_id)
            # A ROI that was named and never drawn is nobody's choice.
            drawn = tuple(one for one in source.rois if one.contours or one.problem) or source.rois
            return Region(source, rtstruct.pick(source, roi) if roi else (only(drawn, noun="ROI", path=path),))
        source = seg.read_seg(path, case_id=case_id)
        return Region(source, seg.pick(source, roi) if roi else (only(source.regions, noun="segment", path=path),))
    except RadpipeError as error:
        raise error.about(case_id=case_id, path=path) from error


def region_kind(path: Path, *, case_id: str = "") -> str:
    """RTSTRUCT or SEG; FileProblem where the file is neither."""
    try:
        dataset, _ = headers.read_header(Path(path), _KINDS)
    except Unreadable as error:
        raise told(error, path, case_id) from error
    sop, modality = headers.text(dataset, "SOPClassUID"), headers.text(dataset, "Modality")
    if sop == rtstruct.RTSTRUCT or (not sop and modality == "RTSTRUCT"):
        return "RTSTRUCT"
    if sop in (seg.SEGMENTATION, seg.LABEL_MAP) or (not sop and modality == "SEG"):
        return "SEG"
    raise FileProblem(
        f"it is a DICOM file that holds no region (its modality is {modality or 'not given'}).",
        hint="Give an RTSTRUCT or SEG file, or a mask as .nii.gz, .nrrd or .mha.", case_id=case_id, path=path,
    )  # fmt: skip


def region_names(path: Path, *, case_id: str = "") -> str:
    """What an RTSTRUCT or SEG file holds, for people."""
    if region_kind(path, case_id=case_id) == "RTSTRUCT":
        return listed(rtstruct.read_rtstruct(path, case_id=case_id).rois, "ROI")
    return listed(seg.read_seg(path, case_id=case_id).regions, "segment")


def _export(path: Path, case_id: str) -> Export:
    if os.path.isdir(path):
        return scan_folder(path)
    found = scan_file(path, path.parent)
    if isinstance(found, Left):
        raise FileProblem(found.why, hint="Give a DICOM folder or file.", case_id=case_id, path=path)
    return group([found])


def _chosen(export: Export, drawn_on: Sequence[str], modality: str, path: Path) -> Series:
    images = [series for series in export.series if series.is_image]
    if not images:
        said = f" Of its {len(export.left)} files, the first: {export.left[0].why}" if export.left else ""
        raise FileProblem(
            f"the folder holds no image series in DICOM.{said}",
            hint="Give the folder with the slices of a CT, MR or PET.",
            path=path,
        )
    fitting = [series for series in images if series.uid in drawn_on] or images
    if len(fitting) == 1:
        return fitting[0]
    try:
        return choose(Export(tuple(fitting), ()), modality=modality or None)
    except CohortError as error:
        raise CohortError(
            error.problem, hint="Give a folder with that series alone, or say the modality in the table.", path=path
        ) from error


def _registrations(export: Export) -> tuple[list[Registration], str]:
    """Those of the image's folder, and a sentence on what could not be read of them: it may be the link that is missing."""
    found, unread = [], []
    for series in export.series:
        if series.modality == "REG":
            for file in series.files:
                try:
                    found.append(read_registration(file.path))
                except FileProblem as error:
                    unread.append(f"The registration {file.relative} could not be used: {error.problem}")
    damaged = [left.relative for left in export.left if left.what in ("truncated", "damaged")]
    if damaged:
        unread.append(f"A registration may be among the damaged files of the folder: {', '.join(damaged[:3])}.")
    return found, " ".join(unread)

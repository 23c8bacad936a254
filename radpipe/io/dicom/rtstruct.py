"""RT structure sets: the regions of a file, which of them is meant, and their contours as voxels of a grid.

Reading keeps apart what is wrong with the file (an error), with one ROI (its ``problem``, raised when it is used, so that one
ROI does not cost another) and with one contour (left out, and told in the notes of the rasterisation).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError, RadpipeError
from radpipe.io.dicom import contours, headers
from radpipe.io.dicom.contours import Contour, RasterNotes
from radpipe.io.dicom.headers import Unreadable
from radpipe.io.dicom.registration import Placement, Registration, placement, rigid_part, told
from radpipe.io.named import pick_named
from radpipe.typing import FloatArray

__all__ = ["Contour", "RasterNotes", "StructureRoi", "StructureSet", "pick", "place", "rasterise", "read_rtstruct"]

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
_WANTED = headers.tags(
    "SOPClassUID", "Modality", "StructureSetLabel", "FrameOfReferenceUID", "StructureSetROISequence", "ROIContourSequence",
    "ReferencedFrameOfReferenceSequence", "RTROIObservationsSequence",
)  # fmt: skip
_CONTOUR_DATA = headers.tags("ContourData")[0]
_AGAIN = "Export the structure set again."


@dataclass(frozen=True, eq=False)
class StructureRoi:
    """One region as it was drawn. frame_of_reference_uid : of its coordinates; '' where the file does not say.

    interpreted : RTROIInterpretedType (GTV, ORGAN, EXTERNAL ...), '' where not given. slab_mm : ContourSlabThickness.
    drawn_mm : distance of the contour planes over the whole structure set. problem, hint : why it cannot be used; '' where it can.
    """

    number: int
    name: str
    frame_of_reference_uid: str
    contours: tuple[Contour, ...]
    interpreted: str = ""
    slab_mm: float | None = None
    drawn_mm: float | None = None
    problem: str = ""
    hint: str = ""
    path: str = ""

    def __str__(self) -> str:
        return f"ROI {self.number} {self.name!r}"


@dataclass(frozen=True, eq=False)
class StructureSet:
    """referenced : (frame of reference, its series that the set was drawn on). problems : what is wrong with single ROIs."""

    path: Path
    label: str
    rois: tuple[StructureRoi, ...]
    referenced_series: tuple[str, ...]
    frames_of_reference: tuple[str, ...]
    referenced: tuple[tuple[str, tuple[str, ...]], ...] = ()
    problems: tuple[str, ...] = ()

    def series_of(self, roi: StructureRoi) -> tuple[str, ...]:
        """The series on which the ROI was drawn, as far as the file says."""
        return tuple(uid for frame, series in self.referenced if frame == roi.frame_of_reference_uid for uid in series)


def read_rtstruct(path: Path, *, case_id: str = "") -> StructureSet:
    """Every ROI of a structure set, with its contours. FileProblem where the file is damaged, cut off, or none."""
    try:
        dataset = headers.read_whole(Path(path), _WANTED)
        with headers.reasons():
            return _structure_set(dataset, Path(path))
    except Unreadable as error:
        raise told(error, path, case_id) from error
    except RadpipeError as error:
        raise error.about(case_id=case_id, path=path) from error


def pick(structures: StructureSet, which: str | int) -> tuple[StructureRoi, ...]:
    """The ROIs that ``which`` means: a name (upper and lower case are the same), a number, or a pattern (``GTV*``).

    See :func:`radpipe.io.named.pick_named`. FileProblem, listing what is there, where it means none, and where two ROIs have the
    same name.
    """
    return pick_named(structures.rois, which, noun="ROI", path=structures.path)


def place(
    structures: StructureSet, roi: StructureRoi, *, series_uid: str, frame_of_reference_uid: str,
    registrations: Sequence[Registration] = (),
) -> Placement:  # fmt: skip
    """How the ROI's coordinates become those of an image series; see :func:`radpipe.io.dicom.registration.placement`.

    GeometryError where the file does not tie the ROI to that series: it was drawn on another one.
    """
    return placement(
        str(roi), roi.frame_of_reference_uid, structures.series_of(roi), series_uid=series_uid,
        frame_of_reference_uid=frame_of_reference_uid, registrations=registrations, path=structures.path,
    )  # fmt: skip


def rasterise(roi: StructureRoi, grid: Grid, *, transform: FloatArray | None = None) -> tuple[Mask, RasterNotes]:
    """The ROI on ``grid``, and what became of its contours. The rules (inside, edges, slabs) stand in :mod:`.contours`.

    transform : 4 x 4, from the contours' coordinates to the grid's, LPS mm to LPS mm; None where they are the same. It may
    turn, shift and scale. FileProblem where the ROI is damaged; EmptyRoiError where it has no closed contour, or none that
    holds a voxel's centre; GeometryError where it lies outside the image, or its contours are no stack of parallel planes.
    """
    if roi.problem:
        raise FileProblem(f"{roi}: {roi.problem}", hint=roi.hint or _AGAIN, path=roi.path)
    if not roi.contours:
        raise EmptyRoiError(
            f"{roi} has no contours: it was named, and never drawn.", hint="Draw it, or leave it out.", path=roi.path
        )
    drawn, scale = roi.contours, 1.0
    if transform is not None:
        matrix = rigid_part(transform)
        drawn = tuple(replace(one, points=one.points @ matrix[:3, :3].T + matrix[:3, 3]) for one in drawn)
        scale = float(abs(np.linalg.det(matrix[:3, :3]))) ** (1 / 3)
    try:
        voxels, notes = contours.fill(
            drawn, grid,
            slab_mm=None if roi.slab_mm is None else roi.slab_mm * scale,
            drawn_mm=None if roi.drawn_mm is None else roi.drawn_mm * scale,
        )  # fmt: skip
    except contours.Unusable as error:
        kind = EmptyRoiError if error.empty else GeometryError
        raise kind(f"{roi}: {error.problem}", hint=error.hint, path=roi.path) from error
    if not voxels.any():
        raise _nothing(roi, drawn, grid, notes)
    return Mask(grid, voxels), notes


def _nothing(roi: StructureRoi, drawn: Iterable[Contour], grid: Grid, notes: RasterNotes) -> RadpipeError:
    """Why no voxel is inside."""
    if notes.outside == notes.contours:
        steps = np.asarray(grid.direction).reshape(3, 3) * np.asarray(grid.spacing_mm[::-1])
        points = np.concatenate([one.points for one in drawn])
        index = (points - np.asarray(grid.origin_mm)) @ np.linalg.inv(steps).T
        size = np.asarray(grid.shape[::-1])
        away = np.maximum(-0.5 - index.max(axis=0), index.min(axis=0) - (size - 0.5)) * np.asarray(grid.spacing_mm[::-1])
        axis = int(away.argmax())
        return GeometryError(
            f"{roi} lies outside the image: all {notes.contours} contours, {max(float(away[axis]), 0.0):.4g} mm beyond its "
            f"{'xyz'[axis]} side.",
            hint="Check that the structure set belongs to this series, and that the image was not cropped.",
            path=roi.path,
        )
    why = "; ".join(sentence.rstrip(".") for sentence in notes.sentences)
    return EmptyRoiError(
        f"{roi} holds no voxel's centre: its {notes.contours} contours are smaller than the voxels"
        f"{f' ({why})' if why else ''}.",
        hint="Use an image with smaller voxels, or leave this ROI out.",
        path=roi.path,
    )  # fmt: skip


# the file


def _structure_set(dataset: Dataset, path: Path) -> StructureSet:
    kind, modality = headers.text(dataset, "SOPClassUID"), headers.text(dataset, "Modality")
    if kind != RTSTRUCT and (kind or modality != "RTSTRUCT"):
        raise FileProblem(
            f"this is no RT structure set (its modality is {modality or 'not given'}).", hint="Give the RTSTRUCT file.", path=path
        )
    if "StructureSetROISequence" not in dataset and "ROIContourSequence" not in dataset:
        raise FileProblem("the structure set has no list of ROIs: it is empty or cut off.", hint=_AGAIN, path=path)
    referenced = _referenced(dataset)
    frames = tuple(dict.fromkeys(frame for frame, _ in referenced if frame))
    whole = headers.text(dataset, "FrameOfReferenceUID") or (frames[0] if len(frames) == 1 else "")
    drawn, thick, broken = _drawn(dataset)
    interpreted = {
        headers.whole(item, "ReferencedROINumber"): headers.text(item, "RTROIInterpretedType")
        for item in headers.items(dataset, "RTROIObservationsSequence")
    }
    rois: list[StructureRoi] = []
    problems: list[str] = []
    for place_, item in enumerate(headers.items(dataset, "StructureSetROISequence"), start=1):
        number = headers.whole(item, "ROINumber")
        name = headers.text(item, "ROIName")
        if number is None:
            problems.append(
                f"entry {place_} of the list of ROIs ({name or 'without a name'}) has no number: its contours cannot be found."
            )
            continue
        problem, hint = broken.get(number, ("", ""))
        rois.append(
            StructureRoi(
                number, name or f"ROI {number}", headers.text(item, "ReferencedFrameOfReferenceUID") or whole,
                tuple(drawn.get(number, ())), interpreted.get(number, ""), thick.get(number), None, problem, hint, str(path),
            )
        )  # fmt: skip
    counts = Counter(roi.number for roi in rois)
    for number, count in counts.items():
        if count > 1:
            problem = f"the number {number} stands for {count} ROIs: whose contours these are cannot be told."
            rois = [replace(roi, problem=problem, hint=_AGAIN) if roi.number == number else roi for roi in rois]
    for number in drawn.keys() | broken.keys():
        if number not in counts:
            problems.append(f"there are contours of a ROI {number} that the list of ROIs does not name: they were left out.")
    named = Counter(roi.name.casefold() for roi in rois)
    problems += [
        f"{count} ROIs have the name {name!r}: they can be told by their numbers only."
        for name, count in named.items()
        if count > 1
    ]
    problems += [f"{roi}: {roi.problem}" for roi in rois if roi.problem]
    problems += [f"{roi} has no contours." for roi in rois if not roi.contours and not roi.problem]
    spacing = contours.plane_spacing([roi.contours for roi in rois])
    return StructureSet(
        path=path,
        label=headers.text(dataset, "StructureSetLabel"),
        rois=tuple(replace(roi, drawn_mm=spacing) for roi in rois),
        referenced_series=tuple(dict.fromkeys(uid for _, series in referenced for uid in series)),
        frames_of_reference=tuple(
            dict.fromkeys([*frames, *(roi.frame_of_reference_uid for roi in rois if roi.frame_of_reference_uid)])
        ),
        referenced=referenced,
        problems=tuple(problems),
    )


def _referenced(dataset: Dataset) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = []
    for frame in headers.items(dataset, "ReferencedFrameOfReferenceSequence"):
        series = [
            headers.text(one, "SeriesInstanceUID")
            for study in headers.items(frame, "RTReferencedStudySequence")
            for one in headers.items(study, "RTReferencedSeriesSequence")
        ]
        found.append((headers.text(frame, "FrameOfReferenceUID"), tuple(uid for uid in series if uid)))
    return tuple(found)


def _drawn(
    dataset: Dataset,
) -> tuple[dict[int, list[Contour]], dict[int, float], dict[int, tuple[str, str]]]:
    """By the number of the ROI: its contours, their slab where it is given, and what is wrong with them."""
    drawn: dict[int, list[Contour]] = {}
    thick: dict[int, float] = {}
    broken: dict[int, tuple[str, str]] = {}
    for item in headers.items(dataset, "ROIContourSequence"):
        number = headers.whole(item, "ReferencedROINumber")
        if number is None:
            continue  # contours of nobody; a ROI without contours is told as such
        mine = drawn.setdefault(number, [])
        for place_, one in enumerate(headers.items(item, "ContourSequence"), start=1):
            points = _points(one)
            if isinstance(points, str):
                broken.setdefault(
                    number, (f"contour {place_} {points}", "Export the structure set again, or leave this ROI out.")
                )
                continue
            images = headers.items(one, "ContourImageSequence")
            uid = headers.text(images[0], "ReferencedSOPInstanceUID") if images else ""
            mine.append(Contour(points, headers.text(one, "ContourGeometricType").upper(), uid))
            slab = headers.number(one, "ContourSlabThickness")
            if slab is not None and slab > 0:
                thick.setdefault(number, slab)
    return drawn, thick, broken


def _points(item: Dataset) -> FloatArray | str:
    """(n, 3) of a contour, or what is wrong with them. From the bytes: pydicom takes a second for what numpy does at once."""
    if "ContourData" not in item:
        return np.zeros((0, 3))
    element = item.get_item(_CONTOUR_DATA)
    raw = element.value if isinstance(element, RawDataElement) else None
    try:
        if isinstance(raw, bytes):
            stripped = raw.strip(b" \0")
            flat = np.array(stripped.split(b"\\") if stripped else [], dtype=float)
        else:
            flat = np.array([float(value) for value in item.ContourData or ()], dtype=float)
    except (ValueError, TypeError):
        return "holds coordinates that are not numbers."
    if flat.size % 3:
        return f"holds {flat.size} numbers, which are no points of three."
    points = flat.reshape(-1, 3)
    wrong = int((~np.isfinite(points)).any(axis=1).sum())
    if wrong:
        return f"holds {wrong} points that are NaN or infinite."
    declared = headers.whole(item, "NumberOfContourPoints")
    if declared is not None and declared != len(points):
        return f"declares {declared} points and gives {len(points)}."
    return points

"""Image series -> :class:`~radpipe.core.image.Image`: in order, in the patient, in HU or SUV, or refused by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import ndimage

from radpipe.core.grid import Grid
from radpipe.core.image import UNITS, Image
from radpipe.errors import CohortError, FileProblem
from radpipe.io.dicom import enhanced, geometry, headers, pixels
from radpipe.io.dicom import suv as uptake
from radpipe.io.dicom.geometry import Frame, Stack
from radpipe.io.dicom.headers import Unreadable
from radpipe.io.dicom.scan import Export, Left, Series, group, scan_file, scan_folder
from radpipe.typing import FloatArray, Volume

Uneven = Literal["refuse", "resample"]
Suv = uptake.Kind
_JUDGED = headers.tags("PixelPresentation", "ModalityLUTSequence", "RescaleType")
_HOUNSFIELD = ("", "HU", "US")  # "US": unspecified, as many converters write


@dataclass(frozen=True)
class SliceIndex:
    """Which plane of a series' grid each image is. slices : (SOPInstanceUID, frame from 1) -> z index; whole where the grid's
    planes are the slices themselves, a fraction where they were resampled."""

    grid: Grid
    slices: Mapping[tuple[str, int], float]

    def of(self, sop_uid: str, frame: int = 1) -> float | None:
        return self.slices.get((sop_uid, frame))


def choose(
    export: Export,
    *,
    modality: str | None = None,
    description: str | None = None,
    uid: str | None = None,
    patient_id: str | None = None,
) -> Series:
    """The one image series that fits; CohortError with a list of what is there where none or several do.

    modality : CT, MR, PET. description : part of it, whatever the case of its letters; it may also name the part. uid : whole.
    """
    images = [series for series in export.series if series.is_image]
    wanted = {"PT": "PET"}.get(modality.upper(), modality.upper()) if modality else None
    fitting = [
        series
        for series in images
        if (wanted is None or series.modality == wanted)
        and (description is None or description.casefold() in f"{series.description} [{series.part}]".casefold())
        and (uid is None or series.uid == uid)
        and (patient_id is None or series.patient_id == patient_id)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not images:
        raise CohortError(f"no image series is here.{_why_left(export)}", hint="Give a folder with CT, MR or PET in DICOM.")
    problem = "no image series fits." if not fitting else f"{len(fitting)} image series fit."
    if len(fitting) > 1 and len({series.uid for series in fitting}) == 1:
        mixed = "mixed orientations" if all("orientation" in series.part for series in fitting) else "several volumes"
        problem = f"{problem[:-1]}: they are parts of one, which has {mixed}."
    listed = "; ".join(str(series) for series in (fitting or images))
    raise CohortError(
        f"{problem} There {'is' if len(fitting or images) == 1 else 'are'}: {listed}.",
        hint="Choose one by its modality, its description or its UID.",
    )


def read_path(path: Path, *, case_id: str = "") -> Image:
    """The image that a folder or a file of DICOM holds; FileProblem with a list of what is there unless it is one series."""
    with headers.seen(files_of(path)):
        return read_series(_only_series(path, case_id), case_id=case_id)


def read_path_header(path: Path, *, case_id: str = "") -> tuple[Grid, str]:
    """Its grid and the dtype it will have: int16 (int32 where that does not hold its values) or float32."""
    with headers.seen(files_of(path)):
        series = _only_series(path, case_id)
        frames = _frames(series)
        slopes, intercepts = (np.array([getattr(frame, name) for frame in frames]) for name in ("slope", "intercept"))
        whole = series.modality != "PET" and _whole(slopes) and _whole(intercepts)
        return _stack(series, "refuse", case_id).grid, "int16" if whole else "float32"


def files_of(path: Path) -> list[Path]:
    """The files that a path to DICOM stands for."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _only_series(path: Path, case_id: str) -> Series:
    if path.is_dir():
        export = scan_folder(path)
    else:
        found = scan_file(path, path.parent)
        with _told(path, case_id):
            if isinstance(found, Left):
                raise Unreadable(found.what, found.why)
        export = group([found])
    try:
        return choose(export)
    except CohortError as error:
        raise FileProblem(
            error.problem,
            hint="Give a folder with one series, or sort the export into cases: radpipe ingest FOLDER --out COHORT.",
            case_id=case_id,
            path=path,
        ) from error


def frame_positions(series: Series, *, uneven: Uneven = "refuse", case_id: str = "") -> SliceIndex:
    """Which plane of the grid each slice is. GeometryError as :func:`read_series`. Headers alone: no file is opened."""
    placed = _stack(series, uneven, case_id)
    step = placed.grid.spacing_mm[0]
    slices: dict[tuple[str, int], float] = {}
    twice = set()
    for plane, index in enumerate(placed.order):
        file, frame = series.chosen[index]
        key = (series.files[file].sop_uid, frame + 1)
        if key in slices:
            twice.add(key)  # a UID that two slices share names neither
        slices[key] = plane if placed.regular else float((placed.positions_mm[plane] - placed.positions_mm[0]) / step)
    return SliceIndex(placed.grid, {key: z for key, z in slices.items() if key not in twice and key[0]})


def read_series(series: Series, *, uneven: Uneven = "refuse", suv: Suv | None = "bw", case_id: str = "") -> Image:
    """The voxels of a CT, MR or PET series, as its slices lie: (z, y, x) with z along the slices' normal, directions kept.

    Every slice has its own rescale. Whole numbers stay whole (int16, or int32 where it does not hold them) where one rescale of
    whole numbers serves all slices; else, and for every SUV, float32. PixelPaddingValue is rescaled like every other value, as ITK does.
    uneven : "resample" places unevenly spaced and sheared (gantry tilt) slices on an even grid, linearly; two slices at one
    place and mixed orientations are refused all the same. suv : to which SUV a PET is brought; None keeps its values (then the
    unit is "arbitrary"). Unit: HU, SUV or arbitrary.
    FileProblem and GeometryError say which attribute, which instances, how many mm. Memory: two volumes.
    """
    with _told(_place(series), case_id):
        _check_readable(series)
    placed = _stack(series, uneven, case_id)
    frames = _frames(series)
    with _told(_place(series), case_id):
        scale = _scale(series, suv)
        slopes = np.array([frame.slope for frame in frames]) * scale
        intercepts = np.array([frame.intercept for frame in frames]) * scale
        _check_rescale(slopes, intercepts)
        unit = _unit(series, suv)
    whole = unit != "SUV" and _whole(slopes) and _whole(intercepts)
    planes: list[Volume | None] = [None] * len(frames)
    by_file: dict[int, list[int]] = defaultdict(list)
    for index, (file, _) in enumerate(series.chosen):
        by_file[file].append(index)
    for file, indices in by_file.items():
        source = series.files[file]
        with _told(source.path, case_id):
            dataset = headers.read_whole(source.path, (*pixels.PIXEL_TAGS, *_JUDGED))
            stored = pixels.frames(dataset, [series.chosen[index][1] for index in indices])
            if stored.shape[1:] != (frames[0].rows, frames[0].columns):
                raise Unreadable("changed", "the file is no longer what it was when the folder was looked through.", "Try again.")
            for index, values in zip(indices, stored, strict=True):
                planes[index] = _rescaled(values, slopes[index], intercepts[index], whole)
    voxels = np.stack([planes[index] for index in placed.order])  # type: ignore[arg-type]
    if not placed.regular:
        voxels = _resampled(voxels, placed, frames[0])
    return Image(placed.grid, voxels, unit)


@contextmanager
def _told(path: object, case_id: str) -> Iterator[None]:
    """An Unreadable as the FileProblem it is to the user."""
    try:
        yield
    except Unreadable as error:
        raise error.problem(path, case_id) from error


def _frames(series: Series) -> list[Frame]:
    return [series.files[file].frames[number] for file, number in series.chosen]


def _place(series: Series) -> Path:
    """The file, or the folder of the files."""
    return series.files[0].path if len(series.files) == 1 else series.files[0].path.parent


def _note(series: Series) -> str:
    if not series.part:
        return ""
    mixed = "has mixed orientations" if "orientation" in series.part else "holds several volumes"
    return f"its series {mixed}, and the part [{series.part}] cannot be read: "


def _stack(series: Series, uneven: Uneven, case_id: str) -> Stack:
    if not series.is_image:
        with _told(_place(series), case_id):
            raise Unreadable("not-an-image", f"it is {series.modality}, no image.")
    return geometry.stack(
        _frames(series),
        names=_names(series),
        resample=uneven == "resample",
        path=_place(series),
        case_id=case_id,
        note=_note(series),
    )


def _names(series: Series) -> list[str]:
    """What each slice is called in an error: its instance number, with its file where that does not tell it from the others."""
    numbers = [(series.files[file].frames[number].instance, number) for file, number in series.chosen]
    names = []
    for (file, number), (instance, _) in zip(series.chosen, numbers, strict=True):
        name = f"instance {instance}" if instance is not None else series.files[file].relative
        if instance is not None and len(series.files) > 1 and numbers.count((instance, number)) > 1:
            name += f" ({Path(series.files[file].relative).name})"
        names.append(f"{name} frame {number + 1}" if len(series.files[file].frames) > 1 else name)
    return names


def _check_readable(series: Series) -> None:
    """Unreadable for what no geometry can save: a mosaic, a missing decoder, frames that nobody places."""
    frame = next(iter(_frames(series)), None)
    if frame is None:
        raise Unreadable("damaged", "it holds no slice.", headers.AGAIN)
    for file in series.files:
        if any("MOSAIC" in frame.kind for frame in file.frames):
            raise Unreadable(
                "mosaic",
                "it is a mosaic (Siemens): all slices of a volume as tiles of one picture.",
                "Export it as enhanced multi-frame, or convert it with dcm2niix and give the NIfTI.",
            )
        pixels.check_decoder(file.transfer_syntax)
        if file.n_frames > 1 and len(file.frames) == 1 and file.frames[0].position_mm is None:
            raise Unreadable(
                "no-geometry",
                f"its header places none of its {file.n_frames} frames in the patient (PerFrameFunctionalGroupsSequence is missing).",
                "Export the series again from its source.",
            )
        if 2 * len(series.chosen) * frame.rows * frame.columns > pixels.MAX_BYTES:
            raise Unreadable("too-large", f"it has more than {pixels.MAX_BYTES >> 30} GiB of voxels.", "Crop it first.")
        if file.n_frames != len(file.frames):
            raise Unreadable(
                "damaged", f"its header declares {file.n_frames} frames and places {len(file.frames)}.", headers.AGAIN
            )  # fmt: skip


def _scale(series: Series, suv: Suv | None) -> float:
    """What rescaled values are multiplied with: the SUV factor of a PET, else 1."""
    if series.modality != "PET" or suv is None:
        return 1.0
    with headers.reasons():
        said = [uptake.facts(headers.read_header(file.path, uptake.TAGS)[0]) for file in series.files]
    return uptake.factor(said, suv)


def _unit(series: Series, suv: Suv | None) -> str:
    """HU, SUV or arbitrary; Unreadable for values that are no measurement. Of one file: a series is of one kind."""
    groups_too = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence") if series.modality == "CT" else ()
    dataset, _ = headers.read_header(series.files[0].path, (*_JUDGED, *headers.tags(*groups_too)))
    if headers.text(dataset, "PixelPresentation").upper() in ("COLOR", "MIXED", "TRUE_COLOR"):
        raise Unreadable(
            "colour",
            "part of its values are colours of a map (PixelPresentation), not measurements.",
            "Export the original series.",
        )
    if headers.items(dataset, "ModalityLUTSequence"):
        raise Unreadable(
            "modality-lut",
            "its values pass through a table (ModalityLUTSequence), which is not read.",
            "Export it with a rescale slope.",
        )
    if series.modality == "PET" and suv is None:
        return "arbitrary"
    if series.modality == "CT":
        groups = (
            *headers.items(dataset, "PerFrameFunctionalGroupsSequence")[:1],
            *headers.items(dataset, "SharedFunctionalGroupsSequence")[:1],
        )
        said = headers.text(enhanced.macro(groups, "PixelValueTransformationSequence"), "RescaleType")
        if (said or headers.text(dataset, "RescaleType")).upper() not in _HOUNSFIELD:
            return "arbitrary"
    return UNITS[series.modality]


def _check_rescale(slopes: FloatArray, intercepts: FloatArray) -> None:
    if not (np.isfinite(slopes).all() and np.isfinite(intercepts).all()):
        raise Unreadable("damaged", "RescaleSlope or RescaleIntercept of a slice is no number.", "Export the series again.")
    if (slopes == 0).any():
        raise Unreadable("damaged", "RescaleSlope of a slice is 0: all its voxels would be equal.", "Export the series again.")


def _whole(values: FloatArray) -> bool:
    return bool((values == values[0]).all()) and float(values[0]).is_integer() and abs(values[0]) < 2**31


def _rescaled(stored: Volume, slope: float, intercept: float, whole: bool) -> Volume:
    if not (whole and np.issubdtype(stored.dtype, np.integer)):
        values = stored.astype(np.float64) * slope + intercept
        if not np.isfinite(values).all() or np.abs(values).max(initial=0.0) > np.finfo(np.float32).max:
            raise Unreadable("damaged", "it holds values that are not finite.", "Export the series again.")
        return values.astype(np.float32)
    small = stored.dtype.itemsize <= 2 and 2**16 * abs(slope) + abs(intercept) < 2**31
    exact = stored.astype(np.int32 if small else np.int64) * int(slope) + int(intercept)
    low, high = int(exact.min()), int(exact.max())
    for dtype in (np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return exact.astype(dtype)
    return exact.astype(np.float64)


def _resampled(slices: Volume, placed: Stack, frame: Frame) -> Volume:
    """Slices that lie unevenly or aside of each other -> the planes of the grid, linearly; whole numbers are rounded.

    Where no slice reaches (a sheared stack fills only part of its box) stands the lowest value there is.
    """
    _, rows, columns = placed.grid.shape
    step, down, across = placed.grid.spacing_mm
    lowest = slices.min()
    along = (placed.positions_mm - placed.positions_mm[0]) / step
    wide = np.full((len(slices), rows, columns), lowest, dtype=np.float32)
    wide[:, : frame.rows, : frame.columns] = slices
    shifted = np.stack(
        [
            plane
            if not aside.any()
            else ndimage.shift(plane, (aside[1] / down, aside[0] / across), order=1, mode="constant", cval=float(lowest))
            for plane, aside in zip(wide, placed.offsets_mm, strict=True)
        ]
    )
    planes = np.empty(placed.grid.shape, dtype=np.float32)
    for z in range(len(planes)):
        below = min(int(np.searchsorted(along, z + 1e-6, side="right")) - 1, len(along) - 2)
        share = min(max((z - along[below]) / (along[below + 1] - along[below]), 0.0), 1.0)
        planes[z] = (1 - share) * shifted[below] + share * shifted[below + 1]
    if np.issubdtype(slices.dtype, np.integer):
        return np.rint(planes).astype(slices.dtype)
    return planes


def _why_left(export: Export) -> str:
    if not export.left:
        return ""
    first = next((left for left in export.left if left.what != "not-dicom"), export.left[0])
    more = f" (and {len(export.left) - 1} more)" if len(export.left) > 1 else ""
    return f" {first.relative}: {first.why.rstrip('.')}{more}."

"""Image series -> :class:`~radpipe.core.image.Image`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radpipe.core.grid import Grid
from radpipe.core.image import UNITS, Image
from radpipe.errors import CohortError
from radpipe.io.dicom import geometry, headers, pixels
from radpipe.io.dicom.geometry import Frame
from radpipe.io.dicom.scan import Export, Series

Uneven = Literal["refuse", "resample"]
Suv = Literal["bw", "lbm", "bsa"]


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
    fitting = [
        series
        for series in images
        if (modality is None or series.modality.upper() == {"PT": "PET"}.get(modality.upper(), modality.upper()))
        and (description is None or description.casefold() in f"{series.description} {series.part}".casefold())
        and (uid is None or series.uid == uid)
        and (patient_id is None or series.patient_id == patient_id)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not images:
        raise CohortError("no image series is here.", hint="Give a folder with CT, MR or PET in DICOM.")
    problem = "no image series fits." if not fitting else f"{len(fitting)} image series fit."
    listed = "; ".join(str(series) for series in (fitting or images))
    raise CohortError(f"{problem} There {'is' if len(fitting or images) == 1 else 'are'}: {listed}.", hint="Name one by its UID.")


def frame_positions(series: Series, *, uneven: Uneven = "refuse", case_id: str = "") -> SliceIndex:
    """Which plane of the grid each slice is. GeometryError as :func:`read_series`."""
    placed = _stack(series, uneven, case_id)
    step = placed.grid.spacing_mm[0]
    slices: dict[tuple[str, int], float] = {}
    for plane, index in enumerate(placed.order):
        file, frame = series.chosen[index]
        z = plane if placed.regular else float((placed.positions_mm[plane] - placed.positions_mm[0]) / step)
        slices[(series.files[file].sop_uid, frame + 1)] = z
    return SliceIndex(placed.grid, slices)


def read_series(series: Series, *, uneven: Uneven = "refuse", suv: Suv | None = "bw", case_id: str = "") -> Image:
    placed = _stack(series, uneven, case_id)
    stored = []
    for index in placed.order:
        file, number = series.chosen[index]
        frame = series.files[file].frames[number]
        dataset = headers.read_whole(series.files[file].path)
        stored.append(pixels.frames(dataset)[number] * frame.slope + frame.intercept)
    voxels = np.stack(stored)
    if np.array_equal(voxels, voxels.astype(np.int16)):
        voxels = voxels.astype(np.int16)
    else:
        voxels = voxels.astype(np.float32)
    return Image(placed.grid, voxels, UNITS[series.modality])


def _stack(series: Series, uneven: Uneven, case_id: str) -> geometry.Stack:
    frames: list[Frame] = [series.files[file].frames[number] for file, number in series.chosen]
    return geometry.stack(frames, resample=uneven == "resample", case_id=case_id)

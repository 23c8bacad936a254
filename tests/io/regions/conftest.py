"""Files made for these tests, by pydicom alone: what is right and wrong in them is written here by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from radpipe.core.grid import Grid

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
CT = "1.2.840.10008.5.1.4.1.1.2"
REG = "1.2.840.10008.5.1.4.1.1.66.1"


def dataset(sop_class: str, modality: str, **values: Any) -> FileDataset:
    """The elements that every object has; invented, of nobody."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    made.Modality = modality
    made.PatientID, made.PatientName, made.PatientBirthDate, made.PatientSex = "P1", "Test^Nobody", "", "O"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3.1", generate_uid()
    made.StudyDate = made.StudyTime = made.AccessionNumber = made.ReferringPhysicianName = ""
    made.StudyID, made.SeriesNumber, made.InstanceNumber = "1", 1, 1
    made.SpecificCharacterSet = "ISO_IR 192"
    for name, value in values.items():
        setattr(made, name, value)
    return made


def item(**values: Any) -> Dataset:
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def contour(points: Any, kind: str = "CLOSED_PLANAR", **values: Any) -> Dataset:
    flat = np.asarray(points, float).ravel()
    # repr, because pydicom refuses NaN as a decimal string when it is asked to write one
    one = item(ContourGeometricType=kind, NumberOfContourPoints=len(flat) // 3)
    one.ContourData = [format(float(value), ".10g")[:16] for value in flat]
    for name, value in values.items():
        setattr(one, name, value)
    return one


@pytest.fixture
def rtstruct(tmp_path: Path) -> Callable[..., Path]:
    """rois : (number, name, contours or None for no item in the contours' list)."""

    def make(
        rois: Sequence[tuple[int, str, Sequence[Dataset] | None]], *, frame: str = "1.2.3.9", series: Sequence[str] = ("1.2.3.4",),
        name: str = "rt.dcm", **values: Any,
    ) -> Path:  # fmt: skip
        made = dataset(RTSTRUCT, "RTSTRUCT", StructureSetLabel="PLAN")
        refer = [item(SeriesInstanceUID=uid, ContourImageSequence=[]) for uid in series]
        study = item(ReferencedSOPInstanceUID="1.2.3.1", RTReferencedSeriesSequence=refer)
        made.ReferencedFrameOfReferenceSequence = [item(FrameOfReferenceUID=frame, RTReferencedStudySequence=[study])]
        made.StructureSetROISequence = [
            item(ROINumber=number, ROIName=roi, ReferencedFrameOfReferenceUID=frame) for number, roi, _ in rois
        ]
        made.ROIContourSequence = [
            item(ReferencedROINumber=number, ContourSequence=list(found)) for number, _, found in rois if found is not None
        ]
        for keyword, value in values.items():
            setattr(made, keyword, value)
        path = tmp_path / name
        made.save_as(path, enforce_file_format=True)
        return path

    return make


@pytest.fixture
def ct_series(tmp_path: Path) -> Callable[..., Path]:
    """A CT on a grid, its slices as files whose order means nothing: the folder."""

    def make(
        grid: Grid, voxels: np.ndarray | None = None, *, uid: str = "1.2.3.4", frame: str = "1.2.3.9", name: str = "ct"
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        direction = np.asarray(grid.direction).reshape(3, 3)
        values = np.zeros(grid.shape, np.int16) if voxels is None else voxels
        for plane in range(grid.shape[0]):
            made = dataset(CT, "CT", SeriesInstanceUID=uid, FrameOfReferenceUID=frame, InstanceNumber=plane + 1)
            made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            made.ImagePositionPatient = [f"{value:.9g}" for value in grid.world_mm(np.array([plane, 0, 0.0]))]
            made.ImageOrientationPatient = [f"{value:.9g}" for value in (*direction[:, 0], *direction[:, 1])]
            made.PixelSpacing = [grid.spacing_mm[1], grid.spacing_mm[2]]
            made.SliceThickness = grid.spacing_mm[0]
            made.Rows, made.Columns = grid.shape[1:]
            made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
            made.BitsAllocated = made.BitsStored = 16
            made.HighBit, made.PixelRepresentation = 15, 1
            made.RescaleSlope, made.RescaleIntercept = 1, 0
            made.PositionReferenceIndicator = ""
            made.PixelData = values[plane].astype("<i2").tobytes()
            # names that sort neither forwards nor backwards
            made.save_as(folder / f"{(plane * 7) % grid.shape[0]:03d}_{plane}.dcm", enforce_file_format=True)
        return folder

    return make


@pytest.fixture(scope="session")
def dicom() -> SimpleNamespace:
    """The makers above, for tests (pytest's import mode lets no test import another file)."""
    return SimpleNamespace(dataset=dataset, item=item, contour=contour)

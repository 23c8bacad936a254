"""DICOM files made from nothing, so that what they must give is known without reading them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from radpipe.io.dicom.scan import DicomFile, Export, Left, group, scan_file, walk

CLASSES = {
    "CT": ("CT", "1.2.840.10008.5.1.4.1.1.2"),
    "MR": ("MR", "1.2.840.10008.5.1.4.1.1.4"),
    "PET": ("PT", "1.2.840.10008.5.1.4.1.1.128"),
}


def one_slice(stored: np.ndarray, modality: str = "CT", **changes: object) -> Dataset:
    """A valid classic image of (rows, columns) stored values, at the origin; ``changes`` by keyword, None deletes."""
    word, sop_class = CLASSES[modality]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyDate, dataset.StudyTime, dataset.PatientName = "20240101", "100000", "No^Body"
    dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "P1", "", "F"
    dataset.Modality, dataset.Manufacturer, dataset.AccessionNumber = word, "none", ""
    dataset.StudyID, dataset.ReferringPhysicianName, dataset.PositionReferenceIndicator = "", "", ""
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = "1.2.1", "1.2.1.1", "1.2.1.9"
    dataset.SeriesNumber, dataset.SeriesDescription, dataset.InstanceNumber = 4, "made", 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [2.0, 1.5], 3.0
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = stored.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    if modality != "MR":
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, (-1024 if modality == "CT" else 0)
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW" if stored.dtype.itemsize > 1 else "OB"
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def write_series(
    folder: Path,
    stored: np.ndarray,
    modality: str = "CT",
    *,
    step_mm: float = 3.0,
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    origin: tuple[float, ...] = (10.0, -20.0, 30.0),
    each: Callable[[Dataset, int], None] = lambda dataset, index: None,
    **changes: object,
) -> list[Path]:
    """(slices, rows, columns) of stored values as files, evenly along the normal; ``each`` may change a slice before it is
    written."""
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    paths = []
    for index, values in enumerate(stored):
        dataset = one_slice(values, modality, InstanceNumber=index + 1, ImageOrientationPatient=list(orientation), **changes)
        dataset.ImagePositionPatient = [round(float(x), 9) for x in np.asarray(origin) + index * step_mm * normal]
        each(dataset, index)
        paths.append(folder / f"{index + 1:03d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


@pytest.fixture(scope="session")
def make_slice() -> Callable[..., Dataset]:
    return one_slice


@pytest.fixture(scope="session")
def make_series() -> Callable[..., list[Path]]:
    return write_series


@pytest.fixture(scope="session")
def scanned(shared_data) -> Callable[[str], Export]:
    """What a folder or file of the shared data holds; each of the two collections is walked once."""

    @functools.cache
    def walked(root: str) -> tuple[tuple[Path, DicomFile | Left], ...]:
        return tuple((path, scan_file(path, shared_data / root)) for path in walk(shared_data / root))

    def under(name: str) -> Export:
        place = shared_data / name
        return group(found for path, found in walked(name[: name.index("dicom") + 5]) if path == place or place in path.parents)

    return under


@pytest.fixture
def stored() -> np.ndarray:
    """(5, 6, 4) whole numbers that are all different."""
    return np.arange(5 * 6 * 4, dtype=np.int16).reshape(5, 6, 4)

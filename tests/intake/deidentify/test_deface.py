"""A head made of ellipsoids: its face goes, its brain and its regions stay to the last voxel."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from scipy import ndimage

from radpipe.core.grid import Grid
from radpipe.intake.deidentify.deface import NotFound, find_face
from radpipe.io.dicom.scan import scan_folder
from radpipe.io.dicom.series import choose, read_series
from radpipe.stages.deidentify import deidentify
from radpipe.stages.deidentify_settings import Settings

SHAPE, SPACING, ORIGIN = (84, 92, 64), (3.0, 2.5, 2.5), (-80.0, -125.0, -165.0)
GRID = Grid(SHAPE, SPACING, ORIGIN)


def _head() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(body, bone, brain, skin of the face) in LPS mm: cranium about the origin, face and neck below it."""
    z, y, x = (
        (np.arange(count) * step + start).reshape([-1 if axis == at else 1 for axis in range(3)])
        for at, (count, step, start) in enumerate(zip(SHAPE, SPACING, ORIGIN[::-1], strict=True))
    )

    def ellipsoid(a: float, b: float, c: float) -> np.ndarray:
        return (x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 < 1

    brain, bone, cranium = ellipsoid(60, 80, 68), ellipsoid(66, 86, 74), ellipsoid(72, 92, 80)
    face = ((x / 60) ** 2 + ((y + 20) / 72) ** 2 < 1) & (z > -135) & (z < -20)
    nose = (np.abs(x) < 12) & (y > -112) & (y < -80) & (z > -75) & (z < -45)
    neck = (x**2 + (y - 15) ** 2 < 55**2) & (z < -130)
    body = cranium | face | nose | neck
    skin = body & ~ndimage.binary_erosion(body, iterations=2)
    front = skin & (y < -60) & (np.abs(x) < 40) & (z > -115) & (z < -40)
    return body, bone & ~brain, brain, front


BODY, BONE, BRAIN, SKIN = _head()


def a_scan(modality: str) -> np.ndarray:
    air, tissue, bone, brain = (-1000.0, 45.0, 900.0, 35.0) if modality == "CT" else (4.0, 420.0, 60.0, 300.0)
    voxels = np.where(BODY, tissue, air)
    voxels[BONE], voxels[BRAIN] = bone, brain
    return np.rint(voxels + np.random.default_rng(1).normal(0, 4, SHAPE)).astype(np.float32)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("turn", ["axial", "from the feet", "sagittal"])
def test_the_face_goes_and_the_brain_stays(modality: str, turn: str) -> None:
    voxels, grid, skin, brain, body = a_scan(modality), GRID, SKIN, BRAIN, BODY
    if turn == "from the feet":  # stored from head to feet
        origin = (*ORIGIN[:2], ORIGIN[2] + (SHAPE[0] - 1) * SPACING[0])
        grid = Grid(SHAPE, SPACING, origin, (1, 0, 0, 0, 1, 0, 0, 0, -1))
        voxels, skin, brain, body = (one[::-1] for one in (voxels, skin, brain, body))
    if turn == "sagittal":  # slices along the patient's left, rows to the feet
        voxels, skin, brain, body = (one[::-1].transpose(2, 0, 1) for one in (voxels, skin, brain, body))
        origin = (*ORIGIN[:2], ORIGIN[2] + (SHAPE[0] - 1) * SPACING[0])
        grid = Grid(voxels.shape, (2.5, 3.0, 2.5), origin, (0, 0, 1, 1, 0, 0, 0, -1, 0))
    found = find_face(voxels, grid, modality)
    assert (found.face & brain).sum() == 0  # R3 asks for at most 0.1 %
    assert (found.face & skin).sum() >= 0.99 * skin.sum()
    assert (found.face & body).sum() < 0.25 * body.sum()


def test_an_image_without_a_head_is_said_to_have_none() -> None:
    chest = np.where(ndimage.binary_dilation(BODY, iterations=3), 40.0, -1000.0)
    with pytest.raises(NotFound) as error:
        find_face(chest, GRID, "CT")
    assert error.value.no_head
    with pytest.raises(NotFound):
        find_face(a_scan("MR")[:45], Grid((45, *SHAPE[1:]), SPACING, ORIGIN), "MR")  # cut off above the eyes


def _conftest() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dicom_slices", Path(__file__).parents[2] / "io" / "dicom" / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _structures(folder: Path, ct: Dataset, centre: tuple[float, float, float]) -> None:
    """An RTSTRUCT with a box of 18 mm about ``centre`` (LPS)."""
    ds = Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.77.1"
    ds.Modality, ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "RTSTRUCT", ct.PatientID, ct.StudyInstanceUID, "1.2.77"
    roi, drawn = Dataset(), Dataset()
    roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = 1, "GTV", ct.FrameOfReferenceUID
    drawn.ReferencedROINumber, drawn.ContourSequence = 1, []
    for plane in range(-1, 2):
        contour = Dataset()
        contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
        z = ORIGIN[2] + 6 * (round((centre[2] - ORIGIN[2]) / 6) + plane)
        contour.ContourData = [
            value for dx, dy in ((-9, -9), (9, -9), (9, 9), (-9, 9)) for value in (centre[0] + dx, centre[1] + dy, z)
        ]
        drawn.ContourSequence.append(contour)
    ds.StructureSetROISequence, ds.ROIContourSequence = [roi], [drawn]
    ds.save_as(folder / "rs.dcm", enforce_file_format=True)


@pytest.mark.parametrize(("centre", "status"), [((0.0, -40.0, -10.0), "written"), ((0.0, -85.0, -80.0), "refused")])
def test_a_lesion_is_untouched_or_the_series_is_refused(tmp_path: Path, centre: tuple[float, float, float], status: str) -> None:
    folder = tmp_path / "export"
    stored = (a_scan("CT")[::2] + 1024).clip(0).astype(np.uint16)
    paths = _conftest().write_series(
        folder, stored, "CT", origin=ORIGIN, step_mm=6.0, BodyPartExamined="HEAD", PixelSpacing=[2.5, 2.5]
    )
    _structures(folder, pydicom.dcmread(paths[0], stop_before_pixels=True), centre)
    done = deidentify(
        folder, tmp_path / "out", Settings(secret="correct horse battery staple", deface=True), workers=1, scheduler="processes"
    )
    images = [item for item in done.items if item.facts["object_type"] == "CT Image"]
    assert {item.status for item in images} == {status}
    if status == "refused":
        assert all("would be touched" in item.why for item in images)
        return
    after = read_series(choose(scan_folder(tmp_path / "out"), modality="CT"))
    before = read_series(choose(scan_folder(folder), modality="CT"))
    assert after.grid == before.grid
    changed = after.voxels != before.voxels
    assert not (changed & BRAIN[::2]).any() and (after.voxels[SKIN[::2]] < -900).mean() >= 0.99
    ds = pydicom.dcmread(tmp_path / "out" / images[0].target)
    assert ds.RecognizableVisualFeatures == "NO" and "113102" in [
        code.CodeValue for code in ds.DeidentificationMethodCodeSequence
    ]

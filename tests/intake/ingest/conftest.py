"""A small hospital: DICOM files written with pydicom and highdicom, whose voxels and regions are known by hand."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from radpipe.cli.ingest import ingest
from radpipe.core.grid import Grid
from radpipe.core.image import Image
from radpipe.errors import RadpipeError
from radpipe.io.nifti import write_nifti
from radpipe.io.volumes import write_image
from radpipe.stages._pool import Pool

CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "PET": "1.2.840.10008.5.1.4.1.1.128"}
WEIGHT_KG, DOSE_BQ = 70.0, 350e6
Box = tuple[int, int, int, int, int, int]  # z0, z1, y0, y1, x0, x1: voxels z0 <= z < z1 ...


@dataclass
class Scan:
    """A series as it was written. voxels : stored values, (z, y, x)."""

    uid: str
    patient: str
    frame: str
    grid: Grid
    voxels: np.ndarray
    files: list[Path] = field(default_factory=list)
    datasets: list[FileDataset] = field(default_factory=list)


class Hospital:
    """Writes into ``folder``; the same calls give the same files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.count = 0
        self.removed = "YES"

    def uid(self, *what: object) -> str:
        return generate_uid(entropy_srcs=["radpipe ingest test", *map(str, what)])

    def scan(
        self, patient: str, modality: str = "CT", number: int | None = 1, *, frame: str = "F", description: str = "", slices: int = 5,
        spacing: tuple[float, float, float] = (3.0, 2.0, 2.0), origin: tuple[float, float, float] = (-10.0, -12.0, 5.0), **more: Any,
    ) -> Scan:  # fmt: skip
        """more : DICOM keyword -> value, None to leave it out."""
        shape = (slices, 10, 12)
        self.count += 1
        name = f"s{self.count}"
        rng = np.random.default_rng(self.count)
        voxels = rng.integers(100, 900, shape).astype(np.uint16)
        grid = Grid(shape, spacing, origin)
        scan = Scan(self.uid("series", name), patient, self.uid("frame", patient, frame), grid, voxels)
        for z in range(slices):
            ds = self._new(CLASSES[modality], self.uid("slice", name, z), patient)
            ds.Modality = {"PET": "PT"}.get(modality, modality)
            ds.SeriesInstanceUID, ds.FrameOfReferenceUID = scan.uid, scan.frame
            ds.SeriesNumber, ds.SeriesDescription, ds.InstanceNumber = number, description, z + 1
            ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            ds.Rows, ds.Columns = shape[1:]
            ds.PixelSpacing, ds.SliceThickness = list(spacing[1:]), spacing[0]
            ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            ds.ImagePositionPatient = [origin[0], origin[1], origin[2] + z * spacing[0]]
            ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
            ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
            if modality == "CT":
                ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
            if modality == "PET":
                self._pet(ds)
            ds.PixelData = voxels[z].tobytes()
            for keyword, value in more.items():
                if value is None:
                    delattr(ds, keyword)
                else:
                    setattr(ds, keyword, value)
            path = self.folder / patient.replace("/", "_") / name / f"{z:03d}.dcm"
            self._save(ds, path)
            scan.files.append(path)
            scan.datasets.append(ds)
        return scan

    def _pet(self, ds: Dataset) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = 10, 0
        ds.Units, ds.DecayCorrection, ds.CorrectedImage = "BQML", "START", ["ATTN", "DECY"]
        ds.PatientWeight = WEIGHT_KG
        ds.SeriesDate = ds.AcquisitionDate = "20200101"
        ds.SeriesTime = ds.AcquisitionTime = "120000"
        item = Dataset()
        item.RadionuclideTotalDose, item.RadionuclideHalfLife = DOSE_BQ, 6586.2
        item.RadiopharmaceuticalStartTime = "120000"
        item.RadiopharmaceuticalStartDateTime = "20200101120000"
        ds.RadiopharmaceuticalInformationSequence = [item]

    def rtstruct(
        self, scan: Scan, rois: dict[str, Box | None], *, number: int = 9, patient: str | None = None, frame: str | None = None,
        name: str = "",
    ) -> Path:  # fmt: skip
        """Boxes of whole voxels of the scan's grid as contours on its slices; None: a name without contours."""
        self.count += 1
        name = name or f"rs{self.count}"
        ds = self._new("1.2.840.10008.5.1.4.1.1.481.3", self.uid("rs", name), patient or scan.patient)
        ds.Modality, ds.SeriesInstanceUID, ds.SeriesNumber = "RTSTRUCT", self.uid("rs series", name), number
        ds.StructureSetLabel = name
        series, study, of_frame = Dataset(), Dataset(), Dataset()
        series.SeriesInstanceUID = scan.uid
        study.ReferencedSOPInstanceUID = self.uid("study", scan.patient)
        study.RTReferencedSeriesSequence = [series]
        of_frame.FrameOfReferenceUID = frame or scan.frame
        of_frame.RTReferencedStudySequence = [study]
        ds.ReferencedFrameOfReferenceSequence = [of_frame]
        ds.StructureSetROISequence, ds.ROIContourSequence = [], []
        for at, (roi_name, box) in enumerate(rois.items(), start=1):
            roi, drawn = Dataset(), Dataset()
            roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = at, roi_name, frame or scan.frame
            drawn.ReferencedROINumber, drawn.ContourSequence = at, []
            if box is not None:
                z0, z1, y0, y1, x0, x1 = box
                for z in range(z0, z1):
                    corners = [(z, y - 0.5, x - 0.5) for y, x in ((y0, x0), (y0, x1), (y1, x1), (y1, x0))]
                    points = scan.grid.world_mm(np.array(corners, float))
                    contour, image = Dataset(), Dataset()
                    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
                    contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
                    if frame is None:
                        image.ReferencedSOPInstanceUID = scan.datasets[z].SOPInstanceUID
                        contour.ContourImageSequence = [image]
                    drawn.ContourSequence.append(contour)
            ds.StructureSetROISequence.append(roi)
            ds.ROIContourSequence.append(drawn)
        path = self.folder / scan.patient.replace("/", "_") / f"{name}.dcm"
        self._save(ds, path)
        return path

    def seg(self, scan: Scan, label: str, box: Box, *, frame: str | None = None) -> Path:
        """A binary segmentation by highdicom on the scan's own slices. frame : put into the file afterwards."""
        self.count += 1
        voxels = inside(scan.grid, box).astype(np.uint8)
        segment = hd.seg.SegmentDescription(
            1, label, codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Neoplasm, hd.seg.SegmentAlgorithmTypeValues.MANUAL
        )
        found = hd.seg.Segmentation(
            scan.datasets, voxels, hd.seg.SegmentationTypeValues.BINARY, [segment], self.uid("seg series", self.count), 20,
            self.uid("seg", self.count), 1, "nobody", "none", "1", "1",
        )  # fmt: skip
        # highdicom draws random UIDs and takes today's date.
        found.DimensionOrganizationSequence[0].DimensionOrganizationUID = self.uid("dimensions", self.count)
        for item in found.DimensionIndexSequence:
            item.DimensionOrganizationUID = self.uid("dimensions", self.count)
        for keyword in ("ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"):
            if keyword in found:
                setattr(found, keyword, "20200101" if keyword.endswith("Date") else "120000")
        if frame is not None:
            found.FrameOfReferenceUID = frame
        path = self.folder / scan.patient.replace("/", "_") / f"seg{self.count}.dcm"
        found.save_as(path)
        return path

    def registration(self, patient: str, start: str, end: str, shift: tuple[float, float, float]) -> Path:
        """Points of the frame ``start`` are ``shift`` (mm, LPS) away in the frame ``end``."""
        self.count += 1
        ds = self._new("1.2.840.10008.5.1.4.1.1.66.1", self.uid("reg", self.count), patient)
        ds.Modality, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "REG", self.uid("reg series", self.count), end
        matrix, entry, item = Dataset(), Dataset(), Dataset()
        whole = np.eye(4)
        whole[:3, 3] = shift
        entry.FrameOfReferenceTransformationMatrix = [str(value) for value in whole.ravel()]
        entry.FrameOfReferenceTransformationMatrixType = "RIGID"
        matrix.MatrixSequence = [entry]
        item.FrameOfReferenceUID, item.MatrixRegistrationSequence = start, [matrix]
        ds.RegistrationSequence = [item]
        path = self.folder / patient / f"reg{self.count}.dcm"
        self._save(ds, path)
        return path

    def nifti(self, name: str, labels: dict[int, Box], *, modality: str = "CT") -> None:
        """``name_<modality>_image.nii.gz`` and ``..._mask.nii.gz``."""
        grid = Grid((6, 9, 11), (2.5, 1.5, 1.5), (3.0, -4.0, 7.0))
        voxels = np.random.default_rng(5).integers(-200, 300, grid.shape).astype(np.int16)
        folder = self.folder / "volumes"
        folder.mkdir(exist_ok=True)
        write_image(folder / f"{name}_{modality}_image.nii.gz", Image(grid, voxels))
        mask = np.zeros(grid.shape, np.uint8)
        for label, box in labels.items():
            mask[inside(grid, box)] = label
        write_nifti(folder / f"{name}_{modality}_mask.nii.gz", mask, grid)

    def _new(self, sop_class: str, sop_uid: str, patient: str) -> FileDataset:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, sop_uid
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = sop_class, sop_uid
        ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = patient, "Secret^Name", "19500203", "O"
        ds.PatientIdentityRemoved = self.removed  # YES: the ids are pseudonyms, and are kept
        ds.StudyInstanceUID, ds.StudyID, ds.AccessionNumber = self.uid("study", patient), "1", "ACC77"
        ds.StudyDate, ds.StudyTime, ds.ReferringPhysicianName = "20200101", "110000", "Doctor^Hidden"
        return ds

    def _save(self, ds: FileDataset, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)


def inside(grid: Grid, box: Box) -> np.ndarray:
    """(z, y, x) bool."""
    voxels = np.zeros(grid.shape, bool)
    z0, z1, y0, y1, x0, x1 = box
    voxels[z0:z1, y0:y1, x0:x1] = True
    return voxels


def scattered(source: Path, target: Path, seed: int) -> dict[str, str]:
    """A copy of an export with random names in random folders; pairs of volumes keep theirs. New path -> old path."""
    chance = random.Random(seed)
    moved = {}
    for path in sorted(source.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        old = path.relative_to(source)
        if path.name.endswith((".nii.gz", ".nrrd")):
            new = old
        else:
            folders = [f"d{chance.randrange(6)}" for _ in range(chance.randrange(4))]
            ending = ".dcm" if (path.name.endswith(".dcm") and chance.random() < 0.5) or "text" in path.name else ""
            new = Path(*folders, f"f{chance.randrange(10**9):09d}{ending}")
        (target / new).parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            os.symlink(os.readlink(path), target / new)
        else:
            shutil.copyfile(path, target / new)
        moved[new.as_posix()] = old.as_posix()
    return moved


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a cohort but its store."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "ingest.radpipe" not in path.parts
    }


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(tmp_path / "export")


@pytest.fixture(scope="module")
def tools() -> Any:
    """The helpers of this file, for tests that cannot import it."""
    return sys.modules[__name__]


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


Call = Callable[..., Done]


class _Warm(Pool):
    """Real workers that outlive a call, so that not every test waits for theirs to start."""

    def __exit__(self, *error: Any) -> None:
        pass


@pytest.fixture(scope="session")
def command() -> Iterator[Call]:
    """radpipe ingest as a user calls it, within this process: (exit status, what it said)."""
    warm = _Warm(1, scheduler="processes")

    def call(folder: Path, out: Path, *more: object, check: int | None = 0) -> Done:
        given = [folder, "--out", out, "--scheduler", "processes", "-w", "1", "-q", *more]
        said, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            try:
                status = ingest.main([str(one) for one in given], prog_name="radpipe ingest", standalone_mode=False)
            except RadpipeError as error:
                print(f"radpipe: {error}", file=sys.stderr)
                status = error.exit_code
        done = Done(int(status or 0), said.getvalue(), complained.getvalue())
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("radpipe.stages.ingest_state.Pool", lambda *_, **__: warm)
        yield call
    warm.close()


def truncated(path: Path, target: Path) -> None:
    target.write_bytes(path.read_bytes()[:-50])


def rewritten(path: Path, target: Path, **values: Any) -> None:
    """A copy of a file with other header values."""
    ds = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    target.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(target)

"""The command as a hospital uses it: what is written, what is not, what holds, and that nothing else is there."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from pydicom.dataset import Dataset

from radpipe.cli.deidentify import deidentify as command
from radpipe.errors import ConfigError, RunError
from radpipe.io.dicom import headers, suv
from radpipe.io.dicom.registration import read_registration
from radpipe.io.dicom.rtstruct import read_rtstruct
from radpipe.io.dicom.scan import scan_folder
from radpipe.io.dicom.seg import read_seg
from radpipe.io.dicom.series import choose, read_series
from radpipe.stages.deidentify import Deidentified, deidentify
from radpipe.stages.deidentify_settings import Settings
from radpipe.stages.deidentify_verify import verify

SECRET = "correct horse battery staple"
NAME = "Mustermann"
GTV = (1, 4, 3, 7, 4, 8)
SECONDARY_CAPTURE, SR = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.88.11"


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ingest_hospital", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ingest_hospital"] = module
    spec.loader.exec_module(module)
    return module


def _sign(folder: Path) -> None:
    """A person's name, and what a hospital writes, into every file."""
    for path in sorted(folder.rglob("*.dcm")):
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientBirthDate, ds.PatientSex = f"{NAME}^Erika", "19610312", "F"
        ds.InstitutionName, ds.StudyDate, ds.StudyTime = f"{NAME} Klinik", "20200101", "120000"
        ds.StudyDescription = f"Dr. {NAME}"
        ds.add_new(0x00091010, "LO", f"{NAME} private")
        ds.preamble = NAME.encode().ljust(128, b"\0")
        ds.save_as(path, enforce_file_format=True)


@dataclass
class Export:
    folder: Path
    ct: Any
    pet: Any


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """CT and PET of one frame, regions, a registration; and files that must not come through."""
    folder = tmp_path_factory.mktemp("hospital") / f"{NAME} Erika"
    hospital = _module(Path(__file__).parents[1] / "ingest" / "conftest.py").Hospital(folder)
    ct = hospital.scan("MRN-4711", "CT", 1, description="CT thorax")
    # Injected before midnight, scanned after it: 40 minutes of decay.
    pet = hospital.scan("MRN-4711", "PET", 2, frame="P", SeriesDate="20200102", AcquisitionDate="20200102", SeriesTime="001000",
                        AcquisitionTime="001000")  # fmt: skip
    for path in pet.files:
        ds = pydicom.dcmread(path)
        tracer = ds.RadiopharmaceuticalInformationSequence[0]
        tracer.RadiopharmaceuticalStartTime, tracer.RadiopharmaceuticalStartDateTime = "233000", "20200101233000"
        ds.save_as(path)
    hospital.rtstruct(ct, {"GTVp": GTV, f"{NAME} GTV": GTV})
    hospital.seg(ct, "liver", GTV)
    hospital.registration("MRN-4711", ct.frame, pet.frame, (4.0, 0.0, -2.0))
    _sign(folder)
    ds = pydicom.dcmread(ct.files[0])
    for name, uid, sop in (("capture.dcm", SECONDARY_CAPTURE, "1.9.1"), ("report.dcm", SR, "1.9.2")):
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = uid
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = sop
        ds.save_as(folder / name, enforce_file_format=True)
    (folder / "notes.txt").write_text(f"{NAME} called")
    data = ct.files[1].read_bytes()
    (folder / "cut.dcm").write_bytes(data[:-50])
    (folder / "copy.dcm").write_bytes(data)
    return Export(folder, ct, pet)


def run(folder: Path, out: Path, **more: Any) -> Deidentified:
    return deidentify(folder, out, Settings(**{"secret": SECRET, **more}), workers=1, scheduler="processes")


@pytest.fixture(scope="module")
def done(export: Export, tmp_path_factory: pytest.TempPathFactory) -> Deidentified:
    before = digests(export.folder)
    found = run(export.folder, tmp_path_factory.mktemp("clean") / "out")
    assert digests(export.folder) == before
    return found


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def status(done: Deidentified) -> dict[str, str]:
    return {item.relative: item.status for item in done.items}


def clean(done: Deidentified, kind: str) -> list[Path]:
    return [
        done.folders.out / item.target for item in done.items if item.status == "written" and item.facts["object_type"] == kind
    ]


def test_each_file_is_written_quarantined_refused_or_left_and_named(done: Deidentified) -> None:
    found = status(done)
    assert {name: found[name] for name in ("capture.dcm", "report.dcm", "notes.txt", "cut.dcm")} == {
        "capture.dcm": "quarantined", "report.dcm": "refused", "notes.txt": "refused", "cut.dcm": "refused",
    }  # fmt: skip
    assert sorted(found.values()).count("left") == 1 and done.count("written") == 13
    why = {item.relative: item.why for item in done.items}
    assert "Basic Text SR" in why["report.dcm"] and "Secondary Capture" in why["capture.dcm"] and "cut off" in why["cut.dcm"]
    with open(done.folders.out / "report.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["item"]) for row in rows] == list(range(1, len(done.items) + 1))
    assert {row["file"] for row in rows if row["status"] == "written"} == {
        path.relative_to(done.folders.out).as_posix() for path in done.folders.out.rglob("*.dcm")
    }


def test_nothing_that_leaves_bears_a_name_an_id_or_a_path(done: Deidentified, export: Export) -> None:
    uids = [export.ct.uid, export.ct.frame, *(ds.SOPInstanceUID for ds in export.ct.datasets)]
    for path in done.folders.out.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for text in (NAME, "Erika", "MRN-4711", "19610312", "20200101", "notes.txt", "capture.dcm", *uids):
            assert text.encode() not in data and text not in path.name, (path, text)
    assert not [path for path in done.folders.out.rglob("*") if path.name.startswith(".")]


def test_references_between_image_region_segmentation_and_registration_hold(done: Deidentified, export: Export) -> None:
    ct = choose(scan_folder(done.folders.out), modality="CT")
    pet = choose(scan_folder(done.folders.out), modality="PET")
    slices = {file.sop_uid for file in ct.files}
    (path,) = clean(done, "RT Structure Set")
    structures = read_rtstruct(path)
    named = {item.ReferencedSOPInstanceUID for roi in pydicom.dcmread(path).ROIContourSequence for contour in roi.ContourSequence
             for item in contour.ContourImageSequence}  # fmt: skip
    assert named <= slices and structures.referenced_series == (ct.uid,)
    assert structures.frames_of_reference == (ct.frame_of_reference_uid,)
    assert [roi.name for roi in structures.rois] == ["GTVp", "ROI_2"]
    (path,) = clean(done, "Segmentation")
    assert read_seg(path).referenced_series == (ct.uid,)
    sources = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    assert sources[0].ReferencedSOPInstanceUID in slices
    (path,) = clean(done, "Spatial Registration")
    found = read_registration(path)
    assert found.frame_of_reference_uid == pet.frame_of_reference_uid
    assert found.matrices[0].source == ct.frame_of_reference_uid
    assert found.matrices[0].array[:3, 3].tolist() == [4.0, 0.0, -2.0]


def test_voxels_geometry_regions_and_suv_are_what_they_were(done: Deidentified, export: Export) -> None:
    for modality in ("CT", "PET"):
        before = read_series(
            choose(scan_folder(export.folder), modality=modality, uid=(export.ct if modality == "CT" else export.pet).uid)
        )
        after = read_series(choose(scan_folder(done.folders.out), modality=modality))
        assert before.grid == after.grid and before.unit == after.unit
        assert np.array_equal(before.voxels, after.voxels)
    factors = []
    for folder in (export.folder, done.folders.out):
        series = choose(scan_folder(folder), modality="PET")
        factors.append(suv.factor([suv.facts(headers.read_header(file.path, suv.TAGS)[0]) for file in series.files]))
    # 70 kg; 350 MBq of 6586.2 s half-life, 40 minutes later
    assert factors[0] == pytest.approx(70_000 / (350e6 * 2 ** (-2400 / 6586.2)), rel=1e-9)
    assert factors[1] == pytest.approx(factors[0], rel=1e-12)
    (path,) = clean(done, "RT Structure Set")
    (source,) = export.folder.rglob("rs*.dcm")
    for old, new in zip(read_rtstruct(source).rois, read_rtstruct(path).rois, strict=True):
        assert all(np.array_equal(a.points, b.points) for a, b in zip(old.contours, new.contours, strict=True))


def test_dates_keep_their_intervals(done: Deidentified) -> None:
    ds = pydicom.dcmread(clean(done, "Positron Emission Tomography Image")[0])
    tracer = ds.RadiopharmaceuticalInformationSequence[0]
    assert ds.StudyDate != "20200101" and ds.SeriesTime == "001000"
    assert int(tracer.RadiopharmaceuticalStartDateTime[:8]) < int(ds.SeriesDate)
    days = [np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:8]}") for text in (ds.StudyDate, ds.SeriesDate)]
    assert days[1] - days[0] == np.timedelta64(1, "D")
    assert (days[0] - np.datetime64("2020-01-01")).astype(int) % 7 == 0


def test_the_files_open_in_pydicom_highdicom_and_simpleitk(done: Deidentified, export: Export) -> None:
    (path,) = clean(done, "Segmentation")
    segment = hd.seg.segread(path)
    assert segment.segment_numbers == [1] and int(segment.pixel_array.sum()) == 3 * 4 * 4
    folder = clean(done, "CT Image")[0].parent
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = sitk.ReadImage(names)
    assert image.GetSize() == (12, 10, 5) and image.GetSpacing() == pytest.approx((2.0, 2.0, 3.0))
    assert sitk.GetArrayFromImage(image)[2, 3, 4] == int(export.ct.voxels[2, 3, 4]) - 1024
    for path in done.folders.out.rglob("*.dcm"):
        str(pydicom.dcmread(path))


def test_the_audit_finds_nothing_in_the_output_and_much_in_the_export(done: Deidentified, export: Export, tmp_path: Path) -> None:
    assert dict(verify(done.folders.out).rows) == {}
    canaries = tmp_path / "canaries.txt"
    canaries.write_text(f"{NAME}\nMRN-4711\n")
    runner = CliRunner()
    ours = runner.invoke(command, [str(done.folders.out), "--verify", "--canaries", str(canaries)], standalone_mode=False)
    theirs = runner.invoke(command, [str(export.folder), "--verify", "--canaries", str(canaries)], standalone_mode=False)
    assert (ours.return_value, theirs.return_value) == (0, 3)
    for word in ("private", "name", "uid", "date", "element", "canary", "preamble"):
        assert word in theirs.output, word
    assert NAME not in theirs.output.replace(f"{NAME} Erika", "")


def test_the_private_folder_says_who_is_who_and_only_its_owner_may_read_it(done: Deidentified) -> None:
    assert done.folders.private.stat().st_mode & 0o077 == 0 and done.table.stat().st_mode & 0o077 == 0
    with open(done.table, newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["patient_id"] == "MRN-4711" and re.fullmatch(r"RP[A-Z2-7]{14}", row["pseudonym"])
    texts = (done.folders.private / "words_to_allow.csv").read_text()
    assert f"{NAME} GTV" in texts
    assert [path.name for path in done.folders.quarantine.iterdir() if path.suffix == ".png"]
    left = done.folders.private / "results" / "tmp"
    assert not left.is_dir() or not [path for path in left.rglob("*") if path.is_file()]


def test_a_later_batch_gives_the_same_patient_the_same_pseudonym(done: Deidentified, export: Export, tmp_path: Path) -> None:
    batch = tmp_path / "batch"
    batch.mkdir()
    for path in export.ct.files[:2]:
        shutil.copy(path, batch)
    ds = pydicom.dcmread(export.ct.files[2])
    ds.PatientID, ds.StudyInstanceUID = "MRN-4712", "1.2.77"
    ds.save_as(batch / "other.dcm")
    table = tmp_path / "table.csv"
    shutil.copy(done.table, table)
    later = run(batch, tmp_path / "later", pseudonyms=table)
    assert later.pseudonyms["MRN-4711"] == done.pseudonyms["MRN-4711"] != later.pseudonyms["MRN-4712"]
    assert len(table.read_text().splitlines()) == 3
    name = f"{done.pseudonyms['MRN-4711']}/"
    first = {path.relative_to(done.folders.out).as_posix(): path.read_bytes() for path in done.folders.out.rglob("*.dcm")}
    again = [
        path for path in (tmp_path / "later").rglob("*.dcm") if path.relative_to(tmp_path / "later").as_posix().startswith(name)
    ]
    assert len(again) == 2
    assert all(first[path.relative_to(tmp_path / "later").as_posix()] == path.read_bytes() for path in again)
    with pytest.raises(ConfigError, match="another secret") as error:
        run(batch, tmp_path / "third", pseudonyms=table, secret="a quite different secret")
    assert "MRN" not in str(error.value)
    with pytest.raises(RunError, match="another secret"):
        run(batch, tmp_path / "later", secret="a quite different secret")


def test_without_a_secret_pseudonyms_are_random_and_it_says_so(export: Export, tmp_path: Path) -> None:
    batch = tmp_path / "batch"
    batch.mkdir()
    shutil.copy(export.ct.files[0], batch)
    runs = [run(batch, tmp_path / name, secret=None) for name in ("one", "two", "one")]
    names = [found.pseudonyms["MRN-4711"] for found in runs]
    assert names[0] == names[2] != names[1]
    assert "random" in runs[0].notes[0]


def test_folders_within_each_other_and_foreign_output_are_refused(export: Export, tmp_path: Path) -> None:
    for out, table in (
        (export.folder / "out", None),
        (export.folder.parent, None),
        (tmp_path / "o", tmp_path / "o" / "table.csv"),
    ):
        with pytest.raises(ConfigError):
            run(export.folder, out, pseudonyms=table)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="other files"):
        run(export.folder, tmp_path / "full")
    with pytest.raises(ConfigError, match="too short"):
        run(export.folder, tmp_path / "x", secret="secret")
    assert not (tmp_path / "x").exists()


def _frame_with_text(path: Path, source: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    ds = pydicom.dcmread(source)
    shown = Image.new("L", (160, 120), 40)
    font = ImageFont.truetype(str(Path(sys.modules["matplotlib"].get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 14)
    ImageDraw.Draw(shown).text((8, 50), "DOE JOHN 1961", fill=255, font=font)
    ds.Rows, ds.Columns, ds.PixelData = 120, 160, np.asarray(shown).astype("<u2").tobytes()
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.9.3"
    ds.save_as(path)


def test_bad_and_doubtful_files_are_named_and_do_not_come_through(export: Export, tmp_path: Path) -> None:
    import matplotlib  # noqa: F401  for its font

    folder = tmp_path / "bad"
    folder.mkdir()
    good = shutil.copy(export.ct.files[0], folder / "good.dcm")
    ds = pydicom.dcmread(good)
    for name, study, patient in (("a.dcm", "1.3.1", "MRN-1"), ("b.dcm", "1.3.1", "MRN-2")):
        ds.StudyInstanceUID, ds.PatientID, ds.SOPInstanceUID = study, patient, f"1.3.1.{name[0]}"
        ds.save_as(folder / name)
    ds = pydicom.dcmread(good)
    ds.StudyInstanceUID, ds.BurnedInAnnotation, ds.SOPInstanceUID = "1.4", "YES", "1.4.1"
    ds.save_as(folder / "says_so.dcm")
    _frame_with_text(folder / "text.dcm", good)
    index = Dataset()
    index.file_meta = pydicom.dataset.FileMetaDataset()
    index.file_meta.MediaStorageSOPClassUID, index.file_meta.MediaStorageSOPInstanceUID = "1.2.840.10008.1.3.10", "1.5"
    index.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    index.FileSetID = NAME.upper()
    pydicom.dcmwrite(folder / "DICOMDIR", index, enforce_file_format=True)
    packed = pydicom.dcmread(good)
    packed.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG-2: nothing here decodes it as an image
    packed.PixelData = pydicom.encaps.encapsulate([b"\0\0"])
    packed["PixelData"].VR, packed["PixelData"].is_undefined_length = "OB", True
    packed.SOPInstanceUID = packed.file_meta.MediaStorageSOPInstanceUID = "1.6"
    packed.save_as(folder / "video.dcm")
    found = run(folder, tmp_path / "out")
    assert status(found) == {
        "good.dcm": "written", "a.dcm": "refused", "b.dcm": "refused", "says_so.dcm": "quarantined", "text.dcm": "quarantined",
        "DICOMDIR": "left", "video.dcm": "refused",
    }  # fmt: skip
    why = {item.relative: item.why for item in found.items}
    assert "different patient ids" in why["a.dcm"] and "looks like text" in why["text.dcm"] and "DICOMDIR" in why["DICOMDIR"]
    assert not any("MRN" in text or NAME in text for text in why.values())
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1
    cleaned = run(folder, tmp_path / "out", clean_pixels=True)
    assert status(cleaned)["text.dcm"] == "written" and status(cleaned)["says_so.dcm"] == "quarantined"
    (item,) = [item for item in cleaned.items if item.relative == "text.dcm"]
    ds = pydicom.dcmread(tmp_path / "out" / item.target)
    assert int((ds.pixel_array == 255).sum()) == 0 and ds.BurnedInAnnotation == "NO"
    assert "113101" in [code.CodeValue for code in ds.DeidentificationMethodCodeSequence]


def test_killed_half_way_the_same_command_gives_the_same_bytes(done: Deidentified, export: Export, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    environment = {**os.environ, "RADPIPE_SECRET": SECRET, "PYTHONPATH": str(Path(__file__).parents[3])}
    arguments = [sys.executable, "-m", "radpipe", "deidentify", str(export.folder), "--out", str(out), "-q", "-w", "1",
                 "--scheduler", "processes"]  # fmt: skip
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(out.rglob("*.dcm")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    for folder in (out, next(out.rglob("*.dcm")).parent):  # where a file was being written
        (folder / ".0123456789ab.dcm.q1w2e3r4.tmp").write_bytes(b"DICM")
    again = run(export.folder, out)
    assert digests(again.folders.out) == digests(done.folders.out)


def test_dciodvfy_finds_no_error_that_the_export_did_not_have(done: Deidentified) -> None:
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")

    def errors(path: Path) -> set[str]:
        said = subprocess.run([program, path], capture_output=True, text=True, errors="replace", check=False)
        lines = (said.stdout + said.stderr).splitlines()
        return {re.sub(r"(?<!Element=)(?<!Module=)<[^>]*>", "", line) for line in lines if line.startswith("Error")}

    seen = set()
    for item in done.items:
        kind = item.facts.get("object_type")
        if item.status == "written" and kind not in seen:
            seen.add(kind)
            assert errors(done.folders.out / item.target) - errors(item.path) == set(), kind
    assert len(seen) == 5


def test_the_commands_options_reach_the_files_and_what_is_gone_from_the_export_goes(export: Export, tmp_path: Path) -> None:
    folder, words, secret = tmp_path / "few", tmp_path / "words.txt", tmp_path / "secret.txt"
    folder.mkdir()
    (structures,) = export.folder.rglob("rs*.dcm")
    for path in (export.ct.files[0], structures):
        shutil.copy(path, folder)
    words.write_text(f"{NAME} GTV\n")
    secret.write_text(f"{SECRET}\n")
    arguments = [str(folder), "--out", str(tmp_path / "out"), "--secret-file", str(secret), "--scheduler", "processes", "-w", "1"]
    runner = CliRunner()
    first = runner.invoke(command, [*arguments, "--words", str(words), "--retain", "none"], standalone_mode=False)
    assert first.return_value == 0 and "2 written, 0 quarantined" in first.output
    (path,) = (path for path in (tmp_path / "out").rglob("*.dcm") if "rt-" in path.as_posix())
    ds = pydicom.dcmread(path)
    assert [roi.ROIName for roi in ds.StructureSetROISequence] == ["GTVp", f"{NAME} GTV"]
    assert (ds.StudyDate, ds.LongitudinalTemporalInformationModified) == ("", "REMOVED")
    assert not (tmp_path / "out.quarantine").exists()
    (folder / structures.name).unlink()
    again = runner.invoke(command, [*arguments, "--no-descriptors", "-q"], standalone_mode=False)
    assert again.return_value == 0 and not path.exists()
    (left,) = (tmp_path / "out").rglob("*.dcm")
    ds = pydicom.dcmread(left)
    assert ds.StudyDate and "SeriesDescription" not in ds
    assert SECRET not in first.output + again.output

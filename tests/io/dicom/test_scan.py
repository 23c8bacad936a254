"""A folder of anything: what is DICOM is found, what is not is named, and nothing stops the walk."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radpipe.errors import CohortError, RadpipeError
from radpipe.io.dicom import headers
from radpipe.io.dicom.headers import Unreadable
from radpipe.io.dicom.scan import DicomFile, Left, group, scan_file, scan_folder
from radpipe.io.dicom.series import read_series

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def nested(path: Path, depth: int) -> None:
    """Puts a private sequence ``depth`` deep before the patient's elements (pydicom issue 2330)."""
    opened = struct.pack("<HH2sHI", 0x0009, 0x1001, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closed = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    data = path.read_bytes()
    at = data.index(b"\x10\x00\x10\x00")
    path.write_bytes(data[:at] + opened * depth + closed * depth + data[at:])


def bad(folder: Path, made: list[Path], kind: str) -> Path:
    path = folder / "bad.dcm"
    whole = made[0].read_bytes()
    if kind == "text":
        path.write_text("This is not DICOM, whatever its name says.\n" * 20)
    elif kind == "png":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(400))
    elif kind == "empty":
        path.touch()
    elif kind == "preamble only":
        path.write_bytes(bytes(128) + b"DICM")
    elif kind == "cut in the voxels":
        path.write_bytes(whole[:-7])
    elif kind == "cut in the header":
        path.write_bytes(whole[: len(whole) - 200])
    elif kind == "nested":
        path.write_bytes(whole)
        nested(path, 1000)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link out":
        outside = folder.parent / "outside.dcm"
        outside.write_bytes(whole)
        path.symlink_to(outside)
    elif kind == "folder linked out":
        path.symlink_to(folder.parent.parent)
    elif kind == "link in":
        path.symlink_to(made[1])
    elif kind == "broken link":
        path.symlink_to(folder / "gone")
    elif kind == "secondary capture":
        dataset = pydicom.dcmread(made[0])
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        dataset.save_as(path)
    elif kind == "copy":
        path = folder / "z_copy.dcm"
        shutil.copy(made[0], path)
    return path


@pytest.mark.parametrize(
    ("kind", "what", "word"),
    [
        ("text", "not-dicom", "not a DICOM file"),
        ("png", "not-dicom", "not a DICOM file"),
        ("empty", "empty", "empty"),
        ("preamble only", "not-dicom", "not a DICOM file"),
        ("cut in the voxels", "truncated", "cut off"),
        ("cut in the header", "truncated", "cut off"),
        ("nested", "nested", "deeper"),
        ("fifo", "not-a-file", "regular file"),
        ("link out", "link-out", "out of the folder"),
        ("folder linked out", "link-out", "out of the folder"),
        ("link in", "link", "read under its own name"),
        ("broken link", "link-broken", "points to nothing"),
        ("secondary capture", "not-an-image", "secondary capture"),
        ("copy", "copy", "copy of 001.dcm"),
    ],
)
def test_a_bad_file_is_left_with_its_reason_and_the_rest_is_read(tmp_path, make_series, stored, kind, what, word):
    folder = tmp_path / "a" / "b"
    made = make_series(folder, stored)
    path = bad(folder, made, kind)
    export = scan_folder(folder)
    assert [(left.relative, left.what) for left in export.left] == [(path.name, what)]
    assert word in export.left[0].why
    np.testing.assert_array_equal(read_series(export.series[0]).voxels, stored - 1024)


def test_a_deep_but_finite_nesting_is_read(tmp_path, make_series, stored):
    for path in make_series(tmp_path, stored):
        nested(path, 40)
    np.testing.assert_array_equal(read_series(scan_folder(tmp_path).series[0]).voxels, stored - 1024)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CohortError, match="not a folder"):
        scan_folder(tmp_path / "nowhere")


def test_no_permission_is_named(tmp_path, make_series, stored):
    path = make_series(tmp_path, stored)[0]
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert scan_folder(tmp_path).left[0].what == "no-permission"


def test_a_name_that_is_no_text_does_not_break_a_table(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.dcm")).write_bytes(b"nothing")
    assert scan_folder(tmp_path).left[0].relative.encode("utf-8")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_every_cut_of_a_file_is_left(tmp_path, make_slice, share):
    source = tmp_path / "whole.bin"
    if not source.exists():
        make_slice(np.zeros((16, 16), np.int16)).save_as(source, enforce_file_format=True)
    whole = source.read_bytes()
    path = tmp_path / "cut.dcm"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert isinstance(scan_file(path, tmp_path), Left)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 0.9999), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5),
    kind=st.integers(0, 2),
)
def test_damaged_bytes_never_end_the_walk(tmp_path, make_slice, shared_data, changes, kind):
    """Read, left, or refused with an error of ours; nothing else, whatever the bytes."""
    folder = tmp_path / "damaged"
    folder.mkdir(exist_ok=True)
    sources = (
        shared_data / "dicom/dcmqi_segmentations/24x38x3/multiframe/mf.dcm",
        shared_data / "dicom/dcmqi_segmentations/24x38x3/image/IMG0001.dcm",
        PYDICOM_FILES / "MR_small_jp2klossless.dcm",
    )
    data = bytearray(sources[kind].read_bytes())
    for share, new in changes:
        at = int(share * len(data))
        data[at : at + len(new)] = new
    (folder / "x.dcm").write_bytes(data)
    for series in scan_folder(folder).series:
        if series.is_image:
            with contextlib.suppress(RadpipeError):
                read_series(series)
    with contextlib.suppress(Unreadable):
        headers.read_whole(folder / "x.dcm")


def test_pydicoms_own_test_files_cause_no_crash():
    export = scan_folder(PYDICOM_FILES)
    found = {file.relative for series in export.series for file in series.files} | {left.relative for left in export.left}
    assert found == {path.relative_to(PYDICOM_FILES).as_posix() for path in PYDICOM_FILES.rglob("*") if path.is_file()}
    refused: list[RadpipeError] = []
    for series in export.series:
        for file in series.files:
            # Modality as pydicom reads it, but PT, which everybody calls PET.
            assert file.modality == pydicom.dcmread(file.path, stop_before_pixels=True, force=True).Modality.replace("PT", "PET")
        if series.is_image:
            try:
                image = read_series(series)
                assert image.voxels.shape == image.grid.shape
            except RadpipeError as error:
                refused.append(error)
    assert refused and all(error.hint and error.path for error in refused)
    left = {item.relative: item.what for item in export.left}
    assert {what for name, what in left.items() if "DICOMDIR" in name} == {"dicomdir"}
    assert left["MR_truncated.dcm"] == left["rtplan_truncated.dcm"] == "truncated"
    assert left["README.txt"] == left["zipMR.gz"] == left["test1.json"] == "not-dicom"


def test_ct_of_a_dicomdir_medium_is_read():
    """98892001/CT5N of pydicom's files: five slices of 2.5 mm; the scouts of CT2N are left aside."""
    export = scan_folder(PYDICOM_FILES / "dicomdirtests" / "98892001")
    assert sorted(left.what for left in export.left) == ["localizer", "localizer"]
    calcium = next(series for series in export.series if series.number == 5)
    image = read_series(calcium)
    slices = sorted((pydicom.dcmread(file.path) for file in calcium.files), key=lambda dataset: dataset.ImagePositionPatient[2])
    np.testing.assert_array_equal(
        image.voxels, [dataset.pixel_array * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept) for dataset in slices]
    )


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(shared_data, order):
    folder = shared_data / "dicom/rt_utils"
    found = [scan_file(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    shuffled = list(found)
    order.shuffle(shuffled)
    assert group(shuffled) == group(found)


def test_patients_and_series_are_kept_apart(tmp_path, make_series, stored):
    make_series(tmp_path / "1", stored, PatientID="A", SeriesInstanceUID="1.1")
    make_series(tmp_path / "2", stored, PatientID="B", SeriesInstanceUID="1.1")  # a UID that is not unique, as tools make them
    make_series(tmp_path / "3", stored, PatientID="A", SeriesInstanceUID="1.2", PatientIdentityRemoved="YES")
    export = scan_folder(tmp_path)
    assert [(series.patient_id, series.uid, series.n_slices) for series in export.series] == [
        ("A", "1.1", 5),
        ("A", "1.2", 5),
        ("B", "1.1", 5),
    ]
    assert [file.deidentified for series in export.series for file in series.files[:1]] == [False, True, False]


def test_files_without_uids_belong_to_their_folder(tmp_path, make_series, stored):
    def each(dataset, index):
        dataset.SeriesInstanceUID = dataset.StudyInstanceUID = dataset.SOPInstanceUID = ""

    for name in ("a", "b"):
        make_series(tmp_path / name, stored, each=each)
    export = scan_folder(tmp_path)
    assert [series.n_slices for series in export.series] == [5, 5]
    assert len({series.uid for series in export.series}) == 2
    assert all(file.sop_uid for series in export.series for file in series.files)


def test_nothing_that_identifies_is_kept(tmp_path, make_series, stored):
    make_series(tmp_path, stored, PatientName="CANARY^NAME", PatientBirthDate="19111111", InstitutionName="CANARY HOSPITAL")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "001.dcm").read_bytes()[:-3])
    export = scan_folder(tmp_path)
    assert "CANARY" not in repr(export) and "19111111" not in repr(export)


def test_progress_counts_every_file(tmp_path, make_series, stored):
    make_series(tmp_path, stored)
    seen: list[int] = []
    scan_folder(tmp_path, progress=seen.append)
    assert seen == [1, 2, 3, 4, 5]


def test_a_file_is_scanned_by_itself(tmp_path, make_series, stored):
    path = make_series(tmp_path, stored)[3]
    found = scan_file(path, tmp_path)
    assert isinstance(found, DicomFile)
    assert (found.relative, found.modality, found.n_frames, found.series_number) == ("004.dcm", "CT", 1, 4)
    assert found.frames[0].position_mm == (10.0, -20.0, 39.0)


def test_pydicom_is_not_imported_for_nifti(repository):
    code = "import sys, radpipe.io.volumes; sys.exit('pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, check=False).returncode == 0

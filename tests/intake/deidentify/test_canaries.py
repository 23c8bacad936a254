"""Known values planted all over an export of 16 object types: none is in anything that radpipe writes or says; what must survive does.

The fast part has one export, in which every object has a part of the profile's table; the slow part 100 exports, with all of it in
every object of every fifth, and a third of it, drawn anew for every object, in the others.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.datadict import dictionary_VR, tag_for_keyword

from radpipe.cli.deidentify import deidentify
from radpipe.cli.doctor import doctor
from radpipe.cli.extract import extract
from radpipe.cli.ingest import ingest
from radpipe.errors import RadpipeError
from radpipe.stages._pool import Pool

sys.path.insert(0, str(Path(__file__).parent))

import canaries
import search

SEEDS = 100
SHARE = 0.08  # of the table in each of 25 files: all of it is there several times over
WRITTEN = {"CT", "MR", "PET", "Enhanced CT", "Enhanced MR", "Enhanced PET", "RTSTRUCT", "SEG", "REG", "RTDOSE"}
SECRET = "a Secret of tests, 0123456789"


@dataclass
class Said:
    """What the commands of a test said, to be searched. status : exit status of the last."""

    text: str = ""
    status: int = 0
    names: list[str] = field(default_factory=list)


Run = Callable[..., Said]


class _Warm(Pool):
    """Real workers that outlive a command, so that not every one waits for its own to start."""

    def close(self, *, patient: bool = True) -> None:
        if not patient:
            super().close(patient=False)


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """A command as the terminal calls it, in this process."""
    pools: list[_Warm] = []

    def pool(*_: Any, log: Path | None = None, **__: Any) -> _Warm:
        if not pools:
            pools.append(_Warm(1, scheduler="processes"))
        pools[0].log = log
        return pools[0]

    def call(command: Any, *given: object, said: Said | None = None) -> Said:
        said = said or Said()
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = command.main([str(one) for one in given], prog_name="radpipe", standalone_mode=False)
            except RadpipeError as error:  # as radpipe.cli.main tells it
                print(f"radpipe: {error}", file=sys.stderr)
                status = error.exit_code
        said.status = int(status or 0)
        said.text += out.getvalue() + err.getvalue()
        return said

    with pytest.MonkeyPatch.context() as patch:
        for module in ("deidentify", "ingest_state"):
            patch.setattr(f"radpipe.stages.{module}.Pool", pool)
        yield call
    for one in pools:
        one.close(patient=False)


@dataclass
class Cleaned:
    """An export with canaries, and what deidentify made of it. of : SOPInstanceUID as it was -> what was written for it."""

    planted: canaries.Planted
    export: Path
    out: Path
    said: Said
    files: dict[str, dict[str, str]]
    report: dict[str, dict[str, str]]
    of: dict[str, pydicom.FileDataset]

    def pairs(self, kind: str) -> list[tuple[pydicom.FileDataset, pydicom.FileDataset]]:
        found = [(self.planted.objects[uid], made) for uid, made in self.of.items()]
        return [pair for pair in found if pair[0].SOPClassUID == canaries.CLASSES[kind]]


def cleaned(run: Run, folder: Path, seed: int, *, share: float, clean: bool = False) -> Cleaned:
    export, out = folder / "export", folder / "clean"
    planted = canaries.export(export, seed, share=share, clean=clean)
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    said = run(deidentify, export, "--out", out, "--secret-file", secret, "--scheduler", "processes", "-w", "1")
    files = {row["file"]: row for row in rows_of(folder / "clean.private" / "files.csv")}
    report = {row["item"]: row for row in rows_of(out / "report.csv")}
    of = {}
    for path in planted.files:
        row = report[files[path.relative_to(export).as_posix()]["item"]]
        if row["status"] == "written":
            original = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
            of[str(original.SOPInstanceUID)] = pydicom.dcmread(out / row["file"])
    return Cleaned(planted, export, out, said, files, report, of)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def case(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Cleaned:
    return cleaned(run, tmp_path_factory.mktemp("canaries"), 0, share=SHARE)


def leaks(planted: canaries.Planted, *places: Path, said: Said | None = None) -> list[str]:
    """What of the planted values is in these folders, or was said."""
    found = [leak for place in places for leak in search.search_folder(place, planted)]
    if said is not None:
        found += search.search_text(said.text, "terminal", planted)
    return [str(leak) for leak in found]


# the search itself


def test_the_search_finds_what_was_planted(case: Cleaned) -> None:
    """In the export itself every canary is found (but numbers that pydicom writes in another way)."""
    found = {leak.canary.split(" ")[0] for leak in search.search_folder(case.export, case.planted)}
    assert not {canary: where for canary, where in case.planted.values.items() if canary not in found}
    assert set(case.planted.dates) <= found
    assert len(set(case.planted.numbers) - found) <= 0.01 * len(case.planted.numbers)


@pytest.mark.parametrize(
    "packing", ["plain", "utf-16-le", "utf-16-be", "latin-1", "gzip", "zip", "png", "parquet", "deflated", "base64"]
)
def test_the_search_looks_into_everything(packing: str, tmp_path: Path) -> None:
    planted = canaries.Planted(values={f"{canaries.MARK}0000001": "here"}, dates={"1940-02-03": "there"})
    text = f"Müller {canaries.MARK}0000001 was born on 3.2.1940"
    data = text.encode(packing) if packing.startswith(("utf", "latin")) else text.encode()
    if packing == "gzip":
        import gzip

        data = gzip.compress(data)
    if packing == "zip":
        import zipfile

        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("a.txt", text)
        data = made.getvalue()
    if packing == "png":
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        info, made = PngInfo(), io.BytesIO()
        info.add_text("comment", text, zip=True)
        Image.new("L", (4, 4)).save(made, "png", pnginfo=info)
        data = made.getvalue()
    if packing == "parquet":
        import pandas as pd

        pd.DataFrame({"a": [text] * 50}).to_parquet(tmp_path / "a.parquet", compression="zstd")
        data = (tmp_path / "a.parquet").read_bytes()
    if packing == "deflated":
        from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

        ds = canaries.Maker(tmp_path, 1, kinds=(), clean=True, share=1.0)._new("CT", "1.2")
        ds.PatientComments = text
        assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
        data = (tmp_path / "a.dcm").read_bytes()
    if packing == "base64":
        import base64

        data = b'<!DOCTYPE html><img src="data:image/png;base64,' + base64.b64encode(data) + b'">'
    assert {leak.canary for leak in search.search_bytes(data, "a", planted)} >= {
        f"{canaries.MARK}0000001",
        "1940-02-03 as 3.2.1940",
    }


@pytest.mark.parametrize(
    "written", ["19400203", "1940-02-03", "03.02.1940", "3/2/1940", "2/3/1940", "1940/02/03", "3 Feb 1940", "3-FEB-1940"]
)
def test_the_search_knows_how_dates_are_written(written: str) -> None:
    planted = canaries.Planted(dates={"1940-02-03": "there"})
    assert search.search_text(f"on {written}.", "a", planted)
    assert not search.search_text("on 19400204 and 1940-03-02T and 3.4.1940", "a", planted)


def test_the_table_is_that_of_the_standard() -> None:
    """Some rows, as the standard prints them; it has 656, one of them for all private attributes."""
    rows = {row.keyword: row.action for row in canaries.profile_table()}
    known = {
        "PatientName": "Z", "PatientID": "Z/D", "PatientBirthDate": "Z", "AccessionNumber": "Z", "StudyInstanceUID": "U", "InstitutionName": "X/Z/D",
        "PatientAddress": "X", "OtherPatientIDs": "X", "OverlayData": "X", "CurveData": "X", "DeviceSerialNumber": "X/Z/D", "GPSLatitude": "X",
    }  # fmt: skip
    assert {name: rows.get(name) for name in known} == known and len(rows) == 655


# deidentify


def test_every_object_type_is_dealt_with(case: Cleaned) -> None:
    statuses = {kind: set() for kind in canaries.CLASSES}
    for path, kind in case.planted.files.items():
        statuses[kind].add(case.files[path.relative_to(case.export).as_posix()]["status"])
    assert {kind for kind, found in statuses.items() if found == {"written"}} >= WRITTEN - {"REG"}
    assert not any(
        statuses[kind] & {"written"} for kind in ("Secondary Capture", "Encapsulated PDF", "SR", "Presentation State", "US", "DX")
    )
    assert case.said.status == 3


def test_nothing_planted_is_in_what_deidentify_writes_or_says(case: Cleaned) -> None:
    assert case.planted.count > 5000
    assert not leaks(case.planted, case.out, said=case.said)


def test_geometry_pixels_and_rescale_survive(case: Cleaned) -> None:
    assert len(case.pairs("CT")) == len(case.pairs("MR")) == len(case.pairs("PET")) == canaries.SLICES
    for kind in ("CT", "MR", "PET", "RTDOSE"):
        for was, made in case.pairs(kind):
            for keyword in (
                "ImagePositionPatient",
                "ImageOrientationPatient",
                "PixelSpacing",
                "SliceThickness",
                "Rows",
                "Columns",
            ):
                assert made[keyword].value == was[keyword].value, (kind, keyword)
            for keyword in ("RescaleSlope", "RescaleIntercept", "DoseGridScaling", "GridFrameOffsetVector"):
                assert made.get(keyword) == was.get(keyword), (kind, keyword)
            assert made.PixelData == was.PixelData
    for kind in ("Enhanced CT", "Enhanced MR", "Enhanced PET"):
        for was, made in case.pairs(kind):
            assert made.PixelData == was.PixelData and _frames(made) == _frames(was)
            for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence"):
                ours, theirs = (found.SharedFunctionalGroupsSequence[0].get(keyword) for found in (made, was))
                assert (ours is None) == (theirs is None)
                for name in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"):
                    assert theirs is None or ours[0].get(name) == theirs[0].get(name)


def _frames(ds: pydicom.Dataset) -> list[Any]:
    return [frame.PlanePositionSequence[0].ImagePositionPatient for frame in ds.PerFrameFunctionalGroupsSequence]


def test_the_suv_survives(case: Cleaned) -> None:
    """By hand: activity decays from the injection at 10:10 to the start of the series at 11:20."""
    elapsed_s = (11 * 60 + 20 - 10 * 60 - 10) * 60
    expected = 1000 * canaries.WEIGHT_KG / (canaries.DOSE_BQ * 2 ** (-elapsed_s / canaries.HALF_LIFE_S))
    from radpipe.io.dicom.headers import read_header
    from radpipe.io.dicom.suv import TAGS, factor, facts

    made = [Path(found.filename) for _, found in case.pairs("PET")]
    assert factor([facts(read_header(path, TAGS)[0]) for path in made]) == pytest.approx(expected, rel=1e-6)


def test_regions_survive(case: Cleaned) -> None:
    ((was, made),) = case.pairs("RTSTRUCT")
    for ours, theirs in zip(made.ROIContourSequence, was.ROIContourSequence, strict=True):
        contours = [one.ContourData for one in theirs.ContourSequence]
        assert [one.ContourData for one in ours.ContourSequence] == contours and len(contours) == 2
    names = [item.ROIName for item in made.StructureSetROISequence]
    assert names[0] == "GTVp" and len(set(names)) == 2 and canaries.MARK not in names[1].upper()
    ((was, made),) = case.pairs("SEG")
    assert made.PixelData == was.PixelData and made.SegmentSequence[0].SegmentLabel == "GTVp" and _frames(made) == _frames(was)


def test_references_still_hold(case: Cleaned) -> None:
    uid = {was: str(made.SOPInstanceUID) for was, made in case.of.items()}
    assert len(set(uid.values())) == len(uid) and not set(uid) & set(uid.values())
    images = {str(made.SOPInstanceUID) for _, made in case.pairs("CT")}
    series = {str(made.SeriesInstanceUID) for _, made in case.pairs("CT")}
    frames = {str(made.FrameOfReferenceUID) for _, made in case.pairs("CT")}
    assert len(series) == len(frames) == 1
    ((_, struct),), ((_, seg),) = case.pairs("RTSTRUCT"), case.pairs("SEG")
    frame = struct.ReferencedFrameOfReferenceSequence[0]
    referred = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert {frame.FrameOfReferenceUID} == frames and {referred.SeriesInstanceUID} == series
    assert {one.ReferencedSOPInstanceUID for one in referred.ContourImageSequence} == images
    drawn = [c.ContourImageSequence[0].ReferencedSOPInstanceUID for roi in struct.ROIContourSequence for c in roi.ContourSequence]
    assert set(drawn) < images and {seg.FrameOfReferenceUID} == frames
    assert {seg.ReferencedSeriesSequence[0].SeriesInstanceUID} == series
    assert {one.ReferencedSOPInstanceUID for one in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence} == images
    studies = {str(made.StudyInstanceUID) for made in case.of.values()}
    assert len(studies) == 1


def test_dates_move_together_by_whole_weeks(case: Cleaned) -> None:
    moved = set()
    for uid, made in case.of.items():
        was = case.planted.objects[uid]
        for keyword in canaries.KEPT_DATES:
            if made.get(keyword):
                before, after = (datetime.datetime.strptime(found[keyword].value, "%Y%m%d") for found in (was, made))
                moved.add((after - before).days)
    assert len(moved) == 1 and min(moved) % 7 == 0 and min(moved) != 0
    assert {keyword for _, made in case.pairs("PET") for keyword in canaries.KEPT_DATES if made.get(keyword)} >= {
        "SeriesDate",
        "AcquisitionDate",
    }


def test_each_file_says_that_it_is_de_identified(case: Cleaned) -> None:
    pseudonyms = {str(made.PatientID) for made in case.of.values()}
    assert len(pseudonyms) == 1
    for made in case.of.values():
        assert made.PatientIdentityRemoved == "YES" and made.PatientName != ""
        codes = {item.CodeValue for item in made.DeidentificationMethodCodeSequence}
        assert "113100" in codes and all(item.CodingSchemeDesignator == "DCM" for item in made.DeidentificationMethodCodeSequence)


def test_what_was_written_opens_elsewhere(case: Cleaned, tmp_path: Path) -> None:
    import highdicom as hd

    for kind in ("CT", "MR", "PET"):
        names = [found.filename for _, found in sorted(case.pairs(kind), key=lambda pair: pair[1].ImagePositionPatient[2])]
        image = sitk.ReadImage([str(name) for name in names])
        assert image.GetSize() == (canaries.COLUMNS, canaries.ROWS, canaries.SLICES)
        assert image.GetSpacing() == pytest.approx((1.5, 2.0, 3.0)) and image.GetOrigin() == pytest.approx((-10.0, -12.5, 5.0))
        was, made = case.pairs(kind)[0]
        voxels = hd.image.imread(made.filename).get_raw_frame(1)
        assert bytes(voxels) == was.PixelData
    ((_, seg),) = case.pairs("SEG")
    found = hd.seg.segread(seg.filename)
    assert list(found.segment_numbers) == [1] and found.get_segment_description(1).segment_label == "GTVp"
    mask = found.get_volume(combine_segments=True).array
    assert int((mask > 0).sum()) == 2 * 5 * 5
    for kind in ("Enhanced CT", "Enhanced MR", "Enhanced PET"):
        ((_, made),) = case.pairs(kind)
        assert sitk.ReadImage(str(made.filename)).GetSize()[:2] == (canaries.COLUMNS, canaries.ROWS)


_NUMBER = re.compile(r"\[\d+\]|<[^>]*>$")


def _errors(path: str | Path) -> set[str]:
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
    lines = (said.stdout + said.stderr).decode("utf-8", "replace").splitlines()
    return {_NUMBER.sub("", line) for line in lines if line.startswith("Error")}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian's dicom3tools)")
def test_dciodvfy_finds_no_error_that_the_input_did_not_have(run: Run, tmp_path: Path) -> None:
    """Of objects without canaries, which would be errors of their own."""
    done = cleaned(run, tmp_path, 0, share=0.0, clean=True)
    new = {}
    for path, kind in done.planted.files.items():
        row = done.report[done.files[path.relative_to(done.export).as_posix()]["item"]]
        if row["status"] == "written" and not (path.stem.endswith(("_2", "_3", "_4")) and kind in ("CT", "MR", "PET")):
            new[kind] = sorted(_errors(done.out / row["file"]) - _errors(path))
    assert set(new) >= WRITTEN and not any(new.values()), {kind: found for kind, found in new.items() if found}


# everything else, over files that were not de-identified


def broken(planted: canaries.Planted, export: Path, seed: int) -> None:
    """Failing cases among the planted ones: bad geometry, a cut-off file, broken masks, NaN, values that are quoted in messages."""
    plant = canaries.Planter(9000 + seed, 1.0)
    folder = export / plant.word("folder of broken files")

    def copy(kind: str, number: int, name: str, change: Callable[[pydicom.FileDataset], object]) -> None:
        files = sorted(path for path, found in planted.files.items() if found == kind)
        ds = pydicom.dcmread(files[number])
        series = plant.uid("SeriesInstanceUID of a broken series")
        if kind in ("CT", "PET", "MR"):
            ds.SeriesInstanceUID = canaries.ROOT + f".9{seed}.{name and sum(map(ord, name))}"
            plant.made.values[str(ds.SeriesInstanceUID)] = "SeriesInstanceUID of a broken series"  # noqa: PD011
        else:
            ds.SeriesInstanceUID = series
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = plant.uid("SOPInstanceUID of a broken file")
        change(ds)
        path = folder / name / f"{plant.word('name of a broken file')}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path)

    def put(**values: Any) -> Callable[[pydicom.FileDataset], object]:
        def change(ds: pydicom.Dataset) -> None:
            for keyword, value in values.items():
                vr = dictionary_VR(keyword)
                # Text where a number belongs: pydicom writes it only under a VR of text.
                ds[keyword] = pydicom.DataElement(tag_for_keyword(keyword), "LO" if vr in ("DS", "IS") else vr, value)

        return change

    copy("CT", 0, "gap", lambda ds: None)
    copy("CT", 1, "gap", lambda ds: None)
    copy("CT", 3, "gap", lambda ds: None)
    for number in range(3):
        copy("PET", number, "units", put(Units=plant.word("Units"), FrameOfReferenceUID=plant.uid("Frame")))
        copy("MR", number, "nan", put(RescaleSlope="nan", RescaleIntercept="0", PixelSpacing=[plant.word("PixelSpacing"), "1"]))
    copy("CT", 2, "syntax", lambda ds: setattr(ds.file_meta, "TransferSyntaxUID", plant.uid("TransferSyntaxUID")))
    copy(
        "RTSTRUCT", 0, "nan-contour", lambda ds: setattr(ds.ROIContourSequence[1].ContourSequence[0], "ContourData", ["nan"] * 12)
    )
    copy(
        "RTSTRUCT",
        0,
        "text-contour",
        lambda ds: put(ContourData=[plant.word("ContourData")] * 3)(ds.ROIContourSequence[0].ContourSequence[0]),
    )
    copy(
        "RTSTRUCT",
        0,
        "type",
        lambda ds: setattr(
            ds.ROIContourSequence[1].ContourSequence[0], "ContourGeometricType", plant.word("ContourGeometricType")
        ),
    )
    copy("SEG", 0, "type", put(SegmentationType=plant.word("SegmentationType")))
    copy("SEG", 0, "modality", put(Modality=plant.word("Modality"), SOPClassUID=plant.uid("SOPClassUID")))
    copy("CT", 2, "modality", put(Modality=plant.word("Modality"), SOPClassUID=plant.uid("SOPClassUID")))
    some = sorted(planted.files)
    for at, size in ((0, 3000), (12, 700), (17, 900)):
        (folder / f"{plant.word('name of a cut-off file')}.dcm").write_bytes(some[at].read_bytes()[:size])
    (folder / f"{plant.word('name of a text')}.txt").write_text(f"letter about {plant.word('text file')}")
    planted.add(plant.made)


def cohorts(run: Run, planted: canaries.Planted, export: Path, folder: Path, *, all_of_it: bool) -> tuple[Said, list[Path]]:
    """ingest of files that were not de-identified, and what comes after it."""
    said = Said()
    transfer = "auto" if all_of_it else "none"  # pictures of transferred regions take most of the time
    given = (export, "--out", folder / "cohort", "--scheduler", "processes", "-w", "1")
    run(ingest, *given, "--transfer", transfer, said=said)
    assert said.status == 3 and "not de-identified" in said.text and "radpipe deidentify" in said.text
    assert len(rows_of(folder / "cohort" / "manifest.csv")) >= 4 and len(rows_of(folder / "cohort" / "failures.csv")) >= 6
    run(ingest, *given, "--transfer", "all", said=said)
    assert said.status == 2  # made with other settings: the message names them
    places = [folder / "cohort"]
    if all_of_it:
        run(ingest, export, "--out", folder / "rois", "--list-rois", "--scheduler", "processes", "-w", "1", "-q", said=said)
        places.append(folder / "rois")
        run(doctor, folder / "cohort", "--out", folder / "doctor", "--scheduler", "processes", "-w", "1", said=said)
        run(
            extract,
            folder / "cohort" / "manifest.csv",
            "-o",
            folder / "features.csv",
            "--scheduler",
            "processes",
            "-w",
            "1",
            said=said,
        )
        assert (folder / "features.csv").is_file()
        places += [folder / "doctor", *folder.glob("features*")]
    return said, places


def searched(planted: canaries.Planted, said: Said, places: list[Path]) -> list[str]:
    found = leaks(planted, *(place for place in places if place.is_dir()), said=said)
    return found + [
        str(leak) for place in places if place.is_file() for leak in search.search_bytes(place.read_bytes(), place.name, planted)
    ]


def test_ingest_of_files_that_were_not_de_identified_tells_nothing(case: Cleaned, run: Run, tmp_path: Path) -> None:
    export = tmp_path / "export"
    shutil.copytree(case.export, export)
    planted = canaries.Planted()
    planted.add(case.planted)
    planted.files = {export / path.relative_to(case.export): kind for path, kind in case.planted.files.items()}
    broken(planted, export, 0)
    said, places = cohorts(run, planted, export, tmp_path, all_of_it=False)
    assert not searched(planted, said, places)


def test_ingest_of_what_deidentify_wrote(case: Cleaned, run: Run, tmp_path: Path) -> None:
    """The two commands one after the other: the same cases, under the pseudonym of the files."""
    said = run(ingest, case.out, "--out", tmp_path / "cohort", "--scheduler", "processes", "-w", "1")
    rows = rows_of(tmp_path / "cohort" / "manifest.csv")
    assert {row["patient_id"] for row in rows} == {str(made.PatientID) for made in case.of.values()}
    assert {row["modality"] for row in rows} == {"CT", "MR", "PET"}
    assert "not de-identified" not in said.text
    image = sitk.GetArrayFromImage(
        sitk.ReadImage(str(tmp_path / "cohort" / next(row["image_path"] for row in rows if row["modality"] == "CT")))
    )
    stored = np.stack(
        [np.frombuffer(was.PixelData, np.uint16).reshape(canaries.ROWS, canaries.COLUMNS) for was, _ in case.pairs("CT")]
    )
    assert sorted(image.ravel()) == sorted(stored.ravel().astype(int) - 1024)
    assert not leaks(case.planted, tmp_path / "cohort", said=said)


# all of it


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("block", range(10))
def test_a_hundred_seeds_of_every_type(block: int, run: Run, tmp_path: Path) -> None:
    kinds: dict[str, int] = {}
    for seed in range(block * SEEDS // 10, (block + 1) * SEEDS // 10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        done = cleaned(run, folder, seed, share=1.0 if seed % 5 == 0 else 0.3)
        assert not leaks(done.planted, done.out, said=done.said), seed
        for path, kind in done.planted.files.items():
            kinds[kind] = kinds.get(kind, 0) + (path.stat().st_size > 0)
        if seed % 10 == 0:
            broken(done.planted, done.export, seed)
            said, places = cohorts(run, done.planted, done.export, folder, all_of_it=True)
            assert not searched(done.planted, said, places), seed
        shutil.rmtree(folder)
    assert len(kinds) == 16 and min(kinds.values()) >= SEEDS // 10


def neutral(planted: canaries.Planted, folder: Path) -> Path:
    """A table of cases over copies of the planted files: DICOM read as it is, good and failing. The table and its names are the
    user's own, so they bear no canary."""
    rows = ["case_id,image_path,mask_path,roi"]
    for kind in ("CT", "PET"):
        (folder / kind).mkdir(parents=True)
        for at, path in enumerate(sorted(path for path, found in planted.files.items() if found == kind)):
            shutil.copyfile(path, folder / kind / f"{at}.dcm")
    for kind in ("RTSTRUCT", "SEG"):
        shutil.copyfile(next(path for path, found in planted.files.items() if found == kind), folder / f"{kind}.dcm")
    (folder / "cut").mkdir()
    (folder / "cut" / "0.dcm").write_bytes((folder / "CT" / "0.dcm").read_bytes()[:4000])
    (folder / "gap").mkdir()
    for at in (0, 1, 3):
        shutil.copyfile(folder / "CT" / f"{at}.dcm", folder / "gap" / f"{at}.dcm")
    asked = [("RTSTRUCT.dcm", "GTVp"), ("RTSTRUCT.dcm", ""), ("RTSTRUCT.dcm", "none"), ("SEG.dcm", ""), ("CT/0.dcm", "")]
    for image in ("CT", "PET", "gap", "cut", "."):
        rows += [f"case {len(rows) + at},{image},{mask},{roi}" for at, (mask, roi) in enumerate(asked)]
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder / "table.csv"


@pytest.mark.slow
def test_dicom_that_is_read_directly(run: Run, tmp_path: Path) -> None:
    planted = canaries.export(tmp_path / "export", 3, share=0.2)
    table = neutral(planted, tmp_path / "work")
    out, said = tmp_path / "out", Said()
    out.mkdir()
    run(extract, table, "-o", out / "features.csv", "--scheduler", "processes", "-w", "1", said=said)
    assert len(rows_of(out / "features.csv")) >= 2 and len(rows_of(out / "features.failures.csv")) >= 10
    run(doctor, table, "--out", out / "doctor", "--scheduler", "processes", "-w", "1", said=said)
    assert said.status == 3
    assert not leaks(planted, out, said=said)

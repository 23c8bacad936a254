"""RT structure sets: what a file holds, which ROI is meant, what is wrong with it, and on which image it lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radpipe.core.grid import Grid
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError, RadpipeError
from radpipe.io.dicom.registration import Matrix, Registration
from radpipe.io.dicom.rtstruct import pick, place, rasterise, read_rtstruct
from radpipe.io.dicom.scan import scan_folder
from radpipe.io.dicom.series import choose, frame_positions

UNIT = Grid((5, 8, 8), (1.0, 1.0, 1.0))
SQUARE = [[0.5, 0.5, 1], [4.5, 0.5, 1], [4.5, 4.5, 1], [0.5, 4.5, 1]]


def test_what_a_file_holds(rtstruct, dicom) -> None:
    path = rtstruct(
        [(3, "GTVp", [dicom.contour(SQUARE, ContourSlabThickness=2.5)]), (7, "Lung L", [dicom.contour(SQUARE)])],
        RTROIObservationsSequence=[dicom.item(ReferencedROINumber=3, RTROIInterpretedType="GTV")],
    )
    found = read_rtstruct(path)
    assert [(roi.number, roi.name, roi.interpreted, roi.slab_mm) for roi in found.rois] == [
        (3, "GTVp", "GTV", 2.5), (7, "Lung L", "", None),
    ]  # fmt: skip
    assert found.label == "PLAN" and found.problems == ()
    assert found.referenced_series == ("1.2.3.4",) and found.frames_of_reference == ("1.2.3.9",)
    np.testing.assert_array_equal(found.rois[0].contours[0].points, SQUARE)
    assert found.rois[0].contours[0].kind == "CLOSED_PLANAR"


def test_picking(rtstruct, dicom) -> None:
    one = [dicom.contour(SQUARE)]
    found = read_rtstruct(rtstruct([(1, "GTVp", one), (2, "GTVn", one), (5, "gtv [old]", one), (9, "2", one)]))
    assert [roi.number for roi in pick(found, "gtvP")] == [1]
    assert [roi.number for roi in pick(found, 2)] == [2]
    assert [roi.number for roi in pick(found, "5")] == [5]
    assert [roi.number for roi in pick(found, "2")] == [9]  # a name goes before a number
    assert [roi.number for roi in pick(found, "GTV [old]")] == [5]
    assert [roi.number for roi in pick(found, "GTV*")] == [1, 2, 5]
    with pytest.raises(FileProblem, match=r"no ROI 'GTVx'\. Did you mean 'GTV.'\? It holds: 1 'GTVp', 2 'GTVn'"):
        pick(found, "GTVx")
    with pytest.raises(FileProblem, match="no ROI 77"):
        pick(found, 77)


# what is wrong with single ROIs costs only them


def test_two_rois_of_one_name(rtstruct, dicom) -> None:
    found = read_rtstruct(rtstruct([(1, "GTV", [dicom.contour(SQUARE)]), (4, "gtv", [dicom.contour(SQUARE)])]))
    assert any("2 ROIs have the name 'gtv'" in line for line in found.problems)
    with pytest.raises(FileProblem, match=r"2 ROIs have the name 'GTV': 1 'GTV', 4 'gtv'\. Say which one by its number"):
        pick(found, "GTV")
    assert pick(found, 4)[0].number == 4


def test_a_number_that_the_list_lacks_and_one_that_stands_twice(rtstruct, dicom) -> None:
    path = rtstruct([(1, "A", [dicom.contour(SQUARE)]), (2, "B", [dicom.contour(SQUARE)]), (2, "C", None)])
    import pydicom

    changed = pydicom.dcmread(path)
    changed.ROIContourSequence.append(dicom.item(ReferencedROINumber=8, ContourSequence=[dicom.contour(SQUARE)]))
    changed.save_as(path)
    found = read_rtstruct(path)
    assert any("ROI 8 that the list of ROIs does not name" in line for line in found.problems)
    assert rasterise(pick(found, "A")[0], UNIT)[0].voxels.sum() == 16
    with pytest.raises(FileProblem, match="ROI 2 'B': the number 2 stands for 2 ROIs"):
        rasterise(pick(found, "B")[0], UNIT)


def test_a_roi_that_was_never_drawn(rtstruct, dicom) -> None:
    found = read_rtstruct(rtstruct([(1, "GTV", None), (2, "CTV", []), (3, "PTV", [dicom.contour(SQUARE)])]))
    for name in ("GTV", "CTV"):
        with pytest.raises(EmptyRoiError, match=f"ROI . '{name}' has no contours: it was named, and never drawn"):
            rasterise(pick(found, name)[0], UNIT)
    assert rasterise(pick(found, "PTV")[0], UNIT)[0].voxels.any()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (["nan", "0", "1", "2", "0", "1", "2", "2", "1"], "contour 2 holds 1 points that are NaN or infinite"),
        (["inf", "0", "1", "2", "0", "1", "2", "2", "1"], "NaN or infinite"),
        (["0", "0", "1", "2", "0", "1", "2", "2"], "contour 2 holds 8 numbers, which are no points of three"),
        (["0", "x", "1", "2", "0", "1", "2", "2", "1"], "coordinates that are not numbers"),
        (["0", "0", "1", "2", "0", "1"], "declares 3 points and gives 2"),
    ],
)
def test_points_that_are_none(rtstruct, dicom, data, words) -> None:
    bad = dicom.contour(SQUARE)
    bad.NumberOfContourPoints = 3
    path = rtstruct([(1, "GTV", [dicom.contour(SQUARE), bad]), (2, "OK", [dicom.contour(SQUARE)])])
    import pydicom
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    changed = pydicom.dcmread(path)
    raw = "\\".join(data).encode()
    raw += b" " * (len(raw) % 2)
    tag = Tag(0x3006, 0x0050)
    changed.ROIContourSequence[0].ContourSequence[1]._dict[tag] = RawDataElement(tag, "DS", len(raw), raw, 0, False, True)
    changed.save_as(path)
    found = read_rtstruct(path, case_id="P1")
    assert any(words in line for line in found.problems)
    with pytest.raises(FileProblem, match=words) as caught:
        rasterise(pick(found, "GTV")[0], UNIT)
    assert "ROI 1 'GTV'" in str(caught.value) and str(path) in str(caught.value) and caught.value.hint
    assert rasterise(pick(found, "OK")[0], UNIT)[0].voxels.any()


def test_a_contour_without_data(rtstruct, dicom) -> None:
    nothing = dicom.item(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=0)
    found = read_rtstruct(rtstruct([(1, "GTV", [nothing, dicom.contour(SQUARE)])]))
    mask, notes = rasterise(found.rois[0], UNIT)
    assert mask.voxels.sum() == 16 and "one or two points" in notes.sentences[0]


# what is wrong with the file


def test_files_that_are_no_structure_set(tmp_path: Path, rtstruct, ct_series, dicom) -> None:
    text = tmp_path / "notes.dcm"
    text.write_text("not DICOM at all, whatever the name says")
    slice_ = next(ct_series(UNIT).iterdir())
    empty = rtstruct([])
    import pydicom

    lists = pydicom.dcmread(empty)
    del lists.StructureSetROISequence, lists.ROIContourSequence
    bare = tmp_path / "bare.dcm"
    lists.save_as(bare)
    for path, words in (
        (text, "not a DICOM file"), (slice_, "no RT structure set .its modality is CT"), (bare, "no list of ROIs"),
        (tmp_path / "none.dcm", "not there"),
    ):  # fmt: skip
        with pytest.raises(FileProblem, match=words) as caught:
            read_rtstruct(path, case_id="P1")
        assert caught.value.case_id == "P1" and caught.value.path == str(path)
    assert read_rtstruct(empty).rois == ()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_file_cut_anywhere_is_refused(rtstruct, dicom, tmp_path: Path, share: float) -> None:
    path = tmp_path / "whole.dcm"
    if not path.exists():
        rtstruct(
            [(n, f"ROI{n}", [dicom.contour(np.array(SQUARE) + np.array([0, 0, z])) for z in range(3)]) for n in range(4)],
            name="whole.dcm",
        )
    data = path.read_bytes()
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(data[: int(share * (len(data) - 1))])
    with pytest.raises(FileProblem):
        read_rtstruct(cut)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_bytes_never_crash(rtstruct, dicom, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "whole.dcm"
    if not path.exists():
        rtstruct([(1, "GTV", [dicom.contour(np.array(SQUARE) + np.array([0, 0, z])) for z in range(3)])], name="whole.dcm")
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for place_ in rng.integers(132, len(data), 6):
        data[place_] = rng.integers(256)
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(bytes(data))
    refused = ""
    try:
        for roi in read_rtstruct(bad).rois:
            rasterise(roi, UNIT)
    except RadpipeError as error:
        refused = str(error)
    assert "Nobody" not in refused


# where it lies


def test_the_series_that_it_belongs_to(rtstruct, dicom) -> None:
    found = read_rtstruct(rtstruct([(1, "GTV", [dicom.contour(SQUARE)])]))
    roi = found.rois[0]
    assert place(found, roi, series_uid="1.2.3.4", frame_of_reference_uid="other").rule == "drawn on this series"
    assert place(found, roi, series_uid="9", frame_of_reference_uid="1.2.3.9").rule == "same frame of reference"
    with pytest.raises(
        GeometryError, match=r"ROI 1 'GTV' was made on the series 1.2.3.4 .*1.2.3.9.*image series 9 has the frame"
    ) as caught:
        place(found, roi, series_uid="9", frame_of_reference_uid="8")
    assert "spatial registration" in caught.value.hint
    with pytest.raises(GeometryError, match="gives no frame of reference"):
        place(found, roi, series_uid="9", frame_of_reference_uid="")
    shift = np.eye(4)
    shift[:3, 3] = (1, 2, 3)
    link = Registration(Path("reg.dcm"), "8", (Matrix("1.2.3.9", "8", tuple(shift.ravel())),))
    where = place(found, roi, series_uid="9", frame_of_reference_uid="8", registrations=[link])
    assert where.rule == "linked by a spatial registration"
    np.testing.assert_array_equal(where.matrix, shift)


def test_a_set_on_two_series_of_two_frames(rtstruct, dicom) -> None:
    """The series counts only for the ROIs drawn in its own frame."""
    study = dicom.item(
        ReferencedSOPInstanceUID="1", RTReferencedSeriesSequence=[dicom.item(SeriesInstanceUID="MR", ContourImageSequence=[])]
    )
    path = rtstruct([(1, "GTV", [dicom.contour(SQUARE)])])
    import pydicom

    changed = pydicom.dcmread(path)
    changed.ReferencedFrameOfReferenceSequence.append(dicom.item(FrameOfReferenceUID="7.7", RTReferencedStudySequence=[study]))
    changed.save_as(path)
    found = read_rtstruct(path)
    assert found.referenced_series == ("1.2.3.4", "MR") and found.frames_of_reference == ("1.2.3.9", "7.7")
    with pytest.raises(GeometryError, match=r"was made on the series 1\.2\.3\.4"):
        place(found, found.rois[0], series_uid="MR", frame_of_reference_uid="7.7")


# rt-utils' own files


def test_rt_utils_square_with_a_hole(shared_data: Path) -> None:
    """One square of 24 x 24 mm with an octagon inside it, on two slices of 0.488 mm pixels."""
    folder = shared_data / "dicom" / "rt_utils" / "mock_data"
    found = read_rtstruct(folder / "rt.dcm")
    series = choose(scan_folder(folder))
    grid = frame_positions(series).grid
    where = place(found, found.rois[0], series_uid=series.uid, frame_of_reference_uid=series.frame_of_reference_uid)
    assert where.rule == "drawn on this series"  # its frame of reference is one that rt-utils made up
    mask, notes = rasterise(found.rois[0], grid, transform=where.matrix)
    outer, inner = (np.array(one.points) for one in found.rois[0].contours)
    area = abs(_area(outer)) - abs(_area(inner))
    pixel = grid.spacing_mm[1] * grid.spacing_mm[2]
    assert mask.voxels.sum() * pixel == pytest.approx(area, rel=0.03)
    centre = (inner[:, :2].mean(axis=0) - grid.origin_mm[:2]) / grid.spacing_mm[2]
    assert not mask.voxels[0, int(centre[1]), int(centre[0])]
    assert notes.sentences == () and not mask.voxels[1].any()


def _area(points: np.ndarray) -> float:
    x, y = points[:, 0], points[:, 1]
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


@pytest.mark.parametrize(
    "name", ["empty/dummy_rt.dcm", "mock_data/invalid_reference_rt.dcm", "mock_data/non_existent_reference_rt.dcm"]
)
def test_rt_utils_other_files(shared_data: Path, name: str) -> None:
    """Four ROIs on three slices; the contours can be read whether or not their references hold."""
    found = read_rtstruct(shared_data / "dicom" / "rt_utils" / name)
    assert [roi.name for roi in found.rois] == ["ROI-1", "ROI-2", "ROI-3", "ROI-4"]
    assert [len(roi.contours) for roi in found.rois] == [3, 3, 3, 3]
    assert found.rois[0].drawn_mm == 5.0
    with pytest.raises(GeometryError):
        place(found, found.rois[0], series_uid="1.2.826.0.1.3680043.2.1125.20210721.1101329", frame_of_reference_uid="")


def test_pydicoms_own_structure_set() -> None:
    from pydicom.data import get_testdata_file

    found = read_rtstruct(Path(get_testdata_file("rtstruct.dcm", download=False)))
    kinds = {roi.name: {one.kind for one in roi.contours} for roi in found.rois}
    assert kinds == {"patient": {"CLOSED_PLANAR"}, "Isocenter 1": {"POINT"}, "Isocenter 2": {"POINT"}}
    for roi in found.rois[1:]:
        with pytest.raises(EmptyRoiError, match="of the type POINT have no inside"):
            rasterise(roi, UNIT)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "L\u00e4sion links"),
        ("ISO_IR 192", "\u816b\u760d"),
        ("ISO_IR 144", "\u043e\u043f\u0443\u0445\u043e\u043b\u044c"),
    ],
)
def test_names_in_other_scripts(rtstruct, dicom, charset: str, name: str) -> None:
    found = read_rtstruct(rtstruct([(1, name, [dicom.contour(SQUARE)])], SpecificCharacterSet=charset))
    assert found.rois[0].name == name
    assert pick(found, name.upper())[0].number == 1

"""DICOM segmentations: against label maps of dcmqi, highdicom's own reader, and files whose contents are written here."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError, RadpipeError
from radpipe.io.dicom.registration import Matrix, Registration
from radpipe.io.dicom.scan import scan_folder
from radpipe.io.dicom.seg import on_grid, pick, place, read_seg
from radpipe.io.dicom.series import choose, frame_positions
from radpipe.io.volumes import read_label_map

SEG = "1.2.840.10008.5.1.4.1.1.66.4"


# right answers of others


@pytest.mark.parametrize(
    "name",
    ["liver", "liver_deflate", "liver_expb", "liver_j2k", "liver_rle", "liver_nonbyte_aligned", "liver_nonbyte_aligned_rle"],
)
def test_every_transfer_syntax_gives_dcmqis_label_map(shared_data: Path, name: str) -> None:
    """One liver in seven encodings; the two whose size is no multiple of 8 lack the last two rows and columns."""
    found = read_seg(shared_data / "dicom" / "pydicom_data_extra" / f"{name}.dcm")
    labels = read_label_map(shared_data / "dicom" / "dcmqi_segmentations" / "liver_seg.nrrd")
    (region,) = found.regions
    assert (region.number, region.label, found.kind) == (1, "Liver", "BINARY")
    mask = region.mask
    size = mask.grid.shape[1]
    np.testing.assert_array_equal(mask.voxels, labels.voxels[:, :size, :size] == 1)
    if size == 512:
        np.testing.assert_allclose(mask.grid.origin_mm, labels.grid.origin_mm, atol=1e-6)
        np.testing.assert_allclose(mask.grid.spacing_mm, labels.grid.spacing_mm, atol=1e-6)


@pytest.mark.parametrize("folder", ["23x38x3", "24x38x3"])
def test_small_segmentations_on_their_image(shared_data: Path, folder: str) -> None:
    base = shared_data / "dicom" / "dcmqi_segmentations" / folder
    labels = read_label_map(base / "nrrd" / "label.nrrd")
    found = read_seg(base / "seg" / "label.seg")
    image = frame_positions(choose(scan_folder(base / "image"))).grid
    mask = found.regions[0].on_grid(image)
    assert mask.grid == image
    np.testing.assert_array_equal(mask.voxels, labels.voxels == 1)


def test_segments_that_overlap_and_miss_frames(shared_data: Path) -> None:
    """Seven frames for five segments on three slices; dcmqi wrote the answer as three label maps."""
    base = shared_data / "dicom" / "dcmqi_segmentations"
    found = read_seg(base / "partial_overlaps.dcm")
    assert [region.label for region in found.regions] == ["GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE"]
    assert found.overlapping
    answers = {}
    for part in (1, 2, 3):
        labels = read_label_map(base / f"partial_overlaps-{part}.nrrd")
        for value in np.unique(labels.voxels)[1:]:
            answers[int(value)] = labels.voxels == value
    assert sorted(answers) == [1, 2, 3, 4, 5]
    for region in found.regions:
        np.testing.assert_array_equal(region.mask.voxels, answers[region.number])


@pytest.mark.parametrize("form", ["noppv", "ppv5"])
def test_label_maps_with_an_empty_slice(shared_data: Path, form: str) -> None:
    """Two frames, 5 mm apart in slices of 2.5 mm: the slice between is empty (with ppv5, dcmqi fills it with the padding value)."""
    base = shared_data / "dicom" / "dcmqi_segmentations"
    found = read_seg(base / f"sparse-labelmap-{form}.dcm")
    labels = read_label_map(base / f"sparse_labelmap_{form}_seg.nrrd")
    assert found.kind == "LABELMAP" and [region.label for region in found.regions] == ["Liver"]  # the background is no region
    mask = found.regions[0].mask
    np.testing.assert_array_equal(mask.voxels, labels.voxels == 1)
    assert mask.voxels.any(axis=(1, 2)).tolist() == [True, False, True]
    np.testing.assert_allclose(mask.grid.origin_mm, labels.grid.origin_mm, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "highdicom_seg/seg_image_ct_binary", "highdicom_seg/seg_image_ct_binary_fractional", "highdicom_seg/seg_image_ct_binary_overlap",
        "highdicom_seg/seg_image_ct_binary_single_frame", "highdicom_seg/seg_image_ct_true_fractional", "dcmqi_segmentations/liver",
        "dcmqi_segmentations/partial_overlaps",
    ],
)  # fmt: skip
def test_as_highdicom_reads_it(shared_data: Path, name: str) -> None:
    highdicom = pytest.importorskip("highdicom")
    path = shared_data / "dicom" / f"{name}.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        volume = highdicom.seg.segread(path).get_volume(combine_segments=False, rescale_fractional=True)
    found = read_seg(path)
    assert volume.array.shape == (*found.grid.shape, len(found.regions))
    # highdicom may run through the slices the other way; each voxel is compared where it lies
    corner = volume.affine @ [0, 0, 0, 1]
    first = found.grid.world_mm(np.zeros(3))
    flipped = not np.allclose(corner[:3], first, atol=1e-3)
    if flipped:
        np.testing.assert_allclose(corner[:3], found.grid.world_mm(np.array([found.grid.shape[0] - 1, 0, 0.0])), atol=1e-3)
    for place_, region in enumerate(found.regions):
        array = volume.array[::-1, ..., place_] if flipped else volume.array[..., place_]
        fraction = region.fraction
        assert (fraction is None) == (found.kind == "BINARY")
        if fraction is not None:
            np.testing.assert_allclose(fraction, array, atol=1e-6)
        np.testing.assert_array_equal(region.mask.voxels, array >= 0.5)


def test_a_fractional_segment_keeps_its_fractions(shared_data: Path) -> None:
    found = read_seg(shared_data / "dicom" / "highdicom_seg" / "seg_image_ct_true_fractional.dcm")
    assert found.fractional_type == "PROBABILITY"
    values = found.regions[0].fraction
    assert values is not None
    np.testing.assert_allclose(np.unique(values), [0, 64 / 255, 128 / 255], atol=1e-6)
    assert found.regions[0].n_voxels == int((values >= 0.5).sum())


def test_a_segmentation_of_a_radiograph_has_no_place(shared_data: Path) -> None:
    with pytest.raises(FileProblem, match="frame 1 has no position in the patient"):
        read_seg(shared_data / "dicom" / "highdicom_seg" / "seg_image_cr_binary.dcm", case_id="P1")


# files made here


@pytest.fixture
def seg(tmp_path: Path, dicom) -> Callable[..., Path]:
    """frames : (segment, position, (rows, columns) of 0 and 1)."""

    def make(
        frames, *, labels=("A", "B"), orientation=(1, 0, 0, 0, 1, 0), pixel=(1.0, 1.0), thick=2.0, between=None, name="seg.dcm"
    ):
        rows, columns = frames[0][2].shape if frames else (4, 4)
        made = dicom.dataset(SEG, "SEG", FrameOfReferenceUID="1.2.3.9", SegmentationType="BINARY", Rows=rows, Columns=columns)
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated = made.BitsStored = 1
        made.HighBit = made.PixelRepresentation = 0
        made.NumberOfFrames = len(frames)
        made.ReferencedSeriesSequence = [dicom.item(SeriesInstanceUID="1.2.3.4", ReferencedInstanceSequence=[])]
        made.SegmentSequence = [dicom.item(SegmentNumber=n, SegmentLabel=label) for n, label in enumerate(labels, start=1)]
        measures = dicom.item(PixelSpacing=list(pixel), SliceThickness=thick)
        if between is not None:
            measures.SpacingBetweenSlices = between
        made.SharedFunctionalGroupsSequence = [
            dicom.item(
                PlaneOrientationSequence=[dicom.item(ImageOrientationPatient=[f"{v:.12g}" for v in orientation])],
                PixelMeasuresSequence=[measures],
            )
        ]
        made.PerFrameFunctionalGroupsSequence = [
            dicom.item(
                PlanePositionSequence=[dicom.item(ImagePositionPatient=[f"{v:.10g}" for v in place_])],
                SegmentIdentificationSequence=[dicom.item(ReferencedSegmentNumber=segment)],
            )
            for segment, place_, _ in frames
        ]
        bits = (
            np.concatenate([np.asarray(pixels, np.uint8).ravel() for _, _, pixels in frames]) if frames else np.zeros(8, np.uint8)
        )
        data = np.packbits(bits, bitorder="little").tobytes()
        made.PixelData = data + bytes(len(data) % 2)
        path = tmp_path / name
        made.save_as(path, enforce_file_format=True)
        return path

    return make


DOT = np.zeros((4, 4), np.uint8)
DOT[1, 2] = 1  # row 1, column 2


def test_frames_in_any_order_make_one_stack_with_gaps(seg) -> None:
    """Slices at -4, 0 and 6 in steps of 2: six of them, three of them empty; the order in the file means nothing."""
    found = read_seg(seg([(1, (0, 0, 6), DOT), (1, (0, 0, -4), DOT), (2, (0, 0, 0), DOT), (1, (0, 0, 0), DOT)], between=2.0))
    assert found.grid.shape == (6, 4, 4) and found.grid.origin_mm == (0.0, 0.0, -4.0)
    a, b = found.regions
    assert np.argwhere(a.mask.voxels).tolist() == [[0, 1, 2], [2, 1, 2], [5, 1, 2]]
    assert np.argwhere(b.mask.voxels).tolist() == [[2, 1, 2]]
    assert found.overlapping


def test_a_segment_without_frames_is_there_and_empty(seg) -> None:
    found = read_seg(seg([(1, (0, 0, 0), DOT)]))
    assert [region.n_voxels for region in found.regions] == [1, 0]
    assert not found.regions[1].mask.voxels.any()
    with pytest.raises(EmptyRoiError, match="segment 2 'B' is empty"):
        found.regions[1].on_grid(found.grid)


def test_picking_a_segment(seg) -> None:
    found = read_seg(seg([(1, (0, 0, 0), DOT)], labels=("Tumour", "tumour")))
    with pytest.raises(FileProblem, match="2 segments have the name 'Tumour'"):
        pick(found, "TUMOUR")
    assert pick(found, 2)[0].label == "tumour"
    with pytest.raises(FileProblem, match=r"no segment 'liver'.*It holds: 1 'Tumour', 2 'tumour'"):
        pick(found, "liver")


def test_a_subset_of_the_images_planes_is_placed(seg) -> None:
    """A segmentation of two slices and a part of the rows, within a larger image whose slices run the other way."""
    found = read_seg(seg([(1, (10, 20, 4), DOT), (1, (10, 20, 6), DOT)]))
    image = Grid((9, 40, 30), (2.0, 1.0, 1.0), (2.0, 5.0, 14.0), (1, 0, 0, 0, 1, 0, 0, 0, -1))
    mask = found.regions[0].on_grid(image)
    # z 4 and 6 are planes 5 and 4 from 14 downwards; y = 21 is row 16, x = 12 is column 10
    assert np.argwhere(mask.voxels).tolist() == [[4, 16, 10], [5, 16, 10]]


def test_axes_in_another_order(seg) -> None:
    """A sagittal segmentation on an axial image of the same voxels."""
    found = read_seg(seg([(1, (7, 0, 0), DOT), (1, (8, 0, 0), DOT)], orientation=(0, 1, 0, 0, 0, -1), thick=1.0))
    image = Grid((20, 20, 20), (1.0, 1.0, 1.0), (0.0, 0.0, -10.0))
    mask = found.regions[0].on_grid(image)
    world = {tuple(image.world_mm(index.astype(float))) for index in np.argwhere(mask.voxels)}
    assert world == {(7.0, 2.0, -1.0), (8.0, 2.0, -1.0)}


def test_other_voxels_and_voxels_outside_are_refused(seg) -> None:
    region = read_seg(seg([(1, (0, 0, 0), DOT)])).regions[0]
    with pytest.raises(GeometryError, match=r"segment 1 'A': its voxels are not those of the image.*0\.4 voxels off"):
        region.on_grid(Grid((4, 9, 9), (2.0, 1.0, 1.0), (0.4, 0.0, 0.0)))
    with pytest.raises(GeometryError, match="not those of the image"):
        region.on_grid(Grid((4, 9, 9), (2.0, 1.5, 1.5)))
    with pytest.raises(GeometryError, match="1 of its 1 voxels lie outside the image"):
        region.on_grid(Grid((4, 9, 9), (2.0, 1.0, 1.0), (0.0, 0.0, 2.0)))


def test_another_frame_of_reference(seg) -> None:
    found = read_seg(seg([(1, (0, 0, 0), DOT)]))
    region = found.regions[0]
    assert place(found, region, series_uid="1.2.3.4", frame_of_reference_uid="8").matrix is None
    with pytest.raises(GeometryError, match=r"segment 1 'A' was made on the series 1\.2\.3\.4"):
        place(found, region, series_uid="5", frame_of_reference_uid="8")
    shift = np.eye(4)
    shift[:3, 3] = (1, 2, 4)
    link = Registration(Path("r.dcm"), "8", (Matrix("1.2.3.9", "8", tuple(shift.ravel())),))
    where = place(found, region, series_uid="5", frame_of_reference_uid="8", registrations=[link])
    mask = region.on_grid(Grid((4, 9, 9), (2.0, 1.0, 1.0)), transform=where.matrix)
    assert np.argwhere(mask.voxels).tolist() == [[2, 3, 3]]  # x 2 + 1, y 1 + 2, z 0 + 4 mm


@pytest.mark.parametrize(
    ("frames", "error", "words"),
    [
        ([(1, (0, 0, 0), DOT), (1, (0, 0, 2), DOT), (1, (0, 0, 5), DOT)], GeometryError, "unevenly spaced"),
        ([(1, (0, 0, 0), DOT), (1, (1, 0, 2), DOT)], GeometryError, "shifted against each other"),
        ([(1, (0, 0, 0), DOT), (1, (0, 0, 0), DOT)], FileProblem, "segment 1 has two frames at the same place"),
        ([(1, (0, 0, 0), DOT), (9, (0, 0, 2), DOT)], FileProblem, "frames of a segment 9"),
        ([(1, (0, 0, 0), DOT), (1, (0, 0, 2), DOT), (1, (0, 0, 9e9), DOT)], GeometryError, "a position is wrong"),
    ],
)
def test_stacks_that_are_none(seg, frames, error, words) -> None:
    path = seg(frames)
    with pytest.raises(error, match=words) as caught:
        read_seg(path, case_id="P1")
    assert caught.value.case_id == "P1" and caught.value.path == str(path) and caught.value.hint


def test_headers_that_do_not_fit(seg, tmp_path: Path, rtstruct) -> None:
    path = seg([(1, (0, 0, 0), DOT), (1, (0, 0, 2), DOT)])

    def changed(**values) -> Path:
        made = pydicom.dcmread(path)
        for name, value in values.items():
            if value is None:
                delattr(made, name)
            else:
                setattr(made, name, value)
        made.save_as(tmp_path / "changed.dcm")
        return tmp_path / "changed.dcm"

    for values, words in (
        ({"SegmentSequence": None}, "no list of segments"),
        ({"NumberOfFrames": 3}, "declares 3 frames and describes 2"),
        ({"SegmentationType": "CURVES"}, "segmentation type is CURVES"),
        ({"PerFrameFunctionalGroupsSequence": None}, "where they lie"),
        ({"SharedFunctionalGroupsSequence": None}, "frame 1 does not say how it is turned"),
        ({"PixelData": b"\0\0"}, "bytes"),
        ({"PixelData": None}, "voxels"),
    ):
        with pytest.raises(FileProblem, match=words):
            read_seg(changed(**values), case_id="P1")
    with pytest.raises(FileProblem, match="no DICOM segmentation"):
        read_seg(rtstruct([]))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_file_cut_anywhere_is_refused(seg, tmp_path: Path, share: float) -> None:
    path = tmp_path / "whole.dcm"
    if not path.exists():
        seg([(n, (0, 0, z), DOT) for n in (1, 2) for z in (0, 2, 4)], name="whole.dcm")
    data = path.read_bytes()
    (tmp_path / "cut.dcm").write_bytes(data[: int(share * (len(data) - 1))])
    with pytest.raises(RadpipeError):
        read_seg(tmp_path / "cut.dcm")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_random_stacks_come_back_where_they_lie(seg, seed: int) -> None:
    """Random planes of a random turned stack, frames in random order: every voxel at its own place in the patient."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    if np.linalg.det(turn) < 0:
        turn = -turn
    step, pixel = float(np.round(rng.uniform(0.5, 5), 3)), np.round(rng.uniform(0.3, 2, 2), 3)
    origin = np.round(rng.uniform(-300, 300, 3), 3)
    planes = np.unique(rng.integers(0, 9, 5))
    frames, expected = [], {1: set(), 2: set()}
    for number in (1, 2):
        for plane in planes:
            bits = rng.integers(0, 2, (3, 5)).astype(np.uint8)
            at = origin + turn[:, 2] * step * plane
            frames.append((number, at, bits))
            for row, column in np.argwhere(bits):
                where = at + turn[:, 1] * pixel[0] * row + turn[:, 0] * pixel[1] * column
                expected[number].add(tuple(np.round(where, 2) + 0.0))
    rng.shuffle(frames)
    found = read_seg(seg(frames, orientation=(*turn[:, 0], *turn[:, 1]), pixel=pixel.tolist(), thick=step, between=step))
    for region in found.regions:
        got = found.grid.world_mm(np.argwhere(region.mask.voxels).astype(float))
        target = np.array(sorted(expected[region.number])).reshape(-1, 3)
        assert len(got) == len(target)
        for point in got:
            assert np.abs(target - point).max(axis=1).min() < 0.02


def test_on_grid_is_sitks_resampling_where_both_hold() -> None:
    rng = np.random.default_rng(3)
    mask = Mask(Grid((4, 5, 6), (2.0, 1.0, 1.5), (3.0, -2.0, 8.0)), rng.random((4, 5, 6)) > 0.5)
    image = Grid((8, 9, 12), (2.0, 1.0, 1.5), (0.0, -4.0, 4.0))
    source = sitk.GetImageFromArray(mask.voxels.astype(np.uint8))
    source.SetSpacing(mask.grid.spacing_mm[::-1])
    source.SetOrigin(mask.grid.origin_mm)
    target = sitk.Image(*image.shape[::-1], sitk.sitkUInt8)
    target.SetSpacing(image.spacing_mm[::-1])
    target.SetOrigin(image.origin_mm)
    expected = sitk.GetArrayFromImage(sitk.Resample(source, target, sitk.Transform(), sitk.sitkNearestNeighbor))
    np.testing.assert_array_equal(on_grid(mask, image).voxels, expected.astype(bool))

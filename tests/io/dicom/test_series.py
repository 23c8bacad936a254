"""Series of CT, MR and PET: the right voxels at the right place, or the right reason."""

from __future__ import annotations

import random
from pathlib import Path

import highdicom
import numpy as np
import pandas as pd
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from scipy.spatial.transform import Rotation

from radpipe.errors import CohortError, FileProblem, GeometryError, RadpipeError
from radpipe.io.dicom.scan import scan_folder
from radpipe.io.dicom.series import choose, frame_positions, read_series
from radpipe.io.volumes import read_header, read_image

STS = [(patient, modality) for patient in ("STS_001", "STS_018") for modality in ("CT", "PET", "MR_T1")]


def only(folder: Path):
    return choose(scan_folder(folder))


def by_itk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def assert_same_grid(grid, image: sitk.Image) -> None:
    assert grid.shape[::-1] == image.GetSize()
    np.testing.assert_allclose(grid.spacing_mm[::-1], image.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(grid.origin_mm, image.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(grid.direction, image.GetDirection(), atol=1e-6)


# --- what is right -----------------------------------------------------------------------------------------------------


def test_a_ct_is_in_order_in_hu_and_in_place(tmp_path, make_series, stored):
    paths = make_series(tmp_path, stored)
    names = [f"{number:02d}.x" for number in range(len(paths))]
    random.Random(3).shuffle(names)
    for path, name in zip(paths, names, strict=True):
        path.rename(tmp_path / name)
    image = read_series(only(tmp_path))
    np.testing.assert_array_equal(image.voxels, stored - 1024)
    assert (image.voxels.dtype, image.unit) == (np.int16, "HU")
    assert image.grid.spacing_mm == (3.0, 2.0, 1.5) and image.grid.origin_mm == (10.0, -20.0, 30.0)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    step=st.floats(0.4, 9),
    count=st.integers(2, 7),
    downwards=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_orientation_is_kept_as_itk_keeps_it(tmp_path, make_series, turn, step, count, downwards, seed):
    folder = tmp_path / generate_uid()
    cosines = Rotation.from_rotvec(turn).as_matrix()
    stored = np.random.default_rng(seed).integers(-1000, 3000, (count, 6, 4), dtype=np.int16)
    orientation = tuple(round(float(x), 12) for x in cosines[:2].ravel())
    make_series(folder, stored, orientation=orientation, step_mm=-step if downwards else step, SeriesInstanceUID=generate_uid())
    image = read_series(only(folder))
    reference = by_itk(folder)
    assert_same_grid(image.grid, reference)
    np.testing.assert_array_equal(image.voxels, sitk.GetArrayFromImage(reference))
    np.testing.assert_array_equal(image.voxels, (stored[::-1] if downwards else stored).astype(int) - 1024)


@pytest.mark.parametrize(
    ("stored_as", "slope", "intercept", "dtype"),
    [
        (np.uint16, 1, -1024, np.int16),  # the usual CT
        (np.int16, 1, 0, np.int16),
        (np.uint8, 2, -5, np.int16),
        (np.uint16, 40, 0, np.int32),  # does not fit into int16
        (np.uint16, 0.5, 0, np.float32),
        (np.int16, 1, 0.25, np.float32),
    ],
)
def test_whole_numbers_stay_whole_where_the_rescale_is(tmp_path, make_series, stored_as, slope, intercept, dtype):
    values = np.array([0, 1, 100, 250]).astype(stored_as).reshape(1, 2, 2).repeat(3, axis=0)
    if stored_as == np.uint16:
        values[0, 0, 0] = 4000
    make_series(tmp_path, values, RescaleSlope=slope, RescaleIntercept=intercept)
    voxels = read_series(only(tmp_path)).voxels
    assert voxels.dtype == dtype
    np.testing.assert_allclose(voxels, values.astype(float) * slope + intercept)


def test_unsigned_and_signed_values_are_told_apart(tmp_path, make_series):
    high = np.full((2, 3, 3), 65000, dtype=np.uint16)
    make_series(tmp_path / "u", high, "MR")
    make_series(tmp_path / "s", high.view(np.int16), "MR")
    assert read_series(only(tmp_path / "u")).voxels.max() == 65000
    assert read_series(only(tmp_path / "s")).voxels.max() == 65000 - 65536


def test_bits_beyond_those_stored_are_not_values(tmp_path, make_series):
    # 12 bits stored, the upper four in use by an old overlay: 0x8000 | 100 is 100 (PS3.5 8.1.1).
    values = np.full((2, 3, 3), 0x8000 | 100, dtype=np.uint16)
    make_series(tmp_path, values, "MR", BitsStored=12, HighBit=11)
    assert read_series(only(tmp_path)).voxels.tolist() == np.full((2, 3, 3), 100).tolist()


def test_every_slice_has_its_own_rescale(tmp_path, make_series, stored):
    slopes = [0.5, 1.25, 2.0, 0.1, 3.0]

    def each(dataset: Dataset, index: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = slopes[index], -index
        dataset.Units = "BQML"

    make_series(tmp_path, stored, "PET", each=each)
    image = read_series(only(tmp_path), suv=None)
    expected = stored * np.reshape(slopes, (5, 1, 1)) - np.reshape(range(5), (5, 1, 1))
    np.testing.assert_allclose(image.voxels, expected, rtol=1e-6)
    assert (image.voxels.dtype, image.unit) == (np.float32, "arbitrary")


def test_padding_outside_the_field_of_view_is_rescaled_as_itk_does(tmp_path, make_series, stored):
    stored[:, 0, 0] = -2000
    make_series(tmp_path, stored, PixelPaddingValue=-2000)
    voxels = read_series(only(tmp_path)).voxels
    assert voxels.min() == -3024
    np.testing.assert_array_equal(voxels, sitk.GetArrayFromImage(by_itk(tmp_path)))


@pytest.mark.parametrize(("said", "unit"), [("HU", "HU"), ("US", "HU"), ("MGML", "arbitrary"), ("Z_EFF", "arbitrary")])
def test_a_ct_that_is_no_hounsfield_map_does_not_say_hu(tmp_path, make_series, stored, said, unit):
    make_series(tmp_path, stored, RescaleType=said)
    assert read_series(only(tmp_path)).unit == unit


@pytest.mark.parametrize("modality", ["CT", "MR", "PET"])
def test_legacy_converted_enhanced_is_the_classic_series(tmp_path, make_series, modality):
    stored = np.random.default_rng(1).integers(0, 4000, (6, 8, 7)).astype(np.uint16)

    def each(dataset: Dataset, index: int) -> None:
        if modality == "PET":
            dataset.RescaleSlope = 0.5 + index
            dataset.Units, dataset.DecayCorrection, dataset.CorrectedImage = "GML", "START", ["ATTN", "DECY"]
            dataset.SUVType = "BW"
        dataset.AcquisitionDate = dataset.SeriesDate = dataset.ContentDate = "20240101"
        dataset.AcquisitionTime = dataset.ContentTime = f"1000{index:02d}"
        dataset.SeriesTime = "100000"
        dataset.BodyPartExamined, dataset.Laterality, dataset.PatientPosition = "CHEST", "", "HFS"

    paths = make_series(tmp_path / "classic", stored, modality, orientation=(0, 1, 0, 0, 0, -1), each=each)
    classic = read_series(only(tmp_path / "classic"))
    sources = [pydicom.dcmread(path) for path in paths]
    random.Random(1).shuffle(sources)
    maker = getattr(highdicom.legacy, f"LegacyConvertedEnhanced{modality}Image")
    enhanced = maker(sources, generate_uid(), 7, generate_uid(), 1)
    enhanced.save_as(tmp_path / "enhanced.dcm")
    image = read_image(tmp_path / "enhanced.dcm")
    np.testing.assert_array_equal(image.voxels, classic.voxels)
    assert (image.grid, image.unit, image.voxels.dtype) == (classic.grid, classic.unit, classic.voxels.dtype)


@pytest.mark.parametrize(("patient", "modality"), STS)
def test_dicom_and_nifti_of_one_image_are_one_image(shared_data, scanned, patient, modality):
    """CT and MR to the last digit, PET to float32's: the NIfTI was made by IBSI, not from this DICOM."""
    image = read_series(choose(scanned(f"sts/dicom/{patient}/{modality}/image")))
    nifti = read_image(shared_data / "sts/images" / patient / f"{modality}_image.nii.gz")
    table = pd.read_csv(shared_data / "sts/sts_images.csv").set_index(["patient_id", "modality"])
    row = table.loc[(patient, modality)]
    assert "x".join(map(str, image.voxels.shape[::-1])) == row.orig_shape
    start = tuple(int(part) for part in reversed(row.crop_offset.split("x")))
    crop = image.voxels[tuple(slice(a, a + n) for a, n in zip(start, nifti.voxels.shape, strict=True))]
    grid = image.grid.cropped(start, nifti.voxels.shape)
    np.testing.assert_allclose(grid.origin_mm, nifti.grid.origin_mm, atol=1e-4)  # NIfTI keeps float32
    np.testing.assert_allclose(grid.spacing_mm, nifti.grid.spacing_mm, rtol=1e-6)
    np.testing.assert_allclose(grid.direction, nifti.grid.direction, atol=1e-6)
    if modality == "PET":
        np.testing.assert_allclose(crop, nifti.voxels, atol=2e-6)
    else:
        assert crop.dtype == nifti.voxels.dtype == np.int16
        np.testing.assert_array_equal(crop, nifti.voxels)


# --- what is wrong -----------------------------------------------------------------------------------------------------


def refused(folder: Path, error: type[RadpipeError], *words: str, **options) -> None:
    with pytest.raises(error) as caught:
        read_series(only(folder), case_id="case-7", **options)
    for word in ("case-7", folder.name, *words):
        assert word in str(caught.value), f"{word!r} not in: {caught.value}"


def test_a_missing_slice_is_named(tmp_path, make_series, stored):
    make_series(tmp_path, stored)[2].unlink()
    refused(tmp_path, GeometryError, "1 slice is missing", "6.00 mm between instance 2 and instance 4", "3.00 mm apart")
    image = read_series(only(tmp_path), uneven="resample")
    # Halfway between its neighbours is where the missing slice was: the mean of the two.
    np.testing.assert_array_equal(image.voxels, stored - 1024)
    assert image.grid.spacing_mm[0] == pytest.approx(3.0)


def test_several_missing_slices_are_counted(tmp_path, make_series):
    paths = make_series(tmp_path, np.zeros((12, 4, 4), np.int16))
    for lost in (2, 3, 8):
        paths[lost].unlink()
    refused(
        tmp_path, GeometryError, "3 slices are missing", "9.00 mm between instance 2 and instance 5", "instance 8 and instance 10"
    )


def test_two_slices_at_one_place_are_named(tmp_path, make_series, stored):
    paths = make_series(tmp_path, stored)
    copy = pydicom.dcmread(paths[1])
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    copy.save_as(tmp_path / "again.dcm")
    for how in ("refuse", "resample"):
        refused(tmp_path, GeometryError, "1 slice position holds more than one", "again.dcm", "002.dcm", "33.00 mm", uneven=how)


def test_unevenly_spaced_slices_are_named(tmp_path, make_series, stored):
    def each(dataset: Dataset, index: int) -> None:
        if index == 3:
            dataset.ImagePositionPatient[2] += 1.0

    make_series(tmp_path, stored, each=each)
    refused(tmp_path, GeometryError, "unevenly spaced", "2.00 to 4.00 mm", "4.00 mm between instance 3 and instance 4")


@pytest.mark.parametrize(("shift_mm", "accepted"), [(0.04, True), (0.3, False)])
def test_what_a_scanner_jitters_is_let_pass(tmp_path, make_series, stored, shift_mm, accepted):
    def each(dataset: Dataset, index: int) -> None:
        if index == 2:
            dataset.ImagePositionPatient[2] += shift_mm

    make_series(tmp_path, stored, each=each)
    if accepted:
        assert read_series(only(tmp_path)).grid.spacing_mm[0] == pytest.approx(3.0)
    else:
        refused(tmp_path, GeometryError, "unevenly spaced")


def ramp(points: np.ndarray) -> np.ndarray:
    """An image that is linear in space: linear resampling must give it back to the last digit."""
    return 100 + 2.0 * points[..., 0] - 3.0 * points[..., 1] + 1.5 * points[..., 2]


@pytest.mark.parametrize(
    ("places", "shear"),
    [
        ([0, 3, 6, 8, 12, 15], 0.0),  # uneven
        ([0, 3, 6, 9, 12, 15], 0.33),  # gantry tilt of 18 degrees
        ([0, 4.2, 8.4, 9.6, 17, 24.4], 0.33),  # both, as in ct_gantry_tilt_ge
    ],
)
def test_resampled_slices_lie_where_their_headers_say(tmp_path, make_series, places, shear):
    rows, columns = 40, 12
    positions = [np.array([5.0, -7.0 + shear * z, 20.0 + z]) for z in places]
    y, x = np.mgrid[:rows, :columns]
    world = np.stack([np.stack([p[0] + 1.5 * x, p[1] + 2.0 * y, np.full(x.shape, p[2])], axis=-1) for p in positions])
    values = ramp(world)

    def each(dataset: Dataset, index: int) -> None:
        dataset.ImagePositionPatient = [float(v) for v in positions[index]]

    make_series(tmp_path, np.rint(values * 16).astype(np.int16), each=each, RescaleSlope=1 / 16, RescaleIntercept=0)
    with pytest.raises(GeometryError, match="gantry tilt" if shear else "unevenly"):
        read_series(only(tmp_path))
    image = read_series(only(tmp_path), uneven="resample")
    got = image.voxels
    expected = ramp(image.grid.world_mm(np.stack(np.meshgrid(*map(np.arange, got.shape), indexing="ij"), axis=-1)))
    covered = (slice(None), slice(7, 37), slice(None)) if shear else (slice(None),) * 3  # rows that every slice reaches
    np.testing.assert_allclose(got[covered], expected[covered], atol=0.1)
    index = frame_positions(only(tmp_path), uneven="resample")
    last = only(tmp_path).files[-1].sop_uid
    assert index.of(last) * image.grid.spacing_mm[0] == pytest.approx(places[-1])


def test_gantry_tilt_of_a_real_scanner_is_refused_and_resampled(scanned):
    series = choose(scanned("dicom/ct_gantry_tilt_ge/"))
    with pytest.raises(GeometryError, match=r"18\.5 degrees \(gantry tilt\)"):
        read_series(series)
    image = read_series(series, uneven="resample")
    # 151.94 mm of table travel, seen along the slices' normal: cos(18.5 degrees).
    length = (image.grid.shape[0] - 1) * image.grid.spacing_mm[0]
    assert length == pytest.approx(151.94 * np.cos(np.radians(18.5)), abs=image.grid.spacing_mm[0])
    assert image.voxels.dtype == np.int16


def test_slices_that_do_not_lie_over_each_other_are_named(tmp_path, make_series, stored):
    def each(dataset: Dataset, index: int) -> None:
        if index == 2:
            dataset.ImagePositionPatient[0] += 8.0

    make_series(tmp_path, stored, each=each)
    refused(tmp_path, GeometryError, "do not lie over each other", "instance 3 lies 8.00 mm aside")


def test_one_slice_is_no_volume(tmp_path, make_series, stored):
    make_series(tmp_path, stored[:1])
    refused(tmp_path, GeometryError, "one slice")


def test_mixed_orientations_are_parts_of_their_own(tmp_path, make_series, stored):
    make_series(tmp_path / "a", stored)
    make_series(tmp_path / "b", stored[:3], orientation=(0, 1, 0, 0, 0, -1))
    export = scan_folder(tmp_path)
    assert sorted((series.n_slices, "orientation" in series.part) for series in export.series) == [(3, True), (5, True)]
    with pytest.raises(CohortError, match=r"2 image series fit.*mixed orientations"):
        choose(export)
    np.testing.assert_array_equal(read_series(choose(export, description="orientation 1 0 0")).voxels, stored - 1024)


def test_a_stray_slice_of_another_orientation_is_named(tmp_path, make_series, stored):
    make_series(tmp_path / "a", stored)
    make_series(tmp_path / "b", stored[:1], orientation=(0, 1, 0, 0, 0, -1))
    stray = next(series for series in scan_folder(tmp_path).series if series.n_slices == 1)
    with pytest.raises(GeometryError, match=r"mixed orientations.*\[orientation 0 1 0 0 0 -1\].*one slice"):
        read_series(stray)


def test_a_position_that_cannot_be_is_not_resampled(tmp_path, make_series, stored):
    def each(dataset: Dataset, index: int) -> None:
        if index == 4:
            dataset.ImagePositionPatient[2] = 9e9

    make_series(tmp_path, stored, each=each)
    refused(tmp_path, GeometryError, "so far apart", uneven="resample")


def test_mixed_orientations_put_together_by_hand_are_refused(tmp_path, make_series, stored):
    import dataclasses

    make_series(tmp_path / "a", stored)
    make_series(tmp_path / "b", stored[:1], orientation=(0, 1, 0, 0, 0, -1), SeriesInstanceUID="1.2.1.2")
    one, other = scan_folder(tmp_path).series
    mixed = dataclasses.replace(one, files=(*one.files, *other.files), chosen=(*one.chosen, (len(one.files), 0)))
    with pytest.raises(GeometryError, match="mixed orientations"):
        read_series(mixed)


def test_a_mosaic_is_refused_by_name(tmp_path, make_series, stored):
    make_series(tmp_path, stored, "MR", ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    refused(tmp_path, FileProblem, "mosaic", "dcm2niix")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"RescaleSlope": 0}, "RescaleSlope"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
        ({"PixelSpacing": None}, "PixelSpacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "ImageOrientationPatient"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "colour"),
        ({"PixelPresentation": "COLOR"}, "PixelPresentation"),
        ({"Rows": 7}, "cut off"),
    ],
)
def test_headers_that_cannot_be_true_are_refused(tmp_path, make_slice, changes, word):
    for index in range(3):
        values = {"ImagePositionPatient": [0, 0, 3 * index], **changes}
        dataset = make_slice(np.zeros((6, 4), np.int16), **values)
        dataset.save_as(tmp_path / f"{index}.dcm", enforce_file_format=True)
    series = scan_folder(tmp_path).series[0]
    with pytest.raises(RadpipeError, match=word):
        read_series(series)


def test_a_rescale_that_is_no_number_is_not_taken_for_none(tmp_path, make_series, stored):
    path = make_series(tmp_path, stored)[1]
    data = path.read_bytes()
    assert data.count(b"-1024") == 1
    path.write_bytes(data.replace(b"-1024", b"-10,4"))
    refused(tmp_path, FileProblem, "RescaleSlope or RescaleIntercept", "no number")


# --- several volumes in one series ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("EchoTime", [4.6, 9.2]),
        ("TemporalPositionIdentifier", [1, 2, 3]),
        ("DiffusionBValue", [0.0, 800.0]),
        ("ImageType", [["ORIGINAL", "PRIMARY", "M", "IN_PHASE"], ["ORIGINAL", "PRIMARY", "M", "OPP_PHASE"]]),
        ("AcquisitionNumber", [1, 2]),
    ],
)
def test_echoes_and_time_points_are_volumes_of_their_own(tmp_path, make_series, stored, keyword, values):
    for number, value in enumerate(values):
        make_series(tmp_path / str(number), stored + number, "MR", **{"ImageType": ["ORIGINAL", "PRIMARY", "M"], keyword: value})
    parts = scan_folder(tmp_path).series
    assert len(parts) == len(values) and len({part.part for part in parts}) == len(values)
    sums = sorted(int(read_series(part).voxels.sum()) for part in parts)
    assert sums == [int((stored + number).sum()) for number in range(len(values))]


def test_an_echo_that_lacks_a_slice_is_named_and_the_other_is_read(tmp_path, make_series, stored):
    make_series(tmp_path / "1", stored, "MR", EchoTime=4.6)
    make_series(tmp_path / "2", stored, "MR", EchoTime=9.2)[2].unlink()
    first, second = scan_folder(tmp_path).series
    np.testing.assert_array_equal(read_series(first).voxels, stored)
    with pytest.raises(GeometryError, match=r"echo time 9\.2.*1 slice is missing"):
        read_series(second)


def test_a_scout_in_a_ct_series_is_left_aside(tmp_path, make_series, make_slice, stored):
    make_series(tmp_path, stored)
    scout = make_slice(stored[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    scout.save_as(tmp_path / "scout.dcm", enforce_file_format=True)
    export = scan_folder(tmp_path)
    assert [(left.relative, left.what) for left in export.left] == [("scout.dcm", "localizer")]
    np.testing.assert_array_equal(read_series(choose(export)).voxels, stored - 1024)


def test_a_derived_picture_in_a_series_is_a_part_of_its_own(tmp_path, make_series, make_slice, stored):
    make_series(tmp_path, stored)
    derived = make_slice(stored[0], ImageType=["DERIVED", "SECONDARY", "MIP"], ImagePositionPatient=[10, -20, 36])
    derived.save_as(tmp_path / "mip.dcm", enforce_file_format=True)
    parts = scan_folder(tmp_path).series
    assert sorted(part.n_slices for part in parts) == [1, 5]


def test_enhanced_mr_with_two_kinds_of_frames_is_two_volumes(shared_data, scanned):
    """32 magnitude and 32 field map frames at the same places, each with its own rescale; pydicom's frames are the reference."""
    path = shared_data / "dicom/enhanced_multiframe_mr/Philips/IM_0027_fMAP.dcm"
    dataset = pydicom.dcmread(path)
    raw = dataset.pixel_array.astype(float)
    parts = {part.part.rsplit("\\", 1)[-1]: read_series(part) for part in scanned("dicom/enhanced_multiframe_mr/Philips/").series}
    np.testing.assert_allclose(parts["M"].voxels, raw[:32] * 1.27985347985347, rtol=1e-6)
    np.testing.assert_allclose(parts["FIELD_MAP"].voxels, raw[32:] * 0.24420024420024 - 500, atol=1e-4)
    assert parts["M"].grid == parts["FIELD_MAP"].grid
    assert parts["M"].grid.spacing_mm == pytest.approx((4, 4, 4), abs=1e-6)


def test_enhanced_mr_time_points_are_volumes_each(shared_data):
    folder = shared_data / "dicom/enhanced_multiframe_mr/Siemens/XA10"
    parts = scan_folder(folder).series
    assert [part.part for part in parts] == [f"temporal position {number}" for number in range(1, 5)]
    for number, part in enumerate(parts, start=1):
        expected = pydicom.dcmread(folder / f"6_{number}.dcm").pixel_array
        image = read_series(part)
        np.testing.assert_array_equal(image.voxels, expected)
        np.testing.assert_allclose(image.grid.origin_mm, (-109.79, -58.4773, -5.40356))
        assert image.grid.spacing_mm == pytest.approx((2.4, 3.375, 3.375), rel=1e-6)


def test_enhanced_file_with_two_stacks_is_two_volumes(tmp_path, make_series, stored):
    """Two stacks of one file, apart along the normal: StackID says that they are two."""
    paths = make_series(tmp_path / "classic", stored, "MR")
    sources = [pydicom.dcmread(path) for path in paths]
    for dataset in sources:
        dataset.AcquisitionDate = dataset.SeriesDate = dataset.ContentDate = "20240101"
        dataset.AcquisitionTime = dataset.SeriesTime = dataset.ContentTime = "100000"
        dataset.BodyPartExamined, dataset.Laterality, dataset.PatientPosition = "CHEST", "", "HFS"
    enhanced = highdicom.legacy.LegacyConvertedEnhancedMRImage(sources, generate_uid(), 7, generate_uid(), 1)
    for number, item in enumerate(enhanced.PerFrameFunctionalGroupsSequence):
        item.FrameContentSequence[0].StackID = "1" if number < 3 else "2"
    enhanced.save_as(tmp_path / "two.dcm")
    with pytest.raises(FileProblem, match=r"2 image series fit.*stack 1.*stack 2"):
        read_image(tmp_path / "two.dcm")


# --- who reads them ------------------------------------------------------------------------------------------------------


def test_the_user_picks_by_modality_description_and_uid(tmp_path, make_series, stored):
    make_series(tmp_path / "ct", stored, SeriesInstanceUID="1.1", SeriesDescription="Thorax B30")
    make_series(tmp_path / "ct2", stored, SeriesInstanceUID="1.2", SeriesDescription="Thorax B70")
    make_series(tmp_path / "mr", stored, "MR", SeriesInstanceUID="1.3", SeriesDescription="T1")
    export = scan_folder(tmp_path)
    assert choose(export, modality="mr").uid == "1.3"
    assert choose(export, description="b70").uid == "1.2"
    assert choose(export, uid="1.1").description == "Thorax B30"
    with pytest.raises(CohortError, match=r"2 image series fit.*B30.*B70"):
        choose(export, modality="CT")
    with pytest.raises(CohortError, match=r"no image series fits.*B30.*B70.*T1"):
        choose(export, modality="PET")


def test_frame_positions_name_the_plane_of_every_image(tmp_path, make_series, stored):
    make_series(tmp_path, stored, step_mm=-3.0)
    series = only(tmp_path)
    index = frame_positions(series)
    planes = {pydicom.dcmread(file.path).InstanceNumber: index.of(file.sop_uid) for file in series.files}
    assert planes == {1: 4, 2: 3, 3: 2, 4: 1, 5: 0}
    assert index.of("1.2.3") is None and index.grid == read_series(series).grid


def test_a_uid_that_two_slices_share_names_neither(tmp_path, make_series, stored):
    make_series(tmp_path, stored, SOPInstanceUID="1.2.9")
    series = only(tmp_path)
    assert frame_positions(series).of("1.2.9") is None
    np.testing.assert_array_equal(read_series(series).voxels, stored - 1024)


def test_read_image_takes_a_folder_of_one_series(tmp_path, make_series, stored):
    make_series(tmp_path / "one", stored)
    assert read_image(tmp_path / "one", unit="HU").unit == "HU"
    assert read_header(tmp_path / "one").grid == read_image(tmp_path / "one").grid
    with pytest.raises(FileProblem, match="its values are HU, and SUV is expected"):
        read_image(tmp_path / "one", unit="SUV")
    removed = {"PatientIdentityRemoved": "YES"}
    make_series(tmp_path / "two", stored, "MR", SeriesInstanceUID="7.7", **removed)
    make_series(tmp_path / "two" / "more", stored, SeriesInstanceUID="7.8", **removed)
    with pytest.raises(FileProblem, match=r"2 image series fit.*7\.7.*7\.8.*radpipe ingest"):
        read_image(tmp_path / "two", case_id="a")
    make_series(tmp_path / "two" / "more", stored, SeriesInstanceUID="7.8", SeriesDescription="CT for Dr. Meier")
    with pytest.raises(FileProblem, match=r"2 image series fit.*2\.25\..*radpipe ingest") as told:  # not de-identified
        read_image(tmp_path / "two", case_id="a")
    assert "7.7" not in str(told.value).partition("fit.")[2] and "Meier" not in str(told.value)


def test_a_changed_file_is_noticed(tmp_path, make_series, make_slice, stored):
    paths = make_series(tmp_path, stored)
    series = only(tmp_path)
    make_slice(np.zeros((9, 9), np.int16)).save_as(paths[0], enforce_file_format=True)
    with pytest.raises(FileProblem, match="no longer what it was"):
        read_series(series)
    paths[0].unlink()
    with pytest.raises(FileProblem, match="not there"):
        read_series(series)

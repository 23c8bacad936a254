"""Every file of the catalogue is read or refused for the right reason; what is right is written here, from its README."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
import SimpleITK as sitk

from radpipe.errors import RadpipeError
from radpipe.io.dicom.geometry import Frame
from radpipe.io.dicom.scan import Export, Left, Series
from radpipe.io.dicom.series import read_series

# (folder or file, what must come of its images, why). "read": a volume equal to GDCM's; else words of the refusal.
IMAGES = [
    ("ct_gantry_tilt_ge/", r"18\.5 degrees \(gantry tilt\)", "tilt of 18.5 degrees, steps of 4.22, 1.14 and 7.38 mm"),
    ("ct_jpeg2000/", "read", "20 slices, 2 mm apart, although UIDs are empty"),
    ("dcmqi_segmentations/24x38x3/image/", "read", "three slices"),
    ("dcmqi_segmentations/23x38x3/image/", "read", "three slices"),
    ("dcmqi_segmentations/24x38x3/multiframe/", "read", "legacy converted, frames from top to bottom"),
    ("dcmqi_segmentations/23x38x3/multiframe/", "read", "legacy converted, frames from top to bottom"),
    ("dcmqi_segmentations/ct-3slice/", "read", "three slices"),
    ("enhanced_multiframe_mr/Philips/", "read", "magnitude and field map, 32 frames each"),
    ("enhanced_multiframe_mr/Siemens/XA10/", "read", "four time points of six frames"),
    ("highdicom_seg/ct_image.dcm", "one slice", "a single slice"),
    ("pydicom_data_extra/693_J2KR.dcm", "one slice", "a single slice"),
    ("pydicom_data_extra/693_UNCR.dcm", "one slice", "a single slice"),
    ("pydicom_data_extra/MR-SIEMENS-DICOM-WithOverlays.dcm", "one slice", "a single slice"),
    ("pydicom_data_extra/explicit_VR-UN.dcm", "one slice", "a single slice"),
    ("pydicom_data_extra/bad_sequence.dcm", "JPEG Lossless.*pylibjpeg-libjpeg", "needs the GPL decoder, whatever else it lacks"),
    ("pydicom_data_extra/eCT_Supplemental.dcm", "PixelPresentation", "a blood flow map in colours, no HU"),
    ("pydicom_data_extra/emri_small_jpeg_2k_lossless_too_short.dcm", "left: truncated", "cut before its end"),
    ("pydicom_data_extra/emri_small", "places none of its 10 frames", "functional groups were taken out"),
    ("rt_utils/mock_data/", "read", "two slices"),
    ("rt_utils/one_slice_data/", "one slice", "a single slice"),
    ("rt_utils/oriented_data/", "read", "three oblique slices, each with a study UID of its own"),
    ("sts001_raw_pet_bqml/image/", "read", "267 slices, START, BQML, complete"),
    ("phi_burned_in_fake_identities/", "left: not-an-image", "secondary captures: pictures without a place"),
    ("pydicom_data_extra/parametric_map_float.dcm", "left: not-an-image", "a parametric map"),
]
OTHERS = {"RTSTRUCT", "SEG"}
COPIES = {  # the same bytes (sha256) as another file of the collection
    "pydicom_data_extra/liver.dcm",  # dcmqi_segmentations/liver.dcm
    "rt_utils/mock_data/invalid_reference_rt.dcm",  # rt_utils/empty/dummy_rt.dcm
    "rt_utils/oriented_data/0.dcm",  # rt_utils/one_slice_data/0.dcm
}


def expected(name: str) -> str:
    return next(outcome for prefix, outcome, _ in IMAGES if name.startswith(prefix))


@pytest.fixture(scope="module")
def catalogue(shared_data) -> pd.DataFrame:
    return pd.read_csv(shared_data / "dicom/catalogue.csv", dtype=str)


def test_every_file_of_the_catalogue_is_what_it_says(shared_data, scanned, catalogue):
    """Header only: modality, class, frames, rows and columns as the catalogue (made by other means) has them."""
    export = scanned("dicom")
    files = {file.relative: file for series in export.series for file in series.files}
    left = {item.relative: item.what for item in export.left}
    for row in catalogue.itertuples():
        if row.file in COPIES:
            assert left[row.file] == "copy"
            continue
        if row.modality not in OTHERS and expected(row.file).startswith("left: "):
            assert left[row.file] == expected(row.file)[6:], row.file
            continue
        found = files[row.file]
        assert found.modality == row.modality.replace("PT", "PET"), row.file
        if row.modality not in OTHERS:
            assert found.n_frames == (1 if pd.isna(row.frames) else int(float(row.frames))), row.file
            size = (int(float(row.rows)), int(float(row.columns)))
            assert {(frame.rows, frame.columns) for frame in found.frames} == {size}, row.file
            if not pd.isna(row.rescale_slope) and found.n_frames == 1:
                assert found.frames[0].slope == pytest.approx(float(row.rescale_slope)), row.file
    assert set(left.values()) <= {"not-dicom", "not-an-image", "truncated", "copy"}
    assert {name for name, what in left.items() if what == "copy"} == COPIES


FOLDERS = sorted({prefix if prefix.endswith("/") else prefix.rsplit("/", 1)[0] + "/" for prefix, _, _ in IMAGES})


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_image_of_the_catalogue_is_read_or_refused_for_the_right_reason(shared_data, scanned, catalogue, folder):
    root = shared_data / "dicom"
    files = [name for name in catalogue.file if name.startswith(folder)]
    assert files
    if folder.count("/") == 1 and any(not prefix.endswith("/") and prefix.startswith(folder) for prefix, _, _ in IMAGES):
        # A folder of single examples: each is looked at alone.
        for name in files:
            if catalogue.set_index("file").modality[name] not in OTHERS:
                judge(alone(scanned(f"dicom/{name}")), root / name, expected(name))
        return
    for series in scanned(f"dicom/{folder}").series:
        if series.is_image:
            judge(series, root / folder, expected(folder))


def alone(export: Export) -> Series | Left:
    return (*export.series, *export.left)[0]


def judge(series: Series | Left, where: Path, outcome: str) -> None:
    if isinstance(series, Left):
        assert f"left: {series.what}" == outcome, where
    elif outcome != "read":
        with pytest.raises(RadpipeError) as caught:
            read_series(series, case_id="c1")
        assert re.search(outcome, str(caught.value)), f"{where}: {caught.value}"
        assert caught.value.path and caught.value.hint and caught.value.case_id == "c1"
    else:
        assert_as_gdcm(series)


def along(frame: Frame) -> float:
    """mm along the slices' normal."""
    return float(np.dot(frame.position_mm, np.cross(frame.orientation[:3], frame.orientation[3:])))


def assert_as_gdcm(series: Series) -> None:
    """Voxels and places as SimpleITK's GDCM reads the same files; a PET before its SUV factor."""
    image = read_series(series, suv=None)
    if len(series.files[0].frames) > 1:
        frames = [series.files[file].frames[number] for file, number in series.chosen]
        whole = sitk.GetArrayFromImage(sitk.ReadImage(str(series.files[0].path)))
        z = np.argsort([along(frame) for frame in frames])
        numbers = [frames[index].number for index in z]
        stored = pydicom.dcmread(series.files[0].path).pixel_array[numbers].astype(float)
        slopes = np.array([frames[index].slope for index in z])[:, None, None]
        intercepts = np.array([frames[index].intercept for index in z])[:, None, None]
        np.testing.assert_allclose(image.voxels, stored * slopes + intercepts, rtol=1e-6, atol=1e-4)
        assert whole.shape[1:] == image.voxels.shape[1:]
        np.testing.assert_allclose(image.grid.origin_mm, frames[z[0]].position_mm)
        np.testing.assert_allclose(image.grid.world_mm(np.array([len(z) - 1.0, 0, 0])), frames[z[-1]].position_mm, atol=0.02)
        return
    ordered = sorted(series.files, key=lambda file: along(file.frames[0]))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file.path) for file in ordered])
    reference = reader.Execute()
    np.testing.assert_allclose(image.voxels, sitk.GetArrayFromImage(reference), rtol=1e-6, atol=1e-4)
    assert image.grid.shape[::-1] == reference.GetSize()
    np.testing.assert_allclose(image.grid.origin_mm, reference.GetOrigin(), atol=1e-5)
    np.testing.assert_allclose(image.grid.spacing_mm[::-1], reference.GetSpacing(), rtol=1e-5)
    np.testing.assert_allclose(image.grid.direction, reference.GetDirection(), atol=1e-5)


def test_every_file_of_sts_is_one_of_six_series_and_their_regions(shared_data, scanned):
    export = scanned("sts/dicom")
    assert not [left for left in export.left if left.what != "not-dicom"]
    kinds = sorted((series.patient_id, series.modality) for series in export.series)
    assert kinds == sorted((p, m) for p in ("STS_001", "STS_018") for m in ("CT", "PET", "MR", *["RTSTRUCT"] * 3))
    files = sum(len(series.files) for series in export.series)
    assert files == len(list((shared_data / "sts/dicom").rglob("*.dcm")))

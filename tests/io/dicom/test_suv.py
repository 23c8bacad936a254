"""SUV, worked by hand: SUV = Bq/ml x size / dose still there at the time to which the activity is corrected."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from radpipe.errors import FileProblem
from radpipe.io.dicom.scan import scan_folder
from radpipe.io.dicom.series import choose, read_series

# 70 kg; 400 MBq of F-18 (half-life 6588 s) at 9:00:00, scan one half-life later at 10:49:48: 200 MBq are left, so that
# 1 Bq/ml is 70000 g / 200e6 Bq = 3.5e-4 g/ml.
BW = 70000 / 200e6
# Janmahasatian 2005 for a woman of 70 kg and 1.75 m: BMI 22.857, 9270 x 70 / (8780 + 244 x 22.857) = 45.197 kg.
LBM_F_G = 45197.0
# For a man: 9270 x 70 / (6680 + 216 x 22.857) = 55.857 kg.
LBM_M_G = 55857.1
# Du Bois: 0.007184 x 70^0.425 x 175^0.725 = 1.8481 m2.
BSA_CM2 = 18481.0


def pet(dataset: Dataset, **changes: object) -> None:
    tracer = Dataset()
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = 400e6, 6588.0
    tracer.RadiopharmaceuticalStartTime = "090000.00"
    dataset.Units, dataset.DecayCorrection, dataset.CorrectedImage = "BQML", "START", ["DECY", "ATTN", "SCAT"]
    dataset.PatientWeight, dataset.PatientSize, dataset.PatientSex = 70, 1.75, "F"
    dataset.SeriesDate = dataset.AcquisitionDate = "20240101"
    dataset.SeriesTime = dataset.AcquisitionTime = "104948"
    dataset.RadiopharmaceuticalInformationSequence = Sequence([tracer])
    for keyword, value in changes.items():
        of = tracer if keyword.startswith(("Radio", "Tracer")) else dataset
        if value is None:
            delattr(of, keyword)
        else:
            setattr(of, keyword, value)


@pytest.fixture
def series(tmp_path, make_series):
    """Makes three slices of 1000, 2000, 3000 Bq/ml with ``changes`` to their headers."""

    def made(each=None, **changes: object):
        values = np.array([1000, 2000, 3000], np.int16)[:, None, None] * np.ones((1, 4, 4), np.int16)

        def both(dataset: Dataset, index: int) -> None:
            pet(dataset, **changes)
            if each is not None:
                each(dataset, index)

        make_series(tmp_path, values, "PET", each=both)
        return choose(scan_folder(tmp_path))

    return made


def factor_of(series, **options: object) -> float:
    image = read_series(series, **options)
    assert image.unit == "SUV" and image.voxels.dtype == np.float32
    means = image.voxels.mean(axis=(1, 2)) / [1000, 2000, 3000]
    np.testing.assert_allclose(means, means[0], rtol=1e-6)
    return float(means[0])


@pytest.mark.parametrize(
    ("changes", "suv", "expected"),
    [
        ({}, "bw", BW),
        ({}, "lbm", LBM_F_G / 200e6),
        ({"PatientSex": "M"}, "lbm", LBM_M_G / 200e6),
        ({}, "bsa", BSA_CM2 / 200e6),
        ({"DecayCorrection": "ADMIN"}, "bw", 70000 / 400e6),
        # the series was made an hour after the scan: the first acquisition counts
        ({"SeriesTime": "115000"}, "bw", BW),
        # one of the dates is enough
        ({"AcquisitionDate": None}, "bw", BW),
        ({"SeriesDate": None}, "bw", BW),
        ({"SeriesDate": None, "AcquisitionDate": None}, "bw", BW),
        # injected before midnight
        ({"SeriesTime": "004948", "AcquisitionTime": "004948", "RadiopharmaceuticalStartTime": "230000"}, "bw", BW),
        # the full date time is believed before the time alone
        ({"RadiopharmaceuticalStartDateTime": "20240101090000", "RadiopharmaceuticalStartTime": "010000"}, "bw", BW),
        ({"RadiopharmaceuticalStartDateTime": "20231231230000.5+0100", "SeriesTime": "004948.5", "AcquisitionTime": "004948.5"}, "bw", BW),
        ({"DecayCorrectionDateTime": "20240101104948", "SeriesTime": "103000"}, "bw", BW),
        # already SUV
        ({"Units": "GML", "RadiopharmaceuticalInformationSequence": None}, "bw", 1.0),
        ({"Units": "GML", "SUVType": "BW"}, "lbm", LBM_F_G / 70000),
        ({"Units": "GML", "SUVType": "BW"}, "bsa", BSA_CM2 / 70000),
        ({"Units": "GML", "SUVType": "LBMJANMA"}, "lbm", 1.0),
        ({"Units": "CM2ML"}, "bsa", 1.0),
    ],
)  # fmt: skip
def test_worked_by_hand(series, changes, suv, expected):
    if changes.get("RadiopharmaceuticalInformationSequence", "") is None:
        changes = {key: value for key, value in changes.items() if value is not None}
        made = series(lambda dataset, index: delattr(dataset, "RadiopharmaceuticalInformationSequence"), **changes)
    else:
        made = series(**changes)
    assert factor_of(made, suv=suv) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("suv_factor", "activity_factor", "expected"),
    [(0.002, None, 0.002), (0.002, 3.0, 0.002), (None, 3.0, 3.0 * BW), (0.0, 3.0, 3.0 * BW)],
)
def test_counts_of_philips(series, suv_factor, activity_factor, expected):
    def each(dataset: Dataset, index: int) -> None:
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        for element, value in ((0x00, suv_factor), (0x09, activity_factor)):
            if value is not None:
                block.add_new(element, "DS", str(value))

    assert factor_of(series(each, Units="CNTS")) == pytest.approx(expected, rel=1e-6)


def test_the_scan_of_a_general_electric_series_made_later(series):
    def each(dataset: Dataset, index: int) -> None:
        dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20240101104948.00")
        dataset.AcquisitionTime = "105500"

    assert factor_of(series(each, SeriesTime="120000")) == pytest.approx(BW, rel=1e-6)


def test_a_later_series_is_traced_back_by_the_frame_reference_time(series):
    """Bed position 3 min, its reference time 6 min after the scan's start; mean of counts a little before its middle."""

    def each(dataset: Dataset, index: int) -> None:
        rate = np.log(2) / 6588
        mean = np.log(rate * 180 / (1 - np.exp(-rate * 180))) / rate
        dataset.ActualFrameDuration = 180000
        dataset.FrameReferenceTime = (360 + mean) * 1000
        dataset.AcquisitionTime = "105548"

    assert factor_of(series(each, SeriesTime="120000")) == pytest.approx(BW, rel=1e-6)


def test_beds_acquired_one_after_the_other_have_one_start(series):
    def each(dataset: Dataset, index: int) -> None:
        dataset.AcquisitionTime = f"1049{48 + 4 * (2 - index)}"

    assert factor_of(series(each)) == pytest.approx(BW, rel=1e-6)


def test_values_as_stored(series):
    image = read_series(series(PatientWeight=None), suv=None)
    assert image.unit == "arbitrary" and image.voxels.max() == 3000


@pytest.mark.parametrize(
    ("changes", "suv", "words"),
    [
        ({"PatientWeight": None}, "bw", ["PatientWeight (0010,1030)"]),
        ({"PatientWeight": 0}, "bw", ["PatientWeight"]),
        ({"PatientWeight": 70000}, "bw", ["70000 kg", "in g"]),
        ({"PatientSize": None}, "lbm", ["PatientSize"]),
        ({"PatientSize": None}, "bsa", ["PatientSize"]),
        ({"PatientSize": 175}, "bsa", ["175 m", "in cm"]),
        ({"PatientSex": ""}, "lbm", ["PatientSex"]),
        ({"PatientSex": "O"}, "lbm", ["PatientSex is O"]),
        ({"RadionuclideTotalDose": None}, "bw", ["RadionuclideTotalDose (0018,1074)"]),
        ({"RadionuclideTotalDose": 400}, "bw", ["400 Bq", "MBq"]),
        ({"RadionuclideHalfLife": None}, "bw", ["RadionuclideHalfLife"]),
        ({"RadiopharmaceuticalStartTime": None}, "bw", ["RadiopharmaceuticalStartTime"]),
        ({"RadiopharmaceuticalStartTime": None, "PatientWeight": None}, "bw", ["PatientWeight"]),
        ({"RadiopharmaceuticalStartTime": "110000"}, "bw", ["before the scan", "one of the times is wrong"]),
        ({"RadiopharmaceuticalStartDateTime": "20231201090000"}, "bw", ["one of the times is wrong"]),
        ({"RadionuclideHalfLife": 282240}, "bw", ["RadiopharmaceuticalStartDateTime", "days"]),
        ({"SeriesTime": None, "AcquisitionTime": None}, "bw", ["SeriesTime"]),
        ({"DecayCorrection": "NONE"}, "bw", ["DecayCorrection is NONE"]),
        ({"DecayCorrection": None}, "bw", ["DecayCorrection"]),
        ({"CorrectedImage": ["DECY"]}, "bw", ["attenuation"]),
        ({"CorrectedImage": ["ATTN"]}, "bw", ["no DECY"]),
        ({"Units": None}, "bw", ["Units (0054,1001)"]),
        ({"Units": "PROPCPS"}, "bw", ["PROPCPS"]),
        ({"Units": "CNTS"}, "bw", ["(7053,1000)", "(7053,1009)"]),
        ({"Units": "GML", "SUVType": "LBM"}, "bw", ["LBM"]),
        ({"Units": "GML", "SUVType": "IBW"}, "bw", ["IBW"]),
    ],
)  # fmt: skip
def test_what_is_missing_or_cannot_be_is_named(series, changes, suv, words):
    made = series(**changes)
    with pytest.raises(FileProblem) as caught:
        read_series(made, suv=suv, case_id="case-7")
    for word in ("case-7", "SUV cannot be computed", *words):
        assert word in str(caught.value)


def test_slices_of_two_patients_are_not_mixed(series):
    def each(dataset: Dataset, index: int) -> None:
        dataset.PatientWeight = 70 + index

    with pytest.raises(FileProblem, match="PatientWeight is not the same in all of its slices"):
        read_series(series(each))


def test_two_tracers_are_refused(series):
    def each(dataset: Dataset, index: int) -> None:
        dataset.RadiopharmaceuticalInformationSequence.append(Dataset())

    with pytest.raises(FileProblem, match="2 radiopharmaceuticals"):
        read_series(series(each))


def test_enhanced_pet_says_its_unit_by_a_code(series, tmp_path):
    """Enhanced PET has no Units: the code of its real world values says Bq/ml, and DecayCorrectionDateTime says when."""
    made = series()
    sources = [pydicom.dcmread(file.path) for file in made.files]
    for dataset in sources:
        dataset.ContentDate, dataset.ContentTime = "20240101", "120000"
        dataset.BodyPartExamined, dataset.Laterality, dataset.PatientPosition = "CHEST", "", "HFS"
    enhanced = highdicom.legacy.LegacyConvertedEnhancedPETImage(sources, generate_uid(), 7, generate_uid(), 1)
    enhanced.SOPClassUID = enhanced.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.130"
    shared = enhanced.SharedFunctionalGroupsSequence[0]
    for group in (shared, *enhanced.PerFrameFunctionalGroupsSequence):
        for keyword in ("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence"):
            if keyword in group:
                delattr(group, keyword)
    code, mapping = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "Bq/ml", "UCUM", "Becquerels/milliliter"
    mapping.MeasurementUnitsCodeSequence = Sequence([code])
    shared.RealWorldValueMappingSequence = Sequence([mapping])
    enhanced.DecayCorrected, enhanced.DecayCorrectionDateTime = "YES", "20240101104948"
    tracer = sources[0].RadiopharmaceuticalInformationSequence[0]
    enhanced.RadiopharmaceuticalInformationSequence = Sequence([tracer])
    enhanced.PatientWeight = 70
    del tracer.RadiopharmaceuticalStartTime
    tracer.RadiopharmaceuticalStartDateTime = "20240101090000"
    for keyword in ("Units", "DecayCorrection"):
        if keyword in enhanced:
            delattr(enhanced, keyword)
    (tmp_path / "enhanced").mkdir()
    enhanced.save_as(tmp_path / "enhanced" / "x.dcm")
    assert factor_of(choose(scan_folder(tmp_path / "enhanced"))) == pytest.approx(BW, rel=1e-6)
    enhanced.DecayCorrected = "NO"
    enhanced.save_as(tmp_path / "enhanced" / "x.dcm")
    with pytest.raises(FileProblem, match="DecayCorrection is NONE"):
        read_series(choose(scan_folder(tmp_path / "enhanced")))


def test_the_verified_whole_body_scan(shared_data, scanned):
    """README of the data: SUVbw = Bq/ml x 2.429030e-4; equals the IBSI's PET of the same patient."""
    folder = shared_data / "dicom/sts001_raw_pet_bqml"
    raw = read_series(choose(scanned("dicom/sts001_raw_pet_bqml/image/"), modality="PET"))
    slope = float(pydicom.dcmread(folder / "image/1-100.dcm", stop_before_pixels=True).RescaleSlope)
    plane = pydicom.dcmread(folder / "image/1-100.dcm")
    z = round((float(plane.ImagePositionPatient[2]) - raw.grid.origin_mm[2]) / raw.grid.spacing_mm[0])
    np.testing.assert_allclose(raw.voxels[z], plane.pixel_array * slope * 2.429030e-4, rtol=2e-6)

    ibsi = read_series(choose(scanned("sts/dicom/STS_001/PET/image")))
    start = (np.asarray(ibsi.grid.origin_mm) - raw.grid.origin_mm) / raw.grid.spacing_mm[::-1]
    np.testing.assert_allclose(start, np.rint(start), atol=1e-3)
    x, y, z = np.rint(start).astype(int)
    depth, height, width = ibsi.voxels.shape
    crop = raw.voxels[z : z + depth, y : y + height, x : x + width]
    np.testing.assert_allclose(crop, ibsi.voxels, atol=1e-3)  # IBSI rounded to 15 bits of each slice's range
    assert np.median(crop[ibsi.voxels > 0.1] / ibsi.voxels[ibsi.voxels > 0.1]) == pytest.approx(1, abs=1e-6)


def test_a_pet_without_weight_is_named_whatever_the_file(shared_data, tmp_path: Path):
    source = shared_data / "dicom/sts001_raw_pet_bqml/image"
    for name in ("1-010.dcm", "1-011.dcm"):
        dataset = pydicom.dcmread(source / name)
        del dataset.PatientWeight
        dataset.save_as(tmp_path / name)
    with pytest.raises(FileProblem, match=r"PatientWeight \(0010,1030\) is missing"):
        read_series(choose(scan_folder(tmp_path)))

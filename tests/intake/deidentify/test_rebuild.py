"""One object in, one object out: what stays, what goes, at every level."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from radpipe.intake.deidentify import profile
from radpipe.intake.deidentify.identity import Secret
from radpipe.intake.deidentify.rebuild import Plan, Rebuilt, Refused, every_element, rebuild, stored_bits_only
from radpipe.intake.deidentify.verify import findings
from radpipe.intake.deidentify.words import Words

SECRET = Secret.of("correct horse battery staple")
LEAK = "LEAK4711"


def plan(**more: Any) -> Plan:
    return Plan("RPTESTTESTTEST", SECRET.uid, -700, **more)


def an_object(sop_class: str, **more: Any) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID = sop_class, "1.2.3.4", "1.2.3", "1.2"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"{LEAK}^Doe", LEAK, "19610312"
    ds.StudyDate, ds.StudyTime, ds.ContentDate, ds.ContentTime = "20200316", "101112.5", "20200316", "111213"
    ds.PatientWeight, ds.PatientSex, ds.PatientAge = "71.5", "F", "093Y"
    ds.ReferringPhysicianName, ds.InstitutionName = LEAK, LEAK
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def an_image(**more: Any) -> Dataset:
    pixels = {"Rows": 2, "Columns": 3, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0,
              "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelData": np.arange(6, dtype="<u2").tobytes()}  # fmt: skip
    return an_object("1.2.840.10008.5.1.4.1.1.2", Modality="CT", **{**pixels, **more})


def written(made: Rebuilt) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made.dataset, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("sop_class", profile.OBJECTS, ids=lambda uid: profile.OBJECTS[uid][0].replace(" ", "-"))
def test_every_object_type_says_what_was_done_and_keeps_no_name(sop_class: str) -> None:
    before = an_object(sop_class)
    twin = copy.deepcopy(before)
    made = rebuild(before, plan())
    data = written(made)
    assert before == twin  # not a value of the original was touched
    assert LEAK.encode() not in data and b"19610312" not in data and data[:128] == bytes(128)
    ds = pydicom.dcmread(io.BytesIO(data))
    assert (str(ds.PatientName), ds.PatientID, ds.PatientIdentityRemoved) == ("RPTESTTESTTEST", "RPTESTTESTTEST", "YES")
    # PS3.16 CID 7050: basic profile, clean descriptors, modified dates, patient characteristics, safe private
    assert [item.CodeValue for item in ds.DeidentificationMethodCodeSequence] == [
        "113100",
        "113105",
        "113107",
        "113108",
        "113111",
    ]
    assert ds.LongitudinalTemporalInformationModified == "MODIFIED"
    assert (ds.StudyDate, ds.StudyTime, ds.PatientAge, ds.PatientWeight) == ("20180416", "101112.5", "090Y", 71.5)
    assert made.removed["InstitutionName"] == 1
    assert [one for one in findings(ds) if one.kind != "voxels"] == []


def test_the_audit_finds_what_the_original_holds() -> None:
    kinds = {one.kind for one in findings(an_image())}
    assert {"element", "date", "name", "uid"} <= kinds


def test_an_object_type_that_is_not_on_the_list_is_refused_by_its_name() -> None:
    for uid, name in (("1.2.840.10008.5.1.4.1.1.88.11", "Basic Text SR"), ("1.2.3.4.5", "unknown object type")):
        with pytest.raises(Refused) as error:
            rebuild(an_object(uid), plan())
        assert name in str(error.value) and LEAK not in str(error.value) and "1.2.3.4.5" not in str(error.value)


def test_without_options_nothing_of_the_patient_or_of_time_stays() -> None:
    made = rebuild(an_image(), plan(retain=frozenset(), descriptors=False)).dataset
    assert (made.StudyDate, made.StudyTime, made.PatientSex) == ("", "", "")
    assert not {"PatientWeight", "PatientAge", "ContentDate"} & set(made.dir())
    assert made.LongitudinalTemporalInformationModified == "REMOVED"
    assert [item.CodeValue for item in made.DeidentificationMethodCodeSequence] == ["113100"]


def test_device_identity_only_where_it_is_asked_for() -> None:
    source = an_image(DeviceSerialNumber="SN123", StationName="CT99")
    assert "DeviceSerialNumber" not in rebuild(source, plan()).dataset
    kept = rebuild(source, plan(retain=frozenset(profile.OPTIONS))).dataset
    assert (kept.DeviceSerialNumber, kept.StationName) == ("SN123", "CT99")


def test_names_in_nested_sequences_unknown_vrs_and_private_elements_go() -> None:
    source = an_image()
    inner = Dataset()
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID, inner.PatientName = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.9", LEAK
    inner.add_new(0x00091001, "UN", LEAK.encode())
    inner.add_new(0x00081140, "SQ", [copy.deepcopy(inner)])
    source.ReferencedImageSequence = [inner]
    source.add_new(0x00090010, "LO", LEAK)
    source.add_new(0x00091001, "UN", LEAK.encode())
    source.add_new(0x60003000, "OW", LEAK.encode())
    source.add_new(0xFFFCFFFC, "OB", LEAK.encode())
    made = rebuild(source, plan())
    assert LEAK.encode() not in written(made)
    (item,) = made.dataset.ReferencedImageSequence
    assert item.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert item.ReferencedSOPInstanceUID == SECRET.uid("1.2.3.9")
    assert made.removed["private elements"] == 3 and made.removed["OverlayData"] == 1


def test_values_that_are_not_what_their_element_holds_go() -> None:
    source = an_image()
    for tag, vr, value in ((0x00180050, "LO", LEAK), (0x00080008, "CS", ["ORIGINAL", LEAK]), (0x00080060, "CS", LEAK),
                           (0x00080031, "LO", LEAK), (0x00280030, "ST", f"1.5 {LEAK}")):  # fmt: skip
        source[tag] = pydicom.DataElement(tag, vr, value)
    made = rebuild(source, plan())
    assert LEAK.encode() not in written(made)
    assert list(made.dataset.ImageType) == ["ORIGINAL", "OTHER"]
    assert ("ImageType", LEAK) in made.replaced


def test_names_of_regions_pass_the_list_or_are_numbered() -> None:
    source = an_object("1.2.840.10008.5.1.4.1.1.481.3", StructureSetLabel="Meyer plan", StructureSetROISequence=[])
    for number, name in ((3, "GTVp"), (8, "GTV Meyer")):
        roi = Dataset()
        roi.ROINumber, roi.ROIName, roi.ROIDescription = number, name, "Meyer"
        source.StructureSetROISequence.append(roi)
    made = rebuild(source, plan())
    assert [roi.ROIName for roi in made.dataset.StructureSetROISequence] == ["GTVp", "ROI_8"]
    assert made.dataset.StructureSetLabel == "STRUCTURES"
    assert set(made.replaced) == {("StructureSetLabel", "Meyer plan"), ("ROIName", "GTV Meyer")}
    allowed = rebuild(source, plan(words=Words.of(["gtv meyer"])))
    assert [roi.ROIName for roi in allowed.dataset.StructureSetROISequence] == ["GTVp", "GTV Meyer"]


def test_codes_bear_the_dictionarys_meaning_and_private_schemes_go() -> None:
    def code(value: str, scheme: str) -> Dataset:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, LEAK
        return item

    source = an_object("1.2.840.10008.5.1.4.1.1.66.4", SegmentSequence=[])
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = 1, "liver"
    segment.SegmentedPropertyTypeCodeSequence = [code("10200004", "SCT")]
    segment.SegmentedPropertyCategoryCodeSequence = [code(LEAK, "99LEAK")]
    source.SegmentSequence = [segment]
    made = rebuild(source, plan())
    assert LEAK.encode() not in written(made)
    (kept,) = made.dataset.SegmentSequence
    assert kept.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Liver"
    assert kept.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Non-specific"


@pytest.mark.parametrize(("block", "creator", "kept"), [(0x10, "Philips PET Private Group", True), (0x4A, "Philips PET Private Group", True),
                                                        (0x10, "Somebody else", False)])  # fmt: skip
def test_safe_private_elements_stay_under_their_creator(block: int, creator: str, kept: bool) -> None:
    source = an_image()
    source.add_new(0x70530000 | block, "LO", creator)
    source.add_new(0x70530000 | block << 8, "DS", "0.000551")
    source.add_new(0x70530000 | block << 8 | 0x09, "UN", LEAK.encode())
    made = rebuild(source, plan()).dataset
    assert (made.get((0x7053, 0x1000)) is not None) is kept
    if kept:
        assert (made[0x7053, 0x0010].value, float(made[0x7053, 0x1000].value)) == ("Philips PET Private Group", 0.000551)
    assert (0x7053, 0x1009) not in made
    assert not [tag for tag in rebuild(source, plan(retain=frozenset())).dataset if tag.tag.is_private]


def test_the_start_of_a_ge_scan_moves_with_the_other_dates() -> None:
    source = an_image()
    source.add_new(0x00090010, "LO", "GEMS_PETD_01")
    source.add_new(0x0009100D, "DT", "20200316101112.50")
    assert rebuild(source, plan()).dataset[0x0009, 0x100D].value == "20180416101112.50"


@pytest.mark.parametrize("signed", [False, True])
def test_bits_beyond_those_stored_are_cleared(signed: bool) -> None:
    low = np.array([0, 1, 5, 2047, -1, -2048] if signed else [0, 1, 5, 2047, 4095, 9], "<i2")
    hidden = (low.view("<u2") & 0x0FFF | np.array([0xA000, 0x5000, 0x7000, 0xF000, 0x1000, 0x9000], "<u2")).tobytes()
    source = an_image(BitsStored=12, HighBit=11, PixelRepresentation=int(signed), PixelData=hidden)
    made = rebuild(source, plan())
    assert np.frombuffer(made.dataset.PixelData, "<i2").tolist() == low.tolist()
    assert made.notes


def test_voxels_are_as_many_as_declared_and_no_byte_more() -> None:
    whole = np.arange(6, dtype="<u2").tobytes()
    assert rebuild(an_image(PixelData=whole + LEAK.encode()), plan()).dataset.PixelData == whole
    with pytest.raises(Refused, match="cut off"):
        rebuild(an_image(PixelData=whole[:-2]), plan())
    assert stored_bits_only(whole, 16, 16, signed=False) is whole


def test_numbers_are_the_same_to_the_last_digit() -> None:
    texts = ["-123.456789012345678", "1.0E-3", "+7", " 3.25 "]
    source = an_object("1.2.840.10008.5.1.4.1.1.481.3")
    contour, roi = Dataset(), Dataset()
    contour.add_new(0x30060050, "DS", [*texts, "0", "0"])
    roi.ReferencedROINumber, roi.ContourSequence = 1, [contour]
    source.ROIContourSequence = [roi]
    data = written(rebuild(source, plan()))
    kept = pydicom.dcmread(io.BytesIO(data)).ROIContourSequence[0].ContourSequence[0].ContourData
    assert [float(value) for value in kept][:4] == [float(text) for text in texts]


def test_every_element_of_a_rebuilt_object_is_on_the_list() -> None:
    names = {".".join(path) for path, _ in every_element(rebuild(an_image(), plan()).dataset)}
    assert {"PatientName", "PixelData", "StudyInstanceUID"} <= names and "InstitutionName" not in names

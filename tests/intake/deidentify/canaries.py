"""An export in which every value that may say who somebody is, is known: DICOM objects of many types with canaries planted in them.

What stands in a file beside the canaries is what an object of its type needs; what must survive is told in :class:`Planted`.
"""

from __future__ import annotations

import csv
import datetime
import random
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import config as pydicom_config
from pydicom.datadict import DicomDictionary, dictionary_VM
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

MARK = "QJ7XV"  # in every canary that is text
ROOT = "1.3.12.2.1107.5.99"  # of every UID of an instance: of a scanner's vendor, as in life
NUMBER = "149"  # what every canary that is a number begins with
TABLE = Path(__file__).with_name("ps315_table_e1_1.csv")
MONDAY = datetime.date(1940, 6, 3)  # the week of the dates that intervals are measured by
WEIGHT_KG, DOSE_BQ, HALF_LIFE_S = 71.5, 351e6, 6586.2

IMAGE = "1.2.840.10008.5.1.4.1.1."
CLASSES = {
    "CT": IMAGE + "2", "MR": IMAGE + "4", "PET": IMAGE + "128", "Enhanced CT": IMAGE + "2.1", "Enhanced MR": IMAGE + "4.1",
    "Enhanced PET": IMAGE + "130", "RTSTRUCT": IMAGE + "481.3", "SEG": IMAGE + "66.4", "REG": IMAGE + "66.1",
    "Secondary Capture": IMAGE + "7", "RTDOSE": IMAGE + "481.2", "Encapsulated PDF": IMAGE + "104.1", "SR": IMAGE + "88.33",
    "Presentation State": IMAGE + "11.1", "US": IMAGE + "6.1", "DX": IMAGE + "1.1",
}  # fmt: skip
MODALITY = {
    "PET": "PT", "Enhanced CT": "CT", "Enhanced MR": "MR", "Enhanced PET": "PT", "Secondary Capture": "OT", "Encapsulated PDF": "DOC",
    "Presentation State": "PR",
}  # fmt: skip
SLICES, ROWS, COLUMNS = 4, 12, 14
TEXT_VRS = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
BYTES_VRS = ("OB", "OW", "UN", "OF", "OL")

# What a reader needs to know an object, and what tells nothing about anybody; it is never planted in.
_STRUCTURE = """
SpecificCharacterSet SOPClassUID Modality ImageType FrameType PhotometricInterpretation Units DecayCorrection CorrectedImage
TransferSyntaxUID ConversionType BurnedInAnnotation SegmentationType SegmentsOverlap ContourGeometricType RescaleType
FrameOfReferenceTransformationMatrixType DoseUnits DoseType DoseSummationType DoseGridScaling LossyImageCompression
PatientIdentityRemoved MIMETypeOfEncapsulatedDocument ValueType RelationshipType ContinuityOfContent ReferencedSOPClassUID
RandomsCorrectionMethod CountsSource PresentationLUTShape SeriesType SUVType RadiopharmaceuticalStartDateTime
RadiopharmaceuticalStartTime DimensionIndexPointer FunctionalGroupPointer CodingSchemeDesignator CodingSchemeUID
MappingResourceUID ContextUID ContextGroupExtensionCreatorUID PatientSex PatientPosition Laterality ImageLaterality
PresentationIntentType SegmentAlgorithmType VolumetricProperties VolumeBasedCalculationTechnique PixelPresentation
ContentQualification DerivationDescription TemporalRangeType StackID ComplexImageComponent AcquisitionContrast PatientWeight
PatientSize PatientAge EncryptedContentTransferSyntaxUID RescaleSlope RescaleIntercept PixelSpacing SliceThickness
ImagePositionPatient ImageOrientationPatient RequestedTransferSyntaxUID SOPClassesInStudy SOPClassesSupported
RelatedGeneralSOPClassUID OriginalSpecializedSOPClassUID AffectedSOPClassUID RequestedSOPClassUID LengthToEnd NumberOfFrames
FrameIncrementPointer AvailableTransferSyntaxUID DecayCorrectionDateTime RadionuclideHalfLife RadionuclideTotalDose FrameReferenceTime
ActualFrameDuration FrameAcquisitionDuration FrameTime PrimaryPromptsCountsAccumulated SecondaryCountsAccumulated TotalCounts
CountsAccumulated WindowCenter WindowWidth TriggerTime DoseCalibrationFactor ExposureInuAs
XRayTubeCurrentInuA RadiopharmaceuticalSpecificActivity
"""
STRUCTURE = frozenset(_STRUCTURE.split())
# Times say nothing without their date: they stand as they are where intervals are kept.
KEPT_TIMES = frozenset(["StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"])
KEPT_DATES = {"StudyDate": 0, "SeriesDate": 1, "AcquisitionDate": 1, "ContentDate": 2}  # days after Monday


@dataclass(frozen=True)
class Attribute:
    """A row of the profile's table. tag : of the first repetition of a repeating group."""

    tag: int
    keyword: str
    vr: str
    action: str


def profile_table() -> list[Attribute]:
    """Table E.1-1 of DICOM PS3.15, but for "private attributes", which have a place of their own here."""
    with open(TABLE, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return [
            Attribute(
                int(row["tag"].replace("50xxxxxx", "50000010").replace("x", "0"), 16), row["keyword"], row["vr"], row["basic"]
            )
            for row in rows
        ]


TABLE_ROWS = profile_table()
_IN_TABLE = {row.tag for row in TABLE_ROWS}
OTHER_TEXT = [
    Attribute(tag, entry[4], entry[0], "")
    for tag, entry in DicomDictionary.items()
    if entry[0] in (*TEXT_VRS, *BYTES_VRS) and tag >> 16 >= 8 and not entry[3] and (tag >> 16) % 2 == 0 and entry[4] not in STRUCTURE
    and tag >> 16 not in (0x7FE0, 0xFFFC, 0xFFFA, 0x0028, 0x5400, 0x5600) and tag not in _IN_TABLE
]  # fmt: skip
"""Every other element of the dictionary that holds text, or bytes that may."""


@dataclass
class Planted:
    """What was written. values : canary -> where it stands. dates : canaries of dates, ISO. packed : canaries of binary numbers.

    files : path -> object type. facts : what must survive, by SOPInstanceUID as it was. counts : canaries by kind of place.
    """

    values: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    packed: dict[bytes, str] = field(default_factory=dict)
    files: dict[Path, str] = field(default_factory=dict)
    objects: dict[str, FileDataset] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.values) + len(self.numbers) + len(self.dates) + len(self.packed)

    def add(self, other: Planted) -> None:
        for name in ("values", "numbers", "dates", "packed", "files", "objects"):
            getattr(self, name).update(getattr(other, name))


class Planter:
    """Makes canaries: each is there once, so that what is found says where it comes from."""

    def __init__(self, seed: int, share: float) -> None:
        self.seed, self.share = seed, share
        self.chance = random.Random(seed)
        self.made = Planted()
        self.count = 0
        self.people: dict[str, str] = {}

    def word(self, where: str, *, mark: str = MARK) -> str:
        """12 capital letters and digits: fits every VR of text, also in names of files and in lower case."""
        self.count += 1
        text = f"{mark}{self.seed % 1000:03d}{_base36(self.count):0>4}"
        self.made.values[text] = where
        return text

    def uid(self, where: str) -> str:
        self.count += 1
        text = f"{ROOT}.{self.seed + 1}.{self.count}"
        self.made.values[text] = where
        return text

    def date(self, where: str) -> str:
        """A day of 1940, but of that week: dates are moved by a year or more, so that what is moved never falls on a canary."""
        while True:
            day = datetime.date(1940, 1, 1) + datetime.timedelta(days=self.chance.randrange(360))
            if not 0 <= (day - MONDAY).days < 7:
                self.made.dates.setdefault(day.isoformat(), where)
                return day.strftime("%Y%m%d")

    def number(self, where: str) -> str:
        self.count += 1
        text = f"{NUMBER}{self.seed % 10}{self.count:06d}"  # an IS goes to 2147483647
        self.made.numbers[text] = where
        return text

    def value(self, vr: str, where: str) -> Any:
        """A value of the VR that is a canary; None where it has no room for one."""
        chance = self.chance
        if vr in ("AE", "SH", "CS", "LO", "UC"):
            return self.word(where)
        if vr in ("LT", "ST", "UT"):
            return f"seen by {self.word(where)} Müller, phone {self.word(where)}"
        if vr == "PN":
            return f"{self.word(where)}^Zoë^^Dr"
        if vr == "UR":
            return f"https://ris.example/{self.word(where)}"
        if vr == "UI":
            return self.uid(where)
        if vr == "DA":
            return self.date(where)
        if vr == "DT":
            return f"{self.date(where)}{chance.randrange(10, 24)}{chance.randrange(10, 60)}{chance.randrange(10, 60)}"
        if vr == "TM":
            # 1e-6 s: so exact a time is nobody else's
            text = (
                f"{chance.randrange(10, 24)}{chance.randrange(10, 60)}{chance.randrange(10, 60)}.{chance.randrange(10**5, 10**6)}"
            )
            self.made.numbers[text] = where
            return text
        if vr in ("DS", "IS"):
            return self.number(where)
        if vr == "AS":
            return None  # four signs: a canary of them would be found everywhere
        if vr in ("FD", "OD"):
            value = chance.uniform(1e3, 1e9)
            self.made.packed[struct.pack("<d", value)] = where
            return value if vr == "FD" else struct.pack("<d", value)
        if vr in BYTES_VRS:
            text = f"\0{self.word(where)} {self.word(where)}".encode()
            return text + b" " * (-len(text) % 8)
        return None

    def put(self, dataset: Dataset, attribute: Attribute, place: str) -> None:
        """One attribute with a canary, unless it is there already or is part of the structure."""
        # Groups 0 and 2 are no part of a data set: a file cannot hold the one, and has the other as its file meta.
        if attribute.keyword in STRUCTURE or attribute.tag in dataset or attribute.tag >> 16 < 8:
            return
        where = f"{place} {attribute.keyword} {attribute.vr}"
        if attribute.vr == "SQ":
            item = Dataset()
            item.add_new(0x00100010, "PN", self.value("PN", where))
            item.add_new(0x00081030, "LO", self.value("LO", where))
            item.add_new(0x0040A160, "UT", self.value("UT", where))
            dataset.add_new(attribute.tag, "SQ", Sequence([item]))
            return
        value = self.value(attribute.vr, where)
        if value is not None:
            _several = "-" in (_vm(attribute.tag)) and attribute.vr in ("LO", "SH", "PN", "UI") and self.chance.random() < 0.3
            dataset.add_new(attribute.tag, attribute.vr, [value, self.value(attribute.vr, where)] if _several else value)

    def fill(self, dataset: Dataset, place: str, attributes: list[Attribute]) -> None:
        for attribute in attributes:
            self.put(dataset, attribute, place)

    def private(self, dataset: Dataset, place: str) -> None:
        """Private blocks: a creator that is a canary, a vendor's own block with text beside what SUV needs, binary and nested ones."""
        for group, creator in (
            (0x0009, "GEMS_PETD_01"), (0x7053, "Philips PET Private Group"), (0x0071, "SIEMENS MED PT"), (0x0029, "SIEMENS CSA HEADER"),
            (0x0019, self.word(f"{place} private creator")),
        ):  # fmt: skip
            block = dataset.private_block(group, creator, create=True)
            for element, vr in ((0x30, "LO"), (0x31, "PN"), (0x32, "UT"), (0x33, "UN"), (0x34, "OB"), (0x35, "DA"), (0x36, "UI")):
                block.add_new(element, vr, self.value(vr, f"{place} private {creator} {vr}"))
            inner = Dataset()
            inner.PatientName = self.value("PN", f"{place} private {creator} SQ")
            inner.private_block(0x0011, "ANY", create=True).add_new(1, "LT", self.value("LT", f"{place} private in private"))
            block.add_new(0x37, "SQ", Sequence([inner]))
        # An element of a private group without a creator
        dataset.add(DataElement(Tag(0x0013, 0x1022), "LO", self.value("LO", f"{place} private without creator")))

    def unknown(self, dataset: Dataset, place: str) -> None:
        """Elements that no dictionary has, and VR UN where one has: text, and a whole data set."""
        dataset.add(DataElement(Tag(0x0010, 0x9EEE), "UN", self.value("UN", f"{place} unknown tag")))
        dataset.add(DataElement(Tag(0x0046, 0x1FFF), "LO", self.value("LO", f"{place} unknown tag")))
        if 0x00104000 not in dataset:
            dataset.add(DataElement(Tag(0x0010, 0x4000), "UN", self.value("UN", f"{place} PatientComments as UN")))
        name = self.word(f"{place} nested in UN").encode()
        item = struct.pack("<HHI", 0x0010, 0x0010, len(name)) + name
        coded = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
        dataset.add(DataElement(Tag(0x0010, 0x9EEF), "UN", coded))

    def overlays(self, dataset: Dataset, place: str) -> None:
        for group in (0x6000, 0x6002):
            dataset.add_new((group, 0x0010), "US", 8)
            dataset.add_new((group, 0x0011), "US", 8)
            dataset.add_new((group, 0x0040), "CS", "G")
            dataset.add_new((group, 0x0050), "SS", [1, 1])
            dataset.add_new((group, 0x0100), "US", 1)
            dataset.add_new((group, 0x0102), "US", 0)
            dataset.add_new((group, 0x0022), "LO", self.value("LO", f"{place} OverlayDescription"))
            dataset.add_new((group, 0x1500), "LO", self.value("LO", f"{place} OverlayLabel"))
            dataset.add_new((group, 0x4000), "LT", self.value("LT", f"{place} OverlayComments"))
            dataset.add_new((group, 0x3000), "OW", self.value("OB", f"{place} OverlayData"))
        dataset.add_new((0x5000, 0x2500), "LO", self.value("LO", f"{place} CurveLabel"))
        dataset.add_new((0x5000, 0x3000), "OW", self.value("OB", f"{place} CurveData"))

    def everywhere(self, dataset: Dataset, place: str, *, few: int = 6) -> None:
        """Canaries in every item of every sequence that is there already, and in the meanings of codes."""
        for element in list(dataset):
            if element.VR != "SQ" or element.tag.is_private:
                continue
            for number, item in enumerate(list(element.value)[:3]):
                inner = f"{place} > {element.keyword or element.tag}"
                self.everywhere(item, inner, few=few)
                if number == 0 and "CodeMeaning" in item and self.chance.random() < 0.5:
                    item.CodeMeaning = self.word(f"{inner} CodeMeaning")
                chosen = [self.chance.choice(TABLE_ROWS) for _ in range(few)] + [
                    self.chance.choice(OTHER_TEXT) for _ in range(few)
                ]
                self.fill(item, inner, [*_SAYING, *chosen])
                if number == 0:
                    self.private(item, inner)

    def some(self, rows: list[Attribute]) -> list[Attribute]:
        return rows if self.share >= 1 else sorted(self.chance.sample(rows, int(self.share * len(rows))), key=lambda row: row.tag)

    def infest(self, dataset: FileDataset, place: str) -> None:
        """All of it, in one object."""
        self.everywhere(dataset, place)
        deepest, middle, outer = Dataset(), Dataset(), Dataset()
        rows = [row for row in TABLE_ROWS if row.tag >> 16 not in (0x5000, 0x6000)]
        self.fill(deepest, f"{place} 3 deep", self.some(rows))
        self.private(deepest, f"{place} 3 deep")
        middle.add_new(0x0040A730, "SQ", Sequence([deepest]))
        outer.add_new(0x00081140, "SQ", Sequence([middle]))
        outer.add_new(0x00081155, "UI", self.uid(f"{place} nested ReferencedSOPInstanceUID"))
        for tag in (
            0x00081032,
            0x00321064,
            0x00400275,
            0x00089215,
        ):  # ProcedureCode, RequestedProcedureCode, RequestAttributes, Derivation
            dataset.add_new(tag, "SQ", Sequence([outer]))
        self.fill(dataset, place, self.some(rows))
        self.fill(dataset, place, self.chance.sample(OTHER_TEXT, int(250 * self.share)))
        self.private(dataset, place)
        self.unknown(dataset, place)
        self.overlays(dataset, place)
        meta = dataset.file_meta
        meta.ImplementationVersionName = self.word(f"{place} ImplementationVersionName")
        meta.ImplementationClassUID = self.uid(f"{place} ImplementationClassUID")
        for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "ReceivingApplicationEntityTitle"):
            setattr(meta, keyword, self.word(f"{place} {keyword}"))
        meta.PrivateInformationCreatorUID = self.uid(f"{place} PrivateInformationCreatorUID")
        meta.PrivateInformation = self.value("OB", f"{place} PrivateInformation")
        text = f"\0{self.word(f'{place} preamble')} {self.word(f'{place} preamble')}".encode()
        dataset.preamble = text.ljust(128, b"\0")


_SAYING = [
    row
    for row in TABLE_ROWS
    if row.keyword in ("PatientName", "PatientID", "PatientBirthDate", "InstitutionName", "OperatorsName")
]


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit] + text
    return text or "0"


def _vm(tag: int) -> str:
    try:
        return dictionary_VM(tag)
    except KeyError:
        return "1"


# the objects


class Maker:
    """A patient's objects of every type; those that belong together refer to each other."""

    def __init__(self, folder: Path, seed: int, *, kinds: tuple[str, ...], clean: bool, share: float) -> None:
        """clean : without canaries beyond those that no object can do without (ids, names, dates, UIDs, folders)."""
        self.folder, self.kinds, self.clean = folder, kinds, clean
        self.plant = Planter(seed, share)
        self.chance = np.random.default_rng(seed)
        plant = self.plant
        self.patient_id, self.patient_name = plant.word("PatientID"), f"{plant.word('PatientName')}^Änne"
        self.study, self.frame = plant.uid("StudyInstanceUID"), plant.uid("FrameOfReferenceUID")
        self.birth = plant.date("PatientBirthDate")
        self.accession = plant.word("AccessionNumber")
        self.place = folder / f"{plant.word('folder name')} Änne" / plant.word("folder name").lower()
        self.voxels = self.chance.integers(50, 900, (SLICES, ROWS, COLUMNS)).astype(np.uint16)
        self.series: dict[str, list[FileDataset]] = {}
        self.written = 0

    def make(self) -> Planted:
        for kind in ("CT", "MR", "PET"):
            if kind in self.kinds:
                self._classic(kind)
        for kind in ("Enhanced CT", "Enhanced MR", "Enhanced PET"):
            if kind in self.kinds:
                self._save(self._enhanced(kind), kind)
        others = {
            "RTSTRUCT": self._rtstruct, "SEG": self._seg, "REG": self._reg, "Secondary Capture": self._picture, "RTDOSE": self._dose,
            "Encapsulated PDF": self._pdf, "SR": self._sr, "Presentation State": self._state, "US": self._picture, "DX": self._picture,
        }  # fmt: skip
        for kind, made in others.items():
            if kind in self.kinds:
                self._save(made(kind), kind)
        return self.plant.made

    def _new(self, kind: str, series: str, **values: Any) -> FileDataset:
        plant = self.plant
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if self.plant.seed % 4 == 3 else ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SpecificCharacterSet = "ISO_IR 100" if plant.seed % 2 else "ISO_IR 192"
        ds.SOPClassUID = meta.MediaStorageSOPClassUID = CLASSES[kind]
        ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = plant.uid(f"{kind} SOPInstanceUID")
        ds.Modality = MODALITY.get(kind, kind)
        ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = self.patient_id, self.patient_name, self.birth, "F"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = self.study, series
        ds.StudyID, ds.AccessionNumber = plant.word(f"{kind} StudyID"), self.accession
        ds.ReferringPhysicianName = f"{plant.word(f'{kind} ReferringPhysicianName')}^Jörg"
        for keyword, days in KEPT_DATES.items():
            setattr(ds, keyword, (MONDAY + datetime.timedelta(days=days)).strftime("%Y%m%d"))
        ds.StudyTime, ds.SeriesTime, ds.AcquisitionTime, ds.ContentTime = "101500", "112000", "112000", "112030"
        ds.SeriesNumber, ds.InstanceNumber = 1 + list(CLASSES).index(kind), 1
        ds.SeriesDescription = f"for {plant.word(f'{kind} SeriesDescription')}"
        ds.Manufacturer = {"PET": "Philips Medical Systems"}.get(kind, "SIEMENS")
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        return ds

    def _pixels(self, ds: Dataset, voxels: np.ndarray, *, bits: int = 16) -> None:
        ds.Rows, ds.Columns = voxels.shape[-2:]
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
        ds.PixelData = voxels.tobytes()
        ds["PixelData"].VR = "OW" if bits > 8 else "OB"

    def _grid(self, ds: Dataset, z: int) -> None:
        ds.PixelSpacing, ds.SliceThickness = [2.0, 1.5], 3.0
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-10.0, -12.5, 5.0 + 3 * z]

    def _classic(self, kind: str) -> None:
        series = self.plant.uid(f"{kind} SeriesInstanceUID")
        for z in range(SLICES):
            ds = self._new(
                kind, series, InstanceNumber=z + 1, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], FrameOfReferenceUID=self.frame
            )
            self._grid(ds, z)
            self._pixels(ds, self.voxels[z])
            ds.PositionReferenceIndicator = self.plant.word(f"{kind} PositionReferenceIndicator")
            if kind == "CT":
                ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType, ds.KVP = 1, -1024, "HU", 120
            if kind == "PET":
                self._pet(ds)
            if kind == "MR":
                ds.EchoTime, ds.RepetitionTime, ds.ScanningSequence, ds.SequenceVariant = 30, 500, "SE", "NONE"
            self._save(ds, kind, few=z > 0)
            self.series.setdefault(kind, []).append(ds)

    def _pet(self, ds: Dataset) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = 7.5, 0
        ds.Units, ds.DecayCorrection, ds.CorrectedImage, ds.SeriesType = "BQML", "START", ["ATTN", "DECY"], ["STATIC", "IMAGE"]
        ds.PatientWeight, ds.PatientSize = WEIGHT_KG, 1.7
        item, nuclide = Dataset(), Dataset()
        item.RadionuclideTotalDose, item.RadionuclideHalfLife, item.RadiopharmaceuticalStartTime = DOSE_BQ, HALF_LIFE_S, "101000"
        item.RadiopharmaceuticalStartDateTime = (MONDAY + datetime.timedelta(days=1)).strftime("%Y%m%d") + "101000"
        item.Radiopharmaceutical = "Fluorodeoxyglucose F^18^"
        nuclide.CodeValue, nuclide.CodingSchemeDesignator, nuclide.CodeMeaning = "C-111A1", "SRT", "^18^Fluorine"
        item.RadionuclideCodeSequence = Sequence([nuclide])
        ds.RadiopharmaceuticalInformationSequence = Sequence([item])

    def _enhanced(self, kind: str) -> FileDataset:
        ds = self._new(
            kind, self.plant.uid(f"{kind} SeriesInstanceUID"), FrameOfReferenceUID=self.plant.uid(f"{kind} FrameOfReferenceUID"),
            ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], NumberOfFrames=SLICES,
        )  # fmt: skip
        self._pixels(ds, self.voxels)
        ds.AcquisitionDateTime = (MONDAY + datetime.timedelta(days=1)).strftime("%Y%m%d") + "112000"
        shared, value, measures, orientation, kinds = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = [2.0, 1.5], 3.0
        orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        value.RescaleSlope, value.RescaleIntercept = (7.5, 0) if "PET" in kind else (1, -1024)
        value.RescaleType = "HU" if "CT" in kind else "US"
        kinds.FrameType = ds.ImageType
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
        if "MR" not in kind:
            shared.PixelValueTransformationSequence = Sequence([value])
        setattr(
            shared,
            {"CT": "CTImageFrameTypeSequence", "MR": "MRImageFrameTypeSequence", "PT": "PETFrameTypeSequence"}[ds.Modality],
            Sequence([kinds]),
        )
        frames = []
        for z in range(SLICES):
            frame, content, position = Dataset(), Dataset(), Dataset()
            content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", z + 1, [1, z + 1]
            position.ImagePositionPatient = [-10.0, -12.5, 5.0 + 3 * z]
            frame.FrameContentSequence, frame.PlanePositionSequence = Sequence([content]), Sequence([position])
            frames.append(frame)
        ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = Sequence([shared]), Sequence(frames)
        organised, index = Dataset(), []
        organised.DimensionOrganizationUID = self.plant.uid(f"{kind} DimensionOrganizationUID")
        for pointer in (0x00209056, 0x00209057):
            entry = Dataset()
            entry.DimensionOrganizationUID = organised.DimensionOrganizationUID
            entry.DimensionIndexPointer, entry.FunctionalGroupPointer = pointer, 0x00209111
            index.append(entry)
        ds.DimensionOrganizationSequence, ds.DimensionIndexSequence = Sequence([organised]), Sequence(index)
        if "PET" in kind:
            self._pet(ds)
            del ds.RescaleSlope, ds.RescaleIntercept
        self.series[kind] = [ds]
        return ds

    def _rtstruct(self, kind: str) -> FileDataset:
        """GTVp: voxels y 3..8, x 4..9 of slices 1 and 2; and a region whose name says who."""
        ds = self._new(kind, self.plant.uid("RTSTRUCT SeriesInstanceUID"), StructureSetLabel=self.plant.word("StructureSetLabel"))
        ds.StructureSetDate, ds.StructureSetTime = MONDAY.strftime("%Y%m%d"), "112000"
        images = self.series.get("CT", [])
        series, study, frame = Dataset(), Dataset(), Dataset()
        series.SeriesInstanceUID = images[0].SeriesInstanceUID if images else self.plant.uid("RTSTRUCT reference")
        series.ContourImageSequence = Sequence([_refers(image) for image in images])
        study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", self.study
        study.RTReferencedSeriesSequence = Sequence([series])
        frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = self.frame, Sequence([study])
        ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
        rois, drawn, observed = [], [], []
        for number, name in enumerate(("GTVp", f"Tumour {self.plant.word('ROIName')}"), start=1):
            roi, contours, one = Dataset(), Dataset(), Dataset()
            roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID, roi.ROIGenerationAlgorithm = (
                number,
                name,
                self.frame,
                "",
            )
            contours.ReferencedROINumber, contours.ROIDisplayColor = number, [255, 0, 0]
            found = []
            for z in (1, 2):
                contour = Dataset()
                corners = [
                    (-10.0 + 1.5 * (x - 0.5), -12.5 + 2.0 * (y - 0.5), 5.0 + 3 * z) for x, y in ((4, 3), (9, 3), (9, 8), (4, 8))
                ]
                contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
                contour.ContourData = [f"{value:g}" for corner in corners for value in corner]
                if images:
                    contour.ContourImageSequence = Sequence([_refers(images[z])])
                found.append(contour)
            contours.ContourSequence = Sequence(found)
            one.ObservationNumber, one.ReferencedROINumber, one.RTROIInterpretedType = number, number, "GTV"
            one.ROIInterpreter = self.plant.word("ROIInterpreter")
            rois.append(roi)
            drawn.append(contours)
            observed.append(one)
        ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence = (
            Sequence(rois),
            Sequence(drawn),
            Sequence(observed),
        )
        return ds

    def _seg(self, kind: str) -> FileDataset:
        """A binary segmentation of the CT, made by hand: highdicom would write today's date and its own name."""
        images = self.series.get("CT", [])
        ds = self._new(
            kind, self.plant.uid("SEG SeriesInstanceUID"), FrameOfReferenceUID=self.frame, NumberOfFrames=2, SegmentationType="BINARY",
            ImageType=["DERIVED", "PRIMARY"], ContentLabel="SEG", ContentDescription=self.plant.word("ContentDescription"),
            ContentCreatorName=self.plant.word("ContentCreatorName"),
        )  # fmt: skip
        mask = np.zeros((2, ROWS, COLUMNS), np.uint8)
        mask[:, 3:8, 4:9] = 1
        self._pixels(ds, mask, bits=8)
        ds.BitsAllocated = ds.BitsStored = 1
        ds.HighBit = 0
        packed = np.packbits(mask.ravel(), bitorder="little").tobytes()
        ds.PixelData = packed + b"\0" * (len(packed) % 2)
        ds.LossyImageCompression = "00"
        segment = Dataset()
        segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = 1, "GTVp", "MANUAL"
        segment.SegmentDescription = self.plant.word("SegmentDescription")
        segment.SegmentedPropertyCategoryCodeSequence = Sequence([_code("49755003", "SCT", "Morphologically Altered Structure")])
        segment.SegmentedPropertyTypeCodeSequence = Sequence([_code("108369006", "SCT", "Neoplasm")])
        ds.SegmentSequence = Sequence([segment])
        shared, measures, orientation, identity = Dataset(), Dataset(), Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = [2.0, 1.5], 3.0, 3.0
        orientation.ImageOrientationPatient, identity.ReferencedSegmentNumber = [1, 0, 0, 0, 1, 0], 1
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
        shared.SegmentIdentificationSequence = Sequence([identity])
        frames = []
        for at, z in enumerate((1, 2), start=1):
            frame, content, position, derivation = Dataset(), Dataset(), Dataset(), Dataset()
            content.DimensionIndexValues = [1, at]
            position.ImagePositionPatient = [-10.0, -12.5, 5.0 + 3 * z]
            if images:
                source = _refers(images[z])
                source.PurposeOfReferenceCodeSequence = Sequence(
                    [_code("121322", "DCM", "Source image for image processing operation")]
                )
                derivation.SourceImageSequence = Sequence([source])
                derivation.DerivationCodeSequence = Sequence([_code("113076", "DCM", "Segmentation")])
                frame.DerivationImageSequence = Sequence([derivation])
            frame.FrameContentSequence, frame.PlanePositionSequence = Sequence([content]), Sequence([position])
            frames.append(frame)
        ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = Sequence([shared]), Sequence(frames)
        organised, index = Dataset(), []
        organised.DimensionOrganizationUID = self.plant.uid("SEG DimensionOrganizationUID")
        for pointer, group in ((0x0062000B, 0x0062000A), (0x00200032, 0x00209113)):
            entry = Dataset()
            entry.DimensionOrganizationUID = organised.DimensionOrganizationUID
            entry.DimensionIndexPointer, entry.FunctionalGroupPointer = pointer, group
            index.append(entry)
        ds.DimensionOrganizationSequence, ds.DimensionIndexSequence = Sequence([organised]), Sequence(index)
        if images:
            series = Dataset()
            series.SeriesInstanceUID = images[0].SeriesInstanceUID
            series.ReferencedInstanceSequence = Sequence([_refers(image) for image in images])
            ds.ReferencedSeriesSequence = Sequence([series])
        return ds

    def _reg(self, kind: str) -> FileDataset:
        other = self.series["MR"][0].FrameOfReferenceUID if "MR" in self.series else self.plant.uid("REG frame")
        ds = self._new(kind, self.plant.uid("REG SeriesInstanceUID"), FrameOfReferenceUID=self.frame, ContentLabel="REG")
        ds.ContentCreatorName = self.plant.word("REG ContentCreatorName")
        items = []
        for frame, shift in ((self.frame, 0.0), (other, 2.5)):
            item, registration, matrix = Dataset(), Dataset(), Dataset()
            values = np.eye(4)
            values[0, 3] = shift
            matrix.FrameOfReferenceTransformationMatrix = [f"{value:g}" for value in values.ravel()]
            matrix.FrameOfReferenceTransformationMatrixType = "RIGID"
            registration.MatrixSequence = Sequence([matrix])
            item.FrameOfReferenceUID, item.MatrixRegistrationSequence = frame, Sequence([registration])
            item.ReferencedImageSequence = Sequence([_refers(image) for image in self.series.get("CT", [])[:1]])
            items.append(item)
        ds.RegistrationSequence = Sequence(items)
        return ds

    def _picture(self, kind: str) -> FileDataset:
        ds = self._new(kind, self.plant.uid(f"{kind} SeriesInstanceUID"), ImageType=["DERIVED", "SECONDARY"])
        picture = self.chance.integers(0, 255, (24, 32)).astype(np.uint8)
        self._pixels(ds, picture, bits=8)
        ds.BurnedInAnnotation = "YES" if kind != "DX" else "NO"
        if kind == "Secondary Capture":
            ds.ConversionType = "WSD"
        if kind == "DX":
            ds.PresentationIntentType, ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = (
                "FOR PRESENTATION",
                "LIN",
                1,
            )
        return ds

    def _dose(self, kind: str) -> FileDataset:
        ds = self._new(kind, self.plant.uid("RTDOSE SeriesInstanceUID"), FrameOfReferenceUID=self.frame, NumberOfFrames=SLICES)
        self._grid(ds, 0)
        self._pixels(ds, self.voxels)
        ds.GridFrameOffsetVector, ds.FrameIncrementPointer = [0, 3, 6, 9], 0x3004000C
        ds.DoseUnits, ds.DoseType, ds.DoseSummationType, ds.DoseGridScaling = "GY", "PHYSICAL", "PLAN", 1e-4
        ds.DoseComment = self.plant.word("DoseComment")
        return ds

    def _pdf(self, kind: str) -> FileDataset:
        ds = self._new(
            kind,
            self.plant.uid("PDF SeriesInstanceUID"),
            DocumentTitle=self.plant.word("DocumentTitle"),
            BurnedInAnnotation="YES",
        )
        content = f"%PDF-1.4 letter about {self.plant.word('EncapsulatedDocument')}".encode()
        ds.EncapsulatedDocument = content + b" " * (len(content) % 2)
        ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
        return ds

    def _sr(self, kind: str) -> FileDataset:
        ds = self._new(kind, self.plant.uid("SR SeriesInstanceUID"), ValueType="CONTAINER", ContinuityOfContent="SEPARATE")
        ds.ConceptNameCodeSequence = Sequence([_code("18748-4", "LN", "Diagnostic imaging report")])
        text, person = Dataset(), Dataset()
        text.RelationshipType, text.ValueType, text.TextValue = (
            "CONTAINS",
            "TEXT",
            f"the patient {self.plant.word('TextValue')} has",
        )
        person.RelationshipType, person.ValueType, person.PersonName = "CONTAINS", "PNAME", self.plant.word("PersonName")
        for item in (text, person):
            item.ConceptNameCodeSequence = Sequence([_code("121071", "DCM", "Finding")])
        ds.ContentSequence = Sequence([text, person])
        ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
        return ds

    def _state(self, kind: str) -> FileDataset:
        ds = self._new(kind, self.plant.uid("PR SeriesInstanceUID"), ContentLabel="PR", PresentationLUTShape="IDENTITY")
        label, layer = Dataset(), Dataset()
        label.UnformattedTextValue = self.plant.word("UnformattedTextValue")
        layer.GraphicLayer, layer.TextObjectSequence = "L1", Sequence([label])
        ds.GraphicAnnotationSequence = Sequence([layer])
        return ds

    def _save(self, ds: FileDataset, kind: str, *, few: bool = False) -> None:
        """few : a further slice of a series, with canaries in its own elements and some others."""
        plant = self.plant
        if not self.clean and not few:
            plant.infest(ds, kind)
        elif not self.clean:
            plant.everywhere(ds, kind, few=2)
            plant.fill(ds, kind, plant.chance.sample(TABLE_ROWS[:-4], 60))
            plant.private(ds, kind)
        self.written += 1
        path = (
            self.place
            / MODALITY.get(kind, kind)
            / f"{plant.word('file name')}_{self.written}{'.dcm' if self.written % 2 else ''}"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
        plant.made.files[path] = kind
        plant.made.objects[ds.SOPInstanceUID] = ds
        with open(path, "ab") as file:  # pydicom leaves the padding out
            if not self.clean:
                padding = plant.value("OB", f"{kind} DataSetTrailingPadding")
                head = b"OB\0\0" if ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian else b""
                file.write(struct.pack("<HH", 0xFFFC, 0xFFFC) + head + struct.pack("<I", len(padding)) + padding)
            if not self.clean and kind in ("SR", "US", "REG") and plant.seed % 3 == 0:
                file.write(f"\n{plant.word(f'{kind} trailing bytes')} end".encode())


def _refers(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def export(
    folder: Path, seed: int, *, kinds: tuple[str, ...] = tuple(CLASSES), clean: bool = False, share: float = 1.0
) -> Planted:
    """One patient's objects under ``folder``, with canaries; the same seed gives the same files. share : of the profile's table
    that goes into each object and into each object's third level, drawn anew for each."""
    # A hospital's values need not be valid either; and checking each would take half of the time.
    before = pydicom_config.settings.writing_validation_mode
    pydicom_config.settings.writing_validation_mode = pydicom_config.IGNORE
    try:
        return Maker(folder, seed, kinds=kinds, clean=clean, share=share).make()
    finally:
        pydicom_config.settings.writing_validation_mode = before

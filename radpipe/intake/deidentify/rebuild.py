"""An object built anew: what the allow-list of its type names is taken over, value by value, and nothing else is.

Pure: a dataset in, a new one out. The original is never changed, and nothing is copied that was not looked at.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom import config as pydicom_config
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian, UID_dictionary
from pydicom.valuerep import DSfloat, format_number_as_ds

from radpipe.intake.deidentify import codes, dates, profile
from radpipe.intake.deidentify.profile import CHARACTERISTICS, DATES, DEVICE, DROP, EMPTY, PRIVATE, SOME, Rule, Table
from radpipe.intake.deidentify.words import Words

IMPLEMENTATION = "2.25.260312340731205340918620415973481902731"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+")
_LONG = 32
_BY_POSITION = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence",
                "UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence")  # fmt: skip
"""Sequences whose items count, also where nothing of one stays."""
_REFERS = ("ReferencedImageSequence", "SourceImageSequence", "ReferencedInstanceSequence")
_OPTION_CODES = {CHARACTERISTICS: "113108", DATES: "113107", DEVICE: "113109", PRIVATE: "113111"}
_LABELS = {  # what stands for a name that is not allowed; numbered by the element beside it
    "ROIName": ("ROI", "ROINumber"), "SegmentLabel": ("Segment", "SegmentNumber"),
    "StructureSetLabel": ("STRUCTURES", ""), "ContentLabel": ("CONTENT", ""),
}  # fmt: skip
_WHOLE_VRS = {"US": (0, 2**16), "SS": (-(2**15), 2**15), "UL": (0, 2**32), "SL": (-(2**31), 2**31), "UV": (0, 2**64),
              "SV": (-(2**63), 2**63)}  # fmt: skip
_PIXELS = {tag_for_keyword(keyword) for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")}


class Refused(Exception):
    """An object that cannot be built anew. what : a code for tables. why : a sentence without any value of its header."""

    def __init__(self, what: str, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.what, self.why, self.hint = what, why, hint


@dataclass(frozen=True)
class Plan:
    """What becomes of one patient's objects.

    uid : UID -> UID. days : added to every date. retain : of profile.OPTIONS. descriptors : whether free text may stay at all.
    pixels_cleaned, face : what was done to, or is known of the voxels; face is "" (no head), "YES" or "NO" (cannot be
    recognised). method : who made it.
    """

    pseudonym: str
    uid: Callable[[str], str]
    days: int = 0
    retain: frozenset[str] = frozenset(profile.OPTIONS) - {DEVICE}
    words: Words = field(default_factory=Words)
    descriptors: bool = True
    pixels_cleaned: bool = False
    face: str = ""
    method: str = "radpipe"


@dataclass
class Rebuilt:
    """removed : keyword (or tag, or "private elements") -> how many elements. replaced : (keyword, text) that was not allowed,
    for the user's eyes only. notes : in words, without values."""

    dataset: Dataset
    removed: Counter[str] = field(default_factory=Counter)
    replaced: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def object_type(dataset: Dataset) -> str:
    """The SOP class in words: of the list, or by pydicom's dictionary; "unknown object type" for what nobody registered."""
    uid = _plain(dataset, "SOPClassUID")
    if uid in profile.OBJECTS:
        return profile.OBJECTS[uid][0]
    if uid in profile.PICTURES:
        return profile.PICTURES[uid]
    return UID_dictionary[uid][0].removesuffix(" Storage") if uid in UID_dictionary else "unknown object type"


def rebuild(dataset: Dataset, plan: Plan) -> Rebuilt:
    """A new dataset, with file meta, of the elements that may stay. Voxels must be uncompressed, in little endian order.

    Refused where the object type is not on the list, its identity is missing, or its voxels are fewer than it declares.
    """
    sop_class = _plain(dataset, "SOPClassUID")
    if sop_class not in profile.OBJECTS:
        raise Refused(
            "object-type", f"its object type, {object_type(dataset)}, is not on the list.",
            "Leave it out; what radpipe knows is listed in docs/deidentify.md.",
        )  # fmt: skip
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        if not _plain(dataset, keyword):
            raise Refused("no-uid", f"it has no {keyword}.", "Export it again.")
    work = _Work(plan, dataset)
    made = work.table(dataset, profile.OBJECTS[sop_class][1], top=True)
    work.safe_private(dataset, made)
    _say(made, dataset, plan)
    made.file_meta = _meta(sop_class, str(made.SOPInstanceUID))
    return Rebuilt(made, work.removed, work.replaced, work.notes)


class _Work:
    def __init__(self, plan: Plan, whole: Dataset) -> None:
        self.plan, self.whole = plan, whole
        self.removed: Counter[str] = Counter()
        self.replaced: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.signed = _plain(whole, "PixelRepresentation") == "1"

    def table(self, source: Dataset, table: Table, *, top: bool = False, skip: frozenset[str] = frozenset()) -> Dataset:
        made = Dataset()
        for tag in sorted(source.keys()):
            if tag.element == 0 or tag == 0x00080005:  # group lengths, character set: written anew
                continue
            rule = None if tag.is_private else table.rules.get(tag)
            if rule is None:
                if top and tag in WRITTEN:  # written anew
                    continue
                if not (top and tag.is_private and self._is_safe(source, tag)) and keyword_for_tag(tag) not in skip:
                    self.removed[_name(tag)] += 1
                continue
            value = None
            if not rule.need or rule.need in self.plan.retain:
                value = self._value(source, tag, rule)
            if value is None:
                if not self._was_empty(source, tag):
                    self.removed[_name(tag)] += 1
                value = self._missing(tag, rule)
            if value is not None:
                made[tag] = DataElement(tag, *value, validation_mode=pydicom_config.IGNORE)
        return made

    def safe_private(self, source: Dataset, made: Dataset) -> None:
        """Private elements that are kept, each under its creator in block 10."""
        if PRIVATE not in self.plan.retain:
            return
        for one in profile.SAFE_PRIVATE:
            if one.kind == "moment" and DATES not in self.plan.retain:
                continue
            tag = _safe_tag(source, one)
            if tag is None or tag not in source:
                continue
            text = "\\".join(_texts(source, tag) or [])
            value = dates.shift_moment(text, self.plan.days) if one.kind == "moment" else _NUMBER.fullmatch(text) and text
            if not value or len(value) > 26:
                self.removed["private elements"] += 1
                continue
            made.add_new(Tag(one.group, 0x0010), "LO", one.creator)
            made.add_new(Tag(one.group, 0x1000 | one.element), one.vr, value)

    def _is_safe(self, source: Dataset, tag: BaseTag) -> bool:
        if PRIVATE not in self.plan.retain:
            return False
        safe = [_safe_tag(source, one) for one in profile.SAFE_PRIVATE]
        return tag in safe or any(found and found.group == tag.group and found.element >> 8 == tag.element for found in safe)

    def _missing(self, tag: BaseTag, rule: Rule) -> tuple[str, Any] | None:
        vr = _vr(tag)
        if rule.missing == DROP:
            return None
        if rule.kind == "code" and rule.missing == "code":
            return "SQ", Items([_code(*codes.UNSPECIFIC)])
        if rule.missing in (EMPTY, SOME):
            return vr, (Items([]) if vr == "SQ" else "")
        return vr, rule.missing

    def _value(self, source: Dataset, tag: BaseTag, rule: Rule) -> tuple[str, Any] | None:
        """(value representation, value); None for what does not stay."""
        vr, kind = _vr(tag), rule.kind
        if kind == "empty":
            return vr, (Items([]) if vr == "SQ" else "")
        if kind == "pseudonym":
            return vr, self.plan.pseudonym
        if kind == "voxels":
            return self._voxels(source, tag)
        if kind == "bytes":
            return _bytes(source, tag)
        if kind in ("items", "code"):
            return self._items(source, tag, rule)
        if kind == "number":
            return _numbers(source, tag, vr, self.signed)
        if kind == "tag":
            return _tags(source, tag)
        parts = _texts(source, tag)
        if parts is None:
            return None
        if kind == "label":
            return vr, self._label(source, tag, "\\".join(parts))
        if not "".join(parts):
            return vr, ""
        if kind == "uid":
            return vr, [self.plan.uid(part) for part in parts]
        if kind == "verbatim":
            return vr, parts
        if kind in ("term", "words"):
            return self._allowed(tag, vr, parts, rule)
        change = {
            "date": lambda text: dates.shift_date(text, self.plan.days), "time": dates.check_time, "age": dates.cap_age,
            "moment": lambda text: dates.shift_moment(text, self.plan.days),
        }[kind]  # fmt: skip
        changed = [change(part) for part in parts]
        return None if None in changed else (vr, changed)

    def _allowed(self, tag: BaseTag, vr: str, parts: list[str], rule: Rule) -> tuple[str, Any] | None:
        if rule.kind == "words" and not self.plan.descriptors:
            return None
        wrong = [part for part in parts if not self.plan.words.allows(part)]
        if not wrong:
            return vr, parts
        self.replaced += [(_name(tag), part) for part in wrong]
        if rule.missing == SOME and len(wrong) < len(parts):
            self.removed[_name(tag)] += 1
            return vr, [part for part in parts if part not in wrong]
        if rule.missing in (DROP, EMPTY, SOME) or len(wrong) == len(parts) == 1:
            return None
        self.removed[_name(tag)] += 1
        return vr, [rule.missing if part in wrong else part for part in parts]

    def _label(self, source: Dataset, tag: BaseTag, text: str) -> str:
        name = _name(tag)
        if text and self.plan.descriptors and self.plan.words.allows(text):
            return text
        stem, beside = _LABELS[name]
        number = _plain(source, beside) if beside else ""
        if text:
            self.replaced.append((name, text))
            self.removed[name] += 1
        return f"{stem}_{number}" if _WHOLE.fullmatch(number) else stem

    def _items(self, source: Dataset, tag: BaseTag, rule: Rule) -> tuple[str, Any] | None:
        element = _element(source, tag)
        if element is None or element.VR != "SQ" or rule.items is None:
            return None
        if rule.kind == "items":
            items = [self.table(item, rule.items) for item in element.value or ()]
            if _name(tag) not in _BY_POSITION:
                # An item of which nothing stays, or a reference that refers to nothing, would only confuse who reads it.
                pairs = zip(items, element.value or (), strict=True)
                items = [
                    one
                    for one, item in pairs
                    if (len(one) or not len(item)) and (_name(tag) not in _REFERS or "ReferencedSOPInstanceUID" in one)
                ]
            return None if element.value and not items else ("SQ", Items(items))
        made = []
        for item in element.value or ():
            value, scheme = _plain(item, "CodeValue"), _plain(item, "CodingSchemeDesignator")
            meaning = codes.meaning(value, scheme)
            if meaning is None:
                continue
            rest = Table({key: one for key, one in rule.items.rules.items() if one.kind != "words"})
            known = frozenset({"CodeValue", "CodingSchemeDesignator", "CodeMeaning", "ContextIdentifier", "MappingResource",
                               "CodingSchemeVersion", "ContextUID"})  # fmt: skip
            made.append(_code(value, scheme, meaning))
            made[-1].update(self.table(item, rest, skip=known))
        return None if element.value and not made else ("SQ", Items(made))

    def _voxels(self, source: Dataset, tag: BaseTag) -> tuple[str, Any] | None:
        element = _element(source, tag)
        value = element.value if element is not None else None
        if not isinstance(value, bytes):
            return None
        numbers = [_plain(self.whole, name) for name in ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated")]
        rows, columns, frames, samples, bits = (int(text) if _WHOLE.fullmatch(text) else 0 for text in numbers)
        if min(rows, columns, bits) < 1 or bits not in (1, 8, 16, 32, 64):
            raise Refused("damaged", "its header does not say how many voxels it has.", "Export it again.")
        length = math.ceil(rows * columns * max(frames, 1) * max(samples, 1) * bits / 8)
        if len(value) < length:
            raise Refused("truncated", "its voxels are cut off.", "Copy or export it again.")
        value = value[:length]
        if _name(tag) == "PixelData":
            stored = _plain(self.whole, "BitsStored")
            masked = stored_bits_only(value, bits, int(stored) if _WHOLE.fullmatch(stored) else bits, signed=self.signed)
            if masked is not value:
                self.notes.append("bits of its voxels beyond those stored were cleared")
            value = masked
        vr = {"PixelData": "OW" if bits > 8 else "OB", "FloatPixelData": "OF"}.get(_name(tag), "OD")
        return vr, value + b"\0" * (len(value) % 2)

    def _was_empty(self, source: Dataset, tag: BaseTag) -> bool:
        element = source.get_item(tag)
        value = None if element is None else element.value
        return value is None or (isinstance(value, bytes | str | list | Items) and len(value) == 0)


def stored_bits_only(voxels: bytes, allocated: int, stored: int, *, signed: bool) -> bytes:
    """Voxels with their unused high bits as the sign says: 0, or the sign's own. The same object where nothing changes.

    Old files hide overlays there, and anything else could be.
    """
    if not 0 < stored < allocated or allocated not in (8, 16, 32):
        return voxels
    values = np.frombuffer(voxels, np.dtype(f"<{'i' if signed else 'u'}{allocated // 8}"))
    if signed:
        shift = allocated - stored
        clean = (values << shift) >> shift
    else:
        clean = values & values.dtype.type((1 << stored) - 1)
    return voxels if np.array_equal(clean, values) else clean.astype(values.dtype).tobytes()


def method_codes(plan: Plan, *, with_voxels: bool) -> list[tuple[str, str]]:
    """(code, meaning) of PS3.16 CID 7050 for the profile and the options that were used."""
    used = ["113100", *(_OPTION_CODES[name] for name in profile.OPTIONS if name in plan.retain)]
    used += ["113101"] if plan.pixels_cleaned and with_voxels else []
    used += ["113102"] if plan.face == "NO" else []
    used += ["113105"] if plan.descriptors else []
    return [(code, codes.meaning(code, "DCM") or "") for code in sorted(used)]


def _say(made: Dataset, source: Dataset, plan: Plan) -> None:
    """What was done, in the object's own attributes."""
    made.SpecificCharacterSet = "ISO_IR 192"
    made.PatientName = made.PatientID = plan.pseudonym
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = [plan.method, "allow-list by object type, PS3.15 Annex E"]
    found = method_codes(plan, with_voxels="PixelData" in made)
    made.DeidentificationMethodCodeSequence = Items([_code(code, "DCM", words) for code, words in found])
    made.LongitudinalTemporalInformationModified = "MODIFIED" if DATES in plan.retain else "REMOVED"
    if "PixelData" in made and (plan.pixels_cleaned or _plain(source, "BurnedInAnnotation").upper() == "NO"):
        made.BurnedInAnnotation = "NO"
    if plan.face:
        made.RecognizableVisualFeatures = plan.face


WRITTEN = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        "SpecificCharacterSet", "PatientName", "PatientID", "PatientIdentityRemoved", "DeidentificationMethod",
        "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified", "BurnedInAnnotation",
        "RecognizableVisualFeatures",
    )
)  # fmt: skip
"""Tags that are written besides those of the allow-list."""


def _meta(sop_class: str, sop_uid: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "RADPIPE"
    return meta


# values


def _name(tag: BaseTag) -> str:
    if tag.is_private:
        return "private elements"
    return keyword_for_tag(tag) or f"({tag.group:04x},{tag.element:04x})"


def _vr(tag: BaseTag) -> str:
    return dictionary_VR(tag).split(" or ")[0]


def _element(source: Dataset, tag: BaseTag) -> DataElement | None:
    """None for an element that cannot be decoded: it is not there."""
    try:
        element = source[tag]
    except RecursionError:
        raise
    except Exception:
        return None
    return element if isinstance(element, DataElement) else None


def _parts(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]


def _texts(source: Dataset, tag: BaseTag) -> list[str] | None:
    """The values of an element of text, stripped; [''] of an empty one; None where it is none."""
    element = _element(source, tag)
    if element is None or element.VR == "SQ":
        return None
    found = []
    for part in _parts(element.value):
        if isinstance(part, bytes):
            try:
                part = part.decode("ascii")
            except UnicodeDecodeError:
                return None
        found.append(str(part).strip(" \0"))
    return found or [""]


def _plain(source: Dataset, keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in source:
        return ""
    return "\\".join(_texts(source, Tag(tag)) or [])


_ID = 1e6
_LARGE = frozenset(
    {
        "RadionuclideTotalDose", "RadionuclideHalfLife", "FrameReferenceTime", "ActualFrameDuration", "FrameAcquisitionDuration",
        "FrameTime", "RescaleSlope", "RescaleIntercept", "RealWorldValueSlope", "RealWorldValueIntercept",
        "RealWorldValueFirstValueMapped", "RealWorldValueLastValueMapped", "DoubleFloatRealWorldValueFirstValueMapped",
        "DoubleFloatRealWorldValueLastValueMapped", "PrimaryPromptsCountsAccumulated", "SecondaryCountsAccumulated", "TotalCounts",
        "CountsAccumulated", "ExposureInuAs", "XRayTubeCurrentInuA", "RadiopharmaceuticalSpecificActivity", "DoseCalibrationFactor",
        "WindowCenter", "WindowWidth", "TriggerTime", "ContourData",
    }
)  # fmt: skip
"""Elements whose numbers may be a million and more: doses in Bq, times in ms, scaled intensities."""


def _numbers(source: Dataset, tag: BaseTag, vr: str, signed: bool) -> tuple[str, Any] | None:
    element = _element(source, tag)
    if element is None or element.VR == "SQ":
        return None
    vr = _number_vr(element, tag, vr, signed)
    value = element.value
    if isinstance(value, bytes):
        if vr not in _WHOLE_VRS or len(value) % 2 or vr not in ("US", "SS"):
            return None
        value = np.frombuffer(value, "<u2" if vr == "US" else "<i2").tolist()
    parts = _parts(value)
    if not parts:
        return vr, ""
    found: list[Any] = []
    for part in parts:
        text = (getattr(part, "original_string", "") or str(part)).strip(" \0")
        if vr in ("DS", "IS"):
            if not text:
                found.append("")
                continue
            if _NUMBER.fullmatch(text) is None or (vr == "IS" and not float(text).is_integer()):
                return None
            if not math.isfinite(float(text)):
                return None
            found.append(text if len(text) <= _LONG else format_number_as_ds(float(text)))
        elif vr in _WHOLE_VRS:
            low, high = _WHOLE_VRS[vr]
            if _WHOLE.fullmatch(text) is None or not low <= int(text) < high:
                return None
            found.append(int(text))
        else:
            try:
                found.append(float(part))
            except (TypeError, ValueError):
                return None
    if keyword_for_tag(tag) not in _LARGE and any(part != "" and abs(float(part)) >= _ID for part in found):
        return None  # no length, angle, time or current is so large; a telephone number or an id is
    # Read as text and written as text: not a digit of a coordinate changes.
    return (vr, found if len(found) > 1 else found[0]) if vr not in ("DS", "IS") else (vr, _as_written(vr, found))


def _as_written(vr: str, texts: list[str]) -> Any:
    made = [text if not text or vr == "IS" else DSfloat(text, validation_mode=pydicom_config.IGNORE) for text in texts]
    return made if len(made) > 1 else made[0]


def _number_vr(element: DataElement, tag: BaseTag, vr: str, signed: bool) -> str:
    possible = dictionary_VR(tag).split(" or ")
    if len(possible) > 1:
        return str(element.VR) if element.VR in ("US", "SS") else "SS" if signed and "SS" in possible else "US"
    return vr


def _tags(source: Dataset, tag: BaseTag) -> tuple[str, Any] | None:
    element = _element(source, tag)
    parts = [] if element is None else _parts(element.value)
    if not parts or not all(isinstance(part, int) for part in parts):
        return None
    return "AT", [Tag(part) for part in parts]


def _bytes(source: Dataset, tag: BaseTag) -> tuple[str, Any] | None:
    """A table or a grid of vectors, of exactly the length that its own header declares."""
    element = _element(source, tag)
    if element is None:
        return None
    name = _name(tag)
    if name == "LUTData":
        said = _texts(source, Tag(tag_for_keyword("LUTDescriptor") or 0)) if "LUTDescriptor" in source else None
        entries = (int(said[0]) or 2**16) if said and _WHOLE.fullmatch(said[0]) else 0
        value = element.value
        if not isinstance(value, bytes):
            parts = [int(part) for part in _parts(value) if isinstance(part, int)]
            value = np.array(parts, "<u2").tobytes() if parts and max(parts) < 2**16 and min(parts) >= 0 else b""
        return ("OW", value[: 2 * entries]) if entries > 0 and len(value) >= 2 * entries else None
    said = _texts(source, Tag(tag_for_keyword("GridDimensions") or 0)) if "GridDimensions" in source else None
    if not isinstance(element.value, bytes) or not said or not all(_WHOLE.fullmatch(part) for part in said):
        return None
    length = 12 * math.prod(int(part) for part in said)
    return ("OF", element.value[:length]) if 0 < length <= len(element.value) else None


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning[:64]
    return made


def _safe_tag(source: Dataset, one: profile.SafePrivate) -> BaseTag | None:
    """Where a dataset has a private element: in the block of its creator; in block 10 where no creator is named at all."""
    blocks = [tag for tag in source.keys() if tag.group == one.group and 0x10 <= tag.element <= 0xFF]  # noqa: SIM118
    for tag in sorted(blocks):
        if "".join(_texts(source, tag) or []) == one.creator:
            return Tag(one.group, tag.element << 8 | one.element)
    return None if blocks else Tag(one.group, 0x1000 | one.element)


def every_element(dataset: Dataset, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], DataElement]]:
    """(names from the top, element) at every level, in order; what cannot be decoded is left out."""
    for tag in sorted(dataset.keys()):
        element = _element(dataset, tag)
        if element is None:
            continue
        path = (*above, _name(tag))
        yield path, element
        if element.VR == "SQ":
            for item in element.value or ():
                yield from every_element(item, path)

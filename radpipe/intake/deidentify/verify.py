"""The audit: what is in an object, or in any other file, that should not leave. It reads what is there, not what is claimed.

Findings name elements, never values. The audit is by the same allow-list as the rebuilding, but shares none of its steps.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from radpipe.intake.deidentify import codes, dates, profile, suspicion
from radpipe.intake.deidentify.identity import is_standard
from radpipe.intake.deidentify.profile import Rule, Table
from radpipe.intake.deidentify.rebuild import WRITTEN, _name, _parts, _plain, stored_bits_only
from radpipe.intake.deidentify.words import Words

ELEMENT, PRIVATE, DATE, NAME, UID, TEXT, OBJECT, FILE, PIXELS, CANARY = (
    "element", "private", "date", "name", "uid", "text", "object-type", "file", "voxels", "canary",
)  # fmt: skip
MEANING = {
    ELEMENT: "elements that are not on the allow-list",
    PRIVATE: "private elements",
    DATE: "dates that are not said to be moved",
    NAME: "names of people",
    UID: "UIDs that are not random (their root tells who gave them)",
    TEXT: "text with words that are not on the list",
    OBJECT: "objects of a type that is not on the list",
    FILE: "bytes where none belong, damaged files, links",
    PIXELS: "voxels that may show text or hide bits",
    CANARY: "values that must not be found",
}
_MADE = re.compile(r"(ROI|Segment)(_-?\d+)?|STRUCTURES|CONTENT|UNKNOWN|REMOVED|OTHER|US")
_RANDOM = "2.25."
_DUMMY = ("19000101", "000000", "19000101000000", "")
_UID = re.compile(rb"(?<![\d.])[012]\.\d{1,3}(?:\.\d{1,40}){3,}(?![\d.])")
_DATE = re.compile(
    rb"(?<![\d.])(?:(?:19|20)\d\d[-./](?:0[1-9]|1[0-2])[-./](?:0[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])[./-](?:0?[1-9]|1[0-2])[./-](?:19|20)\d\d"
    rb"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?![\d])"
)
_NAME = re.compile(rb"[A-Za-z\xc0-\xff]{2,}\^[A-Za-z\xc0-\xff]{2,}")
_MOST = 1 << 30
_SAFE = {(one.group, 0x1000 | one.element): one for one in profile.SAFE_PRIVATE}
_CREATORS = {one.group: one.creator for one in profile.SAFE_PRIVATE}


@dataclass(frozen=True, order=True)
class Finding:
    """kind : of MEANING. where : keywords from the top, or what of a file. No value."""

    kind: str
    where: str


def findings(dataset: Dataset, words: Words | None = None) -> list[Finding]:
    """Everything in an object that should not be there, in the order of its elements."""
    allowed = words or Words()
    sop_class = _plain(dataset, "SOPClassUID")
    table = profile.OBJECTS.get(sop_class, ("", None))[1]
    found = [] if table is not None else [Finding(OBJECT, "SOPClassUID")]
    if _plain(dataset, "PatientIdentityRemoved").upper() != "YES":
        found.append(Finding(ELEMENT, "PatientIdentityRemoved (not YES)"))
    if _plain(dataset, "PatientName") not in ("", _plain(dataset, "PatientID")):
        found.append(Finding(NAME, "PatientName"))
    moved = _plain(dataset, "LongitudinalTemporalInformationModified") == "MODIFIED"
    found += _level(dataset, table, (), allowed, moved)
    found += _meta(getattr(dataset, "file_meta", None) or Dataset())
    if suspicion.by_header(dataset):
        found.append(Finding(PIXELS, "its header"))
    if any((group, 0x0010) in dataset for group in range(0x6000, 0x6020, 2)):
        found.append(Finding(PIXELS, "overlays"))
    if _hidden(dataset):
        found.append(Finding(PIXELS, "bits beyond those stored"))
    return found


def file_findings(data: bytes, dataset: Dataset) -> list[Finding]:
    """What is in the bytes of a DICOM file besides its elements. dataset : as it was read from them, before any access."""
    found = []
    if data[128:132] == b"DICM" and data[:128].strip(b"\0"):
        found.append(Finding(FILE, "preamble"))
    last = max(dataset._dict, default=None)
    element = dataset._dict[last] if last is not None else None
    ends = isinstance(element, RawDataElement) and element.length != 0xFFFFFFFF and element.value_tell is not None
    if ends and isinstance(element, RawDataElement) and element.value_tell + element.length < len(data):
        found.append(Finding(FILE, "bytes after the last element"))
    return found


def other_findings(data: bytes) -> list[Finding]:
    """What looks like a date, a UID or a DICOM name in a file that is no DICOM, unpacked where it is packed."""
    found = set()
    for piece in unpacked(data):
        if any(not uid.startswith(b"2.25.") and not is_standard(uid.decode()) for uid in _UID.findall(piece)):
            found.add(Finding(UID, "text"))
        if _mostly_text(piece) and _DATE.search(piece):
            found.add(Finding(DATE, "text"))
        if _mostly_text(piece) and _NAME.search(piece):
            found.add(Finding(NAME, "text"))
        if piece[128:132] == b"DICM":
            found.add(Finding(FILE, "DICOM within it"))
    return sorted(found)


def canaries_in(data: bytes, canaries: Iterable[str]) -> list[int]:
    """Places in ``canaries`` of those that stand in the bytes as UTF-8, UTF-16 or Latin-1, packed or not."""
    pieces = list(unpacked(data))
    return [
        at for at, value in enumerate(canaries) if value and any(code in piece for code in encodings(value) for piece in pieces)
    ]


def encodings(value: str) -> set[bytes]:
    """The bytes that a text may be written as."""
    made = {value.encode(code, "surrogatepass") for code in ("utf-8", "utf-16-le", "utf-16-be")}
    return made | {value.encode("latin-1", "ignore")} if value.isascii() or _latin(value) else made


def unpacked(data: bytes, depth: int = 2) -> Iterator[bytes]:
    """The bytes, and what they hold as gzip, zip, zlib-compressed PNG or deflated DICOM."""
    yield data
    if depth == 0:
        return
    inner: list[bytes] = []
    if data[:2] == b"\x1f\x8b":
        with contextlib.suppress(OSError, EOFError, zlib.error):
            inner.append(gzip.GzipFile(fileobj=io.BytesIO(data)).read(_MOST))
    elif data[:4] == b"PK\3\4":
        broken = (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error)
        with contextlib.suppress(*broken), zipfile.ZipFile(io.BytesIO(data)) as packed:
            inner += [packed.open(name).read(_MOST) for name in packed.namelist()]
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        body = b"".join(_png_data(data))
        with contextlib.suppress(zlib.error):
            inner.append(zlib.decompressobj().decompress(body, _MOST))
    for one in inner:
        yield from unpacked(one, depth - 1)


def _png_data(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            yield data[at + 8 : at + 8 + length]
        at += 12 + length


def _level(source: Dataset, table: Table | None, above: tuple[str, ...], words: Words, moved: bool) -> Iterator[Finding]:
    for tag in sorted(source.keys()):
        where = ".".join((*above, _name(tag)))
        try:
            element = source[tag]
        except RecursionError:
            raise
        except Exception:
            yield Finding(FILE, f"{where} (cannot be decoded)")
            continue
        if not isinstance(element, DataElement):
            continue
        if tag.is_private:
            if not _safe(tag, element, bool(above)):
                yield Finding(PRIVATE, where)
            continue
        rule = table.rules.get(tag) if table is not None else None
        if table is not None and rule is None and not (tag in WRITTEN and not above) and tag.element != 0:
            yield Finding(ELEMENT, where)
        yield from _value(element, tag, rule, where, words, moved)
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _level(item, rule.items if rule is not None else None, (*above, _name(tag)), words, moved)


def _value(element: DataElement, tag: BaseTag, rule: Rule | None, where: str, words: Words, moved: bool) -> Iterator[Finding]:
    values = (
        [str(part).strip(" \0") for part in _parts(element.value)] if element.VR not in ("SQ", "OB", "OW", "OF", "OD") else []
    )
    values = [value for value in values if value]
    if element.VR == "UI" and any(not (is_standard(value) or value.startswith(_RANDOM)) for value in values):
        yield Finding(UID, where)
    if element.VR in ("DA", "DT", "TM") and not moved and any(value not in _DUMMY for value in values):
        yield Finding(DATE, where)
    if element.VR == "PN" and values and tag != tag_for_keyword("PatientName"):
        yield Finding(NAME, where)
    if element.VR == "AS" and any(dates.cap_age(value) != value for value in values):
        yield Finding(TEXT, where)
    if rule is None:
        return
    if rule.kind == "empty" and element.VR != "PN" and (values or (element.VR == "SQ" and element.value)):
        yield Finding(TEXT, where)
    judged = rule.kind in ("words", "term", "label") and ".Code" not in where and "CodingScheme" not in where
    if judged and any(not (words.allows(value) or _MADE.fullmatch(value)) for value in values):
        yield Finding(TEXT, where)
    if rule.kind == "code":
        for item in element.value or ():
            said = codes.meaning(_plain(item, "CodeValue"), _plain(item, "CodingSchemeDesignator"))
            if said is None or said[:64].strip() != _plain(item, "CodeMeaning"):
                yield Finding(TEXT, f"{where}.CodeMeaning")


def _meta(meta: Dataset) -> Iterator[Finding]:
    expected = {"FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID", "TransferSyntaxUID",
                "MediaStorageSOPInstanceUID", "ImplementationClassUID", "ImplementationVersionName"}  # fmt: skip
    for tag in sorted(meta.keys()):
        name = _name(tag)
        if name not in expected:
            yield Finding(FILE, f"file meta: {name}")
        elif name == "MediaStorageSOPInstanceUID" and not _plain(meta, name).startswith(_RANDOM):
            yield Finding(UID, name)


def _safe(tag: BaseTag, element: DataElement, nested: bool) -> bool:
    """Whether a private element is one of the safe ones, or their creator."""
    if nested:
        return False
    text = str(element.value).strip(" \0")
    if tag.element == 0x0010:
        return _CREATORS.get(tag.group) == text
    one = _SAFE.get((tag.group, tag.element))
    if one is None:
        return False
    return dates.shift_moment(text, 0) is not None if one.kind == "moment" else re.fullmatch(r"[-+.\deE]{1,26}", text) is not None


def _hidden(dataset: Dataset) -> bool:
    syntax = str(getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", ""))
    if syntax not in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1") or "PixelData" not in dataset:
        return False
    stored, allocated = _plain(dataset, "BitsStored"), _plain(dataset, "BitsAllocated")
    value = dataset[Tag(0x7FE00010)].value
    if not (stored.isdigit() and allocated.isdigit() and isinstance(value, bytes)):
        return False
    whole = value[: len(value) // max(int(allocated) // 8, 1) * max(int(allocated) // 8, 1)]
    return stored_bits_only(whole, int(allocated), int(stored), signed=_plain(dataset, "PixelRepresentation") == "1") is not whole


def _mostly_text(piece: bytes) -> bool:
    head = piece[:4096]
    return sum(32 <= byte < 127 or byte in (9, 10, 13) or byte >= 0xC0 for byte in head) > 0.95 * max(len(head), 1)


def _latin(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True

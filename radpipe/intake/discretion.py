"""What may be seen of an export that was not de-identified: pseudonyms in place of ids, and of texts those on the list of words.

Everything here gives the same answer for the same value (a keyed hash), so that files that belong together still do, and nothing
that it gives tells the value to who has no key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import PurePosixPath
from secrets import token_urlsafe

from pydicom.datadict import dictionary_VR, tag_for_keyword

from radpipe.intake.deidentify.identity import Secret
from radpipe.intake.deidentify.words import Words

_MEASURED = {"DS", "IS", "FD", "FL", "US", "SS", "UL", "SL", "UV", "SV"}
_MOMENT = {"DA": re.compile(r"\d{8}"), "TM": re.compile(r"[\d.:]{2,16}"), "DT": re.compile(r"\d{4}[\d.+-]{0,22}")}
_SHORT = 7  # signs of a number that may tell frames apart in words: an echo time, not a moment
_ENDINGS = re.compile(
    r"(\.(dcm|dicom|ima|nii|nrrd|nhdr|mha|mhd|raw|seg|csv|tsv|xlsx|txt|pdf|xml|json|html|jpg|png|zip|gz|exe|inf))+", re.IGNORECASE
)
_DIGITS = 12
_NAMES = ("ROIName", "SegmentLabel")
_OF_FILES = """
archive autorun backup bad big broken case case cd compressed copies copy corrupt corrupted cut damaged data deep desktop dicom dicomdir dir directory
disk disc doc docs dose empty example export extra far file files folder foreign garbage good image images img import in index info input
invalid junk large license link links list local localizer misc missing mixed nested new nan noise not note notes odd of old other out output pat
patient patients pdf pic picture pictures pixel pixels plain planted png preamble private random raw readme report reports rs rss rtss sample
screenshot secondary capture small store strange study studies sub table temp test tests text thumbs tiny tmp trailing truncated two txt
unknown unsupported valid viewer volumes weird whole without wrong zero zip
"""
_FILE_WORDS = frozenset(_OF_FILES.split())
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_FEW = 3  # digits of a number in a name, without its leading zeros: more could be an id or a date
_CODE = 2  # letters that are no name


@dataclass(frozen=True)
class Discretion:
    """words : texts that may be seen. meant : what the user calls a region of that name; then it is shown under the user's word.
    known : pseudonyms of this export's patients, by which an id is recognised in the name of a file."""

    secret: Secret
    words: Words = field(default_factory=Words)
    meant: Callable[[str], str | None] | None = None
    known: frozenset[str] = frozenset()

    def patient(self, original: str) -> str:
        """'' for the empty id: who has none is known by the study."""
        return self.secret.pseudonym(original.strip()) if original.strip() else ""

    def uid(self, original: str) -> str:
        return self.secret.uid(original)

    def text(self, original: str) -> str:
        """As it is where all its words are on the list; else a word that tells it from other texts."""
        plain = " ".join(original.split())
        return plain if self.words.allows(plain) or (plain.isdigit() and len(plain) <= 3) else self._other(plain)

    def path(self, relative: str) -> str:
        """A path within the export: the parts of it that are on the list, and known endings."""
        return "/".join(self._part(part) for part in PurePosixPath(relative).parts)

    def value(self, keyword: str, value: str) -> str:
        """In place of the value of an element (radpipe.io.dicom.headers.Show)."""
        if keyword == "PatientID":
            return self.patient(value)
        vr = _vr(keyword)
        if vr == "UI":
            return self.uid(value)
        if keyword in _NAMES and self.meant is not None and not self.words.allows(value):
            return self.meant(value) or self.text(value)
        if vr in _MEASURED:
            return value if _is_number(value) else self._other(value)
        if vr in _MOMENT:
            return value if _MOMENT[vr].fullmatch(value) else self._other(value)
        return self.text(value)

    def mark(self, keyword: str, value: str) -> str:
        """Of what tells frames apart: short numbers and known words."""
        if _vr(keyword) in _MOMENT or (_vr(keyword) in _MEASURED and any(len(one) > _SHORT for one in value.split("\\"))):
            return self._other(value)
        return value

    def _part(self, part: str) -> str:
        found = _ENDINGS.search(part)
        ending = found.group() if found and found.end() == len(part) else ""
        stem = part[: len(part) - len(ending)]
        return (stem if self._tells_nothing(stem) else self._other(stem)) + ending.lower()

    def _tells_nothing(self, stem: str) -> bool:
        """Whether the name of a file or folder is of words that files have, of codes and short numbers: P1, slice_012, rtss-copy."""
        if self.known and any(
            self.patient(one) in self.known for one in (stem, *re.split(r"[\W_]+", stem), *_PIECE.findall(stem))
        ):
            return False
        if self.words.allows(stem):
            return True
        pieces = _PIECE.findall(stem)
        words = [piece for piece in pieces if not piece.isdigit()]
        short = all(len(word) <= _CODE or word.casefold() in _FILE_WORDS or self.words.allows(word) for word in words)
        few = sum(len(piece.lstrip("0")) for piece in pieces if piece.isdigit()) <= _FEW
        codes = sum(len(word) <= _CODE for word in words)
        return bool(pieces) and stem.isascii() and short and few and codes <= 1

    def _other(self, text: str) -> str:
        return "x" + self.secret.hex("text", text)[:_DIGITS] if text else ""


@cache
def _vr(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    return dictionary_VR(tag) if tag is not None else "UN"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class _Asked(Words):
    """Besides the words of the list, the names that a user's own name or pattern of a region fits."""

    roi: str = ""

    def allows(self, text: str) -> bool:
        return super().allows(text) or (self.roi != "" and fnmatchcase(text.strip().casefold(), self.roi.strip().casefold()))


def asked_for(roi: str) -> Discretion:
    """For one case and its messages: a key that nobody keeps, and the names of regions that the user asks for."""
    return Discretion(Secret.of(token_urlsafe(32)), _Asked(roi=roi))

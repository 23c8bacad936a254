"""Coded entries: kept where the code is one of the standard's dictionaries, with that dictionary's own meaning."""

from __future__ import annotations

from functools import cache

from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

_LEGACY = ("SRT", "SNM3", "99SDM")  # earlier designators of SNOMED
_OURS = {  # of the profile (PS3.16 CID 7050) and for what is replaced
    ("DCM", "113100"): "Basic Application Confidentiality Profile",
    ("DCM", "113101"): "Clean Pixel Data Option",
    ("DCM", "113102"): "Clean Recognizable Visual Features Option",
    ("DCM", "113105"): "Clean Descriptors Option",
    ("DCM", "113107"): "Retain Longitudinal Temporal Information Modified Dates Option",
    ("DCM", "113108"): "Retain Patient Characteristics Option",
    ("DCM", "113109"): "Retain Device Identity Option",
    ("DCM", "113111"): "Retain Safe Private Option",
    ("SCT", "10003008"): "Non-specific",
    ("UCUM", "{SUVbw}g/ml"): "Standardized Uptake Value body weight",
    ("UCUM", "g/ml{SUVbw}"): "Standardized Uptake Value body weight",
    ("UCUM", "{SUVlbm}g/ml"): "Standardized Uptake Value lean body mass",
    ("UCUM", "{SUVbsa}cm2/ml"): "Standardized Uptake Value body surface area",
    ("UCUM", "Bq/ml"): "Becquerels/milliliter",
    ("UCUM", "BQML"): "Becquerels/milliliter",
    ("UCUM", "{counts}"): "Counts",
    ("UCUM", "{propcounts}"): "Proportional to counts",
    ("UCUM", "[hnsf'U]"): "Hounsfield unit",
    ("UCUM", "1"): "no units",
}
UNSPECIFIC = ("10003008", "SCT", "Non-specific")
"""What stands for a code that must be there and was not kept."""


def meaning(value: str, scheme: str) -> str | None:
    """What a code means by pydicom's copy of the standard's dictionaries; None where it is in none of them."""
    if scheme in _LEGACY:
        now = mapping["SRT"].get(value)
        return None if now is None else _meanings().get(("SCT", now), "").strip() or "SNOMED concept"
    return _meanings().get((scheme, value))


@cache
def _meanings() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for scheme, names in concepts.items():
        for entry in names.values():
            for value, (words, *_) in entry.items():
                # A concept may stand there under several names, as "Liver" and "Liver structure (body structure)".
                known = found.get((scheme, value))
                found[scheme, value] = words if known is None else min(known, words, key=lambda text: (len(text), text))
    return {**found, **_OURS}

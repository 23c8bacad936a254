"""What a header says about voxels that may show more than the body: text burned in, a screen, a face."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from radpipe.intake.deidentify import profile
from radpipe.intake.deidentify.rebuild import _plain

_SCREENS = {
    "SCREEN",
    "SCREENSAVE",
    "SCREENSHOT",
    "CAPTURE",
    "REPORT",
    "PROT",
    "PROTOCOL",
    "DOSE",
    "SNAPSHOT",
    "PASTED",
    "FUSED",
    "TEXT",
}
_HEAD = re.compile(
    r"head|brain|skull|face|facial|neuro|crani|cereb|schadel|schaedel|sch\u00e4del|kopf|hirn|neurocran|orbit|sinus|nasoph|oroph|"
    r"h ?& ?n|\bhn\b|kiefer|jaw|mandib|maxill|\bear\b|temporal|pituit|hypophys|t[e\u00ea]te|testa|cerveau|cabeza",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"whole ?body|\bwb\b|ganzk|corps entier|pet|trunk", re.IGNORECASE)
_FACES = ("CT", "MR")
WITH_VOXELS = frozenset(
    uid
    for uid, (name, _) in profile.OBJECTS.items()
    if not any(word in name for word in ("Structure Set", "Registration"))
)  # fmt: skip
SEEN = frozenset(uid for uid in WITH_VOXELS if profile.OBJECTS[uid][0].endswith("Image"))
"""Object types whose voxels are looked at for text: images, not regions or doses."""


def by_header(dataset: Dataset) -> str:
    """Why an object's voxels may hold text, in a sentence without a value of the header; "" where nothing says so."""
    sop_class = _plain(dataset, "SOPClassUID")
    if sop_class in profile.PICTURES:
        return f"it is of the type {profile.PICTURES[sop_class]}, which shows what was on a screen or has text in it."
    if sop_class not in WITH_VOXELS:
        return ""
    if _plain(dataset, "BurnedInAnnotation").upper() == "YES":
        return "its header says that text is burned into its voxels (BurnedInAnnotation)."
    kinds = {part for value in _plain(dataset, "ImageType").upper().split("\\")[2:] for part in re.split(r"[^A-Z0-9]+", value)}
    if kinds & _SCREENS:
        return "its ImageType says that it shows a screen or a report."
    if _plain(dataset, "ConversionType"):
        return "it was made from a screen, a film or a document (ConversionType)."
    if _plain(dataset, "SamplesPerPixel") not in ("", "1") or "PALETTE" in _plain(dataset, "PhotometricInterpretation").upper():
        return "it is a colour picture."
    stored = _plain(dataset, "BitsStored")
    for group in range(0x6000, 0x6020, 2):
        place = _plain_tag(dataset, group, 0x0102)
        if (
            (group, 0x3000) not in dataset
            and (group, 0x0100) in dataset
            and stored.isdigit()
            and place.isdigit()
            and int(place) < int(stored)
        ):
            return "an overlay lies among the bits of its voxels."
    return ""


def head(dataset: Dataset, object_type: str) -> str:
    """Whether a CT or MR shows a head: "named" by the words of its header; "maybe" for the whole body, and where they name no part
    of the body at all; else ""."""
    if not object_type.endswith("Image") or not any(word in object_type.split() for word in _FACES):
        return ""
    part = _plain(dataset, "BodyPartExamined")
    words = " ".join(
        _plain(dataset, name) for name in ("BodyPartExamined", "StudyDescription", "SeriesDescription", "ProtocolName")
    )
    if _HEAD.search(words):
        return "named"
    return "maybe" if _WHOLE.search(words) or not (part.strip() or words.strip()) else ""


def _plain_tag(dataset: Dataset, group: int, element: int) -> str:
    try:
        return str(dataset[group, element].value)
    except Exception:
        return ""

"""The tables that ``radpipe ingest`` leaves: every file of the export is in them once, as used or as left, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from radpipe.errors import RunError

MANIFEST_COLUMNS = ("case_id", "patient_id", "modality", "roi", "image_path", "mask_path", "label")
FRAME_COLUMNS = ("image_frame_of_reference_uid", "mask_frame_of_reference_uid")
"""Of cases that come from DICOM; a NIfTI file has no place for them."""
ITEM_COLUMNS = (
    "item", "patient_id", "modality", "series_number", "series_description", "series_uid", "file", "files", "files_used",
    "files_left", "status", "cases", "why",
)  # fmt: skip
REGION_COLUMNS = (
    "case_id", "patient_id", "modality", "series_number", "roi", "name", "status", "rule", "transferred", "voxels", "volume_ml",
    "touches_border", "overlay", "file", "why", "notes",
)  # fmt: skip
FILE_COLUMNS = ("file", "status", "item", "series_uid", "why")
FAILURE_COLUMNS = ("case_id", "file", "item", "error", "problem", "hint")
USED, LEFT, FAILED = "used", "left", "failed"
# What was left aside of itself is no fault; what is damaged, or may hide something that was meant, is.
FAULTS = frozenset(
    {
        "truncated", "damaged", "nested", "too-large", "empty", "missing", "no-permission", "unreadable", "link-out", "link-broken",
        "no-class",
    }
)  # fmt: skip
_DICOM_ENDINGS = (".dcm", ".dicom", ".ima")


@dataclass
class Item:
    """One thing of the export: an image series, a file of regions, a registration, a volume file, or a file by itself.

    files : all that belong to it. used : those of them that a case was made from. cases : their ids. why : it was left, or
    what is remarkable about its use.
    """

    item: str
    files: tuple[str, ...]
    patient_id: str = ""
    modality: str = ""
    series_number: int | None = None
    series_description: str = ""
    series_uid: str = ""
    used: bool = False
    cases: list[str] = field(default_factory=list)
    why: str = ""


def is_fault(what: str, file: str) -> bool:
    """Whether a file that was left by itself is one that the user should look at."""
    return what in FAULTS or (what == "not-dicom" and file.lower().endswith(_DICOM_ENDINGS))


def item_rows(items: Iterable[Item]) -> list[dict[str, Any]]:
    """One row an item (ITEM_COLUMNS). A file that two items share is counted with one of them, a used one before others."""
    items = list(items)
    owner = {file: item for item in sorted(items, key=lambda item: item.used) for file in reversed(item.files)}
    rows = []
    for item in items:
        count = sum(owner[file] is item for file in item.files)
        rows.append(
            {
                "item": item.item, "patient_id": item.patient_id, "modality": item.modality, "series_number": item.series_number,
                "series_description": item.series_description, "series_uid": item.series_uid,
                "file": item.files[0] if len(item.files) == 1 or item.item == "volume" else common_folder(item.files), "files": count,
                "files_used": count if item.used else 0, "files_left": 0 if item.used else count,
                "status": USED if item.used else LEFT, "cases": " ".join(item.cases), "why": item.why.rstrip("."),
            }
        )  # fmt: skip
    return rows


def file_rows(items: Iterable[Item]) -> list[dict[str, Any]]:
    """One row a file (FILE_COLUMNS), by path. A file that two items share is used where one of them is."""
    found: dict[str, dict[str, Any]] = {}
    for item in sorted(items, key=lambda item: not item.used):
        for file in item.files:
            row = {
                "file": file,
                "status": USED if item.used else LEFT,
                "item": item.item,
                "series_uid": item.series_uid,
                "why": item.why.rstrip("."),
            }
            found.setdefault(file, row)
    return [found[file] for file in sorted(found)]


def check_all_there(files: Sequence[Mapping[str, Any]], walked: Iterable[str]) -> None:
    """RunError unless every file that was met is in the table, once: in = used + left."""
    wanted, got = Counter(walked), Counter(str(row["file"]) for row in files)
    if wanted != got:
        lost = sorted(((wanted - got) + (got - wanted)).elements())
        raise RunError(
            f"{wanted.total()} files were met and {got.total()} are accounted for ({', '.join(lost[:5])}).",
            hint="This is a fault in radpipe: report it.",
        )


def left_in_words(items: Iterable[Item]) -> list[str]:
    """Why files were left, the commonest reason first: '12 files: no region refers to it'."""
    counts: dict[str, int] = defaultdict(int)
    for row in file_rows(items):
        if row["status"] == LEFT:
            counts[row["why"]] += 1
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [f"{count} file{'s' if count != 1 else ''}: {why}" for why, count in ordered]


def common_folder(files: Sequence[str]) -> str:
    """The innermost folder that holds all of them, with a slash at its end; "" where that is the export itself."""
    parts = [file.split("/")[:-1] for file in files]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "".join(f"{part}/" for part in shared)

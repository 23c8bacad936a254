"""What the doctor has to say of a cohort: one finding a row, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

SEVERITIES = ("error", "warning", "note")
"""error : the case is refused, or its features would be wrong. warning : look at it before it is used. note : good to know."""

CHECKS = {
    "manifest": "a row of the manifest, or the manifest itself, cannot be used",
    "missing-file": "a file is not where the manifest says",
    "cut-off-file": "bytes of a file are missing",
    "unreadable-file": "a file is damaged, or of a kind radpipe does not read",
    "not-finite": "voxels are NaN or infinite",
    "nifti-orientations": "the two orientations in a NIfTI header (sform and qform) disagree",
    "template-space": "image and mask name different coordinate systems",
    "frame-of-reference": "image and mask name different frames of reference",
    "rounding": "image and mask differ by rounding of their headers only",
    "shift": "the mask lies beside the image's grid",
    "flip": "an axis of the mask runs the other way",
    "transposed-axes": "axes of the mask stand in another order",
    "slices": "the mask has fewer or more slices (rows, columns) than the image",
    "resolution": "the mask has another voxel size",
    "rotation": "the mask is turned against the image",
    "outside": "the region lies outside the image",
    "label": "the label is not in the mask",
    "empty-mask": "the mask holds no region",
    "unused-labels": "the mask holds labels that no row of the manifest names",
    "small-region": "the region is very small or flat",
    "border": "the region touches the border of the image",
    "crumbs": "the region has small separate pieces",
    "parts": "the region has several parts",
    "gap": "slices inside the region are empty",
    "holes": "the region has holes",
    "constant": "the region has one intensity only",
    "intensity": "the intensities are not what the modality's unit would give",
    "normalisation": "intensities of the cohort's images are not comparable",
    "spacing-outlier": "the voxel size differs from the cohort's",
    "orientation-outlier": "the slices were cut in another plane than the cohort's",
    "duplicate-image": "the same voxels stand under two cases",
    "duplicate-region": "the same region stands under two cases",
    "not-coinciding": "regions of one patient on several modalities do not lie at the same place",
    "crashed": "the case could not be examined",
}


@dataclass(frozen=True)
class Place:
    """Where to look: a slice of the image. axis : of the array (0 z, 1 y, 2 x). index : along it."""

    axis: int
    index: int


@dataclass(frozen=True)
class Finding:
    """One thing found, in one case or in the cohort as a whole (case_id "").

    check : one of CHECKS. severity : one of SEVERITIES. file : the file it is about; "" for none. what : one or two sentences
    with numbers and units. to_do : what to do about it. safe_repair : the name of the repair that ``--fix`` makes, "" where
    none is safe. details : what that repair needs to know (JSON values). place : where to look, None where nothing can be shown.
    """

    check: str
    severity: str
    what: str
    to_do: str
    case_id: str = ""
    file: str = ""
    safe_repair: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    place: Place | None = None

    def __post_init__(self) -> None:
        if self.check not in CHECKS or self.severity not in SEVERITIES:
            raise ValueError(f"no such check or severity: {self.check}, {self.severity}")

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """The same thing said of the same file is one finding."""
        return self.check, self.case_id, self.file, self.what

    def about(self, case_id: str, file: str = "") -> Finding:
        """With the case, and the file where none is named yet."""
        return replace(self, case_id=self.case_id or case_id, file=self.file or file)

    def as_json(self) -> dict[str, Any]:
        place = None if self.place is None else [self.place.axis, self.place.index]
        return {
            "check": self.check, "severity": self.severity, "what": self.what, "to_do": self.to_do, "case_id": self.case_id,
            "file": self.file, "safe_repair": self.safe_repair, "details": dict(self.details), "place": place,
        }  # fmt: skip

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Finding:
        place = None if row["place"] is None else Place(*row["place"])
        return Finding(**{**row, "place": place})


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first, then by case as they came; the same finding once."""
    kept: dict[tuple[str, ...], Finding] = {}
    for item in findings:
        kept.setdefault(item.identity, item)
    return sorted(kept.values(), key=lambda item: SEVERITIES.index(item.severity))


def table_rows(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Rows of the table of findings, numbered from 1."""
    return [
        {
            "number": number, "case_id": item.case_id, "file": item.file, "check": item.check, "severity": item.severity,
            "what": item.what, "what_to_do": item.to_do, "safe_repair": item.safe_repair,
        }
        for number, item in enumerate(findings, start=1)
    ]  # fmt: skip


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 slice", "3 slices"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def joined(words: Iterable[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, end = list(words)
    return f"{', '.join(first)} {last} {end}" if first else end


def measured(value: float) -> str:
    """An intensity: five significant digits, and no exponent where it can be read without."""
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.5g}"

"""The user's manifest, checked row by row; every problem is reported at once.

What concerns one case is handed back as an error of that case, and the others go on. What leaves the study itself in doubt
(a column that is missing, a case listed twice, a patient with two outcomes, one class only) is one CohortError.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections import defaultdict
from functools import cached_property
from pathlib import Path

import pandas as pd

from radpipe.cohort.config import CohortSettings, SplitSettings
from radpipe.cohort.outcomes import MISSING, Outcomes, read_outcomes
from radpipe.cohort.outcomes import joined as _join
from radpipe.cohort.outcomes import number as _number
from radpipe.cohort.splits import too_few, two_outcomes
from radpipe.core.case import Case
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, FileProblem, RadpipeError

PYRADIOMICS_HEADERS = {"ID": "case_id", "Image": "image_path", "Mask": "mask_path", "Label": "label"}
MODALITIES = {"CT": "CT", "PET": "PET", "PT": "PET", "MR": "MR", "MRI": "MR"}
_TEXT = pd.StringDtype("pyarrow", na_value=float("nan"))
_BLOCK = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")
_LONGEST_ID = 120  # bytes; ids become names of files, which may have 255 with what is put around them


def read_manifest(
    frame: pd.DataFrame,
    settings: CohortSettings,
    *,
    base: Path,
    source: Path,
    splits: SplitSettings | None = None,
    with_images: bool = True,
    default_label: int = 1,
    with_outcome: bool = True,
    with_masks: bool = True,
) -> tuple[pd.DataFrame, list[RadpipeError]]:
    """A manifest as text -> (rows ready for the check of their files, one error for every row that is not).

    frame : every cell text; an index named "row" holds line numbers (io.tables.read_text_table), else rows count from 2.
    base : the folder that relative paths start from. source : the manifest, for messages.
    splits : the good rows must suffice for its folds; without it, for two.
    with_images : False where a table of features made elsewhere takes the images' place; columns of files may then be missing.
    default_label : of cases whose label is not given.
    with_outcome : False for new patients, whose outcome nobody knows; it is then 0, and no splits are asked for.
    with_masks : False where a network outlines them; mask_path may then be missing and is not looked at.
    Returned rows: case_id, patient_id, modality, image_path and mask_path (as written), label, outcome (class index), time or value
    where the outcome's kind has one, then the clinical columns (float64, or text; NaN where empty). Raises CohortError for what
    concerns the manifest as a whole.
    """
    table = _Manifest(frame, settings, with_images, default_label, with_outcome, with_masks)
    problems = table.missing_columns()
    if problems or not len(frame):
        raise _refusal(problems or ["it has no rows."], [], source)
    problems += table.ambiguous_ids()
    problems += table.listed_twice(base)
    outcomes = table.outcomes
    problems += outcomes.problems
    clinical, wrong = table.clinical()
    problems += wrong
    rows, errors = [], []
    for place, number in enumerate(table.numbers):
        row, error = table.row(place, base, source, number)
        if error is not None:
            errors.append(error)
        else:
            rows.append(
                row
                | {"outcome": outcomes.codes[place]}
                | {name: values[place] for name, values in (outcomes.further | clinical).items()}
            )
    if not outcomes.problems:
        dtypes = _ROW_DTYPES | dict.fromkeys(outcomes.further, "float64")
        good = pd.DataFrame(rows, columns=[*dtypes, *clinical]).astype(dtypes)
        good = good.astype({name: "float64" if _numeric(values) else _TEXT for name, values in clinical.items()})
        if not with_outcome:
            if problems:
                raise _refusal(problems, errors, source)
            return good, errors
        short = too_few(good, splits or SplitSettings(repeats=1, folds=2), settings.outcome_kind)
        if short and errors:
            short.append(f"(This is after leaving out {len(errors)} of {len(table.numbers)} cases for problems of their own.)")
        problems += two_outcomes(table.known(), settings.outcome_kind) + short
    if problems:
        raise _refusal(problems, errors, source)
    return good, errors


def manifest_regions(
    frame: pd.DataFrame, settings: CohortSettings, *, block: str, needs_roi: bool, source: object = ""
) -> pd.DataFrame:
    """Of every row of a manifest, whatever else is wrong with it: case_id, patient_id, image_path, roi (the region's name) and block.

    block : the column whose values name the blocks of a patient's row. needs_roi : whether there must be a column ``roi``.
    CohortError where a column is missing or a block's name cannot begin the name of a column.
    """
    raw = {str(name): _cells(frame[name]) for name in frame.columns}
    columns = {**{ours: raw[theirs] for theirs, ours in PYRADIOMICS_HEADERS.items() if theirs in raw}, **raw}
    empty = [""] * len(frame)
    wanted = [*(["roi"] if needs_roi else []), *([block] if block != "modality" else [])]
    for name in wanted:
        if name not in columns:
            raise CohortError(
                f"the column {name!r} is missing, which patients of the workflow asks for.{nearest(name, raw)}",
                hint="Add it, or change patients.", path=source,
            )  # fmt: skip
    values = columns.get(block, empty)
    if block == "modality":
        values = [MODALITIES.get(cell.upper(), "") if cell else settings.modality or "" for cell in values]
    bad = sorted(
        {cell for cell in values if not _BLOCK.fullmatch(cell) or "__" in cell} - ({""} if block == "modality" else set())
    )
    if bad:
        raise CohortError(
            f"the column {block!r} holds {_join(bad[:6])}, which cannot begin the name of a column.",
            hint="Use letters, digits, '-', '+', '.' and single '_'; no cell may be empty.", path=source,
        )  # fmt: skip
    case_ids = columns.get("case_id", empty)
    return pd.DataFrame(
        {
            "case_id": case_ids, "patient_id": columns.get("patient_id", case_ids), "image_path": columns.get("image_path", empty),
            "roi": columns.get("roi", empty), "block": values,
        }
    )  # fmt: skip


def make_cases(rows: pd.DataFrame, base: Path) -> tuple[Case, ...]:
    """Rows of :func:`read_manifest`, or of the cohort table, as Cases with paths that can be opened."""
    return tuple(
        Case(
            case_id=str(row["case_id"]),
            patient_id=str(row["patient_id"]),
            modality=str(row["modality"]),
            image_path=base / str(row["image_path"]),
            mask_path=base / str(row["mask_path"]),
            label=int(row["label"]),
            outcome=int(row["outcome"]),
            image_sha256=str(row.get("image_sha256", "")),
            mask_sha256=str(row.get("mask_sha256", "")),
        )
        for row in rows.to_dict("records")
    )


_ROW_DTYPES = {
    "case_id": _TEXT,
    "patient_id": _TEXT,
    "modality": _TEXT,
    "image_path": _TEXT,
    "mask_path": _TEXT,
    "label": "int64",
    "outcome": "int64",
}


class _Manifest:
    """The columns of a manifest by radpipe's names."""

    def __init__(
        self, frame: pd.DataFrame, settings: CohortSettings, with_images: bool = True, default_label: int = 1,
        with_outcome: bool = True, with_masks: bool = True,
    ) -> None:  # fmt: skip
        self.with_outcome = with_outcome
        self.settings = settings
        self.default_label = default_label
        self.with_images = with_images
        self.numbers = list(frame.index) if frame.index.name == "row" else list(range(2, len(frame) + 2))
        self.raw = {str(name): _cells(frame[name]) for name in frame.columns}
        self.columns = dict(self.raw)
        for theirs, ours in PYRADIOMICS_HEADERS.items():
            if theirs in self.raw and ours not in self.raw:
                self.columns[ours] = self.raw[theirs]
        if "patient_id" not in self.columns and "case_id" in self.columns:
            self.columns["patient_id"] = self.columns["case_id"]
        empty = [""] * len(frame)
        self.columns.setdefault("label", empty)
        if settings.modality is not None:
            self.columns.setdefault("modality", empty)
        if not with_images:
            for name in ("modality", "image_path", "mask_path"):
                self.columns.setdefault(name, empty)
        if not with_masks:
            self.columns["mask_path"] = empty
        self.files = ("image_path", "mask_path") if with_images and with_masks else ("image_path",) if with_images else ()

    def missing_columns(self) -> list[str]:
        problems = []
        for name in ("case_id", "modality", "image_path", "mask_path"):
            if name not in self.columns:
                way_out = " Add it, or set cohort.modality where all cases have the same." if name == "modality" else ""
                problems.append(f"the column {name!r} is missing.{nearest(name, self.raw)}{way_out}")
        times = () if self.settings.time is None or not self.with_outcome else (self.settings.time,)
        wanted = {
            "outcome": (self.settings.outcome,) if self.with_outcome else (),
            "time": times,
            "clinical": self.settings.clinical,
            "given": self.settings.given,
        }
        for kind, names in wanted.items():
            for name in names:
                if name not in self.raw:
                    problems.append(
                        f"the {kind} column {name!r} is missing.{nearest(name, self.raw)} The columns are: {', '.join(self.raw)}."
                    )
        return problems

    def ambiguous_ids(self) -> list[str]:
        rows: dict[str, list[int]] = defaultdict(list)
        for case_id, number in zip(self.columns["case_id"], self.numbers, strict=True):
            rows[case_id].append(number)
        problems = [f"row {number} has no case_id." for number in rows.pop("", [])]
        problems += [f"case_id {case_id!r} stands in rows {_join(where)}." for case_id, where in rows.items() if len(where) > 1]
        # Results are files named after cases; macOS would keep one file for both.
        alike: dict[str, list[str]] = defaultdict(list)
        for case_id in rows:
            alike[unicodedata.normalize("NFC", case_id).casefold()].append(case_id)
        problems += [f"the case_ids {_join(ids)} differ in upper and lower case only." for ids in alike.values() if len(ids) > 1]
        return problems

    def listed_twice(self, base: Path) -> list[str]:
        """The same region of the same image under two ids: it would stand on two sides of a split."""
        seen: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for case_id, image, mask, label in zip(
            *(self.columns[name] for name in ("case_id", "image_path", "mask_path", "label")), strict=True
        ):
            if image and mask:
                key = (os.path.normpath(base / image), os.path.normpath(base / mask), str(_label(label, self.default_label)))
                seen[key].append(case_id)
        return [
            f"the cases {_join(ids)} are the same region (same image, mask and label): leave one of them out."
            for ids in seen.values()
            if len(set(ids)) > 1
        ]

    @cached_property
    def outcomes(self) -> Outcomes:
        """The outcome of every row, and what is wrong with the column as a whole."""
        if not self.with_outcome:
            return Outcomes([0] * len(self.numbers))
        return read_outcomes(self.raw, self.settings)

    def known(self) -> pd.DataFrame:
        """case_id, patient_id and outcome of the rows whose outcome is known, whatever else is wrong with them."""
        columns = {name: self.columns[name] for name in ("case_id", "patient_id")}
        everyone = pd.DataFrame({**columns, "outcome": self.outcomes.codes, **self.outcomes.further})
        return everyone[everyone["outcome"].notna() & (everyone["patient_id"] != "")]

    def clinical(self) -> tuple[dict[str, list[float] | list[str | None]], list[str]]:
        columns: dict[str, list[float] | list[str | None]] = {}
        problems = []
        for name in (*self.settings.clinical, *self.settings.given):
            cells = [None if cell.casefold() in MISSING else cell for cell in self.raw[name]]
            there = [cell for cell in cells if cell is not None]
            numbers = [number for number in map(_number, there) if number is not None]
            if not there:
                problems.append(f"the column {name!r} is empty.")
            if len(numbers) == len(there):
                columns[name] = [math.nan if cell is None else float(cell) for cell in cells]
                continue
            if len(numbers) > len(there) / 2:
                place = next(i for i, cell in enumerate(cells) if cell is not None and _number(cell) is None)
                problems.append(
                    f"the column {name!r} holds {cells[place]!r} in row {self.numbers[place]} among numbers. "
                    "Leave the cell empty where the value is not known."
                )
            columns[name] = cells
        return columns, problems

    def row(self, place: int, base: Path, source: Path, number: int) -> tuple[dict[str, object], RadpipeError | None]:
        """One case, or the one error that names everything wrong with it."""
        cell = {
            name: self.columns[name][place] for name in ("case_id", "patient_id", "modality", "image_path", "mask_path", "label")
        }
        case_id = cell["case_id"]
        faults: list[RadpipeError] = []

        def fault(problem: str, hint: str, path: object = source) -> None:
            kind = FileProblem if path is not source else CohortError
            faults.append(kind(f"row {number}: {problem}", hint=hint, case_id=case_id, path=path))

        if wrong := _bad_id(case_id):
            fault(f"the case_id {case_id!r} {wrong}", "Ids become names of files: use letters, digits, '-', '_' and '.'.")
        if not cell["patient_id"]:
            fault("the patient_id is empty.", "Fill it in: the cases of one patient must stay together.")
        if place in self.outcomes.faults:
            fault(*self.outcomes.faults[place])
        modality = MODALITIES.get(cell["modality"].upper()) if cell["modality"] else self.settings.modality
        if modality is None and not self.with_images:
            modality = ""
        if modality is None:
            named = repr(cell["modality"]) if cell["modality"] else "missing"
            fault(f"the modality is {named}.{nearest(cell['modality'].upper(), MODALITIES)}", "Write CT, PET or MR.")
        label = _label(cell["label"], self.default_label)
        if label is None:
            fault(f"the label {cell['label']!r} is not a whole number above 0.", "Write the value the region has in the mask.")
        for name in self.files:
            path = base / cell[name]
            if not cell[name]:
                fault(f"the {name} is empty.", "Write the path, relative to the manifest's folder or absolute.")
            elif not os.path.exists(path):
                fault(f"the {name} does not exist.", "Check the path; relative ones start at the manifest's folder.", path)
            elif not os.path.isfile(path):
                fault(f"the {name} is a folder, not a file.", "Name the volume file itself.", path)
        if faults:
            return {}, _merge(faults)
        return {**cell, "modality": modality, "label": label}, None


def _merge(faults: list[RadpipeError]) -> RadpipeError:
    """One error a case: the failures table has one row for it."""
    if len(faults) == 1:
        return faults[0]
    hints = dict.fromkeys(fault.hint for fault in faults)
    return CohortError(
        " ".join(fault.problem for fault in faults), hint=" ".join(hints), case_id=faults[0].case_id, path=faults[-1].path
    )


def _refusal(problems: list[str], errors: list[RadpipeError], source: Path) -> CohortError:
    lines = [*problems, *(f"case {error.case_id}: {error.problem}" for error in errors)]
    listed = "".join(f"\n  - {line}" for line in lines)
    return CohortError(
        f"the manifest cannot be used as it is:{listed}\n", hint="Correct all of these and run again.", path=source
    )


def _cells(column: pd.Series) -> list[str]:
    return ["" if cell is None or cell != cell else str(cell).strip() for cell in column]


def _numeric(values: list[float] | list[str | None]) -> bool:
    return all(isinstance(value, float) for value in values)


def _label(text: str, default: int) -> int | None:
    if not text:
        return default
    number = _number(text)
    return int(number) if number is not None and number == int(number) and number > 0 else None


def _bad_id(text: str) -> str:
    if not text:
        return "is empty."
    if any(unicodedata.category(sign).startswith("C") or sign in "/\\" for sign in text):
        return "holds a slash, a backslash or a control character."
    if text.startswith("."):
        return "starts with a dot."
    return f"is longer than {_LONGEST_ID} bytes." if len(text.encode()) > _LONGEST_ID else ""

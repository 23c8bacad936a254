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
from pathlib import Path

import pandas as pd

from radpipe.cohort.config import CohortSettings, SplitSettings
from radpipe.cohort.splits import too_few, two_outcomes
from radpipe.core.case import Case
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, FileProblem, RadpipeError

PYRADIOMICS_HEADERS = {"ID": "case_id", "Image": "image_path", "Mask": "mask_path", "Label": "label"}
MODALITIES = {"CT": "CT", "PET": "PET", "PT": "PET", "MR": "MR", "MRI": "MR"}
_MISSING = {"", "na", "n/a", "nan", "null"}
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
) -> tuple[pd.DataFrame, list[RadpipeError]]:
    """A manifest as text -> (rows ready for the check of their files, one error for every row that is not).

    frame : every cell text; an index named "row" holds line numbers (io.tables.read_text_table), else rows count from 2.
    base : the folder that relative paths start from. source : the manifest, for messages.
    splits : the good rows must suffice for its folds; without it, for two.
    with_images : False where a table of features made elsewhere takes the images' place; columns of files may then be missing.
    default_label : of cases whose label is not given.
    Returned rows: case_id, patient_id, modality, image_path and mask_path (as written), label, outcome (class index), then
    the clinical columns (float64, or text; NaN where empty). Raises CohortError for what concerns the manifest as a whole.
    """
    table = _Manifest(frame, settings, with_images, default_label)
    problems = table.missing_columns()
    if problems or not len(frame):
        raise _refusal(problems or ["it has no rows."], [], source)
    problems += table.ambiguous_ids()
    problems += table.listed_twice(base)
    outcomes, wrong_outcome = table.outcomes()
    problems += wrong_outcome
    clinical, wrong = table.clinical()
    problems += wrong
    rows, errors = [], []
    for place, number in enumerate(table.numbers):
        row, error = table.row(place, base, source, number)
        if error is not None:
            errors.append(error)
        else:
            rows.append(row | {"outcome": outcomes[place]} | {name: values[place] for name, values in clinical.items()})
    if not wrong_outcome:
        good = pd.DataFrame(rows, columns=[*_ROW_DTYPES, *clinical]).astype(_ROW_DTYPES)
        good = good.astype({name: "float64" if _numeric(values) else _TEXT for name, values in clinical.items()})
        short = too_few(good, splits or SplitSettings(repeats=1, folds=2))
        if short and errors:
            short.append(f"(This is after leaving out {len(errors)} of {len(table.numbers)} cases for problems of their own.)")
        problems += two_outcomes(table.known(outcomes)) + short
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

    def __init__(self, frame: pd.DataFrame, settings: CohortSettings, with_images: bool = True, default_label: int = 1) -> None:
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

    def missing_columns(self) -> list[str]:
        problems = []
        for name in ("case_id", "modality", "image_path", "mask_path"):
            if name not in self.columns:
                way_out = " Add it, or set cohort.modality where all cases have the same." if name == "modality" else ""
                problems.append(f"the column {name!r} is missing.{nearest(name, self.raw)}{way_out}")
        for kind, names in (("outcome", (self.settings.outcome,)), ("clinical", self.settings.clinical)):
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
            f"the cases {_join(ids)} are the same region (same image, mask and label)."
            for ids in seen.values()
            if len(set(ids)) > 1
        ]

    def outcomes(self) -> tuple[list[int | None], list[str]]:
        """Class index of every row (None where the outcome is missing), and what is wrong with the column as a whole."""
        name, positive = self.settings.outcome, self.settings.positive
        cells = [None if cell.casefold() in _MISSING else _canonical(cell) for cell in self.raw[name]]
        values = sorted({cell for cell in cells if cell is not None})
        if not values:
            return [None] * len(cells), [f"the outcome column {name!r} is empty."]
        if positive is None and not set(values) <= {"0", "1"}:
            shown = _join(values[:6])
            return [None] * len(cells), [
                f"the outcome column {name!r} holds {shown}, not 0 and 1. "
                f"Say which value is class 1, for example cohort.positive: {values[-1]!r}."
            ]
        if len(values) == 1:
            return [None] * len(cells), [f"the outcome {name!r} has one class only: every case has {values[0]!r}."]
        if len(values) > 2:
            return [None] * len(cells), [f"the outcome {name!r} has {len(values)} classes ({_join(values[:6])}); two are needed."]
        one = "1" if positive is None else _canonical(positive)
        if one not in values:
            return [None] * len(cells), [f"cohort.positive is {positive!r}, but the outcome {name!r} holds {_join(values)}."]
        return [None if cell is None else int(cell == one) for cell in cells], []

    def known(self, outcomes: list[int | None]) -> pd.DataFrame:
        """case_id, patient_id and outcome of the rows whose outcome is known, whatever else is wrong with them."""
        everyone = pd.DataFrame({**{name: self.columns[name] for name in ("case_id", "patient_id")}, "outcome": outcomes})
        return everyone[everyone["outcome"].notna() & (everyone["patient_id"] != "")]

    def clinical(self) -> tuple[dict[str, list[float] | list[str | None]], list[str]]:
        columns: dict[str, list[float] | list[str | None]] = {}
        problems = []
        for name in self.settings.clinical:
            cells = [None if cell.casefold() in _MISSING else cell for cell in self.raw[name]]
            there = [cell for cell in cells if cell is not None]
            numbers = [number for number in map(_number, there) if number is not None]
            if not there:
                problems.append(f"the clinical column {name!r} is empty.")
            if len(numbers) == len(there):
                columns[name] = [math.nan if cell is None else float(cell) for cell in cells]
                continue
            if len(numbers) > len(there) / 2:
                place = next(i for i, cell in enumerate(cells) if cell is not None and _number(cell) is None)
                problems.append(
                    f"the clinical column {name!r} holds {cells[place]!r} in row {self.numbers[place]} among numbers. "
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
        if self.raw[self.settings.outcome][place].casefold() in _MISSING:
            fault(f"the outcome {self.settings.outcome!r} is missing.", "Fill it in, or remove the row.")
        modality = MODALITIES.get(cell["modality"].upper()) if cell["modality"] else self.settings.modality
        if modality is None and not self.with_images:
            modality = ""
        if modality is None:
            named = repr(cell["modality"]) if cell["modality"] else "missing"
            fault(f"the modality is {named}.{nearest(cell['modality'].upper(), MODALITIES)}", "Write CT, PET or MR.")
        label = _label(cell["label"], self.default_label)
        if label is None:
            fault(f"the label {cell['label']!r} is not a whole number above 0.", "Write the value the region has in the mask.")
        for name in ("image_path", "mask_path") if self.with_images else ():
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


def _canonical(text: str) -> str:
    """0, 0.0 and 00 are one class: whole numbers as such, other text as it is."""
    number = _number(text)
    return str(int(number)) if number is not None and number == int(number) else text


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


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


def _join(values: list[str] | list[int]) -> str:
    shown = [repr(value) if isinstance(value, str) else str(value) for value in values]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"

"""A CSV of cases -> what is to be measured: radpipe's manifest columns, or those of a PyRadiomics batch file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from radpipe.core.registry import lookup, nearest
from radpipe.errors import CohortError, FileProblem, RadpipeError
from radpipe.features.registry import FAMILIES

_RADPIPE = {"image": "image_path", "mask": "mask_path", "label": "label", "label_channel": "label_channel"}
_PYRADIOMICS = {"image": "Image", "mask": "Mask", "label": "Label", "label_channel": "Label_channel"}
_IDS = ("case_id", "ID", "Patient", "PatientID", "patient_id")


@dataclass(frozen=True)
class TableCase:
    """One row. case_id : for people; need not be unique. row : line of the file (1 where there is no file). image, mask :
    paths that can be opened. label, label_channel : None for the settings' own. roi : the region of an RTSTRUCT or SEG file.
    cells : the file's own columns, as written."""

    case_id: str
    row: int
    image: Path
    mask: Path
    label: int | None = None
    label_channel: int | None = None
    modality: str = ""
    roi: str = ""
    cells: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableCases:
    """columns : of the file, in order. cases : every row, in order. problems : row -> what is wrong with it. named : the
    columns of image, mask, label and label_channel, by these words."""

    columns: tuple[str, ...]
    cases: tuple[TableCase, ...]
    problems: dict[int, RadpipeError]
    named: dict[str, str]


def read_cases(path: Path) -> TableCases:
    """The cases of a CSV (comma, semicolon or tab). Relative paths start at its folder; an empty label is the settings' own.

    CohortError for what concerns the whole file; what is wrong with one row is a problem of that row.
    """
    from radpipe.io.tables import read_text_table

    frame = read_text_table(path)
    columns = tuple(str(name) for name in frame.columns)
    named = _named(columns, path)
    if not len(frame):
        raise CohortError("it names no case.", hint="One row a case, below the names of the columns.", path=path)
    _refuse_results(columns, path)
    identity = next((name for name in _IDS if name in columns), None)
    cases: list[TableCase] = []
    problems: dict[int, RadpipeError] = {}
    for row, record in zip(frame.index.tolist(), frame.to_dict("records"), strict=True):
        cells = {name: "" if record[name] != record[name] else str(record[name]) for name in columns}
        case, problem = _case(cells, int(row), path, named, identity)
        cases.append(case)
        if problem is not None:
            problems[case.row] = problem
    return TableCases(columns, tuple(cases), problems, named)


def shown_path(case: TableCase, path: str) -> str:
    """A file of a case as the table names it, from the table's own folder; of any other the last part. Of none, the mask."""
    for file, cell in ((case.image, _cell(case, "image")), (case.mask, _cell(case, "mask"))):
        if path and Path(path) == file and cell:
            return cell
    return Path(path).name if path else _cell(case, "mask")


def _cell(case: TableCase, word: str) -> str:
    return case.cells.get(_RADPIPE[word]) or case.cells.get(_PYRADIOMICS[word]) or ""


def single_case(image: Path, mask: Path, roi: str = "") -> TableCases:
    """One image and its mask, named on the command line. roi : of a file with several regions; FileProblem, listing them, where a
    mask of labels or of 3D Slicer's segments has none of that name or number."""
    cells = {"image_path": str(image), "mask_path": str(mask)} | ({"roi": roi} if roi else {})
    label, channel = _label_of(mask, roi) if roi else (None, None)
    return TableCases(tuple(cells), (TableCase(image.name, 1, image, mask, label, channel, roi=roi, cells=cells),), {}, _RADPIPE)


def _label_of(mask: Path, roi: str) -> tuple[int | None, int | None]:
    """(label, label_channel) of the region; None for both where the mask is in DICOM and its reader looks for the name."""
    from radpipe.io.volumes import is_dicom

    if is_dicom(mask):
        return None, None
    from radpipe.io.labelled import pick, read_labelled

    regions = read_labelled(mask)
    found = pick(regions, roi, path=mask)
    if len(found) > 1:
        raise FileProblem(
            f"{len(found)} regions fit {roi!r}: {', '.join(repr(region.name) for region in found)}.", hint="Name one.", path=mask
        )
    return found[0].value, found[0].layer if any(region.layer for region in regions) else None


def _named(columns: tuple[str, ...], path: Path) -> dict[str, str]:
    for names in (_PYRADIOMICS, _RADPIPE):
        if names["image"] in columns and names["mask"] in columns:
            return names
    there = [name for name in ("Image", "Mask", "image_path", "mask_path") if name in columns]
    wanted = {"Image": "Mask", "Mask": "Image", "image_path": "mask_path", "mask_path": "image_path"}.get(
        there[0] if there else "", ""
    )
    lacking = f"the column {wanted!r} is missing." if wanted else "there is no column of images and none of masks."
    raise CohortError(
        f"{lacking}{nearest(wanted or 'Image', columns)} The columns are: {', '.join(columns)}.",
        hint="Name them Image and Mask (as PyRadiomics), or image_path and mask_path.",
        path=path,
    )


def _refuse_results(columns: tuple[str, ...], path: Path) -> None:
    """CohortError where the file holds results already: its old values would stand beside, or under, the new ones."""
    for name in columns:
        if name.startswith("diagnostics_") or _is_feature(name):
            raise CohortError(
                f"the column {name!r} is a result, not part of a list of cases.",
                hint="Give a table without features; an old table of results is compared with `radpipe parity OLD.csv COHORT.csv`.",
                path=path,
            )


def _is_feature(column: str) -> bool:
    parts = column.rsplit("_", 2)
    if len(parts) != 3 or parts[1] not in FAMILIES:
        return False
    return any(feature.name == parts[2] for feature in lookup(FAMILIES, parts[1], "feature class").features)


def _case(
    cells: dict[str, str], row: int, path: Path, named: dict[str, str], identity: str | None
) -> tuple[TableCase, RadpipeError | None]:
    case_id = (cells[identity] if identity else "") or f"row {row}"
    faults: list[tuple[str, str]] = []

    def whole(word: str, least: int) -> int | None:
        text = cells.get(named[word], "")
        if not text:
            return None
        number = _whole(text)
        if number is None or number < least:
            faults.append(
                (f"the {named[word]} {text!r} is not a whole number of at least {least}.", "Correct or empty the cell.")
            )
        return number

    for word in ("image", "mask"):
        if not cells[named[word]]:
            faults.append((f"the {named[word]} is empty.", "Write the path, relative to the table's folder or absolute."))
    case = TableCase(
        case_id=case_id,
        row=row,
        image=path.absolute().parent / cells[named["image"]],
        mask=path.absolute().parent / cells[named["mask"]],
        label=whole("label", 1),
        label_channel=whole("label_channel", 0),
        modality=cells.get("modality", "").upper(),
        roi=cells.get("roi", ""),
        cells=cells,
    )
    if not faults:
        return case, None
    problem = " ".join(text for text, _ in faults)
    hint = " ".join(dict.fromkeys(way_out for _, way_out in faults))
    return case, CohortError(f"row {row}: {problem}", hint=hint, case_id=case_id, path=path)


def _whole(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if math.isfinite(number) and number == int(number) else None

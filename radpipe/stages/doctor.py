"""A cohort -> what is wrong with it, and a copy in which what is safe to mend is mended: the door of ``radpipe doctor``.

OUT/findings.csv (and .parquet), geometry.csv, regions.csv, overlaps.csv, discretisation.csv, params_<modality>.yaml and
doctor.html. With ``fix`` also OUT/manifest.csv, the files that were mended, and repairs.csv. The cohort itself is only read.
"""

from __future__ import annotations

import math
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radpipe.cohort.build import MODALITIES
from radpipe.core import tables
from radpipe.core.grid import Grid, grid_differences
from radpipe.core.image import UNITS
from radpipe.errors import CohortError, FileProblem, RadpipeError, RunError
from radpipe.intake import cohort_faults, discretisation_advice, repairs
from radpipe.intake.cohort_faults import Examined
from radpipe.intake.discretisation_advice import Advice, RegionLevels
from radpipe.intake.findings import CHECKS, Finding, in_order, table_rows
from radpipe.intake.geometry_faults import attributes, geometry_findings
from radpipe.intake.safe_names import distinct_names
from radpipe.intake.voxel_faults import count_labels
from radpipe.io.cells import quoted
from radpipe.io.files import cannot_write, sha256_file, write_bytes
from radpipe.io.nifti import write_nifti
from radpipe.io.rows import write_rows
from radpipe.io.volumes import read_header, read_image, read_label_map
from radpipe.report.inputs import OverlaySlice
from radpipe.stages.cases import TableCase, TableCases, read_cases
from radpipe.stages.doctor_work import compare_regions, examine_case, file_finding, load_slices
from radpipe.stages.tabulate import Limits

if TYPE_CHECKING:
    from radpipe.stages._progress import Progress

STAGE, LAID_OVER = "doctor", "doctor_overlap"
HERE = 3
"""So few cases are looked at in this process: starting workers would take longer."""
Picture = tuple[OverlaySlice, str]
_ROOMS = ("intake", "features", "preprocessing", "report", "io")
_LIMITS = Limits()
_OURS = "Report this fault in radpipe."
_GEOMETRY = ("case_id", "attribute", "image", "mask", "difference_mm", "difference_voxels", "same")
_REGIONS = (
    "case_id", "patient_id", "modality", "roi", "label", "voxels", "volume_ml", "slices", "pieces", "intensity_min", "intensity_p1",
    "intensity_median", "intensity_p99", "intensity_max", "image_min", "image_max", "spacing_x", "spacing_y", "spacing_z",
)  # fmt: skip
_OVERLAPS = ("patient_id", "roi", "modality_1", "modality_2", "dice", "apart_mm", "dice_moved", "volume_1_ml", "volume_2_ml")
_REPAIRS = ("case_id", "repair", "file", "mended", "what_changed", "why_safe", "sha256_before", "sha256_after")


@dataclass
class Report:
    """findings : worst first. pictures : by the findings' place in that list. examined : of the cases that could be looked at.
    rows : of the manifest."""

    source: Path
    rows: int
    findings: list[Finding]
    pictures: dict[int, Picture]
    examined: list[Examined]
    regions: list[dict[str, Any]]
    geometry: list[dict[str, Any]]
    overlaps: list[dict[str, Any]]
    advice: list[Advice]
    cases: TableCases | None = None
    repaired: list[dict[str, Any]] = field(default_factory=list)

    def count(self, severity: str) -> int:
        return sum(item.severity == severity for item in self.findings)


def manifest_of(cohort: Path) -> Path:
    """The manifest itself, or the one in the folder that ``radpipe ingest`` wrote. FileProblem where there is none."""
    path = cohort / "manifest.csv" if cohort.is_dir() else cohort
    if not path.is_file():
        raise FileProblem(
            "there is no manifest." if cohort.is_dir() else "the file does not exist.",
            hint="Name a manifest (CSV), or the folder that radpipe ingest wrote.",
            path=path,
        )
    return path


def examine(
    cohort: Path,
    store_folder: Path,
    *,
    workers: int | None = None,
    scheduler: str = "local",
    limits: Limits = _LIMITS,
    progress: Progress | None = None,
) -> Report:
    """Headers first, then voxels, then the cases beside each other. Whatever is wrong with one case costs no other.

    store_folder : what was found of a case is kept there by the content of its files, so that the next look is quick.
    FileProblem where there is no manifest at all; RunError where no case could fare better (a full disk).
    """
    from radpipe.stages._progress import Progress

    progress = progress or Progress(quiet=True)
    source = manifest_of(cohort)
    try:
        cases = read_cases(source)
    except RadpipeError as error:
        wrong = Finding("manifest", "error", _capital(error.problem), error.hint, file=str(source))
        return Report(source, 0, [wrong], {}, [], [], [], [], [])
    findings = _of_manifest(cases, source)
    good = [case for case in cases.cases if case.row not in cases.problems]
    known = [_examined(case) for case in good]

    geometry, early = _headers(good, known)
    apart = sum(bool(items) for items in early.values())
    progress.say(f"headers of {len(good)} cases: {apart} with a finding")
    with _Work(store_folder, workers, scheduler, limits, progress, here=len(good) <= HERE) as work:
        rows = work.run(
            STAGE, examine_case, {str(case.row): (_payload(case, one), (case.image, case.mask)) for case, one in zip(good, known, strict=True)},
            {str(case.row): (case.case_id, str(case.mask)) for case in good},
        )  # fmt: skip
        pictures: dict[tuple[str, ...], Picture] = {}
        examined, regions, levels = [], [], []
        for case, one in zip(good, known, strict=True):
            row, folder, failure = rows[str(case.row)]
            if row is None:
                findings += early[case.row]
                findings.append(_crashed(failure, one))
                continue
            one = _with(one, row)
            examined.append(one)
            found = [Finding.from_json(item) for item in row["findings"]]
            for place, picture in load_slices(folder, row["pictures"]).items():
                pictures[found[place].identity] = picture
            if not row["geometry_known"]:
                found += [replace(item, safe_repair="") for item in early[case.row]]
            findings += found
            if row["region"] is not None:
                regions.append(_region_row(one, row))
            if row["levels"] is not None:
                occupied = {float(width): count for width, count in row["levels"]["occupied"].items()}
                levels.append(RegionLevels(one.case_id, one.modality, row["levels"]["low"], row["levels"]["high"], occupied))
        findings += cohort_faults.cohort_findings(examined)
        findings = cohort_faults.without_repeats(cohort_faults.withdraw_labels(findings, examined))
        overlaps, more, drawn = _laid_over(work, examined, {one.case_id: case for case, one in zip(good, known, strict=True)})
        pictures |= drawn
        findings += more
    ordered = in_order(findings)
    shown = {place: pictures[item.identity] for place, item in enumerate(ordered) if item.identity in pictures}
    return Report(
        source, len(cases.cases), ordered, shown, examined, regions, geometry, overlaps, _advice(levels, ordered), cases
    )  # fmt: skip


def write(report: Report, out: Path) -> None:
    """All tables and the page, each whole or not at all."""
    import yaml

    from radpipe.io.tables import write_table
    from radpipe.report.doctor_page import render

    rows = table_rows(report.findings)
    base = report.source.absolute().parent
    for row in rows:
        row["file"] = _shown(row["file"], base)
    write_table(tables.make_table(tables.DOCTOR_FINDINGS, rows), out / "findings.parquet", tables.DOCTOR_FINDINGS, csv=True)
    write_rows(out / "geometry.csv", _GEOMETRY, report.geometry)
    write_rows(out / "regions.csv", _REGIONS, report.regions)
    write_rows(out / "overlaps.csv", _OVERLAPS, report.overlaps)
    write_rows(out / "discretisation.csv", discretisation_advice.COLUMNS, [row for one in report.advice for row in one.rows])
    for one in report.advice:
        text = f"# {one.reason}\n" + yaml.safe_dump(discretisation_advice.params(one), sort_keys=False)
        write_bytes(out / _params_name(one), text.encode())
    shown = [{**asdict(replace(item, place=None)), "file": _shown(item.file, base)} for item in report.findings]
    page = render(
        name=report.source.parent.absolute().name if report.source.name == "manifest.csv" else report.source.name,
        cases=report.rows, findings=shown, pictures=report.pictures, advice=[_advised(one) for one in report.advice],
        overlaps=report.overlaps, repairs=report.repaired, meanings=CHECKS, safe=repairs.SAFE, refused=repairs.REFUSED,
    )  # fmt: skip
    write_bytes(out / "doctor.html", page.encode())


def _advised(one: Advice) -> dict[str, Any]:
    (name, value), *_ = one.setting.items()
    return {
        "title": one.modality or "Modality not given", "unit": "" if one.unit == "arbitrary" else one.unit, "reason": one.reason,
        "setting": f"{name} {value:g}", "rows": one.rows, "file": _params_name(one), "few": discretisation_advice.FEW,
        "many": discretisation_advice.MANY,
    }  # fmt: skip


def _params_name(one: Advice) -> str:
    return f"params_{one.modality or 'any'}.yaml"


def prepare(out: Path, *, empty: bool) -> None:
    """Make the folder; RunError where that fails, or where it must be new and is not."""
    if empty and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(
            "the folder for mended files must be new: this one is there and not empty.",
            hint="Name a new folder with --out; repairs are never made in place.",
            path=out,
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error


# mending


def mend(report: Report, out: Path, *, say: Callable[[str], None] = lambda _: None) -> list[dict[str, Any]]:
    """The safe repairs, into ``out`` (new): mended files, a manifest that names them and refers to all others, repairs.csv.

    Every mended file is read back and compared with what it was made from; RunError where they do not agree.
    """
    if report.cases is None:
        raise CohortError("the manifest cannot be read, so nothing can be mended.", hint="Correct it first.", path=report.source)
    cases = {case.row: case for case in report.cases.cases}
    wanted: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for item in report.findings:
        if item.safe_repair:
            wanted[(item.case_id, item.file)].append(item)
    cells = {case.row: dict(case.cells) for case in cases.values()}
    names = distinct_names(
        {row: [case.case_id] for row, case in cases.items()}, {row: f"{case.case_id}\0{row}" for row, case in cases.items()}
    )
    made: dict[tuple[str, ...], str] = {}
    done: list[dict[str, Any]] = []
    named = report.cases.named
    for row, case in cases.items():
        for column, path in ((named["image"], case.image), (named["mask"], case.mask)):
            if cells[row][column] and row not in report.cases.problems:
                cells[row][column] = _referred(path, out)
        if row in report.cases.problems:
            continue
        image_items = wanted.get((case.case_id, str(case.image)), [])
        mask_items = wanted.get((case.case_id, str(case.mask)), [])
        for item in mask_items:
            if item.safe_repair == "use-label":
                before = cells[row].get(named["label"], "")
                cells[row][named["label"]] = str(item.details["label"])
                done.append(_repair(case, item, "", "manifest.csv", f"label {before or '(empty)'} -> {item.details['label']}"))
        if any(item.safe_repair == "rewrite-header" for item in image_items):
            made_of = (str(case.image),)
            if made_of not in made:
                made[made_of] = _rewrite_image(case, out / "images" / f"{names[row]}.nii.gz")
            cells[row][named["image"]] = os.path.relpath(made[made_of], out)
            done += [_repair(case, item, case.image, made[made_of], "one orientation in the header") for item in image_items
                     if item.safe_repair == "rewrite-header"]  # fmt: skip
        mends = [item for item in mask_items if item.safe_repair in (*repairs.MASK_REPAIRS, "rewrite-header")]
        if mends:
            made_of = (str(case.mask), str(case.image))
            if made_of not in made:
                made[made_of] = _rewrite_mask(case, mends, out / "masks" / f"{names[row]}.nii.gz")
            cells[row][named["mask"]] = os.path.relpath(made[made_of], out)
            done += [_repair(case, item, case.mask, made[made_of], _changed(item)) for item in mends]
    columns = list(report.cases.columns)
    if any(row["repair"] == "use-label" for row in done) and named["label"] not in columns:
        columns.append(named["label"])
    lines = [",".join(quoted(name) for name in columns)]
    lines += [",".join(quoted(cells[row].get(name, "")) for name in columns) for row in cases]
    for row in done:
        row["file"] = _shown(row["file"], report.source.absolute().parent)
        row["mended"] = os.path.relpath(row["mended"], out) if os.path.isabs(row["mended"]) else row["mended"]
    write_rows(out / "repairs.csv", _REPAIRS, done)
    write_bytes(out / "manifest.csv", ("\n".join(lines) + "\n").encode())
    say(f"{len(done)} repairs made")
    return done


def _rewrite_mask(case: TableCase, mends: Sequence[Finding], target: Path) -> str:
    labels = read_label_map(case.mask, label_channel=case.label_channel, case_id=case.case_id)
    grid, voxels = labels.grid, labels.voxels
    if any(item.safe_repair in repairs.MASK_REPAIRS for item in mends):
        image = read_header(case.image, case_id=case.case_id).grid
        voxels = repairs.mended_mask(image, grid, voxels)
        grid = image
    voxels = repairs.whole_labels(voxels)
    _write(target, voxels, grid)
    written = read_label_map(target, case_id=case.case_id)
    same = count_labels(written.voxels) == count_labels(labels.voxels) and not grid_differences(grid, written.grid, 1e-4)
    # The middle of all labelled voxels, in the patient: nothing may have moved by more than what rounding allows.
    moved = np.linalg.norm(_middle(labels.voxels, labels.grid) - _middle(written.voxels, written.grid))
    if not same or moved > 0.06 * max(grid.spacing_mm):
        raise RunError("a mended mask does not hold what the given one does.", hint=_OURS, case_id=case.case_id, path=target)
    return str(target)


def _rewrite_image(case: TableCase, target: Path) -> str:
    image = read_image(case.image, case_id=case.case_id)
    _write(target, image.voxels, image.grid)
    written = read_image(target, case_id=case.case_id)
    if not np.array_equal(written.voxels, image.voxels) or grid_differences(image.grid, written.grid):
        raise RunError("a mended image does not hold what the given one does.", hint=_OURS, case_id=case.case_id, path=target)
    return str(target)


def _write(target: Path, voxels: np.ndarray, grid: Grid) -> None:
    prepare(target.parent, empty=False)
    write_nifti(target, voxels, grid)


def _middle(voxels: np.ndarray, grid: Grid) -> np.ndarray:
    return grid.world_mm(np.argwhere(voxels != 0).mean(axis=0)) if voxels.any() else np.zeros(3)


def _repair(case: TableCase, item: Finding, before: object, after: object, changed: str) -> dict[str, Any]:
    paths = [Path(str(path)) for path in (before, after)]
    digests = ["" if not path.is_absolute() else sha256_file(path) for path in paths]
    return {
        "case_id": case.case_id, "repair": item.safe_repair, "file": str(before), "mended": str(after), "what_changed": changed,
        "why_safe": repairs.SAFE[item.safe_repair], "sha256_before": digests[0], "sha256_after": digests[1],
    }  # fmt: skip


def _changed(item: Finding) -> str:
    return {
        "use-image-header": "the image's header in place of the mask's own",
        "reorder-axes": "axes stored in the image's order",
        "fit-to-image": "empty voxels added, or cut off, up to the image's size",
        "rewrite-header": "one orientation in the header",
    }[item.safe_repair]


def _referred(path: Path, out: Path) -> str:
    """How the new manifest names a file that stays where it is: by a path from the new folder."""
    return os.path.relpath(path, out.absolute())


# looking


def _of_manifest(cases: TableCases, source: Path) -> list[Finding]:
    found = [
        Finding("manifest", "error", _capital(error.problem), error.hint, error.case_id, str(source))
        for error in cases.problems.values()
    ]
    seen: dict[str, list[int]] = defaultdict(list)
    for case in cases.cases:
        seen[case.case_id.casefold()].append(case.row)
    for case in cases.cases:
        rows = seen.get(case.case_id.casefold(), [])
        if len(rows) > 1 and rows[0] == case.row:
            what = f"The case_id {case.case_id!r} stands in rows {', '.join(map(str, rows))} (upper and lower case are not told apart)."
            found.append(Finding("manifest", "error", what, "Give every row an id of its own.", case.case_id, str(source)))
    if "modality" not in cases.columns:
        found.append(
            Finding(
                "manifest", "note", "The manifest has no column modality: intensities are not checked against HU or SUV.",
                "Add it (CT, PET or MR); radpipe run needs it, or cohort.modality.", file=str(source),
            )
        )  # fmt: skip
        return found
    for case in cases.cases:
        if case.modality not in MODALITIES:
            what = (
                f"The modality of row {case.row} is {case.modality!r}." if case.modality else f"Row {case.row} names no modality."
            )
            found.append(Finding("manifest", "warning", what, "Write CT, PET or MR.", case.case_id, str(source)))
    return found


def _examined(case: TableCase) -> Examined:
    return Examined(
        case.case_id, case.cells.get("patient_id", "") or case.case_id, MODALITIES.get(case.modality, ""), str(case.image), str(case.mask),
        1 if case.label is None else case.label, case.cells.get("roi", ""),
    )  # fmt: skip


def _headers(cases: Sequence[TableCase], known: Sequence[Examined]) -> tuple[list[dict[str, Any]], dict[int, list[Finding]]]:
    """(rows of the table of attributes, row of the manifest -> what the headers alone say)."""

    def look(case: TableCase) -> tuple[list[dict[str, Any]], list[Finding]]:
        grids, found = [], []
        for path in (case.image, case.mask):
            try:
                grids.append(read_header(path, case_id=case.case_id).grid)
            except RadpipeError as error:
                found.append(file_finding(error, case.case_id, path))
        if len(grids) < 2:
            return [], found
        found += [item.about(case.case_id, str(case.mask)) for item in geometry_findings(*grids)]
        return [{"case_id": case.case_id, **row} for row in attributes(*grids)], found + _frames(case)

    with ThreadPoolExecutor(4) as pool:
        looked = list(pool.map(look, cases))
    rows = []
    for case, (own, _) in zip(cases, looked, strict=True):
        rows += own
        frames = [case.cells.get(f"{name}_frame_of_reference_uid", "") for name in ("image", "mask")]
        if own and all(frames):
            rows.append({"case_id": case.case_id, "attribute": "frame of reference", "image": frames[0], "mask": frames[1],
                         "difference_mm": math.nan, "difference_voxels": math.nan, "same": frames[0] == frames[1]})  # fmt: skip
    return rows, {case.row: found for case, (_, found) in zip(cases, looked, strict=True)}


def _frames(case: TableCase) -> list[Finding]:
    """Frames of reference, where the manifest has columns for them (NIfTI keeps none)."""
    image, mask = (case.cells.get(f"{name}_frame_of_reference_uid", "") for name in ("image", "mask"))
    if not image or not mask or image == mask:
        return []
    return [
        Finding(
            "frame-of-reference", "warning", f"The image lies in the frame of reference {image}, the mask in {mask}.",
            "Coordinates of two frames mean the same only after a registration: check that one was applied.", case.case_id, str(case.mask),
        )
    ]  # fmt: skip


def _payload(case: TableCase, one: Examined) -> dict[str, Any]:
    return {
        "case_id": case.case_id, "image_path": str(case.image), "mask_path": str(case.mask), "label": case.label,
        "label_channel": case.label_channel, "modality": one.modality, "frames": [item.as_json() for item in _frames(case)],
    }  # fmt: skip


def _with(one: Examined, row: dict[str, Any]) -> Examined:
    image = None if row["image"] is None else _grid(row["image"]["grid"])
    facts = {"image": row["image"]["facts"]} if row["image"] else {}
    return replace(
        one,
        image=image,
        image_key=row["image"]["key"] if row["image"] else "",
        region_key=row["region"]["key"] if row["region"] else "",
        labels={int(value): count for value, count in row["mask"]["labels"].items()} if row["mask"] else {},
        facts=facts,
    )


def _grid(fields: dict[str, Any]) -> Grid:
    return Grid(**{name: tuple(value) for name, value in fields.items()})


def _region_row(one: Examined, row: dict[str, Any]) -> dict[str, Any]:
    region, facts = row["region"], row["region"].get("facts", {})
    image = row["image"]
    found = {
        "case_id": one.case_id, "patient_id": one.patient_id, "modality": one.modality, "roi": one.roi, "label": one.label,
        "voxels": region["voxels"], "volume_ml": region["volume_ml"], "slices": region["slices"], "pieces": region["pieces"],
        **{f"intensity_{name}": value for name, value in facts.items()},
    }  # fmt: skip
    if image is not None:
        found |= {"image_min": image["facts"]["min"], "image_max": image["facts"]["max"]}
        found |= dict(zip(("spacing_z", "spacing_y", "spacing_x"), image["grid"]["spacing_mm"], strict=True))
    return found


def _laid_over(
    work: _Work, examined: Sequence[Examined], by_id: dict[str, TableCase]
) -> tuple[list[dict[str, Any]], list[Finding], dict[tuple[str, ...], Picture]]:
    """Regions of one lesion on several modalities: (rows of the table of overlaps, findings, their pictures)."""
    groups = cohort_faults.groups(examined)
    jobs, about = {}, {}
    for number, group in enumerate(groups):
        members = [one for of in group.values() for one in of]
        payload = {
            "group": {name: [_bare(one) for one in of] for name, of in group.items()},
            "channels": {name: [by_id[one.case_id].label_channel for one in of] for name, of in group.items()},
        }
        jobs[str(number)] = (payload, tuple(path for one in members for path in (Path(one.image_file), Path(one.mask_file))))
        about[str(number)] = (members[0].case_id, members[0].mask_file)
    rows, findings, pictures = [], [], {}
    for number, (row, folder, failure) in work.run(LAID_OVER, compare_regions, jobs, about).items():
        one = next(iter(groups[int(number)].values()))[0]
        if row is None:
            findings.append(_crashed(failure, one))
            continue
        found = [Finding.from_json(item) for item in row["findings"]]
        pictures |= {found[place].identity: picture for place, picture in load_slices(folder, row["pictures"]).items()}
        findings += found
        for item in row["overlaps"]:
            rows.append({
                "patient_id": one.patient_id, "roi": one.roi, "modality_1": item["pair"][0], "modality_2": item["pair"][1], "dice": item["dice"],
                "apart_mm": float(np.linalg.norm(item["shift_mm"])), "dice_moved": item["dice_shifted"],
                "volume_1_ml": item["volume_ml"][0], "volume_2_ml": item["volume_ml"][1],
            })  # fmt: skip
    return rows, findings, pictures


def _bare(one: Examined) -> dict[str, Any]:
    return asdict(replace(one, image=None, facts={}, labels={}))


def _crashed(failure: dict[str, Any], one: Examined) -> Finding:
    return Finding("crashed", "error", _capital(failure["problem"]), failure["hint"], one.case_id, one.mask_file)


def _advice(levels: Sequence[RegionLevels], findings: Sequence[Finding]) -> list[Advice]:
    found = []
    for modality in sorted({one.modality for one in levels}):
        comparable = modality != "MR" or not any(item.check == "normalisation" for item in findings)
        one = discretisation_advice.advise(levels, modality, UNITS.get(modality, "arbitrary"), comparable=comparable)
        found += [one] if one is not None else []
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shown(path: str, base: Path) -> str:
    """A path as it stands in tables: from the manifest's folder where it lies there, else its name (a folder may tell who it is)."""
    if not path:
        return ""
    try:
        return str(Path(path).relative_to(base))
    except ValueError:
        relative = os.path.relpath(path, base)
        return relative if not os.path.isabs(relative) and relative.count("..") <= 2 else Path(path).name


Result = tuple[dict[str, Any] | None, Path, dict[str, Any]]  # row, or None; folder of its files; the failure's facts


class _Work:
    """Cases in the workers' children, or a few of them in this process; what the store has is not done again."""

    def __init__(
        self, folder: Path, workers: int | None, scheduler: str, limits: Limits, progress: Progress, *, here: bool
    ) -> None:
        from radpipe.io.store import Store
        from radpipe.stages._parallel import Pool

        self._here, self._progress = here, progress
        self._store = Store(folder)
        self._pool = Pool(
            workers or "auto", scheduler=scheduler, memory_mb=limits.memory_mb, timeout_s=limits.timeout_s, log=folder / "logs" / "run.log"
        )  # fmt: skip
        self._scratch = folder / "here"

    def __enter__(self) -> _Work:
        self._store.__enter__()
        if not self._here:
            self._pool.__enter__()
            self._store.sweep()
        return self

    def __exit__(self, *error: Any) -> None:
        if not self._here:
            self._pool.__exit__(*error)
        self._store.__exit__(*error)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def run(
        self,
        stage: str,
        function: Callable[[dict[str, Any], Path], dict[str, Any]],
        jobs: dict[str, tuple[dict[str, Any], tuple[Path, ...]]],
        about: dict[str, tuple[str, str]],
    ) -> dict[str, Result]:
        """jobs : name -> (payload, the files it depends on). about : name -> (case, file), for what fails."""
        if not jobs:
            return {}
        return self._run_here(stage, function, jobs) if self._here else self._run_pool(stage, function, jobs, about)

    def _run_here(self, stage: str, function: Any, jobs: dict[str, Any]) -> dict[str, Result]:
        from radpipe.stages._child import classify

        found: dict[str, Result] = {}
        with self._progress.work(stage, len(jobs)) as shown:
            for name, (payload, _) in jobs.items():
                folder = self._scratch / stage / name
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    found[name] = (function(payload, folder), folder, {})
                except (RadpipeError, MemoryError) as error:
                    if isinstance(error, RunError):
                        raise
                    found[name] = (None, folder, classify(error))
                shown.advance(failed=found[name][0] is None)
        return found

    def _run_pool(self, stage: str, function: Any, jobs: dict[str, Any], about: dict[str, tuple[str, str]]) -> dict[str, Result]:
        from radpipe.core.keys import content_key
        from radpipe.stages._parallel import Task, map_tasks
        from radpipe.stages.context import engine_version
        from radpipe.stages.tabulate import _digests

        digests, unreadable = _digests({path for _, paths in jobs.values() for path in paths}, self._pool.workers)
        engine = engine_version(*_ROOMS) + sha256_file(Path(__file__).with_name("doctor_work.py"))[:16]
        tasks = []
        for name, (payload, paths) in jobs.items():
            state = [digests.get(path) or unreadable[path].problem for path in paths]
            tasks.append(
                Task(
                    task_id=name, key=content_key(stage=stage, engine=engine, payload=payload, files=state), payload=payload,
                    case_id=about[name][0], path=about[name][1],
                )
            )  # fmt: skip
        result = map_tasks(
            tasks, stage=stage, function=f"{function.__module__}:{function.__name__}", pool=self._pool, store=self._store,
            progress=self._progress, preload="doctor",
        )  # fmt: skip
        failed = dict(zip((task.task_id for task in tasks if task.task_id not in result.done), result.failures, strict=True))
        return {
            task.task_id: (result.done[task.task_id].row, result.done[task.task_id].folder, {})
            if task.task_id in result.done
            else (None, Path(), failed[task.task_id])
            for task in tasks
        }

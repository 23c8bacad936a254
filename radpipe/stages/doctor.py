"""A cohort -> what is wrong with it, and a copy in which what is safe to mend is mended: the door of ``radpipe doctor``.

OUT/findings.csv (and .parquet), geometry.csv, regions.csv, overlaps.csv, discretisation.csv, params_<modality>.yaml and
doctor.html. With ``fix`` also OUT/manifest.csv, the files that were mended, and repairs.csv. The cohort itself is only read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radpipe.core import tables
from radpipe.core.image import UNITS
from radpipe.errors import FileProblem, RadpipeError, RunError
from radpipe.intake import cohort_faults, coinciding, discretisation_advice, repairs
from radpipe.intake.cohort_faults import Examined
from radpipe.intake.discretisation_advice import Advice, RegionLevels
from radpipe.intake.findings import CHECKS, Finding, in_order, table_rows
from radpipe.io.files import cannot_write, write_bytes
from radpipe.io.rows import write_rows
from radpipe.report.inputs import OverlaySlice
from radpipe.stages.cases import TableCase, TableCases, read_cases
from radpipe.stages.doctor_headers import (
    capital,
    crashed,
    examined_of,
    headers_of,
    of_manifest,
    payload_of,
    region_row,
    shown_path,
    with_row,
)
from radpipe.stages.doctor_pool import Work
from radpipe.stages.doctor_work import compare_regions, examine_case, load_slices, members, with_paths
from radpipe.stages.tabulate import Limits

if TYPE_CHECKING:
    from radpipe.stages._progress import Progress

STAGE, LAID_OVER = "doctor", "doctor_overlap"
HERE = 3
"""So few cases are looked at in this process: starting workers would take longer."""
Picture = tuple[OverlaySlice, str]
_LIMITS = Limits()
_GEOMETRY = ("case_id", "attribute", "image", "mask", "difference_mm", "difference_voxels", "same")
_REGIONS = (
    "case_id", "patient_id", "modality", "roi", "label", "voxels", "volume_ml", "slices", "pieces", "intensity_min", "intensity_p1",
    "intensity_median", "intensity_p99", "intensity_max", "image_min", "image_max", "spacing_x", "spacing_y", "spacing_z",
)  # fmt: skip
_OVERLAPS = ("patient_id", "roi", "modality_1", "modality_2", "dice", "apart_mm", "dice_moved", "volume_1_ml", "volume_2_ml")


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
        wrong = Finding("manifest", "error", capital(error.problem), error.hint, file=str(source))
        return Report(source, 0, [wrong], {}, [], [], [], [], [])
    findings = of_manifest(cases, source)
    good = [case for case in cases.cases if case.row not in cases.problems]
    known = [examined_of(case) for case in good]

    geometry, early = headers_of(good, known)
    apart = sum(bool(items) for items in early.values())
    progress.say(f"headers of {len(good)} cases: {apart} with a finding")
    with Work(store_folder, workers, scheduler, limits, progress, here=len(good) <= HERE) as work:
        rows = work.run(
            STAGE, examine_case, {str(case.row): (payload_of(case, one), (case.image, case.mask)) for case, one in zip(good, known, strict=True)},
            {str(case.row): (case.case_id, str(case.mask)) for case in good},
        )  # fmt: skip
        pictures: dict[tuple[str, ...], Picture] = {}
        examined, regions, levels = [], [], []
        for case, one in zip(good, known, strict=True):
            row, folder, failure = rows[str(case.row)]
            if row is None:
                findings += early[case.row]
                findings.append(crashed(failure, one))
                continue
            one = with_row(one, row)
            examined.append(one)
            found = with_paths(row["findings"], [str(case.image), str(case.mask)])
            for place, picture in load_slices(folder, row["pictures"]).items():
                pictures[found[place].identity] = picture
            if not row["geometry_known"]:
                found += [replace(item, safe_repair="") for item in early[case.row]]
            findings += found
            if row["region"] is not None:
                regions.append(region_row(one, row))
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
        row["file"] = shown_path(row["file"], base)
    write_table(tables.make_table(tables.DOCTOR_FINDINGS, rows), out / "findings.parquet", tables.DOCTOR_FINDINGS, csv=True)
    write_rows(out / "geometry.csv", _GEOMETRY, report.geometry)
    write_rows(out / "regions.csv", _REGIONS, report.regions)
    write_rows(out / "overlaps.csv", _OVERLAPS, report.overlaps)
    write_rows(out / "discretisation.csv", discretisation_advice.COLUMNS, [row for one in report.advice for row in one.rows])
    for one in report.advice:
        text = f"# {one.reason}\n" + yaml.safe_dump(discretisation_advice.params(one), sort_keys=False)
        write_bytes(out / _params_name(one), text.encode())
    shown = [{**asdict(replace(item, place=None)), "file": shown_path(item.file, base)} for item in report.findings]
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


def _laid_over(
    work: Work, examined: Sequence[Examined], by_id: dict[str, TableCase]
) -> tuple[list[dict[str, Any]], list[Finding], dict[tuple[str, ...], Picture]]:
    """Regions of one lesion on several modalities: (rows of the table of overlaps, findings, their pictures)."""
    groups = coinciding.groups(examined)
    jobs, about = {}, {}
    for number, group in enumerate(groups):
        of_group = [one for of in group.values() for one in of]
        payload = {
            "group": {name: [_bare(one) for one in of] for name, of in group.items()},
            "channels": {name: [by_id[one.case_id].label_channel for one in of] for name, of in group.items()},
        }
        jobs[str(number)] = (payload, tuple(path for one in of_group for path in (Path(one.image_file), Path(one.mask_file))))
        about[str(number)] = (of_group[0].case_id, of_group[0].mask_file)
    rows, findings, pictures = [], [], {}
    for number, (row, folder, failure) in work.run(LAID_OVER, compare_regions, jobs, about).items():
        one = next(iter(groups[int(number)].values()))[0]
        if row is None:
            findings.append(crashed(failure, one))
            continue
        found = with_paths(row["findings"], members(jobs[number][0]))
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


def _advice(levels: Sequence[RegionLevels], findings: Sequence[Finding]) -> list[Advice]:
    found = []
    for modality in sorted({one.modality for one in levels}):
        comparable = modality != "MR" or not any(item.check == "normalisation" for item in findings)
        one = discretisation_advice.advise(levels, modality, UNITS.get(modality, "arbitrary"), comparable=comparable)
        found += [one] if one is not None else []
    return found

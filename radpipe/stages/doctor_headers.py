"""What the manifest and the headers alone tell ``radpipe doctor``; and what is known of a case from one step to the next."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from radpipe.cohort.build import MODALITIES
from radpipe.core.grid import Grid
from radpipe.errors import RadpipeError
from radpipe.intake.cohort_faults import Examined
from radpipe.intake.findings import Finding
from radpipe.intake.geometry_faults import attributes, geometry_findings
from radpipe.io.volumes import read_header
from radpipe.stages.cases import TableCase, TableCases
from radpipe.stages.doctor_work import file_finding


def of_manifest(cases: TableCases, source: Path) -> list[Finding]:
    found = [
        Finding("manifest", "error", capital(error.problem), error.hint, error.case_id, str(source))
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


def examined_of(case: TableCase) -> Examined:
    return Examined(
        case.case_id, case.cells.get("patient_id", "") or case.case_id, MODALITIES.get(case.modality, ""), str(case.image), str(case.mask),
        1 if case.label is None else case.label, case.cells.get("roi", ""), frame=case.cells.get("image_frame_of_reference_uid", ""),
    )  # fmt: skip


def headers_of(cases: Sequence[TableCase], known: Sequence[Examined]) -> tuple[list[dict[str, Any]], dict[int, list[Finding]]]:
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


def payload_of(case: TableCase, one: Examined) -> dict[str, Any]:
    return {
        "case_id": case.case_id, "image_path": str(case.image), "mask_path": str(case.mask), "label": case.label,
        "label_channel": case.label_channel, "modality": one.modality, "frames": [item.as_json() for item in _frames(case)],
    }  # fmt: skip


def with_row(one: Examined, row: dict[str, Any]) -> Examined:
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


def region_row(one: Examined, row: dict[str, Any]) -> dict[str, Any]:
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


def crashed(failure: dict[str, Any], one: Examined) -> Finding:
    return Finding("crashed", "error", capital(failure["problem"]), failure["hint"], one.case_id, one.mask_file)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def shown_path(path: str, base: Path) -> str:
    """A path as it stands in tables: from the manifest's folder where it lies there, else its name (a folder may tell who it is)."""
    if not path:
        return ""
    try:
        return str(Path(path).relative_to(base))
    except ValueError:
        relative = os.path.relpath(path, base)
        return relative if not os.path.isabs(relative) and relative.count("..") <= 2 else Path(path).name

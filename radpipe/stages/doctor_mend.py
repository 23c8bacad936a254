"""The safe repairs of ``radpipe doctor --fix``, into a new folder."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from radpipe.core.grid import Grid, grid_differences
from radpipe.errors import CohortError, RunError
from radpipe.intake import repairs
from radpipe.intake.findings import Finding
from radpipe.intake.safe_names import distinct_names
from radpipe.intake.voxel_faults import count_labels
from radpipe.io.cells import quoted
from radpipe.io.files import sha256_file, write_bytes
from radpipe.io.nifti import write_nifti
from radpipe.io.rows import write_rows
from radpipe.io.volumes import read_header, read_image, read_label_map
from radpipe.stages.cases import TableCase
from radpipe.stages.doctor import Report, prepare
from radpipe.stages.doctor_headers import shown_path

_REPAIRS = ("case_id", "repair", "file", "mended", "what_changed", "why_safe", "sha256_before", "sha256_after")
_OURS = "Report this fault in radpipe."


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
        row["file"] = shown_path(row["file"], report.source.absolute().parent)
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

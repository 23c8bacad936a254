"""1. cohort: manifest -> the cases that can be used, and who trains, selects and tests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from radpipe.cohort.build import manifest_regions, read_manifest
from radpipe.cohort.splits import draw_splits
from radpipe.config import BUILTIN, Workflow
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.registry import lookup
from radpipe.datasets import DATASETS
from radpipe.errors import CohortError, RadpipeError
from radpipe.io.files import sha256_file
from radpipe.io.tables import read_text_table
from radpipe.stages._parallel import Task
from radpipe.stages.context import Context, StageResult, engine_version, failure
from radpipe.stages.reading import Reading, reading_of

NAME = "cohort"
NEEDS = ("manifest",)
MAKES = ("cohort", "splits")
CASE_COLUMNS = ("case_id", "patient_id", "modality", "image_path", "mask_path", "label", "outcome")


def manifest_path(workflow: Workflow) -> Path:
    """The manifest file; that of an embedded cohort for ``builtin:NAME``."""
    named = workflow.cohort.manifest
    if named.startswith(BUILTIN):
        path: Path = lookup(DATASETS, named.removeprefix(BUILTIN), "embedded cohort")().manifest_path
        return path
    return workflow.resolve(named)


def load_cases(workflow: Workflow) -> tuple[pd.DataFrame, list[RadpipeError]]:
    """The manifest's rows that hold together, and what is wrong with the others; no image is opened."""
    path = manifest_path(workflow)
    table = read_text_table(path)
    if workflow.patients is not None:
        _regions(workflow, table, path)
    return read_manifest(
        table,
        workflow.cohort,
        base=path.parent,
        source=path,
        splits=workflow.splits,
        with_images=workflow.needs_images,
        default_label=_reading(workflow).label,
    )


def load_regions(workflow: Workflow) -> pd.DataFrame:
    """Whose every row of the manifest is, its region's name and its block of columns; for workflows with ``patients``."""
    path = manifest_path(workflow)
    return _regions(workflow, read_text_table(path), path)


def _regions(workflow: Workflow, table: pd.DataFrame, path: Path) -> pd.DataFrame:
    patients = workflow.patients
    if patients is None:
        raise ValueError("the workflow makes no rows of patients")
    found = manifest_regions(table, workflow.cohort, block=patients.block, needs_roi=patients.rule == "primary", source=path)
    there = sorted(set(found["block"]) - {""})
    for name in (*(patients.blocks or ()), *patients.params):
        if name not in there:
            raise CohortError(
                f"no row of the manifest has {patients.block} {name!r}, which patients of the workflow names; there is {', '.join(there)}.",
                hint="Correct the workflow or the manifest.", path=path,
            )  # fmt: skip
    return found


def blocks_of(workflow: Workflow, regions: pd.DataFrame) -> list[str]:
    """The blocks of a patient's row in their order. regions : of :func:`load_regions`."""
    named = workflow.patients.blocks if workflow.patients is not None else None
    return list(named) if named is not None else sorted(set(regions["block"]) - {""})


def _reading(workflow: Workflow) -> Reading:
    """How masks are read: what ``features.params`` say of it holds for every stage, so that all see the same region."""
    features = workflow.features
    return reading_of(features.params if features.feature_set == "pyradiomics" else {})


def reading_parts(workflow: Workflow) -> dict[str, Any]:
    """What goes into payloads and content keys of it: nothing where it is as usual."""
    reading = _reading(workflow)
    parts = {"label_channel": reading.label_channel, "correct_mask": reading.correct_mask, "tolerance": reading.tolerance}
    return {"reading": parts} if any(parts.values()) or reading.label_channel is not None else {}


def case_payload(workflow: Workflow, row: dict[str, Any]) -> dict[str, Any]:
    """What a child needs to know of a case; the paths absolute (in tables they stay as the manifest has them)."""
    base = manifest_path(workflow).parent
    payload = {name: row[name] for name in CASE_COLUMNS}
    paths = {"image_path": str(base / row["image_path"]), "mask_path": str(base / row["mask_path"])}
    return {**payload, **paths, **reading_parts(workflow)}


def run(context: Context) -> StageResult:
    """Check every row and every file; draw the splits over the cases that passed."""
    workflow = context.workflow
    rows, problems = load_cases(workflow)
    failures = [failure(problem.case_id, problem) for problem in problems]
    expected = [*rows["case_id"], *(row["case_id"] for row in failures)]
    checked: dict[str, dict[str, Any]] = {}
    if workflow.needs_images:
        hashed, unreadable = _hash_files(rows, context)
        failures += unreadable
        engine = engine_version("cohort", "io")
        tasks = [
            Task(
                task_id=row["case_id"],
                key=content_key(stage=NAME, engine=engine, image=hashed[row["case_id"]][0], mask=hashed[row["case_id"]][1], label=row["label"],
                                modality=row["modality"], **reading_parts(workflow)),
                payload=case_payload(workflow, row),
                case_id=row["case_id"],
                path=str(row["image_path"]),
            )
            for row in rows.to_dict("records")
            if row["case_id"] in hashed
        ]  # fmt: skip
        result = context.map(NAME, "radpipe.stages.work:check_case", tasks)
        failures += result.failures
        for case_id, stored in result.done.items():
            image_sha, mask_sha = hashed[case_id]
            checked[case_id] = {"image_sha256": image_sha, "mask_sha256": mask_sha, **stored.row}
    else:
        checked = {case_id: {"image_sha256": "", "mask_sha256": "", "mask_volume_ml": 0.0} for case_id in rows["case_id"]}
    made = [{**row, **checked[row["case_id"]]} for row in rows.to_dict("records") if row["case_id"] in checked]
    result_row = context.finish(NAME, expected, list(checked), failures)
    if not checked:
        raise CohortError(
            f"no case can be used: all {len(failures)} failed.",
            hint="See failures.csv in the output folder.",
            path=manifest_path(workflow),
        )
    cohort = context.write(tables.COHORT, made, csv=True)
    splits = draw_splits(cohort, workflow.splits, workflow.seed, workflow.cohort.outcome_kind)
    context.write(tables.SPLITS, splits)
    return result_row


def _hash_files(rows: pd.DataFrame, context: Context) -> tuple[dict[str, tuple[str, str]], list[dict[str, str]]]:
    """SHA-256 of every image and mask. Threads, because hashing releases the interpreter and the disk is what it waits for."""

    def digests(row: dict[str, Any]) -> tuple[str, str] | RadpipeError:
        payload = case_payload(context.workflow, row)
        try:
            return sha256_file(payload["image_path"]), sha256_file(payload["mask_path"])
        except RadpipeError as error:
            return error.about(case_id=row["case_id"])

    records = rows.to_dict("records")
    with ThreadPoolExecutor(context.pool.workers) as threads:
        found = dict(zip(rows["case_id"], threads.map(digests, records), strict=True))
    good = {case_id: item for case_id, item in found.items() if isinstance(item, tuple)}
    return good, [failure(case_id, item) for case_id, item in found.items() if isinstance(item, RadpipeError)]

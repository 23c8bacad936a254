"""9. report: the tables -> one page that a clinician can read."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd

import radpipe
from radpipe.config import BUILTIN
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.registry import lookup
from radpipe.datasets import DATASETS
from radpipe.io.files import sha256_file, write_bytes
from radpipe.io.tables import read_table
from radpipe.io.volumes import read_mask
from radpipe.report.html import render
from radpipe.report.inputs import OverlaySlice, ReportInputs, overlay, pick_cases
from radpipe.report.summary import summarise
from radpipe.selection.stability import nogueira
from radpipe.stages.cohort import case_payload
from radpipe.stages.context import Context, StageResult, engine_version
from radpipe.stages.work import read_case

NAME = "report"
NEEDS = ("every table",)
MAKES = ("report.html",)
LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "SimpleITK", "numba", "torch", "monai", "dask")


def run(context: Context) -> StageResult:
    """Draw the page anew unless nothing it is made from has changed."""
    found = {name: context.folder.table(name) for name in tables.SCHEMAS if context.folder.table(name).is_file()}
    workflow = context.workflow
    key = content_key(
        tables={name: sha256_file(path) for name, path in found.items()}, settings=workflow.model_dump(mode="json"),
        engine=engine_version("report", "evaluation", "comparison", "selection"), versions=_versions(),
    )  # fmt: skip
    if context.unchanged(NAME, key):
        return StageResult(NAME, note="nothing has changed")
    loaded = {name: read_table(path, tables.SCHEMAS[name]) for name, path in found.items()}
    inputs = ReportInputs(
        name=workflow.name,
        title=workflow.title or workflow.name,
        tables=loaded,
        settings=workflow.model_dump(mode="json"),
        versions=_versions(),
        seeds={"workflow": workflow.seed},
        overlays=_overlays(context, loaded) if workflow.needs_images else (),
        stability=_stability(loaded.get("selection")),
        budget=_budget(context),
        command=f"radpipe run {context.invocation[0]} --out {context.invocation[1]}",
        **_source(workflow.cohort.manifest),
    )
    write_bytes(context.folder.report, render(summarise(inputs)).encode("utf-8"))
    context.record(NAME, key, [context.folder.report])
    return StageResult(NAME, note=f"{context.folder.report.stat().st_size / 1e6:.1f} MB")


def _overlays(context: Context, loaded: dict[str, pd.DataFrame]) -> tuple[OverlaySlice, ...]:
    """Pictures of a few cases: spread over the Dice where there is one, else over the volume."""
    workflow = context.workflow
    cohort = loaded["cohort"]
    outlines = loaded.get("segmentation") if workflow.segmentation.masks == "predicted" else None
    if outlines is not None and len(outlines):
        chosen = pick_cases(outlines, workflow.report.examples)
        outlines = outlines.groupby("case_id").first()
    else:
        outlines = None
        by_volume = cohort.sort_values(["mask_volume_ml", "case_id"])["case_id"]
        n = min(workflow.report.examples, len(by_volume))
        chosen = (
            [by_volume.iloc[place] for place in np.unique(np.linspace(0, len(by_volume) - 1, n).round().astype(int))] if n else []
        )
    rows = {row["case_id"]: row for row in cohort.to_dict("records")}
    slices = []
    for case_id in chosen:
        payload = case_payload(workflow, rows[case_id])
        image, given = read_case(payload)
        predicted, dice, no_look = None, None, None
        if outlines is not None:
            predicted = read_mask(context.folder.path / str(outlines.loc[case_id, "mask_path"]), case_id=case_id)
            dice = float(outlines.loc[case_id, "dice"])
            no_look = float(outlines.loc[case_id, "dice_no_look"])
        slices.append(overlay(case_id, image, given, predicted, dice=dice, dice_no_look=no_look, modality=payload["modality"]))
    return tuple(slices)


def _stability(selection: pd.DataFrame | None) -> dict[str, float] | None:
    if selection is None or not len(selection):
        return None
    kept = selection.pivot_table(index=["repeat", "fold"], columns="feature", values="kept", aggfunc="all").to_numpy(dtype=bool)
    if len(kept) < 2:
        return None
    value, low, high = nogueira(kept)
    return {"value": value, "ci_low": low, "ci_high": high}


def _budget(context: Context) -> dict[str, tuple[int, float]]:
    """model -> (fits, CPU seconds), of each fit's last computation; found ones were computed by an earlier run."""
    if not context.folder.timings.is_file():
        return {}
    timings = pd.read_csv(context.folder.timings)
    last = timings[timings["stage"] == "train"].drop_duplicates("task_id", keep="last")
    model = last["task_id"].str.partition(" (")[0]
    used = {str(name): (len(rows), float(rows["cpu_s"].sum())) for name, rows in last.groupby(model)}
    return {name: used[name] for name in context.workflow.models if name in used}


def _versions() -> dict[str, str]:
    versions = {"radpipe": radpipe.__version__, "Python": platform.python_version()}
    return versions | {name: metadata.version(name) for name in LIBRARIES}


def _source(manifest: str) -> dict[str, Any]:
    """Licence and citations of an embedded cohort."""
    if not manifest.startswith(BUILTIN):
        return {}
    dataset = lookup(DATASETS, manifest.removeprefix(BUILTIN), "embedded cohort")()
    return {"licence": dataset.licence, "citations": dataset.citations}

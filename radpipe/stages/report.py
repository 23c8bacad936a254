"""13. report: the tables -> one page that a clinician can read."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd

import radpipe
from radpipe.comparison import controls, question
from radpipe.config import BUILTIN, Workflow
from radpipe.core import tables
from radpipe.core.grid import grid_differences
from radpipe.core.image import Mask
from radpipe.core.keys import content_key
from radpipe.core.registry import lookup
from radpipe.datasets import DATASETS
from radpipe.errors import RadpipeError
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.map_settings import MAP
from radpipe.io.files import sha256_file, write_bytes
from radpipe.io.tables import read_table
from radpipe.io.volumes import read_mask
from radpipe.preprocessing.resample import resample_image
from radpipe.report.html import render
from radpipe.report.inputs import OverlaySlice, ReportInputs, overlay, pick_cases
from radpipe.report.map_pictures import MapPicture, map_picture
from radpipe.report.summary import summarise
from radpipe.stages.cohort import case_payload
from radpipe.stages.context import Context, StageResult, engine_version
from radpipe.stages.map_store import load_labels, load_maps
from radpipe.stages.work import read_case

NAME = "report"
NEEDS = ("every table",)
MAKES = ("report.html",)
LOG = logging.getLogger("radpipe.stages.report")
LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "SimpleITK", "numba", "torch", "monai", "dask")


def run(context: Context) -> StageResult:
    """Draw the page anew unless nothing it is made from has changed."""
    found = {name: context.folder.table(name) for name in tables.SCHEMAS if context.folder.table(name).is_file()}
    workflow = context.workflow
    asked = question.standing(context.folder.questions(), question.question_key(workflow.comparison))
    key = content_key(
        asked=asked,
        tables={name: sha256_file(path) for name, path in found.items()}, settings=workflow.model_dump(mode="json"),
        engine=engine_version("report", "evaluation", "comparison", "selection"), versions=_versions(),
    )  # fmt: skip
    if context.unchanged(NAME, key):
        return StageResult(NAME, note="nothing has changed")
    loaded = {name: read_table(path, tables.SCHEMAS[name]) for name, path in found.items()}
    if workflow.patients is not None:  # the page speaks of those who were learnt from and tested: one region stands for a patient
        standing = set(loaded["patients"]["case_id"])
        loaded |= {name: loaded[name][loaded[name]["case_id"].isin(standing)] for name in ("cohort", "splits")}
    inputs = ReportInputs(
        name=workflow.name,
        title=workflow.title or workflow.name,
        tables=loaded,
        settings=workflow.model_dump(mode="json"),
        versions=_versions(),
        seeds={"workflow": workflow.seed},
        overlays=_overlays(context, loaded) if workflow.needs_images else (),
        pictures=_pictures(context, loaded) if workflow.needs_images else (),
        maps=_map_pictures(context, loaded),
        map_facts=_map_facts(workflow),
        stability=_stability(loaded.get("selection_stability")),
        budget=_budget(context),
        question=asked,
        controls_level=controls.LEVEL,
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
    return _slices(context, cohort, chosen, outlines)


def _pictures(context: Context, loaded: dict[str, pd.DataFrame]) -> tuple[OverlaySlice, ...]:
    """One small picture of every case that was tested, where the cohort is small enough; a case that cannot be read has none."""
    workflow = context.workflow
    predictions = loaded.get("predictions", pd.DataFrame())
    chosen = sorted(set(predictions.loc[predictions["role"] == "test", "case_id"])) if len(predictions) else []
    if not 0 < len(chosen) <= workflow.report.score_pictures:
        return ()
    outlines = loaded.get("segmentation") if workflow.segmentation.masks == "predicted" else None
    outlines = outlines.groupby("case_id").first() if outlines is not None and len(outlines) else None
    found: list[OverlaySlice] = []
    for case_id in chosen:
        try:
            found += _slices(context, loaded["cohort"], [case_id], outlines)
        except RadpipeError as error:  # the page says of this case that it has no picture; everybody else's is drawn
            LOG.warning("no picture of %s: %s", case_id, error)
    return tuple(found)


def _slices(
    context: Context, cohort: pd.DataFrame, chosen: Sequence[str], outlines: pd.DataFrame | None
) -> tuple[OverlaySlice, ...]:
    """outlines : of the table SEGMENTATION, one row a case, index case_id; None where no network outlined."""
    workflow = context.workflow
    rows = {row["case_id"]: row for row in cohort.to_dict("records")}
    slices = []
    for case_id in chosen:
        payload = case_payload(workflow, rows[case_id])
        image, given = read_case(payload)
        predicted, dice, no_look = None, None, None
        if outlines is not None and case_id in outlines.index:
            predicted = read_mask(context.folder.path / str(outlines.loc[case_id, "mask_path"]), case_id=case_id)
            dice = float(outlines.loc[case_id, "dice"])
            no_look = float(outlines.loc[case_id, "dice_no_look"])
        slices.append(overlay(case_id, image, given, predicted, dice=dice, dice_no_look=no_look, modality=payload["modality"]))
    return tuple(slices)


def _map_pictures(context: Context, loaded: dict[str, pd.DataFrame]) -> tuple[MapPicture, ...]:
    """A few cases, spread over the volume, with the maps that selection used most (else the first), and their habitats.

    The habitats are those of the first fold whose test part the case is in: found without it.
    """
    workflow = context.workflow
    places = loaded.get("maps", pd.DataFrame())
    places = places[places["roi"] == workflow.segmentation.masks] if len(places) else places
    if not len(places) or not workflow.report.map_examples:
        return ()
    cohort = loaded["cohort"].set_index("case_id")
    by_volume = [case for case in cohort.sort_values("mask_volume_ml").index if case in set(places["case_id"])]
    # Not the very smallest and largest: the middle of each part of the range shows what most lesions look like.
    n = min(workflow.report.map_examples, len(by_volume))
    chosen = [by_volume[int((part + 0.5) * len(by_volume) / n)] for part in range(n)]
    labels = _habitats_without(context, loaded)
    pictures = []
    for case_id in chosen:
        payload = case_payload(workflow, {"case_id": case_id, **cohort.loc[case_id].to_dict()})
        image, outline = read_case(payload)
        maps = load_maps(context.folder.path / str(places[places["case_id"] == case_id].iloc[0]["path"]))
        where = tuple(maps.centres.T)
        if grid_differences(image.grid, maps.grid):  # the image was resampled for its maps
            image = resample_image(image, maps.grid)
            outline = Mask(maps.grid, np.zeros(maps.grid.shape, bool))
            outline.voxels[where] = True
        names = _names_shown(loaded.get("selection"), maps.columns)
        shown = {}
        for name in names:
            shown[name] = np.full(image.grid.shape, np.nan)
            shown[name][where] = maps.values(name)
        habitats = None
        if case_id in labels:
            habitats = np.zeros(image.grid.shape, np.uint8)
            habitats[where] = labels[case_id]
        pictures.append(map_picture(case_id, image, outline, shown, habitats, modality=payload["modality"]))
    return tuple(pictures)


def _names_shown(selection: pd.DataFrame | None, columns: tuple[str, ...], most: int = 3) -> list[str]:
    """The maps behind the features that were kept most often; filled up with the first ones."""
    found: list[str] = []
    if selection is not None and len(selection):
        kept = selection[selection["kept"] & selection["feature"].str.contains(MAP, regex=False)]
        times = kept["feature"].map(lambda name: str(name).partition(MAP)[0]).value_counts()
        found = sorted((name for name in times.index if name in columns), key=lambda name: (-times[name], name))
    return [*found, *(name for name in columns if name not in found)][:most]


def _habitats_without(context: Context, loaded: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """case -> habitat of each centre, by the first fold that tested the case."""
    habitats, splits = loaded.get("habitats", pd.DataFrame()), loaded["splits"]
    found: dict[str, Any] = {}
    if not len(habitats):
        return found
    for (repeat, fold), rows in habitats.groupby(["repeat", "fold"]):
        tested = splits[(splits["repeat"] == repeat) & (splits["fold"] == fold) & (splits["role"] == "test")]["case_id"]
        labels = load_labels(context.folder.path / str(rows.iloc[0]["path"]))
        for case_id in tested:
            if case_id in labels:
                found.setdefault(case_id, labels[case_id])
    return found


def _map_facts(workflow: Workflow) -> dict[str, tuple[str, str]]:
    """Map -> (unit of its values, what it measures)."""
    if workflow.maps is None:
        return {}
    rows = feature_dictionary(workflow.maps.extraction(workflow.features))
    return {row["name"]: (row["unit"], row["meaning"]) for row in rows}


def _stability(table: pd.DataFrame | None) -> dict[str, dict[str, float]]:
    if table is None:
        return {}
    kept = ["value", "ci_low", "ci_high"]
    return {str(row["sources"]): {name: float(row[name]) for name in kept} for row in table.to_dict("records")}


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

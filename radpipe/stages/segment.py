"""3. segment: an outline of every lesion by a network that never saw its patient."""

from __future__ import annotations

from typing import Any

import pandas as pd

from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.seeds import derive_seed
from radpipe.segmentation.plan import SegmentationFit, cross_fit_plan, full_plan
from radpipe.stages._parallel import Task
from radpipe.stages.cohort import case_payload, reading_parts
from radpipe.stages.context import Context, StageResult, engine_version

NAME = "segment"
NEEDS = ("cohort", "splits", "preprocessed")
MAKES = ("segmentation", "masks/", "probabilities/")


def plan(context: Context, cases: pd.DataFrame) -> list[SegmentationFit]:
    """Who is outlined by a network trained on whom."""
    workflow = context.workflow
    if workflow.segmentation.nesting == "full":
        splits = context.read(tables.SPLITS)
        splits = splits[splits["case_id"].isin(cases["case_id"])].merge(cases[["case_id", "patient_id"]], on="case_id")
        return full_plan(splits, workflow.segmentation.folds, workflow.seed)
    return cross_fit_plan(list(cases["case_id"]), list(cases["patient_id"]), workflow.segmentation.folds, workflow.seed)


def run(context: Context) -> StageResult:
    """Fit the networks of the plan, then outline every case by the network that left it out."""
    workflow = context.workflow
    if workflow.segmentation.masks == "given":
        context.folder.keep_only("masks", [])
        context.folder.keep_only("probabilities", [])
        return context.not_needed(NAME, [tables.SEGMENTATION], "masks: given")
    prepared = context.read(tables.PREPROCESSED)
    cases = context.read(tables.COHORT).merge(prepared, on="case_id", suffixes=("", "_prepared"))
    settings = workflow.segmentation.model_dump(mode="json")
    engine = engine_version("segmentation", "networks", "preprocessing", "io")
    fits = plan(context, cases)
    by_id = {row["case_id"]: row for row in cases.to_dict("records")}
    where = context.folder.path

    def fit_task(fit: SegmentationFit) -> Task:
        train = [by_id[case_id] for case_id in sorted(fit.train_ids)]
        seed = derive_seed(workflow.seed, NAME, fit.repeat, fit.fold, fit.part)
        examples = [
            (row["case_id"], str(where / row["image_path_prepared"]), str(where / row["mask_path_prepared"])) for row in train
        ]
        return Task(
            task_id=_fit_name(fit),
            key=content_key(stage="segment-fit", engine=engine, settings=settings, seed=seed, train={row["case_id"]: row["key"] for row in train}),
            payload={"examples": examples, "settings": settings, "seed": seed},
        )  # fmt: skip

    fitted = context.map(
        NAME,
        "radpipe.stages.work:fit_segmenter",
        [fit_task(fit) for fit in fits],
        preload="monai",
    )
    broken = {row["task_id"]: row for row in fitted.failures}
    failures: list[dict[str, str]] = []
    outlines: list[Task] = []
    about: dict[str, tuple[SegmentationFit, str]] = {}
    for fit in fits:
        name = _fit_name(fit)
        for case_id in sorted(fit.predict_ids):
            if name in broken:
                failures.append({
                    **broken[name], "case_id": case_id,
                    "problem": f"the segmentation network that should outline it ({name}) failed: {broken[name]['problem']}",
                })  # fmt: skip
                continue
            row = by_id[case_id]
            stored = fitted.done[name]
            task_id = f"{name}/{case_id}"
            about[task_id] = (fit, case_id)
            outlines.append(
                Task(
                    task_id=task_id,
                    key=content_key(stage="segment-outline", engine=engine, network=stored.key, prepared=row["key"], image=row["image_sha256"],
                                    mask=row["mask_sha256"], label=row["label"], settings=settings, **reading_parts(workflow)),
                    payload={
                        **case_payload(workflow, row),
                        "prepared_path": str(where / row["image_path_prepared"]),
                        "network_folder": str(stored.folder), "settings": settings,
                    },
                    case_id=case_id,
                    path=row["image_path"],
                )
            )  # fmt: skip
    outlined = context.map(NAME, "radpipe.stages.work:outline_case", outlines, preload="monai")
    failures += outlined.failures
    failed = {row["case_id"] for row in failures}
    rows: list[dict[str, Any]] = []
    for task_id, stored in outlined.done.items():
        fit, case_id = about[task_id]
        if case_id in failed:  # with nesting: full a case needs its outline in every fold, or the folds hold other patients
            continue
        published = context.folder.publish(stored.folder, case_id, fit.repeat, fit.fold)
        rows.append(
            {
                "repeat": fit.repeat,
                "fold": fit.fold,
                "case_id": case_id,
                "part": fit.part,
                **stored.row,
                "key": stored.key,
                **published,
            }
        )
    context.write(tables.SEGMENTATION, rows, csv=True)
    context.folder.keep_only("masks", [row["mask_path"] for row in rows])
    context.folder.keep_only("probabilities", [row["probability_path"] for row in rows])
    return context.finish(NAME, list(cases["case_id"]), sorted({row["case_id"] for row in rows}), failures)


def _fit_name(fit: SegmentationFit) -> str:
    outer = f"repeat {fit.repeat}, fold {fit.fold}, " if fit.repeat >= 0 else ""
    return f"segmentation network ({outer}part {fit.part})"

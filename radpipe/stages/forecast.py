"""``--dry-run``: what would run and what it will take, before anything is read but the manifest."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from radpipe.config import Workflow
from radpipe.io.run_folder import RunFolder
from radpipe.models.config import Cnn3dParams
from radpipe.stages.cohort import load_cases, manifest_path

# CPU seconds of one task, measured by `radpipe run workflows/sts_pet.yaml` on a 2-core x86-64 machine (windows of about
# 35 x 38 x 52 PET voxels): what one should expect of images of that size, and no more.
CPU_SECONDS = {
    "check": 0.05, "prepare": 0.05, "network epoch": 0.4, "outline": 0.15, "extract": 0.05, "maps": 0.4, "habitats": 2.0, "select": 0.8,
    "ann": 0.3, "cnn3d": 6.5, "logistic": 0.1, "xgboost": 0.2, "report": 15.0, "start of a worker": 20.0,
}  # fmt: skip
# Bytes, measured in the demo's run folder: store and published copies together.
BYTES = {
    "page": 2e6, "prepared": 122e3, "outline": 110e3, "segmenter": 700e3, "region": 20e3, "maps": 1.5e6, "ann": 40e3, "cnn3d": 310e3,
    "model": 15e3, "prediction": 60.0, "select": 28e3,
}  # fmt: skip


def cost(workflow: Workflow, rows: pd.DataFrame, workers: int) -> list[tuple[str, str, float]]:
    """(stage, what, CPU seconds) of a run on the manifest's rows; for images and lesions of about the demo's size."""
    n, folds = len(rows), workflow.splits.repeats * workflow.splits.folds
    segmentation = workflow.segmentation
    lines: list[tuple[str, str, float]] = [
        ("cohort", f"check {n} cases" if workflow.needs_images else f"{n} cases", n * CPU_SECONDS["check"])
    ]
    if workflow.needs_images:
        lines.append(("preprocess", f"{n} cases", n * CPU_SECONDS["prepare"]))
    outlines = 0
    if segmentation.masks == "predicted":
        full = segmentation.nesting == "full"
        networks = folds * (segmentation.folds + 1) if full else segmentation.folds
        outlines = n * folds if full else n
        spent = networks * segmentation.epochs * CPU_SECONDS["network epoch"] + outlines * CPU_SECONDS["outline"]
        lines.append(("segment", f"{networks} networks, {outlines} outlines", spent))
    if workflow.features.table is None:
        regions = n + outlines
        lines.append(("extract", f"{regions} regions, engine {workflow.features.engine}", regions * CPU_SECONDS["extract"]))
        if workflow.maps is not None:
            every = workflow.maps.stride**3
            lines.append(("extract", f"maps of {regions} regions", regions * CPU_SECONDS["maps"] / every))
            if workflow.maps.habitats is not None:
                lines.append(("habitats", f"{folds} outer folds", folds * CPU_SECONDS["habitats"]))
    if workflow.patients is not None:
        lines.append(("patients", f"{rows['patient_id'].nunique()} rows of patients, rule {workflow.patients.rule}", 0.0))
    sets = {workflow.sources_of(model) for model in workflow.models.values() if model.inputs == "selected"}
    if sets:
        of_what = f", {len(sets)} sets of inputs" if len(sets) > 1 else ""
        lines.append(("select", f"{folds} outer folds{of_what}", folds * len(sets) * CPU_SECONDS["select"]))
    for name, model in workflow.models.items():
        lines.append(
            ("train", f"{name}: {folds} fits ({model.kind} on {model.inputs})", folds * CPU_SECONDS.get(model.kind, 1.0))
        )
    lines.append(("report", "evaluate, compare, report", CPU_SECONDS["report"]))
    lines.append(("workers", f"{workers} to start", workers * CPU_SECONDS["start of a worker"]))
    return lines


def disk_bytes(workflow: Workflow, rows: pd.DataFrame) -> float:
    """What the run folder will hold. Measured on the demo (34 cases, 28 MB): see BYTES."""
    n, folds = len(rows), workflow.splits.repeats * workflow.splits.folds
    total = BYTES["page"]
    outlines = 0
    if workflow.segmentation.masks == "predicted":
        full = workflow.segmentation.nesting == "full"
        outlines = n * folds if full else n
        networks = folds * (workflow.segmentation.folds + 1) if full else workflow.segmentation.folds
        total += outlines * BYTES["outline"] + networks * BYTES["segmenter"]
    if workflow.needs_images:
        total += n * BYTES["prepared"]
    if workflow.features.table is None:
        regions = (n + outlines) * (1 if workflow.maps is None else 1 + BYTES["maps"] / BYTES["region"])
        total += regions * BYTES["region"]
    for model in workflow.models.values():
        kind = model.kind
        total += folds * (BYTES.get(kind, BYTES["model"]) + n * BYTES["prediction"])
        if isinstance(model, Cnn3dParams):
            copies = folds if workflow.segmentation.masks == "predicted" and workflow.segmentation.nesting == "full" else 1
            total += n * copies * 4.0 * math.prod(model.crop_voxels) * (1 + model.mask_channel)
    return total + folds * BYTES["select"]


def forecast(workflow: Workflow, out: Path, workers: int | None) -> str:
    """A plain table in text; raises what the run itself would raise for a wrong manifest or folder."""
    folder = RunFolder(out)
    folder.check_claim(workflow.name)
    rows, problems = load_cases(workflow)
    n = len(rows)
    wanted = workers or workflow.compute.count
    lines = cost(workflow, rows, wanted)
    total = sum(seconds for *_, seconds in lines)
    text = [f"{workflow.name}: {n} cases from {manifest_path(workflow).name} -> {out}", ""]
    text += [f"  {stage:<11}{what:<44}{seconds:>8.0f} CPU s" for stage, what, seconds in lines]
    text += [
        "",
        f"  about {total:.0f} CPU s, {total / wanted / 60:.1f} minutes with {wanted} worker(s), if the images are the size of the demo's;",
        f"  about {disk_bytes(workflow, rows) / 1e6:.0f} MB of disk for the run folder;",
        f"  at most {wanted * workflow.compute.case_memory_mb / 1000:.1f} GB of memory for the cases "
        f"({workflow.compute.case_memory_mb} MB each, then the case is ended).",
        "  What an earlier run left in the folder and still fits is not computed again.",
    ]  # fmt: skip
    if problems:
        text += ["", f"  {len(problems)} case(s) would fail:"] + [f"    {problem}" for problem in problems]
    return "\n".join(text)

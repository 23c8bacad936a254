"""``--dry-run``: what would run and what it will take, before anything is read but the manifest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from radpipe.config import Workflow
from radpipe.io.run_folder import RunFolder
from radpipe.models.config import Cnn3dParams
from radpipe.stages.cohort import load_cases, manifest_path

# Seconds of one task from its start to its end, its process included, measured by `radpipe run workflows/sts_pet.yaml` on a 2-core x86-64
# machine with 2 workers (378 s in all; windows of about 35 x 38 x 52 PET voxels): what to expect of images of that size, and no more.
SECONDS = {
    "check": 0.09, "prepare": 0.13, "network epoch": 0.58, "outline": 0.35, "extract": 0.18, "maps": 0.7, "habitats": 2.7, "select": 1.4,
    "ann": 0.34, "cnn3d": 8.2, "logistic": 0.3, "xgboost": 0.36, "forest": 0.68, "svm": 0.36, "average": 0.25, "prevalence": 0.17,
    "linear": 0.3, "cox": 0.3, "given": 0.17, "embed": 0.24, "judge a model": 1.2, "page": 5.0, "start": 12.0,
}  # fmt: skip
# Bytes, measured in the demo's run folder: store and published copies together.
BYTES = {
    "page": 2e6, "prepared": 122e3, "outline": 110e3, "segmenter": 700e3, "region": 20e3, "maps": 1.5e6, "ann": 40e3, "cnn3d": 310e3,
    "model": 15e3, "prediction": 60.0, "select": 28e3,
}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Part of a run: tasks that share nothing, each of so many seconds. alone : not the workers' but the run's own work."""

    stage: str
    what: str
    tasks: int
    each: float
    alone: bool = False

    @property
    def seconds(self) -> float:
        return self.tasks * self.each

    def elapsed(self, workers: int) -> float:
        """By the clock: a worker has one task at a time, so five networks take three rounds of two workers."""
        return self.seconds if self.alone else math.ceil(self.tasks / workers) * self.each


def elapsed(lines: Sequence[Cost], workers: int) -> float:
    """Seconds of a whole run by the clock."""
    return SECONDS["start"] + sum(line.elapsed(workers) for line in lines)


def cost(workflow: Workflow, rows: pd.DataFrame) -> list[Cost]:
    """What a run on the manifest's rows is made of; for images and lesions of about the demo's size."""
    n, folds = len(rows), workflow.splits.repeats * workflow.splits.folds
    segmentation = workflow.segmentation
    lines = [
        Cost("cohort", f"check {n} cases", n, SECONDS["check"]) if workflow.needs_images else Cost("cohort", f"{n} cases", 0, 0.0)
    ]
    if workflow.needs_images:
        lines.append(Cost("preprocess", f"{n} cases", n, SECONDS["prepare"]))
    outlines = 0
    if segmentation.masks == "predicted":
        full = segmentation.nesting == "full"
        networks = folds * (segmentation.folds + 1) if full else segmentation.folds
        outlines = n * folds if full else n
        lines.append(Cost("segment", f"{networks} networks", networks, segmentation.epochs * SECONDS["network epoch"]))
        lines.append(Cost("segment", f"{outlines} outlines", outlines, SECONDS["outline"]))
    if workflow.features.table is None:
        regions = n + outlines
        lines.append(Cost("extract", f"{regions} regions, engine {workflow.features.engine}", regions, SECONDS["extract"]))
        if workflow.maps is not None:
            every = workflow.maps.stride**3
            lines.append(Cost("extract", f"maps of {regions} regions", regions, SECONDS["maps"] / every))
            if workflow.maps.habitats is not None:
                lines.append(Cost("habitats", f"{folds} outer folds", folds, SECONDS["habitats"]))
    if workflow.patients is not None:
        lines.append(Cost("patients", f"{rows['patient_id'].nunique()} rows of patients, rule {workflow.patients.rule}", 0, 0.0))
    if workflow.embedding_model is not None:
        lines.append(Cost("embed", f"{folds} outer folds, by {workflow.embedding_model}", folds, SECONDS["embed"]))
    sets = {workflow.sources_of(model) for model in workflow.models.values() if model.inputs == "selected"}
    if sets:
        of_what = f", {len(sets)} sets of inputs" if len(sets) > 1 else ""
        lines.append(Cost("select", f"{folds} outer folds{of_what}", folds * len(sets), SECONDS["select"]))
    for name, model in workflow.models.items():
        eaten = model.inputs if isinstance(model.inputs, str) else " and ".join(model.inputs)
        lines.append(Cost("train", f"{name}: {folds} fits ({model.kind} on {eaten})", folds, SECONDS[model.kind]))
    lines.append(
        Cost(
            "report", f"evaluate and compare {len(workflow.models)} models", len(workflow.models), SECONDS["judge a model"], True
        )
    )
    lines.append(Cost("report", "the page", 1, SECONDS["page"], True))
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
    lines = cost(workflow, rows)
    text = [f"{workflow.name}: {n} cases from {manifest_path(workflow).name} -> {out}", ""]
    text += [f"  {line.stage:<11}{line.what:<50}{line.seconds:>7.0f} s" for line in lines]
    text += [
        "",
        f"  about {elapsed(lines, wanted) / 60:.1f} minutes with {wanted} worker(s) of one core each, if the images are the size of the demo's;",
        f"  about {disk_bytes(workflow, rows) / 1e6:.0f} MB of disk for the run folder;",
        f"  at most {wanted * workflow.compute.case_memory_mb / 1000:.1f} GB of memory for the cases "
        f"({workflow.compute.case_memory_mb} MB each, then the case is ended).",
        "  What an earlier run left in the folder and still fits is not computed again.",
    ]  # fmt: skip
    if problems:
        text += ["", f"  {len(problems)} case(s) would fail:"] + [f"    {problem}" for problem in problems]
    return "\n".join(text)

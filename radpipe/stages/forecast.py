"""``--dry-run``: what would run and what it will take, before anything is read but the manifest."""

from __future__ import annotations

from pathlib import Path

from radpipe.config import Workflow
from radpipe.io.run_folder import RunFolder
from radpipe.stages.cohort import load_cases, manifest_path

# CPU seconds of one task, measured by `radpipe run workflows/sts_pet.yaml` on a 2-core x86-64 machine (windows of about
# 35 x 38 x 52 PET voxels): what one should expect of images of that size, and no more.
CPU_SECONDS = {
    "check": 0.05, "prepare": 0.05, "network epoch": 0.4, "outline": 0.15, "extract": 0.05, "maps": 0.4, "habitats": 2.0, "select": 0.8,
    "ann": 0.3, "cnn3d": 6.5, "logistic": 0.1, "xgboost": 0.2, "report": 15.0, "start of a worker": 20.0,
}  # fmt: skip


def forecast(workflow: Workflow, out: Path, workers: int | None) -> str:
    """A plain table in text; raises what the run itself would raise for a wrong manifest or folder."""
    folder = RunFolder(out)
    folder.check_claim(workflow.name)
    rows, problems = load_cases(workflow)
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
        cost = networks * segmentation.epochs * CPU_SECONDS["network epoch"] + outlines * CPU_SECONDS["outline"]
        lines.append(("segment", f"{networks} networks, {outlines} outlines", cost))
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
    wanted = workers or workflow.compute.count
    lines.append(("workers", f"{wanted} to start", wanted * CPU_SECONDS["start of a worker"]))
    total = sum(seconds for *_, seconds in lines)
    text = [f"{workflow.name}: {n} cases from {manifest_path(workflow).name} -> {out}", ""]
    text += [f"  {stage:<11}{what:<44}{seconds:>8.0f} CPU s" for stage, what, seconds in lines]
    text += [
        "",
        f"  about {total:.0f} CPU s, {total / wanted / 60:.1f} minutes with {wanted} worker(s), if the images are the size of the demo's;",
        f"  at most {wanted * workflow.compute.case_memory_mb / 1000:.1f} GB of memory for the cases "
        f"({workflow.compute.case_memory_mb} MB each, then the case is ended).",
        "  What an earlier run left in the folder and still fits is not computed again.",
    ]  # fmt: skip
    if problems:
        text += ["", f"  {len(problems)} case(s) would fail:"] + [f"    {problem}" for problem in problems]
    return "\n".join(text)

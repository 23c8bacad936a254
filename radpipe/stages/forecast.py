"""``--dry-run``: what would run and what it will take, before anything is read but the manifest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from radpipe.config import Workflow
from radpipe.io.run_folder import RunFolder
from radpipe.models.config import Cnn3dParams, inputs_of
from radpipe.stages import control_models
from radpipe.stages.cohort import load_cases, manifest_path

# Seconds of one task from its start to its end, its process included, measured by `radpipe run workflows/sts_pet.yaml` on a 2-core x86-64
# machine with 2 workers (378 s in all; windows of about 35 x 38 x 52 PET voxels): what to expect of images of that size, and no more.
SECONDS = {
    "check": 0.09, "prepare": 0.13, "network epoch": 0.58, "outline": 0.35, "extract": 0.18, "maps": 0.7, "habitats": 2.7, "select": 1.4,
    "ann": 0.34, "cnn3d": 8.2, "logistic": 0.3, "xgboost": 0.36, "forest": 0.68, "svm": 0.36, "average": 0.25, "prevalence": 0.17,
    "linear": 0.3, "cox": 0.3, "given": 0.17, "embed": 0.24, "judge a model": 1.2, "page": 5.0, "start": 12.0, "turn": 1.0, "alter": 0.2,
}  # fmt: skip
# What a thousand columns of noise add to a selection, and to the fit of a model that eats all features: by the CPU seconds and the
# bytes of workflows/sts_pet_full.yaml, with its noise and without.
MORE_SECONDS = {"select": 0.35, "features": 1.0}
MORE_BYTES = {"select": 175e3, "features": 225e3}
# Bytes, measured in the demo's run folder: store and published copies together.
BYTES = {
    "page": 2e6, "prepared": 122e3, "outline": 110e3, "segmenter": 700e3, "region": 20e3, "maps": 1.5e6, "ann": 40e3, "cnn3d": 310e3,
    "xgboost": 140e3, "forest": 95e3, "svm": 70e3, "model": 15e3, "altered": 76e3, "prediction": 60.0, "select": 28e3,
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


@dataclass(frozen=True)
class Again:
    """A control: parts of the run once more, one after another, and all that so many times."""

    stage: str
    what: str
    parts: tuple[Cost, ...]
    times: int = 1

    @property
    def seconds(self) -> float:
        return self.times * sum(part.seconds for part in self.parts)

    def elapsed(self, workers: int) -> float:
        """By the clock: a permutation waits for the one before it, so its few folds are shared out anew each time."""
        return self.times * sum(part.elapsed(workers) for part in self.parts)


def _sets(workflow: Workflow) -> set[tuple[str, ...]]:
    """Selection runs once for every set of columns that a model may choose among."""
    return {tuple(workflow.sources_of(model)) for model in workflow.models.values() if "selected" in inputs_of(model)}


def elapsed(lines: Sequence[Cost | Again], workers: int) -> float:
    """Seconds of a whole run by the clock."""
    return SECONDS["start"] + sum(line.elapsed(workers) for line in lines)


def controls_seconds(workflow: Workflow, rows: pd.DataFrame, workers: int) -> float:
    """By the clock, of the controls that the workflow asks for, or would by default; what ``--controls`` adds to a run."""
    asking = workflow if workflow.controls is not None else workflow.with_controls()
    return sum(control.elapsed(workers) for control, _ in _controls(asking, rows))


def cost(workflow: Workflow, rows: pd.DataFrame) -> list[Cost | Again]:
    """What a run on the manifest's rows is made of; for images and lesions of about the demo's size."""
    judged = len(workflow.models)
    return [
        *_stages(workflow, rows),
        *(control for control, _ in _controls(workflow, rows)),
        Cost("report", f"evaluate and compare {judged} models", judged, SECONDS["judge a model"], True),
        Cost("report", "the page", 1, SECONDS["page"], True),
    ]


def _stages(workflow: Workflow, rows: pd.DataFrame) -> list[Cost]:
    """From the cohort to the fits."""
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
    sets = _sets(workflow)
    if sets:
        of_what = f", {len(sets)} sets of inputs" if len(sets) > 1 else ""
        lines.append(Cost("select", f"{folds} outer folds{of_what}", folds * len(sets), SECONDS["select"]))
    for name, model in workflow.models.items():
        eaten = model.inputs if isinstance(model.inputs, str) else " and ".join(model.inputs)
        lines.append(Cost("train", f"{name}: {folds} fits ({model.kind} on {eaten})", folds, SECONDS[model.kind]))
    return lines


def _controls(workflow: Workflow, rows: pd.DataFrame) -> list[tuple[Again, float]]:
    """Every control that the run will make, of the stages that the controls stage walks, and the bytes of its folder."""
    settings = workflow.controls
    if settings is None:
        return []
    n, found = len(rows), []
    name = control_models.of_permuted(workflow, settings)
    if name is not None:
        times, once = settings.permutations, _only(workflow, [name], repeats=1)
        parts = [
            *_parts(once, rows, "select", "train"),
            Cost("controls", "what is read and written between", 1, SECONDS["turn"], True),
        ]
        line = Again("controls", f"{times} permuted outcomes: {name}, {once.splits.folds} folds each", tuple(parts), times)
        found.append((line, times * _fits_bytes(once, n)))
    names = control_models.of_noise(workflow, settings)
    if names:
        own, thousands = _only(workflow, names), settings.noise_columns / 1000
        wide = ["features" in inputs_of(model) for model in own.models.values()]
        select, train = _parts(own, rows, "select"), _parts(own, rows, "train")
        parts = [replace(line, each=line.each + thousands * MORE_SECONDS["select"]) for line in select]
        parts += [
            replace(line, each=line.each + more * thousands * MORE_SECONDS["features"])
            for line, more in zip(train, wide, strict=True)
        ]
        folds = own.splits.repeats * own.splits.folds
        line = Again("controls", f"{settings.noise_columns} columns of noise: {_models(names)}, {folds} folds", tuple(parts))
        more_bytes = thousands * folds * (len(_sets(own)) * MORE_BYTES["select"] + sum(wide) * MORE_BYTES["features"])
        found.append((line, _fits_bytes(own, n) + more_bytes))
    names = control_models.of_altered_images(workflow, settings)
    if names:
        own = _only(workflow, names)
        for kind in ("shuffled voxels", "random region"):
            parts = [
                Cost("controls", f"{n} cases altered", n, SECONDS["alter"], True),
                *_parts(own, rows, "preprocess", "extract", "habitats", "select", "train"),
            ]
            line = Again("controls", f"{kind}: {_models(names)}, {own.splits.repeats * own.splits.folds} folds", tuple(parts))
            found.append((line, n * BYTES["altered"] + _cases_bytes(own, n, networks=False) + _fits_bytes(own, n)))
    return found


def _only(workflow: Workflow, names: Sequence[str], **splits: int) -> Workflow:
    """The workflow of a control: some of the models, and no controls of its own."""
    return workflow.model_copy(
        update={
            "models": {name: workflow.models[name] for name in names}, "controls": None, "splits": workflow.splits.model_copy(update=splits),
        }
    )  # fmt: skip


def _parts(workflow: Workflow, rows: pd.DataFrame, *stages: str) -> list[Cost]:
    return [line for line in _stages(workflow, rows) if line.stage in stages]


def _models(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} models"


def disk_bytes(workflow: Workflow, rows: pd.DataFrame) -> float:
    """What the run folder will hold, its controls too. Measured on the demo (34 cases; 10 x 5 folds 54 MB without controls): see BYTES."""
    n = len(rows)
    own = BYTES["page"] + _cases_bytes(workflow, n, networks=True) + _fits_bytes(workflow, n)
    return own + sum(held for _, held in _controls(workflow, rows))


def _cases_bytes(workflow: Workflow, n: int, *, networks: bool) -> float:
    """Prepared images, outlines and features. networks : those that outline are fitted here, and their outlines stored."""
    folds = workflow.splits.repeats * workflow.splits.folds
    total, outlines = 0.0, 0
    if workflow.segmentation.masks == "predicted":
        full = workflow.segmentation.nesting == "full"
        outlines = n * folds if full else n
        fitted = folds * (workflow.segmentation.folds + 1) if full else workflow.segmentation.folds
        total += (outlines * BYTES["outline"] + fitted * BYTES["segmenter"]) if networks else 0.0
    if workflow.needs_images:
        total += n * BYTES["prepared"]
    if workflow.features.table is None:
        regions = (n + outlines) * (1 if workflow.maps is None else 1 + BYTES["maps"] / BYTES["region"])
        total += regions * BYTES["region"]
    return total


def _fits_bytes(workflow: Workflow, n: int) -> float:
    """Models, their crops and predictions, and what was selected."""
    folds = workflow.splits.repeats * workflow.splits.folds
    total = folds * len(_sets(workflow)) * BYTES["select"]
    for model in workflow.models.values():
        total += folds * (BYTES.get(model.kind, BYTES["model"]) + n * BYTES["prediction"])
        if isinstance(model, Cnn3dParams):
            copies = folds if workflow.segmentation.masks == "predicted" and workflow.segmentation.nesting == "full" else 1
            total += n * copies * 4.0 * math.prod(model.crop_voxels) * (1 + model.mask_channel)
    return total


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

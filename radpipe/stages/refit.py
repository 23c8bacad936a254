"""A finished run's models, refitted on all its patients, on new ones.

A refit is one more fold: all patients of the run train and select, the new ones stand in the test part, and the stages of the run do
the rest, from images to predictions. So a refit and a fold share every line of code, and nothing of the new patients reaches a fit.
Where a network outlined the run's patients, one network of all their outlines outlines the new ones. It works in RUN/refit with the
run's store: what is there is not computed again.

``radpipe predict`` scores new patients by it. ``radpipe compare --external`` judges it: there the new patients' outcomes are read, whom
the models saw is refused, and the refit is made a second time without the new patients, so that the weights of both can be held against
each other (refit_judged.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from radpipe.config import Workflow
from radpipe.core import tables
from radpipe.core.registry import nearest
from radpipe.errors import ConfigError, RunError
from radpipe.io.cohort_folder import MANIFEST
from radpipe.io.run_folder import RunFolder
from radpipe.io.store import Store
from radpipe.io.tables import read_table
from radpipe.models.config import AverageParams
from radpipe.stages import embed, extract, habitats, patients, preprocess, select, train
from radpipe.stages._pool import Pool
from radpipe.stages._progress import Progress
from radpipe.stages.context import Context, engine_version
from radpipe.stages.fitting import ROOMS
from radpipe.stages.refit_cases import known_rows, load_base, meet, new_rows
from radpipe.stages.refit_judged import read_truths, refuse_known, unchanged, weights_of

REFIT: tuple[ModuleType, ...] = (preprocess, extract, habitats, patients, embed, select, train)
FAILURE_COLUMNS = ("case_id", "stage", "error", "path", "problem", "hint")


@dataclass(frozen=True)
class Predicted:
    """rows : one a new case and model. failures : of new cases. fitted_on : patients the models were refitted on. seen : ids of
    new patients who, or whose images, are among these.

    Of judged ones: fits : the refit's table FITS. truths : case -> y_true, and time or value. weights : file in the run folder ->
    its SHA-256 as fitted without the new patients, and after they were predicted.
    """

    rows: list[dict[str, Any]]
    failures: list[dict[str, str]]
    fitted_on: int
    seen: tuple[str, ...]
    fits: pd.DataFrame = field(default_factory=pd.DataFrame)
    truths: dict[str, dict[str, float]] = field(default_factory=dict)
    weights: dict[str, tuple[str, str]] = field(default_factory=dict)


def refit(
    run: Path,
    cohort: Path,
    *,
    models: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
    judged: bool = False,
) -> Predicted:
    """Refit and score; writes RUN/refit alone. judged : the new patients' outcomes are read, for a comparison.

    Then CohortError also where a new patient, or an image or outline of one, is among the run's; where the outcome is another one or
    coded otherwise, or has one class only; RunError where the weights are not the same with and without the new patients.
    """
    folder = RunFolder(run)
    workflow, base = _workflow_of(folder)
    chosen = _chosen(workflow, models)
    manifest = cohort / MANIFEST if cohort.is_dir() else cohort
    with folder.lock(), _context(workflow, folder, chosen, base, workers, progress) as context:
        fresh, failures = new_rows(context, manifest)
        known = known_rows(context, folder)
        truths: dict[str, dict[str, float]] = {}
        if judged:
            truths, faults = read_truths(context, fresh, manifest)
            failures += faults
            fresh = fresh[fresh["own_id"].isin(truths)]
            refuse_known(read_table(folder.table(tables.COHORT.name), tables.COHORT), fresh, manifest)
        names = {str(row["case_id"]): row for row in fresh.to_dict("records")}
        weights: list[dict[str, str]] = []
        for rows in ([fresh.iloc[:0]] if judged else []) + ([fresh] if len(fresh) else []):
            meet(context, folder, known, rows, manifest)
            for stage in REFIT:
                context.progress.start_stage(stage.NAME)
                result = stage.run(context)
                context.progress.end_stage(stage.NAME, f"{result.cases_out} of {result.cases_in}")
            weights.append(weights_of(context, folder) if judged else {})
        found = _result(context, folder, names, failures, chosen, known)
        if judged and len(fresh):
            found = replace(found, fits=context.read(tables.FITS), truths=truths, weights=unchanged(*weights))
    return found


# the run


def _workflow_of(folder: RunFolder) -> tuple[Workflow, Path]:
    if not folder.config.is_file() or not folder.origin.is_file() or not folder.table(tables.PREDICTIONS.name).is_file():
        raise RunError(
            "there is no finished run here.",
            hint="Name the folder that `radpipe run` wrote, or finish that run first.",
            path=folder.path,
        )
    origin = json.loads(folder.origin.read_text(encoding="utf-8"))
    if origin["engine"] != engine_version(*ROOMS):
        raise RunError(
            "the run was made by another version of radpipe or of its libraries, so its figures are not those of the models that would "
            "be fitted now.",
            hint="Run the workflow again (what has not changed is kept), or use the version that made it.", path=folder.path,
        )  # fmt: skip
    workflow = load_base(folder)
    return workflow, workflow._base


def _chosen(workflow: Workflow, models: Sequence[str]) -> list[str]:
    for name in models:
        if name not in workflow.models:
            raise ConfigError(
                f"the run has no model {name!r}.{nearest(name, workflow.models)}", hint=f"It has: {', '.join(workflow.models)}."
            )
    return list(models) or list(workflow.models)


def _needed(workflow: Workflow, chosen: Sequence[str]) -> dict[str, Any]:
    """The chosen models and those that they are made of."""
    names = set(chosen)
    for name in chosen:
        model = workflow.models[name]
        names |= set(model.of) if isinstance(model, AverageParams) else set()
    subset = {name: model for name, model in workflow.models.items() if name in names}
    deep = workflow.model_copy(update={"models": subset, "embedding": workflow.embedding_model}).embedding_model
    return {name: model for name, model in workflow.models.items() if name in names or name == deep}


@contextmanager
def _context(
    workflow: Workflow, folder: RunFolder, chosen: Sequence[str], base: Path, workers: int | None, progress: Progress | None
) -> Iterator[Context]:
    """The refit's own folder of tables within the run, with the run's store."""
    own = RunFolder(folder.path / "refit")
    own.store = folder.store
    own.path.mkdir(exist_ok=True)
    for path in own.path.glob("*.parquet"):  # of an earlier call, with other patients
        path.unlink()
    changed = {
        "models": _needed(workflow, chosen), "embedding": workflow.embedding_model,
        "cohort": workflow.cohort.model_copy(update={"manifest": str(own.path / MANIFEST)}),
        "segmentation": workflow.segmentation.model_copy(update={"masks": "given"}),
    }  # fmt: skip
    if workflow.features.table is not None:
        changed["features"] = workflow.features.model_copy(update={"table": str(own.path / "features_in.csv")})
    refit = workflow.model_copy(update=changed)
    refit._base = base
    compute = workflow.compute
    pool = Pool(
        workers or compute.count, scheduler=compute.scheduler, memory_mb=compute.case_memory_mb, timeout_s=compute.case_timeout_s,
        log=folder.log,
    )  # fmt: skip
    with Store(folder.store) as store, pool:
        store.sweep()
        yield Context(refit, own, store, pool, progress or Progress(quiet=True), ("", str(folder.path)))


# what is told


def _result(
    context: Context, folder: RunFolder, names: dict[str, dict[str, Any]], failures: list[dict[str, str]], chosen: Sequence[str],
    known: pd.DataFrame,
) -> Predicted:  # fmt: skip
    def own(case_id: str) -> str:
        return str(names[case_id]["own_id"]) if case_id in names else case_id

    if not names:
        return Predicted([], failures, 0, ())
    cohort = context.read(tables.COHORT).set_index("case_id")
    images, ids = set(known["image_sha256"]) - {""}, set(known["patient_id"].astype(str))
    seen_cases = {
        case_id for case_id, row in names.items()
        if str(row["own_patient"]) in ids or (case_id in cohort.index and cohort.loc[case_id, "image_sha256"] in images)
    }  # fmt: skip
    predictions = context.read(tables.PREDICTIONS)
    fits = context.read(tables.FITS).set_index("model")
    fitted_on = {thing: len(saw) for (_, _, stage, thing), saw in context.seen().items() if stage == "train"}
    said = [name for name in predictions.columns if name.startswith("p_") or name == "score"]
    rows = []
    for row in predictions[(predictions["role"] == "test") & predictions["model"].isin(chosen)].to_dict("records"):
        case_id, model = str(row["case_id"]), str(row["model"])
        rows.append(
            {
                "case_id": own(case_id), "patient_id": str(names[case_id]["own_patient"]), "model": model,
                **{name: row[name] for name in said if pd.notna(row[name])},
                **({"threshold": float(fits.loc[model, "threshold"])} if pd.notna(fits.loc[model, "threshold"]) else {}),
                "seen": "yes" if case_id in seen_cases else "no",
                "fitted_on": fitted_on[model],
            }
        )  # fmt: skip
    rows.sort(key=lambda row: (row["case_id"], list(context.workflow.models).index(row["model"])))
    for row in context.read(tables.FAILURES).to_dict("records"):
        mine = str(row["case_id"]) in names
        if mine or row["stage"] in ("train", "select", "embed", "habitats"):
            failures.append({name: str(row[name]) for name in FAILURE_COLUMNS} | {"case_id": own(str(row["case_id"]))})
    seen = tuple(sorted({str(names[case_id]["own_patient"]) for case_id in seen_cases}))
    return Predicted(rows, failures, max(fitted_on.values(), default=0), seen)

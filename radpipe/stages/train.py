"""9. train: every model on every outer fold, features and images alike, into one table of predictions."""

from __future__ import annotations

from typing import Any

import pandas as pd

from radpipe.core import tables
from radpipe.io.store import StoredResult
from radpipe.models.config import AverageParams
from radpipe.models.guard import refuse_seen
from radpipe.stages.context import Context, StageResult
from radpipe.stages.fitting import Fits, fit_tasks, preload_for, take_part

NAME = "train"
NEEDS = (
    "cohort",
    "splits",
    "features",
    "selection",
    "preprocessed",
    "segmentation where masks: predicted",
    "seen",
    "embedding where asked for",
)
MAKES = ("predictions", "fits", "seen", "models/")
TRUTHS: dict[str, tuple[str, ...]] = {"classes": (), "number": ("value",), "time_to_event": ("time",)}
NO_PROBABILITY = {"p_0": float("nan"), "p_1": float("nan")}


def run(context: Context) -> StageResult:
    """One task per (repeat, fold, model), models that average others last. All models meet the same cases."""
    workflow = context.workflow
    fits = take_part(context)
    preload = preload_for(workflow)
    averages = [name for name, model in fits.models.items() if isinstance(model, AverageParams)]
    result = context.map(
        NAME,
        "radpipe.stages.work:fit_model",
        fit_tasks(fits, [name for name in fits.models if name not in averages]),
        preload=preload,
    )
    done, failures = dict(result.done), list(result.failures)
    if averages:
        members = {fits.about[task_id][:3]: stored for task_id, stored in done.items()}
        later = context.map(NAME, "radpipe.stages.work:fit_model", fit_tasks(fits, averages, members), preload=preload)
        done |= later.done
        failures += later.failures
    _check_and_record(context, fits, done)
    predictions, rows = _rows(context, fits, done)
    context.write(tables.PREDICTIONS, predictions, csv=True)
    context.write(tables.FITS, rows, csv=True)
    context.folder.keep_only("models", [row["model_path"] for row in rows])
    note = f"without {', '.join(fits.dropped)}: nothing tells the volume" if fits.dropped else ""
    return context.finish(NAME, fits.entering, fits.alive, [*fits.failures, *fits.without, *failures], note=note)


def _rows(context: Context, fits: Fits, done: dict[str, StoredResult]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of PREDICTIONS and of FITS."""
    role = {(r, f, c): part for r, f, c, part in fits.parts[["repeat", "fold", "case_id", "role"]].itertuples(index=False)}
    kind = context.workflow.cohort.outcome_kind
    truth = {
        str(row["case_id"]): {"y_true": int(row["outcome"])} | {name: float(row[name]) for name in TRUTHS[kind]}
        for row in fits.cohort.reset_index().to_dict("records")
    }
    predictions, rows = [], []
    for task_id, stored in done.items():
        repeat, fold, name, seed = fits.about[task_id]
        key = {"repeat": repeat, "fold": fold, "seed": seed, "model": name}
        for case_id, own in stored.row["probabilities"].items():
            known = {"role": role[repeat, fold, case_id], **truth[case_id], **NO_PROBABILITY}
            said = {f"p_{place}": p for place, p in enumerate(own)}
            if kind != "classes":
                said["score"] = stored.row["scores"][case_id]
            predictions.append({**key, "case_id": case_id, **known, **said})
        model_path = context.folder.publish_model(stored.folder, name, repeat, fold)
        rows.append({**key, **stored.row["facts"], "saw_sha256": stored.row["saw_sha256"], "model_path": model_path})
    return predictions, rows


def _check_and_record(context: Context, fits: Fits, done: dict[str, StoredResult]) -> None:
    """Whom everything fitted has seen, of every stage, against the test part of its fold: before any prediction is believed."""
    own = [
        (*fits.about[task_id][:2], f"{fits.about[task_id][2]} {thing}".strip(), saw)
        for task_id, stored in done.items()
        for thing, saw in stored.row["saw"].items()
        if not thing.startswith("upstream")
    ]
    context.write_seen(NAME, own)
    check_seen(context.seen(), fits.parts, fits.cohort)


def check_seen(seen: dict[tuple[int, int, str, str], list[str]], parts: pd.DataFrame, cohort: pd.DataFrame) -> None:
    """RunError (kind leakage) where anything that was fitted in a fold has seen a patient of its test part."""
    tested = parts[parts["role"] == "test"]
    patients = {
        (int(repeat), int(fold)): set(cohort.loc[rows["case_id"], "patient_id"].astype(str))
        for (repeat, fold), rows in tested.groupby(["repeat", "fold"])
    }
    for (repeat, fold, stage, thing), saw in seen.items():
        refuse_seen(saw, patients.get((repeat, fold), set()), model=f"{stage}: {thing} (repeat {repeat}, fold {fold})")

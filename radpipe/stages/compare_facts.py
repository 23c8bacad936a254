"""What stands beside the difference of two models: how good each is by itself, what it cost, how it did on what it learnt from."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from radpipe.comparison.sides import Together
from radpipe.core import tables
from radpipe.errors import FileProblem, SchemaError
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.curves import decision_curves
from radpipe.evaluation.held_out import evaluate_held_out
from radpipe.evaluation.metrics import evaluate
from radpipe.io.models import load_model
from radpipe.io.run_folder import RunFolder
from radpipe.io.tables import read_table
from radpipe.stages.compare_sources import Source

OF_CALLS = ("sensitivity", "specificity")


def settings_of(sources: Sequence[Source]) -> tuple[EvaluationSettings, float | None]:
    """The first run's settings of the evaluation, and its horizon; the defaults where there is none."""
    runs = [source.settings for source in sources if source.settings]
    if not runs:
        return EvaluationSettings(), None
    return EvaluationSettings.model_validate(runs[0].get("evaluation") or {}), (runs[0].get("cohort") or {}).get("horizon")


def metrics_and_curves(sources: Sequence[Source], both: Together) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables METRICS and DECISION_CURVES of all models under their names in ``both``: those that a run has, else made now."""
    settings, horizon = settings_of(sources)
    metrics, curves = [], []
    for k, source in enumerate(sources):
        own = {name: new for new, (place, name) in both.sources.items() if place == k}
        folder = RunFolder(source.path)
        at_hand = [folder.table(schema.name) for schema in (tables.METRICS, tables.DECISION_CURVES)]
        if source.kind == "run" and all(path.is_file() for path in at_hand):
            found = [
                read_table(path, schema) for path, schema in zip(at_hand, (tables.METRICS, tables.DECISION_CURVES), strict=True)
            ]
        else:
            told = source.fits is not None
            judge = evaluate if source.splits is not None else evaluate_held_out
            fits = source.fits if told and source.fits is not None else _fits_of(source)
            made = judge(source.predictions, fits, settings, patients=source.patients, horizon=horizon)
            made = made if told else made[~made["metric"].isin(OF_CALLS)]  # nobody knows the thresholds of the calls
            found = [made, decision_curves(source.predictions, settings, patients=dict(source.patients), horizon=horizon)]
        for table, kept in zip(found, (metrics, curves), strict=True):
            mine = table[table["model"].isin(own)]
            kept.append(mine.assign(model=mine["model"].map(own)))
    return pd.concat(metrics, ignore_index=True), pd.concat(curves, ignore_index=True)


def _fits_of(source: Source) -> pd.DataFrame:
    """Of a table of predictions, how many its splits say each fit learnt from; nothing else is known."""
    rows = []
    for (model, repeat, fold), part in source.predictions.groupby(["model", "repeat", "fold"]):
        learnt = 0
        if source.splits is not None:
            here = source.splits[(source.splits["repeat"] == repeat) & (source.splits["fold"] == fold)]
            learnt = int((here["role"] != "test").sum())
        rows.append(
            {
                "model": model, "repeat": repeat, "fold": fold, "seed": int(part["seed"].iloc[0]), "n_train": learnt, "n_selection": 0,
                "n_inputs": 0, "n_parameters": 0, "epochs": 0, "inputs": "", "saw_sha256": "", "model_path": "",
                **{
                    column.name: float("nan") for column in tables.FITS.columns if column.nullable and column.dtype == "float64"
                },
            }
        )  # fmt: skip
    return tables.make_table(tables.FITS, rows)


def costs(source: Source) -> dict[str, dict[str, Any]]:
    """model -> fits, n_inputs, n_parameters and networks (lowest and highest over the fits), cpu_s of one fit and peak_mb, as the run
    has them; predict_s, of one case on this machine, by the model of the first fold. Empty for a table; without predict_s where the
    fitted model no longer lies in the run's folder, or is of another version."""
    from radpipe.models.inference import seconds_a_case  # torch: seconds to import, wanted for the page only

    if source.fits is None:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name, own in source.fits.groupby("model"):
        ranges = {
            column: (int(own[column].min()), int(own[column].max()))
            for column in ("n_inputs", "n_parameters", "networks") if column in own.columns
        }  # fmt: skip
        found[str(name)] = {"fits": len(own), **ranges}
        if (folder := source.path / str(own["model_path"].iloc[0])).is_dir():
            number = (source.settings.get("cohort") or {}).get("outcome_kind") == "number"
            with contextlib.suppress(SchemaError, FileProblem):
                found[str(name)]["predict_s"] = seconds_a_case(*load_model(folder), number=number)
    timings = RunFolder(source.path).timings
    if timings.is_file():
        table = pd.read_csv(timings)
        last = table[table["stage"] == "train"].drop_duplicates("task_id", keep="last")
        for name, rows in last.groupby(last["task_id"].str.partition(" (")[0]):
            if name in found:
                found[str(name)] |= {"cpu_s": float(rows["cpu_s"].mean()), "peak_mb": float(rows["peak_mb"].max())}
    return found

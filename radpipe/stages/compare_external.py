"""A run's models, refitted on all its patients, on patients whom they never saw: the half of ``compare --external`` that fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from radpipe.core import tables
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, ConfigError
from radpipe.evaluation.predictions import ANY_PREDICTIONS
from radpipe.evaluation.sample_size import held_out_gap
from radpipe.io.files import sha256_file
from radpipe.report import words
from radpipe.stages._progress import Progress
from radpipe.stages.compare_sources import Source, path_and_model, read_source
from radpipe.stages.predict import Predicted, refit

PRECISE = 100
"""Cases with, and without the event that an external cohort should have: Vergouwe 2005, doi:10.1016/j.jclinepi.2004.06.017;
Collins 2016, doi:10.1002/sim.6787."""
AUC, CORRELATION = 0.75, 0.5  # assumed, as radpipe plan does: a gap that can be found is told without looking at the one observed


def judge_runs(
    texts: Sequence[str], cohort: Path, *, workers: int | None = None, progress: Progress | None = None
) -> list[tuple[Source, Source, Predicted]]:
    """Of each run: as it was cross-validated; its refitted models' predictions for the cohort (no folds); and the refit.

    texts : RUN or RUN:MODEL, of which several may name one run. CohortError, ConfigError, RunError as
    :func:`radpipe.stages.predict.refit` raises them, and where no case of the cohort could be predicted.
    """
    if not cohort.exists():
        raise ConfigError(
            "the external cohort does not exist.", hint="Name a manifest (CSV), or a folder of `radpipe ingest`.", path=cohort
        )
    wanted: dict[Path, list[str]] = {}
    for text in texts:
        place, model = path_and_model(text)
        if not place.is_dir():
            raise ConfigError(f"--external judges models of runs, and {text!r} is none.", hint="Give RUN or RUN:MODEL.")
        wanted.setdefault(place, []).extend([model] if model else read_source(str(place)).models)
    found = []
    for place, models in wanted.items():
        developed = read_source(str(place))
        unknown = [model for model in models if model not in (developed.settings.get("models") or {})]
        if unknown:
            raise ConfigError(
                f"{place} has no model {unknown[0]!r}.{nearest(unknown[0], developed.models)}",
                hint=f"It has: {', '.join(developed.models)}.",
            )
        chosen = list(dict.fromkeys(models))
        judged = refit(place, cohort, models=chosen, workers=workers, progress=progress, judged=True)
        if not judged.rows:
            why = f" The first: case {judged.failures[0]['case_id']}, {judged.failures[0]['problem']}" if judged.failures else ""
            raise CohortError(f"no case of the external cohort could be predicted.{why}", hint="See its cases.", path=cohort)
        found.append((developed, _side(developed, judged, cohort), judged))
    return found


def _side(developed: Source, judged: Predicted, cohort: Path) -> Source:
    """The refitted models' predictions as a source of held-out ones."""
    rows = [
        {
            "p_0": math.nan, "p_1": math.nan, **{name: row[name] for name in row if name.startswith("p_") or name == "score"},
            **judged.truths[row["case_id"]], "repeat": 0, "fold": 0, "seed": 0, "model": row["model"], "case_id": row["case_id"], "role": "test",
        }
        for row in judged.rows
    ]  # fmt: skip
    predictions = tables.make_table(ANY_PREDICTIONS, pd.DataFrame(rows))
    file = cohort / "manifest.csv" if cohort.is_dir() else cohort
    return Source(
        name=developed.name, said=f"{developed}, refitted,", path=developed.path, kind="run, refitted", predictions=predictions,
        fits=judged.fits[judged.fits["model"].isin(set(predictions["model"]))], sha256=sha256_file(file), settings=developed.settings,
        patients={str(row["case_id"]): str(row["patient_id"]) for row in judged.rows}, questions=developed.questions,
    )  # fmt: skip


def external_facts(
    cohort: Path,
    judged: Sequence[tuple[Source, Source, Predicted]],
    predictions: pd.DataFrame,
    metrics: pd.DataFrame,
    alpha: float,
) -> dict[str, Any]:
    """What is written of the external cohort: who is in it, what it can tell, and the weights before and after.

    predictions, metrics : of the refitted models on it. said : sentences for a reader.
    """
    people = predictions.drop_duplicates("case_id")
    owners = {case: patient for _, side, _ in judged for case, patient in side.patients.items()}
    events = int((people["y_true"] == 1).sum())
    weights = [
        {"run": side.path.name, "file": name, "before": before, "after": after}
        for _, side, found in judged for name, (before, after) in found.weights.items()
    ]  # fmt: skip
    facts: dict[str, Any] = {
        "cohort": cohort.name, "cohort_sha256": judged[0][1].sha256, "cases": len(people),
        "patients": len({owners.get(str(case), str(case)) for case in people["case_id"]}), "events": events,
        "fitted_on": {side.path.name: found.fitted_on for _, side, found in judged},
        "failures": [
            {"run": side.path.name, **row, "path": Path(row["path"]).name} for _, side, found in judged for row in found.failures
        ],
        "weights": weights, "unchanged": all(row["before"] == row["after"] for row in weights),
    }  # fmt: skip
    two = "time" not in predictions.columns and "value" not in predictions.columns and "p_2" not in predictions.columns
    facts["detectable_gap"] = (
        held_out_gap(events, len(people) - events, auc=AUC, correlation=CORRELATION, alpha=alpha) if two else None
    )
    facts["said"] = _said(facts, metrics)
    return facts


def _said(facts: Mapping[str, Any], metrics: pd.DataFrame) -> list[str]:
    everybody = " and ".join(f"{n} of {name}" for name, n in facts["fitted_on"].items())
    said = [
        f"The models were refitted on all development patients ({everybody}) and judged on {words.plural(facts['patients'], 'patient')} "
        "whom they never saw. Nothing was fitted, chosen or recalibrated on these: the weights with and without them are the same, "
        "byte for byte."
    ]  # fmt: skip
    events, others = facts["events"], facts["cases"] - facts["events"]
    if facts["failures"]:
        said.append(f"{words.plural(len(facts['failures']), 'case')} could not be used; see external_failures.csv.")
    if facts["detectable_gap"] is not None:
        gap = facts["detectable_gap"]
        of = f"With {events} with and {others} without the event"
        if min(events, others) < PRECISE:
            said.append(
                f"{of}, this cohort is small: about {PRECISE} of each are advised before AUC and calibration of a model count as known "
                "(Vergouwe 2005, Collins 2016)."
            )
        said.append(
            f"{of}, two models whose true AUCs differ by {words.number(gap)} would be told apart in 80 % of such cohorts, and smaller "
            f"differences less often (DeLong’s test; assumed: AUC {AUC}, correlation {CORRELATION})."
            if gap < 1 - AUC
            else f"{of}, no difference that two useful models could have would be told apart in 80 % of such cohorts."
        )
    aucs = metrics[(metrics["metric"] == "auc") & (metrics["repeat"] == -1) & (metrics["role"] == "test")]
    if len(aucs) and (aucs["ci_high"] < 0.5).all():
        said.append(
            "Every model ranks these patients the wrong way round: look whether the outcome is coded as in the run (1 is the event)."
        )
    return said

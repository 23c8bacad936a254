"""A run's models, refitted on all its patients, on patients whom they never saw: the half of ``compare --external`` that fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from radpipe.comparison.sides import carries_verdict
from radpipe.core import tables
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, ConfigError
from radpipe.evaluation.predictions import ANY_PREDICTIONS, class_columns, outcome_kind
from radpipe.evaluation.sample_size import held_out_gap
from radpipe.io.files import sha256_file
from radpipe.io.run_folder import RunFolder
from radpipe.io.tables import read_table
from radpipe.report import external_words, words
from radpipe.report.metric_words import CHANCE
from radpipe.stages._progress import Progress
from radpipe.stages.compare_sources import Source, path_and_model, read_source
from radpipe.stages.refit import Predicted, refit

OTHER_UNIT = 4.0
"""Median times further apart than this, as weeks are from months, are asked about."""
AUC, CORRELATION = 0.75, 0.5  # assumed, as radpipe plan does: a gap that can be found is told without looking at the one observed


def judge_runs(
    texts: Sequence[str], cohort: Path, *, workers: int | None = None, progress: Progress | None = None
) -> list[tuple[Source, Source, Predicted]]:
    """Of each run: as it was cross-validated; its refitted models' predictions for the cohort (no folds); and the refit.

    texts : RUN or RUN:MODEL, of which several may name one run. CohortError, ConfigError, RunError as
    :func:`radpipe.stages.refit.refit` raises them, and where no case of the cohort could be predicted.
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
    rows: pd.DataFrame,
    alpha: float,
) -> dict[str, Any]:
    """What is written of the external cohort: who is in it, what it can tell, and the weights before and after.

    predictions, metrics, rows : of the refitted models on it, and their comparison. said : sentences for a reader.
    """
    owners = {case: patient for _, side, _ in judged for case, patient in side.patients.items()}
    cases = predictions.drop_duplicates("case_id")
    people = cases.assign(patient_id=[owners.get(str(case), str(case)) for case in cases["case_id"]]).drop_duplicates(
        "patient_id"
    )
    kind = _kind(predictions)
    counts = _counts(people, kind, len(class_columns(predictions)))
    weights = [
        {"run": side.path.name, "file": name, "before": before, "after": after}
        for _, side, found in judged for name, (before, after) in found.weights.items()
    ]  # fmt: skip
    facts: dict[str, Any] = {
        "cohort": cohort.name, "cohort_sha256": judged[0][1].sha256, "kind": kind, "cases": len(cases), "patients": len(people),
        "counts": counts, "events": counts["1"] if kind == "two" else counts.get("with the event"),
        "fitted_on": {side.path.name: found.fitted_on for _, side, found in judged},
        "failures": [
            {"run": side.path.name, **row, "path": Path(row["path"]).name} for _, side, found in judged for row in found.failures
        ],
        "weights": weights, "unchanged": all(row["before"] == row["after"] for row in weights),
    }  # fmt: skip
    told = {str(k): words.finite(v) if isinstance(v, float) else v for k, v in _narrowest(rows).items()}
    facts["too_small"] = words.why_too_small(str(rows["method"].iloc[0]))
    facts["developed_r2"] = _developed_r2([run for run, _, _ in judged]) if kind == "number" else None
    facts["ranks_badly"] = _ranks_badly(metrics)
    facts["outcome_scale"] = _scale(people, judged[0][0].predictions, kind)
    facts["detectable_gap"] = None
    if kind == "two":
        gap = held_out_gap(facts["counts"]["1"], facts["counts"]["0"], auc=AUC, correlation=CORRELATION, alpha=alpha)
        facts["detectable_gap"] = words.finite(gap)
    facts["said"] = _said(facts, told, alpha)
    return facts


def _kind(predictions: pd.DataFrame) -> str:
    kind = outcome_kind(predictions)
    return kind if kind != "classes" else "two" if len(class_columns(predictions)) == 2 else "several"


def _counts(people: pd.DataFrame, kind: str, classes: int) -> dict[str, int]:
    """Patients of every class; of times, of every fate."""
    if kind == "number":
        return {}
    counts = people["y_true"].astype(int).value_counts()
    if kind == "time_to_event":
        fates = {"with the event": 1, "with a competing event": 2, "censored": 0}
        return {name: int(counts.get(code, 0)) for name, code in fates.items() if code != 2 or code in counts.index}
    return {str(code): int(counts.get(code, 0)) for code in range(classes)}


def _narrowest(rows: pd.DataFrame) -> dict[str, Any]:
    """The primary row; without one, that of the pair whose difference is known best. Empty where nothing was tested."""
    main = rows[rows["primary"]] if rows["primary"].any() else rows[rows["test"] == carries_verdict(rows)]
    main = main[main["p_value"].notna() & main["ci_low"].notna()]
    if not len(main):
        return {}
    return {str(k): v for k, v in main.loc[(main["ci_high"] - main["ci_low"]).idxmin()].to_dict().items()}


def _developed_r2(runs: Sequence[Source]) -> float | None:
    """The best of the models in cross-validation."""
    found = []
    for run in runs:
        path = RunFolder(run.path).table(tables.METRICS.name)
        metrics = read_table(path, tables.METRICS) if path.is_file() else tables.make_table(tables.METRICS, [])
        own = metrics[
            (metrics["metric"] == "r2") & (metrics["repeat"] == -1) & (metrics["fold"] == -1) & (metrics["role"] == "test")
        ]
        found += own["value"].dropna().tolist()
    return max(found, default=None)


def _ranks_badly(metrics: pd.DataFrame) -> str:
    """The ranking metric where the interval of every model lies below chance; else empty."""
    for name, chance in CHANCE.items():
        own = metrics[(metrics["metric"] == name) & (metrics["repeat"] == -1) & (metrics["role"] == "test")]
        if len(own):
            return name if (own["ci_high"] < chance).all() else ""
    return ""


def _scale(people: pd.DataFrame, developed: pd.DataFrame, kind: str) -> dict[str, Any] | None:
    """Median time or number here and in the run, and whether they are as far apart as another unit would put them."""
    column = {"time_to_event": "time", "number": "value"}.get(kind)
    if column is None:
        return None
    theirs = developed.drop_duplicates("case_id")[column]
    here, run = float(people[column].median()), float(theirs.median())
    if kind == "time_to_event":
        differs = not 1 / OTHER_UNIT < here / run < OTHER_UNIT if here > 0 and run > 0 else False
    else:
        differs = not float(theirs.min()) <= here <= float(theirs.max())
    return {"here": here, "run": run, "differs": differs}


def _said(facts: Mapping[str, Any], row: Mapping[str, Any], alpha: float) -> list[str]:
    everybody = " and ".join(f"{n} of {name}" for name, n in facts["fitted_on"].items())
    several = f" ({words.plural(facts['cases'], 'case')})" if facts["cases"] != facts["patients"] else ""
    said = [
        f"The models were refitted on all development patients ({everybody}) and judged on {words.plural(facts['patients'], 'patient')}{several} "
        "whom they never saw. Nothing was fitted, chosen or recalibrated on these: the weights with and without them are the same, "
        "byte for byte."
    ]  # fmt: skip
    if facts["failures"]:
        said.append(f"{words.plural(len(facts['failures']), 'case')} could not be used; see external_failures.csv.")
    said += external_words.size_said(facts)
    if facts["kind"] == "two":
        events, others, gap = facts["counts"]["1"], facts["counts"]["0"], facts["detectable_gap"]
        of = f"With {events} with and {others} without the event"
        said.append(
            f"{of}, two models whose true AUCs differ by {words.number(gap)} would be told apart in 80 % of such cohorts, and smaller "
            f"differences less often (DeLong’s test; assumed: AUC {AUC}, correlation {CORRELATION})."
            if gap is not None and gap < 1 - AUC
            else f"{of}, no difference that two useful models could have would be told apart in 80 % of such cohorts."
        )
    return [
        *said,
        *external_words.difference_said(row or None, alpha, with_gap=facts["kind"] != "two"),
        *external_words.coding_said(facts),
    ]

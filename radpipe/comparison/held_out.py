"""Two fitted models on patients that neither saw: one set, no folds, no repeats.

Here the scores are what is judged, so DeLong's test (of AUCs) or the paired bootstrap (of any other metric, or where a patient
has several cases) answers the question and carries the verdict. It holds for these two fitted models, not for the methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from radpipe.comparison.compare import in_units, paired_fold, verdict
from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.holm import holm
from radpipe.comparison.registry import TESTS
from radpipe.comparison.test import ComparisonTest, TestResult, no_test
from radpipe.core.registry import lookup
from radpipe.core.tables import COMPARISON, make_table
from radpipe.errors import CohortError
from radpipe.evaluation.fold_metrics import FOLD_METRICS, Truth
from radpipe.evaluation.predictions import Scores, check_predictions, scores_of

LEAST = 10
"""Patients with and without the event (of each class, of times with the event) below which a held-out set says nothing of two
models."""


def compare_held_out(
    predictions: pd.DataFrame,
    settings: ComparisonSettings,
    *,
    thresholds: Mapping[str, float] | None = None,
    patients: Mapping[str, str] | None = None,
    horizon: float | None = None,
) -> pd.DataFrame:
    """Test every two models; table COMPARISON.

    predictions : rows with role "test" in one fold of one repeat (several seeds are averaged). thresholds : model -> threshold
    of its calls (McNemar); 0.5 without. With fewer than 10 patients with or without the event no verdict is given, and the row
    says that the set is too small. CohortError where the models do not have the same cases, or all cases are of one class.
    """
    check_predictions(predictions)
    settings = in_units(predictions, settings)
    thresholds, patients = thresholds or {}, patients or {}
    models: dict[str, Scores] = {}
    for name, scores in scores_of(predictions, "test").items():
        if len(scores.by_fold) != 1:
            raise CohortError(
                f"model {name!r} has {len(scores.by_fold)} folds; a held-out set has one.",
                hint="Out-of-fold predictions are compared on their folds: radpipe.comparison.compare.compare_models.",
            )
        (models[name],) = scores.by_fold.values()
    check_same_cases(models)
    first = next(iter(models.values()))
    too_small = why_too_small(first.truth(horizon), [patients.get(case, case) for case in first.cases.tolist()])
    rows: list[dict[str, Any]] = []
    for a, b in combinations(sorted(models), 2):
        if settings.primary and {a, b} == {*settings.primary}:
            a, b = settings.primary
        several = len({patients.get(case, case) for case in models[a].cases.tolist()}) < len(models[a].cases)
        main = "delong" if settings.metric == "auc" and not several else "paired_bootstrap"
        for name in (main, *(other for other in settings.conditional if other in TESTS and other not in (main, "corrected_t"))):
            test: ComparisonTest = lookup(TESTS, name, "test")
            result = _run(test, a, b, models, settings, thresholds, patients, horizon)
            if several and name in ("delong", "mcnemar"):
                result = no_test(result.effect, f"no test: patients with several cases are not independent; {result.method}")
            rows.append(_row(a, b, test, result, settings, main=name == main, too_small=too_small))
    _adjust(rows, settings, too_small)
    return make_table(COMPARISON, [{key: value for key, value in row.items() if key != "main"} for row in rows])


def check_same_cases(models: Mapping[str, Scores]) -> None:
    """CohortError that names the first cases that one model has and another has not, or whose outcome differs."""
    names = list(models)
    for name in names[1:]:
        ours, theirs = set(models[names[0]].cases.tolist()), set(models[name].cases.tolist())
        for cases, has, lacks in ((ours - theirs, names[0], name), (theirs - ours, name, names[0])):
            if cases:
                listed = ", ".join(sorted(cases)[:5]) + (f" and {len(cases) - 5} more" if len(cases) > 5 else "")
                raise CohortError(
                    f"model {has!r} has cases that model {lacks!r} lacks: {listed}.",
                    hint="Models are compared on the same patients only; leave the others out of both, or predict them with both.",
                    case_id=min(cases),
                )
    for scores in models.values():
        if scores.time is None and scores.value is None and len(np.unique(scores.y)) < 2:
            raise CohortError(
                "all cases have the same outcome, so nothing can be told apart.", hint="Add cases of the other class."
            )


def why_too_small(truth: Truth, patients: Sequence[str]) -> str:
    """Why a held-out set says nothing of two models; empty where it may. patients : of every case; a patient with several counts once."""
    _, first = np.unique(np.array(patients, str), return_index=True)
    y, n = truth.y[first], len(first)
    if truth.value is not None:
        return "" if n >= 2 * LEAST else f"too small to say anything: {n} patients, {2 * LEAST} are asked for"
    events = int(np.sum(y == 1))
    if truth.time is not None:  # who is censored need not be many: of two events the later one is compared with the earlier
        enough = events >= LEAST and n >= 2 * LEAST
        asked = f"{LEAST} with the event among {2 * LEAST} are asked for"
        return "" if enough else f"too small to say anything: {events} with the event among {n} patients, {asked}"
    counts = {int(code): int(np.sum(y == code)) for code in np.unique(y)}
    if min(counts.values()) >= LEAST:
        return ""
    if set(counts) <= {0, 1}:
        return f"too small to say anything: {events} with and {n - events} without the event, {LEAST} of each are asked for"
    listed = ", ".join(f"{count} of class {code}" for code, count in counts.items())
    return f"too small to say anything: {listed}, {LEAST} of each are asked for"


def _run(
    test: ComparisonTest,
    a: str,
    b: str,
    models: Mapping[str, Scores],
    settings: ComparisonSettings,
    thresholds: Mapping[str, float],
    patients: Mapping[str, str],
    horizon: float | None,
) -> TestResult:
    uses = test.uses or FOLD_METRICS[settings.metric].uses
    fold = paired_fold((0, 0), models[a], models[b], 0, uses, patients, horizon)
    return test.run((fold.called_at(thresholds.get(a, 0.5), thresholds.get(b, 0.5)),), settings)


def _row(
    a: str, b: str, test: ComparisonTest, result: TestResult, settings: ComparisonSettings, *, main: bool, too_small: str
) -> dict[str, Any]:
    primary = main and settings.primary is not None and {a, b} == {*settings.primary}
    return {
        "model_a": a, "model_b": b, "metric": test.compares or settings.metric, "test": test.name, "primary": primary,
        "statistic": result.statistic, "df": result.df, "p_value": result.p_value, "p_adjusted": result.p_value,
        "effect": result.effect, "ci_low": result.ci_low, "ci_high": result.ci_high, "margin": settings.margin,
        "p_equivalence": result.p_equivalence, "verdict": "not_resolved", "main": main,
        "method": f"{too_small}; {result.method}" if too_small else result.method,
    }  # fmt: skip


def _adjust(rows: list[dict[str, Any]], settings: ComparisonSettings, too_small: str) -> None:
    """Holm over the pairs that are not the primary one, and the verdicts of the main tests."""
    for name in {row["test"] for row in rows}:
        family = [row for row in rows if row["test"] == name and not row["primary"]]
        adjusted = holm(np.array([row["p_value"] for row in family], float))
        equivalence = holm(np.array([row["p_equivalence"] for row in family], float))
        for row, p, q in zip(family, adjusted, equivalence, strict=True):
            row["p_adjusted"] = p
            row["q"] = q
            row["method"] += f"; exploratory, Holm over {len(family)} pairs"
    for row in rows:
        q = row.pop("q", row["p_equivalence"])
        if row["main"] and not too_small:
            nan = float("nan")
            result = TestResult(nan, nan, row["p_value"], row["effect"], nan, nan, row["p_equivalence"], "")
            row["verdict"] = verdict(result, row["p_adjusted"], q, settings)

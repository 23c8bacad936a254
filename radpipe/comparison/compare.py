"""predictions, splits -> the comparison table: every two models on the same patients and splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.holm import holm
from radpipe.comparison.registry import PRIMARY_TEST, TESTS
from radpipe.comparison.test import ComparisonTest, PairedFold, TestResult, no_test
from radpipe.core.registry import lookup
from radpipe.core.tables import COMPARISON, SPLITS, check_table, make_table
from radpipe.errors import CohortError
from radpipe.evaluation.fold_metrics import FOLD_METRICS, HIGHER_IS_BETTER, Uses, metric_for
from radpipe.evaluation.predictions import FoldKey, Scores, check_predictions, class_columns, outcome_kind, scores_of


def compare_models(
    predictions: pd.DataFrame,
    splits: pd.DataFrame,
    settings: ComparisonSettings,
    *,
    fits: pd.DataFrame | None = None,
    patients: Mapping[str, str] | None = None,
    horizon: float | None = None,
) -> pd.DataFrame:
    """Test every two models; table COMPARISON.

    predictions : of any kind of outcome. fits : for the thresholds of calls (McNemar), 0.5 without. patients : case_id ->
    patient_id, whom the bootstrap draws. horizon : the time by which risks are told.
    The primary pair stands by its own p-value; all other pairs are exploratory and Holm-adjusted among themselves. A
    pair with a fit missing in some fold is not tested (its row says so): part of the splits would be other splits.
    CohortError names the patients where two models, or a model and the splits, do not have the same ones.
    """
    check_predictions(predictions)
    check_table(splits, SPLITS)
    settings = in_units(predictions, settings)
    models = {name: scores.by_fold for name, scores in scores_of(predictions, "test").items()}
    for name in settings.primary or ():
        models.setdefault(name, {})  # all its fits failed: its pairs stand in the table, untested
    learnt = _learnt(predictions, splits)
    _check_patients(models, splits, set(predictions["case_id"]))
    pairs = []
    for first, second in _pairs(list(models), settings.primary):
        for name in (PRIMARY_TEST, *(test for test in settings.conditional if test != PRIMARY_TEST)):
            test: ComparisonTest = lookup(TESTS, name, "test")
            facts = _Facts(thresholds_of(fits), patients or {}, horizon)
            pairs.append(_Pair(first, second, test, _run(test, first, second, models, learnt, settings, facts)))
    return make_table(COMPARISON, _rows(pairs, settings))


def in_units(predictions: pd.DataFrame, settings: ComparisonSettings) -> ComparisonSettings:
    """The settings with the metric that fits the outcome, and the margin in its unit; ConfigError where none fits."""
    kind = outcome_kind(predictions)
    metric = metric_for(settings.metric, kind, len(class_columns(predictions)))
    margin = settings.margin
    if metric.unit == "outcome":
        margin *= float(predictions.drop_duplicates("case_id")["value"].std())
    if not margin > 0:
        raise CohortError("the outcome is the same number for every case.", hint="There is nothing to predict.")
    return settings.model_copy(update={"metric": metric.name, "margin": margin})


def thresholds_of(fits: pd.DataFrame | None) -> dict[tuple[str, int, int], float]:
    """(model, repeat, fold) -> threshold of the calls, mean over seeds; those that are known."""
    if fits is None:
        return {}
    known = fits[fits["threshold"].notna()].groupby(["model", "repeat", "fold"])["threshold"].mean()
    return {(str(key[0]), int(key[1]), int(key[2])): float(value) for key, value in known.items()}  # type: ignore[index]


@dataclass(frozen=True)
class _Facts:
    thresholds: Mapping[tuple[str, int, int], float]
    patients: Mapping[str, str]
    horizon: float | None


@dataclass(frozen=True)
class _Pair:
    a: str
    b: str
    test: ComparisonTest
    result: TestResult


def verdict(result: TestResult, p_adjusted: float, p_equivalence: float, settings: ComparisonSettings) -> str:
    """a_better, b_better, equivalent or not_resolved.

    p_adjusted, p_equivalence : after adjustment, where there is one. A difference that is there but lies within the
    margin counts as equivalent: the margin says beforehand what does not matter.
    """
    if np.isfinite(p_equivalence) and p_equivalence <= settings.alpha:
        return "equivalent"
    if np.isfinite(p_adjusted) and p_adjusted <= settings.alpha:
        return "a_better" if (result.effect > 0) == HIGHER_IS_BETTER[settings.metric] else "b_better"
    return "not_resolved"


def _pairs(names: list[str], primary: tuple[str, str] | None) -> list[tuple[str, str]]:
    """Every two models once, in the order of their names; the primary pair as the workflow writes it."""
    return [primary if primary and {*pair} == {*primary} else pair for pair in combinations(sorted(names), 2)]


def _run(
    test: ComparisonTest,
    first: str,
    second: str,
    models: dict[str, dict[FoldKey, Scores]],
    learnt: dict[FoldKey, int],
    settings: ComparisonSettings,
    facts: _Facts,
) -> TestResult:
    for name in (first, second):
        missing = sorted(learnt.keys() - models[name].keys())
        if not models[name]:
            return no_test(float("nan"), f"no test: model {name} has no predictions; see the failures table")
        if missing:
            listed = ", ".join(f"repeat {repeat} fold {fold}" for repeat, fold in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            return no_test(float("nan"), f"no test: model {name} has no predictions in {listed}{more}; see the failures table")
    uses = test.uses or FOLD_METRICS[settings.metric].uses
    folds = tuple(
        paired_fold(key, models[first][key], models[second][key], learnt[key], uses, facts.patients, facts.horizon).called_at(
            facts.thresholds.get((first, *key), 0.5), facts.thresholds.get((second, *key), 0.5)
        )
        for key in sorted(learnt)
    )
    return test.run(folds, settings)


def paired_fold(
    key: FoldKey, a: Scores, b: Scores, n_learnt: int, uses: Uses, patients: Mapping[str, str], horizon: float | None
) -> PairedFold:
    """The same cases as both models saw them, in the form a metric uses."""
    if uses == "p" and a.classes is not None:
        uses = "classes"  # DeLong or McNemar asked of more than two classes: they say themselves that there is no test
    return PairedFold(
        *key, a.cases, a.y, a.said(uses), b.said(uses), n_learnt, a.time, a.value,
        np.array([patients.get(case, case) for case in a.cases.tolist()]), horizon=horizon,
    )  # fmt: skip


def _rows(pairs: Sequence[_Pair], settings: ComparisonSettings) -> list[dict[str, Any]]:
    names = np.array([pair.test.name for pair in pairs])
    primary = np.array([settings.primary is not None and {pair.a, pair.b} == {*settings.primary} for pair in pairs], bool)
    difference = np.array([pair.result.p_value for pair in pairs], float)
    equivalence = np.array([pair.result.p_equivalence for pair in pairs], float)
    p_adjusted, q_adjusted = difference.copy(), equivalence.copy()
    for name in np.unique(names):
        family = ~primary & (names == name)
        p_adjusted[family], q_adjusted[family] = holm(difference[family]), holm(equivalence[family])
    rows = []
    for i, pair in enumerate(pairs):
        result, method = pair.result, pair.result.method
        if primary[i]:
            method += "; primary pair, not adjusted"
        else:
            family_size = int(np.sum(~primary & (names == pair.test.name) & np.isfinite(difference)))
            method += f"; exploratory, Holm over {family_size} pairs for difference and for equivalence"
        said = "not_resolved" if pair.test.conditional else verdict(result, p_adjusted[i], q_adjusted[i], settings)
        rows.append(
            {
                "model_a": pair.a, "model_b": pair.b, "metric": pair.test.compares or settings.metric,
                "test": pair.test.name, "primary": bool(primary[i]) and not pair.test.conditional,
                "statistic": result.statistic, "df": result.df, "p_value": result.p_value, "p_adjusted": p_adjusted[i],
                "effect": result.effect, "ci_low": result.ci_low, "ci_high": result.ci_high, "margin": settings.margin,
                "p_equivalence": result.p_equivalence, "verdict": said, "method": method,
            }
        )  # fmt: skip
    return rows


def _learnt(predictions: pd.DataFrame, splits: pd.DataFrame) -> dict[FoldKey, int]:
    """(repeat, fold) -> training and selection cases of the splits that reached the models at all."""
    present = splits[splits["case_id"].isin(predictions["case_id"])]
    counts: dict[FoldKey, int] = {}
    for repeat, fold, role in zip(present["repeat"], present["fold"], present["role"], strict=True):
        key = (int(repeat), int(fold))
        counts[key] = counts.get(key, 0) + (role != "test")
    return counts


def _check_patients(models: dict[str, dict[FoldKey, Scores]], splits: pd.DataFrame, present: set[str]) -> None:
    """Every model tests, in every fold it has, just the cases of the splits that reached any model."""
    expected: dict[FoldKey, set[str]] = {}
    for repeat, fold, case, role in zip(splits["repeat"], splits["fold"], splits["case_id"], splits["role"], strict=True):
        cases = expected.setdefault((int(repeat), int(fold)), set())
        if role == "test" and case in present:
            cases.add(str(case))
    for name, by_fold in models.items():
        for key, scores in by_fold.items():
            where = f"model {name!r}, repeat {key[0]}, fold {key[1]}"
            if key not in expected:
                raise CohortError(
                    f"{where}: the splits have no such fold.", hint="Compare models that were fitted on these splits."
                )
            tested = set(scores.cases.tolist())
            for cases, what in (
                (tested - expected[key], "tests cases that the splits do not test there"),
                (expected[key] - tested, "lacks test cases that other models have"),
            ):
                if cases:
                    raise CohortError(
                        f"{where}: {what}: {_listed(cases)}.",
                        hint="Models are compared on the same patients and the same splits only.",
                        case_id=min(cases),
                    )


def _listed(cases: set[str]) -> str:
    names = sorted(cases)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

"""For whom does it work, and for whom not: metrics by clinical column.

AUCs compare only cases that the same fit tested (pairs within a fold), because scores of two fits need not be on one scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radpipe.core.seeds import generator
from radpipe.core.tables import SUBGROUPS, make_table
from radpipe.errors import CohortError
from radpipe.evaluation import survival
from radpipe.evaluation.bootstrap import bca_interval
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.predictions import ModelScores, check_predictions, class_columns, outcome_kind, scores_of
from radpipe.typing import FloatArray

MOST_GROUPS = 6
"""A text or whole-number column with more values than this is no grouping."""


def subgroups_of(values: pd.Series) -> dict[str, NDArray[np.bool_]]:
    """Group -> rows. Numbers with more than six values are cut at their median; what is empty is a group of its own."""
    empty = values.isna() | (values.astype(str).str.strip() == "")
    numbers = pd.to_numeric(values.where(~empty), errors="coerce")
    groups: dict[str, NDArray[np.bool_]] = {}
    if not (numbers.isna() & ~empty).any() and numbers.nunique() > MOST_GROUPS:
        middle = float(numbers.median())
        groups[f"up to {middle:g}"] = (numbers <= middle).to_numpy()
        groups[f"above {middle:g}"] = (numbers > middle).to_numpy()
    else:
        names = sorted(set(values[~empty]), key=str)
        if len(names) <= MOST_GROUPS:
            groups = {str(name): ((values == name) & ~empty).to_numpy() for name in names}
    if empty.any() and groups:
        groups["not known"] = empty.to_numpy()
    return groups


def subgroup_table(
    predictions: pd.DataFrame,
    clinical: pd.DataFrame,
    columns: list[str],
    settings: EvaluationSettings,
    *,
    patients: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Table SUBGROUPS: of every model, AUC and Brier score (harrell_c of times; rmse of numbers) in every group.

    clinical : one row a case, with case_id and the columns. A group with fewer cases with or without the event than
    settings.subgroup_least gets no number and says "too few to say".
    """
    check_predictions(predictions)
    kind, n_classes = outcome_kind(predictions), len(class_columns(predictions))
    missing = [column for column in ("case_id", *columns) if column not in clinical.columns]
    if missing:
        raise CohortError(f"the clinical columns {', '.join(missing)} are missing.", hint="Name columns of the cohort table.")
    rows: list[dict[str, Any]] = []
    if kind == "classes" and n_classes > 2:
        return make_table(SUBGROUPS, rows)
    metrics = {"classes": ("auc", "brier"), "time_to_event": ("harrell_c",), "number": ("rmse",)}[kind]
    for scores in scores_of(predictions, "test").values():
        known = clinical.drop_duplicates("case_id").set_index("case_id").reindex(scores.cases)
        for column in columns:
            for group, members in subgroups_of(known[column]).items():
                for metric in metrics:
                    rows.append(_row(scores, column, group, members, metric, settings, patients or {}))
    return make_table(SUBGROUPS, rows)


def _row(
    scores: ModelScores,
    column: str,
    group: str,
    members: NDArray[np.bool_],
    metric: str,
    settings: EvaluationSettings,
    patients: Mapping[str, str],
) -> dict[str, Any]:
    cases = scores.cases[members]
    outcome: dict[str, int] = {}
    for part in scores.by_fold.values():
        outcome.update(zip(part.cases.tolist(), part.y.tolist(), strict=True))
    events = sum(outcome[case] == 1 for case in cases.tolist())
    n, least = len(cases), settings.subgroup_least
    row = {"model": scores.name, "column": column, "group": group, "metric": metric, "n": n, "n_events": events}
    nan = float("nan")
    if metric == "rmse":
        enough, said = n >= 2 * least, f"{n} cases, {2 * least} are asked for"
    else:
        enough, said = (
            min(events, n - events) >= least,
            f"{events} with and {n - events} without the event, {least} of each are asked for",
        )
    if not enough:
        return {**row, "value": nan, "ci_low": nan, "ci_high": nan, "method": f"too few to say: {said}"}
    top, bottom = _pairs(scores, cases, metric)
    identity = np.arange(n)

    def statistic(weights: FloatArray) -> FloatArray:
        upper = np.einsum("mi,ij,mj->m", weights, top, weights, optimize=True)
        lower = np.einsum("mi,ij,mj->m", weights, bottom, weights, optimize=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = upper / lower
        return np.asarray(np.sqrt(found) if metric == "rmse" else found, float)

    def of_losses(weights: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (weights @ top[identity, identity]) / (weights @ bottom[identity, identity])
        return np.asarray(np.sqrt(found) if metric == "rmse" else found, float)

    own = of_losses if metric in ("brier", "rmse") else statistic
    who = np.array([patients.get(case, case) for case in cases.tolist()])
    rng = generator(settings.bootstrap_seed, "subgroup", scores.name, column, group, metric)
    low, high = bca_interval(own, who, settings.bootstrap_resamples, settings.confidence, rng)
    value = float(own(np.ones((1, n)))[0])
    pairs = "pairs of cases tested by the same fit" if metric in ("auc", "harrell_c") else "out-of-fold predictions"
    method = (
        f"{pairs}, all repeats together; interval: bootstrap (BCa) of {settings.bootstrap_resamples} resamples of the patients, "
    )
    method += "fitted models held fixed; exploratory"
    return {**row, "value": value, "ci_low": low, "ci_high": high, "method": method}


def _pairs(scores: ModelScores, cases: NDArray[np.str_], metric: str) -> tuple[FloatArray, FloatArray]:
    """(n, n) what every pair of cases adds above and below the fraction line; losses of single cases stand on the diagonal."""
    top, bottom = np.zeros((len(cases), len(cases))), np.zeros((len(cases), len(cases)))
    for part in scores.by_fold.values():
        rows = np.flatnonzero(np.isin(part.cases, cases))
        if not len(rows):
            continue
        own = part.taken(rows)
        at = np.searchsorted(cases, own.cases)
        if metric == "auc":
            comparable = (own.y[:, None] == 1) & (own.y[None, :] == 0)
            score = own.p
        elif metric == "harrell_c":
            time, event = own.truth().timed()
            outlived, lower, _ = survival.pairs_of(time, event, own.said("score"))
            of_events = np.flatnonzero(event == 1)
            top[np.ix_(at[of_events], at)] += lower
            bottom[np.ix_(at[of_events], at)] += outlived
            continue
        else:
            loss = (own.p - own.y) ** 2 if metric == "brier" else (own.said("score") - own.truth().numbers()) ** 2
            top[at, at] += loss
            bottom[at, at] += 1.0
            continue
        wins = (score[:, None] > score[None, :]) + 0.5 * (score[:, None] == score[None, :])
        top[np.ix_(at, at)] += wins * comparable
        bottom[np.ix_(at, at)] += comparable
    return top, bottom

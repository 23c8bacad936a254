"""Curves of a run for its page: decision curves, and how groups of patients of similar risk fared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from radpipe.core.seeds import generator
from radpipe.core.tables import DECISION_CURVES, RISK_GROUPS, make_table
from radpipe.evaluation import net_benefit as decisions
from radpipe.evaluation import survival
from radpipe.evaluation.bootstrap import bca_interval
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.predictions import ModelScores, Scores, check_predictions, class_columns, outcome_kind, scores_of
from radpipe.typing import FloatArray, IntArray


def decision_curves(
    predictions: pd.DataFrame,
    settings: EvaluationSettings,
    *,
    patients: dict[str, str] | None = None,
    horizon: float | None = None,
) -> pd.DataFrame:
    """Table DECISION_CURVES: net benefit of every model at every threshold, and of treating everybody.

    Of two classes, and of times where a horizon is set; otherwise the table is empty. Pooled within a repeat, mean over repeats.
    """
    check_predictions(predictions)
    kind = outcome_kind(predictions)
    rows: list[dict[str, Any]] = []
    if (
        kind == "number"
        or (kind == "classes" and len(class_columns(predictions)) > 2)
        or (kind == "time_to_event" and horizon is None)
    ):
        return make_table(DECISION_CURVES, rows)
    at = np.array(settings.decision_thresholds)
    for name, scores in scores_of(predictions, "test").items():
        runs = [scores.pooled(repeat) for repeat in scores.repeats]
        if kind == "time_to_event":
            assert horizon is not None
            values = np.mean([decisions.net_benefit_at(*p.truth().timed(), p.p, at, horizon) for p in runs], axis=0)
            share = survival.incidence_at(*runs[0].truth().timed(), horizon)
            low = high = np.full(len(at), np.nan)
            method = (
                f"pooled within each repeat, mean over {len(runs)}; share with the event by {horizon:g} among the treated by "
            )
            method += "Aalen-Johansen; no interval"
        else:
            values = np.mean([decisions.net_benefit(p.y, p.p, at) for p in runs], axis=0)
            share = float(np.mean(runs[0].y == 1))
            low, high = _ends(scores, runs, at, settings, patients or {})
            method = (
                f"pooled within each repeat, mean over {len(runs)}; interval: bootstrap (BCa) of {settings.bootstrap_resamples} "
            )
            method += "resamples of the patients, fitted models held fixed, for each threshold by itself"
        everybody = decisions.treat_all(share, at)
        for k, threshold in enumerate(at.tolist()):
            rows.append(
                {"model": name, "threshold": threshold, "net_benefit": values[k], "ci_low": low[k], "ci_high": high[k],
                 "treat_all": everybody[k], "n": len(scores.cases), "method": method}
            )  # fmt: skip
    return make_table(DECISION_CURVES, rows)


def _ends(
    scores: ModelScores, runs: list[Scores], at: FloatArray, settings: EvaluationSettings, patients: dict[str, str]
) -> tuple[FloatArray, FloatArray]:
    cases = scores.cases
    who = np.array([patients.get(case, case) for case in cases.tolist()])
    found = []
    for threshold in at.tolist():
        rng = generator(settings.bootstrap_seed, "decision", scores.name, threshold)

        def statistic(weights: FloatArray, threshold: float = threshold) -> FloatArray:
            one = np.array([threshold])
            own = [decisions.net_benefit_of(p.y, p.p, one, weights[:, np.searchsorted(cases, p.cases)])[:, 0] for p in runs]
            return np.asarray(np.mean(own, axis=0), float)

        found.append(bca_interval(statistic, who, settings.bootstrap_resamples, settings.confidence, rng))
    ends = np.array(found)
    return ends[:, 0], ends[:, 1]


def risk_groups(predictions: pd.DataFrame, settings: EvaluationSettings) -> pd.DataFrame:
    """Table RISK_GROUPS: curves of patients of similar predicted risk, for times to an event; otherwise empty.

    Groups are cut at quantiles of the scores of each fit's own training part. Free of any event by Kaplan-Meier; where there
    are competing events, the incidence of the event by Aalen-Johansen. The log-rank test is conditional on these groups.
    """
    check_predictions(predictions)
    rows: list[dict[str, Any]] = []
    if outcome_kind(predictions) != "time_to_event":
        return make_table(RISK_GROUPS, rows)
    trained = scores_of(predictions, "train")
    for name, scores in scores_of(predictions, "test").items():
        if name not in trained:
            continue
        for repeat in scores.repeats:
            parts = [
                (key, part) for key, part in sorted(scores.by_fold.items()) if key[0] == repeat and key in trained[name].by_fold
            ]
            if not parts:
                continue
            group = np.concatenate([_cut(trained[name].by_fold[key], part, settings.risk_groups) for key, part in parts])
            time = np.concatenate([part.truth().timed()[0] for _, part in parts])
            event = np.concatenate([part.y for _, part in parts])
            rows += curves_of_groups(time, event, group, settings.confidence, {"model": name, "repeat": repeat})
    return make_table(RISK_GROUPS, rows)


def _cut(trained: Scores, tested: Scores, groups: int) -> IntArray:
    edges = np.quantile(trained.said("score"), np.arange(1, groups) / groups)
    return np.searchsorted(edges, tested.said("score"), side="left").astype(np.int64)


def curves_of_groups(
    time: FloatArray, event: IntArray, group: IntArray, confidence: float, more: dict[str, Any]
) -> list[dict[str, Any]]:
    """Rows of RISK_GROUPS. group : (n,) from 0, the lowest risk."""
    competing = bool((event > 1).any())
    test = survival.log_rank(time, (event == 1).astype(np.int64), group)
    said = f"log-rank of {len(test.observed)} groups p = {test.p_value:.3g}, conditional on these groups"
    if competing:
        said += " (cause-specific: competing events as censored)"
    rows = []
    for which in np.unique(group).tolist():
        own = group == which
        if competing:
            curve, kind = survival.aalen_johansen(time[own], event[own], confidence=confidence), "incidence"
            method = "Aalen-Johansen; interval: log(-log)"
        else:
            curve, kind = survival.kaplan_meier(time[own], event[own], confidence), "event_free"
            method = "Kaplan-Meier; interval: Greenwood, log(-log)"
        start = [(0.0, curve.start, curve.start, curve.start, float(own.sum()))]
        steps = zip(curve.times, curve.value, curve.ci_low, curve.ci_high, curve.at_risk, strict=True)
        for at, value, low, high, at_risk in [*(start if not len(curve.times) or curve.times[0] > 0 else []), *steps]:
            rows.append(
                {**more, "group": which, "time": float(at), "kind": kind, "value": float(value), "ci_low": float(low),
                 "ci_high": float(high), "at_risk": int(at_risk), "n": int(own.sum()), "n_events": int(np.sum(event[own] == 1)),
                 "p_value": test.p_value, "method": f"{method}; {said}"}
            )  # fmt: skip
    return rows

"""How well patients are told apart at several times: the time-dependent AUC within folds, with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from radpipe.core.tables import TIME_AUC, make_table
from radpipe.evaluation import resampled, survival
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.predictions import ModelScores, check_predictions, outcome_kind, scores_of
from radpipe.typing import FloatArray

QUANTILES = tuple(round(0.1 * k, 1) for k in range(1, 10))
"""Of the times of the event; between the first and the last tenth of them both sides hold somebody."""


def time_auc_table(predictions: pd.DataFrame, settings: EvaluationSettings) -> pd.DataFrame:
    """Table TIME_AUC, of times to an event; otherwise empty.

    At quantiles of the times at which tested cases had the event: who had it by then against who is free of it (Blanche 2013,
    :func:`radpipe.evaluation.survival.auc_at`), within each fold, mean over those that define it; interval: corrected resampled t.
    """
    check_predictions(predictions)
    rows: list[dict[str, Any]] = []
    if outcome_kind(predictions) != "time_to_event":
        return make_table(TIME_AUC, rows)
    learnt = _learnt(predictions)
    for name, scores in scores_of(predictions, "test").items():
        for at in _times(scores).tolist():
            rows.append(_row(scores, at, learnt.get(name, {}), settings.confidence))
    return make_table(TIME_AUC, rows)


def _learnt(predictions: pd.DataFrame) -> dict[str, dict[tuple[int, int], int]]:
    """Model -> (repeat, fold) -> cases of the training and the selection part together."""
    parts = predictions[predictions["role"] != "test"].drop_duplicates(["model", "repeat", "fold", "case_id"])
    found: dict[str, dict[tuple[int, int], int]] = {}
    for model, repeat, fold in zip(parts["model"], parts["repeat"], parts["fold"], strict=True):
        own = found.setdefault(str(model), {})
        own[int(repeat), int(fold)] = own.get((int(repeat), int(fold)), 0) + 1
    return found


def _times(scores: ModelScores) -> FloatArray:
    """(m,) distinct times, rising."""
    part = scores.pooled(scores.repeats[0])
    time, event = part.truth().timed()
    own = time[event == 1]
    return np.unique(np.quantile(own, QUANTILES, method="inverted_cdf")) if len(own) else np.zeros(0)


def _row(scores: ModelScores, at: float, learnt: dict[tuple[int, int], int], confidence: float) -> dict[str, Any]:
    values: dict[tuple[int, int], float] = {}
    for key, part in sorted(scores.by_fold.items()):
        time, event = part.truth().timed()
        value = survival.auc_at(time, event, part.said("score"), at)
        if np.isfinite(value):
            values[key] = value
    repeats = len({repeat for repeat, _ in values})
    df = resampled.degrees_of_freedom(repeats) if repeats else 0
    ratios = [len(scores.by_fold[key].y) / learnt[key] if learnt.get(key) else float("nan") for key in values]
    ratio = float(np.mean(ratios)) if ratios else float("nan")
    mean = resampled.corrected_mean(np.array(list(values.values())), ratio, df)
    low, high = mean.interval(confidence) if mean.standard_error > 0 else (float("nan"), float("nan"))
    everybody = scores.pooled(scores.repeats[0])
    time, event = everybody.truth().timed()
    if not values:
        method = "undefined: no fold holds somebody with, and somebody without the event by then"
    else:
        method = f"mean over the {len(values)} of {len(scores.by_fold)} folds with somebody on both sides, censored cases by inverse weights "
        method += "(Blanche 2013); interval: corrected resampled t (Nadeau and Bengio 2003), cut at 0 and 1, "
        method += "cases learnt from unknown, so no interval" if not np.isfinite(ratio) else resampled.in_words(repeats, df)
    return {
        "model": scores.name, "time": at, "auc": mean.mean, "ci_low": max(low, 0.0), "ci_high": min(high, 1.0),
        "n_events": int(np.sum((time <= at) & (event == 1))), "n_free": int(np.sum(time > at)), "folds": len(values), "method": method,
    }  # fmt: skip

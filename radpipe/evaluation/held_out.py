"""Fitted models on patients that they never saw: the metrics of one set, without folds.

The models are held fixed, so an interval says how sure the figure is for these models and patients like these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from radpipe.core.seeds import generator
from radpipe.core.tables import METRICS, make_table
from radpipe.errors import CohortError
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.delong import auc_interval
from radpipe.evaluation.fold_metrics import FOLD_METRICS
from radpipe.evaluation.metrics import ALL, evaluate
from radpipe.evaluation.predictions import Scores, scores_of

RESAMPLES = 1000
UNDEFINED_ALLOWED = 0.05


def evaluate_held_out(
    predictions: pd.DataFrame,
    fits: pd.DataFrame,
    settings: EvaluationSettings,
    *,
    patients: Mapping[str, str] | None = None,
    horizon: float | None = None,
) -> pd.DataFrame:
    """Table METRICS of predictions with role test in one fold of one repeat.

    What ranks cases gets DeLong's interval on the logit scale (AUC, one case a patient) or percentiles of a bootstrap of whole
    patients; the rest as :func:`radpipe.evaluation.metrics.evaluate` has it. CohortError where a model has several folds.
    """
    scores: dict[str, Scores] = {}
    for name, found in scores_of(predictions, "test").items():
        if len(found.by_fold) != 1:
            raise CohortError(f"model {name!r} has {len(found.by_fold)} folds; a held-out set has one.", hint="Use evaluate.")
        (scores[name],) = found.by_fold.values()
    table = evaluate(predictions, fits, settings, patients=patients, horizon=horizon)
    rows: list[dict[str, Any]] = table[(table["repeat"] == ALL) | ~table["metric"].isin(FOLD_METRICS)].to_dict("records")  # type: ignore[assignment]
    for row in rows:
        if row["repeat"] != ALL or row["metric"] not in FOLD_METRICS or "corrected resampled" not in row["method"]:
            continue
        part = scores[row["model"]]
        low, high, method = _interval(part, row["metric"], patients or {}, settings, horizon)
        row |= {"ci_low": low, "ci_high": high, "method": f"on the held-out cases, the fitted model held fixed; {method}"}
    return make_table(METRICS, rows)


def _interval(
    part: Scores, metric: str, patients: Mapping[str, str], settings: EvaluationSettings, horizon: float | None
) -> tuple[float, float, str]:
    owners = np.array([patients.get(case, case) for case in part.cases.tolist()])
    names, group = np.unique(owners, return_inverse=True)
    if metric == "auc" and len(names) == len(owners):
        _, low, high = auc_interval(part.y, part.p, settings.confidence)
        why = "" if np.isfinite(low) else " (none: perfect separation, or fewer than two cases of a class)"
        return low, high, f"interval: DeLong 1988 on the logit scale{why}"
    found = FOLD_METRICS[metric]
    said = part.said(found.uses)
    rng = generator(settings.bootstrap_seed, "held_out", metric, len(names))
    members = [np.flatnonzero(group == k) for k in range(len(names))]
    values = np.full(RESAMPLES, np.nan)
    for k in range(RESAMPLES):
        rows = np.concatenate([members[j] for j in rng.integers(0, len(names), len(names))])
        values[k] = found.compute(part.taken(rows).truth(horizon), said[rows])
    defined = values[np.isfinite(values)]
    method = f"interval: percentiles of a bootstrap, {RESAMPLES} resamples of whole patients"
    if len(defined) < (1 - UNDEFINED_ALLOWED) * RESAMPLES:
        return float("nan"), float("nan"), f"{method}; none: more than 5 % of the resamples do not define it"
    tail = (1 - settings.confidence) / 2
    low, high = (float(end) for end in np.quantile(defined, [tail, 1 - tail]))
    return low, high, method

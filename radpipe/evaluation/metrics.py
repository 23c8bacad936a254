"""predictions, fits -> the metrics table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from radpipe.core.seeds import generator
from radpipe.core.tables import FITS, METRICS, check_table, make_table
from radpipe.evaluation import bootstrap, calibration, formulas, resampled
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.predictions import ModelScores, Scores, check_predictions, scores_of
from radpipe.typing import FloatArray, IntArray

ALL = -1
"""In the columns repeat and fold: the row holds for all of them."""
FOLD_METRICS: dict[str, Callable[[IntArray, FloatArray], float]] = {
    "auc": formulas.auc,
    "average_precision": formulas.average_precision,
    "brier": formulas.brier,
}
"""Metrics that one fold's test part gives by itself; ``compare`` may use any of them."""
HIGHER_IS_BETTER = {"auc": True, "average_precision": True, "brier": False}


@dataclass(frozen=True)
class _Fit:
    threshold: float
    n_learnt: float  # training and selection part together


_Fits = dict[tuple[str, int, int], _Fit]


def evaluate(
    predictions: pd.DataFrame,
    fits: pd.DataFrame,
    settings: EvaluationSettings,
    *,
    patients: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Every metric of every model, per fold or repeat and over all of them (repeat = fold = -1); table METRICS.

    predictions, fits : tables of these names. patients : case_id -> patient_id, so that the bootstrap resamples
    patients; without it every case counts as a patient of its own.

    AUC and average precision are computed within folds and averaged, because the scores of two fits need not be on one
    scale: pooled over leave-one-out folds, scores without any signal reach an AUC of 0.26. Brier score, calibration,
    sensitivity and specificity judge probabilities and calls, which are on one scale, and are pooled within a repeat.
    Raises SchemaError or CohortError where the tables cannot be evaluated.
    """
    check_predictions(predictions)
    check_table(fits, FITS)
    known = _fits(fits)
    trained = scores_of(predictions, "train")
    rows: list[dict[str, Any]] = []
    for name, scores in scores_of(predictions, "test").items():
        rows += _within_folds(scores, known, settings)
        rows += _train_test(scores, trained.get(name))
        rows += _pooled(scores, settings, patients or {})
        rows += _calls(scores, known, settings)
    return make_table(METRICS, rows)


def _fits(fits: pd.DataFrame) -> _Fits:
    """(model, repeat, fold) -> what the metrics need of the fit, averaged over its seeds."""
    seen: dict[tuple[str, int, int], list[tuple[float, int]]] = {}
    for row in fits.to_dict("records"):
        key = (str(row["model"]), int(row["repeat"]), int(row["fold"]))
        seen.setdefault(key, []).append((float(row["threshold"]), int(row["n_train"]) + int(row["n_selection"])))
    return {
        key: _Fit(float(np.mean([threshold for threshold, _ in found])), float(np.mean([n for _, n in found])))
        for key, found in seen.items()
    }


def fold_values(scores: ModelScores, metric: str) -> dict[tuple[int, int], float]:
    """(repeat, fold) -> the metric on that fold; NaN where the fold does not define it."""
    function = FOLD_METRICS[metric]
    return {key: function(part.y, part.p) for key, part in sorted(scores.by_fold.items())}


def _within_folds(scores: ModelScores, known: _Fits, settings: EvaluationSettings) -> list[dict[str, Any]]:
    rows = []
    for metric in ("auc", "average_precision"):
        values = fold_values(scores, metric)
        for (repeat, fold), value in values.items():
            n = len(scores.by_fold[repeat, fold].y)
            method = "on the fold's test part" if np.isfinite(value) else "undefined: one class only in the fold's test part"
            rows.append(_row(scores.name, metric, value, n, method, repeat=repeat, fold=fold))
        defined = {key: value for key, value in values.items() if np.isfinite(value)}
        repeats = len({repeat for repeat, _ in defined})
        df = resampled.degrees_of_freedom(repeats) if repeats else 0
        ratio = _test_to_train(scores, known, list(defined))
        mean = resampled.corrected_mean(np.array(list(defined.values())), ratio, df)
        low, high = mean.interval(settings.confidence) if mean.standard_error > 0 else (float("nan"), float("nan"))
        if not defined:
            method = "undefined: no fold holds both classes"
        else:
            method = f"mean over {len(defined)} folds"
            if len(defined) < len(values):
                method += f" ({len(values) - len(defined)} more have one class only and are left out)"
            method += "; interval: corrected resampled t (Nadeau and Bengio 2003), cut at 0 and 1, "
            method += "n_train unknown, so no interval" if not np.isfinite(ratio) else resampled.in_words(repeats, df)
            if mean.standard_error == 0:  # an interval without width would claim a certainty that no data give
                method += "; no interval: every fold has the same value"
        rows.append(_row(scores.name, metric, mean.mean, len(scores.cases), method, max(low, 0.0), min(high, 1.0)))
    return rows


def _test_to_train(scores: ModelScores, known: _Fits, folds: list[tuple[int, int]]) -> float:
    """Mean over folds of n_test / n_train; n_train counts the selection part, which the fit saw too."""
    fits = [known.get((scores.name, *key)) for key in folds]
    ratios = [
        len(scores.by_fold[key].y) / fit.n_learnt if fit and fit.n_learnt else float("nan")
        for key, fit in zip(folds, fits, strict=True)
    ]
    return float(np.mean(ratios)) if ratios else float("nan")


def _train_test(scores: ModelScores, trained: ModelScores | None) -> list[dict[str, Any]]:
    """Training AUC, and its distance to the AUC on cases the fit never saw (not Harrell's optimism, which bootstraps)."""
    if trained is None:
        return []
    on_train, on_test = fold_values(trained, "auc"), fold_values(scores, "auc")
    rows = []
    for (repeat, fold), value in on_train.items():
        n = len(trained.by_fold[repeat, fold].y)
        method = "on the fold's training part" if np.isfinite(value) else "undefined: one class only in the training part"
        rows.append(_row(scores.name, "auc", value, n, method, repeat=repeat, fold=fold, role="train"))
    both = [key for key, value in on_test.items() if np.isfinite(value) and np.isfinite(on_train.get(key, np.nan))]
    mean = float(np.mean([on_train[key] for key in both])) if both else float("nan")
    gap = float(np.mean([on_train[key] - on_test[key] for key in both])) if both else float("nan")
    why = f"mean over {len(both)} folds; " if both else "undefined: no fold holds both classes; "
    n = len(trained.cases)
    rows.append(_row(scores.name, "auc", mean, n, why + "no interval: these cases were learnt from", role="train"))
    method = why + "training AUC minus test AUC of the same fold; no interval"
    rows.append(_row(scores.name, "auc_train_test_gap", gap, len(scores.cases), method))
    return rows


def _pooled(scores: ModelScores, settings: EvaluationSettings, patients: Mapping[str, str]) -> list[dict[str, Any]]:
    """Brier score and calibration: per repeat over its out-of-fold probabilities, then averaged over repeats."""
    runs = {repeat: scores.pooled(repeat) for repeat in scores.repeats}
    cases, name = scores.cases, scores.name
    outcome: dict[str, int] = {}
    for part in runs.values():
        outcome.update(zip(part.cases.tolist(), part.y.tolist(), strict=True))
    risk, n = float(np.mean(list(outcome.values()))), len(cases)
    at_edge = sum(int(np.sum((part.p <= 0) | (part.p >= 1))) for part in runs.values())
    edge = f"; {at_edge} probabilities of exactly 0 or 1 taken as {calibration.EDGE:g} from the edge" if at_edge else ""
    groups = np.array([patients.get(case, case) for case in cases.tolist()])
    rows = [
        _row(name, "prevalence", risk, n, "share of class 1 among the tested cases"),
        _row(name, "brier_reference", risk * (1 - risk), n, "Brier score of giving everyone the prevalence"),
    ]
    for metric, statistic, note in (
        ("brier", _brier, ""),
        ("calibration_slope", _slope, edge),
        ("calibration_intercept", _intercept, edge),
        ("calibration_in_the_large", _in_the_large, edge),
    ):
        values = {repeat: float(statistic(part, np.ones((1, len(part.y))))[0]) for repeat, part in runs.items()}
        for repeat, value in values.items():
            method = "pooled over the repeat's folds" if np.isfinite(value) else _why(runs[repeat])
            finite = value if np.isfinite(value) else float("nan")
            rows.append(_row(name, metric, finite, len(runs[repeat].y), method + note, repeat=repeat))
        mean = float(np.mean(list(values.values())))
        unusable = [repeat for repeat, value in values.items() if not np.isfinite(value)]
        if unusable:
            method = f"in {len(unusable)} of {len(values)} repeats {_why(runs[unusable[0]])}"
            rows.append(_row(name, metric, float("nan"), n, method + note))
            continue

        def over_repeats(weights: FloatArray, statistic: _Weighted = statistic) -> FloatArray:
            found = [statistic(part, weights[:, np.searchsorted(cases, part.cases)]) for part in runs.values()]
            return np.asarray(np.mean(found, axis=0), float)

        rng = generator(settings.bootstrap_seed, "evaluation", name, metric)
        # A resample may be undefined (the mean of +inf and -inf, or no case of a repeat): it is NaN and counted as such.
        with np.errstate(invalid="ignore", divide="ignore"):
            ends = bootstrap.bca_interval(over_repeats, groups, settings.bootstrap_resamples, settings.confidence, rng)
        low, high = (end if np.isfinite(end) else float("nan") for end in ends)
        method = f"pooled within each repeat, mean over {len(values)}; interval: bootstrap (BCa) of "
        method += f"{settings.bootstrap_resamples} resamples of the patients, fitted models held fixed"
        if not all(np.isfinite(ends)):
            method += "; no finite end where too many resamples separate the classes or do not vary"
        rows.append(_row(name, metric, mean, n, method + note, low, high))
    return rows


_Weighted = Callable[[Scores, FloatArray], FloatArray]


def _brier(part: Scores, weights: FloatArray) -> FloatArray:
    return np.asarray((weights @ (part.p - part.y) ** 2) / weights.sum(axis=1), float)


def _slope(part: Scores, weights: FloatArray) -> FloatArray:
    return calibration.logistic_fits(part.y, calibration.logit(part.p), weights)[1]


def _intercept(part: Scores, weights: FloatArray) -> FloatArray:
    return calibration.logistic_fits(part.y, calibration.logit(part.p), weights)[0]


def _in_the_large(part: Scores, weights: FloatArray) -> FloatArray:
    return calibration.in_the_large(part.y, calibration.logit(part.p), weights)


def _why(part: Scores) -> str:
    if len(np.unique(part.y)) < 2:
        return "undefined: one class only"
    if np.ptp(calibration.logit(part.p)) == 0:
        return "undefined: every case has the same probability"
    return "undefined: the probabilities separate the classes perfectly, so the slope is infinite"


def _calls(scores: ModelScores, known: _Fits, settings: EvaluationSettings) -> list[dict[str, Any]]:
    """Sensitivity and specificity at the threshold that each fit chose on its own training and selection part."""
    rows = []
    fits = {key: known.get((scores.name, *key)) for key in scores.by_fold}
    thresholds = {key: fit.threshold for key, fit in fits.items() if fit}
    for metric, wanted in (("sensitivity", 1), ("specificity", 0)):
        n = len({case for part in scores.by_fold.values() for case in part.cases[part.y == wanted].tolist()})
        if len(thresholds) < len(fits) or not n:
            why = f"undefined: no case of class {wanted}" if not n else "undefined: a fit's threshold is not known"
            rows.append(_row(scores.name, metric, float("nan"), n, why))
            continue
        right: dict[int, list[bool]] = {}
        for key, part in scores.by_fold.items():
            called = part.p[part.y == wanted] >= thresholds[key]
            right.setdefault(key[0], []).extend((called == bool(wanted)).tolist())
        values = {repeat: float(np.mean(found)) for repeat, found in sorted(right.items()) if found}
        for repeat, value in values.items():
            method = "at each fit's own threshold, over the repeat's folds"
            rows.append(_row(scores.name, metric, value, len(right[repeat]), method, repeat=repeat))
        mean = float(np.mean(list(values.values())))
        low, high = formulas.wilson_interval(mean, n, settings.confidence)
        method = f"at each fit's own threshold (median {np.median(list(thresholds.values())):.3g}), mean over {len(values)} "
        method += f"repeats; interval: Wilson for the {n} cases of class {wanted}, fitted models held fixed"
        rows.append(_row(scores.name, metric, mean, n, method, low, high))
    return rows


def _row(
    model: str,
    metric: str,
    value: float,
    n: int,
    method: str,
    low: float = float("nan"),
    high: float = float("nan"),
    *,
    repeat: int = ALL,
    fold: int = ALL,
    role: str = "test",
) -> dict[str, Any]:
    return {
        "model": model, "metric": metric, "repeat": repeat, "fold": fold, "role": role, "value": value,
        "ci_low": low, "ci_high": high, "n": n, "method": method,
    }  # fmt: skip

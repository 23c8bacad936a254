"""predictions, fits -> the metrics table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from radpipe.core.seeds import generator
from radpipe.core.tables import FITS, METRICS, check_table, make_table
from radpipe.errors import CohortError
from radpipe.evaluation import bootstrap, calibration, formulas, resampled, several_classes, weighted
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.fold_metrics import FOLD_METRICS, HIGHER_IS_BETTER, Kind
from radpipe.evaluation.predictions import ModelScores, Scores, check_predictions, class_columns, outcome_kind, scores_of
from radpipe.evaluation.survival import check_times
from radpipe.typing import FloatArray

__all__ = ["ALL", "FOLD_METRICS", "HIGHER_IS_BETTER", "evaluate", "fold_values", "pooled_auc"]

ALL = -1
"""In the columns repeat and fold: the row holds for all of them."""
LEAVE_ONE_OUT = (
    "refused: folds of one case have no AUC of their own, and pooled over them scores without any signal reach an AUC of 0.26, "
    "because who is left out shifts the others' mean; draw folds that hold both classes"
)


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
    horizon: float | None = None,
) -> pd.DataFrame:
    """Every metric of every model, per fold or repeat and over all of them (repeat = fold = -1); table METRICS.

    predictions, fits : tables of these names, of any kind of outcome. patients : case_id -> patient_id, so that the bootstrap
    resamples patients; without it every case counts as a patient of its own. horizon : the time by which risks are told
    (time_to_event).

    What ranks cases (AUC, average precision, concordance, rank correlation) is computed within folds and averaged, because the
    scores of two fits need not be on one scale: pooled over leave-one-out folds, scores without any signal reach an AUC of
    0.26. What judges probabilities, calls and numbers, which are on one scale, is pooled within a repeat.
    Raises SchemaError or CohortError where the tables cannot be evaluated.
    """
    check_predictions(predictions)
    check_table(fits, FITS)
    known = _fits(fits)
    kind, n_classes = outcome_kind(predictions), len(class_columns(predictions))
    if kind == "time_to_event":
        check_times(predictions["time"].to_numpy(float), predictions["y_true"].to_numpy())
    plan = _plan(kind, n_classes, horizon)
    trained = scores_of(predictions, "train")
    rows: list[dict[str, Any]] = []
    for name, scores in scores_of(predictions, "test").items():
        rows += _within_folds(scores, known, settings, plan.ranking, horizon)
        rows += _train_test(scores, trained.get(name), plan.ranking[0], horizon)
        rows += plan.references(scores)
        rows += _pooled(scores, settings, patients or {}, plan.pooled)
        if kind == "classes" and n_classes == 2:
            rows += _calls(scores, known, settings)
            rows += _ece(scores, settings)
    return make_table(METRICS, rows)


def pooled_auc(scores: ModelScores) -> float:
    """AUC of the scores of all folds of each repeat together, mean over repeats: only on request, and only where the
    probabilities of all fits are calibrated. CohortError for leave-one-out, where it is biased far below 0.5."""
    if scores.leave_one_out:
        raise CohortError(
            f"model {scores.name!r}: a pooled leave-one-out AUC is {LEAVE_ONE_OUT}.", hint="Use repeated folds (splits.folds: 5)."
        )
    return float(np.mean([formulas.auc(part.y, part.p) for part in map(scores.pooled, scores.repeats)]))


@dataclass(frozen=True)
class _Pooled:
    """statistic : part of one repeat and (resamples, n) weights -> (resamples,). why : what an undefined value is due to."""

    metric: str
    statistic: Callable[[Scores, FloatArray], FloatArray]
    note: Callable[[Mapping[int, Scores]], str]
    why: Callable[[Scores], str]


@dataclass(frozen=True)
class _Plan:
    """ranking : metrics within folds, the first also of the training part. references : what a model that knows nothing gets."""

    ranking: tuple[str, ...]
    pooled: tuple[_Pooled, ...]
    references: Callable[[ModelScores], list[dict[str, Any]]]


def _plan(kind: Kind, n_classes: int, horizon: float | None) -> _Plan:
    def plain(_: Mapping[int, Scores]) -> str:
        return ""

    if kind == "number":
        of_number = (
            _Pooled("rmse", lambda part, w: np.sqrt(_mean(_squares(part), w)), plain, _why),
            _Pooled("mae", lambda part, w: _mean(np.abs(part.said("score") - part.truth().numbers()), w), plain, _why),
            _Pooled("r2", _r2, plain, lambda part: "undefined: every case has the same outcome"),
        )
        return _Plan(("spearman",), of_number, _number_references)
    if kind == "time_to_event":
        ranking = ("harrell_c", "uno_c") + (("auc_at_horizon",) if horizon is not None else ())
        if horizon is None:
            return _Plan(ranking, (), lambda scores: [])
        at = horizon

        def followed(part: Scores) -> str:
            return f"undefined: nobody was followed until {at:g}, or nobody had the event by then"

        def told(_: Mapping[int, Scores]) -> str:
            return f"; at {at:g}, censored cases by inverse weights (Graf 1999)"

        of_time = (
            _Pooled("brier_at_horizon", lambda part, w: weighted.brier_at(*part.truth().timed(), part.p, at, w), told, followed),
            _Pooled(
                "observed_minus_expected_at_horizon",
                lambda part, w: weighted.incidence_at(*part.truth().timed(), at, w) - _mean(part.p, w),
                lambda _: f"; incidence by {at:g} (Aalen-Johansen) minus mean predicted risk, 0 is right", followed,
            ),
        )  # fmt: skip
        return _Plan(ranking, of_time, lambda scores: _time_references(scores, at))
    if n_classes > 2:
        one_of = tuple(f"auc_class_{k}" for k in range(n_classes))
        of_classes = (
            _Pooled("log_loss", lambda part, w: _mean(_log_losses(part), w), plain, _why),
            _Pooled("brier_classes", lambda part, w: _mean(_brier_losses(part), w), plain, _why),
            _Pooled("accuracy", lambda part, w: _mean(_right(part), w), plain, _why),
        )
        return _Plan(("macro_auc", *one_of), of_classes, _class_references)
    pooled = (
        _Pooled("brier", lambda part, w: _mean((part.p - part.y) ** 2, w), plain, _why),
        _Pooled("calibration_slope", _slope, _edge, _why),
        _Pooled("calibration_intercept", _intercept, _edge, _why),
        _Pooled("calibration_in_the_large", _in_the_large, _edge, _why),
    )
    return _Plan(("auc", "average_precision"), pooled, _two_class_references)


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


def fold_values(scores: ModelScores, metric: str, horizon: float | None = None) -> dict[tuple[int, int], float]:
    """(repeat, fold) -> the metric on that fold; NaN where the fold does not define it. metric : of FOLD_METRICS, or
    auc_class_<k>, the AUC of class k against the rest."""
    if metric.startswith("auc_class_"):
        k = int(metric.removeprefix("auc_class_"))
        return {
            key: formulas.auc((part.y == k).astype(np.int64), part.said("classes")[:, k])
            for key, part in sorted(scores.by_fold.items())
        }
    found = FOLD_METRICS[metric]
    return {key: found.compute(part.truth(horizon), part.said(found.uses)) for key, part in sorted(scores.by_fold.items())}


_LACKS = {
    "spearman": ("fewer than 3 cases, or the same number for all", "fold has 3 cases that differ"),
    "harrell_c": ("no event before another case's time", "fold holds two cases whose order is known"),
    "uno_c": ("no event before another case's time and the horizon", "fold holds two cases whose order is known"),
    "auc_at_horizon": ("nobody with, or nobody without the event by the horizon", "fold holds both by the horizon"),
    "macro_auc": ("a class is missing", "fold holds all classes"),
}


def _within_folds(
    scores: ModelScores, known: _Fits, settings: EvaluationSettings, metrics: tuple[str, ...], horizon: float | None
) -> list[dict[str, Any]]:
    rows = []
    for metric in metrics:
        lacks, wanted = _LACKS.get(metric, ("one class only", "fold holds both classes"))
        values = fold_values(scores, metric, horizon)
        for (repeat, fold), value in values.items():
            n = len(scores.by_fold[repeat, fold].y)
            method = "on the fold's test part" if np.isfinite(value) else f"undefined: {lacks} in the fold's test part"
            rows.append(_row(scores.name, metric, value, n, method, repeat=repeat, fold=fold))
        defined = {key: value for key, value in values.items() if np.isfinite(value)}
        repeats = len({repeat for repeat, _ in defined})
        df = resampled.degrees_of_freedom(repeats) if repeats else 0
        ratio = _test_to_train(scores, known, list(defined))
        mean = resampled.corrected_mean(np.array(list(defined.values())), ratio, df)
        low, high = mean.interval(settings.confidence) if mean.standard_error > 0 else (float("nan"), float("nan"))
        least = -1.0 if metric == "spearman" else 0.0
        if not defined:
            method = f"undefined: no {wanted}" + (f"; {LEAVE_ONE_OUT}" if scores.leave_one_out else "")
        else:
            method = f"mean over {len(defined)} folds"
            if len(defined) < len(values):
                method += f" ({len(values) - len(defined)} more have {lacks} and are left out)"
            method += f"; interval: corrected resampled t (Nadeau and Bengio 2003), cut at {least:g} and 1, "
            method += "n_train unknown, so no interval" if not np.isfinite(ratio) else resampled.in_words(repeats, df)
            if mean.standard_error == 0:  # an interval without width would claim a certainty that no data give
                method += "; no interval: every fold has the same value"
        rows.append(_row(scores.name, metric, mean.mean, len(scores.cases), method, max(low, least), min(high, 1.0)))
    return rows


def _test_to_train(scores: ModelScores, known: _Fits, folds: list[tuple[int, int]]) -> float:
    """Mean over folds of n_test / n_train; n_train counts the selection part, which the fit saw too."""
    fits = [known.get((scores.name, *key)) for key in folds]
    ratios = [
        len(scores.by_fold[key].y) / fit.n_learnt if fit and fit.n_learnt else float("nan")
        for key, fit in zip(folds, fits, strict=True)
    ]
    return float(np.mean(ratios)) if ratios else float("nan")


def _train_test(scores: ModelScores, trained: ModelScores | None, metric: str, horizon: float | None) -> list[dict[str, Any]]:
    """The ranking on the training part, and its distance to that on cases the fit never saw (not Harrell's optimism, which
    bootstraps: radpipe.evaluation.optimism)."""
    if trained is None:
        return []
    lacks, wanted = _LACKS.get(metric, ("one class only", "fold holds both classes"))
    said = "AUC" if metric == "auc" else metric
    on_train, on_test = fold_values(trained, metric, horizon), fold_values(scores, metric, horizon)
    rows = []
    for (repeat, fold), value in on_train.items():
        n = len(trained.by_fold[repeat, fold].y)
        method = "on the fold's training part" if np.isfinite(value) else f"undefined: {lacks} in the training part"
        rows.append(_row(scores.name, metric, value, n, method, repeat=repeat, fold=fold, role="train"))
    both = [key for key, value in on_test.items() if np.isfinite(value) and np.isfinite(on_train.get(key, np.nan))]
    mean = float(np.mean([on_train[key] for key in both])) if both else float("nan")
    gap = float(np.mean([on_train[key] - on_test[key] for key in both])) if both else float("nan")
    why = f"mean over {len(both)} folds; " if both else f"undefined: no {wanted}; "
    n = len(trained.cases)
    rows.append(_row(scores.name, metric, mean, n, why + "no interval: these cases were learnt from", role="train"))
    method = why + f"training {said} minus test {said} of the same fold; no interval"
    rows.append(_row(scores.name, f"{metric}_train_test_gap", gap, len(scores.cases), method))
    return rows


def _two_class_references(scores: ModelScores) -> list[dict[str, Any]]:
    risk, n = float(np.mean(list(_outcomes(scores).values()))), len(scores.cases)
    return [
        _row(scores.name, "prevalence", risk, n, "share of class 1 among the tested cases"),
        _row(scores.name, "brier_reference", risk * (1 - risk), n, "Brier score of giving everyone the prevalence"),
    ]


def _class_references(scores: ModelScores) -> list[dict[str, Any]]:
    shares = np.bincount(list(_outcomes(scores).values())) / len(scores.cases)
    shares = shares[shares > 0]
    n = len(scores.cases)
    rows = [
        _row(scores.name, f"prevalence_class_{k}", float(share), n, "share among the tested cases")
        for k, share in enumerate(shares)
    ]
    nothing = float(-np.sum(shares * np.log(shares)))
    return [
        *rows,
        _row(scores.name, "log_loss_reference", nothing, n, "log loss of giving everyone the shares of the classes"),
        _row(scores.name, "brier_classes_reference", float(1 - np.sum(shares**2)), n, "of giving everyone the shares"),
        _row(scores.name, "accuracy_reference", float(shares.max()), n, "of calling everybody the most frequent class"),
    ]


def _number_references(scores: ModelScores) -> list[dict[str, Any]]:
    values: dict[str, float] = {}
    for part in scores.by_fold.values():
        values.update(zip(part.cases.tolist(), part.truth().numbers().tolist(), strict=True))
    spread = float(np.std(list(values.values())))
    return [_row(scores.name, "rmse_reference", spread, len(values), "error of giving everyone the tested cases' mean")]


def _time_references(scores: ModelScores, at: float) -> list[dict[str, Any]]:
    part = scores.pooled(scores.repeats[0])
    time, event = part.truth().timed()
    ones = np.ones((1, len(time)))
    share = float(weighted.incidence_at(time, event, at, ones)[0])
    rows = [_row(scores.name, "incidence_at_horizon", share, len(time), f"share with the event by {at:g}, Aalen-Johansen")]
    for code, name in ((1, "events"), (2, "competing_events")):
        rows.append(_row(scores.name, name, float(np.sum(event == code)), len(time), "count among the tested cases"))
    if np.isfinite(share):
        brier = float(weighted.brier_at(time, event, np.full(len(time), share), at, ones)[0])
        rows.append(_row(scores.name, "brier_at_horizon_reference", brier, len(time), "of giving everyone that share"))
    return rows


def _outcomes(scores: ModelScores) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in scores.by_fold.values():
        found.update(zip(part.cases.tolist(), part.y.tolist(), strict=True))
    return found


def _edge(runs: Mapping[int, Scores]) -> str:
    at_edge = sum(int(np.sum((part.p <= 0) | (part.p >= 1))) for part in runs.values())
    return f"; {at_edge} probabilities of exactly 0 or 1 taken as {calibration.EDGE:g} from the edge" if at_edge else ""


def _pooled(
    scores: ModelScores, settings: EvaluationSettings, patients: Mapping[str, str], metrics: tuple[_Pooled, ...]
) -> list[dict[str, Any]]:
    """Per repeat over its out-of-fold predictions, then averaged over repeats."""
    runs = {repeat: scores.pooled(repeat) for repeat in scores.repeats}
    cases, name, n = scores.cases, scores.name, len(scores.cases)
    groups = np.array([patients.get(case, case) for case in cases.tolist()])
    rows = []
    for item in metrics:
        metric, statistic, note = item.metric, item.statistic, item.note(runs)
        values = {repeat: float(statistic(part, np.ones((1, len(part.y))))[0]) for repeat, part in runs.items()}
        for repeat, value in values.items():
            method = "pooled over the repeat's folds" if np.isfinite(value) else item.why(runs[repeat])
            finite = value if np.isfinite(value) else float("nan")
            rows.append(_row(name, metric, finite, len(runs[repeat].y), method + note, repeat=repeat))
        mean = float(np.mean(list(values.values())))
        unusable = [repeat for repeat, value in values.items() if not np.isfinite(value)]
        if unusable:
            method = f"in {len(unusable)} of {len(values)} repeats {item.why(runs[unusable[0]])}"
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


def _mean(loss: FloatArray, weights: FloatArray) -> FloatArray:
    """(resamples,) weighted means of a loss (n,)."""
    return np.asarray((weights @ loss) / weights.sum(axis=1), float)


def _squares(part: Scores) -> FloatArray:
    return np.asarray((part.said("score") - part.truth().numbers()) ** 2, float)


def _r2(part: Scores, weights: FloatArray) -> FloatArray:
    truth = part.truth().numbers()
    spread = _mean(truth**2, weights) - _mean(truth, weights) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(spread > 1e-12 * np.var(truth), 1 - _mean(_squares(part), weights) / spread, np.nan), float)


def _log_losses(part: Scores) -> FloatArray:
    p = part.said("classes")[np.arange(len(part.y)), part.y]
    return np.asarray(-np.log(np.maximum(p, several_classes.LEAST)), float)


def _brier_losses(part: Scores) -> FloatArray:
    p = part.said("classes")
    return np.asarray(np.sum((p - np.eye(p.shape[1])[part.y]) ** 2, axis=1), float)


def _right(part: Scores) -> FloatArray:
    return np.asarray(np.argmax(part.said("classes"), axis=1) == part.y, float)


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


def _ece(scores: ModelScores, settings: EvaluationSettings) -> list[dict[str, Any]]:
    bins = settings.ece_bins
    values = {
        r: calibration.expected_calibration_error(part.y, part.p, bins)
        for r, part in ((r, scores.pooled(r)) for r in scores.repeats)
    }
    n = len(scores.cases)
    method = f"expected calibration error over {bins} bins of equal number of cases, pooled within each repeat"
    rows = [_row(scores.name, "ece", value, n, method, repeat=repeat) for repeat, value in values.items()]
    method += f", mean over {len(values)}; no interval: above 0 even for a perfect model (about {n / bins:.0f} cases a bin)"
    return [*rows, _row(scores.name, "ece", float(np.mean(list(values.values()))), n, method)]


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

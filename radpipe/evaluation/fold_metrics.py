"""Metrics that one fold's test part gives by itself; ``compare`` may use any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from radpipe.errors import ConfigError
from radpipe.evaluation import formulas, numbers, several_classes, survival
from radpipe.typing import FloatArray, IntArray

Kind = Literal["classes", "number", "time_to_event"]
Uses = Literal["p", "score", "classes"]


@dataclass(frozen=True)
class Truth:
    """What happened to n cases. y : class or event code. time, value : of those kinds of outcome. horizon : of the run."""

    y: IntArray
    time: FloatArray | None = None
    value: FloatArray | None = None
    horizon: float | None = None

    def timed(self) -> tuple[FloatArray, IntArray]:
        """time, event code; ConfigError where the outcome has no times."""
        if self.time is None:
            raise ConfigError("the outcome has no times.", hint="Metrics of time to event need a time_to_event outcome.")
        return self.time, self.y

    def numbers(self) -> FloatArray:
        """The outcome's values; ConfigError where it is no number."""
        if self.value is None:
            raise ConfigError("the outcome is no number.", hint="Choose a metric of classes or of time to event.")
        return self.value

    def until(self) -> float:
        """The horizon; ConfigError where none is set."""
        if self.horizon is None:
            raise ConfigError("the metric needs a horizon.", hint="Set cohort.horizon: the time by which risks are told.")
        return self.horizon


@dataclass(frozen=True)
class FoldMetric:
    """compute : truth and what the model says of it -> value. uses : "p", the probability of class 1 (or of the event by
    the horizon), (n,); "score", the predicted number or the log relative hazard, (n,); "classes", (n, k) probabilities.

    unit : "1" for what is without one, "outcome" for what is in the outcome's unit.
    """

    name: str
    kinds: tuple[Kind, ...]
    uses: Uses
    higher_is_better: bool
    compute: Callable[[Truth, FloatArray], float]
    meaning: str
    unit: Literal["1", "outcome"] = "1"


def _two(function: Callable[[IntArray, FloatArray], float]) -> Callable[[Truth, FloatArray], float]:
    return lambda truth, p: function(truth.y, p)


def _number(function: Callable[[FloatArray, FloatArray], float]) -> Callable[[Truth, FloatArray], float]:
    return lambda truth, score: function(truth.numbers(), score)


_ALL = (
    FoldMetric("auc", ("classes",), "p", True, _two(formulas.auc), "area under the ROC curve"),
    FoldMetric("average_precision", ("classes",), "p", True, _two(formulas.average_precision), "average precision"),
    FoldMetric("brier", ("classes",), "p", False, _two(formulas.brier), "mean squared error of the probability"),
    FoldMetric("macro_auc", ("classes",), "classes", True, _two(several_classes.macro_auc), "mean AUC of each class against the rest"),
    FoldMetric("log_loss", ("classes",), "classes", False, _two(several_classes.log_loss), "mean minus log probability of what happened"),
    FoldMetric("accuracy", ("classes",), "classes", True, _two(several_classes.accuracy), "share of cases whose likeliest class is right"),
    FoldMetric(
        "harrell_c", ("time_to_event",), "score", True, lambda t, s: survival.harrell_c(*t.timed(), s), "Harrell's concordance"
    ),
    FoldMetric("uno_c", ("time_to_event",), "score", True, lambda t, s: survival.uno_c(*t.timed(), s, t.horizon), "Uno's concordance"),
    FoldMetric(
        "auc_at_horizon", ("time_to_event",), "score", True, lambda t, s: survival.auc_at(*t.timed(), s, t.until()), "AUC of the event by the horizon"
    ),
    FoldMetric(
        "brier_at_horizon", ("time_to_event",), "p", False, lambda t, p: survival.brier_at(*t.timed(), p, t.until()),
        "mean squared error of the risk by the horizon",
    ),
    FoldMetric("rmse", ("number",), "score", False, _number(numbers.rmse), "root mean squared error", "outcome"),
    FoldMetric("mae", ("number",), "score", False, _number(numbers.mae), "mean absolute error", "outcome"),
    FoldMetric("r2", ("number",), "score", True, _number(numbers.r2), "explained share of the variance"),
    FoldMetric("spearman", ("number",), "score", True, _number(numbers.spearman), "rank correlation"),
)  # fmt: skip
FOLD_METRICS: dict[str, FoldMetric] = {metric.name: metric for metric in _ALL}
HIGHER_IS_BETTER = {metric.name: metric.higher_is_better for metric in _ALL}


def default_metric(kind: Kind, n_classes: int) -> str:
    """What stands in the place of the AUC: itself for two classes, macro_auc for more, harrell_c, rmse."""
    if kind == "classes":
        return "auc" if n_classes <= 2 else "macro_auc"
    return {"time_to_event": "harrell_c", "number": "rmse"}[kind]


def metric_for(wanted: str, kind: Kind, n_classes: int) -> FoldMetric:
    """The metric ``wanted``, "auc" meaning the default of the kind of outcome; ConfigError where it does not fit."""
    if wanted == "auc":
        wanted = default_metric(kind, n_classes)
    metric = FOLD_METRICS.get(wanted)
    fits = metric is not None and kind in metric.kinds and not (metric.uses == "p" and kind == "classes" and n_classes > 2)
    if metric is None or not fits:
        able = [m.name for m in _ALL if kind in m.kinds and not (m.uses == "p" and kind == "classes" and n_classes > 2)]
        outcome = f"{n_classes} classes" if kind == "classes" else kind
        raise ConfigError(
            f"the metric {wanted!r} does not fit an outcome of {outcome}.", hint=f"Choose one of: {', '.join(able)}."
        )
    return metric

"""Two or more models side by side -> one HTML page that needs nothing else."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2
import pandas as pd

from radpipe.evaluation.calibration import grouped_calibration
from radpipe.evaluation.predictions import ModelScores, class_columns, outcome_kind, scores_of
from radpipe.report import html, performance, words
from radpipe.report.metric_words import METRIC_NAMES
from radpipe.report.words import finite, label

MOST_CURVES = 6
"""Decision curves that can be told apart in one picture; the primary pair comes first."""
GROUPS = 4
"""Groups of equal size in the calibration plots."""
RANKING = {"classes": "auc", "time_to_event": "harrell_c", "number": "spearman"}
JUDGED = {
    "classes": ("average_precision", "brier", "calibration_slope", "calibration_intercept", "ece"),
    "several": ("log_loss", "brier_classes", "accuracy"),
    "time_to_event": ("uno_c", "auc_at_horizon", "brier_at_horizon", "observed_minus_expected_at_horizon"),
    "number": ("rmse", "mae", "r2"),
}


def render(
    predictions: pd.DataFrame, comparison: pd.DataFrame, metrics: pd.DataFrame, curves: pd.DataFrame, said: dict[str, Any]
) -> str:
    """predictions, comparison, metrics, curves : tables PREDICTIONS, COMPARISON, METRICS, DECISION_CURVES of the same models.

    said : headline, sentences, design (repeats 0 for held-out patients), planned, question_sha256, settings (of the comparison),
    carries (the test whose verdicts count), sources (name, kind, models, sha256),
    costs (model -> of :func:`radpipe.stages.compare_facts.costs`), external (of
    :func:`radpipe.stages.compare_external.external_facts`, or None) and then development, the table METRICS of the cross-validation.
    The same input gives the same bytes.
    """
    from radpipe.report import (  # matplotlib: a second to import
        comparison_figures,
        performance_figures,
        plotting,
        usefulness_figures,
    )

    design, external = said["design"], said["external"]
    rows = [_values(row) for row in comparison.to_dict("records")]
    pair = {(row["model_a"], row["model_b"]) for row in rows if row["primary"]}
    rows.sort(
        key=lambda row: (
            (row["model_a"], row["model_b"]) not in pair, row["model_a"], row["model_b"], row["test"] != said["carries"], row["test"],
        )
    )  # fmt: skip
    primary = next((row for row in rows if row["primary"]), None)
    kind = outcome_kind(predictions)
    several = kind == "classes" and len(class_columns(predictions)) > 2
    ranking = "macro_auc" if several else RANKING[kind]
    shown = (ranking, *JUDGED["several" if several else kind])
    two = kind == "classes" and not several
    told = {"ranking": ranking, "two": two, "metrics": metrics, "development": said["development"], "curves": curves}
    models = [
        _model(scores, primary, said["costs"].get(name, {}), **told) for name, scores in scores_of(predictions, "test").items()
    ]
    order = [primary["model_a"], primary["model_b"]] if primary else []
    models.sort(key=lambda model: (order.index(model["model"]) if model["model"] in order else 2, model["model"]))
    look = plotting.styles(models)
    compared = str(rows[0]["metric"])
    metric = METRIC_NAMES.get(compared, compared)
    level = words.percent(design["level"])
    foremost = {m["model"] for m in models if m["primary"]} or {m["model"] for m in models}
    first = [row for row in rows if {row["model_a"], row["model_b"]} & foremost]
    later = [row for row in rows if row not in first]
    main = [row for row in first if row["test"] == said["carries"]]
    names = ("these patients", "cross-validation") if external else ("", "")
    drawable = [{**m["curve"], "model": m["model"], "label": m["label"]} for m in models if m["curve"]][:MOST_CURVES]
    drawn = {
        "forest": comparison_figures.forest(main, {m["model"]: m["label"] for m in models}, metric, rows[0]["margin"], level),
        "each": comparison_figures.each_model(models, METRIC_NAMES[ranking], level, names) if ranking != "spearman" else None,
        "roc": performance_figures.roc(models) if any(m["roc"] for m in models) else None,
        "calibration": [performance_figures.calibration(m, look[m["model"]], "95 %") for m in models[:2] if m["calibration"]],
        "scores": [performance_figures.scores(m, look[m["model"]], ["no event", "event"]) for m in models[:2] if m["scores"]],
        "benefit": usefulness_figures.decision({"curves": drawable}, look) if drawable else None,
    }
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(number=words.number, p=words.p_value, plural=words.plural, label=label, sentence=words.sentence)
    environment.globals.update(interval=words.interval, verdict_words=html.verdict_words, style=html.page_style(), span=_span)
    template = files("radpipe.report").joinpath("templates/compare.html.jinja").read_text(encoding="utf-8")
    named = {name: METRIC_NAMES[name][0].upper() + METRIC_NAMES[name][1:] for name in shown}
    return environment.from_string(template).render(
        c=said, parts=(first, later), rows=rows, primary=primary, models=models, figures=drawn, metric=metric, level=level, shown=shown, names=named,
        ranking=ranking, methods=_methods(models, shown), verdict=words.verdict_kind(primary),
        benefit_method=next((str(method) for method in curves["method"]), ""),
        margin=rows[0]["margin"], with_events=two or kind == "time_to_event",
    )  # fmt: skip


def _values(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(key): finite(value) if isinstance(value, float) else value for key, value in row.items()}


def _span(ends: tuple[int, int] | None) -> str:
    """'4', '4 to 6', 'n/a'."""
    if not ends:
        return "n/a"
    low, high = ends
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _methods(models: list[dict[str, Any]], shown: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every metric of the table and how value and interval were made, as the first model has it."""
    return [(METRIC_NAMES[name], models[0]["metrics"][name]["method"]) for name in shown if name in models[0]["metrics"]]


def _model(
    scores: ModelScores, primary: dict[str, Any] | None, cost: dict[str, Any], *, ranking: str, two: bool, metrics: pd.DataFrame,
    development: pd.DataFrame | None, curves: pd.DataFrame,
) -> dict[str, Any]:  # fmt: skip
    cases, y, p = performance.mean_scores(scores)
    own = performance.whole(metrics, scores.name)
    before = {} if development is None else performance.whole(development, scores.name)
    # What the fits learnt from: of an external cohort the cross-validation says how much better they did there.
    trained = (own if development is None else before).get(f"{ranking}_train")
    tested = (own if development is None else before).get(ranking)
    curve = curves[curves["model"] == scores.name].sort_values("threshold")
    return {
        "model": scores.name,
        "label": label(scores.name),
        "primary": primary is not None and scores.name in (primary["model_a"], primary["model_b"]),
        "metrics": own,
        "shown": own.get(ranking),
        "developed": before.get(ranking),
        "trained": trained["value"] if trained else None,
        "gap": _minus(trained, tested),
        "drop": _minus(before.get(ranking), own.get(ranking)),
        "cost": cost,
        "milliseconds": 1000 * cost["predict_s"] if "predict_s" in cost else None,
        "threshold": None,
        "roc": performance.roc_of(scores) if two else None,
        "calibration": [
            {
                "n": g.n, "events": int(g.n_events), "predicted": g.mean_predicted, "observed": g.observed, "ci_low": g.ci_low,
                "ci_high": g.ci_high,
            }
            for g in grouped_calibration(y, p[:, 0], GROUPS, 0.95)
        ]
        if two
        else None,
        "scores": performance.scores_by_case(scores) if two else None,
        "curve": {
            name: [finite(value) for value in curve[name]] for name in ("threshold", "net_benefit", "treat_all", "ci_low", "ci_high")
        }
        if len(curve)
        else None,
        "cases": len(cases),
    }  # fmt: skip


def _minus(a: dict[str, Any] | None, b: dict[str, Any] | None) -> float | None:
    return a["value"] - b["value"] if a and b and a["value"] is not None and b["value"] is not None else None

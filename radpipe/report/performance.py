"""How well the models predict and how they compare: tables -> plain values for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from radpipe.evaluation.calibration import grouped_calibration
from radpipe.evaluation.formulas import roc_curve
from radpipe.evaluation.predictions import ModelScores, scores_of
from radpipe.evaluation.survival import observed_risk
from radpipe.report import described
from radpipe.report.inputs import ReportInputs
from radpipe.report.metric_words import lower_is_better
from radpipe.report.words import describe, finite, label

RATES = np.linspace(0, 1, 101)
"""False-positive rates at which the curves of the folds are read and averaged."""
IMAGE_INPUTS = ("selected", "features", "image")
REFERENCE_INPUTS = ("clinical", "volume")


def models_in_order(inputs: ReportInputs) -> list[str]:
    """The primary pair first, then the others as the workflow lists them; those that only the tables know come last."""
    settings = inputs.settings
    predictions = inputs.table("predictions")
    found = sorted(set(predictions["model"])) if len(predictions) else []
    named = [*(settings.get("comparison", {}).get("primary") or ()), *settings.get("models", {}), *found]
    return list(dict.fromkeys(str(name) for name in named))


def model_summaries(inputs: ReportInputs) -> list[dict[str, Any]]:
    """One entry a model: what it is, its whole-run metrics, its curves."""
    predictions, fits = inputs.table("predictions"), inputs.table("fits")
    kind = described.kind_of(inputs)
    tested = scores_of(predictions, "test") if len(predictions) and kind in ("two", "time_to_event") else {}
    primary = list(inputs.settings.get("comparison", {}).get("primary") or ())
    untested = references_beside(inputs)
    found = []
    for name in models_in_order(inputs):
        settings = dict(inputs.settings.get("models", {}).get(name, {}))
        own = fits[fits["model"] == name] if len(fits) else fits
        scores = tested.get(name)
        spent = inputs.budget.get(name)
        found.append(
            {
                "model": name,
                "label": label(name),
                "what": describe(settings) if settings else "",
                "inputs": " ".join(inputs_named(settings)),
                "reference": name in untested,
                "networks": _range(own, "networks") if "networks" in own else "n/a",
                "primary": name in primary,
                "metrics": whole(inputs.table("metrics"), name),
                "n_inputs": _range(own, "n_inputs"),
                "n_parameters": _range(own, "n_parameters"),
                "threshold": finite(own["threshold"].median()) if len(own) else None,
                "fits": len(own),
                "cpu_s": finite(spent[1]) if spent else None,
                "roc": roc_of(scores) if scores and kind == "two" else None,
                "calibration": _calibration(scores, inputs) if scores and _gives_risks(scores) else None,
                "scores": scores_by_case(scores) if scores and _gives_risks(scores) else None,
            }
        )
    return found


def references_beside(inputs: ReportInputs) -> set[str]:
    """Models that stand beside the study as references and in no test, because the workflow does not name them."""
    named = inputs.settings.get("references")
    beside = set(named) if isinstance(named, list | tuple) else set()
    return beside - set(inputs.settings.get("comparison", {}).get("primary") or ())


def inputs_named(settings: dict[str, Any]) -> list[str]:
    """The tables that a model eats, one or several."""
    named = settings.get("inputs", "")
    return [named] if isinstance(named, str) else [str(name) for name in named]


def eaten(models: dict[str, Any], name: str) -> list[str]:
    """The tables behind a model: its own, or those of the models it is the mean of."""
    settings = models.get(name, {})
    if settings.get("kind") == "average":
        return [table for other in settings.get("of", ()) for table in eaten(models, str(other))]
    return inputs_named(settings)


def whole(metrics: pd.DataFrame, model: str) -> dict[str, dict[str, Any]]:
    """metric -> value, interval and method over all repeats; the training AUC stands under auc_train."""
    if metrics.empty:
        return {}
    rows = metrics[(metrics["model"] == model) & (metrics["repeat"] == -1) & (metrics["fold"] == -1)]
    return {
        str(row["metric"]) + ("" if row["role"] == "test" else f"_{row['role']}"): {
            "value": finite(row["value"]), "ci_low": finite(row["ci_low"]), "ci_high": finite(row["ci_high"]),
            "n": int(row["n"]), "method": str(row["method"]),
        }
        for row in rows.to_dict("records")
    }  # fmt: skip


def _range(fits: pd.DataFrame, column: str) -> str:
    if fits.empty:
        return "n/a"
    low, high = int(fits[column].min()), int(fits[column].max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def roc_of(scores: ModelScores) -> dict[str, Any] | None:
    """Curves averaged over the folds of each repeat, then over repeats. A fold with one class has no curve."""
    by_repeat: dict[int, list[np.ndarray]] = {}
    for (repeat, _), part in sorted(scores.by_fold.items()):
        curve = roc_curve(part.y, part.p, RATES)
        if np.isfinite(curve).all():
            by_repeat.setdefault(repeat, []).append(curve)
    if not by_repeat:
        return None
    repeats = np.array([np.mean(curves, axis=0) for curves in by_repeat.values()])
    return {
        "rates": RATES.round(4).tolist(), "mean": repeats.mean(axis=0).round(4).tolist(),
        "low": repeats.min(axis=0).round(4).tolist(), "high": repeats.max(axis=0).round(4).tolist(), "repeats": len(repeats),
    }  # fmt: skip


def mean_scores(scores: ModelScores) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Cases, outcomes (n,) and out-of-fold probabilities (n, 3): mean, lowest and highest over repeats."""
    of_case: dict[str, list[float]] = {}
    outcome: dict[str, int] = {}
    for part in scores.by_fold.values():
        for case, y, p in zip(part.cases.tolist(), part.y.tolist(), part.p.tolist(), strict=True):
            of_case.setdefault(case, []).append(p)
            outcome[case] = y
    cases = sorted(of_case)
    p = np.array([[np.mean(of_case[c]), np.min(of_case[c]), np.max(of_case[c])] for c in cases])
    return cases, np.array([outcome[c] for c in cases]), p


def _gives_risks(scores: ModelScores) -> bool:
    """Whether every case has a probability: of class 1, or of the event by the horizon, which not every run has."""
    return all(bool(np.isfinite(part.p).all()) for part in scores.by_fold.values())


def _calibration(scores: ModelScores, inputs: ReportInputs) -> list[dict[str, Any]] | None:
    cases, y, p = mean_scores(scores)
    groups = int(inputs.settings.get("report", {}).get("calibration_groups", 4))
    confidence = float(inputs.settings.get("evaluation", {}).get("confidence", 0.95))
    if described.kind_of(inputs) == "time_to_event":
        horizon = inputs.settings.get("cohort", {}).get("horizon")
        return _calibration_at(scores, cases, y, p[:, 0], float(horizon), groups, confidence) if horizon is not None else None
    return [
        {
            "n": g.n, "events": int(g.n_events), "predicted": g.mean_predicted, "observed": g.observed, "ci_low": g.ci_low,
            "ci_high": g.ci_high,
        }
        for g in grouped_calibration(y, p[:, 0], groups, confidence)
    ]  # fmt: skip


def _calibration_at(
    scores: ModelScores, cases: list[str], event: np.ndarray, p: np.ndarray, horizon: float, groups: int, confidence: float
) -> list[dict[str, Any]]:
    """The same for the event by the horizon: the share that had it is read from Aalen-Johansen."""
    times: dict[str, float] = {}
    for part in scores.by_fold.values():
        times.update(zip(part.cases.tolist(), part.truth().timed()[0].tolist(), strict=True))
    found = observed_risk(np.array([times[case] for case in cases]), event, p, horizon, groups, confidence)
    return [
        {
            "n": int(g["n"]), "events": int(g["n_events"]), "predicted": g["mean_predicted"],
            **{key: finite(g[key]) for key in ("observed", "ci_low", "ci_high")},
        }
        for g in found if np.isfinite(g["observed"])  # else nobody of the group was followed so long
    ]  # fmt: skip


def scores_by_case(scores: ModelScores) -> list[dict[str, Any]]:
    cases, y, p = mean_scores(scores)
    rows = [
        {"case_id": case, "y": int(event), "p": float(own[0]), "low": float(own[1]), "high": float(own[2])}
        for case, event, own in zip(cases, y, p, strict=True)
    ]
    return sorted(rows, key=lambda row: (-row["p"], row["case_id"]))


def comparison_rows(inputs: ReportInputs) -> list[dict[str, Any]]:
    """The comparison table as JSON values, the primary pair first, then in the order of the models."""
    table = inputs.table("comparison")
    if table.empty:
        return []
    order = {name: at for at, name in enumerate(models_in_order(inputs))}
    rows: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        clean = {str(key): (finite(value) if isinstance(value, float) else value) for key, value in row.items()}
        a, b = str(clean["model_a"]), str(clean["model_b"])
        if not clean["primary"] and order.get(a, 99) > order.get(b, 99):
            clean = swapped(clean)
        rows.append(clean)
    rows.sort(key=lambda r: (not r["primary"], r["test"] == "delong", order.get(r["model_a"], 99), order.get(r["model_b"], 99)))
    return rows


def swapped(row: dict[str, Any]) -> dict[str, Any]:
    """The same comparison with its sides exchanged."""

    def minus(value: float | None) -> float | None:
        return None if value is None else -value + 0.0

    verdict = {"a_better": "b_better", "b_better": "a_better"}.get(row["verdict"], row["verdict"])
    return {
        **row, "model_a": row["model_b"], "model_b": row["model_a"], "effect": minus(row["effect"]),
        "statistic": minus(row["statistic"]), "ci_low": minus(row["ci_high"]), "ci_high": minus(row["ci_low"]),
        "verdict": verdict,
    }  # fmt: skip


def image_pairs(inputs: ReportInputs, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """:func:`pairs_with_references` of a run."""
    # References that nobody named are in no test, so nothing can be said of them here.
    untested = references_beside(inputs)
    settings = inputs.settings.get("models", {})
    return pairs_with_references(
        {name: eaten(settings, name) for name in models_in_order(inputs) if name not in untested}, rows, "corrected_t"
    )


def pairs_with_references(
    inputs: Mapping[str, Sequence[str]], rows: list[dict[str, Any]], test: str
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Comparisons of image-based models with clinical and volume models, signed so that more is better for the image-based
    one; and the two lists of models. inputs : model -> what it eats. test : the one whose rows count."""
    images = [name for name, tables in inputs.items() if any(table in IMAGE_INPUTS for table in tables)]
    references = [name for name, tables in inputs.items() if tables and all(table in REFERENCE_INPUTS for table in tables)]
    pairs = []
    for row in rows:
        if row["test"] != test:
            continue
        if row["model_a"] in references and row["model_b"] in images:
            row = swapped(row)
        if row["model_a"] in images and row["model_b"] in references:
            said = {"a_better": "better", "b_better": "worse"}.get(row["verdict"], row["verdict"])
            sides = [row["effect"], row["ci_low"], row["ci_high"]]
            if lower_is_better(str(row["metric"])):
                sides = [None if side is None else -side for side in (row["effect"], row["ci_high"], row["ci_low"])]
            pairs.append(
                {
                    "model": row["model_a"], "reference": row["model_b"], "effect": sides[0], "ci_low": sides[1],
                    "ci_high": sides[2], "p_adjusted": row["p_adjusted"], "verdict": said, "primary": row["primary"],
                }
            )  # fmt: skip
    pairs.sort(key=lambda pair: (images.index(pair["model"]), references.index(pair["reference"])))
    return pairs, images, references

"""Two or more models side by side -> one HTML page that needs nothing else."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from radpipe.evaluation.calibration import grouped_calibration
from radpipe.evaluation.formulas import auc, brier
from radpipe.evaluation.predictions import ModelScores, scores_of
from radpipe.report import html, performance, words
from radpipe.report.words import finite, label

GROUPS = 4
"""Groups of equal size in the calibration plots."""


def render(predictions: pd.DataFrame, comparison: pd.DataFrame, said: dict[str, Any]) -> str:
    """predictions, comparison : tables of these names. said : headline, sentences, design (repeats 0 for held-out patients), planned,
    question_sha256, settings (of the comparison), sources (name, kind, models, sha256). The same input gives the same bytes."""
    from radpipe.report import figures  # matplotlib: a second to import, wanted here only

    settings, design = said["settings"], said["design"]
    rows = [_values(row) for row in comparison.to_dict("records")]
    rows.sort(key=lambda row: (not row["primary"], row["model_a"], row["model_b"], row["test"]))
    primary = next((row for row in rows if row["primary"]), None)
    models = [_model(scores, primary) for scores in scores_of(predictions, "test").values()]
    models.sort(key=lambda model: (not model["primary"], model["model"]))
    look = figures.styles(models)
    metric = words.METRIC_NAMES.get(settings["metric"], settings["metric"])
    level = words.percent(design["level"])
    one_test = [row for row in rows if row["test"] == rows[0]["test"]]
    drawn = {
        "forest": figures.forest(one_test, {m["model"]: m["label"] for m in models}, metric, settings["margin"], level),
        "roc": figures.roc(models) if any(m["roc"] for m in models) else None,
        "calibration": [figures.calibration(m, look[m["model"]], "95 %") for m in models[:2]],
        "scores": [figures.scores(m, look[m["model"]], ["no event", "event"]) for m in models[:2]],
    }
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(number=words.number, p=words.p_value, plural=words.plural, label=label, sentence=words.sentence)
    environment.globals.update(interval=words.interval, verdict_words=html.verdict_words, style=html.page_style())
    template = files("radpipe.report").joinpath("templates/compare.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        c=said, rows=rows, primary=primary, models=models, figures=drawn, metric=metric, level=level,
        verdict=words.verdict_kind(primary), margin=settings["margin"],
    )  # fmt: skip


def _values(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(key): finite(value) if isinstance(value, float) else value for key, value in row.items()}


def _model(scores: ModelScores, primary: dict[str, Any] | None) -> dict[str, Any]:
    cases, y, p = performance.mean_scores(scores)
    folds = [value for part in scores.by_fold.values() if np.isfinite(value := auc(part.y, part.p))]
    pooled = [brier(scores.pooled(repeat).y, scores.pooled(repeat).p) for repeat in scores.repeats]
    return {
        "model": scores.name,
        "label": label(scores.name),
        "primary": primary is not None and scores.name in (primary["model_a"], primary["model_b"]),
        "metrics": {"auc": {"value": finite(np.mean(folds)) if folds else None}, "brier": {"value": finite(np.mean(pooled))}},
        "threshold": None,
        "roc": performance.roc_of(scores),
        "calibration": [
            {
                "n": g.n,
                "events": int(g.n_events),
                "predicted": g.mean_predicted,
                "observed": g.observed,
                "ci_low": g.ci_low,
                "ci_high": g.ci_high,
            }
            for g in grouped_calibration(y, p[:, 0], GROUPS, 0.95)
        ],
        "scores": performance.scores_by_case(scores),
        "cases": len(cases),
    }

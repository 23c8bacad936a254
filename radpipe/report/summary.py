"""The tables of a run -> one plain dict with everything the page says (JSON values only)."""

from __future__ import annotations

from typing import Any

from radpipe.report import described, limits, performance, usefulness, whom, words
from radpipe.report.asked import asked_summary
from radpipe.report.controls import controls_summary
from radpipe.report.inputs import ReportInputs
from radpipe.report.map_habitats import habitat_summary
from radpipe.report.metric_words import CHANCE, MEANINGS, METRIC_NAMES, lower_is_better
from radpipe.report.words import finite, label


def summarise(inputs: ReportInputs) -> dict[str, Any]:
    """What the report says, before it has a form. The same inputs give the same dict; no files, no clock."""
    models = performance.model_summaries(inputs)
    rows = performance.comparison_rows(inputs)
    cohort = described.cohort_table(inputs)
    splits = described.split_words(inputs)
    segmentation = described.segmentation_summary(inputs)
    selections = described.selection_summaries(inputs)
    selection = max(selections, key=lambda found: int(found["candidates"]), default=None)  # the one that asks for most patients
    outcome, group_0, group_1 = described.outcome_words(inputs)
    comparison = inputs.settings.get("comparison", {})
    alpha = float(comparison.get("alpha", 0.05))
    kind = described.kind_of(inputs)
    lead = LEADING[kind]
    metric = str(rows[0]["metric"]) if rows else str(comparison.get("metric", "auc"))
    tested = max((m["metrics"][lead]["n"] for m in models if lead in m["metrics"]), default=cohort["n"])
    predictions = inputs.table("predictions")
    outcomes: list[bool] = (predictions.drop_duplicates("case_id")["y_true"] == 1).tolist() if len(predictions) else []
    primary = next((row for row in rows if row["primary"]), None)
    standing = _standing(inputs, primary)
    events = sum(outcomes) if kind in ("two", "time_to_event") else None
    design = {
        "repeats": splits["repeats"], "folds": splits["folds"], "n": tested, "events": events, "level": 1 - alpha,
        "planned": bool(inputs.question.get("prior")),
    }  # fmt: skip
    pairs, image_models, references = performance.image_pairs(inputs, rows)
    of_images = {frozenset((pair["model"], pair["reference"])) for pair in pairs}
    rows = [
        performance.swapped(row)
        if not row["primary"] and row["model_a"] in references and row["model_b"] in image_models
        else row
        for row in rows
    ]
    for row in rows:
        row["asked"] = row["primary"] or _pair(row) in (of_images if row["test"] == "corrected_t" else {_pair(primary or {})})
    rows.sort(key=lambda row: _pair(row) != _pair(primary or {}))  # what else was asked of the primary pair stands right below it
    verdict = words.verdict(primary, design)
    images = words.images_add(pairs, image_models, references, 1 - alpha, metric)
    failures = [{key: str(value) for key, value in row.items()} for row in inputs.table("failures").to_dict("records")]
    margin = finite(rows[0]["margin"]) if rows else finite(comparison.get("margin", 0.05))
    return {
        "name": inputs.name,
        "title": inputs.title or inputs.name.replace("_", " "),
        "outcome": outcome,
        "groups": [group_0, group_1, "all"],
        "question": _question(inputs, models, outcome),
        "note": described.kind_note(kind),
        "masks": str(inputs.settings.get("segmentation", {}).get("masks", "given")),
        "design": design,
        "splits": splits,
        "metric": metric,
        "metric_name": METRIC_NAMES.get(metric, metric),
        "lower_is_better": lower_is_better(metric),
        "lead": {
            "metric": lead,
            "name": METRIC_NAMES[lead],
            "meaning": MEANINGS[lead],
            "chance": CHANCE[lead],
            "scale": SCALE[lead],
        },
        "metric_columns": [{"metric": name, "title": title, "lower": lower_is_better(name)} for name, title in COLUMNS[kind]],
        "asked": asked_summary(inputs, primary, standing, images, verdict, metric, margin, outcome),
        "level": words.percent(1 - alpha),
        "confidence": words.percent(float(inputs.settings.get("evaluation", {}).get("confidence", 0.95))),
        "verdict": verdict,
        "primary": primary,
        "question_standing": standing,
        "models": models,
        "baseline": _baseline(models),
        "interval_methods": _interval_methods(models, COLUMNS[kind]),
        "undefined": _undefined(models),
        "chance": [_against_chance(m, lead) for m in models if m["metrics"].get(lead)],
        "images_add": {**images, "pairs": pairs},
        "subgroups": whom.subgroup_summary(inputs, models),
        "patients": whom.patients_summary(inputs, models),
        "decision": usefulness.decision_summary(inputs, models),
        "conformal": usefulness.conformal_summary(inputs, models),
        "risk_groups": usefulness.risk_group_summary(inputs, models),
        "time_auc": usefulness.time_auc_summary(inputs, models),
        "controls": controls_summary(inputs),
        "time_unit": described.time_unit(inputs),
        "gaps": limits.gap_rows(models, lead),
        "cohort": cohort,
        "overlays": described.overlay_summary(inputs.overlays),
        "maps": described.map_summary(inputs),
        "habitats": _habitats(inputs),
        "segmentation": segmentation,
        "agreement": described.agreement_summary(inputs),
        "selections": selections,
        "comparison": rows,
        "margin": margin,
        "failures": failures,
        "unmeasured": described.unmeasured_summary(inputs),
        "limits": limits.limits(inputs, cohort, splits, segmentation, selection, lead),
        "budget": {name: {"fits": int(n), "cpu_s": finite(seconds)} for name, (n, seconds) in sorted(inputs.budget.items())},
        "settings": flattened(inputs.settings),
        "versions": {str(key): str(value) for key, value in sorted(inputs.versions.items())},
        "seeds": {str(key): int(value) for key, value in inputs.seeds.items()},
        "licence": inputs.licence,
        "citations": list(inputs.citations),
        "command": inputs.command,
    }


def flattened(settings: Any, prefix: str = "") -> list[list[str]]:
    """Nested settings as [dotted key, value] pairs, in their own order."""
    if isinstance(settings, dict) and settings:
        return [pair for key, value in settings.items() for pair in flattened(value, f"{prefix}.{key}" if prefix else str(key))]
    if settings is None:
        text = "none"
    elif isinstance(settings, bool):
        text = "yes" if settings else "no"
    elif isinstance(settings, list | tuple):
        text = ", ".join(str(item) for item in settings) or "none"
    else:
        text = str(settings) if settings != {} else "none"
    return [[prefix, text]]


LEADING = {"two": "auc", "classes": "macro_auc", "time_to_event": "harrell_c", "number": "spearman"}
"""By kind of outcome, the metric that ranks the models."""
SCALE = {"auc": (0.0, 1.0), "macro_auc": (0.0, 1.0), "harrell_c": (0.0, 1.0), "spearman": (-1.0, 1.0)}
COLUMNS = {
    "two": (
        ("auc", "AUC"), ("average_precision", "Average precision"), ("brier", "Brier score"), ("calibration_slope", "Calibration slope"),
        ("calibration_intercept", "Calibration intercept"), ("sensitivity", "Sensitivity"), ("specificity", "Specificity"),
        ("auc_train", "AUC in training"),
    ),
    "classes": (
        ("macro_auc", "AUC over the classes"), ("log_loss", "Log loss"), ("brier_classes", "Brier score"), ("accuracy", "Accuracy"),
        ("macro_auc_train", "AUC in training"),
    ),
    "time_to_event": (
        ("harrell_c", "Concordance (Harrell)"), ("uno_c", "Concordance (Uno)"), ("auc_at_horizon", "AUC at the horizon"),
        ("brier_at_horizon", "Brier score at the horizon"), ("observed_minus_expected_at_horizon", "Observed minus expected"),
        ("harrell_c_train", "Concordance in training"),
    ),
    "number": (
        ("spearman", "Rank correlation"), ("rmse", "Root mean squared error"), ("mae", "Mean absolute error"), ("r2", "Explained variance"),
        ("spearman_train", "Rank correlation in training"),
    ),
}  # fmt: skip
"""By kind of outcome, what the table of models shows."""


def _question(inputs: ReportInputs, models: list[dict[str, Any]], outcome: str) -> str:
    arms = [m for m in models if m["primary"]]
    if len(arms) == 2:
        a, b = arms
        which = f"Which predicts {outcome} better: {a['what']} ({a['label']}), or {b['what']} ({b['label']})?"
        return f"{which} And do images add anything beyond what is known without them?"
    return f"How well do these models predict {outcome}, and do images add anything beyond what is known without them?"


def _pair(row: dict[str, Any]) -> frozenset[Any]:
    return frozenset((row.get("model_a"), row.get("model_b")))


def _standing(inputs: ReportInputs, primary: dict[str, Any] | None) -> dict[str, Any]:
    """Whether the primary comparison was named before the outcomes were read, in words, with the hash of the question."""
    found = inputs.question
    if primary is None:
        tag, note = "Exploratory", ""
    elif not found:
        tag, note = "Primary comparison, named in the workflow", ""
    elif found["prior"]:
        tag, note = "Primary comparison, named before outcomes were read", ""
    else:
        tag = "Exploratory: the question was changed after the outcomes had been read"
        note = "The pair, metric and margin of this page were set when the outcomes of these patients were known to this run. "
        note += "Whatever it finds can suggest a question for the next study, not answer one."
        if found.get("first"):
            first = found["first"]
            pair = words.joined([label(name) for name in first.get("primary") or ()], "against") or "no pair"
            note += f" First asked was: {pair}, {METRIC_NAMES.get(first['metric'], first['metric'])}, margin {first['margin']:g}."
    return {"tag": tag, "note": note, "sha256": str(found.get("sha256", "")), "changes": int(found.get("changes", 0))}


def _habitats(inputs: ReportInputs) -> dict[str, Any] | None:
    settings = (inputs.settings.get("maps") or {}).get("habitats")
    return habitat_summary(inputs.table("habitat_choice"), float(settings["agreement"])) if settings else None


def _baseline(models: list[dict[str, Any]]) -> dict[str, float] | None:
    """What no model at all reaches: the share of events, and the Brier score of giving everyone that risk."""
    for m in models:
        if m["metrics"].get("brier_reference"):
            return {"prevalence": m["metrics"]["prevalence"]["value"], "brier": m["metrics"]["brier_reference"]["value"]}
    return None


def _interval_methods(models: list[dict[str, Any]], columns: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    """How each column of the table of models was made, by the first model that has it."""
    found = []
    for metric, title in columns:
        own = next((m["metrics"][metric] for m in models if m["metrics"].get(metric, {}).get("value") is not None), None)
        if own is not None:
            found.append({"title": title, "method": own["method"]})
    return found


def _undefined(models: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Metrics without a value, those with one reason together."""
    why: dict[str, list[str]] = {}
    for m in models:
        for metric, found in m["metrics"].items():
            if found["value"] is None:
                why.setdefault(found["method"], []).append(f"{m['label']} {metric.replace('_', ' ')}")
    return [{"what": ", ".join(names), "why": method} for method, names in why.items()]


def _against_chance(model: dict[str, Any], lead: str) -> dict[str, Any]:
    found, chance = model["metrics"][lead], CHANCE[lead]
    low, high, value = found["ci_low"], found["ci_high"], found["value"]
    toss = "a coin toss" if chance else "no relation at all"
    if value is None:
        said = f"No {METRIC_NAMES[lead]} could be computed."
    elif low is None:
        said = "No interval could be computed, so nothing is known about chance."
    elif low > chance:
        said = f"Its interval lies above {chance:g}: better than {toss}."
    elif high < chance:
        said = f"Its interval lies below {chance:g}: worse than {toss}."
    else:
        said = f"Its interval includes {chance:g}: not shown to be better than {toss}."
    return {
        "model": model["model"], "label": model["label"], "what": model["what"], "primary": model["primary"], "value": value,
        "ci_low": low, "ci_high": high, "said": said, "method": found["method"], "reference": model["reference"],
    }  # fmt: skip

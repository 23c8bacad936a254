"""The tables of a run -> one plain dict with everything the page says (JSON values only)."""

from __future__ import annotations

from typing import Any

from radpipe.errors import ConfigError
from radpipe.evaluation.sample_size import riley
from radpipe.report import described, performance, words
from radpipe.report.inputs import ReportInputs
from radpipe.report.map_habitats import habitat_summary
from radpipe.report.words import finite, number, plural


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
    metric = str(comparison.get("metric", "auc"))
    tested = max((m["metrics"]["auc"]["n"] for m in models if "auc" in m["metrics"]), default=cohort["n"])
    predictions = inputs.table("predictions")
    outcomes: list[bool] = (predictions.drop_duplicates("case_id")["y_true"] == 1).tolist() if len(predictions) else []
    kind = described.kind_of(inputs)
    design = {
        "repeats": splits["repeats"], "folds": splits["folds"], "n": tested, "events": sum(outcomes), "level": 1 - alpha,
    }  # fmt: skip
    primary = next((row for row in rows if row["primary"]), None)
    pairs, image_models, references = performance.image_pairs(inputs, rows)
    failures = [{key: str(value) for key, value in row.items()} for row in inputs.table("failures").to_dict("records")]
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
        "metric_name": words.METRIC_NAMES.get(metric, metric),
        "lower_is_better": metric == "brier",
        "level": words.percent(1 - alpha),
        "confidence": words.percent(float(inputs.settings.get("evaluation", {}).get("confidence", 0.95))),
        "verdict": words.verdict(primary, design),
        "primary": primary,
        "question_standing": _standing(inputs, primary),
        "models": models,
        "baseline": _baseline(models),
        "undefined": _undefined(models),
        "chance": [_against_chance(m) for m in models if m["metrics"].get("auc")],
        "images_add": {**words.images_add(pairs, image_models, references, 1 - alpha), "pairs": pairs},
        "cohort": cohort,
        "overlays": described.overlay_summary(inputs.overlays),
        "maps": described.map_summary(inputs),
        "habitats": _habitats(inputs),
        "segmentation": segmentation,
        "agreement": described.agreement_summary(inputs),
        "selections": selections,
        "comparison": rows,
        "margin": finite(comparison.get("margin", 0.05)),
        "failures": failures,
        "unmeasured": described.unmeasured_summary(inputs),
        "limits": _limits(inputs, models, cohort, splits, segmentation, selection),
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


def _question(inputs: ReportInputs, models: list[dict[str, Any]], outcome: str) -> str:
    arms = [m for m in models if m["primary"]]
    if len(arms) == 2:
        a, b = arms
        which = f"Which predicts {outcome} better: {a['what']} ({a['label']}), or {b['what']} ({b['label']})?"
        return f"{which} And do images add anything beyond what is known without them?"
    return f"How well do these models predict {outcome}, and do images add anything beyond what is known without them?"


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
            pair = words.joined([words.label(name) for name in first.get("primary") or ()], "against") or "no pair"
            note += f" First asked was: {pair}, {words.METRIC_NAMES.get(first['metric'], first['metric'])}, margin {first['margin']:g}."
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


def _undefined(models: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Metrics without a value, those with one reason together."""
    why: dict[str, list[str]] = {}
    for m in models:
        for metric, found in m["metrics"].items():
            if found["value"] is None:
                why.setdefault(found["method"], []).append(f"{m['label']} {metric.replace('_', ' ')}")
    return [{"what": ", ".join(names), "why": method} for method, names in why.items()]


def _against_chance(model: dict[str, Any]) -> dict[str, Any]:
    auc = model["metrics"]["auc"]
    low, high, value = auc["ci_low"], auc["ci_high"], auc["value"]
    if value is None:
        said = "No AUC could be computed."
    elif low is None:
        said = "No interval could be computed, so nothing is known about chance."
    elif low > 0.5:
        said = "Its interval lies above 0.5: better than a coin toss."
    elif high < 0.5:
        said = "Its interval lies below 0.5: worse than a coin toss."
    else:
        said = "Its interval includes 0.5: not shown to be better than a coin toss."
    return {
        "model": model["model"], "label": model["label"], "what": model["what"], "primary": model["primary"], "value": value,
        "ci_low": low, "ci_high": high, "said": said, "method": auc["method"],
    }  # fmt: skip


def _limits(
    inputs: ReportInputs,
    models: list[dict[str, Any]],
    cohort: dict[str, Any],
    splits: dict[str, Any],
    segmentation: dict[str, Any] | None,
    selection: dict[str, Any] | None,
) -> list[dict[str, str]]:
    """What could be wrong with the answer, most serious first."""
    two = described.kind_of(inputs) == "two"
    found = [_sample_size(inputs, cohort, selection)] if two else []
    smaller = min(cohort["events"], cohort["n"] - cohort["events"])
    folds = max(splits["folds"], 1)
    found += [] if not two else [
        {
            "title": "Few events in every test part",
            "text": f"{plural(cohort['events'], 'event')} among {plural(cohort['n'], 'case')}: a test part holds about "
            f"{number(smaller / folds, 1)} cases of the rarer outcome, so one patient moves its AUC a long way. The intervals "
            "count that.",
        }
    ]  # fmt: skip
    gaps = [(m, m["metrics"]["auc_train_test_gap"]["value"]) for m in models if m["metrics"].get("auc_train_test_gap")]
    known = [(m["label"], gap) for m, gap in gaps if gap is not None]
    if known:
        listed = words.joined([f"{name} {number(gap, sign=True)}" for name, gap in known])
        found.append(
            {
                "title": "Train-test gap",
                "text": f"AUC on the patients learnt from minus AUC on patients never seen: {listed}. A large gap says that a "
                "model remembers its patients; only the second number counts, and it is the one shown everywhere else.",
            }
        )
    if segmentation:
        found.append(_outlines(segmentation))
    found.append(
        {
            "title": "One cohort",
            "text": "All numbers come from cross-validation inside one cohort. Other scanners, protocols and hospitals were not "
            "tested; that needs patients from elsewhere.",
        }
    )
    if splits["repeats"] < words.CALIBRATED_REPEATS:
        found.append(
            {
                "title": f"{plural(splits['repeats'], 'repeat')} of cross-validation",
                "text": f"The comparison was calibrated for {words.CALIBRATED_REPEATS} repeats. "
                + (
                    "With one there is neither an interval nor a test."
                    if splits["repeats"] < 2
                    else "With fewer it is conservative: intervals too wide rather than too narrow."
                ),
            }
        )
    return found


def _sample_size(inputs: ReportInputs, cohort: dict[str, Any], selection: dict[str, Any] | None) -> dict[str, str]:
    title = "Too few patients for the question"
    settings = inputs.settings
    r2 = float(settings.get("report", {}).get("assumed_r2", 0.2))
    risk = cohort["events"] / cohort["n"] if cohort["n"] else 0.0
    clinical = max(len(settings.get("cohort", {}).get("clinical", ()) or ()), 1)
    try:
        few = riley(clinical, risk, r2).patients
        many = riley(selection["candidates"], risk, r2).patients if selection else None
    except ConfigError as error:
        return {"title": "Sample size", "text": f"No sample size could be computed: {error.problem}"}
    text = f"By Riley’s criteria (assuming that a model could reach a Cox-Snell R² of {r2:g}), "
    if many and selection:
        text += f"choosing among {plural(selection['candidates'], 'feature')} asks for about {many:,} patients, and "
    text += f"{'even ' if few > cohort['n'] else ''}a model of {plural(clinical, 'clinical column')} for about {few:,}; "
    text += "networks want more. "
    text += f"This cohort has {cohort['patients']:,}."
    enough = cohort["patients"] >= (many or few)
    return {"title": "Sample size" if enough else title, "text": text}


def _outlines(segmentation: dict[str, Any]) -> dict[str, str]:
    if segmentation["nesting"] == "full":
        return {
            "title": "Predicted outlines",
            "text": "The network that outlines was trained anew inside every outer training part, so no test patient had any "
            "part in drawing its own region or in training the networks that drew the others.",
        }
    return {
        "title": "Cross-fitted outlines",
        "text": "Every patient’s outline comes from a network that never saw that patient. The networks were trained once for "
        "the study, on other patients’ outlines and never on outcomes, so a training patient’s outline may come from a network "
        "that learnt from a test patient’s outline. “nesting: full” in the workflow removes that, at many times the cost.",
    }

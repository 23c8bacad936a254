"""What was asked, before any answer: the two questions, by which rule they are answered, and when they were set."""

from __future__ import annotations

from typing import Any

from radpipe.report import described
from radpipe.report.inputs import ReportInputs
from radpipe.report.metric_words import MEANINGS, lower_is_better
from radpipe.report.words import METRIC_NAMES, joined, label, percent, plural, size


def asked_summary(
    inputs: ReportInputs,
    primary: dict[str, Any] | None,
    standing: dict[str, Any],
    images: dict[str, Any],
    verdict: dict[str, Any],
    metric: str,
    margin: float | None,
    outcome: str,
) -> dict[str, Any]:
    """questions : question, answer in one line, href of the whole answer. facts : [name, value] of the rule. standing : in words."""
    comparison = inputs.settings.get("comparison", {})
    questions = [
        {
            "question": f"Do images add anything to what is known of {outcome} without them, the clinical columns or the size of the lesion?",
            "answer": images["headline"], "kind": images["kind"], "href": "#images-add",
        }
    ]  # fmt: skip
    if primary is not None:
        pair = joined([label(str(primary[side])) for side in ("model_a", "model_b")], "or")
        questions.append(
            {
                "question": f"Which predicts {outcome} better: {pair}?",
                "answer": verdict["headline"],
                "kind": verdict["kind"],
                "href": "#arm",
            }
        )
    name = METRIC_NAMES.get(metric, metric)
    better = ", lower is better" if lower_is_better(metric) else ""
    meaning = MEANINGS.get(metric)
    facts = [["Measured by", f"{name}{better}{f': {meaning}' if meaning else ''}"]]
    if margin is not None:
        facts.append(["A difference that does not matter", f"within ±{size(margin, metric)} {name}"])
    facts.append(["Error rate of the test", percent(float(comparison.get("alpha", 0.05)))])
    cohort, splits = inputs.table("cohort"), described.split_words(inputs)
    if len(cohort):
        people = plural(int(cohort["patient_id"].nunique()), "patient")
        if described.kind_of(inputs) in ("two", "time_to_event"):
            people += f", {int((cohort['outcome'] == 1).sum())} with the event"
        facts.append(["Asked of", people])
        if described.kind_of(inputs) == "time_to_event":
            facts.append(["The event", _event(inputs, outcome)])
    if splits["repeats"]:
        how = (
            f"{plural(splits['repeats'], 'repeat')} of {splits['folds']}-fold cross-validation, the same splits for every model; "
        )
        facts.append(["Answered by", how + "corrected resampled t-test, equivalence by two one-sided tests"])
    return {
        "questions": questions,
        "facts": facts,
        "when": standing["tag"],
        "note": standing["note"],
        "sha256": standing["sha256"],
    }


def _event(inputs: ReportInputs, outcome: str) -> str:
    """Which event is meant, by when, and what competes with it."""
    settings, codes = inputs.settings.get("cohort", {}), inputs.table("cohort")["outcome"]
    unit = described.time_unit(inputs)
    meant = _named(settings.get("event"))
    text = outcome + (f" ({meant})" if meant else "")
    if settings.get("horizon") is not None:
        text += f", by {float(settings['horizon']):g}{f' {unit}' if unit else ''}"
    others = int((codes > 1).sum())
    if others:
        kinds = _named(settings.get("competing"))
        text += f"; {plural(others, 'case')} had another one first{f' ({kinds})' if kinds else ''}, which is not counted as free of it"
    return text


def _named(values: Any) -> str:
    """One value of the outcome's column, or several: 'dead or lost'."""
    return joined([str(value) for value in ([values] if isinstance(values, str) else values or ())], "or")

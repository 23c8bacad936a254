"""What could be wrong with the answer: sample size, gap, outlines, one cohort. Tables -> plain values for the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from radpipe.errors import ConfigError
from radpipe.evaluation.sample_size import riley, riley_number, riley_time
from radpipe.report import described, words
from radpipe.report.inputs import ReportInputs
from radpipe.report.metric_words import METRIC_NAMES
from radpipe.report.words import number, plural


def limits(
    inputs: ReportInputs,
    cohort: dict[str, Any],
    splits: dict[str, Any],
    segmentation: dict[str, Any] | None,
    selection: dict[str, Any] | None,
    lead: str,
) -> list[dict[str, str]]:
    """What could be wrong with the answer, most serious first. lead : the metric the models are ranked by."""
    kind = described.kind_of(inputs)
    found = []
    needed = _needed(inputs, cohort)
    if needed:
        found.append(_sample_size(inputs, cohort, selection, needed))
    if kind in ("two", "time_to_event"):
        smaller = min(cohort["events"], cohort["n"] - cohort["events"]) if kind == "two" else cohort["events"]
        what = "cases of the rarer outcome" if kind == "two" else "events"
        found.append(
            {
                "title": "Few events in every test part",
                "text": f"{plural(cohort['events'], 'event')} among {plural(cohort['n'], 'case')}: a test part holds about "
                f"{number(smaller / max(splits['folds'], 1), 1)} {what}, so one patient moves its {METRIC_NAMES[lead]} a long way. The intervals "
                "count that.",
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


def gap_rows(models: list[dict[str, Any]], lead: str) -> list[dict[str, Any]]:
    """Of each model the leading metric on the patients learnt from and on those never seen, and the gap (not Harrell's optimism,
    which is made by bootstrap)."""
    rows = []
    for m in models:
        train, test, gap = (m["metrics"].get(name, {}).get("value") for name in (f"{lead}_train", lead, f"{lead}_train_test_gap"))
        if gap is not None:
            rows.append(
                {"model": m["model"], "label": m["label"], "primary": m["primary"], "train": train, "test": test, "gap": gap}
            )
    return rows


def _needed(inputs: ReportInputs, cohort: dict[str, Any]) -> Callable[[int], int] | None:
    """Candidate parameters -> patients by Riley's criteria; None for outcomes they are not made for, and where nobody is known."""
    table, kind = inputs.table("cohort"), described.kind_of(inputs)
    r2 = float(inputs.settings.get("report", {}).get("assumed_r2", 0.2))
    if not cohort["n"]:
        return None
    if kind == "two":
        risk = cohort["events"] / cohort["n"]
        return lambda candidates: riley(candidates, risk, r2).patients
    if kind == "number" and "value" in table:
        mean, sd = float(table["value"].mean()), float(table["value"].std())
        return lambda candidates: riley_number(candidates, mean, sd, r2).patients
    if kind == "time_to_event" and "time" in table:
        total = float(table["time"].sum())
        rate = cohort["events"] / total if total > 0 else 0.0
        horizon = float(inputs.settings.get("cohort", {}).get("horizon") or table["time"].mean())
        return lambda candidates: riley_time(candidates, rate, total / cohort["n"], horizon, r2).patients
    return None


def _sample_size(
    inputs: ReportInputs, cohort: dict[str, Any], selection: dict[str, Any] | None, needed: Callable[[int], int]
) -> dict[str, str]:
    settings = inputs.settings
    clinical = max(len(settings.get("cohort", {}).get("clinical", ()) or ()), 1)
    try:
        few = needed(clinical)
        many = needed(selection["candidates"]) if selection else None
    except ConfigError as error:
        return {"title": "Sample size", "text": f"No sample size could be computed: {error.problem}"}
    r2 = float(settings.get("report", {}).get("assumed_r2", 0.2))
    of = "an adjusted" if described.kind_of(inputs) == "number" else "a Cox-Snell"
    text = f"By Riley’s criteria (assuming that a model could reach {of} R² of {r2:g}), "
    if many and selection:
        text += f"choosing among {plural(selection['candidates'], 'feature')} asks for about {many:,} patients, and "
    text += f"{'even ' if few > cohort['patients'] else ''}a model of {plural(clinical, 'clinical column')} for about {few:,}; "
    text += "networks want more. "
    text += f"This cohort has {cohort['patients']:,}."
    enough = cohort["patients"] >= (many or few)
    return {"title": "Sample size" if enough else "Too few patients for the question", "text": text}


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

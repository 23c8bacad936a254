"""Numbers and findings in plain words, never saying more than the intervals allow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from radpipe.report.metric_words import METRIC_NAMES as METRIC_NAMES
from radpipe.report.metric_words import has_unit, lower_is_better, most

KIND_NAMES = {
    "ann": "a small neural network on {inputs}",
    "cnn3d": "a 3D convolutional network on the image itself",
    "logistic": "logistic regression on {inputs}",
    "xgboost": "gradient-boosted trees on {inputs}",
    "forest": "a random forest on {inputs}",
    "svm": "a support vector machine on {inputs}",
    "cox": "Cox regression on {inputs}",
    "linear": "ridge regression on {inputs}",
    "prevalence": "no model: the outcome's frequency in the training part",
    "given": "predictions made elsewhere",
}
INPUT_NAMES = {
    "selected": "selected radiomic features",
    "features": "all radiomic features",
    "clinical": "the clinical columns",
    "volume": "lesion volume alone",
    "image": "the image itself",
    "given": "predictions made elsewhere",
}
LABELS = {
    "ann": "ANN",
    "cnn": "CNN",
    "mlp": "MLP",
    "cnn3d": "3D CNN",
    "xgboost": "XGBoost",
    "clinical": "Clinical",
    "volume": "Volume",
    "prevalence": "Prevalence",
    "logistic": "Logistic regression",
    "forest": "Random forest",
    "svm": "SVM",
    "cox": "Cox",
    "linear": "Ridge regression",
    "ann_clinical": "ANN with clinical",
    "average": "Average of both",
    "deep": "Deep features",
}
TEST_NAMES = {
    "corrected_t": "corrected resampled t", "delong": "DeLong", "mcnemar": "McNemar", "paired_bootstrap": "bootstrap of whole patients",
}  # fmt: skip
"""How the interval of a difference is made."""
CALIBRATED_REPEATS = 10
"""Repeats at which the comparison's test was calibrated (radpipe.evaluation.resampled)."""


def finite(value: Any) -> float | None:
    """A JSON number, or None where there is none."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """'0.72', '−0.04', 'n/a'. A value that rounds to zero has no sign."""
    if value is None or not math.isfinite(value):
        return "n/a"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", "−")


def significant(value: float | None, digits: int = 3) -> str:
    """A measurement with so many significant digits, without an exponent where it can be read without."""
    if value is None or not math.isfinite(value):
        return "n/a"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    text = f"{value:.{max(0, digits - 1 - size)}f}" if -4 <= size < 7 else f"{value:.{digits - 1}e}"
    return text.replace("-", "−")


def size(value: float | None, metric: str, *, sign: bool = False) -> str:
    """A value or difference of a metric: two decimals, three for losses, significant digits where it has the outcome's unit."""
    if has_unit(metric):
        text = significant(value)
        return f"+{text}" if sign and value is not None and value > 0 else text
    return number(value, 3 if lower_is_better(metric) else 2, sign=sign)


def interval(low: float | None, high: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """'0.51 to 0.93', or 'no interval'."""
    if low is None and high is None:
        return "no interval"
    return f"{number(low, digits, sign=sign)} to {number(high, digits, sign=sign)}"


def p_value(value: float | None) -> str:
    """'0.034', '< 0.001', 'n/a'."""
    if value is None or not math.isfinite(value):
        return "n/a"
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def plural(count: int, one: str, many: str = "") -> str:
    """'1 case', '34 cases'."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def percent(level: float) -> str:
    """'95 %'."""
    return f"{100 * level:g} %"


def duration(seconds: float) -> str:
    """'45 s', '12 minutes', '3.4 hours'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def megabytes(size: float) -> str:
    """'30 MB', '2.4 GB'."""
    return f"{size:.0f} MB" if size < 1000 else f"{size / 1000:.1f} GB"


def label(model: str) -> str:
    """How a model of the workflow is written in the page."""
    return LABELS.get(model, model)


def joined(names: list[str], last: str = "and") -> str:
    """'a, b and c'."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else ""


def describe(model: Mapping[str, Any]) -> str:
    """A model of the workflow in words; model : its settings."""
    kind, inputs = str(model.get("kind", "")), model.get("inputs", "")
    names = [inputs] if isinstance(inputs, str) else list(inputs)
    if kind == "average":
        return f"the mean of {joined([label(name) for name in model.get('of', ())])}"
    return KIND_NAMES.get(kind, "a model on {inputs}").format(inputs=joined([INPUT_NAMES.get(name, name) for name in names]))


def verdict(row: Mapping[str, Any] | None, design: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to the primary question.

    row : of the comparison table, as JSON values; None where no pair was named beforehand. design : repeats, folds, n, events
    (None where the outcome has none), level (of the intervals), planned (whether the question stood before the outcomes were read);
    patients, where it is known that some have several cases: events then are patients, too.
    Gives kind, headline, sentences.
    """
    if row is None:
        return {
            "kind": "none",
            "headline": "No comparison was named before the outcomes were read.",
            "sentences": [
                "Every comparison below is therefore exploratory: it can suggest a question for the next study, not answer one."
            ],
        }
    a, b, name = label(row["model_a"]), label(row["model_b"]), str(row["metric"])
    metric = METRIC_NAMES.get(name, name)
    effect, low, high, margin = row["effect"], row["ci_low"], row["ci_high"], row["margin"]
    level = percent(design["level"])
    repeats = design["repeats"]
    if row["p_value"] is None:
        why = sentence(row["method"])
        if repeats == 1:
            why = "One repeat of cross-validation gives no honest error of a difference, because its folds share patients: there "
            why += f"is neither a test nor an interval. Run more repeats; the test is calibrated for {CALIBRATED_REPEATS}."
        observed = f" The observed difference was {size(effect, name, sign=True)} {metric}." if effect is not None else ""
        return {
            "kind": "not_resolved",
            "headline": f"Not resolved: {a} and {b} could not be tested against each other.",
            "sentences": [f"{why}{observed} Nothing follows from it about which one is better."],
        }
    kind = row["verdict"]
    lead, other = (a, b) if (effect > 0) != lower_is_better(name) else (b, a)
    of_patients = _of_patients(design)
    if effect == 0:
        seen = f"{a} and {b} had the same {metric} on average"
    else:
        way = "lower, which is better," if lower_is_better(name) else "higher"
        seen = f"the {metric} of {lead} was {way} by {size(abs(effect), name)} on average"
    sides = f"{a} minus {b}; below zero {a} is better" if lower_is_better(name) else f"{a} minus {b}"
    by = TEST_NAMES.get(str(row.get("test", "")), "")
    sides += f"; {by}" if by else ""
    ends = f"{size(low, name, sign=True)} to {size(high, name, sign=True)}"
    true_range = f"the {level} interval of the difference ({sides}) runs from {ends}"
    sentences = []
    too_small = why_too_small(str(row["method"]))
    if kind in ("a_better", "b_better"):
        headline = f"{lead} predicted better than {other} in this cohort."
        sentences.append(f"Over {_design(design)}, {seen}; {true_range}.")
        sentences.append(f"That holds for patients like these ({of_patients}); whether it holds elsewhere was not tested.")
    elif kind == "equivalent":
        headline = f"{a} and {b} predict equally well, within ±{size(margin, name)} {metric}."
        before = ", and the margin was set before the outcomes were read" if design.get("planned") else ""
        sentences.append(f"Over {_design(design)}, {seen}; {true_range}{before}.")
    elif too_small:
        headline = f"Not resolved: too few patients to say whether {a} or {b} predicts better."
        sentences.append(f"{sentence(too_small)} No verdict is given, whatever was seen: {seen}; {true_range}.")
    else:
        headline = f"Not resolved: these data cannot tell whether {a} or {b} predicts better."
        sentences.append(f"Over {_design(design)}, {seen}, but {true_range}: {_compatible(a, b, low, high, margin, name)}.")
        reach = (high - low) / 2
        if reach >= most(name):
            sentences.append(
                f"With {of_patients}{' and this many repeats' if repeats else ''}, no difference whatever could have been called."
            )
        else:
            sentences.append(
                f"With {of_patients}, only a difference of more than about {size(reach, name)} {metric} would have been called. "
                "“Not resolved” does not mean that the two are equal."
            )
    if 1 < repeats < CALIBRATED_REPEATS:
        sentences.append(
            f"The test was calibrated for {CALIBRATED_REPEATS} repeats of cross-validation; with {repeats} it is conservative: "
            "its intervals are wider than need be, and it misses real differences more often."
        )
    return {"kind": kind, "headline": headline, "sentences": sentences}


def why_too_small(method: str) -> str:
    """What the method of a comparison on held-out patients says first where they are too few for a verdict; else empty."""
    first = method.partition(";")[0]
    return first if first.startswith("too small to say anything") else ""


def verdict_kind(row: Mapping[str, Any] | None) -> str:
    """Of the primary row: a_better, b_better, equivalent or not_resolved; none where no pair is primary."""
    return "none" if row is None else str(row["verdict"]) if row["p_value"] is not None else "not_resolved"


def _design(design: Mapping[str, Any]) -> str:
    if not design["repeats"]:
        return "patients that were held out"
    return f"{plural(design['repeats'], 'repeat')} of {design['folds']}-fold cross-validation"


def _of_patients(design: Mapping[str, Any]) -> str:
    """'34 cases and 13 events', '45 cases of 15 patients, 6 with the event'."""
    cases, events = plural(design["n"], "case"), design["events"]
    patients = design.get("patients", design["n"])
    if patients == design["n"]:
        return cases if events is None else f"{cases} and {plural(events, 'event')}"
    return f"{cases} of {plural(patients, 'patient')}" + ("" if events is None else f", {events} with the event")


def _compatible(a: str, b: str, low: float, high: float, margin: float, metric: str) -> str:
    """What the interval still allows. low, high : of a minus b."""
    if lower_is_better(metric):
        low, high = -high, -low
    better = [f"{name} clearly better" for name, beyond in ((b, low < -margin), (a, high > margin)) if beyond]
    if len(better) == 2:
        return f"both “{better[0]}” and “{better[1]}” remain possible"
    if better:
        return f"“{better[0]}” and “no difference that matters” both remain possible"
    return "the two are close, but equivalence was not shown at the level asked for"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def images_add(
    pairs: list[dict[str, Any]], image_models: list[str], references: list[str], level: float, metric: str = "auc"
) -> dict[str, Any]:
    """Do image-based models add anything beyond clinical columns or volume?

    pairs : model, reference, effect (positive: the image-based model is better), ci_low, ci_high, verdict (better, worse,
    equivalent, not_resolved). metric : what effect and interval are differences of.
    """
    if not references or not image_models:
        return {
            "kind": "none",
            "headline": "Not asked: the workflow has no model on clinical columns or volume to compare with.",
            "sentences": [],
        }
    names = joined([label(name) for name in references], "or")
    by_model = {m: [pair for pair in pairs if pair["model"] == m] for m in image_models}
    beyond_all = [m for m, own in by_model.items() if len(own) == len(references) and all(p["verdict"] == "better" for p in own)]
    beyond_some = [pair for pair in pairs if pair["verdict"] == "better" and pair["model"] not in beyond_all]
    worse = [pair for pair in pairs if pair["verdict"] == "worse"]
    sentences = []
    every = joined([label(name) for name in references])
    if beyond_all:
        kind = "yes"
        headline = f"Yes, in this cohort: {joined([label(m) for m in beyond_all])} predicted better than {every}."
    elif beyond_some:
        kind = "partly"
        said = joined([f"{label(p['model'])} predicted better than {label(p['reference'])}" for p in beyond_some])
        headline = f"Only in part: {said}, but no image-based model was shown to be better than both {every}."
        headline = headline.replace("both ", "" if len(references) != 2 else "both ")
    elif worse:
        kind = "no"
        said = joined([f"{label(p['model'])} predicted worse than {label(p['reference'])}" for p in worse])
        headline = f"Not seen: no image-based model was shown to be better than {names}, and {said}."
    else:
        kind, headline = "not_shown", f"Not shown: no image-based model was shown to predict better than {names}."
    tested = [pair for pair in pairs if pair["ci_low"] is not None]
    if tested and kind in ("not_shown", "no", "partly"):
        best = max(pair["ci_high"] for pair in tested)
        if best > 0:
            sentences.append(
                f"That is not the same as showing that images add nothing: advantages of up to {size(min(best, most(metric)), metric)} lie "
                f"inside the {percent(level)} intervals below."
            )
    apart = ", except the primary pair" if any(pair["primary"] for pair in pairs) else ""
    sentences.append(f"These comparisons are exploratory, and adjusted for the number of all comparisons (Holm){apart}.")
    return {"kind": kind, "headline": headline, "sentences": sentences}

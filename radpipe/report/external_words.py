"""What a cohort of patients whom no model saw can tell, and cannot: in plain words, each rule with its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy.stats import norm

from radpipe.report import words
from radpipe.report.metric_words import CHANCE, METRIC_NAMES, most

PRECISE = 100
"""Patients with, and without the event: Vergouwe 2005, doi:10.1016/j.jclinepi.2004.06.017; Collins 2016, doi:10.1002/sim.6787."""
IDEAL_EVENTS = 200
"""Of times to an event: at least 100 events and ideally this many; Collins 2016, whose six models are of times to an event."""
KNOWN_SPREAD = 234
"""Patients with whom the outcome's SD is known within 10 % (95 %): sqrt(233 / chi2(0.025; 233)) < 1.1, one of the four criteria of
Archer 2021, doi:10.1002/sim.8766."""
_TESTS_IN_PROSE = {"delong": "DeLong’s test", "paired_bootstrap": "the paired bootstrap of whole patients"}
_POWER = 0.8


def size_said(facts: Mapping[str, Any]) -> list[str]:
    """Whether the cohort is large enough to know how good one model is.

    facts : kind (two, several, time_to_event, number), patients, counts (class -> patients; of times, those with the event, with a
    competing one, and censored), developed_r2 (of the best model in cross-validation, None where there is none).
    """
    counts: Mapping[str, int] = facts["counts"]
    said = []
    if facts["kind"] == "two":
        events, others = counts["1"], counts["0"]
        if min(events, others) < PRECISE:
            said.append(
                f"With {events} with and {others} without the event, this cohort is small: about {PRECISE} of each are advised before AUC "
                "and calibration of a model count as known (Vergouwe 2005, Collins 2016)."
            )
    elif facts["kind"] == "several":
        rarest, fewest = min(counts.items(), key=lambda item: item[1])
        if fewest < PRECISE:
            said.append(
                f"The rarest class, {rarest}, has {words.plural(fewest, 'patient')}, so this cohort is small. For several classes there is "
                f"no rule of its own; that for two, about {PRECISE} of each (Vergouwe 2005, Collins 2016), is asked here of every class "
                "against the rest, before AUC and calibration of a model count as known."
            )
    elif facts["kind"] == "time_to_event":
        events = counts["with the event"]
        if events < IDEAL_EVENTS:
            small = "this cohort is small: " if events < PRECISE else ""
            said.append(
                f"With {words.plural(events, 'event')} among {words.plural(facts['patients'], 'patient')}, {small}at least {PRECISE} events, and "
                f"ideally {IDEAL_EVENTS}, are advised before concordance and calibration of a model count as known (Collins 2016). Who is "
                "censored adds little: it is the events that count."
            )
    else:
        n = facts["patients"]
        if n < KNOWN_SPREAD:
            said.append(
                f"With {words.plural(n, 'patient')}, this cohort is small: {KNOWN_SPREAD} are asked for before even the outcome’s own spread "
                "is known within 10 % (Archer 2021), and errors and explained variance are measured against that."
            )
        r2 = facts["developed_r2"]
        if r2 is not None and 0 < r2 < 1 and n:
            said.append(
                f"An explained variance as in cross-validation, {words.number(r2)}, would be known to ±{words.number(r2_half_width(r2, n))} "
                "here (95 %, Archer 2021)."
            )
    return said


def r2_half_width(r2: float, n: int) -> float:
    """Half of the 95 % interval of the explained variance of a model of which it is r2, in n patients: 1.96 times the root of
    4 r2 (1 - r2)^2 / n, Archer 2021."""
    return float(norm.ppf(0.975)) * (4 * r2 * (1 - r2) ** 2 / n) ** 0.5


def difference_said(row: Mapping[str, Any] | None, alpha: float, *, with_gap: bool) -> list[str]:
    """What difference of two models these patients can tell, by the width of its interval and not by the difference that was seen.

    row : of the table COMPARISON, with JSON values. with_gap : say also which gap would be found; of two classes that is said
    beforehand, by :func:`radpipe.evaluation.sample_size.held_out_gap`.
    """
    if row is None or row["p_value"] is None or row["ci_low"] is None or not row["ci_high"] > row["ci_low"]:
        return []
    metric, margin = str(row["metric"]), float(row["margin"])
    name, test = METRIC_NAMES.get(metric, metric), _TESTS_IN_PROSE.get(str(row["test"]), str(row["test"]))
    error = (row["ci_high"] - row["ci_low"]) / 2 / float(norm.ppf(1 - alpha / 2))
    said = []
    if with_gap:
        gap = error * float(norm.ppf(1 - alpha / 2) + norm.ppf(_POWER))
        said.append(
            f"By the width of the interval ({test}), two models whose {name} truly differs by {words.size(gap, metric)} would be told apart in "
            f"{words.percent(_POWER)} of such cohorts, and smaller differences less often."
            if gap < most(metric)
            else f"By the width of the interval ({test}), no difference that there can be would be told apart in {words.percent(_POWER)} of "
            "such cohorts."
        )
    reach = error * float(norm.ppf(1 - alpha))
    level = words.percent(round(1 - 2 * alpha, 10))
    ends = f"the {level} interval of two models seen to be alike would reach to ±{words.size(min(reach, most(metric)), metric)} {name}"
    if reach > margin:
        said.append(f"“Equivalent within ±{words.size(margin, metric)}” was out of reach with these patients: {ends} ({test}).")
    else:
        said.append(
            f"These patients are enough to call two models equivalent within ±{words.size(margin, metric)}, if they are alike: {ends} ({test})."
        )
    return said


def coding_said(facts: Mapping[str, Any]) -> list[str]:
    """What looks as if the outcome was written otherwise than in the run.

    facts : ranks_badly (the ranking metric, where every model's interval lies below chance, else empty), kind, and outcome_scale: the
    middle outcome (median time, or median number) of these patients, of the run's, and the run's lowest and highest; or None.
    """
    said = []
    if facts["ranks_badly"]:
        why = {
            "time_to_event": "look whether the event is coded as in the run",
            "number": "look whether the outcome is measured the same way round as in the run",
        }.get(facts["kind"], "look whether the outcome is coded as in the run (1 is the event)")
        low = METRIC_NAMES[facts["ranks_badly"]], words.number(CHANCE[facts["ranks_badly"]])
        said.append(
            f"Every model ranks these patients the wrong way round (the interval of its {low[0]} lies below {low[1]}): {why}."
        )
    scale = facts["outcome_scale"]
    if scale and scale["differs"]:
        what = "time" if facts["kind"] == "time_to_event" else "outcome"
        said.append(
            f"The median {what} is {words.significant(scale['here'])} here and {words.significant(scale['run'])} in the run: look whether both "
            "are in the same unit."
        )
    return said

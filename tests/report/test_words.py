"""What may be said: never more than the intervals allow."""

from __future__ import annotations

import pytest

from radpipe.report import words

DESIGN = {"repeats": 10, "folds": 5, "n": 34, "events": 13, "level": 0.95, "planned": True}
ROW = {
    "model_a": "ann", "model_b": "cnn", "metric": "auc", "effect": 0.09, "ci_low": -0.1, "ci_high": 0.28, "margin": 0.05,
    "p_value": 0.3, "verdict": "not_resolved", "method": "corrected resampled t",
}  # fmt: skip


def said(**changes):
    design = {**DESIGN, **{key: changes.pop(key) for key in list(changes) if key in DESIGN}}
    answer = words.verdict({**ROW, **changes}, design)
    return answer["headline"], " ".join(answer["sentences"])


def test_not_resolved_says_what_could_have_been_seen():
    headline, text = said()
    assert headline.startswith("Not resolved") and "cannot tell whether ANN or CNN" in headline
    assert "−0.10 to +0.28" in text and "more than about 0.19 AUC" in text
    assert "both “CNN clearly better” and “ANN clearly better” remain possible" in text
    assert "does not mean that the two are equal" in text
    assert "conservative" not in text


@pytest.mark.parametrize(
    ("test", "named"),
    [("corrected_t", "corrected resampled t"), ("delong", "DeLong"), ("paired_bootstrap", "bootstrap of whole patients")],
)
def test_the_interval_of_the_verdict_names_its_method(test, named):
    assert f"interval of the difference (ANN minus CNN; {named})" in said(test=test)[1]


def test_too_few_patients_get_no_verdict_whatever_was_seen():
    """And several cases of a patient are said to be such."""
    method = "too small to say anything: 6 with and 9 without the event, 10 of each are asked for; paired bootstrap"
    headline, text = said(method=method, test="paired_bootstrap", ci_low=0.01, ci_high=0.2, repeats=0)
    assert headline == "Not resolved: too few patients to say whether ANN or CNN predicts better."
    assert (
        "6 with and 9 without the event" in text
        and "No verdict is given, whatever was seen" in text
        and "would have been called" not in text
    )
    design = {**DESIGN, "repeats": 0, "n": 45, "events": 15, "patients": 15}
    assert "45 cases of 15 patients, 15 with the event" in " ".join(words.verdict(ROW, design)["sentences"])


@pytest.mark.parametrize(("low", "high", "words_"), [(-0.02, 0.3, "“ANN clearly better”"), (-0.3, 0.02, "“CNN clearly better”")])
def test_what_the_interval_excludes_is_not_called_possible(low, high, words_):
    _, text = said(ci_low=low, ci_high=high)
    assert f"{words_} and “no difference that matters” both remain possible" in text


def test_an_interval_inside_the_margin_that_was_not_equivalent():
    assert "equivalence was not shown" in said(ci_low=-0.04, ci_high=0.045)[1]


@pytest.mark.parametrize(("effect", "verdict", "lead"), [(0.2, "a_better", "ANN"), (-0.2, "b_better", "CNN")])
def test_better_names_the_right_one_and_its_reach(effect, verdict, lead):
    headline, text = said(effect=effect, verdict=verdict, ci_low=min(effect, 0.1), ci_high=max(effect, 0.1), p_value=0.01)
    assert headline == f"{lead} predicted better than {'CNN' if lead == 'ANN' else 'ANN'} in this cohort."
    assert f"AUC of {lead} was higher by 0.20" in text and "elsewhere was not tested" in text


def test_lower_brier_is_better():
    headline, text = said(metric="brier", effect=-0.05, verdict="a_better", ci_low=-0.08, ci_high=-0.02, p_value=0.01)
    assert headline.startswith("ANN predicted better") and "Brier score of ANN was lower, which is better, by 0.050" in text


def test_equivalent():
    headline, text = said(effect=0.001, verdict="equivalent", ci_low=-0.03, ci_high=0.03)
    assert headline == "ANN and CNN predict equally well, within ±0.05 AUC." and "before the outcomes were read" in text


@pytest.mark.parametrize(("repeats", "conservative"), [(2, True), (3, True), (9, True), (10, False), (20, False)])
def test_fewer_repeats_are_called_conservative(repeats, conservative):
    assert ("conservative" in said(repeats=repeats)[1]) == conservative


def test_no_test_and_no_question():
    headline, text = said(p_value=None, ci_low=None, ci_high=None, method="no test: one repeat", repeats=1)
    assert (
        "could not be tested" in headline and "One repeat" in text and "calibrated for 10" in text and "Nothing follows" in text
    )
    assert "No test: cnn has no predictions." in said(p_value=None, effect=None, method="no test: cnn has no predictions")[1]
    assert "better than" not in headline
    assert "exploratory" in words.verdict(None, DESIGN)["sentences"][0]


def test_hopeless_width():
    assert "no difference whatever could have been called" in said(ci_low=-1.2, ci_high=1.4)[1]


def pairs(**verdicts):
    return [
        {"model": m, "reference": r, "effect": 0.1, "ci_low": -0.1, "ci_high": 0.3, "verdict": v, "primary": False}
        for key, v in verdicts.items() for m, r in [key.split("_")]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "kind", "start"),
    [
        (
            pairs(ann_clinical="better", ann_volume="better"),
            "yes",
            "Yes, in this cohort: ANN predicted better than Clinical and Volume",
        ),
        (
            pairs(ann_clinical="not_resolved", ann_volume="better"),
            "partly",
            "Only in part: ANN predicted better than Volume, but",
        ),
        (pairs(ann_clinical="not_resolved", ann_volume="not_resolved"), "not_shown", "Not shown:"),
        (pairs(ann_clinical="worse", ann_volume="not_resolved"), "no", "Not seen:"),
        (pairs(ann_clinical="better"), "partly", "Only in part"),  # beating one of two references is not beating both
    ],
)
def test_do_images_add_anything(found, kind, start):
    answer = words.images_add(found, ["ann"], ["clinical", "volume"], 0.95)
    assert answer["kind"] == kind and answer["headline"].startswith(start)
    if kind == "not_shown":
        assert "not the same as showing that images add nothing" in answer["sentences"][0]
        assert "up to 0.30" in answer["sentences"][0]


def test_nothing_to_compare_with():
    assert words.images_add([], ["ann"], [], 0.95)["kind"] == "none"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0001, "< 0.001"), (0.0344, "0.034"), (0.5, "0.50"), (None, "n/a"), (float("nan"), "n/a")]
)
def test_p_values(value, text):
    assert words.p_value(value) == text


@pytest.mark.parametrize(("value", "text"), [(-0.0449, "−0.04"), (-0.001, "0.00"), (0.5, "+0.50"), (None, "n/a")])
def test_signed_numbers(value, text):
    assert words.number(value, sign=True) == text


@pytest.mark.parametrize(
    ("value", "text"), [(365.318, "365"), (0.012345, "0.0123"), (0, "0"), (1.5e9, "1.50e+09"), (12345.6, "12346")]
)
def test_measurements(value, text):
    assert words.significant(value) == text

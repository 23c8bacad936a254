"""What is said of the size of an external cohort: by published rules, for every kind of outcome, and never by the difference seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.held_out import compare_held_out
from radpipe.core.tables import make_table
from radpipe.evaluation.predictions import ANY_PREDICTIONS
from radpipe.report import external_words as external
from radpipe.stages.compare_external import external_facts
from radpipe.stages.compare_sources import Source
from radpipe.stages.predict import Predicted


def test_an_explained_variance_is_as_sure_as_archer_says():
    """Archer 2021: to know an R2 of 0.5 within a 95 % interval of width 0.1, 769 patients are needed."""
    assert external.r2_half_width(0.5, 769) == pytest.approx(0.05, abs=1e-4)


def test_the_spread_is_known_within_a_tenth_with_234_patients():
    """Riley 2019 and Archer 2021: 234 patients and the parameters that are estimated."""
    ends = {n: np.sqrt((n - 1) / chi2.ppf(0.025, n - 1)) for n in (external.KNOWN_SPREAD - 1, external.KNOWN_SPREAD)}
    assert [value < 1.1 for value in ends.values()] == [False, True]


def row(low, high, **changes):
    return {"metric": "harrell_c", "test": "paired_bootstrap", "p_value": 0.4, "ci_low": low, "ci_high": high, "margin": 0.05, **changes}  # fmt: skip


def test_what_can_be_told_apart_follows_from_the_width_alone():
    """Standard error 0.1: 2.80 of them are found in 80 %, and 1.64 are the half width of the interval of the equivalence test."""
    said = external.difference_said(row(-0.196, 0.196), 0.05, with_gap=True)
    assert said == external.difference_said(row(0.104, 0.496), 0.05, with_gap=True)
    assert "truly differs by 0.28 would be told apart in 80 %" in said[0]
    assert "“Equivalent within ±0.05” was out of reach" in said[1] and "reach to ±0.16 concordance" in said[1]
    enough = external.difference_said(row(-0.0196, 0.0196), 0.05, with_gap=False)
    assert (
        len(enough) == 1
        and "enough to call two models equivalent" in enough[0]
        and "the paired bootstrap of whole patients" in enough[0]
    )
    assert "no difference that there can be" in external.difference_said(row(-0.9, 0.9), 0.05, with_gap=True)[0]
    assert external.difference_said(row(None, None), 0.05, with_gap=True) == []
    assert external.difference_said(None, 0.05, with_gap=True) == []


def judged(kind: str, n: int, lesions: int = 1, unit: float = 1.0):
    """The comparison of two models on n patients, and what is told of these. unit : of the run's outcomes, in that of the patients'."""
    rng = np.random.default_rng(n)
    at = np.repeat(np.arange(n), lesions)
    truth = {
        "several": lambda: {"y_true": np.arange(n) % 3}, "two": lambda: {"y_true": (np.arange(n) % 4 == 0).astype(int)},
        "number": lambda: {"y_true": np.zeros(n, int), "value": rng.normal(50, 5, n)},
        "time_to_event": lambda: {"y_true": (np.arange(n) % 3 > 0).astype(int), "time": 1 + rng.exponential(30, n)},
    }[kind]()  # fmt: skip
    parts = []
    for model in ("a", "b"):
        p = rng.dirichlet([2, 2, 2] if kind == "several" else [2, 2], len(at))
        columns = {f"p_{k}": p[:, k] for k in range(p.shape[1])} | (
            {"score": rng.normal(size=len(at))} if kind in ("number", "time_to_event") else {}
        )
        cases = [f"c{k:04d}_{j}" for k in range(n) for j in range(lesions)]
        parts.append(
            pd.DataFrame({"case_id": cases, **{name: np.asarray(value)[at] for name, value in truth.items()}, **columns}).assign(
                repeat=0, fold=0, seed=0, role="test", model=model
            )
        )
    predictions = make_table(ANY_PREDICTIONS, pd.concat(parts, ignore_index=True))
    patients = {case: case.partition("_")[0] for case in predictions["case_id"]}
    rows = compare_held_out(
        predictions, ComparisonSettings(primary=("a", "b"), metric="accuracy" if kind == "several" else "auc"), patients=patients
    )
    own = Source(name="run", path=Path("run"), kind="run", predictions=predictions, sha256="0", patients=patients)
    measured = [name for name in ("time", "value") if name in predictions.columns]
    run = replace(own, predictions=predictions.assign(**{name: predictions[name] / unit for name in measured}))
    metrics = pd.DataFrame(columns=["metric", "repeat", "role", "ci_high"])
    found = Predicted([], [], 60, ())
    return rows, external_facts(Path("others.csv"), [(run, own, found)], predictions, metrics, rows, 0.05)


@pytest.mark.parametrize(
    ("kind", "n", "said"),
    [
        ("several", 60, "The rarest class, 0, has 20 patients"),
        ("time_to_event", 60, "With 40 events among 60 patients, this cohort is small: at least 100 events, and ideally 200"),
        ("time_to_event", 153, "With 102 events among 153 patients, at least 100 events, and ideally 200"),
        ("number", 60, "With 60 patients, this cohort is small: 234 are asked for"),
        ("two", 60, "With 15 with and 45 without the event, this cohort is small: about 100 of each"),
    ],
)
def test_every_kind_of_outcome_has_its_rule_and_source(kind, n, said):
    facts = judged(kind, n)[1]
    assert facts["too_small"] == "" and facts["patients"] == facts["cases"] == n
    text = " ".join(facts["said"])
    assert said in text and ("Archer 2021" in text if kind == "number" else "Collins 2016" in text)
    assert "Equivalent within" in text and ("told apart in 80 %" in text)
    assert (facts["events"] is None) == (kind in ("several", "number"))


@pytest.mark.parametrize(
    ("kind", "counts", "patients"),
    [
        ("two", {"0": 400, "1": 100}, 500), ("several", {"0": 100, "1": 300, "2": 120}, 520),
        ("time_to_event", {"with the event": 200, "censored": 3}, 203), ("number", {}, 234),
    ],
)  # fmt: skip
def test_nothing_is_called_small_that_is_not(kind, counts, patients):
    """One fewer is."""
    assert external.size_said({"kind": kind, "counts": counts, "patients": patients, "developed_r2": None}) == []
    fewer = {name: count - 1 for name, count in counts.items()}
    assert len(external.size_said({"kind": kind, "counts": fewer, "patients": patients - 1, "developed_r2": None})) == 1


@pytest.mark.parametrize(
    ("kind", "n", "said"),
    [
        ("several", 27, "9 of class 0, 9 of class 1, 9 of class 2, 10 of each are asked for"),
        ("time_to_event", 13, "8 with the event among 13 patients, 10 with the event among 20 are asked for"),
        ("number", 19, "19 patients, 20 are asked for"),
        ("two", 36, "9 with and 27 without the event, 10 of each are asked for"),
    ],
)
def test_too_small_to_say_anything_counts_patients_and_not_their_lesions(kind, n, said):
    for lesions in (1, 2):
        rows, facts = judged(kind, n, lesions)
        assert facts["too_small"] == f"too small to say anything: {said}"
        assert (rows["verdict"] == "not_resolved").all() and rows["method"].str.startswith(facts["too_small"]).all()
        assert (facts["patients"], facts["cases"]) == (n, lesions * n)


def test_many_censored_are_not_asked_for():
    """Concordance compares those who have the event with one another, too; 20 patients of whom 13 have it are judged."""
    facts = judged("time_to_event", 20)[1]
    assert facts["counts"] == {"with the event": 13, "censored": 7} and facts["too_small"] == ""


@pytest.mark.parametrize(
    ("kind", "unit", "asked"),
    [("time_to_event", 30.4, True), ("time_to_event", 1.5, False), ("number", 10.0, True), ("number", 1.0, False)],
)
def test_another_unit_is_asked_about(kind, unit, asked):
    """Days for months; a number ten times the run's. Half as long a follow-up again is nothing to ask about."""
    text = " ".join(judged(kind, 60, unit=unit)[1]["said"])
    assert ("look whether both are in the same unit" in text) == asked


def test_all_models_below_chance_make_the_page_ask():
    facts = {"kind": "time_to_event", "outcome_scale": None, "ranks_badly": "harrell_c"}
    assert "whether the event is coded as in the run" in external.coding_said(facts)[0]
    assert external.coding_said({**facts, "ranks_badly": ""}) == []

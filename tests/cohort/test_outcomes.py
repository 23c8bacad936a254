"""Outcomes of every kind, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
from pydantic import ValidationError

from radpipe.cohort.build import read_manifest
from radpipe.cohort.config import CohortSettings, SplitSettings
from radpipe.cohort.external import read_as_known
from radpipe.cohort.splits import draw_refit, draw_splits
from radpipe.errors import CohortError

TIMES = {"outcome_kind": "time_to_event", "outcome": "status", "time": "months", "event": 1, "horizon": 12}
TWO = SplitSettings(repeats=2, folds=2)


def read(columns: dict, *, splits: SplitSettings = TWO, **settings):
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({"case_id": [f"c{k:02}" for k in range(n)], **{name: list(map(str, v)) for name, v in columns.items()}})
    wanted = CohortSettings(manifest="m.csv", modality="CT", **settings)
    return read_manifest(frame, wanted, base=Path("."), source=Path("m.csv"), splits=splits, with_images=False)


def refusal(columns: dict, **settings) -> str:
    with pytest.raises(CohortError) as caught:
        read(columns, **settings)
    return caught.value.problem


class TestClasses:
    def test_more_than_two_are_sorted_as_numbers_and_then_as_text(self):
        good, _ = read({"grade": ["10", "2", "1"] * 6}, outcome="grade")
        assert good["outcome"].tolist() == [2, 1, 0] * 6
        good, _ = read({"grade": ["low", "high", "mid"] * 6}, outcome="grade")
        assert good["outcome"].tolist() == [1, 0, 2] * 6

    def test_or_stand_in_the_order_the_workflow_names(self):
        good, _ = read({"grade": ["low", "high", "mid"] * 6}, outcome="grade", classes=["low", "mid", "high"])
        assert good["outcome"].tolist() == [0, 2, 1] * 6

    @pytest.mark.parametrize(
        ("cells", "settings", "said"),
        [
            (["yes"] * 8, {"positive": "yes"}, "one class only: every case has 'yes'. A model needs cases with and without it"),
            (["low", "high", "mid"] * 4, {"classes": ["low", "mid"]}, "holds 'high', which cohort.classes does not name"),
            (
                ["low", "mid"] * 4,
                {"classes": ["low", "mid", "high"]},
                "names 'high', but the outcome 'grade' holds 'low' and 'mid' only",
            ),
            ([f"{k / 7:.3f}" for k in range(30)], {}, "too many for classes. For numbers set cohort.outcome_kind: number"),
            (
                ["a", "b", "c"] * 3 + ["a"] * 3,
                {"splits": SplitSettings(folds=4)},
                "class 1 has 3 patients; 4 folds need at least 4",
            ),
            (["0", "1"], {"splits": SplitSettings(folds=5)}, "2 patients for 5 folds. Add patients, or lower splits.folds"),
        ],
    )
    def test_what_cannot_be_used_is_named_with_a_way_out(self, cells, settings, said):
        assert said in refusal({"grade": cells}, outcome="grade", **settings)


class TestNumbers:
    def test_values_are_kept_and_the_class_is_nought(self):
        good, _ = read({"dose": [1.5, 2, 3, -4] * 3}, outcome="dose", outcome_kind="number")
        assert good["value"].tolist() == [1.5, 2, 3, -4] * 3 and set(good["outcome"]) == {0}

    def test_text_in_one_cell_costs_that_case_alone(self):
        good, errors = read({"dose": [1.5, 2, 3, -4] * 3 + ["high"]}, outcome="dose", outcome_kind="number")
        assert len(good) == 12 and errors[0].case_id == "c12"
        assert "the outcome 'dose' is 'high', no finite number" in errors[0].problem and errors[0].hint

    @pytest.mark.parametrize(
        ("cells", "said"),
        [
            (["low", "high"] * 6, "holds text ('low'), and cohort.outcome_kind is number. Name a column of numbers"),
            ([""] * 12, "holds nothing"),
            ([3] * 12, "is 3 in every case, so there is nothing to predict"),
            (["inf"] * 12, "holds text ('inf')"),
        ],
    )
    def test_a_column_that_is_none_is_named(self, cells, said):
        assert said in refusal({"dose": cells}, outcome="dose", outcome_kind="number")

    def test_folds_are_balanced_over_the_quarters(self):
        cases = pd.DataFrame({"case_id": [f"c{k:03}" for k in range(80)], "value": range(80)}).assign(outcome=0)
        cases["patient_id"] = cases["case_id"]
        splits = draw_splits(cases, SplitSettings(repeats=3, folds=4), 1, "number").merge(cases, on="case_id")
        quarter = splits[splits["role"] == "test"].assign(quarter=lambda rows: rows["value"] // 20)
        assert set(quarter.groupby(["repeat", "fold", "quarter"]).size()) == {5}
        chosen = splits[splits["role"] == "selection"].assign(quarter=lambda rows: rows["value"] // 20)
        assert set(chosen.groupby(["repeat", "fold", "quarter"]).size()) == {4}


class TestTimes:
    GOOD: ClassVar = {"status": ["1", "0", "2", "1"] * 4, "months": [3, 20, 5, 14.5] * 4}

    def test_status_becomes_a_code_and_time_a_column(self):
        good, _ = read(self.GOOD, **TIMES, competing=[2])
        assert good["outcome"].tolist() == [1, 0, 2, 1] * 4 and good["time"].tolist() == [3, 20, 5, 14.5] * 4
        words = {"status": ["dead", "alive", "other", "dead"] * 4, "months": self.GOOD["months"]}
        named = {**TIMES, "event": "dead", "competing": "other", "censored": ["alive"]}
        assert read(words, **named)[0]["outcome"].tolist() == [1, 0, 2, 1] * 4

    def test_one_bad_time_costs_that_case_alone(self):
        columns = {"status": [*self.GOOD["status"], "1", "", "0"], "months": [*self.GOOD["months"], "-1", "3", "soon"]}
        good, errors = read(columns, **TIMES, competing=[2])
        assert len(good) == 16 and [error.case_id for error in errors] == ["c16", "c17", "c18"]
        assert "the time 'months' is below 0 (-1)" in errors[0].problem
        assert "the outcome 'status' is missing" in errors[1].problem
        assert "the time 'months' is 'soon', no finite number" in errors[2].problem

    @pytest.mark.parametrize(
        ("columns", "settings", "said"),
        [
            (GOOD, {}, "holds '2', and nothing says what that means. Name every value in cohort.event, cohort.competing or"),
            ({**GOOD, "status": ["0"] * 16}, {}, "no case has the event: cohort.event is '1'"),
            ({**GOOD, "months": ["x"] * 16}, {"competing": 2}, "the time column 'months' holds no time"),
            (GOOD, {"competing": 2, "horizon": 40}, "cohort.horizon is 40, but nobody was followed beyond 20"),
            (GOOD, {"competing": 2, "splits": SplitSettings(folds=10)}, "8 patients have the event; 10 folds need at least 10"),
            ({"status": GOOD["status"]}, {"competing": 2}, "the time column 'months' is missing"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, columns, settings, said):
        assert said in refusal(columns, **{**TIMES, **settings})

    def test_events_are_dealt_evenly(self):
        cases = pd.DataFrame({"case_id": [f"c{k:03}" for k in range(60)], "outcome": [1, 0, 0, 2, 0, 1] * 10, "time": 1.0})
        cases["patient_id"] = cases["case_id"]
        splits = draw_splits(cases, SplitSettings(repeats=2, folds=5), 1, "time_to_event").merge(cases, on="case_id")
        tested = splits[splits["role"] == "test"].groupby(["repeat", "fold", "outcome"]).size()
        assert set(tested.xs(1, level="outcome")) == {4} and set(tested.xs(2, level="outcome")) == {2}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"outcome": "y", "time": "t"}, "time goes with outcome_kind: time_to_event"),
        ({"outcome": "y", "outcome_kind": "number", "positive": 1}, "positive goes with outcome_kind: classes"),
        ({"outcome": "y", "classes": ["a", "b"], "positive": "a"}, "give one of them"),
        ({"outcome": "y", "classes": ["a", "a"]}, "'a' twice"),
        ({"outcome": "s", "outcome_kind": "time_to_event", "event": 1, "horizon": 5}, "needs time"),
        ({"outcome": "s", "outcome_kind": "time_to_event", "time": "t", "horizon": 5}, "needs event"),
        ({"outcome": "s", "outcome_kind": "time_to_event", "time": "t", "event": 1}, "needs horizon"),
        ({**TIMES, "competing": 1}, "'1' twice"),
        ({**TIMES, "event": True}, "YAML reads yes, no, true and false"),
        ({**TIMES, "clinical": ["months"]}, "a model would read the answer"),
    ],
)
def test_settings_that_do_not_go_together(settings, said):
    with pytest.raises(ValidationError, match=said):
        CohortSettings(manifest="m.csv", **settings)


def test_a_patient_with_two_numbers_or_times_is_named():
    columns = {"patient_id": ["p", "p", *"abcdefgh"], "dose": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}
    assert "patient 'p' has two different outcomes" in refusal(columns, outcome="dose", outcome_kind="number")


def test_a_refit_trains_and_selects_everybody():
    cases = pd.DataFrame({"case_id": [f"c{k:02}" for k in range(20)], "patient_id": [f"p{k // 2}" for k in range(20)]})
    cases["outcome"] = [k // 2 % 2 for k in range(20)]
    parts = draw_refit(cases, SplitSettings(selection_fraction=0.2), 1)
    assert set(parts["case_id"]) == set(cases["case_id"]) and set(parts["role"]) == {"train", "selection"}
    by_patient = parts.merge(cases, on="case_id").groupby("patient_id")["role"].nunique()
    assert (by_patient == 1).all()
    pd.testing.assert_frame_equal(
        parts, draw_refit(cases.sample(frac=1, random_state=0), SplitSettings(selection_fraction=0.2), 1)
    )


def test_outcomes_of_others_are_read_by_the_coding_of_the_run() -> None:
    settings = CohortSettings(manifest="m.csv", outcome="grade", classes=("low", "mid", "high"))
    known = {"grade": ["low", "mid", "high", "low"]}
    found = read_as_known({"grade": ["high", "low", "na", "high"]}, known, settings)  # nobody is mid: high is still 2
    assert (found.codes, found.problems) == ([2, 0, None, 2], []) and "missing" in found.faults[2][0]
    assert "'1' and '2'" in read_as_known({"grade": ["1", "2"]}, known, settings).problems[0]
    two = CohortSettings(manifest="m.csv", outcome="relapse", positive="yes")
    yes_no = {"relapse": ["yes", "no"]}
    assert read_as_known({"relapse": ["no", "yes", "no"]}, yes_no, two).codes == [0, 1, 0]
    assert "another coding" in read_as_known({"relapse": ["0", "1"]}, yes_no, two).problems[0]
    assert "one class only" in read_as_known({"relapse": ["yes", "yes"]}, yes_no, two).problems[0]


def test_times_of_others_are_read_by_the_coding_of_the_run() -> None:
    """0 and 1 where the run says alive and dead: told as another coding, in the words of the run, with nothing of its workflow."""
    settings = CohortSettings(
        manifest="m.csv",
        outcome="state",
        outcome_kind="time_to_event",
        time="months",
        event=("dead",),
        censored=("alive",),
        horizon=5,
    )
    known = {"state": ["dead", "alive"], "months": ["3", "9"]}
    fine = read_as_known({"state": ["alive", "dead", "dead"], "months": ["3", "-2", "6"]}, known, settings)
    assert ([fine.codes[0], fine.codes[2]], fine.problems) == ([0, 1], []) and "is below 0 (-2)" in fine.faults[1][0]
    (coded,) = read_as_known({"state": ["1", "0"], "months": ["3", "9"]}, known, settings).problems
    assert "'0' and '1', and the run's patients have 'alive' and 'dead' (the event is 'dead'): another coding" in coded
    (nobody,) = read_as_known({"state": ["alive", "alive"], "months": ["3", "9"]}, known, settings).problems
    assert nobody.startswith("nobody has the event: in the run it is 'dead'") and "cohort.event" not in coded + nobody

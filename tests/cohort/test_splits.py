from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.model_selection import StratifiedGroupKFold

from radpipe.cohort.config import SplitSettings
from radpipe.cohort.splits import draw_splits
from radpipe.errors import CohortError


def cohort(counts: list[tuple[int, int]]) -> pd.DataFrame:
    """One patient for every (outcome, number of cases)."""
    rows = [
        {"case_id": f"p{number}_c{place}", "patient_id": f"p{number}", "outcome": outcome}
        for number, (outcome, cases) in enumerate(counts)
        for place in range(cases)
    ]
    return pd.DataFrame(rows)


def patients(per_class: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    one = st.integers(1, 3)
    return st.tuples(
        st.lists(st.tuples(st.just(0), one), min_size=per_class, max_size=25),
        st.lists(st.tuples(st.just(1), one), min_size=per_class, max_size=25),
    ).map(lambda both: both[0] + both[1])


@given(st.data(), st.integers(2, 5), st.integers(1, 3), st.floats(0.05, 0.5), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_what_every_split_keeps(data: st.DataObject, folds: int, repeats: int, fraction: float, seed: int) -> None:
    cases = cohort(data.draw(patients(max(4, folds))))
    drawn = draw_splits(cases, SplitSettings(repeats=repeats, folds=folds, selection_fraction=fraction), seed)
    drawn = drawn.merge(cases, on="case_id")
    assert len(drawn) == repeats * folds * len(cases)
    tested = drawn[drawn["role"] == "test"]
    assert (tested.groupby(["repeat", "case_id"]).size() == 1).all(), "every case is tested once a repeat"
    assert len(tested) == repeats * len(cases)
    for _, part in drawn.groupby(["repeat", "fold"]):
        assert (part.drop_duplicates(["patient_id", "role"]).groupby("patient_id").size() == 1).all(), "no patient on two sides"
        for role in ("train", "selection", "test"):
            assert set(part.loc[part["role"] == role, "outcome"]) == {0, 1}, f"both classes in {role}"
    heads = drawn.drop_duplicates(["repeat", "fold", "patient_id"])
    for outcome in (0, 1):
        own = heads[heads["outcome"] == outcome]
        for _, repeat in own.groupby("repeat"):
            sizes = repeat[repeat["role"] == "test"].groupby("fold").size()
            assert sizes.max() - sizes.min() <= 1, "a class is dealt evenly"
        for _, part in own[own["role"] != "test"].groupby(["repeat", "fold"]):
            wanted = fraction * len(part)
            assert abs((part["role"] == "selection").sum() - wanted) <= 1
    sizes = heads[heads["role"] == "test"].groupby(["repeat", "fold"]).size()
    assert sizes.max() - sizes.min() <= 1, "folds are even over both classes"


@given(st.randoms(use_true_random=False), st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_the_order_of_rows_does_not_matter(random, seed: int) -> None:
    cases = cohort([(n % 2, 1 + n % 3) for n in range(20)])
    order = list(range(len(cases)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(
        draw_splits(cases, SplitSettings(repeats=2), seed), draw_splits(cases.iloc[order], SplitSettings(repeats=2), seed)
    )


def test_seeds_repeats_and_nothing_else_change_the_draw() -> None:
    cases = cohort([(int(n < 13), 1) for n in range(34)])
    three = draw_splits(cases, SplitSettings(repeats=3), 1)
    assert three.equals(draw_splits(cases, SplitSettings(repeats=3), 1))
    assert not three.equals(draw_splits(cases, SplitSettings(repeats=3), 2))
    five = draw_splits(cases, SplitSettings(repeats=5), 1)
    pd.testing.assert_frame_equal(five[five["repeat"] < 3].reset_index(drop=True), three)  # more repeats keep the first ones
    assert five.loc[five["repeat"] == 0, "role"].tolist() != five.loc[five["repeat"] == 1, "role"].tolist()


def test_as_even_as_scikit_learn() -> None:
    """34 patients with 13 events in 5 folds: fold sizes and events per fold, against StratifiedGroupKFold's."""
    cases = cohort([(int(n < 13), 1) for n in range(34)])
    drawn = draw_splits(cases, SplitSettings(repeats=1), 3).merge(cases, on="case_id")
    ours = drawn[drawn["role"] == "test"].groupby("fold")["outcome"].agg(["size", "sum"])
    peer = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    theirs = [cases["outcome"].iloc[test] for _, test in peer.split(cases, cases["outcome"], cases["patient_id"])]
    assert ours["size"].max() - ours["size"].min() <= max(map(len, theirs)) - min(map(len, theirs))
    assert sorted(ours["sum"]) == sorted(int(part.sum()) for part in theirs) == [2, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("counts", "folds", "words"),
    [
        ([(0, 1)] * 3 + [(1, 1)], 5, "4 patients for 5 folds"),
        ([(0, 1)] * 9 + [(1, 5)], 5, "class 1 has 1 patients; 5 folds need at least 5"),
        ([(0, 1)] * 9 + [(1, 1)] * 3, 2, "class 1 has 3 patients; 2 folds need at least 4"),
        ([(0, 1)] * 9, 2, "same outcome"),
    ],
)
def test_too_few(counts, folds: int, words: str) -> None:
    with pytest.raises(CohortError, match=words):
        draw_splits(cohort(counts), SplitSettings(folds=folds), 1)


def test_a_patient_with_two_outcomes() -> None:
    cases = cohort([(0, 2)] * 5 + [(1, 2)] * 5)
    cases.loc[0, "outcome"] = 1
    with pytest.raises(CohortError, match=r"'p0' has two different outcomes \(cases p0_c0, p0_c1\)"):
        draw_splits(cases, SplitSettings(folds=2), 1)


@pytest.mark.parametrize(
    "bad", [{"repeats": 0}, {"folds": 1}, {"selection_fraction": 0}, {"selection_fraction": 0.6}, {"fold": 5}]
)
def test_settings_have_bounds(bad) -> None:
    with pytest.raises(ValidationError):
        SplitSettings(**bad)

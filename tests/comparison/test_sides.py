"""Any number of sides: how their models are told apart, and what makes them no sides of one comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.external_tables import read_side
from radpipe.comparison.sides import Side, carries_verdict, compare_sides, together
from radpipe.errors import CohortError


def table(seed: int, n: int = 60, **more: object) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 5 < 2).astype(int)
    p = 1 / (1 + np.exp(-(y - 0.5 + rng.normal(size=n))))
    return pd.DataFrame({"case_id": [f"c{k:02d}" for k in range(n)], "y_true": y, "p_1": p, **more})


def test_names_that_two_sides_share_are_told_apart() -> None:
    a, b = table(1, model="net"), table(2, model="net")
    own = table(3, model="tree")
    both = together([read_side(a, "ours"), read_side(pd.concat([b, own]), "theirs")])
    assert both.models == ("ours_net", "theirs_net", "tree")
    assert both.sources["theirs_net"] == (1, "net")
    same = together([read_side(a, "x"), read_side(b, "x"), read_side(own, "x")])
    assert same.models == ("net (A)", "net (B)", "tree")
    got = both.predictions.set_index(["model", "case_id"])["p_1"]
    assert got["theirs_net", "c07"] == b["p_1"].iloc[7] and got["tree", "c07"] == own["p_1"].iloc[7]


def test_three_sides_are_every_two_of_them() -> None:
    sides = [read_side(table(k), name) for k, name in enumerate("abc")]
    rows = compare_sides(together(sides), ComparisonSettings(conditional=("paired_bootstrap",)))
    assert sorted(zip(rows["model_a"], rows["model_b"], strict=True))[::2] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert carries_verdict(rows) == "delong" and set(rows["test"]) == {"delong", "paired_bootstrap"}
    two = table(5)
    two["patient_id"] = [f"p{k // 2}" for k in range(len(two))]
    pair = together([read_side(two, "a"), read_side(table(6), "b")])
    assert pair.patients["c03"] == "p1"
    rows = compare_sides(pair, ComparisonSettings(conditional=("delong",)))
    assert carries_verdict(rows) == "paired_bootstrap"  # DeLong's is none of patients with two cases


def test_the_calls_are_made_at_each_models_own_threshold() -> None:
    a, b = table(1), table(2)
    fits = pd.DataFrame({"model": ["a"], "repeat": [0], "fold": [0], "threshold": [0.8]})
    first = read_side(a, "a")
    sides = [Side(name="a", predictions=first.predictions, fits=fits), read_side(b, "b")]
    row = compare_sides(together(sides), ComparisonSettings(conditional=("mcnemar",))).set_index("test").loc["mcnemar"]
    right = [np.mean((t["p_1"] >= cut) == t["y_true"]) for t, cut in ((a, 0.8), (b, 0.5))]
    assert row["effect"] == pytest.approx(right[0] - right[1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.iloc[1:], "c.csv has not; it lacks: c00"),
        (lambda t: t.assign(y_true=1 - t["y_true"]), "All are the other way round: the coding is swapped"),
        (lambda t: pd.concat([t.assign(model="u"), t.iloc[1:].assign(model="v")]), "it holds 2 models, and 'v' lacks c00"),
        (lambda t: t.assign(value=t["p_1"], score=t["p_1"]).drop(columns="y_true"), "another kind of outcome"),
        (lambda t: t.assign(repeat=0, fold=np.arange(len(t)) % 2), "c.csv comes from cross-validation and a.csv does not"),
    ],
)
def test_the_third_side_is_held_to_the_first(change, said: str) -> None:
    with pytest.raises(CohortError, match=said) as error:
        together(
            [read_side(table(1), "a", "a.csv"), read_side(table(2), "b", "b.csv"), read_side(change(table(3)), "c", "c.csv")]
        )
    assert error.value.hint

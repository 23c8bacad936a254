"""One code path fits every model; what it may not see, it cannot use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radpipe.errors import RadpipeError
from radpipe.models.fit import fit_and_predict

CASES = [f"c{i:02d}" for i in range(24)]
ROLES = ["train"] * 12 + ["selection"] * 4 + ["test"] * 8
Y = [i % 2 for i in range(24)]
PARAMS = {
    "ann": {"kind": "ann", "inputs": "features", "members": 1},
    "logistic": {"kind": "logistic", "inputs": "features"},
    "xgboost": {"kind": "xgboost", "inputs": "features", "rounds": 12},
}


def table(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(24, 3)) + np.outer(Y, [1.0, 0.0, 0.0])
    return pd.DataFrame(values, index=pd.Index(CASES, name="case_id"), columns=["a", "b", "c"])


def fit(kind: str, *, y: list[int] = Y, patients: list[str] = CASES, frame: pd.DataFrame | None = None):
    given = table() if frame is None else frame
    return fit_and_predict(PARAMS[kind], case_ids=CASES, patient_ids=patients, y=y, roles=ROLES, table=given, images=None, seed=3)


@pytest.mark.parametrize("kind", PARAMS)
def test_a_patient_on_both_sides_is_refused(kind: str) -> None:
    with pytest.raises(RadpipeError, match="c00") as caught:
        fit(kind, patients=[*CASES[:-1], "c00"])
    assert caught.value.kind == "leakage"


@pytest.mark.parametrize("kind", PARAMS)
def test_outcomes_and_features_of_the_test_part_change_nothing_that_is_learnt(kind: str) -> None:
    plain = fit(kind)
    flipped = fit(kind, y=[*Y[:16], *(1 - value for value in Y[16:])])
    assert flipped.probabilities == plain.probabilities
    other = table()
    other.iloc[16:] += 100.0
    moved = fit(kind, frame=other)
    assert [moved.probabilities[case] for case in CASES[:16]] == [plain.probabilities[case] for case in CASES[:16]]
    assert all(np.array_equal(moved.arrays[name], plain.arrays[name]) for name in plain.arrays)


@pytest.mark.parametrize("kind", PARAMS)
def test_outcomes_of_the_training_part_do(kind: str) -> None:
    assert fit(kind, y=[*(1 - value for value in Y[:16]), *Y[16:]]).probabilities != fit(kind).probabilities

"""Predictions made elsewhere: taken as they are, and refused where they are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from radpipe.errors import ConfigError, SchemaError
from radpipe.models.config import GivenParams
from radpipe.models.given import fit
from radpipe.models.model import Examples


def examples(start: int, n: int = 12, **columns) -> Examples:
    ids = tuple(f"P{start + k:02d}" for k in range(n))
    y = np.arange(n) % 2
    table = pd.DataFrame({"logit_1": 2.0 * y - 1 + np.linspace(-1, 1, n), **columns}, index=ids)
    return Examples(ids, ids, y, table)


def test_probabilities_are_the_columns_own_and_only_the_threshold_is_learnt() -> None:
    train, selection, test = examples(0), examples(20, 6), examples(40)
    model = fit(train, selection, GivenParams(column="logit_1", scale="logit"), seed=0)
    np.testing.assert_allclose(model.predict_proba(test)[:, 1], expit(test.table["logit_1"]), rtol=1e-12)
    assert model.facts()["recalibration_slope"] == 1.0 and model.facts()["inputs"] == "logit_1"
    assert model.saw == set(train.patient_ids) | set(selection.patient_ids)  # of the threshold


@pytest.mark.parametrize(
    ("values", "words"),
    [(1.5, "is 1.5, not a probability"), (np.nan, "is missing"), ("high", "holds text")],
)
def test_what_is_no_prediction_is_named(values, words: str) -> None:
    told = examples(0, p=values)
    with pytest.raises(SchemaError, match=words):
        fit(told, examples(20, 6, p=0.5), GivenParams(column="p"), seed=0)


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(SchemaError, match=r"no column 'p_1' among the given ones \(logit_1\)"):
        fit(examples(0), examples(20, 6), GivenParams(), seed=0)


def test_a_workflow_must_name_the_column(tmp_path) -> None:
    from radpipe.config import load_workflow

    (tmp_path / "w.yaml").write_text(
        "radpipe_workflow: 1\nname: w\ncohort: {manifest: m.csv, outcome: y}\nfeatures: {table: f.csv}\n"
        "models: {cnn: {kind: given, column: logit_1}}\n"
    )
    with pytest.raises(ConfigError, match=r"which cohort\.given does not name"):
        load_workflow(tmp_path / "w.yaml")

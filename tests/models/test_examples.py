"""Examples, the encoder of clinical columns, and the guard against seen patients."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from radpipe.errors import CohortError, RadpipeError, RunError, SchemaError
from radpipe.models.encode import Encoder
from radpipe.models.guard import refuse_seen
from radpipe.models.model import Examples, check_parts


def made(ids=("a", "b", "c", "d"), y=(0, 1, 0, 1), **columns) -> Examples:
    table = pd.DataFrame(columns, index=list(ids)) if columns else None
    return Examples(tuple(ids), tuple(f"p_{name}" for name in ids), np.array(y), table)


def test_rows_follow_the_case_ids_whatever_their_order_in_the_table():
    table = pd.DataFrame({"x": [3.0, 1.0, 2.0]}, index=["c", "a", "b"])
    examples = Examples(("a", "b", "c"), ("1", "2", "3"), np.array([0, 1, 1]), table)
    assert examples.table.x.tolist() == [1, 2, 3]
    some = examples.take(["c", "a"])
    assert some.table.x.tolist() == [3, 1] and some.patient_ids == ("3", "1") and some.y.tolist() == [1, 0]


def test_faults_are_named():
    with pytest.raises(SchemaError, match="case a: the case stands twice"):
        made(ids=("a", "a"), y=(0, 1))
    with pytest.raises(SchemaError, match="outcomes of shape"):
        Examples(("a", "b"), ("1", "2"), np.array([0]))
    with pytest.raises(SchemaError, match="class index"):
        made(y=(0, 1, 0.5, 1))
    with pytest.raises(SchemaError, match="not the cases"):
        Examples(("a", "b"), ("1", "2"), np.array([0, 1]), pd.DataFrame({"x": [1.0]}, index=["a"]))
    with pytest.raises(SchemaError, match="case z: the case is not among"):
        made().take(["z"])
    images = np.zeros((2, 1, 4, 4, 4), np.float32)
    images[1, 0, 0, 0, 0] = np.nan
    with pytest.raises(SchemaError, match="case b: its cropped image has NaN"):
        Examples(("a", "b"), ("1", "2"), np.array([0, 1]), images=images)
    with pytest.raises(SchemaError, match="not float32"):
        Examples(("a", "b"), ("1", "2"), np.array([0, 1]), images=np.zeros((2, 4, 4, 4)))


def test_parts_that_cannot_be_fitted_are_named():
    two = made()
    with pytest.raises(CohortError, match="are of 1 class,"):
        check_parts(made(y=(1, 1, 1, 1)), made(ids=("e",), y=(0,)))
    with pytest.raises(CohortError, match="selection part is empty"):
        check_parts(two, made(ids=(), y=()))
    with pytest.raises(CohortError, match="more than two classes"):
        check_parts(made(y=(0, 1, 2, 1)), made(ids=("e",), y=(0,)))
    with pytest.raises(CohortError, match="'p_a' is in the training and in the selection part"):
        check_parts(two, made(ids=("a",), y=(0,)))
    assert check_parts(two, made(ids=("e",), y=(0,))) == {"p_a", "p_b", "p_c", "p_d", "p_e"}


def test_a_seen_patient_is_refused():
    refuse_seen(frozenset({"1", "2"}), ["3"])
    with pytest.raises(RunError, match=r"ann was fitted with test patients: 2\.") as caught:
        refuse_seen(frozenset({"1", "2"}), ["2", "3"], model="ann")
    assert caught.value.kind == "leakage"


class TestEncoder:
    TRAIN: ClassVar = {
        "age": [40.0, 60.0, np.nan, 50.0], "sex": ["M", "F", "F", None], "grade": ["high"] * 4,
        "gone": [np.nan] * 4, "flat": [2.0] * 4,
    }  # fmt: skip

    def test_learns_and_applies(self):
        train = made(**self.TRAIN)
        encoder = Encoder.learn(train)
        assert encoder.inputs == ["age", "sex"] and encoder.names == ["age", "sex=F", "sex=M"]
        expected = [[40, 0, 1], [60, 1, 0], [50, 1, 0], [50, 0, 0]]
        np.testing.assert_array_equal(encoder.apply(train), expected)

    def test_what_training_never_saw_is_zero_and_gaps_get_its_median(self):
        encoder = Encoder.learn(made(**self.TRAIN))
        new = made(age=[np.inf, np.nan, 70.0, 30.0], sex=["X", np.nan, "M", "F"])
        np.testing.assert_array_equal(encoder.apply(new), [[50, 0, 0], [50, 0, 0], [70, 0, 1], [30, 1, 0]])

    def test_round_trip(self):
        encoder = Encoder.learn(made(**self.TRAIN), keep_missing=True)
        assert Encoder.from_json(encoder.to_json()) == encoder

    def test_pandas_strings_categories_integers_and_booleans(self):
        train = made(
            a=pd.Series(["u", "v", pd.NA, "u"], index=list("abcd"), dtype="string"),
            b=pd.Categorical(["k", "k", "l", None]),
            c=[1, 2, 3, 4],
            d=[True, False, True, True],
            e=pd.array([1, None, 3, 4], dtype="Int64"),
        )
        encoder = Encoder.learn(train)
        assert encoder.names == ["c", "d", "e", "a=u", "a=v", "b=k", "b=l"]
        np.testing.assert_array_equal(encoder.apply(train)[2], [3, 1, 3, 0, 0, 0, 1])

    def test_logarithm_of_a_volume(self):
        train = made(volume_ml=[1.0, np.e, np.e**2, np.e**3])
        np.testing.assert_allclose(Encoder.learn(train, logarithm=True).apply(train)[:, 0], [0, 1, 2, 3], atol=1e-15)
        with pytest.raises(SchemaError, match="case b: volume_ml is not above 0"):
            Encoder.learn(made(volume_ml=[1.0, 0.0, 2.0, 3.0]), logarithm=True)

    def test_faults_are_named(self):
        encoder = Encoder.learn(made(**self.TRAIN))
        faults: list[tuple[Examples, str]] = [
            (made(sex=["M"] * 4), "'age' is missing"),
            (made(age=["x"] * 4, sex=["M"] * 4), "'age' held numbers when fitted, now text"),
            (made(), "needs a table"),
        ]
        for examples, text in faults:
            with pytest.raises(RadpipeError, match=text):
                encoder.apply(examples)
        with pytest.raises(SchemaError, match="each of the 1 input columns is constant or missing"):
            Encoder.learn(made(flat=[1.0] * 4))

"""One record of whom everything fitted has seen, checked before any prediction is believed."""

from __future__ import annotations

import pandas as pd
import pytest

from radpipe.errors import RunError
from radpipe.models.guard import check_records, records
from radpipe.stages.train import check_seen

INFO = {
    "kind": "ann",
    "saw": ["a", "b"],
    "encoder": {"fill": [], "saw": ["a"]},
    "upstream": {"selection": {"saw": ["a"]}, "cnn": {"saw": ["b"]}},
}


def test_every_record_is_found_under_its_name():
    assert records(INFO) == {"": {"a", "b"}, "encoder": {"a"}, "upstream selection": {"a"}, "upstream cnn": {"b"}}
    assert check_records(INFO, ["c"]) == {"a", "b"}


@pytest.mark.parametrize(("patient", "thing"), [("b", "the model was fitted"), ("c", "encoder of the model")])
def test_a_test_patient_is_named_with_what_saw_it(patient, thing):
    info = {**INFO, "encoder": {"saw": ["a", "c"]}}
    with pytest.raises(RunError, match=thing) as caught:
        check_records(info, [patient])
    assert caught.value.kind == "leakage"


def test_a_model_without_a_record_is_not_believed():
    with pytest.raises(RunError, match="does not say whom"):
        check_records({"encoder": {"saw": ["a"]}}, ["z"])


def test_what_any_stage_fitted_is_held_against_its_own_folds_test_part():
    parts = pd.DataFrame({"repeat": [0, 0], "fold": [0, 1], "case_id": ["x", "y"], "role": ["test", "test"]})
    cohort = pd.DataFrame({"patient_id": ["px", "py"]}, index=["x", "y"])
    check_seen({(0, 0, "select", "scalar"): ["py"], (0, 1, "select", "scalar"): ["px"]}, parts, cohort)
    with pytest.raises(RunError, match=r"select: scalar \(repeat 0, fold 1\) was fitted with test patients: py"):
        check_seen({(0, 1, "select", "scalar"): ["px", "py"]}, parts, cohort)

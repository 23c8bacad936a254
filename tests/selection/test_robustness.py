"""Features that do not repeat leave before selection."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radpipe.errors import SchemaError
from radpipe.selection.config import RobustnessSettings, SelectionSettings
from radpipe.selection.robustness import icc_of_repeats, stack
from radpipe.selection.select import select_inputs

# Shrout and Fleiss 1979, doi:10.1037/0033-2909.86.2.420, table 2: six targets, four judges; ICC(2,1) 0.29.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def test_the_published_example() -> None:
    tables = [pd.DataFrame({"judged": column, "same": JUDGES[:, 0]}, index=list("abcdef")) for column in JUDGES.T]
    found = icc_of_repeats(stack(tables))
    assert found["judged"] == pytest.approx(0.289763780, abs=1e-8)  # the same by R's psych, to nine digits
    assert found["same"] == 1.0


def test_order_of_rows_and_incomplete_cases_change_nothing() -> None:
    tables = [pd.DataFrame({"judged": column}, index=list("abcdef")) for column in JUDGES.T]
    whole = stack(tables)
    extra = pd.DataFrame({"case_id": ["g"], "measurement": ["0"], "judged": [100.0]})
    mixed = pd.concat([whole, extra]).sample(frac=1, random_state=0)
    assert icc_of_repeats(mixed) == icc_of_repeats(whole)


def test_what_cannot_be_used_is_named() -> None:
    table = pd.DataFrame({"x": [1.0, 2.0, 4.0]}, index=list("abc"))
    with pytest.raises(SchemaError, match="measured once"):
        icc_of_repeats(stack([table]))
    with pytest.raises(SchemaError, match="'0' stands twice"):
        icc_of_repeats(pd.concat([stack([table, table]), stack([table])]))


def test_a_feature_that_does_not_repeat_goes_before_anything_else() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    table = pd.DataFrame({"shaky": 3.0 * y + rng.normal(size=40), "firm": 1.5 * y + rng.normal(size=40), "unknown": 3.0 * y})
    settings = SelectionSettings(selector="none", robustness=RobustnessSettings(icc=0.8))
    found = select_inputs(table, y, settings, seed=0, icc={"shaky": 0.79, "firm": 0.8}).set_index("feature")
    assert found.reason.to_dict() == {"shaky": "not_robust", "firm": "kept", "unknown": "not_robust"}
    with pytest.raises(SchemaError, match="or does not repeat"):
        select_inputs(table, y, settings, seed=0, icc={"shaky": np.nan})

"""Selection learns on the rows it is given. That noise it likes there is worth nothing elsewhere: test_transformers.py."""

from __future__ import annotations

import numpy as np
import pandas as pd

from radpipe.selection.config import SelectionSettings
from radpipe.selection.select import select_inputs


def test_a_canary_that_only_the_test_rows_know_is_not_chosen():
    rng = np.random.default_rng(1)
    y = np.arange(60) % 2
    table = pd.DataFrame(rng.normal(size=(60, 20)), columns=[f"f{k:02}" for k in range(20)])
    table["real"] = 2.0 * y + rng.normal(size=60)
    table["canary"] = np.where(np.arange(60) < 40, rng.normal(size=60), y)
    found = select_inputs(table.iloc[:40], y[:40], SelectionSettings(max_features=1, rounds=3), seed=0)
    assert list(found.feature[found.kept]) == ["real"]

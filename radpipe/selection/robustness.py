"""Which features repeat: the ICC over outlines that were drawn a little differently, or over repeated scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from radpipe.errors import SchemaError
from radpipe.evaluation.agreement import icc_a1_of

MEASUREMENT = "measurement"


def icc_of_repeats(repeats: pd.DataFrame) -> dict[str, float]:
    """Feature -> ICC(A,1) over measurements of the same patients; NaN where it is not defined.

    repeats : one row a case and measurement: case_id, measurement, and the features. Give the rows of the training part only.
    A case counts for a feature where every measurement has a finite value of it. SchemaError where a case was measured twice
    under one name or there are fewer than two measurements.
    """
    if repeats.duplicated(["case_id", MEASUREMENT]).any():
        twice = repeats[repeats.duplicated(["case_id", MEASUREMENT])].iloc[0]
        raise SchemaError(
            f"the measurement {twice[MEASUREMENT]!r} stands twice.",
            hint="One row a case and measurement.",
            case_id=str(twice["case_id"]),
        )
    by_case = repeats.sort_values(["case_id", MEASUREMENT]).set_index(["case_id", MEASUREMENT])
    measurements = by_case.index.get_level_values(MEASUREMENT).nunique()
    if measurements < 2:
        raise SchemaError(
            "features were measured once, so nothing says whether they repeat.", hint="Give at least two measurements."
        )
    counts = by_case.groupby(level="case_id").size()
    whole = by_case.loc[counts.index[counts == measurements].tolist()]
    values = whole.to_numpy(dtype=float).reshape(-1, measurements, whole.shape[1])
    found = {}
    for place, name in enumerate(whole.columns):
        ratings = values[:, :, place]
        found[str(name)] = icc_a1_of(ratings[np.isfinite(ratings).all(axis=1)])[0]
    return found


def stack(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of the same features, index case_id, one a measurement -> what :func:`icc_of_repeats` takes."""
    parts = [table.rename_axis("case_id").reset_index().assign(**{MEASUREMENT: str(k)}) for k, table in enumerate(tables)]
    return pd.concat(parts, ignore_index=True)

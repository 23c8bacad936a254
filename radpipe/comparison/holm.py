"""Holm's step-down adjustment for several tests."""

from __future__ import annotations

import numpy as np

from radpipe.typing import FloatArray


def holm(p_values: FloatArray) -> FloatArray:
    """(m,) p-values, adjusted so that the chance of any false call among them stays at alpha; NaN stays and is not counted.

    Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    p_values = np.asarray(p_values, float)
    adjusted = np.full(len(p_values), np.nan)
    rows = np.flatnonzero(np.isfinite(p_values))
    order = rows[np.argsort(p_values[rows], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted

"""What is done before any selector looks: rows and columns in one order, gaps filled, relevance, redundancy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from radpipe.errors import SchemaError
from radpipe.typing import FloatArray, IntArray

# Below this, relative to the largest value, a spread is rounding: ten sums in another order, not ten patients.
CONSTANT = 1e-9


def in_order(table: pd.DataFrame, y: IntArray) -> tuple[list[str], FloatArray, IntArray]:
    """Names (p,) in alphabetical order, values (n, p) and outcomes (n,), rows in the order of their content.

    Infinite values become missing. The order of content makes the result the same for any order of rows and columns:
    rows that tie in everything can change places without a change.
    """
    names = [str(name) for name in table.columns]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SchemaError(f"the features table has two columns named {twice!r}.", hint="Every feature needs its own name.")
    if len(table) != len(y):
        raise SchemaError(f"{len(table)} rows of features but {len(y)} outcomes.", hint="Give one outcome a row.")
    text = [name for name, kind in zip(names, table.dtypes, strict=True) if not pd.api.types.is_numeric_dtype(kind)]
    if text:
        raise SchemaError(
            f"the feature column {text[0]!r} does not hold numbers.", hint="Text belongs into the clinical columns."
        )
    order = np.argsort(np.asarray(names, dtype=object), kind="stable")
    values = table.to_numpy(dtype=float, na_value=np.nan)[:, order]
    values = np.where(np.isfinite(values), values, np.nan)
    y = np.asarray(y).astype(np.int64)
    rows = np.lexsort([*values.T, y])
    return [names[place] for place in order], values[rows], y[rows]


def is_constant(values: FloatArray) -> np.ndarray:
    """(p,) bool: no spread among the values that are there; all-missing columns count as constant."""
    low = np.where(np.isnan(values), np.inf, values).min(axis=0)
    high = np.where(np.isnan(values), -np.inf, values).max(axis=0)
    return np.asarray(high - low <= CONSTANT * np.maximum(np.abs(high), np.abs(low)))


def filled_ranks(values: FloatArray) -> FloatArray:
    """(n, p) average ranks, after missing values were put at the column's median."""
    return np.asarray(rankdata(np.where(np.isnan(values), np.nanmedian(values, axis=0), values), axis=0))


def relevance(ranks: FloatArray, y: IntArray) -> FloatArray:
    """(p,) 2 |AUC - 0.5| of each column for the outcome, 0 to 1; for more than two classes the best of one against the rest."""
    found = np.zeros(ranks.shape[1])
    for label in np.unique(y):
        inside = y == label
        n, m = int(inside.sum()), int((~inside).sum())
        auc = (ranks[inside].sum(axis=0) - n * (n + 1) / 2) / (n * m)
        found = np.maximum(found, 2 * np.abs(auc - 0.5))
    return found


def repeats(ranks: FloatArray, related: FloatArray, threshold: float) -> IntArray:
    """(p,) for each column the place of the column it repeats (|Spearman| > threshold), or -1 where it stays.

    Walks from the most related column to the least (ties: alphabetical, columns come that way) and drops what repeats one
    that stayed. So no two that stay are above the threshold, and each that goes is above it with the one it names, which
    connected components would not promise: their chains tie together columns that have little in common.
    """
    centred = ranks - ranks.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=0)
    spearman = np.abs(unit.T @ unit)
    # Rounded, so that a tie in theory is a tie: the last digit must not decide which twin stays.
    walk = np.argsort(-np.round(related, 9), kind="stable")
    found = np.full(len(related), -2)
    for place in walk:
        if found[place] != -2:
            continue
        found[(found == -2) & (np.round(spearman[place], 9) > threshold)] = place
        found[place] = -1
    return found

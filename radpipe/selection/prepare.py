"""What is done before any selector looks: rows and columns in one order, gaps filled, relevance, redundancy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from radpipe.errors import SchemaError
from radpipe.selection.target import EVENT, Target
from radpipe.typing import FloatArray, IntArray

# Below this, relative to the largest value, a spread is rounding: ten sums in another order, not ten patients.
CONSTANT = 1e-9


def in_order(table: pd.DataFrame, outcome: Target) -> tuple[list[str], FloatArray, Target]:
    """Names (p,) in alphabetical order, values (n, p) and outcomes (n,), rows in the order of their content.

    Infinite values become missing. The order of content makes the result the same for any order of rows and columns:
    rows that tie in everything can change places without a change.
    """
    names = [str(name) for name in table.columns]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SchemaError(f"the features table has two columns named {twice!r}.", hint="Every feature needs its own name.")
    if len(table) != len(outcome):
        raise SchemaError(f"{len(table)} rows of features but {len(outcome)} outcomes.", hint="Give one outcome a row.")
    text = [name for name, kind in zip(names, table.dtypes, strict=True) if not pd.api.types.is_numeric_dtype(kind)]
    if text:
        raise SchemaError(
            f"the feature column {text[0]!r} does not hold numbers.", hint="Text belongs into the clinical columns."
        )
    order = np.argsort(np.asarray(names, dtype=object), kind="stable")
    values = table.to_numpy(dtype=float, na_value=np.nan)[:, order]
    values = np.where(np.isfinite(values), values, np.nan)
    rows = np.lexsort([*values.T, *outcome.columns()[::-1]])
    return [names[place] for place in order], values[rows], outcome.take(rows)


def is_constant(values: FloatArray) -> np.ndarray:
    """(p,) bool: no spread among the values that are there; all-missing columns count as constant."""
    low = np.where(np.isnan(values), np.inf, values).min(axis=0)
    high = np.where(np.isnan(values), -np.inf, values).max(axis=0)
    return np.asarray(high - low <= CONSTANT * np.maximum(np.abs(high), np.abs(low)))


def filled(values: FloatArray) -> FloatArray:
    """(n, p), missing values at the column's median."""
    return np.where(np.isnan(values), np.nanmedian(values, axis=0), values)


def filled_ranks(values: FloatArray) -> FloatArray:
    """(n, p) average ranks, after missing values were put at the column's median."""
    return np.asarray(rankdata(filled(values), axis=0))


def relevance(ranks: FloatArray, outcome: Target | IntArray) -> FloatArray:
    """(p,) how far each column tells the outcome, 0 to 1.

    classes: 2 |AUC - 0.5|; for more than two classes the best of one against the rest. number: |Spearman|. time_to_event:
    2 |C - 0.5| with Harrell's C, whose pairs are those where the patient with the shorter time had the event.
    """
    target = Target.of(outcome)
    if target.kind == "number":
        answer = rankdata(target.value)
        return np.asarray(np.abs(_unit(ranks).T @ _unit(answer[:, None]))[:, 0])
    if target.kind == "time_to_event":
        assert target.time is not None
        return concordance(ranks, target.time, target.y == EVENT)
    found = np.zeros(ranks.shape[1])
    for label in np.unique(target.y):
        inside = target.y == label
        n, m = int(inside.sum()), int((~inside).sum())
        auc = (ranks[inside].sum(axis=0) - n * (n + 1) / 2) / (n * m)
        found = np.maximum(found, 2 * np.abs(auc - 0.5))
    return found


def concordance(ranks: FloatArray, time: FloatArray, event: np.ndarray) -> FloatArray:
    """(p,) 2 |C - 0.5|; 0 where no two patients can be compared.

    Of two patients with one time, the one with the event went first; two events at one time say nothing.
    """
    first = time[:, None] < time[None, :]
    together = (time[:, None] == time[None, :]) & ~event[None, :]
    earlier, later = np.nonzero(event[:, None] & (first | together))
    if not len(earlier):
        return np.zeros(ranks.shape[1])
    # Column by column: all pairs of all columns at once would be gigabytes.
    signs = np.array([np.sign(column[earlier] - column[later]).sum() for column in ranks.T])
    return np.asarray(np.abs(signs) / len(earlier))


def _unit(columns: FloatArray) -> FloatArray:
    centred = columns - columns.mean(axis=0)
    return np.asarray(centred / np.linalg.norm(centred, axis=0))


def repeats(ranks: FloatArray, related: FloatArray, threshold: float) -> IntArray:
    """(p,) for each column the place of the column it repeats (|Spearman| > threshold), or -1 where it stays.

    Walks from the most related column to the least (ties: alphabetical, columns come that way) and drops what repeats one
    that stayed. So no two that stay are above the threshold, and each that goes is above it with the one it names, which
    connected components would not promise: their chains tie together columns that have little in common.
    """
    unit = _unit(ranks)
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

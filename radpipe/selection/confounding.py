"""Whether a chosen feature says more of the outcome than the lesion's volume does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata, t

from radpipe.selection.target import Target
from radpipe.typing import FloatArray

NOTHING = float("nan")
STRONG = 0.7  # |Spearman| with the volume from which a feature is called another name of it


@dataclass(frozen=True)
class GivenVolume:
    """rho_volume, association, partial : Spearman; see :func:`given_volume`. low, high : of partial."""

    n: int
    rho_volume: float
    association: float
    partial: float
    low: float
    high: float
    p_value: float


def answer_of(target: Target) -> tuple[FloatArray, str]:
    """(n, k) what a feature is correlated with, a column each, and what that is in words.

    Two classes: the second. More: one column a class, against the rest. Number: itself. Time to event: the martingale residual, large
    where the event came early (:meth:`.target.Target.responses`).
    """
    if target.kind == "classes":
        hot = target.responses()
        if hot.shape[1] == 2:
            return hot[:, 1:], "outcome 1 against 0"
        return hot, "the class with the largest association, against the rest"
    if target.kind == "number":
        return target.responses(), "the outcome's value"
    return target.responses(), "martingale residual of the outcome without inputs"


def given_volume(feature: FloatArray, volume: FloatArray, answer: FloatArray) -> GivenVolume:
    """Spearman of a feature with the outcome, alone and given the volume (both rid of what the volume's ranks explain).

    feature, volume : (n,); answer : (n, k), the column most associated is taken. Rows without a feature or volume are left out.
    Interval by Fisher's z with Fieller's 1.06 (1957, doi:10.1093/biomet/44.3-4.470) and n - 4, p by t with n - 3 degrees of
    freedom. A logarithm of the volume would change nothing: ranks. NaN where fewer than 6 rows are left or nothing varies.
    """
    there = np.isfinite(feature) & np.isfinite(volume)
    n = int(there.sum())
    if n < 6:
        return GivenVolume(n, *[NOTHING] * 6)
    x, z = rankdata(feature[there]), rankdata(volume[there])
    best = GivenVolume(n, _pearson(x, z), *[NOTHING] * 5)
    for column in answer[there].T:
        y = rankdata(column)
        xy, xz, yz = _pearson(x, y), best.rho_volume, _pearson(y, z)
        room = (1 - xz**2) * (1 - yz**2)
        # A feature that is the volume in other units has nothing left to be associated.
        partial = (xy - xz * yz) / np.sqrt(room) if room > 1e-12 else NOTHING
        if np.isfinite(xy) and not abs(xy) <= abs(best.association):
            statistic = partial * np.sqrt((n - 3) / max(1 - partial**2, 1e-300))
            reach = norm.ppf(0.975) * np.sqrt(1.06 / (n - 4))
            middle = np.arctanh(np.clip(partial, -1 + 1e-15, 1 - 1e-15))
            ends = (float(np.tanh(middle - reach)), float(np.tanh(middle + reach)))
            best = GivenVolume(n, xz, xy, float(partial), *ends, float(2 * t.sf(abs(statistic), n - 3)))
    return best


def _pearson(x: FloatArray, y: FloatArray) -> float:
    a, b = x - x.mean(), y - y.mean()
    size = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / size) if size > 0 else NOTHING

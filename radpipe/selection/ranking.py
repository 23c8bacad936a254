"""What a selector is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Inputs:
    """The candidates after constant, missing and redundant features are gone.

    names : (p,), in alphabetical order. ranks : (n, p), average ranks of the training rows, no missing.
    relevance : (p,), see :func:`radpipe.selection.prepare.relevance`. y : (n,), class index.
    Ranks, because ExtraTrees cuts uniformly between minimum and maximum, where one outlying patient makes most cuts useless.
    """

    names: tuple[str, ...]
    ranks: FloatArray
    relevance: FloatArray
    y: IntArray


@dataclass(frozen=True)
class Ranking:
    """importance : (p,), larger is better. important : (p,) bool, whether the selector would keep it."""

    importance: FloatArray
    important: NDArray[np.bool_]

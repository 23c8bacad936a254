"""What a selector is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from radpipe.selection.target import Target, Trainer
from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Inputs:
    """The candidates after constant, missing and redundant features are gone.

    names : (p,), in alphabetical order. ranks : (n, p), average ranks of the training rows, no missing.
    relevance : (p,), see :func:`radpipe.selection.prepare.relevance`. target : of the n rows.
    Ranks, because ExtraTrees cuts uniformly between minimum and maximum, where one outlying patient makes most cuts useless.
    values : (n, p), as measured, gaps filled with the median. selection_values, selection_target : the selection part (gaps
    filled with the training rows' medians), and trainer, for selectors that ask a network; others are given none.
    """

    names: tuple[str, ...]
    ranks: FloatArray
    relevance: FloatArray
    target: Target
    values: FloatArray
    selection_values: FloatArray | None = None
    selection_target: Target | None = None
    trainer: Trainer | None = None

    @property
    def y(self) -> IntArray:
        """(n,) class index, or what happened."""
        return self.target.y

    @property
    def scores(self) -> FloatArray:
        """(n, p) ranks with mean 0 and standard deviation 1."""
        centred = self.ranks - self.ranks.mean(axis=0)
        return np.asarray(centred / np.sqrt((centred**2).mean(axis=0)))


@dataclass(frozen=True)
class Ranking:
    """importance : (p,), larger is better. important : (p,) bool, whether the selector would keep it.

    steps : of selectors that try sets of inputs: how many inputs each had, and its selection error.
    """

    importance: FloatArray
    important: NDArray[np.bool_]
    steps: tuple[tuple[int, float], ...] = field(default=())

"""Penalised regression (L1): inputs by the penalty at which they enter, kept where cross-validation keeps them."""

from __future__ import annotations

import numpy as np

from radpipe.core.seeds import generator
from radpipe.selection._lasso import deviance, largest_penalty, lasso_path
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking
from radpipe.selection.target import Target
from radpipe.typing import FloatArray, IntArray

STEPS = 16
RATIO = 0.82


def rank(inputs: Inputs, settings: SelectionSettings, *, seed: int) -> Ranking:
    """Multinomial, least-squares or Cox regression with an L1 penalty on standardised ranks; the penalty of least deviance in 5 inner folds.

    The inner folds are dealt within the training part, the penalties fall by 18 % a step to a 24th. The importance is the penalty at which an
    input enters, as a fraction of the largest useful one (between two steps by its size). Tibshirani 1996,
    doi:10.1111/j.2517-6161.1996.tb02080.x; Cox: 1997, doi:10.1002/(SICI)1097-0258(19970228)16:4<385::AID-SIM380>3.0.CO;2-3.
    """
    scores = inputs.scores
    penalties = grid(scores, inputs.target)
    path = lasso_path(scores, inputs.target, penalties)
    folds = deal(inputs.target.strata(), 5, generator(seed, "inner folds"))
    lost = np.zeros(len(penalties))
    for fold in range(int(folds.max()) + 1):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if len(np.unique(inputs.y[train])) < len(np.unique(inputs.y)):
            continue  # a class that the inner training part lacks would cost an infinite deviance
        inner = lasso_path(scores[train], inputs.target.take(train), penalties)
        lost += deviance(scores, inputs.target, inner, train, test)
    chosen = int(np.argmin(np.round(lost, 9)))
    return Ranking(path.entries(), path.size_of(chosen) > 0)


def grid(scores: FloatArray, target: Target) -> FloatArray:
    """(steps,) penalties from just below the one at which nothing enters."""
    return np.asarray(largest_penalty(scores, target) * RATIO ** np.arange(1, STEPS + 1))


def deal(strata: IntArray, folds: int, chance: np.random.Generator) -> IntArray:
    """(n,) inner folds with equal shares of every stratum."""
    found = np.zeros(len(strata), dtype=np.int64)
    start = 0
    for stratum in np.unique(strata):
        mine = chance.permutation(np.flatnonzero(strata == stratum))
        found[mine] = (start + np.arange(len(mine))) % folds
        start += len(mine)
    return found

"""Stability selection: the inputs that an L1 path takes first in most halves of the training part."""

from __future__ import annotations

import numpy as np

from radpipe.core.seeds import generator
from radpipe.selection._lasso import lasso_path
from radpipe.selection.config import SelectionSettings
from radpipe.selection.l1 import deal, grid
from radpipe.selection.ranking import Inputs, Ranking


def rank(inputs: Inputs, settings: SelectionSettings, *, seed: int) -> Ranking:
    """How often each input is among the first q of an L1 path, over pairs of halves of the training part; kept from ``frequency`` on.

    q is the largest number for which at most ``false_inclusions`` useless inputs are expected, sqrt((2 frequency - 1) p * that):
    Meinshausen and Buehlmann 2010, doi:10.1111/j.1467-9868.2010.00740.x, theorem 1. Halves come in pairs (Shah and Samworth 2013,
    doi:10.1111/j.1467-9868.2011.01034.x) with equal shares of every class or event. Equal frequencies are ordered by relevance.
    """
    scores = inputs.scores
    p = scores.shape[1]
    first = max(1, int(np.sqrt((2 * settings.frequency - 1) * p * settings.false_inclusions)))
    counts = np.zeros(p)
    halves = 0
    for pair in range(settings.subsamples // 2):
        side = deal(inputs.target.strata(), 2, generator(seed, "halves", pair))
        for half in (0, 1):
            rows = np.flatnonzero(side == half)
            some = inputs.target.take(rows)
            if not some.tells():
                continue  # no event, or one class, in this half
            mine = scores[rows]
            spread = mine.std(axis=0)
            mine = (mine - mine.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
            entered = lasso_path(mine, some, grid(mine, some), most=first).entries()
            taken = np.argsort(-np.round(entered, 9), kind="stable")[:first]
            counts[taken[entered[taken] > 0]] += 1
            halves += 1
    frequency = counts / max(halves, 1)
    return Ranking(frequency + 1e-6 * inputs.relevance, frequency >= settings.frequency)

"""A decision tree's walk: the input most associated with the outcome first, then the next one given it."""

from __future__ import annotations

import numpy as np

from radpipe.core.seeds import generator
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking
from radpipe.typing import FloatArray, IntArray


def rank(inputs: Inputs, settings: SelectionSettings, *, seed: int) -> Ranking:
    """Grow one CART, the split that explains most first; each new input is one that still tells apart patients of one leaf.

    Impurity: Gini for classes, variance for numbers and times (:meth:`.target.Target.responses`). A leaf is split only if the best
    split over all inputs beats that of permuted outcomes of the leaf with p <= ``level``; the permutation takes the best of all
    inputs as well, so many inputs do not buy a split. The importance is the share of the impurity that an input's splits explain.
    Breiman 1984, ISBN 978-0412048418; stopping as in Hothorn 2006, doi:10.1198/106186006X133933.
    """
    responses = inputs.target.responses()
    order = np.argsort(inputs.ranks, axis=0, kind="stable")
    total = float(((responses - responses.mean(axis=0)) ** 2).sum())
    importance = np.zeros(inputs.ranks.shape[1])
    limit = settings.max_features or len(importance)
    leaf = max(1, min(settings.leaf, len(responses) // 2))
    waiting = [_Leaf(np.ones(len(responses), bool), inputs.ranks, order, responses, leaf)]
    number = 0
    while waiting:
        waiting.sort(key=lambda node: -node.gain)  # stable: of equal gains the leaf made first
        node = waiting.pop(0)
        new = importance[node.column] == 0
        if node.gain <= 0 or (new and np.count_nonzero(importance) >= limit):
            continue
        chance = generator(seed, "leaf", number)
        number += 1
        if node.p_value(chance, settings.permutations) > settings.level:
            continue
        importance[node.column] += node.gain / total
        below = inputs.ranks[:, node.column] <= node.cut
        for side in (node.rows & below, node.rows & ~below):
            if side.sum() >= 2 * leaf:
                waiting.append(_Leaf(side, inputs.ranks, order, responses, leaf))
    important = importance > 0
    # What never split comes after, by relevance, so that the single best is kept where nothing is sure.
    floor = importance[important].min() if important.any() else 1.0
    importance = np.where(important, importance, 0.5 * floor * inputs.relevance)
    return Ranking(importance, important)


class _Leaf:
    """Patients of one leaf and the split that explains most of their spread.

    rows : (n,) bool. column, cut : ranks up to the cut go left. gain : sum of squares explained; 0 where nothing can be split.
    """

    def __init__(self, rows: np.ndarray, ranks: FloatArray, order: IntArray, responses: FloatArray, least: int) -> None:
        self.rows = rows
        size = int(rows.sum())
        # (size, p): the leaf's patients in the order of each column.
        self.places = order.T[rows[order].T].reshape(ranks.shape[1], size).T
        self.sorted = np.take_along_axis(ranks, self.places, axis=0)
        self.responses = responses
        left = np.arange(1, size)
        open_ = (left >= least) & (size - left >= least)
        self.weight = np.where(open_, 1.0 / left + 1.0 / (size - left), 0.0)
        self.allowed = (self.sorted[1:] > self.sorted[:-1]) & open_[:, None]
        gains = self._gains(responses)
        # Rounded, so that two inputs with the same split tie, and the first by name leads.
        best = np.round(gains.max(axis=0), 9)
        self.column = int(np.argmax(best))
        self.gain = float(best[self.column])
        place = int(np.argmax(gains[:, self.column]))
        self.cut = float(self.sorted[place, self.column])

    def _gains(self, responses: FloatArray) -> FloatArray:
        """(size - 1, p) between-group sum of squares of every cut."""
        mine = responses - responses[self.rows].mean(axis=0)
        gains = np.zeros(self.allowed.shape)
        for answer in mine.T:
            gains += np.cumsum(answer[self.places], axis=0)[:-1] ** 2
        return np.where(self.allowed, gains * self.weight[:, None], 0.0)

    def p_value(self, chance: np.random.Generator, permutations: int) -> float:
        """Of the best split among those of permuted responses of the leaf's patients."""
        at = np.flatnonzero(self.rows)
        beaten = 1
        for _ in range(permutations):
            shuffled = self.responses.copy()
            shuffled[at] = self.responses[chance.permutation(at)]
            beaten += bool(self._gains(shuffled).max() >= self.gain - 1e-9)
        return beaten / (permutations + 1)

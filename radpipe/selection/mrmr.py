"""Most relevant, least redundant: each input in turn for what it adds to those already taken."""

from __future__ import annotations

import numpy as np

from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking


def rank(inputs: Inputs, settings: SelectionSettings, *, seed: int) -> Ranking:
    """Greedy: the input with the largest relevance minus its mean |Spearman| with those taken before; stops where that is not above 0.

    Peng 2005, doi:10.1109/TPAMI.2005.159 (difference criterion), with correlations in place of mutual information, which a
    hundred patients cannot estimate. The importance is the difference at which an input was taken; it never rises again along
    the walk, so that the order of importance is the order of taking. Nothing is drawn: the seed changes nothing.
    """
    columns = inputs.ranks.shape[1]
    limit = min(columns, settings.max_features or columns)
    scores = inputs.scores
    overlap = np.zeros(columns)
    left = np.ones(columns, bool)
    important = np.zeros(columns, bool)
    importance = np.zeros(columns)
    ceiling = np.inf
    for turn in range(limit):
        # Rounded, so that a tie in theory is one: the first by name then goes first.
        worth = np.round(np.where(left, inputs.relevance - overlap / max(turn, 1), -np.inf), 9)
        best = int(np.argmax(worth))
        if turn and worth[best] <= 0:
            break
        ceiling = min(ceiling, float(worth[best]))
        importance[best], important[best], left[best] = ceiling, True, False
        overlap += np.abs(scores.T @ scores[:, best]) / len(scores)
    rest = inputs.relevance - overlap / max(int(important.sum()), 1)
    importance[left] = np.minimum(rest[left], ceiling)
    return Ranking(importance, important)

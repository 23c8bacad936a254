"""Pruning inputs: all that are related, one less at a time, as long as a network's selection error falls."""

from __future__ import annotations

from radpipe.selection._network import Search
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking


def rank(inputs: Inputs, settings: SelectionSettings, *, seed: int) -> Ranking:
    """OpenNN's pruning inputs: start with all inputs above ``minimum_correlation``, take away the least related one at a time.

    Ends after ``selection_failures`` rises of the selection error or with one input; the set with the least error is kept. Where
    ``max_features`` limits the inputs the start is cut to so many of the most related; see growing for the relevance.
    """
    search = Search(inputs, settings, seed)
    order = search.order
    related = inputs.relevance[order]
    first = min(len(order), settings.max_features or len(order), max(1, int((related > settings.minimum_correlation).sum())))
    return search.walk([order[:k] for k in range(first, 0, -1)])

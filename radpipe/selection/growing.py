"""Growing inputs: the most related first, one more at a time, as long as a network's selection error falls."""

from __future__ import annotations

from radpipe.selection._network import Search
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking


def rank(inputs: Inputs, settings: SelectionSettings, *, seed: int) -> Ranking:
    """OpenNN's growing inputs: inputs by relevance; the first k of them for k = 1, 2, ...; the k with the least selection error.

    Ranked on the training part; its network stops on the selection part, and so does the choice of k. All inputs with a relevance of
    ``maximum_correlation`` or more go in at once (of 0.9999 or more the best alone: it settles the outcome); an input at or
    below ``minimum_correlation`` ends the search, as do ``selection_failures`` rises of the error or ``max_features`` inputs.
    Ours is the rank relevance of prepare.relevance, where OpenNN takes Pearson or logistic correlation, on all rows.
    """
    search = Search(inputs, settings, seed)
    order = search.order
    related = inputs.relevance[order]
    if related[0] >= 0.9999:
        return search.keep(order[:1])
    last = min(len(order), settings.max_features or len(order), max(1, int((related > settings.minimum_correlation).sum())))
    first = min(last, max(1, int((related >= settings.maximum_correlation).sum())))
    return search.walk([order[:k] for k in range(first, last + 1)])

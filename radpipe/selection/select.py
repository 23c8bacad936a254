"""One training part in, one row for every feature out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from radpipe.core.registry import lookup
from radpipe.errors import CohortError, SchemaError
from radpipe.selection.config import SelectionSettings
from radpipe.selection.prepare import filled_ranks, in_order, is_constant, relevance, repeats
from radpipe.selection.ranking import Inputs, Ranking
from radpipe.selection.registry import SELECTORS
from radpipe.typing import IntArray


def select_inputs(table: pd.DataFrame, y: IntArray, settings: SelectionSettings, *, seed: int) -> pd.DataFrame:
    """What to do with every feature, learnt on these rows alone.

    table : (n, p) training rows x features, numbers; missing allowed. y : (n,) class index, at least two classes.
    In turn: features missing in too many rows go, then constant ones, then redundant ones, then the selector's verdict, then
    the limit on their number. If the selector finds nothing important the single best is kept, since a network needs an input.

    Returns one row a feature, in the order of the table's columns: feature, importance (0 where the selector never saw it), kept,
    reason (kept, missing, constant, redundant, not_important, over_limit), redundant_with (the feature it repeats, or "").
    The order of rows and columns changes nothing else. CohortError for one class, SchemaError for a table that cannot be used.
    """
    if len(np.unique(y)) < 2:
        raise CohortError(
            "the training part has patients of one class only, so no input can be chosen.",
            hint="Use fewer folds or check the outcome column.",
        )
    names, values, y = in_order(table, y)
    reason = np.full(len(names), "", dtype=object)
    reason[is_constant(values)] = "constant"
    reason[np.isnan(values).mean(axis=0) > settings.missing_fraction] = "missing"
    usable = np.flatnonzero(reason == "")
    if not len(usable):
        raise SchemaError(
            f"none of the {len(names)} features can be used: each is constant or missing in the training part.",
            hint="Look at the features table; selection.missing_fraction says how much may be missing.",
        )
    ranks = filled_ranks(values[:, usable])
    related = relevance(ranks, y)
    twin = repeats(ranks, related, settings.redundancy)
    redundant_with = np.full(len(names), "", dtype=object)
    for place, other in zip(usable, twin, strict=True):
        if other >= 0:
            reason[place], redundant_with[place] = "redundant", names[usable[other]]
    stay = np.flatnonzero(twin == -1)
    candidates = usable[stay]
    inputs = Inputs(tuple(names[place] for place in candidates), ranks[:, stay], related[stay], y)
    ranking: Ranking = lookup(SELECTORS, settings.selector, "selector")(inputs, settings, seed=seed)
    importance = np.zeros(len(names))
    importance[candidates] = ranking.importance
    # lexsort: the last key leads. Names come in alphabetical order, so a stable order breaks ties by name.
    best_first = np.lexsort([-ranking.importance, ~ranking.important])
    n_kept = max(1, int(ranking.important.sum()))
    limit = n_kept if settings.max_features is None else min(n_kept, settings.max_features)
    reason[candidates[best_first[:limit]]] = "kept"
    reason[candidates[best_first[limit:n_kept]]] = "over_limit"
    reason[candidates[best_first[n_kept:]]] = "not_important"
    found = pd.DataFrame(
        {
            "feature": names,
            "importance": importance,
            "kept": reason == "kept",
            "reason": reason,
            "redundant_with": redundant_with,
        }
    )
    return found.set_index("feature").loc[[str(name) for name in table.columns]].reset_index()

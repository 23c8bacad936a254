"""One training part in, one row for every feature out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from radpipe.core.registry import lookup
from radpipe.errors import ConfigError, SchemaError
from radpipe.selection.config import SelectionSettings
from radpipe.selection.prepare import filled, filled_ranks, in_order, is_constant, relevance, repeats
from radpipe.selection.ranking import Inputs, Ranking
from radpipe.selection.registry import KINDS, SELECTORS, WITH_SELECTION_PART
from radpipe.selection.target import Target, Trainer
from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class SelectionPart:
    """Patients who choose instead of fitting, for selectors that ask a network; table and outcome as in :func:`select_inputs`."""

    table: pd.DataFrame
    outcome: Target | IntArray


def select_inputs(
    table: pd.DataFrame,
    outcome: Target | IntArray,
    settings: SelectionSettings,
    *,
    seed: int,
    selection: SelectionPart | None = None,
    trainer: Trainer | None = None,
    icc: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """What to do with every feature, learnt on these rows alone.

    table : (n, p) training rows x features, numbers; missing allowed. outcome : of the n rows (class indices, or a Target).
    selection, trainer : the selection part and the network, where the selector asks one (growing, pruning); not looked at else.
    icc : how well features repeat, learnt on no other patients than these; those below ``robustness.icc`` or without one go.
    In turn: features missing in too many rows go, then constant ones, then those that do not repeat, then redundant ones, then the
    selector's verdict, then the limit on their number. If the selector finds nothing important the single best is kept, since a
    network needs an input.

    Returns one row a feature, in the order of the table's columns: feature, importance (0 where the selector never saw it), kept,
    reason (kept, missing, constant, not_robust, redundant, not_important, over_limit), redundant_with (the feature it repeats, or "");
    ``attrs["steps"]``: (inputs, selection error) of every set that was tried, where sets are tried.
    The order of rows and columns changes nothing else. CohortError for one class, SchemaError for a table that cannot be used.
    """
    target = Target.of(outcome)
    target.refuse_empty()
    if target.kind not in KINDS[settings.selector]:
        able = [name for name, kinds in KINDS.items() if target.kind in kinds]
        raise ConfigError(
            f"the selector {settings.selector!r} cannot choose for an outcome of kind {target.kind}.",
            hint=f"These can: {', '.join(able)}.",
        )
    names, values, target = in_order(table, target)
    reason = np.full(len(names), "", dtype=object)
    if icc is not None:
        floor = settings.robustness.icc if settings.robustness else 0.0
        reason[[not icc.get(name, -np.inf) >= floor for name in names]] = "not_robust"
    reason[is_constant(values)] = "constant"
    reason[np.isnan(values).mean(axis=0) > settings.missing_fraction] = "missing"
    usable = np.flatnonzero(reason == "")
    if not len(usable):
        raise SchemaError(
            f"none of the {len(names)} features can be used: each is constant or missing in the training part"
            + (", or does not repeat." if icc is not None else "."),
            hint="Look at the features table; selection.missing_fraction says how much may be missing.",
        )
    ranks = filled_ranks(values[:, usable])
    related = relevance(ranks, target)
    twin = repeats(ranks, related, settings.redundancy)
    redundant_with = np.full(len(names), "", dtype=object)
    for place, other in zip(usable, twin, strict=True):
        if other >= 0:
            reason[place], redundant_with[place] = "redundant", names[usable[other]]
    stay = np.flatnonzero(twin == -1)
    candidates = usable[stay]
    inputs = Inputs(
        tuple(names[place] for place in candidates), ranks[:, stay], related[stay], target, filled(values[:, candidates])
    )
    if settings.selector in WITH_SELECTION_PART and selection is not None:
        inputs = _with_selection_part(inputs, values[:, candidates], selection, trainer)
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
    found = found.set_index("feature").loc[[str(name) for name in table.columns]].reset_index()
    found.attrs["steps"] = [list(step) for step in ranking.steps]
    return found


def _with_selection_part(inputs: Inputs, values: FloatArray, part: SelectionPart, trainer: Trainer | None) -> Inputs:
    """values : (n, p) of the training rows, gaps and all: their medians fill the selection part's gaps."""
    lacking = sorted(set(inputs.names) - set(map(str, part.table.columns)))
    if lacking:
        raise SchemaError(f"the selection part has no column {lacking[0]!r}.", hint="Give it the training part's columns.")
    names, theirs, outcome = in_order(part.table, Target.of(part.outcome))
    mine = theirs[:, [names.index(name) for name in inputs.names]]
    mine = np.where(np.isnan(mine), np.nanmedian(values, axis=0), mine)
    return replace(inputs, selection_values=mine, selection_target=outcome, trainer=trainer)

"""Which input selectors there are: a new one is one file and one line here.

Each entry is a function ``rank(inputs: Inputs, settings, *, seed) -> Ranking`` (:mod:`radpipe.selection.ranking`).
"""

from __future__ import annotations

SELECTORS: dict[str, str] = {
    "tree": "radpipe.selection.tree:rank",
    "xgboost": "radpipe.selection.xgboost:rank",
    "cart": "radpipe.selection.cart:rank",
    "l1": "radpipe.selection.l1:rank",
    "mrmr": "radpipe.selection.mrmr:rank",
    "stability": "radpipe.selection.subsamples:rank",
    "growing": "radpipe.selection.growing:rank",
    "pruning": "radpipe.selection.pruning:rank",
    "none": "radpipe.selection.none:rank",
}
# Trees, correlations and penalised likelihoods are there for every kind; a new selector that can do fewer says so here.
KINDS: dict[str, tuple[str, ...]] = dict.fromkeys(SELECTORS, ("classes", "number", "time_to_event"))
# These ask the selection part too: they are given its rows and a network to train.
WITH_SELECTION_PART = frozenset({"growing", "pruning"})

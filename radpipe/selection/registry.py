"""Which input selectors there are: a new one is one file and one line here.

Each entry is a function ``rank(inputs: Inputs, settings, *, seed) -> Ranking`` (:mod:`radpipe.selection.ranking`).
"""

from __future__ import annotations

SELECTORS: dict[str, str] = {
    "tree": "radpipe.selection.tree:rank",
    "none": "radpipe.selection.none:rank",
}

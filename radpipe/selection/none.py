"""No choosing: everything that is neither constant, missing nor redundant."""

from __future__ import annotations

import numpy as np

from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking


def rank(inputs: Inputs, settings: SelectionSettings, *, seed: int) -> Ranking:
    """Keep everything; the importance is the relevance, 2 |AUC - 0.5|, so that ``max_features`` still takes the best first."""
    return Ranking(inputs.relevance, np.ones(len(inputs.names), bool))

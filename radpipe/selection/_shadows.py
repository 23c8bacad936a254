"""Importances against permuted copies of the features, for any ensemble of trees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radpipe.core.seeds import generator
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking
from radpipe.typing import FloatArray

Importance = Callable[[FloatArray, int], FloatArray]


def against_shadows(inputs: Inputs, settings: SelectionSettings, importance_of: Importance, *, seed: int) -> Ranking:
    """importance_of : (ranks and shadows, turn) -> (2p,) importances.

    Each round grows an ensemble on the features and one permuted copy of each, which has its distribution and no relation to
    the outcome. A feature is important if its mean importance over the rounds exceeds the mean, over the rounds, of the
    ``shadow_quantile`` of the shadows'. With quantile 1 about one useless feature passes, whatever their number; with q about
    the fraction 1 - q of them.
    Kursa and Rudnicki 2010 (Boruta), doi:10.18637/jss.v036.i11, whose rounds are counted as hits; means are steadier for the
    few rounds that a fold can afford.
    """
    columns = inputs.ranks.shape[1]
    importance = np.zeros(columns)
    bar = 0.0
    for turn in range(settings.rounds):
        shadows = generator(seed, "shadows", turn).permuted(inputs.ranks, axis=0)
        found = importance_of(np.hstack([inputs.ranks, shadows]), turn)
        importance += found[:columns] / settings.rounds
        bar += float(np.quantile(found[columns:], settings.shadow_quantile)) / settings.rounds
    return Ranking(importance, importance > bar)

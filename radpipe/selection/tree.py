"""Decision trees against permuted shadows."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from radpipe.core.seeds import derive_seed, generator
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking


def rank(inputs: Inputs, settings: SelectionSettings, *, seed: int) -> Ranking:
    """Importance in extremely randomised trees, kept where it beats permuted copies ("shadows") of the features.

    Each round grows a forest on the features and one permuted copy of each, which has its distribution and no relation to
    the outcome. A feature is important if its mean importance over the rounds exceeds the mean, over the rounds, of the
    ``shadow_quantile`` of the shadows'. With quantile 1 about one useless feature passes, whatever their number; with q about
    the fraction 1 - q of them.
    Geurts 2006, doi:10.1007/s10994-006-6226-1; Kursa and Rudnicki 2010 (Boruta), doi:10.18637/jss.v036.i11, whose rounds
    are counted as hits; means are steadier for the few rounds that a fold can afford.
    """
    rows, columns = inputs.ranks.shape
    importance = np.zeros(columns)
    bar = 0.0
    for turn in range(settings.rounds):
        shadows = generator(seed, "shadows", turn).permuted(inputs.ranks, axis=0)
        forest = ExtraTreesClassifier(
            n_estimators=settings.trees,
            min_samples_leaf=min(settings.leaf, rows // 2),
            max_features="sqrt",
            n_jobs=1,
            random_state=derive_seed(seed, "forest", turn) % 2**32,
        )
        forest.fit(np.hstack([inputs.ranks, shadows]), inputs.y)
        found = forest.feature_importances_
        importance += found[:columns] / settings.rounds
        bar += float(np.quantile(found[columns:], settings.shadow_quantile)) / settings.rounds
    return Ranking(importance, importance > bar)

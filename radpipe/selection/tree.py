"""Extremely randomised trees: importance against permuted shadows."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from radpipe.core.seeds import derive_seed
from radpipe.selection._shadows import against_shadows
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking
from radpipe.typing import FloatArray


def rank(inputs: Inputs, settings: SelectionSettings, *, seed: int) -> Ranking:
    """Importance in extremely randomised trees, kept where it beats permuted copies ("shadows") of the features.

    Geurts 2006, doi:10.1007/s10994-006-6226-1. Numbers and times are regressed: see :meth:`.target.Target.responses`.
    """
    rows = len(inputs.ranks)
    classes = inputs.target.kind == "classes"
    answers = inputs.y if classes else inputs.target.responses()[:, 0]

    def importance_of(ranks: FloatArray, turn: int) -> FloatArray:
        forest = (ExtraTreesClassifier if classes else ExtraTreesRegressor)(
            n_estimators=settings.trees,
            min_samples_leaf=max(1, min(settings.leaf, rows // 2)),
            max_features="sqrt",
            n_jobs=1,
            random_state=derive_seed(seed, "forest", turn) % 2**32,
        )
        return np.asarray(forest.fit(ranks, answers).feature_importances_)

    return against_shadows(inputs, settings, importance_of, seed=seed)

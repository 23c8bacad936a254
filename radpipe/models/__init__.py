"""7. Examples of the training and selection part -> a fitted model that gives probabilities.

Everything a model learns (gaps filled, scaling, weights, when to stop, recalibration, threshold) it learns in
``fit(train, selection, params, seed=...)``, and all of it travels with the model.
"""

from radpipe.models.registry import MODELS, load

__all__ = ["MODELS", "load"]

"""Which models there are: a new one is one module and one line here.

Each module has ``fit(train, selection, params, *, seed) -> Fitted`` and ``load(arrays, info) -> Fitted``; its params stand in
:mod:`radpipe.models.config`, found by ``kind``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from radpipe.core.registry import lookup
from radpipe.errors import SchemaError

if TYPE_CHECKING:
    import numpy as np

    from radpipe.models.model import Fitted

OutcomeKinds = tuple[str, ...]
MODELS: dict[str, str] = {
    "ann": "radpipe.models.ann.model:fit",
    "average": "radpipe.models.average:fit",
    "cnn3d": "radpipe.models.cnn3d.model:fit",
    "cox": "radpipe.models.cox:fit",
    "forest": "radpipe.models.forest:fit",
    "given": "radpipe.models.given:fit",
    "linear": "radpipe.models.linear:fit",
    "logistic": "radpipe.models.logistic:fit",
    "prevalence": "radpipe.models.prevalence:fit",
    "svm": "radpipe.models.svm:fit",
    "xgboost": "radpipe.models.xgboost:fit",
}
# What each can predict: classes (two or more), number, time_to_event. Checked when a workflow is read.
OUTCOME_KINDS: dict[str, OutcomeKinds] = {
    "ann": ("classes", "number", "time_to_event"),
    "average": ("classes", "number", "time_to_event"),
    "cnn3d": ("classes", "number", "time_to_event"),
    "cox": ("time_to_event",),
    "forest": ("classes", "number"),
    "given": ("classes",),
    "linear": ("number",),
    "logistic": ("classes",),
    "prevalence": ("classes", "number", "time_to_event"),
    "svm": ("classes",),
    "xgboost": ("classes", "number", "time_to_event"),
}


def load(kind: str, arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> Fitted:
    """A fitted model from what its ``state()`` gave. SchemaError where the two do not make a model of this kind."""
    loaders = {name: path.replace(":fit", ":load") for name, path in MODELS.items()}
    loader = lookup(loaders, kind, "model")
    if info.get("kind") != kind:
        raise SchemaError(
            f"a saved model of kind {info.get('kind')!r} was opened as {kind!r}.",
            hint="Train it again, or open it as what it is.",
        )
    try:
        fitted: Fitted = loader(arrays, info)
        return fitted
    except KeyError as error:
        raise SchemaError(
            f"the saved {kind} model lacks {error}.", hint="It was cut short or made by another version: train it again."
        ) from error

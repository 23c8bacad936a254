"""Which models each negative control fits again: asked by the controls, and by the forecast before there is a run."""

from __future__ import annotations

from radpipe.comparison.config import ControlSettings
from radpipe.config import Workflow
from radpipe.models.config import ALL_SOURCES, EMBEDDING, Cnn3dParams, ModelParams, inputs_of

OF_FEATURES = frozenset({"selected", "features"})


def _sources(model: ModelParams) -> set[str]:
    """Kinds of feature columns that it may eat."""
    return set(getattr(model, "sources", ALL_SOURCES)) if set(inputs_of(model)) & OF_FEATURES else set()


def of_permuted(workflow: Workflow, settings: ControlSettings) -> str | None:
    """Of permuted outcomes: the model asked for, else the cheapest that stands for the feature arm: of the primary pair,
    else the first that eats features. None where no model does. Deep features are passed over: their networks would have to be
    trained again on every permutation, for these have seen the true outcomes."""
    able = [name for name, model in workflow.models.items() if _sources(model) and EMBEDDING not in _sources(model)]
    first = [name for name in workflow.comparison.primary or () if name in able]
    return settings.model or (first[0] if first else able[0] if able else None)


def of_noise(workflow: Workflow, settings: ControlSettings) -> list[str]:
    """Of features among which there is noise, which is none of a network's deep features. Rows of patients are made of several
    regions, and noise would have to be added per region: left out, as are the altered images."""
    if not settings.noise_columns or workflow.patients is not None:
        return []
    return [
        name for name, model in workflow.models.items() if _sources(model) - {EMBEDDING} and not isinstance(model, Cnn3dParams)
    ]


def of_altered_images(workflow: Workflow, settings: ControlSettings) -> list[str]:
    """Of shuffled voxels and of random regions: all that look at the image; without networks, nor what is made of their features."""
    if not workflow.needs_images or workflow.features.table is not None or workflow.patients is not None:
        return []
    return [
        name
        for name, model in workflow.models.items()
        if (_sources(model) or isinstance(model, Cnn3dParams))
        and (settings.networks or not (isinstance(model, Cnn3dParams) or EMBEDDING in _sources(model)))
    ]

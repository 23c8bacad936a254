"""What stands behind the perceptrons: how an outcome becomes targets, and outputs become a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from radpipe.errors import ConfigError
from radpipe.models.config import AnnParams
from radpipe.models.model import EVENT
from radpipe.networks.layers import BoundingLayer, ProbabilisticLayer, ScalingLayer, UnscalingLayer
from radpipe.networks.perceptron import NeuralNetwork, layer_stack
from radpipe.typing import FloatArray, IntArray


class Outcome(Protocol):
    """What of :class:`radpipe.models.model.Examples` is read here; a selector's target has the same."""

    @property
    def kind(self) -> Any: ...
    @property
    def y(self) -> IntArray: ...
    @property
    def value(self) -> FloatArray | None: ...
    @property
    def time(self) -> FloatArray | None: ...


@dataclass(frozen=True)
class Head:
    """kind, n_classes : of the outcome. unscaling : of the targets, or None where the outputs are the prediction's own scale.
    bounds : of numbers, or None."""

    kind: str
    n_classes: int
    recipe: str
    unscaling: ScalingLayer | None
    bounds: tuple[float, float] | None

    @classmethod
    def learnt(cls, outcome: Outcome, n_classes: int, params: AnnParams) -> Head:
        """From the training part; ConfigError where the settings are not for such an outcome."""
        problem = params.misfit(outcome.kind, n_classes)
        if problem:
            raise ConfigError(problem, hint="Change the model's settings in the workflow.")
        bounds = None
        unscaling = None
        if outcome.kind == "number":
            value = torch.from_numpy(np.array(outcome.value, dtype=np.float64))[:, None]
            modern = params.recipe == "modern"
            unscaling = ScalingLayer.fitted(value, "mean_standard_deviation" if modern else "minimum_maximum")
            if params.bounding == "training":
                bounds = (float(value.min()), float(value.max()))
            elif isinstance(params.bounding, tuple):
                bounds = params.bounding
        elif params.recipe == "opennn":
            both = torch.tensor([[0.0], [1.0]], dtype=torch.float64).expand(2, n_classes if n_classes > 2 else 1)
            unscaling = ScalingLayer.fitted(both, "minimum_maximum")
        return cls(outcome.kind, n_classes, params.recipe, unscaling, bounds)

    @property
    def outputs(self) -> int:
        return self.n_classes if self.kind == "classes" and self.n_classes > 2 else 1

    @property
    def probabilistic(self) -> str | None:
        if self.kind != "classes":
            return None
        if self.recipe == "opennn":
            return "share" if self.outputs > 1 else "clip"
        return "softmax" if self.outputs > 1 else "logistic"

    def targets(self, outcome: Outcome) -> Tensor:
        """(n, outputs) on the scale of the perceptrons' outputs; of times to an event (n, 2), time and event."""
        if self.kind == "time_to_event":
            columns = np.column_stack([np.asarray(outcome.time, np.float64), outcome.y == EVENT])
            return torch.from_numpy(columns)
        if self.kind == "number":
            raw = torch.from_numpy(np.array(outcome.value, dtype=np.float64))[:, None]
        else:
            y = torch.from_numpy(np.array(outcome.y, dtype=np.int64))
            raw = (y[:, None] == torch.arange(self.outputs) if self.outputs > 1 else y[:, None]).to(torch.float64)
        targets: Tensor = raw if self.unscaling is None else self.unscaling(raw)
        return targets

    def at_start(self, targets: Tensor) -> list[float]:
        """What a network says before it has learnt anything: the prevalence, the mean, or a relative hazard of 1."""
        if self.kind == "time_to_event":
            return [0.0]
        mean = targets.mean(0)
        if self.unscaling is None:
            mean = torch.logit(mean) if self.outputs == 1 else mean.log()
        return [float(value) for value in mean]

    def network(self, scaling: ScalingLayer, inputs: int, hidden: tuple[int, ...], activation: str) -> NeuralNetwork:
        """The whole network, all weights 0."""
        return NeuralNetwork(
            scaling,
            layer_stack(inputs, hidden, self.outputs, activation),
            None if self.probabilistic is None else ProbabilisticLayer(self.probabilistic),
            None if self.unscaling is None else UnscalingLayer(self.unscaling),
            None if self.bounds is None else BoundingLayer(*self.bounds),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        if self.unscaling is None:
            return {}
        return {
            "unscaling.centre": self.unscaling.centre.numpy().copy(), "unscaling.scale": self.unscaling.scale.numpy().copy(),
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "n_classes": self.n_classes, "recipe": self.recipe,
            "unscaling": None if self.unscaling is None else self.unscaling.method,
            "bounds": None if self.bounds is None else list(self.bounds),
        }  # fmt: skip

    @classmethod
    def from_saved(cls, arrays: Mapping[str, Any], info: Mapping[str, Any]) -> Head:
        unscaling = None
        if info["unscaling"] is not None:
            unscaling = ScalingLayer(len(arrays["unscaling.centre"]), info["unscaling"])
            unscaling.centre.copy_(torch.from_numpy(np.array(arrays["unscaling.centre"])))
            unscaling.scale.copy_(torch.from_numpy(np.array(arrays["unscaling.scale"])))
        bounds = None if info["bounds"] is None else (float(info["bounds"][0]), float(info["bounds"][1]))
        return cls(info["kind"], info["n_classes"], info["recipe"], unscaling, bounds)

"""The network on features: scaling, perceptron, unscaling, probabilistic and bounding layers, in OpenNN's order of evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from radpipe.networks.layers import BoundingLayer, ProbabilisticLayer, ScalingLayer, UnscalingLayer

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda combination: combination,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
    "elu": nn.functional.elu,
}


class PerceptronLayer(nn.Module):
    """activation(bias + weight x): (n, inputs) -> (n, neurons), float64."""

    def __init__(self, inputs: int, neurons: int, activation: str) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"no activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}")
        self.activation = activation
        self.weight = nn.Parameter(torch.zeros(neurons, inputs, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros(neurons, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.activation](nn.functional.linear(x, self.weight, self.bias))


class NeuralNetwork(nn.Module):
    """scaling -> perceptrons -> (unscaling) -> (probabilistic) -> (bounding); trainable numbers in the perceptrons only.

    Input (n, p) raw features, float64; output (n, k). OpenNN 0.1 evaluates in this order (``NeuralNetwork::calculate_outputs``):
    unscaling stands before the probabilistic layer because the perceptrons may regress targets scaled to [-1, 1].
    """

    def __init__(
        self,
        scaling: ScalingLayer,
        perceptrons: Sequence[PerceptronLayer],
        probabilistic: ProbabilisticLayer | None,
        unscaling: UnscalingLayer | None = None,
        bounding: BoundingLayer | None = None,
    ) -> None:
        super().__init__()
        self.scaling = scaling
        self.perceptrons = nn.Sequential(*perceptrons)
        self.unscaling = unscaling
        self.probabilistic = probabilistic
        self.bounding = bounding

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.perceptrons(self.scaling(x))
        for layer in (self.unscaling, self.probabilistic, self.bounding):
            if layer is not None:
                y = layer(y)
        return y

    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.perceptrons.parameters())


def layer_stack(inputs: int, hidden: Sequence[int], outputs: int, activation: str) -> list[PerceptronLayer]:
    """Hidden layers of the given sizes and a linear output layer, all weights 0."""
    sizes = [inputs, *hidden, outputs]
    kinds = [activation] * len(hidden) + ["linear"]
    return [PerceptronLayer(i, o, kind) for i, o, kind in zip(sizes[:-1], sizes[1:], kinds, strict=True)]


def start(layers: Sequence[PerceptronLayer], output: Sequence[float], generator: torch.Generator) -> None:
    """Hidden weights at random (Glorot and Bengio 2010, uniform), the output layer at ``output`` for every input.

    So training starts at the prevalence rather than at a random opinion, which early stopping on a handful of selection
    patients might otherwise keep.
    """
    with torch.no_grad():
        for layer in layers[:-1]:
            reach = math.sqrt(6.0 / sum(layer.weight.shape))
            drawn = torch.rand(layer.weight.shape, generator=generator, dtype=torch.float64)
            layer.weight.copy_((2 * drawn - 1) * reach)
            layer.bias.zero_()
        layers[-1].weight.zero_()
        layers[-1].bias.copy_(torch.tensor(output, dtype=torch.float64))

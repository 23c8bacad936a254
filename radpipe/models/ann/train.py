"""One network of the ensemble: full-batch L-BFGS, stopped on the selection error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from radpipe.models.ann.loss import LossIndex
from radpipe.models.config import AnnParams
from radpipe.models.stopping import BestSoFar
from radpipe.networks.layers import ProbabilisticLayer, ScalingLayer, UnscalingLayer
from radpipe.networks.perceptron import NeuralNetwork, layer_stack, start


@dataclass(frozen=True)
class Member:
    """A trained network. steps : iterations until it stopped. best : the row of ``history`` it was kept at."""

    network: NeuralNetwork
    history: list[dict[str, Any]]
    steps: int
    best: dict[str, Any]


def build(scaling: ScalingLayer, inputs: int, params: AnnParams) -> NeuralNetwork:
    """The untrained network of a recipe: one output, all weights 0."""
    perceptrons = layer_stack(inputs, params.hidden, 1, params.activation)
    if params.recipe == "modern":
        return NeuralNetwork(scaling, perceptrons, ProbabilisticLayer("logistic"))
    targets = ScalingLayer.fitted(torch.tensor([[0.0], [1.0]], dtype=torch.float64), "minimum_maximum")
    return NeuralNetwork(scaling, perceptrons, ProbabilisticLayer("clip"), UnscalingLayer(targets))


def targets_of(network: NeuralNetwork, y: Tensor) -> Tensor:
    """(n,) 0 or 1 -> (n, 1) on the scale of the perceptrons' outputs."""
    column = y.to(torch.float64)[:, None]
    return column if network.unscaling is None else network.unscaling.scaling(column)


def train_member(
    network: NeuralNetwork, x: Tensor, y: Tensor, x_selection: Tensor, y_selection: Tensor, params: AnnParams, *, seed: int
) -> Member:
    """Train in place. x : (n, p) raw inputs, float64; y : (n,) 0 or 1. Nothing but these four tensors is looked at."""
    # The scaling has no trainable part: applied once here, not in every evaluation.
    scaled, scaled_selection = network.scaling(x), network.scaling(x_selection)
    targets, targets_selection = targets_of(network, y), targets_of(network, y_selection)
    layers = list(network.perceptrons)
    prevalence = y.to(torch.float64).mean()
    at_start = torch.logit(prevalence) if params.recipe == "modern" else targets.mean()
    start(layers, [float(at_start)], torch.Generator().manual_seed(seed % 2**63))
    index = LossIndex.learnt(targets, params.error_term, params.regularisation_term, params.regularisation_weight)
    parameters = list(network.perceptrons.parameters())
    optimiser = torch.optim.LBFGS(
        parameters, max_iter=1, history_size=20, tolerance_grad=1e-10, tolerance_change=0.0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = index(network.perceptrons(scaled), targets, layers).loss
        loss.backward()
        return loss

    history: list[dict[str, Any]] = []
    best = BestSoFar(params.minimum_iterations, params.patience)
    for step in range(params.iterations + 1):
        if step > 0:
            before = [parameter.detach().clone() for parameter in parameters]
            optimiser.step(closure)
            if all(torch.equal(old, new) for old, new in zip(before, parameters, strict=True)):
                break  # converged: no iteration can change it any more
        with torch.no_grad():
            parts = index(network.perceptrons(scaled), targets, layers)
            selection_error = float(index.error_term(network.perceptrons(scaled_selection), targets_selection))
        history.append({
            "epoch": step, "loss": float(parts.loss), "error": float(parts.error),
            "regularisation": float(parts.regularisation), "selection_error": selection_error,
        })  # fmt: skip
        best.offer(step, selection_error, [parameter.detach().clone() for parameter in parameters])
        if best.stop:
            break
    with torch.no_grad():
        for parameter, kept in zip(parameters, best.kept, strict=True):
            parameter.copy_(kept)
    return Member(network, history, history[-1]["epoch"], history[best.step])

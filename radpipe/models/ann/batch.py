"""Many small networks trained as one tensor program: members, orders, trials and subsets of inputs side by side.

A network of fewer perceptrons or inputs than the widest of its batch is padded: what is not there is 0, has a gradient of 0
and stays 0. So each becomes what it would become alone, up to the order in which sums are rounded. Gradients are written out,
layer by layer: for networks of thirty parameters torch's recording costs more than the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from radpipe.core.seeds import derive_seed
from radpipe.models.ann.head import Head, Outcome
from radpipe.models.ann.lbfgs import Report, minimise
from radpipe.models.ann.loss import LossIndex
from radpipe.models.config import AnnParams
from radpipe.models.threads import one_thread
from radpipe.networks.layers import ScalingLayer
from radpipe.networks.perceptron import ACTIVATIONS, PerceptronLayer, start
from radpipe.typing import FloatArray

LOGGED = ("loss", "error", "regularisation", "selection_error")
MEMORY = 20
# Numbers in the memory of L-BFGS and in the hidden layer of one batch: what fits into the caches of one core.
PARAMETERS_TOGETHER, ACTIVATIONS_TOGETHER = 20_000, 200_000


@dataclass(frozen=True)
class Untrained:
    """hidden : perceptrons of each hidden layer. inputs : places of the inputs it may see, in order; None for all."""

    seed: int
    hidden: tuple[int, ...]
    inputs: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Trained:
    """layers : (weight (neurons, inputs), bias (neurons,)) of each layer, at the kept step; inputs it did not see have weight 0.

    log : (steps + 1, 4), the columns of ``LOGGED``, a row an iteration from the start (0). kept : the row that was kept.
    """

    layers: list[tuple[FloatArray, FloatArray]]
    log: FloatArray
    kept: int

    @property
    def steps(self) -> int:
        return len(self.log) - 1

    @property
    def best(self) -> dict[str, float]:
        return dict(zip(LOGGED, self.log[self.kept].tolist(), strict=True))

    @property
    def history(self) -> list[dict[str, Any]]:
        return [{"epoch": step, **dict(zip(LOGGED, row, strict=True))} for step, row in enumerate(self.log.tolist())]


def train_batch(
    networks: Sequence[Untrained],
    x: Tensor,
    targets: Tensor,
    x_selection: Tensor,
    targets_selection: Tensor,
    *,
    index: LossIndex,
    output: Sequence[float],
    settings: AnnParams,
    rows: Tensor | None = None,
    rows_selection: Tensor | None = None,
) -> list[Trained]:
    """Train every network on the training part and stop it on the selection part; in the order of ``networks``.

    x : (n, p) scaled inputs, float64, of all networks, or (networks, n, p), each its own, as over folds; targets (n, k) or
    (networks, n, k), on the scale of the perceptrons' outputs (of Cox: time and event); likewise of the selection part.
    rows, rows_selection : (networks, n) weights of the rows where networks have their own, 0 for padding.
    output : (k,) what every network says at the start. All networks have the same number of hidden layers.
    """
    if len({len(network.hidden) for network in networks}) > 1:
        raise ValueError("networks of one batch have the same number of hidden layers.")
    own = x.ndim == 3
    # Neighbours in width share a batch, so that little is padded; a network's own numbers do not depend on its place.
    places = sorted(range(len(networks)), key=lambda place: (networks[place].hidden, place))
    widths = [(*network.hidden, len(output)) for network in networks]
    result: list[Trained | None] = [None] * len(networks)
    while places:
        group = [places.pop()]
        while places and _fits([widths[place] for place in [*group, places[-1]]], x.shape[-1], x.shape[-2]):
            group.append(places.pop())
        part: dict[str, Tensor | None] = {
            "x": x, "targets": targets, "x_selection": x_selection, "targets_selection": targets_selection,
            "rows": rows, "rows_selection": rows_selection,
        }  # fmt: skip
        if own:
            part = {name: None if values is None else values[group] for name, values in part.items()}
        batch = _Batch([networks[place] for place in group], index=index, output=output, settings=settings, **part)  # type: ignore[arg-type]
        for place, trained in zip(group, batch.train(), strict=True):
            result[place] = trained
    return [trained for trained in result if trained is not None]


def _fits(widths: list[tuple[int, ...]], inputs: int, n: int) -> bool:
    widest = [max(sizes) for sizes in zip(*widths, strict=True)]
    parameters = sum((before + 1) * size for before, size in zip([inputs, *widest[:-1]], widest, strict=True))
    activations = n * sum(widest)
    return bool(len(widths) * parameters <= PARAMETERS_TOGETHER and len(widths) * activations <= ACTIVATIONS_TOGETHER)


@dataclass(frozen=True)
class SubsetTrainer:
    """Selection errors of the network of ``params`` on many subsets of inputs, trained together: what growing and pruning inputs ask.

    Handed by the door to input selection, which knows no network. trials : networks a subset, from different starting weights,
    whose errors are averaged. The same trial starts from the same seed in every subset.
    """

    params: AnnParams
    trials: int = 3

    def __call__(
        self, values: FloatArray, target: Outcome, selection_values: FloatArray, selection_target: Outcome,
        subsets: Sequence[Sequence[int]], *, seed: int,
    ) -> FloatArray:  # fmt: skip
        """(len(subsets),). values : (n, p) training rows, selection_values : (m, p), finite, not scaled; subsets : places of columns."""
        classes = int(max(target.y.max(initial=0), selection_target.y.max(initial=0))) + 1
        head = Head.learnt(target, max(2, classes) if target.kind == "classes" else 2, self.params)
        with one_thread():
            x = torch.from_numpy(np.array(values, dtype=np.float64))
            scaling = ScalingLayer.fitted(x, self.params.scaling)
            targets = head.targets(target)
            index = LossIndex.learnt(
                targets, self.params.error_of(head.kind), self.params.regularisation_term, self.params.regularisation_weight
            )
            trained = train_batch(
                [
                    Untrained(derive_seed(seed, "trial", trial), self.params.hidden, tuple(subset))
                    for subset in subsets
                    for trial in range(self.trials)
                ],
                scaling(x), targets,
                scaling(torch.from_numpy(np.array(selection_values, dtype=np.float64))), head.targets(selection_target),
                index=index, output=head.at_start(targets), settings=self.params,
            )  # fmt: skip
        errors = np.array([network.best["selection_error"] for network in trained]).reshape(len(subsets), self.trials)
        return np.asarray(errors.mean(axis=1))


class _Batch:
    """One tensor program. Activations lie as (networks, perceptrons, rows): of shared inputs the first layer is one product."""

    def __init__(
        self, networks: Sequence[Untrained], *, x: Tensor, targets: Tensor, x_selection: Tensor, targets_selection: Tensor,
        index: LossIndex, output: Sequence[float], settings: AnnParams, rows: Tensor | None, rows_selection: Tensor | None,
    ) -> None:  # fmt: skip
        self.networks, self.index, self.settings, self.own = list(networks), index, settings, x.ndim == 3
        inputs, outputs = x.shape[-1], len(output)
        widest = [max(sizes) for sizes in zip(*(network.hidden for network in networks), strict=True)]
        self.sizes = [inputs, *widest, outputs]
        self.x, self.x_selection = x.transpose(-1, -2).contiguous(), x_selection.transpose(-1, -2).contiguous()
        self.targets, self.rows = targets, rows
        self.shared_term = None if self.own else index.bound(targets, rows)
        self.selection_term = index.bound_selection(targets, targets_selection, rows_selection)
        self.targets_selection, self.rows_selection = targets_selection, rows_selection
        self.theta = np.zeros((len(networks), sum((a + 1) * b for a, b in zip(self.sizes[:-1], self.sizes[1:], strict=True))))
        self.there = np.zeros_like(self.theta)
        is_weight = torch.zeros(self.theta.shape[1], dtype=torch.float64)
        for weight, _ in self._layers(is_weight[None]):
            weight.fill_(1.0)
        self.is_weight = is_weight
        for place, network in enumerate(networks):
            self._start(place, network, output)
        self.mask = torch.from_numpy(self.there)
        self.kept = self.theta.copy()
        self.kept_error = np.full(len(networks), math.inf)
        self.kept_step = np.full(len(networks), -1)
        self.log: list[tuple[NDArray[np.int64], FloatArray]] = []

    def _layers(self, theta: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(a, P) -> views (a, neurons, inputs) and (a, neurons) of every layer."""
        found, at = [], 0
        for inputs, neurons in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            weight = theta[:, at : at + inputs * neurons].view(len(theta), neurons, inputs)
            at += inputs * neurons
            found.append((weight, theta[:, at : at + neurons]))
            at += neurons
        return found

    def _sees(self, network: Untrained) -> list[int]:
        return list(range(self.sizes[0])) if network.inputs is None else list(network.inputs)

    def _start(self, place: int, network: Untrained, output: Sequence[float]) -> None:
        sees = self._sees(network)
        sizes = [len(sees), *network.hidden, self.sizes[-1]]
        kinds = [self.settings.activation] * len(network.hidden) + ["linear"]
        layers = [PerceptronLayer(i, o, kind) for i, o, kind in zip(sizes[:-1], sizes[1:], kinds, strict=True)]
        start(layers, output, torch.Generator().manual_seed(network.seed % 2**63))
        theta, there = (torch.from_numpy(values[place : place + 1]) for values in (self.theta, self.there))
        for number, (layer, own, present) in enumerate(zip(layers, self._layers(theta), self._layers(there), strict=True)):
            columns = sees if number == 0 else list(range(sizes[number]))
            own[0][0, : sizes[number + 1], columns] = layer.weight.detach()
            own[1][0, : sizes[number + 1]] = layer.bias.detach()
            present[0][0, : sizes[number + 1], columns] = 1.0
            present[1][0, : sizes[number + 1]] = 1.0

    def _forward(self, layers: list[tuple[Tensor, Tensor]], x: Tensor) -> list[Tensor]:
        """The activations of every layer, (a, neurons, n); of the last, the outputs."""
        kept: list[Tensor] = []
        activation = ACTIVATIONS[self.settings.activation]
        for number, (weight, bias) in enumerate(layers):
            if number == 0 and x.ndim == 2:
                flat = weight.reshape(-1, weight.shape[2])
                combination = torch.addmm(bias.reshape(-1, 1), flat, x).view(len(weight), weight.shape[1], -1)
            else:
                combination = torch.baddbmm(bias.unsqueeze(-1), weight, kept[-1] if kept else x)
            kept.append(combination if number == len(layers) - 1 else activation(combination))
        return kept

    def evaluate(self, theta: FloatArray, which: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Loss (a,) and its gradient (a, P)."""
        parameters = torch.from_numpy(theta)
        layers = self._layers(parameters)
        x = self.x[which] if self.own else self.x
        activations = self._forward(layers, x)
        error, slope = self._term(which)(activations[-1].transpose(1, 2), True)
        penalty, gradient = self.index.of_parameters(parameters, self.is_weight)
        gradient = gradient.clone() if gradient is parameters else gradient
        by_layer = self._layers(gradient)
        back = slope.transpose(1, 2)
        for number in range(len(layers) - 1, -1, -1):
            before = activations[number - 1] if number else x
            if number == 0 and x.ndim == 2:
                by_layer[0][0].add_((back.reshape(-1, back.shape[2]) @ x.T).view(by_layer[0][0].shape))
            else:
                by_layer[number][0].add_(torch.bmm(back, before.transpose(1, 2)))
            by_layer[number][1].add_(back.sum(2))
            if number:
                back = torch.bmm(layers[number][0].transpose(1, 2), back) * _slope(self.settings.activation, before)
        gradient *= self.mask[which]
        return (error + penalty).numpy(), gradient.numpy()

    def _term(self, which: NDArray[np.int64]) -> Any:
        if self.shared_term is not None:
            return self.shared_term
        return self.index.bound(self.targets[which], None if self.rows is None else self.rows[which])

    def report(self, step: int, which: NDArray[np.int64], theta: FloatArray, value: FloatArray) -> NDArray[np.bool_]:
        """Write the log, keep what is best on the selection part, and say who has been patient long enough."""
        parameters = torch.from_numpy(theta)
        penalty = self.index.of_parameters(parameters, self.is_weight)[0].numpy()
        layers = self._layers(parameters)
        if self.own:
            term = self.index.bound_selection(
                self.targets[which], self.targets_selection[which],
                None if self.rows_selection is None else self.rows_selection[which],
            )  # fmt: skip
            outputs = self._forward(layers, self.x_selection[which])[-1].transpose(1, 2)
            selection = term(outputs, outputs).numpy()
        else:
            outputs = self._forward(layers, self.x_selection)[-1].transpose(1, 2)
            training = self._forward(layers, self.x)[-1].transpose(1, 2) if self.index.error == "cox" else outputs
            selection = self.selection_term(training, outputs).numpy()
        self.log.append((which, np.column_stack([value, value - penalty, penalty, selection])))
        settings = self.settings
        better = (selection < self.kept_error[which]) | (step <= settings.minimum_iterations)
        at = which[better]
        self.kept_error[at], self.kept_step[at], self.kept[at] = selection[better], step, theta[better]
        stop: NDArray[np.bool_] = step - np.maximum(self.kept_step[which], settings.minimum_iterations) >= settings.patience
        return stop

    def train(self) -> list[Trained]:
        if self.settings.optimiser == "adam":
            _adam(self.evaluate, self.theta, self.report, self.settings.iterations, self.settings.learning_rate)
        else:
            minimise(self.evaluate, self.theta, self.report, iterations=self.settings.iterations, memory=MEMORY)
        logs: list[list[FloatArray]] = [[] for _ in self.networks]
        for which, rows in self.log:
            for place, row in zip(which.tolist(), rows, strict=True):
                logs[place].append(row)
        found = []
        layers = self._layers(torch.from_numpy(self.kept))
        for place, network in enumerate(self.networks):
            sizes = [self.sizes[0], *network.hidden, self.sizes[-1]]
            own = [
                (weight[place, :o, :i].numpy().copy(), bias[place, :o].numpy().copy())
                for (weight, bias), i, o in zip(layers, sizes[:-1], sizes[1:], strict=True)
            ]
            found.append(Trained(own, np.array(logs[place]), int(self.kept_step[place])))
        return found


def _slope(activation: str, value: Tensor) -> Tensor:
    """The derivative of an activation, told from its value."""
    if activation == "tanh":
        return 1.0 - value * value
    if activation == "logistic":
        return value * (1.0 - value)
    if activation == "relu":
        return (value > 0).to(value.dtype)
    if activation == "elu":
        return torch.where(value > 0, torch.ones_like(value), value + 1.0)
    return torch.ones_like(value)


def _adam(evaluate: Any, start: FloatArray, report: Report, iterations: int, rate: float) -> None:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) on all rows at once, with the authors' constants."""
    which, theta = np.arange(len(start)), np.array(start)
    mean, square = np.zeros_like(theta), np.zeros_like(theta)
    value, gradient = evaluate(theta, which)
    going = ~report(0, which, theta, value)
    for step in range(1, iterations + 1):
        if not going.all():
            which, theta, gradient, mean, square = which[going], theta[going], gradient[going], mean[going], square[going]
        if not len(which):
            return
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient * gradient
        theta = theta - rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        value, gradient = evaluate(theta, which)
        going = ~report(step, which, theta, value)

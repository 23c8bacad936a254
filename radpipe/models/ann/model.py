"""The fitted ensemble: what goes in raw comes out as a recalibrated probability, a number or a relative hazard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from radpipe.core.seeds import derive_seed
from radpipe.models.ann.batch import Trained, Untrained, train_batch
from radpipe.models.ann.head import Head
from radpipe.models.ann.loss import LossIndex
from radpipe.models.ann.order import OrderChoice, select_order
from radpipe.models.calibrate import AnyCalibration, calibrate_for, calibration_from_json
from radpipe.models.config import AnnParams, logarithms
from radpipe.models.encode import Encoder
from radpipe.models.fitted import Calibrated
from radpipe.models.model import Examples, check_parts
from radpipe.models.threads import one_thread
from radpipe.networks.layers import ScalingLayer
from radpipe.networks.perceptron import NeuralNetwork, PerceptronLayer
from radpipe.typing import FloatArray

KINDS = ("classes", "number", "time_to_event")


@dataclass(frozen=True)
class FittedAnn(Calibrated):
    """See :class:`radpipe.models.model.Fitted`. hidden : perceptrons of each hidden layer. order : how the last was chosen, or None."""

    params: AnnParams
    encoder: Encoder
    head: Head
    hidden: tuple[int, ...]
    networks: list[NeuralNetwork]
    calibration: AnyCalibration
    saw: frozenset[str]
    summary: dict[str, Any]
    order: OrderChoice | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def raw(self, examples: Examples) -> FloatArray:
        """(n,) or of more than two classes (n, k): the mean over the networks, before recalibration."""
        return ensemble(self.networks, self.encoder.apply(examples))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        first = self.networks[0]
        arrays = {"scaling.centre": first.scaling.centre.numpy().copy(), "scaling.scale": first.scaling.scale.numpy().copy()}
        arrays |= self.head.arrays()
        for number, network in enumerate(self.networks):
            for name, values in network.perceptrons.state_dict().items():
                arrays[f"member_{number}.{name}"] = values.numpy().copy()
        order = None if self.order is None else vars(self.order).copy()
        return arrays, self.record(
            encoder=self.encoder.to_json(), head=self.head.to_json(), hidden=list(self.hidden), order=order
        )


def fit(train: Examples, selection: Examples, params: AnnParams, *, seed: int) -> FittedAnn:
    """Fit on the training part; stop, choose the order and recalibrate on the selection part.

    CohortError, SchemaError where it cannot; ConfigError where the settings are not for such an outcome.
    """
    saw = check_parts(train, selection, kinds=KINDS, many=True)
    encoder = Encoder.learn(train, logarithm=logarithms(params))
    head = Head.learnt(train, train.n_classes, params)
    with one_thread():
        inside, inside_selection = encoder.apply(train), encoder.apply(selection)
        x = torch.from_numpy(inside)
        scaling = ScalingLayer.fitted(x, params.scaling)
        # The scaling has no trainable part: applied once here, not in every evaluation.
        scaled, scaled_selection = scaling(x), scaling(torch.from_numpy(inside_selection))
        targets, targets_selection = head.targets(train), head.targets(selection)
        index = LossIndex.learnt(targets, params.error_of(head.kind), params.regularisation_term, params.regularisation_weight)

        def trained(networks: Sequence[Untrained]) -> list[Trained]:
            return train_batch(
                networks, scaled, targets, scaled_selection, targets_selection,
                index=index, output=head.at_start(targets), settings=params,
            )  # fmt: skip

        hidden, order = params.hidden, None
        if params.order is not None:
            trials = params.order.trials

            def of_orders(orders: Sequence[int]) -> dict[int, list[Trained]]:
                wanted = [(o, trial) for o in orders for trial in range(trials)]
                done = trained([
                    Untrained(derive_seed(seed, "order", o, trial), (*params.hidden[:-1], o)) for o, trial in wanted
                ])  # fmt: skip
                return {o: [one for (of, _), one in zip(wanted, done, strict=True) if of == o] for o in orders}

            order = select_order(of_orders, params.order)
            hidden = (*params.hidden[:-1], order.order)
        members = trained([Untrained(derive_seed(seed, "member", number), hidden) for number in range(params.members)])
        networks = [_network(head, scaling, len(encoder.names), hidden, params, member.layers) for member in members]
        raw, raw_selection = ensemble(networks, inside), ensemble(networks, inside_selection)
    calibration = calibrate_for(raw, train, raw_selection, selection, params.calibration)
    history = [{"member": number, **row} for number, member in enumerate(members) for row in member.history]
    # The budget: every network trained, whether for its order or as a member.
    summary = {**_summary(members, networks, encoder), "networks": len(members) + (0 if order is None else order.networks)}
    return FittedAnn(params, encoder, head, hidden, networks, calibration, saw, summary, order, history)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedAnn:
    """The model whose ``state()`` this is."""
    params = AnnParams.model_validate(info["params"])
    encoder = Encoder.from_json(info["encoder"])
    head = Head.from_saved(arrays, info["head"])
    hidden = tuple(info["hidden"])
    scaling = ScalingLayer(len(encoder.names), params.scaling)
    scaling.centre.copy_(torch.from_numpy(np.array(arrays["scaling.centre"])))
    scaling.scale.copy_(torch.from_numpy(np.array(arrays["scaling.scale"])))
    networks = [
        _network(
            head, scaling, len(encoder.names), hidden, params,
            [
                (np.array(arrays[f"member_{number}.{layer}.weight"]), np.array(arrays[f"member_{number}.{layer}.bias"]))
                for layer in range(len(hidden) + 1)
            ],
        )
        for number in range(params.members)
    ]  # fmt: skip
    calibration = calibration_from_json(info["calibration"])
    order = None if info["order"] is None else OrderChoice(**info["order"])
    return FittedAnn(params, encoder, head, hidden, networks, calibration, frozenset(info["saw"]), dict(info["facts"]), order)


def ensemble(networks: list[NeuralNetwork], x: FloatArray) -> FloatArray:
    """(n, p) raw inputs -> (n,), or (n, k) where there are k > 1 outputs: the mean over the networks of what they say, before recalibration."""
    with one_thread(), torch.no_grad():
        values = torch.from_numpy(x)
        mean: FloatArray = np.mean([network(values).numpy() for network in networks], axis=0)
        return mean[:, 0] if mean.shape[1] == 1 else mean


def _network(
    head: Head, scaling: ScalingLayer, inputs: int, hidden: tuple[int, ...], params: AnnParams,
    layers: list[tuple[FloatArray, FloatArray]],
) -> NeuralNetwork:  # fmt: skip
    network = head.network(scaling, inputs, hidden, params.activation)
    with torch.no_grad():
        for layer, (weight, bias) in zip(network.perceptrons, layers, strict=True):
            assert isinstance(layer, PerceptronLayer)
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return network


def _summary(members: list[Trained], networks: list[NeuralNetwork], encoder: Encoder) -> dict[str, Any]:
    def mean(name: str) -> float:
        return float(np.mean([member.best[name] for member in members]))

    return {
        "n_inputs": len(encoder.names),
        "n_parameters": sum(network.n_parameters() for network in networks),
        # The mean over the members, to the nearest iteration.
        "epochs": round(float(np.mean([member.steps for member in members]))),
        "train_error": mean("error"),
        "regularisation": mean("regularisation"),
        "selection_error": mean("selection_error"),
        "inputs": " ".join(encoder.inputs),
    }

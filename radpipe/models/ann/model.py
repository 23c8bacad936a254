"""The fitted ensemble: what goes in raw comes out as a recalibrated probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from radpipe.core.seeds import derive_seed
from radpipe.models.ann.train import Member, build, train_member
from radpipe.models.calibrate import Calibration, calibrate
from radpipe.models.config import AnnParams
from radpipe.models.encode import Encoder
from radpipe.models.model import Examples, check_parts
from radpipe.models.threads import one_thread
from radpipe.networks.layers import ScalingLayer
from radpipe.networks.perceptron import NeuralNetwork
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedAnn:
    """See :class:`radpipe.models.model.Fitted`."""

    params: AnnParams
    encoder: Encoder
    networks: list[NeuralNetwork]
    calibration: Calibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def predict_proba(self, examples: Examples) -> FloatArray:
        return self.calibration.apply(ensemble(self.networks, self.encoder.apply(examples)))

    def facts(self) -> dict[str, Any]:
        return {**self.summary, **self.calibration.facts()}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        first = self.networks[0]
        arrays = {"scaling.centre": first.scaling.centre.numpy().copy(), "scaling.scale": first.scaling.scale.numpy().copy()}
        for number, network in enumerate(self.networks):
            for name, values in network.perceptrons.state_dict().items():
                arrays[f"member_{number}.{name}"] = values.numpy().copy()
        info = {
            "kind": "ann",
            "params": self.params.model_dump(mode="json"),
            "encoder": self.encoder.to_json(),
            "calibration": self.calibration.to_json(),
            "saw": sorted(self.saw),
            "facts": self.summary,
        }
        return arrays, info


def fit(train: Examples, selection: Examples, params: AnnParams, *, seed: int) -> FittedAnn:
    """Fit on the training part, stop and recalibrate on the selection part. CohortError, SchemaError where it cannot."""
    saw = check_parts(train, selection)
    encoder = Encoder.learn(train, logarithm=params.inputs == "volume")
    with one_thread():
        inside, inside_selection = encoder.apply(train), encoder.apply(selection)
        x, x_selection = torch.from_numpy(inside), torch.from_numpy(inside_selection)
        scaling = ScalingLayer.fitted(x, params.scaling)
        members = [
            train_member(
                build(scaling, x.shape[1], params), x, torch.from_numpy(train.y), x_selection, torch.from_numpy(selection.y),
                params, seed=derive_seed(seed, "member", number),
            )
            for number in range(params.members)
        ]  # fmt: skip
        networks = [member.network for member in members]
        calibration = calibrate(
            ensemble(networks, inside), train.y, ensemble(networks, inside_selection), selection.y, params.calibration
        )
    history = [{"member": number, **row} for number, member in enumerate(members) for row in member.history]
    return FittedAnn(params, encoder, networks, calibration, saw, _summary(members, encoder), history)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedAnn:
    """The model whose ``state()`` this is."""
    params = AnnParams.model_validate(info["params"])
    encoder = Encoder.from_json(info["encoder"])
    scaling = ScalingLayer(len(encoder.names), params.scaling)
    scaling.centre.copy_(torch.from_numpy(np.array(arrays["scaling.centre"])))
    scaling.scale.copy_(torch.from_numpy(np.array(arrays["scaling.scale"])))
    networks = []
    for number in range(params.members):
        network = build(scaling, len(encoder.names), params)
        wanted = network.perceptrons.state_dict()
        network.perceptrons.load_state_dict(
            {
                name: torch.from_numpy(np.array(arrays[f"member_{number}.{name}"])).reshape(like.shape)
                for name, like in wanted.items()
            }
        )
        networks.append(network)
    return FittedAnn(
        params, encoder, networks, Calibration.from_json(info["calibration"]), frozenset(info["saw"]), dict(info["facts"])
    )


def ensemble(networks: list[NeuralNetwork], x: FloatArray) -> FloatArray:
    """(n, p) -> (n,) mean over the members of the probability of class 1, before recalibration."""
    with one_thread(), torch.no_grad():
        values = torch.from_numpy(x)
        mean: FloatArray = np.mean([network(values)[:, 0].numpy() for network in networks], axis=0)
        return mean


def _summary(members: list[Member], encoder: Encoder) -> dict[str, Any]:
    def mean(name: str) -> float:
        return float(np.mean([member.best[name] for member in members]))

    return {
        "n_inputs": len(encoder.names),
        "n_parameters": sum(member.network.n_parameters() for member in members),
        # The mean over the members, to the nearest iteration.
        "epochs": round(float(np.mean([member.steps for member in members]))),
        "train_error": mean("error"),
        "regularisation": mean("regularisation"),
        "selection_error": mean("selection_error"),
        "inputs": " ".join(encoder.inputs),
    }

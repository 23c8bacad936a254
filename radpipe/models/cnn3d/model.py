"""The fitted CNN: the cropped image goes in raw; a recalibrated probability, a number or a hazard comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from radpipe.core.registry import lookup
from radpipe.core.seeds import derive_seed
from radpipe.errors import SchemaError
from radpipe.models.calibrate import AnyCalibration, calibrate_for, calibration_from_json
from radpipe.models.cnn3d.target import offset_of, outputs_of, scaling_of, target_of
from radpipe.models.cnn3d.train import ImageNetwork, Member, device_of, embedding, told, train_member
from radpipe.models.cnn3d.transfer import Weights, freeze, start_from
from radpipe.models.config import Cnn3dParams
from radpipe.models.fitted import Calibrated
from radpipe.models.model import Examples, OutcomeKind, check_parts
from radpipe.models.threads import one_thread
from radpipe.networks.layers import ScalingLayer
from radpipe.networks.network import Network
from radpipe.networks.registry import CLASSIFIERS
from radpipe.typing import FloatArray

KINDS = ("classes", "number", "time_to_event")


@dataclass(frozen=True)
class FittedCnn(Calibrated):
    """See :class:`radpipe.models.model.Fitted`.

    params : those of the networks, tuning done. shape : (c, z, y, x) of the images it was fitted on. outcome : its kind.
    n_outputs : neurons of the networks' last layer. saw_scaling : patients of the training part, on whom the scaling rests.
    """

    params: Cnn3dParams
    shape: tuple[int, ...]
    outcome: OutcomeKind
    n_outputs: int
    networks: list[ImageNetwork]
    calibration: AnyCalibration
    saw: frozenset[str]
    saw_scaling: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def embed(self, examples: Examples) -> FloatArray:
        """(n, d) float64: what goes into the last layer of the first member; deep features.

        Of one member only: each starts from weights of its own and so finds features of its own, in an order of its own; the mean
        of the third of one and the third of another is neither.
        """
        images = _images(examples, self.shape)
        head = lookup(CLASSIFIERS, self.params.network, "classifier network").head
        with one_thread():
            return embedding(self.networks[0], head, images, device_of(self.params.device))

    def facts(self) -> dict[str, Any]:
        return {name: value for name, value in super().facts().items() if name not in ("transfer", "candidates", "chosen")}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {
            f"member_{number}.{name}": values.numpy().copy()
            for number, network in enumerate(self.networks)
            for name, values in network.state_dict().items()
        }
        own = {"shape": list(self.shape), "outcome": self.outcome, "n_outputs": self.n_outputs}
        return arrays, self.record(**own, scaling={"saw": sorted(self.saw_scaling)})

    def raw(self, examples: Examples) -> FloatArray:
        return ensemble(self.networks, _images(examples, self.shape), self.params.device, self.n_outputs)


def fit(train: Examples, selection: Examples, params: Cnn3dParams, *, seed: int, weights: Weights | None = None) -> FittedCnn:
    """Tune on the selection part where candidates are given, then fit on the training part, stop and recalibrate on the selection part.

    One CPU thread: same seed, same bytes. weights : of ``params.weights``, read by the caller.
    """
    saw = check_parts(train, selection, kinds=KINDS, many=True)
    if (params.weights is None) != (weights is None):
        raise SchemaError("weights are named in the settings and not given, or the other way round.", hint="Read them first.")
    images = _images(train)
    shape = tuple(images.shape[1:])
    images_selection = _images(selection, shape)
    targets = scaling_of(train)
    target, target_selection = target_of(train, targets), target_of(selection, targets)
    devices = list(range(torch.cuda.device_count())) if device_of(params.device).type == "cuda" else []
    transfers: list[dict[str, Any]] = []

    def fitted(settings: Cnn3dParams, number: int, *names: object) -> Member:
        member_seed = derive_seed(seed, *names)
        # Networks draw their weights, and dropout its zeros, from torch's global generator.
        torch.manual_seed(member_seed)
        model = _built(scaling, shape[0], settings, train, targets)
        transfers.append(_transferred(model, settings, weights, number))
        return train_member(model, images, target, images_selection, target_selection, settings, seed=member_seed)

    with one_thread(), torch.random.fork_rng(devices=devices):
        scaling = ScalingLayer.fitted(images)
        tried = [
            fitted(params.changed(change), 0, "candidate", place).best["selection_error"]
            for place, change in enumerate(params.candidates)
        ]
        chosen = int(np.argmin(tried)) if tried else -1
        settled = params.changed(params.candidates[chosen]) if tried else params
        members = [fitted(settled, number, "member", number) for number in range(settled.members)]
        networks = [member.network for member in members]
        n_outputs = outputs_of(train)
        raw = ensemble(networks, images, params.device, n_outputs)
        raw_selection = ensemble(networks, images_selection, params.device, n_outputs)
        calibration = calibrate_for(raw, train, raw_selection, selection, params.calibration)
    history = [{"member": number, **row} for number, member in enumerate(members) for row in member.history]
    summary = _summary(members, shape)
    summary["transfer"] = transfers[-len(members) :] if weights is not None else []
    summary["candidates"] = [{"change": dict(c), "selection_error": e} for c, e in zip(params.candidates, tried, strict=True)]
    summary["chosen"] = chosen
    summary["networks"] = len(tried) + len(members)
    return FittedCnn(
        settled, shape, train.kind, n_outputs, networks, calibration, saw, frozenset(train.patient_ids), summary, history
    )


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedCnn:
    """The model whose ``state()`` this is."""
    params = Cnn3dParams.model_validate(info["params"])
    shape, outcome, n_outputs = tuple(info["shape"]), info["outcome"], int(info["n_outputs"])
    networks = []
    for number in range(params.members):
        with torch.random.fork_rng(devices=[]):
            network = _network(params).build(params.checked_network_params(), shape[0], n_outputs)
        targets = ScalingLayer(1) if outcome == "number" else None
        model = ImageNetwork(ScalingLayer(shape[0]), network, torch.zeros(n_outputs), outcome, targets)
        wanted = model.state_dict()
        model.load_state_dict(
            {
                name: torch.from_numpy(np.array(arrays[f"member_{number}.{name}"])).reshape(like.shape)
                for name, like in wanted.items()
            }
        )
        networks.append(model)
    calibration = calibration_from_json(info["calibration"])
    saw, saw_scaling = frozenset(info["saw"]), frozenset(info["scaling"]["saw"])
    return FittedCnn(params, shape, outcome, n_outputs, networks, calibration, saw, saw_scaling, dict(info["facts"]))


def ensemble(networks: list[ImageNetwork], images: torch.Tensor, device: str, n_outputs: int) -> FloatArray:
    """(n, c, z, y, x) -> mean over the members of what they say, before recalibration.

    (n,) of two classes the probability of class 1, of a number the value, of times the score; of more classes (n, k).
    """
    mean = np.zeros((0, n_outputs))
    if len(images):
        with one_thread():
            mean = np.mean([told(network, images, device_of(device)) for network in networks], axis=0)
    return mean if n_outputs > 2 else mean[:, -1]


def _network(params: Cnn3dParams) -> Network:
    network: Network = lookup(CLASSIFIERS, params.network, "classifier network")
    return network


def _built(
    scaling: ScalingLayer, channels: int, params: Cnn3dParams, train: Examples, targets: ScalingLayer | None
) -> ImageNetwork:
    network = _network(params).build(params.checked_network_params(), channels, outputs_of(train))
    return ImageNetwork(scaling, network, offset_of(train), train.kind, targets)


def _transferred(model: ImageNetwork, params: Cnn3dParams, weights: Weights | None, member: int) -> dict[str, Any]:
    if weights is None:
        return {}
    entry = _network(params)
    taken = start_from(model.network, weights, member=member, name=params.network, head=entry.head)
    return {**taken, "frozen": freeze(model.network, params.freeze)}


def _images(examples: Examples, shape: tuple[int, ...] | None = None) -> torch.Tensor:
    if examples.images is None:
        raise SchemaError("the 3D CNN needs images and was given none.", hint="Check models.<name>.inputs.")
    if shape is not None and tuple(examples.images.shape[1:]) != shape:
        raise SchemaError(
            f"images of (channels, z, y, x) = {tuple(examples.images.shape[1:])}, but the network was fitted on {shape}.",
            hint="Crop all images to one size, with the settings the network was fitted with.",
        )
    return torch.from_numpy(np.ascontiguousarray(examples.images))


def _summary(members: list[Member], shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "n_inputs": int(np.prod(shape)),
        "n_parameters": sum(member.network.n_parameters() for member in members),
        # The mean over the members, to the nearest epoch.
        "epochs": round(float(np.mean([member.steps for member in members]))),
        "train_error": float(np.mean([member.best["error"] for member in members])),
        # AdamW decays the weights beside the loss, so there is no term to report.
        "regularisation": None,
        "selection_error": float(np.mean([member.best["selection_error"] for member in members])),
        "inputs": "",
    }

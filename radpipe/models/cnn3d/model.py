"""The fitted CNN: the cropped image goes in raw, a recalibrated probability comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from radpipe.core.registry import lookup
from radpipe.core.seeds import derive_seed
from radpipe.errors import SchemaError
from radpipe.models.calibrate import Calibration, calibrate
from radpipe.models.cnn3d.train import ImageNetwork, Member, probabilities, train_member
from radpipe.models.config import Cnn3dParams
from radpipe.models.model import Examples, check_parts
from radpipe.models.threads import one_thread
from radpipe.networks.layers import ScalingLayer
from radpipe.networks.registry import CLASSIFIERS
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class FittedCnn:
    """See :class:`radpipe.models.model.Fitted`. shape : (c, z, y, x) of the images it was fitted on."""

    params: Cnn3dParams
    shape: tuple[int, ...]
    networks: list[ImageNetwork]
    calibration: Calibration
    saw: frozenset[str]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    def predict_proba(self, examples: Examples) -> FloatArray:
        return self.calibration.apply(ensemble(self.networks, _images(examples, self.shape)))

    def facts(self) -> dict[str, Any]:
        return {**self.summary, **self.calibration.facts()}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {
            f"member_{number}.{name}": values.numpy().copy()
            for number, network in enumerate(self.networks)
            for name, values in network.state_dict().items()
        }
        info = {
            "kind": "cnn3d",
            "params": self.params.model_dump(mode="json"),
            "shape": list(self.shape),
            "calibration": self.calibration.to_json(),
            "saw": sorted(self.saw),
            "facts": self.summary,
        }
        return arrays, info


def fit(train: Examples, selection: Examples, params: Cnn3dParams, *, seed: int) -> FittedCnn:
    """Fit on the training part, stop and recalibrate on the selection part. One CPU thread: same seed, same bytes."""
    saw = check_parts(train, selection)
    images = _images(train)
    shape = tuple(images.shape[1:])
    images_selection = _images(selection, shape)
    members: list[Member] = []
    with one_thread(), torch.random.fork_rng(devices=[]):
        scaling = ScalingLayer.fitted(images)
        for number in range(params.members):
            member_seed = derive_seed(seed, "member", number)
            # Networks draw their weights, and dropout its zeros, from torch's global generator.
            torch.manual_seed(member_seed)
            model = _build(scaling, shape[0], params, float(train.y.mean()))
            y, y_selection = torch.from_numpy(train.y), torch.from_numpy(selection.y)
            members.append(train_member(model, images, y, images_selection, y_selection, params, seed=member_seed))
        networks = [member.network for member in members]
        calibration = calibrate(
            ensemble(networks, images), train.y, ensemble(networks, images_selection), selection.y, params.calibration
        )
    history = [{"member": number, **row} for number, member in enumerate(members) for row in member.history]
    return FittedCnn(params, shape, networks, calibration, saw, _summary(members, shape), history)


def load(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> FittedCnn:
    """The model whose ``state()`` this is."""
    params = Cnn3dParams.model_validate(info["params"])
    shape = tuple(info["shape"])
    networks = []
    for number in range(params.members):
        with torch.random.fork_rng(devices=[]):
            model = _build(ScalingLayer(shape[0]), shape[0], params, 0.5)
        wanted = model.state_dict()
        model.load_state_dict(
            {
                name: torch.from_numpy(np.array(arrays[f"member_{number}.{name}"])).reshape(like.shape)
                for name, like in wanted.items()
            }
        )
        networks.append(model)
    return FittedCnn(
        params, shape, networks, Calibration.from_json(info["calibration"]), frozenset(info["saw"]), dict(info["facts"])
    )


def ensemble(networks: list[ImageNetwork], images: torch.Tensor) -> FloatArray:
    """(n, c, z, y, x) -> (n,) mean over the members of the probability of class 1, before recalibration."""
    if not len(images):
        return np.zeros(0)
    with one_thread():
        mean: FloatArray = np.mean([probabilities(network, images) for network in networks], axis=0)
        return mean


def _build(scaling: ScalingLayer, channels: int, params: Cnn3dParams, prevalence: float) -> ImageNetwork:
    network = lookup(CLASSIFIERS, params.network, "classifier network")
    return ImageNetwork(scaling, network.build(params.checked_network_params(), channels, 2), prevalence)


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

"""Starting weights from a file, and layers that keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import nn

from radpipe.errors import FileProblem, SchemaError

_MEMBER = re.compile(r"member_(\d+)\.(.+)")
_NETWORK = "network."


@dataclass(frozen=True)
class Weights:
    """What a weights file holds. about : its metadata: kind and network, where radpipe wrote it. path : for messages."""

    arrays: Mapping[str, np.ndarray]
    about: Mapping[str, Any]
    path: str

    def members(self) -> list[dict[str, np.ndarray]]:
        """The networks in the file: name of a parameter or buffer -> array. FileProblem for a model that is no CNN.

        A model that radpipe saved holds several members, with scaling and prevalence beside each network; any other file is taken
        for the state of one network.
        """
        kind = self.about.get("kind", "cnn3d")
        if kind != "cnn3d":
            raise FileProblem(
                f"holds a model of kind {kind}, not a 3D CNN.",
                hint="Name the weights.safetensors of a cnn3d model, or leave models.<name>.weights out.",
                path=self.path,
            )
        found: dict[int, dict[str, np.ndarray]] = {}
        for name, array in self.arrays.items():
            match = _MEMBER.fullmatch(name)
            if match and match[2].startswith(_NETWORK):
                found.setdefault(int(match[1]), {})[match[2].removeprefix(_NETWORK)] = array
        return [found[number] for number in sorted(found)] or [dict(self.arrays)]


def start_from(network: nn.Module, weights: Weights, *, member: int, name: str, head: str) -> dict[str, Any]:
    """Put the file's weights into the network; what was done, as facts.

    member : of the ensemble; it starts from the file's own member of that number, round and round. name, head : of the network,
    as in its registry entry. The head is left as it was drawn where the file's has another shape or none. FileProblem for weights
    of another network, or that are no finite numbers.
    """
    told = weights.about.get("network")
    if told and told != name:
        raise _other(weights, f"they were saved as {told!r}, and this model's network is {name!r}")
    networks = weights.members()
    given = networks[member % len(networks)]
    wanted = network.state_dict()
    of_head = {key for key in wanted if key.startswith(f"{head}.")}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    body = set(wanted) - of_head - counters
    absent = sorted(body - set(given))
    surplus = sorted(set(given) - set(wanted))
    shapes = [key for key in sorted(body & set(given)) if tuple(given[key].shape) != tuple(wanted[key].shape)]
    if shapes:
        key = shapes[0]
        raise _other(weights, f"{key} is {tuple(given[key].shape)} in the file and {tuple(wanted[key].shape)} in the {name}")
    if absent:
        raise _other(weights, f"{len(absent)} of the {len(body)} arrays of the {name} are not in the file, such as {absent[0]}")
    if surplus:
        raise _other(weights, f"the file holds {len(surplus)} arrays that the {name} does not have, such as {surplus[0]}")
    same_head = all(key in given and tuple(given[key].shape) == tuple(wanted[key].shape) for key in of_head)
    taken = sorted(body | (of_head if same_head else set()))
    for key in taken:
        array = np.asarray(given[key])
        if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
            raise FileProblem(
                f"the array {key} is not of finite numbers ({array.dtype}).", hint="Save the weights again, as float32.",
                path=weights.path,
            )  # fmt: skip
    own = {key: torch.from_numpy(np.array(given[key], dtype=np.float32)).reshape(wanted[key].shape) for key in taken}
    network.load_state_dict({**wanted, **own})
    return {"member": member % len(networks), "arrays": len(taken), "head": "from the file" if same_head else "made anew"}


def freeze(network: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Switch off learning of every parameter whose name, or whose layer's name, one of the patterns matches; the names.

    A pattern is a name with * for anything: ``layer1``, ``conv*``, ``layer1.0.*``. SchemaError for one that matches nothing, and
    where nothing is left to learn.
    """
    parameters = dict(network.named_parameters())

    def matches(pattern: str, name: str) -> bool:
        parts = name.split(".")
        return any(fnmatchcase(".".join(parts[:length]), pattern) for length in range(1, len(parts) + 1))

    for pattern in patterns:
        if not any(matches(pattern, name) for name in parameters):
            layers = ", ".join(dict.fromkeys(name.partition(".")[0] for name in parameters))
            raise SchemaError(
                f"models.<name>.freeze: the pattern {pattern!r} matches no layer.", hint=f"The network's layers are: {layers}."
            )
    frozen = [name for name in parameters if any(matches(pattern, name) for pattern in patterns)]
    if len(frozen) == len(parameters):
        raise SchemaError("models.<name>.freeze freezes every layer, so nothing would be learnt.", hint="Leave the head out.")
    for name in frozen:
        parameters[name].requires_grad_(False)
    return frozen


def _other(weights: Weights, why: str) -> FileProblem:
    return FileProblem(
        f"holds weights of another network: {why}.",
        hint="Set models.<name>.network, network_params and mask_channel to what the weights were trained as, or leave weights out.",
        path=weights.path,
    )

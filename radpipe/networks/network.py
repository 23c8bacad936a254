"""What a network is to radpipe: a name, a sentence, its parameters, and a function that builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from radpipe.core.settings import Settings

if TYPE_CHECKING:
    from torch import nn


def any_size(params: Any) -> int:
    """1: the network takes any size."""
    return 1


@dataclass(frozen=True)
class Network:
    """One entry of the registry.

    name : as in the workflow file. summary : one line for ``radpipe describe networks``. source : paper or library.
    params : the settings class of its parameters.
    build : (params, in_channels, out_channels) -> module for float32 input (n, in_channels, z, y, x); a segmenter returns logits
    (n, out_channels, z, y, x), a classifier (n, out_channels). Weights come from torch's global generator; the caller seeds it.
    library : what ``build`` imports besides torch; the children's server loads it once.
    size_multiple : params -> every axis of the input must be a multiple of this; 1 for any size.
    least_side : params -> the fewest voxels along an axis. head : of a classifier, the name of its last linear layer; what goes into
    that layer is the embedding of an image.
    """

    name: str
    summary: str
    source: str
    params: type[Settings]
    build: Callable[[Any, int, int], nn.Module]
    library: str = ""
    size_multiple: Callable[[Any], int] = any_size
    least_side: Callable[[Any], int] = any_size
    head: str = ""

"""Scaling, unscaling, probabilistic and bounding layers: what stands around the perceptrons, in OpenNN's terms.

They hold what was learnt from the training part as buffers, so a saved network eats raw inputs. None has trainable parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from radpipe.errors import SchemaError

SCALINGS = ("mean_standard_deviation", "minimum_maximum", "standard_deviation", "logarithm", "none")
PROBABILITIES = ("logistic", "softmax", "clip", "share", "competitive", "binary")
# A spread below this fraction of the values' size is rounding.
FLAT = 1e-12


class ScalingLayer(nn.Module):
    """Per-input map from descriptives of the training part; input k is axis 1 of (n, size, ...).

    mean_standard_deviation : (x - mean) / sd, sd with n - 1. minimum_maximum : to [-1, 1]. standard_deviation : x / sd.
    logarithm : log x, for positive inputs. none : x. An input without spread is left as it is (OpenNN's rule for sd = 0).
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, size: int, method: str = "mean_standard_deviation") -> None:
        super().__init__()
        if method not in SCALINGS:
            raise ValueError(f"no scaling method {method!r}; choose one of {', '.join(SCALINGS)}")
        self.method = method
        self.register_buffer("centre", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(size, dtype=torch.float64))

    @classmethod
    def fitted(cls, values: Tensor, method: str = "mean_standard_deviation") -> ScalingLayer:
        """The layer for training values (n, size, ...), finite."""
        layer = cls(values.shape[1], method)
        columns = values.to(torch.float64).transpose(0, 1).flatten(1)
        low, high = columns.amin(1), columns.amax(1)
        spread = high - low > FLAT * torch.maximum(low.abs(), high.abs())
        centre, scale = torch.zeros_like(low), torch.ones_like(low)
        if method == "minimum_maximum":
            centre, scale = (low + high) / 2, (high - low) / 2
        elif method in ("mean_standard_deviation", "standard_deviation") and columns.shape[1] > 1:
            scale = columns.std(1, correction=1)
            if method == "mean_standard_deviation":
                centre = columns.mean(1)
        layer.centre.copy_(torch.where(spread, centre, 0.0))
        layer.scale.copy_(torch.where(spread, scale, 1.0))
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Raw (n, size, ...) -> scaled, in x's dtype; SchemaError for a logarithm of what is not positive."""
        if self.method == "none":
            return x
        if self.method == "logarithm":
            if bool((x <= 0).any()):
                place = int((x <= 0).transpose(0, 1).flatten(1).any(1).nonzero()[0])
                raise SchemaError(
                    f"input {place + 1} of the network has values at or below 0, which have no logarithm.",
                    hint="Choose another scaling, such as mean_standard_deviation.",
                )
            return x.log()
        centre, scale = self._shaped(x)
        return (x - centre) / scale

    def inverse(self, x: Tensor) -> Tensor:
        """Scaled -> raw."""
        if self.method == "none":
            return x
        if self.method == "logarithm":
            return x.exp()
        centre, scale = self._shaped(x)
        return x * scale + centre

    def _shaped(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1, *([1] * (x.ndim - 2)))
        return self.centre.to(x.dtype).reshape(shape), self.scale.to(x.dtype).reshape(shape)


class UnscalingLayer(nn.Module):
    """The inverse of the scaling of the targets, applied to the outputs of the perceptrons."""

    def __init__(self, scaling: ScalingLayer) -> None:
        super().__init__()
        self.scaling = scaling

    def forward(self, x: Tensor) -> Tensor:
        return self.scaling.inverse(x)


class ProbabilisticLayer(nn.Module):
    """Outputs (n, k) -> probabilities (n, k).

    logistic : 1 / (1 + exp(-x)), each output by itself. softmax : over the k outputs. clip : to [0, 1] ("Probability" in
    OpenNN 0.1). share : clipped, then divided by their sum (equal shares where all are 0), so that classes add up to 1.
    competitive : 1 for the largest, 0 elsewhere. binary : 1 at or above ``threshold``.
    """

    def __init__(self, kind: str = "logistic", threshold: float = 0.5) -> None:
        super().__init__()
        if kind not in PROBABILITIES:
            raise ValueError(f"no probabilistic layer {kind!r}; choose one of {', '.join(PROBABILITIES)}")
        self.kind = kind
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "logistic":
            return torch.sigmoid(x)
        if self.kind == "softmax":
            return torch.softmax(x, dim=1)
        if self.kind == "clip":
            return x.clamp(0.0, 1.0)
        if self.kind == "share":
            clipped = x.clamp(0.0, 1.0)
            total = clipped.sum(1, keepdim=True)
            return torch.where(total > 0, clipped / torch.where(total > 0, total, 1.0), 1.0 / x.shape[1])
        if self.kind == "competitive":
            return nn.functional.one_hot(x.argmax(dim=1), x.shape[1]).to(x.dtype)
        return (x >= self.threshold).to(x.dtype)


class BoundingLayer(nn.Module):
    """Outputs held between a lower and an upper bound."""

    def __init__(self, lower: float, upper: float) -> None:
        super().__init__()
        self.lower, self.upper = lower, upper

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.lower, self.upper)


class MinMaxPool(nn.Module):
    """Halves every axis; keeps both the largest and the smallest of each 2 x 2 x 2 block: (n, c, ...) -> (n, 2 c, ...).

    A necrotic core is a minimum as much as a hot spot is a maximum; max pooling alone forgets it.
    """

    def forward(self, x: Tensor) -> Tensor:
        high = nn.functional.max_pool3d(x, 2, ceil_mode=True)
        low = -nn.functional.max_pool3d(-x, 2, ceil_mode=True)
        return torch.cat([high, low], dim=1)


class GlobalPool(nn.Module):
    """Minimum, mean and maximum of every map: (n, c, z, y, x) -> (n, 3 c)."""

    def forward(self, x: Tensor) -> Tensor:
        maps = x.flatten(2)
        return torch.cat([maps.amin(2), maps.mean(2), maps.amax(2)], dim=1)

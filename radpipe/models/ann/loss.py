"""Loss index = error term + regularisation term, in OpenNN's words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from radpipe.networks.perceptron import PerceptronLayer

ERRORS = ("cross_entropy", "mean_squared", "normalized_squared", "weighted_squared")
REGULARISATIONS = ("l1", "l2", "l2_norm", "none")


class Parts(NamedTuple):
    """loss = error + regularisation, each a scalar tensor; the regularisation has its weight in it."""

    loss: Tensor
    error: Tensor
    regularisation: Tensor


@dataclass(frozen=True)
class LossIndex:
    """What training makes small.

    error : cross_entropy, mean -[t log p + (1 - t) log(1 - p)] of logits, targets 0 and 1. mean_squared, mean (y - t)^2.
    normalized_squared, sum (y - t)^2 / sum (t - mean t)^2. weighted_squared, the mean of (y - t)^2 with positives weighted
    n_negative / n_positive and negatives 1.
    regularisation : l1, sum |w|. l2, half the sum of w^2. Both over the weights, not the biases, which would hold back the
    prevalence. l2_norm, the Euclidean norm of all parameters (OpenNN's "parameters norm", not its square). none.
    weight : of the regularisation.
    variance, positive_weight : of the training targets, see :meth:`learnt`. The error of the selection part is normalised and
    weighted by them too: it is then on the scale of the training error, and defined where a small selection part has one class.
    """

    error: str
    regularisation: str = "none"
    weight: float = 0.0
    variance: float = 1.0
    positive_weight: float = 1.0

    @classmethod
    def learnt(cls, targets: Tensor, error: str, regularisation: str, weight: float) -> LossIndex:
        """The index for these training targets (n, 1), of two different values, the larger being the positive class."""
        if error not in ERRORS or regularisation not in REGULARISATIONS:
            raise ValueError(f"error {error!r} of {ERRORS}, regularisation {regularisation!r} of {REGULARISATIONS}")
        positive = targets > targets.mean()
        ratio = float((~positive).sum()) / float(positive.sum())
        return cls(error, regularisation, weight, float(targets.var(correction=0)), ratio)

    def __call__(self, outputs: Tensor, targets: Tensor, layers: Iterable[PerceptronLayer]) -> Parts:
        """outputs, targets : (n, 1), both on the scale the perceptrons work on."""
        error = self.error_term(outputs, targets)
        regularisation = self.weight * self._term(layers) if self.weight else torch.zeros((), dtype=torch.float64)
        return Parts(error + regularisation, error, regularisation)

    def error_term(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The error alone; of the selection part this is the selection error."""
        if self.error == "cross_entropy":
            return nn.functional.binary_cross_entropy_with_logits(outputs, targets)
        squared = (outputs - targets) ** 2
        if self.error == "mean_squared":
            return squared.mean()
        if self.error == "normalized_squared":
            return squared.mean() / self.variance
        weights = torch.where(targets > 0, self.positive_weight, 1.0)
        return (weights * squared).sum() / weights.sum()

    def _term(self, layers: Iterable[PerceptronLayer]) -> Tensor:
        layers = list(layers)
        if self.regularisation == "l2_norm":
            return torch.linalg.vector_norm(torch.cat([p.flatten() for layer in layers for p in (layer.weight, layer.bias)]))
        if self.regularisation == "none":
            return torch.zeros((), dtype=torch.float64)
        weights = torch.cat([layer.weight.flatten() for layer in layers])
        return weights.abs().sum() if self.regularisation == "l1" else 0.5 * (weights**2).sum()

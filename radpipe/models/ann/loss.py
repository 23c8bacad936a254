"""Loss index = error term + regularisation term, in OpenNN's words; of one network or of many side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from radpipe.networks.perceptron import PerceptronLayer

ERRORS = ("cross_entropy", "mean_squared", "normalized_squared", "weighted_squared", "minkowski", "cox")
REGULARISATIONS = ("l1", "l2", "l2_norm", "none")
# OpenNN's Minkowski parameter: between absolute (1) and squared (2) error, so that one odd patient weighs less.
MINKOWSKI = 1.5

# outputs (..., n, k) -> the error (...,), and its derivative by the outputs (..., n, k) where it was asked for.
ErrorTerm = Callable[[Tensor, bool], tuple[Tensor, Tensor]]


class Parts(NamedTuple):
    """loss = error + regularisation, each a scalar tensor; the regularisation has its weight in it."""

    loss: Tensor
    error: Tensor
    regularisation: Tensor


@dataclass(frozen=True)
class LossIndex:
    """What training makes small.

    error : cross_entropy, mean -log p of the true class, of logits; targets 0 and 1 (n, 1), or one column a class (n, k).
    mean_squared, mean (y - t)^2. normalized_squared, sum (y - t)^2 / sum (t - mean t)^2. weighted_squared, the mean of
    (y - t)^2 with positives weighted n_negative / n_positive and negatives 1; one output only. minkowski, mean |y - t|^1.5.
    cox, minus the logarithm of Cox's partial likelihood (Efron's ties), over the number of events; targets (n, 2), time and
    event (1 or 0), one output, the logarithm of the relative hazard.
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
        """The index for these training targets (n, k) of at least two different values; the larger is the positive class.

        variance : summed over the outputs.
        """
        if error not in ERRORS or regularisation not in REGULARISATIONS:
            raise ValueError(f"error {error!r} of {ERRORS}, regularisation {regularisation!r} of {REGULARISATIONS}")
        if error == "weighted_squared" and targets.shape[1] != 1:
            raise ValueError("weighted_squared weighs a positive against a negative class: it has one output.")
        positive = targets > targets.mean()
        ratio = float((~positive).sum()) / float(positive.sum()) if error == "weighted_squared" else 1.0
        return cls(error, regularisation, weight, float(targets.var(0, correction=0).sum()), ratio)

    def __call__(self, outputs: Tensor, targets: Tensor, layers: Iterable[PerceptronLayer]) -> Parts:
        """outputs, targets : (n, k), both on the scale the perceptrons work on."""
        error = self.error_term(outputs, targets)
        regularisation = self.weight * self._term(layers) if self.weight else torch.zeros((), dtype=torch.float64)
        return Parts(error + regularisation, error, regularisation)

    def error_term(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The error alone."""
        return self.bound(targets)(outputs, False)[0]

    def bound(self, targets: Tensor, rows: Tensor | None = None) -> ErrorTerm:
        """The error term for these targets (n, k) or (networks, n, k). rows : (networks, n) weights of the rows, 0 for padding."""
        if self.error == "cox":
            if rows is not None:
                raise ValueError("Cox's partial likelihood is of one risk set for all networks: train one fold at a time.")
            return partial_likelihood(targets)
        equal = torch.ones(targets.shape[-2], dtype=torch.float64) if rows is None else rows.to(torch.float64)
        share = (equal / equal.sum(-1, keepdim=True)).unsqueeze(-1)
        if self.error == "weighted_squared":
            share = share * torch.where(targets > 0, self.positive_weight, 1.0)
            share = share / share.sum((-2, -1), keepdim=True)
        elif self.error == "normalized_squared":
            share = share / self.variance
        elif self.error in ("mean_squared", "minkowski"):
            share = share / targets.shape[-1]
        pointwise = {"cross_entropy": _cross_entropy if targets.shape[-1] > 1 else _binary, "minkowski": _minkowski}
        of_one = pointwise.get(self.error, _squared)

        def term(outputs: Tensor, with_gradient: bool) -> tuple[Tensor, Tensor]:
            value, gradient = of_one(outputs, targets, with_gradient)
            return (value * share).sum((-2, -1)), gradient * share if with_gradient else gradient

        return term

    def bound_selection(
        self, targets: Tensor, selection: Tensor, rows: Tensor | None = None
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """(outputs of the training part, of the selection part) -> the selection error (...,).

        cox : the cross-validated partial likelihood of Verweij and van Houwelingen (1993, doi:10.1002/sim.4780122407): that of
        both parts together less that of the training part, over the events of the selection part. A handful of patients
        ranked among themselves say little, and nothing at all with one event; among the training patients they say something.
        """
        if self.error != "cox":
            own = self.bound(selection, rows)
            return lambda _, outputs: own(outputs, False)[0]
        training, together = partial_likelihood(targets), partial_likelihood(torch.cat([targets, selection], dim=-2))
        n_train, n_own = int(targets[:, 1].sum()), int(selection[:, 1].sum())

        def term(outputs_train: Tensor, outputs: Tensor) -> Tensor:
            both = together(torch.cat([outputs_train, outputs], dim=-2), False)[0] * (n_train + n_own)
            return (both - training(outputs_train, False)[0] * n_train) / max(1, n_own)

        return term

    def _term(self, layers: Iterable[PerceptronLayer]) -> Tensor:
        layers = list(layers)
        if self.regularisation == "l2_norm":
            every = torch.cat([p.flatten() for layer in layers for p in (layer.weight, layer.bias)])
            norm: Tensor = torch.linalg.vector_norm(every)
            return norm
        if self.regularisation == "none":
            return torch.zeros((), dtype=torch.float64)
        weights = torch.cat([layer.weight.flatten() for layer in layers])
        return weights.abs().sum() if self.regularisation == "l1" else 0.5 * (weights**2).sum()

    def of_parameters(self, theta: Tensor, is_weight: Tensor) -> tuple[Tensor, Tensor]:
        """Regularisation, its weight in it, and its gradient. theta : (networks, parameters); is_weight : (parameters,), 1 or 0."""
        if self.regularisation == "none" or not self.weight:
            return torch.zeros(len(theta), dtype=theta.dtype), torch.zeros_like(theta)
        if self.regularisation == "l2_norm":
            norm = torch.linalg.vector_norm(theta, dim=1)
            # At 0 the norm has no derivative; 0 is one of its slopes there.
            return self.weight * norm, self.weight * theta / norm.clamp_min(torch.finfo(theta.dtype).tiny)[:, None]
        weights = theta * is_weight
        if self.regularisation == "l1":
            return self.weight * weights.abs().sum(1), self.weight * weights.sign()
        return 0.5 * self.weight * (weights * weights).sum(1), self.weight * weights


def _squared(outputs: Tensor, targets: Tensor, with_gradient: bool) -> tuple[Tensor, Tensor]:
    gap = outputs - targets
    return gap * gap, 2 * gap if with_gradient else gap


def _minkowski(outputs: Tensor, targets: Tensor, with_gradient: bool) -> tuple[Tensor, Tensor]:
    gap = outputs - targets
    size = gap.abs()
    return size**MINKOWSKI, MINKOWSKI * gap.sign() * size ** (MINKOWSKI - 1) if with_gradient else gap


def _binary(outputs: Tensor, targets: Tensor, with_gradient: bool) -> tuple[Tensor, Tensor]:
    value = torch.nn.functional.softplus(-outputs.abs()) + outputs.clamp_min(0) - outputs * targets
    return value, torch.sigmoid(outputs) - targets if with_gradient else outputs


def _cross_entropy(outputs: Tensor, targets: Tensor, with_gradient: bool) -> tuple[Tensor, Tensor]:
    logs = torch.log_softmax(outputs, dim=-1)
    return -(targets * logs), logs.exp() - targets if with_gradient else outputs


def partial_likelihood(targets: Tensor) -> ErrorTerm:
    """Minus log of Cox's partial likelihood, over the number of events. targets : (n, 2), time and event; outputs (..., n, 1).

    Tied events by Efron's approximation (1977, doi:10.1080/01621459.1977.10480613), the default of R's ``survival``. Without
    an event it is 0 for every output.
    """
    time, event = targets[:, 0], targets[:, 1] > 0
    # From the longest time down, everyone up to the last with the same time is at risk.
    down = torch.argsort(time, descending=True, stable=True)
    times, happened = time[down].contiguous(), event[down]
    events = happened.nonzero().flatten()
    n_events = len(events)
    if not n_events:
        return lambda outputs, _: (outputs.sum((-2, -1)) * 0.0, outputs * 0.0)
    last = torch.searchsorted(-times, -times[events], right=True) - 1
    _, group, sizes = torch.unique_consecutive(times[events], return_inverse=True, return_counts=True)
    first = torch.cumsum(sizes, 0) - sizes
    fraction = (torch.arange(n_events) - first[group]) / sizes[group].to(torch.float64)
    ties = bool((sizes > 1).any())

    def term(outputs: Tensor, with_gradient: bool) -> tuple[Tensor, Tensor]:
        scores = outputs[..., 0][..., down]
        top = scores.amax(-1, keepdim=True)
        hazards = torch.exp(scores - top)
        at_risk = hazards.cumsum(-1)[..., last]
        if ties:
            of_group = torch.zeros(*hazards.shape[:-1], len(sizes), dtype=hazards.dtype)
            of_group = of_group.index_add(-1, group, hazards[..., events])
            at_risk = at_risk - fraction * of_group[..., group]
        value = (at_risk.log() + top - scores[..., events]).sum(-1) / n_events
        if not with_gradient:
            return value, outputs
        # How often each is counted: in every risk set that reaches down to its place, less Efron's share among its ties.
        inverse = 1 / at_risk
        counted = torch.zeros_like(hazards).index_add(-1, last, inverse).flip(-1).cumsum(-1).flip(-1)
        if ties:
            shared = torch.zeros_like(of_group).index_add(-1, group, fraction * inverse)
            counted = counted.index_add(-1, events, -shared[..., group])
        slope = hazards * counted
        slope = slope.index_add(-1, events, torch.full((*slope.shape[:-1], n_events), -1.0, dtype=slope.dtype)) / n_events
        gradient = torch.empty_like(slope)
        gradient[..., down] = slope
        return value, gradient.unsqueeze(-1)

    return term

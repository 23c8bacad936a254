"""What an image network is asked for: classes, a number, or the time to an event."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from radpipe.models.cox_loss import cox_loss
from radpipe.models.model import EVENT, Examples
from radpipe.networks.layers import ScalingLayer


@dataclass(frozen=True)
class Target:
    """The outcome of some cases, as a network learns it.

    kind : as in :class:`radpipe.models.model.Examples`. values : (n,); the class index, or the number after scaling (mean 0 and
    sd 1 in the training part), or the time. event : (n,) bool, of times to an event only.
    """

    kind: str
    values: Tensor
    event: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Tensor) -> Target:
        return replace(self, values=self.values[rows], event=None if self.event is None else self.event[rows])

    def joined(self, other: Target) -> Target:
        event = None if self.event is None or other.event is None else torch.cat([self.event, other.event])
        return replace(self, values=torch.cat([self.values, other.values]), event=event)

    def to(self, device: torch.device) -> Target:
        return replace(self, values=self.values.to(device), event=None if self.event is None else self.event.to(device))

    def error(self, outputs: Tensor) -> Tensor:
        """Cross-entropy, mean squared error of the scaled number, or Cox's loss. outputs : (n, k) of :func:`outputs_of`."""
        if self.kind == "classes":
            return nn.functional.cross_entropy(outputs, self.values)
        if self.event is None:
            return nn.functional.mse_loss(outputs[:, 0], self.values.to(outputs.dtype))
        return cox_loss(outputs[:, 0], self.values, self.event)

    def batches(self, size: int, deal: np.random.Generator) -> list[Tensor]:
        """Rows of each step of one epoch, every row once, at most ``size`` a step where all steps can have an event.

        A partial likelihood without an event says nothing, so events are dealt out first, one step each and then the next.
        """
        count = -(-len(self) // size)
        if self.event is None:
            return [torch.from_numpy(rows) for rows in np.array_split(deal.permutation(len(self)), count)]
        with_event, without = (np.flatnonzero(self.event.numpy() == wanted) for wanted in (True, False))
        count = max(1, min(count, len(with_event)))
        ordered = np.concatenate([deal.permutation(with_event), deal.permutation(without)])
        return [torch.from_numpy(ordered[first::count]) for first in range(count)]


def outputs_of(examples: Examples) -> int:
    """Neurons of the last layer: one a class, or one."""
    return examples.n_classes if examples.kind == "classes" else 1


def target_of(examples: Examples, scaling: ScalingLayer | None = None) -> Target:
    """scaling : of numbers, fitted on the training part."""
    if examples.kind == "number" and scaling is not None and examples.value is not None:
        return Target("number", scaling(torch.from_numpy(examples.value)[:, None])[:, 0])
    if examples.kind == "time_to_event" and examples.time is not None:
        return Target("time_to_event", torch.from_numpy(examples.time), torch.from_numpy(examples.y == EVENT))
    return Target("classes", torch.from_numpy(examples.y))


def offset_of(examples: Examples) -> Tensor:
    """(k,) float32 added to the outputs, so that training starts from the class frequencies rather than at a random opinion."""
    if examples.kind != "classes":
        return torch.zeros(1)
    counts = np.bincount(examples.y, minlength=examples.n_classes)
    return torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32))


def scaling_of(examples: Examples) -> ScalingLayer | None:
    """Of numbers: to mean 0 and sd 1 of these, the training part's."""
    if examples.kind != "number" or examples.value is None:
        return None
    return ScalingLayer.fitted(torch.from_numpy(examples.value)[:, None])


def selection_error(target: Target, outputs: Tensor, trained: Target, outputs_trained: Tensor | None) -> Tensor:
    """The error term of the selection part.

    Of times to an event it is the cross-validated partial likelihood (Verweij and van Houwelingen 1993,
    doi:10.1002/sim.4780122407): that of both parts together less that of the training part, over the events of the selection
    part. A handful of patients ranked among themselves say little.
    """
    if target.event is None or trained.event is None or outputs_trained is None:
        return target.error(outputs)
    n_train, n_own = int(trained.event.sum()), int(target.event.sum())
    both = trained.joined(target).error(torch.cat([outputs_trained, outputs])) * (n_train + n_own)
    return (both - trained.error(outputs_trained) * n_train) / max(1, n_own)

"""One network of the ensemble: AdamW with augmentation, stopped on the selection error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from radpipe.errors import RunError
from radpipe.models.cnn3d.augment import augment
from radpipe.models.config import Cnn3dParams
from radpipe.models.stopping import BestSoFar
from radpipe.networks.layers import ProbabilisticLayer, ScalingLayer
from radpipe.typing import FloatArray

# Images at a time when nothing is learnt: bounds memory, changes no number.
CHUNK = 8


class ImageNetwork(nn.Module):
    """scaling of each channel -> network -> log prevalence added -> softmax: (n, c, z, y, x) float32 raw -> (n, 2).

    The prevalence is a constant offset, so that training starts from it and the network only has to learn what moves a patient
    away from it.
    """

    log_prevalence: Tensor

    def __init__(self, scaling: ScalingLayer, network: nn.Module, prevalence: float) -> None:
        super().__init__()
        self.scaling = scaling
        self.network = network
        self.probabilistic = ProbabilisticLayer("softmax")
        self.register_buffer("log_prevalence", torch.log(torch.tensor([1 - prevalence, prevalence], dtype=torch.float32)))

    def logits(self, scaled: Tensor) -> Tensor:
        return self.network(scaled) + self.log_prevalence

    def forward(self, images: Tensor) -> Tensor:
        return self.probabilistic(self.logits(self.scaling(images)))

    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())


@dataclass(frozen=True)
class Member:
    """A trained network. steps : epochs until it stopped. best : the row of ``history`` it was kept at, with its error anew."""

    network: ImageNetwork
    history: list[dict[str, Any]]
    steps: int
    best: dict[str, Any]


def train_member(
    model: ImageNetwork, images: Tensor, y: Tensor, selection: Tensor, y_selection: Tensor, params: Cnn3dParams, *, seed: int
) -> Member:
    """Train in place. images, selection : (n, c, z, y, x) float32, raw; y : (n,) 0 or 1.

    Dropout draws from torch's global generator, which the caller seeds.
    """
    scaled, scaled_selection = model.scaling(images), model.scaling(selection)
    is_mask = torch.stack([((images[:, k] == 0) | (images[:, k] == 1)).all() for k in range(images.shape[1])])
    generator = torch.Generator().manual_seed(seed % 2**63)
    deal = np.random.default_rng(seed)
    batches = -(-len(y) // params.batch)
    optimiser = torch.optim.AdamW(model.network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=params.learning_rate, total_steps=params.epochs * batches, pct_start=0.2
    )
    history: list[dict[str, Any]] = []
    best = BestSoFar(params.minimum_epochs, params.patience)
    for epoch in range(1, params.epochs + 1):
        model.train()
        total = 0.0
        for rows in np.array_split(deal.permutation(len(y)), batches):
            views = augment(scaled[rows], is_mask, params.augmentation, generator)
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model.logits(views), y[rows])
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        _settle(model, scaled)
        error = total / len(y)
        selection_error = _error(model, scaled_selection, y_selection)
        if not np.isfinite([error, selection_error]).all():
            raise RunError(
                f"training of the {params.network} diverged in epoch {epoch} (the error is not a number).",
                hint="Lower models.<name>.learning_rate, or check the images' intensities.",
            )
        history.append(
            {"epoch": epoch, "loss": error, "error": error, "regularisation": None, "selection_error": selection_error}
        )
        best.offer(epoch, selection_error, {name: values.clone() for name, values in model.state_dict().items()})
        if best.stop:
            break
    model.load_state_dict(best.kept)
    kept = {**history[best.step - 1], "error": _error(model, scaled, y)}
    return Member(model, history, history[-1]["epoch"], kept)


def _settle(model: ImageNetwork, scaled: Tensor) -> None:
    """Batch normalisation's statistics of the training images under the present weights.

    Its running averages trail by some ten steps, which is several epochs of a small cohort: the selection error then jumps by
    whole units while the network improves. Wu and Johnson 2021 ("precise" statistics), arXiv:2105.07576.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    model.eval()
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
        layer.momentum = None  # the plain average over the chunks
    with torch.no_grad():
        for part in scaled.tensor_split(-(-len(scaled) // CHUNK)):
            model.network(part)


def _error(model: ImageNetwork, scaled: Tensor, y: Tensor) -> float:
    """Cross-entropy without augmentation or dropout."""
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model.logits(part) for part in scaled.split(CHUNK)])
        return float(nn.functional.cross_entropy(logits.to(torch.float64), y))


def probabilities(model: ImageNetwork, images: Tensor) -> FloatArray:
    """(n,) float64 probability of class 1, before recalibration."""
    model.eval()
    with torch.no_grad():
        parts = [model.logits(model.scaling(part)).to(torch.float64) for part in images.split(CHUNK)]
        p_1: FloatArray = model.probabilistic(torch.cat(parts))[:, 1].numpy()
        return p_1

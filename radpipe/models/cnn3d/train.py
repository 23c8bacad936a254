"""One network of the ensemble: AdamW with augmentation, stopped on the selection error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from radpipe.errors import RunError
from radpipe.models.cnn3d.augment import augment
from radpipe.models.cnn3d.target import Target, selection_error
from radpipe.models.config import Cnn3dParams
from radpipe.models.stopping import BestSoFar
from radpipe.networks.layers import ProbabilisticLayer, ScalingLayer, UnscalingLayer
from radpipe.typing import FloatArray

# Images at a time when nothing is learnt: bounds memory, changes no number.
CHUNK = 8
# The most training images that batch normalisation's statistics are taken from after an epoch: what they are means over
# hundreds of thousands of voxels, which more images would not move.
SETTLE = 32


class ImageNetwork(nn.Module):
    """scaling of each channel -> network -> offset added -> probabilistic or unscaling layer: (n, c, z, y, x) float32 raw -> (n, k).

    Classes end in a softmax; numbers are unscaled; of times to an event the output is the logarithm of the relative hazard.
    offset : (k,) the logarithm of each class's frequency. It is constant, so that training starts from it and the network only
    has to learn what moves a patient away from it.
    """

    offset: Tensor

    def __init__(
        self,
        scaling: ScalingLayer,
        network: nn.Module,
        offset: Tensor,
        kind: str = "classes",
        targets: ScalingLayer | None = None,
    ) -> None:
        super().__init__()
        self.scaling = scaling
        # Channels last in memory: convolutions of a few maps run up to a third faster on a CPU, and on a GPU no slower.
        self.network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # its stubs leave it out
        self.register_buffer("offset", offset)
        self.probabilistic = ProbabilisticLayer("softmax") if kind == "classes" else None
        self.unscaling = UnscalingLayer(targets) if targets is not None else None

    def outputs(self, scaled: Tensor) -> Tensor:
        """(n, k) logits, scaled numbers or scores; what the error is of."""
        outputs: Tensor = self.network(scaled.contiguous(memory_format=torch.channels_last_3d)) + self.offset
        return outputs

    def told(self, outputs: Tensor) -> Tensor:
        """Outputs -> probabilities (n, k), numbers (n, 1) in their own unit, or scores (n, 1)."""
        if self.probabilistic is not None:
            outputs = self.probabilistic(outputs)
        return self.unscaling(outputs) if self.unscaling is not None else outputs

    def forward(self, images: Tensor) -> Tensor:
        return self.told(self.outputs(self.scaling(images)))

    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())


@dataclass(frozen=True)
class Member:
    """A trained network. steps : epochs until it stopped. best : the row of ``history`` it was kept at, with its error anew."""

    network: ImageNetwork
    history: list[dict[str, Any]]
    steps: int
    best: dict[str, Any]


def device_of(wanted: str) -> torch.device:
    """auto : a GPU where torch finds one. RunError where one is asked for and there is none."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise RunError("device: cuda is asked for, and torch finds no GPU.", hint="Set models.<name>.device to auto or cpu.")
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


@contextmanager
def at(device: torch.device) -> Iterator[None]:
    """On a GPU some layers have no deterministic form: there, what radpipe's workers ask torch for is a warning, no error."""
    before = torch.get_deterministic_debug_mode()
    if device.type != "cpu" and before:
        torch.set_deterministic_debug_mode("warn")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def train_member(
    model: ImageNetwork,
    images: Tensor,
    target: Target,
    selection: Tensor,
    target_selection: Target,
    params: Cnn3dParams,
    *,
    seed: int,
) -> Member:
    """Train in place. images, selection : (n, c, z, y, x) float32, raw. Parameters that ask for no gradient stay as they are.

    Dropout draws from torch's global generator, which the caller seeds.
    """
    device = device_of(params.device)
    model.to(device)
    with at(device):
        here = (images.to(device), target.to(device), selection.to(device), target_selection.to(device))
        member = _trained(Training(model, *here, params, seed), params)
    model.to("cpu")
    return member


class Training:
    """The training of one network, epoch by epoch. Arguments as of :func:`train_member`, all on the device already."""

    def __init__(
        self, model: ImageNetwork, images: Tensor, target: Target, selection: Tensor, target_selection: Target, params: Cnn3dParams, seed: int
    ) -> None:  # fmt: skip
        self.model, self.target, self.target_selection, self.params = model, target, target_selection, params
        self.scaled, self.scaled_selection = model.scaling(images), model.scaling(selection)
        self.is_mask = torch.stack([((images[:, k] == 0) | (images[:, k] == 1)).all() for k in range(images.shape[1])]).cpu()
        self.generator = torch.Generator().manual_seed(seed % 2**63)
        self.deal = np.random.default_rng(seed)
        self.dealt = target.to(torch.device("cpu"))
        learning = [parameter for parameter in model.network.parameters() if parameter.requires_grad]
        # One pass over all parameters: a step of a small network is short, and a loop over its layers would be a tenth of it.
        self.optimiser = torch.optim.AdamW(learning, lr=params.learning_rate, weight_decay=params.weight_decay, fused=True)
        steps = params.epochs * len(self.dealt.batches(params.batch, np.random.default_rng(0)))
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, max_lr=params.learning_rate, total_steps=steps, pct_start=0.2
        )
        self.settled = torch.linspace(0, len(target) - 1, min(SETTLE, len(target))).round().long()

    def epoch(self) -> tuple[float, float]:
        """Every training image once, in new views -> error over these views, and the selection error after them."""
        model, total = self.model, 0.0
        _start_learning(model)
        for rows in self.dealt.batches(self.params.batch, self.deal):
            views = augment(self.scaled[rows], self.is_mask, self.params.augmentation, self.generator)
            self.optimiser.zero_grad()
            loss = self.target.take(rows).error(model.outputs(views))
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            self.schedule.step()
            total += float(loss.detach()) * len(rows)
        _settle(model, self.scaled[self.settled])
        trained = _outputs(model, self.scaled) if self.target.event is not None else None
        own = _outputs(model, self.scaled_selection)
        return total / len(self.target), float(selection_error(self.target_selection, own, self.target, trained))

    def error(self) -> float:
        """Of the training part, without augmentation or dropout."""
        return float(self.target.error(_outputs(self.model, self.scaled)))


def _trained(training: Training, params: Cnn3dParams) -> Member:
    model = training.model
    history: list[dict[str, Any]] = []
    best = BestSoFar(params.minimum_epochs, params.patience)
    for epoch in range(1, params.epochs + 1):
        error, chosen_by = training.epoch()
        if not np.isfinite([error, chosen_by]).all():
            raise RunError(
                f"training of the {params.network} diverged in epoch {epoch} (the error is not a number).",
                hint="Lower models.<name>.learning_rate, or check the images' intensities.",
            )
        history.append({"epoch": epoch, "loss": error, "error": error, "regularisation": None, "selection_error": chosen_by})
        best.offer(epoch, chosen_by, {name: values.clone() for name, values in model.state_dict().items()})
        if best.stop:
            break
    model.load_state_dict(best.kept)
    return Member(model, history, history[-1]["epoch"], {**history[best.step - 1], "error": training.error()})


def _norms(model: ImageNetwork) -> list[nn.modules.batchnorm._BatchNorm]:
    """The batch normalisations that learn; frozen ones keep the statistics they came with."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    return [layer for layer in layers if layer.weight is None or layer.weight.requires_grad]


def _start_learning(model: ImageNetwork) -> None:
    model.train()
    learning = {id(layer) for layer in _norms(model)}
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and id(layer) not in learning:
            layer.eval()


def _settle(model: ImageNetwork, scaled: Tensor) -> None:
    """Batch normalisation's statistics of these training images under the present weights.

    Its running averages trail by some ten steps, which is several epochs of a small cohort: the selection error then jumps by
    whole units while the network improves. Wu and Johnson 2021 ("precise" statistics), arXiv:2105.07576.
    """
    layers = _norms(model)
    if not layers:
        return
    model.eval()
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
        layer.momentum = None  # the plain average over the chunks
    with torch.no_grad():
        for part in scaled.tensor_split(-(-len(scaled) // CHUNK)):
            model.outputs(part)


def _outputs(model: ImageNetwork, scaled: Tensor) -> Tensor:
    """(n, k) float64, without augmentation or dropout."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model.outputs(part).to(torch.float64) for part in scaled.split(CHUNK)])  # type: ignore[no-untyped-call]


def told(model: ImageNetwork, images: Tensor, device: torch.device) -> FloatArray:
    """(n, k) float64: probabilities before recalibration, numbers, or scores. images : (n, c, z, y, x) float32, raw."""
    model.to(device).eval()
    with at(device), torch.no_grad():
        parts = [model.outputs(model.scaling(part.to(device))).to(torch.float64) for part in images.split(CHUNK)]  # type: ignore[no-untyped-call]
        found: FloatArray = model.told(torch.cat(parts)).cpu().numpy()
    model.to("cpu")
    return found


def embedding(model: ImageNetwork, head: str, images: Tensor, device: torch.device) -> FloatArray:
    """(n, d) float64: what goes into the layer named ``head``, the network's last. images : (n, c, z, y, x) float32, raw."""
    seen: list[Tensor] = []
    hook = model.network.get_submodule(head).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    try:
        told(model, images, device)
    finally:
        hook.remove()
    found: FloatArray = torch.cat(seen).to(torch.float64).cpu().numpy()
    return found

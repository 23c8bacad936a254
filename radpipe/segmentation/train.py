"""Outlines of some patients -> a network that outlines others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss

from radpipe.core.registry import lookup
from radpipe.core.seeds import derive_seed, generator
from radpipe.errors import ConfigError, EmptyRoiError, RunError, SchemaError
from radpipe.networks.registry import SEGMENTERS
from radpipe.segmentation.augment import draw_batch, fitting
from radpipe.segmentation.config import SegmentationSettings
from radpipe.typing import BoolVolume, Volume

Example = tuple[Volume, BoolVolume]
STATE_VERSION = 1


class Segmenter:
    """A trained network and the settings it was trained with."""

    def __init__(self, network: torch.nn.Module, settings: SegmentationSettings, history: Sequence[float] = ()) -> None:
        self.network = network.eval()
        self.settings = settings
        self.history = tuple(history)

    def predict(self, voxels: Volume) -> Volume:
        """Probability of lesion, float32 (z, y, x), for a preprocessed image of that shape (finite; spacing as in training).

        Patches of ``settings.patch_voxels`` slide over the image; each is outlined in its 8 mirror images where
        ``settings.flip_average`` says so. The result does not depend on torch's thread setting or random state.
        """
        image = _volume(voxels, "the image to outline")
        multiple = _size_multiple(self.settings)
        # Padded here, with air and not with MONAI's zeros, which are no air on an image of negative values.
        grown, inside = pad_to_multiple(image, multiple)
        patch = [fitting(min(n, largest), multiple) for n, largest in zip(image.shape, self.settings.patch_voxels, strict=True)]
        with _single_thread(), torch.inference_mode():
            probability = sliding_window_inference(
                torch.from_numpy(grown)[None, None],
                roi_size=patch,
                sw_batch_size=1,
                predictor=self._probability,
                overlap=self.settings.overlap,
                mode="gaussian",
            )
        # Weighted means of numbers in 0 .. 1 can leave it by a rounding error.
        result: Volume = np.clip(probability[0, 0].numpy()[inside], 0.0, 1.0)
        return np.ascontiguousarray(result)

    def _probability(self, patches: torch.Tensor) -> torch.Tensor:
        mirrors = list(product((False, True), repeat=3)) if self.settings.flip_average else [(False, False, False)]
        axes = [[axis + 2 for axis in range(3) if mirror[axis]] for mirror in mirrors]
        logits = self.network(torch.cat([patches.flip(a) for a in axes]))
        return torch.stack([p.flip(a) for p, a in zip(torch.sigmoid(logits).split(len(patches)), axes, strict=True)]).mean(0)

    def state(self) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
        """Weights by name, and JSON values that :meth:`from_state` needs."""
        arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.network.state_dict().items()}
        info = {
            "kind": "segmenter",
            "version": STATE_VERSION,
            "settings": self.settings.model_dump(mode="json"),
            "history": list(self.history),
        }
        return arrays, info

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray[Any, Any]], info: dict[str, Any]) -> Segmenter:
        """The segmenter that :meth:`state` described; SchemaError where arrays and info do not belong together."""
        if info.get("kind") != "segmenter" or info.get("version") != STATE_VERSION:
            raise SchemaError(
                f"stored is a {info.get('kind')!r}, version {info.get('version')!r}, no segmenter of version {STATE_VERSION}.",
                hint="Train the segmentation network again with this radpipe.",
            )
        settings = SegmentationSettings.model_validate(info["settings"])
        network = _build(settings, seed=0)
        expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        found = {name: tuple(array.shape) for name, array in arrays.items()}
        if expected != found:
            name = sorted(set(expected.items()) ^ set(found.items()))[0][0]
            raise SchemaError(
                f"the stored weights are not those of the network {settings.network!r} with {settings.network_params}: "
                f"{name} has shape {found.get(name, 'none')}, expected {expected.get(name, 'none')}.",
                hint="The weights come from another network or from other network_params; train again.",
            )
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
        return cls(network, settings, info.get("history", ()))


def fit_segmenter(
    examples: Sequence[Example],
    settings: SegmentationSettings,
    *,
    seed: int,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Segmenter:
    """Train the network of ``settings`` on outlined images.

    examples : preprocessed image (z, y, x), finite, and outline of the same shape, bool, not empty; shapes may differ between
    examples, spacing must not. on_epoch : called with (epoch from 1, mean loss of that epoch).
    Loss: soft Dice + cross-entropy over each patch (Isensee 2021, doi:10.1038/s41592-020-01008-z); AdamW, one-cycle rate
    (Smith 2018, arXiv:1708.07120). One thread, deterministic algorithms, own generators: same examples, settings and seed
    give the same weights, bit for bit, on one machine, and torch's global state is left as it was.
    RunError where the loss stops being a number.
    """
    checked = [_example(number, image, mask) for number, (image, mask) in enumerate(examples, start=1)]
    if not checked:
        raise RunError(
            "there is no case to train the segmentation network on.", hint="Look at failures.csv for what became of them."
        )
    rng = generator(seed, "segmenter", "batches")
    multiple = _size_multiple(settings)
    with _single_thread(), _seeded(derive_seed(seed, "segmenter", "torch")):
        network = _build(settings, seed=derive_seed(seed, "segmenter", "weights")).train()
        objective = DiceCELoss(sigmoid=True)
        optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        steps = -(-len(checked) // settings.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, settings.learning_rate, total_steps=max(steps * settings.epochs, 2), pct_start=0.15
        )
        history = []
        for epoch in range(1, settings.epochs + 1):
            total = 0.0
            for batch in _batches(checked, settings.batch_size, rng):
                images, masks = draw_batch(batch, settings, multiple, rng)
                loss = objective(network(images), masks)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                schedule.step()
                total += loss.item() * len(batch)
            history.append(total / len(checked))
            if not np.isfinite(history[-1]):
                raise RunError(
                    f"training the segmentation network diverged in epoch {epoch}: the loss is not a number any more.",
                    hint="Lower segmentation.learning_rate, or look for extreme intensities in the images.",
                )
            if on_epoch is not None:
                on_epoch(epoch, history[-1])
    return Segmenter(network, settings, history)


def pad_to_multiple(image: Volume, multiple: int) -> tuple[Volume, tuple[slice, ...]]:
    """The image grown on both sides with its lowest value to :func:`fitting` sizes; and where the image lies in it."""
    extra = [fitting(n, multiple) - n for n in image.shape]
    grown = np.pad(image, [(e // 2, e - e // 2) for e in extra], constant_values=image.min())
    return grown, tuple(slice(e // 2, e // 2 + n) for e, n in zip(extra, image.shape, strict=True))


def _batches(examples: list[Example], size: int, rng: np.random.Generator) -> Iterator[list[Example]]:
    """Every example once, those of similar extent together (a batch is as large as its largest), in random order.

    The order within is blurred by about a third of the extent, so that company changes from pass to pass.
    """
    extent = np.log([image.size for image, _ in examples]) + rng.normal(0.0, 0.3, len(examples))
    order = np.argsort(extent, kind="stable")
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    for number in rng.permutation(len(groups)):
        yield [examples[i] for i in groups[number]]


def _build(settings: SegmentationSettings, *, seed: int) -> torch.nn.Module:
    network = lookup(SEGMENTERS, settings.network, "segmentation network")
    with _seeded(seed):
        module: torch.nn.Module = network.build(network.params.model_validate(settings.network_params), 1, 1)
    return module


def _size_multiple(settings: SegmentationSettings) -> int:
    network = lookup(SEGMENTERS, settings.network, "segmentation network")
    return int(network.size_multiple(network.params.model_validate(settings.network_params)))


def _volume(voxels: Volume, what: str) -> Volume:
    image = np.ascontiguousarray(voxels, dtype=np.float32)
    if image.ndim != 3 or not image.size:
        raise ConfigError(f"{what} has shape {image.shape}; a volume (z, y, x) is needed.", kind="geometry")
    if not np.isfinite(image).all():
        raise ConfigError(f"{what} holds NaN or infinite voxels.", hint="Check the image and the preprocessing.", kind="file")
    return image


def _example(number: int, image: Volume, mask: BoolVolume) -> Example:
    image, mask = _volume(image, f"training image {number}"), np.asarray(mask)
    if mask.shape != image.shape or mask.dtype != bool:
        raise ConfigError(
            f"training image {number} has shape {image.shape}, its outline {mask.shape} {mask.dtype}.",
            hint="Bring both to one grid.",
        )
    if not mask.any():
        raise EmptyRoiError(f"training outline {number} is empty.", hint="Use a finer preprocessing.spacing_mm.")
    return image, mask


@contextmanager
def _single_thread() -> Iterator[None]:
    threads, deterministic = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # and not use_deterministic_algorithms: that one imports torch's compiler
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(deterministic)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield

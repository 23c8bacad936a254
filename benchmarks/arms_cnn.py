"""How long an epoch of the CNN takes, beside the same network and data in plain MONAI and in plain PyTorch.

    python benchmarks/arms_cnn.py [--data FOLDER] [--epochs 7] [--write]

Epochs of radpipe and of the plain code alternate in one process, one thread, in seconds of the processor; the ratio is of the
medians. An epoch is every training image once and the error of the selection part, as in radpipe. --write puts the table into
docs/arms.md.
"""

from __future__ import annotations

import argparse
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from pages import put_table
from torch import Tensor, nn

from radpipe.core.registry import lookup
from radpipe.models.cnn3d.target import Target
from radpipe.models.cnn3d.train import ImageNetwork, Training
from radpipe.models.config import AugmentationSettings, Cnn3dParams
from radpipe.networks.layers import ScalingLayer
from radpipe.networks.registry import CLASSIFIERS

TRAIN, SELECTION = 64, 24
STILL = AugmentationSettings(flip=False, shift=0, rotation_deg=0, scale=0, gain=0, offset=0, noise=0)
VIEWS = AugmentationSettings()


def data(folder: Path) -> tuple[Tensor, Tensor]:
    """88 adrenal glands at 2 mm, (n, 1, 32, 32, 32), and their labels."""
    with np.load(folder / "adrenalmnist3d" / "adrenalmnist3d_64_train_val.npz") as file:
        images, labels = file["train_images"][: TRAIN + SELECTION], file["train_labels"][: TRAIN + SELECTION, 0]
    blocks = (images > 0).reshape(-1, 32, 2, 32, 2, 32, 2).mean((2, 4, 6), dtype=np.float32)
    # A little noise, so that the values are intensities and not a mask, whose augmentation has less to do.
    noise = np.random.default_rng(0).normal(scale=0.01, size=blocks.shape).astype(np.float32)
    return torch.from_numpy(blocks + noise)[:, None], torch.from_numpy(labels.astype(np.int64))


def ours(params: Cnn3dParams, images: Tensor, y: Tensor, seed: int) -> Callable[[], object]:
    torch.manual_seed(seed)
    network = lookup(CLASSIFIERS, params.network, "network").build(params.checked_network_params(), 1, 2)
    model = ImageNetwork(ScalingLayer.fitted(images[:TRAIN]), network, torch.zeros(2))
    train, own = Target("classes", y[:TRAIN]), Target("classes", y[TRAIN:])
    return Training(model, images[:TRAIN], train, images[TRAIN:], own, params, seed).epoch


def plain(params: Cnn3dParams, images: Tensor, y: Tensor, seed: int, views: AugmentationSettings) -> Callable[[], object]:
    """The loop of MONAI's tutorials: a data set with random transforms, a loader, a step, an evaluation after every epoch."""
    from monai.data import DataLoader, Dataset
    from monai.transforms import Compose, RandAffined, RandFlipd, RandGaussianNoised, RandScaleIntensityd, RandShiftIntensityd

    torch.manual_seed(seed)
    network: nn.Module = lookup(CLASSIFIERS, params.network, "network").build(params.checked_network_params(), 1, 2)
    scaled = (images - images[:TRAIN].mean()) / images[:TRAIN].std()
    rows = [{"image": image, "label": label} for image, label in zip(scaled, y, strict=True)]
    turn = math.radians(views.rotation_deg)
    transforms = None
    if views.flip:
        transforms = Compose([
            *(RandFlipd("image", prob=0.5, spatial_axis=axis) for axis in range(3)),
            RandAffined(
                "image", prob=1.0, rotate_range=(turn,) * 3, translate_range=(views.shift * 32,) * 3,
                scale_range=(views.scale,) * 3, padding_mode="border",
            ),
            RandScaleIntensityd("image", factors=views.gain, prob=1.0),
            RandShiftIntensityd("image", offsets=views.offset, prob=1.0),
            RandGaussianNoised("image", prob=1.0, std=views.noise),
        ])  # fmt: skip
        transforms.set_random_state(seed)
    loader = DataLoader(Dataset(rows[:TRAIN], transforms), batch_size=params.batch, shuffle=True, num_workers=0)
    others = DataLoader(Dataset(rows[TRAIN:]), batch_size=params.batch, num_workers=0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=params.learning_rate, total_steps=params.epochs * len(loader), pct_start=0.2
    )

    def epoch() -> float:
        network.train()
        for batch in loader:
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(network(batch["image"]), batch["label"])
            loss.backward()
            optimiser.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            errors = [nn.functional.cross_entropy(network(b["image"]), b["label"], reduction="sum") for b in others]
        return float(torch.stack(errors).sum()) / SELECTION

    return epoch


def cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RADPIPE_DATA", "../shared/data")))
    parser.add_argument("--epochs", type=int, default=7, help="timed epochs of each")
    parser.add_argument("--write", action="store_true", help="put the table into docs/arms.md")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    torch.set_num_threads(1)
    images, y = data(arguments.data)
    lines = [
        "| network | views | radpipe, s CPU an epoch | plain code, s CPU an epoch | radpipe / plain |",
        "|---|---|---|---|---|",
    ]
    for network in CLASSIFIERS:
        for name, views in (("augmented (MONAI's random transforms)", VIEWS), ("as they are", STILL)):
            params = Cnn3dParams(network=network, batch=8, epochs=arguments.epochs + 1, augmentation=views)
            pair = ours(params, images, y, 1), plain(params, images, y, 1, views)
            for work in pair:
                work()
            times = [(cpu(pair[0]), cpu(pair[1])) for _ in range(arguments.epochs)]
            mine, theirs = (median(column) for column in zip(*times, strict=True))
            lines.append(f"| {network} | {name} | {mine:.2f} | {theirs:.2f} | {mine / theirs:.2f} |")
            print(lines[-1], flush=True)
    if arguments.write:
        put_table("arms.md", "arms_cnn", lines)


if __name__ == "__main__":
    main()

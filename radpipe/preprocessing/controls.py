"""Images and regions in which the lesion's own pattern is destroyed, for negative controls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from radpipe.core.image import Image, Mask
from radpipe.typing import BoolVolume

_DRAWS = 300


def shuffle_voxels(image: Image, region: BoolVolume, rng: np.random.Generator) -> Image:
    """The image with the intensities inside the region dealt anew among its voxels.

    region : (z, y, x) bool on the image's grid. Size, shape and histogram stay; every pattern goes.
    """
    voxels = image.voxels.copy()
    voxels[region] = rng.permutation(voxels[region])
    return replace(image, voxels=voxels)


def random_region(image: Image, mask: Mask, rng: np.random.Generator) -> tuple[Mask, float]:
    """The region moved to a random place of the image, and the share of it that still overlaps the true one.

    Of 300 places wholly inside the image, one at random of those that overlap least and lie in the body: where the mean intensity
    is at least that of a tenth of the way from the image's 1st to its 99th percentile (so that CT regions do not lie in air).
    """
    inside = np.argwhere(mask.voxels)
    low, high = inside.min(axis=0), inside.max(axis=0)
    room = np.array(mask.voxels.shape) - 1 - high
    floor, ceiling = np.percentile(image.voxels, [1, 99])
    body = floor + 0.1 * (ceiling - floor)
    best: list[tuple[float, np.ndarray]] = []
    for _ in range(_DRAWS):
        shift = np.array([rng.integers(-first, last + 1) for first, last in zip(low, room, strict=True)])
        z, y, x = (inside + shift).T
        overlap = float(mask.voxels[z, y, x].mean())
        in_body = float(np.mean(image.voxels[z, y, x])) >= body
        best.append((overlap + (0.0 if in_body else 1.0), shift))
    least = min(score for score, _ in best)
    near = [shift for score, shift in best if score <= least + 0.02]
    z, y, x = (inside + near[int(rng.integers(len(near)))]).T
    moved = np.zeros_like(mask.voxels)
    moved[z, y, x] = True
    return replace(mask, voxels=moved), float(moved[mask.voxels].mean())

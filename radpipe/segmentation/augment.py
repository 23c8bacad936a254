"""Training patches: cut, mirrored, stretched, warped. Every number drawn comes from the generator given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from radpipe.segmentation.config import AugmentationSettings, SegmentationSettings
from radpipe.typing import BoolVolume, FloatArray, Volume

Example = tuple[Volume, BoolVolume]


def draw_batch(
    examples: Sequence[Example], settings: SegmentationSettings, multiple: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """One patch of each example: images and masks, float32 (n, 1, z, y, x), masks 0 or 1.

    Axes are as long as the longest patch of the batch, made :func:`fitting`; what a shorter one lacks is filled with the
    lowest value of its image.
    """
    augmentation = settings.augmentation
    patches = [_mirrored(*_patch(image, mask, settings, rng), augmentation, rng) for image, mask in examples]
    shape = tuple(fitting(max(image.shape[axis] for image, _ in patches), multiple) for axis in range(3))
    images, masks = np.zeros((2, len(patches), 1, *shape), np.float32)
    lowest = np.array([image.min() for image, _ in examples], np.float32).reshape(-1, 1, 1, 1, 1)
    for number, (image, mask) in enumerate(patches):
        start = [(whole - n) // 2 for whole, n in zip(shape, image.shape, strict=True)]
        place = (number, 0, *(slice(s, s + n) for s, n in zip(start, image.shape, strict=True)))
        # From the image's lowest value up, so that zeros, here and from the warp, stand for air.
        images[place] = image - lowest[number, 0, 0, 0, 0]
        masks[place] = mask
    if augmentation.gamma > 0:
        _stretch_intensities(images, augmentation.gamma, rng)
    tensors = torch.from_numpy(images), torch.from_numpy(masks)
    if rng.random() < augmentation.warp:
        tensors = _warped(*tensors, augmentation, rng)
    return tensors[0] + torch.from_numpy(lowest), tensors[1]


def fitting(n: int, multiple: int) -> int:
    """The smallest multiple that holds n voxels; at least two, because statistics of a single voxel cannot be normalised."""
    return max(-(-n // multiple), 2) * multiple


def _patch(image: Volume, mask: BoolVolume, settings: SegmentationSettings, rng: np.random.Generator) -> Example:
    """A window of random extent (``augmentation.crop``, at most ``patch_voxels``) at a random place."""
    whole = np.array(image.shape)
    kept = np.ceil(whole * rng.uniform(1.0 - settings.augmentation.crop, 1.0, 3)).astype(int)
    size = np.minimum(kept, settings.patch_voxels)
    room = whole - size
    start = rng.integers(0, room + 1)
    if np.any(size < kept) and rng.random() < settings.foreground:
        inside = np.flatnonzero(mask)
        voxel = np.array(np.unravel_index(inside[rng.integers(len(inside))], mask.shape))
        start = np.clip(voxel - rng.integers(0, size), 0, room)
    window = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
    return image[window], mask[window]


def _mirrored(image: Volume, mask: BoolVolume, settings: AugmentationSettings, rng: np.random.Generator) -> Example:
    axes = tuple(axis for axis in range(3) if rng.random() < 0.5) if settings.flips else ()
    return np.flip(image, axes), np.flip(mask, axes)


def _stretch_intensities(images: Volume, largest: float, rng: np.random.Generator) -> None:
    """In place; images start at 0. The highest value stays where it is."""
    for image in images:
        top = image.max()
        if top > 0:
            np.power(image / top, np.float32(np.exp(rng.uniform(-largest, largest))), out=image)
            image *= top


def _warped(
    images: torch.Tensor, masks: torch.Tensor, settings: AugmentationSettings, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotated and scaled about the centre, linear between voxels; outside is 0, a voxel is mask from one half on."""
    shape = images.shape[2:]
    matrices = torch.tensor(np.stack([_affine(shape, settings, rng) for _ in images]), dtype=torch.float32)
    grid = torch.nn.functional.affine_grid(matrices, [len(images), 1, *shape], align_corners=False)
    both = torch.nn.functional.grid_sample(torch.cat([images, masks], 1), grid, align_corners=False)
    return both[:, :1], (both[:, 1:] >= 0.5).float()


def _affine(shape: Sequence[int], settings: AugmentationSettings, rng: np.random.Generator) -> FloatArray:
    """(3, 4) in torch's normalised coordinates, x first: from a place in the result to a place in the image."""
    angles = np.radians(rng.uniform(-1.0, 1.0, 3) * settings.rotation_degrees)
    cos, sin = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cos[0], -sin[0]], [0, sin[0], cos[0]]])
    about_y = np.array([[cos[1], 0, sin[1]], [0, 1, 0], [-sin[1], 0, cos[1]]])
    about_z = np.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])
    stretch = np.exp(rng.uniform(-settings.scale, settings.scale, 3))
    extent = np.array(shape[::-1], dtype=float)
    # Normalised coordinates run from -1 to 1 on every axis whatever its length; angles are angles in voxels only.
    matrix = (about_x @ about_y @ about_z / stretch) * extent[None, :] / extent[:, None]
    return np.concatenate([matrix, np.zeros((3, 1))], axis=1)

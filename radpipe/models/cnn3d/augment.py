"""New views of the training images, every epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from radpipe.models.config import AugmentationSettings


def augment(images: Tensor, is_mask: Tensor, settings: AugmentationSettings, generator: torch.Generator) -> Tensor:
    """Each image turned, mirrored, shifted and resized as one, its intensities changed: (n, c, z, y, x) -> the same shape.

    images : scaled, so that 1 is a standard deviation of the training images. is_mask : (c,) bool; those channels move with the
    image, but their values are not intensities and stay. What leaves the box is gone; what enters repeats its border.
    """
    n, channels = images.shape[:2]

    def uniform(reach: float, *shape: int) -> Tensor:
        return (2 * torch.rand(n, *shape, generator=generator, dtype=torch.float64) - 1) * reach

    move = _matrices(uniform(1.0, 3), settings.flip) @ _rotations(uniform(math.radians(settings.rotation_deg), 3))
    move = move * (1 + uniform(settings.scale))[:, None, None]
    # grid_sample measures each axis from -1 to 1 and in the order x, y, z: a turn in a box that is no cube needs its sizes.
    sizes = torch.tensor(images.shape[:1:-1], dtype=torch.float64)
    move = move * sizes[None, None, :] / sizes[None, :, None]
    # A shift by a fraction f of the axis is 2 f on that scale.
    theta = torch.cat([move, uniform(2 * settings.shift, 3)[:, :, None]], dim=2).to(images)
    moved = images
    if settings.flip or settings.shift or settings.rotation_deg or settings.scale:
        moved = torch.nn.functional.grid_sample(
            images, _grid(theta, images.shape[2:]), mode="bilinear", padding_mode="border", align_corners=False
        )
    if bool(is_mask.all()) or not (settings.gain or settings.offset or settings.noise):
        return moved
    shape = (channels, 1, 1, 1)
    changed = moved * (1 + uniform(settings.gain, *shape)).to(images) + uniform(settings.offset, *shape).to(images)
    if settings.noise:
        changed.add_(torch.randn(moved.shape, generator=generator, dtype=images.dtype).to(images), alpha=settings.noise)
    if not is_mask.any():
        return changed
    return torch.where(is_mask[None, :, None, None, None].to(images.device), moved, changed)


def _grid(theta: Tensor, size: Sequence[int]) -> Tensor:
    """torch's ``affine_grid(align_corners=False)`` in a sixth of its time: (n, 3, 4) -> (n, z, y, x, 3).

    A position is a sum of one term an axis, so three short rows are added up instead of multiplying a matrix for every voxel.
    """
    z, y, x = [(2 * torch.arange(count, dtype=theta.dtype, device=theta.device) + 1) / count - 1 for count in size]
    # theta's columns stand in the order x, y, z, the shift.
    along_z = theta[:, None, :, 2] * z[None, :, None] + theta[:, None, :, 3]
    along_y = theta[:, None, :, 1] * y[None, :, None]
    along_x = theta[:, None, :, 0] * x[None, :, None]
    return (along_z[:, :, None] + along_y[:, None, :])[:, :, :, None] + along_x[:, None, None, :]


def _matrices(drawn: Tensor, flip: bool) -> Tensor:
    """(n, 3, 3) diagonal of 1 and, where drawn (n, 3) is negative and flip is on, -1."""
    return torch.diag_embed(1 - 2 * ((drawn < 0) & flip).to(drawn.dtype))


def _rotations(angles: Tensor) -> Tensor:
    """(n, 3) angles about x, y, z in radians -> (n, 3, 3), applied in that order."""
    turn = torch.eye(3, dtype=angles.dtype).expand(len(angles), 3, 3)
    for axis in range(3):
        i, j = [other for other in range(3) if other != axis]
        one = torch.eye(3, dtype=angles.dtype).repeat(len(angles), 1, 1)
        cosine, sine = angles[:, axis].cos(), angles[:, axis].sin()
        one[:, i, i], one[:, j, j], one[:, i, j], one[:, j, i] = cosine, cosine, -sine, sine
        turn = one @ turn
    return turn

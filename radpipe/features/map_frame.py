"""What maps of either feature set are laid out by: the plan, its blocks, centres and grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from radpipe.core.grid import Grid
from radpipe.errors import EmptyRoiError
from radpipe.features.region import Box
from radpipe.typing import BoolVolume, FloatArray, IntArray

BLOCK = 2048
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Block:
    """A run of centres on one response of the image. response : index. start, stop : of the plan's centres."""

    response: int
    start: int
    stop: int


class MapSource(Protocol):
    """The responses of one image in turn, and the features of their windows."""

    @property
    def layout(self) -> Triple:
        """(z, y, x), voxels of what windows read: the region's box and the border around it."""

    def windows(self, response: int) -> Any:
        """What :meth:`measured` reads of one response; None where it has no value at some voxel. From several threads at once."""

    def measured(self, windows: Any, part: slice) -> FloatArray:
        """(features, centres) float64 of a run of the centres. From several threads at once."""


@dataclass(frozen=True, eq=False)
class MapPlan:
    """What an extraction of maps will compute; made by :func:`radpipe.features.maps.plan_maps`.

    grid : of the maps; the image's own, or the resampled one. columns : ``<imageType>_<family>_<Feature>``, response after response.
    centres : (n, 3) int64, (z, y, x) on ``grid``, ascending. box : the region's box with kernelRadius around it, as far as the image
    goes: what PyRadiomics' maps cover. initial : initValue, of every voxel that is no centre. responses : prefixes of the columns.
    block : centres of a block. window : (z, y, x), voxels of a window. notes : what the user should know, sentences.
    """

    grid: Grid
    columns: tuple[str, ...]
    centres: IntArray
    box: Box
    initial: float
    responses: tuple[str, ...]
    block: int
    window: Triple
    source: MapSource
    notes: tuple[str, ...] = ()

    @property
    def features(self) -> int:
        """Columns of one response."""
        return len(self.columns) // len(self.responses)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        n = len(self.centres)
        return tuple(
            Block(response, start, min(start + self.block, n))
            for response in range(len(self.responses))
            for start in range(0, n, self.block)
        )

    def rows(self, block: Block) -> slice:
        """Where the block's columns stand among all."""
        return slice(block.response * self.features, (block.response + 1) * self.features)

    @property
    def window_bytes(self) -> int:
        """Memory that one prepared response takes."""
        return int(np.prod(self.source.layout)) * (np.dtype(np.int32).itemsize + np.dtype(np.float64).itemsize)


def refuse_large_window(box: Box, radius: int, planes: Iterable[tuple[int, ...]], key: str) -> None:
    """EmptyRoiError where the window is longer than the region's box along every axis: no place would differ from another.

    planes : the axes that windows extend along, of every kind of window that is used. key : what the setting is called.
    """
    side = 2 * radius + 1
    z, y, x = (s.stop - s.start for s in box)
    if any(all(side > (z, y, x)[axis] for axis in axes) for axes in planes):
        raise EmptyRoiError(
            f"a window of {side} voxels ({key} {radius}) is larger than the region, whose box has "
            f"{x} x {y} x {z} voxels (x, y, z): its map would say no more than one number.",
            hint=f"Use a smaller {key}, resample to smaller voxels, or extract one row of features.",
        )


def centres_of(inside: BoolVolume, box: Box, stride: int, phase: Triple) -> IntArray:
    """(n, 3) int64 voxels of the region on the lattice of ``stride``, ascending; EmptyRoiError where there is none."""
    places = np.argwhere(inside[box])
    if stride > 1:
        middle = np.array([(side.stop - side.start - 1) // 2 for side in box])
        places = places[((places - middle - phase) % stride == 0).all(axis=1)]
        if not len(places):
            raise EmptyRoiError(
                f"no voxel of the region lies on the lattice of stride {stride} and phase {tuple(phase)}.",
                hint="Use a smaller stride.",
            )
    return np.ascontiguousarray(places + [side.start for side in box], np.int64)


def placed(image: Grid, loaded: Grid) -> tuple[IntArray, Grid]:
    """(how far indices move, the grid of the maps): the image's own where the loaded voxels are a part of it (preCrop)."""
    none = np.zeros(3, np.int64)
    if loaded == image or loaded.spacing_mm != image.spacing_mm or loaded.direction != image.direction:
        return none, loaded
    matrix = np.asarray(image.direction).reshape(3, 3) * np.asarray(image.spacing_mm[::-1])
    index = np.linalg.solve(matrix, np.asarray(loaded.origin_mm) - np.asarray(image.origin_mm))[::-1]
    shift = np.rint(index).astype(np.int64)
    fits = np.abs(index - shift).max() < 1e-6 and (shift >= 0).all() and (shift + loaded.shape <= image.shape).all()
    return (shift, image) if fits else (none, loaded)


def shifted(box: Box, shift: IntArray) -> Box:
    """The box, moved."""
    z, y, x = (slice(side.start + int(step), side.stop + int(step)) for side, step in zip(box, shift, strict=True))
    return z, y, x

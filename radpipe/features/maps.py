"""Image, mask -> feature maps: every feature of a window around every voxel of the region, block of centres by block.

What PyRadiomics calls voxel-based extraction, with its names and values. The image is prepared as for one row of features;
grey levels and filters are those of the whole region; only the region of a feature is a window of (2 kernelRadius + 1) voxels
along every axis. Memory follows the region, the block and the threads, never the number of grey levels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import ConfigError, EmptyRoiError, FileProblem
from radpipe.features._kernels.recursive import recursive_pass
from radpipe.features.config import FeatureSettings
from radpipe.features.images import SHAPES, image_type
from radpipe.features.loading import Loaded, load
from radpipe.features.map_windows import Windows, families_of, measured, prepared
from radpipe.features.needed import padded
from radpipe.features.parameters import Parameters
from radpipe.features.region import Box, bounding_box
from radpipe.filters.scene import Scene, readable
from radpipe.typing import FloatArray, IntArray

MOST_RADIUS = 5
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
    """What an extraction of maps will compute; made by :func:`plan_maps`.

    grid : of the maps; the image's own, or the resampled one. columns : ``<imageType>_<family>_<Feature>``, response after response.
    centres : (n, 3) int64, (z, y, x) on ``grid``, ascending. box : the region's box with kernelRadius around it, as far as the image
    goes: what PyRadiomics' maps cover. initial : initValue, of every voxel that is no centre. responses : prefixes of the columns.
    block : centres of a block. window : (z, y, x), voxels of a window.
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


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """grid, columns, centres, box, initial : as in :class:`MapPlan`. data : (columns, n), float32 unless float64 was asked for."""

    grid: Grid
    columns: tuple[str, ...]
    centres: IntArray
    box: Box
    initial: float
    data: NDArray[np.floating[Any]]

    def values(self, column: str) -> NDArray[np.floating[Any]]:
        """(n,) at the centres; NaN where the feature has no value there. ConfigError where there is no such column."""
        return np.asarray(self.data[self._row(column)])

    def map(self, column: str) -> Image:
        """On the whole grid, initValue where there is no centre."""
        voxels = np.full(self.grid.shape, self.initial, self.data.dtype)
        voxels[tuple(self.centres.T)] = self.values(column)
        return Image(self.grid, voxels)

    def cropped(self, column: str) -> Image:
        """The same in ``box`` alone: the extent of PyRadiomics' own maps."""
        start = [side.start for side in self.box]
        shape = [side.stop - side.start for side in self.box]
        voxels = np.full(shape, self.initial, self.data.dtype)
        voxels[tuple((self.centres - start).T)] = self.values(column)
        return Image(self.grid.cropped((start[0], start[1], start[2]), (shape[0], shape[1], shape[2])), voxels)

    def _row(self, column: str) -> int:
        try:
            return self.columns.index(column)
        except ValueError:
            from radpipe.core.registry import nearest

            raise ConfigError(
                f"there is no map {column!r}.{nearest(column, self.columns)}", hint="Columns are <imageType>_<family>_<Feature>."
            ) from None


def extract_maps(
    image: Image,
    mask: Mask,
    settings: FeatureSettings,
    *,
    threads: int = 1,
    stride: int = 1,
    phase: Triple = (0, 0, 0),
    dtype: type[np.float32] | type[np.float64] = np.float32,
) -> FeatureMaps:
    """Every feature's map, in memory (4 bytes a value; 8 with ``dtype`` float64).

    settings : of :func:`radpipe.features.extract.extract`; ``voxelSetting`` holds kernelRadius, maskedKernel, initValue. Shape has
    no maps and is passed over. threads : how many compute at once. stride, phase : see :func:`plan_maps`. No value depends on
    threads, stride or phase. Errors are those of :func:`plan_maps`.
    """
    plan = plan_maps(image, mask, settings, stride=stride, phase=phase)
    data = np.empty((len(plan.columns), len(plan.centres)), dtype)
    for block, values in computed(plan, threads=threads):
        data[plan.rows(block), block.start : block.stop] = values
    return FeatureMaps(plan.grid, plan.columns, plan.centres, plan.box, plan.initial, data)


def plan_maps(
    image: Image,
    mask: Mask,
    settings: FeatureSettings,
    *,
    stride: int = 1,
    phase: Triple = (0, 0, 0),
    block: int | None = None,
    grid: Grid | None = None,
) -> MapPlan:
    """What is to be computed, checked; no map is computed yet.

    grid : of the whole image, where ``image`` and ``mask`` are a part of it (:func:`radpipe.features.needed.needed_part`).

    stride : a centre at every so many voxels along every axis (a map of stride 2 is an eighth of the work); one of them is the
    middle of the region's box, moved by ``phase`` (z, y, x), 0 to stride - 1. block : centres computed together; by default
    voxelBatch, or 2,048. Values do not depend on it.

    Errors are those of :func:`radpipe.features.extract.extract`; and ConfigError for a kernelRadius over 5, the IBSI set, no family
    but shape; EmptyRoiError for a window larger than the region, or no centre in it.
    """
    parameters = _checked(settings, stride, phase)
    voxel = parameters.voxel
    if block is None:
        block = voxel.voxelBatch if voxel.voxelBatch is not None and voxel.voxelBatch > 0 else BLOCK
    if block < 1:
        raise ConfigError(f"the block of centres is {block}.", hint="Use 1 or more.")
    loaded = load(image, mask, parameters.setting)
    box = bounding_box(loaded.inside)
    _refuse_large_window(box, parameters)
    centres = _centres(loaded, box, stride, phase)
    outer = padded(box, loaded.grid.shape, voxel.kernelRadius)
    shift, grid = _place(grid or image.grid, loaded.grid)
    prefixes = [prefix for name, own in parameters.images.items() for prefix in image_type(name).prefixes(own)]
    own_names = [f"{family}_{name}" for family, names in families_of(parameters).items() for name in names]
    return MapPlan(
        grid=grid,
        columns=tuple(f"{prefix}_{name}" for prefix in prefixes for name in own_names),
        centres=centres + shift,
        box=_shifted(outer, shift),
        initial=voxel.initValue,
        responses=tuple(prefixes),
        block=block,
        window=_window(parameters),
        source=_Source(loaded, box, outer, centres, parameters),
    )


def compute(plan: MapPlan, block: Block) -> FloatArray:
    """(features, centres) float64 of one block, in the order of the response's columns. May be called from several threads."""
    windows = plan.source.windows(block.response)
    if windows is None:
        return np.full((plan.features, block.stop - block.start), np.nan)
    return plan.source.measured(windows, slice(block.start, block.stop))


def computed(plan: MapPlan, blocks: Iterable[Block] | None = None, *, threads: int = 1) -> Iterator[tuple[Block, FloatArray]]:
    """Blocks (all by default) with their values, in order, at most threads + 1 of them in memory."""
    if threads < 1:
        raise ConfigError(f"threads is {threads}.", hint="Use 1 or more.")
    todo = plan.blocks if blocks is None else blocks
    if threads == 1:
        for block in todo:
            yield block, compute(plan, block)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[Block, Future[FloatArray]]] = deque()
        try:
            for block in todo:
                waiting.append((block, pool.submit(compute, plan, block)))
                if len(waiting) > threads:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


class _Source:
    """The responses of the image, one after the other; the one that was asked for last is kept."""

    def __init__(self, loaded: Loaded, box: Box, outer: Box, centres: IntArray, parameters: Parameters) -> None:
        voxel = parameters.voxel
        seen = box if voxel.maskedKernel else outer
        inside = loaded.inside[seen] if voxel.maskedKernel else np.ones([side.stop - side.start for side in seen], bool)
        self.scene = Scene(readable(loaded.voxels), seen, np.ascontiguousarray(inside), loaded.grid.spacing_mm, recursive_pass)
        self.reach: Triple = tuple(side.stop - side.start for side in outer)
        start = [side.start for side in seen]
        self._centres = centres - start
        # All voxels of the region, centres or not.
        every = len(centres) == np.count_nonzero(loaded.inside[box])
        self._voxels = self._centres if every else np.argwhere(loaded.inside[box]) + [side.start for side in box] - start
        self._parameters = parameters
        self._lock = Lock()
        self._next = 0
        self._responses: Iterator[tuple[str, Any, Any]] = iter(())
        self._kept: tuple[int, Windows | None] = (-1, None)
        if not voxel.maskedKernel:
            self._refuse_undefined()

    @property
    def border(self) -> int:
        """Of zeros around the box: a window, and the longest offset that fits into one."""
        radius = self._parameters.voxel.kernelRadius
        return radius + max(min(max(own.distances), 2 * radius) for own in self._parameters.images.values())

    @property
    def layout(self) -> Triple:
        z, y, x = (side.stop - side.start + 2 * self.border for side in self.scene.box)
        return z, y, x

    def measured(self, windows: Windows, part: slice) -> FloatArray:
        return measured(windows, self._parameters, part)

    def windows(self, response: int) -> Windows | None:
        with self._lock:
            if self._kept[0] != response:
                self._kept = (-1, None)
                self._kept = (response, self._prepared(response))
            return self._kept[1]

    def _prepared(self, response: int) -> Windows | None:
        if response < self._next or self._next == 0:
            self._next = 0
            self._responses = (
                (prefix, values, own)
                for name, own in self._parameters.images.items()
                for prefix, values in image_type(name).respond(self.scene, own)
            )
        for prefix, values, own in self._responses:
            self._next += 1
            if self._next == response + 1:
                if values.dtype.kind == "f" and not np.isfinite(values).all():
                    return None
                return prepared(
                    prefix, values, self.scene, own, self._parameters.voxel.kernelRadius, self.border, self.reach, self._centres,
                    self._voxels,
                )  # fmt: skip
        raise IndexError(response)

    def _refuse_undefined(self) -> None:
        values = self.scene.values
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise FileProblem(
                f"{int(np.count_nonzero(~np.isfinite(values)))} voxels around the region are NaN or infinite, and maskedKernel: false "
                "reads them.",
                hint="Mend the image, or set maskedKernel: true.",
            )


def _checked(settings: FeatureSettings, stride: int, phase: Triple) -> Parameters:
    if settings.feature_set != "pyradiomics":
        raise ConfigError("feature maps are of the PyRadiomics set; the IBSI set has none.", hint="Set feature_set: pyradiomics.")
    if settings.engine != "radpipe":
        raise ConfigError(f"engine {settings.engine} makes no maps here.", hint="Use `engine: radpipe`; the values agree.")
    parameters = settings.parameters
    if parameters.voxel.kernelRadius > MOST_RADIUS:
        raise ConfigError(
            f"voxelSetting.kernelRadius is {parameters.voxel.kernelRadius}; a window may reach 1 to {MOST_RADIUS} voxels.",
            hint="Use a smaller kernelRadius, or resample to larger voxels.",
        )
    if not any(family not in SHAPES for family in parameters.features):
        raise ConfigError(
            "shape has no maps, and featureClass names no other family.", hint="Add firstorder or a texture family."
        )
    if stride < 1:
        raise ConfigError(f"stride is {stride}.", hint="Use 1 (every voxel) or more.")
    if len(phase) != 3 or any(not 0 <= step < stride for step in phase):
        raise ConfigError(f"phase is {tuple(phase)}.", hint=f"Use three numbers from 0 to {stride - 1} (stride - 1).")
    return parameters


def _window(parameters: Parameters) -> Triple:
    """(z, y, x) voxels of a window; 1 along the axis that every image type's force2D leaves out."""
    side = 2 * parameters.voxel.kernelRadius + 1
    flat = {own.force2Ddimension if own.force2D else None for own in parameters.images.values()}
    z, y, x = (1 if flat == {axis} else side for axis in range(3))
    return z, y, x


def _refuse_large_window(box: Box, parameters: Parameters) -> None:
    """EmptyRoiError where the window is longer than the region's box along every axis: no place would differ from another."""
    side = 2 * parameters.voxel.kernelRadius + 1
    sizes = [s.stop - s.start for s in box]
    flat = {own.force2Ddimension for own in parameters.images.values() if own.force2D}
    for axes in [[axis for axis in range(3) if axis != out] for out in flat] or [[0, 1, 2]]:
        if all(side > sizes[axis] for axis in axes):
            z, y, x = sizes
            raise EmptyRoiError(
                f"a window of {side} voxels (kernelRadius {parameters.voxel.kernelRadius}) is larger than the region, whose box has "
                f"{x} x {y} x {z} voxels (x, y, z): its map would say no more than one number.",
                hint="Use a smaller kernelRadius, resample to smaller voxels, or extract one row of features.",
            )


def _centres(loaded: Loaded, box: Box, stride: int, phase: Triple) -> IntArray:
    places = np.argwhere(loaded.inside[box])
    if stride > 1:
        middle = np.array([(side.stop - side.start - 1) // 2 for side in box])
        places = places[((places - middle - phase) % stride == 0).all(axis=1)]
        if not len(places):
            raise EmptyRoiError(
                f"no voxel of the region lies on the lattice of stride {stride} and phase {tuple(phase)}.",
                hint="Use a smaller stride.",
            )
    return np.ascontiguousarray(places + [side.start for side in box], np.int64)


def _place(image: Grid, loaded: Grid) -> tuple[IntArray, Grid]:
    """(how far indices move, the grid of the maps): the image's own where the loaded voxels are a part of it (preCrop)."""
    none = np.zeros(3, np.int64)
    if loaded == image or loaded.spacing_mm != image.spacing_mm or loaded.direction != image.direction:
        return none, loaded
    matrix = np.asarray(image.direction).reshape(3, 3) * np.asarray(image.spacing_mm[::-1])
    index = np.linalg.solve(matrix, np.asarray(loaded.origin_mm) - np.asarray(image.origin_mm))[::-1]
    shift = np.rint(index).astype(np.int64)
    fits = np.abs(index - shift).max() < 1e-6 and (shift >= 0).all() and (shift + loaded.shape <= image.shape).all()
    return (shift, image) if fits else (none, loaded)


def _shifted(box: Box, shift: IntArray) -> Box:
    z, y, x = (slice(side.start + int(step), side.stop + int(step)) for side, step in zip(box, shift, strict=True))
    return z, y, x

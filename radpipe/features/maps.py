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
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import ConfigError, FileProblem
from radpipe.features._kernels.periodic import periodic_pass
from radpipe.features._kernels.recursive import recursive_pass
from radpipe.features.config import FeatureSettings
from radpipe.features.images import SHAPES, image_type
from radpipe.features.loading import Loaded, load
from radpipe.features.map_frame import (
    BLOCK,
    Block,
    MapPlan,
    Triple,
    centres_of,
    placed,
    refuse_large_window,
    shifted,
)
from radpipe.features.map_windows import Windows, families_of, measured, prepared
from radpipe.features.needed import padded
from radpipe.features.parameters import Parameters
from radpipe.features.region import Box
from radpipe.filters.scene import Scene, readable
from radpipe.typing import FloatArray, IntArray

MOST_RADIUS = 5


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

    settings : of :func:`radpipe.features.extract.extract`; ``voxelSetting`` holds kernelRadius, maskedKernel, initValue (the IBSI
    set: kernel_radius, init_value). Shape, and four families of the IBSI set, have no maps and are passed over. threads : how many
    compute at once. stride, phase : see :func:`plan_maps`. No value depends on threads, stride or phase. Errors are those of :func:`plan_maps`.
    """
    plan = plan_maps(image, mask, settings, stride=stride, phase=phase)
    data = np.empty((len(plan.columns), len(plan.centres)), dtype)
    _check_threads(threads)
    if threads == 1:
        for block in plan.blocks:
            _fill(data, plan, block)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(_fill, data, plan, block) for block in plan.blocks]:
                done.result()
    return FeatureMaps(plan.grid, plan.columns, plan.centres, plan.box, plan.initial, data)


def _fill(data: NDArray[np.floating[Any]], plan: MapPlan, block: Block) -> None:
    """Whoever computes a block also puts it into its place, so that no thread waits for another."""
    data[plan.rows(block), block.start : block.stop] = compute(plan, block)


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
    middle of the region's box, moved by ``phase`` (z, y, x), 0 to stride - 1. block : centres computed together. Values do not
    depend on it, and memory hardly: voxelBatch, which PyRadiomics needs for that, changes nothing.

    Errors are those of :func:`radpipe.features.extract.extract`; and ConfigError for a kernelRadius over 5, or no
    family that has maps; EmptyRoiError for a window larger than the region, or no centre in it.
    """
    if stride < 1:
        raise ConfigError(f"stride is {stride}.", hint="Use 1 (every voxel) or more.")
    if len(phase) != 3 or any(not 0 <= step < stride for step in phase):
        raise ConfigError(f"phase is {tuple(phase)}.", hint=f"Use three numbers from 0 to {stride - 1} (stride - 1).")
    if block is not None and block < 1:
        raise ConfigError(f"the block of centres is {block}.", hint="Use 1 or more.")
    if settings.feature_set == "ibsi":
        from radpipe.features.map_ibsi import plan_ibsi_maps

        return plan_ibsi_maps(image, mask, settings, stride, phase, block, grid or image.grid)
    parameters = _checked(settings)
    voxel = parameters.voxel
    loaded = load(image, mask, parameters.setting)
    box = loaded.box
    refuse_large_window(box, voxel.kernelRadius, _planes(parameters), "kernelRadius")
    centres = centres_of(loaded.inside, box, stride, phase)
    outer = padded(box, loaded.grid.shape, voxel.kernelRadius)
    shift, grid = placed(grid or image.grid, loaded.grid)
    prefixes = [prefix for name, own in parameters.images.items() for prefix in image_type(name).prefixes(own)]
    own_names = [f"{family}_{name}" for family, names in families_of(parameters).items() for name in names]
    return MapPlan(
        grid=grid,
        columns=tuple(f"{prefix}_{name}" for prefix in prefixes for name in own_names),
        centres=centres + shift,
        box=shifted(outer, shift),
        initial=voxel.initValue,
        responses=tuple(prefixes),
        block=block or BLOCK,
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
    _check_threads(threads)
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


def _check_threads(threads: int) -> None:
    if threads < 1:
        raise ConfigError(f"threads is {threads}.", hint="Use 1 or more.")


class _Source:
    """The responses of the image, one after the other; the one that was asked for last is kept."""

    def __init__(self, loaded: Loaded, box: Box, outer: Box, centres: IntArray, parameters: Parameters) -> None:
        voxel = parameters.voxel
        seen = box if voxel.maskedKernel else outer
        inside = loaded.inside[seen] if voxel.maskedKernel else np.ones([side.stop - side.start for side in seen], bool)
        self.scene = Scene(
            readable(loaded.voxels), seen, np.ascontiguousarray(inside), loaded.grid.spacing_mm, recursive_pass, periodic_pass
        )
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
                    self._voxels, "firstorder" in self._parameters.features,
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


def _checked(settings: FeatureSettings) -> Parameters:
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
    return parameters


def _planes(parameters: Parameters) -> list[tuple[int, ...]]:
    """The axes that windows extend along, of the image types with force2D; all three where none has it."""
    flat = {own.force2Ddimension for own in parameters.images.values() if own.force2D}
    return [tuple(axis for axis in range(3) if axis != out) for out in flat] or [(0, 1, 2)]


def _window(parameters: Parameters) -> Triple:
    """(z, y, x) voxels of a window; 1 along the axis that every image type's force2D leaves out."""
    side = 2 * parameters.voxel.kernelRadius + 1
    flat = {own.force2Ddimension if own.force2D else None for own in parameters.images.values()}
    z, y, x = (1 if flat == {axis} else side for axis in range(3))
    return z, y, x

"""One response of the image as the window kernels read it, and every family's values in the windows of a block of centres."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from radpipe.errors import RadpipeError
from radpipe.features import glcm
from radpipe.features._kernels._jit import LevelArray
from radpipe.features.cells import distance_mm
from radpipe.features.images import SHAPES
from radpipe.features.parameters import Parameters, TextureSettings
from radpipe.features.region import Levels, Region, bin_edges, digitised, directions, laid_out
from radpipe.filters.scene import Scene
from radpipe.typing import BoolVolume, FloatArray, IntArray, Volume

Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Windows:
    """levels : of all voxels that windows may read. region_values : (n,) their intensities, in memory order, in the response's dtype; None
    where first order is not asked for. mask : (z, y, x), the voxels. places : (n,) of the centres in ``levels.flat``.
    region : of all voxels of the region, centres or not. radius : kernelRadius. reach : (z, y, x), sizes of the image as PyRadiomics
    crops it; offsets as long are left out. own : settings of the image type."""

    levels: Levels
    region_values: Volume | None
    mask: BoolVolume
    places: IntArray
    region: IntArray
    radius: int
    reach: Triple
    own: TextureSettings

    @property
    def flat_axis(self) -> int | None:
        return self.own.force2Ddimension if self.own.force2D else None

    @cached_property
    def values(self) -> FloatArray:
        """float64 intensities, laid out as ``levels.flat``; NaN where nothing is read."""
        assert self.region_values is not None
        spread = np.full(self.levels.flat.size, np.nan)
        spread[self.levels.where] = self.region_values
        return spread

    @cached_property
    def ordered(self) -> Levels:
        """``levels`` for first order, whose edges PyRadiomics computes in float64 here."""
        values, own, levels = self.region_values, self.own, self.levels
        if values is None or values.dtype.kind != "f" or values.dtype.itemsize == 8:
            return levels
        wide = values.astype(np.float64)
        grey = digitised(wide, bin_edges(wide, own.binWidth, own.binCount))
        if np.array_equal(grey, levels.flat[levels.where]):
            return levels
        return laid_out(Region(wide, self.mask, levels.spacing_mm), grey, (levels.shape[0] - levels.box[0]) // 2)

    @cached_property
    def extent(self) -> IntArray:
        """(3,), kernelRadius; 0 along the axis that force2D leaves out."""
        return np.array([0 if axis == self.flat_axis else self.radius for axis in range(3)], np.int64)

    @cached_property
    def shape(self) -> IntArray:
        """(3,), of ``levels.flat``."""
        return np.array(self.levels.shape, np.int64)

    @cached_property
    def single_level(self) -> bool:
        """Whether all voxels that windows may read are of one level."""
        return int(self.levels.flat[self.levels.where].min()) == self.levels.n_levels

    @cached_property
    def steps(self) -> IntArray:
        """The window's voxels from its centre, in ``levels.flat``, ascending."""
        z, y, x = (np.arange(-int(reach), int(reach) + 1) for reach in self.extent)
        return self.levels.steps(np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1).reshape(-1, 3))

    @cached_property
    def pairs(self) -> tuple[IntArray, LevelArray, LevelArray, IntArray]:
        """GLCM's directions, and the pairs of a window's voxels in each (``window_pairs``).

        Without weightingNorm, directions that have no pair in any window of the region are left out, as in PyRadiomics: there
        JointAverage is NaN where one of the others has none.
        """
        from radpipe.features._kernels.window_cooccurrence import directions_with_pairs, window_pairs

        angles = self.offsets(self.own.distances, both=False)
        z, y, x = (int(reach) for reach in self.extent)
        pairs = window_pairs((z, y, x), angles)
        if self.own.weightingNorm is None:
            used = directions_with_pairs(self.levels.flat, self.region, self.steps, *pairs[1:]).astype(bool)
            angles = np.ascontiguousarray(angles[used])
            pairs = window_pairs((z, y, x), angles)
        return angles, *pairs[1:]

    def alone(self, place: int) -> Levels:
        """The window around one voxel as a region of its own, with the same levels."""
        far = max(self.own.distances)
        at = np.unravel_index(place, self.levels.shape)
        window = tuple(slice(int(i - r), int(i + r) + 1) for i, r in zip(at, self.extent, strict=True))
        inside = self.levels.flat.reshape(self.levels.shape)[window]
        bordered = np.pad(inside, far)
        z, y, x = bordered.shape
        flat = np.ascontiguousarray(bordered).ravel()
        where = np.flatnonzero(flat).astype(np.int32)
        return Levels(flat, (z, y, x), where, self.levels.n_levels, inside.shape, self.levels.spacing_mm)

    @cached_property
    def touching(self) -> IntArray:
        """(k, 3) offsets of distance 1 that point forward in memory."""
        return self.offsets((1,), both=False)

    @cached_property
    def neighbours(self) -> IntArray:
        """(k, 3) offsets of the distances asked for, both ways."""
        return self.offsets(self.own.distances, both=True)

    def offsets(self, distances: tuple[int, ...], *, both: bool) -> IntArray:
        """(k, 3) that fit into a window, in PyRadiomics' order; EmptyRoiError where the image itself has none."""
        found = directions(self.reach, distances, self.flat_axis, both=both)
        return np.ascontiguousarray(found[np.abs(found).max(axis=1) <= 2 * self.radius])


def prepared(
    prefix: str,
    values: Volume,
    scene: Scene,
    own: TextureSettings,
    radius: int,
    border: int,
    reach: Triple,
    centres: IntArray,
    voxels: IntArray,
    first_order: bool,
) -> Windows:
    """values : (n,), of the scene's voxels in memory order. centres, voxels : (n, 3) in the scene's box; of the maps, and of the region.
    first_order : whether it is asked for. RadpipeError: too many grey levels."""
    try:
        grey = digitised(values, bin_edges(values, own.binWidth, own.binCount))
        levels = laid_out(Region(values, scene.mask, scene.spacing_mm), grey, border)

        def places(of: IntArray) -> IntArray:
            return np.asarray(np.ravel_multi_index(tuple((of + border).T), levels.shape), np.int64)

        found = places(centres)
        region = found if voxels is centres else places(voxels)
        windows = Windows(levels, values if first_order else None, scene.mask, found, region, radius, reach, own)
        if first_order:  # made by one thread, before there are several
            _ = windows.ordered, windows.values
    except RadpipeError as error:
        if prefix == "original":
            raise
        raise type(error)(f"image type {prefix}: {error.problem}", hint=error.hint, kind=error.kind) from error
    return windows


def families_of(parameters: Parameters) -> dict[str, tuple[str, ...]]:
    """family -> names, of the families that have maps."""
    return {family: names for family, names in parameters.features.items() if family not in SHAPES}


def measured(windows: Windows, parameters: Parameters, part: slice) -> FloatArray:
    """(features, centres) of a run of the centres: the wanted features of every family, in order."""
    places = np.ascontiguousarray(windows.places[part])
    wanted = families_of(parameters)
    rows = np.empty((sum(map(len, wanted.values())), places.size))
    found: dict[str, Found] = {}
    start = 0
    for family, names in wanted.items():
        if family not in found:
            found |= _FAMILIES[family](windows, places, wanted)
        known, values = found[family]
        own = rows[start : start + len(names)]
        if names == known[: len(names)]:
            own[:] = values[:, : len(names)].T
        else:
            own[:] = values[:, [known.index(name) for name in names]].T
        start += len(names)
    return rows


# What each family's kernel is called with.

Found = tuple[tuple[str, ...], FloatArray]
"""(names, (centres, names) float64)."""
Wanted = Mapping[str, tuple[str, ...]]


def _first_order(windows: Windows, places: IntArray, wanted: Wanted) -> dict[str, Found]:
    from radpipe.features._kernels.window_firstorder import ALSO, NAMES, window_firstorder

    levels = windows.ordered
    out = np.empty((places.size, len(NAMES) + len(ALSO)))
    volume = float(np.prod(levels.spacing_mm))
    shift = float(windows.own.voxelArrayShift)
    window_firstorder(windows.values, levels.flat, places, windows.steps, levels.n_levels, shift, volume, out)
    return {"firstorder": (NAMES, out)}


def _pairs(windows: Windows, places: IntArray, wanted: Wanted) -> dict[str, Found]:
    from radpipe.features._kernels.window_cooccurrence import NAMES, window_glcm
    from radpipe.features._kernels.window_weighted import window_glcm_weighted

    levels, own = windows.levels, windows.own
    with_mcc = "MCC" in wanted["glcm"]
    out = np.full((places.size, len(NAMES)), np.nan)
    first, second, starts = windows.pairs[1:]
    if own.weightingNorm is None:
        window_glcm(
            levels.flat, places, windows.steps, first, second, starts, levels.n_levels, own.symmetricalGLCM, with_mcc,
            windows.single_level, True, True, out,
        )  # fmt: skip
        return {"glcm": (NAMES, out)}
    angles = windows.pairs[0]
    weights = np.ones(len(angles))
    if own.weightingNorm != "no_weighting":
        weights = np.exp(-(distance_mm(angles, levels.spacing_mm, own.weightingNorm) ** 2))
    doubtful = np.zeros(places.size, np.uint8)
    window_glcm_weighted(
        levels.flat, places, windows.steps, first, second, starts, weights, levels.n_levels, own.symmetricalGLCM, with_mcc, out,
        doubtful,
    )  # fmt: skip
    for k in np.flatnonzero(doubtful):
        values = glcm.compute(windows.alone(places[k]), angles, own.symmetricalGLCM, own.weightingNorm, with_mcc)
        out[k] = [values[name] for name in NAMES]
    return {"glcm": (NAMES, out)}


def _runs(windows: Windows, places: IntArray, wanted: Wanted) -> dict[str, Found]:
    from radpipe.features._kernels.window_runs import NAMES, ORDER, window_runs

    levels, norm = windows.levels, windows.own.weightingNorm
    offsets = windows.touching
    weights = np.zeros(0)
    if norm is not None:
        weights = np.ones(len(offsets)) if norm == "no_weighting" else distance_mm(offsets, levels.spacing_mm, norm)
    out = np.empty((places.size, len(NAMES)))
    window_runs(
        levels.flat, places, windows.shape, windows.extent, levels.n_levels, offsets, norm is not None, weights, False, ORDER, out
    )
    return {"glrlm": (NAMES, out)}


def _zones(windows: Windows, places: IntArray, wanted: Wanted) -> dict[str, Found]:
    from radpipe.features._kernels.window_zones import NAMES, ORDER, window_zones

    levels = windows.levels
    out = np.empty((places.size, len(NAMES)))
    offsets = windows.touching
    window_zones(levels.flat, places, windows.shape, windows.extent, levels.n_levels, offsets, ORDER, out)
    return {"glszm": (NAMES, out)}


def _around(windows: Windows, places: IntArray, wanted: Wanted) -> dict[str, Found]:
    """GLDM and NGTDM, from the same neighbours."""
    from radpipe.features._kernels.window_neighbourhood import GLDM_NAMES, GLDM_ORDER, NGTDM_NAMES, window_neighbourhood

    levels = windows.levels
    gldm = np.empty((places.size if "gldm" in wanted else 0, len(GLDM_NAMES)))
    ngtdm = np.empty((places.size if "ngtdm" in wanted else 0, len(NGTDM_NAMES)))
    offsets = windows.neighbours
    window_neighbourhood(
        levels.flat,
        places,
        windows.shape,
        windows.extent,
        levels.n_levels,
        offsets,
        windows.own.gldm_a,
        GLDM_ORDER,
        True,
        gldm,
        ngtdm,
    )
    return {"gldm": (GLDM_NAMES, gldm), "ngtdm": (NGTDM_NAMES, ngtdm)}


_FAMILIES: dict[str, Callable[[Windows, IntArray, Wanted], dict[str, Found]]] = {
    "firstorder": _first_order,
    "glcm": _pairs,
    "gldm": _around,
    "glrlm": _runs,
    "glszm": _zones,
    "ngtdm": _around,
}
"""A new family with maps is one function and one line here."""

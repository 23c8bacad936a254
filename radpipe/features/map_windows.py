"""One response of the image as the window kernels read it, and every family's values in the windows of a block of centres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radpipe.core.registry import lookup
from radpipe.errors import RadpipeError
from radpipe.features.family import FeatureFamily
from radpipe.features.images import SHAPES
from radpipe.features.parameters import Parameters, TextureSettings
from radpipe.features.region import Levels, Region, bin_edges, directions, discretise
from radpipe.features.registry import FAMILIES
from radpipe.filters.scene import Scene
from radpipe.typing import FloatArray, IntArray, Volume

Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Windows:
    """levels : of all voxels that windows may read. ordered : the same for first order, whose edges PyRadiomics computes in float64
    here. values : float64, laid out as ``levels.flat``; NaN where nothing is read. places : (n,) of the centres in ``levels.flat``.
    reach : (z, y, x), sizes of PyRadiomics' cropped image: offsets as long are left out. own : settings of the image type."""

    levels: Levels
    ordered: Levels
    values: FloatArray
    places: IntArray
    radius: int
    reach: Triple
    own: TextureSettings

    @property
    def flat_axis(self) -> int | None:
        return self.own.force2Ddimension if self.own.force2D else None

    def offsets(self, distances: tuple[int, ...], *, both: bool) -> IntArray:
        """(k, 3) that fit into a window, in PyRadiomics' order; EmptyRoiError where the image itself has none."""
        found = directions(self.reach, distances, self.flat_axis, both=both)
        return np.ascontiguousarray(found[np.abs(found).max(axis=1) <= 2 * self.radius])


def prepared(
    prefix: str, values: Volume, scene: Scene, own: TextureSettings, radius: int, border: int, reach: Triple, centres: IntArray
) -> Windows:
    """values : (n,), of the scene's region in memory order. centres : (n, 3) in the scene's box. RadpipeError: too many grey levels."""
    region = Region(values, scene.mask, scene.spacing_mm)
    try:
        levels = discretise(region, bin_edges(values, own.binWidth, own.binCount), border)
        ordered = levels
        if values.dtype.kind == "f" and values.dtype.itemsize < 8:
            wide = values.astype(np.float64)
            ordered = discretise(Region(wide, scene.mask, scene.spacing_mm), bin_edges(wide, own.binWidth, own.binCount), border)
            if np.array_equal(ordered.flat, levels.flat):
                ordered = levels
    except RadpipeError as error:
        if prefix == "original":
            raise
        raise type(error)(f"image type {prefix}: {error.problem}", hint=error.hint, kind=error.kind) from error
    spread = np.full(levels.flat.size, np.nan)
    spread[levels.where] = values
    places = np.ravel_multi_index(tuple((centres + border).T), levels.shape).astype(np.int64)
    return Windows(levels, ordered, spread, places, radius, reach, own)


def families_of(parameters: Parameters) -> dict[str, tuple[str, ...]]:
    """family -> names, of the families that have maps."""
    return {family: names for family, names in parameters.features.items() if family not in SHAPES}


def measured(windows: Windows, parameters: Parameters, part: slice) -> FloatArray:
    """(features, centres) of a run of the centres: the wanted features of every family, in order."""
    places = windows.places[part]
    rows = []
    for family, names in families_of(parameters).items():
        known, found = _FAMILIES[family](windows, places)
        rows.append(found[:, [known.index(name) for name in names]].T)
    return np.concatenate(rows)


Found = tuple[tuple[str, ...], FloatArray]
"""(names, (centres, names) float64)."""

_FAMILIES: dict[str, Callable[[Windows, IntArray], Found]] = {}

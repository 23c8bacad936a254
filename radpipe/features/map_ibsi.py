"""Feature maps of the IBSI set: its features of the window around every voxel, by IBSI's names.

The image is prepared as for one row of features; intensities, grey levels and filters are those of the whole region, and so is Ng,
the number of grey levels that two GLCM features divide by. A window is a region of its own in all else: it is what the
intensity mask leaves of a box of (2 kernel_radius + 1) voxels along every axis, or within the plane with ``dimension: 2D``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import ConfigError, FileProblem, RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.ibsi.catalogue import column_families, feature_names
from radpipe.features.ibsi.discretise import grey_levels, laid_out
from radpipe.features.ibsi.extract import image_types
from radpipe.features.ibsi.parameters import IbsiParameters
from radpipe.features.ibsi.prepare import Prepared, all_finite, prepare, resampled_axis
from radpipe.features.ibsi.textures import around, directions
from radpipe.features.map_frame import BLOCK, MapPlan, Triple, centres_of, placed, refuse_large_window, shifted
from radpipe.features.needed import padded
from radpipe.features.region import Box, Levels, bounding_box
from radpipe.typing import FloatArray, IntArray, Volume

MAPPED = ("stat", "ih", "cm", "rlm", "szm", "ngt", "ngl")
WITHOUT = {
    "morph": "it describes the region's outline, and a window's outline is a box",
    "loc": "its sphere of 1 cm3 is larger than most windows, and reads voxels outside them",
    "ivh": "its fractions are of the region's range of intensities, which a window of a few voxels does not fill",
    "dzm": "its distances are from the region's border, and a window's border is that of a box",
}
"""Family -> why it has no maps."""
# Where the manual's sixteen features (and NGLDM's energy) stand among those of window_cells.level_size.
_LEVEL_SIZE = np.array((0, 1, 10, 11, 12, 13, 14, 15, 2, 3, 4, 5, 6, 7, 8, 9))
_LEVEL_SIZE_ENERGY = np.append(_LEVEL_SIZE, 16)
_MOST_COARSENESS = 1e6


@dataclass(frozen=True, eq=False)
class IbsiWindows:
    """levels : of the intensity mask. values : float64 intensities, laid out as ``levels.flat``. places : of the centres in it.
    extent : (3,), how far a window reaches along z, y, x. parameters : of the extraction."""

    levels: Levels
    values: FloatArray
    places: IntArray
    extent: IntArray
    parameters: IbsiParameters

    @property
    def by_plane(self) -> bool:
        return self.parameters.dimension == "2D"

    @cached_property
    def shape(self) -> IntArray:
        return np.array(self.levels.shape, np.int64)

    @cached_property
    def steps(self) -> IntArray:
        """The window's voxels from its centre, in ``levels.flat``, ascending."""
        z, y, x = (np.arange(-int(reach), int(reach) + 1) for reach in self.extent)
        return self.levels.steps(np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1).reshape(-1, 3))

    @cached_property
    def level_values(self) -> FloatArray:
        return self.levels.flat.astype(np.float64)

    def near(self, distance: int) -> IntArray:
        """(n, 3) offsets within a distance that fit into a window, both ways."""
        found = around(min(distance, int(2 * self.extent.max())), by_plane=self.by_plane)
        return np.ascontiguousarray(found[(np.abs(found) <= 2 * self.extent).all(axis=1)])


def plan_ibsi_maps(
    image: Image, mask: Mask, settings: FeatureSettings, stride: int, phase: Triple, block: int | None, whole: Grid
) -> MapPlan:
    """:func:`radpipe.features.maps.plan_maps` of the IBSI set. whole : grid that ``image`` is a part of."""
    parameters = settings.ibsi_parameters
    _refuse_unmapped(parameters)
    prepared = prepare(image, mask, parameters)
    if parameters.filter is not None and not all_finite(prepared.voxels):
        raise FileProblem(
            "the image has NaN or infinite voxels, which a filter spreads.", hint="Mend the image, or leave the filter out."
        )
    radius = parameters.kernel_radius
    extent: Triple = (0 if parameters.dimension == "2D" else radius, radius, radius)
    box = bounding_box(prepared.intensity)
    refuse_large_window(box, radius, [tuple(axis for axis in range(3) if extent[axis])], "kernel_radius")
    centres = centres_of(prepared.intensity, box, stride, phase)
    shape: Triple = tuple(prepared.voxels.shape)
    shift, grid = placed(whole, _grid(image.grid, prepared))
    families = [entry for entry in column_families(parameters) if entry[0] in MAPPED]
    prefixes = tuple(image_types(parameters))
    left = [f"{family} ({WITHOUT[family]})" for family in parameters.families if family in WITHOUT]
    z, y, x = (2 * reach + 1 for reach in extent)
    return MapPlan(
        grid=grid,
        columns=tuple(
            f"{prefix}_{named}_{name}" for prefix in prefixes for family, _, named in families for name in feature_names(family)
        ),
        centres=centres + shift,
        box=shifted(padded(box, shape, radius), shift),
        initial=parameters.init_value,
        responses=prefixes,
        block=block or BLOCK,
        window=(z, y, x),
        source=IbsiSource(prepared, box, centres, extent, parameters, families),
        notes=(f"no maps of {'; '.join(left)}",) if left else (),
    )


def _refuse_unmapped(parameters: IbsiParameters) -> None:
    if not set(parameters.families) & set(MAPPED):
        why = "; ".join(f"{family}: {WITHOUT[family]}" for family in parameters.families)
        raise ConfigError(
            f"none of the families asked for has maps ({why}).", hint=f"Add one of {', '.join(MAPPED)} to families."
        )
    other = [way for way in parameters.aggregations if way.startswith("3D") != (parameters.dimension == "3D")]
    textured = [family for family, way, _ in column_families(parameters) if way and family in MAPPED]
    if textured and other:
        fits, shape = ("3D-avg and 3D-mrg", "cubes") if parameters.dimension == "3D" else ("2D- and 25D-", "flat, of one plane")
        raise ConfigError(
            f"aggregation {other[0]} has no maps with dimension {parameters.dimension}, whose windows are {shape}.",
            hint=f"Use aggregations {fits}, or the other dimension.",
        )
    side = 2 * parameters.kernel_radius
    if "cm" in parameters.families and parameters.glcm_distance > side:
        raise ConfigError(
            f"no two voxels of a window of {side + 1} are glcm_distance {parameters.glcm_distance} apart.",
            hint="Use a shorter glcm_distance or a larger kernel_radius.",
        )


def _grid(grid: Grid, prepared: Prepared) -> Grid:
    """Of the prepared voxels: the image's own, or the resampled one, which shares its middle."""
    if prepared.spacing_mm == grid.spacing_mm:
        return grid
    first = [resampled_axis(n, old, new)[0] for n, old, new in zip(grid.shape, grid.spacing_mm, prepared.spacing_mm, strict=True)]
    x, y, z = (float(value) for value in grid.world_mm(np.array(first)))
    depth, height, width = prepared.voxels.shape
    return Grid((depth, height, width), prepared.spacing_mm, (x, y, z), grid.direction)


class IbsiSource:
    """The responses of the filters, or the image itself; the one that was asked for last is kept."""

    def __init__(
        self,
        prepared: Prepared,
        box: Box,
        centres: IntArray,
        extent: Triple,
        parameters: IbsiParameters,
        families: list[tuple[str, str, str]],
    ) -> None:
        self._prepared = prepared if parameters.filter is not None else _cut(prepared, box)
        self._box: Box = box if parameters.filter is not None else (slice(None), slice(None), slice(None))
        self._mask = np.ascontiguousarray(prepared.intensity[box])
        self._centres = centres - [side.start for side in box]
        self._extent = np.array(extent, np.int64)
        self._parameters = parameters
        self._families = families
        self._prefixes = list(image_types(parameters))
        self._lock = Lock()
        self._next = 0
        self._responses: Iterator[tuple[int, Volume]] = iter(())
        self._kept: tuple[int, IbsiWindows | None] = (-1, None)

    @property
    def border(self) -> int:
        """Of zeros around the box: a window, and the longest offset that fits into one."""
        reach = int(self._extent.max())
        own = self._parameters
        return reach + min(max(1, own.glcm_distance, own.ngtdm_distance, own.ngldm_distance), 2 * reach)

    @property
    def layout(self) -> Triple:
        z, y, x = (size + 2 * self.border for size in self._mask.shape)
        return z, y, x

    def windows(self, response: int) -> IbsiWindows | None:
        with self._lock:
            if self._kept[0] != response:
                self._kept = (-1, None)
                if response < self._next or self._next == 0:
                    self._responses = self._all()
                for number, voxels in self._responses:
                    self._next = number + 1
                    if number == response:
                        self._kept = (response, self._laid_out(response, voxels[self._mask].astype(np.float64, copy=False)))
                        break
            return self._kept[1]

    def _all(self) -> Iterator[tuple[int, Volume]]:
        """(number, (z, y, x) of the box) of every response in turn."""
        if self._parameters.filter is None:
            yield 0, self._prepared.voxels
            return
        from radpipe.features.ibsi.filters import responses

        whole = self._prepared
        for number, (_, voxels) in enumerate(responses(whole.voxels, whole.spacing_mm, self._parameters, self._box)):
            yield number, voxels

    def _laid_out(self, response: int, values: FloatArray) -> IbsiWindows | None:
        if not np.isfinite(values).all():
            return None
        own = self._parameters
        # The resegmentation range speaks of the image, not of a filter's response.
        limits = own.resegment_range if own.filter is None else None
        try:
            grey = grey_levels(values, own.discretise, (limits or (None, None))[0])
        except RadpipeError as error:
            if own.filter is None:
                raise
            prefix = self._prefixes[response]
            raise type(error)(f"image type {prefix}: {error.problem}", hint=error.hint, kind=error.kind) from error
        levels = laid_out(self._mask, grey, self.border, self._prepared.spacing_mm)
        spread = np.full(levels.flat.size, np.nan)
        spread[levels.where] = values
        places = np.ravel_multi_index(tuple((self._centres + self.border).T), levels.shape)
        return IbsiWindows(levels, spread, np.asarray(places, np.int64), self._extent, own)

    def measured(self, windows: IbsiWindows, part: slice) -> FloatArray:
        places = np.ascontiguousarray(windows.places[part])
        made: dict[tuple[str, bool], FloatArray] = {}
        rows = []
        for family, way, _ in self._families:
            key = (family, way.endswith("-mrg"))  # a window of one plane: its planes need no bringing together
            if key not in made:
                made[key] = _MAKERS[family](windows, places, key[1])
            rows.append(made[key].T)
        return np.concatenate(rows)


def _cut(prepared: Prepared, box: Box) -> Prepared:
    """The box alone, so that the rest of the image can go."""
    return Prepared(
        prepared.voxels[box].copy(), prepared.morphological[box].copy(), prepared.intensity[box].copy(), prepared.spacing_mm
    )


# (centres, features) of one family, in the catalogue's order.


def _distribution(windows: IbsiWindows, values: FloatArray, places: IntArray) -> dict[str, FloatArray]:
    """What intensities and grey levels have in common: PyRadiomics' name -> (centres,)."""
    from radpipe.features._kernels.window_firstorder import ALSO, NAMES, window_firstorder

    levels = windows.levels
    out = np.empty((places.size, len(NAMES) + len(ALSO)))
    window_firstorder(values, levels.flat, places, windows.steps, levels.n_levels, 0.0, 1.0, out)
    found = dict(zip((*NAMES, *ALSO), out.T, strict=True))
    # Kurtosis of a window of one intensity is 0 there, and so is the manual's, which is 3 less in all others.
    found["Excess"] = np.where(found["Range"] == 0.0, 0.0, found["Kurtosis"] - 3.0)
    found["Variation"] = _ratio(found["StandardDeviation"], found["Mean"])
    found["Dispersion"] = _ratio(found["InterquartileRange"], found["75Percentile"] + found["25Percentile"])
    return found


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """NaN where the divisor is 0."""
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0.0))


def _statistics(windows: IbsiWindows, places: IntArray, merged: bool) -> FloatArray:
    found = _distribution(windows, windows.values, places)
    names = (
        "Mean", "Variance", "Skewness", "Excess", "Median", "Minimum", "10Percentile", "90Percentile", "Maximum", "InterquartileRange",
        "Range", "MeanAbsoluteDeviation", "RobustMeanAbsoluteDeviation", "MedianAbsoluteDeviation", "Variation", "Dispersion", "Energy",
        "RootMeanSquared",
    )  # fmt: skip
    return np.stack([found[name] for name in names], axis=1)


def _histogram(windows: IbsiWindows, places: IntArray, merged: bool) -> FloatArray:
    from radpipe.features._kernels.window_firstorder import window_histogram

    levels = windows.levels
    found = _distribution(windows, windows.level_values, places)
    own = np.empty((places.size, 5))
    window_histogram(levels.flat, places, windows.steps, levels.n_levels, own)
    found["Mode"] = own[:, 0]
    before = ("Mean", "Variance", "Skewness", "Excess", "Median", "Minimum", "10Percentile", "90Percentile", "Maximum", "Mode")
    after = (
        "InterquartileRange", "Range", "MeanAbsoluteDeviation", "RobustMeanAbsoluteDeviation", "MedianAbsoluteDeviation",
        "Variation", "Dispersion", "Entropy", "Uniformity",
    )  # fmt: skip
    return np.column_stack([*(found[name] for name in (*before, *after)), own[:, 1:]])


def _pairs(windows: IbsiWindows, places: IntArray, merged: bool) -> FloatArray:
    from radpipe.features._kernels.window_cooccurrence import NAMES, window_glcm, window_pairs

    levels = windows.levels
    angles = directions(by_plane=windows.by_plane) * windows.parameters.glcm_distance
    z, y, x = windows.extent.tolist()
    _, first, second, starts = window_pairs((z, y, x), angles)
    if merged:
        starts = starts[[0, -1]]
    out = np.empty((places.size, len(NAMES)))
    window_glcm(levels.flat, places, windows.steps, first, second, starts, levels.n_levels, True, False, False, False, False, out)
    names = (
        "MaximumProbability", "JointAverage", "SumSquares", "JointEntropy", "DifferenceAverage", "DifferenceVariance",
        "DifferenceEntropy", "SumAverage", "ClusterTendency", "SumEntropy", "JointEnergy", "Contrast", "DifferenceAverage", "Id",
        "Idn", "Idm", "Idmn", "InverseVariance", "Correlation", "Autocorrelation", "ClusterTendency", "ClusterShade",
        "ClusterProminence", "Imc1", "Imc2",
    )  # fmt: skip
    return np.asarray(out[:, [NAMES.index(name) for name in names]])


def _runs(windows: IbsiWindows, places: IntArray, merged: bool) -> FloatArray:
    from radpipe.features._kernels.window_runs import window_runs

    levels = windows.levels
    out = np.empty((places.size, _LEVEL_SIZE.size))
    window_runs(
        levels.flat, places, windows.shape, windows.extent, levels.n_levels, directions(by_plane=windows.by_plane), merged,
        np.zeros(0), True, _LEVEL_SIZE, out,
    )  # fmt: skip
    return out


def _zones(windows: IbsiWindows, places: IntArray, merged: bool) -> FloatArray:
    from radpipe.features._kernels.window_zones import window_zones

    levels = windows.levels
    out = np.empty((places.size, _LEVEL_SIZE.size))
    window_zones(
        levels.flat,
        places,
        windows.shape,
        windows.extent,
        levels.n_levels,
        directions(by_plane=windows.by_plane),
        _LEVEL_SIZE,
        out,
    )
    return out


def _tones(windows: IbsiWindows, places: IntArray, merged: bool) -> FloatArray:
    from radpipe.features._kernels.window_neighbourhood import NGTDM_NAMES

    out = _around(windows, places, windows.parameters.ngtdm_distance, 0, ngtdm=True)
    found = dict(zip(NGTDM_NAMES, out.T, strict=True))
    found["Coarseness"] = np.minimum(found["Coarseness"], _MOST_COARSENESS)
    return np.stack([found[name] for name in ("Coarseness", "Contrast", "Busyness", "Complexity", "Strength")], axis=1)


def _dependence(windows: IbsiWindows, places: IntArray, merged: bool) -> FloatArray:
    own = windows.parameters
    out = _around(windows, places, own.ngldm_distance, own.ngldm_alpha, ngtdm=False)
    out[:, 12] = 1.0  # DependenceCountPercentage: every voxel has a neighbourhood
    return out


def _around(windows: IbsiWindows, places: IntArray, distance: int, alpha: int, *, ngtdm: bool) -> FloatArray:
    from radpipe.features._kernels.window_neighbourhood import NGTDM_NAMES, window_neighbourhood

    levels = windows.levels
    none = np.empty((0, 5))
    out = np.empty((places.size, len(NGTDM_NAMES) if ngtdm else _LEVEL_SIZE_ENERGY.size))
    window_neighbourhood(
        levels.flat, places, windows.shape, windows.extent, levels.n_levels, windows.near(distance), alpha, _LEVEL_SIZE_ENERGY,
        not ngtdm, none if ngtdm else out, out if ngtdm else none,
    )  # fmt: skip
    return out


_MAKERS: dict[str, Any] = {
    "stat": _statistics,
    "ih": _histogram,
    "cm": _pairs,
    "rlm": _runs,
    "szm": _zones,
    "ngt": _tones,
    "ngl": _dependence,
}
"""A new family with maps is one function and one line here."""

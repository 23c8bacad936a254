"""The texture families: matrices by direction and plane, brought together in every way the manual knows.

A matrix belongs to a plane (2D, 2.5D) or the volume (3D), and for GLCM and GLRLM to a direction. "Averaged" is the mean of the
features of many matrices; "merged" adds the matrices first. Matrices that cannot say anything (no two voxels are neighbours) and
features undefined for a matrix are left out of a mean; it is NaN where nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from radpipe.features._kernels.cooccurrence import pair_counts
from radpipe.features._kernels.neighbourhood import neighbourhood, tone_difference_features
from radpipe.features._kernels.runs import run_counts
from radpipe.features.cells import Cells, counted, mean_over_directions, tabled
from radpipe.features.ibsi import glcm, levelsize
from radpipe.features.ibsi.catalogue import feature_names
from radpipe.features.ibsi.parameters import IbsiParameters
from radpipe.features.ibsi.zones import Zones, find_zones
from radpipe.features.region import Levels
from radpipe.typing import FloatArray, IntArray

_MOST_COARSENESS = 1e6


def directions(*, by_plane: bool) -> IntArray:
    """(4 or 13, 3) steps in (z, y, x) to the neighbours, one of each opposite pair; those that point forward in memory."""
    steps = np.array([(z, y, x) for z in (0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) > (0, 0, 0)])
    return np.asarray(steps[steps[:, 0] == 0] if by_plane else steps, dtype=np.int64)


def around(distance: int, *, by_plane: bool) -> IntArray:
    """(n, 3) offsets of all voxels within a Chebyshev distance, both ways."""
    line = np.arange(-distance, distance + 1)
    offsets = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    offsets = offsets[(offsets != 0).any(axis=1)]
    return np.asarray(offsets[offsets[:, 0] == 0] if by_plane else offsets, dtype=np.int64)


@dataclass(frozen=True)
class Matrix:
    """voxels : N_v, of the part the matrix was made from; summed where matrices are merged."""

    cells: Cells
    voxels: int


class Textures:
    """All texture families of one discretised region; matrices that several aggregations need are made once.

    levels : with a border as wide as the longest offset. distances : (by plane, in the volume) of the region's voxels from the
    border of the morphological mask, in memory order; made when asked for.
    """

    def __init__(self, levels: Levels, parameters: IbsiParameters, distances: Callable[[bool], IntArray]) -> None:
        self._levels = levels
        self._parameters = parameters
        self._distances = distances
        plane = levels.shape[1] * levels.shape[2]
        first = levels.where[0] // plane
        # Voxels come in memory order, so a plane's are together.
        cuts = np.searchsorted(levels.where, np.arange(first, levels.where[-1] // plane + 2) * plane)
        self._planes = [part for part in np.split(levels.where, cuts[1:-1]) if part.size]
        self._made: dict[tuple[str, bool], list[list[Matrix]]] = {}
        self._zones: dict[bool, Zones] = {}
        self._room = np.zeros_like(levels.flat)

    def compute(self, family: str, way: str) -> dict[str, float]:
        """Every feature of one family ("cm") in one aggregation ("25D-avg"; "25D" for families without directions)."""
        by_plane = not way.startswith("3D")
        if family == "ngt":
            table = np.stack([_tone_features(count, difference) for count, difference in self._tones(way)])
        else:
            groups = [_merged(group) for group in _together(self.matrices(family, by_plane=by_plane), way)]
            if family == "cm":
                table = np.stack([glcm.features(matrix.cells) for matrix in groups])
            else:
                table = np.stack([levelsize.features(matrix.cells, matrix.voxels) for matrix in groups])
        names = feature_names(family)
        return dict(zip(names, (float(value) for value in mean_over_directions(table[:, : len(names)])), strict=True))

    def conventions(self, family: str, way: str) -> dict[str, str]:
        """feature -> reason code, of what the manual sets for at least one of the matrices behind a value; NGTDM only."""
        found: dict[str, str] = {}
        if family != "ngt":
            return found
        for count, difference in self._tones(way):
            if count.sum() > 0.0 and not difference.sum() > 0.0:
                found |= dict.fromkeys(("Coarseness", "Strength"), "no-difference")
            if np.count_nonzero(count) == 1:
                found |= dict.fromkeys(("Contrast", "Busyness"), "one-level")
        return found

    def matrices(self, family: str, *, by_plane: bool) -> list[list[Matrix]]:
        """Of every part (plane, or the volume) one matrix for each direction; a single one where the family has none.

        Rows are levels, columns levels, lengths, sizes, distances or dependence, all from 0.
        """
        if (family, by_plane) not in self._made:
            parts = self._parts(by_plane)
            if family in ("szm", "dzm"):
                cells = [[matrix] for matrix in self._zone_cells(family, by_plane)]
            elif family == "ngl":
                cells = [[self._dependence(part, by_plane)] for part in parts]
            else:
                make, reach = (self._pairs, self._parameters.glcm_distance) if family == "cm" else (self._runs, 1)
                steps = self._levels.steps(directions(by_plane=by_plane) * reach)
                cells = [[make(part, int(step)) for step in steps] for part in parts]
            self._made[family, by_plane] = [
                [Matrix(one, part.size) for one in of_part] for of_part, part in zip(cells, parts, strict=True)
            ]
        return self._made[family, by_plane]

    def tone_differences(self, *, by_plane: bool) -> list[tuple[FloatArray, FloatArray]]:
        """Of every part: (voxels, summed difference from the neighbours' mean) of each level; voxels without neighbours left out."""
        n = self._levels.n_levels
        offsets = self._levels.steps(around(self._parameters.ngtdm_distance, by_plane=by_plane))
        found = []
        for where in self._parts(by_plane):
            # With an alpha as large as Ng every neighbour depends, so a voxel of dependence 0 has none.
            table, count, difference = neighbourhood(self._levels.flat, where, offsets, n, n)
            found.append((count - table[:, 0], difference))
        return found

    def _tones(self, way: str) -> list[tuple[FloatArray, FloatArray]]:
        found = self.tone_differences(by_plane=way != "3D")
        if way != "25D":
            return found
        return [(np.sum([count for count, _ in found], axis=0), np.sum([sums for _, sums in found], axis=0))]

    def _parts(self, by_plane: bool) -> list[IntArray]:
        return self._planes if by_plane else [self._levels.where]

    def _pairs(self, where: IntArray, step: int) -> Cells:
        n = self._levels.n_levels
        i, j, counts = pair_counts(self._levels.flat, where, step, n, True)
        return Cells((i - 1) * n + j - 1, counts.astype(np.float64), n)

    def _runs(self, where: IntArray, step: int) -> Cells:
        longest = max(self._levels.box)
        level, length, counts, _ = run_counts(self._levels.flat, where, step, self._levels.n_levels, longest, self._room)
        return Cells((level - 1) * longest + length - 1, counts.astype(np.float64), longest)

    def _dependence(self, where: IntArray, by_plane: bool) -> Cells:
        offsets = self._levels.steps(around(self._parameters.ngldm_distance, by_plane=by_plane))
        table, _, _ = neighbourhood(self._levels.flat, where, offsets, self._parameters.ngldm_alpha, self._levels.n_levels)
        return tabled(table)

    def _zone_cells(self, family: str, by_plane: bool) -> list[Cells]:
        if by_plane not in self._zones:
            self._zones[by_plane] = find_zones(self._levels, directions(by_plane=by_plane), self._distances(by_plane))
        zones = self._zones[by_plane]
        size = zones.size if family == "szm" else zones.distance
        largest = int(size.max())
        codes = (zones.level - 1) * largest + size - 1
        parts = [zones.plane == plane for plane in np.unique(zones.plane)] if by_plane else [np.ones(codes.size, bool)]
        return [counted(codes[part], self._levels.n_levels, largest) for part in parts]


def _tone_features(count: FloatArray, difference: FloatArray) -> FloatArray:
    """Coarseness, contrast, busyness, complexity, strength; NaN where no voxel has a neighbour.

    The manual sets coarseness to at most 1e6, and contrast, busyness and strength to 0 where their divisor is 0.
    """
    if not count.sum() > 0.0:
        return np.full(5, np.nan)
    out = np.asarray(tone_difference_features(count, difference))
    out[0] = min(out[0], _MOST_COARSENESS)
    return out


def _together(matrices: Sequence[Sequence[Matrix]], way: str) -> list[list[Matrix]]:
    """(parts, directions) matrices -> the groups that are merged each. Families without directions: "2D", "25D", "3D"."""
    if way == "25D-avg":
        return [list(group) for group in zip(*matrices, strict=True)]  # each direction over all planes
    if way.startswith("25D"):
        return [[matrix for part in matrices for matrix in part]]
    if way.endswith("-mrg"):
        return [list(part) for part in matrices]  # each plane, or the volume, over all directions
    return [[matrix] for part in matrices for matrix in part]


def _merged(group: Sequence[Matrix]) -> Matrix:
    if len(group) == 1:
        return group[0]
    found, place = np.unique(np.concatenate([matrix.cells.codes for matrix in group]), return_inverse=True)
    weight = np.bincount(place, weights=np.concatenate([matrix.cells.weight for matrix in group]), minlength=found.size)
    cells = Cells(found, weight.astype(np.float64), group[0].cells.n_columns)
    return Matrix(cells, sum(matrix.voxels for matrix in group))

"""First order, GLRLM, GLSZM, GLDM and NGTDM of windows: slow twins, the scalar engine, pyradiomics, windows with little in them.

The twins cut each window out and work with dense matrices and textbook formulas; they share no line with the kernels.
"""

from __future__ import annotations

import itertools
import os
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from radpipe.features import catalogue, firstorder, gldm, glrlm, glszm, ngtdm
from radpipe.features._kernels import window_firstorder, window_neighbourhood, window_runs, window_zones
from radpipe.features._kernels.neighbourhood import neighbourhood
from radpipe.features._kernels.window_cells import window_places
from radpipe.features.cells import distance_mm
from radpipe.features.region import Levels, bin_edges, directions

EPS = np.spacing(1.0)
FAMILIES = (catalogue.FIRSTORDER, catalogue.GLRLM, catalogue.GLSZM, catalogue.GLDM, catalogue.NGTDM)
NAMES = {
    "firstorder": (*window_firstorder.NAMES, *window_firstorder.ALSO),
    "glrlm": window_runs.NAMES,
    "glszm": window_zones.NAMES,
    "gldm": window_neighbourhood.GLDM_NAMES,
    "ngtdm": window_neighbourhood.NGTDM_NAMES,
}
ANY_BOX = (1 << 20,) * 3  # an offset too long for a window finds nothing there: the box of the region need not be known
QUICK = settings(max_examples=int(os.environ.get("RADPIPE_TWIN_EXAMPLES", "60")), deadline=None)
SPACING = (2.0, 0.5, 0.75)


@dataclass(frozen=True)
class How:
    """radius : kernelRadius. flat_axis : of force2D. norm : weightingNorm. n_levels : Ng, where it is more than the levels say."""

    radius: int = 1
    flat_axis: int | None = None
    distances: tuple[int, ...] = (1,)
    alpha: int = 0
    norm: str | None = None
    shift: float = 0.0
    n_levels: int = 0

    @property
    def extent(self) -> np.ndarray:
        return np.array([0 if axis == self.flat_axis else self.radius for axis in range(3)])

    @property
    def pairs(self) -> np.ndarray:
        return directions(ANY_BOX, (1,), self.flat_axis, both=False).copy()  # as maps have them: not read-only

    @property
    def neighbours(self) -> np.ndarray:
        return directions(ANY_BOX, self.distances, self.flat_axis, both=True).copy()

    @property
    def weights(self) -> np.ndarray:
        if self.norm is None:
            return np.zeros(0)
        return np.ones(len(self.pairs)) if self.norm == "no_weighting" else distance_mm(self.pairs, SPACING, self.norm)


HOWS = st.builds(
    How,
    radius=st.integers(1, 3),
    flat_axis=st.sampled_from([None, None, 0, 1, 2]),
    distances=st.sampled_from([(1,), (1,), (2,), (1, 2), (3,)]),
    alpha=st.integers(0, 2),
    norm=st.sampled_from([None, None, "no_weighting", "manhattan", "euclidean", "infinity"]),
    shift=st.sampled_from([0.0, 120.0]),
    n_levels=st.sampled_from([0, 40]),
)
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))


@st.composite
def grids(draw):
    """(levels, intensities): few levels and many holes, or many levels and few holes."""
    most = draw(st.sampled_from([2, 4, 30]))
    levels = draw(SHAPES.flatmap(lambda shape: arrays(np.int32, shape, elements=st.integers(0, most))).filter(np.any))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    steps = rng.integers(0, draw(st.sampled_from([1, 3, 1000])), levels.shape)  # of equal intensities, some or many
    return levels, levels * 10.0 + steps / 8.0 - 55.0


def maps(levels: np.ndarray, values: np.ndarray, how: How, centres: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """family -> (centres, features) by the kernels. centres : (n, 3) places; all voxels of the region where None."""
    border = how.radius
    wide = np.pad(levels, border).astype(np.int32)
    flat, shape = wide.ravel(), np.array(wide.shape)
    places = np.argwhere(levels > 0) if centres is None else centres
    where = np.ravel_multi_index(tuple((places + border).T), wide.shape).astype(np.int64)
    n, n_levels = len(where), max(int(levels.max()), how.n_levels)
    out = {family: np.full((n, len(names)), -1.0) for family, names in NAMES.items()}
    window = window_places(shape, how.extent, how.pairs)[0]
    volume = float(np.prod(SPACING))
    spread = np.pad(values.astype(np.float64), border, constant_values=np.nan).ravel()
    window_firstorder.window_firstorder(spread, flat, where, window, n_levels, how.shift, volume, out["firstorder"])
    window_runs.window_runs(
        flat,
        where,
        shape,
        how.extent,
        n_levels,
        how.pairs,
        how.weights.size > 0,
        how.weights,
        False,
        window_runs.ORDER,
        out["glrlm"],
    )
    window_zones.window_zones(flat, where, shape, how.extent, n_levels, how.pairs, window_zones.ORDER, out["glszm"])
    window_neighbourhood.window_neighbourhood(
        flat,
        where,
        shape,
        how.extent,
        n_levels,
        how.neighbours,
        how.alpha,
        window_neighbourhood.GLDM_ORDER,
        True,
        out["gldm"],
        out["ngtdm"],
    )
    return out


def scaled(family: str, values: dict[str, float], name: str) -> float:
    facts = next(one for one in FAMILIES if one.name == family)
    if name in window_firstorder.ALSO:
        return max(abs(values[name]), abs(values["Maximum"]), abs(values["Minimum"]))
    return max(abs(values[name]), facts.natural_scale(name, values))


def check(got: dict[str, np.ndarray], row: int, expected: dict[str, dict[str, float]], within: float = 1e-9) -> None:
    for family, values in expected.items():
        for name, value in values.items():
            found = got[family][row, NAMES[family].index(name)]
            if np.isnan(value):
                assert np.isnan(found), (family, name, found)
            else:
                assert abs(found - value) <= within * scaled(family, values, name) + 1e-300, (family, name, found, value)


# The twins: one window, cut out.


def cut(grid: np.ndarray, centre: np.ndarray, how: How) -> np.ndarray:
    return grid[tuple(slice(max(c - r, 0), c + r + 1) for c, r in zip(centre, how.extent, strict=True))]


def first_order_slowly(x: np.ndarray, levels: np.ndarray, shift: float) -> dict[str, float]:
    p = np.bincount(levels)[1:] / levels.size
    low, tenth, middle, ninetieth, high = np.percentile(x, (0, 10, 50, 90, 100))
    lower, upper = np.percentile(x, (25, 75))
    robust = x[(x >= tenth) & (x <= ninetieth)]  # nothing, of two voxels
    flat = low == high
    return {
        "10Percentile": tenth, "90Percentile": ninetieth, "Maximum": high, "Minimum": low, "Median": middle,
        "25Percentile": lower, "75Percentile": upper, "MedianAbsoluteDeviation": np.abs(x - middle).mean(),
        "InterquartileRange": upper - lower, "Range": high - low, "Mean": x.mean(), "Variance": x.var(), "StandardDeviation": x.std(),
        "Energy": ((x + shift) ** 2).sum(), "TotalEnergy": ((x + shift) ** 2).sum() * np.prod(SPACING),
        "RootMeanSquared": np.sqrt(((x + shift) ** 2).mean()),
        "Entropy": scipy.stats.entropy(p, base=2), "Uniformity": (p**2).sum(),
        "Skewness": 0.0 if flat else scipy.stats.skew(x), "Kurtosis": 0.0 if flat else scipy.stats.kurtosis(x, fisher=False),
        "MeanAbsoluteDeviation": np.abs(x - x.mean()).mean(),
        "RobustMeanAbsoluteDeviation": np.abs(robust - robust.mean()).mean() if robust.size else np.nan,
    }  # fmt: skip


def matrix_features(matrix: np.ndarray, size_name: str) -> dict[str, float]:
    """A dense (levels, sizes) matrix; row 0 is level 1. The names are those of GLSZM, with what "size" is called."""
    total = matrix.sum()
    if total == 0:
        return {}
    i = np.arange(1.0, matrix.shape[0] + 1)[:, None]
    j = np.arange(1.0, matrix.shape[1] + 1)[None]
    p = matrix / total
    by_level, by_size = matrix.sum(axis=1), matrix.sum(axis=0)
    return {
        "small": (p / j**2).sum(), "large": (p * j**2).sum(), "low": (p / i**2).sum(), "high": (p * i**2).sum(),
        "small low": (p / i**2 / j**2).sum(), "small high": (p * i**2 / j**2).sum(),
        "large low": (p * j**2 / i**2).sum(), "large high": (p * i**2 * j**2).sum(),
        "level": (by_level**2).sum() / total, "level n": (by_level**2).sum() / total**2,
        "size": (by_size**2).sum() / total, "size n": (by_size**2).sum() / total**2,
        "percentage": total / (matrix * j).sum(), "entropy": -(p[p > 0] * np.log2(p[p > 0])).sum(),
        "level variance": (p * (i - (p * i).sum()) ** 2).sum(), "size variance": (p * (j - (p * j).sum()) ** 2).sum(),
    }  # fmt: skip


PLAIN = {  # family -> PyRadiomics' name -> the twin's
    "glrlm": dict(zip(window_runs.NAMES, (
        "level", "level n", "level variance", "high", "large", "large high", "large low", "low", "entropy", "size", "size n",
        "percentage", "size variance", "small", "small high", "small low"), strict=True)),
    "glszm": dict(zip(window_zones.NAMES, (
        "level", "level n", "level variance", "high", "large", "large high", "large low", "low", "size", "size n", "small",
        "small high", "small low", "entropy", "percentage", "size variance"), strict=True)),
    "gldm": dict(zip(window_neighbourhood.GLDM_NAMES, (
        "entropy", "size", "size n", "size variance", "level", "level variance", "high", "large", "large high", "large low", "low",
        "small", "small high", "small low"), strict=True)),
}  # fmt: skip


def named(family: str, plain: dict[str, float]) -> dict[str, float]:
    return {name: float(plain.get(own, np.nan)) for name, own in PLAIN[family].items()}


def lines(window: np.ndarray, angle: np.ndarray) -> list[list[int]]:
    """Every line of the window along the angle, from edge to edge."""
    found = []
    for start in np.ndindex(window.shape):
        if all(0 <= s < size for s, size in zip(np.array(start) - angle, window.shape, strict=True)):
            continue
        line, place = [], np.array(start)
        while all(0 <= p < size for p, size in zip(place, window.shape, strict=True)):
            line.append(int(window[tuple(place)]))
            place = place + angle
        found.append(line)
    return found


def runs_slowly(window: np.ndarray, how: How) -> dict[str, float]:
    matrices = []
    for angle in how.pairs:
        matrix = np.zeros((window.max(), 2 * how.radius + 1))
        along = lines(window, angle)
        if any(sum(level > 0 for level in line) > 1 for line in along):
            for line in along:
                for level, run in itertools.groupby(line):
                    matrix[level - 1, len(list(run)) - 1] += level > 0
        matrices.append(matrix)
    if how.norm is not None:
        return named("glrlm", matrix_features(sum(w * m for w, m in zip(how.weights, matrices, strict=True)), ""))
    each = [named("glrlm", matrix_features(matrix, "")) for matrix in matrices if matrix.any()]
    return {name: float(np.mean([one[name] for one in each])) if each else np.nan for name in window_runs.NAMES}


def zones_slowly(window: np.ndarray, how: How) -> dict[str, float]:
    touching = np.ones((3, 3, 3), int)
    if how.flat_axis is not None:
        touching = np.zeros((3, 3, 3), int)
        touching[tuple(1 if axis == how.flat_axis else slice(None) for axis in range(3))] = 1
    matrix = np.zeros((window.max(), window.size))
    for level in np.unique(window[window > 0]):
        label, n = scipy.ndimage.label(window == level, touching)
        for zone in range(1, n + 1):
            matrix[level - 1, (label == zone).sum() - 1] += 1
    return named("glszm", matrix_features(matrix, ""))


def around_slowly(window: np.ndarray, how: How) -> tuple[dict[str, float], dict[str, float]]:
    matrix = np.zeros((window.max(), len(how.neighbours) + 1))
    count, difference = np.zeros(window.max() + 1), np.zeros(window.max() + 1)
    for place in np.argwhere(window > 0):
        others = []
        for other in place + how.neighbours:
            if all(0 <= o < size for o, size in zip(other, window.shape, strict=True)) and window[tuple(other)]:
                others.append(int(window[tuple(other)]))
        level = int(window[tuple(place)])
        matrix[level - 1, sum(abs(level - other) <= how.alpha for other in others)] += 1
        count[level] += 1
        difference[level] += abs(level - sum(others) / len(others)) if others else 0.0
    i = np.flatnonzero(count).astype(float)
    p, s = count[count > 0] / count.sum(), difference[count > 0]
    gaps = np.abs(i[:, None] - i)
    tones = np.abs((i * p)[:, None] - i * p).sum()
    weighted, n = (p * s).sum(), len(i)
    five = {
        "Coarseness": 1 / weighted if weighted else 1e6,
        "Contrast": (p[:, None] * p * gaps**2).sum() / (n * (n - 1)) * s.sum() / count.sum() if n > 1 else 0.0,
        "Busyness": weighted / tones if tones else 0.0,
        "Complexity": (gaps * ((p * s)[:, None] + p * s) / (p[:, None] + p)).sum() / count.sum(),
        "Strength": ((p[:, None] + p) * gaps**2).sum() / s.sum() if s.sum() else 0.0,
    }
    return named("gldm", matrix_features(matrix, "")), five


@QUICK
@given(grids(), HOWS)
def test_twins(grid, how):
    levels, values = grid
    got = maps(levels, values, how)
    places = np.argwhere(levels > 0)
    for row in range(0, len(places), max(len(places) // 3, 1)):
        window, x = cut(levels, places[row], how), cut(values, places[row], how)
        inside = window > 0
        with_dependence, with_tones = around_slowly(window, how)
        check(
            got,
            row,
            {
                "firstorder": first_order_slowly(x[inside], window[inside], how.shift),
                "glrlm": runs_slowly(window, how),
                "glszm": zones_slowly(window, how),
                "gldm": with_dependence,
                "ngtdm": with_tones,
            },
        )


@QUICK
@given(grids(), HOWS)
def test_a_window_as_large_as_the_region_gives_the_scalar_engines_values(grid, how):
    levels, values = grid
    levels = levels[:4, :4, :4]
    values = values[:4, :4, :4]
    if not levels.any():
        return
    how = How(3, None, how.distances, how.alpha, how.norm, how.shift)
    wide = np.pad(levels, 3)
    flat = wide.ravel().astype(np.int32)
    region = Levels(flat, wide.shape, np.flatnonzero(flat).astype(np.int32), int(levels.max()), levels.shape, SPACING)
    counts = np.bincount(levels[levels > 0])
    steps = region.steps(how.neighbours)
    table, count, difference = neighbourhood(flat, region.where, steps, how.alpha, region.n_levels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of a mean over nothing
        expected = {
            "firstorder": firstorder.compute(values[levels > 0], counts[counts > 0], float(np.prod(SPACING)), how.shift),
            "glrlm": glrlm.compute(region, how.pairs, how.norm),
            "glszm": glszm.compute(region, how.pairs),
            "gldm": gldm.compute(table),
            "ngtdm": ngtdm.compute(count, difference),
        }
    got = maps(levels, values, how)
    check(got, 0, expected)


@QUICK
@given(grids(), HOWS, st.randoms(use_true_random=False))
def test_blocks_order_and_border_do_not_matter(grid, how, random):
    levels, values = grid
    places = np.argwhere(levels > 0)
    order = np.array(random.sample(range(len(places)), len(places)))
    whole = maps(levels, values, how)
    shuffled = maps(levels, values, how, places[order])
    one = maps(
        np.pad(levels, ((0, 1), (2, 0), (1, 3))), np.pad(values, ((0, 1), (2, 0), (1, 3))), how, places[order[:1]] + (0, 2, 1)
    )
    for family in NAMES:
        assert_array_equal(shuffled[family], whole[family][order])
        assert_array_equal(one[family][0], whole[family][order[0]])


def one_window(levels: np.ndarray, centre: tuple[int, int, int], how: How = How()) -> dict[str, dict[str, float]]:
    found = maps(levels, levels * 2.5, how, np.array([centre]))
    return {family: dict(zip(NAMES[family], table[0].tolist(), strict=True)) for family, table in found.items()}


def test_a_voxel_alone():
    """No line meets two voxels, so there are no runs; one zone, one dependence, no neighbour, one intensity (7.5)."""
    grid = np.zeros((3, 3, 3), np.int32)
    grid[1, 1, 1] = 3
    found = one_window(grid, (1, 1, 1))
    assert all(np.isnan(value) for value in found["glrlm"].values())
    assert found["ngtdm"] == {"Coarseness": 1e6, "Contrast": 0.0, "Busyness": 0.0, "Complexity": 0.0, "Strength": 0.0}
    assert found["glszm"]["HighGrayLevelZoneEmphasis"] == 9.0 and found["glszm"]["ZonePercentage"] == 1.0
    assert found["gldm"]["SmallDependenceLowGrayLevelEmphasis"] == pytest.approx(1 / 9, rel=1e-15)
    first = found["firstorder"]
    assert {first[name] for name in ("Mean", "Median", "Minimum", "Maximum", "10Percentile", "90Percentile")} == {7.5}
    flat = ("Variance", "StandardDeviation", "Skewness", "Kurtosis", "Range", "InterquartileRange", "MeanAbsoluteDeviation")
    assert {first[name] for name in (*flat, "RobustMeanAbsoluteDeviation")} == {0.0}
    assert first["Uniformity"] == 1.0 and abs(first["Entropy"]) < 1e-15


def test_one_level():
    """27 voxels of one level: one zone; in each of 13 directions 9 runs of 3 along an axis, more and shorter ones else."""
    grid = np.full((3, 3, 3), 2, np.int32)
    found = one_window(grid, (1, 1, 1))
    assert found["glszm"]["LargeAreaEmphasis"] == 27**2 and found["glszm"]["ZoneVariance"] == 0.0
    # 3 axes: 9 runs of 3. 6 face diagonals: of the 15 lines 3 of 3, 6 of 2, 6 of 1. 4 space diagonals: of 19 lines 1, 6, 12.
    mean = (3 * 1 / 3 + 6 * 15 / 27 + 4 * 19 / 27) / 13
    assert found["glrlm"]["RunPercentage"] == pytest.approx(mean, rel=1e-14)
    # corners have 7 neighbours, edges 11, faces 17, the centre 26; a dependence counts the voxel itself
    large = (8 * 8**2 + 12 * 12**2 + 6 * 18**2 + 27**2) / 27
    assert found["gldm"]["LargeDependenceEmphasis"] == pytest.approx(large, rel=1e-14)
    assert found["gldm"]["GrayLevelVariance"] == 0.0
    assert found["ngtdm"]["Coarseness"] == 1e6


def test_a_flat_window_of_a_broken_number_is_flat():
    """0.1 27 times has a rounded mean; PyRadiomics gives it skewness 1 and kurtosis 1 (docs/parity.md)."""
    levels = np.ones((3, 3, 3), np.int32)
    found = maps(levels, np.full((3, 3, 3), 0.1), How(), np.array([[1, 1, 1]]))["firstorder"][0]
    values = dict(zip(NAMES["firstorder"], found.tolist(), strict=True))
    assert values["Skewness"] == values["Kurtosis"] == values["Variance"] == 0.0
    assert values["Mean"] == 0.1


def test_nothing_in_the_window_is_undefined():
    grid = np.zeros((5, 3, 3), np.int32)
    grid[4] = 1
    found = maps(grid, grid * 1.0, How(), np.array([[1, 1, 1]]))
    assert all(np.isnan(table).all() for table in found.values())


def test_two_voxels_of_a_line_apart_make_a_direction_count():
    """In the x direction one line meets two voxels that do not touch: two runs of 1. No other direction has such a line."""
    grid = np.zeros((3, 3, 3), np.int32)
    grid[1, 1, 0], grid[1, 1, 2] = 1, 2
    found = one_window(grid, (1, 1, 1))["glrlm"]
    assert found["RunPercentage"] == 1.0
    assert found["GrayLevelVariance"] == 0.25
    assert one_window(grid, (1, 1, 0))["glrlm"]["RunPercentage"] != 1.0  # the window ends between them: NaN


def test_a_family_that_is_not_wanted_is_left_out():
    levels = np.arange(1, 28, dtype=np.int32).reshape(3, 3, 3)
    wide = np.pad(levels, 1)
    how = How()
    where = np.flatnonzero(wide).astype(np.int64)
    whole = maps(levels, levels * 1.0, how)
    none = {family: np.empty((0, len(NAMES[family]))) for family in ("gldm", "ngtdm")}
    for family in none:
        tables = {**none, family: np.empty((27, len(NAMES[family])))}
        window_neighbourhood.window_neighbourhood(
            wide.ravel(),
            where,
            np.array(wide.shape),
            how.extent,
            27,
            how.neighbours,
            0,
            window_neighbourhood.GLDM_ORDER,
            True,
            tables["gldm"],
            tables["ngtdm"],
        )
        assert_array_equal(tables[family], whole[family])


def test_names_are_the_catalogues_in_its_order():
    for family in FAMILIES:
        also = window_firstorder.ALSO if family.name == "firstorder" else ()
        assert NAMES[family.name] == (*(feature.name for feature in family.features), *also)


@pytest.mark.parametrize("n", [1, 2, 10, 57, 400, 1331])
def test_percentiles_are_numpys(n):
    rng = np.random.default_rng(n)
    x = np.round(rng.normal(size=n) * 3, rng.integers(0, 3))
    levels = np.zeros((11, 11, 11), np.int32)
    levels.ravel()[rng.permutation(1331)[:n]] = 1
    values = np.zeros(levels.shape)
    values[levels > 0] = x
    found = maps(levels, values, How(5), np.array([[5, 5, 5]]))["firstorder"][0]
    expected = {"10Percentile": np.percentile(x, 10), "90Percentile": np.percentile(x, 90), "Median": np.median(x)}
    for name, value in (expected | {"Minimum": x.min(), "Maximum": x.max()}).items():
        assert found[NAMES["firstorder"].index(name)] == value


def _fits(shape: tuple[int, ...], how: How) -> bool:
    """Whether some offset at one of the distances fits into the image."""
    return bool((np.abs(how.neighbours) < shape).all(axis=1).any())


@pytest.mark.parametrize("seed", range(int(os.environ.get("RADPIPE_LIVE_CASES", "12"))))
def test_equals_pyradiomics_live(seed):
    radiomics = pytest.importorskip("radiomics", reason="pyradiomics is not installed; run `make pyradiomics`")
    import SimpleITK as sitk

    rng = np.random.default_rng([int(os.environ.get("RADPIPE_LIVE_SEED", "7")), seed])
    shape = tuple(int(size) for size in (rng.integers(1, 5), rng.integers(3, 7), rng.integers(3, 7)))
    voxels = rng.normal(0, 60, shape).round(int(rng.integers(0, 2)))
    region = rng.random(shape) < rng.choice([0.3, 0.7, 1.0])
    region[0, 0, 0] = region[-1, -1, -1] = True
    own: dict[str, Any] = {
        "binWidth": float(rng.choice([8, 25])),
        "kernelRadius": int(rng.choice([1, 1, 2])),
        "maskedKernel": bool(rng.integers(2)),
        "distances": [[1], [2], [1, 2]][rng.integers(3)],
        "gldm_a": int(rng.choice([0, 1])),
        "weightingNorm": [None, None, "manhattan", "euclidean", "infinity", "no_weighting"][rng.integers(6)],
        "force2D": bool(rng.integers(4) == 0),
        "force2Ddimension": int(rng.integers(3)),
        "voxelArrayShift": int(rng.choice([0, 300])),
    }
    image, mask = sitk.GetImageFromArray(voxels), sitk.GetImageFromArray(region.astype(np.uint8))
    image.SetSpacing(SPACING[::-1])
    mask.SetSpacing(SPACING[::-1])
    how = How(
        own["kernelRadius"],
        own["force2Ddimension"] if own["force2D"] else None,
        tuple(own["distances"]),
        own["gldm_a"],
        own["weightingNorm"],
        float(own["voxelArrayShift"]),
    )
    binned = region if own["maskedKernel"] else np.ones(shape, bool)
    levels = np.zeros(shape, np.int32)
    levels[binned] = np.digitize(voxels[binned], bin_edges(voxels[binned], own["binWidth"], None))
    got = maps(levels, voxels, how, np.argwhere(region))
    classes = {
        "firstorder": radiomics.firstorder.RadiomicsFirstOrder,
        "glrlm": radiomics.glrlm.RadiomicsGLRLM,
        "glszm": radiomics.glszm.RadiomicsGLSZM,
        "gldm": radiomics.gldm.RadiomicsGLDM,
        "ngtdm": radiomics.ngtdm.RadiomicsNGTDM,
    }
    for family, of in classes.items():
        features = of(image, mask, voxelBased=True, **own)
        features.enableAllFeatures()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if family in ("gldm", "ngtdm") and not _fits(shape, how):
                with pytest.raises(RuntimeError, match="angle count"):
                    features.execute()
                continue
            values = {name: sitk.GetArrayFromImage(one)[region] for name, one in features.execute().items()}
        if family == "glrlm" and how.norm and np.isnan(got[family]).all():
            continue  # where a whole batch has no run, PyRadiomics calls RunEntropy and RunVariance 0, and all else NaN
        for row in range(int(region.sum())):
            check(got, row, {family: {name: float(column[row]) for name, column in values.items()}})


def test_weights_of_one_size_change_nothing_but_the_order_of_sums():
    rng = np.random.default_rng(3)
    levels = rng.integers(1, 6, (4, 5, 6)).astype(np.int32)
    plain = maps(levels, levels * 1.0, How(2, norm="no_weighting"))["glrlm"]
    n = NAMES["glrlm"].index("RunPercentage")
    # every direction has as many voxels, so the share of runs is the mean over directions either way
    assert_allclose(plain[:, n], maps(levels, levels * 1.0, How(2))["glrlm"][:, n], rtol=1e-12)

"""Slow twins of the kernels that compute features or gather points: the same from dense matrices, by the written definitions."""

from __future__ import annotations

import importlib
import itertools
import os
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import label

import radpipe.features._kernels as package
from radpipe.features import glcm
from radpipe.features._kernels import runs
from radpipe.features._kernels.cooccurrence import NAMES, cooccurrence_features, one_direction
from radpipe.features._kernels.diameter import _extend, _longest, hull_of_rows, plane_diameters, row_ends
from radpipe.features._kernels.eigenvalue import (
    _bisect,
    _dot,
    _largest,
    _remove,
    _similar,
    _with_eps,
    by_lanczos,
    by_reflections,
    how_many_occur,
    second_eigenvalue,
)
from radpipe.features._kernels.levelsize import _sum_of_squares, features_of_cells, features_of_table, level_size_features
from radpipe.features._kernels.mesh import moments
from radpipe.features._kernels.neighbourhood import tone_difference_features
from radpipe.features._kernels.runs import all_directions
from radpipe.features._kernels.zone_distances import zone_distances
from radpipe.features._kernels.zones import _root, linked
from radpipe.features.region import Levels, directions

QUICK = settings(max_examples=int(os.environ.get("RADPIPE_TWIN_EXAMPLES", "50")), deadline=None)
EPS = np.spacing(1.0)
GREY = arrays(np.int32, st.tuples(st.integers(1, 4), st.integers(2, 5), st.integers(1, 5)), elements=st.integers(0, 4)).filter(
    lambda grid: grid.any()
)
MASKS = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)).flatmap(lambda s: arrays(np.bool_, s)).filter(np.any)
COUNTS = st.integers(1, 7).flatmap(lambda n: arrays(np.int64, (n, n), elements=st.integers(0, 5))).filter(np.any)


def both_ways(kernel):
    return (kernel, getattr(kernel, "py_func", kernel))


def matrix_features_slowly(counts):
    """Haralick's features of one dense matrix, as PyRadiomics writes them (docs of radiomics.glcm)."""
    p = counts / counts.sum()
    n = len(p)
    i, j = np.mgrid[1 : n + 1, 1 : n + 1].astype(float)
    px, py = p.sum(axis=1), p.sum(axis=0)
    ux, uy = (i * p).sum(), (j * p).sum()
    k_sum, k_diff = np.arange(2, 2 * n + 1), np.arange(n)
    p_sum = np.array([p[i + j == k].sum() for k in k_sum])
    p_diff = np.array([p[abs(i - j) == k].sum() for k in k_diff])
    sx, sy = np.sqrt((p * (i - ux) ** 2).sum()), np.sqrt((p * (j - uy) ** 2).sum())
    hx, hy, hxy = (-(q * np.log2(q + EPS)).sum() for q in (px, py, p))
    outer = np.outer(px, py)
    hxy1, hxy2 = -(p * np.log2(outer + EPS)).sum(), -(outer * np.log2(outer + EPS)).sum()
    difference_average = (k_diff * p_diff).sum()
    return {
        "Autocorrelation": (p * i * j).sum(),
        "JointAverage": ux,
        "ClusterProminence": (p * (i + j - ux - uy) ** 4).sum(),
        "ClusterShade": (p * (i + j - ux - uy) ** 3).sum(),
        "ClusterTendency": (p * (i + j - ux - uy) ** 2).sum(),
        "Contrast": (p * (i - j) ** 2).sum(),
        "Correlation": ((p * (i - ux) * (j - uy)).sum() / (sx * sy + EPS)) if sx * sy else 1.0,
        "DifferenceAverage": difference_average,
        "DifferenceEntropy": -(p_diff * np.log2(p_diff + EPS)).sum(),
        "DifferenceVariance": (p_diff * (k_diff - difference_average) ** 2).sum(),
        "JointEnergy": (p**2).sum(),
        "JointEntropy": hxy,
        "Imc1": (hxy - hxy1) / max(hx, hy) if max(hx, hy) else 0.0,
        "Imc2": np.sqrt(max(0.0, 1 - np.exp(-2 * (hxy2 - hxy)))),
        "Idm": (p / (1 + (i - j) ** 2)).sum(),
        "Idmn": (p / (1 + (i - j) ** 2 / n**2)).sum(),
        "Id": (p / (1 + abs(i - j))).sum(),
        "Idn": (p / (1 + abs(i - j) / n)).sum(),
        "InverseVariance": (p_diff[1:] / k_diff[1:] ** 2).sum(),
        "MaximumProbability": p.max(),
        "SumAverage": (k_sum * p_sum).sum(),
        "SumEntropy": -(p_sum * np.log2(p_sum + EPS)).sum(),
        "SumSquares": (p * (i - ux) ** 2).sum(),
    }


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # Imc2 of independent levels; the family settles it
@QUICK
@given(COUNTS)
def test_cooccurrence_features(counts):
    expected = matrix_features_slowly(counts)
    i, j = np.nonzero(counts)
    for kernel in both_ways(cooccurrence_features):
        found = kernel(i + 1, j + 1, counts[i, j].astype(np.float64), len(counts))
        got = dict(zip(NAMES, found, strict=False))
        for name, value in expected.items():
            if name == "Imc2":  # the root of a difference that may be rounding of either sign around 0
                assert np.nan_to_num(got[name]) == pytest.approx(value, rel=1e-9, abs=1e-6)
            elif name != "Correlation" or value != 1.0:
                assert got[name] == pytest.approx(value, rel=1e-10, abs=1e-12), name
    assert np.isnan(cooccurrence_features(i + 1, j + 1, np.zeros(i.size), len(counts))).all()


def bordered(grid):
    wide = np.pad(grid, 1).astype(np.int32)
    return Levels(wide.ravel(), wide.shape, np.flatnonzero(wide).astype(np.int32), int(grid.max()), grid.shape, (1.0, 1.0, 1.0))


def dense_pairs(grid, angle, n, symmetric):
    counts = np.zeros((n, n), np.int64)
    for place in np.argwhere(grid > 0):
        other = place + angle
        if all(0 <= p < size for p, size in zip(other, grid.shape, strict=True)) and grid[tuple(other)]:
            counts[grid[tuple(place)] - 1, grid[tuple(other)] - 1] += 1
    return counts + counts.T if symmetric else counts


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@QUICK
@given(GREY, st.booleans())
def test_cooccurrence_of_all_directions(grid, symmetric):
    levels = bordered(grid)
    angles = directions(levels.box, (1,), None, both=False)
    n = levels.n_levels
    rows = glcm._all_directions(levels, levels.steps(angles), symmetric, with_mcc=True)
    for kernel in both_ways(one_direction):
        for row, step, angle in zip(rows, levels.steps(angles), angles, strict=True):
            features, i, j, p = kernel(levels.flat, levels.where, step, n, symmetric)
            assert_allclose(features, row[:24], rtol=1e-12, atol=1e-13)
            counts = dense_pairs(grid, angle, n, symmetric)
            found = np.zeros((n, n))
            found[i - 1, j - 1] = p
            assert_allclose(found * counts.sum(), counts, rtol=1e-12)
            if not counts.any():
                assert p.size == 0
                assert np.isnan(row).all()
                continue
            expected = matrix_features_slowly(counts)
            got = dict(zip(NAMES, row, strict=False))
            for name in ("Autocorrelation", "Contrast", "JointEntropy", "ClusterShade", "SumEntropy", "Idn", "InverseVariance"):
                assert got[name] == pytest.approx(expected[name], rel=1e-10, abs=1e-12)
            if n > 1:
                assert row[24] == pytest.approx(second_of(found), abs=1e-9 + min(float(row[25]), 1.0))


def second_of(p):
    """By LAPACK, of PyRadiomics' own Q."""
    q = (p / (np.outer(p.sum(axis=1), p.sum(axis=0)) + EPS)) @ p.T
    return np.sort(np.linalg.eigvals(q).real)[-2]


def of_blocks(sizes, seed):
    """(n, n) probabilities of levels that stand together in blocks, and next to no others."""
    rng = np.random.default_rng(seed)
    p = np.zeros((sum(sizes), sum(sizes)))
    start = 0
    for size in sizes:
        block = rng.integers(1, 30, (size, size))
        p[start : start + size, start : start + size] = block + block.T
        start += size
    return p / p.sum()


@QUICK
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.booleans(), st.integers(0, 1000))
def test_second_eigenvalue_by_both_ways(sizes, blocks, seed):
    """Of one level, of two, of blocks that have nothing to do with each other (where 1 is an eigenvalue twice), and of any other."""
    p = of_blocks(sizes if blocks else [sum(sizes)], seed)
    n = len(p)
    i, j = np.nonzero(p)
    for kernel in both_ways(how_many_occur):
        assert kernel(i * 3 + 1, j * 3 + 1, 3 * n) == n
    for way in (by_reflections, by_lanczos):
        for kernel in both_ways(way):
            for apart in (1, 3):  # levels between those that occur change nothing
                value, doubt = kernel(i * apart + 1, j * apart + 1, p[i, j], n * apart)
                if n < 2:
                    assert (value, doubt) == (0.0, 1.0)  # there is none
                else:
                    assert value == pytest.approx(second_of(p), abs=1e-9 + doubt)
                    if not blocks and way is by_reflections:
                        assert doubt < 1e-12
    expected = by_reflections(i + 1, j + 1, p[i, j], n)
    assert second_eigenvalue(i + 1, j + 1, p[i, j], n) == expected
    assert second_eigenvalue(i * 50 + 1, j * 50 + 1, p[i, j], n * 50) == expected


@QUICK
@given(st.integers(2, 8), st.integers(0, 1000))
def test_matrix_of_the_second_eigenvalue(n, seed):
    """S is p / sqrt(px py), and u' Q u is that of numpy."""
    p = of_blocks([n], seed)
    i, j = np.nonzero(p)
    px, py = p.sum(axis=1), p.sum(axis=0)
    s = p / np.sqrt(np.outer(px, py))
    vector = np.random.default_rng(seed).normal(size=n)
    q = (p / (np.outer(px, py) + EPS)) @ p.T
    expected = vector * np.sqrt(px) @ q @ (vector / np.sqrt(px))
    for similar, with_eps in zip(both_ways(_similar), both_ways(_with_eps), strict=True):
        row, column, cells, first, of_rows, of_columns, rows, strongest = similar(2 * i + 1, 2 * j + 1, p[i, j], 2 * n)
        assert_array_equal(row, i)
        assert_array_equal(column, j)
        assert_allclose(cells, s[i, j], rtol=1e-13)
        assert_allclose(first, np.sqrt(px) / np.linalg.norm(np.sqrt(px)), rtol=1e-13)
        assert_allclose((of_rows, of_columns), (px, py), rtol=1e-13)
        assert rows == n
        assert strongest == pytest.approx(float((EPS / np.outer(px, py))[p > 0].max()))
        value, doubt = with_eps(row, column, p[i, j], px, py, vector, 0.5, 0.25, 0.125, strongest)
        assert value == pytest.approx(expected, rel=1e-10, abs=1e-12)
        assert doubt == 0.125


def level_size_slowly(level, size, weight):
    """The sixteen formulas of GLRLM, GLSZM and GLDM on the dense matrix (docs of radiomics.glrlm)."""
    matrix = np.zeros((int(max(level)), int(max(size))))
    np.add.at(matrix, (level.astype(int) - 1, size.astype(int) - 1), weight)
    i, j = np.mgrid[1 : matrix.shape[0] + 1, 1 : matrix.shape[1] + 1].astype(float)
    total, p = matrix.sum(), matrix / matrix.sum()
    return [
        (matrix / j**2).sum() / total, (matrix * j**2).sum() / total,
        (matrix.sum(axis=1) ** 2).sum() / total, (matrix.sum(axis=1) ** 2).sum() / total**2,
        (matrix.sum(axis=0) ** 2).sum() / total, (matrix.sum(axis=0) ** 2).sum() / total**2,
        total / (matrix * j).sum(), (p * (i - (p * i).sum()) ** 2).sum(), (p * (j - (p * j).sum()) ** 2).sum(),
        -(p * np.log2(p + EPS)).sum(), (matrix / i**2).sum() / total, (matrix * i**2).sum() / total,
        (matrix / (i**2 * j**2)).sum() / total, (matrix * i**2 / j**2).sum() / total,
        (matrix * j**2 / i**2).sum() / total, (matrix * i**2 * j**2).sum() / total,
    ]  # fmt: skip


@QUICK
@given(COUNTS.filter(lambda counts: counts.shape[0] < 6), st.sampled_from([1.0, 0.37]))
def test_level_size_features(counts, scale):
    level, size = (part.astype(np.float64) + 1 for part in np.nonzero(counts))
    weight = counts[counts > 0] * scale
    for kernel in both_ways(level_size_features):
        assert_allclose(kernel(level, size, weight), level_size_slowly(level, size, weight), rtol=1e-12, atol=1e-13)
    assert np.isnan(level_size_features(level, size, np.zeros(level.size))).all()
    for kernel in both_ways(features_of_table):
        assert_allclose(kernel(counts), level_size_slowly(level, size, counts[counts > 0]), rtol=1e-12, atol=1e-13)
    for kernel in both_ways(features_of_cells):
        found = kernel(np.flatnonzero(counts), counts[counts > 0], counts.shape[1])
        assert_allclose(found, level_size_slowly(level, size, counts[counts > 0]), rtol=1e-12, atol=1e-13)


def runs_slowly(grid, angle):
    """(level, length) of every run: each line is read out whole and cut where the level changes."""
    found = []
    for start in np.argwhere(np.ones(grid.shape, bool)):
        if all(0 <= s < size for s, size in zip(start - angle, grid.shape, strict=True)):
            continue
        line, place = [], start
        while all(0 <= p < size for p, size in zip(place, grid.shape, strict=True)):
            line.append(int(grid[tuple(place)]))
            place = place + angle
        found += [(level, len(list(run))) for level, run in itertools.groupby(line) if level]
    return sorted(found)


@QUICK
@given(GREY)
def test_runs(grid):
    levels = bordered(grid)
    angles = directions(levels.box, (1,), None, both=False)
    longest_run = max(grid.shape)
    room = np.full_like(levels.flat, 7)
    for angle, step in zip(angles, levels.steps(angles), strict=True):
        counts = sorted(Counter(runs_slowly(grid, angle)).items())
        for kernel, times in itertools.product(both_ways(runs.run_counts), (1, 20_000)):  # 20,000: too many levels for a table
            *found, touching = kernel(levels.flat * times, levels.where, step, levels.n_levels * times, longest_run, room)
            level, length, number = (part.tolist() for part in found)
            assert [((a // times, b), c) for a, b, c in zip(level, length, number, strict=True)] == counts
            assert touching == dense_pairs(grid, angle, levels.n_levels, False).any()


@QUICK
@given(GREY)
def test_runs_of_all_directions(grid):
    levels = bordered(grid)
    angles = directions(levels.box, (1,), None, both=False)
    for kernel in both_ways(all_directions):
        rows, touching = kernel(levels.flat, levels.where, levels.steps(angles), levels.n_levels, max(grid.shape))
        for row, touch, angle in zip(rows, touching, angles, strict=True):
            found = np.array(runs_slowly(grid, angle), float)
            assert_allclose(row, level_size_slowly(found[:, 0], found[:, 1], np.ones(len(found))), rtol=1e-12, atol=1e-13)
            assert bool(touch) == dense_pairs(grid, angle, levels.n_levels, False).any()


def tone_differences_slowly(count, difference):
    """NGTDM as in Amadasun and King 1989 (docs of radiomics.ngtdm), one formula at a time."""
    p = count / count.sum()
    n = int((count > 0).sum())
    levels = [k for k in range(len(p)) if p[k] > 0]
    pairs = [(a, b) for a in levels for b in levels]
    weighted = sum(p[k] * difference[k] for k in levels)
    contrast = sum(p[a] * p[b] * (a - b) ** 2 for a, b in pairs) * difference.sum() / count.sum()
    tones = sum(abs((a + 1) * p[a] - (b + 1) * p[b]) for a, b in pairs)
    complexity = sum(abs(a - b) * (p[a] * difference[a] + p[b] * difference[b]) / (p[a] + p[b]) for a, b in pairs)
    strength = sum((p[a] + p[b]) * (a - b) ** 2 for a, b in pairs)
    return [
        1 / weighted if weighted else 1e6,
        contrast / (n * (n - 1)) if n > 1 else 0.0,
        weighted / tones if tones else 0.0,
        complexity / count.sum(),
        strength / difference.sum() if difference.sum() else 0.0,
    ]


@QUICK
@given(st.integers(1, 8).flatmap(lambda n: arrays(np.int64, (n, 2), elements=st.integers(0, 9))).filter(lambda a: a[:, 0].any()))
def test_tone_difference_features(table):
    count = table[:, 0].astype(np.float64)
    difference = np.where(count > 0, table[:, 1] / 8, 0.0)
    for kernel in both_ways(tone_difference_features):
        assert_allclose(kernel(count, difference), tone_differences_slowly(count, difference), rtol=1e-12)


@QUICK
@given(MASKS)
def test_moments(mask):
    z, y, x = np.argwhere(mask).T
    expected = [part.sum() for part in (z >= 0, z, y, x, z * z, y * y, x * x, z * y, z * x, y * x)]
    for kernel in both_ways(moments):
        assert kernel(mask.view(np.uint8)).tolist() == expected


def surface_points(wide):
    """Doubled indices of the middles of all faces between a voxel inside and one outside."""
    points = []
    for place in np.argwhere(np.ones(wide.shape, bool)):
        for axis in range(3):
            other = place.copy()
            other[axis] += 1
            if other[axis] < wide.shape[axis] and wide[tuple(place)] != wide[tuple(other)]:
                points.append(tuple((place + other).tolist()))
    return points


@QUICK
@given(MASKS)
def test_row_ends(mask):
    wide = np.pad(mask, 1).astype(np.uint8)
    points = surface_points(wide)
    for kernel in both_ways(row_ends):
        along_x, along_y = kernel(wide)
        for found, line_axis, along in ((along_x, 1, 2), (along_y, 2, 1)):
            for plane, line in itertools.product(*map(range, found.shape[:2])):
                places = [point[along] for point in points if (point[0], point[line_axis]) == (plane, line)]
                assert found[plane, line].tolist() == ([min(places), max(places)] if places else [-1, -1])


def in_hull_of(points, corners):
    """Whether every point lies in the convex hull of the corners: no line separates it (small sets only)."""
    corners = np.array(corners, float)
    for point in np.array(sorted(points), float):
        angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
        normals = np.stack([np.cos(angles), np.sin(angles)])
        if np.any(point @ normals > (corners @ normals).max(axis=0) + 1e-9):
            return False
    return True


ENDS = st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)), min_size=1, max_size=7).filter(
    any
)


@QUICK
@given(ENDS)
def test_hull_of_rows(rows):
    ends = np.array([row or [-1, -1] for row in rows], np.int32)
    points = {(k, int(place)) for k, row in enumerate(rows) if row for place in row}
    for kernel in both_ways(hull_of_rows):
        corners = {tuple(corner) for corner in kernel(ends).tolist()}
        assert corners <= points
        assert in_hull_of(points, list(corners))


@QUICK
@given(st.lists(ENDS, min_size=1, max_size=4), st.sampled_from([(1.0, 1.0), (3.27, 0.977)]))
def test_plane_diameters(planes, size):
    deepest = max(len(plane) for plane in planes)
    ends = np.array([[row or [-1, -1] for row in [*plane, *[None] * (deepest - len(plane))]] for plane in planes], np.int32)
    expected = 0.0
    for plane in planes:
        points = np.array([(k, place) for k, row in enumerate(plane) if row for place in row]) * np.array(size) / 2
        expected = max(expected, float(((points[:, None] - points[None]) ** 2).sum(axis=-1).max()))
    for kernel in both_ways(plane_diameters):
        longest, corners = kernel(ends, *size)
        assert longest == pytest.approx(expected, rel=1e-12)
        assert all(ends[plane, row, 0] == place or ends[plane, row, 1] == place for plane, row, place in corners.tolist())


@QUICK
@given(st.integers(1, 9), st.integers(0, 1000))
def test_eigenvalues_of_three_diagonals(n, seed):
    rng = np.random.default_rng(seed)
    diagonal, beside = rng.uniform(0, 1, n), rng.uniform(0.01, 0.5, n)
    matrix = np.diag(diagonal) + np.diag(beside[: n - 1], 1) + np.diag(beside[: n - 1], -1)
    expected, vectors = np.linalg.eigh(matrix)
    for kernel in both_ways(_largest):
        value, following, vector = kernel(diagonal, beside)
        assert value == pytest.approx(expected[-1], abs=1e-13)
        assert following == pytest.approx(expected[-2] if n > 1 else 0.0, abs=1e-7)
        assert_allclose(np.abs(vector), np.abs(vectors[:, -1]), atol=1e-5)
    for kernel in both_ways(_bisect):
        for rank in range(n):
            assert kernel(diagonal, beside, -3.0, 3.0, rank, 64) == pytest.approx(expected[n - 1 - rank], abs=1e-13)


@QUICK
@given(st.integers(1, 9), st.integers(0, 1000))
def test_vectors(n, seed):
    a, b = np.random.default_rng(seed).normal(size=(2, n))
    unit = b / np.linalg.norm(b)
    for dot, remove in zip(both_ways(_dot), both_ways(_remove), strict=True):
        assert dot(a, b) == pytest.approx(a @ b, abs=1e-12)
        left = a.copy()
        remove(left, unit)
        assert_allclose(left, a - (a @ unit) * unit, atol=1e-12)


@QUICK
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_root(draws):
    parent = np.array([draw % (k + 1) for k, draw in enumerate(draws)], np.int32)  # everyone's parent comes before them
    for kernel in both_ways(_root):
        for k in range(len(parent)):
            here = k
            while parent[here] != here:
                here = parent[here]
            shortened = parent.copy()
            assert kernel(shortened, np.int32(k)) == here
            assert (shortened <= parent).all()


@QUICK
@given(GREY, st.integers(0, 99))
def test_zone_distances(grid, seed):
    """Zones of every level by scipy's labels."""
    wide = np.pad(grid, 1).astype(np.int32)
    flat, where = wide.ravel(), np.flatnonzero(wide).astype(np.int32)
    away = np.random.default_rng(seed).integers(1, 6, grid.shape).astype(np.int16)
    wanted, begin = [], np.zeros(len(wide), int)
    for level in np.unique(grid[grid > 0]):
        labels, zones = label(grid == level, np.ones((3, 3, 3)))
        for zone in range(1, zones + 1):
            inside = np.argwhere(labels == zone)
            wanted.append((int(level), len(inside), int(away[labels == zone].min())))
            begin[inside[0, 0] + 1] += 1
    plane = wide[0].size
    half = [offset for offset in itertools.product((-1, 0, 1), repeat=3) if offset > (0, 0, 0)]
    steps = np.array(half) @ [plane, wide.shape[2], 1]
    for kernel in both_ways(linked):
        parent = kernel(flat, where, steps, steps)
        assert all(parent[place] <= place and flat[parent[place]] == flat[place] for place in where)
        assert np.count_nonzero(parent[where] == where) == len(wanted)
    for kernel in both_ways(zone_distances):
        *found, of_plane = kernel(flat, where, steps, away[grid > 0], plane)
        assert sorted(zip(*(part.tolist() for part in found), strict=True)) == sorted(wanted)
        assert_array_equal(of_plane, begin)


@QUICK
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=8), st.integers(0, 1000))
def test_helpers(table, seed):
    keys = sorted(key for key, _ in table)
    weights = [float(weight) for _, weight in table]
    grouped = {key: sum(w for k, w in zip(keys, weights, strict=True) if k == key) for key in keys}
    points = np.random.default_rng(seed).normal(size=(7, 3))
    points = points[np.argsort(-np.linalg.norm(points, axis=1))]
    farthest = ((points[:, None] - points[None]) ** 2).sum(axis=-1).max()
    for sum_of_squares, longest, extend in zip(*map(both_ways, (_sum_of_squares, _longest, _extend)), strict=True):
        assert sum_of_squares(np.array(keys, float), np.array(weights)) == sum(value**2 for value in grouped.values())
        assert longest(points, np.linalg.norm(points, axis=1), 0.0) == pytest.approx(farthest, rel=1e-14)
        assert longest(points, np.linalg.norm(points, axis=1), 100.0) == 100.0
        ends = np.full((1, 1, 2), -1, np.int32)
        for _, place in table:
            extend(ends, 0, 0, place)
        places = [place for _, place in table]
        assert ends[0, 0].tolist() == [min(places), max(places)]


def test_every_kernel_has_a_twin():
    sources = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    missing = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("window_"):
            continue  # of feature maps: their twin is the extraction of every window by itself
        for name, value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).items():
            is_kernel = hasattr(value, "py_func") and value.__module__ == f"{package.__name__}.{module.name}"
            if is_kernel and len(re.findall(rf"\b{name}\b", sources)) < 2:  # imported and used
                missing.append(f"{module.name}.{name}")
    assert not missing


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="this is the run without the compiler")
def test_twins_without_the_compiler():
    """py_func runs a kernel's own lines in Python, but what it calls is compiled still; here nothing is."""
    files = [str(Path(__file__).with_name(name)) for name in ("test_kernels.py", "test_kernel_twins.py")]
    plugins = ("xdist", "timeout", "hypothesispytest", "no:cacheprovider")  # named, as the Makefile does
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(f"-p{name}" for name in plugins), "-n0", "-x", *files],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "RADPIPE_TWIN_EXAMPLES": "12"},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout

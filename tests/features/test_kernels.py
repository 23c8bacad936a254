"""Every kernel against a slow twin in plain numpy, on random regions; compiled, and as plain Python."""

from __future__ import annotations

import itertools
import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from radpipe.features._kernels.binning import digitise, lay_out
from radpipe.features._kernels.cells import _sorted, count_codes, occurring, parted, scaled, total_of
from radpipe.features._kernels.cooccurrence import pair_codes, pair_counts
from radpipe.features._kernels.diameter import hull_of_rows, longest
from radpipe.features._kernels.eigenvalue import second_eigenvalue
from radpipe.features._kernels.mesh import _EDGES, _TRIANGLES, count_cubes, surface_and_volume
from radpipe.features._kernels.neighbourhood import neighbourhood, tone_difference_features
from radpipe.features._kernels.powers import power_sums
from radpipe.features._kernels.zones import _sized, zone_cells, zones
from radpipe.features.glrlm import _line_meets_two
from radpipe.features.region import Levels, directions
from radpipe.features.shape import diameters, principal_variances
from radpipe.features.shape2d import diameter as diameter_2d

BOXES = st.tuples(st.integers(1, 4), st.integers(2, 5), st.integers(1, 5))
GREY = BOXES.flatmap(lambda shape: arrays(np.int32, shape, elements=st.integers(0, 4))).filter(lambda grid: grid.any())
MASKS = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)).flatmap(lambda s: arrays(np.bool_, s)).filter(np.any)
QUICK = settings(max_examples=int(os.environ.get("RADPIPE_TWIN_EXAMPLES", "60")), deadline=None)


def bordered(grid, border):
    """Grey levels (0 outside) -> Levels."""
    wide = np.pad(grid, border).astype(np.int32)
    return Levels(wide.ravel(), wide.shape, np.flatnonzero(wide).astype(np.int32), int(grid.max()), grid.shape, (1.0, 1.0, 1.0))


def both_ways(kernel):
    """The compiled kernel, and the same lines run by Python."""
    return (kernel, getattr(kernel, "py_func", kernel))


def at(grid, place):
    inside = all(0 <= p < size for p, size in zip(place, grid.shape, strict=True))
    return int(grid[tuple(place)]) if inside else 0


def pairs_slowly(grid, angle):
    found = []
    for place in np.argwhere(grid > 0):
        neighbour = at(grid, place + angle)
        if neighbour:
            found.append((int(grid[tuple(place)]), neighbour))
    return sorted(found)


def zones_slowly(grid, angles):
    """(level, size) of every connected zone, by spreading a label until nothing changes."""
    label = np.arange(1, grid.size + 1).reshape(grid.shape) * (grid > 0)
    changed = True
    while changed:
        changed = False
        for place in np.argwhere(grid > 0):
            for angle in [*angles, *(-angles)]:
                other = place + angle
                if at(grid, other) == grid[tuple(place)] and label[tuple(other)] < label[tuple(place)]:
                    label[tuple(place)] = label[tuple(other)]
                    changed = True
    return sorted((int(grid[label == k][0]), int((label == k).sum())) for k in np.unique(label[label > 0]))


@QUICK
@given(GREY, st.sampled_from([(1,), (2,), (1, 2)]), st.booleans())
def test_pairs(grid, distances, symmetric):
    levels = bordered(grid, max(distances))
    n = levels.n_levels
    try:
        angles = directions(levels.box, distances, None, both=False)
    except Exception:
        return
    for angle, step in zip(angles, levels.steps(angles), strict=True):
        expected = pairs_slowly(grid, angle)
        if symmetric:
            expected = sorted([*expected, *((j, i) for i, j in expected)])
        counts = sorted(Counter(expected).items())
        for kernel in both_ways(pair_codes):
            codes = kernel(levels.flat, levels.where, step, n, symmetric)
            assert sorted((int(c) // n + 1, int(c) % n + 1) for c in codes) == expected
        for kernel in both_ways(pair_counts):
            i, j, number = kernel(levels.flat, levels.where, step, n, symmetric)
            assert [((a, b), c) for a, b, c in zip(i.tolist(), j.tolist(), number.tolist(), strict=True)] == counts
            # the same through the other way of counting, which so many levels take even where only one occurs
            found = kernel(levels.flat * 260, levels.where, step, n * 260, symmetric)
            assert [((a // 260, b // 260), c) for a, b, c in zip(*(part.tolist() for part in found), strict=True)] == counts


@QUICK
@given(GREY)
def test_whether_a_line_meets_two_voxels(grid):
    levels = bordered(grid, 1)
    angles = directions(levels.box, (1,), None, both=False)
    for angle in angles:
        places = {tuple(place) for place in np.argwhere(grid > 0)}
        reach = range(1, max(grid.shape))
        meets = any(tuple(np.array(place) + k * angle) in places for place in places for k in reach)
        assert _line_meets_two(levels, angle) == meets


@QUICK
@given(GREY, st.sampled_from([None, 0, 1, 2]))
def test_zones(grid, flat_axis):
    levels = bordered(grid, 1)
    try:
        angles = directions(levels.box, (1,), flat_axis, both=False)
    except Exception:
        return
    expected = zones_slowly(grid, angles)
    apart = np.abs(angles - angles[-1]).max(axis=1) > 1
    region = levels.where, levels.steps(angles), levels.steps(angles[apart])
    for kernel in both_ways(zones):
        level, size = kernel(levels.flat, *region)
        assert sorted(zip(level.tolist(), size.tolist(), strict=True)) == expected
    for kernel in both_ways(_sized):
        parent, count, largest = kernel(levels.flat, *region)
        assert (count, largest) == (len(expected), max(size for _, size in expected))
        sizes = [-value for value in parent[levels.where] if value < 0]
        assert sorted(sizes) == sorted(size for _, size in expected)
    for kernel, times in itertools.product(both_ways(zone_cells), (1, 70_000)):  # 70,000: too many levels for a table
        codes, counts, largest = kernel(levels.flat * times, *region, levels.n_levels * times)
        found = [((c // largest + 1) // times, c % largest + 1) for c in codes.tolist()]
        assert list(zip(found, counts.tolist(), strict=True)) == sorted(Counter(expected).items())


@QUICK
@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e4, 1e4, width=32)), st.floats(-1e3, 1e3), st.floats(0, 1e3))
def test_power_sums(values, centre, shift):
    x = values - centre
    expected = [np.abs(x).sum(), (x**2).sum(), (x**3).sum(), (x**4).sum(), ((values + shift) ** 2).sum()]
    largest = [np.abs(x).sum(), (x**2).sum(), np.abs(x**3).sum(), (x**4).sum(), ((values + shift) ** 2).sum()]
    for kernel in both_ways(power_sums):
        for found, value, scale in zip(kernel(values, centre, shift), expected, largest, strict=True):
            assert found == pytest.approx(value, abs=1e-13 * scale)


@QUICK
@given(GREY, st.integers(0, 2))
def test_neighbourhood(grid, alpha):
    levels = bordered(grid, 1)
    angles = directions(levels.box, (1,), None, both=True)
    n = len(angles)
    dependence, count, difference = [], np.zeros(levels.n_levels), np.zeros(levels.n_levels)
    for place in np.argwhere(grid > 0):
        level = int(grid[tuple(place)])
        around = [value for value in (at(grid, place + angle) for angle in angles) if value]
        dependence.append((level, sum(abs(level - value) <= alpha for value in around)))
        count[level - 1] += 1
        difference[level - 1] += abs(level - np.mean(around)) if around else 0.0
    for kernel in both_ways(neighbourhood):
        table, got_count, got_difference = kernel(levels.flat, levels.where, levels.steps(angles), alpha, levels.n_levels)
        expected = np.zeros((levels.n_levels, n + 1))
        for level, dependent in dependence:
            expected[level - 1, dependent] += 1
        assert_array_equal(table, expected)
        assert_array_equal(got_count, count)
        assert_allclose(got_difference, difference, rtol=1e-13)


@QUICK
@given(arrays(np.int64, st.integers(1, 200), elements=st.integers(0, 10**6)), st.sampled_from([1_000_001, 10**9]))
def test_count_codes(codes, limit):
    expected = np.unique(codes, return_counts=True)
    for kernel in both_ways(count_codes):
        found = kernel(codes.copy(), limit)
        assert_array_equal(found[0], expected[0])
        assert_array_equal(found[1], expected[1])
    for kernel in both_ways(_sorted):
        assert_array_equal(kernel(codes.copy(), limit), np.sort(codes))


@QUICK
@given(arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 9)), st.integers(1, 7), st.floats(0.1, 1e6))
def test_small_sums_and_parts(numbers, width, divisor):
    for kernel in both_ways(occurring):
        for found, expected in zip(kernel(numbers), (np.flatnonzero(numbers), numbers[numbers != 0]), strict=True):
            assert_array_equal(found, expected)
    for kernel in both_ways(parted):
        for found, expected in zip(kernel(numbers, width), np.divmod(numbers, width), strict=True):
            assert_array_equal(found, expected)
    values = numbers / 7
    for kernel in both_ways(scaled):
        assert_array_equal(kernel(values, divisor), values / divisor)
    for kernel in both_ways(total_of):
        assert kernel(values) == np.cumsum(values)[-1]  # one after the other, not in pairs as numpy's sum


@QUICK
@given(MASKS, st.integers(1, 3))
def test_lay_out(mask, border):
    levels = np.arange(1, mask.sum() + 1, dtype=np.int32)
    expected = np.zeros(mask.shape, np.int32)
    expected[mask] = levels
    expected = np.pad(expected, border).ravel()
    for kernel in both_ways(lay_out):
        apart = np.empty_like(levels)
        together = levels.copy()  # the levels' own room will do
        for own, where in ((levels, apart), (together, together)):
            assert_array_equal(kernel(mask.view(np.uint8), own, border, where), expected)
            assert_array_equal(where, np.flatnonzero(expected))


@QUICK
@given(st.integers(2, 40), st.integers(1, 4), st.sampled_from([0.5, 2.0, 10.0, 100.0]), st.booleans(), st.integers(0, 1000))
def test_second_eigenvalue(n, digits, spread, symmetric, seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, n, 10**digits)
    b = np.clip(np.rint(a + rng.normal(0, spread, a.size)), 0, n - 1).astype(int)
    if symmetric:
        a, b = np.concatenate([a, b]), np.concatenate([b, a])
    p = np.zeros((n, n))
    np.add.at(p, (a, b), 1 / a.size)
    q = (p / (np.outer(p.sum(1), p.sum(0)) + np.spacing(1.0))) @ p.T
    expected = np.sort(np.linalg.eigvals(q).real)[-2]
    i, j = np.nonzero(p)
    value, doubt = second_eigenvalue(i + 1, j + 1, p[i, j], n)
    assert value == pytest.approx(expected, abs=1e-9 + min(doubt, 1.0))
    by_python = getattr(second_eigenvalue, "py_func", second_eigenvalue)(i + 1, j + 1, p[i, j], n)
    assert by_python[0] == pytest.approx(value, abs=1e-9 + min(doubt, 1.0))


def test_second_eigenvalue_is_seldom_doubtful():
    rng = np.random.default_rng(5)
    doubts = []
    for n in (5, 17, 40, 90):
        a = rng.integers(0, n, 3000)
        b = np.clip(np.rint(a + rng.normal(0, 3, a.size)), 0, n - 1).astype(int)
        p = np.zeros((n, n))
        np.add.at(p, (a, b), 1 / a.size)
        i, j = np.nonzero(p)
        doubts.append(second_eigenvalue(i + 1, j + 1, p[i, j], n)[1])
    assert max(doubts) < 1e-7


@QUICK
@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-1000, 1000, width=32)),
    st.floats(0.01, 50),
    st.booleans(),
)
def test_digitise(values, width, with_edge_values):
    edges = np.arange(values.min() - values.min() % width, values.max() + 2 * width, width)
    if len(edges) < 2:
        return
    if with_edge_values:
        values = np.concatenate([values, edges, np.nextafter(edges, -np.inf)])
    for kernel in both_ways(digitise):
        assert_array_equal(kernel(values, edges), np.digitize(values, edges))


def test_mesh_of_boxes_worked_by_hand():
    # The surface cuts edges in the middle: an n-box loses 1/8 on each of its 12 edges per voxel of length between corners, and
    # 5/48 at each corner. Its faces keep (n - 1)^2, its edges become strips 1/sqrt(2) wide, its corners triangles.
    for n in (1, 2, 5):
        mask = np.pad(np.ones((n, n, n), np.uint8), 1)
        area, volume = surface_and_volume(count_cubes(mask), np.ones(3))
        assert volume == pytest.approx(n**3 - 12 * (n - 1) / 8 - 8 * 5 / 48, rel=1e-12)
        assert area == pytest.approx(6 * (n - 1) ** 2 + 12 * (n - 1) * np.sqrt(0.5) + 8 * np.sqrt(3) / 8, rel=1e-12)


def mesh_slowly(mask, spacing):
    """(area, volume): every cube's triangles one by one, as PyRadiomics' cshape.c goes about it."""
    corners = [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0)]
    area = volume = 0.0
    for place in itertools.product(*(range(size - 1) for size in mask.shape)):
        cube = sum(int(mask[tuple(np.add(place, corner))]) << k for k, corner in enumerate(corners))
        turned = bool(cube & 0x80)
        edges = _TRIANGLES[cube ^ 0xFF if turned else cube].strip("-")
        for k in range(0, len(edges), 3):
            a, b, c = ((np.array(place) + _EDGES[int(edge, 16)]) * spacing for edge in edges[k : k + 3])
            area += 0.5 * np.linalg.norm(np.cross(a - c, b - c))
            volume += (-1 if turned else 1) * np.dot(np.cross(a, b), c) / 6
    return area, volume


@QUICK
@given(MASKS, st.sampled_from([(1.0, 1.0, 1.0), (3.27, 0.977, 0.977)]))
def test_mesh(mask, spacing):
    wide = np.pad(mask, 1).astype(np.uint8)
    expected = mesh_slowly(wide, np.array(spacing))
    for kernel in both_ways(count_cubes):
        assert surface_and_volume(kernel(wide), np.array(spacing)) == pytest.approx(expected, rel=1e-12)


def test_volume_of_a_ball_does_not_depend_on_its_place():
    z, y, x = np.indices((14, 14, 14))
    ball = ((z - 6.5) ** 2 + (y - 6.5) ** 2 + (x - 6.5) ** 2 <= 30).astype(np.uint8)
    cubes = count_cubes(ball)
    volume = surface_and_volume(cubes, np.ones(3))[1]
    cubes[:, 1:] += 1000.0 * cubes[:, :1]
    assert surface_and_volume(cubes, np.ones(3))[1] == pytest.approx(volume, rel=1e-9)
    assert volume == pytest.approx(ball.sum(), rel=0.05)


def surface_points(mask):
    points = []
    for axis in range(mask.ndim):
        low, high = [slice(None)] * mask.ndim, [slice(None)] * mask.ndim
        low[axis], high[axis] = slice(0, -1), slice(1, None)
        found = np.argwhere(mask[tuple(low)] != mask[tuple(high)]) * 1.0
        found[:, axis] += 0.5
        points.append(found)
    return np.concatenate(points)


@QUICK
@given(MASKS, st.sampled_from([(1.0, 1.0, 1.0), (3.27, 0.977, 0.977), (0.5, 2.0, 1.25)]))
def test_diameters(mask, spacing):
    wide = np.pad(mask, 1)
    places = surface_points(wide)
    points = places * spacing
    apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1))
    expected = [np.where(places[:, None, axis] == places[None, :, axis], apart, 0).max() for axis in range(3)]
    assert diameters(wide.astype(np.uint8), np.array(spacing)) == pytest.approx([*expected, apart.max()], rel=1e-12)


@QUICK
@given(arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6))).filter(np.any))
def test_diameter_in_a_plane(mask):
    wide = np.pad(mask, 1)
    points = surface_points(wide) * [2.0, 0.7]
    expected = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1)).max()
    assert diameter_2d(wide, np.array([2.0, 0.7])) == pytest.approx(expected, rel=1e-12)


@QUICK
@given(arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-100, 100, width=16)))
def test_longest(points):
    expected = ((points[:, None] - points[None]) ** 2).sum(axis=-1).max()
    for kernel in both_ways(longest):
        assert kernel(points) == pytest.approx(expected, rel=1e-12)


def test_hull_drops_what_lies_inside():
    ends = np.array([[3, 3], [1, 5], [2, 4], [0, 6], [3, 3]], np.int32)
    corners = {tuple(corner) for corner in hull_of_rows(ends).tolist()}
    assert corners == {(0, 3), (1, 1), (3, 0), (1, 5), (3, 6), (4, 3)}


@QUICK
@given(MASKS)
def test_principal_variances(mask):
    spacing = np.array([3.0, 1.0, 0.5])
    points = np.argwhere(mask) * spacing
    expected = np.linalg.eigvalsh(np.cov(points.T, bias=True)) if len(points) > 1 else np.zeros(3)
    assert principal_variances(mask, spacing) == pytest.approx(expected, abs=1e-9)


def test_tone_differences_worked_by_hand():
    # Two levels, two voxels each, every voxel 0.5 from its neighbours' mean.
    count, difference = np.array([2.0, 2.0]), np.array([1.0, 1.0])
    coarseness, contrast, busyness, complexity, strength = tone_difference_features(count, difference)
    assert coarseness == pytest.approx(1 / (0.5 * 1 + 0.5 * 1))
    assert contrast == pytest.approx((2 * 0.25 * 1) / 2 * (2 / 4))
    assert busyness == pytest.approx(1.0 / (2 * 0.5))
    assert complexity == pytest.approx(2 * 1 * (0.5 + 0.5) / 1.0 / 4)
    assert strength == pytest.approx(2 * 1.0 * 1 / 2.0)

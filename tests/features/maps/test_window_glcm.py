"""GLCM of windows: slow twins on dense matrices, scipy, numpy's eigenvalues, hand-worked windows, windows with little in them.

The twins share no line with the kernels. test_voxel_parity.py holds the maps against pyradiomics itself.
"""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from radpipe.features._kernels import window_cooccurrence as kernels
from radpipe.features._kernels.window_cooccurrence import NAMES, directions_with_pairs, ranks, window_glcm, window_pairs
from radpipe.features._kernels.window_eigenvalue import (
    MOST_STEPS,
    _largest_root,
    _root_from_above,
    apart,
    largest_left,
    start_weights,
)
from radpipe.features._kernels.window_weighted import window_glcm_weighted
from radpipe.features.catalogue import GLCM
from radpipe.features.region import directions

EPS = np.spacing(1.0)
QUICK = settings(max_examples=int(os.environ.get("RADPIPE_TWIN_EXAMPLES", "20")), deadline=None)
GRIDS = arrays(np.int32, st.tuples(st.integers(1, 4), st.integers(2, 5), st.integers(2, 5)), elements=st.integers(0, 5)).filter(
    np.any
)
MATRICES = (
    st.integers(2, 9).flatmap(lambda n: arrays(np.int64, (n, n), elements=st.sampled_from([0, 0, 0, 1, 1, 2, 5]))).filter(np.any)
)


def both_ways(kernel):
    """The compiled kernel, and the same lines run by Python."""
    return (kernel, getattr(kernel, "py_func", kernel))


def features_slowly(counts, n_levels):
    """The features of one dense matrix of counts (levels 1 .. Ng at its edges), as docs of radiomics.glcm write them."""
    p = counts / counts.sum()
    n = len(p)
    i, j = np.mgrid[1 : n + 1, 1 : n + 1].astype(float)
    px, py = p.sum(axis=1), p.sum(axis=0)
    ux, uy = (i * p).sum(), (j * p).sum()
    sums = np.bincount((i + j).astype(int).ravel(), weights=p.ravel())
    gaps = np.bincount(abs(i - j).astype(int).ravel(), weights=p.ravel())
    k = np.arange(gaps.size)

    def bits(q):
        q = q[q > 0]
        return float(-(q * np.log2(q)).sum())

    sx, sy = np.sqrt((p * (i - ux) ** 2).sum()), np.sqrt((p * (j - uy) ** 2).sum())
    hxy1 = -(p[p > 0] * np.log2(np.outer(px, py)[p > 0])).sum()
    information = max(0.0, bits(px) + bits(py) - bits(p))
    rows, columns = px > 0, py > 0
    singular = scipy.linalg.svdvals(p[np.ix_(rows, columns)] / np.sqrt(np.outer(px[rows], py[columns])))
    return {
        "Autocorrelation": (i * j * p).sum(),
        "ClusterProminence": ((i + j - ux - uy) ** 4 * p).sum(),
        "ClusterShade": ((i + j - ux - uy) ** 3 * p).sum(),
        "ClusterTendency": ((i + j - ux - uy) ** 2 * p).sum(),
        "Contrast": ((i - j) ** 2 * p).sum(),
        "Correlation": ((i - ux) * (j - uy) * p).sum() / (sx * sy) if min(sx, sy) > 1e-9 else 1.0,
        "DifferenceAverage": (k * gaps).sum(),
        "DifferenceEntropy": bits(gaps),
        "DifferenceVariance": (gaps * (k - (k * gaps).sum()) ** 2).sum(),
        "Id": (p / (1 + abs(i - j))).sum(),
        "Idm": (p / (1 + (i - j) ** 2)).sum(),
        "Idmn": (p / (1 + (i - j) ** 2 / n_levels**2)).sum(),
        "Idn": (p / (1 + abs(i - j) / n_levels)).sum(),
        "Imc1": (bits(p) - hxy1) / max(bits(px), bits(py)) if max(bits(px), bits(py)) > 1e-9 else 0.0,
        "Imc2": np.sqrt(1 - np.exp(-2 * information)),
        "InverseVariance": (gaps[1:] / k[1:] ** 2).sum(),
        "JointAverage": ux,
        "JointEnergy": (p**2).sum(),
        "JointEntropy": bits(p),
        "MCC": singular[1] if singular.size > 1 else 0.0,
        "MaximumProbability": p.max(),
        "SumAverage": (i + j)[p > 0] @ p[p > 0],
        "SumEntropy": bits(sums),
        "SumSquares": ((i - ux) ** 2 * p).sum(),
        "settled": (information > 1e-6 or min(rows.sum(), columns.sum()) == 1) and (symmetric_or_varied(sx, sy)),
    }


def symmetric_or_varied(sx, sy):
    """Correlation's and Imc2's value is no rounding: both sides vary, or neither does."""
    return (sx > 1e-9) == (sy > 1e-9)


def counts_slowly(window, angle, n, symmetric):
    counts = np.zeros((n, n))
    places = np.argwhere(window)
    others = places + angle
    inside = ((others >= 0) & (others < window.shape)).all(axis=1)
    level, other = window[tuple(places[inside].T)], window[tuple(others[inside].T)]
    np.add.at(counts, (level[other > 0] - 1, other[other > 0] - 1), 1)
    return counts + counts.T if symmetric else counts


def window_slowly(grid, place, radius, angles, n_levels, symmetric, weights=None):
    """The features in one window; NaN where PyRadiomics leaves rounding."""
    box = tuple(slice(max(0, at - r), at + r + 1) for at, r in zip(place, radius, strict=True))
    window = grid[box]
    all_counts = [counts_slowly(window, angle, int(grid.max()), symmetric) for angle in angles]
    if weights is not None:
        all_counts = [sum(w * counts for w, counts in zip(weights, all_counts, strict=True))]
    found = [features_slowly(counts, n_levels) for counts in all_counts if counts.any()]
    if not found:
        return None, True
    return {name: np.mean([f[name] for f in found]) for name in NAMES}, all(f["settled"] for f in found)


def laid_out(grid, radius, angles):
    """(flat, places of the voxels of the region, steps, first, second, starts)."""
    border = max(radius)
    wide = np.pad(grid, border).astype(np.int32)
    strides = np.array([wide.shape[1] * wide.shape[2], wide.shape[2], 1])
    offsets, first, second, starts = window_pairs(radius, angles)
    flat = np.ascontiguousarray(wide).ravel()
    return flat, np.flatnonzero(flat), offsets @ strides, first, second, starts


def compare(out, grid, radius, angles, n_levels, symmetric, weights=None):
    for row, place in list(zip(out, np.argwhere(grid), strict=True))[:: 1 + len(out) // 12]:
        expected, settled = window_slowly(grid, place, radius, angles, n_levels, symmetric, weights)
        if expected is None:
            assert np.isnan(row).all()
            continue
        for name, value in zip(NAMES, row, strict=True):
            if name in ("Imc2", "Correlation") and not settled:
                continue
            assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-7 if name in ("MCC", "Imc2") else 1e-10), name


@QUICK
@given(GRIDS, st.booleans(), st.sampled_from([(1, 1, 1), (0, 1, 1), (2, 2, 0), (2, 2, 2)]), st.sampled_from([(1,), (1, 2), (2,)]))
def test_windows_equal_their_dense_matrices(grid, symmetric, radius, distances):
    angles = directions((9, 9, 9), distances, radius.index(0) if 0 in radius else None, both=False)
    layout = laid_out(grid, radius, angles)
    n_levels = int(grid.max()) + 2  # Ng is the whole region's: a window may not know it
    out = np.empty((layout[1].size, len(NAMES)))
    window_glcm(*layout, n_levels, symmetric, True, False, False, True, out)
    compare(out, grid, radius, angles, n_levels, symmetric)


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_kernel_s_lines_run_by_python(symmetric):
    grid = np.random.default_rng(3).integers(0, 4, (3, 4, 4)).astype(np.int32)
    angles = directions((9, 9, 9), (1,), None, both=False)
    layout = laid_out(grid, (1, 1, 1), angles)
    first_out, second_out = (np.empty((layout[1].size, len(NAMES))) for _ in range(2))
    for kernel, out in zip(both_ways(window_glcm), (first_out, second_out), strict=True):
        kernel(*layout, 3, symmetric, True, False, False, True, out)
    assert_array_equal(first_out, second_out)
    compare(first_out, grid, (1, 1, 1), angles, 3, symmetric)


@QUICK
@given(GRIDS, st.booleans(), st.sampled_from([(1, 1, 1), (0, 2, 2)]), st.integers(0, 1000))
def test_weighted_windows_equal_their_dense_matrix(grid, symmetric, radius, seed):
    angles = directions((9, 9, 9), (1,), 0 if radius[0] == 0 else None, both=False)
    weights = np.random.default_rng(seed).uniform(0.05, 1, len(angles))
    layout = laid_out(grid, radius, angles)
    out = np.empty((layout[1].size, len(NAMES)))
    doubtful = np.zeros(layout[1].size, np.uint8)
    window_glcm_weighted(*layout, weights, int(grid.max()), symmetric, True, out, doubtful)
    places = np.argwhere(grid)
    sure = doubtful == 0  # the others are to be done over
    for row, place in list(zip(out[sure], places[sure], strict=True))[:12]:
        expected, _ = window_slowly(grid, place, radius, angles, int(grid.max()), symmetric, weights)
        if expected is None:
            assert np.isnan(row).all()
            continue
        for name, value in zip(NAMES, row, strict=True):
            assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-7 if name in ("MCC", "Imc2") else 1e-10), name


def test_two_neighbours_by_hand():
    """One pair, levels 1 and 3: p(1, 3) = p(3, 1) = 1/2."""
    grid = np.zeros((1, 1, 2), np.int32)
    grid[0, 0] = 1, 3
    angles = np.array([[0, 0, 1]])
    layout = laid_out(grid, (0, 0, 1), angles)
    out = np.empty((2, len(NAMES)))
    window_glcm(*layout, 3, True, True, False, True, True, out)
    expected = {
        "Autocorrelation": 3, "ClusterProminence": 0, "ClusterShade": 0, "ClusterTendency": 0, "Contrast": 4, "Correlation": -1,
        "DifferenceAverage": 2, "DifferenceEntropy": 0, "DifferenceVariance": 0, "Id": 1 / 3, "Idm": 1 / 5, "Idmn": 9 / 13, "Idn": 3 / 5,
        "Imc1": -1, "Imc2": np.sqrt(1 - np.exp(-2)), "InverseVariance": 1 / 4, "JointAverage": 2, "JointEnergy": 1 / 2,
        "JointEntropy": 1, "MCC": 1, "MaximumProbability": 1 / 2, "SumAverage": 4, "SumEntropy": 0, "SumSquares": 1,
    }  # fmt: skip
    assert_allclose(out, [[expected[name] for name in NAMES]] * 2, atol=1e-12)


def test_little_in_the_window():
    grid = np.zeros((3, 3, 5), np.int32)
    grid[1, 1, 0] = 2  # alone
    grid[1, 1, 3:5] = 2  # two of one level
    angles = directions((9, 9, 9), (1,), None, both=False)
    layout = laid_out(grid, (1, 1, 1), angles)
    out = np.empty((3, len(NAMES)))
    window_glcm(*layout, 4, True, True, False, True, True, out)
    assert np.isnan(out[0]).all()
    named = dict(zip(NAMES, out[1], strict=True))
    assert np.isnan(named["JointAverage"])  # twelve directions have no pair
    assert (named["Correlation"], named["MCC"], named["Imc2"], named["JointEntropy"], named["Id"]) == (1, 0, 0, 0, 1)
    window_glcm(*layout, 4, True, True, True, False, True, out)
    assert_array_equal(out[:, NAMES.index("MCC")], 1)  # a region of one level
    assert out[1, NAMES.index("JointAverage")] == 2
    window_glcm(*layout, 4, True, False, True, False, True, out)
    assert np.isnan(out[:, NAMES.index("MCC")]).all()  # was not asked for


def test_levels_far_apart_and_centres_in_any_order():
    """Ten thousand levels cost no table of that size squared; a value depends on its window alone."""
    random = np.random.default_rng(0)
    grid = random.choice(np.array([1, 2, 4999, 5003, 9999, 10000], np.int32), (4, 5, 5))
    angles = directions((9, 9, 9), (1,), None, both=False)
    layout = laid_out(grid, (1, 1, 1), angles)
    out = np.empty((grid.size, len(NAMES)))
    window_glcm(*layout, 10_000, True, True, False, False, True, out)
    for at in (0, 37, 99):
        place = tuple(np.argwhere(grid)[at])
        box = tuple(slice(max(0, p - 1), p + 2) for p in place)
        values, window = np.unique(grid[box], return_inverse=True)
        compact = [counts_slowly(window.reshape(grid[box].shape) + 1, angle, len(values), True) for angle in angles]
        compact = [counts for counts in compact if counts.any()]
        contrast = np.mean([(c * np.subtract.outer(values, values).astype(float) ** 2).sum() / c.sum() for c in compact])
        assert out[at, NAMES.index("Contrast")] == pytest.approx(contrast, rel=1e-12)
        correlations = [features_slowly(c, 10_000)["MCC"] for c in compact]
        assert out[at, NAMES.index("MCC")] == pytest.approx(np.mean(correlations), abs=1e-8)
    order = random.permutation(grid.size)
    parts = np.empty((40, len(NAMES)))
    window_glcm(layout[0], layout[1][order[:40]], *layout[2:], 10_000, True, True, False, False, True, parts)
    assert_array_equal(parts, out[order[:40]])


def test_names_are_the_catalogue_s():
    assert tuple(feature.name for feature in GLCM.features) == NAMES


@pytest.mark.parametrize("radius", [(1, 1, 1), (0, 2, 1), (2, 1, 3)])
def test_pairs_of_a_window(radius):
    angles = np.array([[0, 0, 1], [0, 1, -1], [1, 0, 0], [2, -2, 1], [0, 0, 5]])
    offsets, first, second, starts = window_pairs(radius, angles)
    places = list(itertools.product(*(range(-r, r + 1) for r in radius)))
    assert offsets.tolist() == [list(place) for place in places]
    for angle, start, stop in zip(angles, starts[:-1], starts[1:], strict=True):
        expected = {
            (a, b)
            for a, b in itertools.product(range(len(places)), repeat=2)
            if (np.subtract(places[b], places[a]) == angle).all()
        }
        assert set(zip(first[start:stop].tolist(), second[start:stop].tolist(), strict=True)) == expected


@QUICK
@given(GRIDS)
def test_directions_with_pairs(grid):
    angles = directions((9, 9, 9), (1, 3), None, both=False)[::4]
    flat, where, steps, first, second, starts = laid_out(grid, (1, 1, 1), angles)
    expected = [
        any(
            counts_slowly(grid[tuple(slice(max(0, p - 1), p + 2) for p in place)], angle, 5, False).any()
            for place in np.argwhere(grid)
        )
        for angle in angles
    ]
    assert directions_with_pairs(flat, where, steps, first, second, starts).tolist() == expected


@QUICK
@given(arrays(np.int32, st.integers(1, 30), elements=st.integers(0, 9)))
def test_ranks(held):
    for kernel in both_ways(ranks):
        of, rank, level = np.full(10, -1, np.int32), np.empty(held.size, np.int32), np.empty(held.size + 1, np.int64)
        found = kernel(held, 0, np.arange(held.size), of, rank, level)
        distinct = np.unique(held[held > 0])
        assert level[:found].tolist() == distinct.tolist()
        assert rank.tolist() == [int(np.flatnonzero(distinct == value)[0]) if value else -1 for value in held]
        assert (of == -1).all()


def edges_of(matrix):
    """(first, second, entries) of the upper half."""
    i, j = np.nonzero(np.triu(matrix))
    return i.astype(np.int32), j.astype(np.int32), matrix[i, j].astype(float)


def graph(counts, symmetric):
    """(S, edges' nodes, rows, nodes, known vectors) of a matrix of counts without empty rows or columns."""
    if symmetric:
        counts = counts + counts.T
    counts = counts[np.ix_(counts.any(axis=1), counts.any(axis=0))]
    p = counts / counts.sum()
    px, py = p.sum(axis=1), p.sum(axis=0)
    scaled = p / np.sqrt(np.outer(px, py))
    rows = len(px)
    if symmetric:
        return scaled, (*edges_of(scaled),), rows, rows, np.sqrt(px)
    i, j = np.nonzero(scaled)
    edges = i.astype(np.int32), (j + rows).astype(np.int32), scaled[i, j]
    return scaled, edges, rows, rows + len(py), np.concatenate([np.sqrt(px), np.sqrt(py)])


@settings(QUICK, max_examples=200)
@given(MATRICES, st.booleans(), st.integers(0, 2**32 - 1))
def test_largest_left_and_apart(counts, symmetric, seed):
    """Against all singular values; the order of the edges is no matter."""
    scaled, (first, second, strength), rows, nodes, known = graph(counts, symmetric)
    singular = np.append(scipy.linalg.svdvals(scaled), 0.0)
    if rows == 1 or (not symmetric and nodes - rows == 1):
        return
    for kernel in both_ways(apart):
        assert kernel(first, second, first.size, nodes, symmetric, np.empty(2 * nodes, np.int32)) == (singular[1] > 1 - 1e-9)
    if singular[1] > 1 - 1e-9:
        return
    order = np.random.default_rng(seed).permutation(first.size)
    for kernel in both_ways(largest_left):
        given_edges = first[order], second[order], strength[order].copy()
        room = np.empty(4 * nodes + 2 * MOST_STEPS)
        found = kernel(*given_edges, first.size, known, rows, nodes, start_weights(nodes), room)
        assert found == pytest.approx(singular[1], abs=3e-7)


def test_largest_left_where_it_went_wrong():
    """Matrices that an earlier start vector, stopping rule or deflation got wrong, and large ones in any order of edges."""
    cases = [np.array([[0, 1, 0, 0], [1, 0, 1, 1], [0, 1, 0, 2], [0, 1, 2, 6]])]
    random = np.random.default_rng(7)
    for n in (8, 20, 41, 60):
        counts = np.zeros((n, n), np.int64)
        a = random.integers(0, n, 3 * n)
        np.add.at(counts, (a, np.clip(a + random.integers(-3, 4, a.size), 0, n - 1)), 1)
        cases.append(np.triu(counts + counts.T + np.diag(np.arange(n) % 3 == 0)))
    for counts in cases:
        scaled, (first, second, strength), rows, nodes, known = graph(counts, True)
        eigenvalues = np.sort(np.abs(np.linalg.eigvalsh(scaled)))
        for _ in range(50):
            order = random.permutation(first.size)
            room = np.empty(4 * nodes + 2 * MOST_STEPS)
            given_edges = first[order], second[order], strength[order].copy()
            found = largest_left(*given_edges, first.size, known, rows, nodes, start_weights(nodes), room)
            assert found == pytest.approx(eigenvalues[-2], abs=1e-7)


@QUICK
@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
def test_largest_root(n, seed, above):
    random = np.random.default_rng(seed)
    diagonal, beside = random.uniform(-0.5, 0.5, n), random.uniform(1e-6, 0.06, n)
    values, vectors = scipy.linalg.eigh_tridiagonal(diagonal, np.sqrt(beside[: n - 1]))
    largest = int(np.argmax(np.abs(values)))
    for kernel in both_ways(_largest_root):
        for sign in (1.0, -1.0):
            value, share, side = kernel(diagonal, beside, n, sign, above)
            assert value == pytest.approx(abs(values[largest]), abs=1e-7)
            assert share == pytest.approx(vectors[-1, largest] ** 2, abs=1e-4)
            assert side * values[largest] == pytest.approx(value, abs=1e-7) or n == 1
    for kernel in both_ways(_root_from_above):
        for sign in (1.0, -1.0):
            assert kernel(diagonal, beside, n, sign, above)[0] == pytest.approx(max(0.0, (sign * values).max()), abs=1e-7)


def test_start_weights_and_tables():
    for kernel in both_ways(start_weights):
        weights = kernel(200)
        assert ((weights >= 0) & (weights < 0.6)).all() and np.unique(weights).size == 200
    for kernel in both_ways(kernels.bits_of_one_more):
        n = np.arange(1, 51)
        assert_allclose(np.cumsum(kernel(49)), n * np.log2(n), atol=1e-12)
    for kernel in both_ways(kernels.shares_of_difference):
        k = np.arange(7)
        with np.errstate(divide="ignore"):
            last = np.where(k > 0, 1.0 / k.astype(float) ** 2, 0)
        assert_allclose(kernel(7).T, [1 / (1 + k), 1 / (1 + k**2), 1 / (1 + k**2 / 49), 1 / (1 + k / 7), last])


@QUICK
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20), st.booleans())
def test_one_direction(pairs, symmetric):
    """What is summed, made into features and put back; then the correlation of the cells that were met."""
    level = np.array([2, 3, 5, 6, 11])
    rank = np.array([value for pair in pairs for value in pair], np.int32)
    first, second = np.arange(0, rank.size, 2, dtype=np.int32), np.arange(1, rank.size, 2, dtype=np.int32)
    counts = np.zeros((5, 5))
    np.add.at(counts, tuple(np.array(pairs).T), 1)
    counts = counts + counts.T if symmetric else counts
    wide = np.zeros((11, 11))
    wide[np.ix_(level - 1, level - 1)] = counts
    expected = features_slowly(wide, 12)
    tables = kernels.bits_of_one_more(2 * len(pairs) + 2), kernels.shares_of_difference(12)
    for way in (0, 1):
        sum_pairs, add_direction, put_back, correlation = (
            both_ways(kernel)[way]
            for kernel in (kernels.sum_pairs, kernels.add_direction, kernels.put_back, kernels._correlation)
        )
        joint, of_row, sums, differences = (np.zeros(size, np.int32) for size in (25, 5, 25, 13))
        of_column = of_row if symmetric else np.zeros(5, np.int32)
        whole, parts, acc = np.empty(kernels.WHOLE, np.int64), np.empty(kernels.PARTS), np.zeros(25)
        n = sum_pairs(
            first, second, rank, level, 5, symmetric, *tables, joint, of_row, of_column, sums, differences, whole, parts
        )
        assert n == len(pairs)
        total = 2.0 * n if symmetric else float(n)
        for count in both_ways(kernels._count):
            assert [[count(joint, 5, a, b, symmetric) for b in range(5)] for a in range(5)] == counts.tolist()
        for rounding in both_ways(kernels._rounding):
            with np.errstate(invalid="ignore"):
                value = rounding(joint, 5, total, symmetric)
            assert np.isnan(value) or value == pytest.approx(expected["Imc2"], abs=1e-6)
        varied = add_direction(n, symmetric, level, 5, joint, whole, parts, acc)
        assert varied == (len({value for pair in pairs for value in pair}) > 1 and np.count_nonzero(counts) > 1)
        edges_a, edges_b, strength = np.empty(50, np.int32), np.empty(50, np.int32), np.empty(50)
        edges = put_back(first, second, rank, level, 5, symmetric, joint, sums, differences, edges_a, edges_b, strength)
        assert not (joint.any() or sums.any() or differences.any())
        cells = {(int(a), int(b)): s for a, b, s in zip(edges_a[:edges], edges_b[:edges], strength[:edges], strict=True)}
        assert cells == {
            (a, b): counts[a, b] for a, b in itertools.product(range(5), repeat=2) if counts[a, b] and (a <= b or not symmetric)
        }
        if varied:
            room = np.empty(40 + 2 * MOST_STEPS)
            nodes = np.empty(10, np.int32), np.empty(10), np.empty(20, np.int32), start_weights(10), room
            mcc = correlation(edges_a, edges_b, strength, edges, of_row, of_column, 5, n, symmetric, *nodes)
            assert mcc == pytest.approx(expected["MCC"], abs=3e-7)
        for name, value in zip(NAMES, acc, strict=False):
            if name == "MCC" or (name in ("Correlation", "Imc2") and not expected["settled"]):
                continue
            assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-7 if name == "Imc2" else 1e-10), name


def test_mean_is_exact():
    """PyRadiomics' mean of a side that is of one level: sum of level * (count / total), in order."""
    for counts in ([1, 2], [1, 2, 3, 4], [3, 7, 1], [1, 1, 1], [2, 5, 3, 3, 6]):
        joint = np.zeros((5, 5), np.int32)
        joint[2, : len(counts)] = counts
        mean = 0.0
        for count in counts:
            mean += 5.0 * (count / sum(counts))
        for kernel in both_ways(kernels._mean_is_exact):
            level = np.array([1, 3, 5, 6, 9])
            assert kernel(joint.ravel(), 5, level, float(sum(counts)), True) == (mean == 5.0)
            assert kernel(np.ascontiguousarray(joint.T).ravel(), 5, level, float(sum(counts)), False) == (mean == 5.0)

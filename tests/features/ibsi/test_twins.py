"""Every fast way beside the slow one: loops over voxels and pairs, dense matrices, the definitions word by word."""

from __future__ import annotations

import itertools
import math
from collections import Counter, deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from radpipe.features._kernels.zones import zones as union_find
from radpipe.features.cells import Cells
from radpipe.features.ibsi import glcm, levelsize, local, sums
from radpipe.features.ibsi.catalogue import CM, NGL, RLM
from radpipe.features.ibsi.discretise import laid_out
from radpipe.features.ibsi.histogram import intensity_histogram, intensity_volume_histogram
from radpipe.features.ibsi.parameters import Discretise, IbsiParameters
from radpipe.features.ibsi.spatial import autocorrelation
from radpipe.features.ibsi.textures import Textures, around, directions
from radpipe.features.ibsi.zones import border_distance, find_zones

BOXES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
GREY = BOXES.flatmap(lambda shape: arrays(np.int64, shape, elements=st.integers(0, 4))).filter(lambda grid: grid.any())
MASKS = BOXES.flatmap(lambda shape: arrays(np.bool_, shape)).filter(np.any)
QUICK = settings(max_examples=60, deadline=None)
SPACING = (3.0, 1.0, 1.5)


def levels_of(grid, border=1):
    mask = grid > 0
    return laid_out(mask, grid[mask], border, SPACING)


def inside(grid, place):
    return all(0 <= p < n for p, n in zip(place, grid.shape, strict=True))


def zones_slowly(grid, offsets, distance):
    """(plane, level, size, least distance) of every zone, by flooding from voxel to voxel."""
    seen = np.zeros(grid.shape, bool)
    both = [*offsets.tolist(), *(-offsets).tolist()]
    found = []
    for start in map(tuple, np.argwhere(grid > 0)):
        if seen[start]:
            continue
        seen[start] = True
        queue, voxels = deque([start]), []
        while queue:
            here = queue.popleft()
            voxels.append(here)
            for step in both:
                there = tuple(h + s for h, s in zip(here, step, strict=True))
                if inside(grid, there) and not seen[there] and grid[there] == grid[start]:
                    seen[there] = True
                    queue.append(there)
        found.append((start[0], int(grid[start]), len(voxels), min(int(distance[v]) for v in voxels)))
    return sorted(found)


@QUICK
@given(GREY, st.booleans(), st.integers(1, 2), st.integers(0, 99))
def test_zones(grid, by_plane, border, seed):
    distance = np.random.default_rng(seed).integers(1, 5, grid.shape)
    offsets = directions(by_plane=by_plane)
    levels = levels_of(grid, border)
    found = find_zones(levels, offsets, distance[grid > 0])
    wanted = zones_slowly(grid, offsets, distance)
    got = zip(found.plane.tolist(), found.level.tolist(), found.size.tolist(), found.distance.tolist(), strict=True)
    assert sorted(got) == wanted
    # The union-find of the PyRadiomics set comes to the same zones its own way.
    steps = levels.steps(offsets)
    level, size = union_find(levels.flat, levels.where, steps, steps)
    assert sorted(zip(level.tolist(), size.tolist(), strict=True)) == sorted((a, b) for _, a, b, _ in wanted)


@QUICK
@given(MASKS, st.booleans())
def test_border_distance(mask, by_plane):
    """Peeling: what has a neighbour outside is at distance 1, what then has one is at distance 2, and so on."""
    steps = [s for s in itertools.product((-1, 0, 1), repeat=3) if sum(map(abs, s)) == 1 and not (by_plane and s[0])]
    wanted = np.zeros(mask.shape, int)
    left, layer = mask.copy(), 0
    while left.any():
        layer += 1
        padded = np.pad(left, 1)
        edge = [p for p in map(tuple, np.argwhere(left)) if not all(padded[tuple(np.add(p, 1) + s)] for s in steps)]
        for place in edge:
            left[place] = False
            wanted[place] = layer
    assert_array_equal(border_distance(mask, by_plane=by_plane), wanted)


@QUICK
@given(MASKS, st.integers(0, 99), st.floats(-1e4, 1e4))
def test_spatial_autocorrelation(mask, seed, middle):
    """Moran's I and Geary's C from all pairs of voxels, as the manual writes them."""
    voxels = np.random.default_rng(seed).normal(middle, 10.0, mask.shape)
    values, places = voxels[mask], np.argwhere(mask) * SPACING
    n = values.size
    if n < 2:
        assert all(math.isnan(value) for value in autocorrelation(voxels, mask, SPACING))
        return
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    weight = np.divide(1.0, apart, out=np.zeros_like(apart), where=apart > 0)
    centred = values - values.mean()
    spread = (centred**2).sum()
    moran = n / weight.sum() * (weight * np.outer(centred, centred)).sum() / spread
    geary = (n - 1) / (2 * weight.sum()) * (weight * (values[:, None] - values[None]) ** 2).sum() / spread
    assert_allclose(autocorrelation(voxels, mask, SPACING), (moran, geary), rtol=1e-7, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(MASKS, st.sampled_from([(3.0, 1.0, 1.5), (2.0, 2.0, 2.0), (7.0, 4.0, 4.0)]), st.integers(0, 99))
def test_local_peaks(mask, spacing, seed):
    """Means over all voxels whose centre lies within the sphere, found by measuring every distance."""
    rng = np.random.default_rng(seed)
    voxels = np.rint(rng.normal(50, 3, mask.shape))
    voxels[~mask & (rng.random(mask.shape) < 0.1)] = np.nan
    places = np.argwhere(np.ones(mask.shape)) * spacing
    peaks = []
    for place in np.argwhere(mask):
        near = np.linalg.norm(places - place * spacing, axis=1) <= 10 * (3 / (4 * math.pi)) ** (1 / 3)
        peaks.append(np.nanmean(voxels.ravel()[near]))
    values = voxels[mask]
    got = local.compute(voxels, mask, spacing)
    assert got["GlobalIntensityPeak"] == pytest.approx(max(peaks), rel=1e-10)
    wanted = max(peak for peak, value in zip(peaks, values, strict=True) if value == values.max())
    assert got["LocalIntensityPeak"] == pytest.approx(wanted, rel=1e-10)


def test_local_peaks_of_many_blocks(monkeypatch):
    """A region of several blocks at the image's edge, with holes in the image: every mean by a convolution of the whole image."""
    rng = np.random.default_rng(7)
    spacing = (3.0, 2.0, 1.5)
    voxels = rng.normal(-900, 30, (22, 47, 60))
    mask = rng.random(voxels.shape) < 0.3
    mask[10:, 20:40] = False
    voxels[~mask & (rng.random(mask.shape) < 0.05)] = np.nan
    ball, known = local.sphere(spacing).astype(float), np.isfinite(voxels)
    total = ndimage.convolve(np.where(known, voxels, 0.0), ball, mode="constant")
    wanted = (total / ndimage.convolve(known.astype(float), ball, mode="constant"))[mask]
    for least in (8, 36):
        monkeypatch.setattr(local, "_LEAST_BLOCK", least)
        found = list(local.sphere_means(voxels, mask, spacing))
        assert len(found) > 8 or least == 36
        peaks, values = (np.concatenate(part) for part in zip(*found, strict=True))
        assert_array_equal(np.sort(values), np.sort(voxels[mask]))
        assert_allclose(peaks[np.argsort(values)], wanted[np.argsort(voxels[mask])], rtol=1e-12)


@QUICK
@given(st.integers(1, 200_000), st.integers(0, 99))
def test_sums_in_pieces(n, seed):
    """As numpy adds them all at once, to the last digit."""
    values = np.random.default_rng(seed).normal(1e3, 1.0, n)
    assert sums.total(sums.plain(values), n) == values.sum()
    assert sums.mean(sums.less(values.astype(np.float32), 999.5), n) == (values.astype(np.float32) - np.float64(999.5)).mean()


def glcm_slowly(p):
    """The 25 features of a dense symmetric matrix of probabilities, double sums written out."""
    n = len(p)
    cells = [(i, j, p[i - 1, j - 1]) for i in range(1, n + 1) for j in range(1, n + 1)]
    px = {i: sum(q for a, _, q in cells if a == i) for i in range(1, n + 1)}
    mean = sum(i * px[i] for i in px)
    variance = sum((i - mean) ** 2 * px[i] for i in px)
    minus = {k: sum(q for i, j, q in cells if abs(i - j) == k) for k in range(n)}
    plus = {k: sum(q for i, j, q in cells if i + j == k) for k in range(2, 2 * n + 1)}

    def bits(values):
        return -sum(v * math.log2(v) for v in values if v > 0)

    diff_avg = sum(k * minus[k] for k in minus)
    sum_avg = sum(k * plus[k] for k in plus)
    hxy, hx = bits(q for _, _, q in cells), bits(px.values())
    hxy1 = -sum(q * math.log2(px[i] * px[j]) for i, j, q in cells if q > 0)
    hxy2 = -sum(px[i] * px[j] * math.log2(px[i] * px[j]) for i in px for j in px if px[i] * px[j] > 0)
    return [
        max(q for _, _, q in cells),
        mean,
        variance,
        hxy,
        diff_avg,
        sum((k - diff_avg) ** 2 * minus[k] for k in minus),
        bits(minus.values()),
        sum_avg,
        sum((k - sum_avg) ** 2 * plus[k] for k in plus),
        bits(plus.values()),
        sum(q * q for _, _, q in cells),
        sum((i - j) ** 2 * q for i, j, q in cells),
        sum(abs(i - j) * q for i, j, q in cells),
        sum(q / (1 + abs(i - j)) for i, j, q in cells),
        sum(q / (1 + abs(i - j) / n) for i, j, q in cells),
        sum(q / (1 + (i - j) ** 2) for i, j, q in cells),
        sum(q / (1 + (i - j) ** 2 / n**2) for i, j, q in cells),
        2 * sum(q / (i - j) ** 2 for i, j, q in cells if j > i),
        sum((i - mean) * (j - mean) * q for i, j, q in cells) / variance,
        sum(i * j * q for i, j, q in cells),
        sum((i + j - 2 * mean) ** 2 * q for i, j, q in cells),
        sum((i + j - 2 * mean) ** 3 * q for i, j, q in cells),
        sum((i + j - 2 * mean) ** 4 * q for i, j, q in cells),
        (hxy - hxy1) / hx,
        math.sqrt(max(0.0, 1 - math.exp(-2 * (hxy2 - hxy)))),
    ]


@QUICK
@given(arrays(np.int64, (5, 5), elements=st.integers(0, 9)))
def test_glcm_formulas(counts):
    counts = counts + counts.T
    present = counts.sum(axis=1) > 0
    codes = np.flatnonzero(counts)
    got = glcm.features(Cells(codes, counts.ravel()[codes].astype(float), 5))
    assert got.size == len(CM.features)
    if present.sum() == 0:
        assert np.isnan(got).all()
    elif present.sum() == 1:
        names = [feature.name for feature, value in zip(CM.features, got, strict=True) if math.isnan(value)]
        assert names == ["Correlation", "InformationCorrelation1"]
    else:
        assert_allclose(got, glcm_slowly(counts / counts.sum()), rtol=1e-9, atol=1e-7)


@QUICK
@given(arrays(np.int64, (4, 6), elements=st.integers(0, 9)).filter(np.any), st.integers(1, 999))
def test_level_size_formulas(counts, voxels):
    cells = [(i + 1, j + 1, int(counts[i, j])) for i in range(4) for j in range(6) if counts[i, j]]
    total = counts.sum()

    def mean(function):
        return sum(n * function(i, j) for i, j, n in cells) / total

    level_mean, size_mean = mean(lambda i, j: i), mean(lambda i, j: j)
    wanted = [
        mean(lambda i, j: 1 / j**2),
        mean(lambda i, j: j**2),
        mean(lambda i, j: 1 / i**2),
        mean(lambda i, j: i**2),
        mean(lambda i, j: 1 / (i * j) ** 2),
        mean(lambda i, j: (i / j) ** 2),
        mean(lambda i, j: (j / i) ** 2),
        mean(lambda i, j: (i * j) ** 2),
        (counts.sum(axis=1) ** 2).sum() / total,
        (counts.sum(axis=1) ** 2).sum() / total**2,
        (counts.sum(axis=0) ** 2).sum() / total,
        (counts.sum(axis=0) ** 2).sum() / total**2,
        total / voxels,
        mean(lambda i, j: (i - level_mean) ** 2),
        mean(lambda i, j: (j - size_mean) ** 2),
        -sum(n / total * math.log2(n / total) for _, _, n in cells),
        sum((n / total) ** 2 for _, _, n in cells),
    ]
    codes = np.flatnonzero(counts)
    got = levelsize.features(Cells(codes, counts.ravel()[codes].astype(float), 6), voxels)
    assert len(NGL.features) == 17 and len(RLM.features) == 16
    assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


@QUICK
@given(GREY, st.booleans(), st.sampled_from([1, 2]), st.integers(0, 2))
def test_matrices_of_neighbours(grid, by_plane, distance, alpha):
    """GLCM, dependence and tone differences by looking at every voxel's neighbours one by one."""
    parameters = IbsiParameters(
        glcm_distance=distance, ngtdm_distance=distance, ngldm_distance=distance, ngldm_alpha=alpha, aggregations=("3D-mrg",)
    )
    textures = Textures(
        levels_of(grid, distance), parameters, lambda by_plane: border_distance(grid > 0, by_plane=by_plane)[grid > 0]
    )
    planes = [[z] for z in range(len(grid)) if grid[z].any()] if by_plane else [range(len(grid))]
    reach = [s for s in itertools.product(range(-distance, distance + 1), repeat=3) if any(s) and not (by_plane and s[0])]
    assert sorted(map(tuple, around(distance, by_plane=by_plane).tolist())) == sorted(reach)
    pairs, dependence, tones = [], [], []
    for part in planes:
        voxels = [tuple(p) for p in np.argwhere(grid > 0) if p[0] in part]
        of_direction = []
        for step in directions(by_plane=by_plane) * distance:
            found = Counter()
            for place, sign in itertools.product(voxels, (1, -1)):
                there = tuple(np.add(place, sign * step))
                if inside(grid, there) and grid[there]:
                    found[int(grid[place]), int(grid[there])] += 1
            of_direction.append(found)
        pairs.append(of_direction)
        like, sums, counts = Counter(), Counter(), Counter()
        for place in voxels:
            near = [grid[there] for there in (tuple(np.add(place, s)) for s in reach) if inside(grid, there) and grid[there]]
            level = int(grid[place])
            like[level, 1 + sum(abs(int(v) - level) <= alpha for v in near)] += 1
            if near:
                sums[level] += abs(level - sum(map(int, near)) / len(near))
                counts[level] += 1
        dependence.append([like])
        tones.append((counts, sums))

    def counted(family):
        return [
            [
                Counter(dict(zip(zip(m.cells.rows + 1, m.cells.columns + 1, strict=True), m.cells.weight, strict=True)))
                for m in part
            ]
            for part in textures.matrices(family, by_plane=by_plane)
        ]

    assert counted("cm") == pairs
    assert counted("ngl") == dependence
    for (count, difference), (counts, sums) in zip(textures.tone_differences(by_plane=by_plane), tones, strict=True):
        assert {k + 1: v for k, v in enumerate(count) if v} == dict(counts)
        assert_allclose(difference, [sums[k + 1] for k in range(difference.size)], atol=1e-12)


@QUICK
@given(GREY, st.booleans())
def test_runs(grid, by_plane):
    textures = Textures(levels_of(grid), IbsiParameters(), lambda by_plane: np.zeros(0, np.int64))
    planes = [[z] for z in range(len(grid)) if grid[z].any()] if by_plane else [range(len(grid))]
    for part, of_part in zip(planes, textures.matrices("rlm", by_plane=by_plane), strict=True):
        for step, matrix in zip(directions(by_plane=by_plane), of_part, strict=True):
            wanted = Counter()
            for place in (tuple(p) for p in np.argwhere(grid > 0) if p[0] in part):
                before = tuple(np.subtract(place, step))
                if inside(grid, before) and grid[before] == grid[place]:
                    continue
                length, here = 0, place
                while inside(grid, here) and grid[here] == grid[place]:
                    length, here = length + 1, tuple(np.add(here, step))
                wanted[int(grid[place]), length] += 1
            cells = matrix.cells
            assert dict(zip(zip(cells.rows + 1, cells.columns + 1, strict=True), cells.weight, strict=True)) == dict(wanted)
            assert matrix.voxels == np.count_nonzero(grid[list(part)])


@QUICK
@given(arrays(np.int64, st.integers(1, 30), elements=st.integers(1, 9)))
def test_intensity_histogram(levels):
    got = intensity_histogram(levels)
    n, top = levels.size, int(levels.max())
    counts = [int((levels == level).sum()) for level in range(1, top + 1)]
    gradient = [
        counts[min(i + 1, top - 1)] / (2 if 0 < i < top - 1 else 1) - counts[max(i - 1, 0)] / (2 if 0 < i < top - 1 else 1)
        for i in range(top)
    ]
    best = [level for level in range(1, top + 1) if counts[level - 1] == max(counts)]
    assert got["IntensityHistogramMode"] == min(best, key=lambda level: (abs(level - levels.mean()), level))
    assert got["DiscretisedIntensityEntropy"] == pytest.approx(-sum(c / n * math.log2(c / n) for c in counts if c), abs=1e-12)
    assert got["DiscretisedIntensityUniformity"] == pytest.approx(sum((c / n) ** 2 for c in counts))
    if top > 1:
        assert got["MaximumHistogramGradient"] == max(gradient)
        assert got["MaximumHistogramGradientIntensity"] == gradient.index(max(gradient)) + 1
        assert got["MinimumHistogramGradient"] == min(gradient)
        assert got["MinimumHistogramGradientIntensity"] == gradient.index(min(gradient)) + 1
    else:
        assert math.isnan(got["MaximumHistogramGradient"])


@QUICK
@given(
    arrays(np.int64, st.integers(1, 40), elements=st.integers(-20, 20)),
    st.sampled_from([None, (-20, 20), (-25, 30), (-20, None), (None, 25)]),
)
def test_intensity_volume_histogram(values, limits):
    """Every discretised intensity of the range looked at in turn, as the manual's table of the phantom does."""
    got = intensity_volume_histogram(values.astype(float), Discretise(method="none"), limits)
    low, high = (
        end if end is not None else edge for end, edge in zip(limits or (None, None), (values.min(), values.max()), strict=True)
    )
    nu = {i: 1 - (values < i).mean() for i in range(int(low), int(high) + 1)}
    for x in (0.1, 0.9):
        volume = got[f"VolumeAtIntensityFraction{x * 100:.0f}"]
        if high > low:
            assert volume == pytest.approx(max(v for i, v in nu.items() if (i - low) / (high - low) >= x - 1e-12))
        else:
            assert math.isnan(volume)
        reached = [i for i, v in nu.items() if v <= x + 1e-12]
        assert got[f"IntensityAtVolumeFraction{x * 100:.0f}"] == (min(reached) if reached else high + 1)


def test_intensity_volume_histogram_of_bins():
    """0, 1, 2, 3 with bins of 1 on the range 0 to 4: centres 0.5 to 3.5; a tenth of the way from 0.5 to 3.5 is reached by 1.5."""
    got = intensity_volume_histogram(np.arange(4.0), Discretise(method="fbs", width=1.0), (0.0, 4.0))
    assert got["VolumeAtIntensityFraction10"] == 0.75 and got["VolumeAtIntensityFraction90"] == 0.25
    assert got["IntensityAtVolumeFraction90"] == 1.5
    assert got["IntensityAtVolumeFraction10"] == 4.5  # a quarter reaches the highest centre; none reaches the next
    assert got["AreaUnderTheIvhCurve"] == pytest.approx((1 + 0.75) / 6 + (0.75 + 0.5) / 6 + (0.5 + 0.25) / 6)

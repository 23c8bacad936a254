"""What a map becomes in a table: worked by hand, against scipy, and against Moran's I written as its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from radpipe.features.config import FeatureSettings
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.map_settings import MAP, MapSettings
from radpipe.features.map_statistics import BINS, REASONS, STATISTICS, map_dictionary, map_statistics, morans_i


def lattice(*shape: int) -> np.ndarray:
    return np.argwhere(np.ones(shape, bool))


def of(values: np.ndarray, centres: np.ndarray, **options: int) -> tuple[dict[str, float], dict[str, str]]:
    """Of one map, by the statistics' own names."""
    row, why = map_statistics(["m"], np.asarray(values)[None], centres, **options)
    return {name.removeprefix(f"m{MAP}"): value for name, value in row.items()}, {
        name.removeprefix(f"m{MAP}"): code for name, code in why.items()
    }


def moran_slowly(values: np.ndarray, centres: np.ndarray, stride: int = 1) -> float:
    """The double sum over all pairs."""
    known = np.isfinite(values)
    values, centres = values[known], centres[known]
    z = values - values.mean()
    total, weights = 0.0, 0
    for i in range(len(z)):
        for j in range(len(z)):
            if i != j and np.abs(centres[i] - centres[j]).max() == stride:
                total += z[i] * z[j]
                weights += 1
    return len(z) / weights * total / (z @ z)


def test_a_row_worked_by_hand() -> None:
    """0, 0, 4, 4 in a row: neighbours are (0, 0), (0, 4), (4, 4), so the products of deviations are 4, -4, 4."""
    row, why = of(np.array([0.0, 0.0, 4.0, 4.0]), lattice(1, 1, 4))
    assert why == {}
    assert row["Mean"] == 2.0
    assert row["StandardDeviation"] == 2.0
    assert row["Skewness"] == 0.0
    assert row["Entropy"] == 1.0  # two of 32 bins, half of the voxels each
    assert row["MoransI"] == pytest.approx(4 / 6 * (2 * (4 - 4 + 4)) / 16, abs=1e-15)
    assert row["50Percentile"] == 2.0
    assert list(row) == list(STATISTICS)


def test_a_chessboard_is_opposed_along_faces_and_alike_along_edges() -> None:
    """2 x 2: four faces (products -1 each), two diagonals (1 each): n / W = 4 / 12, over the sum of squares 4."""
    row, _ = of(np.array([1.0, 0.0, 0.0, 1.0]), lattice(1, 2, 2))
    assert row["MoransI"] == pytest.approx(4 / 12 * 2 * (-4 * 0.25 + 2 * 0.25) / 1.0)


def test_against_scipy() -> None:
    rng = np.random.default_rng(1)
    values = rng.gamma(2.0, 3.0, 700)
    row, _ = of(values, lattice(7, 10, 10))
    counts, _ = np.histogram(values, BINS)
    assert row["Skewness"] == pytest.approx(stats.skew(values), rel=1e-12)
    assert row["Entropy"] == pytest.approx(stats.entropy(counts, base=2), rel=1e-12)
    for share in (10, 25, 50, 75, 90):
        assert row[f"{share}Percentile"] == pytest.approx(stats.scoreatpercentile(values, share), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_morans_i_is_its_definition(seed: int, stride: int) -> None:
    """On any region, with voxels that have no value, at any stride."""
    rng = np.random.default_rng(seed)
    centres = np.argwhere(rng.random(tuple(rng.integers(2, 5, 3))) < 0.7) * stride + rng.integers(0, 9, 3)
    values = rng.normal(size=len(centres)) * 10.0 ** rng.integers(-6, 7)
    values[rng.random(len(values)) < 0.15] = np.nan
    known = np.isfinite(values)
    apart = np.abs(centres[known][:, None] - centres[known][None]).max(axis=2) == stride
    if known.sum() < 3 or not apart.any():
        return
    (found,) = morans_i(values[None], known[None], centres, stride)
    assert found == pytest.approx(moran_slowly(values, centres, stride), rel=1e-9, abs=1e-12)


def test_shifting_and_scaling_a_map_leaves_its_shape() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=343)
    plain, _ = of(values, lattice(7, 7, 7))
    other, _ = of(values * 2.0**20 + 3.0, lattice(7, 7, 7))
    for name in ("Skewness", "MoransI"):
        assert other[name] == pytest.approx(plain[name], rel=1e-8)
    assert other["Entropy"] == pytest.approx(plain["Entropy"], abs=0.02)  # a value may change bins by rounding
    assert other["Mean"] == pytest.approx(plain["Mean"] * 2.0**20 + 3.0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_flat_map_has_no_shape_and_says_why(kind: type) -> None:
    row, why = of(np.full(27, 0.1, kind), lattice(3, 3, 3))
    assert row["Mean"] == pytest.approx(0.1, rel=1e-6)
    assert row["StandardDeviation"] == 0.0
    assert why == dict.fromkeys(["Skewness", "Entropy", "MoransI"], "flat-map")
    assert all(np.isnan(row[name]) for name in why)


def test_rounding_is_no_variation() -> None:
    rng = np.random.default_rng(3)
    values = (np.float32(0.3) + rng.integers(-1, 2, 27) * np.spacing(np.float32(0.3))).astype(np.float32)
    _, why = of(values, lattice(3, 3, 3))
    assert set(why.values()) == {"flat-map"}
    around_zero = rng.choice([-7.6e-16, -3.2e-16, 1.2e-16], 27).astype(np.float32)  # an entropy of 0, as it is computed
    _, why = of(around_zero, lattice(3, 3, 3))
    assert set(why.values()) == {"flat-map"}


def test_voxels_without_a_value_are_left_out() -> None:
    values = np.array([1.0, np.nan, 2.0, 4.0, np.inf, 3.0, 0.0, 0.0])
    row, why = of(values, lattice(2, 2, 2))
    known = values[np.isfinite(values)]
    assert row["Mean"] == known.mean()
    assert row["90Percentile"] == pytest.approx(np.percentile(known, 90))
    assert why == {}
    _, why = of(np.full(8, np.nan), lattice(2, 2, 2))
    assert why == dict.fromkeys(STATISTICS, "map-undefined")


def test_no_neighbours_is_another_reason_than_a_flat_map() -> None:
    _, why = of(np.array([1.0, 2.0, 4.0]), np.array([[0, 0, 0], [0, 0, 2], [0, 0, 4]]))
    assert why == {"MoransI": "map-no-neighbours"}
    assert set(why.values()) <= set(REASONS)
    _, why = of(np.array([1.0, 2.0, 4.0]), np.array([[0, 0, 0], [0, 0, 2], [0, 0, 4]]), stride=2)
    assert why == {}


def test_every_map_is_measured_on_its_own() -> None:
    rng = np.random.default_rng(4)
    table = rng.normal(size=(40, 60)).astype(np.float32)
    table[1, :50] = np.nan
    centres = lattice(3, 4, 5)
    names = [f"m{at}" for at in range(40)]
    together, _ = map_statistics(names, table, centres)
    assert len(together) == 40 * len(STATISTICS)
    for name, values in zip(names, table, strict=True):
        alone, _ = map_statistics([name], values[None], centres)
        for column, value in alone.items():
            assert together[column] == pytest.approx(value, rel=1e-12, nan_ok=True)


def test_the_dictionary_tells_every_column() -> None:
    own = MapSettings(kernel_radius=2)
    features = FeatureSettings(params={"setting": {"binWidth": 0.25}})
    extraction = own.extraction(features)
    base = feature_dictionary(extraction)
    rows = map_dictionary(own, base, own.key(features))
    names = [row["name"] for row in base]
    columns, _ = map_statistics(names, np.zeros((len(names), 8)), lattice(2, 2, 2))
    assert [row["name"] for row in rows] == list(columns)
    contrast = next(row for row in rows if row["name"] == "original_glcm_Contrast__map_MoransI")
    assert contrast["unit"] == "1"
    assert "5 voxels" in str(contrast["meaning"])
    assert '"kernelRadius": 2' in str(contrast["settings"])
    mean = next(row for row in rows if row["name"] == "original_firstorder_Mean__map_StandardDeviation")
    assert mean["unit"] == "intensity"


def test_the_key_changes_with_whatever_changes_a_map() -> None:
    features = FeatureSettings(params={"setting": {"binWidth": 0.25}})
    plain = MapSettings().key(features)
    assert MapSettings(statistics=False).key(features) == plain
    for other in (
        MapSettings(kernel_radius=2),
        MapSettings(stride=2),
        MapSettings(masked_kernel=False),
        MapSettings(setting={"binWidth": 0.5}),
    ):
        assert other.key(features) != plain
    assert MapSettings().key(FeatureSettings(params={"setting": {"binWidth": 0.5}})) != plain

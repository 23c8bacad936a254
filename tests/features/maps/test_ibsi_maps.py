"""Maps of the IBSI set: every window beside the scalar IBSI engine, which knows nothing of windows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import ConfigError, EmptyRoiError, FileProblem, RadpipeError
from radpipe.features import FeatureSettings, extract_maps, extract_row
from radpipe.features.ibsi import statistics
from radpipe.features.ibsi.catalogue import column_families, feature_names
from radpipe.features.ibsi.discretise import grey_levels, laid_out
from radpipe.features.ibsi.histogram import intensity_histogram
from radpipe.features.ibsi.prepare import prepare
from radpipe.features.ibsi.textures import Textures
from radpipe.features.map_ibsi import MAPPED, WITHOUT
from radpipe.features.maps import compute, plan_maps
from radpipe.features.needed import needed_part

GRID = Grid((7, 9, 8), (3.0, 1.5, 0.8), (10.0, -20.0, 5.0), (0.6, 0.8, 0.0, -0.8, 0.6, 0.0, 0.0, 0.0, 1.0))
ALL = {"families": list(MAPPED), "discretise": {"method": "fbn", "bins": 6}}


def settings(**params: Any) -> FeatureSettings:
    return FeatureSettings(feature_set="ibsi", params=ALL | params)


@pytest.fixture(scope="module")
def image() -> Image:
    """Whole numbers, so that a window has intensities that occur twice; smooth, so that it has runs and zones."""
    voxels = np.random.default_rng(3).normal(40, 30, GRID.shape)
    for axis in range(3):
        voxels = (voxels + np.roll(voxels, 1, axis)) / 1.7
    return Image(GRID, np.rint(voxels).astype(np.int16))


@pytest.fixture(scope="module")
def lesion() -> Mask:
    """An ellipsoid with a hole, at the image's edge; far from it two voxels alone and one more."""
    z, y, x = np.indices(GRID.shape)
    inside = ((z - 2) / 2.6) ** 2 + ((y - 4) / 2.4) ** 2 + ((x - 3) / 2.4) ** 2 <= 1
    inside[2, 4, 3] = False
    inside[6, 0, 7] = inside[6, 1, 7] = inside[6, 8, 0] = True
    return Mask(GRID, inside)


def scalar(image: Image, mask: Mask, wanted: FeatureSettings) -> dict[tuple[int, ...], dict[str, float]]:
    """centre -> column -> the scalar engine's value on the window around it, with the whole region's grey levels and their number."""
    parameters = wanted.ibsi_parameters
    prepared = prepare(image, mask, parameters)
    levels = np.zeros(prepared.voxels.shape, np.int64)
    limits = parameters.resegment_range or (None, None)
    levels[prepared.intensity] = grey_levels(prepared.voxels[prepared.intensity], parameters.discretise, limits[0])
    reach = (0 if parameters.dimension == "2D" else parameters.kernel_radius, *[parameters.kernel_radius] * 2)
    found = {}
    for centre in np.argwhere(prepared.intensity):
        window = tuple(slice(max(c - r, 0), c + r + 1) for c, r in zip(centre, reach, strict=True))
        inside, own = prepared.intensity[window], levels[window][prepared.intensity[window]]
        textures = Textures(
            replace(laid_out(inside, own, 4, prepared.spacing_mm), n_levels=int(levels.max())),
            parameters,
            lambda _, n=own.size: np.ones(n, np.int64),
        )
        row = {}
        for family, way, named in column_families(parameters):
            if family == "stat":
                values = statistics.compute(prepared.voxels[window][inside].astype(np.float64))
            elif family == "ih":
                values = intensity_histogram(own)
            else:
                values = textures.compute(family, way)
            row |= {f"original_{named}_{name}": values[name] for name in feature_names(family)}
        found[tuple(centre.tolist())] = row
    return found


def agree(got: dict[tuple[int, ...], dict[str, float]], expected: dict[tuple[int, ...], dict[str, float]]) -> None:
    assert got.keys() == expected.keys()
    for column in next(iter(expected.values())):
        theirs = np.array([row[column] for row in expected.values()])
        ours = np.array([got[centre][column] for centre in expected])
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs), err_msg=column)
        # What is 0 but for rounding goes by the largest value of the map; the root of a rounding is 1e-8.
        within = 1e-9 * np.maximum(np.abs(theirs), np.nanmax(np.abs(theirs), initial=1e-3))
        within = np.maximum(within, 1e-7 if column.endswith("InformationCorrelation2") else 0.0)
        worst = np.nanmax(np.abs(ours - theirs) / within, initial=0.0)
        assert worst <= 1.0, (column, worst)


def by_centre(image: Image, mask: Mask, wanted: FeatureSettings) -> dict[tuple[int, ...], dict[str, float]]:
    maps = extract_maps(image, mask, wanted, dtype=np.float64)
    return {
        tuple(centre): dict(zip(maps.columns, row, strict=True))
        for centre, row in zip(maps.centres.tolist(), maps.data.T.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"kernel_radius": 2, "discretise": {"method": "fbs", "width": 7, "start": -200}},
        {"resegment_range": [10, 90], "discretise": {"method": "fbs", "width": 12}, "ngldm_alpha": 1},
        {"kernel_radius": 2, "glcm_distance": 2, "ngtdm_distance": 2, "ngldm_distance": 3},
        {"dimension": "2D", "discretise": {"method": "fbn", "bins": 3}},
        {"dimension": "2D", "kernel_radius": 2, "ngtdm_distance": 2, "aggregations": ["25D-mrg", "2D-avg"]},
        {"outlier_sigma": 1.5, "round_intensities": True, "discretise": {"method": "fbn", "bins": 40}},
        {"discretise": {"method": "fbn", "bins": 1}},
    ],
    ids=str,
)
def test_every_window_has_the_scalar_engine_s_values(image: Image, lesion: Mask, params: dict[str, Any]) -> None:
    wanted = settings(**params)
    agree(by_centre(image, lesion, wanted), scalar(image, lesion, wanted))


def test_on_a_resampled_grid(image: Image, lesion: Mask) -> None:
    wanted = settings(resample={"spacing_mm": [1.0, 1.2, 2.5]}, families=["stat", "szm"])
    agree(by_centre(image, lesion, wanted), scalar(image, lesion, wanted))
    grid = extract_maps(image, lesion, wanted).grid
    assert grid.spacing_mm == (2.5, 1.2, 1.0) and grid.direction == GRID.direction
    middles = [one.world_mm((np.array(one.shape) - 1) / 2) for one in (grid, GRID)]
    np.testing.assert_allclose(*middles, atol=1e-9)  # the manual aligns the grids by their middle


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("dimension", ["3D", "2D"])
def test_a_window_as_large_as_the_region_gives_the_row(dimension: str, radius: int) -> None:
    side = 2 * radius + 1
    depth = side if dimension == "3D" else 1
    grid = Grid((depth + 2, side + 2, side + 3), (2.0, 1.0, 0.7))
    rng = np.random.default_rng(radius)
    image = Image(grid, np.rint(rng.normal(50, 20, grid.shape)))
    inside = np.zeros(grid.shape, bool)
    box = (slice(1, depth + 1), slice(1, side + 1), slice(2, side + 2))
    inside[box] = rng.uniform(size=(depth, side, side)) < 0.85
    centre = (1 + depth // 2, 1 + radius, 2 + radius)
    for axis, sides in enumerate(box):
        for end in (sides.start, sides.stop - 1):
            inside[tuple(end if other == axis else place for other, place in enumerate(centre))] = True
    mask = Mask(grid, inside)
    wanted = settings(kernel_radius=radius, dimension=dimension)
    agree({centre: by_centre(image, mask, wanted)[centre]}, {centre: extract_row(image, mask, wanted)})


def test_filtered_maps_are_those_of_the_response(image: Image, lesion: Mask) -> None:
    filters = [{"mean": {"support": 3}}, {"log": {"sigma": 1.0, "unit": "voxel"}}]
    wanted = settings(filter=filters, families=["stat", "ngl"])
    plan = plan_maps(image, lesion, wanted, block=50)
    assert len(plan.responses) == 2
    from radpipe.features.ibsi.filters import responses

    voxels = image.voxels.astype(np.float64)
    for number, (prefix, response) in enumerate(responses(voxels, GRID.spacing_mm, wanted.ibsi_parameters)):
        plain = extract_maps(Image(GRID, response), lesion, settings(families=["stat", "ngl"]), dtype=np.float64)
        for block in reversed([block for block in plan.blocks if block.response == number]):
            np.testing.assert_allclose(compute(plan, block), plain.data[:, block.start : block.stop], rtol=1e-12)
        assert plan.columns[number * plan.features].startswith(f"{prefix}_stat_")
    first = plan.blocks[0]  # an earlier response again
    assert np.isfinite(compute(plan, first)[0]).all()


def test_blocks_threads_strides_and_the_needed_part_change_nothing(image: Image, lesion: Mask) -> None:
    wanted = settings(kernel_radius=2)
    whole = extract_maps(image, lesion, wanted, dtype=np.float64)
    np.testing.assert_array_equal(whole.data, extract_maps(image, lesion, wanted, threads=3, dtype=np.float64).data)
    small = plan_maps(*needed_part(image, lesion, wanted), wanted, block=17, grid=GRID)
    assert small.grid == GRID and small.box == whole.box and small.columns == whole.columns
    np.testing.assert_array_equal(small.centres, whole.centres)
    for block in small.blocks:
        np.testing.assert_array_equal(compute(small, block), whole.data[:, block.start : block.stop])
    every = extract_maps(image, lesion, wanted, stride=2, dtype=np.float64)
    at = [np.flatnonzero((whole.centres == centre).all(axis=1))[0] for centre in every.centres]
    np.testing.assert_array_equal(every.data, whole.data[:, at])


def test_families_without_maps_are_passed_over_and_named(image: Image, lesion: Mask) -> None:
    plan = plan_maps(image, lesion, FeatureSettings(feature_set="ibsi", params={}))
    assert {column.split("_")[1].partition("-")[0] for column in plan.columns} == set(MAPPED)
    (note,) = plan.notes
    assert all(family in note and why in note for family, why in WITHOUT.items())
    assert set(WITHOUT) | set(MAPPED) == set(FeatureSettings(feature_set="ibsi").ibsi_parameters.families)


@pytest.mark.parametrize(
    ("params", "kind", "words"),
    [
        ({"families": ["morph", "dzm"]}, ConfigError, "none of the families asked for has maps .*border"),
        ({"aggregations": ["3D-avg", "25D-avg"]}, ConfigError, "25D-avg has no maps with dimension 3D"),
        ({"dimension": "2D", "aggregations": ["3D-mrg"]}, ConfigError, "3D-mrg has no maps with dimension 2D"),
        ({"glcm_distance": 3}, ConfigError, "no two voxels of a window of 3"),
        ({"kernel_radius": 5}, EmptyRoiError, "a window of 11 voxels"),
        ({"discretise": {"method": "fbs", "width": 0.001}}, RadpipeError, "grey levels; the most is 10000"),
    ],
)
def test_what_is_refused(image: Image, lesion: Mask, params: dict[str, Any], kind: type[RadpipeError], words: str) -> None:
    with pytest.raises(kind, match=words) as error:
        compute(plan := plan_maps(image, lesion, settings(**params)), plan.blocks[0])
    assert error.value.hint


def test_a_response_with_nan_has_no_values_and_a_filter_wants_a_finite_image(image: Image, lesion: Mask) -> None:
    voxels = image.voxels.astype(np.float64)
    voxels[0, 0, 0] = np.nan
    with pytest.raises(FileProblem, match="which a filter spreads"):
        plan_maps(Image(GRID, voxels), lesion, settings(filter={"mean": {"support": 3}}))
    assert np.isfinite(extract_maps(Image(GRID, voxels), lesion, settings(families=["stat"])).data[0]).all()


def test_the_key_of_a_row_s_settings_does_not_know_windows() -> None:
    from radpipe.features.dictionary import settings_key

    assert settings_key(settings()) == settings_key(settings(kernel_radius=3, init_value=float("nan")))
    assert settings_key(settings()) != settings_key(settings(ngldm_alpha=1))

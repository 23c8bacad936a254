"""What holds for every map whatever its family: blocks, threads and strides change nothing, and a whole window is the row."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.core.registry import lookup
from radpipe.errors import ConfigError, EmptyRoiError, FileProblem, RadpipeError
from radpipe.features import FeatureMaps, FeatureSettings, extract_maps, extract_row, maps
from radpipe.features._kernels.recursive import recursive_pass
from radpipe.features.maps import compute, plan_maps
from radpipe.features.needed import needed_part
from radpipe.features.registry import FAMILIES

FAMILY_NAMES = tuple(name for name in FAMILIES if not name.startswith("shape"))
GRID = Grid((9, 13, 12), (3.0, 1.5, 0.8), (10.0, -20.0, 5.0), (0.6, 0.8, 0.0, -0.8, 0.6, 0.0, 0.0, 0.0, 1.0))


def settings(voxel: dict[str, Any] | None = None, images: dict[str, Any] | None = None, **setting: Any) -> FeatureSettings:
    params: dict[str, Any] = {"setting": {"binWidth": 10, **setting}, "voxelSetting": voxel or {}}
    if images is not None:
        params["imageType"] = images
    return FeatureSettings(params=params)


def noise(grid: Grid, seed: int = 1, dtype: type = np.float64) -> Image:
    """Smooth enough that windows hold runs and zones."""
    voxels = np.random.default_rng(seed).normal(50, 30, grid.shape)
    for axis in range(3):
        voxels = (voxels + np.roll(voxels, 1, axis)) / 1.6
    return Image(grid, voxels.astype(dtype))


@pytest.fixture(scope="module")
def image() -> Image:
    return noise(GRID)


@pytest.fixture(scope="module")
def lesion() -> Mask:
    """An ellipsoid with a hole, off the centre of the grid."""
    z, y, x = np.indices(GRID.shape)
    inside = ((z - 4) / 3.2) ** 2 + ((y - 7) / 4.4) ** 2 + ((x - 6) / 4.8) ** 2 <= 1
    inside[4, 7, 6] = False
    return Mask(GRID, inside)


def same(one: FeatureMaps, other: FeatureMaps) -> None:
    assert one.columns == other.columns
    np.testing.assert_array_equal(one.centres, other.centres)
    np.testing.assert_array_equal(one.data, other.data)


@pytest.mark.parametrize("masked", [True, False])
def test_blocks_and_threads_change_no_value(image: Image, lesion: Mask, masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    images = {"Original": {}, "Square": {"binWidth": 5}}
    wanted = settings({"maskedKernel": masked}, images)
    whole = extract_maps(image, lesion, wanted, dtype=np.float64)
    monkeypatch.setattr(maps, "BLOCK", 37)
    same(whole, extract_maps(image, lesion, wanted, dtype=np.float64))
    same(whole, extract_maps(image, lesion, wanted, threads=3, dtype=np.float64))
    batch = settings({"maskedKernel": masked, "voxelBatch": 11}, images)
    same(whole, extract_maps(image, lesion, batch, dtype=np.float64))


def test_any_block_may_be_computed_at_any_time(image: Image, lesion: Mask) -> None:
    wanted = settings(images={"Wavelet": {"wavelet": "haar"}, "Original": {}})
    whole = extract_maps(image, lesion, wanted, dtype=np.float64)
    plan = plan_maps(image, lesion, wanted, block=100)
    assert len(plan.responses) == 9 and len(plan.blocks) == 9 * -(-len(plan.centres) // 100)
    for block in [plan.blocks[k] for k in np.random.default_rng(0).permutation(len(plan.blocks))[:12]]:
        np.testing.assert_array_equal(compute(plan, block), whole.data[plan.rows(block), block.start : block.stop])


@pytest.mark.parametrize("stride", [2, 3])
def test_all_phases_of_a_stride_together_are_the_whole_map(image: Image, lesion: Mask, stride: int) -> None:
    whole = extract_maps(image, lesion, settings(), dtype=np.float64)
    voxels = np.full((len(whole.columns), *GRID.shape), np.inf)
    seen = 0
    for phase in np.ndindex(stride, stride, stride):
        part = extract_maps(image, lesion, settings(), stride=stride, phase=phase, dtype=np.float64)
        assert (np.diff(np.unique(part.centres[:, 2])) % stride == 0).all()
        voxels[(slice(None), *part.centres.T)] = part.data
        seen += len(part.centres)
    assert seen == len(whole.centres) == int(lesion.voxels.sum())
    np.testing.assert_array_equal(voxels[:, lesion.voxels], whole.data)


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize(
    "setting", [{}, {"distances": [1, 2], "gldm_a": 3, "symmetricalGLCM": False}, {"weightingNorm": "euclidean"}]
)
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_window_as_large_as_the_region_gives_the_value_of_the_row(family: str, radius: int, setting: dict[str, Any]) -> None:
    """The centre of a box of (2 r + 1) voxels, some of them missing."""
    side = 2 * radius + 1
    image = noise(Grid((side + 3, side + 2, side + 4), (2.0, 1.0, 0.7)), seed=radius)
    inside = np.zeros(image.grid.shape, bool)
    inside[1 : side + 1, 2 : side + 2, 3 : side + 3] = np.random.default_rng(5).uniform(size=(side,) * 3) < 0.9
    inside[[1, side], 2 + radius, 3 + radius] = inside[1 + radius, [2, side + 1], 3 + radius] = True
    inside[1 + radius, 2 + radius, [3 + radius, 3, side + 2]] = True
    mask = Mask(image.grid, inside)
    params = settings({"kernelRadius": radius}, **setting).params | {"featureClass": {family: None}}
    row = extract_row(image, mask, FeatureSettings(params=params))
    maps = extract_maps(image, mask, FeatureSettings(params=params), dtype=np.float64)
    (at,) = np.flatnonzero((maps.centres == [1 + radius, 2 + radius, 3 + radius]).all(axis=1))
    got = {column: float(maps.values(column)[at]) for column in maps.columns}
    assert list(got) == list(row)
    natural = lookup(FAMILIES, family, "feature class")
    values = {column.rsplit("_", 1)[1]: value for column, value in row.items()}
    for column, value in row.items():
        scale = max(abs(value), natural.natural_scale(column.rsplit("_", 1)[1], values))
        assert abs(got[column] - value) <= 1e-9 * scale or (np.isnan(value) and np.isnan(got[column])), column


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flat_window_reads_its_own_plane_only(image: Image, lesion: Mask, axis: int) -> None:
    """With force2D, what stands in other planes has no say but in the edges of the grey levels, which a binWidth fixes."""
    flat = settings(force2D=True, force2Ddimension=axis)
    before = extract_maps(image, lesion, flat, dtype=np.float64)
    voxels = image.voxels.copy()
    plane = [slice(None)] * 3
    plane[axis] = slice(4, 5)
    others = np.ones(GRID.shape, bool)
    others[tuple(plane)] = False
    low, high = voxels[lesion.voxels].min(), voxels[lesion.voxels].max()
    voxels[others] = np.random.default_rng(3).permutation(voxels[others]).clip(low, high)
    # The extremes stay, so that the levels do.
    for value in (image.voxels == low, image.voxels == high):
        voxels[value] = image.voxels[value]
    after = extract_maps(Image(GRID, voxels), lesion, flat, dtype=np.float64)
    here = before.centres[:, axis] == 4
    np.testing.assert_array_equal(before.data[:, here], after.data[:, here])
    assert not np.array_equal(before.data, after.data)


def test_filtered_maps_are_the_maps_of_the_filtered_image(image: Image, lesion: Mask) -> None:
    largest = float(np.abs(image.voxels).max())
    squares = Image(GRID, (1 / np.sqrt(np.float64(largest)) * image.voxels) ** 2)
    for voxel in ({"kernelRadius": 2}, {"maskedKernel": False}):
        filtered = extract_maps(image, lesion, settings(voxel, {"Square": {}}), dtype=np.float64)
        plain = extract_maps(squares, lesion, settings(voxel), dtype=np.float64)
        assert filtered.columns[0].startswith("square_firstorder_")
        np.testing.assert_array_equal(filtered.data, plain.data)


def test_log_is_filtered_by_the_compiled_pass_to_the_same_bits(
    image: Image, lesion: Mask, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = settings(images={"LoG": {"sigma": [2.0]}})
    calls = []

    def counted(*given: Any) -> Any:
        calls.append(given)
        return recursive_pass(*given)

    monkeypatch.setattr(maps, "recursive_pass", counted)
    compiled = extract_maps(image, lesion, wanted, dtype=np.float64)
    assert calls
    monkeypatch.setattr(maps, "recursive_pass", None)  # ITK's own
    same(compiled, extract_maps(image, lesion, wanted, dtype=np.float64))


@pytest.mark.parametrize("place", [(2, 3, 4), (0, 0, 0)])
@pytest.mark.parametrize(
    ("voxel", "images", "setting", "part"),
    [
        ({}, None, {}, True),
        ({"kernelRadius": 2, "maskedKernel": False}, None, {"resegmentRange": [-40, 150]}, True),
        ({}, {"Original": {}, "Square": {}}, {}, False),
        ({}, None, {"normalize": True}, False),
        ({}, None, {"preCrop": True}, False),
        ({}, None, {"resampledPixelSpacing": [2, 2, 2]}, False),
    ],
)
def test_the_needed_part_gives_the_maps_of_the_whole(
    image: Image,
    place: tuple[int, ...],
    voxel: dict[str, Any],
    images: dict[str, Any] | None,
    setting: dict[str, Any],
    part: bool,
) -> None:
    """part : whether less than the whole is needed."""
    inside = np.zeros(GRID.shape, bool)
    inside[tuple(slice(low, low + side) for low, side in zip(place, (4, 5, 6), strict=True))] = True
    inside[place] = False
    mask = Mask(GRID, inside)
    wanted = settings(voxel, images, **setting)
    whole = plan_maps(image, mask, wanted)
    small = needed_part(image, mask, wanted)
    assert (small[0].voxels.size < image.voxels.size) == part
    plan = plan_maps(*small, wanted, grid=GRID)
    assert (plan.grid, plan.columns, plan.box, plan.window) == (whole.grid, whole.columns, whole.box, whole.window)
    np.testing.assert_array_equal(plan.centres, whole.centres)
    for block, other in zip(plan.blocks, whole.blocks, strict=True):
        np.testing.assert_array_equal(compute(plan, block), compute(whole, other))


def test_unmasked_windows_see_what_lies_around_the_region(image: Image, lesion: Mask) -> None:
    masked = extract_maps(image, lesion, settings())
    unmasked = extract_maps(image, lesion, settings({"maskedKernel": False}))
    top = masked.centres[:, 0].argmin()
    z, y, x = masked.centres[top]
    around = image.voxels[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2]
    own = lesion.voxels[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2]
    assert unmasked.values("original_firstorder_Mean")[top] == pytest.approx(around.mean(), rel=1e-6)
    assert masked.values("original_firstorder_Mean")[top] == pytest.approx(around[own].mean(), rel=1e-6)
    assert (~own).any()


@pytest.mark.parametrize("initial", [0, -7.5, float("nan")])
def test_a_map_lies_on_the_images_own_grid(image: Image, lesion: Mask, initial: float) -> None:
    maps = extract_maps(image, lesion, settings({"initValue": initial}))
    whole = maps.map("original_firstorder_Maximum")
    assert whole.grid == GRID and whole.voxels.dtype == np.float32
    np.testing.assert_array_equal(whole.voxels[lesion.voxels], maps.values("original_firstorder_Maximum"))
    np.testing.assert_array_equal(whole.voxels[~lesion.voxels], np.full((~lesion.voxels).sum(), initial, np.float32))
    part = maps.cropped("original_firstorder_Maximum")
    np.testing.assert_array_equal(part.voxels, whole.voxels[maps.box])
    np.testing.assert_allclose(part.grid.world_mm(np.zeros(3)), GRID.world_mm(np.array([side.start for side in maps.box])))
    with pytest.raises(ConfigError, match=r"no map 'original_glcm_Idnm'.*Idmn|no map 'original_glcm_Idnm'.*Idn"):
        maps.values("original_glcm_Idnm")


def test_cropping_first_leaves_the_maps_where_they_were(image: Image, lesion: Mask) -> None:
    plain = extract_maps(image, lesion, settings())
    cropped = extract_maps(image, lesion, settings(preCrop=True, padDistance=2))
    assert cropped.grid == GRID and cropped.box == plain.box
    same(plain, cropped)


def test_resampled_maps_lie_on_the_resampled_grid(image: Image, lesion: Mask) -> None:
    maps = extract_maps(image, lesion, settings(resampledPixelSpacing=[1.2, 1.2, 0]))
    assert maps.grid.spacing_mm == (3.0, 1.2, 1.2) and maps.map(maps.columns[0]).grid == maps.grid
    inside = np.zeros(maps.grid.shape, bool)
    inside[tuple(maps.centres.T)] = True
    # The region stands where it stood.
    old = GRID.world_mm(np.argwhere(lesion.voxels).astype(float)).mean(axis=0)
    np.testing.assert_allclose(maps.grid.world_mm(maps.centres.astype(float)).mean(axis=0), old, atol=0.4)


def test_single_precision_is_the_double_rounded(image: Image, lesion: Mask) -> None:
    single, double = extract_maps(image, lesion, settings()), extract_maps(image, lesion, settings(), dtype=np.float64)
    assert single.data.dtype == np.float32 and double.data.dtype == np.float64
    np.testing.assert_array_equal(single.data, double.data.astype(np.float32))


def test_only_what_was_asked_for_in_its_order(image: Image, lesion: Mask) -> None:
    params = {"featureClass": {"glcm": ["Idm", "Contrast"], "shape": None, "firstorder": ["Mean"]}, "setting": {"binWidth": 10}}
    some = extract_maps(image, lesion, FeatureSettings(params=params))
    assert some.columns == ("original_glcm_Idm", "original_glcm_Contrast", "original_firstorder_Mean")
    every = extract_maps(image, lesion, settings())
    assert len(every.columns) == 93
    for column in some.columns:
        np.testing.assert_array_equal(some.values(column), every.values(column))


def test_a_response_without_a_value_has_maps_without_values(lesion: Mask) -> None:
    """Square of an image of zeros: 0 over 0."""
    maps = extract_maps(Image(GRID, np.zeros(GRID.shape)), lesion, settings(images={"Square": {}}))
    assert np.isnan(maps.data).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"voxelSetting": {"kernelRadius": 6}}, "kernelRadius is 6; a window may reach 1 to 5 voxels"),
        ({"featureClass": {"shape": None}}, "shape has no maps"),
    ],
)
def test_settings_that_make_no_maps_are_refused(image: Image, lesion: Mask, params: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        plan_maps(image, lesion, FeatureSettings(params=params))


@pytest.mark.parametrize("radius", [0, -1, 1.5, "two"])
def test_a_radius_that_is_none_is_refused(radius: Any) -> None:
    with pytest.raises(ValueError, match="kernelRadius"):
        settings({"kernelRadius": radius})


def test_the_other_engine_has_no_maps(image: Image, lesion: Mask) -> None:
    with pytest.raises(ConfigError, match="engine pyradiomics"):
        plan_maps(image, lesion, FeatureSettings(engine="pyradiomics"))


def test_a_window_larger_than_the_region_is_refused(image: Image) -> None:
    inside = np.zeros(GRID.shape, bool)
    inside[2:6, 3:7, 2:6] = True
    with pytest.raises(
        EmptyRoiError, match=re.escape("a window of 5 voxels (kernelRadius 2) is larger than the region, whose box has 4 x 4 x 4")
    ):
        plan_maps(image, Mask(GRID, inside), settings({"kernelRadius": 2}))
    inside[2:6, 3:8, 2:6] = True  # along one axis it fits
    assert len(plan_maps(image, Mask(GRID, inside), settings({"kernelRadius": 2})).centres) == 80
    with pytest.raises(EmptyRoiError, match="larger than the region"):
        plan_maps(image, Mask(GRID, inside), settings({"kernelRadius": 2}, force2D=True, force2Ddimension=1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"stride": 0}, "stride is 0"),
        ({"stride": 2, "phase": (0, 2, 0)}, "phase is (0, 2, 0)"),
        ({"block": 0}, "block of centres is 0"),
        ({"stride": 9, "phase": (4, 4, 4)}, "no voxel of the region lies on the lattice"),
    ],
)
def test_lattices_that_are_none_are_refused(image: Image, lesion: Mask, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(RadpipeError, match=re.escape(words)):
        plan_maps(image, lesion, settings(), **arguments)


def test_what_a_row_refuses_a_map_refuses(image: Image, lesion: Mask) -> None:
    with pytest.raises(EmptyRoiError, match="the region is empty"):
        extract_maps(image, Mask(GRID, np.zeros(GRID.shape, bool)), settings())
    one = np.zeros(GRID.shape, bool)
    one[4, 4, 4] = True
    with pytest.raises(EmptyRoiError, match="single voxel"):
        extract_maps(image, Mask(GRID, one), settings())
    with pytest.raises(RadpipeError, match="grey levels"):
        extract_maps(image, lesion, settings(binWidth=1e-4))
    with pytest.raises(ConfigError, match="threads is 0"):
        extract_maps(image, lesion, settings(), threads=0)
    holed = image.voxels.copy()
    holed[4, 3, 6] = np.nan
    with pytest.raises(FileProblem, match="of the region's"):
        extract_maps(Image(GRID, holed), lesion, settings())


def test_undefined_voxels_around_the_region_matter_to_unmasked_windows_only(image: Image, lesion: Mask) -> None:
    holed = image.voxels.copy()
    holed[~lesion.voxels] = np.nan
    same(extract_maps(image, lesion, settings()), extract_maps(Image(GRID, holed), lesion, settings()))
    with pytest.raises(FileProblem, match="around the region are NaN or infinite, and maskedKernel: false"):
        extract_maps(Image(GRID, holed), lesion, settings({"maskedKernel": False}))

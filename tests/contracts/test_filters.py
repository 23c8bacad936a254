"""What every filter in either registry must do: PyRadiomics' image types and IBSI 2's filters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from radpipe.core.registry import lookup
from radpipe.core.settings import Settings
from radpipe.features.region import bounding_box
from radpipe.filters.ibsi_registry import IBSI_FILTERS, module_of, settings_of
from radpipe.filters.registry import IMAGE_TYPES
from radpipe.filters.scene import Scene
from radpipe.filters.settings import FilterSettings

SPACING = (1.0, 1.0, 1.0)
NOT_LINEAR = {"gabor"}  # a magnitude; the others become non-linear by max pooling or energy, which are off here
SMALL = {"gabor": {"sigma": 1.0, "wavelength": 3.0}, "log": {"sigma": 1.0}, "riesz_log": {"sigma": 1.0}}


def image(*shape: int, seed: int = 3) -> np.ndarray:
    """Whole numbers, as in a scan."""
    return np.random.default_rng(seed).integers(-300, 1200, size=shape).astype(np.float64)


def ball(*shape: int) -> np.ndarray:
    grid = np.indices(shape)
    return sum((axis - n // 2) ** 2 for axis, n in zip(grid, shape, strict=True)) <= 9


@pytest.mark.parametrize("name", IBSI_FILTERS)
class TestEveryIbsiFilter:
    def filtered(self, name: str, voxels: np.ndarray, **values) -> np.ndarray:
        return module_of(name).apply(voxels, settings_of(name, {**SMALL.get(name, {}), **values}), SPACING)

    @pytest.mark.parametrize("padding", ["zero", "nearest", "periodic", "mirror"])
    def test_gives_the_same_grid_and_leaves_the_image_alone(self, name, padding):
        voxels = image(11, 12, 13)
        before = voxels.copy()
        response = self.filtered(name, voxels, padding=padding)
        assert response.shape == voxels.shape and response.dtype == np.float64
        assert np.isfinite(response).all()
        assert_array_equal(voxels, before)
        assert not np.shares_memory(response, voxels)
        assert_array_equal(response, self.filtered(name, voxels, padding=padding))

    @pytest.mark.parametrize("dtype", [np.int16, np.float32])
    def test_works_in_double_precision_whatever_comes_in(self, name, dtype):
        voxels = image(10, 10, 10)
        assert_array_equal(self.filtered(name, voxels.astype(dtype)), self.filtered(name, voxels))

    def test_is_linear(self, name):
        first, second = image(10, 11, 12, seed=1), image(10, 11, 12, seed=2)
        if name in NOT_LINEAR:  # of degree one still
            assert_allclose(self.filtered(name, -2.5 * first), 2.5 * self.filtered(name, first), rtol=1e-9, atol=1e-9)
            return
        both = self.filtered(name, 2.0 * first - 3.0 * second)
        assert_allclose(both, 2.0 * self.filtered(name, first) - 3.0 * self.filtered(name, second), atol=1e-8)

    def test_moves_with_the_image(self, name):
        voxels = image(10, 11, 12)
        moved = self.filtered(name, np.roll(voxels, (2, -3, 1), (0, 1, 2)), padding="periodic")
        assert_allclose(moved, np.roll(self.filtered(name, voxels, padding="periodic"), (2, -3, 1), (0, 1, 2)), atol=1e-8)

    def test_of_a_constant_image_is_constant(self, name):
        for padding in ("nearest", "periodic", "mirror"):
            response = self.filtered(name, np.full((10, 11, 12), 40.0), padding=padding)
            assert np.ptp(response) < 1e-9
            if name not in ("mean", "gabor"):  # all others take the mean away; log's is cut at 4 sigma, where a little is left
                low_pass = name == "laws" or name == "wavelet"
                assert abs(response[0, 0, 0]) < (1e-9 if low_pass else 0.3)

    def test_2d_does_not_see_other_planes(self, name):
        fits = {"laws": {"kernels": "L5E5"}, "wavelet": {"subband": "LH"}}.get(name, {})
        fits = {"order": (1, 0)} if name.startswith("riesz") else fits
        voxels = image(3, 12, 13)
        response = self.filtered(name, voxels, dimension="2D", **fits)
        assert_allclose(self.filtered(name, voxels[1:2], dimension="2D", **fits)[0], response[1], atol=1e-9)

    def test_settings_tell_what_they_are(self, name):
        model = module_of(name).PARAMS
        assert issubclass(model, Settings)
        assert model.__doc__
        told = model.model_json_schema().get("properties", {})
        assert [field for field in model.model_fields if not told[field].get("description")] == []
        params = settings_of(name, {})
        prefix, meaning = module_of(name).prefix(params), module_of(name).meaning(params)
        assert prefix and not set("_. ") & set(prefix)
        assert meaning and not meaning.endswith(".")


@pytest.mark.parametrize("name", IMAGE_TYPES)
class TestEveryImageType:
    SETTINGS = FilterSettings(sigma=(1.5,))

    def responses(self, name: str, voxels: np.ndarray, mask: np.ndarray, box=None) -> list[tuple[str, np.ndarray]]:
        box = box or bounding_box(mask)
        kind = lookup(IMAGE_TYPES, name, "image type")
        return list(kind.respond(Scene(voxels, box, mask[box], SPACING), self.SETTINGS))

    def test_gives_one_value_a_voxel_of_the_region(self, name):
        voxels, mask = np.abs(image(16, 17, 18)), ball(16, 17, 18)
        before = voxels.copy()
        kind = lookup(IMAGE_TYPES, name, "image type")
        found = self.responses(name, voxels, mask)
        assert [prefix for prefix, _ in found] == kind.prefixes(self.SETTINGS)
        for prefix, response in found:
            assert response.shape == (mask.sum(),) and np.isfinite(response).all(), prefix
            assert kind.told(prefix, self.SETTINGS)
            assert "_" not in prefix
        assert_array_equal(voxels, before)

    def test_of_the_box_is_of_the_whole_image(self, name):
        """What is filtered on the region's box is what the whole image, filtered, holds there."""
        voxels, mask = np.abs(image(16, 17, 18)), ball(16, 17, 18)
        whole = tuple(slice(0, n) for n in voxels.shape)
        for (prefix, part), (again, all_) in zip(
            self.responses(name, voxels, mask), self.responses(name, voxels, mask, whole), strict=True
        ):
            assert prefix == again
            assert_array_equal(part, all_, err_msg=prefix)

"""PyRadiomics' image types against the libraries PyRadiomics calls, on whole images: a region sees exactly what they give there."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import pywt
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from scipy.stats import kurtosis

from radpipe.core.registry import lookup
from radpipe.errors import RadpipeError
from radpipe.features._kernels.periodic import periodic_pass
from radpipe.filters import lbp2d, lbp3d
from radpipe.filters.registry import IMAGE_TYPES
from radpipe.filters.scene import Scene
from radpipe.filters.settings import OF_ONE_FILTER, READ_BY, WAVELETS, FilterSettings
from radpipe.filters.wavelet import WAVELET

SHAPE = (13, 22, 27)
SPACING = (2.1, 1.3, 0.9)
Z, Y, X = np.indices(SHAPE)
REGIONS = {
    "inside": (Z - 6) ** 2 / 9 + (Y - 11) ** 2 / 16 + (X - 13) ** 2 / 16 < 1,
    "first corner": (Z < 4) & (Y < 5) & (X < 4),
    "last corner": (Z > 9) & (Y > 16) & (X + Y > 40),
    "one slice": (Z == 6) & (np.abs(Y - 11) < 4) & (np.abs(X - 13) < 5),
    "everywhere": np.ones(SHAPE, bool),
}
DTYPES = (np.int16, np.uint8, np.float32, np.float64)


def image(dtype, seed=3):
    noise = np.random.default_rng(seed).normal(size=SHAPE).cumsum(axis=2).cumsum(axis=1) * 5
    return np.clip(np.abs(noise), 0, 255).astype(dtype) if dtype is np.uint8 else noise.astype(dtype)


def scene_of(voxels, region, spacing=SPACING):
    axes = [np.flatnonzero(region.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    box = tuple(slice(int(places[0]), int(places[-1]) + 1) for places in axes)
    return Scene(voxels, box, np.ascontiguousarray(region[box]), spacing)


def responses(name, voxels, region, **settings):
    return dict(lookup(IMAGE_TYPES, name, "image type").respond(scene_of(voxels, region), FilterSettings(**settings)))


def itk(voxels):
    made = sitk.GetImageFromArray(voxels)
    made.SetSpacing(SPACING[::-1])
    return made


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("region", REGIONS)
def test_log_is_that_of_the_whole_image_to_the_last_bit(region, dtype):
    inside, voxels = REGIONS[region], image(dtype)
    found = responses("LoG", voxels, inside, sigma=(1, 2.5))
    assert list(found) == ["log-sigma-1-mm-3D", "log-sigma-2-5-mm-3D"]
    for (_, values), sigma in zip(found.items(), (1, 2.5), strict=True):
        whole = sitk.LaplacianRecursiveGaussianImageFilter()
        whole.SetNormalizeAcrossScale(True)
        whole.SetSigma(sigma)
        expected = sitk.GetArrayFromImage(whole.Execute(itk(voxels)))[inside]
        assert values.dtype == expected.dtype
        np.testing.assert_array_equal(values, expected)


def test_log_a_few_lines_at_a_time_is_log(monkeypatch):
    voxels, inside = image(np.int16), REGIONS["inside"]
    expected = responses("LoG", voxels, inside, sigma=(2,))
    monkeypatch.setattr("radpipe.filters.log._CHUNK_VOXELS", 700)
    np.testing.assert_array_equal(
        responses("LoG", voxels, inside, sigma=(2,))["log-sigma-2-mm-3D"], expected["log-sigma-2-mm-3D"]
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("by_mm", [True, False])
@pytest.mark.parametrize("region", REGIONS)
def test_gradient_is_that_of_the_whole_image(region, by_mm, dtype):
    inside, voxels = REGIONS[region], image(dtype)
    whole = sitk.GradientMagnitudeImageFilter()
    whole.SetUseImageSpacing(by_mm)
    expected = sitk.GetArrayFromImage(whole.Execute(itk(voxels)))[inside]
    found = responses("Gradient", voxels, inside, gradientUseSpacing=by_mm)["gradient"]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def whole_wavelet(voxels, wavelet, start_level, level, flat_axis):
    """PyRadiomics' bands by the library's own transform of the whole padded image: name -> response."""
    axes = tuple(axis for axis in (2, 1, 0) if axis != flat_axis)
    data = np.pad(voxels, [(0, size % 2) for size in voxels.shape], "wrap")
    found = {}
    for done in range(start_level + level):
        bands = pywt.swtn(data, pywt.Wavelet(wavelet), level=1, axes=axes)[0]
        data = bands["a" * len(axes)]
        number = done - start_level + 1
        prefix = "wavelet-" if number == 1 else f"wavelet{number}-"
        cut = tuple(slice(0, size) for size in voxels.shape)
        named = {prefix + name.replace("a", "L").replace("d", "H"): band[cut] for name, band in bands.items()}
        lowest = prefix + "L" * len(axes)
        if number >= 1:
            found |= {name: band for name, band in named.items() if name != lowest}
        if number == level:
            found[lowest] = named[lowest]
    return found


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(
    ("wavelet", "start_level", "level", "flat_axis"),
    [
        ("coif1", 0, 1, None),
        ("haar", 1, 2, None),
        ("bior3.3", 0, 2, 0),
        ("db4", 1, 1, 2),
        ("dmey", 0, 1, None),
        ("sym3", 0, 1, 1),
    ],
)
def test_wavelet_is_that_of_the_whole_image_to_the_last_bit(region, wavelet, start_level, level, flat_axis):
    inside = REGIONS[region]
    for dtype in DTYPES:
        voxels = image(dtype)
        settings = {"wavelet": wavelet, "start_level": start_level, "level": level}
        if flat_axis is not None:
            settings |= {"force2D": True, "force2Ddimension": flat_axis}
        expected = whole_wavelet(voxels, wavelet, start_level, level, flat_axis)
        for compiled in (None, periodic_pass):
            found = dict(WAVELET.respond(replace(scene_of(voxels, inside), periodic_pass=compiled), FilterSettings(**settings)))
            assert list(found) == list(expected)
            for name, values in found.items():
                assert values.dtype == expected[name].dtype
                np.testing.assert_array_equal(values, expected[name][inside], err_msg=name)


def test_the_wavelets_are_pywavelets():
    assert set(WAVELETS) == set(pywt.wavelist(kind="discrete"))


@given(
    st.sampled_from(["coif1", "db2", "bior2.2", "sym4"]),
    st.tuples(st.integers(0, 11), st.integers(0, 21), st.integers(0, 25)),
    st.integers(0, 2**31),
)
def test_wavelet_moves_with_the_image_and_adds_up(wavelet, shift, seed):
    # On an image of even sizes, which PyRadiomics takes to be periodic.
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 12, 22, 26))
    region = np.ones(first.shape, bool)
    one, two = (responses("Wavelet", voxels, region, wavelet=wavelet) for voxels in (first, second))
    both = responses("Wavelet", 2 * first - second, region, wavelet=wavelet)
    moved = responses("Wavelet", np.roll(first, shift, (0, 1, 2)), region, wavelet=wavelet)
    for name, values in one.items():
        np.testing.assert_allclose(both[name], 2 * values - two[name], atol=1e-12)
        np.testing.assert_allclose(
            moved[name].reshape(first.shape), np.roll(values.reshape(first.shape), shift, (0, 1, 2)), atol=1e-12
        )


@given(st.integers(0, 2**31), st.floats(-50, 50), st.floats(0.1, 5))
def test_log_and_gradient_know_differences_only(seed, shift, factor):
    voxels = np.random.default_rng(seed).normal(size=SHAPE)
    inside = REGIONS["inside"]
    for name, settings in (("LoG", {"sigma": (2.0,)}), ("Gradient", {})):
        (one,) = responses(name, voxels, inside, **settings).values()
        (other,) = responses(name, voxels * factor + shift, inside, **settings).values()
        np.testing.assert_allclose(other, one * factor, atol=1e-3)  # ITK keeps LoG in float32


def test_log_of_a_square_is_its_curvature():
    # x^2 + 2 y^2 has the Laplacian 6; scale-normalised by sigma^2, far from the borders.
    z, y, x = np.indices((41, 61, 61)).astype(float)
    voxels = (x - 30) ** 2 + 2 * (y - 30) ** 2
    region = (np.abs(x - 30) < 3) & (np.abs(y - 30) < 3) & (np.abs(z - 20) < 3)
    axes = scene_of(voxels, region, (1.0, 1.0, 1.0))
    ((_, values),) = lookup(IMAGE_TYPES, "LoG", "image type").respond(axes, FilterSettings(sigma=(2,)))
    np.testing.assert_allclose(values, 6 * 2**2, rtol=0.02)


POINTWISE = {
    "Square": ("square", lambda x, m: x**2 / m),
    "SquareRoot": ("squareroot", lambda x, m: np.sign(x) * np.sqrt(np.abs(x) * m)),
    "Logarithm": ("logarithm", lambda x, m: np.sign(x) * np.log(np.abs(x) + 1) * m / np.log(m + 1)),
    "Exponential": ("exponential", lambda x, m: m ** (x / m)),
}


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("dtype", [*DTYPES, np.int8])
def test_pointwise_formulas_are_scaled_by_the_whole_image(name, dtype):
    voxels = (image(np.float64) * 0.4).clip(-128, 127).astype(dtype) if dtype is np.int8 else image(dtype)
    inside = REGIONS["first corner"]
    prefix, formula = POINTWISE[name]
    largest = np.abs(voxels.astype(np.float64)).max()
    assert largest > np.abs(voxels[inside].astype(np.float64)).max()
    found = responses(name, voxels, inside)[prefix]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, formula(voxels[inside].astype(np.float64), largest), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", POINTWISE)
def test_an_image_of_zeros_has_no_pointwise_response(name):
    (values,) = responses(name, np.zeros(SHAPE), REGIONS["inside"]).values()
    assert name == "SquareRoot" or np.isnan(values).all()


def slow_patterns(plane, samples, radius, method):
    """Ojala's patterns voxel by voxel, neighbours interpolated linearly, zeros around the image."""
    padded = np.pad(plane.astype(np.float64), int(np.ceil(radius)) + 1)
    margin = int(np.ceil(radius)) + 1
    result = np.empty(plane.shape)
    turns = 2 * np.pi * np.arange(samples) / samples
    offsets = np.round(np.column_stack([-radius * np.sin(turns), radius * np.cos(turns)]), 5)
    for row, column in np.ndindex(plane.shape):
        around = []
        for down, right in offsets:
            at_row, at_column = row + down, column + right
            top, left = int(np.floor(at_row)), int(np.floor(at_column))
            d, r = at_row - top, at_column - left
            corner = padded[top + margin : top + margin + 2, left + margin : left + margin + 2]
            above = (1 - r) * corner[0, 0] + (r * corner[0, 1] if r else 0.0)
            below = ((1 - r) * corner[1, 0] + (r * corner[1, 1] if r else 0.0)) if d else 0.0
            around.append((1 - d) * above + d * below)
        ones = [int(value - plane[row, column] >= 0) for value in around]
        changes = sum(a != b for a, b in pairwise(ones))
        turned = [ones[k:] + ones[:k] for k in range(samples)]
        if method == "var":
            value = np.var(around)
        elif method == "uniform":
            value = sum(ones) if changes <= 2 else samples + 1
        elif method == "default":
            value = sum(bit << k for k, bit in enumerate(ones))
        else:
            value = min(sum(bit << k for k, bit in enumerate(bits)) for bits in turned)
        result[row, column] = value
    return result


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    ("method", "samples", "radius"), [("uniform", 8, 1.0), ("default", 8, 1.5), ("ror", 10, 2.0), ("var", 7, 1.0)]
)
def test_lbp2d_is_its_slow_twin(method, samples, radius, axis):
    settings = {"lbp2DMethod": method, "lbp2DSamples": samples, "lbp2DRadius": radius, "force2Ddimension": axis}
    for dtype, region in ((np.float64, "last corner"), (np.int16, "inside")):
        voxels, inside = image(dtype), REGIONS[region]
        planes = voxels.swapaxes(0, axis)
        # PyRadiomics swaps the axis with the first: rows and columns of a plane are what is then second and third.
        slow = np.zeros(planes.shape)
        wanted = inside.swapaxes(0, axis)
        for index in np.flatnonzero(wanted.any(axis=(1, 2))):
            slow[index] = slow_patterns(planes[index], samples, radius, method)
        expected = slow.swapaxes(0, axis)[inside]
        found = responses("LBP2D", voxels, inside, **settings)["lbp-2D"]
        assert found.dtype == dtype
        if method == "var":
            np.testing.assert_allclose(found, expected.astype(dtype), rtol=1e-6)
        else:
            np.testing.assert_array_equal(found, expected.astype(dtype))


@given(st.integers(0, 2**31), st.floats(0.01, 100), st.integers(-1000, 1000))
def test_lbp2d_knows_order_only(seed, factor, shift):
    planes = np.random.default_rng(seed).integers(0, 50, (3, 9, 10)).astype(np.float64)
    one = lbp2d.patterns(planes, 2, (0, 0), 4, 1.0, "default")  # four neighbours lie on voxels: nothing is interpolated
    other = lbp2d.patterns(planes * factor + shift, 2, (0, 0), 4, 1.0, "default")
    np.testing.assert_array_equal(one, other)


@given(st.integers(3, 16), st.integers(0, 2**31))
def test_uniform_patterns_of_both_kinds_agree(samples, seed):
    planes = np.random.default_rng(seed).normal(size=(1, 9, 9))
    plain, placed = (lbp2d.patterns(planes, 2, (0, 0), samples, 1.0, kind) for kind in ("uniform", "nri_uniform"))
    ragged = plain == samples + 1
    np.testing.assert_array_equal(ragged, placed == samples * (samples - 1) + 2)
    ones = np.where(placed == 0, 0, np.where(placed == samples * (samples - 1) + 1, samples, (placed - 1) // samples + 1))
    np.testing.assert_array_equal(plain[~ragged], ones[~ragged])


@pytest.mark.parametrize("subdivisions", [0, 1, 2, 3])
def test_icosphere(subdivisions):
    corners = lbp3d.icosphere(subdivisions, 1.5)
    assert corners.shape == (10 * 4**subdivisions + 2, 3)
    np.testing.assert_allclose(np.linalg.norm(corners, axis=1), 1.5, rtol=1e-14)
    rounded = {tuple(np.round(corner, 9) + 0.0) for corner in corners}
    assert len(rounded) == len(corners)
    assert rounded == {tuple(np.round(-corner, 9) + 0.0) for corner in corners}  # every corner has its opposite
    assert rounded == {tuple(np.round(corner[[1, 2, 0]], 9) + 0.0) for corner in corners}  # turned about the diagonal


@pytest.mark.parametrize("region", ["inside", "first corner", "one slice"])
@pytest.mark.parametrize(("levels", "radius", "subdivisions"), [(2, 1.0, 1), (3, 1.5, 0)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_lbp3d_against_splines_of_the_whole_image(region, levels, radius, subdivisions, dtype):
    inside = REGIONS[region]
    voxels = np.round(image(np.float64)).astype(np.float32) if dtype is np.float32 else image(dtype)  # equal neighbours, too
    corners = lbp3d.icosphere(subdivisions, radius)
    around = map_coordinates(voxels, (np.argwhere(inside)[:, None] + corners[None]).transpose(2, 0, 1), order=3)
    found = responses(
        "LBP3D", voxels, inside, lbp3DLevels=levels, lbp3DIcosphereRadius=radius, lbp3DIcosphereSubdivision=subdivisions
    )
    assert list(found) == [f"lbp-3D-m{level + 1}" for level in range(levels)] + ["lbp-3D-k"]
    np.testing.assert_allclose(found["lbp-3D-k"], kurtosis(around, axis=1), rtol=1e-9, atol=1e-9)
    ones = around >= voxels[inside][:, None]
    # Degree 0 is the number of bright neighbours times Y00^2, over all corners.
    np.testing.assert_allclose(found["lbp-3D-m1"], ones.sum(axis=1) / (4 * np.pi) * np.sqrt(len(corners)), rtol=1e-12)
    # Degree 1 by its definition with the angles exchanged: Y10 = a cos(p), Y1+-1 = -+ a sin(p) e^(+-i t) / sqrt 2.
    t, p = np.arccos(corners[:, 2] / radius), np.arctan2(corners[:, 1], corners[:, 0])
    axial = np.sqrt(3 / (4 * np.pi)) * np.cos(p)
    turning = np.sqrt(3 / (8 * np.pi)) * np.abs(np.sin(p)) * np.exp(1j * t)
    rebuilt = (ones @ axial)[:, None] * axial + 2 * ((ones @ turning)[:, None] * turning).real
    np.testing.assert_allclose(found["lbp-3D-m2"], np.sqrt((rebuilt**2).sum(axis=1)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_lbp3d_of_one_look_and_of_one_for_each_response(monkeypatch, levels):
    once = responses("LBP3D", image(np.int16), REGIONS["everywhere"], lbp3DLevels=levels)
    monkeypatch.setattr(lbp3d, "_SMALL", 0)
    monkeypatch.setattr(lbp3d, "_look", lambda *given, look=lbp3d._look: looks.append(given[-1]) or look(*given))
    looks: list[list[str]] = []
    each = responses("LBP3D", image(np.int16), REGIONS["everywhere"], lbp3DLevels=levels)
    assert looks == [[name] for name in each] and list(each) == list(once)
    for name, values in once.items():
        np.testing.assert_array_equal(each[name], values)


def test_norms_of_degree_0_and_1_are_the_general_ones_to_the_last_bit():
    ones = np.random.default_rng(0).random((500, 42)) < 0.5
    degrees, harmonics = lbp3d._harmonics(lbp3d.icosphere(1, 1.0), 1.0, 2)
    zeroth, first = lbp3d.all_norms(ones, degrees, harmonics, 2)
    np.testing.assert_array_equal(lbp3d.constant_norms(harmonics)[np.count_nonzero(ones, axis=1)], zeroth)
    np.testing.assert_array_equal(lbp3d.norm_of_degree_1(ones, harmonics), first)


def test_an_image_of_one_intensity_has_no_kurtosis_around():
    voxels = np.full(SHAPE, 7.0)
    found = responses("LBP3D", voxels, REGIONS["inside"])
    assert np.isnan(found["lbp-3D-k"]).all()


@pytest.mark.parametrize("shape", [(3, 20, 20), (20, 20, 3), (1, 20, 20)])
def test_log_of_few_slices_is_refused(shape):
    region = np.ones(shape, bool)
    with pytest.raises(RadpipeError, match="at least 4 voxels along every axis") as caught:
        list(lookup(IMAGE_TYPES, "LoG", "image type").respond(scene_of(np.zeros(shape), region), FilterSettings(sigma=(1.0,))))
    assert caught.value.kind == "image_too_small"


def test_a_wide_log_needs_a_wide_image():
    with pytest.raises(RadpipeError, match=r"sigma 40\.0 mm needs an image of at least 21 voxels"):
        responses("LoG", image(np.int16), REGIONS["inside"], sigma=(40.0,))


@pytest.mark.parametrize("name", IMAGE_TYPES)
def test_names_are_known_beforehand_and_told_in_words(name):
    kind = lookup(IMAGE_TYPES, name, "image type")
    settings = FilterSettings(sigma=(1.0, 3), level=2, lbp3DLevels=3)
    names = [prefix for prefix, _ in kind.respond(scene_of(image(np.float32), REGIONS["inside"]), settings)]
    assert names == kind.prefixes(settings)
    assert len(set(names)) == len(names)
    told = [kind.told(prefix, settings) for prefix in names]
    assert len(set(told)) == len(told)
    assert all(told)


def test_every_key_of_a_filter_is_read_by_one():
    shared = {"force2D", "force2Ddimension"}
    assert set(FilterSettings.model_fields) - shared == OF_ONE_FILTER
    assert set(READ_BY) <= set(IMAGE_TYPES)

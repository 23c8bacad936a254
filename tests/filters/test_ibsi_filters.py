"""IBSI 2's filters against closed forms, dense kernels written out here, scipy and PyWavelets."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from radpipe.errors import ConfigError, FileProblem, GeometryError
from radpipe.filters import ibsi_fourier, ibsi_riesz, ibsi_simoncelli
from radpipe.filters.ibsi_common import padded, right_angle_rotations
from radpipe.filters.ibsi_registry import IBSI_FILTERS, module_of, settings_of

SPACING = (2.0, 2.0, 2.0)
SCIPY = {"zero": "constant", "nearest": "nearest", "periodic": "wrap", "mirror": "reflect"}
PADDINGS = tuple(SCIPY)


def filtered(name: str, voxels: np.ndarray, spacing=SPACING, **values) -> np.ndarray:
    return module_of(name).apply(voxels, settings_of(name, values), spacing)


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def impulse(*shape: int) -> np.ndarray:
    voxels = np.zeros(shape)
    voxels[tuple(n // 2 for n in shape)] = 1.0
    return voxels


def wave(n: int, cycles: tuple[int, int, int], phase: float = 0.0) -> np.ndarray:
    """cos along (z, y, x) with whole cycles in n voxels."""
    z, y, x = np.indices((n, n, n))
    return np.cos(2 * np.pi / n * (cycles[0] * z + cycles[1] * y + cycles[2] * x) + phase)


class TestMean:
    @pytest.mark.parametrize("padding", PADDINGS)
    def test_is_scipys_uniform_filter(self, padding):
        voxels = noise(9, 11, 10)
        assert_allclose(
            filtered("mean", voxels, support=5, padding=padding),
            ndimage.uniform_filter(voxels, 5, mode=SCIPY[padding]),
            atol=1e-12,
        )

    def test_of_an_impulse_is_a_box(self):
        response = filtered("mean", impulse(11, 11, 11), support=3, dimension="2D")
        expected = np.zeros((11, 11, 11))
        expected[5, 4:7, 4:7] = 1 / 9
        assert_allclose(response, expected, atol=1e-15)


class TestLog:
    @pytest.mark.parametrize(("dimension", "padding"), [*itertools.product(("2D", "3D"), PADDINGS)])
    def test_is_the_manuals_kernel_convolved(self, dimension, padding):
        """The kernel of the manual on its cube, -1/(pi^(D/2) ...)(D - r^2/sigma^2) exp(-r^2 / 2 sigma^2), by brute force."""
        voxels, sigma = noise(9, 10, 11), 1.4  # 2.8 mm; 4 sigma is 5.6 voxels, cut at 6
        radius = math.floor(4 * sigma + 0.5)
        axes = [np.arange(-radius, radius + 1.0)] * (3 if dimension == "3D" else 2)
        r2 = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))
        d = len(axes)
        kernel = -(d - r2 / sigma**2) / ((2 * np.pi) ** (d / 2) * sigma ** (d + 2)) * np.exp(-r2 / (2 * sigma**2))
        dense = ndimage.convolve(voxels, kernel if d == 3 else kernel[None], mode=SCIPY[padding])
        assert_allclose(filtered("log", voxels, sigma=2.8, dimension=dimension, padding=padding), dense, atol=1e-13)

    def test_of_a_plane_wave(self):
        """A wave of wave number k comes back times -k^2 exp(-k^2 sigma^2 / 2)."""
        n, cycles, sigma = 32, (1, 2, 1), 2.0
        k2 = (2 * np.pi / n) ** 2 * sum(c * c for c in cycles)
        expected = -k2 * np.exp(-k2 * sigma**2 / 2) * wave(n, cycles)
        response = filtered("log", wave(n, cycles), sigma=sigma, unit="voxel", cutoff=8, padding="periodic")
        assert_allclose(response, expected, atol=1e-6 * k2)

    def test_mm_are_voxels_times_spacing(self):
        voxels = noise(8, 8, 8)
        assert_array_equal(filtered("log", voxels, sigma=3.0), filtered("log", voxels, sigma=1.5, unit="voxel"))

    def test_in_2d_only_the_plane_needs_equal_sides(self):
        voxels = noise(4, 8, 8)
        spacing = (5.0, 2.0, 2.0)
        assert_array_equal(
            filtered("log", voxels, spacing, sigma=3.0, dimension="2D"),
            filtered("log", voxels, sigma=1.5, unit="voxel", dimension="2D"),
        )
        with pytest.raises(ConfigError, match=r"log filter in mm needs voxels of equal sides.*5 x 2 x 2 mm"):
            filtered("log", voxels, spacing, sigma=3.0)


class TestLaws:
    def test_of_an_impulse_is_the_product_of_the_kernels(self):
        """First letter along x. E5, L5, S5 with a norm of 1; a convolution shows the kernel as it is written."""
        e5, l5, s5 = np.array([-1, -2, 0, 2, 1]), np.array([1, 4, 6, 4, 1]), np.array([-1, 0, 2, 0, -1])
        response = filtered("laws", impulse(9, 9, 9), kernels="E5L5S5")
        expected = np.einsum("z,y,x->zyx", s5, l5, e5) / np.sqrt(10 * 70 * 6)
        assert_allclose(response[2:7, 2:7, 2:7], expected, atol=1e-15)

    def test_rotations_by_hand_in_2d(self):
        """The four turns of L3 (x) E3 (y): x and y swapped, with the edge in both directions."""
        response = filtered("laws", impulse(3, 5, 5), kernels="L3E3", dimension="2D", rotation_invariance=True, pooling="max")
        l3, e3 = np.array([1, 2, 1]) / np.sqrt(6), np.array([-1, 0, 1]) / np.sqrt(2)
        turns = [np.outer(e3, l3), np.outer(-e3, l3), np.outer(l3, e3), np.outer(l3, -e3)]
        assert_allclose(response[1, 1:4, 1:4], np.max(turns, axis=0), atol=1e-15)
        average = filtered("laws", impulse(3, 5, 5), kernels="L3E3", dimension="2D", rotation_invariance=True, pooling="average")
        assert_allclose(average, 0.0, atol=1e-15)  # an edge and its opposite

    def test_energy_is_the_mean_of_absolute_values(self):
        voxels = noise(9, 9, 9)
        plain = filtered("laws", voxels, kernels="L5E5E5")
        energy = filtered("laws", voxels, kernels="L5E5E5", delta=2)
        assert_allclose(energy, ndimage.uniform_filter(np.abs(plain), 5, mode="reflect"), atol=1e-12)


class TestGabor:
    @pytest.mark.parametrize("padding", PADDINGS)
    def test_is_the_dense_kernel_convolved(self, padding):
        voxels = noise(3, 9, 8)
        sigma, wavelength, gamma, theta = 1.1, 2.5, 0.7, 30.0
        radius = 12  # beyond 7 sigma / gamma
        row, column = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(float)
        t = np.deg2rad(theta)
        along, across = column * np.cos(t) + row * np.sin(t), -column * np.sin(t) + row * np.cos(t)
        envelope = np.exp(-(along**2 + gamma**2 * across**2) / (2 * sigma**2))
        parts = [envelope * f(2 * np.pi * along / wavelength) for f in (np.cos, np.sin)]
        real, imaginary = (ndimage.convolve(voxels, part[None], mode=SCIPY[padding]) for part in parts)
        response = filtered(
            "gabor",
            voxels,
            sigma=sigma,
            wavelength=wavelength,
            gamma=gamma,
            theta=theta,
            unit="voxel",
            dimension="2D",
            padding=padding,
        )
        assert_allclose(response, np.hypot(real, imaginary), atol=1e-9)

    def test_of_its_own_wave(self):
        """Half the envelope's volume, pi sigma^2 / gamma, everywhere: the other half of the cosine runs the other way."""
        voxels = np.broadcast_to(np.cos(2 * np.pi * np.arange(24) / 6.0), (2, 24, 24))
        response = filtered(
            "gabor", voxels, sigma=4.0, wavelength=6.0, gamma=1.25, unit="voxel", dimension="2D", padding="periodic"
        )
        assert_allclose(response, np.pi * 16 / 1.25, rtol=1e-10)

    def test_direction_turns_from_x_to_y(self):
        values = {"sigma": 3.0, "wavelength": 6.0, "gamma": 1.0, "unit": "voxel", "dimension": "2D", "padding": "periodic"}
        y, x = np.indices((24, 24))
        diagonal = np.broadcast_to(np.cos(2 * np.pi * (2 * x + 2 * y) / 24), (2, 24, 24))
        towards = filtered("gabor", diagonal, theta=45.0, **values).mean()
        against = filtered("gabor", diagonal, theta=135.0, **values).mean()
        assert towards > 2 * against

    def test_pooling_over_directions(self):
        voxels = noise(3, 8, 8)
        values = {"sigma": 2.0, "wavelength": 3.0, "gamma": 1.0, "unit": "voxel", "dimension": "2D"}
        each = [filtered("gabor", voxels, theta=theta, **values) for theta in (10.0, 130.0, 250.0)]
        pooled = filtered("gabor", voxels, theta=10.0, rotation_step=120.0, pooling="max", **values)
        assert_allclose(pooled, np.max(each, axis=0), atol=1e-12)
        pooled = filtered("gabor", voxels, theta=10.0, rotation_step=120.0, **values)
        assert_allclose(pooled, np.mean(each, axis=0), atol=1e-12)

    def test_in_3d_is_the_average_of_three_sets_of_planes(self):
        voxels = noise(6, 7, 8)
        values = {"sigma": 1.5, "wavelength": 3.0, "gamma": 1.0, "unit": "voxel", "theta": 20.0}
        whole = filtered("gabor", voxels, **values)
        parts = [voxels, voxels.transpose(1, 0, 2), voxels.transpose(2, 0, 1)]
        back = [(0, 1, 2), (1, 0, 2), (1, 2, 0)]
        by_plane = [filtered("gabor", p, dimension="2D", **values).transpose(b) for p, b in zip(parts, back, strict=True)]
        assert_allclose(whole, np.mean(by_plane, axis=0), atol=1e-12)

    def test_a_huge_kernel_is_refused(self):
        with pytest.raises(ConfigError, match=r"reach 1400 voxels .*at most 500"):
            filtered("gabor", noise(2, 4, 4), sigma=10.0, gamma=0.05, unit="voxel", dimension="2D")


class TestWavelet:
    @pytest.mark.parametrize(
        ("wavelet", "level"), [("haar", 1), ("haar", 2), ("db2", 2), ("coif1", 1), ("db3", 2), ("bior1.3", 1)]
    )
    def test_is_pywavelets_stationary_transform(self, wavelet, level):
        voxels = noise(8, 16, 12) if level < 3 else noise(8, 16, 16)
        theirs = pywt.swtn(voxels, wavelet, level)[0]
        for subband in ("LLH", "LHL", "HHH", "LLL"):
            ours = filtered("wavelet", voxels, wavelet=wavelet, level=level, subband=subband, padding="periodic")
            # Their letters go along z, y, x.
            assert_allclose(ours, theirs[subband[::-1].replace("L", "a").replace("H", "d")], atol=1e-12)

    def test_2d_is_plane_by_plane(self):
        voxels = noise(3, 8, 8)
        ours = filtered("wavelet", voxels, wavelet="db2", subband="LH", dimension="2D", padding="periodic")
        assert_allclose(ours[1], pywt.swtn(voxels[1], "db2", 1)[0]["da"], atol=1e-12)


class TestSimoncelli:
    @pytest.mark.parametrize("level", [1, 2])
    @pytest.mark.parametrize("cycles", [(0, 0, 3), (2, 3, 1), (5, 0, 5), (7, 2, 0), (0, 12, 0)])
    def test_of_a_plane_wave(self, level, cycles):
        """A wave of r (1 at half a cycle a voxel) comes back times cos(pi/2 log2(2 r 2^(level - 1))), or is gone."""
        n = 25  # odd: the grid of frequencies has its zero, and its step is 1 / 12
        r = math.sqrt(sum(c * c for c in cycles)) / 12
        top = 2.0 ** (1 - level)
        gain = math.cos(math.pi / 2 * math.log2(2 * r / top)) if top / 4 < r <= top else 0.0
        assert_allclose(filtered("simoncelli", wave(n, cycles, 0.4), level=level), gain * wave(n, cycles, 0.4), atol=1e-12)

    def test_the_bands_share_the_energy(self):
        """cos^2 + sin^2: two neighbouring levels leave nothing out between their middles."""
        grid = [np.linspace(0.13, 0.49, 50)]
        squares = sum(ibsi_simoncelli.band(grid, level) ** 2 for level in (1, 2, 3))
        assert_allclose(squares, 1.0, atol=1e-12)

    def test_mirrored_is_the_mirrored_image_filtered(self):
        voxels = noise(8, 9, 10)
        twice = np.pad(voxels, [(n // 2, n - n // 2) for n in voxels.shape], mode="symmetric")
        expected = filtered("simoncelli", twice)[4:12, 4:13, 5:15]
        assert_allclose(filtered("simoncelli", voxels, padding="mirror"), expected, atol=1e-12)

    def test_a_level_too_wide_is_refused_with_the_one_that_fits(self):
        with pytest.raises(ConfigError, match=r"simoncelli filter cannot run at level 4 on 16 x 16 x 16 voxels") as caught:
            filtered("simoncelli", noise(16, 16, 16), level=4)
        assert caught.value.hint == "Set level: 2 or lower."  # sqrt(3) / 15 = 0.115 is below 1/8, not below 1/16
        filtered("simoncelli", noise(16, 16, 16), level=2)


class TestRiesz:
    @pytest.mark.parametrize(("order", "cycles", "factor"), [
        ((1, 0, 0), (0, 0, 4), (0.0, 1.0)),  # x: cos -> sin
        ((0, 1, 0), (0, 4, 0), (0.0, 1.0)),
        ((0, 0, 1), (0, 0, 4), (0.0, 0.0)),
        ((2, 0, 0), (0, 0, 4), (-1.0, 0.0)),
        ((0, 2, 0), (0, 3, 3), (-0.5, 0.0)),
        ((1, 1, 0), (0, 3, 3), (-math.sqrt(2) / 2, 0.0)),
    ])  # fmt: skip
    def test_of_a_plane_wave(self, order, cycles, factor):
        """(-i)^L sqrt(L! / l!) times the direction cosines: a turn of the phase and a weight."""
        n = 25
        base, turned = wave(n, cycles), wave(n, cycles, -math.pi / 2)
        gain = filtered("simoncelli", base)[0, 0, 0] / base[0, 0, 0]
        response = filtered("riesz_simoncelli", base, order=order)
        assert_allclose(response, gain * (factor[0] * base + factor[1] * turned), atol=1e-12)

    @pytest.mark.parametrize("total", [1, 2, 3, 4])
    def test_all_orders_together_lose_nothing(self, total):
        grid = [axis[:, None, None] for axis in [np.linspace(-1, 1, 6)]] + [
            np.linspace(-1, 1, 4)[None, :, None],
            np.linspace(-1, 1, 5)[None, None],
        ]
        orders = [order for order in itertools.product(range(total + 1), repeat=3) if sum(order) == total]
        energy = sum(np.abs(ibsi_riesz.transfer(grid, order)) ** 2 for order in orders)
        assert_allclose(energy, 1.0, atol=1e-12)

    def test_of_log_is_log_of_riesz(self):
        """Linear and shift-invariant: on a periodic image the order of the two does not matter."""
        voxels, order = noise(9, 11, 13), (1, 1, 0)
        direct = filtered("riesz_log", voxels, sigma=2.4, order=order, padding="periodic")
        turned = ibsi_fourier.filtered(voxels, (0, 1, 2), "periodic", lambda grid: ibsi_riesz.transfer(grid, order))
        assert_allclose(direct, filtered("log", turned, sigma=2.4, padding="periodic"), atol=1e-12)

    @pytest.mark.parametrize("padding", ["nearest", "mirror"])
    def test_of_log_is_that_of_the_padded_image(self, padding):
        """Padding first, then both filters on the whole as a periodic image: written out, it is the same."""
        voxels, far = noise(12, 13, 14), 6
        widths = [(n // 2, n - n // 2) for n in voxels.shape]
        # Nearest goes on without end; the Laplacian then needs its own reach beyond the padding.
        more = padded(voxels, [(low + far, high + far) for low, high in widths], padding)
        log = filtered("log", more, sigma=1.5, unit="voxel", padding="zero")[far:-far, far:-far, far:-far]
        expected = ibsi_fourier.filtered(log, (0, 1, 2), "periodic", lambda grid: ibsi_riesz.transfer(grid, (1, 1, 0)))[
            6:18, 6:19, 7:21
        ]
        assert_allclose(
            filtered("riesz_log", voxels, sigma=1.5, unit="voxel", padding=padding, order=(1, 1, 0)), expected, atol=1e-12
        )

    def test_zeros_reach_as_far_as_the_kernel(self):
        """On an image smaller than the kernel the padding grows with the kernel: nothing comes around from the other side."""
        voxels = noise(6, 6, 6)
        by_hand = np.pad(voxels, 8)  # 4 sigma
        log = filtered("log", by_hand, sigma=2.0, unit="voxel", padding="zero")
        turned = ibsi_fourier.filtered(log, (0, 1, 2), "periodic", lambda grid: ibsi_riesz.transfer(grid, (1, 0, 0)))[
            8:14, 8:14, 8:14
        ]
        assert_allclose(filtered("riesz_log", voxels, sigma=2.0, unit="voxel", padding="zero"), turned, atol=1e-12)


class TestFourier:
    @pytest.mark.parametrize("shape", [(4, 6, 8), (5, 7, 9), (4, 5, 6), (2, 3, 7)])
    def test_the_real_part_of_the_plain_product(self, shape):
        """The half spectrum and its mean of opposite frequencies against the whole one, written out."""
        voxels = noise(*shape)
        grid = np.meshgrid(*[ibsi_fourier.frequencies(n) for n in shape], indexing="ij")
        values = ibsi_riesz.transfer(grid, (1, 2, 0)) * (1.0 + grid[0] + 0.3 * grid[2])
        expected = np.fft.ifftn(np.fft.fftn(voxels) * values).real
        ours = ibsi_fourier.filtered(
            voxels, (0, 1, 2), "periodic", lambda g: ibsi_riesz.transfer(g, (1, 2, 0)) * (1.0 + g[0] + 0.3 * g[2])
        )
        assert_allclose(ours, expected, atol=1e-12)

    def test_grid_of_the_consensus(self):
        assert_allclose(ibsi_fourier.frequencies(4), [1 / 3, 1.0, -1.0, -1 / 3])
        assert_allclose(ibsi_fourier.frequencies(5), [0.0, 0.5, 1.0, -1.0, -0.5])


FINITE = {
    "mean": {"support": 3},
    "log": {"sigma": 0.6, "unit": "voxel"},
    "laws": {"kernels": "L5E3W5", "rotation_invariance": True},
    "gabor": {"sigma": 0.8, "wavelength": 3.0, "gamma": 1.0, "unit": "voxel", "rotation_step": 90.0},
    "wavelet": {"wavelet": "db2", "subband": "LHL", "rotation_invariance": True, "pooling": "average"},
}


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize("padding", PADDINGS)
def test_padding_is_what_lies_outside(name, padding):
    """Filtering a larger image that holds the padding already, then cutting, is the same."""
    voxels = noise(7, 8, 9)
    module, params = module_of(name), settings_of(name, {**FINITE[name], "padding": padding})
    far = module.reach(params, SPACING)
    by_hand = padded(voxels, [(far, far)] * 3, padding)
    inner = module.apply(by_hand, params, SPACING)[far:-far, far:-far, far:-far]
    assert_allclose(module.apply(voxels, params, SPACING), inner, atol=1e-10)


def test_right_angle_rotations_are_the_rotations_of_a_cube():
    matrices = set()
    for order, mirrored in right_angle_rotations(3):
        matrix = np.zeros((3, 3), dtype=int)
        for row, (column, flip) in enumerate(zip(order, mirrored, strict=True)):
            matrix[row, column] = -1 if flip else 1
        assert round(np.linalg.det(matrix)) == 1
        matrices.add(matrix.tobytes())
    assert len(matrices) == 24
    assert len(list(right_angle_rotations(2))) == 4


@pytest.mark.parametrize("name", ["laws", "wavelet"])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_pooled_over_rotations_turns_with_the_image(name, pooling):
    voxels = noise(9, 9, 9)
    values = {**FINITE[name], "rotation_invariance": True, "pooling": pooling}
    response = filtered(name, voxels, **values)
    for axes in ((0, 1), (1, 2), (0, 2)):
        assert_allclose(filtered(name, np.rot90(voxels, axes=axes), **values), np.rot90(response, axes=axes), atol=1e-12)
    plain = {**values, "rotation_invariance": False}
    assert not np.allclose(
        filtered(name, np.rot90(voxels, axes=(1, 2)), **plain), np.rot90(filtered(name, voxels, **plain), axes=(1, 2))
    )


@pytest.mark.parametrize(("name", "values", "said"), [
    ("mean", {"suport": 5}, r"mean: unknown key 'suport'. Did you mean 'support'\?"),
    ("mean", {"support": 4}, r"mean.support: must be odd.*nearest: 3 or 5.*\(got 4\)"),
    ("mean", {"support": 1}, r"mean.support: .*greater than or equal to 3"),
    ("mean", {"padding": "miror"}, r"mean.padding: .*mirror"),
    ("log", {"sigma": 0}, r"log.sigma: .*greater than 0"),
    ("laws", {"kernels": "L5E5E9"}, r"there is no kernel 'E9'\. Did you mean 'E[35]'\?"),
    ("laws", {"kernels": "L5E5"}, r"names 2 kernels; dimension 3D needs 3"),
    ("gabor", {"rotation_step": 50.0}, r"rotation_step: must divide 360.*nearest: 51.4286"),
    ("wavelet", {"wavelet": "dB2"}, r"no discrete wavelet named 'dB2'. Did you mean 'db2'\?"),
    ("wavelet", {"subband": "LH"}, r"subband 'LH' must be 3 letters L or H"),
    ("wavelet", {"subband": "LHX"}, r"must be 3 letters L or H"),
    ("riesz_log", {"order": (1, 0)}, r"order \[1, 0\] has 2 numbers; dimension 3D needs 3"),
    ("riesz_simoncelli", {"order": (0, 0, 0)}, r"must be whole numbers >= 0 that add up to 1 to 6"),
    ("simonceli", {}, r"no IBSI filter named 'simonceli'. Did you mean 'simoncelli'\?"),
    ("mean", [5], r"settings must be a mapping"),
])  # fmt: skip
def test_wrong_settings_are_refused_by_name(name, values, said):
    with pytest.raises(ConfigError, match=said):
        settings_of(name, values)


@pytest.mark.parametrize("name", IBSI_FILTERS)
def test_a_single_plane_is_refused_in_3d_by_name(name):
    with pytest.raises(GeometryError, match=rf"the {name} filter cannot run in 3D on \(1, 8, 8\) voxels") as caught:
        filtered(name, noise(1, 8, 8))
    assert caught.value.hint == f"Set dimension: 2D for {name}."
    flat = {"laws": {"kernels": "L5E5"}, "wavelet": {"subband": "LH"}}.get(name, {"order": (1, 0)} if "riesz" in name else {})
    filtered(name, noise(1, 8, 8), dimension="2D", **flat)
    with pytest.raises(GeometryError, match=rf"the {name} filter cannot run in 2D on \(4, 1, 8\) voxels"):
        filtered(name, noise(4, 1, 8), dimension="2D", **flat)


@pytest.mark.parametrize("name", IBSI_FILTERS)
def test_undefined_voxels_are_refused(name):
    voxels = noise(4, 8, 8)
    voxels[0, 0, 0] = np.nan
    with pytest.raises(FileProblem, match=rf"the {name} filter cannot run: 1 of the image's 256 voxels are NaN"):
        filtered(name, voxels)


@settings(max_examples=30, deadline=None)
@given(
    first=st.tuples(st.floats(0.1, 50.0), st.floats(1.0, 10.0), st.sampled_from(["mm", "voxel"]), st.sampled_from(PADDINGS)),
    second=st.tuples(st.floats(0.1, 50.0), st.floats(1.0, 10.0), st.sampled_from(["mm", "voxel"]), st.sampled_from(PADDINGS)),
)
def test_other_settings_other_columns(first, second):
    names = [
        module_of("log").prefix(settings_of("log", dict(zip(("sigma", "cutoff", "unit", "padding"), values, strict=True))))
        for values in (first, second)
    ]
    assert (names[0] == names[1]) == (first == second)
    assert all("_" not in name and "." not in name for name in names)

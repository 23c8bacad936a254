"""The compiled pass of a wavelet transform against PyWavelets' own, to the last bit, and against its slow twin, term by term."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.features._kernels.periodic import periodic_pass
from radpipe.filters.wavelet import taps


@settings(deadline=None)  # the first call compiles
@given(
    st.sampled_from(["haar", "coif1", "db4", "bior3.3", "sym8", "dmey"]),
    st.integers(0, 40),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**31),
    st.data(),
)
def test_is_pywavelets_to_the_last_bit(name, longer, axis, dtype, seed, data):
    wavelet = pywt.Wavelet(name)
    n = wavelet.dec_len + longer + (wavelet.dec_len + longer) % 2  # swt asks for even sizes
    shape = [5, 7, 3]
    shape[axis] = n
    voxels = (np.random.default_rng(seed).normal(size=shape).cumsum(axis=axis) * 20).astype(dtype)
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n))
    low, high = pywt.swt(voxels, wavelet, level=1, axis=axis)[0]
    lines = voxels.reshape(int(np.prod(shape[:axis])), n, -1)
    for letter, told, expected in (("L", wavelet.dec_lo, low), ("H", wavelet.dec_hi, high)):
        np.testing.assert_allclose(taps(name, letter, dtype), told, rtol=1e-6 if dtype is np.float32 else 0)
        found = periodic_pass(lines, taps(name, letter, dtype), start, stop)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected.reshape(lines.shape)[:, start:stop])


@pytest.mark.parametrize("abreast", [1, 3])
def test_slow_twin(abreast):
    rng = np.random.default_rng(abreast)
    lines, six = rng.normal(size=(2, 10, abreast)), rng.normal(size=6)
    expected = np.zeros(lines.shape)
    for place in range(10):
        for term, tap in enumerate(six):
            expected[:, place] += tap * lines[:, (place + 3 - term) % 10]
    for version in (periodic_pass, getattr(periodic_pass, "py_func", periodic_pass)):
        np.testing.assert_allclose(version(lines, six, 0, 10), expected, rtol=1e-12)
        for start in range(10):
            for stop in range(start + 1, 11):
                np.testing.assert_allclose(version(lines, six, start, stop), expected[:, start:stop], rtol=1e-12)

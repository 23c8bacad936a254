"""The recursive pass against ITK's filter, to the last bit, and against its slow twin, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.features._kernels.recursive import _backward, _forward, recursive_pass
from radpipe.filters.log import gaussian_weights


def along_first(kernel, lines, weights, start, stop, *, apart=False):
    """The pass along the first axis of (n, m) lines. apart : with the lines one after the other in memory."""
    m = lines.shape[1]
    data = np.ascontiguousarray(lines.T)[:, :, None] if apart else lines[None]
    out = np.full((len(data), stop - start, data.shape[2]), np.nan, np.float32)
    for part in ((0, m // 2), (m // 2, m)):
        kernel(data, weights, start, out, *((part, (0, 1)) if apart else ((0, 1), part)))
    return out[:, :, 0].T if apart else out[0]


@settings(deadline=None)  # the first call compiles
@given(st.integers(4, 90), st.floats(0.3, 6.0), st.floats(0.4, 5.0), st.sampled_from([0, 2]), st.integers(0, 2**31), st.data())
def test_is_itks_recursive_gaussian(length, sigma, spacing, order, seed, data):
    lines = np.random.default_rng(seed).normal(size=(length, 7, 11)).cumsum(axis=0) * 20
    start = data.draw(st.integers(0, length - 1))
    stop = data.draw(st.integers(start + 1, length))
    filter_ = sitk.RecursiveGaussianImageFilter()
    filter_.SetNormalizeAcrossScale(True)
    filter_.SetSigma(sigma)
    filter_.SetOrder(order)
    filter_.SetDirection(2)
    image = sitk.GetImageFromArray(lines)
    image.SetSpacing((1.0, 1.0, spacing))
    expected = sitk.GetArrayFromImage(filter_.Execute(image))[start:stop].reshape(stop - start, -1)
    for apart in (False, True):
        found = along_first(
            recursive_pass, lines.reshape(length, -1), gaussian_weights(sigma, spacing, order), start, stop, apart=apart
        )
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("length", [4, 5, 9])
def test_slow_twin(length):
    rng = np.random.default_rng(length)
    lines, c = rng.normal(size=(length, 3)), rng.normal(size=20) * 0.2
    expected = np.zeros((length, 3))
    for line, column in enumerate(lines.T):
        for one_way, from_place, samples, weights, ahead, ends, turn in (
            (_forward, (), column, c[0:4], 0, c[12:16], 1),
            (_backward, (0,), column[::-1], c[4:8], 1, c[16:20], -1),
        ):
            done = []
            for i in range(length):
                inputs = [samples[max(i - j - ahead, 0)] for j in range(4)]
                before = sum(c[8 + j] * done[i - 1 - j] if i - 1 - j >= 0 else ends[j] * samples[0] for j in range(4))
                done.append(np.dot(inputs, weights) - before)
            expected[:, line] += np.array(done)[::turn]
            for kernel in (one_way, getattr(one_way, "py_func", one_way)):
                outputs = np.zeros_like(lines)
                kernel(lines, c, outputs, *from_place, lines.shape[1])
                np.testing.assert_allclose(outputs[:, line], np.array(done)[::turn], rtol=1e-9, atol=1e-10)
    for version in (recursive_pass, getattr(recursive_pass, "py_func", recursive_pass)):
        for apart in (False, True):
            whole = along_first(version, lines, c, 0, length, apart=apart)
            np.testing.assert_allclose(whole, expected, rtol=1e-6, atol=1e-7)
            np.testing.assert_array_equal(along_first(version, lines, c, 1, length - 1, apart=apart), whole[1 : length - 1])


def test_a_constant_stays_and_has_no_curvature():
    lines = np.full((40, 5), 3.0)
    np.testing.assert_allclose(along_first(recursive_pass, lines, gaussian_weights(2.0, 1.0, 0), 0, 40), 3.0, rtol=1e-6)
    np.testing.assert_allclose(along_first(recursive_pass, lines, gaussian_weights(2.0, 1.0, 2), 0, 40), 0.0, atol=1e-6)


def test_log_with_compiled_passes_is_log_by_itk():
    from radpipe.filters.log import laplacian
    from radpipe.filters.scene import Scene

    rng = np.random.default_rng(1)
    box = (slice(3, 9), slice(0, 8), slice(15, 24))
    mask = np.ones((6, 8, 9), bool)
    for dtype in (np.int16, np.uint8, np.float32, np.float64):
        voxels = (rng.normal(size=(13, 22, 24)).cumsum(axis=1) * 10 + 100).clip(0, 255).astype(dtype)
        plain, compiled = (Scene(voxels, box, mask, (2.1, 1.3, 0.9), kernel) for kernel in (None, recursive_pass))
        for sigma in (1, 2.5):
            np.testing.assert_array_equal(laplacian(plain, sigma), laplacian(compiled, sigma))

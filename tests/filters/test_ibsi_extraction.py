"""Filters within an IBSI extraction: which part of the image they see, what their columns are called, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from radpipe.errors import ConfigError
from radpipe.features.ibsi.chosen import chosen_filters
from radpipe.features.ibsi.filters import prefixes, responses
from radpipe.features.ibsi.parameters import IbsiParameters
from radpipe.filters.ibsi_registry import module_of

SPACING = (1.0, 1.0, 1.0)
FILTERS = (
    ("mean", {"support": 5}),
    ("log", {"sigma": 0.8, "cutoff": 3.0}),
    ("laws", {"kernels": "L5E5", "rotation_invariance": True, "delta": 2, "dimension": "2D"}),
    ("laws", {"kernels": "E3S3L5", "delta": 1}),
    ("gabor", {"sigma": 0.5, "wavelength": 3.0, "gamma": 1.0, "rotation_step": 60.0}),
    ("wavelet", {"wavelet": "db2", "subband": "LLH", "level": 2, "rotation_invariance": True, "pooling": "average"}),
    ("wavelet", {"wavelet": "bior1.3", "subband": "HL", "dimension": "2D"}),
    ("simoncelli", {"level": 1}),
    ("riesz_log", {"sigma": 1.0, "order": (1, 0, 0)}),
    ("riesz_simoncelli", {"order": (0, 1), "dimension": "2D"}),
)


def with_filter(chosen, **more) -> IbsiParameters:
    # The list form is read here alone; the model's own type may be narrower.
    return IbsiParameters.model_validate(more).model_copy(update={"filter": chosen})


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_part_is_cut_from_the_whole(data):
    """The filter sees no more than it needs, and the response on the box is that of the whole image."""
    name, values = data.draw(st.sampled_from(FILTERS))
    padding = data.draw(st.sampled_from(["zero", "nearest", "periodic", "mirror"]))
    shape = tuple(data.draw(st.integers(8, 24)) for _ in range(3))
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    box = tuple(slice(start, data.draw(st.integers(start + 1, n))) for start, n in zip(starts, shape, strict=True))
    voxels = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=shape)
    parameters = with_filter({name: {**values, "padding": padding}})
    ((prefix, whole),) = responses(voxels, SPACING, parameters)
    ((again, part),) = responses(voxels, SPACING, parameters, box)
    assert prefix == again
    assert whole.shape == shape
    assert_allclose(part, whole[box], atol=1e-10)


def test_several_filters_in_their_order():
    chosen = [{"mean": {"support": 3}}, {"log": {"sigma": 1.5, "unit": "voxel"}}, {"mean": {"support": 3, "padding": "zero"}}]
    parameters = with_filter(chosen)
    names = ["mean-3-3D", "log-sigma-1-5-voxel-3D", "mean-3-3D-zero"]
    voxels = np.random.default_rng(0).normal(size=(6, 6, 6))
    assert [prefix for prefix, _ in responses(voxels, SPACING, parameters)] == names
    assert list(prefixes(parameters)) == names
    assert prefixes(parameters)["mean-3-3D"] == "mean over 3 voxels a side, in the volume, mirror padding"


def test_without_a_filter_the_image_itself():
    voxels = np.random.default_rng(0).normal(size=(6, 6, 6))
    ((prefix, response),) = responses(voxels, SPACING, IbsiParameters())
    assert prefix == "original"
    assert_array_equal(response, voxels)
    assert prefixes(IbsiParameters()) == {"original": "the image itself"}


def test_names_as_the_manual_says_them():
    expected = {
        "laws-L5E5E5-max-energy-7-3D": {"laws": {"rotation_invariance": True, "delta": 7}},
        "gabor-sigma-5-0-lambda-2-0-mm-gamma-1-5-average-22-5-2D": {"gabor": {"rotation_step": 22.5, "dimension": "2D"}},
        "gabor-sigma-5-0-lambda-2-0-mm-gamma-1-5-theta-60-0-3D": {"gabor": {"theta": 60}},
        "wavelet-db3-LLH-level-1-3D-zero": {"wavelet": {"padding": "zero"}},
        "simoncelli-level-2-3D": {"simoncelli": {"level": 2}},
        "simoncelli-level-1-3D-mirror": {"simoncelli": {"padding": "mirror"}},
        "riesz-1-0-0-log-sigma-1-5-mm-3D": {"riesz_log": None},
        "riesz-0-2-0-simoncelli-level-1-3D": {"riesz_simoncelli": {"order": [0, 2, 0]}},
    }
    for prefix, chosen in expected.items():
        ((name, values),) = chosen_filters(chosen)
        assert module_of(name).prefix(values) == prefix


@pytest.mark.parametrize(("chosen", "said"), [
    ({"mean": {}, "log": {}}, r"filter: .* must be one filter's name with its settings"),
    (["mean"], r"filter: 'mean' must be one filter's name"),
    ({"means": {}}, r"no IBSI filter named 'means'. Did you mean 'mean'\?"),
    ([{"mean": {}}, {"mean": {"support": 5}}], r"mean-5-3D is asked for twice"),
    ({"log": {"sigm": 2}}, r"log: unknown key 'sigm'. Did you mean 'sigma'\?"),
])  # fmt: skip
def test_refused(chosen, said):
    with pytest.raises(ConfigError, match=said):
        chosen_filters(chosen)


def test_a_volume_filter_on_planes_that_are_kept_apart():
    parameters = with_filter({"gabor": {"unit": "voxel"}}, dimension="2D")
    with pytest.raises(ConfigError, match="gabor in 3D cannot be used with dimension 2D") as caught:
        list(responses(np.zeros((4, 8, 8)), SPACING, parameters))
    assert caught.value.hint == "Set dimension: 2D for gabor."

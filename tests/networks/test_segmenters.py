"""Every entry of the registry of segmentation networks meets these tests."""

import pytest
import torch
from pydantic import ValidationError

from radpipe.core.registry import lookup
from radpipe.networks.registry import SEGMENTERS

# Small enough to run in a blink; every other parameter at its default.
SMALL = {
    "unet3d": [
        {"channels": (4, 8, 8)},
        {"channels": (4, 8), "full_resolution": True, "residual_convolutions": 1},
    ]
}
CASES = [(name, values) for name in SEGMENTERS for values in SMALL.get(name, [{}])]


def made(name, values, in_channels=1, out_channels=1):
    network = lookup(SEGMENTERS, name, "segmentation network")
    params = network.params.model_validate(values)
    torch.manual_seed(0)
    return network, params, network.build(params, in_channels, out_channels)


@pytest.mark.parametrize(("name", "values"), CASES)
def test_one_logit_a_voxel_on_the_same_grid(name, values):
    network, params, module = made(name, values, in_channels=2, out_channels=3)
    assert 16 % network.size_multiple(params) == 0
    with torch.no_grad():
        assert module(torch.randn(1, 2, 16, 16, 16)).shape == (1, 3, 16, 16, 16)
    n = network.size_multiple(params)
    with torch.no_grad():
        assert module(torch.randn(2, 2, 2 * n, 4 * n, 3 * n)).shape == (2, 3, 2 * n, 4 * n, 3 * n)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_the_default_size_runs(name):
    _, _, module = made(name, {})
    with torch.no_grad():
        assert module(torch.randn(1, 1, 16, 16, 16)).shape == (1, 1, 16, 16, 16)


@pytest.mark.parametrize(("name", "values"), CASES)
def test_gradients_reach_every_weight(name, values):
    _, _, module = made(name, values)
    (module(torch.randn(2, 1, 16, 16, 16)) ** 2).mean().backward()
    for weight_name, weight in module.named_parameters():
        assert weight.grad is not None, weight_name
        assert torch.isfinite(weight.grad).all(), weight_name
        # The shift before an instance normalisation is taken out again: its gradient is zero but for rounding.
        if not weight_name.endswith("conv.bias"):
            assert weight.grad.abs().max() > 0, weight_name


@pytest.mark.parametrize(("name", "values"), CASES)
def test_seeded_weights_and_a_copy_of_them_give_the_same_output(name, values):
    _, _, first = made(name, values)
    network, params, second = made(name, values)
    torch.manual_seed(1)
    third = network.build(params, 1, 1)
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        expected = first.eval()(x)
        assert torch.equal(second.eval()(x), expected)
        assert not torch.equal(third.eval()(x), expected)
        third.load_state_dict(first.state_dict())
        assert torch.equal(third(x), expected)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_it_is_described_and_refuses_unknown_parameters(name):
    network = lookup(SEGMENTERS, name, "segmentation network")
    assert network.name == name and network.summary and network.source
    with pytest.raises(ValidationError):
        network.params.model_validate({"no_such_parameter": 1})
    told = network.params.model_json_schema()["properties"]
    assert all(told[field].get("description") for field in network.params.model_fields)

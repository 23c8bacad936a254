"""What every classifier network in the registry must do."""

from __future__ import annotations

import pytest
import torch

from radpipe.core.registry import lookup
from radpipe.networks.registry import CLASSIFIERS


def built(name: str, channels: int = 1, seed: int = 0):
    torch.manual_seed(seed)
    network = lookup(CLASSIFIERS, name, "classifier network")
    assert network.name == name and network.summary and network.source
    return network.build(network.params(), channels, 2)


@pytest.mark.parametrize("name", CLASSIFIERS)
class TestEveryClassifier:
    @pytest.mark.parametrize("shape", [(16, 16, 16), (9, 20, 31)])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_one_logit_a_class_for_boxes_of_any_size(self, name, shape, channels):
        logits = built(name, channels)(torch.randn(2, channels, *shape))
        assert logits.shape == (2, 2) and torch.isfinite(logits).all()

    def test_gradients_reach_every_weight(self, name):
        network = built(name)
        torch.manual_seed(1)
        network(torch.randn(4, 1, 16, 16, 16))[:, 1].square().sum().backward()
        for place, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, place

    def test_same_weights_after_save_and_load(self, name):
        network, other = built(name).eval(), built(name, seed=1).eval()
        x = torch.randn(2, 1, 16, 16, 16)
        other.load_state_dict(network.state_dict())
        assert torch.equal(network(x), other(x))

    def test_how_bright_an_image_is_counts(self, name):
        """A norm of each image by itself would make 2 x + 1 look like x; in PET that is most of what there is to see."""
        network = built(name).eval()
        x = torch.randn(1, 1, 16, 16, 16)
        assert not torch.allclose(network(x), network(2 * x + 1), rtol=1e-3)

"""Scaling, unscaling, probabilistic layers, the order of evaluation, the loss index and its gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch

from radpipe.errors import SchemaError
from radpipe.models.ann.head import Head
from radpipe.models.ann.loss import ERRORS, REGULARISATIONS, LossIndex
from radpipe.models.config import AnnParams
from radpipe.networks.layers import SCALINGS, BoundingLayer, ProbabilisticLayer, ScalingLayer, UnscalingLayer
from radpipe.networks.perceptron import ACTIVATIONS, NeuralNetwork, PerceptronLayer, layer_stack, start


class Given(NamedTuple):
    """An outcome."""

    kind: str
    y: np.ndarray
    value: np.ndarray | None = None
    time: np.ndarray | None = None


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


X = tensor([[1.0, 10.0, 5.0], [2.0, 30.0, 5.0], [6.0, 20.0, 5.0]])


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # mean 3, sd sqrt(7); mean 20, sd 10; no spread: left as it is
        ("mean_standard_deviation", [[-2 / 7**0.5, -1, 5], [-1 / 7**0.5, 1, 5], [3 / 7**0.5, 0, 5]]),
        ("minimum_maximum", [[-1, -1, 5], [-0.6, 1, 5], [1, 0, 5]]),
        ("standard_deviation", [[1 / 7**0.5, 1, 5], [2 / 7**0.5, 3, 5], [6 / 7**0.5, 2, 5]]),
        ("logarithm", np.log([[1.0, 10, 5], [2, 30, 5], [6, 20, 5]]).tolist()),
        ("none", [[1, 10, 5], [2, 30, 5], [6, 20, 5]]),
    ],
)
def test_scaling_worked_by_hand(method, expected):
    np.testing.assert_allclose(ScalingLayer.fitted(X, method)(X), expected, rtol=1e-12)


@pytest.mark.parametrize("method", SCALINGS)
def test_unscaling_is_the_inverse_of_scaling(method):
    values = torch.rand(20, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 50 + 0.1
    layer = ScalingLayer.fitted(values[:10], method)
    torch.testing.assert_close(UnscalingLayer(layer)(layer(values)), values, rtol=1e-12, atol=1e-12)


def test_small_features_are_scaled_as_large_ones_are():
    """A texture feature of size 1e-9 has a spread of its own; only rounding has none."""
    layer = ScalingLayer.fitted(tensor([[1e-9, 7.0], [3e-9, 7.0 + 1e-14]]))
    np.testing.assert_allclose(layer(tensor([[3e-9, 7.0]])), [[2**-0.5, 7.0]])


def test_no_logarithm_of_what_is_not_positive():
    with pytest.raises(SchemaError, match="input 2 of the network has values at or below 0"):
        ScalingLayer.fitted(X, "logarithm")(tensor([[1.0, -2.0, 3.0]]))


def test_probabilistic_layers_worked_by_hand():
    x = tensor([[-1.0, 0.4, 3.0]])
    np.testing.assert_allclose(ProbabilisticLayer("logistic")(x), 1 / (1 + np.exp([[1.0, -0.4, -3.0]])))
    odds = np.exp([-1.0, 0.4, 3.0])
    np.testing.assert_allclose(ProbabilisticLayer("softmax")(x)[0], odds / odds.sum())
    assert ProbabilisticLayer("clip")(x).tolist() == [[0.0, 0.4, 1.0]]
    assert ProbabilisticLayer("competitive")(x).tolist() == [[0.0, 0.0, 1.0]]
    assert ProbabilisticLayer("binary", threshold=0.4)(x).tolist() == [[0.0, 1.0, 1.0]]


def test_layers_are_evaluated_in_opennns_order():
    order: list[str] = []
    targets = ScalingLayer.fitted(tensor([[0.0], [1.0]]), "minimum_maximum")
    network = NeuralNetwork(
        ScalingLayer.fitted(X), layer_stack(3, (2,), 1, "tanh"), ProbabilisticLayer("clip"), UnscalingLayer(targets),
        BoundingLayer(0.1, 0.9),
    )  # fmt: skip
    for module in (network.scaling, network.perceptrons, network.unscaling, network.probabilistic, network.bounding):
        module.register_forward_hook(lambda module, *_: order.append(type(module).__name__))
    network(X)
    assert order == ["ScalingLayer", "Sequential", "UnscalingLayer", "ProbabilisticLayer", "BoundingLayer"]


def test_the_opennn_network_worked_by_hand():
    """Scaled input -1, weight 0.5, bias 0.2: -0.3 on [-1, 1] is 0.35 on [0, 1]; at scaled input 5, 2.7 clips to 1."""
    head = Head.learnt(Given("classes", np.array([0, 1])), 2, AnnParams(recipe="opennn"))
    network = head.network(ScalingLayer.fitted(tensor([[10.0], [20.0]]), "minimum_maximum"), 1, (), "tanh")
    with torch.no_grad():
        network.perceptrons[0].weight.fill_(0.5)
        network.perceptrons[0].bias.fill_(0.2)
    np.testing.assert_allclose(network(tensor([[10.0], [40.0]])).detach(), [[0.35], [1.0]])


def one_layer(weights, bias) -> list[PerceptronLayer]:
    layer = PerceptronLayer(len(weights), 1, "linear")
    with torch.no_grad():
        layer.weight.copy_(tensor([weights]))
        layer.bias.fill_(bias)
    return [layer]


def test_loss_index_worked_by_hand():
    """Targets -1, -1, -1, 1 (mean -1/2, variance 3/4, weight of positives 3), outputs -1, 0, 0, 0: squares 0, 1, 1, 1."""
    outputs, targets = tensor([[-1.0], [0.0], [0.0], [0.0]]), tensor([[-1.0], [-1.0], [-1.0], [1.0]])
    layers = one_layer([3.0, -4.0], 12.0)
    expected_errors = {"mean_squared": 3 / 4, "normalized_squared": 1.0, "weighted_squared": (0 + 1 + 1 + 3) / (1 + 1 + 1 + 3)}
    expected_terms = {"l1": 7.0, "l2": 12.5, "l2_norm": 13.0, "none": 0.0}
    for error, value in expected_errors.items():
        for regularisation, term in expected_terms.items():
            parts = LossIndex.learnt(targets, error, regularisation, 0.1)(outputs, targets, layers)
            np.testing.assert_allclose([part.item() for part in parts], [value + 0.1 * term, value, 0.1 * term], rtol=1e-12)


def test_cross_entropy_worked_by_hand():
    """Logits 0 and log 3 for targets 0 and 1: log 2 and log 4/3."""
    index = LossIndex.learnt(tensor([[0.0], [1.0]]), "cross_entropy", "none", 0.0)
    got = index(tensor([[0.0], [np.log(3.0)]]), tensor([[0.0], [1.0]]), [])
    np.testing.assert_allclose(float(got.loss), (np.log(2) + np.log(4 / 3)) / 2, rtol=1e-12)


def test_the_selection_error_is_defined_for_one_class():
    index = LossIndex.learnt(tensor([[-1.0], [1.0]]), "normalized_squared", "none", 0.0)
    assert float(index.error_term(tensor([[0.0]]), tensor([[-1.0]]))) == 1.0


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("regularisation", REGULARISATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_against_finite_differences(error, regularisation, activation):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    low = 0.0 if error == "cross_entropy" else -1.0
    targets = tensor([[1.0 if k % 3 == 0 else low] for k in range(9)])
    if error == "cox":
        targets = tensor([[float(k // 2), float(k % 4 < 3)] for k in range(9)])
    layers = layer_stack(4, (3, 2), 1, activation)
    start(layers, [0.1], generator)
    with torch.no_grad():  # away from the kinks of relu and l1
        layers[-1].weight.copy_(torch.randn(1, 2, generator=generator, dtype=torch.float64))
        for layer in layers:
            layer.bias.add_(0.3 * torch.randn(layer.bias.shape, generator=generator, dtype=torch.float64))
    network = torch.nn.Sequential(*layers)
    index = LossIndex.learnt(targets, error, regularisation, 0.07)
    index(network(x), targets, layers).loss.backward()
    step = 1e-6
    for parameter in network.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for k in range(len(flat)):
            middle = float(flat[k])
            values = []
            for move in (step, -step):
                flat[k] = middle + move
                values.append(index(network(x), targets, layers).loss.item())
            flat[k] = middle
            assert float(gradient[k]) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5, abs=1e-7)

"""Scaling, unscaling, probabilistic layers, the order of evaluation, the loss index and its gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch

from radpipe.errors import SchemaError
from radpipe.models.ann.head import Head
from radpipe.models.ann.loss import LossIndex, partial_likelihood
from radpipe.models.config import AnnParams
from radpipe.models.cox_loss import cox_loss
from radpipe.networks.layers import SCALINGS, BoundingLayer, ProbabilisticLayer, ScalingLayer, UnscalingLayer
from radpipe.networks.perceptron import NeuralNetwork, PerceptronLayer, layer_stack


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


def test_minkowski_and_three_classes_worked_by_hand():
    """Gaps 1 and 4: (1 + 8) / 2. Logits 0, log 2, log 5 of a case of the last class: log 8/5."""
    got = LossIndex("minkowski").error_term(tensor([[1.0], [4.0]]), tensor([[0.0], [0.0]]))
    assert float(got) == pytest.approx(4.5, rel=1e-12)
    got = LossIndex("cross_entropy").error_term(tensor([[0.0, np.log(2), np.log(5)]]), tensor([[0.0, 0.0, 1.0]]))
    assert float(got) == pytest.approx(np.log(8 / 5), rel=1e-12)
    outputs, targets = tensor([[0.0, 1.0], [2.0, 2.0]]), tensor([[1.0, 1.0], [0.0, 5.0]])
    # squares 1, 0, 4, 9; around the columns' means (1/2, 3) the targets vary by 1/4 + 4
    index = LossIndex.learnt(targets, "normalized_squared", "none", 0.0)
    assert float(index.error_term(outputs, targets)) == pytest.approx(14 / (0.5 + 8), rel=1e-12)


def test_cox_worked_by_hand():
    """Hazards 1, 2, 3, 4; events at 1 (the first) and twice at 2 (second and third), the fourth censored at 3."""
    scores = tensor(np.log([[1.0], [2.0], [3.0], [4.0]]))
    targets = tensor([[1.0, 1.0], [2.0, 1.0], [2.0, 1.0], [3.0, 0.0]])
    # Efron: the two at 2 meet 9 and 9 - 5 / 2
    expected = -(np.log(1 / 10) + np.log(2 / 9) + np.log(3 / 6.5)) / 3
    assert float(LossIndex("cox").error_term(scores, targets)) == pytest.approx(expected, rel=1e-12)


def test_the_selection_error_of_times_worked_by_hand():
    """Training: events at 1 and 3, hazards 1 and 1. Selection: an event at 2 with hazard 2, which meets itself and the later one."""
    training, selection = tensor([[1.0, 1.0], [3.0, 1.0]]), tensor([[2.0, 1.0]])
    term = LossIndex("cox").bound_selection(training, selection)
    got = float(term(tensor([[0.0], [0.0]]), tensor([[np.log(2)]])))
    together = -(np.log(1 / 4) + np.log(2 / 3) + np.log(1 / 1))
    assert got == pytest.approx(together + np.log(1 / 2), rel=1e-12)
    censored = LossIndex("cox").bound_selection(training, tensor([[2.0, 0.0]]))
    assert float(censored(tensor([[0.0], [0.0]]), tensor([[0.0]]))) == pytest.approx(np.log(3) - np.log(2), rel=1e-12)


def test_the_two_writings_of_coxs_loss_agree():
    """With the gradient written out (many networks), and by torch's recording (image networks)."""
    rng = np.random.default_rng(4)
    targets = tensor(np.column_stack([rng.integers(0, 6, 30), rng.random(30) < 0.6]))
    scores = tensor(rng.normal(size=(30, 1))).requires_grad_(True)
    value, gradient = partial_likelihood(targets)(scores.detach(), True)
    other = cox_loss(scores[:, 0], targets[:, 0], targets[:, 1])
    other.backward()
    assert float(value) == pytest.approx(float(other.detach()), rel=1e-12)
    torch.testing.assert_close(gradient, scores.grad, rtol=1e-10, atol=1e-12)


def test_shares_add_up_to_one():
    x = tensor([[0.5, 1.5, -1.0], [-1.0, -2.0, 0.0]])
    np.testing.assert_allclose(ProbabilisticLayer("share")(x), [[1 / 3, 2 / 3, 0], [1 / 3, 1 / 3, 1 / 3]])

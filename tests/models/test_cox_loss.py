"""Cox's loss against R's survival and by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.models.ann.loss import partial_likelihood
from radpipe.models.cox_loss import cox_loss


def tensors(*columns):
    return [torch.tensor(np.asarray(column), dtype=torch.float64) for column in columns]


def by_hand(score, time, event) -> float:
    """Efron's formula, term by term."""
    total, deaths = 0.0, 0
    for t in sorted({a for a, e in zip(time, event, strict=True) if e}):
        tied = [math.exp(s) for s, a, e in zip(score, time, event, strict=True) if a == t and e]
        risk = sum(math.exp(s) for s, a in zip(score, time, strict=True) if a >= t)
        deaths += len(tied)
        for j, hazard in enumerate(tied):
            total -= math.log(hazard) - math.log(risk - j / len(tied) * sum(tied))
    return total / deaths if deaths else 0.0


def test_three_cases_by_hand():
    """Events at 1 and 2, one censored at 3, all scores 0: log 3 + log 2 over 2 events."""
    score, time = tensors([0.0, 0.0, 0.0], [1.0, 2.0, 3.0])
    assert float(cox_loss(score, time, torch.tensor([True, True, False]))) == pytest.approx((math.log(3) + math.log(2)) / 2)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 4), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 2**31 - 1),
)
def test_ties_by_efron_in_any_order(rows, seed):
    rows = [rows[k] for k in np.random.default_rng(seed).permutation(len(rows))]
    score, time, event = zip(*rows, strict=True)
    mine = cox_loss(*tensors(score, time), torch.tensor(event))
    assert float(mine) == pytest.approx(by_hand(score, time, event), rel=1e-9, abs=1e-12)


def test_huge_scores_stay_finite():
    score, time = tensors([900.0, -900.0, 0.0], [3.0, 2.0, 1.0])
    event = torch.tensor([True, True, True])
    for one in (score, -score):
        assert math.isfinite(float(cox_loss(one, time, event)))


def test_several_networks_at_once():
    rng = np.random.default_rng(0)
    scores, time = tensors(rng.normal(size=(3, 9)), rng.integers(0, 4, 9))
    event = torch.tensor(rng.random(9) < 0.6)
    torch.testing.assert_close(cox_loss(scores, time, event), torch.stack([cox_loss(one, time, event) for one in scores]))


def test_r_survival(shared_data):
    """coxph(Surv(time, event) ~ x1 + x2): R's log likelihood at R's coefficients, where the gradient is zero."""
    folder = shared_data / "statistics_fixtures"
    wanted = json.loads((folder / "expected.json").read_text())
    rows = pd.read_csv(folder / "survival.csv")
    beta = torch.tensor(wanted["cox_efron_coef"], dtype=torch.float64, requires_grad=True)
    time, event = tensors(rows["time"], rows["event"])
    loss = cox_loss(torch.tensor(rows[["x1", "x2"]].to_numpy()) @ beta, time, event)
    assert float(loss.detach()) * float(event.sum()) == pytest.approx(-wanted["cox_loglik"][0], rel=1e-9)
    loss.backward()
    assert beta.grad.abs().max() < 1e-6


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 40), seed=st.integers(0, 10_000))
def test_both_networks_know_one_likelihood(n: int, seed: int) -> None:
    """The ANN's form, with its gradient written out, and the CNN's, which torch differentiates."""
    rng = np.random.default_rng(seed)
    time, event = torch.from_numpy(rng.integers(1, 12, n).astype(float)), torch.from_numpy(rng.random(n) < 0.6)
    score = torch.from_numpy(2 * rng.normal(size=n)).requires_grad_(True)
    value = cox_loss(score, time, event)
    value.backward()
    own, gradient = partial_likelihood(torch.stack([time, event.double()], dim=1))(score.detach()[:, None], True)
    assert float(own) == pytest.approx(float(value.detach()), rel=1e-10, abs=1e-12)
    np.testing.assert_allclose(gradient[:, 0].numpy(), score.grad.numpy(), rtol=1e-8, atol=1e-12)

"""Nogueira's stability: worked by hand, at its ends, and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from radpipe.errors import SchemaError
from radpipe.selection.stability import nogueira


def test_worked_by_hand():
    """Sets {1,2,3}, {1,2,3,4}, {1,..,5} of 10: frequencies 1, 1, 1, 2/3, 1/3.

    Variances 3/2 * 2/9 twice, mean over ten features 1/15; k = 4, so 0.4 * 0.6 = 0.24 and 1 - (1/15) / 0.24 = 13/18.
    Phi_i by equation 9, with sums of the frequencies inside each set of 3, 11/3 and 4: (0.30 - 0.12 + 13/36 * 0.54) / 0.24,
    (11/30 - 0.16 + 13/36 * 0.52) / 0.24 and (0.40 - 0.20 + 13/36 * 0.50) / 0.24.
    """
    kept = np.array([[k < size for k in range(10)] for size in (3, 4, 5)])
    phi = np.array([(0.18 + 13 / 36 * 0.54) / 0.24, (11 / 30 - 0.16 + 13 / 36 * 0.52) / 0.24, (0.20 + 13 / 36 * 0.50) / 0.24])
    reach = 1.959963984540054 * np.sqrt(4 / 9 * np.sum((phi - phi.mean()) ** 2))
    np.testing.assert_allclose(nogueira(kept), (13 / 18, 13 / 18 - reach, 13 / 18 + reach), rtol=1e-12)


def test_identical_sets_are_1_and_disjoint_ones_negative():
    assert nogueira(np.tile([True, True, False, False, False], (6, 1))) == (1.0, 1.0, 1.0)
    assert nogueira(np.eye(5, dtype=bool))[0] == pytest.approx(-0.25)  # 1 - (5/4 * 0.16) / 0.16


def test_random_sets_are_0_on_average_and_the_interval_covers():
    rng = np.random.default_rng(11)
    runs = [nogueira(np.array([rng.permutation(40) < 6 for _ in range(30)])) for _ in range(400)]
    value, low, high = np.array(runs).T
    # The mean of 400: its Monte-Carlo error is a twentieth of the spread.
    assert abs(value.mean()) < 4 * value.std() / 20
    assert abs(value.mean()) < 0.02
    assert np.mean((low <= 0) & (high >= 0)) > 0.9


def test_all_or_nothing_is_not_defined():
    assert np.isnan(nogueira(np.ones((4, 3), bool))).all()
    assert np.isnan(nogueira(np.zeros((4, 3), bool))).all()
    with pytest.raises(SchemaError, match="at least two runs"):
        nogueira(np.ones((1, 3), bool))

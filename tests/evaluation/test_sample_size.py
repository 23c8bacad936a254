"""Riley's criteria against pmsampsize (R), as STATISTICS.md gives them."""

from __future__ import annotations

import pytest

from radpipe.errors import ConfigError
from radpipe.evaluation.sample_size import riley


def test_is_pmsampsize():
    asked = riley(24, 0.174, 0.288)
    assert (asked.shrinkage, asked.optimism, asked.patients) == (623, 662, 662)
    assert asked.overall_risk == 221


@pytest.mark.parametrize(("candidates", "patients"), [(5, 359), (107, 4258)])
def test_of_this_cohorts_prevalence(candidates, patients):
    assert riley(candidates, 0.37).patients == patients


@pytest.mark.parametrize(("candidates", "prevalence", "r2"), [(0, 0.4, 0.2), (5, 0.0, 0.2), (5, 0.01, 0.2), (5, 0.4, 0.95)])
def test_what_has_no_answer(candidates, prevalence, r2):
    with pytest.raises(ConfigError, match="no sample size"):
        riley(candidates, prevalence, r2)

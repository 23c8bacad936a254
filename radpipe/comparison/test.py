"""What a test of two models is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy import str_
from numpy.typing import NDArray

from radpipe.comparison.config import ComparisonSettings
from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class PairedFold:
    """One test part as both models saw it. cases, y, a, b : (n,); a and b are the probabilities of class 1.

    n_learnt : cases both fits learnt from, training and selection part together.
    """

    repeat: int
    fold: int
    cases: NDArray[str_]
    y: IntArray
    a: FloatArray
    b: FloatArray
    n_learnt: int


@dataclass(frozen=True)
class TestResult:
    """effect : a minus b, in units of the metric. NaN where the test does not exist; ``method`` then says why."""

    __test__ = False  # not a pytest class

    statistic: float
    df: float
    p_value: float
    effect: float
    ci_low: float
    ci_high: float
    p_equivalence: float
    method: str


@dataclass(frozen=True)
class ComparisonTest:
    """conditional : it holds for these very scores and says nothing about the methods behind them, so no verdict."""

    name: str
    run: Callable[[tuple[PairedFold, ...], ComparisonSettings], TestResult]
    conditional: bool
    meaning: str


def no_test(effect: float, why: str) -> TestResult:
    """The result of a test that cannot be made."""
    nan = float("nan")
    return TestResult(nan, nan, nan, effect, nan, nan, nan, why)

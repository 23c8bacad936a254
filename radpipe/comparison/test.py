"""What a test of two models is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from numpy import str_
from numpy.typing import NDArray

from radpipe.comparison.config import ComparisonSettings
from radpipe.evaluation.fold_metrics import Truth, Uses
from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class PairedFold:
    """One test part as both models saw it. cases, y : (n,). a, b : (n,) or (n, k), what the models say in the form that the
    metric uses; the probability of class 1 for two classes.

    n_learnt : cases both fits learnt from, training and selection part together. time, value : (n,) of those kinds of outcome.
    patients : (n,) whose case it is, the case's own id by default. threshold_a, threshold_b : of the fits' own calls.
    horizon : the time by which risks are told.
    """

    repeat: int
    fold: int
    cases: NDArray[str_]
    y: IntArray
    a: FloatArray
    b: FloatArray
    n_learnt: int
    time: FloatArray | None = None
    value: FloatArray | None = None
    patients: NDArray[str_] | None = None
    threshold_a: float = 0.5
    threshold_b: float = 0.5
    horizon: float | None = None

    def called_at(self, threshold_a: float, threshold_b: float) -> PairedFold:
        """The same fold, its calls made at these thresholds."""
        return replace(self, threshold_a=threshold_a, threshold_b=threshold_b)

    @property
    def truth(self) -> Truth:
        return Truth(self.y, self.time, self.value, self.horizon)


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
    """conditional : it holds for these very scores and says nothing about the methods behind them, so no verdict.

    compares : the metric it compares, whatever the settings say; uses : the form of the predictions it wants. Both are empty
    where they are those of the metric of the settings.
    """

    name: str
    run: Callable[[tuple[PairedFold, ...], ComparisonSettings], TestResult]
    conditional: bool
    meaning: str
    compares: str = ""
    uses: Uses | Literal[""] = ""


def no_test(effect: float, why: str) -> TestResult:
    """The result of a test that cannot be made."""
    nan = float("nan")
    return TestResult(nan, nan, nan, effect, nan, nan, nan, why)

"""The predictions table as the numbers the metrics need, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radpipe.core.tables import PREDICTIONS, check_table
from radpipe.errors import CohortError
from radpipe.typing import FloatArray, IntArray

FoldKey = tuple[int, int]
"""(repeat, fold)"""


@dataclass(frozen=True)
class Scores:
    """Cases of one part of one fit, sorted by id. cases, y, p : (n,); p is the probability of class 1."""

    cases: NDArray[np.str_]
    y: IntArray
    p: FloatArray


@dataclass(frozen=True)
class ModelScores:
    """All fits of one model in one role. Fits of several seeds are one model: the mean of their probabilities."""

    name: str
    by_fold: dict[FoldKey, Scores]

    @property
    def repeats(self) -> list[int]:
        return sorted({repeat for repeat, _ in self.by_fold})

    @property
    def cases(self) -> NDArray[np.str_]:
        """(n,) every case once, sorted."""
        return np.unique(np.concatenate([part.cases for part in self.by_fold.values()]))

    def pooled(self, repeat: int) -> Scores:
        """The scores of all folds of the repeat together."""
        parts = [part for (r, _), part in sorted(self.by_fold.items()) if r == repeat]
        cases = np.concatenate([part.cases for part in parts])
        order = np.argsort(cases, kind="stable")
        y, p = np.concatenate([part.y for part in parts]), np.concatenate([part.p for part in parts])
        return Scores(cases[order], y[order], p[order])


def check_predictions(predictions: pd.DataFrame) -> None:
    """SchemaError or CohortError with the first thing that is wrong, or nothing.

    Beyond the schema: probabilities are finite, within 0 to 1 and sum to 1; classes are 0 and 1; a case has one outcome;
    a case is tested once per repeat of a model.
    """
    check_table(predictions, PREDICTIONS)
    p0, p1 = predictions["p_0"].to_numpy(float), predictions["p_1"].to_numpy(float)
    bad = ~(np.isfinite(p0) & np.isfinite(p1) & (p0 >= 0) & (p0 <= 1) & (p1 >= 0) & (p1 <= 1))
    if bad.any():
        row = predictions.iloc[int(bad.argmax())]
        raise CohortError(
            f"model {row['model']!r} (repeat {row['repeat']}, fold {row['fold']}) predicts p_0 = {row['p_0']}, "
            f"p_1 = {row['p_1']}; probabilities lie between 0 and 1.",
            hint="Give probabilities, not logits or scores.",
            case_id=str(row["case_id"]),
        )
    off = np.abs(p0 + p1 - 1) > 1e-6
    if off.any():
        row = predictions.iloc[int(off.argmax())]
        raise CohortError(
            f"model {row['model']!r} (repeat {row['repeat']}, fold {row['fold']}): p_0 and p_1 add up to "
            f"{row['p_0'] + row['p_1']}, not 1.",
            hint="The two probabilities of a case add up to 1.",
            case_id=str(row["case_id"]),
        )
    other = ~predictions["y_true"].isin([0, 1]).to_numpy()
    if other.any():
        row = predictions.iloc[int(other.argmax())]
        raise CohortError(
            f"the outcome is class {row['y_true']}; radpipe evaluates two classes, 0 and 1.",
            hint="Choose an outcome with two classes.",
            case_id=str(row["case_id"]),
        )
    outcomes = predictions.groupby("case_id")["y_true"].nunique()
    if (outcomes > 1).any():
        raise CohortError(
            "the outcome differs between rows of the predictions.",
            hint="One case has one outcome; look for two cohorts under the same ids.",
            case_id=str(outcomes.index[outcomes > 1][0]),
        )
    tested = predictions[predictions["role"] == "test"]
    twice = tested.duplicated(["model", "seed", "repeat", "case_id"])
    if twice.any():
        row = tested[twice].iloc[0]
        raise CohortError(
            f"model {row['model']!r} tests the case in two folds of repeat {row['repeat']}.",
            hint="Within a repeat the folds share no case.",
            case_id=str(row["case_id"]),
        )


def scores_of(predictions: pd.DataFrame, role: str) -> dict[str, ModelScores]:
    """Model name -> its scores in one role, in the order of the names."""
    rows = predictions[predictions["role"] == role]
    mean = rows.groupby(["model", "repeat", "fold", "case_id"], sort=True, as_index=False).agg(
        y_true=("y_true", "first"), p_1=("p_1", "mean")
    )
    found: dict[str, dict[FoldKey, Scores]] = {}
    for key, part in mean.groupby(["model", "repeat", "fold"], sort=True):
        model, repeat, fold = cast(tuple[str, int, int], key)
        found.setdefault(str(model), {})[int(repeat), int(fold)] = Scores(
            part["case_id"].to_numpy(dtype=str), part["y_true"].to_numpy(np.int64), part["p_1"].to_numpy(np.float64)
        )
    return {name: ModelScores(name, by_fold) for name, by_fold in found.items()}

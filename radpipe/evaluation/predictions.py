"""The predictions table as the numbers the metrics need, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radpipe.core.schema import Column, Schema
from radpipe.core.tables import PREDICTIONS, check_table
from radpipe.errors import CohortError
from radpipe.evaluation.fold_metrics import Kind, Truth, Uses
from radpipe.typing import FloatArray, IntArray

FoldKey = tuple[int, int]
"""(repeat, fold)"""

_FURTHER = {
    "score": "what the model says, on a scale of its own",
    "time": "of the event or of the last look",
    "value": "the number",
}
ANY_PREDICTIONS = Schema(
    PREDICTIONS.name,
    PREDICTIONS.description,
    (
        *(replace(c, nullable=c.name in ("p_0", "p_1")) for c in PREDICTIONS.columns if c.name not in _FURTHER),
        *(Column(name, "float64", meaning, nullable=True, optional=True) for name, meaning in _FURTHER.items()),
    ),
    PREDICTIONS.key,
    extra="float64",
    extra_named="p_2 and on: probabilities of further classes",
)
"""Predictions of any kind of outcome, a run's or anybody's."""


@dataclass(frozen=True)
class Scores:
    """Cases of one part of one fit, sorted by id.

    cases, y, p : (n,); p is the probability of class 1 (of the event by the horizon), NaN for numbers. classes : (n, k)
    probabilities. score, time, value : (n,) where the kind of outcome has them.
    """

    cases: NDArray[np.str_]
    y: IntArray
    p: FloatArray
    classes: FloatArray | None = None
    score: FloatArray | None = None
    time: FloatArray | None = None
    value: FloatArray | None = None

    def truth(self, horizon: float | None = None) -> Truth:
        return Truth(self.y, self.time, self.value, horizon)

    def said(self, uses: Uses) -> FloatArray:
        """What the model says, in the form a metric wants."""
        if uses == "p":
            return self.p
        found = self.score if uses == "score" else self.classes
        if found is None and uses == "classes":
            return np.column_stack([1 - self.p, self.p])
        assert found is not None, uses  # check_predictions has seen that the column is there
        return found

    def taken(self, rows: NDArray[np.intp]) -> Scores:
        """Some of the cases, in the order of ``rows``."""

        def of(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values[rows]

        return Scores(
            self.cases[rows], self.y[rows], self.p[rows], of(self.classes), of(self.score), of(self.time), of(self.value)
        )


@dataclass(frozen=True)
class ModelScores:
    """All fits of one model in one role. Fits of several seeds are one model: the mean of what they say."""

    name: str
    by_fold: dict[FoldKey, Scores]

    @property
    def repeats(self) -> list[int]:
        return sorted({repeat for repeat, _ in self.by_fold})

    @property
    def cases(self) -> NDArray[np.str_]:
        """(n,) every case once, sorted."""
        return np.unique(np.concatenate([part.cases for part in self.by_fold.values()]))

    @property
    def leave_one_out(self) -> bool:
        """Whether every fold tests one case only."""
        return all(len(part.cases) == 1 for part in self.by_fold.values())

    def pooled(self, repeat: int) -> Scores:
        """The scores of all folds of the repeat together."""
        return _joined([part for (r, _), part in sorted(self.by_fold.items()) if r == repeat])


def _joined(parts: list[Scores]) -> Scores:
    def together(name: str) -> FloatArray | None:
        found = [getattr(part, name) for part in parts]
        return None if found[0] is None else np.concatenate(found)

    cases = np.concatenate([part.cases for part in parts])
    whole = Scores(
        cases, np.concatenate([part.y for part in parts]), np.concatenate([part.p for part in parts]), together("classes"),
        together("score"), together("time"), together("value"),
    )  # fmt: skip
    return whole.taken(np.argsort(cases, kind="stable"))


def outcome_kind(predictions: pd.DataFrame) -> Kind:
    """time_to_event where the rows have times, number where they have values, else classes."""
    if "time" in predictions.columns and predictions["time"].notna().any():
        return "time_to_event"
    if "value" in predictions.columns and predictions["value"].notna().any():
        return "number"
    return "classes"


def class_columns(predictions: pd.DataFrame) -> list[str]:
    """p_0, p_1 and those of further classes that hold anything."""
    found = ["p_0", "p_1"]
    while (name := f"p_{len(found)}") in predictions.columns and predictions[name].notna().any():
        found.append(name)
    return found


def check_predictions(predictions: pd.DataFrame) -> None:
    """SchemaError or CohortError with the first thing that is wrong, or nothing.

    Beyond the schema: probabilities are finite, within 0 to 1 and sum to 1; scores, times and values are finite where the kind
    of outcome has them; a case has one outcome; a case is tested once per repeat of a model.
    """
    check_table(predictions, ANY_PREDICTIONS)
    kind = outcome_kind(predictions)
    if kind == "number":
        _check_finite(predictions, {"score": "the predicted number", "value": "the outcome"})
    else:
        _check_probabilities(predictions)
    if kind == "classes":
        _check_classes(predictions)
    if kind == "time_to_event":
        _check_finite(predictions, {"score": "the log relative hazard", "time": "the time"})
        _check_times(predictions)
    truths = [name for name in ("y_true", "time", "value") if name in predictions.columns]
    outcomes = predictions.groupby("case_id")[truths].nunique(dropna=False).max(axis=1)
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


def _check_probabilities(predictions: pd.DataFrame) -> None:
    columns = class_columns(predictions)
    p = predictions[columns].to_numpy(float)
    bad = ~(np.isfinite(p) & (p >= 0) & (p <= 1)).all(axis=1)
    if bad.any():
        row = predictions.iloc[int(bad.argmax())]
        raise CohortError(
            f"model {row['model']!r} (repeat {row['repeat']}, fold {row['fold']}) predicts "
            f"{', '.join(f'{name} = {row[name]}' for name in columns)}; probabilities lie between 0 and 1.",
            hint="Give probabilities, not logits or scores.",
            case_id=str(row["case_id"]),
        )
    off = np.abs(p.sum(axis=1) - 1) > 1e-6
    if off.any():
        row = predictions.iloc[int(off.argmax())]
        raise CohortError(
            f"model {row['model']!r} (repeat {row['repeat']}, fold {row['fold']}): {' and '.join(columns)} add up to "
            f"{sum(row[name] for name in columns)}, not 1.",
            hint="The probabilities of a case add up to 1.",
            case_id=str(row["case_id"]),
        )


def _check_classes(predictions: pd.DataFrame) -> None:
    columns = class_columns(predictions)
    other = ~predictions["y_true"].isin(range(len(columns))).to_numpy()
    if other.any():
        row = predictions.iloc[int(other.argmax())]
        known = "two classes, 0 and 1" if len(columns) == 2 else f"classes 0 to {len(columns) - 1}"
        raise CohortError(
            f"the outcome is class {row['y_true']}; these predictions know {known}.",
            hint="Choose an outcome with two classes, or give a probability of every class (p_0, p_1, p_2, ...).",
            case_id=str(row["case_id"]),
        )


def _check_finite(predictions: pd.DataFrame, columns: dict[str, str]) -> None:
    for name, meaning in columns.items():
        values = predictions[name].to_numpy(float) if name in predictions.columns else np.full(len(predictions), np.nan)
        bad = ~np.isfinite(values)
        if bad.any():
            row = predictions.iloc[int(bad.argmax())]
            raise CohortError(
                f"model {row['model']!r} (repeat {row['repeat']}, fold {row['fold']}): {name} ({meaning}) is missing.",
                hint=f"Predictions of this kind of outcome have a number in {name!r} in every row.",
                case_id=str(row["case_id"]),
            )


def _check_times(predictions: pd.DataFrame) -> None:
    bad = ((predictions["time"] < 0) | (predictions["y_true"] < 0)).to_numpy()
    if bad.any():
        row = predictions.iloc[int(bad.argmax())]
        raise CohortError(
            f"time {row['time']}, event code {row['y_true']}: times are 0 or more; codes are 0 (censored), 1 (event), 2 (another event).",
            hint="Count time from the same start for everybody.",
            case_id=str(row["case_id"]),
        )


def scores_of(predictions: pd.DataFrame, role: str) -> dict[str, ModelScores]:
    """Model name -> its scores in one role, in the order of the names."""
    rows = predictions[predictions["role"] == role]
    classes = class_columns(predictions)
    further = [name for name in ("score", "time", "value") if name in rows.columns and rows[name].notna().any()]
    means: dict[str, tuple[str, str]] = {name: (name, "mean") for name in (*classes, *further)}
    mean = rows.groupby(["model", "repeat", "fold", "case_id"], sort=True, as_index=False).agg(
        y_true=("y_true", "first"), **means
    )
    found: dict[str, dict[FoldKey, Scores]] = {}
    for key, part in mean.groupby(["model", "repeat", "fold"], sort=True):
        model, repeat, fold = cast(tuple[str, int, int], key)
        more = {name: part[name].to_numpy(np.float64) for name in further}
        found.setdefault(str(model), {})[int(repeat), int(fold)] = Scores(
            part["case_id"].to_numpy(dtype=str), part["y_true"].to_numpy(np.int64), part["p_1"].to_numpy(np.float64),
            part[classes].to_numpy(np.float64) if len(classes) > 2 else None, **more,
        )  # fmt: skip
    return {name: ModelScores(name, by_fold) for name, by_fold in found.items()}

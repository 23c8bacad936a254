"""Anybody's predictions: two tables, of whatever made them -> checked predictions, and the comparison that they allow.

With columns repeat and fold they are out-of-fold predictions and get the corrected resampled t-test on identical folds;
without, they are predictions for a held-out set and get DeLong's test or the paired bootstrap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radpipe.comparison.compare import compare_models
from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.held_out import check_same_cases, compare_held_out
from radpipe.core.registry import nearest
from radpipe.core.tables import SPLITS, make_table
from radpipe.errors import CohortError
from radpipe.evaluation.predictions import ANY_PREDICTIONS, check_predictions, scores_of

_ALIASES = {
    "p": "p_1",
    "probability": "p_1",
    "y": "y_true",
    "outcome": "y_true",
    "event": "y_true",
    "id": "case_id",
    "case": "case_id",
}
_NUMBERS = ("y_true", "repeat", "fold", "seed", "score", "time", "value")


@dataclass(frozen=True)
class Side:
    """One side of a comparison. table : cells as text or numbers. name : what the model is called. source : file, for errors.

    model : which one of a table of several; by default the only one.
    """

    table: pd.DataFrame
    name: str
    source: str = ""
    model: str = ""


def compare_tables(
    a: Side,
    b: Side,
    settings: ComparisonSettings,
    *,
    patients: Mapping[str, str] | None = None,
    horizon: float | None = None,
) -> pd.DataFrame:
    """The table COMPARISON of two tables of predictions; A is model_a. The pair is the primary one.

    CohortError names what differs: patients, outcomes, folds; what is no probability; keys that stand twice.
    """
    predictions, splits = together(a, b)
    names = unique_names(a.name, b.name)
    settings = settings.model_copy(update={"primary": names})
    if splits is None:
        return compare_held_out(predictions, settings, patients=patients, horizon=horizon)
    return compare_models(predictions, splits, settings, patients=patients, horizon=horizon)


def unique_names(a: str, b: str) -> tuple[str, str]:
    """The names of both sides; where they are the same, "(A)" and "(B)" tell them apart."""
    return (a, b) if a != b else (f"{a} (A)", f"{b} (B)")


def together(a: Side, b: Side) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Predictions of both sides as one checked table (role test), and the splits they stand on; None for a held-out set.

    The tables do not say who was learnt from, so the splits take everybody of the repeat who is not tested in the fold.
    """
    names = unique_names(a.name, b.name)
    first, folds_a = read_predictions(a, names[0])
    second, folds_b = read_predictions(b, names[1])
    if folds_a != folds_b:
        with_folds, without = (a, b) if folds_a else (b, a)
        raise CohortError(
            f"{_said(with_folds)} has the columns repeat and fold, {_said(without)} has not.",
            hint="Give out-of-fold predictions with their folds on both sides, or predictions for one held-out set on both.",
        )
    predictions = pd.concat([first, second], ignore_index=True)
    _same_outcomes(first, second, a, b)
    scores = scores_of(predictions, "test")
    if not folds_a:
        check_same_cases({name: next(iter(scores[name].by_fold.values())) for name in names})
        check_predictions(predictions)
        return predictions, None
    ours, theirs = scores[names[0]].by_fold, scores[names[1]].by_fold
    missing = sorted(ours.keys() ^ theirs.keys())
    if missing:
        lacks = a if missing[0] in theirs else b
        raise CohortError(
            f"{_said(lacks)} has no predictions in repeat {missing[0][0]}, fold {missing[0][1]}.",
            hint="Both sides need every fold of the same splits.",
        )
    if {*scores[names[0]].cases.tolist()} != {*scores[names[1]].cases.tolist()}:
        whole = {name: scores[name].pooled(scores[name].repeats[0]) for name in names}
        check_same_cases(whole)
    for key in sorted(ours):
        differ = set(ours[key].cases.tolist()) ^ set(theirs[key].cases.tolist())
        if differ:
            raise CohortError(
                f"the splits differ: in repeat {key[0]}, fold {key[1]} only one side tests {', '.join(sorted(differ)[:5])}.",
                hint="Fit both models on the same splits; predictions of other splits cannot be compared fold by fold.",
                case_id=min(differ),
            )
    check_predictions(predictions)
    return predictions, _splits(first)


def _said(side: Side) -> str:
    return side.source or f"the table of {side.name!r}"


def _splits(predictions: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for repeat, part in predictions.groupby("repeat"):
        cases = part[["case_id", "fold"]].drop_duplicates()
        for fold in sorted(cases["fold"].unique()):
            role = np.where(cases["fold"] == fold, "test", "train")
            rows.append(pd.DataFrame({"repeat": repeat, "fold": fold, "case_id": cases["case_id"], "role": role}))
    return make_table(SPLITS, pd.concat(rows, ignore_index=True))


def read_predictions(side: Side, name: str) -> tuple[pd.DataFrame, bool]:
    """One side as rows of the table PREDICTIONS (role test), and whether it has folds.

    Columns: case_id (or id), y_true (or y, outcome), p_1 (or p) or all of p_0, p_1, p_2, ...; or score with time or value;
    repeat, fold, seed, role and model where there are such. CohortError names the row and the column that cannot be used.
    """
    frame = side.table.rename(columns=lambda column: str(column).strip())
    for alias, meant in _ALIASES.items():
        if meant not in frame.columns and alias in frame.columns:
            frame = frame.rename(columns={alias: meant})
    about = {"path": side.source}
    for column in ("case_id", "y_true"):
        if column not in frame.columns and not (column == "y_true" and "value" in frame.columns):
            raise CohortError(
                f"the column {column!r} is missing.{nearest(column, frame.columns)}",
                hint="Predictions have the columns case_id, y_true and p_1 (and repeat and fold where they are out-of-fold).",
                **about,
            )
    if not len(frame):
        raise CohortError("the table has no row.", hint="Give one row a case (and fold).", **about)
    if "role" in frame.columns:
        frame = frame[frame["role"].astype(str) == "test"]
    if "model" in frame.columns:
        frame = _one_model(frame, side)
    numbers = [column for column in frame.columns if column in _NUMBERS or re.fullmatch(r"p_\d+", column)]
    found = pd.DataFrame({"case_id": frame["case_id"].astype(str).str.strip()})
    for column in numbers:
        found[column] = _numbers(frame, column, side)
    if "y_true" not in found.columns:
        found["y_true"] = 0.0
    folds = "fold" in found.columns
    if "repeat" in found.columns and not folds:
        raise CohortError(
            "there is a column repeat and none named fold.", hint="Say which fold of the repeat tested each case.", **about
        )
    for column in ("repeat", "fold", "seed"):
        if column not in found.columns:
            found[column] = 0.0
    if not any(column in found.columns for column in ("p_1", "score")):
        raise CohortError(
            f"there is no prediction in it: the column 'p_1' is missing.{nearest('p_1', frame.columns)}",
            hint="p_1 is the predicted probability of class 1; a predicted number or a log hazard is called score.", **about,
        )  # fmt: skip
    if "p_1" not in found.columns:
        found["p_1"], found["p_0"] = np.nan, np.nan
    if "p_0" not in found.columns:
        found["p_0"] = 1 - found["p_1"]
    empty = (found["case_id"] == "") | (found["case_id"] == "nan")
    if empty.any():
        raise CohortError(f"row {int(empty.to_numpy().argmax()) + 2} has no case_id.", hint="Every row names its case.", **about)
    for column in ("y_true", "repeat", "fold", "seed"):
        odd = found[column] % 1 != 0
        if odd.any():
            raise CohortError(
                f"{column} of a row is {found.loc[odd, column].iloc[0]}; it is a whole number.",
                hint="Code the outcome as 0 and 1 (class 1 is what p_1 foretells)." if column == "y_true" else "Number them from 0.",
                case_id=str(found.loc[odd, "case_id"].iloc[0]), **about,
            )  # fmt: skip
    twice = found.duplicated(["repeat", "fold", "seed", "case_id"])
    if twice.any():
        row = found[twice].iloc[0]
        where = f" in repeat {row['repeat']:g}, fold {row['fold']:g}" if folds else ""
        raise CohortError(
            f"the case stands twice{where}.", hint="One prediction a case" + (" and fold." if folds else "; more need the columns repeat, fold."),
            case_id=str(row["case_id"]), **about,
        )  # fmt: skip
    found = found.assign(model=name, role="test")
    whole = [column.name for column in ANY_PREDICTIONS.columns if column.dtype == "int64" and column.name in found.columns]
    found = found.astype(dict.fromkeys(whole, "int64"))
    found = make_table(ANY_PREDICTIONS, found)
    try:
        check_predictions(found)
    except CohortError as error:
        raise error.about(path=side.source) from error
    return found, folds


def _one_model(frame: pd.DataFrame, side: Side) -> pd.DataFrame:
    models = sorted(set(frame["model"].astype(str)))
    if side.model and side.model not in models:
        raise CohortError(
            f"there is no model {side.model!r} in it.{nearest(side.model, models)}",
            hint=f"It has: {', '.join(models)}.",
            path=side.source,
        )
    if not side.model and len(models) > 1:
        raise CohortError(f"it holds {len(models)} models.", hint=f"Name one of: {', '.join(models)}.", path=side.source)
    return frame[frame["model"].astype(str) == (side.model or models[0])]


def _numbers(frame: pd.DataFrame, column: str, side: Side) -> pd.Series:
    cells = frame[column]
    numbers = pd.to_numeric(cells.where(cells.astype(str).str.strip() != "", None), errors="coerce").astype("float64")
    bad = numbers.isna() | ~np.isfinite(numbers)
    if bad.any() and column not in ("time", "value", "score", "p_0", "p_1"):
        row = int(bad.to_numpy().argmax())
        raise CohortError(
            f"{column} is {cells.iloc[row]!r} in row {row + 2}, which is no number.",
            hint="Code the outcome as 0 and 1." if column == "y_true" else "Write a number.",
            case_id=str(frame["case_id"].iloc[row]), path=side.source,
        )  # fmt: skip
    return numbers


def _same_outcomes(first: pd.DataFrame, second: pd.DataFrame, a: Side, b: Side) -> None:
    """CohortError where the two sides know another outcome of a case."""
    for column in ("y_true", "time", "value"):
        if (column in first.columns) != (column in second.columns):
            has, lacks = (a, b) if column in first.columns else (b, a)
            raise CohortError(
                f"{_said(has)} has the column {column!r}, {_said(lacks)} has not: another kind of outcome.",
                hint="Compare the same outcome.",
            )
        if column not in first.columns:
            continue
        ours, theirs = (frame.drop_duplicates("case_id").set_index("case_id")[column] for frame in (first, second))
        both = ours.index.intersection(theirs.index)
        differ = both[(ours[both] != theirs[both]).to_numpy()]
        if len(differ):
            case = str(differ[0])
            swapped = column == "y_true" and len(differ) == len(both) and {*ours.unique()} == {*theirs.unique()} == {0, 1}
            raise CohortError(
                f"{column} is {ours[case]:g} in {_said(a)} and {theirs[case]:g} in {_said(b)}"
                + (f", and so on in all {len(both)} cases: the coding is swapped." if swapped else f" ({len(differ)} of {len(both)} cases differ)."),
                hint="Code the outcome alike on both sides (class 1 is what p_1 foretells).", case_id=case,
            )  # fmt: skip

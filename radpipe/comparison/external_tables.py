"""Anybody's predictions: a table, of whatever made it -> checked predictions that can be compared.

With columns repeat and fold they are out-of-fold predictions; without, they are predictions for patients held out from everything.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from radpipe.comparison.sides import Side, listed
from radpipe.core.registry import nearest
from radpipe.core.tables import SPLITS, make_table
from radpipe.errors import CohortError
from radpipe.evaluation.predictions import ANY_PREDICTIONS, check_predictions

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


def read_side(table: pd.DataFrame, name: str, source: str = "") -> Side:
    """table : cells as text or numbers. name : of the side, and of its model where there is no column ``model``. source : the file.

    Columns: case_id (or id), y_true (or y, outcome), p_1 (or p) or all of p_0, p_1, p_2, ...; or score with time or value;
    repeat, fold, seed, role, model and patient_id where there are such. The table does not say who was learnt from, so its splits
    take everybody of the repeat who is not tested in the fold. CohortError names the row and the column that cannot be used, what is
    no probability, and keys that stand twice.
    """
    try:
        frame = _renamed(table)
        models = list(dict.fromkeys(frame["model"].astype(str))) if "model" in frame.columns else [name]
        parts = [
            _predictions(frame[frame["model"].astype(str) == model] if "model" in frame.columns else frame, model)
            for model in models
        ]
        predictions = pd.concat(parts, ignore_index=True)
        check_predictions(predictions)
        splits = _implied_splits(predictions)
    except CohortError as error:
        raise error.about(path=source) from error
    known = "patient_id" in frame.columns
    patients = dict(zip(frame["case_id"].astype(str), frame["patient_id"].astype(str), strict=True)) if known else {}
    said = source.replace("\\", "/").rpartition("/")[2]
    return Side(
        name=name, predictions=predictions, splits=splits if "fold" in frame.columns else None, patients=patients, said=said
    )


def _renamed(table: pd.DataFrame) -> pd.DataFrame:
    """The test rows under radpipe's names."""
    frame = table.rename(columns=lambda column: str(column).strip())
    for alias, meant in _ALIASES.items():
        if meant not in frame.columns and alias in frame.columns:
            frame = frame.rename(columns={alias: meant})
    for column in ("case_id", "y_true"):
        if column not in frame.columns and not (column == "y_true" and "value" in frame.columns):
            raise CohortError(
                f"the column {column!r} is missing.{nearest(column, frame.columns)}",
                hint="Predictions have the columns case_id, y_true and p_1 (and repeat and fold where they are out-of-fold).",
            )
    if not len(frame):
        raise CohortError("the table has no row.", hint="Give one row a case (and fold).")
    if "repeat" in frame.columns and "fold" not in frame.columns:
        raise CohortError("there is a column repeat and none named fold.", hint="Say which fold of the repeat tested each case.")
    return frame[frame["role"].astype(str) == "test"] if "role" in frame.columns else frame


def _predictions(frame: pd.DataFrame, model: str) -> pd.DataFrame:
    """Rows of one model as rows of the table PREDICTIONS (role test)."""
    numbers = [column for column in frame.columns if column in _NUMBERS or re.fullmatch(r"p_\d+", column)]
    found = pd.DataFrame({"case_id": frame["case_id"].astype(str).str.strip()})
    for column in numbers:
        found[column] = _numbers(frame, column)
    if "y_true" not in found.columns:
        found["y_true"] = 0.0
    folds = "fold" in found.columns
    for column in ("repeat", "fold", "seed"):
        if column not in found.columns:
            found[column] = 0.0
    if not any(column in found.columns for column in ("p_1", "score")):
        raise CohortError(
            f"there is no prediction in it: the column 'p_1' is missing.{nearest('p_1', frame.columns)}",
            hint="p_1 is the predicted probability of class 1; a predicted number or a log hazard is called score.",
        )  # fmt: skip
    if "p_1" not in found.columns:
        found["p_1"], found["p_0"] = np.nan, np.nan
    if "p_0" not in found.columns:
        found["p_0"] = 1 - found["p_1"]
    empty = (found["case_id"] == "") | (found["case_id"] == "nan")
    if empty.any():
        raise CohortError(f"row {int(empty.to_numpy().argmax()) + 2} has no case_id.", hint="Every row names its case.")
    for column in ("y_true", "repeat", "fold", "seed"):
        odd = found[column] % 1 != 0
        if odd.any():
            raise CohortError(
                f"{column} of a row is {found.loc[odd, column].iloc[0]}; it is a whole number.",
                hint="Code the outcome as 0 and 1 (class 1 is what p_1 foretells)." if column == "y_true" else "Number them from 0.",
                case_id=str(found.loc[odd, "case_id"].iloc[0]),
            )  # fmt: skip
    twice = found.duplicated(["repeat", "fold", "seed", "case_id"])
    if twice.any():
        row = found[twice].iloc[0]
        where = f" in repeat {row['repeat']:g}, fold {row['fold']:g}" if folds else ""
        raise CohortError(
            f"the case stands twice{where}.", hint="One prediction a case" + (" and fold." if folds else "; more need the columns repeat, fold."),
            case_id=str(row["case_id"]),
        )  # fmt: skip
    found = found.assign(model=model, role="test")
    whole = [column.name for column in ANY_PREDICTIONS.columns if column.dtype == "int64" and column.name in found.columns]
    found = found.astype(dict.fromkeys(whole, "int64"))
    return make_table(ANY_PREDICTIONS, found)


def _numbers(frame: pd.DataFrame, column: str) -> pd.Series:
    cells = frame[column]
    numbers = pd.to_numeric(cells.where(cells.astype(str).str.strip() != "", None), errors="coerce").astype("float64")
    bad = numbers.isna() | ~np.isfinite(numbers)
    # A number's or a time's table may hold p_0 and p_1 that nobody filled in; a score stands in their place.
    told = column not in ("p_0", "p_1") or not {"score", "time", "value"} & set(frame.columns)
    if bad.any() and told and not (column == "p_0" and bad.all()):
        row = int(bad.to_numpy().argmax())
        empty = str(cells.iloc[row]).strip() in ("", "nan")
        hints = {"y_true": "Code the outcome as 0 and 1."}
        probability = "Every case needs its probability: predict it, or leave the case out on both sides."
        raise CohortError(
            f"{column} is {'empty' if empty else repr(cells.iloc[row])} in row {row + 2}{'' if empty else ', which is no number'}.",
            hint=hints.get(column, probability if column.startswith("p_") else "Write a number."),
            case_id=str(frame["case_id"].iloc[row]),
        )  # fmt: skip
    return numbers


def _implied_splits(predictions: pd.DataFrame) -> pd.DataFrame:
    """Who is not tested in a fold was learnt from; CohortError where the models, or the repeats, do not test the same cases."""
    everyone = sorted(set(predictions["case_id"]))
    models = set(predictions["model"])
    rows = []
    for (repeat, fold), part in predictions.groupby(["repeat", "fold"]):
        tested = set(part["case_id"])
        for model in sorted(models):
            lacking = sorted(tested - set(part.loc[part["model"] == model, "case_id"]))
            if lacking:
                raise CohortError(
                    f"it holds {len(models)} models, and {model!r} lacks {listed(lacking)} in repeat {repeat!s}, fold {fold!s}.",
                    hint="Every model tests the same patients in the same folds.",
                    case_id=lacking[0],
                )
        rows += [
            {"repeat": repeat, "fold": fold, "case_id": case, "role": "test" if case in tested else "train"} for case in everyone
        ]
    for repeat, part in predictions.groupby("repeat"):
        lacking = sorted(set(everyone) - set(part["case_id"]))
        if lacking:
            raise CohortError(
                f"repeat {repeat!s} never tests {listed(lacking)}.",
                hint="In every repeat each patient is tested once.",
                case_id=lacking[0],
            )
    return make_table(SPLITS, rows)

"""A table of numbers and text -> an array of finite numbers, learnt on the training part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from radpipe.errors import SchemaError
from radpipe.models.model import Examples
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class Encoder:
    """What became of each column.

    fill : number column -> its median in the training part. levels : text column -> its values in the training part; each
    becomes a column of 0 and 1, and a value never seen there, or a missing one, is 0 in all of them.
    logarithm : numbers go in as natural logarithms, all or those of the columns named.
    keep_missing : gaps stay NaN (for trees, which have a branch for them).
    Columns without spread in the training part carry nothing there and are left out; so are those missing throughout.
    saw : the patients whose rows it was learnt from.
    """

    fill: Mapping[str, float]
    levels: Mapping[str, tuple[str, ...]]
    logarithm: bool | tuple[str, ...] = False
    keep_missing: bool = False
    saw: frozenset[str] = frozenset()

    @classmethod
    def learn(cls, train: Examples, *, logarithm: bool | tuple[str, ...] = False, keep_missing: bool = False) -> Encoder:
        """From the training part; SchemaError where no column can be used."""
        table = table_of(train)
        fill: dict[str, float] = {}
        levels: dict[str, tuple[str, ...]] = {}
        for name in map(str, table.columns):
            if pd.api.types.is_numeric_dtype(table[name]):
                values = _numbers(table, name, logarithm)
                seen = values[~np.isnan(values)]
                if len(seen) and np.ptp(seen) > 1e-12 * np.abs(seen).max():
                    fill[name] = float(np.median(seen))
            else:
                found = sorted({str(value) for value in table[name].dropna()})
                if len(found) > 1:
                    levels[name] = tuple(found)
        if not fill and not levels:
            raise SchemaError(
                f"each of the {table.shape[1]} input columns is constant or missing in the training part.",
                hint="Give the model other columns, or use fewer folds.",
            )
        return cls(fill, levels, logarithm, keep_missing, frozenset(train.patient_ids))

    @property
    def inputs(self) -> list[str]:
        """The columns of the table that are used."""
        return [*self.fill, *self.levels]

    @property
    def names(self) -> list[str]:
        """The columns of the array, in their order."""
        return [*self.fill, *(f"{name}={level}" for name, levels in self.levels.items() for level in levels)]

    def apply(self, examples: Examples) -> FloatArray:
        """(n, len(names)) float64. SchemaError where a column is missing or changed its kind."""
        table = table_of(examples)
        missing = [name for name in self.inputs if name not in table.columns]
        if missing:
            raise SchemaError(f"the input column {missing[0]!r} is missing.", hint="Give the model the columns it was fitted on.")
        columns = []
        for name, median in self.fill.items():
            if not pd.api.types.is_numeric_dtype(table[name]):
                raise SchemaError(f"the input column {name!r} held numbers when fitted, now text.", hint="Check its values.")
            values = _numbers(table, name, self.logarithm)
            columns.append(values if self.keep_missing else np.where(np.isnan(values), median, values))
        for name, levels in self.levels.items():
            text = table[name].astype(object)
            here = np.array(["" if absent else str(value) for value, absent in zip(text, text.isna(), strict=True)], dtype=object)
            known = ~text.isna().to_numpy()
            columns.extend((known & (here == level)).astype(float) for level in levels)
        return np.column_stack(columns).astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        # Lists of pairs: the order of the columns is the order of the weights, and JSON objects promise none.
        return {
            "fill": [[name, value] for name, value in self.fill.items()],
            "levels": [[name, list(levels)] for name, levels in self.levels.items()],
            "logarithm": self.logarithm if isinstance(self.logarithm, bool) else list(self.logarithm),
            "keep_missing": self.keep_missing,
            "saw": sorted(self.saw),
        }

    @classmethod
    def from_json(cls, info: Mapping[str, Any]) -> Encoder:
        levels = {name: tuple(values) for name, values in info["levels"]}
        logarithm = info["logarithm"] if isinstance(info["logarithm"], bool) else tuple(info["logarithm"])
        return cls(dict(info["fill"]), levels, logarithm, info["keep_missing"], frozenset(info["saw"]))


def table_of(examples: Examples) -> pd.DataFrame:
    """The examples' table; SchemaError where they have none."""
    if examples.table is None:
        raise SchemaError("the model needs a table and was given none.", hint="Check models.<name>.inputs.")
    return examples.table


def _numbers(table: pd.DataFrame, name: str, logarithms: bool | tuple[str, ...]) -> FloatArray:
    """One column as float64; infinite is missing, as in input selection."""
    values = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    logarithm = logarithms if isinstance(logarithms, bool) else name in logarithms
    if logarithm and np.any(values <= 0):
        case_id = str(table.index[int(np.argmax(values <= 0))])
        raise SchemaError(
            f"{name} is not above 0, so it has no logarithm.", hint="Check the mask and its volume.", case_id=case_id
        )
    values = np.log(values) if logarithm else values
    return np.where(np.isfinite(values), values, np.nan)

"""Input selection alone, as scikit-learn transformers: for a Pipeline, a notebook, or another program.

Each is fitted on the rows it is given and keeps columns; nothing is scaled or filled. In a Pipeline inside cross-validation it is
fitted anew in every training part, which is the point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from radpipe.errors import RadpipeError
from radpipe.selection.config import SelectionSettings
from radpipe.selection.prepare import filled_ranks, is_constant, relevance, repeats
from radpipe.selection.registry import WITH_SELECTION_PART
from radpipe.selection.robustness import icc_of_repeats
from radpipe.selection.select import SelectionPart, select_inputs
from radpipe.selection.target import Kind, Target, Trainer
from radpipe.typing import FloatArray


class _Keeper(SelectorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What the transformers share. Columns are numbers; missing ones allowed."""

    _needs_outcome = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = self._needs_outcome
        return tags

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self, "support_")
        return np.asarray(self.support_)

    def _read(self, x: Any) -> FloatArray:
        return np.asarray(validate_data(self, x, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2))

    def _names(self) -> list[str]:
        """Padded, where columns have no names: input selection orders names by alphabet."""
        if hasattr(self, "feature_names_in_"):
            return [str(name) for name in self.feature_names_in_]
        return [f"x{place:09d}" for place in range(self.n_features_in_)]


class DropUnusable(_Keeper):
    """Columns that are missing in more than ``missing_fraction`` of the rows, or do not vary, go."""

    _needs_outcome = False

    def __init__(self, missing_fraction: float = 0.2) -> None:
        self.missing_fraction = missing_fraction

    def fit(self, X: Any, y: Any = None) -> DropUnusable:
        """X : (n, p). The outcome is not looked at. ValueError where no column is left."""
        values = self._read(X)
        self.support_ = ~is_constant(values) & (np.isnan(values).mean(axis=0) <= self.missing_fraction)
        if not self.support_.any():
            raise ValueError(f"none of {values.shape[1]} columns can be used: each is constant or missing.")
        return self


class DropRedundant(_Keeper):
    """Of columns with |Spearman| above ``redundancy`` the most relevant to the outcome stays.

    ``kind``: classes, number or time_to_event; of the last y is a structured array with fields event (truth) and time.
    """

    def __init__(self, redundancy: float = 0.9, kind: Kind = "classes") -> None:
        self.redundancy = redundancy
        self.kind = kind

    def fit(self, X: Any, y: Any) -> DropRedundant:
        """X : (n, p), y : (n,). ``twin_`` : (p,) the column each repeats, -1 where it stays or does not vary."""
        values, target = self._read(X), read_outcome(y, self.kind)
        _same_length(values, target)
        names = self._names()
        order = np.argsort(np.asarray(names, dtype=object), kind="stable")
        vary = order[~is_constant(values[:, order])]
        self.twin_ = np.full(len(names), -1)
        if len(vary):
            ranks = filled_ranks(values[:, vary])
            twin = repeats(ranks, relevance(ranks, target), self.redundancy)
            self.twin_[vary] = np.where(twin >= 0, vary[twin], -1)
        self.support_ = self.twin_ < 0
        return self


class DropUnrepeatable(_Keeper):
    """Columns whose ICC over repeated measurements is below ``icc`` go.

    measurements : further tables (n, p) of the same rows, as other readers or perturbed outlines gave them.
    """

    _needs_outcome = False

    def __init__(self, measurements: Any = (), icc: float = 0.75) -> None:
        self.measurements = measurements
        self.icc = icc

    def fit(self, X: Any, y: Any = None) -> DropUnrepeatable:
        """X : (n, p), the first measurement. ``icc_`` : (p,). ValueError where nothing was measured again."""
        values = self._read(X)
        tables = [values, *(np.asarray(table, dtype=float) for table in self.measurements)]
        if len(tables) < 2 or any(table.shape != values.shape for table in tables):
            raise ValueError(f"measurements must be one or more tables of shape {values.shape}.")
        names = self._names()
        found = icc_of_repeats(
            pd.concat([pd.DataFrame(t, columns=names).assign(case_id=range(len(t)), measurement=k) for k, t in enumerate(tables)])
        )
        self.icc_ = np.array([found[name] for name in names])
        self.support_ = self.icc_ >= self.icc
        return self


class InputSelector(_Keeper):
    """All of input selection in one: missing and constant columns, redundancy, then ``selector`` and the limit.

    selector : a name of the registry (``radpipe describe selectors``). settings : further keys of the workflow's section selection.
    kind : of the outcome, see :class:`DropRedundant`. random_state : a whole number. trainer, selection_fraction : for growing and
    pruning, which hold back that part of the rows to choose by; the trainer as :class:`radpipe.selection.target.Trainer`.
    """

    def __init__(
        self,
        selector: str = "tree",
        *,
        redundancy: float = 0.9,
        max_features: int | None = 6,
        missing_fraction: float = 0.2,
        settings: dict[str, Any] | None = None,
        kind: Kind = "classes",
        random_state: int = 0,
        trainer: Trainer | None = None,
        selection_fraction: float = 0.25,
    ) -> None:
        self.selector = selector
        self.redundancy = redundancy
        self.max_features = max_features
        self.missing_fraction = missing_fraction
        self.settings = settings
        self.kind = kind
        self.random_state = random_state
        self.trainer = trainer
        self.selection_fraction = selection_fraction

    def fit(self, X: Any, y: Any) -> InputSelector:
        """X : (n, p), y : (n,). ``selection_`` : the table of :func:`.select.select_inputs`. ValueError in radpipe's words."""
        values, target = self._read(X), read_outcome(y, self.kind)
        _same_length(values, target)
        table = pd.DataFrame(values, columns=self._names())
        try:
            options = SelectionSettings(
                selector=self.selector, redundancy=self.redundancy, max_features=self.max_features,
                missing_fraction=self.missing_fraction, **(self.settings or {}),
            )  # fmt: skip
            asked: dict[str, Any] = {}
            train = np.arange(len(target))
            if self.selector in WITH_SELECTION_PART:
                train, held = train_test_split(
                    train, test_size=self.selection_fraction, random_state=self.random_state, stratify=target.strata()
                )
                asked = {"selection": SelectionPart(table.iloc[held], target.take(held)), "trainer": self.trainer}
            found = select_inputs(table.iloc[train], target.take(train), options, seed=int(self.random_state), **asked)
        except (RadpipeError, ValidationError) as error:
            raise ValueError(str(error)) from error
        self.selection_ = found
        self.support_ = found["kept"].to_numpy()
        return self


def read_outcome(y: Any, kind: Kind) -> Target:
    """scikit-learn's y as a Target; ValueError where it is not of that kind."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None.")
    try:
        if kind == "time_to_event":
            array = np.asarray(y)
            if not array.dtype.names or not {"event", "time"} <= set(array.dtype.names):
                raise ValueError("times to an event need a structured array with the fields event and time.")
            return Target(kind, array["event"].astype(np.int64), time=array["time"].astype(float))
        flat = column_or_1d(y, warn=True)
        if kind == "number":
            return Target(kind, np.zeros(len(flat), np.int64), value=flat.astype(float))
        check_classification_targets(flat)
        return Target("classes", np.unique(flat, return_inverse=True)[1].astype(np.int64))
    except RadpipeError as error:
        raise ValueError(str(error)) from error


def _same_length(values: FloatArray, target: Target) -> None:
    if len(values) != len(target):
        raise ValueError(f"{len(values)} rows but {len(target)} outcomes.")

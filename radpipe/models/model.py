"""What goes into a model and what comes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from radpipe.errors import CohortError, SchemaError
from radpipe.typing import FloatArray, IntArray

OutcomeKind = Literal["classes", "number", "time_to_event"]
CENSORED, EVENT, COMPETING = 0, 1, 2


@dataclass(frozen=True)
class Examples:
    """Cases with their outcome and what the model may look at. Checked and brought into the order of ``case_ids`` when made.

    case_ids : unique. patient_ids : one a case. y : (n,) class index, from 0; of times to an event 0 censored, 1 the event, 2 a
    competing event; of numbers 0. n_classes : of the whole cohort, whichever are here.
    time : (n,) >= 0, for time_to_event; horizon : the time by which the event's probability is told. value : (n,), for numbers.
    table : (n, p), indexed by case_id; numbers, or text for clinical columns; missing allowed.
    images : (n, c, z, y, x) float32, finite, in the order of ``case_ids``.
    """

    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    y: IntArray
    table: pd.DataFrame | None = None
    images: np.ndarray | None = None
    kind: OutcomeKind = "classes"
    n_classes: int = 2
    time: FloatArray | None = None
    value: FloatArray | None = None
    horizon: float | None = None

    def __post_init__(self) -> None:
        n = len(self.case_ids)
        y = np.asarray(self.y)
        object.__setattr__(self, "case_ids", tuple(map(str, self.case_ids)))
        object.__setattr__(self, "patient_ids", tuple(map(str, self.patient_ids)))
        if len(set(self.case_ids)) != n:
            twice = next(name for name in self.case_ids if self.case_ids.count(name) > 1)
            raise SchemaError("the case stands twice among the examples.", hint="Every case_id may stand once.", case_id=twice)
        if len(self.patient_ids) != n or y.shape != (n,):
            raise SchemaError(
                f"{n} cases, {len(self.patient_ids)} patient ids and outcomes of shape {y.shape}.",
                hint="Give one of each a case.",
            )
        if n and (not np.issubdtype(y.dtype, np.number) or not np.all(np.isfinite(y)) or np.any(y != np.floor(y)) or y.min() < 0):
            raise SchemaError("an outcome is not a class index (0, 1, ...).", hint="Number the classes from 0.")
        object.__setattr__(self, "y", y.astype(np.int64))
        self._check_outcome()
        if self.table is not None:
            self._check_table(self.table)
        if self.images is not None:
            self._check_images(self.images)

    def _check_outcome(self) -> None:
        needed = {"classes": (), "number": ("value",), "time_to_event": ("time",)}[self.kind]
        for name in needed:
            given = getattr(self, name)
            values = np.full(0, np.nan) if given is None else np.asarray(given, dtype=np.float64)
            if given is None or values.shape != (len(self),) or not np.isfinite(values).all():
                raise SchemaError(
                    f"outcomes of kind {self.kind} need one finite {name} a case.", hint="See the column of the cohort table."
                )
            object.__setattr__(self, name, values)
        if self.kind == "time_to_event" and (
            np.any(np.asarray(self.time) < 0) or np.any(self.y > COMPETING) or not self.horizon or self.horizon <= 0
        ):
            raise SchemaError(
                "times to an event need times of 0 or more, the codes 0, 1 and 2, and a horizon above 0.",
                hint="See cohort.time, cohort.event and cohort.horizon.",
            )

    def _check_table(self, table: pd.DataFrame) -> None:
        index = [str(name) for name in table.index]
        if len(set(index)) != len(index) or set(index) != set(self.case_ids):
            odd = sorted(set(index) ^ set(self.case_ids)) or sorted(name for name in index if index.count(name) > 1)
            raise SchemaError(
                f"the table's rows are not the cases, each once (case {odd[0]!r}).",
                hint="Index the table by case_id.",
                case_id=odd[0],
            )
        if table.columns.duplicated().any():
            raise SchemaError(
                f"the table has two columns named {table.columns[table.columns.duplicated()][0]!r}.", hint="Name each once."
            )
        ordered = table.set_axis(pd.Index(index, dtype=object, name="case_id")).set_axis(
            [str(name) for name in table.columns], axis=1
        )
        object.__setattr__(self, "table", ordered.loc[list(self.case_ids)])

    def _check_images(self, images: np.ndarray) -> None:
        if images.ndim != 5 or len(images) != len(self.case_ids) or images.dtype != np.float32:
            raise SchemaError(
                f"images are {images.dtype} {images.shape}, not float32 ({len(self.case_ids)}, channels, z, y, x).",
                hint="Crop every image to one size.",
            )
        for case_id, image in zip(self.case_ids, images, strict=True):
            if not np.isfinite(image).all():
                raise SchemaError("its cropped image has NaN or infinite voxels.", hint="Check the image.", case_id=case_id)

    def __len__(self) -> int:
        return len(self.case_ids)

    def take(self, case_ids: Iterable[str]) -> Examples:
        """These cases, in this order; SchemaError for one that is not there."""
        place = {name: k for k, name in enumerate(self.case_ids)}
        wanted = [str(name) for name in case_ids]
        unknown = [name for name in wanted if name not in place]
        if unknown:
            raise SchemaError("the case is not among the examples.", hint="Check the splits.", case_id=unknown[0])
        rows = [place[name] for name in wanted]
        return replace(
            self,
            case_ids=tuple(wanted),
            patient_ids=tuple(self.patient_ids[row] for row in rows),
            y=self.y[rows],
            table=None if self.table is None else self.table.iloc[rows],
            images=None if self.images is None else self.images[rows],
            time=None if self.time is None else self.time[rows],
            value=None if self.value is None else self.value[rows],
        )


class Fitted(Protocol):
    """A fitted model. ``saw`` : ids of all patients that had any part in fitting it."""

    @property
    def saw(self) -> frozenset[str]: ...

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row a training step (empty for models without steps and for loaded ones)."""

    def predict_proba(self, examples: Examples) -> FloatArray:
        """(n, n_classes) probabilities; rows sum to 1. Of times to an event (n, 2): no event, and the event, by the horizon."""

    def predict_score(self, examples: Examples) -> FloatArray:
        """(n,) of times to an event the logarithm of the relative hazard, of numbers the value. Not for classes."""

    def facts(self) -> dict[str, Any]:
        """What the FITS table wants to know."""

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that was learnt: arrays, and the rest as JSON."""


def check_parts(
    train: Examples, selection: Examples, *, kinds: tuple[str, ...] = ("classes",), many: bool = False
) -> frozenset[str]:
    """The ids of all patients in both parts, after checking that a model can be fitted on them.

    kinds : outcomes that the model can do. many : whether it tells more than two classes apart.
    """
    if train.kind not in kinds:
        raise CohortError(
            f"this model is for {' and '.join(kinds)}, and the outcome is of kind {train.kind}.",
            hint="Choose another model: `radpipe describe models` lists them with their kinds of outcome.",
        )
    classes = set(map(int, np.unique(train.y)))
    if train.kind == "classes":
        _check_classes(train, selection, classes, many)
    elif train.kind == "time_to_event" and EVENT not in classes:
        raise CohortError(
            f"none of the training part's {len(train)} cases has the event.",
            hint="Use fewer folds, or check cohort.event.",
        )
    elif train.kind == "number" and (train.value is None or not len(train) or np.ptp(train.value) == 0):
        raise CohortError(
            f"the training part's {len(train)} cases have one value of the outcome only.",
            hint="Use fewer folds or check the outcome column.",
        )
    if not len(selection):
        raise CohortError(
            "the selection part is empty, so nothing says when to stop.",
            hint="Raise splits.selection_fraction or use fewer folds.",
        )
    both = sorted(set(train.patient_ids) & set(selection.patient_ids))
    if both:
        raise CohortError(
            f"patient {both[0]!r} is in the training and in the selection part.",
            hint="Draw the splits by patient.",
            kind="leakage",
        )
    return frozenset(train.patient_ids) | frozenset(selection.patient_ids)


def _check_classes(train: Examples, selection: Examples, classes: set[int], many: bool) -> None:
    if not len(train) or len(classes) < 2:
        raise CohortError(
            f"the training part's {len(train)} cases are of {len(classes)} class{'' if len(classes) == 1 else 'es'}, not of two.",
            hint="Use fewer folds or check the outcome column.",
        )
    if not many and (train.n_classes > 2 or not (classes | set(map(int, selection.y))) <= {0, 1}):
        raise CohortError(
            "the outcome has more than two classes, and this model tells two apart.",
            hint="Choose another model: `radpipe describe models` lists them with their kinds of outcome.",
        )
    absent = sorted(set(range(train.n_classes)) - classes)
    if absent:
        raise CohortError(
            f"the training part has no case of class {absent[0]}.", hint="Use fewer folds, or leave the class's cases out."
        )

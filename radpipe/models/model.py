"""What goes into a model and what comes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from radpipe.errors import CohortError, SchemaError
from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Examples:
    """Cases with their outcome and what the model may look at. Checked and brought into the order of ``case_ids`` when made.

    case_ids : unique. patient_ids : one a case. y : (n,) class index, from 0.
    table : (n, p), indexed by case_id; numbers, or text for clinical columns; missing allowed.
    images : (n, c, z, y, x) float32, finite, in the order of ``case_ids``.
    """

    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    y: IntArray
    table: pd.DataFrame | None = None
    images: np.ndarray | None = None

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
        if self.table is not None:
            self._check_table(self.table)
        if self.images is not None:
            self._check_images(self.images)

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
        )


class Fitted(Protocol):
    """A fitted model. ``saw`` : ids of all patients that had any part in fitting it."""

    @property
    def saw(self) -> frozenset[str]: ...

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row a training step (empty for models without steps and for loaded ones)."""

    def predict_proba(self, examples: Examples) -> FloatArray:
        """(n, 2) probabilities of class 0 and 1; rows sum to 1."""

    def facts(self) -> dict[str, Any]:
        """What the FITS table wants to know."""

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that was learnt: arrays, and the rest as JSON."""


def check_parts(train: Examples, selection: Examples) -> frozenset[str]:
    """The ids of all patients in both parts, after checking that a two-class model can be fitted on them."""
    classes = set(map(int, np.unique(train.y)))
    if not len(train) or len(classes) < 2:
        raise CohortError(
            f"the training part's {len(train)} cases are of {len(classes)} class{'' if len(classes) == 1 else 'es'}, not of two.",
            hint="Use fewer folds or check the outcome column.",
        )
    if not (classes | set(map(int, selection.y))) <= {0, 1}:
        raise CohortError("the outcome has more than two classes.", hint="These models tell two classes apart, 0 and 1.")
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

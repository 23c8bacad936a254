"""A table -> standardised columns of numbers, learnt on the cases a model is fitted on. Shared by the linear models and the SVM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from radpipe.models.encode import Encoder, table_of
from radpipe.models.model import Examples
from radpipe.typing import FloatArray


@dataclass(frozen=True)
class Columns:
    """centre, scale : (p,), of the encoder's columns."""

    encoder: Encoder
    centre: FloatArray
    scale: FloatArray

    @classmethod
    def learn(cls, cases: Examples, *, logarithm: bool | tuple[str, ...] = False) -> Columns:
        """From these cases; SchemaError where no column can be used."""
        encoder = Encoder.learn(cases, logarithm=logarithm)
        x = encoder.apply(cases)
        centre, scale = x.mean(axis=0), x.std(axis=0, ddof=1)
        # A column that only two patients share can lose its spread when gaps are filled.
        return cls(encoder, centre, np.where(scale > 0, scale, 1.0))

    def apply(self, examples: Examples) -> FloatArray:
        """(n, p) float64."""
        return np.asarray((self.encoder.apply(examples) - self.centre) / self.scale)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"centre": self.centre.copy(), "scale": self.scale.copy()}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> Columns:
        return cls(Encoder.from_json(info["encoder"]), np.array(arrays["centre"]), np.array(arrays["scale"]))


def together(train: Examples, selection: Examples) -> Examples:
    """Both parts as one, for models that stop and choose nothing. Tables only."""

    def joined(name: str) -> Any:
        parts = getattr(train, name), getattr(selection, name)
        return None if parts[0] is None else np.concatenate(parts)

    return replace(
        train,
        case_ids=train.case_ids + selection.case_ids,
        patient_ids=train.patient_ids + selection.patient_ids,
        y=np.concatenate([train.y, selection.y]),
        table=pd.concat([table_of(train), table_of(selection)]) if train.table is not None else None,
        images=None,
        time=joined("time"),
        value=joined("value"),
    )

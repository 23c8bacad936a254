"""One model on one outer fold: the only way a model is ever fitted, in cross-validation and in a refit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from radpipe.core.registry import lookup
from radpipe.models.config import ModelParams
from radpipe.models.guard import check_records, records
from radpipe.models.model import Examples, OutcomeKind
from radpipe.models.registry import MODELS


@dataclass(frozen=True)
class FoldFit:
    """probabilities : case_id -> [p_0, p_1, ...], of every case of the fold; empty lists for numbers. scores : case_id -> score, of
    times to an event and numbers. saw_sha256 : of the sorted ids of the patients that the model saw. saw : every fitted thing that
    was saved ("" is the model) -> the patients it saw."""

    arrays: dict[str, np.ndarray]
    info: dict[str, Any]
    facts: dict[str, Any]
    probabilities: dict[str, list[float]]
    saw_sha256: str
    history: list[dict[str, float]]
    scores: dict[str, float] = field(default_factory=dict)
    saw: dict[str, list[str]] = field(default_factory=dict)


def fit_and_predict(
    params: dict[str, Any],
    *,
    case_ids: Sequence[str],
    patient_ids: Sequence[str],
    y: Sequence[int],
    roles: Sequence[str],
    table: pd.DataFrame | None,
    images: np.ndarray | None,
    seed: int,
    kind: OutcomeKind = "classes",
    n_classes: int = 2,
    time: Sequence[float] | None = None,
    value: Sequence[float] | None = None,
    horizon: float | None = None,
    weights: Any = None,
    upstream: Mapping[str, Any] | None = None,
) -> FoldFit:
    """Fit on train and selection, predict all; the test part's rows are taken out before the model is called.

    A refit on all patients is this too: its roles are train and selection, and whoever is new has the role test.

    table : (n, inputs), index case_id; images : (n, c, z, y, x) float32; rows in the order of case_ids.
    y, kind, n_classes, time, value, horizon : the outcome; see :class:`radpipe.models.model.Examples`.
    weights : to start from, :class:`radpipe.models.cnn3d.transfer.Weights`, where the settings name a file of them.
    upstream : what was fitted to make these inputs, as {"selection": {"saw": [patients]}}; kept with the model.
    RadpipeError (kind leakage) where a patient of the test part is among those the fit saw.
    """
    settings = TypeAdapter(ModelParams).validate_python(params)
    everyone = Examples(
        tuple(case_ids), tuple(patient_ids), np.asarray(y, dtype=np.int64), table, images, kind=kind, n_classes=n_classes,
        time=None if time is None else np.asarray(time, np.float64), value=None if value is None else np.asarray(value, np.float64),
        horizon=horizon,
    )  # fmt: skip
    by_role = {
        role: everyone.take([c for c, r in zip(case_ids, roles, strict=True) if r == role])
        for role in ("train", "selection", "test")
    }
    fit = lookup(MODELS, settings.kind, "model")
    fitted = fit(by_role["train"], by_role["selection"], settings, seed=seed, **({"weights": weights} if weights else {}))
    saw = sorted(fitted.saw)
    arrays, state = fitted.state()
    info = {
        "kind": settings.kind, "params": settings.model_dump(mode="json"), "saw_patients": saw, **state, "upstream": dict(upstream or {}),
    }  # fmt: skip
    check_records(info, by_role["test"].patient_ids, model=f"a model of kind {settings.kind}")
    predicted = np.zeros((len(everyone), 0)) if kind == "number" else fitted.predict_proba(everyone)
    scores = np.zeros(0) if kind == "classes" else fitted.predict_score(everyone)
    return FoldFit(
        arrays=arrays,
        info=info,
        facts={**fitted.facts(), "n_train": len(by_role["train"].case_ids), "n_selection": len(by_role["selection"].case_ids)},
        probabilities={case_id: [float(p) for p in row] for case_id, row in zip(case_ids, predicted, strict=True)},
        saw_sha256=hashlib.sha256("\n".join(saw).encode()).hexdigest(),
        history=list(fitted.history),
        saw={thing: sorted(seen) for thing, seen in records(info).items()},
        scores={case_id: float(score) for case_id, score in zip(case_ids, scores, strict=False)},
    )

"""Repeated stratified folds with the scores of several models, as the tables a run writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radpipe.core.tables import PREDICTIONS, SPLITS, make_table

REFERENCE = Path(__file__).parents[1] / "evaluation" / "reference"


@pytest.fixture(scope="session")
def expected() -> dict[str, list[float]]:
    return json.loads((REFERENCE / "expected.json").read_text())


@pytest.fixture(scope="session")
def binary() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "binary.csv")


def stratified(y: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    fold_of = np.empty(len(y), int)
    for cls in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == cls))
        fold_of[members] = np.arange(len(members)) % folds
    return fold_of


@pytest.fixture(scope="session")
def make_tables() -> Callable[..., tuple[pd.DataFrame, pd.DataFrame]]:
    """(y, model -> (repeats, n) probabilities) -> predictions (test rows) and splits."""

    def make(y: np.ndarray, models: dict[str, np.ndarray], folds: int = 5) -> Any:
        repeats = len(next(iter(models.values())))
        splits, rows = [], []
        for repeat in range(repeats):
            fold_of = stratified(y, folds, np.random.default_rng(repeat))
            for fold in range(folds):
                for i in range(len(y)):
                    role = "test" if fold_of[i] == fold else ("selection" if i % 4 == 0 else "train")
                    key = {"repeat": repeat, "fold": fold, "case_id": f"case_{i:03d}", "role": role}
                    splits.append(key)
                    if role == "test":
                        for model, p in models.items():
                            rows.append(
                                {
                                    **key,
                                    "seed": 1,
                                    "model": model,
                                    "y_true": int(y[i]),
                                    "p_0": 1 - p[repeat, i],
                                    "p_1": p[repeat, i],
                                }
                            )
        return make_table(PREDICTIONS, rows), make_table(SPLITS, splits)

    return make

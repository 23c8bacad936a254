"""R's numbers (synthetic inputs; made by make_fixtures.R beside them) and small tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radpipe.core.tables import FITS, PREDICTIONS, make_table

REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def reference() -> Path:
    return REFERENCE


@pytest.fixture(scope="session")
def expected() -> dict[str, list[float]]:
    return json.loads((REFERENCE / "expected.json").read_text())


@pytest.fixture(scope="session")
def binary() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "binary.csv")


@pytest.fixture(scope="session")
def ratings() -> np.ndarray:
    return pd.read_csv(REFERENCE / "icc.csv").to_numpy(float)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., tuple[pd.DataFrame, pd.DataFrame]]:
    """(y, model -> (repeats, n) probabilities of class 1) -> predictions and fits of stratified folds."""

    def make(y: np.ndarray, models: dict[str, np.ndarray], folds: int = 5, threshold: float = 0.5) -> Any:
        rows, fits = [], []
        n = len(y)
        for model, scores in models.items():
            for repeat, p in enumerate(np.atleast_2d(scores)):
                fold_of = np.zeros(n, int)
                rng = np.random.default_rng(repeat)
                for cls in np.unique(y):  # stratified, another partition each repeat
                    members = np.flatnonzero(y == cls)
                    fold_of[rng.permutation(members)] = np.arange(len(members)) % folds
                for fold in range(folds):
                    for i in range(n):
                        role = "test" if fold_of[i] == fold else ("selection" if i % 4 == 0 else "train")
                        rows.append(
                            {"repeat": repeat, "fold": fold, "seed": 7, "model": model, "case_id": f"case_{i:03d}",
                             "role": role, "y_true": int(y[i]), "p_0": 1 - p[i], "p_1": p[i]}
                        )  # fmt: skip
                    n_test = int(np.sum(fold_of == fold))
                    fits.append(
                        {"repeat": repeat, "fold": fold, "seed": 7, "model": model, "n_train": n - n_test - 3, "n_selection": 3,
                         "n_inputs": 2, "n_parameters": 3, "epochs": 1, "train_error": 0.1, "regularisation": 0.0,
                         "selection_error": 0.2, "recalibration_slope": 1.0, "recalibration_intercept": 0.0,
                         "threshold": threshold, "inputs": "", "saw_sha256": "", "model_path": ""}
                    )  # fmt: skip
        return make_table(PREDICTIONS, rows), make_table(FITS, fits)

    return make

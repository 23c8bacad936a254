"""How long a fitted model takes to predict one case: part of what it costs, and of no table, for it differs between machines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from radpipe.models.model import Examples
from radpipe.models.registry import load
from radpipe.models.threads import one_thread

CALLS = 7


def made_up_case(info: Mapping[str, Any]) -> Examples:
    """One case of the shape that a saved model takes. What it holds does not matter: no model takes longer for other numbers."""
    who = (("case",), ("patient",), np.zeros(1, np.int64))
    if "shape" in info:
        return Examples(*who, images=np.random.default_rng(0).random((1, *info["shape"]), dtype=np.float32))
    names = str(info["facts"].get("inputs", "")).split()
    if info["kind"] == "average" and info["n_classes"] > 2:  # of each model that it averages, a probability of every class
        names = [f"{name}:{k}" for name in names for k in range(info["n_classes"])]
    row: dict[str, Any] = dict.fromkeys(names, 0.5)
    if encoder := info.get("encoder"):
        row = dict(encoder["fill"]) | {name: values[0] for name, values in encoder["levels"]}
    return Examples(*who, table=pd.DataFrame([row], index=pd.Index(["case"], name="case_id")) if row else None)


def seconds_a_case(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any], *, number: bool = False) -> float:
    """Median CPU seconds of seven predictions of one case on one thread, after one that is not counted. number : the outcome is one."""
    model, case = load(str(info["kind"]), arrays, info), made_up_case(info)
    predict = model.predict_score if number else model.predict_proba
    spent = []
    with one_thread():
        predict(case)
        for _ in range(CALLS):
            began = time.process_time()
            predict(case)
            spent.append(time.process_time() - began)
    return float(np.median(spent))

"""Negative controls: the same work on data in which nothing can be foretold. What it still finds is made by the work itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from radpipe.errors import ConfigError
from radpipe.typing import FloatArray

NULL = {"auc": 0.5, "macro_auc": 0.5, "harrell_c": 0.5, "spearman": 0.0}
"""What each metric is worth on average where nothing can be foretold."""
LEVEL = 0.99
"""Of the Monte-Carlo interval of the permuted mean: one clean run in a hundred is flagged."""


def permuted(cohort: pd.DataFrame, tested_in: Mapping[str, int], rng: np.random.Generator) -> pd.DataFrame:
    """The cohort with patients' outcomes dealt anew among the patients who are tested in the same fold.

    cohort : table COHORT. tested_in : case_id -> fold of one repeat. All cases of a patient keep one outcome. Within folds, so that
    every test part keeps its counts and its splits stay as they are; the outcomes learnt from then say nothing of those tested, and
    the expected AUC is exactly 0.5 whatever the model.
    """
    told = [name for name in ("outcome", "time", "value") if name in cohort.columns]
    patients = cohort.drop_duplicates("patient_id").set_index("patient_id")
    fold_of = {str(patient): tested_in[str(case)] for patient, case in patients["case_id"].items()}
    dealt = patients[told].copy()
    for fold in sorted(set(fold_of.values())):
        mine = sorted(patient for patient, own in fold_of.items() if own == fold)
        order = rng.permutation(len(mine))
        dealt.loc[np.array(mine, object)] = patients.loc[np.array(mine, object)[order], told].to_numpy()
    found = cohort.copy()
    for name in told:
        found[name] = dealt.loc[list(cohort["patient_id"]), name].to_numpy().astype(cohort[name].dtype)
    return found


def noise_columns(case_ids: list[str], count: int, rng: np.random.Generator) -> pd.DataFrame:
    """(n, count) independent standard normal numbers, index case_id; columns noise_0001, ..."""
    columns = [f"noise_{place + 1:04d}" for place in range(count)]
    return pd.DataFrame(rng.normal(size=(len(case_ids), count)), index=pd.Index(case_ids, name="case_id"), columns=columns)


@dataclass(frozen=True)
class Null:
    """Of the permuted runs: mean, spread over them, Monte-Carlo interval of the mean; p of the observed value; flagged where the
    interval leaves out the null value."""

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p_value: float
    flagged: bool


def judge(values: FloatArray, observed: float, metric: str) -> Null:
    """values : the metric of each permuted run; NaN where a run defines none. observed : of the true outcomes.

    p = (k + 1) / (B + 1), Phipson and Smyth 2010, doi:10.2202/1544-6115.1585; two or more runs. The flag looks at the mean, not at
    single runs: one clean permuted run of 34 patients has an SD of 0.10.
    """
    null = NULL[metric]
    usable = values[np.isfinite(values)]
    n = len(usable)
    if n < 2:
        raise ConfigError(f"{n} permuted runs gave a value.", hint="Ask for at least 100 permutations.")
    mean, sd = float(usable.mean()), float(usable.std(ddof=1))
    half = float(student.ppf((1 + LEVEL) / 2, n - 1)) * sd / np.sqrt(n)
    p_value = float((np.sum(usable >= observed) + 1) / (n + 1)) if np.isfinite(observed) else float("nan")
    # Runs that are all alike have no error, and any distance from the null is then the work's own.
    return Null(n, mean, sd, mean - half, mean + half, p_value, bool(abs(mean - null) > max(half, 1e-12)))

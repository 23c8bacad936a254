"""Sets of classes that hold the right one as often as promised, class by class.

Split conformal prediction: a class stays in a patient's set unless its probability is lower than that of nearly all patients
of this class in the selection part, which the fit did not learn from. A class needs at least 1 / (1 - level) - 1 such patients
(9 at 90 %) before it can be left out at all: with fewer, the sets are "vacuous".
Vovk 2012, doi:10.1007/s10994-013-5355-6 (class-conditional); Angelopoulos and Bates 2023, doi:10.1561/2200000101.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from radpipe.core.tables import CONFORMAL, CONFORMAL_SETS, make_table
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.formulas import wilson_interval
from radpipe.evaluation.predictions import Scores, check_predictions, class_columns, outcome_kind, scores_of
from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class ConformalRule:
    """thresholds : (k,) a class is in the set where its probability is at least this; 0 where it always is (vacuous).

    n_calibration : (k,) patients of each class that the rule stands on.
    """

    level: float
    thresholds: FloatArray
    n_calibration: IntArray

    @property
    def vacuous(self) -> list[bool]:
        """Of each class, whether it is in every set because there were too few to judge by."""
        return [bool(n < least_for(self.level)) for n in self.n_calibration]

    def sets(self, p: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(n, k) probabilities -> which classes are in the set of each case; a set may be empty, or hold all."""
        return np.asarray(p >= self.thresholds, bool)


def least_for(level: float) -> int:
    """Calibration patients of a class below which it can never be left out: 9 at 90 %."""
    return int(np.ceil(round(level / (1 - level), 9)))


def fit_conformal(y: IntArray, p: FloatArray, level: float) -> ConformalRule:
    """y : (n,) classes of the calibration patients. p : (n, k) their probabilities, of a fit that did not learn from them."""
    thresholds, counts = np.zeros(p.shape[1]), np.zeros(p.shape[1], np.int64)
    for k in range(p.shape[1]):
        own = np.sort(p[y == k, k])
        counts[k] = len(own)
        # The patient to come may be any of the n + 1 ranks; at most 1 - level of them may be left out.
        left_out = int(np.floor(round((len(own) + 1) * (1 - level), 9)))
        if left_out >= 1:
            thresholds[k] = own[left_out - 1]
    return ConformalRule(level, thresholds, counts)


def conformal_tables(predictions: pd.DataFrame, settings: EvaluationSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables CONFORMAL (how the sets did, class by class) and CONFORMAL_SETS (the set of every tested case and fold).

    predictions : of classes, with the rows of the selection part. A fit without such rows gives no set. Where the outcome is no
    class, both tables are empty.
    """
    check_predictions(predictions)
    if outcome_kind(predictions) != "classes":
        return make_table(CONFORMAL, []), make_table(CONFORMAL_SETS, [])
    k = len(class_columns(predictions))
    level = settings.conformal_level
    calibration = scores_of(predictions, "selection")
    rows: list[dict[str, Any]] = []
    summary: list[dict[str, Any]] = []
    for name, scores in scores_of(predictions, "test").items():
        found: list[tuple[Scores, Any]] = []
        rules = []
        for key, part in scores.by_fold.items():
            own = calibration[name].by_fold.get(key) if name in calibration else None
            if own is None:
                continue
            rule = fit_conformal(own.y, own.said("classes"), level)
            sets = rule.sets(part.said("classes"))
            rules.append(rule)
            found.append((part, sets))
            for case, truth, members in zip(part.cases.tolist(), part.y.tolist(), sets, strict=True):
                rows.append(
                    {"model": name, "repeat": key[0], "fold": key[1], "case_id": case, "y_true": truth,
                     "classes": " ".join(str(c) for c in np.flatnonzero(members)), "holds_truth": bool(members[truth])}
                )  # fmt: skip
        summary += _summary(name, k, level, found, rules, settings.confidence)
    return make_table(CONFORMAL, summary), make_table(CONFORMAL_SETS, rows)


def _summary(
    name: str, k: int, level: float, found: list[tuple[Scores, Any]], rules: list[ConformalRule], confidence: float
) -> list[dict[str, Any]]:
    rows = []
    for cls in range(k):
        held = [sets[part.y == cls, cls] for part, sets in found]
        size = [sets[part.y == cls].sum(axis=1) for part, sets in found]
        n = len({case for part, _ in found for case in part.cases[part.y == cls].tolist()})
        values = np.concatenate(held) if held else np.zeros(0)
        sizes = np.concatenate(size) if size else np.zeros(0)
        coverage = float(values.mean()) if len(values) else float("nan")
        low, high = wilson_interval(coverage, n, confidence)
        vacuous = sum(rule.vacuous[cls] for rule in rules)
        fewest = min((int(rule.n_calibration[cls]) for rule in rules), default=0)
        method = (
            f"share of test cases of the class whose set holds it, over {len(rules)} fits; interval: Wilson for the {n} cases, "
        )
        method += "fitted models held fixed; promised for cases exchangeable with the selection part, which also stopped and recalibrated the fits"
        if not rules:
            method = "undefined: there are no predictions of the selection part"
        elif vacuous:
            why = f"fewer than {least_for(level)} calibration cases, so the class is in every set"
            method = f"vacuous in {vacuous} of {len(rules)} fits ({why}); {method}"
        rows.append(
            {
                "model": name, "class": cls, "level": level, "coverage": coverage, "ci_low": low, "ci_high": high, "n": n,
                "mean_size": float(sizes.mean()) if len(sizes) else float("nan"),
                "single": float(np.mean(sizes == 1)) if len(sizes) else float("nan"),
                "all_classes": float(np.mean(sizes == k)) if len(sizes) else float("nan"),
                "empty": float(np.mean(sizes == 0)) if len(sizes) else float("nan"),
                "fewest_calibration": fewest, "vacuous_fits": vacuous, "fits": len(rules), "method": method,
            }
        )  # fmt: skip
    return rows

"""From a model's logit to a probability that means what it says, and the threshold that goes with it. Shared by every model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from radpipe.models.config import CalibrationSettings
from radpipe.typing import FloatArray

# A probability of exactly 0 or 1 has no logit; no model here knows anything to one in a million.
LEAST = 1e-6
# Never negative, so that recalibration cannot turn the ranking round.
SLOPE_BOUNDS = (0.05, 20.0)
INTERCEPT_BOUNDS = (-10.0, 10.0)


@dataclass(frozen=True)
class Calibration:
    """intercept, slope : of the logit. threshold : on p_1, after recalibration."""

    intercept: float = 0.0
    slope: float = 1.0
    threshold: float = 0.5

    def apply(self, p_1: FloatArray) -> FloatArray:
        """(n,) raw probability of class 1 -> (n, 2) recalibrated."""
        if (self.intercept, self.slope) == (0.0, 1.0):
            p = np.asarray(p_1, np.float64)
        else:
            p = expit(self.intercept + self.slope * safe_logit(p_1))
        return np.column_stack([1.0 - p, p])

    def facts(self) -> dict[str, float]:
        return {
            "recalibration_slope": self.slope,
            "recalibration_intercept": self.intercept,
            "threshold": self.threshold,
        }

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_json(cls, info: Mapping[str, Any]) -> Calibration:
        return cls(**info)


def safe_logit(p_1: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(np.asarray(p_1, np.float64), LEAST, 1 - LEAST)))


def recalibration(p_1: FloatArray, y: FloatArray, settings: CalibrationSettings) -> tuple[float, float]:
    """(intercept, slope) that make y most likely given the logit of p_1, under the settings' normal priors.

    p_1 : (n,) of the selection part. y : (n,) 0 or 1 (or a probability, for checking).
    Maximum a posteriori of Cox's recalibration (Cox 1958, doi:10.1093/biomet/45.3-4.562): strictly convex, so it has one answer,
    with one class only or perfect separation too, where maximum likelihood has none.
    """
    x = safe_logit(p_1)

    def objective(theta: FloatArray) -> tuple[float, FloatArray]:
        z = theta[0] + theta[1] * x
        gap = expit(z) - y
        value = np.sum(np.logaddexp(0.0, z) - y * z)
        value += 0.5 * (theta[0] / settings.intercept_sd) ** 2 + 0.5 * ((theta[1] - 1) / settings.slope_sd) ** 2
        slope = np.array([gap.sum() + theta[0] / settings.intercept_sd**2, gap @ x + (theta[1] - 1) / settings.slope_sd**2])
        return float(value), slope

    found = minimize(
        objective, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[INTERCEPT_BOUNDS, SLOPE_BOUNDS],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
    )  # fmt: skip
    return float(found.x[0]), float(found.x[1])


def youden(p_1: FloatArray, y: np.ndarray) -> float:
    """The threshold with the largest sensitivity + specificity - 1 (Youden 1950), "positive" at or above it.

    Candidates lie halfway between neighbouring scores; of equally good ones the middle one is taken, the lower of two.
    0.5 where all scores are the same or one class is missing, since then none is better than another.
    """
    scores = np.unique(p_1)
    positive = np.asarray(y) == 1
    if len(scores) < 2 or positive.all() or not positive.any():
        return 0.5
    cuts = (scores[1:] + scores[:-1]) / 2
    called = p_1[None, :] >= cuts[:, None]
    gain = called[:, positive].mean(axis=1) - called[:, ~positive].mean(axis=1)
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(cuts[best[(len(best) - 1) // 2]])


def calibrate(
    p_train: FloatArray, y_train: np.ndarray, p_selection: FloatArray, y_selection: np.ndarray, settings: CalibrationSettings
) -> Calibration:
    """Intercept and slope from the selection part; threshold from the recalibrated scores of training and selection part."""
    intercept, slope = (0.0, 1.0)
    if settings.recalibrate:
        intercept, slope = recalibration(p_selection, y_selection, settings)
    bare = Calibration(intercept, slope)
    scores = bare.apply(np.concatenate([p_train, p_selection]))[:, 1]
    return Calibration(intercept, slope, youden(scores, np.concatenate([y_train, y_selection])))

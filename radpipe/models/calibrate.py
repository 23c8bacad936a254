"""From a model's logit to a probability that means what it says, and the threshold that goes with it. Shared by every model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit, softmax

from radpipe.errors import SchemaError
from radpipe.models.config import CalibrationSettings
from radpipe.models.model import EVENT, Examples
from radpipe.models.survival import Baseline, baseline, partial_likelihood, risk_sets
from radpipe.typing import FloatArray, IntArray

# A probability of exactly 0 or 1 has no logit; no model here knows anything to one in a million.
LEAST = 1e-6
# Never negative, so that recalibration cannot turn the ranking round.
SLOPE_BOUNDS = (0.05, 20.0)
INTERCEPT_BOUNDS = (-10.0, 10.0)


@dataclass(frozen=True)
class Calibration:
    """intercept, slope : of the logit. threshold : on p_1, after recalibration. saw : the patients it was learnt from."""

    intercept: float = 0.0
    slope: float = 1.0
    threshold: float = 0.5
    saw: frozenset[str] = frozenset()

    def apply(self, p_1: FloatArray) -> FloatArray:
        """(n,) raw probability of class 1 -> (n, 2) recalibrated."""
        if (self.intercept, self.slope) == (0.0, 1.0):
            p = np.asarray(p_1, np.float64)
        else:
            p = expit(self.intercept + self.slope * safe_logit(p_1))
        return np.column_stack([1.0 - p, p])

    def score(self, raw: FloatArray) -> FloatArray:
        raise SchemaError("a model of classes has no score.", hint="Ask for its probabilities.")

    def facts(self) -> dict[str, float]:
        return {
            "recalibration_slope": self.slope,
            "recalibration_intercept": self.intercept,
            "threshold": self.threshold,
        }

    def to_json(self) -> dict[str, Any]:
        return {"intercept": self.intercept, "slope": self.slope, "threshold": self.threshold, "saw": sorted(self.saw)}

    @classmethod
    def from_json(cls, info: Mapping[str, Any]) -> Calibration:
        return cls(info["intercept"], info["slope"], info["threshold"], frozenset(info["saw"]))


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


@dataclass(frozen=True)
class ClassesCalibration:
    """More than two classes. intercepts : one a class, added to ``slope`` times the logarithm of its probability."""

    intercepts: tuple[float, ...]
    slope: float = 1.0
    saw: frozenset[str] = frozenset()

    def apply(self, p: FloatArray) -> FloatArray:
        """(n, k) raw probabilities -> (n, k) recalibrated."""
        return np.asarray(softmax(np.array(self.intercepts) + self.slope * np.log(np.clip(p, LEAST, None)), axis=1))

    def score(self, raw: FloatArray) -> FloatArray:
        raise SchemaError("a model of classes has no score.", hint="Ask for its probabilities.")

    def facts(self) -> dict[str, float | None]:
        return {"recalibration_slope": self.slope, "recalibration_intercept": None, "threshold": None}

    def to_json(self) -> dict[str, Any]:
        return {"intercepts": list(self.intercepts), "slope": self.slope, "saw": sorted(self.saw)}


@dataclass(frozen=True)
class SurvivalCalibration:
    """Times to an event. slope : of the model's score; centre : mean of slope * score over the training and selection part, which
    is the score of the baseline; horizon : the time by which the probability is told."""

    slope: float
    centre: float
    horizon: float
    hazard: Baseline
    saw: frozenset[str] = frozenset()

    def score(self, raw: FloatArray) -> FloatArray:
        """(n,) raw score -> (n,) logarithm of the hazard relative to the baseline's."""
        return self.slope * np.asarray(raw, np.float64) - self.centre

    def apply(self, raw: FloatArray) -> FloatArray:
        """(n,) raw score -> (n, 2) probability of no event and of the event by the horizon."""
        p = self.hazard.risk(self.score(raw), self.horizon)
        return np.column_stack([1.0 - p, p])

    def facts(self) -> dict[str, float | None]:
        return {"recalibration_slope": self.slope, "recalibration_intercept": None, "threshold": None}

    def to_json(self) -> dict[str, Any]:
        hazard = {name: getattr(self.hazard, name).tolist() for name in ("times", "hazard", "competing")}
        return {"slope": self.slope, "centre": self.centre, "horizon": self.horizon, "baseline": hazard, "saw": sorted(self.saw)}


@dataclass(frozen=True)
class NumberCalibration:
    """Numbers stay as they are."""

    saw: frozenset[str] = frozenset()

    def score(self, raw: FloatArray) -> FloatArray:
        return np.asarray(raw, np.float64)

    def apply(self, raw: FloatArray) -> FloatArray:
        raise SchemaError("a number has no probability.", hint="Ask for its score.")

    def facts(self) -> dict[str, float | None]:
        return {"recalibration_slope": None, "recalibration_intercept": None, "threshold": None}

    def to_json(self) -> dict[str, Any]:
        return {"number": True, "saw": []}


AnyCalibration = Calibration | ClassesCalibration | SurvivalCalibration | NumberCalibration


def calibrate_for(
    raw_train: FloatArray, train: Examples, raw_selection: FloatArray, selection: Examples, settings: CalibrationSettings
) -> AnyCalibration:
    """From what a model says by itself to what it means, for every kind of outcome.

    raw : of two classes (n,) probability of class 1; of more (n, k) probabilities; of times to an event (n,) logarithm of the
    relative hazard; of numbers (n,) the value. ``apply(raw)`` then gives probabilities, ``score(raw)`` the score.
    """
    if train.kind == "number":
        return NumberCalibration()
    if train.kind == "time_to_event":
        slope = recalibration_of_hazard(raw_selection, selection, settings) if settings.recalibrate else 1.0
        return survival_calibration(raw_train, train, raw_selection, selection, slope)
    if train.n_classes > 2:
        if not settings.recalibrate:
            return ClassesCalibration((0.0,) * train.n_classes)
        return replace(recalibration_of_classes(raw_selection, selection.y, settings), saw=frozenset(selection.patient_ids))
    saw = frozenset(train.patient_ids) | frozenset(selection.patient_ids)  # the threshold is of both parts
    return replace(calibrate(raw_train, train.y, raw_selection, selection.y, settings), saw=saw)


def survival_calibration(
    raw_train: FloatArray, train: Examples, raw_selection: FloatArray, selection: Examples, slope: float = 1.0
) -> SurvivalCalibration:
    """The baseline hazard of the training and selection part together, through the model's own score."""
    scores = slope * np.concatenate([raw_train, raw_selection])
    centre = float(scores.mean())
    time = np.concatenate([np.asarray(train.time), np.asarray(selection.time)])
    hazard = baseline(scores - centre, time, np.concatenate([train.y, selection.y]))
    saw = frozenset(train.patient_ids) | frozenset(selection.patient_ids)
    return SurvivalCalibration(slope, centre, float(train.horizon or 0.0), hazard, saw)


def recalibration_of_hazard(raw: FloatArray, selection: Examples, settings: CalibrationSettings) -> float:
    """The slope of the score that makes the selection part's order of events most likely, under the settings' prior of the slope.

    1 where the selection part has no event. Van Houwelingen 2000, doi:10.1002/1097-0258(20001230)19:24<3401::AID-SIM554>3.0.CO;2-2.
    """
    event = selection.y == EVENT
    if not event.any():
        return 1.0
    sets = risk_sets(np.asarray(selection.time), event)
    x = np.asarray(raw, np.float64)[:, None]

    def objective(slope: float) -> float:
        value = partial_likelihood(x, np.array([slope]), sets)[0]
        return -value + 0.5 * ((slope - 1) / settings.slope_sd) ** 2

    return float(minimize_scalar(objective, bounds=SLOPE_BOUNDS, method="bounded", options={"xatol": 1e-8}).x)


def recalibration_of_classes(p: FloatArray, y: IntArray, settings: CalibrationSettings) -> ClassesCalibration:
    """One slope and an intercept a class that make y most likely, under the settings' priors; the intercepts sum to 0.

    p : (n, k) of the selection part. Of two classes this is :func:`recalibration`, but that there the prior is of the difference.
    """
    x = np.log(np.clip(p, LEAST, None))
    rows, k = x.shape
    hit = np.eye(k)[y]

    def objective(theta: FloatArray) -> tuple[float, FloatArray]:
        z = theta[:k] + theta[k] * x
        top = z.max(axis=1, keepdims=True)
        log_q = z - top - np.log(np.exp(z - top).sum(axis=1, keepdims=True))
        gap = np.exp(log_q) - hit
        value = -np.sum(log_q[np.arange(rows), y])
        value += 0.5 * np.sum((theta[:k] / settings.intercept_sd) ** 2) + 0.5 * ((theta[k] - 1) / settings.slope_sd) ** 2
        slope = np.append(
            gap.sum(axis=0) + theta[:k] / settings.intercept_sd**2, np.sum(gap * x) + (theta[k] - 1) / settings.slope_sd**2
        )
        return float(value), slope

    found = minimize(
        objective, np.append(np.zeros(k), 1.0), jac=True, method="L-BFGS-B", bounds=[*[INTERCEPT_BOUNDS] * k, SLOPE_BOUNDS],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
    )  # fmt: skip
    return ClassesCalibration(tuple(map(float, found.x[:k])), float(found.x[k]))


def calibration_from_json(info: Mapping[str, Any]) -> AnyCalibration:
    """What ``to_json`` gave, whichever kind it was."""
    if "baseline" in info:
        hazard = Baseline(**{name: np.array(values, np.float64) for name, values in info["baseline"].items()})
        return SurvivalCalibration(info["slope"], info["centre"], info["horizon"], hazard, frozenset(info["saw"]))
    if "intercepts" in info:
        return ClassesCalibration(tuple(info["intercepts"]), info["slope"], frozenset(info["saw"]))
    return NumberCalibration() if "number" in info else Calibration.from_json(info)

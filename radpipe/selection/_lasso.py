"""Regression with an L1 penalty along falling penalties: multinomial, least squares, Cox."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from radpipe.selection.target import EVENT, Target
from radpipe.typing import FloatArray, IntArray

MOST_STEPS = 200
CLOSE = 1e-4


@dataclass(frozen=True)
class Path:
    """coefficients : (penalties, p, m), one column an answer (two classes: one); intercepts : (penalties, m). penalties : falling."""

    penalties: FloatArray
    largest: float
    coefficients: FloatArray
    intercepts: FloatArray

    def size_of(self, step: int) -> FloatArray:
        """(p,) largest absolute coefficient of each input at that penalty."""
        return np.asarray(np.abs(self.coefficients[step]).max(axis=1))

    def entries(self) -> FloatArray:
        """(p,) penalty at which each input enters, as a fraction of the largest, between two steps by its size; 0: never."""
        found = np.zeros(self.coefficients.shape[1])
        above = self.largest
        for step, penalty in enumerate(self.penalties):
            size = self.size_of(step)
            new = (found == 0) & (size > 0)
            found[new] = (penalty + (above - penalty) * (size / (1 + size))[new]) / self.largest
            above = float(penalty)
        return found


class Loss:
    """Mean loss of linear predictors; the same object serves training and judging.

    answers : how many predictors a patient has. free : whether there is an intercept.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.n = len(target)
        self.kind = target.kind
        if self.kind == "classes":
            self.labels = np.unique(target.y)
            self.truth = np.searchsorted(self.labels, target.y)
            self.answers = 1 if len(self.labels) == 2 else len(self.labels)
            self.hot = (self.truth[:, None] == np.arange(len(self.labels))[None, :]).astype(float)
        else:
            self.answers = 1
        if self.kind == "number":
            ranked = target.responses()
            self.answer = (ranked - ranked.mean()) / ranked.std()
        if self.kind == "time_to_event":
            assert target.time is not None
            self.order = np.argsort(-target.time, kind="stable")
            late = target.time[self.order]
            self.event = (target.y == EVENT)[self.order]
            # Patients at risk at a time are all up to the last one with that time (Breslow's ties).
            self.last = np.searchsorted(-late, -late, side="right") - 1
            self.first = np.searchsorted(-late, -late, side="left")
        self.free = self.kind != "time_to_event"

    def of(self, eta: FloatArray) -> tuple[float, FloatArray]:
        """eta : (n, answers). (mean loss, its gradient (n, answers))."""
        if self.kind == "number":
            off = eta - self.answer
            return float(0.5 * (off**2).mean()), off / self.n
        if self.kind == "classes":
            if self.answers == 1:
                wrong = np.where(self.truth == 1, -1.0, 1.0)[:, None] * eta
                return float(np.logaddexp(0.0, wrong).mean()), (1 / (1 + np.exp(-eta)) - self.hot[:, 1:]) / self.n
            logs = log_softmax(eta, axis=1)
            return float(-(logs * self.hot).sum() / self.n), (np.exp(logs) - self.hot) / self.n
        mine = eta[self.order, 0]
        top = float(mine.max(initial=0.0))
        weights = np.exp(mine - top)
        at_risk = np.cumsum(weights)[self.last]
        value = float((np.log(at_risk[self.event]) + top - mine[self.event]).sum()) / self.n
        shares = np.where(self.event, 1.0 / at_risk, 0.0)
        hazard = np.cumsum(shares[::-1])[::-1][self.first]
        slope = np.empty_like(eta)
        slope[self.order, 0] = (weights * hazard - self.event) / self.n
        return value, slope


def largest_penalty(x: FloatArray, target: Target) -> float:
    """The least penalty at which no input enters."""
    loss = Loss(target)
    _, slope = loss.of(_start(loss))
    return float(np.abs(x.T @ slope).max())


def _start(loss: Loss) -> FloatArray:
    return np.tile(_null(loss), (loss.n, 1))


def _null(loss: Loss) -> FloatArray:
    """(answers,) the intercept where no input is in."""
    if loss.kind != "classes":
        return np.zeros(loss.answers)
    share = loss.hot.mean(axis=0)
    return np.array([np.log(share[1] / share[0])]) if loss.answers == 1 else np.asarray(np.log(share) - np.log(share).mean())


def lasso_path(x: FloatArray, target: Target, penalties: FloatArray, *, most: int | None = None) -> Path:
    """Mean loss + penalty * sum |coefficient| minimised at every penalty, each from the last one's solution.

    x : (n, p) standardised columns. Accelerated proximal gradient with a step that is found by halving, restarted where it turns
    back: Beck and Teboulle 2009, doi:10.1137/080716542. most : stop once so many inputs are in.
    """
    loss = Loss(target)
    # The intercept is one more column, with no penalty.
    wide = np.hstack([x, np.ones((loss.n, 1))])
    weights = np.zeros((wide.shape[1], loss.answers))
    weights[-1] = _null(loss)
    free = np.zeros((wide.shape[1], 1))
    free[:-1] = 1.0
    step = 1.0
    found = []
    for penalty in penalties:
        weights, step = _descend(wide, loss, weights, float(penalty) * free, step)
        found.append(weights)
        if most is not None and np.count_nonzero(np.abs(weights[:-1]).max(axis=1)) >= most:
            break
    all_of = np.array(found)
    return Path(np.asarray(penalties[: len(found)]), largest_penalty(x, target), all_of[:, :-1], all_of[:, -1])


def _descend(x: FloatArray, loss: Loss, weights: FloatArray, penalty: FloatArray, step: float) -> tuple[FloatArray, float]:
    ahead, pace = weights, 1.0
    for _ in range(MOST_STEPS):
        value, slope = loss.of(x @ ahead)
        gradient = x.T @ slope
        if not loss.free:
            gradient[-1] = 0.0
        while True:
            moved = ahead - step * gradient
            new = np.sign(moved) * np.maximum(np.abs(moved) - step * penalty, 0.0)
            change = new - ahead
            if loss.of(x @ new)[0] <= value + float((gradient * change).sum()) + float((change**2).sum()) / (2 * step) + 1e-12:
                break
            step /= 2
        moved_by = float(np.abs(new - weights).max())
        if float(((ahead - new) * (new - weights)).sum()) > 0:
            pace = 1.0  # momentum turned against the descent
        following = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = new + (pace - 1) / following * (new - weights)
        weights, pace = new, following
        if moved_by <= CLOSE:
            break
    return weights, min(step * 1.5, 1e3)


def deviance(x: FloatArray, target: Target, path: Path, train: IntArray, test: IntArray) -> FloatArray:
    """(penalties,) loss on patients the path has not seen, summed over them.

    A Cox likelihood is no sum over patients: that of all minus that of the training rows (Verweij and van Houwelingen 1993,
    doi:10.1002/sim.4780122407).
    """
    found = np.zeros(len(path.penalties))
    everyone, seen = Loss(target), Loss(target.take(train))
    for place in range(len(found)):
        eta = x @ path.coefficients[place] + path.intercepts[place]
        whole = everyone.of(eta)[0] * everyone.n
        found[place] = whole - seen.of(eta[train])[0] * seen.n
    return found

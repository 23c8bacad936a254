"""L-BFGS for many small problems side by side: one call evaluates them all, each has its own step, memory and end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from radpipe.typing import FloatArray

# (parameters (a, P), which problems (a,)) -> values (a,), gradients (a, P)
Evaluate = Callable[[FloatArray, NDArray[np.int64]], tuple[FloatArray, FloatArray]]
# (iteration, which problems (a,), parameters (a, P), values (a,)) -> which of them are to stop (a,) bool
Report = Callable[[int, NDArray[np.int64], FloatArray, FloatArray], NDArray[np.bool_]]

# Strong Wolfe conditions with Nocedal and Wright's constants for quasi-Newton methods.
DECREASE, CURVATURE = 1e-4, 0.9
EVALUATIONS = 25
# A gradient this small is one of rounding.
FLAT = 1e-10
# Relative to the value: below this two values differ by rounding, and slopes alone decide (Hager and Zhang 2005).
ROUNDING = 1e-14


def minimise(evaluate: Evaluate, start: FloatArray, report: Report, *, iterations: int, memory: int = 20) -> None:
    """Make every problem's value small, each for itself: what one does is not touched by which others stand beside it.

    start : (B, P). report is called after every iteration (0 is the start) with the problems that are still going; a problem
    ends when report says so, when its gradient vanishes, or when no step lowers its value. Parameters whose gradient is 0
    throughout stay where they are. Nocedal and Wright 2006, algorithms 3.5, 3.6 and 7.4.
    """
    which = np.arange(len(start))
    theta = np.array(start, dtype=np.float64)
    value, gradient = evaluate(theta, which)
    steps = np.zeros((0, *theta.shape))
    changes = np.zeros((0, *theta.shape))
    inverse = np.zeros((0, len(theta)))  # 1 / (step . change); 0 where a pair is none
    scale = np.ones(len(theta))  # of the inverse Hessian before any pair
    going = ~report(0, which, theta, value) & (np.abs(gradient).max(axis=1) > FLAT)
    for iteration in range(1, iterations + 1):
        if not going.all():
            which, theta, value, gradient, scale = which[going], theta[going], value[going], gradient[going], scale[going]
            steps, changes, inverse = steps[:, going], changes[:, going], inverse[:, going]
        if not len(which):
            return
        direction = _direction(gradient, steps, changes, inverse, scale)
        slope = _dot(gradient, direction)
        uphill = slope >= 0  # rounding has spoilt the memory
        if uphill.any():
            inverse[:, uphill] = 0.0
            direction[uphill] = -gradient[uphill]
            slope[uphill] = _dot(gradient[uphill], direction[uphill])
        fresh = (inverse == 0).all(axis=0)
        first = np.where(fresh, np.minimum(1.0, 1.0 / np.abs(gradient).sum(axis=1)), 1.0)
        length, new_value, new_gradient = _search(evaluate, which, theta, direction, value, gradient, slope, first)
        moved = theta + length[:, None] * direction
        still = (moved == theta).all(axis=1)
        step, change = moved - theta, new_gradient - gradient
        curvature, squared = _dot(step, change), _dot(change, change)
        fine = curvature > 1e-12 * np.sqrt(_dot(step, step) * squared)
        inverse = np.where(still, 0.0, inverse)  # one whose step failed forgets, and steps along its gradient next time
        steps = np.concatenate([steps, step[None]])[-memory:]
        changes = np.concatenate([changes, change[None]])[-memory:]
        inverse = np.concatenate([inverse, np.where(fine, 1.0 / np.where(fine, curvature, 1.0), 0.0)[None]])[-memory:]
        scale = np.where(fine, curvature / np.where(fine, squared, 1.0), np.where(still, 1.0, scale))
        theta, value, gradient = moved, new_value, new_gradient
        going = ~(still & fresh)
        if going.any():
            going[going] = ~report(iteration, which[going], theta[going], value[going])
        going &= np.abs(gradient).max(axis=1) > FLAT


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    result: FloatArray = np.einsum("bp,bp->b", a, b)
    return result


def _direction(
    gradient: FloatArray, steps: FloatArray, changes: FloatArray, inverse: FloatArray, scale: FloatArray
) -> FloatArray:
    """(B, P) minus the approximate inverse Hessian times the gradient: the two-loop recursion."""
    q = -gradient
    weights = np.zeros_like(inverse)
    for k in range(len(steps) - 1, -1, -1):
        weights[k] = inverse[k] * _dot(steps[k], q)
        q -= weights[k][:, None] * changes[k]
    q *= scale[:, None]
    for k in range(len(steps)):
        q += (weights[k] - inverse[k] * _dot(changes[k], q))[:, None] * steps[k]
    return q


def _search(
    evaluate: Evaluate, which: NDArray[np.int64], theta: FloatArray, direction: FloatArray,
    value: FloatArray, gradient: FloatArray, slope: FloatArray, first: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """Step lengths that meet the strong Wolfe conditions, with value and gradient there; length 0 where none was found."""
    count = len(which)
    length, low, high = first.copy(), np.zeros(count), np.full(count, np.nan)
    low_value, low_slope, low_gradient = value.copy(), slope.copy(), gradient.copy()
    high_value, high_slope = np.full(count, np.nan), np.full(count, np.nan)
    live = np.arange(count)
    for _ in range(EVALUATIONS):
        now = length[live]
        f, g = evaluate(theta[live] + now[:, None] * direction[live], which[live])
        d = _dot(g, direction[live])
        f0, d0, f_low, bracketed = value[live], slope[live], low_value[live], ~np.isnan(high[live])
        close = np.abs(f - f0) <= ROUNDING * np.maximum(np.abs(f0), 1.0)
        accepted_by_slope = close & (d <= (2 * DECREASE - 1) * d0)
        low_here = low[live]
        # Not finite (an overflow far out) counts as too far.
        too_far = ~np.isfinite(f) | (~accepted_by_slope & ((f > f0 + DECREASE * now * d0) | ((low_here > 0) & (f >= f_low))))
        done = ~too_far & (np.abs(d) <= -CURVATURE * d0)
        beyond = ~too_far & ~done & np.where(bracketed, d * (high[live] - low_here) >= 0, d >= 0)
        onward = ~too_far & ~done
        at = live[too_far]
        high[at], high_value[at], high_slope[at] = now[too_far], f[too_far], d[too_far]
        at = live[beyond]
        high[at], high_value[at], high_slope[at] = low[at], low_value[at], low_slope[at]
        before = low_here[onward]
        keep = onward | done
        at = live[keep]
        low[at], low_value[at], low_slope[at], low_gradient[at] = now[keep], f[keep], d[keep], g[keep]
        at, far = live[onward], np.isnan(high[live[onward]])
        # Not bracketed yet: go on, between a little and ten times as far as the last stride.
        length[at[far]] = now[onward][far] + 4.0 * (now[onward][far] - before[far])
        at = live[~done]
        at = at[~np.isnan(high[at])]
        length[at] = _between(low[at], low_value[at], low_slope[at], high[at], high_value[at], high_slope[at])
        # An interval that has shrunk to rounding holds no other step.
        thin = np.abs(high - low) <= 1e-15 * np.maximum(1.0, np.abs(low))
        live = live[~done & ~thin[live]]
        if not len(live):
            break
    return low, low_value, low_gradient


def _between(a: FloatArray, fa: FloatArray, da: FloatArray, b: FloatArray, fb: FloatArray, db: FloatArray) -> FloatArray:
    """The minimum of the cubic through both ends, held away from them by a tenth; the middle where there is none."""
    width = b - a
    with np.errstate(all="ignore"):
        d1 = da + db - 3 * (fa - fb) / (a - b)
        d2 = np.sign(width) * np.sqrt(d1 * d1 - da * db)
        found = b - width * (db + d2 - d1) / (db - da + 2 * d2)
    middle = a + 0.5 * width
    inside = (
        np.isfinite(found) & (np.minimum(a, b) + 0.1 * np.abs(width) <= found) & (found <= np.maximum(a, b) - 0.1 * np.abs(width))
    )
    edge = np.where(np.abs(found - a) < np.abs(found - b), a + 0.1 * width, b - 0.1 * width)
    result: FloatArray = np.where(inside, found, np.where(np.isfinite(found), edge, middle))
    return result

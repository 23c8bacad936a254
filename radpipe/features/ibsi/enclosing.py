"""The smallest box and the smallest ellipsoid around a set of points, and the surface of an ellipsoid."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import ConvexHull, QhullError

from radpipe.typing import FloatArray

_DEGREES = 20
_MOST_FACETS = 200
_SPREAD = 100
_REFINED = 4
_APART = math.cos(math.radians(12.0))
_ELLIPSOID_TOLERANCE = 1e-6
_MOST_STEPS = 20_000


def ellipsoid_area(a: float, b: float, c: float) -> float:
    """Surface of an ellipsoid as the manual computes it (IBSI RDD2), from its semi-axes in descending order.

    The manual's series of Legendre polynomials up to degree 20, with eccentricities sqrt(1 - b^2 / a^2) and sqrt(1 - c^2 / a^2).
    Only with sqrt(1 - c^2 / b^2) for the first would it tend to the true surface; as it stands it is right for a sphere and too
    small for others. The reference values are made with it (the digital phantom's 1.36; the true surface gives 1.30), so the
    feature is what the manual writes.
    """
    squares = (1.0 - (b / a) ** 2) + (1.0 - (c / a) ** 2)
    product = (1.0 - (b / a) ** 2) * (1.0 - (c / a) ** 2)
    # terms[k] = (alpha beta)^k P_k((alpha^2 + beta^2) / (2 alpha beta)): the polynomials' recursion without the division.
    before, term, total = 0.0, 1.0, 1.0
    for k in range(_DEGREES):
        before, term = term, ((2 * k + 1) * 0.5 * squares * term - k * product * before) / (k + 1)
        total += term / (1.0 - 4.0 * (k + 1) ** 2)
    return 4.0 * math.pi * a * b * total


def smallest_box(points: FloatArray, facet_normals: FloatArray) -> tuple[float, float, float]:
    """Sides of the smallest box, in any orientation, that holds the points (IBSI ZH1A).

    points : (n, 3), corners of a convex hull; facet_normals : (m, 3), of that hull's facets.
    In a smallest box two adjacent faces each lie flush with an edge of the hull (O'Rourke 1985, doi:10.1007/BF00991005). Boxes
    with a side along the normal of a facet, along an axis of the image or of the points' spread, or along one of 100 directions all
    around are measured, each with its best turn by rotating callipers; from the best of these a search goes on downhill. That
    no smaller box exists is not proved.
    """
    normals = _distinct(facet_normals)
    if len(normals) > _MOST_FACETS:  # evenly taken; the search downhill makes up for those left out
        normals = normals[np.linspace(0, len(normals) - 1, _MOST_FACETS).astype(int)]
    axes = np.concatenate(
        [normals, np.eye(3), np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2], _hemisphere(_SPREAD)]
    )
    boxes = [_box_along(points, axis) for axis in axes]
    volumes = np.prod(boxes, axis=1)
    order = np.argsort(volumes, kind="stable")
    best = boxes[int(order[0])]
    starts: list[FloatArray] = []
    for axis in axes[order]:  # the best, but no two of them close together
        if all(abs(float(axis @ start)) < _APART for start in starts):
            starts.append(axis)
            found = _downhill(points, axis)
            if math.prod(found) < math.prod(best):
                best = found
        if len(starts) == _REFINED:
            break
    return best


def _hemisphere(n: int) -> FloatArray:
    """(n, 3) unit vectors spread evenly over half a sphere, on a spiral that turns by the golden angle."""
    height = (np.arange(n) + 0.5) / n
    turn = np.arange(n) * math.pi * (3.0 - math.sqrt(5.0))
    radius = np.sqrt(1.0 - height**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)


def _distinct(normals: FloatArray) -> FloatArray:
    """One of every set of (anti)parallel normals."""
    turned = normals * np.where(normals[:, [0]] < 0, -1.0, 1.0)
    return normals[np.unique(np.round(turned, 9), axis=0, return_index=True)[1]]


def _box_along(points: FloatArray, axis: FloatArray) -> tuple[float, float, float]:
    """Sides of the smallest box with one side along ``axis``: height, then the smallest rectangle around the shadow."""
    placed = points @ _frame(axis)
    first, second = smallest_rectangle(placed[:, 1:])
    return float(np.ptp(placed[:, 0])), first, second


def _frame(axis: FloatArray) -> FloatArray:
    """(3, 3) columns: the axis as a unit vector, and two at right angles to it and each other (Duff 2017, JCGT 6:1)."""
    x, y, z = (float(value) for value in axis / math.sqrt(float(axis @ axis)))
    sign = math.copysign(1.0, z)
    a = -1.0 / (sign + z)
    b = x * y * a
    return np.array([[x, 1.0 + sign * x * x * a, b], [y, sign * b, sign + y * y * a], [z, -sign * x, -y]])


def smallest_rectangle(points: FloatArray) -> tuple[float, float]:
    """Sides of the smallest rectangle around points (n, 2): one side lies on an edge of their hull (Freeman 1975)."""
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:  # all on a line
        return float(np.linalg.norm(np.ptp(points, axis=0))), 0.0
    edges = np.roll(corners, -1, axis=0) - corners
    angle = np.arctan2(edges[:, 1], edges[:, 0])
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along = cosine * corners[:, 0] + sine * corners[:, 1]
    across = cosine * corners[:, 1] - sine * corners[:, 0]
    widths, heights = np.ptp(along, axis=1), np.ptp(across, axis=1)
    best = int(np.argmin(widths * heights))
    return float(widths[best]), float(heights[best])


def _downhill(points: FloatArray, axis: FloatArray) -> tuple[float, float, float]:
    """Tilt ``axis`` in two directions until no tilt makes the box smaller (Nelder and Mead 1965)."""
    axis, u, v = _frame(axis).T

    def volume(tilt: FloatArray) -> float:
        return math.prod(_box_along(points, axis + tilt[0] * u + tilt[1] * v))

    start = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1]])
    found = minimize(volume, start[0], method="Nelder-Mead", options={"initial_simplex": start, "xatol": 1e-6, "maxfev": 150})
    return _box_along(points, axis + found.x[0] * u + found.x[1] * v)


def smallest_ellipsoid(points: FloatArray) -> tuple[float, float, float]:
    """Semi-axes, descending, of the smallest ellipsoid that holds the points (n, 3) (IBSI SWZ1); they span three dimensions.

    Khachiyan's ascent with steps away from points that do not count (Todd and Yildirim 2007, doi:10.1016/j.dam.2007.02.013), to
    a tolerance of 1e-6 (the manual's is 1e-3), then grown until it holds every point.
    """
    n, d = points.shape
    middle = points.mean(axis=0)
    scale = float(np.abs(points - middle).max())
    lifted = np.concatenate([(points - middle) / scale, np.ones((n, 1))], axis=1)
    weight = np.full(n, 1.0 / n)
    inverse = np.linalg.inv((lifted.T * weight) @ lifted)
    reach = np.einsum("ij,jk,ik->i", lifted, inverse, lifted)
    for step in range(_MOST_STEPS):
        far = int(np.argmax(reach))
        used = np.flatnonzero(weight > 0.0)
        near = int(used[np.argmin(reach[used])])
        above, below = reach[far] / (d + 1) - 1.0, 1.0 - reach[near] / (d + 1)
        if max(above, below) <= _ELLIPSOID_TOLERANCE:
            break
        point = far if above >= below else near
        kappa = reach[point]
        beta = (kappa - d - 1.0) / ((d + 1.0) * (kappa - 1.0))
        if point == near and above < below:
            beta = max(beta, -weight[point] / (1.0 - weight[point]))
        weight *= 1.0 - beta
        weight[point] = max(weight[point] + beta, 0.0)
        if step % 200 == 199:  # rank-one updates drift
            inverse = np.linalg.inv((lifted.T * weight) @ lifted)
            reach = np.einsum("ij,jk,ik->i", lifted, inverse, lifted)
            continue
        direction = inverse @ lifted[point]
        shrink = beta / (1.0 - beta + beta * kappa)
        inverse = (inverse - shrink * np.outer(direction, direction)) / (1.0 - beta)
        reach = (reach - shrink * (lifted @ direction) ** 2) / (1.0 - beta)
    points = lifted[:, :d]
    centre = weight @ points
    spread = (points.T * weight) @ points - np.outer(centre, centre)
    shape = np.linalg.inv(spread) / d
    offsets = points - centre
    grown = float(np.einsum("ij,jk,ik->i", offsets, shape, offsets).max())
    a, b, c = np.sqrt(grown * 1.0 / np.linalg.eigvalsh(shape)) * scale
    return float(a), float(b), float(c)

"""Planar contours -> voxels: geometry only, no files.

**Inside.** A voxel belongs to the region where its centre does. The contours that lie in one plane count together, even-odd: a
centre inside an odd number of them is inside (XOR), so an inner contour is a hole, and a keyhole contour, which runs to its
inner outline and back along the same line, has its hole by itself.

**Edge.** A centre exactly on an edge (to 1e-6 mm) is inside where the region lies on the side of the higher index, outside
where it lies on the side of the lower one: a square from centre 0 to centre 2 holds the centres 0 and 1, and squares side by
side share no voxel. Area is kept so, whatever the corners fall on.

**Planes.** A contour speaks for the slab around its plane: the centres of a slab are projected onto the plane along its normal.
Neighbouring planes meet half-way (nearest plane; a centre half-way between two belongs to the plane on the side of the higher
slice), as long as they are no more than 1.5 times the usual distance apart; a wider gap stays empty, for it is two parts of a
region or a slice that nobody drew. The outermost planes, and those beside a gap, reach half a slab further (a centre exactly
there is inside on the side of the lower slice). A slab is as thick as the file says; else a slice, where every contour lies on
a slice of the grid; else the smallest distance between two planes of the structure set, but no more than 10 mm or a slice.
On the image that was contoured this is the plain rule: every contour on its own slice.

Nothing of this asks that planes and slices be parallel: on an oblique grid each centre looks up its nearest contour plane.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radpipe.core.grid import Grid
from radpipe.typing import BoolVolume, FloatArray

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
"""The geometric types that have an inside."""
_SAME_MM = 1e-6  # an edge and a centre this close are one; far above rounding, far below a header's last digit
_TIE_MM = 1e-4  # planes: positions come as text or float32
_LEVEL_MM = 0.02  # contours this flat along the slices' normal are parallel to the slices
_FLAT_MM = 0.5  # a contour further from its own plane than this is no planar contour
_BRIDGE = 1.5  # usual plane distances
_THICKEST_MM = 10.0  # two planes far apart, and no third: not a slab as thick as that


class Unusable(Exception):
    """Contours that cannot be a region. The reader turns it into an error with case, file and ROI. empty : nothing to fill."""

    def __init__(self, problem: str, hint: str, *, empty: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.empty = empty


@dataclass(frozen=True, eq=False)
class Contour:
    """points : (n, 3), LPS in (x, y, z), mm; the last is joined to the first. kind : ContourGeometricType. sop_uid : of the
    image it was drawn on, where the file says so."""

    points: FloatArray
    kind: str = "CLOSED_PLANAR"
    sop_uid: str = ""


@dataclass(frozen=True)
class RasterNotes:
    """How contours became voxels.

    contours, planes : that were used. slab_mm : what one plane by itself stands for. plane_distance_mm : the usual one between
    planes (nan of a single plane). angle_deg : between contour planes and slices. off_slice_mm : the farthest that a plane lies
    from its nearest slice (nan where they are not parallel). bridged : neighbouring planes more than a slice apart, filled from
    the nearest one. gaps : (from, to), mm along the normal, left empty. cut, outside : contours that reach beyond the image, or
    lie beyond it whole. unseen : planes that no slice fell to. left : contours that were left out, in words.
    """

    contours: int
    planes: int
    slab_mm: float
    plane_distance_mm: float
    angle_deg: float
    off_slice_mm: float
    bridged: int = 0
    gaps: tuple[tuple[float, float], ...] = ()
    cut: int = 0
    outside: int = 0
    unseen: int = 0
    left: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person should know of it; empty where every contour lay on its slice."""
        said = list(self.left)
        if self.angle_deg > 0:
            said.append(
                f"the contour planes stand at {self.angle_deg:.3g} degrees to the slices: each voxel took its nearest plane."
            )
        elif self.off_slice_mm > _LEVEL_MM:
            said.append(f"contour planes lie up to {self.off_slice_mm:.3g} mm off the slices: each slice took its nearest plane.")
        if self.bridged:
            said.append(
                f"{_counted(self.bridged, 'time')} neighbouring contour planes are more than a slice apart (usually "
                f"{self.plane_distance_mm:.3g} mm): the slices between took the nearest one."
            )
        for low, high in self.gaps:
            said.append(f"there is no contour from {low:.2f} to {high:.2f} mm along the normal: left empty.")
        if self.unseen:
            said.append(f"no voxel centre lies in the slabs of {_counted(self.unseen, 'contour plane')}: the grid is coarser.")
        if self.cut:
            said.append(f"{_counted(self.cut, 'contour')} reach beyond the image: the region is cut off there.")
        if self.outside:
            said.append(f"{_counted(self.outside, 'contour')} lie outside the image.")
        return tuple(said)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


@dataclass(frozen=True)
class _Plane:
    """Contours of one plane. low, high : of its slab along the normal, mm."""

    at: float
    contours: tuple[FloatArray, ...]
    low: float
    high: float


def fill(
    contours: Sequence[Contour], grid: Grid, *, slab_mm: float | None = None, drawn_mm: float | None = None
) -> tuple[BoolVolume, RasterNotes]:
    """The voxels of ``grid`` inside the contours, (z, y, x) bool, and how they came about; the rules are the module's.

    slab_mm : how thick a slab one contour stands for, where the file says so. drawn_mm : :func:`plane_spacing` of the whole
    structure set. Contours without an inside are left out and noted. Unusable where none is left, or they are no stack of
    parallel plane contours. The voxels may all be False.
    """
    closed, left = _with_inside(contours)
    steps = np.asarray(grid.direction).reshape(3, 3) * np.asarray(grid.spacing_mm[::-1])  # column: mm per index of x, y, z
    normal, angle = _normal(closed, steps[:, 2] / np.linalg.norm(steps[:, 2]))
    planes, slab, distance, bridged, gaps, twice = _planes(closed, normal, angle, grid, steps, slab_mm, drawn_mm)
    if twice:
        left.append(f"{_counted(twice, 'contour')} stand twice in the file and counted once.")
    origin = np.asarray(grid.origin_mm)
    inverse = np.linalg.inv(steps)
    size = np.asarray(grid.shape[::-1])
    inside = np.zeros(grid.shape, bool)
    cut = outside = unseen = 0
    for plane in planes:
        box = _index_box(plane.contours, plane, normal, origin, inverse)
        if _beside(box, size):
            outside += len(plane.contours)
            continue
        unseen += not _fill_plane(inside, plane, box, normal, origin, steps)
        for points in plane.contours:
            own = box if len(plane.contours) == 1 else _index_box((points,), plane, normal, origin, inverse)
            # Along the slices a contour beyond the last one is not cut: it has its slab, or none.
            beyond = np.any((own[0] < -0.5 - 1e-3) | (own[1] > size - 0.5 + 1e-3), where=[True, True, angle > 0])
            whole = _beside(own, size)
            outside += whole
            cut += bool(beyond) and not whole
    off = math.nan
    if angle == 0:
        places = (np.array([plane.at for plane in planes]) - origin @ normal) / float(steps[:, 2] @ normal)
        off = float(np.abs(places - np.rint(places)).max() * grid.spacing_mm[0])
    notes = RasterNotes(
        contours=sum(len(plane.contours) for plane in planes), planes=len(planes), slab_mm=slab, plane_distance_mm=distance,
        angle_deg=angle, off_slice_mm=off, bridged=bridged, gaps=gaps, cut=cut, outside=outside,
        unseen=unseen, left=tuple(left),
    )  # fmt: skip
    return inside, notes


def plane_spacing(stacks: Sequence[Sequence[Contour]]) -> float | None:
    """The smallest distance between two planes of contours over several regions, mm: the slices they were drawn on.

    None where there is one plane only, or the regions' planes are not parallel.
    """
    closed = [contour.points for contours in stacks for contour in contours if contour.kind in CLOSED and len(contour.points) > 2]
    if not closed:
        return None
    normal = _unit(_common_area(closed))
    if normal is None or any(np.ptp(points @ normal) > _FLAT_MM for points in closed):
        return None
    at = np.unique(np.round([float((points @ normal).mean()) for points in closed], 2))
    gaps = np.diff(at)
    gaps = gaps[gaps > 5 * _LEVEL_MM]  # nearer ones are one plane, written with few digits
    return float(gaps.min()) if gaps.size else None


# the stack of planes


def _with_inside(contours: Sequence[Contour]) -> tuple[list[FloatArray], list[str]]:
    """Points of the contours that have an inside, and what was left out."""
    closed: list[FloatArray] = []
    other: dict[str, int] = {}
    short = flat = 0
    for contour in contours:
        if contour.kind not in CLOSED:
            other[contour.kind or "no type"] = other.get(contour.kind or "no type", 0) + 1
        elif len(contour.points) < 3:
            short += 1
        elif np.linalg.svd(contour.points - contour.points.mean(axis=0), compute_uv=False)[1] < _SAME_MM:
            flat += 1  # all points on one line
        else:
            closed.append(np.asarray(contour.points, float))
    left = [f"{_counted(n, 'contour')} of the type {kind} have no inside and were left out." for kind, n in sorted(other.items())]
    if short:
        left.append(f"{_counted(short, 'contour')} of one or two points enclose nothing and were left out.")
    if flat:
        left.append(f"{_counted(flat, 'contour')} without area were left out.")
    if not closed:
        why = " ".join(left) if left else "it has no contours."
        raise Unusable(
            f"there is nothing to fill: {why}", "Draw closed contours (CLOSED_PLANAR), or leave this ROI out.", empty=True
        )
    return closed, left


def _area(points: FloatArray) -> FloatArray:
    """Vector area, mm2: along the normal of a planar contour (Newell)."""
    moved = points - points[0]
    return np.asarray(np.cross(moved, np.roll(moved, -1, axis=0)).sum(axis=0) / 2)


def _common_area(polygons: Sequence[FloatArray]) -> FloatArray:
    """The areas added up whichever way round each contour was drawn."""
    areas = np.array([_area(points) for points in polygons])
    largest = areas[np.argmax(np.linalg.norm(areas, axis=1))]
    return np.asarray((areas * np.where(areas @ largest < 0, -1.0, 1.0)[:, None]).sum(axis=0))


def _unit(vector: FloatArray) -> FloatArray | None:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else None


def _normal(polygons: Sequence[FloatArray], of_slices: FloatArray) -> tuple[FloatArray, float]:
    """The normal that all contours share, on the side of the higher slice, and its angle to that of the slices (0: the same)."""
    if all(np.ptp(points @ of_slices) <= _LEVEL_MM for points in polygons):
        return of_slices, 0.0
    normal = _unit(_common_area(polygons))
    if normal is None:
        raise Unusable("its contours enclose no area.", "Draw closed contours, or leave this ROI out.")
    if normal @ of_slices < 0:
        normal = -normal
    turned = 0.0
    for number, points in enumerate(polygons, start=1):
        if np.ptp(points @ normal) <= _FLAT_MM:
            continue
        own = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][2]
        if np.ptp(points @ own) > _FLAT_MM:
            raise Unusable(
                f"contour {number} is not flat: its points lie up to {np.ptp(points @ own):.3g} mm apart along its normal.",
                "Export planar contours; radpipe does not fill surfaces.",
            )
        turned = max(turned, math.degrees(math.acos(min(1.0, abs(float(own @ normal))))))
    if turned:
        raise Unusable(
            f"its contours lie in planes of different orientation (turned by up to {turned:.3g} degrees against their mean).",
            "Export contours of one orientation.",
        )
    return normal, math.degrees(math.acos(min(1.0, float(normal @ of_slices))))


def _planes(
    polygons: Sequence[FloatArray], normal: FloatArray, angle: float, grid: Grid, steps: FloatArray,
    slab_mm: float | None, drawn_mm: float | None,
) -> tuple[list[_Plane], float, float, int, tuple[tuple[float, float], ...], int]:  # fmt: skip
    """(planes in order along the normal, slab, usual distance, bridged, gaps, contours that stood twice)."""
    slice_mm = float(np.abs(steps.T @ normal).max())  # one step along the normal, at least of the grid's steepest axis
    same = max(_LEVEL_MM, 0.01 * slice_mm)
    heights = np.array([float((points @ normal).mean()) for points in polygons])
    groups: list[list[int]] = []
    for place in np.argsort(heights, kind="stable"):
        if groups and heights[place] - heights[groups[-1][0]] <= same:
            groups[-1].append(int(place))
        else:
            groups.append([int(place)])
    at = np.array([heights[group].mean() for group in groups])
    steps_between = np.diff(at)
    # The lower median: of two distances the larger one may be a gap.
    usual = float(np.sort(steps_between)[(steps_between.size - 1) // 2]) if steps_between.size else math.nan
    if slab_mm is not None and slab_mm > 0:
        slab = slab_mm
    elif angle == 0 and _on_slices(at, normal, grid, steps, same):
        slab = slice_mm
    else:
        known = [distance for distance in (drawn_mm, *steps_between.tolist()) if distance is not None]
        slab = min(*known, max(slice_mm, _THICKEST_MM)) if known else slice_mm
    # Two planes alone do not tell how far apart planes usually are.
    reach = _BRIDGE * (max(slab, usual) if steps_between.size > 1 else slab) + _TIE_MM
    low, high, gaps, bridged = at - slab / 2, at + slab / 2, [], 0
    for place, gap in enumerate(steps_between):
        if gap <= reach or gap <= slab:
            low[place + 1] = high[place] = (at[place] + at[place + 1]) / 2
            bridged += bool(gap > slice_mm * 1.01 + _LEVEL_MM)
        else:
            gaps.append((float(high[place]), float(low[place + 1])))
    planes, twice = [], 0
    for group, a, b, c in zip(groups, at, low, high, strict=True):
        single = _single([polygons[place] for place in group])
        twice += len(group) - len(single)
        planes.append(_Plane(float(a), tuple(single), float(b), float(c)))
    return planes, slab, usual, bridged, tuple(gaps), twice


def _on_slices(at: FloatArray, normal: FloatArray, grid: Grid, steps: FloatArray, same: float) -> bool:
    places = (at - np.asarray(grid.origin_mm) @ normal) / float(steps[:, 2] @ normal)
    return bool(np.abs(places - np.rint(places)).max() * grid.spacing_mm[0] <= same)


def _single(polygons: list[FloatArray]) -> list[FloatArray]:
    """Without exact repetitions: some exports write every contour twice, and XOR would make both vanish."""
    seen: set[bytes] = set()
    kept = []
    for points in polygons:
        rounded = np.round(points, 3) + 0.0
        key = rounded[np.lexsort(rounded.T)].tobytes()
        if key not in seen:
            seen.add(key)
            kept.append(points)
    return kept


# one plane

Box = tuple[FloatArray, FloatArray]


def _index_box(polygons: Sequence[FloatArray], plane: _Plane, normal: FloatArray, origin: FloatArray, inverse: FloatArray) -> Box:
    """Lowest and highest index (x, y, z), not rounded, of what the contours' slab reaches."""
    points = np.concatenate(polygons)
    flat = points - np.outer(points @ normal, normal)
    both = np.concatenate([(flat + normal * height - origin) @ inverse.T for height in (plane.low, plane.high)])
    return both.min(axis=0), both.max(axis=0)


def _beside(box: Box, size: FloatArray) -> bool:
    """Whether the box lies beyond one side of the image."""
    return bool(np.any(box[1] <= -0.5 + 1e-3) or np.any(box[0] >= size - 0.5 - 1e-3))


def _fill_plane(
    inside: BoolVolume, plane: _Plane, within_box: Box, normal: FloatArray, origin: FloatArray, steps: FloatArray
) -> bool:
    """Set the voxels of the plane's slab that lie inside its contours; whether any voxel centre lay in the slab.

    Scanlines: along the grid axis that runs best within the plane, every row of voxels projects onto a straight line in it. A
    voxel is inside where an odd number of edges crosses its line at or before it.
    """
    size = inside.shape[::-1]
    lowest = np.maximum(np.floor(within_box[0] - 1e-3), 0).astype(int)
    highest = np.minimum(np.ceil(within_box[1] + 1e-3) + 1, size).astype(int)
    box = [(int(i), int(j)) for i, j in zip(lowest, highest, strict=True)]
    in_plane = steps - np.outer(normal, normal @ steps)
    lengths = np.linalg.norm(in_plane, axis=0)
    steep = np.abs(normal @ steps) / np.linalg.norm(steps, axis=0)
    scan = 0 if steep[0] < 0.9 else int(np.argmin(steep))
    first, second = (axis for axis in range(3) if axis != scan)
    u = in_plane[:, scan] / lengths[scan]
    w = np.cross(normal, u)
    across = first if abs(w @ steps[:, first]) >= abs(w @ steps[:, second]) else second
    w = -w if w @ steps[:, across] < 0 else w  # upwards with the index, for the edge rule
    # Rows of voxels along the scan axis, as (second, first) of the box.
    a, b = np.arange(*box[first]), np.arange(*box[second])
    start = box[scan][0]
    base = origin + start * steps[:, scan]
    corners = base + a[None, :, None] * steps[:, first] + b[:, None, None] * steps[:, second]
    rows = corners.reshape(-1, 3)
    count = box[scan][1] - start
    height = rows @ normal
    rise = float(steps[:, scan] @ normal)
    ends = np.stack([height, height + rise * (count - 1)])
    near = (ends.max(axis=0) >= plane.low - _TIE_MM) & (ends.min(axis=0) < plane.high - _TIE_MM)
    if not near.any():
        return False
    rows, height, kept = rows[near], height[near], np.flatnonzero(near)
    row, behind = _crossings(plane.contours, rows @ u, rows @ w, u, w, float(lengths[scan]), count)
    if scan == 0 and abs(rise) * count <= _SAME_MM:  # rows lie in the plane: all of each
        counts = np.bincount(row * (count + 1) + behind, minlength=len(rows) * (count + 1)).astype(np.uint8)
        # Whether a sum is odd survives its running over at 256.
        odd = np.cumsum(counts.reshape(-1, count + 1)[:, :count], axis=1, dtype=np.uint8) & 1
        inside[b[kept // a.size], a[kept % a.size], start : start + count] |= odd.astype(bool)
        return True
    line, along = _in_slab(height, rise, count, plane)
    keys = np.sort(row * (count + 1) + behind)
    before = np.searchsorted(keys, np.arange(len(rows)) * (count + 1), "left")
    odd = (np.searchsorted(keys, line * (count + 1) + along, "right") - before[line]) % 2 == 1
    place: dict[int, np.ndarray] = {}
    place[scan] = start + along[odd]
    place[first] = a[kept[line[odd]] % a.size]
    place[second] = b[kept[line[odd]] // a.size]
    inside[place[2], place[1], place[0]] = True
    return bool(line.size)


def _in_slab(height: FloatArray, rise: float, count: int, plane: _Plane) -> tuple[np.ndarray, np.ndarray]:
    """(row, voxel) of the voxels whose centres lie in the plane's slab. height : of each row's first one; rise : to the next."""
    low, high = plane.low - _TIE_MM, plane.high - _TIE_MM
    if abs(rise) * count <= _SAME_MM:
        begin, end = np.zeros(len(height), np.int64), np.full(len(height), count, np.int64)
    else:
        ends = np.sort(np.stack([(low - height) / rise, (high - height) / rise]), axis=0)
        begin = np.clip(np.floor(ends[0]), 0, count).astype(np.int64)
        end = np.clip(np.ceil(ends[1]) + 1, 0, count).astype(np.int64)
    many = np.maximum(end - begin, 0)
    line = np.repeat(np.arange(len(height)), many)
    along = np.repeat(begin - np.cumsum(many) + many, many) + np.arange(many.sum())
    at = height[line] + rise * along
    within = (at >= low) & (at < high)
    return line[within], along[within]


def _crossings(
    polygons: Sequence[FloatArray], u_row: FloatArray, w_row: FloatArray, u: FloatArray, w: FloatArray, step: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(row, voxel) of every crossing of an edge with a row: the first voxel at or behind it, ``count`` beyond the row's end.

    u_row, w_row : (rows,) where a row's first voxel lies in the plane, mm; its voxels follow along u, ``step`` mm apart.
    """
    ends = np.concatenate([np.stack([points, np.roll(points, -1, axis=0)], axis=1) for points in polygons])
    edge_u = ends @ u
    edge_w = np.round(ends @ w, 6)  # to _SAME_MM, so that corners and rows at one height are at one height
    order = np.argsort(w_row, kind="stable")
    level = np.round(w_row[order], 6)
    # A row crosses an edge where min <= w < max: a corner counts for one of its two edges, a level edge for none.
    begin = np.searchsorted(level, edge_w.min(axis=1), "left")
    crossed = np.searchsorted(level, edge_w.max(axis=1), "left") - begin
    edge = np.repeat(np.arange(len(ends)), crossed)
    rank = np.repeat(begin - np.concatenate([[0], np.cumsum(crossed)[:-1]]), crossed) + np.arange(crossed.sum())
    (u1, u2), (w1, w2) = edge_u[edge].T, edge_w[edge].T
    at = u1 + (level[rank] - w1) * ((u2 - u1) / (w2 - w1))
    row = order[rank]
    # The first voxel at or behind the crossing; a crossing on a centre is one whatever the last bit says.
    first = np.ceil((at - u_row[row] - _SAME_MM) / step)
    return row, np.clip(first, 0, count).astype(np.int64)

"""Contours to voxels: squares counted by hand, and random polygons against a test of every voxel centre in world space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from radpipe.core.grid import Grid
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError
from radpipe.io.dicom.contours import Contour
from radpipe.io.dicom.rtstruct import StructureRoi, rasterise

UNIT = Grid((5, 8, 8), (1.0, 1.0, 1.0))


def roi(*contours: Contour | np.ndarray, **values) -> StructureRoi:
    drawn = tuple(one if isinstance(one, Contour) else Contour(np.asarray(one, float)) for one in contours)
    return StructureRoi(1, "GTV", "1.2.3", drawn, **values)


def square(low: float, high: float, z: float = 1.0) -> np.ndarray:
    return np.array([[low, low, z], [high, low, z], [high, high, z], [low, high, z]])


def plane(mask, z: int) -> list[str]:
    return ["".join(".#"[int(value)] for value in row) for row in mask.voxels[z]]


# hand-worked


@pytest.mark.parametrize(
    ("low", "high", "first", "last"),
    [
        (-0.5, 1.5, 0, 1),
        (0.0, 2.0, 0, 1),
        (0.5, 2.5, 1, 2),
        (1.0, 4.0, 1, 3),
        (0.49, 2.51, 1, 2),
        (0.51, 2.49, 1, 2),
        (2.2, 3.2, 3, 3),
    ],
)
def test_a_square_holds_the_centres_between_its_edges(low, high, first, last) -> None:
    mask, notes = rasterise(roi(square(low, high)), UNIT)
    expected = np.zeros(UNIT.shape, bool)
    expected[1, first : last + 1, first : last + 1] = True
    np.testing.assert_array_equal(mask.voxels, expected)
    assert notes.sentences == ()


def test_squares_side_by_side_share_no_voxel_and_leave_none_out() -> None:
    """Edges run through voxel centres: the rule gives each centre to one side."""
    left = np.array([[0, 0, 1], [3, 0, 1], [3, 6, 1], [0, 6, 1]])
    right = left + np.array([3, 0, 0])
    one, two = rasterise(roi(left), UNIT)[0], rasterise(roi(right), UNIT)[0]
    whole = rasterise(roi([[0, 0, 1], [6, 0, 1], [6, 6, 1], [0, 6, 1]]), UNIT)[0]
    assert not (one.voxels & two.voxels).any()
    np.testing.assert_array_equal(one.voxels | two.voxels, whole.voxels)
    assert whole.voxels.sum() == 36  # its area


def test_a_triangle_by_hand() -> None:
    mask, _ = rasterise(roi([[0.5, 0.5, 2], [6.5, 0.5, 2], [0.5, 6.5, 2]]), UNIT)  # x + y < 7
    assert plane(mask, 2) == ["........", ".#####..", ".####...", ".###....", ".##.....", ".#......", "........", "........"]


@pytest.mark.parametrize("reverse", [False, True])
def test_an_inner_contour_is_a_hole_whichever_way_it_runs(reverse) -> None:
    inner = square(2.5, 4.5)
    mask, _ = rasterise(roi(square(0.5, 6.5), inner[::-1] if reverse else inner), UNIT)
    assert mask.voxels.sum() == 36 - 4
    assert plane(mask, 1)[3] == ".##..##."


def test_an_island_within_a_hole() -> None:
    mask, _ = rasterise(roi(square(-0.5, 7.5), square(0.5, 6.5), square(2.5, 4.5)), UNIT)
    assert mask.voxels.sum() == 64 - 36 + 4


def test_a_keyhole_contour_has_its_hole() -> None:
    """Out, in along a line, round the hole the other way, and back along the same line."""
    outer, inner = [(0.5, 0.5), (6.5, 0.5), (6.5, 6.5), (0.5, 6.5)], [(2.5, 2.5), (2.5, 4.5), (4.5, 4.5), (4.5, 2.5)]
    path = [*outer, outer[0], *inner, inner[0]]
    mask, _ = rasterise(roi([(x, y, 1) for x, y in path]), UNIT)
    expected, _ = rasterise(roi(square(0.5, 6.5), square(2.5, 4.5)), UNIT)
    np.testing.assert_array_equal(mask.voxels, expected.voxels)


def test_several_contours_on_a_slice_and_one_that_stands_twice() -> None:
    mask, notes = rasterise(roi(square(0.5, 2.5), square(4.5, 6.5), square(4.5, 6.5)), UNIT)
    assert mask.voxels.sum() == 8
    assert "1 contour stand twice" in notes.sentences[0]


def test_contours_of_other_types_and_of_two_points_are_left_out_by_name() -> None:
    others = [
        Contour(np.array([[3.0, 3, 1]]), "POINT"), Contour(square(0, 7), "OPEN_PLANAR"), Contour(square(0, 7)[:2]),
        Contour(np.array([[0.0, 0, 1], [1, 1, 1], [2, 2, 1]])),
    ]  # fmt: skip
    mask, notes = rasterise(roi(square(0.5, 2.5), *others), UNIT)
    assert mask.voxels.sum() == 4
    text = " ".join(notes.sentences)
    assert "type POINT" in text and "type OPEN_PLANAR" in text and "one or two points" in text and "without area" in text
    with pytest.raises(EmptyRoiError, match=r"ROI 1 'GTV'.*type POINT"):
        rasterise(roi(others[0]), UNIT)
    with pytest.raises(EmptyRoiError, match="one or two points"):
        rasterise(roi(others[2]), UNIT)


# planes


def stack(*heights: float) -> StructureRoi:
    return roi(*(square(0.5, 4.5, z) for z in heights))


def slices(mask) -> list[int]:
    return np.flatnonzero(mask.voxels.any(axis=(1, 2))).tolist()


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ((2,), [2]),
        ((1, 2, 3), [1, 2, 3]),
        ((1.3, 2.3, 3.3), [1, 2, 3]),  # shifted by a third: each its nearest slice
        ((0.5, 1.5, 2.5), [0, 1, 2]),  # exactly between: the lower end is inside, the upper is not, as many slices as contours
        ((0, 2, 4), [0, 1, 2, 3, 4]),  # every second slice: those between take the nearest, none beyond the outermost
        ((0, 1, 4), [0, 1, 4]),  # two parts: the gap is left empty
        ((1, 1.25, 1.5, 1.75, 2, 2.25), [1, 2]),  # finer than the slices
    ],
)
def test_planes_and_slices(heights, expected) -> None:
    mask, notes = rasterise(stack(*heights), UNIT)
    assert slices(mask) == expected
    assert notes.planes == len(heights)


def test_notes_say_what_was_done_between_planes() -> None:
    assert "0.3 mm off the slices" in rasterise(stack(1.3, 2.3, 3.3), UNIT)[1].sentences[0]
    bridged = rasterise(stack(0, 2, 4), UNIT)[1]
    assert bridged.bridged == 2 and "took the nearest one" in bridged.sentences[0]
    gap = rasterise(stack(0, 1, 4), UNIT)[1]
    assert gap.gaps == ((1.5, 3.5),) and "left empty" in gap.sentences[0]
    fine = rasterise(stack(1, 1.25, 1.5, 1.75, 2, 2.25), UNIT)[1]
    assert fine.unseen == 4


def test_the_nearest_plane_fills_a_slice_between() -> None:
    """Planes 3 mm apart on slices of 1 mm, small squares and large ones: each slice is as its nearest plane."""
    drawn = roi(square(0.5, 2.5, 0.2), square(0.5, 4.5, 3.2), square(0.5, 6.5, 6.2))
    mask, _ = rasterise(drawn, Grid((9, 8, 8), (1.0, 1.0, 1.0)))
    assert mask.voxels.sum(axis=(1, 2)).tolist() == [4, 4, 16, 16, 16, 36, 36, 36, 0]


def test_a_stated_slab_is_kept() -> None:
    mask, notes = rasterise(stack_with(3.0, 2), UNIT)
    assert slices(mask) == [1, 2, 3] and notes.slab_mm == 3.0


def stack_with(slab: float, *heights: float) -> StructureRoi:
    return roi(*(square(0.5, 4.5, z) for z in heights), slab_mm=slab)


def test_a_volume_is_kept_on_other_slices() -> None:
    """A cube of 12 mm in slices of 3 mm, brought to slices of 0.7, 2 and 5 mm."""
    drawn = roi(*(square(-6, 6, z) for z in (-4.5, -1.5, 1.5, 4.5)))
    for thick in (0.7, 2.0, 5.0):
        n = int(30 / thick)
        grid = Grid((n, 40, 40), (thick, 0.5, 0.5), (-9.75, -9.75, -n * thick / 2 + 0.31))
        mask, _ = rasterise(drawn, grid)
        assert mask.volume_ml == pytest.approx(12**3 / 1000, abs=12 * 12 * thick / 1000)  # one slice


# places


def test_a_region_outside_the_image_says_how_far() -> None:
    with pytest.raises(GeometryError, match=r"lies outside the image: all 1 contours, 12.5 mm beyond its x side"):
        rasterise(roi(square(0, 4) + np.array([20, 0, 0])), UNIT)
    with pytest.raises(GeometryError, match="beyond its z side"):
        rasterise(stack(30, 31), UNIT)


def test_a_region_cut_by_the_border_is_noted() -> None:
    mask, notes = rasterise(roi(square(5.5, 12)), UNIT)
    assert mask.voxels.sum() == 4 and notes.cut == 1 and "cut off" in notes.sentences[-1]
    partly = rasterise(stack(3, 4, 5, 6), UNIT)
    assert slices(partly[0]) == [3, 4] and partly[1].outside == 2


def test_a_region_smaller_than_a_voxel() -> None:
    with pytest.raises(EmptyRoiError, match="holds no voxel's centre"):
        rasterise(roi(square(2.2, 2.8)), UNIT)


def test_a_roi_without_contours_and_a_damaged_one() -> None:
    with pytest.raises(EmptyRoiError, match="no contours"):
        rasterise(roi(), UNIT)
    with pytest.raises(FileProblem, match="ROI 1 'GTV': contour 1 holds 2 points that are NaN"):
        rasterise(roi(problem="contour 1 holds 2 points that are NaN or infinite."), UNIT)


def test_contours_that_are_not_flat_or_not_parallel() -> None:
    bent = square(0, 6)
    bent[0, 2] += 4
    with pytest.raises(GeometryError, match="not flat"):
        rasterise(roi(square(0, 6, 3), bent), UNIT)
    upright = np.array([[0, 1, 0], [6, 1, 0], [6, 1, 4], [0, 1, 4]])
    with pytest.raises(GeometryError, match="different orientation"):
        rasterise(roi(square(0, 6), square(0, 6, 2), upright), UNIT)


@pytest.mark.parametrize("axis", [0, 1])
def test_contours_drawn_on_sagittal_and_coronal_planes(axis) -> None:
    """A box of 4 x 4 x 3 voxels, contoured across another axis than that of the slices."""
    corners = np.array([[0.5, 0.5], [4.5, 0.5], [4.5, 3.5], [0.5, 3.5]])
    drawn = [np.insert(corners, axis, at, axis=1) for at in (2.0, 3.0, 4.0, 5.0)]
    mask, notes = rasterise(roi(*drawn), UNIT)
    expected = np.zeros(UNIT.shape, bool)
    expected[(slice(1, 4), slice(1, 5), slice(2, 6)) if axis == 0 else (slice(1, 4), slice(2, 6), slice(1, 5))] = True
    np.testing.assert_array_equal(mask.voxels, expected)
    assert notes.angle_deg == pytest.approx(90)


def test_a_transform_takes_the_contours_to_the_grid() -> None:
    matrix = np.array([[0.0, -1, 0, 6], [1, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]])  # a quarter turn about z, then a shift
    mask, _ = rasterise(roi([[0.5, 0.5, 1], [2.5, 0.5, 1], [2.5, 1.5, 1], [0.5, 1.5, 1]]), UNIT, transform=matrix)
    assert np.argwhere(mask.voxels).tolist() == [[2, 2, 5], [2, 3, 5]]
    for bad in (np.diag([1.0, 1, 2, 1]), np.full((4, 4), np.nan), np.eye(3)):
        with pytest.raises(GeometryError):
            rasterise(roi(square(0, 3)), UNIT, transform=bad)


# properties


def rotation(rng: np.random.Generator) -> np.ndarray:
    """A random turn (no reflection)."""
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return turn if np.linalg.det(turn) > 0 else -turn


def turned_grid(rng: np.random.Generator, shape: tuple[int, int, int] = (6, 14, 12)) -> Grid:
    """Turned at random, and mirrored along some of its axes, as images with slices in reverse are."""
    spacing = rng.uniform(0.7, 3.0, 3)
    turn = rotation(rng) * rng.choice([-1.0, 1.0], 3)
    return Grid(
        shape, (float(spacing[0]), float(spacing[1]), float(spacing[2])), tuple(float(v) for v in rng.uniform(-200, 200, 3)),
        tuple(float(v) for v in turn.ravel()),
    )  # fmt: skip


def convex(rng: np.random.Generator, radius: float) -> np.ndarray:
    """Corners of a convex polygon around the origin, in order."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(5, 12))))
    assume(np.diff(angle, append=angle[0] + 2 * np.pi).max() < 2.6)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius * np.array([1.0, rng.uniform(0.5, 1)])


def by_hand(points: np.ndarray, centres: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(inside, doubtful) of centres projected along the normal, by which side of every edge they lie on."""
    sides = []
    for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
        outwards = np.cross(normal, b - a)
        sides.append((centres - a) @ (outwards / np.linalg.norm(outwards)))
    every = np.array(sides)
    return (every > 0).all(axis=0) | (every < 0).all(axis=0), np.abs(every).min(axis=0) < 1e-5


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parallel=st.booleans())
def test_a_stack_of_polygons_equals_a_test_of_every_centre(seed: int, parallel: bool) -> None:
    rng = np.random.default_rng(seed)
    grid = turned_grid(rng)
    turn = np.asarray(grid.direction).reshape(3, 3) if parallel else rotation(rng)
    normal = turn[:, 2]
    centre = grid.world_mm((np.array(grid.shape) - 1) / 2)
    thick = float(rng.uniform(1.0, 3.0))
    polygons = []
    for place in range(int(rng.integers(3, 6))):
        flat = convex(rng, float(rng.uniform(4, 9)))
        polygons.append(centre + flat @ turn[:, :2].T + normal * (place - 2 + 0.123) * thick)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    centres = grid.world_mm(index.astype(float))
    height = centres @ normal
    expected, doubtful = np.zeros(len(index), bool), np.zeros(len(index), bool)
    for points in polygons:
        at = float(points[0] @ normal)
        slab = np.abs(height - at) < thick / 2
        inside, near = by_hand(points, centres, normal)
        expected |= slab & inside
        doubtful |= near | (np.abs(np.abs(height - at) - thick / 2) < 2e-4)
    assume(expected.any())
    mask, notes = rasterise(roi(*polygons, slab_mm=thick), grid)
    sure = ~doubtful
    np.testing.assert_array_equal(mask.voxels.ravel()[sure], expected[sure])
    assert (notes.angle_deg == 0) == parallel


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_area_converges_to_the_polygons_area(seed: int) -> None:
    rng = np.random.default_rng(seed)
    flat = convex(rng, 10.0)
    x, y = flat.T
    area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    around = np.linalg.norm(np.roll(flat, -1, axis=0) - flat, axis=1).sum()
    points = np.column_stack([flat, np.zeros(len(flat))])
    for size in (1.0, 0.25, 0.05):
        n = int(24 / size)
        mask, _ = rasterise(roi(points), Grid((1, n, n), (1.0, size, size), (-12.0 + size * 0.37, -12.0 + size * 0.61, 0.0)))
        assert abs(mask.voxels.sum() * size * size - area) <= around * size  # the voxels that an edge can touch


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_turning_the_whole_scene_changes_nothing(seed: int) -> None:
    """Contours and grid turned and shifted together: the same voxels, as on the straight grid."""
    rng = np.random.default_rng(seed)
    turn, shift = rotation(rng), rng.uniform(-300, 300, 3)
    straight = Grid((5, 12, 12), (2.0, 1.0, 1.0), (-6.0, -6.0, -4.0))
    turned = Grid(
        straight.shape, straight.spacing_mm, tuple(float(v) for v in turn @ straight.origin_mm + shift),
        tuple(float(v) for v in turn.ravel()),
    )  # fmt: skip
    flat = convex(rng, 5.0)
    points = [np.column_stack([flat + 0.0123, np.full(len(flat), z)]) for z in (-2.0, 0.0, 2.0)]
    one = rasterise(roi(*points), straight)[0]
    two = rasterise(roi(*(p @ turn.T + shift for p in points)), turned)[0]
    np.testing.assert_array_equal(one.voxels, two.voxels)

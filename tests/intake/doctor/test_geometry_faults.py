"""Two grids, one of them moved, turned, cut or stretched on purpose: named rightly, with the numbers that were put in."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from radpipe.core.grid import Grid, grid_differences
from radpipe.features.grids import TOLERANCE
from radpipe.intake.geometry_faults import ACCEPTED, attributes, confirm, geometry_findings, lattice, on_image, patient_end

sizes = st.tuples(*[st.integers(3, 24)] * 3)
spacings = st.tuples(*[st.floats(0.3, 8)] * 3)
origins = st.tuples(*[st.floats(-900, 900)] * 3)
turns = st.sampled_from([(0.0, 0.0, 0.0), (180.0, 0.0, 0.0), (90.0, 0.0, 0.0), (12.0, -7.0, 31.0), (0.0, 0.0, 180.0)])


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    matrix = Rotation.from_euler("xyz", draw(turns), degrees=True).as_matrix()
    return Grid(draw(sizes), draw(spacings), draw(origins), tuple(matrix.ravel().tolist()))


def stored_otherwise(grid: Grid, axes: tuple[int, int, int], flips: tuple[int, int, int]) -> Grid:
    """The same voxels at the same places; axis j of the new file is axis axes[j] of the old, turned round where flips[j]."""
    matrix = np.asarray(grid.direction).reshape(3, 3)
    shape, spacing = np.array(grid.shape[::-1]), np.array(grid.spacing_mm[::-1])
    first = np.array([shape[axes[j]] - 1 if flips[j] else 0 for j in range(3)])
    index = np.zeros(3)
    index[list(axes)] = first
    origin = grid.world_mm(index[::-1])
    direction = matrix[:, list(axes)] * np.where(flips, -1, 1)
    return Grid(
        tuple(int(n) for n in shape[list(axes)][::-1]), tuple(float(s) for s in spacing[list(axes)][::-1]),
        tuple(float(o) for o in origin), tuple(direction.ravel().tolist()),
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(grids())
def test_a_grid_and_itself(grid: Grid) -> None:
    assert geometry_findings(grid, grid) == []
    assert all(row["same"] for row in attributes(grid, grid))


@settings(max_examples=15, deadline=None)
@given(grids(), st.integers(0, 2), st.floats(0.2, 40), st.sampled_from((-1, 1)))
def test_a_shift_is_named_by_axis_side_and_length(grid: Grid, axis: int, voxels: float, sign: int) -> None:
    index = np.zeros(3)
    index[2 - axis] = sign * voxels  # z, y, x
    origin = grid.world_mm(index)
    moved = Grid(grid.shape, grid.spacing_mm, tuple(float(o) for o in origin), grid.direction)
    (found,) = geometry_findings(grid, moved)
    assert (found.check, found.severity, found.safe_repair) == ("shift", "error", "")
    (mm, in_voxels, along, end) = re.findall(
        r"([\d.e+-]+) mm \(([\d.e+-]+) voxels\) along ([xyz]) towards the (\w+)", found.what
    )[0]
    assert along == "xyz"[axis]
    assert float(mm) == pytest.approx(voxels * grid.spacing_mm[2 - axis], rel=2e-3)
    assert float(in_voxels) == pytest.approx(voxels, rel=1e-2)
    assert end == patient_end(grid, axis, sign < 0)
    assert found.what.count("along") == 1
    row = {item["attribute"]: item for item in attributes(grid, moved)}["origin"]
    assert row["difference_mm"] == pytest.approx(voxels * grid.spacing_mm[2 - axis], rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(grids(), st.permutations(range(3)), st.tuples(*[st.booleans()] * 3), st.integers(0, 2**32 - 1))
def test_another_order_of_storage_is_named_and_undone_without_moving_a_voxel(
    grid: Grid, axes: list[int], flips: tuple[bool, bool, bool], seed: int
) -> None:
    order = (axes[0], axes[1], axes[2])
    other = stored_otherwise(grid, order, tuple(int(flip) for flip in flips))
    found = geometry_findings(grid, other)
    if order == (0, 1, 2) and not any(flips):
        assert found == []
        return
    (one,) = found
    assert one.check == ("flip" if order == (0, 1, 2) else "transposed-axes")
    assert one.safe_repair == "reorder-axes"
    if one.check == "flip":
        assert re.findall(r"its ([xyz]) axis", one.what) == ["xyz"[axis] for axis in range(3) if flips[axis]]
    else:
        place = {axes[j]: "xyz"[j] for j in range(3)}
        assert f"its {place[0]}, {place[1]}, {place[2]} are the image's x, y, z" in one.what
    # Undone, every voxel stands where its own header puts it.
    voxels = np.random.default_rng(seed).random(other.shape) < 0.2
    place_of = lattice(grid, other)
    assert place_of is not None
    mended, lost = on_image(voxels, place_of, grid.shape)
    assert lost == 0
    before, after = other.world_mm(np.argwhere(voxels)), grid.world_mm(np.argwhere(mended))
    assert before.shape == after.shape
    if len(before):
        # The nearest one, each taken once: sorted by rounded positions, the last bit could pair others.
        gaps, nearest = cKDTree(after).query(before)
        assert gaps.max() < 0.1 and len(set(nearest)) == len(before)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flipped_header_at_the_old_origin_is_not_repaired(axis: int) -> None:
    grid = Grid((20, 30, 40), (3.0, 1.0, 1.0), (10.0, 20.0, 30.0))
    direction = np.eye(3)
    direction[axis, axis] = -1
    (found,) = geometry_findings(grid, Grid(grid.shape, grid.spacing_mm, grid.origin_mm, tuple(direction.ravel())))
    assert (found.check, found.safe_repair) == ("flip", "")
    assert f"its {'xyz'[axis]} axis" in found.what


def test_sizes_in_another_order_under_the_same_header() -> None:
    image = Grid((26, 15, 21), (3.27, 5.47, 5.47))
    (found,) = geometry_findings(image, Grid((21, 15, 26), (3.27, 5.47, 5.47)))
    assert (found.check, found.safe_repair) == ("transposed-axes", "")
    assert "26 x 15 x 21" in found.what and "21 x 15 x 26" in found.what


@settings(max_examples=15, deadline=None)
@given(grids(), st.integers(0, 2), st.booleans(), st.integers(1, 2), st.booleans())
def test_slices_too_few_or_too_many(grid: Grid, axis: int, low: bool, count: int, fewer: bool) -> None:
    shape = list(grid.shape)
    start = [0, 0, 0]
    shape[axis] += -count if fewer else count
    if low:
        start[axis] = count if fewer else -count
    cut = grid.cropped((start[0], start[1], start[2]), (shape[0], shape[1], shape[2]))
    (found,) = geometry_findings(grid, cut)
    if tuple(cut.shape) != tuple(grid.shape):
        assert found.check == "slices" and found.safe_repair == "fit-to-image"
        name, end = "xyz"[2 - axis], patient_end(grid, 2 - axis, low)
        which = "first" if low else "last"
        assert (f"image's {which}" in found.what) and f"({name}, at the {end}" in found.what
        assert ("lacks" in found.what) is fewer
    # An empty margin may go; a region that reaches the cut may not.
    empty = np.zeros(cut.shape, np.uint8)
    middle = tuple(n // 2 for n in cut.shape)
    edge = empty.copy()
    edge[tuple(np.s_[0 if low else -1] if a == axis else middle[a] for a in range(3))] = 1
    assert confirm(found, grid, cut, edge).safe_repair == ""
    inner = empty.copy()
    safe = all(n >= 5 for n in cut.shape)
    if safe:
        inner[middle] = 1
        assert confirm(found, grid, cut, inner).safe_repair == "fit-to-image"


@pytest.mark.parametrize(("off", "severity"), [(1e-8, None), (3e-5, "note"), (1e-3, "error"), (0.03, "error")])
def test_rounding_is_told_from_a_shift(off: float, severity: str | None) -> None:
    grid = Grid((60, 200, 200), (3.0, 1.0, 1.0), (-120.0, 40.0, -700.0))
    found = geometry_findings(grid, Grid(grid.shape, grid.spacing_mm, (-120.0 + off, 40.0, -700.0), grid.direction))
    if severity is None:
        assert found == []
    else:
        assert [(item.check, item.severity, item.safe_repair) for item in found] == [("rounding", severity, "use-image-header")]
        # An error is what radpipe itself refuses.
        refused = grid_differences(
            grid, Grid(grid.shape, grid.spacing_mm, (-120.0 + off, 40.0, -700.0), grid.direction), TOLERANCE
        )
        assert bool(refused) is (severity == "error")


def test_spacing_and_cosines_written_short_are_rounding() -> None:
    grid = Grid((60, 512, 512), (3.27, 0.9765625, 0.9765625), (-249.51171875, -249.51171875, -700.0))
    short = Grid(grid.shape, (3.27, 0.97656, 0.97656), (-249.512, -249.512, -700.0))
    (found,) = geometry_findings(grid, short)
    assert found.check == "rounding" and found.safe_repair == "use-image-header"
    turned = Rotation.from_euler("z", 0.00004, degrees=False).as_matrix()
    (found,) = geometry_findings(grid, Grid(grid.shape, grid.spacing_mm, grid.origin_mm, tuple(turned.ravel())))
    assert found.check == "rounding"


def test_half_a_voxel_and_a_lost_header_are_called_so() -> None:
    grid = Grid((20, 30, 40), (3.0, 1.0, 1.0), (10.0, 20.0, 30.0))
    (found,) = geometry_findings(grid, Grid(grid.shape, grid.spacing_mm, (10.5, 20.5, 31.5)))
    assert found.check == "shift" and "Half a voxel along every axis" in found.what
    (found,) = geometry_findings(grid, Grid(grid.shape, (1.0, 1.0, 1.0)))
    assert found.check == "resolution" and "defaults (spacing 1 mm, origin 0)" in found.what


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.2])
def test_another_resolution_of_the_same_field_of_view(factor: float) -> None:
    grid = Grid((30, 60, 60), (3.0, 1.5, 1.5))
    shape = (30, round(60 / factor), round(60 / factor))
    origin = ((factor - 1) * 1.5 / 2, (factor - 1) * 1.5 / 2, 0.0)
    (found,) = geometry_findings(grid, Grid(shape, (3.0, 1.5 * factor, 1.5 * factor), origin))
    assert (found.check, found.safe_repair) == ("resolution", "")
    assert "same field of view" in found.what and "z " not in found.what.split(";")[0]


@settings(max_examples=15, deadline=None)
@given(grids(), st.floats(4.0, 40.0), st.sampled_from("xyz"))
def test_a_rotation_is_measured(grid: Grid, degrees: float, axis: str) -> None:
    turn = Rotation.from_euler(axis, degrees, degrees=True).as_matrix() @ np.asarray(grid.direction).reshape(3, 3)
    other = Grid(grid.shape, grid.spacing_mm, grid.origin_mm, tuple(turn.ravel().tolist()))
    (found,) = geometry_findings(grid, other)
    assert (found.check, found.safe_repair) == ("rotation", "")
    assert float(re.findall(r"by ([\d.]+) degrees", found.what)[0]) == pytest.approx(degrees, rel=0.01)


def test_sides_of_the_patient_are_those_of_lps() -> None:
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0))
    ends = [(patient_end(grid, axis, True), patient_end(grid, axis, False)) for axis in range(3)]
    assert ends == [("right", "left"), ("front", "back"), ("feet", "head")]


def test_the_tolerance_is_the_extractions_own() -> None:
    assert ACCEPTED == TOLERANCE


def test_every_order_of_axes_is_known_back() -> None:
    grid = Grid((5, 6, 7), (3.0, 2.0, 1.0), (1.0, 2.0, 3.0))
    for axes in itertools.permutations(range(3)):
        for flips in itertools.product((0, 1), repeat=3):
            place = lattice(grid, stored_otherwise(grid, axes, flips))
            assert place is not None
            first, last = place.box(stored_otherwise(grid, axes, flips).shape[::-1])
            assert first.tolist() == [0, 0, 0] and last.tolist() == [6, 5, 4]

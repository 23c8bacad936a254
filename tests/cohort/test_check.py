from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radpipe.cohort.check import check_case
from radpipe.core.case import Case
from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError, GeometryError

GRID = Grid((4, 5, 6), (3.0, 2.0, 1.0), (10.0, 20.0, 30.0))
CASE = Case("C1", "P1", "CT", Path("i.nii.gz"), Path("m.nii.gz"), 1, 0)
TURNED = (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def check(mask_grid: Grid, inside: bool = True) -> dict[str, float]:
    voxels = np.zeros(mask_grid.shape, bool)
    voxels[1, 1:3, 2] = inside
    return check_case(Image(GRID, np.zeros(GRID.shape)), Mask(mask_grid, voxels), CASE)


def test_facts() -> None:
    assert check(GRID) == {"mask_volume_ml": pytest.approx(2 * 6 / 1000)}


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (Grid((4, 5, 7), GRID.spacing_mm, GRID.origin_mm), r"size \(x, y, z\): image \(6, 5, 4\), mask \(7, 5, 4\) voxels"),
        (Grid(GRID.shape, (3.0, 2.5, 1.0), GRID.origin_mm), r"spacing .* off by up to 0\.5 mm"),
        (Grid(GRID.shape, GRID.spacing_mm, (10.0, 24.0, 30.0)), r"origin .* shifted by \(0, 4, 0\) mm \(2 voxels\)"),
        (Grid(GRID.shape, GRID.spacing_mm, GRID.origin_mm, TURNED), r"direction: cosines differ by up to 1 "),
    ],
)
def test_another_grid_says_what_differs_and_by_how_much(grid: Grid, words: str) -> None:
    with pytest.raises(GeometryError, match=words) as caught:
        check(grid)
    assert caught.value.case_id == "C1" and caught.value.path == "m.nii.gz" and caught.value.hint


def test_rounding_of_headers_is_no_difference() -> None:
    check(Grid(GRID.shape, (3.0 + 1e-6, 2.0, 1.0), (10.0, 20.0 + 1e-5, 30.0)))


def test_an_empty_mask() -> None:
    with pytest.raises(EmptyRoiError, match=r"C1.*empty"):
        check(GRID, inside=False)

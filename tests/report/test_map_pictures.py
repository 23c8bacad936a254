"""Planes as a radiologist sees them, whichever way the array lies; and what the page makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.report.html import render
from radpipe.report.map_pictures import anatomical, map_picture
from radpipe.report.summary import summarise

# LPS direction of the array axes z, y, x as +-1 at L, P, S -> what they are called in NIfTI's letters.
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
HEAD_DOWN = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)  # x runs to the right, y to the front
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # slices run to the left, rows to the feet, columns to the back


def picture(direction: tuple[float, ...], size: int = 9):
    """A lesion with one bright voxel at its left, one at its back and one at its top, in patient space."""
    grid = Grid((size, size, size), (2.0, 2.0, 2.0), direction=direction)
    world = grid.world_mm(np.stack(np.indices(grid.shape), axis=-1))
    at = world - world.reshape(-1, 3).mean(axis=0)
    near = lambda *point: np.linalg.norm(at - np.array(point), axis=-1) < 1  # noqa: E731
    voxels = 1.0 * near(4, 0, 0) + 2.0 * near(0, 4, 0) + 3.0 * near(0, 0, 4)
    inside = np.linalg.norm(at, axis=-1) < 4.5
    shown = map_picture("P1", Image(grid, voxels), Mask(grid, inside), {"m": voxels}, None, margin_mm=2.0)
    return {plane.name: plane.image for plane in shown.planes}


@pytest.mark.parametrize("direction", [IDENTITY, HEAD_DOWN, SAGITTAL])
def test_left_back_and_top_are_where_a_radiologist_looks_for_them(direction):
    planes = picture(direction)
    middle = planes["axial"].shape[0] // 2

    def places(plane, value):
        return [tuple(int(k) for k in place) for place in np.argwhere(planes[plane] == value)]

    (axial_left,), (axial_back,) = places("axial", 1), places("axial", 2)
    assert axial_left[1] > middle and axial_left[0] == middle, "the patient's left is on the right"
    assert axial_back[0] > middle and axial_back[1] == middle, "the back is below"
    (coronal_left,), (coronal_top,) = places("coronal", 1), places("coronal", 3)
    assert coronal_left[1] > middle and coronal_top[0] < middle, "the head is up"
    (sagittal_back,), (sagittal_top,) = places("sagittal", 2), places("sagittal", 3)
    assert sagittal_back[1] > middle and sagittal_top[0] < middle, "the front is on the left"


def test_an_oblique_image_keeps_the_order_of_its_array():
    half = np.sqrt(0.5)
    grid = Grid((2, 3, 4), (1.0, 1.0, 1.0), direction=(half, half, 0.0, half, -half, 0.0, 0.0, 0.0, -1.0))
    assert anatomical(grid) == ((0, 1, 2), (False, False, False))  # x and y lie as near to the left as to the back


def test_the_page_shows_every_map_with_its_scale_and_the_habitats(inputs):
    inputs = replace(inputs, overlays=(), pictures=())
    page = render(summarise(inputs))
    assert page.count("in axial, coronal and sagittal plane") == 2 * 4
    assert "How much neighbours differ." in page and 'href="#maps"' in page
    without = render(summarise(replace(inputs, maps=())))
    assert 'id="maps"' not in without


def test_one_scale_for_all_cases(inputs):
    summary = summarise(inputs)["maps"]
    values = [value for case in summary["cases"] for plane in case["planes"] for row in plane["maps"][0] for value in row]
    known = np.array([value for value in values if value is not None])
    column = summary["columns"][0]
    assert (column["low"], column["high"]) == pytest.approx(tuple(np.percentile(known, [2, 98])))
    assert summary["habitats"] == 3

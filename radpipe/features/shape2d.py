"""Shape of a region that is one plane of voxels: 9 features of PyRadiomics, on request and with force2D."""

from __future__ import annotations

import math

import numpy as np

from radpipe.errors import RadpipeError
from radpipe.features._kernels.diameter import hull_of_rows, longest
from radpipe.features.shape import principal_variances
from radpipe.typing import BoolVolume, FloatArray

# Marching squares: corners 0 (0, 0), 1 (0, 1), 2 (1, 1), 3 (1, 0); edges 0 top, 1 right, 2 bottom, 3 left, cut in the
# middle. For each configuration its lines, from edge to edge, in PyRadiomics' order (cshape.c, BSD 3-Clause).
_LINES = ("", "30", "01", "31", "12", "1230", "02", "32", "23", "20", "0123", "21", "13", "10", "03", "")
_EDGES = np.array([[0, 0.5], [0.5, 1], [1, 0.5], [0.5, 0]])


def compute(mask: BoolVolume, spacing_mm: tuple[float, float, float], force2d: bool, across: int) -> dict[str, float]:
    """Every feature of the family. mask : (z, y, x), cropped to the region; across : the axis it is one voxel along.

    RadpipeError where the region is not one plane, or force2D is off.
    """
    if not force2d or mask.shape[across] > 1:
        found = f"the region is {mask.shape[across]} voxels along axis {across} (0 z, 1 y, 2 x)" if force2d else "force2D is off"
        raise RadpipeError(
            f"shape2D needs a region of one plane and force2D: true; {found}.",
            hint="Leave shape2D out of featureClass, or set force2D and force2Ddimension for regions of one plane.",
            kind="empty_roi",
        )
    plane = np.take(mask, 0, axis=across)
    spacing = np.delete(np.asarray(spacing_mm, np.float64), across)
    perimeter, surface = outline(np.pad(plane, 1), spacing)
    # A plane has no extent across it: of the three eigenvalues the least is 0.
    _, minor, major = principal_variances(plane[None], np.array([1.0, *spacing]))
    sphericity = 2.0 * math.sqrt(math.pi * surface) / perimeter
    return {
        "Elongation": math.sqrt(minor / major),
        "MajorAxisLength": 4.0 * math.sqrt(major),
        "MaximumDiameter": diameter(np.pad(plane, 1), spacing),
        "MeshSurface": surface,
        "MinorAxisLength": 4.0 * math.sqrt(minor),
        "Perimeter": perimeter,
        "PerimeterSurfaceRatio": perimeter / surface,
        "PixelSurface": float(np.count_nonzero(plane)) * float(spacing[0] * spacing[1]),
        "Sphericity": sphericity,
        "SphericalDisproportion": 1.0 / sphericity,
    }


def outline(plane: BoolVolume, spacing: FloatArray) -> tuple[float, float]:
    """(length of the line around the region, mm; area inside it, mm2). plane : with a border of False."""
    square = plane[:-1, :-1] + 2 * plane[:-1, 1:] + 4 * plane[1:, 1:] + 8 * plane[1:, :-1]
    length = 0.0
    area = 0.0
    for configuration in range(1, 15):
        places = np.argwhere(square == configuration)
        edges = _LINES[configuration]
        for first, second in zip(edges[::2], edges[1::2], strict=True):
            a = (places + _EDGES[int(first)]) * spacing
            b = (places + _EDGES[int(second)]) * spacing
            length += float(np.sqrt(((a - b) ** 2).sum(axis=1)).sum())
            area += float((a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]).sum())
    return length, area / 2.0


def diameter(plane: BoolVolume, spacing: FloatArray) -> float:
    """Longest distance, mm, between the points where the outline cuts the pixel grid. plane : with a border of False."""
    crossings = np.concatenate(
        [
            np.argwhere(plane[:-1] != plane[1:]) * 2 + [1, 0],
            np.argwhere(plane[:, :-1] != plane[:, 1:]) * 2 + [0, 1],
        ]
    )
    ends = np.full((2 * plane.shape[0], 2), -1, np.int32)
    for row in np.unique(crossings[:, 0]):
        columns = crossings[crossings[:, 0] == row, 1]
        ends[row] = columns.min(), columns.max()
    corners = hull_of_rows(ends) * 0.5 * spacing
    return math.sqrt(longest(np.column_stack([np.zeros(len(corners)), corners])))

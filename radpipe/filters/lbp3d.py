"""LBP3D: local binary patterns in 3D, turned into numbers that do not change when the region is turned, and the kurtosis.

Banerjee 2013, doi:10.1007/978-3-642-37410-4_3. A voxel's neighbours are the corners of an icosphere around it, taken from the
image by cubic B-splines (outside the image 0, and in the image's dtype: rounded in an image of whole numbers). Which of them
are at least as bright as the voxel is written in spherical harmonics; every degree's norm is one response, and the kurtosis
of the neighbours' intensities another. PyRadiomics gives the polar angle for the azimuth and the other way round, so the
functions are not quite the harmonics of the sphere; kept, because the names promise its values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.ndimage import map_coordinates, spline_filter

from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings
from radpipe.typing import FloatArray, IntArray

_CHUNK_VOXELS = 2048
# A B-spline's coefficient depends on a voxel n away by 0.27^n: beyond this margin on less than its last digit.
_REACH = 64
# The icosahedron with corners on the unit sphere: half its short and half its long side, corners, faces.
_SHORT, _LONG = 0.5257311121191336, 0.85065080835204
_CORNERS = np.array(
    [(a * _SHORT, b * _LONG, 0.0) for b in (1, -1) for a in (-1, 1)]
    + [(0.0, a * _SHORT, b * _LONG) for b in (1, -1) for a in (-1, 1)]
    + [(b * _LONG, 0.0, a * _SHORT) for b in (1, -1) for a in (-1, 1)]
)
_FACES = np.array(
    [
        (0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2), (10, 7, 6), (7, 1, 8),
        (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5), (2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1),
    ]
)  # fmt: skip


def prefixes(settings: FilterSettings) -> list[str]:
    return [f"lbp-3D-m{level}" for level in range(1, settings.lbp3DLevels + 1)] + ["lbp-3D-k"]


def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
    """The norms of degrees 0, 1, ... and the kurtosis (NaN where all neighbours are equally bright)."""
    corners = icosphere(settings.lbp3DIcosphereSubdivision, settings.lbp3DIcosphereRadius)
    degrees, harmonics = _harmonics(corners, settings.lbp3DIcosphereRadius, settings.lbp3DLevels)
    places = np.argwhere(scene.mask) + [side.start for side in scene.box]
    coefficients = _coefficients(scene, int(np.ceil(settings.lbp3DIcosphereRadius)) + 3)
    norms = np.empty((settings.lbp3DLevels, len(places)))
    kurtosis = np.empty(len(places))
    for start in range(0, len(places), _CHUNK_VOXELS):
        chunk = slice(start, start + _CHUNK_VOXELS)
        sampled = places[chunk][:, None, :] + corners[None]  # (voxels, corners, 3)
        around = map_coordinates(
            coefficients, sampled.transpose(2, 0, 1), order=3, prefilter=False, output=scene.voxels.dtype
        )  # (voxels, corners)
        kurtosis[chunk] = _kurtosis(around)
        ones = np.greater_equal(around, scene.values[chunk, None]).astype(np.int64)
        norms[:, chunk] = _norms(ones, degrees, harmonics, settings.lbp3DLevels)
    yield from zip(prefixes(settings), [*norms, kurtosis], strict=True)


def icosphere(subdivisions: int, radius: float) -> FloatArray:
    """(corners, 3): an icosahedron whose triangles are cut in four, again and again, and whose corners are put on the sphere."""
    corners, faces = _CORNERS, _FACES
    for _ in range(subdivisions):
        edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        _, first, place = np.unique(edges[:, 1] * len(corners) + edges[:, 0], return_index=True, return_inverse=True)
        middle = place.reshape(-1, 3) + len(corners)
        corners = np.vstack([corners, corners[edges[first]].mean(axis=1)])
        a, b, c = faces.T
        ab, bc, ca = middle.T
        faces = np.column_stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca]).reshape(-1, 3)
        corners = _on_sphere(corners, radius)
    return _on_sphere(corners, radius) if subdivisions == 0 else corners


def _on_sphere(corners: FloatArray, radius: float) -> FloatArray:
    length = np.sqrt(np.dot(corners**2, [1, 1, 1]))[:, None]
    return np.asarray(corners + corners / length * (radius - length))


def _harmonics(corners: FloatArray, radius: float, levels: int) -> tuple[IntArray, NDArray[np.complex128]]:
    """(degree of every function, (corners, functions) their values), with the two angles exchanged, as PyRadiomics does."""
    azimuth = np.arccos(corners[:, 2] / radius)
    polar = np.arctan2(corners[:, 1], corners[:, 0])
    degrees, columns = [], []
    for n in range(levels):
        for m in range(-n, n + 1):
            degrees.append(n)
            columns.append(_spherical(n, m, polar, azimuth))
    return np.array(degrees), np.column_stack(columns)


def _spherical(n: int, m: int, polar: FloatArray, azimuth: FloatArray) -> NDArray[np.complex128]:
    """Of degree n and order m. scipy renamed the function in 1.15 and exchanged its arguments; the numbers are the same."""
    if hasattr(special, "sph_harm_y"):
        return np.asarray(special.sph_harm_y(n, m, polar, azimuth))
    return np.asarray(special.sph_harm(m, n, azimuth, polar))


def _norms(ones: IntArray, degrees: IntArray, harmonics: NDArray[np.complex128], levels: int) -> FloatArray:
    """(levels, voxels). The sums run in PyRadiomics' order, for equal patterns must give equal numbers."""
    weights = (ones[:, :, None] * harmonics[None]).sum(axis=1)
    rebuilt = [weights[:, None, degrees == 0] * harmonics[None, :, degrees == 0]]
    rebuilt += [
        np.sum(weights[:, None, degrees == n] * harmonics[None, :, degrees == n], axis=2, keepdims=True) for n in range(1, levels)
    ]
    return np.asarray(np.real(np.sqrt(np.sum(np.concatenate(rebuilt, axis=2) ** 2, axis=1))).T)


def _kurtosis(around: NDArray[Any]) -> FloatArray:
    """Excess kurtosis of every row; NaN where its values are equal but for rounding."""
    mean = around.mean(axis=1, keepdims=True)
    squares = (around - mean) ** 2
    m2 = squares.mean(axis=1)
    m4 = (squares**2).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(m2 <= (np.finfo(m2.dtype).resolution * mean[:, 0]) ** 2, np.nan, m4 / m2**2.0) - 3)


def _coefficients(scene: Scene, margin: int) -> FloatArray:
    """(z, y, x) B-spline coefficients of the whole image, computed around the region and 0 elsewhere.

    The places of the zeros are asked of the machine but never touched, so they take no memory; they keep the coordinates those of
    the whole image, whose rounding decides whether an equally bright neighbour counts.
    """
    part, _ = scene.around(margin + _REACH)
    filtered = spline_filter(part, order=3, output=np.float64, mode="constant")
    whole = np.zeros(scene.voxels.shape)
    target = tuple(
        slice(max(side.start - margin - _REACH, 0), max(side.start - margin - _REACH, 0) + size)
        for side, size in zip(scene.box, part.shape, strict=True)
    )
    whole[target] = filtered
    return whole


def _told(prefix: str, settings: FilterSettings) -> str:
    where = f"the 3D local binary patterns at {settings.lbp3DIcosphereRadius:g} voxels"
    if prefix == "lbp-3D-k":
        return f"the kurtosis of the neighbours' intensities at {settings.lbp3DIcosphereRadius:g} voxels"
    return f"the norm of {where} in spherical harmonics of degree {int(prefix.removeprefix('lbp-3D-m')) - 1}"


LBP3D = ImageType(prefixes, respond, _told, keeps_unit=False)

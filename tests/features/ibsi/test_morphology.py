"""Form: cases worked by hand, bodies whose boxes and ellipsoids are known, the manual's series beside the true surface."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import legval
from numpy.testing import assert_allclose
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation
from scipy.special import elliprg

from radpipe.features.ibsi.enclosing import ellipsoid_area, smallest_box, smallest_ellipsoid, smallest_rectangle
from radpipe.features.ibsi.morphology import compute

SIDES = st.floats(0.5, 20.0)
QUICK = settings(max_examples=8, deadline=None)


def morphology(voxels, mask, spacing=(1.0, 1.0, 1.0), intensity=None):
    mask = np.asarray(mask, bool)
    return compute(np.asarray(voxels, float), mask, mask if intensity is None else intensity, spacing)


def box_of(points):
    return sorted(smallest_box(points, ConvexHull(points).equations[:, :3]))


def test_one_voxel_is_an_octahedron():
    """Its mesh has its six points half a voxel from the middle: a sixth of the voxel's volume."""
    got = morphology(np.full((1, 1, 1), 7.0), np.ones((1, 1, 1)), (3.0, 2.0, 4.0))
    assert got["VolumeMesh"] == pytest.approx(4.0) and got["VolumeVoxelCounting"] == 24.0
    assert got["VolumeDensityAxisAlignedBoundingBox"] == pytest.approx(1 / 6)
    assert got["VolumeDensityConvexHull"] == pytest.approx(1.0) and got["AreaDensityConvexHull"] == pytest.approx(1.0)
    assert got["Maximum3DDiameter"] == 4.0
    # The ellipsoid through the six points: semi-axes 1.5, 1, 2.
    assert got["VolumeDensityMinimumVolumeEnclosingEllipsoid"] == pytest.approx(4.0 / (4 / 3 * math.pi * 3.0), rel=1e-5)
    assert got["IntegratedIntensity"] == pytest.approx(28.0) and got["CentreOfMassShift"] == 0.0
    undefined = {name for name, value in got.items() if math.isnan(value)}
    assert undefined == {
        "MajorAxisLength", "MinorAxisLength", "LeastAxisLength", "Elongation", "Flatness", "MoransIIndex", "GearysCMeasure",
        "VolumeDensityApproximateEnclosingEllipsoid", "AreaDensityApproximateEnclosingEllipsoid",
    }  # fmt: skip


def test_two_voxels():
    """Intensities 1 and 3 at a distance of 3 mm: weighted middle 0.75 mm from the region's; one pair, so I = -1 and C = 2 - 1."""
    got = morphology([[[1.0]], [[3.0]]], np.ones((2, 1, 1)), (3.0, 1.0, 1.0))
    assert got["CentreOfMassShift"] == pytest.approx(0.75)
    assert got["MajorAxisLength"] == pytest.approx(4 * math.sqrt(4.5))  # variance over n - 1
    assert got["Flatness"] == 0.0 and got["Elongation"] == 0.0
    assert got["MoransIIndex"] == pytest.approx(-1.0) and got["GearysCMeasure"] == pytest.approx(1.0)
    assert math.isnan(got["VolumeDensityApproximateEnclosingEllipsoid"])


def test_a_box_of_voxels():
    """Principal axes of a box of n x m x k voxels are known: variance (n^2 - 1) / 12 in voxels, here over N - 1."""
    mask = np.ones((4, 6, 9), bool)
    got = morphology(np.ones(mask.shape), mask, (2.0, 1.0, 1.0))
    factor = mask.size / (mask.size - 1)
    for name, n, mm in (("LeastAxisLength", 6, 1.0), ("MinorAxisLength", 4, 2.0), ("MajorAxisLength", 9, 1.0)):
        assert got[name] == pytest.approx(4 * mm * math.sqrt((n * n - 1) / 12 * factor))
    assert got["VolumeDensityOrientedMinimumBoundingBox"] == pytest.approx(got["VolumeDensityAxisAlignedBoundingBox"])
    assert got["VolumeDensityAxisAlignedBoundingBox"] == pytest.approx(got["VolumeMesh"] / (8 * 6 * 9))
    assert got["Asphericity"] == pytest.approx(got["SphericalDisproportion"] - 1)
    assert got["Compactness1"] == pytest.approx(math.sqrt(got["Compactness2"]) / (6 * math.pi))


def test_intensities_come_from_the_intensity_mask():
    voxels = np.arange(1.0, 28.0).reshape(3, 3, 3)
    everything = np.ones(voxels.shape, bool)
    part = voxels > 20
    got, whole = morphology(voxels, everything, intensity=part), morphology(voxels, everything)
    assert got["VolumeMesh"] == whole["VolumeMesh"]
    assert got["IntegratedIntensity"] == pytest.approx(24.0 * whole["VolumeMesh"])
    weighted = (np.argwhere(part) * voxels[part][:, None]).sum(axis=0) / voxels[part].sum()
    assert got["CentreOfMassShift"] == pytest.approx(float(np.linalg.norm(weighted - 1.0)))
    assert math.isnan(morphology(voxels - voxels.mean(), everything)["CentreOfMassShift"])


@QUICK
@given(SIDES, SIDES, SIDES, st.integers(0, 999))
def test_smallest_box_of_a_turned_box(a, b, c, seed):
    rng = np.random.default_rng(seed)
    corners = np.array(np.meshgrid([-a / 2, a / 2], [-b / 2, b / 2], [-c / 2, c / 2])).reshape(3, -1).T
    inner = rng.uniform(-0.5, 0.5, (30, 3)) * (a, b, c)
    points = Rotation.random(rng=rng).apply(np.concatenate([corners, inner])) + rng.normal(size=3)
    assert_allclose(box_of(points[ConvexHull(points).vertices]), sorted((a, b, c)), rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_smallest_box_that_no_facet_lies_on(seed):
    """A regular tetrahedron of edge 1: the smallest box is the cube of side 1 / sqrt 2 whose face diagonals are its edges."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / math.sqrt(2)
    turned = Rotation.random(rng=np.random.default_rng(seed)).apply(corners)
    assert math.prod(box_of(turned)) == pytest.approx(2.0**-1.5, rel=1e-3)


@QUICK
@given(st.integers(0, 999))
def test_smallest_box_is_no_larger_than_others(seed):
    """Than any of 300 boxes in random orientations, and it holds the hull's volume."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(25, 3)) * (1, 2, 4)
    hull = ConvexHull(points)
    points = points[hull.vertices]
    found = math.prod(box_of(points))
    turns = Rotation.random(300, rng=rng).as_matrix()
    others = np.prod(np.ptp(points @ turns.transpose(0, 2, 1), axis=1), axis=1)
    assert hull.volume < found <= others.min() * (1 + 1e-9)


def test_smallest_rectangle():
    """A unit square standing on its corner, and points on a line."""
    assert_allclose(sorted(smallest_rectangle(np.array([[0, 1.0], [1, 0], [0, -1], [-1, 0]]))), [math.sqrt(2)] * 2)
    assert smallest_rectangle(np.array([[0.0, 0], [3, 4], [1.5, 2]])) == (5.0, 0.0)


@QUICK
@given(SIDES, SIDES, SIDES, st.integers(0, 999))
def test_smallest_ellipsoid_of_known_bodies(a, b, c, seed):
    """Through the six corners of an octahedron; around a box it is sqrt 3 / 2 as long as the box."""
    rng = np.random.default_rng(seed)
    turn = Rotation.random(rng=rng)
    shift = rng.normal(size=3) * 10
    octahedron = np.concatenate([np.diag([a, b, c]), -np.diag([a, b, c])])
    wanted = sorted((a, b, c), reverse=True)
    assert_allclose(smallest_ellipsoid(turn.apply(octahedron) + shift), wanted, rtol=1e-5)
    corners = np.array(np.meshgrid([-a, a], [-b, b], [-c, c])).reshape(3, -1).T
    assert_allclose(smallest_ellipsoid(turn.apply(corners) + shift), np.multiply(wanted, math.sqrt(3)), rtol=1e-5)


@QUICK
@given(st.integers(0, 999))
def test_smallest_ellipsoid_is_tight(seed):
    """John's theorem: shrunk to a third about its middle it lies in the hull, so its volume is below 27 times the hull's."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(40, 3)) * (1, 3, 5)
    hull = ConvexHull(points)
    axes = smallest_ellipsoid(points[hull.vertices])
    assert hull.volume < 4 / 3 * math.pi * math.prod(axes) < 27 * hull.volume
    again = smallest_ellipsoid(points)  # points inside the hull change nothing
    assert_allclose(axes, again, rtol=1e-4)


@given(SIDES, SIDES, SIDES)
@settings(max_examples=50, deadline=None)
def test_surface_is_the_manuals_series(a, b, c):
    a, b, c = sorted((a, b, c), reverse=True)
    alpha, beta = math.sqrt(1 - (b / a) ** 2), math.sqrt(1 - (c / a) ** 2)
    if alpha * beta == 0.0:
        return
    nu = np.arange(21)
    wanted = 4 * math.pi * a * b * legval((alpha**2 + beta**2) / (2 * alpha * beta), (alpha * beta) ** nu / (1 - 4.0 * nu**2))
    assert ellipsoid_area(a, b, c) == pytest.approx(wanted, rel=1e-9)


def test_surface_of_a_sphere_is_true_and_of_others_is_not():
    """The manual's eccentricity sqrt(1 - b^2 / a^2) where Keller has sqrt(1 - c^2 / b^2): the reference values are made with it."""
    assert ellipsoid_area(2.0, 2.0, 2.0) == pytest.approx(16 * math.pi)
    a, b, c = 11.402 / 2, 9.308 / 2, 8.536 / 2  # the digital phantom's
    true = 4 * math.pi * elliprg((a * b) ** 2, (a * c) ** 2, (b * c) ** 2)
    assert 388.07 / ellipsoid_area(a, b, c) == pytest.approx(1.36, abs=0.01)  # the reference value
    assert 388.07 / true == pytest.approx(1.304, abs=0.001)

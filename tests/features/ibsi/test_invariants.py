"""What must not change: moving, turning and padding the image, scaling and shifting its intensities, scaling its voxels."""

from __future__ import annotations

import numpy as np
import pytest

from radpipe.features.ibsi.extract import extract_ibsi
from radpipe.features.ibsi.parameters import BY_PLANE, BY_VOLUME, parse_ibsi

EVERY_WAY = {"aggregations": [*BY_PLANE, *BY_VOLUME]}
IN_PLANE = {"rot90": lambda a: np.rot90(a, axes=(1, 2)), "flip z": lambda a: a[::-1], "flip x": lambda a: a[:, :, ::-1]}
IN_SPACE = {"z to x": lambda a: np.rot90(a, axes=(0, 2)), "z to y": lambda a: a.transpose(1, 0, 2)}
# Where two ambiguous configurations of marching cubes meet, the surface depends a little on how the image is turned.
MESH = (
    "Mesh", "SurfaceToVolumeRatio", "Compactness", "Spher", "Asphericity", "Density", "IntegratedIntensity",
)  # fmt: skip


def row_of(case, voxels, region, spacing=(2.0, 2.0, 2.0), **settings):
    return extract_ibsi(*case(voxels, region, spacing), parse_ibsi(EVERY_WAY | settings))


def same(got, wanted, rtol=1e-9, mesh=1e-9, leave_out=()):
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        if name.endswith(tuple(leave_out)):
            continue
        tolerance = mesh if "_morph_" in name and any(part in name for part in MESH) else rtol
        # Skewness, shades and the like may lie around 0.
        assert got[name] == pytest.approx(value, rel=tolerance, abs=1e-8, nan_ok=True), name


@pytest.fixture(scope="module")
def solid():
    """An egg without ambiguous corners, and intensities without symmetry."""
    z, y, x = np.indices((9, 10, 11))
    region = ((z - 4) / 3.4) ** 2 + ((y - 4.5) / 3.8) ** 2 + ((x - 5) / (4.4 + 0.1 * (y - 4.5))) ** 2 <= 1
    return np.rint(20 + 9 * np.sin(0.7 * z + y) + 5 * np.cos(x * y / 7.0) + x), region


@pytest.fixture(scope="module")
def plain(case, solid):
    return row_of(case, *solid)


@pytest.mark.parametrize("turn", IN_PLANE)
def test_turning_in_the_plane(case, solid, plain, turn):
    same(row_of(case, *(IN_PLANE[turn](a) for a in solid)), plain, mesh=1e-6)


@pytest.mark.parametrize("turn", IN_SPACE)
def test_turning_in_space(case, solid, turn):
    ways = {"aggregations": list(BY_VOLUME)}
    wanted = row_of(case, *solid, **ways)
    same(row_of(case, *(IN_SPACE[turn](a) for a in solid), **ways), wanted, mesh=1e-6)


def test_turning_with_unequal_spacing(case, solid):
    """Form, local peaks and resampling follow the spacing when it turns with the image."""
    settings = {"families": ["morph", "loc", "stat"], "resample": {"spacing_mm": 1.5}}
    wanted = row_of(case, *solid, (3.0, 1.0, 2.0), **settings)
    same(row_of(case, *(a.transpose(2, 0, 1) for a in solid), (2.0, 3.0, 1.0), **settings), wanted, mesh=1e-4)


def test_moving_and_padding(case, blob):
    voxels, region = blob
    wanted = row_of(case, voxels, region)
    padded = [np.pad(a, ((4, 1), (0, 7), (3, 3)), mode="edge") for a in (voxels, region)]
    padded[1] = np.pad(region, ((4, 1), (0, 7), (3, 3)))
    same(row_of(case, *padded), wanted, leave_out=("IntensityPeak",))  # the sphere sees what was padded
    inner = np.pad(voxels, 4, mode="edge"), np.pad(region, 4)
    far = np.pad(inner[0], 5), np.pad(inner[1], 5)
    same(row_of(case, *far), row_of(case, *inner))


def test_scaling_and_shifting_intensities(case, blob):
    """A fixed number of bins does not feel it, nor do ranks and correlations."""
    voxels, region = blob
    wanted = row_of(case, voxels, region)
    got = row_of(case, voxels * 8.0 + 64.0, region)
    for name, value in wanted.items():
        family, feature = name.split("_")[1:]
        if family not in ("stat", "loc", "morph") or feature in ("MoransIIndex", "GearysCMeasure", "IntensitySkewness"):
            assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name
    assert got["original_stat_MeanIntensity"] == pytest.approx(wanted["original_stat_MeanIntensity"] * 8 + 64)
    assert got["original_stat_IntensityVariance"] == pytest.approx(wanted["original_stat_IntensityVariance"] * 64)
    assert got["original_loc_GlobalIntensityPeak"] == pytest.approx(wanted["original_loc_GlobalIntensityPeak"] * 8 + 64)


def test_shifting_grey_levels(case, blob):
    """Levels i -> i + 5: what speaks of differences and of sizes stays, means go along."""
    voxels, region = blob
    settings = {"discretise": {"method": "none"}, "families": ["ih", "cm", "rlm", "szm", "dzm", "ngl", "ngt"]}
    wanted, got = row_of(case, voxels, region, **settings), row_of(case, voxels + 5, region, **settings)
    stays = (
        "JointMaximum", "JointVariance", "JointEntropy", "DifferenceAverage", "DifferenceVariance", "DifferenceEntropy",
        "SumVariance", "SumEntropy", "AngularSecondMoment", "Dissimilarity", "InverseDifference", "InverseDifferenceMoment",
        "InverseVariance", "Correlation", "ClusterTendency", "ClusterShade", "ClusterProminence", "InformationCorrelation1",
        "InformationCorrelation2", "ShortRunsEmphasis", "LongRunsEmphasis", "GreyLevelNonUniformity", "RunPercentage",
        "GreyLevelVariance", "RunEntropy", "SmallZoneEmphasis", "ZoneSizeEntropy", "LargeDistanceEmphasis", "ZonePercentage",
        "HighDependenceEmphasis", "DependenceCountEnergy", "Coarseness", "Strength", "DiscretisedIntensityEntropy",
    )  # fmt: skip
    compared = 0
    for name, value in wanted.items():
        if name.rsplit("_", 1)[1] in stays:
            compared += 1
            assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
    assert compared > 150
    mean = "original_cm-3D-mrg_JointAverage"
    assert got[mean] == pytest.approx(wanted[mean] + 5)


def test_scaling_voxels(case, solid):
    """Twice the spacing: volumes 8, areas 4, lengths 2 times as large, shapes and textures the same."""
    families = {"families": ["morph", "cm", "dzm"]}
    small, large = row_of(case, *solid, **families), row_of(case, *solid, (4.0, 4.0, 4.0), **families)
    powers = {
        "VolumeMesh": 3, "VolumeVoxelCounting": 3, "SurfaceAreaMesh": 2, "SurfaceToVolumeRatio": -1, "CentreOfMassShift": 1,
        "Maximum3DDiameter": 1, "MajorAxisLength": 1, "MinorAxisLength": 1, "LeastAxisLength": 1, "IntegratedIntensity": 3,
    }  # fmt: skip
    for name, value in small.items():
        factor = 2.0 ** powers.get(name.rsplit("_", 1)[1], 0)
        assert large[name] == pytest.approx(value * factor, rel=1e-6), name


def test_averages_of_one_matrix_are_the_matrix(case, blob):
    """A region of one plane: 2D and 2.5D are the same."""
    voxels, region = blob
    flat = np.zeros_like(region)
    flat[3] = region[3]
    row = row_of(case, voxels, flat, families=["cm", "rlm", "szm", "dzm", "ngt", "ngl"])
    for name, value in row.items():
        if "2D" in name:
            assert row[name.replace("2D", "25D")] == pytest.approx(value, rel=1e-12), name

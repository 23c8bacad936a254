"""Configurations A to E of the CT phantom (shared data): 1,322 reference values, and the diagnostics after every step."""

from __future__ import annotations

import csv

import pytest

from radpipe.features.ibsi.extract import extract_ibsi
from radpipe.features.ibsi.prepare import prepare
from radpipe.features.ibsi.reference import CONFIGURATIONS, compare
from radpipe.features.region import bounding_box

SIZES = {"A": 346, "B": 346, "C": 210, "D": 210, "E": 210}


@pytest.fixture(scope="module")
def rows(ct_phantom):
    return {name: extract_ibsi(*ct_phantom, CONFIGURATIONS[name]) for name in SIZES}


@pytest.fixture(scope="module")
def table(shared_data):
    with (shared_data / "ibsi1" / "ibsi1_reference_values.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("configuration", SIZES)
def test_every_reference_value(rows, table, configuration):
    verdicts = compare(table, {configuration: rows[configuration]})
    assert len(verdicts) == SIZES[configuration]
    assert not [verdict for verdict in verdicts if not verdict.passed]


def test_values_the_manual_gives_beside_the_table(rows):
    """Area under the IVH curve of C, D, E; area density of the oriented box of E (moderate)."""
    for configuration, value, tolerance in (("C", 0.681, 0.003), ("D", 0.563, 0.012), ("E", 0.663, 0.006)):
        assert abs(rows[configuration]["original_ivh_AreaUnderTheIvhCurve"] - value) <= tolerance
    assert abs(rows["E"]["original_morph_AreaDensityOrientedMinimumBoundingBox"] - 0.69) <= 0.002


def test_the_configurations_are_those_of_the_data(shared_data):
    with (shared_data / "ibsi1" / "ibsi1_configurations.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            if line["configuration"] == "digital_phantom":
                continue
            parameters = CONFIGURATIONS[line["configuration"]]
            assert parameters.dimension == line["slice_wise_or_3d"]
            assert (parameters.resample is not None) == (line["interpolation"] == "yes")
            assert str(list(parameters.resegment_range or ())).replace(".0", "").replace(" ", "") == (
                line["resegmentation_range_hu"].replace("no", "[]")
            )
            assert (parameters.outlier_sigma == 3.0) == (line["outlier_filter"] == "3 sigma")
            for mine, theirs in ((parameters.discretise, "discretisation_texture_ih"), (parameters.ivh, "discretisation_ivh")):
                said = {"none": "no", "fbn": f"FBN {mine.bins}", "fbs": f"FBS {mine.width or 0:g} HU"}[mine.method]
                assert said == line[theirs]


@pytest.mark.parametrize("configuration", SIZES)
def test_diagnostics_of_every_step(ct_phantom, shared_data, configuration):
    """Sizes, voxel counts and intensities after interpolation and resegmentation, to the digits of the table."""
    prepared = prepare(*ct_phantom, CONFIGURATIONS[configuration])
    whole = prepared.voxels
    got = {f"img_dim_{a}_interp_img": n for a, n in zip("zyx", whole.shape, strict=True)}
    got |= {f"vox_dim_{a}_interp_img": n for a, n in zip("zyx", prepared.spacing_mm, strict=True)}
    got |= {"mean_int_interp_img": whole.mean(), "min_int_interp_img": whole.min(), "max_int_interp_img": whole.max()}
    for step, intensity in (("interp", prepared.morphological), ("reseg", prepared.intensity)):
        values = whole[intensity]
        got[f"int_mask_vox_count_{step}_roi"] = values.size
        got[f"morph_mask_vox_count_{step}_roi"] = prepared.morphological.sum()
        got |= {f"int_mask_{name}_int_{step}_roi": getattr(values, name)() for name in ("mean", "min", "max")}
        for axis, side in zip("zyx", bounding_box(intensity), strict=True):
            got[f"int_mask_bb_dim_{axis}_{step}_roi"] = side.stop - side.start
    compared = 0
    with (shared_data / "ibsi1" / "ibsi1_diagnostic_values.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            if line["configuration"] == configuration and line["tag"] in got:
                compared += 1
                reference = float(line["reference_value"])
                decimals = len(line["reference_value"].partition(".")[2])
                slack = 1.0 if line["tag"] == "mean_int_interp_img" else 0.5 * 10.0**-decimals
                assert abs(got[line["tag"]] - reference) <= slack, line  # the printed digits, whatever the tolerance
    assert compared == 25

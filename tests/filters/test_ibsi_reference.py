"""IBSI 2's own tests as settings, and voxels of its response maps for the phantoms that are a formula.

Every whole map and every statistic: test_ibsi_command.py, with the shared data.

Whybra 2024, doi:10.1148/radiol.231319. tests/reference/ibsi2_map_samples.csv (CC0) is made by the script beside it.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from radpipe.errors import GeometryError
from radpipe.filters.ibsi_reference import MAP_TOLERANCE, NO_VALID_MAP, PHASE_1, largest_difference, phase_2
from radpipe.filters.ibsi_registry import module_of, settings_of

SAMPLES = Path(__file__).parents[1] / "reference" / "ibsi2_map_samples.csv"
SPACING = (2.0, 2.0, 2.0)


def phantom(name: str) -> np.ndarray:
    """The digital phantoms that are a formula: 64^3 voxels of 0 and 255."""
    z, y, x = np.indices((64, 64, 64))
    if name == "impulse":
        return 255.0 * ((z == 31) & (y == 31) & (x == 31))
    return 255.0 * ((z // 8 + y // 8 + x // 8) % 2)


def samples() -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    with SAMPLES.open(newline="") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["test"], []).append(row)
    return found


@pytest.mark.parametrize("test", samples())
def test_voxels_of_reference_maps(test):
    wanted = PHASE_1[test]
    response = module_of(wanted.filter).apply(phantom(wanted.phantom), settings_of(wanted.filter, wanted.settings), SPACING)
    for row in samples()[test]:
        where = int(row["z"]), int(row["y"]), int(row["x"])
        assert abs(response[where] - float(row["reference"])) <= MAP_TOLERANCE * float(row["range"]), (test, where)


def test_the_samples_are_most_of_the_tests():
    assert {test for test, wanted in PHASE_1.items() if wanted.phantom in ("impulse", "checkerboard")} == set(samples())
    assert len(samples()) == 27


def test_a_map_of_another_shape_is_no_map():
    with pytest.raises(GeometryError, match=r"\(2, 2, 2\) voxels \(z, y, x\), the reference map \(2, 2, 3\)"):
        largest_difference(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)))
    assert largest_difference(np.full((2, 2), 3.0), np.array([[1.0, 5.0], [3.0, 3.0]])) == 0.5


def _numbers(text: str) -> list[float]:
    """Numbers of a description: pi/4 is 45 degrees; names of kernels and wavelets are not numbers."""
    found = []
    for word in re.split(r"[\s,=()]+", text):
        if match := re.fullmatch(r"(\d*)pi/(\d+)", word):
            found.append(float(match[1] or 1) * 180 / float(match[2]))
        elif re.fullmatch(r"\d+(\.\d+)?", word):
            found.append(float(word))
    return found


def test_tests_are_those_of_the_table(shared_data):
    """Phantom, padding, rotation, pooling, energy and every number of phase1_tests.csv stand in PHASE_1, and the other way round."""
    with (shared_data / "ibsi2/phase1_tests.csv").open(newline="") as stream:
        table = {row["test_id"]: row for row in csv.DictReader(stream)}
    assert {test for test, row in table.items() if row["reference_map"]} == set(PHASE_1)
    assert {test for test, row in table.items() if not row["reference_map"]} == set(NO_VALID_MAP)
    for test, wanted in PHASE_1.items():
        row, params = table[test], settings_of(wanted.filter, wanted.settings)
        assert row["phantom"] == wanted.phantom, test
        assert params.padding in row["boundary_condition"].split(" or "), test
        # A Gabor filter is one of planes always; its three orthogonal sets are our 3D.
        assert params.dimension == ("3D" if "3D" in row["dimension"] or "orthogonal" in row["dimension"] else "2D"), test
        turned = getattr(params, "rotation_invariance", False) or getattr(params, "rotation_step", None) is not None
        assert turned == (row["rotation_invariance"] == "yes"), test
        if turned:
            assert params.pooling == row["pooling"], test
        assert str(getattr(params, "delta", None) or "") == row["energy_map_delta_voxels"], test
        ours = {
            "mean": lambda p: [p.support],
            "log": lambda p: [p.sigma, p.cutoff],
            "riesz_log": lambda p: [p.sigma, p.cutoff, *p.order],
            "gabor": lambda p: [p.sigma, p.wavelength, p.gamma, p.rotation_step or p.theta],
            "laws": lambda p: [],
            "wavelet": lambda p: [p.level],
            "simoncelli": lambda p: [p.level],
            "riesz_simoncelli": lambda p: [*p.order, p.level],
        }[wanted.filter](params)
        assert [float(number) for number in ours] == _numbers(row["parameters"]), test
        for name in (getattr(params, "kernels", None), getattr(params, "subband", None)):
            assert name is None or name in row["parameters"], test
        assert getattr(params, "wavelet", "") in row["filter"], test


def test_configurations_are_those_of_the_table(shared_data):
    with (shared_data / "ibsi2/phase2_configurations.csv").open(newline="") as stream:
        table = {row["filter_id"]: row for row in csv.DictReader(stream)}
    configurations = phase_2()
    assert list(table) == list(configurations)
    for name, row in table.items():
        ours = configurations[name]
        assert ours["dimension"] == row["filter_dimension"], name
        assert list(ours["resegment_range"]) == [float(end) for end in row["resegmentation_range_hu"].strip("[]").split(",")], (
            name
        )
        assert ("resample" in ours) == (row["interpolation"] != "no") == ours.get("round_intensities", False), name
        if "filter" not in ours:
            assert row["filter"] == "none"
            continue
        ((kind, values),) = ours["filter"].items()
        params = settings_of(kind, values)
        assert params.dimension == row["filter_dimension"], name
        # Simoncelli's consensus values are those of the image as it is; see docs/ibsi.md.
        assert params.padding == ("periodic" if kind == "simoncelli" else row["boundary_condition"]), name
        text = row["parameters"].replace("as A", "sigma 5.0 mm, lambda 2.0 mm, gamma 1.5, delta-theta pi/8")
        ours_numbers = {
            "mean": lambda p: [p.support],
            "log": lambda p: [p.sigma, p.cutoff],
            "gabor": lambda p: [p.sigma, p.wavelength, p.gamma, p.rotation_step],
            "laws": lambda p: [p.delta],
            "wavelet": lambda p: [p.level],
            "simoncelli": lambda p: [p.level],
        }[kind](params)
        assert [float(number) for number in ours_numbers] == _numbers(text.replace("the 3 orthogonal", "")), name
        for word in (getattr(params, "kernels", None), getattr(params, "subband", None)):
            assert word is None or text.startswith(f"{word},"), name

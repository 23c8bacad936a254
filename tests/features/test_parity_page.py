"""docs/parity.md: its table is of all stored values and within bounds; what its ledger says of radpipe is so."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from radpipe.errors import RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract
from radpipe.features.parity import off
from radpipe.filters.settings import MOST_BITS

spec = importlib.util.spec_from_file_location(
    "parity_table", Path(__file__).resolve().parents[1] / "reference" / "parity_table.py"
)
assert spec is not None and spec.loader is not None
TABLE = importlib.util.module_from_spec(spec)
import sys  # noqa: E402

sys.modules["parity_table"] = TABLE  # dataclasses look their module up
spec.loader.exec_module(TABLE)


def test_the_table_is_of_all_stored_values_and_within_bounds():
    found = TABLE.parsed(TABLE.PAGE.read_text())
    total = found.pop(("all", "all"))
    assert {key: (regions, values) for key, (regions, values, _) in found.items()} == TABLE.expected()
    assert all(0 <= worst <= 1 for _, _, worst in found.values())
    assert total[:2] == (sum(row[0] for row in found.values()), sum(row[1] for row in found.values()))
    assert total[2] == max(row[2] for row in found.values())


def test_a_line_of_the_table_is_what_is_computed_now():
    """The cheap lines, to the figure: within a factor of a hundred, for rounding differs by processor."""
    found = TABLE.parsed(TABLE.PAGE.read_text())
    data = Path("/there/are/no/data")
    now: dict = {}
    stored = TABLE.oracle.stored()
    for case, setting, params in TABLE.cases.jobs(data):
        row = extract(*TABLE.cases.from_itk(*TABLE.cases.read(case, data)), FeatureSettings(params=params)).row
        line = now.setdefault(TABLE.group_of(case, setting), TABLE.Line())
        line.add(case, off(row, stored[case, setting]))
    assert now
    for key, line in now.items():
        assert line.worst <= max(100 * found[key][2], 1e-4), key
        assert (line.regions, line.values) == found[key][:2], key


def test_figures_are_rounded_upwards():
    assert [TABLE._up(share) for share in (0.0, 1.2e-7, 9.9e-7, 1e-3, 0.5)] == ["0", "2e-07", "1e-06", "1e-03", "5e-01"]


Z, Y, X = np.indices((8, 9, 10))
BALL = (Z - 4) ** 2 + (Y - 4) ** 2 + (X - 5) ** 2 <= 10
NOISE = np.random.default_rng(2).normal(100, 30, BALL.shape)


def features(pair, voxels, image_type, own=None, setting=None, mask=BALL, classes=("firstorder", "glcm")):
    params = {"setting": setting or {}, "imageType": {image_type: own or {}}, "featureClass": dict.fromkeys(classes)}
    return extract(*pair(voxels, mask), FeatureSettings(params=params))


@pytest.mark.parametrize("image_type", ["Square", "Logarithm", "Exponential"])
def test_an_image_of_zeros_is_undefined_with_a_reason(pair, image_type):
    found = features(pair, np.zeros(BALL.shape), image_type)
    assert all(math.isnan(value) for value in found.row.values())
    assert set(found.undefined) == set(found.row)


def test_kurtosis_of_a_flat_neighbourhood_is_undefined_and_the_norms_are_not(pair):
    found = features(pair, np.full(BALL.shape, 7), "LBP3D", {"binWidth": 0.1})
    for name, value in found.row.items():
        assert math.isnan(value) == name.startswith("lbp-3D-k_"), name
        assert name in found.undefined or not math.isnan(value)


def test_a_variance_of_zero_is_undefined_with_a_reason(pair):
    voxels = np.where(X < 6, 50, NOISE)
    found = features(pair, voxels, "LBP2D", {"lbp2DMethod": "var"})
    assert all(math.isnan(value) for value in found.row.values())
    assert set(found.undefined) == set(found.row)


@pytest.mark.parametrize(
    ("image_type", "own", "words"),
    [
        ("LoG", {}, ["imageType.LoG.sigma"]),
        ("LBP2D", {"lbp2DMethod": "ror", "lbp2DSamples": MOST_BITS + 1}, ["lbp2DSamples", str(MOST_BITS)]),
        ("Wavelet", {"wavelet": "mexh"}, ["imageType.Wavelet.wavelet", "'mexh'"]),
        ("LoG", {"sigma": [1.0], "normalize": True}, ["imageType.LoG.normalize", "under setting"]),
    ],
)
def test_refused(pair, image_type, own, words):
    with pytest.raises(ValidationError) as caught:
        features(pair, NOISE, image_type, own)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_log_of_few_slices_is_an_error(pair):
    with pytest.raises(RadpipeError, match="at least 4 voxels"):
        features(pair, NOISE[:3], "LoG", {"sigma": [1.0]}, mask=np.ones((3, 9, 10), bool))

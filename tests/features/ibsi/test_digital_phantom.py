"""The digital phantom: its 482 reference values, and every texture matrix that the manual prints."""

from __future__ import annotations

import importlib.util
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from radpipe.features.ibsi.catalogue import FAMILIES, IbsiFeature
from radpipe.features.ibsi.discretise import laid_out
from radpipe.features.ibsi.extract import column_names, extract_ibsi
from radpipe.features.ibsi.reference import CONFIGURATIONS, column_of, compare, within
from radpipe.features.ibsi.textures import Textures
from radpipe.features.ibsi.zones import border_distance

_spec = importlib.util.spec_from_file_location("ibsi_conftest", Path(__file__).with_name("conftest.py"))
fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fixtures)

VALUES = fixtures.rows_of("digital_phantom_values.csv")
PARAMETERS = CONFIGURATIONS["digital_phantom"]
# Section of the manual's chapter -> family, by plane, merged over directions.
SECTIONS = {
    "Grey level co-occurrence matrix (2D)": ("cm", True, False),
    "Grey level co-occurrence matrix (2D, merged)": ("cm", True, True),
    "Grey level co-occurrence matrix (3D)": ("cm", False, False),
    "Grey level co-occurrence matrix (3D, merged)": ("cm", False, True),
    "Grey level run length matrix (2D)": ("rlm", True, False),
    "Grey level run length matrix (2D, merged)": ("rlm", True, True),
    "Grey level run length matrix (3D)": ("rlm", False, False),
    "Grey level run length matrix (3D, merged)": ("rlm", False, True),
    "Grey level size zone matrix (2D)": ("szm", True, True),
    "Grey level size zone matrix (3D)": ("szm", False, True),
    "Grey level distance zone matrix (2D)": ("dzm", True, True),
    "Grey level distance zone matrix (3D)": ("dzm", False, True),
    "Neighbouring grey level dependence matrix (2D)": ("ngl", True, True),
    "Neighbouring grey level dependence matrix (3D)": ("ngl", False, True),
}


@lru_cache
def row():
    return extract_ibsi(*fixtures.digital_phantom(), PARAMETERS)


@pytest.mark.parametrize("reference", VALUES, ids=lambda r: f"{r['tag']}-{r['aggregation']}".rstrip("-").replace(", ", "-"))
def test_is_the_reference_value(reference):
    (verdict,) = compare([reference], {"digital_phantom": row()})
    assert verdict.passed, verdict


def test_nothing_is_left_out():
    assert len(VALUES) == 482
    assert len({(r["tag"], r["aggregation"]) for r in VALUES}) == 482
    covered = {column_of(r["tag"], r["aggregation"]) for r in VALUES}
    features = [feature for family in FAMILIES.values() for feature in family.features]
    tagged = [feature for feature in features if isinstance(feature, IbsiFeature) and feature.tag]
    assert len(tagged) == 169 and {feature.tag for feature in tagged} == {r["tag"] for r in VALUES}
    extra = set(row()) - covered
    assert {name.rsplit("_", 1)[1] for name in extra} == {feature.name for feature in features} - {f.name for f in tagged}
    assert list(row()) == column_names(PARAMETERS)


def test_codes_are_those_of_the_table():
    for reference in VALUES:
        family = FAMILIES[reference["tag"].partition("_")[0]]
        (feature,) = [f for f in family.features if f.tag == reference["tag"]]
        assert feature.ibsi == reference["feature_code"]


def test_values_the_manual_gives_beside_the_table():
    """Volume and area density of the oriented box: 0.869 and 0.866 (moderate); area under the IVH curve: 0.32 (strong)."""
    assert abs(row()["original_morph_VolumeDensityOrientedMinimumBoundingBox"] - 0.869) <= 0.005
    assert abs(row()["original_morph_AreaDensityOrientedMinimumBoundingBox"] - 0.866) <= 0.005
    assert within(row()["original_ivh_AreaUnderTheIvhCurve"], 0.32, 0.0)


def textures():
    image, mask = fixtures.digital_phantom()
    levels = laid_out(mask.voxels, image.voxels[mask.voxels].astype(np.int64), 1, (2.0, 2.0, 2.0))
    return Textures(levels, PARAMETERS, lambda by_plane: border_distance(mask.voxels, by_plane=by_plane)[mask.voxels])


def printed(section, order=(0, 1, 2)):
    """The manual's tables of one section, in any order: each a set of (a, b, count)."""
    tables = {}
    for line in fixtures.rows_of("digital_phantom_matrices.csv"):
        if line["section"] == section:
            cells = [float(line[name]) for name in "abc"]
            tables.setdefault(line["table"], []).append(tuple(cells[k] for k in order))
    return sorted(sorted(table) for table in tables.values())


@pytest.mark.parametrize("section", SECTIONS)
def test_matrices_are_those_of_the_manual(section):
    family, by_plane, merged = SECTIONS[section]
    got = []
    for of_part in textures().matrices(family, by_plane=by_plane):
        cells = [list(zip(m.cells.rows + 1.0, m.cells.columns + 1.0, m.cells.weight, strict=True)) for m in of_part]
        if merged:
            total = Counter()
            for i, j, n in [cell for one in cells for cell in one]:
                total[i, j] += n
            cells = [[(i, j, n) for (i, j), n in total.items()]]
        got += [sorted(one) for one in cells]
    assert sorted(got) == printed(section)


@pytest.mark.parametrize("by_plane", [True, False])
def test_tone_differences_are_those_of_the_manual(by_plane):
    section = f"Neighbourhood grey tone difference matrix ({'2D' if by_plane else '3D'})"
    got = []
    for count, difference in textures().tone_differences(by_plane=by_plane):
        present = np.flatnonzero(count)
        got.append([(level + 1.0, difference[level], count[level]) for level in present])
    wanted = printed(section)
    assert len(got) == len(wanted)
    for mine, theirs in zip(sorted(got), wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=5.1e-4)  # printed to three digits

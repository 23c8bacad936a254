"""The row as a whole: regions that leave features undefined, errors, filters, the dictionary, speed of understanding nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from radpipe.core.registry import lookup
from radpipe.errors import EmptyRoiError, FileProblem, RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row
from radpipe.features.ibsi import dictionary
from radpipe.features.ibsi.catalogue import FAMILIES, column_families
from radpipe.features.ibsi.extract import column_names, extract_ibsi, measure_ibsi
from radpipe.features.ibsi.parameters import BY_PLANE, BY_VOLUME, parse_ibsi
from radpipe.features.ibsi.reference import column_of, within
from radpipe.features.registry import FAMILIES as PYRADIOMICS
from radpipe.features.undefined import REASONS

EVERY_WAY = {"aggregations": [*BY_PLANE, *BY_VOLUME]}


def undefined(row):
    assert not [name for name, value in row.items() if math.isinf(value)]
    return {tuple(name.split("_")[1:]) for name, value in row.items() if math.isnan(value)}


@pytest.mark.filterwarnings("error")
def test_one_intensity(case, blob):
    _, region = blob
    row = extract_ibsi(*case(np.full(region.shape, 7.0), region), parse_ibsi(EVERY_WAY))
    families = {name for _, _, name in column_families(parse_ibsi(EVERY_WAY)) if name.startswith("cm")}
    gradients = {name for name in FAMILIES["ih"].default_names if "Gradient" in name}
    assert undefined(row) == (
        {(family, name) for family in families for name in ("Correlation", "InformationCorrelation1")}
        | {("ih", name) for name in gradients}
        | {("morph", "MoransIIndex"), ("morph", "GearysCMeasure")}
    )
    # What the manual sets: skewness and kurtosis 0, coarseness at most 1e6, contrast, busyness and strength 0.
    assert row["original_stat_IntensitySkewness"] == 0.0 and row["original_ih_ExcessDiscretisedIntensityKurtosis"] == 0.0
    assert [row[f"original_ngt-3D_{name}"] for name in ("Coarseness", "Contrast", "Busyness", "Strength")] == [1e6, 0, 0, 0]
    assert row["original_cm-3D-mrg_InformationCorrelation2"] == 0.0 and row["original_cm-3D-mrg_AngularSecondMoment"] == 1.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("places", [[(3, 4, 4)], [(1, 1, 1), (5, 6, 7)]], ids=["one voxel", "two apart"])
def test_no_neighbours(case, blob, places):
    voxels, region = blob
    lonely = np.zeros_like(region)
    for place in places:
        lonely[place] = True
    row = extract_ibsi(*case(voxels, lonely), parse_ibsi(EVERY_WAY))
    missing = undefined(row)
    for name in row:
        family, feature = name.split("_")[1:]
        if family.startswith(("cm", "ngt")):
            assert (family, feature) in missing
        elif family.startswith(("rlm", "szm", "dzm", "ngl", "ivh", "loc")):
            assert (family, feature) not in missing
    assert row["original_rlm-3D-mrg_RunPercentage"] == 1.0 and row["original_ngl-3D_LowDependenceEmphasis"] == 1.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", ["plane", "line", "scattered", "everything"])
def test_odd_regions_give_numbers(case, blob, shape):
    voxels, region = blob
    odd = {
        "plane": (3, slice(None), slice(None)),
        "line": (3, 4, slice(None)),
        "scattered": (slice(None, None, 2),) * 3,
        "everything": (slice(None),) * 3,
    }
    mask = np.zeros_like(region)
    mask[odd[shape]] = True
    row = extract_ibsi(*case(voxels, mask), parse_ibsi(EVERY_WAY))
    flat = {("morph", "VolumeDensityApproximateEnclosingEllipsoid"), ("morph", "AreaDensityApproximateEnclosingEllipsoid")}
    if shape in ("plane", "line"):
        assert undefined(row) == flat
    elif shape == "everything":
        assert not undefined(row)
    else:
        assert all(family.startswith(("cm", "ngt")) for family, _ in undefined(row))


def test_every_value_that_is_no_measurement_has_its_reason(case, blob):
    voxels, region = blob
    flat = measure_ibsi(*case(np.full(region.shape, 7.0), region), parse_ibsi(EVERY_WAY))
    assert set(flat.undefined.values()) <= set(REASONS)
    wanted = {
        "stat_IntensitySkewness": "one-intensity",
        "morph_GearysCMeasure": "one-intensity",
        "ivh_AreaUnderTheIvhCurve": "one-intensity",
        "ih_ExcessDiscretisedIntensityKurtosis": "one-level",
        "ih_MaximumHistogramGradient": "one-level",
        "cm-25D-avg_Correlation": "one-level",
        "ngt-3D_Coarseness": "no-difference",
        "ngt-3D_Strength": "no-difference",
        "ngt-2D_Busyness": "one-level",
    }
    assert {name: flat.undefined[f"original_{name}"] for name in wanted} == wanted
    lonely = np.zeros_like(region)
    lonely[3, 4, 4] = True
    one = measure_ibsi(*case(voxels, lonely), parse_ibsi({}))
    assert one.undefined["original_cm-3D-avg_Contrast"] == one.undefined["original_ngt-3D_Strength"] == "no-neighbours"
    assert one.undefined["original_morph_MajorAxisLength"] == "zero-divisor"
    for extraction in (flat, one):
        assert {name for name, value in extraction.row.items() if math.isnan(value)} <= set(extraction.undefined)
    whole = measure_ibsi(*case(voxels, region), parse_ibsi(EVERY_WAY))
    # The outermost planes have few voxels; one of a single level sets a value in the mean over planes.
    assert set(whole.undefined.values()) <= {"no-difference", "one-level"}
    assert all("_ngt-2D_" in name for name in whole.undefined)


def test_a_plane_without_pairs_is_left_out_of_the_mean(case):
    """One plane of four voxels and one of a single voxel: the mean over planes is that of the first."""
    voxels = np.array([[[1.0, 2.0], [3.0, 1.0]], [[2.0, 2.0], [2.0, 2.0]]])
    region = np.array([[[1, 1], [1, 1]], [[1, 0], [0, 0]]], bool)
    settings = {"families": ["cm", "ngt"], "aggregations": ["2D-mrg"], "discretise": {"method": "none"}}
    both = extract_ibsi(*case(voxels, region), parse_ibsi(settings))
    assert both == extract_ibsi(*case(voxels[:1], region[:1]), parse_ibsi(settings))


def test_what_cannot_be_discretised(case, blob):
    voxels, region = blob
    image, mask = case(voxels + 0.5, region)
    for settings, words in (
        ({"discretise": {"method": "none"}}, r"whole numbers from 1.*1\.5 to 9\.5"),
        ({"ivh": {"method": "none"}}, r"ivh\.method none"),
        (
            {"discretise": {"method": "fbs", "width": 1e-4}},
            r"make 80000 grey levels; the most is 10000\. Use a width of at least 0\.0008",
        ),
        ({"ivh": {"method": "fbs", "width": 1e-4}}, r"ivh: bins of width 0\.0001"),
        ({"discretise": {"method": "fbs", "width": 1, "start": 5}}, r"start 5 lies above the region's lowest intensity 1\.5"),
    ):
        with pytest.raises(RadpipeError, match=words) as caught:
            extract_ibsi(image, mask, parse_ibsi(settings))
        assert caught.value.kind == "discretisation"
    with pytest.raises(EmptyRoiError):
        extract_ibsi(image, case(voxels, np.zeros_like(region))[1], parse_ibsi({}))


def test_bins_of_fixed_size_start_where_the_range_does(case):
    voxels = np.array([[[-90.0, -60.0, 10.0, 300.0]]])
    image, mask = case(voxels, np.ones(voxels.shape))
    fbs = {"families": ["ih"], "discretise": {"method": "fbs", "width": 25}}
    name = "original_ih_MinimumDiscretisedIntensity"
    assert extract_ibsi(image, mask, parse_ibsi(fbs))[name] == 1.0
    assert extract_ibsi(image, mask, parse_ibsi(fbs | {"resegment_range": [-100, 400]}))[name] == 1.0
    assert extract_ibsi(image, mask, parse_ibsi(fbs | {"resegment_range": [-150, 400]}))[name] == 3.0
    assert extract_ibsi(image, mask, parse_ibsi(fbs | {"resegment_range": [None, 400]}))[name] == 1.0
    started = parse_ibsi({"families": ["ih"], "discretise": {"method": "fbs", "width": 25, "start": -1000}})
    assert extract_ibsi(image, mask, started)[name] == 37.0


def test_families_and_ways_are_those_asked_for(case, blob):
    parameters = parse_ibsi({"families": ["szm", "cm", "stat"], "aggregations": ["25D-mrg", "25D-avg", "2D-avg"]})
    assert [name for _, _, name in column_families(parameters)] == [
        "stat", "cm-25D-mrg", "cm-25D-avg", "cm-2D-avg", "szm-25D", "szm-2D",
    ]  # fmt: skip
    row = extract_ibsi(*case(*blob), parameters)
    assert list(row) == column_names(parameters) and len(row) == 18 + 3 * 25 + 2 * 16


def test_a_filter_is_applied_to_the_image_and_not_to_the_masks(case, blob):
    """A mean over 3 voxels, computed here by hand; the range still speaks of the image."""
    voxels, region = blob
    image, mask = case(voxels, region, (1.0, 1.0, 1.0))
    settings = {
        "families": ["stat", "loc"],
        "resegment_range": [3, 8],
        "filter": [{"mean": {"support": 3}}, {"mean": {"support": 5}}],
    }
    row = extract_ibsi(image, mask, parse_ibsi(settings))
    padded = np.pad(voxels, 1, mode="symmetric")
    mean = sum(padded[z : z + 7, y : y + 8, x : x + 9] for z in range(3) for y in range(3) for x in range(3)) / 27
    kept = mean[region & (voxels >= 3) & (voxels <= 8)]
    assert row["mean-3-3D_stat_MeanIntensity"] == pytest.approx(kept.mean())
    assert row["mean-3-3D_stat_MaximumIntensity"] == pytest.approx(kept.max())
    assert row["mean-5-3D_stat_MaximumIntensity"] < kept.max()
    assert list(row) == column_names(parse_ibsi(settings))
    broken = voxels.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(FileProblem, match="filter"):
        extract_ibsi(case(broken, region, (1.0, 1.0, 1.0))[0], mask, parse_ibsi(settings))


def test_the_dictionary_names_every_column():
    parameters = parse_ibsi(EVERY_WAY)
    rows = dictionary.rows(parameters)
    assert [row["name"] for row in rows] == column_names(parameters)
    for row in rows:
        assert row["name"] == f"{row['image_type']}_{row['family']}_{row['feature']}"
        assert row["convention"] == "ibsi" and row["unit"] and row["meaning"].endswith(".")
        assert row["settings_key"] == rows[0]["settings_key"]
    assert dictionary.settings_key(parse_ibsi({})) != rows[0]["settings_key"]
    (merged,) = [row for row in rows if row["name"] == column_of("cm_contrast", "2.5D, merged")]
    assert merged["ibsi"] == "ACUI" and "merged" in merged["meaning"]
    names = dictionary.pyradiomics_names(parameters)
    assert names["original_cm-3D-avg_Contrast"] == "glcm_Contrast" and names["original_loc_LocalIntensityPeak"] == ""


def test_pyradiomics_names_exist_and_carry_the_same_code():
    equal_by_definition = {"SumVariance", "Dissimilarity", "NormalisedGreyLevelNonUniformity"}
    named = 0
    for family in FAMILIES.values():
        for feature in family.features:
            if feature.pyradiomics:
                named += 1
                other, name = feature.pyradiomics.split("_")
                theirs = lookup(PYRADIOMICS, other, "feature class").feature(name)
                assert theirs.ibsi == feature.ibsi or feature.name in equal_by_definition, feature
    assert named > 100


def test_within():
    assert within(1.004999, 1.0, 0.0) and not within(1.006, 1.0, 0.0)
    assert within(1.1, 1.0, 0.1) and not within(1.11, 1.0, 0.1) and not within(math.nan, 1.0, 5.0)


SHAPES = [feature.name for feature in lookup(PYRADIOMICS, "shape", "feature class").features]  # those on request, too
# Equal by definition but for a factor the two manuals set: second moments over n - 1 or n.
_OVER_N = ("MajorAxisLength", "MinorAxisLength", "LeastAxisLength")


def test_pyradiomics_names_are_of_the_same_quantity(case, blob):
    """The PyRadiomics set, whose values are held to pyradiomics itself, gives the same numbers from the same grey levels."""
    voxels, region = blob
    image, mask = case(voxels, region, (2.0, 1.0, 1.5))
    start = float(voxels[region].min() // 3 * 3)  # PyRadiomics' bins lie at multiples of the width
    parameters = parse_ibsi({"discretise": {"method": "fbs", "width": 3, "start": start}})
    ours = extract_ibsi(image, mask, parameters)
    theirs = extract_row(
        image,
        mask,
        FeatureSettings(
            params={
                "setting": {"binWidth": 3},
                "featureClass": {**dict.fromkeys(name for name in PYRADIOMICS if name != "shape2D"), "shape": SHAPES},
            }
        ),
    )
    n = int(region.sum())
    compared = 0
    for column, name in dictionary.pyradiomics_names(parameters).items():
        if name and "3D-mrg" not in column:  # PyRadiomics averages over directions
            feature = column.rsplit("_", 1)[1]
            factor = math.sqrt((n - 1) / n) if feature in _OVER_N else 1.0
            assert ours[column] * factor == pytest.approx(theirs[f"original_{name}"], rel=1e-9, abs=1e-9), column
            compared += 1
    assert compared > 100

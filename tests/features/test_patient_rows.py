"""Regions of a patient -> one row: every value worked by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from pydantic import ValidationError

from radpipe.features.config import FeatureSettings
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.patient_rows import REASONS, PatientRows, Region, is_additive, patient_rows
from radpipe.features.patient_settings import PatientSettings

VOLUME, ENTROPY = "original_shape_VoxelVolume", "original_firstorder_Entropy"
DICTIONARY = [row for row in feature_dictionary(FeatureSettings()) if row["name"] in (VOLUME, ENTROPY)]
NOTHING = pd.DataFrame(columns=["case_id", "feature", "reason", "meaning"])


def region(case_id: str, block: str = "PET", roi: str = "", ml: float | None = 1.0, image: str = "") -> Region:
    return Region(case_id, case_id.partition("_")[0], block, roi, image or f"{case_id.partition('_')[0]}_{block}.nii", ml)


def made(
    regions: list[Region], values: dict[str, tuple[float, float]], undefined: pd.DataFrame = NOTHING, **settings: object
) -> PatientRows:
    table = pd.DataFrame.from_dict(values, orient="index", columns=[VOLUME, ENTROPY], dtype=float)
    blocks = settings.pop("blocks", None) or sorted({region.block for region in regions})
    needed = bool(settings.pop("first_block_needed", False))
    chosen = PatientSettings.model_validate({"blocks": blocks, **settings})
    return patient_rows(
        regions, table, dict.fromkeys(blocks, DICTIONARY), undefined, chosen, blocks=blocks, first_block_needed=needed
    )  # fmt: skip


# Two lesions of one patient: 3000 mm3 with entropy 2, 1000 mm3 with entropy 4.
TWO = [region("A_1", roi="GTVp", ml=3.0), region("A_2", roi="GTVn", ml=1.0)]
VALUES = {"A_1": (3000.0, 2.0), "A_2": (1000.0, 4.0)}
P_VOLUME, P_ENTROPY = f"PET__{VOLUME}", f"PET__{ENTROPY}"


@pytest.mark.parametrize(
    ("settings", "volume", "entropy", "stands_for", "ml", "weights"),
    [
        ({"rule": "largest"}, 3000, 2, "A_1", 3, [1, 0]),
        ({"rule": "primary", "primary": "gtvN"}, 1000, 4, "A_2", 1, [0, 1]),
        ({"rule": "weighted_mean"}, 2500, 2.5, "A_1", 4, [0.75, 0.25]),  # (3 x 3000 + 1 x 1000) / 4 and (3 x 2 + 1 x 4) / 4
        ({"rule": "sum", "others": "largest"}, 4000, 2, "A_1", 4, [1, 1]),
        ({"rule": "sum", "others": "weighted_mean"}, 4000, 2.5, "A_1", 4, [1, 1]),
    ],
)
def test_two_lesions_by_every_rule(
    settings: dict, volume: float, entropy: float, stands_for: str, ml: float, weights: list[float]
) -> None:
    found = made(TWO, VALUES, **settings)
    (row,) = found.rows
    assert row == {"patient_id": "A", "case_id": stands_for, P_VOLUME: volume, P_ENTROPY: pytest.approx(entropy)}
    (patient,) = found.patients
    used = sum(1 for weight in weights if weight)
    assert patient == {"patient_id": "A", "case_id": stands_for, "blocks": "PET", "regions": used, "volume_ml": ml}
    assert [row["weight"] for row in found.regions] == weights
    assert [row["used"] for row in found.regions] == [weight > 0 for weight in weights]
    assert found.undefined == found.problems == []


def test_what_may_not_be_added_is_left_out_of_a_sum() -> None:
    found = made(TWO, VALUES, rule="sum")
    assert set(found.rows[0]) == {"patient_id", "case_id", P_VOLUME}
    ((entry),) = found.dictionary
    assert (entry["name"], entry["modality"], entry["aggregation"]) == (P_VOLUME, "PET", "sum")
    assert entry["meaning"].endswith("; added over the patient's regions in PET.")


def test_the_dictionary_names_rule_and_modality_of_every_column() -> None:
    found = made(TWO, VALUES, rule="sum", others="weighted_mean")
    assert {row["name"]: row["aggregation"] for row in found.dictionary} == {P_VOLUME: "sum", P_ENTROPY: "weighted_mean"}
    assert {row["feature"] for row in found.dictionary} == {"VoxelVolume", "Entropy"}  # PyRadiomics' names stay


def test_additive_features_are_those_that_parts_add_up_to() -> None:
    """By hand: volumes, areas and sums over voxels are; nothing with a mean, a ratio, a logarithm, a maximum or a distance in it."""
    for settings, wanted in (
        (FeatureSettings(), {"VoxelVolume", "MeshVolume", "SurfaceArea", "Energy", "TotalEnergy"}),
        (
            FeatureSettings(feature_set="ibsi"),
            {"VolumeMesh", "VolumeVoxelCounting", "SurfaceAreaMesh", "IntegratedIntensity", "IntensityBasedEnergy"},
        ),
        (
            FeatureSettings(params={"imageType": {"Square": {}}, "featureClass": {"firstorder": None, "shape": None}}),
            {"VoxelVolume", "MeshVolume", "SurfaceArea", "Energy", "TotalEnergy"},
        ),
    ):
        assert {row["feature"] for row in feature_dictionary(settings) if is_additive(row)} == wanted


def test_one_block_a_modality_and_the_first_stands_for_the_patient() -> None:
    regions = [region("A_1", "CT", ml=2.0), region("A_2", "PET", ml=1.0), region("B_1", "PET", ml=1.5)]
    values = {"A_1": (2000, 1), "A_2": (1000, 2), "B_1": (1500, 3)}
    found = made(regions, values, rule="largest", blocks=["PET", "CT"])
    a, b = found.rows
    assert list(a) == ["patient_id", "case_id", P_VOLUME, P_ENTROPY, f"CT__{VOLUME}", f"CT__{ENTROPY}"]
    assert (a["case_id"], a[P_VOLUME], a[f"CT__{VOLUME}"]) == ("A_2", 1000, 2000)
    assert math.isnan(b[f"CT__{VOLUME}"])
    assert [(row["case_id"], row["feature"], row["reason"]) for row in found.undefined] == [
        ("B_1", f"CT__{VOLUME}", "block-missing"), ("B_1", f"CT__{ENTROPY}", "block-missing")
    ]  # fmt: skip
    assert [row["blocks"] for row in found.patients] == ["PET CT", "PET"]
    assert found.without == {}


def test_a_patient_without_the_modality_that_an_image_model_looks_at_has_no_row() -> None:
    regions = [region("A_1", "PET"), region("B_1", "CT")]
    found = made(regions, {"A_1": (1, 1), "B_1": (2, 2)}, rule="largest", blocks=["PET", "CT"], first_block_needed=True)
    assert [row["patient_id"] for row in found.rows] == ["A"]
    assert found.without == {"B": {"PET": "block-missing"}}
    found = made(regions, {"A_1": (1, 1), "B_1": (2, 2)}, rule="largest", blocks=["PET", "CT"])
    assert [row["case_id"] for row in found.rows] == ["A_1", "B_1"]


def test_modalities_take_the_same_lesion() -> None:
    """The largest on PET is the node; the CT of the row is the node's too, though the primary is larger there."""
    regions = [
        region("A_1", "PET", "GTVn", 5.0), region("A_2", "PET", "GTVp", 2.0),
        region("A_3", "CT", "GTVp", 9.0), region("A_4", "CT", "gtvn", 4.0), region("B_1", "PET", "GTVn"), region("B_2", "CT", "GTVp"),
    ]  # fmt: skip
    values = {case.case_id: (k, k) for k, case in enumerate(regions)}
    found = made(regions, values, rule="largest", blocks=["PET", "CT"])
    assert [row[f"CT__{VOLUME}"] for row in found.rows[:1]] == [3]
    assert {row["reason"] for row in found.undefined if row["case_id"] == "B_1"} == {"no-such-region"}
    free = made(regions, values, rule="largest", blocks=["PET", "CT"], same_region=False)
    assert [row[f"CT__{VOLUME}"] for row in free.rows] == [2, 5]
    both = made(regions, values, rule="weighted_mean", blocks=["PET", "CT"])
    assert both.rows[0][f"CT__{VOLUME}"] == pytest.approx((2 * 9 + 3 * 4) / 13)


@pytest.mark.parametrize("rule", ["largest", "sum", "weighted_mean"])
def test_a_region_that_failed_leaves_no_value_that_pretends(rule: str) -> None:
    """Nobody knows whether the region that failed is the largest, nor what the sum would be."""
    found = made([*TWO, region("A_3", roi="GTV3", ml=None)], VALUES, rule=rule)
    assert found.rows == []
    assert found.without == {"A": {"PET": "region-failed"}}
    # Measured by the check, but its extraction failed.
    assert made([*TWO, region("A_3", roi="GTV3", ml=0.1)], VALUES, rule=rule).without == {"A": {"PET": "region-failed"}}


def test_the_primary_region_does_not_need_the_others() -> None:
    found = made([*TWO, region("A_3", roi="GTV3", ml=None)], VALUES, rule="primary", primary="GTVp")
    assert [row[P_VOLUME] for row in found.rows] == [3000]
    assert made(TWO, VALUES, rule="primary", primary="GTVt").without == {"A": {"PET": "no-primary"}}


def test_a_row_whose_modality_is_not_known_may_be_of_any() -> None:
    found = made([*TWO, region("A_3", block="", roi="x", ml=None)], VALUES, rule="largest", blocks=["PET"])
    assert found.without == {"A": {"PET": "region-failed"}}


@pytest.mark.parametrize(
    ("regions", "settings", "reason"),
    [
        (TWO, {"rule": "primary", "primary": "GTV*"}, "several-primary"),
        ([region("A_1", roi="GTV", image="a"), region("A_2", roi="gtv", image="b")], {"rule": "sum"}, "region-twice"),
        ([region("A_1", image="a"), region("A_2", image="b")], {"rule": "largest"}, "several-images"),
    ],
)
def test_what_somebody_must_decide_is_a_problem(regions: list[Region], settings: dict, reason: str) -> None:
    found = made(regions, VALUES, **settings)
    assert found.without == {"A": {"PET": reason}}
    assert found.problems == [("A", "PET", reason, ("A_1", "A_2"))]
    assert set(REASONS) >= {reason}


def test_unnamed_regions_of_one_image_are_lesions_of_their_own() -> None:
    found = made([region("A_1", image="a", ml=3.0), region("A_2", image="a", ml=1.0)], VALUES, rule="sum")
    assert found.rows[0][P_VOLUME] == 4000


def test_a_value_that_is_no_measurement_stays_none_in_a_mean() -> None:
    undefined = pd.DataFrame([{"case_id": "A_2", "feature": ENTROPY, "reason": "one-level", "meaning": "flat"}])
    found = made(TWO, {"A_1": (3000, 2), "A_2": (1000, math.nan)}, undefined, rule="weighted_mean")
    assert math.isnan(found.rows[0][P_ENTROPY])
    assert [(row["feature"], row["reason"]) for row in found.undefined] == [(P_ENTROPY, "one-level")]
    # The largest region's own value is one.
    assert made(TWO, {"A_1": (3000, 2), "A_2": (1000, math.nan)}, undefined, rule="largest").undefined == []


def test_equally_large_regions_the_first_by_id() -> None:
    equal = [region("A_2", roi="b", ml=2.0), region("A_1", roi="a", ml=2.0)]
    assert made(equal, VALUES, rule="largest").rows[0]["case_id"] == "A_1"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rule": "primary"}, "go together"),
        ({"rule": "largest", "primary": "x"}, "go together"),
        ({"rule": "largest", "others": "largest"}, "goes with rule: sum"),
        ({"rule": "largest", "blocks": ["PET", "PET"]}, "twice"),
        ({"rule": "largest", "blocks": ["PET"], "params": {"CT": {}}}, "'CT', which is not among blocks"),
    ],
)
def test_settings_that_contradict_themselves(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PatientSettings.model_validate(settings)

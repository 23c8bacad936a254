"""The summary says what the tables say, and survives runs with parts missing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import GeometryError
from radpipe.report.html import render
from radpipe.report.inputs import overlay, pick_cases
from radpipe.report.summary import flattened, summarise


def test_is_json_and_repeats_itself(inputs, summary):
    assert json.loads(json.dumps(summary, allow_nan=False)) == json.loads(json.dumps(summarise(inputs)))


def test_numbers_are_those_of_the_tables(inputs, summary):
    metrics = inputs.tables["metrics"]
    row = metrics[
        (metrics["model"] == "ann") & (metrics["metric"] == "auc") & (metrics["repeat"] == -1) & (metrics["role"] == "test")
    ]
    assert summary["models"][0]["metrics"]["auc"]["value"] == row["value"].iloc[0]
    comparison = inputs.tables["comparison"]
    assert summary["primary"]["effect"] == comparison[comparison["primary"]]["effect"].iloc[0]
    assert summary["cohort"]["n"] == 34 and summary["cohort"]["events"] == 13
    assert [m["model"] for m in summary["models"]] == ["ann", "cnn", "clinical", "volume", "xgboost"]
    assert summary["selections"][0]["features"][0]["times"] == inputs.tables["selection"].groupby("feature")["kept"].sum().max()
    assert sum(band["count"] for band in summary["agreement"]["bands"]) == len(inputs.tables["mask_agreement"])


def test_area_under_the_mean_curve_is_the_mean_auc(summary):
    for model in summary["models"]:
        area = np.trapezoid(model["roc"]["mean"], model["roc"]["rates"])
        assert area == pytest.approx(model["metrics"]["auc"]["value"], abs=0.02)


def test_scores_and_calibration_count_every_case_once(inputs, summary):
    predictions = inputs.tables["predictions"]
    for model in summary["models"]:
        assert len(model["scores"]) == 34 and sum(g["n"] for g in model["calibration"]) == 34
        assert sum(g["events"] for g in model["calibration"]) == 13
        own = predictions[(predictions["model"] == model["model"]) & (predictions["role"] == "test")]
        means = own.groupby("case_id")["p_1"].mean()
        assert model["scores"][0]["p"] == pytest.approx(means.max())


def test_image_pairs_are_image_minus_reference(inputs, summary):
    pairs = summary["images_add"]["pairs"]
    assert {(p["model"], p["reference"]) for p in pairs} == {
        (m, r) for m in ("ann", "cnn", "xgboost") for r in ("clinical", "volume")
    }
    tested = inputs.tables["predictions"].query("role == 'test'")
    aucs = {
        m: np.mean([roc_auc_score(part["y_true"], part["p_1"]) for _, part in own.groupby(["repeat", "fold"])])
        for m, own in tested.groupby("model")
    }
    for pair in pairs:
        assert pair["effect"] == pytest.approx(aucs[pair["model"]] - aucs[pair["reference"]], abs=1e-9)
        assert pair["ci_low"] < pair["effect"] < pair["ci_high"]


def test_cohort_table_by_hand(inputs, summary):
    cohort = inputs.tables["cohort"]
    rows = {row["name"]: row["cells"] for row in summary["cohort"]["rows"]}
    female = [(cohort[cohort["outcome"] == k]["sex"] == "Female").sum() for k in (0, 1)]
    assert [int(cell.split(" ")[0]) for cell in rows["Female"]] == [*female, sum(female)]
    assert rows["Age"][2].startswith(f"{cohort['age_years'].median():g} (")
    assert int(rows["not known"][2]) == cohort["grade"].isna().sum()


def test_limits_name_sample_size_gap_and_outlines(summary):
    text = " ".join(item["title"] + ": " + item["text"] for item in summary["limits"])
    for words in ("Riley", "This cohort has 34", "never saw that patient", "never on outcomes", "3 repeats"):
        assert words in text, words


def without(inputs, *names, **settings):
    tables = {name: None if name in names else table for name, table in inputs.tables.items()}
    return replace(inputs, tables=tables, settings={**inputs.settings, **settings})


PARTS = (
    "cohort",
    "splits",
    "segmentation",
    "mask_agreement",
    "undefined",
    "selection",
    "predictions",
    "fits",
    "metrics",
    "comparison",
    "failures",
)


@pytest.mark.parametrize("part", [*PARTS, "feature_dictionary"])
def test_a_summary_survives_any_missing_table(inputs, part):
    summary = summarise(without(inputs, part))
    assert json.loads(json.dumps(summary, allow_nan=False))["name"] == inputs.name


@pytest.mark.parametrize("missing", [PARTS, ("predictions", "fits", "metrics", "comparison")], ids=("everything", "models"))
def test_a_run_with_parts_missing_still_reports(inputs, missing):
    page = render(summarise(replace(without(inputs, *missing), overlays=(), stability={}, budget={}, citations=(), licence="")))
    assert "Research software, not a medical device" in page
    assert ("Nothing failed." in page) == ("failures" in missing)


def test_values_that_are_no_measurement_are_said(inputs, page):
    assert "2 values of 2 features in " in page and "differs from the mean of its neighbours" in page
    assert page.index("2 values of 2 features") < page.index("1 value of 1 feature in ")
    assert "no measurement" not in render(summarise(replace(without(inputs, "undefined"), overlays=(), maps=(), pictures=())))


def test_two_sets_of_candidates_are_told_apart(inputs, page):
    inputs = replace(inputs, overlays=(), maps=(), pictures=())
    table = inputs.tables["selection"]
    other = table[table["feature"] != table["feature"].iloc[0]].assign(sources="scalar")
    both = replace(inputs, tables={**inputs.tables, "selection": pd.concat([table, other])})
    first, second = summarise(both)["selections"]
    assert first["candidates"] == second["candidates"] + 1 and first["stability"] and second["stability"] is None
    told = render(summarise(both))
    assert "Among values of the whole lesion, statistics of feature maps, habitats" in told
    assert "Among values of the whole lesion<" in told and "<h3>Among" not in page


def test_given_masks_have_no_predicted_outline(inputs):
    shown = replace(
        without(inputs, "segmentation", "mask_agreement", segmentation={"masks": "given"}),
        overlays=tuple(replace(item, predicted=None, dice=None) for item in inputs.overlays[:1]),
        maps=(),
        pictures=(),
    )
    page = render(summarise(shown))
    assert "predicted by the network" not in page and "given outline (solid)" in page


def test_one_repeat(make_inputs):
    inputs = make_inputs(repeats=1, strength=(("ann", 0.7), ("cnn", 0.5)))
    summary = summarise(replace(inputs, overlays=(), maps=(), pictures=()))
    assert summary["verdict"]["kind"] == "not_resolved" and "could not be tested" in summary["verdict"]["headline"]
    assert all("No interval could be computed" in card["said"] for card in summary["chance"])
    assert "no interval" in render(summary)


def test_no_primary_pair_and_one_model(make_inputs):
    summary = summarise(make_inputs(primary=None, strength=(("ann", 1.0), ("volume", 0.2))))
    assert summary["verdict"]["kind"] == "none" and len(summary["comparison"]) == 1
    alone = summarise(replace(make_inputs(primary=None, strength=(("ann", 1.0),)), overlays=(), maps=(), pictures=()))
    assert alone["comparison"] == [] and "nothing to compare" in render(alone)


def test_a_clear_winner_is_called_so(make_inputs):
    summary = summarise(make_inputs(n=120, events=50, repeats=5, strength=(("ann", 1.6), ("cnn", 0.0), ("clinical", 0.0))))
    assert summary["verdict"]["headline"] == "ANN predicted better than CNN in this cohort."
    assert summary["images_add"]["headline"] == "Yes, in this cohort: ANN predicted better than Clinical."


def test_pick_cases_spreads_from_worst_to_best(inputs):
    table = inputs.tables["segmentation"]
    picked = pick_cases(table, 5)
    ranked = table.sort_values(["dice", "case_id"])["case_id"].tolist()
    assert picked[0] == ranked[0] and picked[-1] == ranked[-1] and len(set(picked)) == 5
    assert pick_cases(table, 0) == [] and len(pick_cases(table, 500)) == 34


def test_overlay_takes_the_largest_slice_and_its_surroundings():
    grid = Grid((6, 60, 50), (5.0, 2.0, 4.0))
    voxels = np.arange(6 * 60 * 50, dtype=np.int16).reshape(grid.shape)
    given, predicted = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    given[2, 20:30, 20:25] = True
    given[3, 25, 22] = True
    predicted[2, 22:34, 18:24] = True
    item = overlay(
        "c", Image(grid, voxels, "HU"), Mask(grid, given), Mask(grid, predicted), dice=0.5, modality="CT", margin_mm=8.0
    )
    assert item.image.shape == item.given.shape == (22, 11)  # rows 20-33 and 4 each side, columns 18-24 and 2 each side
    assert item.image[0, 0] == voxels[2, 16, 16] and item.given.sum() == 50
    assert (item.spacing_mm, item.unit, item.caption) == ((2.0, 4.0), "HU", "slice 3 of 6")
    empty = overlay("c", Image(grid, voxels, "HU"), Mask(grid, given & False), None, dice=None)
    assert empty.image.shape == (60, 50) and empty.predicted is None
    elsewhere = Mask(Grid((6, 60, 50), (5.0, 2.0, 3.0)), given)
    with pytest.raises(GeometryError, match="spacing"):
        overlay("c", Image(grid, voxels, "HU"), elsewhere, None, dice=None)


def test_every_dice_of_a_picture_stands_beside_its_no_look_baseline(inputs):
    pictured = replace(inputs, overlays=tuple(replace(item, dice_no_look=0.123) for item in inputs.overlays))
    page = render(summarise(replace(pictured, maps=(), pictures=())))
    figures = page.count("<figcaption><b>")
    assert figures == len(inputs.overlays) > 0
    assert page.count("without looking 0.12") == 2 * figures  # in the caption and in the picture's text


def test_settings_are_flat():
    assert flattened({"a": {"b": [1, 2], "c": None}, "d": True, "e": {}}) == [
        ["a.b", "1, 2"],
        ["a.c", "none"],
        ["d", "yes"],
        ["e", "none"],
    ]

"""What the controls say: flagged, not flagged, a weak guard, not run; each in words a clinician understands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from radpipe.comparison.controls import judge
from radpipe.core import tables as t
from radpipe.report.controls import NAMES, controls_summary
from radpipe.report.html import render
from radpipe.report.summary import summarise


def row(control: str, model: str = "ann", **changes):
    base = {
        "control": control, "model": model, "metric": "auc", "value": 0.5, "ci_low": 0.48, "ci_high": 0.52, "spread": 0.1, "n": 100,
        "observed": 0.8, "p_value": 0.0099, "flagged": False, "method": "interval: Monte-Carlo",
    }  # fmt: skip
    return {**base, **changes}


def _bare(inputs, rows):
    return replace(
        inputs, overlays=(), maps=(), pictures=(), tables={**inputs.tables, "controls": t.make_table(t.CONTROLS, rows)}
    )


def found(inputs, *rows):
    return controls_summary(replace(inputs, tables={**inputs.tables, "controls": t.make_table(t.CONTROLS, list(rows))}))


def test_not_run_says_so_and_how(inputs):
    said = controls_summary(inputs)
    assert said["kind"] == "not_run" and said["headline"].startswith("No controls were run")
    assert said["command"] == "radpipe run workflows/sts_pet.yaml --out runs/sts_pet --controls"


@pytest.mark.parametrize(("mean", "low", "high", "where"), [(0.56, 0.53, 0.59, "too high"), (0.44, 0.41, 0.47, "too low")])
def test_a_permuted_auc_away_from_chance_is_an_alarm(inputs, mean, low, high, where):
    said = found(inputs, row("permuted_outcomes", value=mean, ci_low=low, ci_high=high, flagged=True))
    assert said["kind"] == "flagged" and said["headline"].startswith("Warning") and "not be relied upon" in said["headline"]
    text = " ".join(said["sentences"])
    assert f"{mean:.3f}" in text and f"{low:.3f} to {high:.3f}" in text and "chance gives 0.50" in text and where in text
    assert "99 % Monte-Carlo" in text and "weak" not in text


def test_a_clean_run_says_no_more_than_that(inputs):
    said = found(inputs, row("permuted_outcomes"))
    text = " ".join(said["sentences"])
    assert said["kind"] == "clean" and "No sign" in said["headline"] and "weak" not in said["headline"] + text
    assert "p = 0.010" in text  # 1 / 101


@pytest.mark.parametrize(("n", "weak"), [(20, True), (99, True), (100, False)])
def test_fewer_than_a_hundred_permutations_are_a_weak_guard(inputs, n, weak):
    said = found(inputs, row("permuted_outcomes", n=n, ci_low=0.37, ci_high=0.63))
    text = " ".join(said["sentences"])
    assert (said["kind"] == "weak") == weak and ("guard is weak" in said["headline"]) == weak
    assert ("±0.130" in text and f"{n} permutations" in text) == weak
    flagged = found(inputs, row("permuted_outcomes", n=n, value=0.7, ci_low=0.6, ci_high=0.8, flagged=True))
    assert flagged["kind"] == "flagged" and ("guard is weak" in " ".join(flagged["sentences"])) == weak


def test_the_flag_of_the_table_is_the_judge_s(inputs):
    """From values to words: 100 runs about 0.5 and 100 about 0.55, both with the spread of 34 patients (0.10)."""
    for shift, kind in ((0.0, "clean"), (0.05, "flagged")):
        null = judge((0.5 + shift) + 0.1 * (((37 * _steps()) % 100) / 100 - 0.495) * 3.46, 0.8, "auc")
        assert 0.09 < null.sd < 0.11
        one = row("permuted_outcomes", value=null.mean, ci_low=null.low, ci_high=null.high, n=null.n, flagged=null.flagged)
        assert found(inputs, one)["kind"] == kind


def _steps():
    import numpy as np

    return np.arange(100)


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.6, 0.45, 0.75, "seems to use what was destroyed"),
        (0.7, 0.5, 0.9, "not shown to matter"),
        (0.95, 0.9, 1.0, "should not be"),
        (0.6, None, None, "No interval"),
    ],
)
def test_what_a_destroyed_image_tells(inputs, value, low, high, said):
    summary = found(inputs, row("permuted_outcomes"), row("shuffled_voxels", value=value, ci_low=low, ci_high=high))
    assert said in summary["rows"][1]["said"]
    assert summary["missing"] == [NAMES["random_region"], NAMES["noise_columns"]]


@pytest.mark.parametrize("control", ["random_region", "shuffled_voxels"])
def test_a_model_that_needs_no_lesion_is_a_caution_and_says_which(inputs, control):
    """Better than chance for sure (its interval above 0.5) without the lesion, and the true result not above that interval."""
    rows = [row("permuted_outcomes"), row("noise_columns", value=0.9, ci_low=0.8, ci_high=1.0)]
    said = found(
        inputs, *rows, row(control, value=0.85, ci_low=0.62, ci_high=1.0), row(control, "cnn", value=0.6, ci_low=0.52, ci_high=0.7),
        row(control, "xgboost", value=0.75, ci_low=0.49, ci_high=1.0),
    )  # fmt: skip
    (caution,) = said["cautions"]
    assert said["kind"] == "clean"
    assert "ANN 0.85 (true result 0.80)." in caution["text"]  # not the CNN, which loses by it, nor XGBoost, which chance explains
    assert ("without the lesion" in caution["title"]) == (control == "random_region")
    page = render(summarise(_bare(inputs, [*rows, row(control, value=0.85, ci_low=0.62, ci_high=1.0)])))
    assert (
        page.index(caution["title"]) < page.index('id="controls"') < page.rindex(caution["title"])
    )  # with the answer, and where it is told
    assert found(inputs, *rows)["cautions"] == controls_summary(inputs)["cautions"] == []


def test_a_region_elsewhere_that_tells_more_is_no_fault_of_the_work(inputs):
    said = found(inputs, row("random_region", value=0.95, ci_low=0.9, ci_high=1.0))
    assert "more than the lesion" in said["rows"][0]["said"] and len(said["cautions"]) == 1


def test_the_page_shows_all_four_beside_the_result_and_an_alarm_on_top(inputs):
    rows = [row(name, n=25) for name in ("noise_columns", "random_region", "shuffled_voxels")]
    rows += [
        row("permuted_outcomes", value=0.6, ci_low=0.57, ci_high=0.63, flagged=True),
        row("shuffled_voxels", "cnn", value=0.7),
    ]
    page = render(summarise(_bare(inputs, rows)))
    assert page.index('class="alarm"') < page.index("What was asked</h2>")
    own = page[page.index('id="controls"') :]
    assert [own.index(f">{name}</th>") for name in NAMES.values()] == sorted(
        own.index(f">{name}</th>") for name in NAMES.values()
    )
    assert own.count("Interval: Monte-Carlo.") == 5 and "Not run:" not in own

"""The flow from end to end on a small cohort: what it writes, what it finds again, and what a bad input costs."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from radpipe import pipeline
from radpipe.config import load_workflow
from radpipe.core.image import Image
from radpipe.errors import CohortError, ConfigError, RunError
from radpipe.io.volumes import read_image, read_mask, write_image, write_mask
from radpipe.pipeline import RunResult

pytestmark = pytest.mark.usefixtures("warm_servers")

FEATURES = ("cohort", "preprocess", "extract")  # as far as many tests need to go
Command = Callable[..., subprocess.CompletedProcess[str]]


def tables(out: Path) -> dict[str, str]:
    """SHA-256 of every table of a run."""
    found = sorted([*out.glob("*.parquet"), *(path for path in out.glob("*.csv") if path.name != "timings.csv")])
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def go(workflow: Path, out: Path, **options: Any) -> RunResult:
    return pipeline.run(load_workflow(workflow), out, **{"workers": 1, "scheduler": "processes", **options})


def computed(result: RunResult) -> dict[str, int]:
    return {stage.stage: stage.computed for stage in result.stages if stage.computed}


def test_a_run_ends_with_a_report_and_a_rerun_computes_nothing(study, tmp_path: Path, radpipe: Command) -> None:
    workflow, out = study.write(), tmp_path / "run"
    first = radpipe("run", workflow, "--out", out, "--workers", 2)
    assert str(out / "report.html") in first.stdout
    page = (out / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html")
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        assert str(tmp_path).encode() not in path.read_bytes(), f"{path.name} tells where files lie"
    before = tables(out)
    predictions = pd.read_parquet(out / "predictions.parquet")
    tested = predictions[predictions["role"] == "test"]
    assert tested.groupby("model")["case_id"].nunique().to_dict() == {"ann": 16, "volume": 16}
    assert tested.groupby(["model", "case_id"]).size().max() == 1
    assert np.allclose(predictions["p_0"] + predictions["p_1"], 1.0)

    again = go(workflow, out, workers=1, scheduler="local")
    assert computed(again) == {}
    assert again.exit_code == 0
    assert tables(out) == before


@pytest.mark.slow
def test_the_tables_are_the_same_for_one_and_two_workers(study, tmp_path: Path) -> None:
    models = {
        "ann": {"kind": "ann", "inputs": "selected", "members": 1},
        "cnn": {
            "kind": "cnn3d",
            "crop_voxels": [12, 12, 12],
            "epochs": 2,
            "minimum_epochs": 1,
            "members": 1,
            "mask_channel": True,
        },
        "volume": {"kind": "logistic", "inputs": "volume"},
        "clinical": {"kind": "logistic", "inputs": "clinical"},
        "xgboost": {"kind": "xgboost", "inputs": "features", "rounds": 12},
        "fusion": {"kind": "ann", "inputs": ["selected", "clinical"], "members": 1},
        "mean": {"kind": "average", "of": ["ann", "cnn"]},
        "deep": {"kind": "svm", "inputs": "selected", "sources": ["embedding"]},
    }
    segmentation = {"masks": "predicted", "folds": 2, "epochs": 8, "patch_voxels": [16, 16, 16], "flip_average": False}
    splits = {"repeats": 1, "folds": 2}
    workflow = study.write(models=models, segmentation=segmentation, splits=splits, references=True)
    one, two = tmp_path / "one", tmp_path / "two"
    go(workflow, one, workers=1)
    go(workflow, two, workers=2)
    assert tables(one) == tables(two)
    outlines = pd.read_parquet(one / "segmentation.parquet")
    agreement = pd.read_parquet(one / "mask_agreement.parquet")
    failed = pd.read_parquet(one / "failures.parquet")
    assert len(outlines) + len(failed) == 16
    assert outlines["dice"].mean() > 0.5  # a bright ellipsoid; drawing without looking gives far less on these volumes
    assert set(agreement["n"]) == {len(outlines)}
    assert all((one / path).is_file() for path in [*outlines["mask_path"], *outlines["probability_path"]])
    mask = read_mask(one / outlines["mask_path"].iloc[0])
    image = read_image(study.folder / f"{outlines['case_id'].iloc[0]}_image.nii.gz")
    assert mask.grid.shape == image.grid.shape


def test_an_edited_mask_recomputes_just_what_depends_on_it(study, tmp_path: Path) -> None:
    workflow, out = study.write(), tmp_path / "run"
    go(workflow, out, only=FEATURES)
    path = study.folder / "P03_mask.nii.gz"
    mask = read_mask(path)
    smaller = mask.voxels.copy()
    smaller[tuple(np.argwhere(smaller)[0])] = False
    write_mask(path, replace(mask, voxels=smaller))
    result = computed(go(workflow, out, only=FEATURES))
    assert {stage: result[stage] for stage in ("cohort", "preprocess", "extract")} == {"cohort": 1, "preprocess": 1, "extract": 1}


def test_another_bin_width_extracts_again_and_reads_no_image_twice(study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    go(study.write(), out, only=FEATURES)
    params = {"setting": {"binWidth": 0.25}, "featureClass": {"firstorder": None, "shape": None}}
    result = computed(go(study.write(features={"params": params}), out, only=FEATURES))
    assert result["extract"] == 16
    assert "cohort" not in result
    assert "preprocess" not in result


def test_a_new_row_at_the_top_is_the_only_case_computed(study, tmp_path: Path) -> None:
    out, rows = tmp_path / "run", study.rows
    study.rows = rows[1:]
    go(study.write(), out, only=FEATURES)
    study.rows = rows
    result = computed(go(study.write(), out, only=FEATURES))
    assert {stage: result[stage] for stage in ("cohort", "preprocess", "extract")} == {"cohort": 1, "preprocess": 1, "extract": 1}
    features = pd.read_parquet(out / "features.parquet")
    assert sorted(features["case_id"]) == [row["case_id"] for row in rows]


def spoil(study: Any) -> dict[str, list[str]]:
    """Eight bad cases of as many kinds; what their message must hold."""
    folder = study.folder

    def image_of(index: int) -> Image:
        return read_image(folder / f"P{index:02d}_image.nii.gz")

    (folder / "P00_image.nii.gz").unlink()
    whole = gzip.decompress((folder / "P01_image.nii.gz").read_bytes())
    (folder / "P01_image.nii.gz").write_bytes(gzip.compress(whole[: len(whole) * 2 // 3]))
    mask = read_mask(folder / "P02_mask.nii.gz")
    write_mask(folder / "P02_mask.nii.gz", replace(mask, grid=replace(mask.grid, origin_mm=(14.0, -20.0, 30.0))))
    mask = read_mask(folder / "P03_mask.nii.gz")
    write_mask(folder / "P03_mask.nii.gz", replace(mask, voxels=np.zeros_like(mask.voxels)))
    study.rows[4]["label"] = "7"
    for index, value in ((5, np.nan), (6, np.inf)):
        image = image_of(index)
        voxels = image.voxels.copy()
        voxels[3, 4, 5] = value
        write_image(folder / f"P{index:02d}_image.nii.gz", replace(image, voxels=voxels))
    study.rows[7]["relapse"] = ""
    (folder / "P08_mask.nii.gz").write_text("not an image at all")
    return {
        "P00": ["P00_image.nii.gz", "does not exist"],
        "P01": ["P01_image.nii.gz", "bytes"],
        "P02": ["P02_mask.nii.gz", "origin", "4", "2 voxels"],
        "P03": ["P03_mask.nii.gz", "empty"],
        "P04": ["P04_mask.nii.gz", "7", "1"],
        "P05": ["P05_image.nii.gz", "NaN"],
        "P06": ["P06_image.nii.gz", "infinite"],
        "P07": ["manifest.csv", "outcome", "relapse", "missing"],
        "P08": ["P08_mask.nii.gz", "header"],
    }


def test_bad_cases_are_named_and_cost_the_good_ones_nothing(study, tmp_path: Path, radpipe_here: Command) -> None:
    study.add(8)
    said = spoil(study)
    out = tmp_path / "run"
    done = radpipe_here(
        "run", study.write(splits={"repeats": 1, "folds": 2}), "--out", out, "--workers", 1, "--scheduler", "processes", check=3
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert "failures.csv" in done.stderr
    failures = pd.read_csv(out / "failures.csv", dtype=str, keep_default_na=False).set_index("case_id")
    assert sorted(failures.index) == sorted(said)
    for case_id, parts in said.items():
        text = " ".join(failures.loc[case_id, ["path", "problem", "hint"]])
        assert [part for part in parts if part not in text] == [], (case_id, text)
        assert failures.loc[case_id, "hint"]
        assert "radpipe run" in failures.loc[case_id, "rerun"]
    bad = pd.read_parquet(out / "features.parquet")
    study.rows = [row for row in study.rows if row["case_id"] not in said]
    clean = tmp_path / "clean"
    assert go(study.write(splits={"repeats": 1, "folds": 2}), clean, only=FEATURES).exit_code == 0
    pd.testing.assert_frame_equal(bad, pd.read_parquet(clean / "features.parquet"), check_exact=True)
    page = (out / "report.html").read_text()
    assert [case_id for case_id in said if case_id not in page] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.append(dict(rows[0])), ["P00", "rows 2 and 18"]),
        (lambda rows: [row.update(relapse="1") for row in rows], ["one class", "relapse"]),
        (lambda rows: rows.__delitem__(slice(4, None)), ["fold"]),
        (lambda rows: [row.pop("mask_path") for row in rows], ["mask_path", "missing"]),
    ],
    ids=["duplicate id", "one class", "fewer cases than folds", "no mask column"],
)  # fmt: skip
def test_a_manifest_that_cannot_be_used_is_refused_in_words(study, tmp_path: Path, radpipe_here: Command, change, said) -> None:
    change(study.rows)
    done = radpipe_here("run", study.write(splits={"repeats": 1, "folds": 5}), "--out", tmp_path / "run", check=2)
    assert "Traceback" not in done.stderr
    assert [part for part in [*said, "manifest.csv"] if part not in done.stderr] == [], done.stderr


def test_an_output_folder_of_another_workflow_is_refused(study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    go(study.write(), out, only=("cohort",))
    before = tables(out)
    with pytest.raises(RunError, match="belongs to the workflow 'toy'"):
        go(study.write(name="other"), out)
    assert tables(out) == before


def test_an_empty_predicted_mask_is_a_failed_case_never_the_given_one(study, tmp_path: Path) -> None:
    segmentation = {
        "masks": "predicted",
        "folds": 2,
        "epochs": 1,
        "patch_voxels": [16, 16, 16],
        "threshold": 0.999999,
        "flip_average": False,
    }
    go(study.write(segmentation=segmentation), tmp_path / "run", only=("cohort", "preprocess", "segment"))
    failures = pd.read_parquet(tmp_path / "run" / "failures.parquet")
    assert set(failures["error"]) == {"empty_roi"}
    assert len(failures) == 16
    assert len(pd.read_parquet(tmp_path / "run" / "segmentation.parquet")) == 0

    # The same folder with other settings: nothing that the first run left may be read as the second's.
    go(study.write(), tmp_path / "run", only=("cohort", "preprocess", "segment"))
    assert not (tmp_path / "run" / "segmentation.parquet").exists()
    assert len(pd.read_parquet(tmp_path / "run" / "failures.parquet")) == 0


def test_a_report_of_other_settings_does_not_outlive_them(study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    go(study.write(), out, only=("cohort",))
    (out / "report.html").write_text("an earlier report")
    go(study.write(), out, only=("cohort",))
    assert (out / "report.html").exists()
    go(study.write(comparison={"primary": ["ann", "volume"], "margin": 0.1}), out, only=("cohort",))
    assert not (out / "report.html").exists()


@pytest.mark.slow
def test_nesting_full_outlines_every_case_in_every_fold(study, tmp_path: Path) -> None:
    segmentation = {
        "masks": "predicted",
        "nesting": "full",
        "folds": 2,
        "epochs": 8,
        "patch_voxels": [16, 16, 16],
        "flip_average": False,
    }
    out = tmp_path / "run"
    result = go(study.write(segmentation=segmentation, splits={"repeats": 1, "folds": 2}), out)
    outlines = pd.read_parquet(out / "segmentation.parquet")
    splits = pd.read_parquet(out / "splits.parquet")
    kept = set(outlines["case_id"])
    assert len(outlines) == 2 * len(kept)
    tested = splits[splits["role"] == "test"].set_index(["repeat", "fold"])["case_id"]
    outer = outlines[outlines["part"] == -1].set_index(["repeat", "fold"])["case_id"]
    assert sorted(outer.items()) == sorted((place, case) for place, case in tested.items() if case in kept)
    assert set(pd.read_parquet(out / "fold_features.parquet")["case_id"]) == kept
    assert (result.exit_code == 0) == (len(kept) == 16)


def test_a_table_of_features_made_elsewhere_enters_without_images(study, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows = [
        {"ID": row["case_id"], "diagnostics_Versions": "3.0.1", "f1": rng.normal() + 2 * int(row["relapse"]), "f2": rng.normal(),
         "original_shape_MeshVolume": rng.uniform(1e3, 1e5)}
        for row in study.rows[:-1]
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(study.folder / "features.csv", index=False)
    for path in study.folder.glob("*.nii.gz"):
        path.unlink()
    study.rows = [{name: row[name] for name in ("case_id", "patient_id", "relapse", "age")} for row in study.rows]
    out = tmp_path / "run"
    result = go(study.write(features={"table": "features.csv"}), out)
    assert result.exit_code == 3
    failures = pd.read_parquet(out / "failures.parquet")
    assert list(failures["case_id"]) == ["P15"]
    assert "no row" in failures["problem"].iloc[0]
    features = pd.read_parquet(out / "features.parquet").set_index("case_id")
    assert features.loc["P00", "f1"] == pytest.approx(rows[0]["f1"], rel=1e-12)
    assert "diagnostics_Versions" not in features.columns
    metrics = pd.read_parquet(out / "metrics.parquet")
    auc = metrics[
        (metrics["model"] == "ann") & (metrics["metric"] == "auc") & (metrics["repeat"] == -1) & (metrics["role"] == "test")
    ]
    assert auc["value"].iloc[0] > 0.5  # f1 is two standard deviations apart between the classes
    assert (out / "report.html").is_file()


@pytest.mark.slow
def test_stages_run_one_by_one_and_say_what_they_need(study, tmp_path: Path) -> None:
    workflow, out = study.write(), tmp_path / "run"
    with pytest.raises(RunError, match="'cohort' is not there yet"):
        go(workflow, out, only=("extract",))
    go(workflow, out)
    whole = tables(out)
    for path in [*out.glob("*.parquet"), *out.glob("*.csv"), out / "report.html"]:
        path.unlink()
    for name in pipeline.stage_names():
        assert computed(go(workflow, out, only=(name,))) == {}
    assert tables(out) == whole
    assert (out / "report.html").is_file()


def test_dry_run_says_what_it_will_take_and_writes_nothing(study, tmp_path: Path, radpipe_here: Command) -> None:
    study.rows[2]["relapse"] = ""
    done = radpipe_here("run", study.write(), "--out", tmp_path / "run", "--dry-run")
    assert "15 cases" in done.stdout
    assert "3 fits" in done.stdout
    assert "P02" in done.stdout
    assert "minutes" in done.stdout
    assert not (tmp_path / "run").exists()


def test_the_output_folder_has_a_default(study, radpipe_here: Command) -> None:
    radpipe_here("stage", "cohort", study.write(), "--workers", 1, "--scheduler", "processes", cwd=study.folder)
    assert len(pd.read_parquet(study.folder / "runs" / "toy" / "cohort.parquet")) == 16


def test_two_runs_on_one_folder_are_refused(study, tmp_path: Path) -> None:
    workflow, out = study.write(), tmp_path / "run"
    loaded = load_workflow(workflow)
    options: dict[str, Any] = {"invocation": ("", ""), "workers": 1, "scheduler": "processes", "progress": None}
    with pipeline.open_run(loaded, out, **options), pytest.raises(RunError, match="in use"):
        go(workflow, out)
    assert go(workflow, out, only=("cohort",)).exit_code == 0


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk needs root on Linux"
)
def test_a_full_disk_is_said_and_the_same_command_carries_on(study, tmp_path: Path, radpipe: Command) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        done = radpipe("run", study.write(), "--out", disk / "run", "--workers", 1, check=2)
        assert "disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        go(study.write(), disk / "run", only=FEATURES)
        reference = tmp_path / "reference"
        go(study.write(), reference, only=FEATURES)
        assert tables(disk / "run") == tables(reference)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_errors_of_settings_leave_nothing_behind(study, tmp_path: Path, radpipe_here: Command) -> None:
    path = study.write()
    content = yaml.safe_load(path.read_text())
    content["selectoin"] = {}
    path.write_text(yaml.safe_dump(content))
    done = radpipe_here("run", path, "--out", tmp_path / "run", check=2)
    assert "'selection'" in done.stderr
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError):
        load_workflow(path)


def test_all_cases_failing_ends_the_run_in_words(study, tmp_path: Path) -> None:
    for path in study.folder.glob("*_mask.nii.gz"):
        path.write_bytes(b"broken")
    with pytest.raises(CohortError, match="no case can be used: all 16 failed"):
        go(study.write(), tmp_path / "run")
    assert len(pd.read_parquet(tmp_path / "run" / "failures.parquet")) == 16

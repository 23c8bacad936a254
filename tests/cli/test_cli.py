"""The command line as a user meets it: help, what can be chosen, and a first workflow from a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radpipe.cli.describe import TOPICS
from radpipe.cli.main import COMMANDS
from radpipe.config import load_workflow
from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.features.registry import FAMILIES
from radpipe.filters.ibsi_registry import IBSI_FILTERS
from radpipe.filters.registry import IMAGE_TYPES
from radpipe.io.volumes import write_image, write_mask


@pytest.fixture
def call(radpipe_here: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., str]:
    """The command within this process: all that it says."""

    def said(*arguments: object, check: int = 0) -> str:
        done = radpipe_here(*arguments, check=check)
        return done.stdout + done.stderr

    return said


def test_help_names_every_command_and_the_exit_status(radpipe: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    text = radpipe("--help").stdout
    assert [word for word in (*COMMANDS, "Exit status") if word not in text] == []


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("features", [*(f"original_{family}_" for family in FAMILIES if family != "shape2D"), "mm"]),
        ("ibsi", ["original_morph_", "original_cm-3D-mrg_JointMaximum", "IBSI GYBY"]),
        ("filters", [*IMAGE_TYPES, *IBSI_FILTERS, "log-sigma-1-0-mm-3D_*"]),
        ("networks", ["unet3d", "plaincnn3d"]),
        ("models", ["ann", "cnn3d", "logistic", "xgboost"]),
        ("selectors", ["tree"]),
        ("tests", ["corrected_t", "delong"]),
        ("workflow", ["cohort.manifest", "segmentation.masks", "compute.workers"]),
    ],
)
def test_describe_lists_what_can_be_chosen(call: Callable[..., str], topic: str, words: list[str]) -> None:
    text = call("describe", topic)
    assert [word for word in words if word not in text] == []


def test_every_topic_is_tested_above() -> None:
    assert set(TOPICS) == {"features", "ibsi", "filters", "networks", "models", "selectors", "tests", "workflow"}


def test_a_wrong_command_and_a_missing_file_are_said_without_a_traceback(call: Callable[..., str], tmp_path: Path) -> None:
    assert "No such command" in call("runn", check=2)
    assert "nowhere.yaml" in call("run", tmp_path / "nowhere.yaml", "--out", tmp_path / "run", check=2)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    grid = Grid((6, 7, 8), (3.0, 2.0, 2.0))
    region = np.zeros(grid.shape, dtype=bool)
    region[2:4, 2:5, 2:6] = True
    for index in range(6):
        voxels = np.random.default_rng(index).normal(size=grid.shape).astype(np.float32)
        write_image(folder / f"a{index}_image.nii.gz", Image(grid, voxels))
        write_mask(folder / f"a{index}_mask.nii.gz", Mask(grid, region))
    write_image(folder / "lonely_image.nii.gz", Image(grid, voxels))
    return folder


def test_init_writes_a_manifest_and_a_workflow_that_load(call: Callable[..., str], scans: Path, tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text("case_id,relapse,age\n" + "".join(f"a{i},{'yes' if i % 2 else 'no'},{50 + i}\n" for i in range(5)))
    out = tmp_path / "study"
    text = call("init", scans, "--outcomes", outcomes, "--outcome", "relapse", "--modality", "CT", "--out", out)
    assert "lonely_image.nii.gz" in text
    assert "no outcome for case_id a5" in text
    manifest = pd.read_csv(out / "manifest.csv", dtype=str, keep_default_na=False)
    assert list(manifest["case_id"]) == [f"a{i}" for i in range(6)]
    assert list(manifest["relapse"]) == ["no", "yes", "no", "yes", "no", ""]
    assert set(manifest["modality"]) == {"CT"}
    assert all((out / path).resolve().is_file() for path in [*manifest["image_path"], *manifest["mask_path"]])
    workflow = load_workflow(out / "workflow.yaml")
    assert workflow.segmentation.masks == "given"
    assert workflow.cohort.positive == "yes"
    assert workflow.cohort.clinical == ("age",)
    assert workflow.features.params["setting"]["binWidth"] == 25
    dry = call("run", out / "workflow.yaml", "--out", tmp_path / "run", "--dry-run", check=2)
    assert "class" in dry  # 5 cases are fewer than five folds of two classes need, and it says so before anything runs
    assert "is there already" in call("init", scans, "--out", out, check=2)


def test_init_says_where_nothing_pairs(call: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no image with a mask was found" in call("init", tmp_path / "empty", "--out", tmp_path / "out", check=2)

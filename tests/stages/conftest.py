"""A small cohort of made-up lesions with a real signal, and a workflow that runs on it in seconds."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.io.volumes import write_image, write_mask

N_CASES = 16
GRID = Grid((14, 16, 18), (3.0, 2.0, 2.0), (10.0, -20.0, 30.0))


def make_case(folder: Path, index: int) -> dict[str, str]:
    """A bright ellipsoid in noise; cases with outcome 1 are larger and hotter."""
    rng = np.random.default_rng(index)
    outcome = index % 2
    z, y, x = np.indices(GRID.shape)
    centre = np.array([6.5, 7.5, 8.5]) + rng.uniform(-1, 1, 3)
    radii = np.array([3.0, 3.6, 4.0]) + 0.6 * outcome + rng.uniform(-0.4, 0.4, 3)
    inside = ((z - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((x - centre[2]) / radii[2]) ** 2 <= 1
    voxels = rng.gamma(2.0, 0.3, GRID.shape) + inside * rng.gamma(6.0, 0.8 + 0.3 * outcome, GRID.shape)
    case_id = f"P{index:02d}"
    write_image(folder / f"{case_id}_image.nii.gz", Image(GRID, voxels.astype(np.float32), "SUV"))
    write_mask(folder / f"{case_id}_mask.nii.gz", Mask(GRID, inside))
    return {
        "case_id": case_id, "patient_id": case_id, "modality": "PET", "image_path": f"{case_id}_image.nii.gz",
        "mask_path": f"{case_id}_mask.nii.gz", "label": "1", "relapse": str(outcome), "age": str(40 + int(rng.integers(30))),
    }  # fmt: skip


def write_manifest(folder: Path, rows: list[dict[str, str]]) -> None:
    with open(folder / "manifest.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def workflow(**changes: Any) -> dict[str, Any]:
    """Everything small: 1 x 3 folds, few trees, few steps."""
    base: dict[str, Any] = {
        "radpipe_workflow": 1, "name": "toy", "seed": 7,
        "cohort": {"manifest": "manifest.csv", "outcome": "relapse", "clinical": ["age"]},
        "splits": {"repeats": 1, "folds": 3, "selection_fraction": 0.25},
        "preprocessing": {"spacing_mm": [3, 3, 3]},
        "segmentation": {"masks": "given"},
        "features": {"params": {"setting": {"binWidth": 0.5}, "featureClass": {"firstorder": None, "shape": None}}},
        "selection": {"max_features": 2, "trees": 20, "rounds": 2},
        "models": {"ann": {"kind": "ann", "inputs": "selected", "members": 1}, "volume": {"kind": "logistic", "inputs": "volume"}},
        "comparison": {"primary": ["ann", "volume"]},
        "references": False,
    }  # fmt: skip
    return {**base, **changes}


class Study:
    """A folder with a manifest, its files and a workflow."""

    def __init__(self, folder: Path, rows: list[dict[str, str]]) -> None:
        self.folder, self.rows = folder, rows

    def add(self, n: int) -> None:
        """n further cases."""
        self.rows += [make_case(self.folder, index) for index in range(len(self.rows), len(self.rows) + n)]

    def write(self, file: str = "workflow.yaml", **changes: Any) -> Path:
        write_manifest(self.folder, self.rows)
        path = self.folder / file
        path.write_text(yaml.safe_dump(workflow(**changes)))
        return path


@pytest.fixture
def study(tmp_path: Path) -> Study:
    folder = tmp_path / "study"
    folder.mkdir()
    return Study(folder, [make_case(folder, index) for index in range(N_CASES)])


@pytest.fixture(scope="module")
def module_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same, for tests that only read what one run of it left."""
    folder = tmp_path_factory.mktemp("study")
    return Study(folder, [make_case(folder, index) for index in range(N_CASES)])


@pytest.fixture
def radpipe() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command itself, as a user calls it."""

    def call(*arguments: object, check: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "radpipe", *map(str, arguments)], capture_output=True, text=True, timeout=280, **options
        )
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    return call

"""Where the files of a study lie may tell whose they are: no table, log or page of a run has a path to them that begins outside of it."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.io.volumes import write_image, write_mask

PERSON = "Mustermann_Max"
GRID = Grid((8, 9, 10), (3.0, 2.0, 2.0), (0.0, 0.0, 0.0))
WORKFLOW = {
    "radpipe_workflow": 1, "name": "toy", "seed": 7, "cohort": {"manifest": "manifest.csv", "outcome": "relapse"},
    "splits": {"repeats": 1, "folds": 2}, "models": {"volume": {"kind": "logistic", "inputs": "volume"}},
    "compute": {"workers": 1, "scheduler": "processes"},
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve cases in the folder of a person; one image is cut off, one mask is missing, one mask is on another grid, one is NaN."""
    folder = tmp_path_factory.mktemp("data") / PERSON / "cohort"
    folder.mkdir(parents=True)
    rows = []
    for index in range(12):
        voxels = np.random.default_rng(index).normal(2, 1, GRID.shape).astype(np.float32)
        if index == 3:
            voxels[:] = np.nan
        inside = np.zeros(GRID.shape, bool)
        inside[2:6, 2:7, 2:7] = True
        image, mask = f"c{index}_image.nii.gz", f"c{index}_mask.nii.gz"
        write_image(folder / image, Image(GRID, voxels, "SUV"))
        write_mask(folder / mask, Mask(GRID if index != 2 else Grid(GRID.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), inside))
        named = {"case_id": f"c{index}", "patient_id": f"c{index}", "modality": "PET", "relapse": index % 2}
        rows.append({**named, "image_path": image, "mask_path": mask})
    (folder / "c0_image.nii.gz").write_bytes((folder / "c0_image.nii.gz").read_bytes()[:200])
    (folder / "c1_mask.nii.gz").unlink()
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "workflow.yaml").write_text(yaml.safe_dump(WORKFLOW))
    return folder


def told(folder: Path, *given: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "radpipe", *given], cwd=folder, capture_output=True, check=False)


def assert_nowhere(out: Path) -> None:
    for path in out.rglob("*"):
        assert PERSON not in path.relative_to(out).as_posix()
        assert not path.is_file() or PERSON.encode() not in path.read_bytes(), path


def test_a_run_and_its_failures(study: Path, tmp_path: Path) -> None:
    done = told(study, "stage", "cohort", "workflow.yaml", "--out", str(tmp_path / "run"))
    assert done.returncode == 3, done.stderr
    assert PERSON.encode() not in done.stdout + done.stderr
    assert_nowhere(tmp_path / "run")
    with open(tmp_path / "run" / "failures.csv", newline="", encoding="utf-8") as file:
        failed = {row["case_id"]: row["path"] for row in csv.DictReader(file)}
    assert failed["c0"] == "c0_image.nii.gz" and failed["c1"] == "c1_mask.nii.gz"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["doctor", "extract"])
def test_the_check_and_the_features(study: Path, tmp_path: Path, command: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    where = ["--out", str(out / "doctor")] if command == "doctor" else ["-o", str(out / "features.csv")]
    done = told(study, command, "manifest.csv", *where, "--scheduler", "processes", "-w", "1")
    assert done.returncode == 3, done.stderr
    assert PERSON.encode() not in done.stdout + done.stderr
    assert_nowhere(out)

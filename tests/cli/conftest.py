"""A small cohort on disk, and the command as a user calls it."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image
from radpipe.io.nifti import write_nifti
from radpipe.io.volumes import write_image

GRID = Grid((8, 12, 14), (3.0, 2.0, 1.5), (10.0, -20.0, 30.0))


class Lesions:
    """A folder of images (int16) with masks of two labels: 1 the lesion, 2 a box in its corner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, seed: int, grid: Grid = GRID) -> None:
        rng = np.random.default_rng(seed)
        z, y, x = np.indices(grid.shape)
        centre = np.array([3.5, 5.5, 6.5]) + rng.uniform(-0.7, 0.7, 3)
        inside = ((z - centre[0]) / 2.7) ** 2 + ((y - centre[1]) / 4) ** 2 + ((x - centre[2]) / 4.6) ** 2 <= 1
        voxels = rng.normal(40, 60, grid.shape) + 200 * inside
        write_image(self.folder / f"{name}_image.nii.gz", Image(grid, voxels.astype(np.int16)))
        labels = inside.astype(np.uint8)
        labels[:3, :3, :3] = 2
        write_nifti(self.folder / f"{name}_mask.nii.gz", labels, grid)

    def table(self, name: str, rows: Iterable[dict[str, str]]) -> Path:
        rows = list(rows)
        path = self.folder / name
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    def row(self, name: str, **more: str) -> dict[str, str]:
        """As PyRadiomics' batch files have it."""
        return {"ID": name, "Image": f"{name}_image.nii.gz", "Mask": f"{name}_mask.nii.gz", **more}


@pytest.fixture
def lesions(tmp_path: Path) -> Lesions:
    folder = tmp_path / "lesions"
    folder.mkdir()
    made = Lesions(folder)
    for seed, name in enumerate("abcd"):
        made.add(name, seed)
    return made


Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def radpipe() -> Call:
    """The command itself; a traceback is never an answer."""

    def call(*arguments: object, check: int | None = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "radpipe", *map(str, arguments)], capture_output=True, text=True, timeout=280, cwd=cwd
        )
        assert "Traceback" not in done.stderr, done.stderr
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """The command within this process, for what ends before any case: (exit status, standard output, standard error)."""
    from radpipe.cli.main import main

    def call(*arguments: object, cwd: Path) -> tuple[int, str, str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["radpipe", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return call

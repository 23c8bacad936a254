"""The digital phantom and its reference values (fixture of tests/reference/ibsi), the CT phantom (shared data), small regions."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "ibsi"


@lru_cache
def rows_of(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(newline="") as file:
        return list(csv.DictReader(file))


@lru_cache
def digital_phantom() -> tuple[Image, Mask]:
    grid = Grid((4, 4, 5), (2.0, 2.0, 2.0))
    voxels, mask = np.zeros(grid.shape), np.zeros(grid.shape, bool)
    for row in rows_of("digital_phantom.csv"):
        place = int(row["z"]), int(row["y"]), int(row["x"])
        voxels[place], mask[place] = float(row["intensity"]), row["mask"] == "1"
    return Image(grid, voxels), Mask(grid, mask)


@pytest.fixture(scope="session")
def phantom() -> tuple[Image, Mask]:
    return digital_phantom()


@pytest.fixture(scope="session")
def ct_phantom(shared_data: Path) -> tuple[Image, Mask]:
    folder = shared_data / "ibsi1" / "ct_phantom_CC-BY-NC"
    image = sitk.ReadImage(str(folder / "image" / "phantom.nii.gz"))
    mask = sitk.ReadImage(str(folder / "mask" / "mask.nii.gz"))
    x, y, z = image.GetSpacing()
    voxels = np.rint(sitk.GetArrayFromImage(image).astype(np.float64))
    grid = Grid(voxels.shape, (z, y, x))
    return Image(grid, voxels), Mask(grid, sitk.GetArrayFromImage(mask) == 1)


@pytest.fixture(scope="session")
def case() -> Callable[..., tuple[Image, Mask]]:
    """Arrays -> (Image, Mask); spacing in (z, y, x), mm."""

    def build(
        voxels: np.ndarray, region: np.ndarray, spacing: tuple[float, float, float] = (3.0, 1.0, 1.5)
    ) -> tuple[Image, Mask]:
        grid = Grid(voxels.shape, spacing)
        return Image(grid, np.asarray(voxels, float)), Mask(grid, np.asarray(region, bool))

    return build


@pytest.fixture(scope="session")
def blob() -> tuple[np.ndarray, np.ndarray]:
    """(intensities, region) without any symmetry, with a hole; whole numbers from 1 to 9."""
    rng = np.random.default_rng(3)
    z, y, x = np.indices((7, 8, 9))
    region = (((z - 3) / 3) ** 2 + ((y - 3.5) / 3.6) ** 2 + ((x - 4) / 4.1) ** 2 <= 1) & (rng.random(z.shape) > 0.08)
    return np.clip(np.rint(5 + 2 * np.sin(z + y) + rng.normal(0, 1.5, z.shape)), 1, 9), region

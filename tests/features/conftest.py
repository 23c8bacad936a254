"""The oracle's cases and values, and random small regions."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask

REFERENCE = Path(__file__).resolve().parents[1] / "reference"


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REFERENCE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache
def oracle_module() -> ModuleType:
    return _module("make_pyradiomics_oracle")


@lru_cache
def oracle_values() -> dict[tuple[str, str], dict[str, float] | str]:
    """(case, setting) -> pyradiomics' row, or its words where it refused."""
    return oracle_module().stored()


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    return oracle_module()


@pytest.fixture(scope="session")
def oracle_rows() -> dict[tuple[str, str], dict[str, float] | str]:
    return oracle_values()


@pytest.fixture(scope="session")
def phantom() -> tuple[Image, Mask]:
    array, region, spacing = oracle_module().phantoms()["waves"]
    grid = Grid(array.shape, spacing[::-1])
    return Image(grid, array), Mask(grid, region)


@pytest.fixture(scope="session")
def read_case() -> Callable[[Path, Path], tuple[Any, ...]]:
    def read(image: Path, mask: Path) -> tuple[Any, ...]:
        return tuple(oracle_module().from_itk(sitk.ReadImage(str(image)), sitk.ReadImage(str(mask))))

    return read


@pytest.fixture(scope="session")
def pair() -> Callable[..., tuple[Image, Mask]]:
    """Arrays -> (Image, Mask); spacing in (z, y, x), mm."""

    def build(
        voxels: np.ndarray, region: np.ndarray, spacing: tuple[float, float, float] = (2.0, 1.0, 1.5)
    ) -> tuple[Image, Mask]:
        grid = Grid(voxels.shape, spacing)
        return Image(grid, voxels), Mask(grid, region.astype(bool))

    return build

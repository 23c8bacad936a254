from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radpipe.cohort.build import make_cases, read_manifest
from radpipe.cohort.check import check_case
from radpipe.cohort.config import CohortSettings, SplitSettings
from radpipe.datasets import load_sts_pet
from radpipe.io.volumes import read_image, read_mask

SLOPE = 1 / 512


@pytest.fixture(scope="module")
def volumes() -> dict[str, tuple]:
    dataset = load_sts_pet()
    return {
        row.case_id: (read_image(dataset.folder / row.image_path, unit="SUV"), read_mask(dataset.folder / row.mask_path))
        for row in dataset.manifest.itertuples()
    }


def margins(mask: np.ndarray) -> np.ndarray:
    """(axis, side) voxels between the lesion's box and the edge."""
    inside = np.argwhere(mask)
    return np.stack([inside.min(0), np.array(mask.shape) - 1 - inside.max(0)], axis=1)


def test_the_manifest_and_every_file_pass_the_cohort_stage(volumes: dict[str, tuple]) -> None:
    dataset = load_sts_pet()
    settings = CohortSettings(manifest="builtin:sts_pet", outcome="lung_metastasis", clinical=("age_years", "sex", "grade"))
    rows, errors = read_manifest(
        dataset.manifest, settings, base=dataset.folder, source=dataset.manifest_path, splits=SplitSettings(folds=10)
    )
    assert errors == [] and len(rows) == 34 and rows["outcome"].sum() == 13
    assert rows["age_years"].dtype == "float64" and rows["grade"].isna().sum() == 1
    for case in make_cases(rows, dataset.folder):
        facts = check_case(*volumes[case.case_id], case)
        assert 10 < facts["mask_volume_ml"] < 2500


def test_licence_citations_and_changes_travel_with_the_data() -> None:
    dataset = load_sts_pet()
    licence = (dataset.folder / "LICENSE-CC-BY-3.0.md").read_text()
    assert "Attribution 3.0" in licence and dataset.licence == "CC BY 3.0"
    readme = (dataset.folder / "README.md").read_text()
    assert "What was changed" in readme
    for citation in dataset.citations:
        assert citation.rsplit(" ", 1)[1] in readme, "the doi"
    assert sum(path.stat().st_size for path in dataset.folder.rglob("*")) <= 8e6


def test_every_image_is_the_source_within_half_a_slope(shared_data: Path, volumes: dict[str, tuple]) -> None:
    for case_id, (image, mask) in volumes.items():
        source = read_image(shared_data / "sts" / "pet_5cm" / f"{case_id}_PET_image.nii.gz")
        outline = read_mask(shared_data / "sts" / "pet_5cm" / f"{case_id}_PET_mask.nii.gz")
        # Where the window begins, from world coordinates alone: the crop is of whole voxels and nothing moved.
        matrix = np.reshape(source.grid.direction, (3, 3)) * np.array(source.grid.spacing_mm[::-1])
        start = np.linalg.solve(matrix, np.subtract(image.grid.origin_mm, source.grid.origin_mm))[::-1]
        assert np.abs(start - np.rint(start)).max() < 1e-4
        part = tuple(slice(s, s + n) for s, n in zip(np.rint(start).astype(int), image.grid.shape, strict=True))
        np.testing.assert_allclose(image.voxels, source.voxels[part], atol=SLOPE / 2, rtol=0)
        np.testing.assert_array_equal(mask.voxels, outline.voxels[part])
        assert mask.voxels.sum() == outline.voxels.sum(), "the window cuts the lesion"
        assert image.grid.spacing_mm == source.grid.spacing_mm and image.grid.direction == source.grid.direction


def test_clinical_columns_are_the_source_s(shared_data: Path) -> None:
    manifest = load_sts_pet().manifest
    source = pd.read_csv(shared_data / "sts" / "sts_clinical.csv", dtype=str, keep_default_na=False).set_index("patient_id")
    common = [name for name in manifest.columns if name in source.columns]
    assert len(common) == 7
    pd.testing.assert_frame_equal(manifest.set_index("patient_id")[common], source.loc[manifest["patient_id"], common])


def test_no_window_gives_the_lesion_s_place_away(volumes: dict[str, tuple]) -> None:
    sides = np.array([margins(mask.voxels) for _, mask in volumes.values()])
    assert (np.abs(sides[:, :, 0] - sides[:, :, 1]) > 0).mean() > 0.8, "the two margins of an axis differ"
    # Where the scan itself ends at the lesion there is no voxel left to keep.
    assert (sides.min(axis=(1, 2)) >= 1).mean() > 0.75

    def dice(mask: np.ndarray, fraction: float) -> float:
        axes = [(np.arange(n) - (n - 1) / 2) / (fraction * n / 2) for n in mask.shape]
        z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
        ellipsoid = z**2 + y**2 + x**2 <= 1
        return 2 * np.sum(ellipsoid & mask) / (ellipsoid.sum() + mask.sum())

    # The best size is chosen with the answer at hand, and still falls far short of the 0.77 of a centred 20 mm crop.
    best = max(np.mean([dice(mask.voxels, fraction) for _, mask in volumes.values()]) for fraction in np.arange(0.4, 1.01, 0.1))
    assert best < 0.55


def test_the_tool_makes_these_very_files(shared_data: Path, repository: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_sts_pet", repository / "tools" / "make_sts_pet.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    (tmp_path / "sts").symlink_to(shared_data / "sts")
    tool.make(tmp_path, tmp_path / "made")
    folder = load_sts_pet().folder
    assert (tmp_path / "made" / "manifest.csv").read_bytes() == (folder / "manifest.csv").read_bytes()
    for path in sorted((tmp_path / "made").rglob("*.nii.gz")):
        made, shipped = read_image(path), read_image(folder / path.relative_to(tmp_path / "made"))
        assert made.grid == shipped.grid
        np.testing.assert_array_equal(made.voxels, shipped.voxels)


def test_asking_for_the_room_imports_nothing_heavy() -> None:
    code = "import sys, radpipe.datasets; print(sorted({'pandas', 'numpy', 'SimpleITK', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

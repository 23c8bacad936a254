"""What the feature settings say of reading masks (label, label_channel, correctMask, geometryTolerance) holds for the workflow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import GeometryError
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row
from radpipe.features.grids import on_image_grid
from radpipe.io.nifti import write_nifti
from radpipe.io.volumes import read_image, read_mask

GRID = Grid((10, 12, 14), (3.0, 2.0, 2.0), (10.0, -20.0, 30.0))


def block(start: tuple[int, int, int], stop: tuple[int, int, int]) -> np.ndarray:
    region = np.zeros(GRID.shape, bool)
    region[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return region


def test_a_mask_on_another_grid_is_what_simpleitk_makes_of_it() -> None:
    coarse = Grid((5, 6, 7), (6.0, 4.0, 4.0), (10.0, -20.0, 30.0))
    region = np.random.default_rng(1).random(coarse.shape) < 0.4
    region[[0, -1]] = region[:, [0, -1]] = region[:, :, [0, -1]] = False
    source, reference = sitk.GetImageFromArray(region.astype(np.uint32)), sitk.GetImageFromArray(np.zeros(GRID.shape))
    for image, grid in ((source, coarse), (reference, GRID)):
        image.SetSpacing(grid.spacing_mm[::-1])
        image.SetOrigin(grid.origin_mm)
    expected = sitk.GetArrayFromImage(sitk.Resample(source, reference, sitk.Transform(), sitk.sitkNearestNeighbor)) == 1
    mask, corrected = on_image_grid(GRID, Mask(coarse, region), correct=True)
    assert corrected and mask.grid == GRID
    np.testing.assert_array_equal(mask.voxels, expected)


def test_a_difference_within_the_tolerance_is_none() -> None:
    near = Grid(GRID.shape, GRID.spacing_mm, (10.0 + 0.0001, -20.0, 30.0))
    mask = Mask(near, block((2, 2, 2), (6, 6, 6)))
    assert on_image_grid(GRID, mask) == (mask, False)  # 3e-5 of a voxel
    with pytest.raises(GeometryError, match=r"shifted by \(0.0001"):
        on_image_grid(GRID, mask, tolerance=1e-6)


def test_a_region_at_the_very_edge_is_inside() -> None:
    fine = Grid((20, 24, 28), (1.5, 1.0, 1.0), (9.5, -20.5, 29.25))
    mask, _ = on_image_grid(GRID, Mask(fine, np.ones(fine.shape, bool)), correct=True)
    assert mask.voxels.all()
    beyond = Grid((20, 24, 28), (1.5, 1.0, 1.0), (9.4, -20.5, 29.25))
    with pytest.raises(GeometryError, match=r"spans x -0\.05 to"):
        on_image_grid(GRID, Mask(beyond, np.ones(fine.shape, bool)), correct=True)


@pytest.mark.slow
def test_every_stage_reads_the_region_the_features_ask_for(study, radpipe, tmp_path: Path) -> None:
    """label: 2 where the manifest has none, correctMask for one mask of twice the voxel size."""
    half = Grid((7, 8, 9), (6.0, 4.0, 4.0), (10.0, -20.0, 30.0))
    for place, row in enumerate(study.rows):
        del row["label"]
        mask = read_mask(study.folder / row["mask_path"])
        labels = 2 * mask.voxels.astype(np.uint8)
        labels[0, 0, 0] = 1
        if place == 3:
            labels = np.ascontiguousarray(labels[::2, ::2, ::2])
        write_nifti(study.folder / row["mask_path"], labels, half if place == 3 else mask.grid)
    params = {"setting": {"binWidth": 0.5, "label": 2}, "featureClass": {"shape": ["VoxelVolume"], "firstorder": ["Mean"]}}
    out = tmp_path / "run"
    path = study.write(features={"params": params})
    done = radpipe("stage", "cohort", path, "--out", out, "--scheduler", "processes", "-w", 1, check=3)
    failures = pd.read_csv(out / "failures.csv")
    assert list(failures["case_id"]) == ["P03"] and "correctMask" in failures["hint"][0], done.stderr

    params["setting"]["correctMask"] = True
    path = study.write(features={"params": params})
    for stage in ("cohort", "preprocess", "extract"):
        radpipe("stage", stage, path, "--out", out, "--scheduler", "processes", "-w", 1)
    features = pd.read_parquet(out / "features.parquet").set_index("case_id")
    assert len(features) == len(study.rows)
    for case_id in ("P02", "P03"):
        image = read_image(study.folder / f"{case_id}_image.nii.gz")
        mask, _ = on_image_grid(image.grid, read_mask(study.folder / f"{case_id}_mask.nii.gz", label=2), correct=True)
        row = extract_row(Image(image.grid, image.voxels), mask, FeatureSettings(params=params))
        assert features.loc[case_id, list(row)].to_dict() == row

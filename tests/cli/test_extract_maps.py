"""``radpipe extract --mode voxel`` as users call it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import SimpleITK as sitk


@pytest.fixture
def few(tmp_path: Path) -> Path:
    path = tmp_path / "few.yaml"
    path.write_text("setting: {binWidth: 40}\nfeatureClass: {firstorder: [Mean], ngtdm: [Contrast]}\n")
    return path


def test_one_case_and_the_same_again(lesions, few: Path, radpipe_here, tmp_path: Path) -> None:
    files = [lesions.folder / "a_image.nii.gz", lesions.folder / "a_mask.nii.gz"]
    command = ["extract", "-m", "voxel", *files, "-p", few, "-s", "kernelRadius:2", "-s", "initValue:-5", "-o", "maps"]
    done = radpipe_here(*command, "--threads", "2", cwd=tmp_path)
    assert "2 maps at " in done.stderr and "window of 5 x 5 x 5" in done.stderr and "expected: " in done.stderr
    assert done.stdout.startswith("maps  (2 maps, ")
    names = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert names == ["maps.json", "original_firstorder_Mean.nrrd", "original_ngtdm_Contrast.nrrd"]
    image, mean = sitk.ReadImage(str(files[0])), sitk.ReadImage(str(tmp_path / "maps" / names[1]))
    assert mean.GetSize() == image.GetSize() and mean.GetSpacing() == pytest.approx(image.GetSpacing())
    assert sitk.GetArrayFromImage(mean).min() == -5
    assert "from before" in radpipe_here(*command, cwd=tmp_path).stderr
    told = json.loads((tmp_path / "maps" / "maps.json").read_text())
    assert told["complete"] and told["settings"]["params"]["voxelSetting"] == {"kernelRadius": 2, "initValue": -5}
    again = radpipe_here(*command[:-4], "-s", "initValue:0", "-o", "maps", check=2, cwd=tmp_path)
    assert "maps of another image, mask, setting" in again.stderr


def test_a_table_with_a_bad_case(lesions, few: Path, radpipe_here, tmp_path: Path) -> None:
    table = lesions.table("cases.csv", [lesions.row("a"), lesions.row("b", Mask="nothere.nii.gz")])
    arguments = ["--mode", "voxel", table, "-p", few, "-o", tmp_path / "maps", "--format", "nifti"]
    done = radpipe_here("extract", *arguments, "-w", 1, "--scheduler", "processes", check=3, cwd=tmp_path)
    assert "1 of 2 cases failed" in done.stderr and "nothere.nii.gz" in done.stderr
    (row,) = csv.DictReader((tmp_path / "maps" / "maps.csv").open())
    assert row["case_id"] == "a" and row["folder"] == "a" and row["maps"] == "2"
    assert (tmp_path / "maps" / "a" / "original_ngtdm_Contrast.nii.gz").is_file()
    (failure,) = csv.DictReader((tmp_path / "maps" / "maps.failures.csv").open())
    assert failure["case_id"] == "b" and failure["hint"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a_image.nii.gz", "a_mask.nii.gz", "-m", "voxel"], "maps need a folder to be written into"),
        (["a_image.nii.gz", "-m", "voxel", "-o", "x"], "no mask is named"),
        (["a_image.nii.gz", "a_mask.nii.gz", "-m", "voxel", "-o", "a_mask.nii.gz"], "maps are written into a folder"),
        (["a_image.nii.gz", "a_mask.nii.gz", "-m", "voxel", "-o", "."], "holds other files"),
        (["a_image.nii.gz", "a_mask.nii.gz", "--stride", "2"], "--format and --stride are of feature maps"),
        (["a_image.nii.gz", "a_mask.nii.gz", "-m", "voxel", "-o", "x", "--format", "dicom"], "Invalid value for '--format'"),
        (
            ["a_image.nii.gz", "a_mask.nii.gz", "-m", "voxel", "-o", "x", "--feature-set", "ibsi", "-s", "families:[morph, dzm]"],
            "none of the families asked for has maps",
        ),
        (["a_image.nii.gz", "a_mask.nii.gz", "-m", "voxel", "-o", "x", "-s", "kernelRadius:0"], "kernelRadius"),
        (["a_image.nii.gz", "a_mask.nii.gz", "-m", "voxel", "-o", "x", "-s", "kernelRadius:6"], "1 to 5 voxels"),
        (["a_image.nii.gz", "a_mask.nii.gz", "-m", "voxel", "-o", "x", "-s", "kernelradius:2"], "Did you mean 'kernelRadius'"),
    ],
)
def test_wrong_usage(lesions, inside, arguments: list[str], words: str) -> None:
    status, out, err = inside("extract", *arguments, cwd=lesions.folder)
    assert status in (2, 3) and words in err and out == ""
    assert not (lesions.folder / "x").exists()

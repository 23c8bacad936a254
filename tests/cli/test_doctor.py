"""`radpipe doctor` as a user calls it: exit status, tables, page, and what --fix makes and refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from radpipe.core.tables import DOCTOR_FINDINGS
from radpipe.datasets import load_sts_pet
from radpipe.io.tables import read_table

Inside = Callable[..., tuple[int, str, str]]
COLUMNS = ["case_id", "patient_id", "modality", "image_path", "mask_path", "label", "days"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """Three cases of the embedded cohort: a fault that is safe to mend, one that is not, and none."""
    data = load_sts_pet()
    folder = tmp_path / "cohort"
    folder.mkdir()
    rows = []
    for case, name in (("STS_002", "short"), ("STS_012", "moved"), ("STS_024", "good")):
        image, mask = (sitk.ReadImage(str(data.folder / kind / f"{case}.nii.gz")) for kind in ("images", "masks"))
        if name == "short":
            mask = sitk.PermuteAxes(mask, [1, 0, 2])[:, :, :-1] * 4  # other order of axes, a slice less, another label
        if name == "moved":
            mask.SetOrigin([mask.GetOrigin()[0] + 5.0, *mask.GetOrigin()[1:]])
        sitk.WriteImage(image, str(folder / f"{name}_image.nii.gz"))
        sitk.WriteImage(mask, str(folder / f"{name}_mask.nii.gz"))
        rows.append([name, f"P{name}", "PET", f"{name}_image.nii.gz", f"{name}_mask.nii.gz", "1", "-7"])
    with open(folder / "manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


def test_findings_page_and_status(spoilt: Path, inside: Inside, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in spoilt.iterdir()}
    status, out, err = inside("doctor", spoilt, "--out", "seen", cwd=tmp_path)
    assert status == 3, err
    assert "3 cases: 3 errors, 0 warnings" in out and "--fix --out NEWFOLDER" in out
    assert {path.name: path.read_bytes() for path in spoilt.iterdir()} == before  # only read
    table = read_table(tmp_path / "seen" / "findings.parquet", DOCTOR_FINDINGS)
    found = {(row["case_id"], row["check"]): row for row in table.to_dict("records")}
    assert set(found) == {("short", "transposed-axes"), ("short", "label"), ("moved", "shift")}
    assert found[("short", "label")]["safe_repair"] == "use-label" and found[("moved", "shift")]["safe_repair"] == ""
    assert set(table["file"]) == {"short_mask.nii.gz", "moved_mask.nii.gz"}
    assert rows_of(tmp_path / "seen" / "findings.csv")[0]["severity"] == "error"
    geometry = pd.read_csv(tmp_path / "seen" / "geometry.csv")
    moved = geometry[(geometry["case_id"] == "moved") & (geometry["attribute"] == "origin")].iloc[0]
    assert moved["difference_mm"] == pytest.approx(5.0) and not moved["same"]
    assert geometry[geometry["case_id"] == "good"]["same"].all()
    page = (tmp_path / "seen" / "doctor.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("http-equiv", "")
    assert str(tmp_path) not in page


def test_fix_mends_what_is_safe_in_a_new_folder(spoilt: Path, inside: Inside, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in spoilt.iterdir()}
    status, out, _ = inside("doctor", spoilt, "--fix", "--out", "mended", cwd=tmp_path)
    assert status == 3  # the shift is left
    assert "1 error left" in out
    assert {path.name: path.read_bytes() for path in spoilt.iterdir()} == before
    new = tmp_path / "mended"
    repairs = rows_of(new / "repairs.csv")
    assert {(row["case_id"], row["repair"]) for row in repairs} == {("short", "use-label"), ("short", "fit-to-image")}
    manifest = {row["case_id"]: row for row in rows_of(new / "manifest.csv")}
    assert list(next(iter(manifest.values()))) == COLUMNS
    assert manifest["short"]["label"] == "4" and manifest["short"]["mask_path"] == "masks/short.nii.gz"
    assert manifest["good"]["days"] == "-7"
    assert (new / manifest["good"]["image_path"]).resolve() == spoilt / "good_image.nii.gz"
    # The region is where it was: the mask as it was before it was spoilt.
    original = sitk.ReadImage(str(load_sts_pet().folder / "masks" / "STS_002.nii.gz"))
    mended = sitk.ReadImage(str(new / "masks" / "short.nii.gz"))
    assert mended.GetSize() == original.GetSize()
    np.testing.assert_allclose(mended.GetOrigin(), original.GetOrigin(), atol=1e-3)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mended) == 4, sitk.GetArrayFromImage(original) == 1)
    status, out, _ = inside("doctor", new, "--out", "again", cwd=tmp_path)
    assert [row["check"] for row in rows_of(tmp_path / "again" / "findings.csv")] == ["shift"]


def test_fix_is_never_made_in_place(spoilt: Path, inside: Inside, tmp_path: Path) -> None:
    status, _, err = inside("doctor", spoilt, "--fix", "--out", spoilt, cwd=tmp_path)
    assert status == 2 and "must be new" in err
    status, _, err = inside("doctor", spoilt, "--fix", cwd=tmp_path)
    assert status == 2 and "--out NEWFOLDER" in err


def test_a_cohort_that_is_not_there(inside: Inside, tmp_path: Path) -> None:
    status, _, err = inside("doctor", tmp_path / "none.csv", cwd=tmp_path)
    assert status == 2 and "does not exist" in err


def test_pyradiomics_columns_and_a_clean_cohort(lesions: object, inside: Inside) -> None:
    """In workers: the newcomer's test, and test_places."""
    folder: Path = lesions.folder  # type: ignore[attr-defined]
    table = lesions.table("cases.csv", [lesions.row(name, Label="1") for name in "abc"])  # type: ignore[attr-defined]
    status, said, _ = inside("doctor", table, "--out", "seen", cwd=folder)
    assert status == 0 and "0 errors" in said
    found = rows_of(folder / "seen" / "findings.csv")
    # No modality column; and the box of label 2 in every mask is named by no row.
    assert [(row["case_id"], row["check"]) for row in found] == [("", "manifest"), *[(name, "unused-labels") for name in "abc"]]
    advice = rows_of(folder / "seen" / "discretisation.csv")
    assert sum(row["recommended"] == "True" for row in advice) == 1
    # The advised parameter file is one that `extract` takes.
    from radpipe.stages.parameter_file import load_settings

    width = next(float(row["bin_width"]) for row in advice if row["recommended"] == "True")
    settings = load_settings(folder / "seen" / "params_any.yaml")
    assert json.loads(settings.model_dump_json())["params"]["setting"]["binWidth"] == width

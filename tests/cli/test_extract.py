"""radpipe extract as a user calls it: a single case, a table of cases, and all that may be wrong with either."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from radpipe.core.grid import Grid
from radpipe.features.config import FeatureSettings
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.extract import extract_row
from radpipe.io.nifti import write_nifti
from radpipe.io.volumes import read_image, read_mask

QUICK = ("--scheduler", "processes", "-w", 1)


def expected(folder: Path, name: str, label: int = 1, **setting: Any) -> dict[str, float]:
    """The same region through the library."""
    image, mask = read_image(folder / f"{name}_image.nii.gz"), read_mask(folder / f"{name}_mask.nii.gz", label=label)
    return extract_row(image, mask, FeatureSettings(params={"setting": setting}))


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def same(row: dict[str, str], features: dict[str, float]) -> None:
    """Every feature to the last bit; a CSV holds the shortest decimals that read back as the same number."""
    assert {name: float(row[name]) for name in features} == features


def files_beside(out: Path) -> set[str]:
    return {path.name for path in out.parent.iterdir() if path.name.startswith(out.stem + ".")}


# a single case


def test_a_single_case_is_listed_for_people(lesions, radpipe) -> None:
    done = radpipe("extract", "a_image.nii.gz", "a_mask.nii.gz", "-s", "binWidth:40", cwd=lesions.folder)
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    for name, value in expected(lesions.folder, "a", binWidth=40).items():
        assert float(listed[name].split()[0]) == value
    assert listed["original_shape_MeshVolume"].endswith(" mm3")
    assert "'binWidth': 40" in listed["diagnostics_Configuration_Settings"]


def test_a_single_case_to_a_file(lesions, radpipe_here, tmp_path: Path) -> None:
    out = tmp_path / "one.csv"
    params = tmp_path / "Params.yaml"
    params.write_text(
        "setting:\n  binWidth: 40\n  label: 2\n  minimumROIDimensions: 1\nfeatureClass:\n  firstorder:\n  shape: [MeshVolume]\n"
    )
    image, mask = lesions.folder / "b_image.nii.gz", lesions.folder / "b_mask.nii.gz"
    radpipe_here("extract", image, mask, "-p", params, "-o", out)
    (row,) = rows_of(out)
    features = expected(lesions.folder, "b", label=2)
    same(
        row,
        {name: features[name] for name in features if "_firstorder_" in name and "opy" not in name and "Uniformity" not in name},
    )
    assert sum(name.startswith("original_") for name in row) == 19
    assert row["image_path"] == str(image) and row["diagnostics_Mask-original_VoxelNum"] == "27"
    assert files_beside(out) == {"one.csv", "one.dictionary.csv", "one.undefined.csv"}
    dictionary = rows_of(tmp_path / "one.dictionary.csv")
    assert [entry["name"] for entry in dictionary] == [name for name in row if name.startswith("original_")]


def test_a_single_case_needs_no_pandas_dask_or_torch(lesions) -> None:
    """What keeps a fresh process under 1.5 s (benchmarks/); a test on the clock would fail on a busy machine."""
    code = (
        "import sys\nimport radpipe\nassert 'numpy' not in sys.modules and 'pydantic' not in sys.modules\n"
        "sys.argv = ['radpipe', 'extract', 'a_image.nii.gz', 'a_mask.nii.gz', '-o', 'a.csv', '-q']\n"
        "from radpipe.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "loaded = {'pandas', 'dask', 'distributed', 'torch', 'matplotlib', 'sklearn', 'pyarrow', 'rich'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=lesions.folder)
    assert done.returncode == 0, done.stderr


def test_a_region_without_texture_says_so(lesions, radpipe_here, tmp_path: Path) -> None:
    image = read_image(lesions.folder / "a_image.nii.gz")
    write_nifti(tmp_path / "flat.nii.gz", np.full(image.grid.shape, 7, np.int16), image.grid)
    out = tmp_path / "flat.csv"
    radpipe_here("extract", tmp_path / "flat.nii.gz", lesions.folder / "a_mask.nii.gz", "-o", out)
    (row,) = rows_of(out)
    undefined = {entry["feature"]: entry for entry in rows_of(tmp_path / "flat.undefined.csv")}
    assert undefined["original_firstorder_Skewness"]["reason"] == "one-intensity"
    assert row["original_glcm_Correlation"] == "1.0" and undefined["original_glcm_Correlation"]["value"] == "1.0"
    assert [name for name, cell in row.items() if name.startswith("original_") and cell == "" and name not in undefined] == []


def test_a_single_case_that_cannot_be_used(lesions, radpipe_here, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    done = radpipe_here("extract", lesions.folder / "a_image.nii.gz", lesions.folder / "nothere.nii.gz", check=3)
    assert "nothere.nii.gz: the file does not exist." in done.stderr and done.stdout == ""
    done = radpipe_here(
        "extract", lesions.folder / "a_image.nii.gz", lesions.folder / "a_mask.nii.gz", "-s", "label:9", "-o", out, check=3
    )
    assert "it holds the labels 1, 2" in done.stderr
    (failure,) = rows_of(tmp_path / "x.failures.csv")
    assert failure["error"] == "empty_roi" and failure["rerun"].startswith("radpipe extract")
    assert rows_of(out) == []


# a table of cases


def test_a_pyradiomics_batch_file(lesions, radpipe, tmp_path: Path) -> None:
    """Columns copied through in order, relative paths from the table's folder, an empty label the default one."""
    lesions.table("batch.csv", [
        lesions.row("c", Label="", Scanner="=HYPERLINK(1)"),
        lesions.row("a", Label="2", Scanner="x"),
        lesions.row("a", Label="1", Scanner="-3"),
    ])  # fmt: skip
    out = tmp_path / "out.csv"
    done = radpipe("extract", Path("lesions") / "batch.csv", "-o", out, "-s", "minimumROIDimensions:1", *QUICK, cwd=tmp_path)
    rows = rows_of(out)
    assert list(rows[0])[:5] == ["ID", "Image", "Mask", "Label", "Scanner"]
    assert list(rows[0])[5] == "diagnostics_Versions_PyRadiomics"
    assert [(row["ID"], row["Label"], row["Scanner"]) for row in rows] == [
        ("c", "", "'=HYPERLINK(1)"),
        ("a", "2", "x"),
        ("a", "1", "-3"),
    ]
    same(rows[0], expected(lesions.folder, "c"))
    same(rows[1], expected(lesions.folder, "a", label=2))
    same(rows[2], expected(lesions.folder, "a"))
    assert "'label': 2" in rows[1]["diagnostics_Configuration_Settings"]
    assert (
        rows[1]["diagnostics_Mask-original_Hash"] == rows[2]["diagnostics_Mask-original_Hash"]
    )  # of the whole file, as PyRadiomics
    names = [entry["name"] for entry in feature_dictionary(FeatureSettings())]
    assert [name for name in rows[0] if name.startswith("original_")] == names
    assert "3 cases, 107 features" in done.stdout and "out.failures.csv" not in files_beside(out)


def test_radpipes_own_manifest_in_three_formats(lesions, radpipe_here, tmp_path: Path) -> None:
    rows = [
        {"case_id": name, "image_path": f"{name}_image.nii.gz", "mask_path": f"{name}_mask.nii.gz", "relapse": "1"}
        for name in "ab"
    ]
    manifest = lesions.table("manifest.csv", rows)
    for suffix in ("csv", "parquet", "json"):
        radpipe_here("extract", manifest, "-o", tmp_path / f"t.{suffix}", *QUICK)
    text = rows_of(tmp_path / "t.csv")
    parquet = pq.read_table(tmp_path / "t.parquet").to_pylist()
    listed = json.loads((tmp_path / "t.json").read_text())
    features = expected(lesions.folder, "b")
    same(text[1], features)
    assert {name: parquet[1][name] for name in features} == features == {name: listed[1][name] for name in features}
    assert list(text[0]) == list(parquet[0]) == list(listed[0]) and parquet[0]["relapse"] == "1"
    assert listed[0]["diagnostics_Image-original_Size"] == [14, 12, 8] and parquet[0]["diagnostics_Mask-original_VoxelNum"] > 100


@pytest.mark.slow
def test_workers_schedulers_and_order_change_no_byte(lesions, radpipe, tmp_path: Path) -> None:
    cases = lesions.table("cases.csv", [lesions.row(name) for name in "dbca"])
    made = []
    for name, options in {"one": QUICK, "dask": ("-w", 2)}.items():
        radpipe("extract", cases, "-o", tmp_path / f"{name}.csv", *options)
        made.append((tmp_path / f"{name}.csv").read_bytes())
    assert made[0] == made[1]
    assert [row["ID"] for row in rows_of(tmp_path / "one.csv")] == list("dbca")


def test_one_bad_case_costs_no_other(lesions, radpipe_here, tmp_path: Path) -> None:
    shifted = Grid((8, 12, 14), (3.0, 2.0, 1.5), (10.75, -20.0, 30.0))
    lesions.add("moved", 9, shifted)
    (lesions.folder / "cut_image.nii.gz").write_bytes((lesions.folder / "a_image.nii.gz").read_bytes()[:-300])
    cases = lesions.table("cases.csv", [
        lesions.row("a", Label="1"),
        lesions.row("gone", Label="1"),
        {"ID": "b on c's grid", "Image": "b_image.nii.gz", "Mask": "moved_mask.nii.gz", "Label": "1"},
        {"ID": "cut", "Image": "cut_image.nii.gz", "Mask": "a_mask.nii.gz", "Label": "1"},
        lesions.row("b", Label="one"),
        {"ID": "empty", "Image": "", "Mask": "b_mask.nii.gz", "Label": ""},
        lesions.row("c", Label="7"),
        lesions.row("d", Label="1"),
    ])  # fmt: skip
    out = tmp_path / "out.csv"
    done = radpipe_here("extract", cases, "-o", out, *QUICK, check=3)
    assert [row["ID"] for row in rows_of(out)] == ["a", "d"]
    failures = {row["case_id"]: row for row in rows_of(tmp_path / "out.failures.csv")}
    for case_id, kind, words in (
        ("gone", "file", "does not exist"),
        ("b on c's grid", "geometry", "shifted by (0.75, 0, 0) mm (0.5 voxels)"),
        ("cut", "file", "cut off"),
        ("b", "cohort", "the Label 'one' is not a whole number"),
        ("empty", "cohort", "the Image is empty"),
        ("c", "empty_roi", "it holds the labels 1, 2"),
    ):
        assert failures[case_id]["error"] == kind and words in failures[case_id]["problem"], failures[case_id]
        assert failures[case_id]["hint"] and failures[case_id]["rerun"]
    assert [row["row"] for row in failures.values()] == ["3", "4", "5", "6", "7", "8"]
    assert "6 of 8 cases failed" in done.stderr

    # What the hint says helps, and a failure is tried again: nothing of it was kept.
    lesions.add("gone", 11)
    rerun = shlex.split(failures["gone"]["rerun"])
    assert rerun[:2] == ["radpipe", "extract"]
    radpipe_here(*rerun[1:], "-s", "correctMask:true", check=3)
    rows = {row["ID"]: row for row in rows_of(out)}
    assert set(rows) == {"a", "gone", "b on c's grid", "d"}
    assert "Mask-corrected" in "".join(rows["a"]) and rows["b on c's grid"]["diagnostics_Mask-corrected_VoxelNum"] != ""
    assert rows["a"]["diagnostics_Mask-corrected_VoxelNum"] == ""


def test_all_cases_failed(lesions, radpipe_here, tmp_path: Path) -> None:
    cases = lesions.table("cases.csv", [lesions.row("x"), lesions.row("y")])
    out = tmp_path / "out.csv"
    out.write_text("of an earlier run\n")
    radpipe_here("extract", cases, "-o", out, *QUICK, check=3)
    assert out.read_text() == "ID,Image,Mask\n" and len(rows_of(tmp_path / "out.failures.csv")) == 2


@pytest.mark.slow
def test_results_are_found_by_their_content(lesions, radpipe_here, tmp_path: Path) -> None:
    """A case put on top, an edited mask, another setting: just what depends on it is computed, and every row is its own."""
    out = tmp_path / "out.csv"
    rows = [lesions.row(name) for name in "bcd"]
    arguments = ("extract", lesions.folder / "cases.csv", "-o", out, *QUICK)
    lesions.table("cases.csv", rows)
    assert "3 of 3 (3 computed)" in radpipe_here(*arguments).stderr
    first = out.read_bytes()
    done = radpipe_here(*arguments)
    assert "computed" not in done.stderr and out.read_bytes() == first

    lesions.table("cases.csv", [lesions.row("a"), *rows])
    assert "(1 computed, 3 found from before)" in radpipe_here(*arguments).stderr
    assert [row["ID"] for row in rows_of(out)] == list("abcd")
    for row in rows_of(out):
        same(row, expected(lesions.folder, row["ID"]))

    (lesions.folder / "c_mask.nii.gz").write_bytes((lesions.folder / "d_mask.nii.gz").read_bytes())
    assert "(1 computed, 3 found from before)" in radpipe_here(*arguments).stderr
    same(rows_of(out)[2], expected(lesions.folder, "c"))

    assert "(4 computed)" in radpipe_here(*arguments, "-s", "binWidth:50").stderr
    same(rows_of(out)[0], expected(lesions.folder, "a", binWidth=50))


def test_a_killed_run_carries_on_to_the_same_bytes(lesions, radpipe_here, tmp_path: Path) -> None:
    for seed in range(12):
        lesions.add(f"n{seed}", 20 + seed)
    cases = lesions.table("cases.csv", [lesions.row(f"n{seed}") for seed in range(12)])
    arguments = ("extract", cases, *QUICK, "-o")
    radpipe_here(*arguments, tmp_path / "whole.csv")
    out = tmp_path / "killed.csv"
    running = subprocess.Popen(
        [sys.executable, "-m", "radpipe", *map(str, arguments), str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    kept = tmp_path / "killed.radpipe"
    until = time.monotonic() + 120
    while not list(kept.glob("tabulate/*/*/row.json")) and time.monotonic() < until:
        assert running.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    done = len(list(kept.glob("tabulate/*/*/row.json")))
    assert 1 <= done < 12 and not out.exists() and files_beside(out) == {"killed.radpipe"}
    assert "found from before" in radpipe_here(*arguments, out).stderr
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert files_beside(out) == {"killed.csv", "killed.radpipe", "killed.dictionary.csv", "killed.undefined.csv"}
    assert not list(tmp_path.rglob("*.tmp")) and not (kept / "tmp").exists()


# settings and files that cannot be used


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-s", "binWidht:5"], "Did you mean 'binWidth'"),
        (["-s", "binWidth=5"], "is not KEY:VALUE"),
        (["-s", "binWidth:-5"], "greater than 0"),
        (["-s", "binWidth:wide"], "binWidth"),
        (["-p", "nothere.yaml"], "nothere.yaml: cannot be read"),
        (["-p", "tab.yaml"], "not valid YAML"),
        (["-p", "twice.yaml"], "the key 'binWidth' stands twice"),
        (["-p", "typo.yaml"], "Did you mean 'setting'"),
        (["-o", "out.xlsx"], "tables are written as .csv, .parquet, .json"),
        (["-o", "nothere/out.csv"], "its folder does not exist"),
        (["-o", "."], "tables are written as"),
        (["-o", "folder.csv"], "this is a folder"),
        (["-o", "file/out.csv"], "its folder does not exist"),
    ],
)
def test_what_stops_before_the_first_case(lesions, inside, options: list[str], words: str) -> None:
    folder = lesions.folder
    (folder / "tab.yaml").write_text("setting:\n\tbinWidth: 5\n")
    (folder / "twice.yaml").write_text("setting: {binWidth: 5, binWidth: 6}\n")
    (folder / "typo.yaml").write_text("settings: {binWidth: 5}\n")
    (folder / "folder.csv").mkdir()
    (folder / "file").write_text("")
    lesions.table("cases.csv", [lesions.row("a")])
    before = set(os.listdir(folder))
    status, out, err = inside("extract", "cases.csv", "-o", "out.csv", *options, cwd=folder)
    assert status == 2 and words in err and out == ""
    assert set(os.listdir(folder)) == before


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("ID,Image,Msk", "the column 'Mask' is missing. Did you mean 'Msk'?"),
        ("a,b", "there is no column of images and none of masks"),
        ("Image,Mask,Image", "the column 'Image' stands twice"),
        ("Image,Mask,original_glcm_Contrast", "'original_glcm_Contrast' is a result"),
        ("Image,Mask,diagnostics_Versions_Numpy", "is a result"),
    ],
)
def test_tables_that_are_no_list_of_cases(lesions, inside, header: str, words: str) -> None:
    (lesions.folder / "cases.csv").write_text(header + "\n" + ",".join("x" * len(header.split(","))) + "\n")
    status, _, err = inside("extract", "cases.csv", "-o", "out.csv", cwd=lesions.folder)
    assert status == 2 and words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cases.csv"], "needs a file to write"),
        (["a_image.nii.gz"], "no mask is named"),
        (["nothere.csv", "-o", "o.csv"], "does not exist"),
        (["none.csv", "-o", "o.csv"], "names no case"),
    ],
)
def test_wrong_usage(lesions, inside, arguments: list[str], words: str) -> None:
    lesions.table("cases.csv", [lesions.row("a")])
    (lesions.folder / "none.csv").write_text("Image,Mask\n")
    status, _, err = inside("extract", *arguments, cwd=lesions.folder)
    assert status == 2 and words in err

"""Whose folder it is, and where things lie in it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from radpipe.errors import RunError
from radpipe.io.run_folder import RunFolder, safe_name

HOLD = """
import sys, time
from radpipe.io.run_folder import RunFolder
with RunFolder(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_live_folder_is_refused_and_a_killed_one_is_free(tmp_path: Path) -> None:
    out = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(RunError, match=rf"in use by process {holder.pid} on \S+ since 20\d\d-") as caught,
            RunFolder(out).lock(),
        ):
            pass
        assert caught.value.hint
        assert caught.value.exit_code == 2
    finally:
        holder.kill()
        holder.wait()
    with RunFolder(out).lock():
        pass
    with RunFolder(out).lock():
        pass


def test_a_folder_belongs_to_one_workflow(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.lock():
        folder.claim("sts_pet")
        folder.claim("sts_pet")
    with folder.lock(), pytest.raises(RunError, match="belongs to the workflow 'sts_pet', and this is 'other'"):
        folder.claim("other")
    with pytest.raises(RunError, match="belongs to"):
        RunFolder(tmp_path / "run").check_claim("other")


def test_check_claim_writes_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").check_claim("sts_pet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("action", ["lock", "check_claim"])
def test_a_folder_of_something_else_is_refused_untouched(tmp_path: Path, action: str) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    folder = RunFolder(tmp_path)
    refuse = folder.lock().__enter__ if action == "lock" else lambda: folder.check_claim("sts_pet")
    with pytest.raises(RunError, match=r"not empty and holds no run of radpipe \(thesis.tex"):
        refuse()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="is a file"), RunFolder(tmp_path / "run").lock():
        pass


@pytest.mark.parametrize(
    ("marker", "words"), [({"radpipe_run": 99, "workflow": "w"}, "newer radpipe"), ([], "does not say"), ({}, "does not say")]
)
def test_a_marker_that_cannot_be_used(tmp_path: Path, marker: object, words: str) -> None:
    (tmp_path / "run.json").write_text(json.dumps(marker))
    with pytest.raises(RunError, match=words):
        RunFolder(tmp_path).check_claim("w")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=150), st.text(max_size=150))
@example("..", ".")
@example("", "%")
@example("a/b", "a%2Fb")
@example("../../etc/passwd", "-rf")
@example("é" * 100, "é" * 101)
def test_an_id_becomes_one_file_name_and_no_two_the_same(one: str, other: str) -> None:
    names = [safe_name(one), safe_name(other)]
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9%][A-Za-z0-9_.%~-]*", name)
        assert len(name) <= 100
        assert (Path("/run/masks") / f"{name}.nii.gz").resolve().parent == Path("/run/masks")
    assert (names[0] == names[1]) == (one == other)


def test_plain_ids_stay_as_they_are() -> None:
    for name in ("STS_001", "a-b.c", "001"):
        assert safe_name(name) == name


def test_outlines_and_models_are_published_as_copies(tmp_path: Path) -> None:
    stored = tmp_path / "stored"
    stored.mkdir()
    for name in ("mask.nii.gz", "probability.nii.gz", "weights.safetensors", "row.json"):
        (stored / name).write_text(name)
    folder = RunFolder(tmp_path / "run")
    with folder.lock():
        assert folder.publish(stored, "P1") == {"mask_path": "masks/P1.nii.gz", "probability_path": "probabilities/P1.nii.gz"}
        paths = folder.publish(stored, "../P1", 0, 2)
        assert paths["mask_path"] == "masks/repeat0_fold2/%2E.%2FP1.nii.gz"
        assert (folder.path / paths["mask_path"]).read_text() == "mask.nii.gz"
        assert folder.publish_model(stored, "ann", 0, 1) == "models/ann/repeat0_fold1"
    assert {path.name for path in (folder.path / "models/ann/repeat0_fold1").iterdir()} == {
        "mask.nii.gz", "probability.nii.gz", "weights.safetensors",
    }  # fmt: skip
    (folder.path / "masks/P1.nii.gz").write_text("edited by a reader")
    assert (stored / "mask.nii.gz").read_text() == "mask.nii.gz"
    folder.publish(stored, "P1")
    assert (folder.path / "masks/P1.nii.gz").read_text() == "mask.nii.gz"
    folder.keep_only("masks", ["masks/P1.nii.gz"])
    folder.keep_only("models", ["models/ann/repeat0_fold1"])
    assert [p.name for p in (folder.path / "masks").rglob("*")] == ["P1.nii.gz"]
    assert len(list((folder.path / "models/ann/repeat0_fold1").iterdir())) == 3
    folder.keep_only("models", [])
    assert list((folder.path / "models").iterdir()) == []


def test_timings_are_appended_and_hold_no_formula(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.lock():
        timing = {"stage": "extract", "tries": 1, "wall_s": 1.23456, "cpu_s": 1.0, "peak_mb": 300.0}
        folder.add_timings([{**timing, "task_id": "=1+1", "found": False}, {**timing, "task_id": "b", "found": True}])
        folder.add_timings([{**timing, "task_id": "c", "found": False}])
    with open(folder.timings, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["task_id"], row["wall_s"]) for row in rows] == [("'=1+1", "1.235"), ("c", "1.235")]


def test_every_path_is_below_the_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "link" / ".." / "run")
    assert folder.path == tmp_path / "run"
    for path in (folder.table("cohort"), folder.config, folder.log, folder.report, folder.store, folder.timings, folder.records):
        assert folder.path in path.parents
        assert not folder.relative(path).startswith(("/", ".."))

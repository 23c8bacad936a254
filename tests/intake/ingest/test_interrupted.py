"""Whatever is killed, and when: no half cohort, and the same command gives the same bytes."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radpipe.errors import RunError
from radpipe.io.cohort_folder import CohortFolder

OLD = {"images/a.nii.gz": b"old image", "masks/a.nii.gz": b"old mask", "masks/gone.nii.gz": b"gone", "manifest.csv": b"old",
       "ingest.csv": b"old table"}  # fmt: skip
NEW = {"images/a.nii.gz": b"new image", "masks/a.nii.gz": b"old mask", "overlays/b.png": b"new", "manifest.csv": b"new",
       "ingest.csv": b"new table"}  # fmt: skip


class Killed(BaseException):
    """As if the process were gone: nothing in radpipe catches it."""


def there(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "ingest.radpipe" not in path.parts
    }


def published(folder: Path, content: dict[str, bytes], sources: Path) -> None:
    files: dict[str, Any] = {}
    for name, data in content.items():
        source = sources / f"{len(data)}-{data.decode()}"
        source.write_bytes(data)
        files[name] = data if name.endswith(".csv") else (data.decode(), source)
    cohort = CohortFolder(folder)
    with cohort.lock():
        cohort.publish(files)


@pytest.mark.parametrize("what", ["replace", "unlink"])
def test_a_cohort_is_old_or_new_or_has_no_manifest(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    while True:
        folder, sources = tmp_path / f"cohort{steps}", tmp_path / "sources"
        sources.mkdir(exist_ok=True)
        published(folder, OLD, sources)
        assert there(folder) == OLD
        count = 0

        def counted(real: Callable[..., Any], stop: int = steps) -> Callable[..., Any]:
            def step(*arguments: Any, **more: Any) -> Any:
                nonlocal count
                if count == stop:
                    raise Killed
                count += 1
                return real(*arguments, **more)

            return step

        with monkeypatch.context() as patch:
            if what == "replace":
                patch.setattr("radpipe.io.files.os.replace", counted(os.replace))
            else:
                patch.setattr("radpipe.io.cohort_folder.Path.unlink", counted(Path.unlink))
            try:
                published(folder, NEW, sources)
                finished = True
            except Killed:
                finished = False
        left = {name: data for name, data in there(folder).items() if not name.endswith(".tmp")}
        if "manifest.csv" in left:
            assert left in (OLD, NEW)
        for path in folder.rglob(".*.tmp"):  # a killed process leaves it; here the block's own clean-up was stopped too
            path.unlink()
        published(folder, NEW, sources)
        assert there(folder) == NEW
        if finished:
            break
        steps += 1
    assert steps >= (5 if what == "replace" else 2)


def test_one_ingest_at_a_time(tmp_path: Path) -> None:
    first, second = CohortFolder(tmp_path / "cohort"), CohortFolder(tmp_path / "cohort")
    with first.lock(), pytest.raises(RunError, match="another radpipe ingest"), second.lock():
        pass
    with CohortFolder(tmp_path / "cohort").lock():
        pass


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    cohort = CohortFolder(tmp_path / "cohort")
    for name in ("../x.csv", "masks/../../x.csv", "/tmp/x.csv", "deep/er/x.csv"):
        with cohort.lock(), pytest.raises(RunError, match="leads out"):
            cohort.publish({name: b"x"})
    assert list(tmp_path.iterdir()) == [tmp_path / "cohort"]


# the command itself


def small_export(hospital: Any) -> Path:
    for patient in ("P1", "P2"):
        ct = hospital.scan(patient, "CT", 1)
        hospital.scan(patient, "PET", 2)
        hospital.rtstruct(ct, {"GTV": (1, 4, 2, 6, 3, 8)})
    return hospital.folder


def start(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "radpipe", "ingest", str(folder), "--out", str(out), "--scheduler", "processes", "-w", "1", "-q"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def killed_when(ready: Callable[[], bool], folder: Path, out: Path) -> bool:
    """Whether it was killed; False where it ended by itself."""
    run = start(folder, out)
    deadline = time.monotonic() + 120
    while run.poll() is None and not ready() and time.monotonic() < deadline:
        time.sleep(0.002)
    if run.poll() is not None:
        return False
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    return True


def whole_or_absent(out: Path) -> None:
    if (out / "manifest.csv").exists():
        with open(out / "manifest.csv", newline="") as file:
            for row in csv.DictReader(file):
                assert (out / row["image_path"]).exists() and (out / row["mask_path"]).exists()


def test_killed_at_its_images_it_carries_on(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    folder, out = small_export(hospital), tmp_path / "killed"
    command(folder, tmp_path / "whole")
    assert killed_when(lambda: any(out.glob("ingest.radpipe/ingest_images/*/*/row.json")), folder, out)
    assert not (out / "manifest.csv").exists()
    results = set(out.glob("ingest.radpipe/ingest_*/*/*/row.json"))
    (out / "images").mkdir(exist_ok=True)
    for torn in (out / ".manifest.csv.q1w2e3r4.tmp", out / "images" / ".A_CT.nii.gz.q1w2e3r4.tmp"):  # as a kill leaves them
        torn.write_bytes(b"half")
    command(folder, out)
    assert not list(out.rglob(".*.tmp"))
    assert tools.content(out) == tools.content(tmp_path / "whole")
    assert results < set(out.glob("ingest.radpipe/ingest_*/*/*/row.json"))


@pytest.mark.slow
def test_killed_again_and_again(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    folder, out = small_export(hospital), tmp_path / "killed"
    command(folder, tmp_path / "whole")
    chance = random.Random(20261121)
    kills = 0
    for _ in range(12):
        wait = time.monotonic() + chance.uniform(0.3, 8.0)
        kills += killed_when(lambda wait=wait: time.monotonic() > wait, folder, out)
        whole_or_absent(out)
    assert kills
    command(folder, out)
    assert tools.content(out) == tools.content(tmp_path / "whole")

"""Results by content key: whole or not there, whoever is killed."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.core.keys import content_key
from radpipe.errors import RunError
from radpipe.io.store import Store, seal

KEY = content_key(case=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def put(store: Store, key: str = KEY, row: dict[str, Any] | None = None, data: bytes = b"values") -> None:
    workdir = store.begin("extract", key)
    (workdir / "maps").mkdir()
    (workdir / "maps" / "a.bin").write_bytes(data)
    seal("extract", key, workdir, row or {"x": 1.5})
    store.commit("extract", key, workdir)


def folder_of(store: Store, key: str = KEY) -> Path:
    found = store.find("extract", key)
    assert found is not None
    return found.folder


def test_what_is_put_is_found_by_its_key(store: Store) -> None:
    assert store.find("extract", KEY) is None
    put(store)
    found = store.find("extract", KEY, deep=True)
    assert found is not None
    assert found.row == {"x": 1.5}
    assert found.file("maps/a.bin").read_bytes() == b"values"
    assert store.find("segment", KEY) is None
    assert store.find("extract", content_key(case=2)) is None
    assert store.unfinished("extract", KEY) == []


def test_an_unsealed_or_uncommitted_result_is_not_found(store: Store) -> None:
    workdir = store.begin("extract", KEY)
    (workdir / "a.bin").write_bytes(b"values")
    assert store.find("extract", KEY) is None
    assert store.unfinished("extract", KEY) == [workdir]
    seal("extract", KEY, workdir, {})
    assert store.find("extract", KEY) is None


def _shorten(folder: Path) -> None:
    os.truncate(folder / "maps" / "a.bin", 3)


def _lose(folder: Path) -> None:
    (folder / "maps" / "a.bin").unlink()


def _cut_row(folder: Path) -> None:
    os.truncate(folder / "row.json", 30)


def _empty_row(folder: Path) -> None:
    (folder / "row.json").write_bytes(b"")


def _other_json(folder: Path) -> None:
    (folder / "row.json").write_text("[1, 2]")


def _no_row(folder: Path) -> None:
    (folder / "row.json").unlink()


@pytest.mark.parametrize("tear", [_shorten, _lose, _cut_row, _empty_row, _other_json, _no_row])
def test_a_torn_result_is_no_result_and_is_replaced(store: Store, tear: Any) -> None:
    put(store)
    tear(folder_of(store))
    assert store.find("extract", KEY) is None
    put(store, data=b"values again")
    found = store.find("extract", KEY, deep=True)
    assert found is not None and found.file("maps/a.bin").read_bytes() == b"values again"
    assert list(store.session_folder.iterdir()) == []


def test_a_changed_byte_is_seen_by_the_deep_look(store: Store) -> None:
    put(store)
    (folder_of(store) / "maps" / "a.bin").write_bytes(b"valueZ")
    assert store.find("extract", KEY) is not None
    assert store.find("extract", KEY, deep=True) is None


def test_a_result_moved_to_another_key_is_not_found_there(store: Store) -> None:
    put(store)
    other = content_key(case=2)
    target = store.root / "extract" / other[:2] / other
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder_of(store), target)
    assert store.find("extract", other) is None


def test_the_first_of_two_results_stays(store: Store) -> None:
    put(store, data=b"first.")
    put(store, data=b"second")
    assert (folder_of(store) / "maps" / "a.bin").read_bytes() == b"first."
    assert list(store.session_folder.iterdir()) == []


@settings(max_examples=50, deadline=None)
@given(st.floats(allow_nan=True), st.text(max_size=20))
def test_a_row_comes_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, number: float, text: str) -> None:
    with Store(tmp_path_factory.mktemp("store")) as store:
        key = content_key(text=repr((number, text)))
        put(store, key, {"number": number, "numpy": np.float64(number), text: text, "n": np.int64(3), "yes": np.bool_(True)})
        found = store.find("extract", key)
        assert found is not None
        row = found.row
    for name in ("number", "numpy"):
        assert math.isnan(row[name]) if math.isnan(number) else row[name].hex() == number.hex()
    assert row[text] == (text if text not in ("number", "numpy", "n", "yes") else row[text])


@pytest.mark.parametrize(
    ("stage", "key"), [("../x", KEY), ("tmp", KEY), ("extract", "../../etc"), ("Extract", KEY), ("extract", "")]
)
def test_only_stages_and_keys_become_paths(store: Store, stage: str, key: str) -> None:
    with pytest.raises(ValueError, match="not a stage and a content key"):
        store.begin(stage, key)


def test_a_result_holds_plain_files_only(store: Store) -> None:
    workdir = store.begin("extract", KEY)
    (workdir / "link").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="plain files"):
        seal("extract", KEY, workdir, {})
    workdir = store.begin("extract", KEY)
    (workdir / "row.json").write_text("{}")
    with pytest.raises(ValueError, match="store's own"):
        seal("extract", KEY, workdir, {})
    with pytest.raises(TypeError, match="set"):
        seal("extract", KEY, store.begin("extract", KEY), {"x": {1, 2}})


SESSION = """
import sys, time
from radpipe.io.store import Store
store = Store(sys.argv[1])
print(store.begin("extract", "0" * 64), flush=True)
time.sleep(600)
"""


def test_a_sweep_takes_the_dead_and_leaves_the_living(tmp_path: Path) -> None:
    root = tmp_path / "store"
    runs = [subprocess.Popen([sys.executable, "-c", SESSION, str(root)], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        folders = [Path(run.stdout.readline().strip()) for run in runs if run.stdout]
        (folders[0] / "half a volume").write_bytes(bytes(100))
        runs[0].kill()
        runs[0].wait()
        with Store(root) as store:
            store.sweep()
            assert [folder.exists() for folder in folders] == [False, True]
            own = store.begin("extract", KEY)
            store.sweep()
            assert own.exists()
        assert not own.exists() and folders[1].exists()
    finally:
        runs[1].kill()
        runs[1].wait()
    with Store(root) as store:
        store.begin("extract", KEY)
    assert not (root / "tmp").exists()


WRITER = """
import sys
from radpipe.core.keys import content_key
from radpipe.io.store import Store, seal
store = Store(sys.argv[1])
n = int(sys.argv[2])
while True:
    key = content_key(n=n % 40)
    workdir = store.begin("extract", key)
    (workdir / "a.bin").write_bytes(bytes([n % 40]) * 50000)
    seal("extract", key, workdir, {"n": n % 40})
    store.commit("extract", key, workdir)
    n += 1
"""


def test_whatever_is_killed_between_two_bytes_every_result_is_whole(tmp_path: Path) -> None:
    root = tmp_path / "store"
    for attempt in range(6):
        writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(root), str(i * 7)]) for i in range(2)]
        time.sleep(0.5 + 0.07 * attempt)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    found = 0
    with Store(root) as store:
        for n in range(40):
            key = content_key(n=n)
            result = store.find("extract", key, deep=True)
            if result is not None:
                assert result.row == {"n": n}
                assert result.file("a.bin").read_bytes() == bytes([n]) * 50000
                found += 1
            else:  # nothing half-made lies where a result belongs
                assert not (root / "extract" / key[:2] / key).exists()
        store.begin("extract", KEY)
    assert found > 5
    assert not (root / "tmp").exists()


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir(mode=0o500)
    root = blocked / "store"
    if os.geteuid() == 0:  # root may write anywhere but into the kernel's own
        root = Path("/sys/store")
        if not root.parent.is_dir():
            pytest.skip("run as root, and no folder root may not write to")
    with pytest.raises(RunError, match=r"may not be written|cannot be written") as caught:
        Store(root).begin("extract", KEY)
    assert caught.value.hint and str(root) in caught.value.path


FULL = """
import sys
from pathlib import Path
from radpipe.core.keys import content_key
from radpipe.errors import RunError
from radpipe.io.store import Store, seal
made = 0
with Store(sys.argv[1]) as store:
    try:
        while made < 1000:
            key = content_key(n=made)
            workdir = store.begin("extract", key)
            (workdir / "a.bin").write_bytes(bytes(1000)) if made else (workdir / "a.bin").write_bytes(bytes(10))
            seal("extract", key, workdir, {"text": "x" * 100000})
            store.commit("extract", key, workdir)
            made += 1
    except (RunError, OSError) as error:
        print(type(error).__name__, error)
    whole = sum(store.find("extract", content_key(n=n), deep=True) is not None for n in range(made))
    print(made, whole, store.find("extract", content_key(n=made)))
"""


def test_a_full_disk_leaves_whole_results_only(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    script = tmp_path / "full.py"
    script.write_text(textwrap.dedent(FULL))
    command = f"mount -t tmpfs -o size=1m tmpfs '{mount}' && exec '{sys.executable}' '{script}' '{mount}/store'"
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (util-linux) to make a small file system")
    run = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", command], capture_output=True, text=True, check=False
    )
    if run.returncode and "Traceback" not in run.stderr:
        pytest.skip(f"no small file system can be made here: {run.stderr.strip()}")
    error, counts = run.stdout.strip().splitlines()
    assert error.startswith(("RunError", "OSError")) and ("disk is full" in error or "No space left" in error)
    made, whole, after = counts.split()
    assert int(made) == int(whole) > 3 and after == "None"


def test_the_row_file_says_what_it_is(store: Store) -> None:
    """The layout is a promise to later versions."""
    put(store)
    sealed = json.loads((folder_of(store) / "row.json").read_text())
    assert sorted(sealed) == ["files", "format", "key", "row", "stage"]
    if shutil.which("sha256sum") is None:
        pytest.skip("needs sha256sum as the independent answer")
    sha = subprocess.run(["sha256sum", folder_of(store) / "maps" / "a.bin"], capture_output=True, text=True, check=True).stdout[
        :64
    ]
    assert sealed["files"] == {"maps/a.bin": {"size": 6, "sha256": sha}}

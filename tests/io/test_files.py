from __future__ import annotations

import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image
from radpipe.errors import FileProblem, RunError
from radpipe.io.files import atomic_write, sha256_file, write_bytes
from radpipe.io.volumes import write_image


def test_the_file_appears_whole_with_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    target, plain = tmp_path / "out.bin", tmp_path / "plain"
    plain.write_bytes(b"")
    with atomic_write(target) as temporary:
        assert temporary.parent == tmp_path and temporary.name.endswith(".tmp")
        temporary.write_bytes(b"abc")
        assert not target.exists()
    assert target.read_bytes() == b"abc"
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.bin", "plain"]


def test_an_error_in_the_block_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")

    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), atomic_write(target) as temporary:
        fail(temporary)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_an_error_about_another_file_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "out"):
        (tmp_path / "elsewhere").read_bytes()


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="folder does not exist"):
        write_bytes(tmp_path / "no" / "out", b"x")


def test_a_size_limit_of_the_system(tmp_path: Path) -> None:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(RunError, match="larger than this system allows"):
            write_bytes(tmp_path / "out", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        write_bytes(disk / "small", bytes(1000))
        with pytest.raises(RunError, match="disk is full") as caught:
            write_bytes(disk / "large", bytes(1_000_000))
        assert caught.value.path == str(disk / "large") and "Free some space" in caught.value.hint
        noise = np.random.default_rng(0).standard_normal((64, 64, 64))
        for name in ("image.nii", "image.nii.gz"):
            with pytest.raises(RunError, match="disk is full"):
                write_image(disk / name, Image(Grid(noise.shape, (1.0, 1.0, 1.0)), noise))
        assert [path.name for path in disk.iterdir()] == ["small"]
        write_bytes(disk / "next", bytes(1000))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("number", "words"), [(28, "disk is full"), (122, "disk is full"), (13, "not be written"), (30, "not be written")]
)
def test_what_the_system_says_is_classed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RunError, match=words):
        write_bytes(tmp_path / "out", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_permission(tmp_path: Path) -> None:
    # Root may write anywhere, so the write is done by another user where this is root, in a folder that user can reach.
    code = (
        "import os, sys\n"
        "from radpipe.errors import RunError\n"
        "from radpipe.io.files import write_bytes\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: write_bytes(sys.argv[1], b'x')\n"
        "except RunError as error: print(error.problem)\n"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o555)
        done = subprocess.run([sys.executable, "-c", code, f"{folder}/out"], capture_output=True, text=True, check=True)
        os.chmod(folder, 0o755)
    assert done.stdout == "the folder may not be written to.\n"


def test_checksums_are_those_of_hashlib(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()
    with pytest.raises(FileProblem, match="does not exist"):
        sha256_file(tmp_path / "none")
    with pytest.raises(FileProblem, match="folder"):
        sha256_file(tmp_path)

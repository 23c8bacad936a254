"""What every test may ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The same examples in every run of the same code, so that a test that passed here passes on the next machine; `make test-slow` and
# --hypothesis-profile=search draw others, and more of them where a test does not say how many.
settings.register_profile("same", derandomize=True)
settings.register_profile("search", max_examples=300, deadline=None)
settings.load_profile("same")

REPOSITORY = Path(__file__).resolve().parents[1]
# Kernels are compiled once a machine, in a minute, and are then found by every process: one worker begins with the module that compiles
# them all, the others with rooms that need none, or they would compile the same again beside it.
COMPILES = "features/test_room.py"
WITHOUT_KERNELS = ("models", "selection", "evaluation", "cohort", "comparison", "segmentation", "harmonisation")
# Where the long modules are. They come next, so that no worker begins one when the others have nothing left to do.
LONG = ("stages", "notebooks", "test_newcomer.py", "intake", "cli", "report", "features", "io", "filters")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(REPOSITORY / "tests")
        if path.as_posix() == COMPILES:
            return 0
        if path.parts[0] in WITHOUT_KERNELS:
            return 1
        return 2 + (LONG.index(path.parts[0]) if path.parts[0] in LONG else len(LONG))

    items.sort(key=place)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The larger, real data; $RADPIPE_DATA, by default ../shared/data beside the checkout."""
    folder = Path(os.environ.get("RADPIPE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "MANIFEST.sha256").is_file():
        pytest.skip(f"the shared data are not at {folder}; set RADPIPE_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def _kept_servers() -> Any:
    """Real fork servers that outlive a pool; they end with this process."""
    from radpipe.stages._attempt import Servers

    class Kept(Servers):
        def close(self) -> None:
            pass

    return Kept()


@pytest.fixture(scope="module")
def warm_servers(_kept_servers: Any) -> Iterator[None]:
    """The runs of this module share fork servers, which load their libraries once.

    For runs in this process and without Dask; a test that ends a pool in the middle of its work must not ask for this.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("radpipe.stages._pool.Servers", lambda: _kept_servers)
        yield


@pytest.fixture
def radpipe_here(
    warm_servers: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The whole command within this process, on fork servers that are warm: for what it computes, writes and says.

    How its processes start and end is for the command as a process of its own. A traceback is never an answer. Of a table, name the
    folder to write into from the root: a server stays in the folder it was started in.
    """
    from radpipe.cli.main import main

    def call(*arguments: object, check: int | None = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        words = ["radpipe", *map(str, arguments)]
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", words)
            if cwd is not None:
                patch.chdir(cwd)
            with pytest.raises(SystemExit) as end:
                main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err, said.err
        done = subprocess.CompletedProcess(words, int(end.value.code or 0), said.out, said.err)
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    return call

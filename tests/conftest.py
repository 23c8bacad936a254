"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
# Where the long modules are. They come first, so that no worker begins one when the others have nothing left to do.
LONG = ("stages", "notebooks", "test_newcomer.py", "intake", "cli", "report", "features", "io", "filters")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(REPOSITORY / "tests").parts[0]
        return LONG.index(room) if room in LONG else len(LONG)

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

"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


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

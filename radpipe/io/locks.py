"""A lock of the kernel's on a file: free again when its process is gone, however that ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from radpipe.io.files import cannot_write


@contextlib.contextmanager
def holding(path: Path, *, wait: bool = False, mode: int = 0o644) -> Iterator[tuple[TextIO, bool]]:
    """The lock file, made with its folder where it is not there, and whether this process holds it; it does where it may ``wait``.

    RunError where the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    with os.fdopen(handle, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield file, False
        else:
            yield file, True

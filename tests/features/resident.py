"""The memory a process holds at its peak, as Linux tells it: for measurements that run in a process of their own.

Linux lets a process set its high-water mark back. In that process glibc is told to give every freed array back at once: what is
measured is what is held, not what malloc keeps for later.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LIMIT = 3.0
"""Boxes of the region as float64 that an extraction may hold."""
ALLOWANCE = 2 << 20
"""Bytes: what is worked on at a time, and what malloc keeps of small arrays."""

needs_linux = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="resident memory is measured as Linux tells it"
)


def peak(run: Callable[[], object]) -> int:
    """Bytes at the peak of ``run`` above what was held before."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    run()
    return _resident("VmHWM") - before


def in_own_process(script: str) -> dict[str, Any]:
    """What the script prints as JSON, run on one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _resident(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))

"""What tests run in children: good tasks and one of every poison. Imported by the children through PYTHONPATH."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from radpipe.errors import FileProblem
from radpipe.stages import _preload


def work(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    """What payload["do"] says; by default a file and a row that depend on payload["n"] alone."""
    do = payload.get("do", "good")
    if payload.get("ran"):  # one line a try, so that a test can count them
        with open(payload["ran"], "a") as file:
            file.write(f"{payload['n']} {os.getpid()} {os.getppid()} {_worker()}\n")
    return _DO[do](payload, workdir)


def _worker() -> str:
    return os.environ["RADPIPE_WORKER"]


def good(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    time.sleep(payload.get("seconds", 0.0))
    n = payload["n"]
    (workdir / "deep").mkdir()
    (workdir / "deep" / "values.bin").write_bytes(bytes(range(n % 256)))
    return {"n": n, "third": n / 3.0}


def segfault(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    ctypes.string_at(0)
    raise AssertionError


def signal_itself(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    os.kill(os.getpid(), payload["signal"])
    time.sleep(60)
    raise AssertionError


def exit_at_once(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    os._exit(7)


def hang(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    while True:
        time.sleep(3600)


def hang_holding_the_interpreter(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    ctypes.PyDLL(None).sleep(3600)  # PyDLL keeps the GIL: no thread of the child runs meanwhile
    raise AssertionError


def eat(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(1) * (16 << 20)))
        time.sleep(0.005)


def memory_error(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    raise MemoryError


def known_problem(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    raise FileProblem("it is cut short.", hint="Copy it again.", case_id="c", path="/data/c.nii")


def unknown_problem(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    raise KeyError("something")


def disk_full(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    import errno

    raise OSError(errno.ENOSPC, "No space left on device", str(workdir / "volume"))


def fill_disk(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    (workdir / "volume").write_bytes(bytes(64 << 20))
    return {}


def once(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    """Die by payload["signal"] in the first try, be good in the second."""
    flag = Path(payload["flag"])
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), payload["signal"])
        time.sleep(60)
    return good(payload, workdir)


def kill_worker(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    if payload.get("once") and Path(payload["once"]).exists():
        return good(payload, workdir)
    if payload.get("once"):
        Path(payload["once"]).touch()
    os.kill(int(_worker()), signal.SIGKILL)
    time.sleep(60)
    raise AssertionError


def kill_server(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    flag = Path(payload["flag"])
    if not flag.exists():
        flag.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return good(payload, workdir)


def stop_worker(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    """Freeze the worker once: it neither dies nor does anything, as on a machine whose network file system hangs."""
    flag = Path(payload["flag"])
    if not flag.exists():
        flag.touch()
        os.kill(int(_worker()), signal.SIGSTOP)
        time.sleep(60)
    return good(payload, workdir)


def facts(payload: dict[str, Any], workdir: Path) -> dict[str, Any]:
    """What the child was given."""
    modules = list(sys.modules)
    import resource

    import numpy as np
    import SimpleITK

    return {
        "preloaded": [kind for kind in _preload.KINDS if _preload.has_loaded(kind)],
        "server": os.getppid(),
        "modules": modules,
        "threads": {name: os.environ[name] for name in os.environ if name.endswith(("_NUM_THREADS", "_OF_THREADS"))},
        "itk": SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads(),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "cpu_s": resource.getrlimit(resource.RLIMIT_CPU)[0],
        "hash": hash("radpipe"),
        "numpy": np.float64(1.5),
        "nan": float("nan"),
    }


_DO = {name: value for name, value in list(globals().items()) if callable(value) and not name.startswith("_") and name != "work"}

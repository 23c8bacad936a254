"""The fork server of one worker, and the case that runs in each child it forks: ``python -m radpipe.stages._child``.

The server is single-threaded, has loaded what a case needs, and forks one child at a time. It is our own sixty lines
and not ``multiprocessing``'s forkserver, because that one ignores a preload that fails, imports the user's script again
in every child, cannot say how much memory a child took, and keeps one kind of preload per process.

Nobody outlives the worker, also after ``kill -9``: on Linux the kernel kills the server with the worker's thread and the
child with the server; everywhere, a pipe that only the worker holds open ends, and a thread of the child sees it. A child
stuck in a loop that never lets that thread run is ended by the kernel's own alarm and CPU limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import faulthandler
import json
import os
import re
import resource
import signal
import socket
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from radpipe.core.plain_words import one_line, plain_traceback
from radpipe.errors import RadpipeError, RunError

# Over the wall limit that the worker keeps, for the case that the worker is gone.
GRACE_S = 30
_NO_MEMORY = re.compile(
    r"bad_alloc|out of memory|not enough memory|can't allocate memory|failed to allocate memory", re.IGNORECASE
)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_PR_SET_PDEATHSIG = 1


def serve(requests: socket.socket, alive: int, kind: str) -> None:
    """Fork a child for every request until the worker hangs up.

    requests : a byte that carries the files (report pipe, output), then one JSON line. Answered by two JSON lines:
    the child's pid, and how it ended. Or a byte that carries none, then a kind to load on top. alive : a pipe that ends when the worker does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's to handle
    die_with_parent(int(os.environ["RADPIPE_WORKER"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import radpipe.io.store  # noqa: F401  for every child
    from radpipe.stages import _preload

    _preload.load(kind)
    _send(requests, {"ready": os.getpid()})
    while True:
        token, files, _, _ = socket.recv_fds(requests, 1, 2)
        if not token:
            return
        line = receive_line(requests)
        if not files:
            _preload.load(json.loads(line))
            _send(requests, {"ready": os.getpid()})
            continue
        report, output = files
        pid = os.fork()
        if pid == 0:
            _be_child(json.loads(line), requests, alive, report, output)
        os.close(report)
        os.close(output)
        _send(requests, {"pid": pid})
        _, status, usage = os.wait4(pid, 0)
        peak_mb = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        cpu_s = usage.ru_utime + usage.ru_stime
        _send(requests, {"exit": os.waitstatus_to_exitcode(status), "peak_mb": peak_mb, "cpu_s": cpu_s})


def receive_line(connection: socket.socket) -> bytes:
    """One line; empty where the other side has hung up. The other side waits for an answer, so nothing follows the line."""
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        part = connection.recv(1 << 16)
        if not part:
            return b""
        parts.append(part)
    return b"".join(parts)


def die_with_parent(parent: int) -> None:
    """Linux: SIGKILL for this process when the thread that made it ends. Returns only while that parent is alive."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def _be_child(request: dict[str, Any], requests: socket.socket, alive: int, report: int, output: int) -> None:
    """Run one case and end the process; never returns."""
    try:
        die_with_parent(int(request["server"]))
        requests.close()
        threading.Thread(target=_end_with_worker, args=(alive,), daemon=True).start()
        os.dup2(output, 1)
        os.dup2(output, 2)
        faulthandler.enable(file=2)
        timeout_s = float(request["timeout_s"])
        cpu_s = int(2 * timeout_s) + GRACE_S
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
        signal.setitimer(signal.ITIMER_REAL, timeout_s + GRACE_S)
        answer = json.dumps(_run(request)).encode()
        with os.fdopen(report, "wb") as file:
            file.write(answer)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(0)
    finally:
        os._exit(1)


def _end_with_worker(alive: int) -> None:
    os.read(alive, 1)  # nobody writes: it returns when the worker is gone
    os.kill(os.getpid(), signal.SIGKILL)


def _run(request: dict[str, Any]) -> dict[str, Any]:
    """The case itself: ``function(payload, workdir)``, sealed; or what went wrong, as a dict."""
    from radpipe.io.store import seal  # loaded before the fork
    from radpipe.stages import _preload

    workdir = Path(request["workdir"])
    try:
        if not _preload.has_loaded(request["preload"]):
            raise RuntimeError(f"the fork server has not loaded {request['preload']!r}")
        module, _, attribute = request["function"].partition(":")
        row = getattr(import_module(module), attribute)(request["payload"], workdir)
        seal(request["stage"], request["key"], workdir, row)
        return {"ok": True}
    except BaseException as error:
        return {"ok": False, **classify(error), "traceback": plain_traceback(error)}


def classify(error: BaseException) -> dict[str, Any]:
    """error (kind), problem, hint, case_id, path; fatal where no other case would fare better (a full disk)."""
    if isinstance(error, RadpipeError):
        return _facts(error.kind, error.problem, error.hint, error.case_id, error.path, isinstance(error, RunError))
    if isinstance(error, OSError) and error.errno in _FULL:
        hint = "Free some space and run the same command again; what is done is kept."
        return _facts("run", "the disk is full.", hint, path=error.filename or "", fatal=True)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or _NO_MEMORY.search(text):
        hint = "Raise compute.case_memory_mb, use fewer workers, or give this case fewer voxels (larger spacing, smaller crop)."
        return _facts("memory", "there was not enough memory for this case.", hint)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    problem = f"{one_line(error)}{where}."
    return _facts(
        "unexpected", problem, "This is a fault in radpipe, not in the case; the traceback is in logs/run.log. Report it."
    )


def _facts(error: str, problem: str, hint: str, case_id: str = "", path: object = "", fatal: bool = False) -> dict[str, Any]:
    return {"error": error, "problem": problem, "hint": hint, "case_id": case_id, "path": str(path), "fatal": fatal}


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3])

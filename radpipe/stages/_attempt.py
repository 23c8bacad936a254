"""On the worker: one task from its content key to a committed result or a classed failure."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from radpipe.core.plain_words import plain_traceback
from radpipe.errors import RadpipeError, RunError
from radpipe.io.store import Store
from radpipe.stages._child import classify
from radpipe.stages._fork_server import Ended, ForkServer, ServerLost

# A signal from outside (an administrator, a killed process group) must cost nothing; a case that crashes gets a second try.
_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT}
_TRIES_FROM_OUTSIDE = 4
_TRIES_CRASH = 2
_OVER_TIME = {signal.SIGXCPU, signal.SIGALRM}


class Servers:
    """The fork servers of one process: each is used by one thread at a time and stays warm between cases."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._idle: list[ForkServer] = []
        self._all: list[ForkServer] = []
        self._closed = False

    @contextlib.contextmanager
    def borrow(self, kind: str) -> Iterator[ForkServer]:
        """A warm server that nobody else uses meanwhile; started where there is none.

        What comes later in a run needs more: a server that lacks it loads it on top. So a process keeps one warm set.
        """
        server = self._take(kind)
        if server is None:
            server = ForkServer(kind)
            with self._guard:
                self._all = [other for other in self._all if other.alive] + [server]
                if self._closed:
                    server.kill()
        elif not server.has_loaded(kind):
            server.load(kind)
        try:
            yield server
        finally:
            with self._guard:
                if server.alive:
                    self._idle.append(server)

    def _take(self, kind: str) -> ForkServer | None:
        """An idle server, rather one that has loaded ``kind``."""
        with self._guard:
            self._idle = sorted((server for server in self._idle if server.alive), key=lambda server: server.has_loaded(kind))
            return self._idle.pop() if self._idle else None

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """End all of them, also in the middle of a case."""
        with self._guard:
            self._closed = True
            for server in self._all:
                server.kill()


_servers = Servers()  # of a Dask worker; ends with it


def run_task(spec: dict[str, Any], servers: Servers = _servers) -> dict[str, Any]:
    """Run one task in a child, with retries, and commit its result.

    spec : store, session, stage, key, function, payload, memory_mb, timeout_s, preload.
    Returns a small status: ok; else error, problem, hint, case_id, path, fatal, traceback. Plus tries, wall_s, cpu_s, peak_mb.
    """
    costs = {"tries": 0, "wall_s": 0.0, "cpu_s": 0.0, "peak_mb": 0.0, "pid": os.getpid()}
    try:
        # Dask runs a finished task again by itself where the worker that held its status died before it was fetched.
        if Store(spec["store"], spec["session"]).find(spec["stage"], spec["key"]) is not None:
            return {"ok": True, **costs, "tries": 1}
        while True:
            status = _try_once(spec, servers, costs)
            if status is not None:
                return {**status, **costs}
    except (RadpipeError, OSError) as error:
        return {"ok": False, **classify(error), "traceback": plain_traceback(error), **costs}


def _try_once(spec: dict[str, Any], servers: Servers, costs: dict[str, Any]) -> dict[str, Any] | None:
    """The status, or None where it is worth another try."""
    store = Store(spec["store"], spec["session"])
    workdir = store.begin(spec["stage"], spec["key"])
    try:
        request = {name: spec[name] for name in ("stage", "key", "function", "payload", "timeout_s", "preload")}
        try:
            with servers.borrow(spec["preload"]) as server:
                ended = server.run({**request, "workdir": str(workdir)}, spec["memory_mb"])
        except ServerLost:
            ended = Ended(None, 0, "lost", 0.0, 0.0, 0.0, "")
        costs["tries"] += 1
        costs["wall_s"] += ended.wall_s
        costs["cpu_s"] += ended.cpu_s
        costs["peak_mb"] = max(costs["peak_mb"], ended.peak_mb)
        if ended.report is not None and not ended.stopped_for:
            if ended.report["ok"]:
                store.commit(spec["stage"], spec["key"], workdir)
            return {**ended.report, "output": ended.output}
        if servers.closed:
            raise RunError("the run was stopped.", hint="Run the same command again to carry on.")
        if not ended.stopped_for and _worth_another_try(ended, spec, costs["tries"]):
            return None
        if ended.stopped_for == "lost" and costs["tries"] < _TRIES_FROM_OUTSIDE:
            return None
        return {"ok": False, **_class_of(ended, spec), "output": ended.output}
    finally:
        store.discard(workdir)


def _worth_another_try(ended: Ended, spec: dict[str, Any], tries: int) -> bool:
    if ended.exit_code >= 0 or -ended.exit_code in _OVER_TIME:
        return False
    if -ended.exit_code in _FROM_OUTSIDE:
        return not _was_near_limit(ended, spec) and tries < _TRIES_FROM_OUTSIDE
    return tries < _TRIES_CRASH


def _was_near_limit(ended: Ended, spec: dict[str, Any]) -> bool:
    """Whether a SIGKILL that was not ours came while the case filled the memory: then it was the kernel, and would be again."""
    return ended.exit_code == -signal.SIGKILL and ended.peak_mb > 0.8 * spec["memory_mb"]


def _class_of(ended: Ended, spec: dict[str, Any]) -> dict[str, Any]:
    facts = {"case_id": "", "path": "", "fatal": False}
    if ended.stopped_for == "memory" or _was_near_limit(ended, spec):
        problem = f"it needed more than the {spec['memory_mb']:g} MB of memory a case may have (it had {ended.peak_mb:.0f} MB)."
        hint = "Raise compute.case_memory_mb, use fewer workers, or give this case fewer voxels (larger spacing, smaller crop)."
        return {"error": "memory", "problem": problem, "hint": hint, **facts}
    if ended.stopped_for == "timeout" or -ended.exit_code in _OVER_TIME:
        problem = f"it was not done after the {spec['timeout_s']:g} s a case may take."
        return {
            "error": "timeout",
            "problem": problem,
            "hint": "Raise compute.case_timeout_s, or look at this case's size.",
            **facts,
        }
    if ended.stopped_for == "lost":
        problem = "the process that runs the cases of this worker was killed again and again."
        return {"error": "crash", "problem": problem, "hint": "See what kills processes on this machine, then rerun.", **facts}
    if ended.exit_code < 0:
        problem = f"its process was killed by the signal {_signal_name(-ended.exit_code)}."
    else:
        problem = f"its process ended with exit code {ended.exit_code} and without a result."
    hint = "Look at this case's files; what the process printed last is in logs/run.log."
    return {"error": "crash", "problem": problem, "hint": hint, **facts}


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return str(number)

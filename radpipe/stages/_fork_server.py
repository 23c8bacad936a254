"""The worker's side of its fork server: start it, hand it a case, watch the case's memory and time, say how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import IO, Any

import psutil

from radpipe.errors import RunError
from radpipe.stages._child import receive_line
from radpipe.stages._preload import ENVIRONMENT, KINDS

START_TIMEOUT_S = 300.0
# Memory is looked at this often: 40 ms is some 100 MB at the speed at which a case can fill pages.
WATCH_S = 0.04
_OUTPUT_TAIL = 4000
_REPORT_LIMIT = 1 << 20


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    report : what the case said, None where it said nothing. exit_code : negative for a signal. stopped_for : "memory" or
    "timeout" where we killed it; "lost" where its server went away. peak_mb : largest resident memory, libraries included.
    output : the end of what it printed.
    """

    report: dict[str, Any] | None
    exit_code: int
    stopped_for: str
    peak_mb: float
    cpu_s: float
    wall_s: float
    output: str


class ForkServer:
    """One server process that has preloaded ``kind``; one child at a time. Not shared between threads at one time."""

    def __init__(self, kind: str) -> None:
        self._loaded = set(KINDS[kind])
        self._closed = threading.Event()
        started = threading.Event()
        # The kernel's "die with your parent" looks at the thread that made the process, so that thread lives as long.
        threading.Thread(target=self._own, args=(kind, started), daemon=True, name="fork server's parent").start()
        started.wait()
        self._wait_until_ready()

    def _own(self, kind: str, started: threading.Event) -> None:
        ours, theirs = socket.socketpair()
        alive, self._alive = os.pipe()
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the server
        self._socket = ours
        self._process = subprocess.Popen(
            [sys.executable, "-m", "radpipe.stages._child", str(theirs.fileno()), str(alive), kind],
            env={**os.environ, **ENVIRONMENT, "RADPIPE_WORKER": str(os.getpid())},
            pass_fds=(theirs.fileno(), alive),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )
        theirs.close()
        os.close(alive)
        started.set()
        self._closed.wait()

    def has_loaded(self, kind: str) -> bool:
        """Whether a case of this kind finds all it needs."""
        return self._loaded.issuperset(KINDS[kind])

    def load(self, kind: str) -> None:
        """Load ``kind`` on top of what is there. RunError where it cannot be; ServerLost where the server was killed meanwhile."""
        with contextlib.suppress(OSError):  # what became of it, its answer says
            self._socket.sendall(b"+" + json.dumps(kind).encode() + b"\n")
        self._wait_until_ready()
        self._loaded |= set(KINDS[kind])

    def _wait_until_ready(self) -> None:
        self._socket.settimeout(START_TIMEOUT_S)
        line = b""
        with contextlib.suppress(OSError):
            line = receive_line(self._socket)
        self._socket.settimeout(None)
        if not line:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)  # for its own words and exit code, before we end it
            self.close()
            self._output.seek(0)
            words = self._output.read().decode(errors="replace").strip().splitlines()
            if self._process.returncode == -signal.SIGKILL:
                raise ServerLost
            why = words[-1] if words else f"exit code {self._process.returncode}"
            raise RunError(f"a worker could not load what a case needs ({why}).", hint="Install radpipe again, then rerun.")

    def run(self, request: dict[str, Any], memory_mb: float) -> Ended:
        """Fork a child for ``request`` (see _child), within its ``timeout_s`` and ``memory_mb`` of resident memory."""
        report, reports = os.pipe()
        with tempfile.TemporaryFile() as output, os.fdopen(report, "rb", buffering=0) as report_file:
            try:
                line = json.dumps({**request, "server": self._process.pid}).encode() + b"\n"
                socket.send_fds(self._socket, [b"!"], [reports, output.fileno()])
                self._socket.sendall(line)
            except OSError:
                return Ended(None, 0, "lost", 0.0, 0.0, 0.0, "")
            finally:
                os.close(reports)
            watched = self._watch(report_file, float(request["timeout_s"]), memory_mb)
            size = os.fstat(output.fileno()).st_size
            output.seek(max(0, size - _OUTPUT_TAIL))
            return Ended(**watched, output=output.read().decode(errors="replace"))

    def _watch(self, report: Any, timeout_s: float, memory_mb: float) -> dict[str, Any]:
        began = time.monotonic()
        report_fd = report.fileno()
        heard = bytearray()
        buffer = b""
        child: psutil.Process | None = None
        stopped_for, stopped_at, peak_mb = "", 0.0, 0.0
        status: dict[str, Any] = {}
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._socket, selectors.EVENT_READ)
            waiting.register(report, selectors.EVENT_READ)
            while not status:
                for key, _ in waiting.select(WATCH_S):
                    if key.fileobj is report:
                        part = os.read(report_fd, 1 << 16)
                        heard += part
                        if not part or len(heard) > _REPORT_LIMIT:
                            waiting.unregister(report)
                        continue
                    buffer += self._receive()
                    *lines, buffer = buffer.split(b"\n")
                    for line in lines:
                        said = json.loads(line)
                        if "pid" in said:
                            with contextlib.suppress(psutil.Error):
                                child = psutil.Process(said["pid"])
                        else:
                            status = said
                if status:
                    break
                now = time.monotonic()
                resident_mb = _resident_mb(child)
                peak_mb = max(peak_mb, resident_mb)
                if not stopped_for and (now - began > timeout_s or resident_mb > memory_mb):
                    stopped_for = "memory" if resident_mb > memory_mb else "timeout"
                    stopped_at = now
                    _kill(child)
                if (stopped_for and now - stopped_at > 30) or self._process.poll() is not None:
                    _kill(child)  # where the kernel does not end it with its server
                    self.close()
                    status = {"exit": 0}
                    stopped_for = stopped_for or "lost"
        with contextlib.suppress(BlockingIOError, ValueError, KeyError):
            os.set_blocking(report_fd, False)
            while len(heard) <= _REPORT_LIMIT and (part := os.read(report_fd, 1 << 16)):
                heard += part
        try:
            said_by_case = json.loads(heard)
        except ValueError:  # it was cut short, or said nothing
            said_by_case = None
        return {
            "report": said_by_case,
            "exit_code": int(status["exit"]),
            "stopped_for": stopped_for,
            "peak_mb": max(peak_mb, float(status.get("peak_mb", 0.0))),
            "cpu_s": float(status.get("cpu_s", 0.0)),
            "wall_s": time.monotonic() - began,
        }

    def _receive(self) -> bytes:
        try:
            part = self._socket.recv(1 << 16)
        except OSError:
            part = b""
        if not part:  # the server is gone, or going
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        return part

    @property
    def alive(self) -> bool:
        return not self._closed.is_set() and self._process.poll() is None

    def kill(self) -> None:
        """End the server from another thread than the one that uses it, which then finds it lost."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """End the server and, with it, its child."""
        if self._closed.is_set():
            return
        os.close(self._alive)
        self._socket.close()
        try:
            self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._closed.set()


class ServerLost(Exception):
    """The server was killed from outside while it started."""


def _resident_mb(child: psutil.Process | None) -> float:
    if child is None:
        return 0.0
    try:
        return float(child.memory_info().rss) / 2**20
    except psutil.Error:
        return 0.0


def _kill(child: psutil.Process | None) -> None:
    if child is not None:
        with contextlib.suppress(psutil.Error):
            child.kill()  # psutil compares the start time first: never another process with the same number

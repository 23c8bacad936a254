"""The workers of a run; the whole of our Dask.

Dask carries a task to a free worker and a small status back; nothing else. The worker runs the case in a child of its fork
server (_attempt), which keeps its own limits and commits its own result, so that Dask's memory limits, retries, spilling and
dashboard are all off.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from radpipe.core.plain_words import one_line
from radpipe.errors import RunError
from radpipe.io.files import cannot_write
from radpipe.stages._attempt import Servers, run_task
from radpipe.stages._preload import ENVIRONMENT

START_TRIES = 3
CONNECT_S = 15  # to a scheduler elsewhere
ROOT_LOG = logging.getLogger("radpipe")
ROOT_LOG.addHandler(logging.NullHandler())  # tracebacks go to the run's log, never to the terminal by themselves


class Pool:
    """The workers of a run; started by the first task that needs one, so that a rerun of a finished run starts none.

    scheduler : "local" (a Dask cluster of our own on this machine), "processes" (the same children without Dask), or the
    address of a running Dask scheduler, whose workers must see the same files. memory_mb, timeout_s : limits of a case.
    log : file for tracebacks and what crashed cases printed.
    stall_s : after this long without any task finishing, the cluster is started anew; by default, well over what the
    limits allow a task.
    """

    def __init__(
        self,
        workers: int | Literal["auto"] = "auto",
        *,
        scheduler: str = "local",
        memory_mb: float = 3000,
        timeout_s: float = 900,
        stall_s: float | None = None,
        log: Path | None = None,
    ) -> None:
        workers = usable_cores() if workers == "auto" else workers
        if workers < 1:
            raise RunError(f"a run needs at least one worker, not {workers}.", hint="Set --workers to 1 or more.")
        self.workers = workers
        self.log = log
        self.scheduler = scheduler
        self.memory_mb = memory_mb
        self.timeout_s = timeout_s
        self.stall_s = stall_s
        self._stack = ExitStack()
        self._threads: ThreadPoolExecutor | None = None
        self._client: Any = None
        self._cluster: Any = None
        self._log_handler: logging.Handler | None = None
        self._counted, self._counted_at = 1, -math.inf

    def __enter__(self) -> Pool:
        if self.log is not None:
            self._log_handler = log_to(self.log)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(patient=error is None)
        if self._log_handler is not None:
            ROOT_LOG.removeHandler(self._log_handler)
            self._log_handler.close()

    @property
    def started(self) -> bool:
        return self._threads is not None or self._client is not None

    @property
    def slots(self) -> int:
        """Tasks that can run at one time; of a scheduler elsewhere, as it was at most some seconds ago."""
        if self._client is None or self._cluster is not None:
            return self.workers
        if time.monotonic() - self._counted_at > 5.0:
            threads: dict[str, int] = self._client.nthreads()
            self._counted, self._counted_at = max(1, sum(threads.values())), time.monotonic()
        return self._counted

    def start(self, scratch: str) -> None:
        """Start the workers. scratch : a folder for Dask's own small files."""
        if self.started:
            return
        if self.scheduler == "processes":
            self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="case")
            self._servers = Servers()
            return
        import dask.config
        import distributed  # noqa: F401  its defaults must be there before ours go over them, or leaving ours removes both

        self._stack.enter_context(_environment_kept())
        self._stack.enter_context(_dask_silenced())
        self._stack.enter_context(dask.config.set(_dask_settings(scratch)))
        if self.scheduler == "local":
            self._start_cluster()
        else:
            self._connect()

    def _start_cluster(self) -> None:
        for tries_left in reversed(range(START_TRIES)):
            try:
                self._open_cluster()
                return
            except Exception as error:  # a worker that is killed while it starts fails the whole cluster, as whatever exception
                ROOT_LOG.warning("the workers did not start (%s)", one_line(error))
                self._close_cluster()
                if not tries_left:
                    self.close(patient=False)
                    raise RunError(
                        f"the {self.workers} workers could not be started ({one_line(error)}).",
                        hint="Rerun with --scheduler processes (no Dask); in a script, start it under if __name__ == '__main__'.",
                    ) from error

    def _open_cluster(self) -> None:
        from distributed import Client, LocalCluster

        self._cluster = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=self.workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # Without a dashboard Dask still opens its port: one that is free, for this machine, that serves no page.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            memory_limit=0,  # the case in its child is watched, not the worker that waits for it
            silence_logs=logging.CRITICAL,
        )
        self._client = Client(self._cluster, set_as_default=False)  # type: ignore[no-untyped-call]
        self._client.wait_for_workers(self.workers, timeout=120)

    def _connect(self) -> None:
        from distributed import Client

        from radpipe import __version__

        try:
            self._client = Client(self.scheduler, set_as_default=False, timeout=CONNECT_S)  # type: ignore[no-untyped-call]
            self._client.wait_for_workers(1, timeout=60)
            versions = self._client.run(_radpipe_version)
        except Exception as error:
            self.close(patient=False)
            hint = "Check the address (tcp://host:8786) and that workers with radpipe installed are connected to it."
            raise RunError(f"the Dask scheduler {self.scheduler} cannot be used ({error}).", hint=hint) from error
        others = sorted({str(version) for version in versions.values()} - {__version__})
        if others:
            self.close(patient=False)
            raise RunError(f"a worker of {self.scheduler} has radpipe {', '.join(others)}, and this is {__version__}.",
                           hint="Install the same version everywhere.")  # fmt: skip

    def submit(self, specs: Sequence[dict[str, Any]]) -> list[Any]:
        """Futures of ``run_task`` for each spec."""
        if self._threads is not None:
            return [self._threads.submit(run_task, spec, self._servers) for spec in specs]
        # Sent together, and in one group: so Dask keeps them in a queue of its own and a free worker gets the next one.
        keys = [("radpipe-case", uuid.uuid4().hex) for _ in specs]
        return list(self._client.map(run_task, specs, key=keys, pure=False, retries=0))

    def restart(self, scratch: str) -> None:
        """Drop everything that runs and start the workers anew."""
        self.close(patient=False)
        self.start(scratch)

    def close(self, *, patient: bool = True) -> None:
        """End the workers; where not ``patient``, what they are at is killed."""
        if self._cluster is not None and not patient:
            _kill_workers(self._cluster)
        if self._threads is not None:
            self._servers.close()
            self._threads.shutdown(wait=True, cancel_futures=True)
        self._close_cluster()
        self._threads = None
        self._stack.close()

    def _close_cluster(self) -> None:
        for part in (self._client, self._cluster):
            if part is not None:
                with suppress(TimeoutError):
                    part.close(timeout=10)
        self._client = self._cluster = None


def worker_died(error: BaseException) -> bool:
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    return isinstance(error, (KilledWorker, FutureCancelledError))


def usable_cores() -> int:
    """Cores this process may use (affinity, container quota)."""
    from dask.system import cpu_count

    return int(cpu_count())


def log_to(path: Path) -> logging.Handler:
    """Append what radpipe logs to a file, with the time; RunError where that cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ROOT_LOG.addHandler(handler)
    ROOT_LOG.setLevel(logging.INFO)
    return handler


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Dask puts the workers' thread limits into this process's environment too; take them out again at the end."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _dask_silenced() -> Iterator[None]:
    """What Dask has to say of workers that come and go, the run says itself."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


def _radpipe_version() -> str:
    from radpipe import __version__

    return __version__


def _dask_settings(scratch: str) -> dict[str, Any]:
    return {
        "temporary-directory": scratch,
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.worker-ttl": None,  # a laptop that slept is no reason to lose a worker; stall_s is
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.comm.timeouts.connect": "60s",
        "distributed.worker.daemon": False,
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.worker.profile.enabled": False,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        "distributed.diagnostics.nvml": False,
        "distributed.nanny.pre-spawn-environ": dict(ENVIRONMENT),
        "distributed.logging": {"distributed": "critical"},
    }


def _kill_workers(cluster: Any) -> None:
    for nanny in list(cluster.workers.values()):
        nanny.auto_restart = False
        process = getattr(nanny, "process", None)
        if process is not None and process.pid:
            with suppress(OSError):
                os.kill(process.pid, signal.SIGKILL)

"""Tasks in, results and failures out.

A task travels as ids, paths and settings; the worker runs it in a child of its fork server and commits the result to the
store; what comes back is a small status. So a killed worker loses at most the case it was at, and a rerun finds what is
done by its key.

A worker that dies fails everything that Dask had sent to it (allowed-failures is 0: with Dask's own counting, innocent
tasks are given up or the run hangs). All of it is sent again, and only the task that was being run, which left its
temporary folder behind, counts a strike.
"""

from __future__ import annotations

import itertools
import logging
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from radpipe.core.plain_words import one_line, plain_output
from radpipe.errors import RunError
from radpipe.io.store import Store, StoredResult
from radpipe.stages._pool import Pool, worker_died
from radpipe.stages._progress import Progress, Work

LOG = logging.getLogger("radpipe.stages")
WINDOW = 4  # tasks submitted per worker, so that a scheduler never holds 100 000
STRIKES = 3  # worker deaths while running it that one task may have
RESTARTS = 3  # of the cluster without any task finishing in between


@dataclass(frozen=True)
class Task:
    """One case, or one fit.

    task_id : names it within the stage. key : content key of its result. payload : JSON values; ids, paths, settings, never
    voxels. case_id, path : what a failure is about (case_id falls back to task_id). memory_mb (resident, the libraries'
    some 200 MB (600 with torch) included), timeout_s : limits of its own, where they differ from the pool's.
    """

    task_id: str
    key: str
    payload: Mapping[str, Any]
    case_id: str = ""
    path: str = ""
    memory_mb: float | None = None
    timeout_s: float | None = None


@dataclass
class MapResult:
    """done : by task_id, in the order of the tasks. failures : rows of the failures table, likewise. timings : a dict a task."""

    done: dict[str, StoredResult] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def computed(self) -> int:
        return sum(not timing["found"] for timing in self.timings)


def map_tasks(
    tasks: Iterable[Task],
    *,
    stage: str,
    function: str,
    pool: Pool,
    store: Store,
    progress: Progress | None = None,
    preload: str = "light",
    rerun: Callable[[Task], str] | None = None,
) -> MapResult:
    """Every task's result: found in the store by its key, or computed by ``function(payload, workdir) -> row`` in a child.

    function : "package.module:attribute"; it writes files into workdir only, and returns a row of JSON values.
    preload : "bare", "light" or "torch": what is loaded before the fork. rerun : the command that runs a failed task again.
    A task that fails is a row in ``failures`` and costs no other. RunError where none could fare better (disk full, workers
    that do not start), and where ids repeat.
    """
    tasks = list(tasks)
    repeated = [task_id for task_id, count in Counter(task.task_id for task in tasks).items() if count > 1]
    if repeated:
        raise RunError(f"stage {stage}: the task {repeated[0]!r} is there more than once.", hint="Report this fault in radpipe.")
    with (progress or Progress(quiet=True)).work(stage, len(tasks)) as shown:
        work = _Work(stage, function, pool, store, preload, shown)
        outcomes = work.run(tasks)
    result = MapResult()
    seen: set[str] = set()
    for task in tasks:
        outcome, timing = outcomes[task.key]
        # A twin (same key) was not run itself.
        result.timings.append({"stage": stage, "task_id": task.task_id, **(_FOUND if task.key in seen else timing)})
        seen.add(task.key)
        if isinstance(outcome, StoredResult):
            result.done[task.task_id] = outcome
        else:
            result.failures.append(_failure(task, stage, outcome, rerun))
    return result


def reconcile(
    stage: str, expected: Iterable[str], done: Iterable[str], failed: Iterable[str], excluded: Iterable[str] = ()
) -> None:
    """RunError unless cases in = done + failed + excluded, each exactly once."""
    wanted = Counter(expected)
    got = Counter([*done, *failed, *excluded])
    lost, more = sorted((wanted - got).elements()), sorted((got - wanted).elements())
    if lost or more:
        what = [f"lost: {', '.join(lost[:10])}"] * bool(lost) + [f"there without reason: {', '.join(more[:10])}"] * bool(more)
        raise RunError(
            f"stage {stage}: {wanted.total()} cases went in and {got.total()} came out ({'; '.join(what)}).",
            hint="This is a fault in radpipe: its tables are not to be used. Report it with logs/run.log.",
        )


Outcome = tuple[StoredResult | dict[str, Any], dict[str, Any]]  # the result, or the failure's facts; and the timing
_FOUND = {"found": True, "tries": 0, "wall_s": 0.0, "cpu_s": 0.0, "peak_mb": 0.0}


class _Work:
    """One call of map_tasks: what waits, what runs, what is finished."""

    def __init__(self, stage: str, function: str, pool: Pool, store: Store, preload: str, shown: Work) -> None:
        self.stage, self.function, self.pool, self.store, self.preload, self.shown = stage, function, pool, store, preload, shown
        self.outcomes: dict[str, Outcome] = {}
        self.sharing: Counter[str] = Counter()  # tasks with the same key are run once
        self.waiting: deque[Task] = deque()
        self.running: dict[int, tuple[Any, Task]] = {}
        self.arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.numbers = itertools.count()
        self.strikes: Counter[str] = Counter()
        self.restarts = self.deaths = 0
        self.last_progress = time.monotonic()

    def run(self, tasks: Sequence[Task]) -> dict[str, Outcome]:
        self.sharing.update(task.key for task in tasks)
        for task in {task.key: task for task in reversed(tasks)}.values():
            found = self.store.find(self.stage, task.key)
            if found:
                self._finish(task, found, dict(_FOUND), found=True)
            else:
                self.waiting.appendleft(task)
        if self.waiting:
            self.pool.start(str(self.store.session_folder))
            self.last_progress = time.monotonic()
        while self.waiting or self.running:
            self._submit()
            try:
                number = self.arrived.get(timeout=1.0)
            except queue.Empty:
                if time.monotonic() - self.last_progress > self._stall_s():
                    self._restart("no case has finished for too long")
                continue
            if number in self.running:  # else it was dropped by a restart
                future, task = self.running.pop(number)
                self._arrive(task, future)
        return self.outcomes

    def _submit(self) -> None:
        batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), WINDOW * self.pool.slots - len(self.running)))]
        if not batch:
            return
        for task, future in zip(batch, self.pool.submit([self._spec(task) for task in batch]), strict=True):
            number = next(self.numbers)
            self.running[number] = (future, task)
            future.add_done_callback(lambda _, number=number: self.arrived.put(number))

    def _spec(self, task: Task) -> dict[str, Any]:
        return {
            "store": str(self.store.root),
            "session": self.store.session,
            "stage": self.stage,
            "key": task.key,
            "function": self.function,
            "payload": dict(task.payload),
            "preload": self.preload,
            "memory_mb": task.memory_mb or self.pool.memory_mb,
            "timeout_s": task.timeout_s or self.pool.timeout_s,
        }

    def _arrive(self, task: Task, future: Any) -> None:
        try:
            status = future.result()
        except Exception as error:
            if not worker_died(error):
                raise RunError(
                    f"stage {self.stage}: a worker could not take its task ({one_line(error)}).",
                    hint="Check that every worker has the same radpipe.",
                ) from error
            self._worker_died(task)
            return
        self.last_progress = time.monotonic()
        self.restarts = self.deaths = 0
        if status["tries"] > 1:
            LOG.info("stage %s, %s: needed %d tries", self.stage, task.task_id, status["tries"])
        timing = {"found": False, **{name: status[name] for name in ("tries", "wall_s", "cpu_s", "peak_mb")}}
        if not status["ok"]:
            self._fail(task, status, timing)
            return
        result = self.store.find(self.stage, task.key)
        if result is None:
            raise RunError(
                f"stage {self.stage}: a worker has stored the result of {task.task_id}, and it is not in {self.store.root}.",
                hint="The run folder must be on a file system that every worker sees under the same path.",
            )
        self._finish(task, result, timing)

    def _worker_died(self, task: Task) -> None:
        self.deaths += 1
        if self.deaths > 10 + 2 * WINDOW * STRIKES * self.pool.slots:
            raise RunError(
                "the workers die again and again without finishing anything.", hint="Rerun with --scheduler processes."
            )
        left = self.store.unfinished(self.stage, task.key)
        for workdir in left:
            self.store.discard(workdir)
        self.strikes[task.key] += bool(left)
        if self.strikes[task.key] < STRIKES:
            self._send_again(task)
            return
        problem = f"its worker was killed {STRIKES} times while it ran."
        facts = {
            "error": "crash",
            "problem": problem,
            "hint": "Look at this case's files, and at what else runs on this machine.",
        }
        self._fail(task, facts, {**_FOUND, "found": False, "tries": STRIKES})

    def _fail(self, task: Task, facts: dict[str, Any], timing: dict[str, Any]) -> None:
        details = [text for text in (facts.get("traceback"), plain_output(str(facts.get("output") or ""))) if text]
        LOG.warning("stage %s, %s: %s: %s\n%s", self.stage, task.task_id, facts["error"], facts["problem"], "\n".join(details))
        if facts.get("fatal"):
            raise RunError(facts["problem"], hint=facts["hint"], case_id=task.case_id, path=facts.get("path", ""))
        self._finish(task, facts, timing)

    def _finish(self, task: Task, outcome: StoredResult | dict[str, Any], timing: dict[str, Any], *, found: bool = False) -> None:
        self.outcomes[task.key] = (outcome, timing)
        for _ in range(self.sharing[task.key]):
            self.shown.advance(found=found, failed=isinstance(outcome, dict))

    def _send_again(self, task: Task) -> None:
        """To the end of the queue; unless its result was stored and only the word of it was lost."""
        stored = self.store.find(self.stage, task.key)
        if stored is None:
            self.waiting.append(task)
        else:
            self._finish(task, stored, {**_FOUND, "found": False, "tries": 1})

    def _stall_s(self) -> float:
        if self.pool.stall_s is not None:
            return self.pool.stall_s
        # The longest that an honest task can take: all its tries to the limit, and the start of its server.
        return 600 + 4 * max((task.timeout_s or self.pool.timeout_s for _, task in self.running.values()), default=0.0)

    def _restart(self, why: str) -> None:
        self.restarts += 1
        if self.restarts > RESTARTS:
            raise RunError(
                f"stage {self.stage}: {why}, also after {RESTARTS} restarts.", hint="Rerun with --scheduler processes."
            )
        LOG.warning("stage %s: %s; the workers are started anew", self.stage, why)
        running = [task for _, task in self.running.values()]
        self.running.clear()
        self.pool.restart(str(self.store.session_folder))
        for task in running:
            self._send_again(task)
        self.last_progress = time.monotonic()


def _failure(task: Task, stage: str, facts: dict[str, Any], rerun: Callable[[Task], str] | None) -> dict[str, str]:
    case_id = task.case_id or task.task_id
    about = facts.get("case_id") or case_id
    # A fit of many cases may fail over one of them; and a twin (same key) was not run itself, so the path is not its own.
    problem = facts["problem"] if about == case_id or task.case_id else f"case {about}: {facts['problem']}"
    path = task.path if task.case_id and about != case_id else facts.get("path") or task.path
    return {
        "case_id": case_id,
        "stage": stage,
        "error": facts["error"],
        "path": path,
        "problem": problem,
        "hint": facts["hint"],
        "rerun": rerun(task) if rerun else "",
    }

"""Where ``radpipe doctor`` works: in workers' children, or for a few cases in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radpipe.errors import RadpipeError, RunError
from radpipe.io.files import sha256_file
from radpipe.stages.tabulate import Limits

if TYPE_CHECKING:
    from radpipe.stages._progress import Progress

_ROOMS = ("intake", "features", "preprocessing", "report", "io")

Result = tuple[dict[str, Any] | None, Path, dict[str, Any]]  # row, or None; folder of its files; the failure's facts


class Work:
    """Cases in the workers' children, or a few of them in this process; what the store has is not done again."""

    def __init__(
        self, folder: Path, workers: int | None, scheduler: str, limits: Limits, progress: Progress, *, here: bool
    ) -> None:
        from radpipe.io.store import Store
        from radpipe.stages._parallel import Pool

        self._here, self._progress = here, progress
        self._store = Store(folder)
        self._pool = Pool(
            workers or "auto", scheduler=scheduler, memory_mb=limits.memory_mb, timeout_s=limits.timeout_s, log=folder / "logs" / "run.log"
        )  # fmt: skip
        self._scratch = folder / "here"

    def __enter__(self) -> Work:
        self._store.__enter__()
        if not self._here:
            self._pool.__enter__()
            self._store.sweep()
        return self

    def __exit__(self, *error: Any) -> None:
        if not self._here:
            self._pool.__exit__(*error)
        self._store.__exit__(*error)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def run(
        self,
        stage: str,
        function: Callable[[dict[str, Any], Path], dict[str, Any]],
        jobs: dict[str, tuple[dict[str, Any], tuple[Path, ...]]],
        about: dict[str, tuple[str, str]],
    ) -> dict[str, Result]:
        """jobs : name -> (payload, the files it depends on). about : name -> (case, file), for what fails."""
        if not jobs:
            return {}
        return self._run_here(stage, function, jobs) if self._here else self._run_pool(stage, function, jobs, about)

    def _run_here(self, stage: str, function: Any, jobs: dict[str, Any]) -> dict[str, Result]:
        from radpipe.stages._child import classify

        found: dict[str, Result] = {}
        with self._progress.work(stage, len(jobs)) as shown:
            for name, (payload, _) in jobs.items():
                folder = self._scratch / stage / name
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    found[name] = (function(payload, folder), folder, {})
                except (RadpipeError, MemoryError) as error:
                    if isinstance(error, RunError):
                        raise
                    found[name] = (None, folder, classify(error))
                shown.advance(failed=found[name][0] is None)
        return found

    def _run_pool(self, stage: str, function: Any, jobs: dict[str, Any], about: dict[str, tuple[str, str]]) -> dict[str, Result]:
        from radpipe.core.keys import content_key
        from radpipe.stages._parallel import Task, map_tasks
        from radpipe.stages.context import engine_version
        from radpipe.stages.tabulate import _digests

        digests, unreadable = _digests({path for _, paths in jobs.values() for path in paths}, self._pool.workers)
        engine = engine_version(*_ROOMS) + sha256_file(Path(__file__).with_name("doctor_work.py"))[:16]
        tasks = []
        for name, (payload, paths) in jobs.items():
            state = [digests.get(path) or unreadable[path].problem for path in paths]
            tasks.append(
                Task(
                    task_id=name, key=content_key(stage=stage, engine=engine, payload=payload, files=state), payload=payload,
                    case_id=about[name][0], path=about[name][1],
                )
            )  # fmt: skip
        result = map_tasks(
            tasks, stage=stage, function=f"{function.__module__}:{function.__name__}", pool=self._pool, store=self._store,
            progress=self._progress, preload="doctor",
        )  # fmt: skip
        failed = dict(zip((task.task_id for task in tasks if task.task_id not in result.done), result.failures, strict=True))
        return {
            task.task_id: (result.done[task.task_id].row, result.done[task.task_id].folder, {})
            if task.task_id in result.done
            else (None, Path(), failed[task.task_id])
            for task in tasks
        }

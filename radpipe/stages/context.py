"""What every stage is handed, and what it hands back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

import radpipe
from radpipe.config import Workflow
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.errors import RadpipeError, RunError
from radpipe.io.files import atomic_write
from radpipe.io.run_folder import RunFolder
from radpipe.io.store import Store
from radpipe.io.tables import read_table, write_table
from radpipe.stages._parallel import MapResult, Pool, Task, map_tasks, reconcile
from radpipe.stages._progress import Progress

PACKAGE = Path(radpipe.__file__).parent


@dataclass(frozen=True)
class StageResult:
    """One stage, done. ``cases_in`` = ``cases_out`` + the failed ones; ``computed`` of ``tasks`` were not in the store."""

    stage: str
    cases_in: int = 0
    cases_out: int = 0
    failures: int = 0
    tasks: int = 0
    computed: int = 0
    note: str = ""


@dataclass
class Context:
    """A run: its settings, its folder, its results so far and its workers.

    invocation : the workflow file and the output folder, for the command that reruns a failure; without folders of the machine.
    """

    workflow: Workflow
    folder: RunFolder
    store: Store
    pool: Pool
    progress: Progress
    invocation: tuple[str, str]
    _tasks: dict[str, list[int]] = field(default_factory=dict)

    # tables

    def read(self, schema: tables.Schema) -> pd.DataFrame:
        """A table an earlier stage wrote."""
        path = self.folder.table(schema.name)
        if not path.is_file():
            raise RunError(
                f"the table {schema.name!r} is not there yet.",
                hint="Run the earlier stages first: radpipe run does all of them.",
                path=path,
            )
        return read_table(path, schema)

    def write(self, schema: tables.Schema, rows: list[dict[str, Any]] | pd.DataFrame, *, csv: bool = False) -> pd.DataFrame:
        """Rows -> the stage's table, checked, sorted and written whole."""
        frame = tables.make_table(schema, rows)
        write_table(frame, self.folder.table(schema.name), schema, csv=csv)
        return frame

    def write_seen(self, stage: str, seen: Iterable[tuple[int, int, str, Iterable[str]]]) -> None:
        """What the stage fitted, in place of what an earlier run of it wrote: (repeat, fold, thing, patients it saw)."""
        path = self.folder.table(tables.SEEN.name)
        rows = []
        if path.is_file():
            earlier = read_table(path, tables.SEEN)
            rows = earlier[earlier["stage"] != stage].to_dict("records")
        for repeat, fold, thing, patients in seen:
            ids = sorted(set(map(str, patients)))
            rows.append(
                {"repeat": repeat, "fold": fold, "stage": stage, "thing": thing, "n": len(ids), "patients": json.dumps(ids)}
            )
        self.write(tables.SEEN, rows)

    def seen(self) -> dict[tuple[int, int, str, str], list[str]]:
        """(repeat, fold, stage, thing) -> the patients it saw, of all stages so far."""
        path = self.folder.table(tables.SEEN.name)
        rows = read_table(path, tables.SEEN).to_dict("records") if path.is_file() else []
        return {
            (int(row["repeat"]), int(row["fold"]), str(row["stage"]), str(row["thing"])): json.loads(row["patients"])
            for row in rows
        }

    # work

    def map(self, work: str, function: str, tasks: Sequence[Task], *, preload: str = "light") -> MapResult:
        """Run the tasks whose result is not in the store yet; see :func:`radpipe.stages._parallel.map_tasks`.

        work : the stage, or ``<stage>_<part>`` where a stage has several kinds of task; names them in the store and the progress.
        The failures get a further entry ``task_id``.
        """
        result = map_tasks(
            tasks, stage=work, function=function, pool=self.pool, store=self.store, progress=self.progress, preload=preload
        )
        failed = [task.task_id for task in tasks if task.task_id not in result.done]
        for row, task_id in zip(result.failures, failed, strict=True):
            row["task_id"] = task_id
        counts = self._tasks.setdefault(work.partition("_")[0], [0, 0])
        counts[0] += len(tasks)
        counts[1] += result.computed
        self.folder.add_timings(result.timings)
        return result

    def finish(
        self, stage: str, expected: Sequence[str], done: Sequence[str], failures: Sequence[dict[str, str]], note: str = ""
    ) -> StageResult:
        """Reconcile the cases, write the stage's failures, and say what happened.

        failures : rows with case_id, error, path, problem, hint; one per case and stage is kept.
        """
        rows: dict[str, dict[str, str]] = {}
        workflow, out = self.invocation
        for failure in failures:
            row = {name: str(failure.get(name, "")) for name in ("case_id", "error", "path", "problem", "hint")}
            row["path"] = self._within(row["path"])
            rows.setdefault(row["case_id"], {**row, "stage": stage, "rerun": f"radpipe run {workflow} --out {out}"})
        failed = [case_id for case_id in rows if case_id in set(expected)]
        reconcile(stage, expected, done, failed)
        path = self.folder.table("failures")
        kept = []
        if path.is_file():
            earlier = read_table(path, tables.FAILURES)
            kept = earlier[earlier["stage"] != stage].to_dict("records")
        self.write(tables.FAILURES, [*kept, *rows.values()], csv=True)
        total, computed = self._tasks.get(stage, [0, 0])
        return StageResult(stage, len(expected), len(done), len(rows), total, computed, note)

    def _within(self, path: str) -> str:
        """A path as tables have it: from the manifest's folder, the workflow's or the run's own; of any other the last part. Where the
        files of a study lie may tell whose they are."""
        found = Path(path)
        if not path or not found.is_absolute():
            return path
        manifest = self.workflow.resolve(self.workflow.cohort.manifest).parent
        for base in (manifest, self.workflow.base, self.folder.path):
            if found.is_relative_to(base.absolute()):
                return found.relative_to(base.absolute()).as_posix()
        return found.name

    def not_needed(self, stage: str, makes: Sequence[tables.Schema], why: str) -> StageResult:
        """Take away what an earlier run with other settings left of this stage, so that nothing later reads it."""
        for schema in makes:
            self.folder.table(schema.name).unlink(missing_ok=True)
            self.folder.table(schema.name).with_suffix(".csv").unlink(missing_ok=True)
        self.finish(stage, [], [], [])
        return StageResult(stage, note=f"not needed: {why}")

    # stages that are one piece of work

    def unchanged(self, stage: str, key: str) -> bool:
        """Whether the stage's files were made from exactly this and are still as they were written."""
        record = self._records().get(stage)
        return bool(record) and record["key"] == key and record["files"] == _digests(self.folder.path, list(record["files"]))

    def record(self, stage: str, key: str, files: Sequence[Path]) -> None:
        """Remember what the stage's files were made from."""
        names = [str(file.relative_to(self.folder.path)) for file in files]
        records = {**self._records(), stage: {"key": key, "files": _digests(self.folder.path, names)}}
        with atomic_write(self.folder.records) as temporary:
            temporary.write_text(json.dumps(records, indent=1, sort_keys=True))

    def _records(self) -> dict[str, Any]:
        if not self.folder.records.is_file():
            return {}
        loaded: dict[str, Any] = json.loads(self.folder.records.read_text())
        return loaded


def failure(case_id: str, error: RadpipeError) -> dict[str, str]:
    """A row for :meth:`Context.finish`."""
    return {
        "case_id": error.case_id or case_id, "error": error.kind, "path": error.path, "problem": error.problem, "hint": error.hint,
    }  # fmt: skip


def _digests(folder: Path, names: list[str]) -> dict[str, str]:
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() if (folder / name).is_file() else "missing"
        for name in names
    }


@cache
def engine_version(*rooms: str) -> str:
    """What a result of these rooms depends on besides its inputs: radpipe's own source there, and the libraries that compute.

    The source is hashed because a version number does not change while somebody edits a formula, and a result of the
    formula of yesterday must not be found as that of today.
    """
    digest = hashlib.sha256(radpipe.__version__.encode())
    for room in sorted({*rooms, "core", "stages"}):
        top = PACKAGE / room
        for source in (
            sorted(top.rglob("*.py")) if room != "stages" else [PACKAGE / "stages" / name for name in ("work.py", "map_store.py")]
        ):
            digest.update(str(source.relative_to(PACKAGE)).encode() + b"\0" + source.read_bytes() + b"\0")
    for library in ("numpy", "scipy", "simpleitk", "numba", "scikit-learn", "torch", "monai"):
        digest.update(f"{library}={metadata.version(library)};".encode())
    return digest.hexdigest()[:16]


def frame_key(frame: pd.DataFrame) -> str:
    """SHA-256 of a table's columns, index and values (floats by their bits)."""
    digest = hashlib.sha256(content_key(columns=[str(name) for name in frame.columns]).encode())
    for name in frame.columns:
        values = frame[name]
        digest.update(values.to_numpy().tobytes() if values.dtype.kind in "fib" else "\x1f".join(map(str, values)).encode())
    digest.update("\x1f".join(map(str, frame.index)).encode())
    return digest.hexdigest()


def write_inputs(table: pd.DataFrame, path: Path) -> None:
    """A working table for child processes (index case_id); its file is named by its content, so it is written once."""
    with atomic_write(path) as temporary:
        table.reset_index().to_parquet(temporary, index=False)

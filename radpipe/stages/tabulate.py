"""Images and masks -> a table of features, beside the workflow: the door of ``radpipe extract``.

Beside FILE.csv lie FILE.failures.csv (where a case failed), FILE.dictionary.csv (what every column is), FILE.undefined.csv
(values that are no measurement) and FILE.radpipe/ (results by their content, so that the same command carries on after an
interruption and an edited case alone is computed again; it may be removed).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radpipe.errors import RadpipeError, RunError
from radpipe.features.config import FeatureSettings
from radpipe.io.files import cannot_write, sha256_file, sha256_path
from radpipe.io.rows import check_suffix, write_rows
from radpipe.stages.cases import TableCase, TableCases, shown_path

if TYPE_CHECKING:
    from radpipe.stages._progress import Progress

STAGE = "tabulate"
FUNCTION = "radpipe.stages.measure:measure_case"
FAILURE_COLUMNS = ("case_id", "row", "error", "path", "problem", "hint", "rerun")
UNDEFINED_COLUMNS = ("case_id", "row", "feature", "value", "reason", "meaning")
_ROOMS = ("features", "filters", "preprocessing", "io")
_DOORS = ("measure.py", "reading.py")  # what else of the code a result depends on


@dataclass(frozen=True)
class Measured:
    """A case with its result (features, undefined, diagnostics) or its failure; one of the two is None."""

    case: TableCase
    result: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None


@dataclass(frozen=True)
class Table:
    """rows : column -> value, in the order of the cases; failed cases are left out. features : the columns that are features."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    features: tuple[str, ...]
    undefined: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Limits:
    """Of one case in a worker. memory_mb : resident. timeout_s : seconds."""

    memory_mb: float = 3000
    timeout_s: float = 900


# measuring


def measure_here(
    cases: TableCases, settings: FeatureSettings, *, threads: int = 1, rerun: str = "", first_channel: bool = False
) -> list[Measured]:
    """Every case one after the other in this process: for a single case, without workers. first_channel : see measure_all."""
    from radpipe.stages.measure import measure_case

    found = []
    for case in cases.cases:
        try:
            if case.row in cases.problems:
                raise cases.problems[case.row]
            payload = {**_payload(case, settings.model_dump(mode="json"), first_channel), "threads": threads}
            found.append(Measured(case, result=measure_case(payload)))
        except (RadpipeError, MemoryError) as error:
            if isinstance(error, RunError):
                raise
            found.append(Measured(case, failure=failure_of(case, _facts(error), rerun)))
    return found


def measure_all(
    cases: TableCases,
    settings: FeatureSettings,
    store_folder: Path,
    *,
    workers: int | None = None,
    scheduler: str = "local",
    limits: Limits = Limits(),
    progress: Progress | None = None,
    rerun: str = "",
    first_channel: bool = False,
) -> list[Measured]:
    """Every case in the workers' children; what the store has already is not computed again. In the order of the cases.

    first_channel : of a file that holds several masks take the first where nobody says which, as PyRadiomics does.
    RunError where no case could fare better (a full disk, workers that do not start).
    """
    from radpipe.io.store import Store
    from radpipe.stages._parallel import Pool, Task, map_tasks
    from radpipe.stages._progress import Progress

    progress = progress or Progress(quiet=True)
    pool = Pool(
        workers or "auto", scheduler=scheduler, memory_mb=limits.memory_mb, timeout_s=limits.timeout_s,
        log=store_folder / "logs" / "run.log",
    )  # fmt: skip
    good = [case for case in cases.cases if case.row not in cases.problems]
    digests, unreadable = _digests({path for case in good for path in (case.image, case.mask)}, pool.workers)
    dumped = settings.model_dump(mode="json")
    engine = _engine(settings)
    problems = dict(cases.problems)
    tasks = []
    for case in good:
        wrong = unreadable.get(case.image) or unreadable.get(case.mask)
        if wrong is not None:
            problems[case.row] = wrong.about(case_id=case.case_id)
            continue
        payload = _payload(case, dumped, first_channel)
        parts = {name: payload[name] for name in ("label", "label_channel", "modality", "settings")} | (
            {"roi": case.roi} if case.roi else {}
        )
        key = _key(engine=engine, image=digests[case.image], mask=digests[case.mask], **parts)
        tasks.append(Task(task_id=str(case.row), key=key, payload=payload, case_id=case.case_id, path=str(case.mask)))
    with Store(store_folder) as store, pool:
        store.sweep()
        if tasks and settings.engine == "radpipe":
            _announce_compiling(progress.say)
        result = map_tasks(tasks, stage=STAGE, function=FUNCTION, pool=pool, store=store, progress=progress)
    failed = dict(zip((task.task_id for task in tasks if task.task_id not in result.done), result.failures, strict=True))
    found = []
    for case in cases.cases:
        name = str(case.row)
        if case.row in problems:
            found.append(Measured(case, failure=failure_of(case, _facts(problems[case.row]), rerun)))
        elif name in failed:
            found.append(Measured(case, failure=failure_of(case, failed[name], rerun)))
        else:
            found.append(Measured(case, result=result.done[name].row))
    return found


def _payload(case: TableCase, settings: dict[str, Any], first_channel: bool) -> dict[str, Any]:
    return {
        "case_id": case.case_id, "image_path": str(case.image), "mask_path": str(case.mask), "label": case.label,
        "label_channel": case.label_channel, "modality": case.modality, "settings": settings,
        "first_channel": first_channel, "roi": case.roi,
    }  # fmt: skip


def _digests(paths: Iterable[Path], threads: int) -> tuple[dict[Path, str], dict[Path, RadpipeError]]:
    """SHA-256 of every file or folder, each read once. Threads, because hashing releases the interpreter."""

    def digest(path: Path) -> str | RadpipeError:
        try:
            return sha256_path(path)
        except RadpipeError as error:
            return error

    listed = sorted(paths)
    with ThreadPoolExecutor(threads) as pool:
        found = dict(zip(listed, pool.map(digest, listed), strict=True))
    good = {path: item for path, item in found.items() if isinstance(item, str)}
    return good, {path: item for path, item in found.items() if isinstance(item, RadpipeError)}


def _engine(settings: FeatureSettings) -> str:
    """What a result depends on besides its inputs."""
    from radpipe.stages.context import engine_version

    doors = [sha256_file(Path(__file__).with_name(name))[:16] for name in _DOORS]
    if settings.engine == "pyradiomics":
        from radpipe.features.pyradiomics_engine import pyradiomics_version

        doors.append(pyradiomics_version())
    return "-".join([engine_version(*_ROOMS), *doors])


def _key(**parts: Any) -> str:
    from radpipe.core.keys import content_key

    return content_key(stage=STAGE, **parts)


def _announce_compiling(say: Callable[[str], None]) -> None:
    from radpipe.features._kernels._jit import compiled

    if not compiled():
        say("the feature kernels are compiled now, once on this machine: about half a minute before the first case")


def _facts(error: BaseException) -> dict[str, Any]:
    from radpipe.stages._child import classify

    return classify(error)


def failure_of(case: TableCase, facts: dict[str, Any], rerun: str) -> dict[str, Any]:
    """A row of the failures. facts : of an error (:func:`radpipe.stages._child.classify`), or a worker's."""
    # The limits of a case stand in a workflow's `compute`; here they are options.
    hint = (
        facts["hint"].replace("compute.case_memory_mb", "--case-memory-mb").replace("compute.case_timeout_s", "--case-timeout-s")
    )
    return {
        "case_id": case.case_id, "row": case.row, "error": facts["error"], "path": shown_path(case, facts["path"]),
        "problem": facts["problem"], "hint": hint, "rerun": rerun,
    }  # fmt: skip


# the table


def make_table(columns: Sequence[str], measured: Sequence[Measured]) -> Table:
    """The cases' own columns, then ``diagnostics_*``, then the features: each in its own order, whatever case has it."""
    from radpipe.features.diagnostics import NAMES
    from radpipe.features.undefined import REASONS

    done = [item for item in measured if item.result is not None]
    diagnostics: set[str] = set()
    features: list[dict[str, float]] = []
    rows, undefined = [], []
    for item in done:
        assert item.result is not None
        result = item.result
        diagnostics |= result["diagnostics"].keys()
        features.append(result["features"])
        found = {name: _tupled(value) for name, value in result["diagnostics"].items()}
        rows.append({**item.case.cells, **found, **result["features"]})
        undefined += [
            {"case_id": item.case.case_id, "row": item.case.row, "feature": name, "value": result["features"][name],
             "reason": code, "meaning": REASONS.get(code, "")}
            for name, code in result["undefined"].items()
        ]  # fmt: skip
    named = tuple(merged(features))
    return Table(
        columns=(*columns, *(name for name in NAMES if name in diagnostics), *named),
        rows=rows,
        features=named,
        undefined=undefined,
        failures=[item.failure for item in measured if item.failure is not None],
    )


def merged(rows: Iterable[dict[str, Any]]) -> list[str]:
    """The columns of all rows; those that the first lacks stand after the one that they follow in their own row."""
    order: list[str] = []
    known: set[str] = set()
    for row in rows:
        if row.keys() <= known:
            continue
        before = -1
        for name in row:
            if name in known:
                before = order.index(name)
            else:
                before += 1
                order.insert(before, name)
                known.add(name)
    return order


def _tupled(value: Any) -> Any:
    """JSON has no tuples; PyRadiomics has no lists here (but in the settings, which stay as they were given)."""
    return tuple(value) if isinstance(value, list) else value


def store_folder(out: Path) -> Path:
    """Where the results of the cases are kept."""
    return beside(out, ".radpipe")


def beside(out: Path, ending: str) -> Path:
    """features.csv, .failures.csv -> features.failures.csv in the same folder."""
    return out.with_name(out.stem + ending)


def check_output(out: Path) -> None:
    """ConfigError or RunError, before any case is measured, where the table could not be written."""
    check_suffix(out)
    if out.is_dir():
        raise RunError("this is a folder.", hint="Name a file for the table: FILE.csv.", path=out)
    if not out.parent.is_dir():
        raise RunError("its folder does not exist.", hint="Make the folder, or choose another one.", path=out)
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise cannot_write(out, PermissionError(13, "Permission denied"))


def write_table(out: Path, table: Table, settings: FeatureSettings) -> None:
    """The table and what belongs to it, each whole or not at all; what an earlier run left beside it is replaced."""
    from radpipe.features.dictionary import feature_dictionary

    write_rows(out, table.columns, table.rows)
    dictionary = feature_dictionary(settings, list(table.features))
    write_rows(beside(out, ".dictionary.csv"), list(dictionary[0]) if dictionary else ["name"], dictionary)
    write_rows(beside(out, ".undefined.csv"), UNDEFINED_COLUMNS, table.undefined)
    write_failures(out, table.failures)


def write_failures(out: Path, failures: Sequence[dict[str, Any]]) -> None:
    """FILE.failures.csv; removed where nothing failed."""
    path = beside(out, ".failures.csv")
    if failures:
        write_rows(path, FAILURE_COLUMNS, failures)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

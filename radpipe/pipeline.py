"""THE FLOW. Read this first: what happens, in which order, and what each stage needs and makes.

    config -> cohort -> image -> mask -> features, maps -> habitats -> patients -> selection -> ANN, references ---+
                          |       |                                                    ^                           +-> predictions -> evaluation
                          |       |                                       deep features|                           |         -> comparison -> report
                          +-------+---------------------> end-to-end 3D CNN -----------+---------------------------+

A stage reads tables that earlier stages wrote and writes its own; it never edits an earlier one (but that habitats, which are
fitted in every fold, add their columns to the table of features that differ by fold; and rows of patients add what they are to
the dictionary and to the table of undefined values).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import yaml

from radpipe.comparison.question import question, question_key
from radpipe.config import Workflow
from radpipe.core.plain_words import one_line, plain_traceback
from radpipe.errors import RadpipeError, RunError
from radpipe.io.files import cannot_write, write_bytes
from radpipe.io.run_folder import RunFolder
from radpipe.io.store import Store
from radpipe.stages import (
    cohort,
    compare,
    controls,
    embed,
    evaluate,
    extract,
    habitats,
    patients,
    preprocess,
    report,
    segment,
    select,
    train,
)
from radpipe.stages._parallel import Pool
from radpipe.stages._progress import Progress
from radpipe.stages.context import Context, StageResult

STAGES: tuple[ModuleType, ...] = (
    cohort, preprocess, segment, extract, habitats, patients, embed, select, train, evaluate, compare, controls, report,
)  # fmt: skip
LOG = logging.getLogger("radpipe.pipeline")


@dataclass(frozen=True)
class RunResult:
    """What a run left behind. exit_code : 0 all well, 3 finished with failures."""

    stages: tuple[StageResult, ...]
    folder: Path
    seconds: float

    @property
    def exit_code(self) -> int:
        return 3 if any(stage.failures for stage in self.stages) else 0


def run(
    workflow: Workflow, out: Path, *, invocation: tuple[str, str] = ("", ""), workers: int | None = None, scheduler: str | None = None,
    progress: Progress | None = None, only: Sequence[str] = (),
) -> RunResult:  # fmt: skip
    """Walk the stages (or only those) and write everything into ``out``.

    What is already there and was made from the same inputs, settings and code is kept; RunError where the folder
    belongs to another workflow or another run is at work in it.
    """
    started = time.monotonic()
    with open_run(workflow, out, invocation=invocation, workers=workers, scheduler=scheduler, progress=progress) as context:
        results = []
        for stage in STAGES:
            if only and stage.NAME not in only:
                continue
            results.append(_run_stage(stage, context))
    return RunResult(tuple(results), out, time.monotonic() - started)


def _run_stage(stage: ModuleType, context: Context) -> StageResult:
    context.progress.start_stage(stage.NAME)
    try:
        result: StageResult = stage.run(context)
    except (RadpipeError, MemoryError):
        raise
    except OSError as error:
        raise cannot_write(Path(error.filename or context.folder.path), error) from error
    except Exception as error:
        # A fault of ours: the user gets one line and where the rest is; the log gets the traceback.
        LOG.error("stage %s\n%s", stage.NAME, plain_traceback(error))
        raise RunError(
            f"stage {stage.NAME} met a fault in radpipe ({one_line(error)}).",
            hint="Please report it with this file; what is done so far is kept.", path=context.folder.log, kind="unexpected",
        ) from error  # fmt: skip
    if result.computed:
        context.folder.report.unlink(missing_ok=True)  # it speaks of other results; the last stage writes it anew
    context.progress.end_stage(stage.NAME, _in_words(result))
    return result


def _in_words(result: StageResult) -> str:
    if result.note and not result.cases_in:
        return result.note
    words = [f"{result.cases_out} of {result.cases_in}"]
    if result.failures:
        words.append(f"{result.failures} failed")
    if result.tasks and result.computed < result.tasks:
        words.append(f"{result.tasks - result.computed} of {result.tasks} results were there already")
    return ", ".join([*words, *([result.note] if result.note else [])])


@contextmanager
def open_run(
    workflow: Workflow,
    out: Path,
    *,
    invocation: tuple[str, str],
    workers: int | None,
    scheduler: str | None,
    progress: Progress | None,
) -> Iterator[Context]:
    """Lock the folder, write the settings with every default, and hand out the context; workers start when first needed."""
    folder = RunFolder(out)
    with folder.lock():
        folder.claim(workflow.name)
        folder.sweep()
        settings = yaml.safe_dump(workflow.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        if not folder.config.is_file() or folder.config.read_text(encoding="utf-8") != settings:
            folder.report.unlink(missing_ok=True)  # it was made with other settings
            write_bytes(folder.config, settings.encode("utf-8"))
        folder.record_question(question_key(workflow.comparison), question(workflow.comparison))
        compute = workflow.compute
        pool = Pool(
            workers or compute.count, scheduler=scheduler or compute.scheduler, memory_mb=compute.case_memory_mb,
            timeout_s=compute.case_timeout_s,
        )  # fmt: skip
        progress = progress or Progress(quiet=True)
        if workflow.needs_images and not _kernels_compiled():
            progress.say("the feature kernels are compiled now, once on this machine: about half a minute before the first case")
        with _logging_to(folder.log), Store(folder.store) as store, pool:
            store.sweep()
            yield Context(workflow, folder, store, pool, progress, invocation)


def _kernels_compiled() -> bool:
    from radpipe.features._kernels._jit import compiled  # here, because it imports numba

    return compiled()


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Everything radpipe logs, tracebacks too, goes to the run's own file and not to the terminal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("radpipe")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def stage_names() -> Sequence[str]:
    """In the order of the flow."""
    return [stage.NAME for stage in STAGES]

"""New patients scored by a finished run's models, refitted on all its patients: the door of ``radpipe predict``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from radpipe.io.rows import check_suffix, write_rows
from radpipe.stages._progress import Progress
from radpipe.stages.refit import FAILURE_COLUMNS, Predicted, refit


def predict(
    run: Path,
    cohort: Path,
    out: Path,
    *,
    models: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Predicted:
    """Score the cases of ``cohort`` (a manifest, or a folder that ``radpipe ingest`` made) and write ``out`` and its failures.

    models : names; all of the run by default. RunError where the run is not finished, is of another version of the code, or is in
    use; CohortError where the cohort lacks what the models need.
    """
    check_suffix(out)
    found = refit(run, cohort, models=models, workers=workers, progress=progress)
    _write(out, found)
    return found


def _write(out: Path, found: Predicted) -> None:
    columns = list(dict.fromkeys(name for row in found.rows for name in row))
    leading = [name for name in columns if name not in ("threshold", "seen", "fitted_on")]
    write_rows(
        out, [*leading, *(name for name in ("threshold", "seen", "fitted_on") if name in columns)] or ["case_id"], found.rows
    )
    beside = out.with_name(f"{out.stem}.failures.csv")
    if found.failures:
        write_rows(beside, FAILURE_COLUMNS, found.failures)
    else:
        beside.unlink(missing_ok=True)

"""``radpipe extract --mode voxel``: feature maps of one case, or of a table of cases."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from radpipe.errors import ConfigError

if TYPE_CHECKING:
    from radpipe.features.config import FeatureSettings
    from radpipe.stages.maps import MapOptions
    from radpipe.stages.tabulate import Limits, Measured


def make_maps(
    image: Path, mask: Path | None, settings: FeatureSettings, out: Path | None, options: MapOptions, *, roi: str = "",
    workers: int | None, scheduler: str, limits: Limits, quiet: bool,
) -> int:  # fmt: skip
    """The maps of MASK in IMAGE into ``out``, or of every row of a CSV into a folder each; the exit status."""
    from radpipe.stages._progress import Progress
    from radpipe.stages.cases import read_cases, single_case
    from radpipe.stages.map_cases import COLUMNS, map_all, map_here

    began = time.monotonic()
    if out is None:
        raise ConfigError("maps need a folder to be written into.", hint="Say -o FOLDER.")
    rerun = shlex.join(["radpipe", *sys.argv[1:]])
    progress = Progress(quiet=quiet)
    if mask is not None:
        measured = map_here(single_case(image, mask, roi), settings, out, options, progress=progress, rerun=rerun)
    else:
        if image.suffix.lower() != ".csv":
            raise ConfigError(
                f"{image.name} is no .csv, and no mask is named beside it.",
                hint="radpipe extract --mode voxel IMAGE MASK, or COHORT.csv.",
                path=image,
            )
        measured = map_all(
            read_cases(image), settings, out, options, workers=workers, scheduler=scheduler, limits=limits, progress=progress,
            rerun=rerun,
        )  # fmt: skip
        _write_tables(out, measured, COLUMNS)
    return _close(measured, out, began, cohort=mask is None)


def _write_tables(out: Path, measured: Sequence[Measured], columns: Sequence[str]) -> None:
    from radpipe.io.rows import write_rows
    from radpipe.stages.tabulate import write_failures

    rows: list[dict[str, Any]] = []
    for item in measured:
        if item.result is not None:
            folder = Path(item.result["folder"]).relative_to(out)
            rows.append({"case_id": item.case.case_id, "row": item.case.row, **item.result, "folder": str(folder)})
    write_rows(out / "maps.csv", columns, rows)
    write_failures(out / "maps.csv", [item.failure for item in measured if item.failure is not None])


def _close(measured: Sequence[Measured], out: Path, began: float, *, cohort: bool) -> int:
    from radpipe.cli.said import show_failures

    failures = [item.failure for item in measured if item.failure is not None]
    done = [item.result for item in measured if item.result is not None]
    show_failures(failures, 3 if cohort else 1)
    if cohort and failures:
        click.echo(
            f"{len(failures)} of {len(measured)} cases failed; all of them, and what to do: {out / 'maps.failures.csv'}", err=True
        )
    if done:
        what = f"{done[0]['maps']} maps" + (f" of each of {len(done)} cases" if cohort else "")
        click.echo(f"{out}  ({what}, {time.monotonic() - began:.1f} s)")
    return 3 if failures else 0

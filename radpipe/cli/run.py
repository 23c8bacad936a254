"""``radpipe run`` and ``radpipe stage``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from radpipe import pipeline
from radpipe.config import load_workflow
from radpipe.stages._progress import Progress


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option(
                "--out",
                "-o",
                type=click.Path(file_okay=False, path_type=Path),
                help="Folder of the run; runs/ and the workflow's name by default.",
            ),
            click.option("--workers", "-w", type=click.IntRange(1), help="Cases at a time; by default one per core."),
            click.option("--scheduler", help="Address of a running Dask scheduler, or 'processes' to do without Dask."),
            click.option("--quiet", "-q", is_flag=True, help="Only the last lines."),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("workflow", type=click.Path(dir_okay=False, path_type=Path))
@_options
@click.option("--dry-run", is_flag=True, help="Say what would run and what it will take; run nothing.")
@click.option("--controls", is_flag=True, help="Run it again on permuted outcomes, shuffled voxels, random regions and noise.")
def run(
    workflow: Path, out: Path | None, workers: int | None, scheduler: str | None, quiet: bool, dry_run: bool, controls: bool
) -> int:  # fmt: skip
    """Run WORKFLOW (a YAML file) from scans and outcomes to OUT/report.html.

    Run the same command again after an interruption: it carries on. What is done is found by its content, so an
    edited mask or setting recomputes just what depends on it.
    """
    loaded = load_workflow(workflow)
    if controls and loaded.controls is None:
        loaded = loaded.with_controls()
    out = out or Path("runs") / loaded.name
    if dry_run:
        from radpipe.stages.forecast import forecast

        click.echo(forecast(loaded, out, workers))
        return 0
    result = pipeline.run(
        loaded,
        out,
        invocation=(_shown(workflow), _shown(out)),
        workers=workers,
        scheduler=scheduler,
        progress=Progress(quiet=quiet),
    )
    return _close(result, out / "report.html")


@click.command()
@click.argument("name", type=click.Choice(list(pipeline.stage_names())))
@click.argument("workflow", type=click.Path(dir_okay=False, path_type=Path))
@_options
def stage(name: str, workflow: Path, out: Path | None, workers: int | None, scheduler: str | None, quiet: bool) -> int:
    """Run the one stage NAME of WORKFLOW on what earlier stages left in OUT."""
    loaded = load_workflow(workflow)
    out = out or Path("runs") / loaded.name
    result = pipeline.run(
        loaded, out, invocation=(_shown(workflow), _shown(out)), workers=workers, scheduler=scheduler,
        progress=Progress(quiet=quiet), only=(name,),
    )  # fmt: skip
    return _close(result, out)


def _shown(path: Path) -> str:
    """As it stands in tables and pages, which travel: from here where the user typed it so or it lies below, else its name alone."""
    if not path.is_absolute():
        return str(path)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name


def _close(result: pipeline.RunResult, made: Path) -> int:
    failures = sum(stage.failures for stage in result.stages)
    if failures:
        click.echo(
            f"finished with {failures} failure(s): what is wrong and what to do is in {result.folder / 'failures.csv'}", err=True
        )
    click.echo(f"{made}  ({result.seconds:.0f} s)")
    return result.exit_code

"""``radpipe parity``: an old table of PyRadiomics beside radpipe's values of the same cases."""

from __future__ import annotations

import math
import shlex
import sys
import tempfile
from pathlib import Path

import click

_SHOWN = 20


@click.command()
@click.argument("old", metavar="OLD.csv", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("cohort", metavar="COHORT.csv", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--params",
    "-p",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Parameter file; by default what OLD.csv itself tells.",
)
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Table to write: every case and feature, old and new.")
@click.option("--workers", "-w", type=click.IntRange(1), help="Cases at a time; by default one per core.")
@click.option("--quiet", "-q", is_flag=True, help="Only the result.")
def parity(old: Path, cohort: Path, params: Path | None, out: Path | None, workers: int | None, quiet: bool) -> int:
    """Measure the cases of COHORT.csv with the settings of OLD.csv, and show feature by feature what differs.

    A difference counts from 1e-9 of the value (1e-6 on filtered images, and for surfaces and MCC): docs/parity.md. Rows
    belong together by their ids, or by the names of their files. Exit status: 0 all the same, 1 something differs,
    3 cases failed or have no partner.
    """
    from radpipe.io.rows import write_rows
    from radpipe.stages._progress import Progress
    from radpipe.stages.cases import read_cases
    from radpipe.stages.parameter_file import load_settings
    from radpipe.stages.replay import COLUMNS, compare, pair_up, read_old, settings_of
    from radpipe.stages.tabulate import check_output, measure_all, store_folder

    if out is not None:
        check_output(out)
    table = read_old(old)
    settings = settings_of(table, load_settings(params) if params is not None else None)
    cases, old_rows, unmatched = pair_up(table, read_cases(cohort))
    with tempfile.TemporaryDirectory(prefix="radpipe-") as nowhere:
        measured = measure_all(
            cases, settings, store_folder(out) if out is not None else Path(nowhere), workers=workers, progress=Progress(quiet=quiet),
            rerun=shlex.join(["radpipe", *sys.argv[1:]]), first_channel=True,
        )  # fmt: skip
    replay = compare(measured, old_rows, table, unmatched)
    if out is not None:
        write_rows(out, COLUMNS, replay.entries)
        click.echo(f"{out}  (every value, old and new)")
    failed = [item.failure for item in measured if item.failure is not None]
    for row in failed:
        click.echo(f"case {row['case_id']} failed: {row['path']}: {row['problem']} {row['hint']}".rstrip(), err=True)
    for text in replay.unmatched:
        click.echo(text, err=True)
    for entry in replay.entries:
        if entry["verdict"] == "input differs":
            what = "image" if "Image" in entry["feature"] else "mask"
            click.echo(f"case {entry['case_id']}: the {what} is not the one of the old table (its hash differs)")
    if table.left_out:
        click.echo(f"{len(table.left_out)} columns are of features that are no longer computed: {', '.join(table.left_out[:5])}")
    differing = replay.by_feature()
    if differing:
        click.echo(f"{'feature':<58} {'cases':>5}  largest difference, of the old value")
        for name, cases_off, worst in differing[:_SHOWN]:
            click.echo(f"{name:<58} {cases_off:>5}  {'in one table only' if math.isinf(worst) else format(worst, '.3g')}")
        if len(differing) > _SHOWN:
            click.echo(f"... and {len(differing) - _SHOWN} more features" + ("" if out else "; -o FILE.csv has all of them"))
    compared = replay.count("same", "differs")
    click.echo(
        f"{replay.count('same')} of {compared} values are the same; {replay.count('differs')} differ, "
        f"{replay.count('only old')} are in the old table only, {replay.count('only new')} in the new one only"
    )
    if failed or replay.unmatched:
        return 3
    return 1 if differing or replay.count("input differs") else 0

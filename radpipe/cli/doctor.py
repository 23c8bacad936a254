"""``radpipe doctor``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from radpipe.errors import ConfigError

_SHOWN = 12


@click.command()
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the tables and the page; doctor/ and the cohort's name by default.",
)
@click.option(
    "--fix",
    is_flag=True,
    help="Make the safe repairs, with a new manifest, in the new folder --out; nothing is changed in place.",
)
@click.option("--workers", "-w", type=click.IntRange(1), help="Cases at a time; by default one per core.")
@click.option("--scheduler", default="local", help="Address of a running Dask scheduler, or 'processes' to do without Dask.")
@click.option(
    "--case-memory-mb", type=click.FloatRange(200), default=3000, show_default=True, help="Memory that one case may take."
)
@click.option(
    "--case-timeout-s", type=click.FloatRange(1), default=900, show_default=True, help="Seconds that one case may take."
)
@click.option("--quiet", "-q", is_flag=True, help="Only the last lines.")
def doctor(
    cohort: Path, out: Path | None, fix: bool, workers: int | None, scheduler: str, case_memory_mb: float, case_timeout_s: float, quiet: bool
) -> int:  # fmt: skip
    """Check COHORT (a manifest, or the folder that `radpipe ingest` wrote) before it is used.

    Headers first, then voxels: do image and mask lie on one grid, and if not, which attribute differs, by how much, and what is
    safe to do? Is the region whole, are the intensities what the modality says, are cases copies of each other? Writes tables and
    OUT/doctor.html with a picture of each finding, and advises bin widths from the cohort's own regions.

    Exit status: 0 no errors (there may be warnings), 3 errors were found (with --fix: and are left).
    """
    from radpipe.intake.findings import SEVERITIES, counted
    from radpipe.stages._progress import Progress
    from radpipe.stages.doctor import examine, manifest_of, mend, prepare, write
    from radpipe.stages.tabulate import Limits

    began = time.monotonic()
    source = manifest_of(cohort)
    if fix and out is None:
        raise ConfigError("--fix needs a new folder for what it mends.", hint="Say --out NEWFOLDER.")
    name = source.absolute().parent.name if cohort.is_dir() else source.stem
    out = out or Path("doctor") / name
    prepare(out, empty=fix)
    progress = Progress(quiet=quiet)
    report = examine(
        cohort, out / ".radpipe", workers=workers, scheduler=scheduler, limits=Limits(case_memory_mb, case_timeout_s), progress=progress
    )  # fmt: skip
    if fix:
        report.repaired = mend(report, out)
    write(report, out)
    for item in [item for item in report.findings if item.severity == "error"][: 0 if quiet else _SHOWN]:
        click.echo(f"radpipe: {item.severity}: {f'case {item.case_id}: ' if item.case_id else ''}{item.what}", err=True)
    counts = ", ".join(counted(report.count(name), name) for name in SEVERITIES)
    click.echo(f"{out / 'doctor.html'}  ({counted(report.rows, 'case')}: {counts}, {time.monotonic() - began:.1f} s)")
    left = [item for item in report.findings if item.severity == "error" and not (fix and item.safe_repair)]
    repairable = sum(bool(item.safe_repair) for item in report.findings)
    if fix:
        click.echo(
            f"{out / 'manifest.csv'}  ({counted(len(report.repaired), 'repair')}, listed in repairs.csv; {counted(len(left), 'error')} left)"
        )
    elif repairable:
        click.echo(f"{counted(repairable, 'finding')} can be repaired safely: radpipe doctor {cohort} --fix --out NEWFOLDER")
    return 3 if left else 0

"""``radpipe ibsi``: does this installation give IBSI's reference values?"""

from __future__ import annotations

from pathlib import Path

import click

_PHASES = {"1": ("IBSI 1",), "2": ("IBSI 2 phase 1", "IBSI 2 phase 2")}
_FAILED = 3


@click.command()
@click.option(
    "--data",
    "-d",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that holds ibsi1 and ibsi2: phantoms and reference values.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("ibsi_compliance.csv"),
    show_default=True,
    help="The full table: every value, its reference and tolerance.",
)
@click.option("--phase", type=click.Choice(list(_PHASES)), help="Only IBSI 1 (features) or only IBSI 2 (filters).")
@click.option("--markdown", is_flag=True, help="Print the summary as it stands in docs/ibsi.md.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def ibsi(data: Path, out: Path, phase: str | None, markdown: bool, quiet: bool) -> int:
    """Compute every reference value of IBSI 1 and IBSI 2 and compare.

    Prints how many pass in each configuration and family, and the worst miss in tolerances (1 is the edge of passing).
    Exit status: 0 all pass, 3 some do not, 2 files are missing.
    """
    from radpipe.errors import RunError
    from radpipe.stages import ibsi as stage
    from radpipe.stages._progress import Progress

    if not out.absolute().parent.is_dir():  # before the work, not after it
        raise RunError("its folder does not exist.", hint="Make the folder, or choose another --out.", path=out)
    sources = stage.SOURCES if phase is None else _PHASES[phase]
    rows = stage.run(data, sources=sources, progress=Progress(quiet=quiet))
    stage.write(rows, out)
    click.echo(stage.as_markdown(rows) if markdown else stage.as_text(rows))
    for row in rows:
        if not row.passed:
            where = f"{row.source} {row.configuration} {row.feature}{f' ({row.aggregation})' if row.aggregation else ''}"
            click.echo(f"FAILED {where}: {row.value:.6g}, reference {row.reference:g}, tolerance {row.tolerance:g}", err=True)
    click.echo(f"{len(rows)} values in {out}", err=True)
    return 0 if all(row.passed for row in rows) else _FAILED

"""``radpipe compare``: which model predicts better, of one run, of two runs, or of anybody's predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="RUN|FILE.csv ...")
@click.option("--primary", metavar="A,B", help="The pair that was asked about; by default what the run's workflow names.")
@click.option("--metric", help="What is compared: auc, average_precision, brier; by default the workflow's, or auc.")
@click.option(
    "--margin", type=float, help="Differences within plus or minus this count as equivalent; by default the workflow's, or 0.05."
)
@click.option("--alpha", type=float, help="Error rate of every test; by default the workflow's, or 0.05.")
@click.option(
    "--external",
    type=click.Path(path_type=Path),
    metavar="COHORT",
    help="Judge the runs' models on these patients instead, whom they never saw: a manifest with the outcome, or a folder of `radpipe ingest`.",
)
@click.option("--workers", "-w", type=click.IntRange(1), help="With --external: cases at a time.")
@click.option("--quiet", "-q", is_flag=True, help="With --external: no progress.")
@click.option("--out", "-o", type=click.Path(file_okay=False, path_type=Path), help="Folder for comparison.csv and compare.html.")
def compare(
    sources: tuple[str, ...], external: Path | None, workers: int | None, quiet: bool, primary: str | None, out: Path | None, **options: Any
) -> int:  # fmt: skip
    """Compare the models of a RUN, of several runs, or of tables of predictions (FILE.csv).

    RUN:MODEL or FILE.csv:MODEL takes one model of it. A table has case_id, p_1 (probability of class 1) and y_true; with the
    columns repeat and fold it is cross-validation, without them patients held out from everything. All sides must hold the same
    patients, and cross-validation the same splits: anything else is refused, by name.

    --external COHORT refits the runs' models on all their patients, as `radpipe predict` does, and compares them on those of COHORT.
    Nothing is fitted on these; a patient whom a model saw is refused.

    Exit status: 0 whatever the verdict, 2 where the sides cannot be compared, 3 where cases of COHORT could not be used.
    """
    from radpipe.errors import ConfigError
    from radpipe.stages._progress import Progress
    from radpipe.stages.compare_command import compare_external, compare_sources, write_comparison

    asked = {name: value for name, value in options.items() if value is not None}
    pair = tuple(part.strip() for part in primary.split(",")) if primary else None
    if external is not None:
        found = compare_external(sources, external, primary=pair, workers=workers, progress=Progress(quiet=quiet), **asked)
    elif workers is not None:
        raise ConfigError("--workers goes with --external: nothing else is fitted.", hint="Leave it out.")
    else:
        found = compare_sources(sources, primary=pair, **asked)
    if found.images is not None:
        click.echo(f"Do images add anything? {found.images['headline']}\n")
    click.echo(found.headline)
    for sentence in found.sentences:
        click.echo(f"  {sentence}")
    click.echo()
    click.echo(found.as_text())
    if out is not None:
        page = write_comparison(found, out)
        click.echo(f"\n{page}")
    failures = found.external["failures"] if found.external else []
    for row in failures[:5]:
        click.echo(f"  {row['case_id']}: {row['problem']}", err=True)
    return 3 if failures else 0

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
@click.option("--out", "-o", type=click.Path(file_okay=False, path_type=Path), help="Folder for comparison.csv and compare.html.")
def compare(sources: tuple[str, ...], **options: Any) -> int:
    """Compare the models of a RUN, of several runs, or of tables of predictions (FILE.csv).

    RUN:MODEL or FILE.csv:MODEL takes one model of it. A table has case_id, p_1 (probability of class 1) and y_true; with the
    columns repeat and fold it is cross-validation, without them patients held out from everything. All sides must hold the same
    patients, and cross-validation the same splits: anything else is refused, by name.

    Exit status: 0 whatever the verdict, 2 where the sides cannot be compared.
    """
    from radpipe.stages.compare_command import compare_sources, write_comparison

    primary = options.pop("primary")
    out = options.pop("out")
    found = compare_sources(
        sources,
        primary=tuple(part.strip() for part in primary.split(",")) if primary else None,
        **{name: value for name, value in options.items() if value is not None},
    )
    click.echo(found.headline)
    for sentence in found.sentences:
        click.echo(f"  {sentence}")
    click.echo()
    click.echo(found.as_text())
    if out is not None:
        page = write_comparison(found, out)
        click.echo(f"\n{page}")
    return 0

"""``radpipe predict``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option(
    "--model", "-m", "models", multiple=True, metavar="NAME", help="A model of the run; may be repeated; by default all."
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="Table to write: .csv, .parquet or .json; COHORT.predictions.csv by default.",
)
@click.option("--workers", "-w", type=click.IntRange(1), help="Cases at a time; by default as the run's workflow says.")
@click.option("--quiet", "-q", is_flag=True, help="Only the last lines.")
def predict(run: Path, cohort: Path, models: tuple[str, ...], out: Path | None, workers: int | None, quiet: bool) -> int:
    """Score the new patients of COHORT by the models of RUN, refitted on all its patients.

    RUN is a folder that `radpipe run` wrote. COHORT is a manifest like that run's, without the outcome, or a folder of `radpipe ingest`.
    The figures in RUN's report are of models fitted on parts of its patients; this refit has seen them all, and none of the new ones.
    """
    from radpipe.errors import RunError
    from radpipe.stages._progress import Progress
    from radpipe.stages.predict import predict as score

    if not cohort.exists():
        raise RunError("the cohort does not exist.", hint="Name a manifest (CSV), or a folder of `radpipe ingest`.", path=cohort)
    out = out or cohort.with_name(f"{cohort.stem}.predictions.csv")
    found = score(run, cohort, out, models=models, workers=workers, progress=Progress(quiet=quiet))
    if found.rows:
        cases = len({row["case_id"] for row in found.rows})
        click.echo(
            f"{cases} case(s) scored by models refitted on all {found.fitted_on} patients of {run} (training and selection part); "
            "no fold's model was used"
        )
    if found.seen:
        click.echo(
            f"seen before: {', '.join(found.seen)} {'is' if len(found.seen) == 1 else 'are'} among the run's own patients, so the score "
            "is no prediction (column seen)", err=True,
        )  # fmt: skip
    if found.failures:
        beside = out.with_name(f"{out.stem}.failures.csv")
        click.echo(f"{len(found.failures)} failure(s): what is wrong and what to do is in {beside}", err=True)
        for row in found.failures[:5]:
            click.echo(f"  {row['case_id']}: {row['problem']}", err=True)
    click.echo(str(out))
    return 3 if found.failures else 0

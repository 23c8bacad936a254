"""``radpipe plan``: what a cohort can answer, before any fit."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("cohort", metavar="WORKFLOW.yaml|MANIFEST.csv", type=click.Path(path_type=Path))
@click.option("--outcome", help="Of a manifest: the column with the outcome (a workflow says it itself).")
@click.option("--positive", help="Of a manifest: the outcome's value that is the event.")
@click.option("--clinical", default="", help="Of a manifest: clinical columns, separated by commas.")
@click.option(
    "--auc", type=click.FloatRange(0.5, 1, max_open=True), default=0.75, show_default=True, help="Expected of the models."
)
@click.option(
    "--correlation",
    type=click.FloatRange(-1, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Of two models' errors on the same patients.",
)
@click.option("--workers", "-w", type=click.IntRange(1), help="For the hours; by default one per core.")
@click.option("--controls", is_flag=True, help="Count the negative controls, as `radpipe run --controls` makes them.")
@click.option("--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A page to write, FILE.html.")
def plan(
    cohort: Path, outcome: str | None, positive: str | None, clinical: str, auc: float, correlation: float, workers: int | None,
    controls: bool, out: Path | None,
) -> int:  # fmt: skip
    """Say what COHORT can answer: events, candidate parameters against Riley's criteria, the gap between two models that could be
    found, which verdicts are in reach, and the hours and disk of the run.

    Nothing is fitted and no image is opened, so it takes seconds; do it before the outcomes are looked at.
    """
    from radpipe.errors import ConfigError
    from radpipe.stages.plan import plan_manifest, plan_workflow

    path = cohort / "manifest.csv" if cohort.is_dir() else cohort
    if path.suffix.lower() in (".yaml", ".yml"):
        from radpipe.config import load_workflow

        if outcome or positive or clinical:
            raise ConfigError("--outcome, --positive and --clinical are of a manifest.", hint="The workflow says them itself.")
        found = plan_workflow(load_workflow(path), auc=auc, correlation=correlation, workers=workers, controls=controls)
    else:
        if not outcome:
            raise ConfigError("a manifest does not say which column is the outcome.", hint="Add --outcome COLUMN.", path=path)
        columns = tuple(name.strip() for name in clinical.split(",") if name.strip())
        found = plan_manifest(
            path,
            outcome,
            positive=positive,
            clinical=columns,
            auc=auc,
            correlation=correlation,
            workers=workers,
            controls=controls,
        )
    click.echo(found.as_text())
    if out is not None:
        from dataclasses import asdict

        from radpipe.io.files import write_bytes
        from radpipe.report.plan_page import render

        write_bytes(out, render(asdict(found), found.said(), found.said_of_controls()).encode("utf-8"))
        click.echo(f"\n{out}")
    return 0

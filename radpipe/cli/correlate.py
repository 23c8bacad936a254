"""``radpipe correlate``."""

from __future__ import annotations

import time as clock
from pathlib import Path

import click


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


@click.command()
@click.argument("features", type=click.Path(exists=True, path_type=Path))
@click.argument("outcomes", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--outcome", "-c", "columns", multiple=True, metavar="COLUMN", help="Two classes, a grade or a number. May be repeated."
)
@click.option("--time", metavar="COLUMN", help="Time to the event or to the last look.")
@click.option("--event", metavar="COLUMN", help="What happened then: 0 censored, 1 the event, 2 another event.")
@click.option("--event-value", multiple=True, metavar="VALUE", help="What means the event, where it is not 1. May be repeated.")
@click.option(
    "--competing-value", multiple=True, metavar="VALUE", help="What means an event that competes with it. May be repeated."
)
@click.option(
    "--kind", type=click.Choice(["binary", "ordinal", "continuous"]), help="Of --outcome, where its values do not tell."
)
@click.option("--positive", metavar="VALUE", default="", help="The class that counts as 1; the last one by default.")
@click.option("--order", metavar="A,B,C", help="The grades of --outcome from the lowest, where they are words.")
@click.option("--adjust", metavar="volume,age", help="Columns to adjust for; 'volume' is the region's own.")
@click.option("--batch", metavar="COLUMN", default="", help="Scanner or site: features are harmonised over it (ComBat) first.")
@click.option("--reference", metavar="SITE", help="Site whose values stay as they are; by default the mean of all.")
@click.option(
    "--id",
    "id_column",
    metavar="COLUMN",
    default="",
    help="Column that names the patients; patient_id, case_id, ID ... by default.",
)
@click.option("--roi", metavar="NAME", default="", help="Regions to take, where the table has several names.")
@click.option("--confidence", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Level of the intervals.")
@click.option(
    "--out",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the page and tables; by default correlate/NAME.",
)
def correlate(
    features: Path, outcomes: Path, columns: tuple[str, ...], time: str | None, event: str | None, event_value: tuple[str, ...],
    competing_value: tuple[str, ...], kind: str | None, positive: str, order: str | None, adjust: str | None, batch: str,
    reference: str | None, id_column: str, roi: str, confidence: float, out: Path | None,
) -> int:  # fmt: skip
    """Which of the FEATURES go with the OUTCOMES, how strongly, and how surely?

    FEATURES: a table of `radpipe extract` (CSV or Parquet), or the folder of a run. OUTCOMES: a CSV or Excel sheet with a column
    that names the patients. Two classes: Mann-Whitney and AUC; grades: Kendall; numbers: Spearman; times: Cox. With several regions
    a patient, mixed models. Writes OUT/correlate.html and the tables behind it.

    For looking, not for choosing: a model of these patients must not take its inputs from here.
    """
    from radpipe.stages.correlate import DOUBLE_USE, Question, run, strongest

    began = clock.monotonic()
    question = Question(
        outcomes=columns, time=time or "", event=event or "", event_values=event_value, competing_values=competing_value,
        kind=kind, positive=positive, order=_listed(order), adjust=_listed(adjust), batch=batch, reference=reference,
        id_column=id_column, roi=roi, confidence=confidence,
    )  # type: ignore[arg-type]  # fmt: skip
    out = out or Path("correlate") / (features.name if features.is_dir() else features.stem)
    found = run(features, outcomes, question, out)
    for note in found.notes:
        click.echo(f"radpipe: {note}", err=True)
    for line in strongest(found):
        click.echo(line)
    click.echo(f"radpipe: {DOUBLE_USE}", err=True)
    click.echo(f"{out / 'correlate.html'}  ({found.patients} patients, {clock.monotonic() - began:.1f} s)")
    return 0

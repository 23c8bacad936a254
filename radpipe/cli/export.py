"""``radpipe export``: a fitted network as a formula that needs neither radpipe nor Python's torch."""

from __future__ import annotations

from pathlib import Path

import click

FORMATS = ("python", "excel", "c", "latex")


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--model", default=None, help="Name of the model in the workflow; RUN itself may be a model's folder.")
@click.option(
    "--fold", nargs=2, type=int, default=None, metavar="REPEAT FOLD", help="A fold's model instead of the refitted one."
)
@click.option("--format", "lang", type=click.Choice(FORMATS), default="python", show_default=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
def export(run: Path, model: str | None, fold: tuple[int, int] | None, lang: str, out: Path) -> None:
    """Write the network of RUN (an output folder, or a model's folder in it) as a closed formula.

    From the raw columns to the recalibrated prediction; python and excel give what radpipe gives to nine digits.
    """
    from radpipe.stages.export import export_formula

    written = export_formula(run, model=model, fold=fold, lang=lang, out=out)
    click.echo(f"{written.path}: {written.steps} steps from {written.inputs} columns to {', '.join(written.results)}")

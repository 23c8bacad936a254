"""``radpipe``: the group, and how an error becomes a message and an exit status."""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
from typing import Any

import click

import radpipe
from radpipe.errors import RadpipeError

# name -> (module:attribute, one line of help): a command's module is imported only when it is called, so `radpipe --help` is instant.
COMMANDS = {
    "run": ("radpipe.cli.run:run", "The whole flow, from scans and outcomes to a report."),
    "stage": ("radpipe.cli.run:stage", "One stage of the flow."),
    "predict": ("radpipe.cli.predict:predict", "New patients scored by a run's models, refitted on all its patients."),
    "ingest": ("radpipe.cli.ingest:ingest", "A hospital's export (DICOM, NIfTI, NRRD) to a cohort of images and masks."),
    "deidentify": (
        "radpipe.cli.deidentify:deidentify",
        "A hospital's export built anew without what identifies; --verify audits any folder.",
    ),
    "init": ("radpipe.cli.init:init", "Look at a folder of images and masks; write a manifest and a workflow to start from."),
    "doctor": (
        "radpipe.cli.doctor:doctor",
        "What is wrong with a cohort: geometry, regions, intensities, copies; and what is safe to mend.",
    ),
    "extract": (
        "radpipe.cli.extract:extract",
        "Features of one image and mask, or of a table of them; PyRadiomics' command line too.",
    ),
    "plan": (
        "radpipe.cli.plan:plan",
        "What a cohort can answer, before any fit: events, sample size, verdicts in reach, hours, disk.",
    ),
    "compare": ("radpipe.cli.compare:compare", "Which model predicts better: of a run, of two runs, of anybody's predictions."),
    "ibsi": ("radpipe.cli.ibsi:ibsi", "IBSI's reference values, recomputed here: features and filters."),
    "parity": ("radpipe.cli.parity:parity", "An old table of PyRadiomics replayed: feature by feature, what differs."),
    "correlate": (
        "radpipe.cli.correlate:correlate",
        "Each feature against clinical outcomes, adjusted, with a page; for looking, not for choosing.",
    ),
    "export": ("radpipe.cli.export:export", "A fitted network as a formula: Python, Excel, C or LaTeX."),
    "describe": ("radpipe.cli.describe:describe", "What can be chosen: features, filters, networks, models, selectors, tests."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(radpipe.__version__, prog_name="radpipe")
def cli() -> None:
    """Can the images predict the outcome, which way is better, and how sure can we be?

    Exit status: 0 all well, 2 wrong usage or settings, 3 finished with failed cases (see failures.csv), 130 interrupted.
    Research software, not a medical device.
    """


def main() -> None:
    """Entry point of the ``radpipe`` command."""
    # What is imported stays: to look through it for garbage again and again costs a fifth of a second before the first case.
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)  # nor need the interpreter look through all of it when it ends: a fifth of a second, too
    try:
        status: Any = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("\ninterrupted; the same command carries on where it was.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RadpipeError as error:
        click.echo(f"radpipe: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:  # Python's own report would quote what it choked on: it may be somebody's name
        from radpipe.core.plain_words import plain_traceback

        click.echo(f"{plain_traceback(error)}\nradpipe: this is a fault in radpipe. Please report it with these lines.", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)

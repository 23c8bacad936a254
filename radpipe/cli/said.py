"""What the commands that measure cases say, before the first and after the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from radpipe.features.config import FeatureSettings


def announce(settings: FeatureSettings, quiet: bool) -> None:
    """Say it where the first call on this machine will take half a minute."""
    from radpipe.features._kernels._jit import compiled

    if settings.engine == "radpipe" and not quiet and not compiled():
        click.echo("the feature kernels are compiled now, once on this machine: about half a minute", err=True)


def show_failures(failures: Sequence[dict[str, Any]], most: int) -> None:
    """The first of them on standard error."""
    for row in failures[:most]:
        click.echo(f"radpipe: case {row['case_id']}: {row['path']}: {row['problem']} {row['hint']}".rstrip(), err=True)
    if len(failures) > most:
        click.echo(f"radpipe: ... and {len(failures) - most} more", err=True)

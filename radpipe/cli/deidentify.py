"""``radpipe deidentify``: an export built anew without what identifies; and an audit of any folder."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from radpipe.errors import ConfigError

if TYPE_CHECKING:
    from radpipe.stages.deidentify import Deidentified

_SHOWN = 8
_RETAIN = ("patient-characteristics", "modified-dates", "device-identity", "safe-private", "none")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Folder of the clean files; not within FOLDER.")
@click.option(
    "--secret-file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with a secret of at least 16 characters; or the variable RADPIPE_SECRET. Random without either.",
)  # fmt: skip
@click.option(
    "--pseudonyms", type=click.Path(dir_okay=False, path_type=Path),
    help="Pseudonym table, kept from batch to batch; OUT.private/pseudonyms.csv by default.",
)  # fmt: skip
@click.option(
    "--retain", multiple=True, type=click.Choice(_RETAIN),
    help="Options of the standard; may be repeated. By default what SUV and intervals need: patient-characteristics, modified-dates, "
    "safe-private.",
)  # fmt: skip
@click.option(
    "--words", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Words that may stay in names, one a line."
)
@click.option("--no-descriptors", is_flag=True, help="No free text at all: regions are numbered, descriptions go.")
@click.option("--clean-pixel-data", is_flag=True, help="Blank text that is seen in voxels, instead of quarantining the file.")
@click.option("--deface", is_flag=True, help="Blank the faces of head CT and MR.")
@click.option("--verify", is_flag=True, help="Audit FOLDER instead: whatever should not be there, in any folder of any program.")
@click.option(
    "--canaries", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --verify: values that must not be found anywhere, one a line.",
)  # fmt: skip
@click.option("--workers", "-w", type=click.IntRange(1), help="Files at a time; one per core by default.")
@click.option("--scheduler", default="local", help="Address of a running Dask scheduler, or 'processes' to do without Dask.")
@click.option("--quiet", "-q", is_flag=True, help="Only the last lines.")
def deidentify(
    folder: Path, out: Path | None, secret_file: Path | None, pseudonyms: Path | None, retain: tuple[str, ...], words: Path | None,
    no_descriptors: bool, clean_pixel_data: bool, deface: bool, verify: bool, canaries: Path | None, workers: int | None,
    scheduler: str, quiet: bool,
) -> int:  # fmt: skip
    """DICOM under FOLDER -> the same images, regions and registrations without what identifies.

    Every file is built anew from an allow-list by object type (DICOM PS3.15, Basic Application Confidentiality Profile); what is
    not on it is not there. OUT may leave the hospital; OUT.private (pseudonyms, which file was which) and OUT.quarantine (pictures
    of what may show text) may not. FOLDER is never changed. The same command carries on after an interruption.

    Exit status 3: some files were refused or quarantined; with --verify: something was found.
    """
    from radpipe.stages import deidentify as stage
    from radpipe.stages._progress import Progress
    from radpipe.stages.deidentify_settings import RETAINED, Settings

    if verify:
        return _verify(folder, canaries, quiet=quiet)
    if out is None:
        raise ConfigError("--out is missing.", hint="Say --out FOLDER, or --verify to audit a folder.")
    if canaries is not None:
        raise ConfigError("--canaries is of --verify.", hint="Say --verify too, or leave it out.")
    if "none" in retain and len(retain) > 1:
        raise ConfigError("--retain none stands alone.", hint="Leave out none, or the others.")
    began = time.monotonic()
    secret = (
        secret_file.read_text(encoding="utf-8", errors="surrogateescape") if secret_file else os.environ.get("RADPIPE_SECRET")
    )
    chosen = () if "none" in retain else retain or RETAINED
    settings = Settings(
        secret=secret, pseudonyms=pseudonyms, retain=tuple(dict.fromkeys(chosen)), words=words, descriptors=not no_descriptors,
        clean_pixels=clean_pixel_data, deface=deface,
    )  # fmt: skip
    done = stage.deidentify(folder, out, settings, workers=workers, scheduler=scheduler, progress=Progress(quiet=quiet))
    return close(done, out, settings.retain, began)


def close(done: Deidentified, out: Path, retain: tuple[str, ...], began: float) -> int:
    """The last lines and the exit status."""
    from radpipe.stages.deidentify import FILES, WORDS

    for note in done.notes:
        click.echo(note)
    private = done.folders.private
    for status in ("left", "quarantined", "refused"):
        items = [item for item in done.items if item.status == status]
        for item in items[:_SHOWN]:
            kind = f" ({item.facts['object_type']})" if item.facts.get("object_type") else ""
            click.echo(f"radpipe: {status}: {item.shown}{kind}, item {item.number}: {item.why} {item.hint}".rstrip(), err=True)
        if len(items) > _SHOWN:
            click.echo(f"radpipe: ... and {len(items) - _SHOWN} more; {private / FILES} names all", err=True)
    if done.words:
        click.echo(
            f"{len(done.words)} texts have words that are not on the list and were replaced or left out: {private / WORDS}. What may "
            "stay goes into a file for --words, one word or text a line."
        )
    if done.count("quarantined"):
        click.echo(f"look at the pictures in {done.folders.quarantine}: nothing of these files is in the output")
    click.echo(
        f"retained: {', '.join(retain) or 'nothing'}; removed: {sum(done.removed.values())} elements of {len(done.removed)} kinds"
    )
    click.echo(f"who is who: {done.table} (keep it apart from the output: with it the data are not de-identified)")
    patients = len({item.patient for item in done.items if item.status == "written"})
    counts = ", ".join(f"{done.count(status)} {status}" for status in ("written", "quarantined", "refused", "left"))
    click.echo(f"{out}  ({len(done.items)} files: {counts}; {patients} patients; {time.monotonic() - began:.1f} s)")
    return 3 if done.count("refused") or done.count("quarantined") else 0


def _verify(folder: Path, canaries: Path | None, *, quiet: bool) -> int:
    from radpipe.stages.deidentify_verify import verify

    found = verify(folder, canaries)
    for line in found.lines(_SHOWN if quiet else 200):
        click.echo(line)
    return 3 if found.rows else 0

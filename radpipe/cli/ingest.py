"""``radpipe ingest``: an export from the hospital, as it comes, to a cohort that ``radpipe run`` takes."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from radpipe.errors import ConfigError

if TYPE_CHECKING:
    from radpipe.stages.ingest import Ingested

_SHOWN = 5


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder of the cohort; not within FOLDER.")
@click.option(
    "--modality",
    "-m",
    "modalities",
    multiple=True,
    type=click.Choice(["CT", "PET", "MR"]),
    help="Images to take; all by default.",
)
@click.option(
    "--series-description",
    "descriptions",
    multiple=True,
    metavar="TEXT",
    help="Series to take: part of the description, or a pattern (*). May be repeated.",
)
@click.option(
    "--series-uid", "series", multiple=True, metavar="UID", help="Series to take, by SeriesInstanceUID. May be repeated."
)
@click.option(
    "--transfer",
    type=click.Choice(["auto", "all", "none"]),
    default="auto",
    show_default=True,
    help="Contours to other series of their frame of reference: to those without regions of their own, to all, or to none.",
)
@click.option(
    "--uneven",
    type=click.Choice(["refuse", "resample"]),
    default="refuse",
    show_default=True,
    help="Series with missing, uneven or tilted slices.",
)
@click.option(
    "--suv",
    type=click.Choice(["bw", "lbm", "bsa"]),
    default="bw",
    show_default=True,
    help="PET by body weight, lean body mass or body surface area.",
)
@click.option(
    "--list-rois", is_flag=True, help="Only print the names of the regions, and write rois.csv and roi_map.yaml to edit."
)
@click.option(
    "--roi-map",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML: name -> names and patterns in the export. Others are left.",
)
@click.option(
    "--merge-rois", is_flag=True, help="Regions of an image that the map gives one name become one region; else they are refused."
)
@click.option(
    "--outcomes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sheet with one row a patient: .xlsx or .csv.",
)
@click.option("--id-column", help="Its column of patient ids.")
@click.option("--sheet", help="Name of the sheet, where several of a workbook have that column.")
@click.option(
    "--day-first/--month-first", default=None, help="How 03/04/2020 is read where its column does not tell; else left empty."
)
@click.option(
    "--pseudonyms",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table of patient_id and pseudonym, where the images bear pseudonyms.",
)
@click.option(
    "--keep-ids",
    is_flag=True,
    help="Keep patient ids, UIDs, texts and names of files of an export that was not de-identified; else pseudonyms stand for them.",
)
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Text file with the secret that these pseudonyms are made from, as for radpipe deidentify; else a random one.",
)
@click.option(
    "--allow-words",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Words and whole texts that may be seen of such an export (names of regions), one a line.",
)
@click.option(
    "--write-pseudonyms",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write which patient and file each of them stands for; not within the cohort. Keep it apart.",
)
@click.option(
    "--redo", is_flag=True, help="Make the cohort anew where it was made with other settings or its manifest was edited."
)
@click.option("--workers", "-w", type=click.IntRange(1), help="Series at a time; one per core by default.")
@click.option("--scheduler", default="local", help="Address of a running Dask scheduler, or 'processes' to do without Dask.")
@click.option(
    "--case-memory-mb", type=click.FloatRange(min=200), default=3000, show_default=True, help="Memory a series may have."
)
@click.option("--case-timeout-s", type=click.FloatRange(min=1), default=900, show_default=True, help="Seconds a series may take.")
@click.option("--quiet", "-q", is_flag=True, help="Only the last lines.")
def ingest(
    folder: Path, out: Path, modalities: tuple[str, ...], descriptions: tuple[str, ...], series: tuple[str, ...],
    transfer: Any, uneven: str, suv: str,
    list_rois: bool, roi_map: Path | None, merge_rois: bool, outcomes: Path | None, id_column: str | None, sheet: str | None,
    day_first: bool | None, pseudonyms: Path | None,
    keep_ids: bool, secret_file: Path | None, allow_words: Path | None, write_pseudonyms: Path | None,
    redo: bool, workers: int | None, scheduler: str, case_memory_mb: float, case_timeout_s: float, quiet: bool,
) -> int:  # fmt: skip
    """Images and regions under FOLDER, whatever its order, to a cohort: NIfTI files and the manifest that `radpipe run` takes.

    FOLDER may hold mixed patients, series, RTSTRUCT, SEG, registrations, NIfTI and NRRD pairs, and files of no use. Every region
    is a case <patient>_<modality>[_<series number>]_<roi>. Regions go on the series they refer to, and from there to series of
    the same frame of reference that have none (see --transfer); look at overlays/ before you trust these. Several structure sets
    of an image are all taken; regions of one name become NAME-1, NAME-2.

    The cohort holds manifest.csv, images/, masks/, overlays/, and tables of what was made of the export: ingest.csv (series and
    files, used or left and why), ingest_regions.csv (every region and by which rule), ingest_files.csv (every file) and, where
    something failed, failures.csv. ingest.radpipe/ holds results by their content, so that the same command carries on after an
    interruption; it may be removed. Nothing in FOLDER is changed, and links out of it are not followed.

    Of an export that was not de-identified (PatientIdentityRemoved is not YES) the cohort bears pseudonyms: of patient ids, UIDs,
    names of files and folders, and of texts whose words are not on the list. --keep-ids keeps all of them; what else a file tells,
    and pictures with names in them, are the matter of radpipe deidentify.

    Exit status 3: some files or regions could not be used.
    """
    from radpipe.intake.region_names import census_text, parse_region_map
    from radpipe.io.mapping import read_mapping
    from radpipe.stages import ingest as stage
    from radpipe.stages._progress import Progress

    began = time.monotonic()
    if (outcomes is None) != (id_column is None):
        raise ConfigError("--outcomes and --id-column go together.", hint="Say --outcomes FILE.xlsx --id-column NAME.")
    if outcomes is None and (sheet is not None or day_first is not None):
        raise ConfigError("--sheet and --day-first are of an outcome sheet.", hint="Say --outcomes too, or leave them out.")
    if pseudonyms is not None and outcomes is None:
        raise ConfigError("--pseudonyms is of an outcome sheet.", hint="Say --outcomes too, or leave it out.")
    if keep_ids and (secret_file is not None or allow_words is not None or write_pseudonyms is not None):
        raise ConfigError(
            "--secret-file, --allow-words and --write-pseudonyms are of pseudonyms.", hint="Leave them out, or --keep-ids."
        )
    if write_pseudonyms is not None and write_pseudonyms.resolve().is_relative_to(out.resolve()):
        raise ConfigError(
            "the table of pseudonyms would lie in the cohort.", hint="Choose a place for --write-pseudonyms apart from it."
        )
    if merge_rois and roi_map is None:
        raise ConfigError("--merge-rois is of a region map.", hint="Say --roi-map too, or leave it out.")
    options = stage.Options(
        modalities=tuple(dict.fromkeys(modalities)), descriptions=descriptions, series=series, transfer=transfer, uneven=uneven, suv=suv,
        region_map=parse_region_map(read_mapping(roi_map), roi_map) if roi_map else None, merge=merge_rois,
        keep_ids=keep_ids, secret=secret_file, allowed=tuple(_lines(allow_words)) if allow_words is not None else (),
        table=write_pseudonyms,
    )  # fmt: skip
    how: dict[str, Any] = {
        "workers": workers, "scheduler": scheduler, "limits": stage.Limits(case_memory_mb, case_timeout_s), "progress": Progress(quiet=quiet),
    }  # fmt: skip
    if list_rois:
        rows, met, new = stage.list_rois(folder, out, options, **how)
        click.echo(census_text(rows), nl=False)
        show_failures(met, "")
        tell_identified(met, secret_file)
        click.echo(f"{out / stage.ROIS}: the same as a table")
        aliases = out / stage.ROI_MAP
        click.echo(
            f"{aliases}: {'edit it' if new else 'is there already and was left as it is; edit it'}, then add --roi-map {aliases}"
        )
        return 3 if met.failures else 0
    joined = None
    if outcomes is not None and id_column is not None:
        joined = stage.Outcomes(outcomes, id_column, pseudonyms, sheet, day_first)
    done = stage.ingest(folder, out, options, outcomes=joined, redo=redo, **how)
    return close(done, out, began, secret_file)


def close(done: Ingested, out: Path, began: float, secret: Path | None = None) -> int:
    """The last lines and the exit status."""
    from radpipe.intake.cases import NOT_IN_MAP
    from radpipe.intake.ingest_table import LEFT, file_rows, left_in_words

    left = left_in_words(done.items)
    files = sum(row["status"] == LEFT for row in file_rows(done.items))
    if files:
        click.echo(f"left {files} of {done.files} files ({out / 'ingest.csv'} says each):")
        for line in left[:_SHOWN]:
            click.echo(f"  {line}")
        if len(left) > _SHOWN:
            click.echo(f"  and {len(left) - _SHOWN} more reasons")
    unmapped = sorted({row["name"] for row in done.regions if row.get("why") == NOT_IN_MAP})
    if unmapped:
        click.echo(f"not in the region map, and left: {', '.join(unmapped[:20])}{' ...' if len(unmapped) > 20 else ''}")
    for note in done.notes:
        click.echo(note)
    for note in done.outcomes:
        click.echo(f"outcomes: {note}")
    show_failures(done, str(out / "failures.csv"))
    tell_identified(done, secret)
    transferred = {row["case_id"] for row in done.regions if row.get("status") == "used" and row["transferred"] == "yes"}
    if transferred:
        words = "case has a transferred region" if len(transferred) == 1 else "cases have transferred regions"
        click.echo(f"{len(transferred)} {words}: look at {out / 'overlays'}")
    counts = Counter(str(row["modality"]) for row in done.rows)
    counted = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    patients = len({row["patient_id"] for row in done.rows})
    what = f"{_counted(len(done.rows), 'case')} of {_counted(patients, 'patient')}" + (f": {counted}" if counted else "")
    click.echo(f"{out / 'manifest.csv'}  ({what}, {time.monotonic() - began:.1f} s)")
    if done.rows:
        click.echo(f"next: radpipe doctor {out}    then: radpipe init {out}")
    return 3 if done.failures else 0


def tell_identified(done: Ingested, secret: Path | None) -> None:
    """What an export is that was not de-identified, what was done about it, and what can be."""
    if not done.identified:
        return
    click.echo(
        f"not de-identified: {done.identified} of {done.dicom} DICOM files do not say that the patient's identity was removed "
        "(PatientIdentityRemoved)."
    )
    if done.discreet:
        click.echo(
            "  Pseudonyms stand for patient ids, UIDs, names of files, and texts whose words are not on the list (--allow-words "
            "FILE; --keep-ids keeps all of them; --write-pseudonyms FILE, apart from the cohort, says which is which)."
        )
        if secret is None:
            click.echo(
                "  They are random: another --out gets others, and without --write-pseudonyms nobody can tell later who is who. "
                "--secret-file FILE makes them the same for the same patient. Remove ingest.radpipe/, where the random secret "
                "is, before the cohort is passed on."
            )
    elif done.kept:
        click.echo("  The cohort bears the patient ids and texts of the export, as --keep-ids says.")
    else:
        click.echo("  Their patients are those of files that say it, so ids are kept as they are.")
    click.echo(
        "  The files themselves, and what is written or can be seen in the pictures: radpipe deidentify FOLDER --out CLEAN"
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the list of words cannot be read.", hint="Name a text file in UTF-8, one word or text a line."
        ) from error


def show_failures(done: Ingested, table: str) -> None:
    """The first of them on standard error."""
    for row in done.failures[:_SHOWN]:
        where = " ".join(
            part
            for part in (f"case {row['case_id']}:" if row["case_id"] else "", f"{row['file']}:" if row["file"] else "")
            if part
        )
        click.echo(f"radpipe: {where} {row['problem']} {row['hint']}".rstrip(), err=True)
    if done.failures and table:
        click.echo(f"{len(done.failures)} could not be used; all of them, and what to do: {table}", err=True)
    elif len(done.failures) > _SHOWN:
        click.echo(f"radpipe: ... and {len(done.failures) - _SHOWN} more", err=True)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")

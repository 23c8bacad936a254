"""A hospital's export -> a cohort: the door of ``radpipe ingest``.

Headers first, in blocks of files; then each file of regions, each image series and each pair of the two is a task of its own, in
a worker's child, found again by its content. What is not needed is not read. The cohort's folder changes last, and whole.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radpipe.errors import ConfigError
from radpipe.intake.region_names import CENSUS_COLUMNS, census, region_map_file
from radpipe.io.cohort_folder import CohortFolder
from radpipe.io.files import write_bytes
from radpipe.io.rows import to_csv
from radpipe.stages.ingest_convert import convert, drawn_volumes
from radpipe.stages.ingest_finish import finish
from radpipe.stages.ingest_look import look
from radpipe.stages.ingest_settings import DEFAULT, Limits, Options, Outcomes
from radpipe.stages.ingest_state import Ingest, Ingested

if TYPE_CHECKING:
    from radpipe.stages._progress import Progress

ROIS, ROI_MAP = "rois.csv", "roi_map.yaml"


def ingest(
    folder: Path, out: Path, options: Options, *, outcomes: Outcomes | None = None, workers: int | None = None,
    scheduler: str = "local", limits: Limits = DEFAULT, progress: Progress | None = None, redo: bool = False,
) -> Ingested:  # fmt: skip
    """The export under ``folder`` as a cohort in ``out``. What is wrong with a file is a row of its failures.

    ConfigError or RunError for what concerns the whole: folders within each other, a cohort made with other settings (unless
    redo), a full disk, an outcome sheet that cannot be used.
    """
    check_folders(folder, out)
    if outcomes is not None:
        outcomes.check()
    cohort = CohortFolder(out)
    made_with = {"FOLDER": _named_by(folder), **options.words(), "--outcomes": outcomes.words() if outcomes else "none"}
    cohort.check_claim(made_with, redo=redo)
    with cohort.lock():
        cohort.check_claim(made_with, redo=redo)
        cohort.claim(made_with)
        with Ingest(folder, cohort, options, workers, scheduler, limits, progress) as found:
            look(found)
            convert(found)
            done = finish(found, outcomes)
    return done


def list_rois(
    folder: Path, out: Path, options: Options, *, workers: int | None = None, scheduler: str = "local", limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> tuple[list[dict[str, Any]], Ingested, bool]:  # fmt: skip
    """(the census of region names, what was met on the way, whether the alias file is new). Writes rois.csv and roi_map.yaml.

    An alias file that is there already is left as it is: it may have been edited.
    """
    check_folders(folder, out)
    cohort = CohortFolder(out)
    with cohort.lock(), Ingest(folder, cohort, options, workers, scheduler, limits, progress) as found:
        look(found)
        convert(found, own_only=True)
        rows = census(drawn_volumes(found), options.region_map)
        write_bytes(cohort.path / ROIS, to_csv(CENSUS_COLUMNS, rows).encode())
        aliases = cohort.path / ROI_MAP
        new = not aliases.exists()
        if new:
            write_bytes(aliases, region_map_file(rows).encode())
        return rows, found.so_far(), new


def check_folders(folder: Path, out: Path) -> None:
    """ConfigError where one lies in the other: results would be taken for input."""
    export, cohort = folder.resolve(), out.resolve()
    if not export.is_dir():
        raise ConfigError("this is no folder.", hint="Name the folder of the export.", path=folder)
    if cohort.is_relative_to(export):
        raise ConfigError("the cohort would lie in the export itself.", hint="Choose an --out beside it.", path=out)
    if export.is_relative_to(cohort):
        raise ConfigError("the export lies in the folder of the cohort.", hint="Choose an --out beside it.", path=out)


def _named_by(folder: Path) -> str:
    """Not the path itself: it may name a person."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]

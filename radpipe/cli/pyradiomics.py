"""``radpipe extract --pyradiomics-compat``: PyRadiomics' command line and its layouts, on radpipe's engine.

Where it differs on purpose: the exit status is 3 where cases failed; an output file is written whole and never appended to
(one that is there is refused, or replaced with --overwrite); an unknown -s key is an error; nothing is taken from files in
--out-dir; --jobs does not limit itself to the cores (with --mode voxel it is threads of one case after the other).
"""

from __future__ import annotations

import logging
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from radpipe import __version__
from radpipe.errors import ConfigError, RadpipeError, RunError

if TYPE_CHECKING:
    from radpipe.features.config import FeatureSettings
    from radpipe.stages.cases import TableCases

_LEVELS = ["NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


@click.command()
@click.argument("input", metavar="{Image,Batch}FILE", type=click.Path(path_type=Path))
@click.argument("mask", metavar="MaskFILE", required=False, type=click.Path(path_type=Path))
@click.option("--param", "-p", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Parameter file.")
@click.option("--setting", "-s", metavar='"KEY:VALUE"', multiple=True, help="A setting over the file's; may be repeated.")
@click.option("--jobs", "-j", metavar="N", type=click.IntRange(1), default=1, help="Cases at a time; 1 by default.")
@click.option("--validate", is_flag=True, help="Read every file and compare every grid; measure nothing.")
@click.option("--out", "-o", metavar="FILE", type=click.Path(path_type=Path), help="File to write; standard output by default.")
@click.option(
    "--out-dir", "-od", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="A CSV of every case there."
)
@click.option("--mode", "-m", type=click.Choice(["segment", "voxel"]), default="segment")
@click.option("--skip-nans", is_flag=True, help="Leave out features without a value.")
@click.option("--format", "-f", "layout", type=click.Choice(["csv", "json", "txt"]), default="txt", help="txt by default.")
@click.option("--format-path", type=click.Choice(["absolute", "relative", "basename"]), default="absolute")
@click.option("--unix-path", "-up", is_flag=True, help="Paths with /.")
@click.option("--logging-level", type=click.Choice(_LEVELS), default="WARNING", help="Of the log file.")
@click.option("--log-file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="File to append the log to.")
@click.option(
    "--verbosity", "-v", type=click.IntRange(1, 5), is_flag=False, flag_value=4, default=3, help="4 and 5 show the progress."
)
@click.option("--label", "-l", metavar="N", type=click.IntRange(1), help="Value of the region; -s label:N in new scripts.")
@click.option("--overwrite", is_flag=True, help="Not of PyRadiomics: replace --out where it is there already.")
@click.version_option(__version__, message="%(prog)s (radpipe %(version)s, PyRadiomics 3.0.1 definitions)")
def command(
    input: Path, mask: Path | None, param: Path | None, setting: tuple[str, ...], jobs: int, validate: bool, out: Path | None,
    out_dir: Path | None, mode: str, skip_nans: bool, layout: str, format_path: str, unix_path: bool, logging_level: str,
    log_file: Path | None, verbosity: int, label: int | None, overwrite: bool,
) -> int:  # fmt: skip
    """PyRadiomics' command line: an image with its mask, or a batch FILE.csv with the columns Image and Mask.

    What differs on purpose: exit status 3 where cases failed; --out is never appended to; unknown settings are errors;
    nothing is found by its row number in --out-dir.
    """
    from radpipe.io.files import write_bytes
    from radpipe.stages.batch import batch_rows, formatted, path_format
    from radpipe.stages.cases import read_cases, single_case
    from radpipe.stages.parameter_file import load_settings
    from radpipe.stages.tabulate import measure_all, measure_here, store_folder, write_failures

    batch = input.suffix == ".csv"
    if not batch and mask is None:
        raise ConfigError("the input is no .csv, and no mask is named.", hint="Give the mask as the second argument.", path=input)
    if out is not None:
        _check_out(out, overwrite)
    if log_file is not None:
        _log_to(log_file, logging_level)
    overrides = [*setting, *([f"label:{label}"] if label is not None else [])]
    settings = load_settings(param, overrides=overrides)
    cases = read_cases(input) if batch else single_case(input, mask or Path())
    if validate:
        return _validate(cases, settings)
    rerun = shlex.join(["radpipe", *sys.argv[1:]])
    if out_dir is not None:
        out_dir.mkdir(parents=True, exist_ok=True)
    if mode == "voxel":
        from radpipe.stages.map_cases import maps_as_pyradiomics

        measured = maps_as_pyradiomics(cases, settings, out_dir or Path("."), threads=jobs, rerun=rerun)
    elif not batch:
        from radpipe.cli.said import announce

        announce(settings, quiet=verbosity < 3)
        measured = measure_here(cases, settings, rerun=rerun, first_channel=True)
    else:
        from radpipe.stages._progress import Progress

        with tempfile.TemporaryDirectory(prefix="radpipe-") as nowhere:
            # With a file to write there is a place to keep results in, and the same command carries on where it was.
            kept = store_folder(out) if out is not None else out_dir / ".radpipe" if out_dir is not None else Path(nowhere)
            measured = measure_all(
                cases, settings, kept, workers=jobs, progress=Progress(quiet=verbosity < 4), rerun=rerun, first_channel=True
            )
    start = input.parent if batch else Path.cwd()
    columns, rows = batch_rows(cases.columns, measured, path_format(format_path, start.resolve()), skip_nans=skip_nans)
    if unix_path:
        for row in rows:
            paths = [
                name for name, value in row.items() if isinstance(value, str) and (name in ("Image", "Mask") or mode == "voxel")
            ]
            row |= {name: row[name].replace("\\", "/") for name in paths}
    failures = [item.failure for item in measured if item.failure is not None]
    if out_dir is not None and mode == "segment":
        for number, row in enumerate(rows, start=1):
            write_bytes(out_dir / f"features_{number}.csv", formatted(list(row), [row], "csv").encode())
    text = formatted(columns, rows, layout)
    if out is not None:
        write_bytes(out, text.encode())
        write_failures(out, failures)
    else:
        click.echo(text, nl=False)
    return _close(failures)


def _check_out(out: Path, overwrite: bool) -> None:
    if out.is_dir() or not out.parent.is_dir():
        raise RunError("the output cannot be written there.", hint="Name a file in a folder that exists.", path=out)
    if out.exists() and not overwrite:
        raise RunError(
            "the output is there already. PyRadiomics would append to it; radpipe does not, for a table with two headers is none.",
            hint="Name another file, or say --overwrite.",
            path=out,
        )


def _log_to(path: Path, level: str) -> None:
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise RunError(f"the log cannot be written ({error.strerror}).", hint="Name another --log-file.", path=path) from error
    handler.setFormatter(logging.Formatter("[%(asctime)s] %(levelname)-.1s: %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S"))
    handler.setLevel(level)
    logger = logging.getLogger("radpipe")
    logger.addHandler(handler)
    logger.setLevel(min(logging.INFO, handler.level or logging.DEBUG))


def _validate(cases: TableCases, settings: FeatureSettings) -> int:
    """Every file read and every grid compared, as an extraction would; the exit status."""
    from radpipe.stages.measure import case_reading
    from radpipe.stages.reading import read_pair

    wrong = 0
    for case in cases.cases:
        try:
            if case.row in cases.problems:
                raise cases.problems[case.row]
            reading = case_reading(settings, case.label, case.label_channel, first_channel=True)
            read_pair(case.image, case.mask, reading, case_id=case.case_id, diagnostics=False)
        except RadpipeError as error:
            wrong += 1
            click.echo(f"radpipe: {error}", err=True)
    click.echo(f"{len(cases.cases)} cases, {wrong} with errors", err=True)
    return 3 if wrong else 0


def _close(failures: list[dict[str, Any]]) -> int:
    from radpipe.cli.said import show_failures

    show_failures(failures, len(failures))
    return 3 if failures else 0

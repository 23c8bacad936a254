"""``radpipe extract``: features of one case, or of a table of cases; and the same with PyRadiomics' own command line."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from radpipe.cli.said import announce, show_failures
from radpipe.errors import ConfigError

if TYPE_CHECKING:
    from radpipe.features.config import FeatureSettings
    from radpipe.stages.cases import TableCases
    from radpipe.stages.tabulate import Table

COMPAT = "--pyradiomics-compat"


class _Extract(click.Command):
    """With --pyradiomics-compat, all other arguments are PyRadiomics' and another command takes over."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if COMPAT in args:
            from radpipe.cli.pyradiomics import command

            rest = [arg for arg in args if arg != COMPAT]
            return command.make_context(f"{info_name} {COMPAT}", rest, parent=parent, **extra)
        return super().make_context(info_name, args, parent=parent, **extra)


@click.command(cls=_Extract)
@click.argument("image", metavar="IMAGE|COHORT.csv", type=click.Path(path_type=Path))
@click.argument("mask", required=False, type=click.Path(path_type=Path))
@click.option(
    "--params", "-p", type=click.Path(dir_okay=False, path_type=Path), help="PyRadiomics parameter file (YAML or JSON)."
)
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="Table to write: .csv, .parquet or .json. One case alone can do without."
)
@click.option("--set", "-s", "overrides", multiple=True, metavar="KEY:VALUE", help="A setting over the file's; may be repeated.")
@click.option("--roi", metavar="NAME", help="Which region of a file with several (RTSTRUCT, SEG, .seg.nrrd): its name or number.")
@click.option("--feature-set", type=click.Choice(["pyradiomics", "ibsi"]), help="Whose features; PyRadiomics' by default.")
@click.option("--engine", type=click.Choice(["radpipe", "pyradiomics"]), help="radpipe's own by default.")
@click.option(
    "--mode", "-m", type=click.Choice(["segment", "voxel"]), default="segment", help="One row a region, or feature maps."
)
@click.option("--format", "layout", type=click.Choice(["nrrd", "nifti", "zarr"]), help="Of maps; nrrd by default.")
@click.option("--stride", type=click.IntRange(1), help="Of maps: a value at every so many voxels along every axis.")
@click.option("--threads", type=click.IntRange(1), help="That compute one case together; no value depends on it.")
@click.option("--workers", "-w", type=click.IntRange(1), help="Cases at a time (one per core); of one case alone, threads (1).")
@click.option("--scheduler", default="local", help="Address of a running Dask scheduler, or 'processes' to do without Dask.")
@click.option("--case-memory-mb", type=click.FloatRange(min=200), default=3000, show_default=True, help="Memory a case may have.")
@click.option("--case-timeout-s", type=click.FloatRange(min=1), default=900, show_default=True, help="Seconds a case may take.")
@click.option("--quiet", "-q", is_flag=True, help="Only the last lines.")
@click.option(COMPAT, is_flag=True, help="Take PyRadiomics' own command line from here on: see --pyradiomics-compat --help.")
def extract(
    image: Path, mask: Path | None, params: Path | None, out: Path | None, overrides: tuple[str, ...], roi: str | None,
    feature_set: str | None, engine: str | None, mode: str, layout: str | None, stride: int | None, threads: int | None, workers: int | None,
    scheduler: str, case_memory_mb: float, case_timeout_s: float, quiet: bool, pyradiomics_compat: bool,
) -> int:  # fmt: skip
    """Features of the region MASK of IMAGE, or of every row of COHORT.csv.

    COHORT.csv has the columns image_path and mask_path (label, label_channel), or PyRadiomics' Image and Mask (Label,
    Label_channel); all its columns are copied into the table. IMAGE may be the folder of a DICOM series, and MASK an RTSTRUCT or
    SEG file; the column roi (or --roi) says which region where it holds several. Beside FILE.csv stand FILE.dictionary.csv (what every column
    is), FILE.undefined.csv (values that are no measurement, and why) and, where cases failed, FILE.failures.csv.

    With --mode voxel every feature becomes a map, in the folder --out (of a table, a folder for each case in it); kernelRadius,
    maskedKernel and initValue are given under voxelSetting, or as -s kernelRadius:2. What it will take is shown before it starts.

    The same command carries on after an interruption, and computes again only what was edited. Exit status 3: some cases
    failed.
    """
    from radpipe.stages.cases import read_cases, single_case
    from radpipe.stages.parameter_file import load_settings
    from radpipe.stages.tabulate import Limits, check_output, make_table, measure_all, measure_here, store_folder, write_table

    began = time.monotonic()
    settings = load_settings(params, overrides=overrides, feature_set=feature_set, engine=engine)
    rerun = shlex.join(["radpipe", *sys.argv[1:]])
    if mode == "voxel":
        from radpipe.cli.maps import make_maps
        from radpipe.stages.maps import MapOptions

        here = threads or (workers if mask is not None else None) or 1
        return make_maps(
            image, mask, settings, out, MapOptions(layout or "nrrd", stride or 1, here), roi=roi or "", workers=workers, scheduler=scheduler,
            limits=Limits(case_memory_mb, case_timeout_s), quiet=quiet,
        )  # fmt: skip
    if layout is not None or stride is not None:
        raise ConfigError("--format and --stride are of feature maps.", hint="Add --mode voxel, or leave them out.")
    if threads is not None and mask is None:
        raise ConfigError("--threads is of one case, or of feature maps.", hint="Of a table, say --workers.")
    if roi is not None and mask is None:
        raise ConfigError("--roi is of one case.", hint="Of a table, write the regions in its column roi.")
    if out is not None:
        check_output(out)
    if mask is not None:
        cases = single_case(image, mask, roi or "")
        announce(settings, quiet)
        measured = measure_here(cases, settings, threads=threads or workers or 1, rerun=rerun)
    else:
        if image.suffix.lower() != ".csv":
            raise ConfigError(
                f"{image.name} is no .csv, and no mask is named beside it.",
                hint="radpipe extract IMAGE MASK, or COHORT.csv.",
                path=image,
            )
        if out is None:
            raise ConfigError("a table of cases needs a file to write.", hint="Say -o FILE.csv (or .parquet, .json).")
        from radpipe.stages._progress import Progress

        cases = read_cases(image)
        measured = measure_all(
            cases, settings, store_folder(out), workers=workers, scheduler=scheduler, limits=Limits(case_memory_mb, case_timeout_s),
            progress=Progress(quiet=quiet), rerun=rerun,
        )  # fmt: skip
    table = make_table(cases.columns, measured)
    if out is not None:
        write_table(out, table, settings)
    elif not table.failures:
        click.echo(listing(table, settings), nl=False)
    return close(cases, table, out, began, quiet=quiet)


def listing(table: Table, settings: FeatureSettings) -> str:
    """One case for people: name, value, unit, and why a value is no measurement."""
    from radpipe.features.dictionary import feature_dictionary
    from radpipe.io.rows import text_of

    units = {row["name"]: row["unit"] for row in feature_dictionary(settings, list(table.features))}
    why = {row["feature"]: row["meaning"] for row in table.undefined}
    (row,) = table.rows
    width = max(len(name) for name in table.columns) + 2
    lines = []
    for name in table.columns:
        if name not in row:
            continue
        unit = units.get(name, "")
        words = [text_of(row[name], "undefined"), unit if unit not in ("", "1") else "", f"({why[name]})" if name in why else ""]
        lines.append(f"{name:<{width}}{' '.join(word for word in words if word)}".rstrip())
    return "\n".join(lines) + "\n"


def close(cases: TableCases, table: Table, out: Path | None, began: float, *, quiet: bool = False) -> int:
    """The last lines and the exit status."""
    from radpipe.stages.tabulate import beside

    failed = len(table.failures)
    if out is None:
        show_failures(table.failures, len(table.failures))
    elif failed:
        show_failures(table.failures, 3)
        click.echo(
            f"{failed} of {len(cases.cases)} cases failed; all of them, and what to do: {beside(out, '.failures.csv')}", err=True
        )
    if out is not None:
        what = f"{len(table.rows)} cases, {len(table.features)} features"
        click.echo(f"{out}  ({what}, {time.monotonic() - began:.1f} s)")
    return 3 if failed else 0

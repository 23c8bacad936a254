"""IBSI's reference values, recomputed here: IBSI 1 (features of two phantoms) and IBSI 2 (filters: response maps, statistics).

The folder that is read holds ``ibsi1`` and ``ibsi2``, laid out as in :data:`TABLES` and the folders named beside them.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from radpipe.core.image import Image, Mask
from radpipe.errors import FileProblem
from radpipe.features.ibsi.extract import extract_ibsi
from radpipe.features.ibsi.parameters import parse_ibsi
from radpipe.features.ibsi.reference import CONFIGURATIONS, column_of, compare, configuration_of, within
from radpipe.filters.ibsi_reference import MAP_TOLERANCE, NO_VALID_MAP, NO_VALID_STATISTIC, PHASE_1, largest_difference, phase_2
from radpipe.filters.ibsi_registry import module_of, settings_of
from radpipe.io.files import cannot_read, write_bytes
from radpipe.io.volumes import read_image, read_mask
from radpipe.stages._progress import Progress

TABLES = {
    "features": "ibsi1/ibsi1_reference_values.csv",
    "statistics": "ibsi2/reference_feature_values.csv",
}
SOURCES = ("IBSI 1", "IBSI 2 phase 1", "IBSI 2 phase 2")
_CT, _DIGITAL = "ibsi1/ct_phantom_CC-BY-NC", "ibsi1/digital_phantom"
_WHERE_FROM = (
    "--data needs ibsi1/ and ibsi2/ with the tables {tables}, the phantoms {ct} and {digital}, ibsi2/digital_phantoms and "
    "ibsi2/reference_response_maps. Phantoms and values are published by IBSI (theibsi/data_sets and "
    "theibsi/ibsi_2_reference_data on GitHub)."
)


@dataclass(frozen=True)
class Compliance:
    """One reference value and ours. tolerance : absolute; 0 asks for the reference to 3 significant digits.

    A response map is one value: its largest difference from the reference map as a share of that map's range, reference 0.
    """

    source: str
    configuration: str
    family: str
    feature: str
    tag: str
    aggregation: str
    value: float
    reference: float
    tolerance: float
    passed: bool

    @property
    def miss(self) -> float:
        """|value - reference| in tolerances. Where the tolerance is 0: 0 if the value is the reference to its digits, else infinite."""
        if self.tolerance == 0.0:
            return 0.0 if self.passed else math.inf
        distance = abs(self.value - self.reference) / self.tolerance
        return distance if math.isfinite(distance) else math.inf


@dataclass(frozen=True)
class SummaryLine:
    """Values of one configuration and family: how many pass, and the worst miss in tolerances."""

    source: str
    configuration: str
    family: str
    passed: int
    total: int
    worst: float


def run(data: Path, *, sources: Sequence[str] = SOURCES, progress: Progress | None = None) -> list[Compliance]:
    """Every reference value of ``sources``, in the tables' order. FileProblem where something is not there, before any work."""
    progress = progress or Progress(quiet=True)
    check_folder(data, sources)
    jobs: dict[str, Callable[[Path, Progress], Iterator[Compliance]]] = {
        "IBSI 1": ibsi_1,
        "IBSI 2 phase 1": ibsi_2_maps,
        "IBSI 2 phase 2": ibsi_2_statistics,
    }
    return [row for source in SOURCES if source in sources for row in jobs[source](data, progress)]


def ibsi_1(data: Path, progress: Progress) -> Iterator[Compliance]:
    """Features of the digital phantom and of configurations A to E of the CT phantom."""
    table = _read_table(data / TABLES["features"])
    values: dict[str, dict[str, float]] = {}
    with progress.work("IBSI 1", len(CONFIGURATIONS)) as work:
        for name, parameters in CONFIGURATIONS.items():
            image, mask = _ct_phantom(data) if name != "digital_phantom" else _pair(data / _DIGITAL)
            values[name] = extract_ibsi(image, mask, parameters)
            work.advance()
    words = {(configuration_of(row), row["tag"], row["aggregation"]): row for row in table}
    for verdict in compare(table, values):
        row = words[verdict.configuration, verdict.tag, verdict.aggregation]
        yield Compliance(
            "IBSI 1", verdict.configuration, row["family"], row["feature"], verdict.tag, verdict.aggregation,
            verdict.value, verdict.reference, verdict.tolerance, verdict.passed,
        )  # fmt: skip


def ibsi_2_maps(data: Path, progress: Progress) -> Iterator[Compliance]:
    """Response maps of the digital phantoms; a map passes if no voxel is further off than 1 % of the reference map's range."""
    with progress.work("IBSI 2 phase 1", len(PHASE_1)) as work:
        for test, wanted in PHASE_1.items():
            image = read_image(_phantom_path(data, wanted.phantom))
            reference = read_image(_map_path(data, test))
            settings = settings_of(wanted.filter, wanted.settings)
            response = module_of(wanted.filter).apply(image.voxels.astype(np.float64), settings, image.grid.spacing_mm)
            value = largest_difference(response, reference.voxels.astype(np.float64))
            passed = value <= MAP_TOLERANCE
            what = "largest difference over the range"
            yield Compliance("IBSI 2 phase 1", test, wanted.filter, what, "", "", value, 0.0, MAP_TOLERANCE, passed)
            work.advance()


def ibsi_2_statistics(data: Path, progress: Progress) -> Iterator[Compliance]:
    """Intensity statistics of the filtered CT phantom. A value without consensus (empty in the table) is left out."""
    table = _read_table(data / TABLES["statistics"], ";")
    image, mask = _ct_phantom(data)
    configurations = phase_2()
    with progress.work("IBSI 2 phase 2", len(configurations)) as work:
        for name, params in configurations.items():
            row = extract_ibsi(image, mask, parse_ibsi(params))
            by_name = {column.rpartition("_")[2]: value for column, value in row.items()}
            family = "none" if "filter" not in params else next(iter(params["filter"]))
            for line in table:
                if line["filter_id"] != name or not line["consensus_value"]:
                    continue
                value = by_name[column_of(line["feature_tag"], "").rpartition("_")[2]]
                reference, tolerance = float(line["consensus_value"]), float(line["tolerance"])
                passed = within(value, reference, tolerance)
                yield Compliance(
                    "IBSI 2 phase 2", name, family, line["feature"], line["feature_tag"], "", value, reference, tolerance, passed
                )
            work.advance()


def check_folder(data: Path, sources: Sequence[str] = SOURCES) -> None:
    """FileProblem that names the first missing file, how many more there are, and where all of them come from."""
    needed: list[Path] = []
    ct = [data / _CT / "image/phantom.nii.gz", data / _CT / "mask/mask.nii.gz"]
    if "IBSI 1" in sources:
        digital = data / _DIGITAL
        needed += [data / TABLES["features"], digital / "image/phantom.nii.gz", digital / "mask/mask.nii.gz", *ct]
    if "IBSI 2 phase 1" in sources:
        needed += [
            path for test, wanted in PHASE_1.items() for path in (_phantom_path(data, wanted.phantom), _map_path(data, test))
        ]
    if "IBSI 2 phase 2" in sources:
        needed += [data / TABLES["statistics"], *ct]
    missing = [path for path in dict.fromkeys(needed) if not path.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        hint = _WHERE_FROM.format(tables=", ".join(TABLES.values()), ct=_CT, digital=_DIGITAL)
        raise FileProblem(f"there is no such file{more}.", hint=hint, path=missing[0])


def write(rows: Sequence[Compliance], path: Path) -> None:
    """The full table as CSV, whole or not at all: a column for each field of :class:`Compliance`, ``pass`` as yes or no."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name if field.name != "passed" else "pass" for field in fields(Compliance)])
    for row in rows:
        cells = astuple(row)
        writer.writerow([*(_cell(cell) for cell in cells[:-1]), "yes" if row.passed else "no"])
    write_bytes(path, text.getvalue().encode())


def _cell(cell: object) -> object:
    return repr(cell) if isinstance(cell, float) else cell


def summary(rows: Iterable[Compliance]) -> list[SummaryLine]:
    """One line for each source, configuration and family; response maps are put together by filter."""
    groups: dict[tuple[str, str, str], list[Compliance]] = {}
    for row in rows:
        configuration = f"tests {row.configuration.partition('.')[0]}" if row.source == "IBSI 2 phase 1" else row.configuration
        groups.setdefault((row.source, configuration, row.family), []).append(row)
    lines = [
        SummaryLine(*key, sum(r.passed for r in group), len(group), max(r.miss for r in group)) for key, group in groups.items()
    ]
    place = {key: index for index, key in enumerate(CONFIGURATIONS)}
    # IBSI 1's table goes by feature; people look for a configuration.
    return sorted(lines, key=lambda line: (SOURCES.index(line.source), place.get(line.configuration, 0)))


HEADINGS = ("source", "configuration", "family", "passed", "worst miss")


def cells(line: SummaryLine) -> tuple[str, ...]:
    """A line in words: "31 of 31", and the worst miss in tolerances to two digits."""
    return line.source, line.configuration, line.family, f"{line.passed} of {line.total}", f"{line.worst:.2f}"


def totals(rows: Sequence[Compliance]) -> list[str]:
    """A sentence a source, and what no consensus exists for."""
    said = []
    for source in SOURCES:
        of_source = [row for row in rows if row.source == source]
        if of_source:
            said.append(f"{source}: {sum(row.passed for row in of_source)} of {len(of_source)} within tolerance.")
    if any(row.source == "IBSI 2 phase 1" for row in rows):
        said.append(f"Response maps without consensus, not compared: {', '.join(NO_VALID_MAP)}.")
    if any(row.source == "IBSI 2 phase 2" for row in rows):
        said.append(f"Statistics without consensus (empty in the table), not compared: {', '.join(NO_VALID_STATISTIC)}.")
    return said


def as_text(rows: Sequence[Compliance]) -> str:
    """The summary for a terminal."""
    table = [HEADINGS, *(cells(line) for line in summary(rows))]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([*lines, "", *totals(rows)])


def as_markdown(rows: Sequence[Compliance]) -> str:
    """The summary for docs/ibsi.md."""
    table = [HEADINGS, ("---",) * len(HEADINGS), *(cells(line) for line in summary(rows))]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in table), "", *(f"* {said}" for said in totals(rows))])


def _phantom_path(data: Path, name: str) -> Path:
    return data / "ibsi2/digital_phantoms" / name / "image" / f"{name}.nii.gz"


def _map_path(data: Path, test: str) -> Path:
    return data / "ibsi2/reference_response_maps" / f"{test.replace('.', '_')}-ValidCRM.nii.gz"


def _pair(folder: Path) -> tuple[Image, Mask]:
    return read_image(folder / "image/phantom.nii.gz"), read_mask(folder / "mask/mask.nii.gz")


def _ct_phantom(data: Path) -> tuple[Image, Mask]:
    """In whole HU: the file holds them as floats that conversion left a little off."""
    image, mask = _pair(data / _CT)
    return Image(image.grid, np.rint(image.voxels.astype(np.float64)), image.unit), mask


def _read_table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(csv.DictReader(stream, delimiter=delimiter))
    except OSError as error:
        raise cannot_read(path, error) from error

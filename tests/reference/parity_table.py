"""The parity table of docs/parity.md: how far radpipe is from the stored values of pyradiomics, as a share of what is allowed.

python tests/reference/parity_table.py            prints it
python tests/reference/parity_table.py --write    writes it into docs/parity.md
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

import make_pyradiomics_oracle as oracle  # noqa: E402 (beside this file)
import pyradiomics_cases as cases  # noqa: E402
import random_settings  # noqa: E402

PAGE = HERE.parents[1] / "docs" / "parity.md"
BEGIN, END = "<!-- table: tests/reference/parity_table.py --write -->", "<!-- end of table -->"
HEAD = "| cases | setting | regions | values | worst | where |\n|---|---|---|---|---|---|"
DRAWN = "drawn settings"


@dataclass
class Line:
    """One line of the table. regions : rows of features that were compared. worst : the largest share of what is allowed."""

    regions: int = 0
    values: int = 0
    worst: float = -1.0
    where: str = ""

    def add(self, case: str, shares: dict[str, float]) -> None:
        self.regions += 1
        self.values += len(shares)
        column, share = max(shares.items(), key=lambda item: item[1])
        if share > self.worst:
            self.worst, self.where = share, f"{case}: {column}"


def group_of(case: str, setting: str) -> tuple[str, str]:
    """(cases, setting) of the line that a region belongs to."""
    if setting.startswith("random"):
        return DRAWN, "grids" if setting.startswith("random_") else "all keys"
    if case in cases.phantoms():
        return "phantoms", setting
    if case in cases.OWN:
        return ", ".join(cases.OWN), setting
    return f"STS {cases.kind_of(case)}", setting


def expected() -> dict[tuple[str, str], tuple[int, int]]:
    """(cases, setting) -> (regions, values) that the stored values hold, what pyradiomics refused left out."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for (case, setting), row in oracle.stored().items():
        if not isinstance(row, str):
            regions, values = found.get(group_of(case, setting), (0, 0))
            found[group_of(case, setting)] = regions + 1, values + len(row)
    return found


def lines(data: Path) -> dict[tuple[str, str], Line]:
    from radpipe.features.config import FeatureSettings
    from radpipe.features.extract import extract_row
    from radpipe.features.parity import off

    stored = oracle.stored()
    found: dict[tuple[str, str], Line] = {}
    for case, setting, params in cases.jobs(data):
        row = extract_row(*cases.from_itk(*cases.read(case, data)), FeatureSettings(params=params))
        found.setdefault(group_of(case, setting), Line()).add(case, off(row, _values(stored[case, setting])))
    for one in random_settings.drawn():
        theirs = stored[one["case"], one["id"]]
        if not isinstance(theirs, str):
            row = drawn_row(one["case"], one["params"], data)
            found.setdefault(group_of(one["case"], one["id"]), Line()).add(one["case"], off(row, theirs))
    return found


def drawn_row(case: str, params: dict[str, Any], data: Path) -> dict[str, float]:
    """By the call that pyradiomics' values were made with; a 2D image as a volume of one slice."""
    import SimpleITK as sitk

    from radpipe.compat import RadiomicsFeatureExtractor

    image, mask = random_settings.read(case, data)
    params = json.loads(json.dumps(params))
    if image.GetDimension() == 2:
        image, mask = sitk.JoinSeries(image), sitk.JoinSeries(mask)
        params["setting"]["force2D"] = True
        if "resampledPixelSpacing" in params["setting"]:
            params["setting"]["resampledPixelSpacing"].append(0)
    row = RadiomicsFeatureExtractor(params).execute(image, mask)
    return {name: float(value) for name, value in row.items() if not name.startswith("diagnostics_")}


def _values(row: Any) -> dict[str, float]:
    assert isinstance(row, dict), row
    return row


def table(found: dict[tuple[str, str], Line]) -> str:
    body = [
        f"| {group} | {setting} | {line.regions} | {line.values:,} | {_up(line.worst)} | {line.where} |"
        for (group, setting), line in found.items()
    ]
    total, values = sum(line.regions for line in found.values()), sum(line.values for line in found.values())
    worst = max(found.values(), key=lambda line: line.worst)
    return "\n".join([HEAD, *body, f"| all | all | {total} | {values:,} | {_up(worst.worst)} | {worst.where} |"])


def _up(share: float) -> str:
    """To one figure, upwards: another machine rounds otherwise, and 0 stays 0."""
    if share <= 0:
        return "0"
    unit = 10.0 ** math.floor(math.log10(share))
    return f"{math.ceil(share / unit) * unit:.0e}"


def parsed(page: str) -> dict[tuple[str, str], tuple[int, int, float]]:
    """The table of the page: (cases, setting) -> (regions, values, worst)."""
    inside = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    found = {}
    for line in inside:
        group, setting, regions, values, worst, _ = (cell.strip() for cell in line.strip("|").split(" | ", 5))
        found[group.removeprefix("| "), setting] = int(regions), int(values.replace(",", "")), float(worst)
    return found


if __name__ == "__main__":
    logging.getLogger("radpipe").setLevel(logging.ERROR)
    text = table(lines(Path(os.environ.get("RADPIPE_DATA", HERE.parents[2] / "shared" / "data"))))
    print(text)
    if "--write" in sys.argv:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")

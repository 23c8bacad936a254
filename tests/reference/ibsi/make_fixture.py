"""Makes the fixture of the IBSI tests from the shared data: the digital phantom, its reference values, its texture matrices.

    python tests/reference/ibsi/make_fixture.py SHARED_DATA/ibsi1

Source: the IBSI reference manual and data sets, CC BY 4.0 (see LICENCE.md here). Nothing is computed; values are copied.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import SimpleITK as sitk

HERE = Path(__file__).resolve().parent
KEPT = ("tag", "feature_code", "dataset", "configuration", "aggregation", "reference_value", "tolerance", "consensus")


def phantom(folder: Path) -> None:
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "image" / "phantom.nii.gz")))
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "mask" / "mask.nii.gz")))
    with (HERE / "digital_phantom.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("z", "y", "x", "intensity", "mask"))
        for z, y, x in [(z, y, x) for z in range(4) for y in range(4) for x in range(5)]:
            writer.writerow((z, y, x, int(image[z, y, x]), int(mask[z, y, x])))


def values(table: Path) -> None:
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "digital_phantom"]
    with (HERE / "digital_phantom_values.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, KEPT, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def matrices(chapter: Path) -> None:
    """Every table of the manual's chapter: section, number within it, the three columns as they stand."""
    lines = chapter.read_text().splitlines()
    section, number = "", 0
    with (HERE / "digital_phantom_matrices.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("section", "table", "columns", "a", "b", "c"))
        header = ""
        for line, below in zip(lines, [*lines[1:], ""], strict=True):
            if below.startswith("----"):
                section, number = line, 0
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not line.strip().startswith("|") or len(cells) != 3:
                continue
            if re.fullmatch(r"[a-z]", cells[0]):
                number += 1
                header = "".join(cells)
            else:
                writer.writerow((section, number, header, *cells))


if __name__ == "__main__":
    source = Path(sys.argv[1])
    phantom(source / "digital_phantom")
    values(source / "ibsi1_reference_values.csv")
    matrices(source / "digital_phantom_texture_matrices.rst")

"""Run pyradiomics_script.py and the command line of PyRadiomics 3.0.1, and write what they give to compat_oracle.json and
compat_layouts.json.

python tests/reference/make_compat_oracle.py          # in an environment with pyradiomics (make pyradiomics)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from small_volumes import write_small_volumes  # noqa: E402


def plain(value: Any) -> Any:
    """JSON values: 0-d arrays and numpy's numbers as floats, tuples as lists."""
    if isinstance(value, np.ndarray | np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    return value


# The last case has no mask: PyRadiomics writes its row without results.
BATCH = "ID,Image,Mask,Label,Site\none,image.nrrd,mask.nrrd,1,A\ntwo,image.nrrd,mask.nrrd,2,\nthree,image.nrrd,nothere.nrrd,1,C\n"


def layouts(folder: Path) -> dict[str, str]:
    """The three formats of one batch; paths below FOLDER."""
    (folder / "batch.csv").write_text(BATCH)
    found = {"batch": BATCH}
    for kind in ("csv", "json", "txt"):
        out = folder / f"pyradiomics.{kind}"
        run = "import sys; from radiomics.scripts import parse_args; sys.exit(parse_args())"
        arguments = [folder / "batch.csv", "-o", out, "-f", kind, "-p", folder / "Params.yaml"]
        subprocess.run([sys.executable, "-c", run, *map(str, arguments)], check=True, capture_output=True)
        found[kind] = out.read_text().replace(str(folder), "FOLDER")
    return found


def main() -> None:
    import radiomics

    radiomics.setVerbosity(60)
    with tempfile.TemporaryDirectory() as folder:
        write_small_volumes(Path(folder))
        names: dict[str, Any] = {"FOLDER": folder}
        (HERE / "compat_layouts.json").write_text(json.dumps(layouts(Path(folder)), indent=0) + "\n")
        exec((HERE / "pyradiomics_script.py").read_text(), names)
    rows = {name: [[key, plain(value)] for key, value in row.items()] for name, row in names["rows"].items()}
    (HERE / "compat_oracle.json").write_text(json.dumps(rows, indent=0) + "\n")
    print(f"pyradiomics {radiomics.__version__}: {len(rows)} rows, {sum(map(len, rows.values()))} values")


if __name__ == "__main__":
    main()

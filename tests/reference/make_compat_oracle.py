"""Run pyradiomics_script.py under PyRadiomics 3.0.1 and write what it gives to compat_oracle.json.

python tests/reference/make_compat_oracle.py          # in an environment with pyradiomics (make pyradiomics)
"""

from __future__ import annotations

import json
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


def main() -> None:
    import radiomics

    radiomics.setVerbosity(60)
    with tempfile.TemporaryDirectory() as folder:
        write_small_volumes(Path(folder))
        names: dict[str, Any] = {"FOLDER": folder}
        exec((HERE / "pyradiomics_script.py").read_text(), names)
    rows = {name: [[key, plain(value)] for key, value in row.items()] for name, row in names["rows"].items()}
    (HERE / "compat_oracle.json").write_text(json.dumps(rows, indent=0) + "\n")
    print(f"pyradiomics {radiomics.__version__}: {len(rows)} rows, {sum(map(len, rows.values()))} values")


if __name__ == "__main__":
    main()

"""The notebooks run from top to bottom, and are kept without their outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

SAID = {
    "first_steps": ("107", "bytes"),  # the features, and the truncated file that was refused with what it lacks
    "feature_maps": ("4 maps of", "<- taken", "habitat_1_share"),
}
NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def test_every_notebook_is_run_below() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SAID)


# The tour of maps takes 40 s; what it calls is tested in tests/features/maps and tests/stages/test_maps.py.
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem == "feature_maps" else []) for path in NOTEBOOKS],
)
def test_runs_and_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code if cell.outputs or cell.execution_count] == []
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    printed = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    assert [words for words in SAID[path.stem] if words not in printed] == []

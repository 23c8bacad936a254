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
ELSEWHERE = {"verdict_by_hand"}  # needs a finished run: tests/stages/test_compare_external.py
TOP = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path for path in (TOP / "notebooks").glob("*.ipynb") if path.stem not in ELSEWHERE)


def test_every_notebook_is_run_below() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SAID)
    assert all((TOP / "notebooks" / f"{name}.ipynb").is_file() for name in ELSEWHERE)


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


def test_the_page_of_the_docs_shows_the_verdict_by_hand() -> None:
    """Every cell of the notebook, in its order, and nothing that the notebook does not run."""
    notebook = nbformat.read(TOP / "notebooks" / "verdict_by_hand.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    page = (TOP / "docs" / "compare.md").read_text(encoding="utf-8").partition("## One verdict by hand")[2]
    assert [block.partition("```")[0].rstrip("\n") for block in page.split("```python\n")[1:]] == cells
    assert not any("radpipe." in cell or "import radpipe" in cell for cell in cells)

"""The notebooks run from top to bottom, and are kept without their outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from nbclient import NotebookClient

from radpipe.config import load_workflow
from radpipe.pipeline import run

SAID = {
    "first_steps": ("107", "bytes"),  # the features, and the truncated file that was refused with what it lacks
    "feature_maps": ("4 maps of", "<- taken", "habitat_1_share"),
    "verdict_by_hand": ("the same to 1e-12", "df 2"),
}
TOP = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((TOP / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on a table of features: two models, 3 x 3 folds, no images."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(3)
    y = np.arange(40) % 5 < 2
    cases = pd.DataFrame({"case_id": [f"P{k:02d}" for k in range(40)], "relapse": y.astype(int)})
    cases.assign(patient_id=cases["case_id"], age=rng.normal(60, 8, 40) + 6 * y).to_csv(folder / "manifest.csv", index=False)
    features = {f"f{k}": rng.normal(size=40) + (k == 0) * y for k in range(4)}
    pd.DataFrame({"case_id": cases["case_id"], **features}).to_csv(folder / "features.csv", index=False)
    workflow = {
        "radpipe_workflow": 1, "name": "small", "cohort": {"manifest": "manifest.csv", "outcome": "relapse", "clinical": ["age"]},
        "splits": {"repeats": 3, "folds": 3}, "segmentation": {"masks": "given"}, "features": {"table": "features.csv"},
        "models": {"images": {"kind": "logistic", "inputs": "features"}, "clinical": {"kind": "logistic", "inputs": "clinical"}},
        "comparison": {"primary": ["images", "clinical"]}, "references": False,
    }  # fmt: skip
    (folder / "workflow.yaml").write_text(yaml.safe_dump(workflow))
    assert run(load_workflow(folder / "workflow.yaml"), folder / "out", workers=1).exit_code == 0
    return folder / "out"


def test_every_notebook_is_run_below() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SAID)


# The tour of maps takes 40 s; what it calls is tested in tests/features/maps and tests/stages/test_maps.py.
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem == "feature_maps" else []) for path in NOTEBOOKS],
)
def test_runs_and_is_kept_without_outputs(path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem == "verdict_by_hand":
        monkeypatch.setenv("RADPIPE_RUN", str(request.getfixturevalue("small_run")))
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

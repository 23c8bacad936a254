"""A finished run on a table of features: its verdict by hand, and its models on patients whom they never saw."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from nbclient import NotebookClient

from radpipe.config import load_workflow
from radpipe.errors import CohortError
from radpipe.pipeline import run
from radpipe.stages.compare_command import compare_external, compare_sources, write_comparison

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "verdict_by_hand.ipynb"


def people(n: int, seed: int) -> pd.DataFrame:
    """Patients of whom two in five have the event; one feature and the age tell something of it."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 5 < 2
    table = pd.DataFrame({"case_id": [f"{chr(64 + seed)}{k:02d}" for k in range(n)], "relapse": y.astype(int)})
    features = {f"f{k}": rng.normal(size=n) + (k == 0) * y for k in range(4)}
    return table.assign(patient_id=table["case_id"], age=rng.normal(60, 8, n) + 6 * y, **features)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, 3 x 3 folds, no images."""
    folder = tmp_path_factory.mktemp("study")
    table = people(40, 3)
    table.drop(columns=["f0", "f1", "f2", "f3"]).to_csv(folder / "manifest.csv", index=False)
    table[["case_id", "f0", "f1", "f2", "f3"]].to_csv(folder / "features.csv", index=False)
    workflow = {
        "radpipe_workflow": 1, "name": "small", "cohort": {"manifest": "manifest.csv", "outcome": "relapse", "clinical": ["age"]},
        "splits": {"repeats": 3, "folds": 3}, "segmentation": {"masks": "given"}, "features": {"table": "features.csv"},
        "models": {"images": {"kind": "logistic", "inputs": "features"}, "clinical": {"kind": "logistic", "inputs": "clinical"}},
        "comparison": {"primary": ["images", "clinical"]}, "references": False,
    }  # fmt: skip
    (folder / "workflow.yaml").write_text(yaml.safe_dump(workflow))
    assert run(load_workflow(folder / "workflow.yaml"), folder / "out", workers=1).exit_code == 0
    return folder / "out"


def test_the_verdict_by_hand_is_that_of_the_run(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook's own cells; none of radpipe in them. It is kept without outputs."""
    monkeypatch.setenv("RADPIPE_RUN", str(small_run))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code if cell.outputs or cell.execution_count or "import radpipe" in cell.source] == []
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    printed = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    row = pd.read_parquet(small_run / "comparison.parquet").query("primary").iloc[0]
    assert f"the same to 1e-12, and the same verdict: {row['verdict']}" in printed
    assert "df 2" in printed


def test_compare_of_a_run_is_the_runs_own_comparison(small_run: Path, tmp_path: Path) -> None:
    found = compare_sources([str(small_run)])
    own = pd.read_parquet(small_run / "comparison.parquet")
    pd.testing.assert_frame_equal(found.rows.reset_index(drop=True), own, check_exact=True)
    page = write_comparison(found, tmp_path).read_text()
    assert "CPU seconds a fit" in page and "train-test gap" in page and "Net benefit" in page and found.planned
    metrics = pd.read_csv(tmp_path / "comparison_metrics.csv")
    assert len(metrics) == len(pd.read_parquet(small_run / "metrics.parquet"))


def test_models_of_a_table_are_judged_on_others(small_run: Path, tmp_path: Path) -> None:
    """In the cohort's file the features stand beside the outcome; a logistic regression's weights lie in the run's folder."""
    others = people(60, 5)
    others.to_csv(tmp_path / "others.csv", index=False)
    found = compare_external([str(small_run)], tmp_path / "others.csv", workers=1)
    assert (found.external["cases"], found.external["events"], found.planned) == (60, 24, True)
    assert found.external["fitted_on"] == {"out": 40}
    page = write_comparison(found, tmp_path / "out").read_text()
    assert "lost since cross-validation" in page
    told = json.loads((tmp_path / "out" / "external.json").read_text())
    assert told["unchanged"] and len(told["weights"]) == 4
    # the development AUC beside it is the run's own, and the loss is their difference
    own = pd.read_parquet(small_run / "metrics.parquet").query("metric == 'auc' and repeat == -1 and role == 'test'")
    assert all(f">{value:.2f}<" in page for value in own["value"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns=["f2", "f3"]), "lacks the feature column 'f2' and 1 more"),
        (lambda t: t.assign(patient_id=["C00", *t["patient_id"][1:]]), "'C00' is among the run's own patients"),
        (lambda t: t.assign(relapse=t["relapse"].map({0: "2", 1: "1"})), "another coding"),
        (lambda t: t.drop(columns="relapse"), "outcome column 'relapse' is missing"),
        (lambda t: t[t["relapse"] == 0], "one class only"),
    ],
)
def test_what_would_mislead_is_refused(small_run: Path, tmp_path: Path, change, said: str) -> None:
    change(people(60, 5)).to_csv(tmp_path / "others.csv", index=False)
    with pytest.raises(CohortError, match=said) as error:
        compare_external([str(small_run)], tmp_path / "others.csv", workers=1)
    assert error.value.hint


def test_options_of_the_command(small_run: Path, tmp_path: Path, radpipe) -> None:
    lonely = radpipe("compare", small_run, "--workers", 2, check=2)
    assert "--workers goes with --external" in lonely.stderr
    nowhere = radpipe("compare", small_run, "--external", tmp_path / "nobody.csv", check=2)
    assert "the external cohort does not exist" in nowhere.stderr and "Name a manifest" in nowhere.stderr

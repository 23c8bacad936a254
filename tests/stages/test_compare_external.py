"""A finished run on a table of features: its verdict by hand, and its models on patients whom they never saw."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from nbclient import NotebookClient

from radpipe.cli.compare import compare
from radpipe.config import load_workflow
from radpipe.errors import CohortError, ConfigError
from radpipe.pipeline import run
from radpipe.stages.compare_command import Compared, compare_external, compare_sources, write_comparison

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "verdict_by_hand.ipynb"


def people(n: int, seed: int) -> pd.DataFrame:
    """Patients of whom two in five have the event; one feature and the age tell something of it."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 5 < 2
    table = pd.DataFrame({"case_id": [f"{chr(64 + seed)}{k:02d}" for k in range(n)], "relapse": y.astype(int)})
    features = {f"f{k}": rng.normal(size=n) + (k == 0) * y for k in range(4)}
    return table.assign(patient_id=table["case_id"], age=rng.normal(60, 8, n) + 6 * y, **features)


@pytest.fixture(scope="module")
def small_run(warm_servers: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, 3 x 3 folds, no images."""
    folder = tmp_path_factory.mktemp("study")
    table = people(40, 3)
    table.drop(columns=["f0", "f1", "f2", "f3"]).to_csv(folder / "manifest.csv", index=False)
    table[["case_id", "f0", "f1", "f2", "f3"]].to_csv(folder / "features.csv", index=False)
    workflow = {
        "radpipe_workflow": 1, "name": "small", "cohort": {"manifest": "manifest.csv", "outcome": "relapse", "clinical": ["age"]},
        "splits": {"repeats": 3, "folds": 3}, "segmentation": {"masks": "given"}, "features": {"table": "features.csv"},
        "models": {"images": {"kind": "logistic", "inputs": "features"}, "clinical": {"kind": "logistic", "inputs": "clinical"}},
        "comparison": {"primary": ["images", "clinical"]}, "references": False, "compute": {"workers": 1, "scheduler": "processes"},
    }  # fmt: skip
    (folder / "workflow.yaml").write_text(yaml.safe_dump(workflow))
    assert run(load_workflow(folder / "workflow.yaml"), folder / "out").exit_code == 0
    return folder / "out"


@pytest.fixture(scope="module")
def judged(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Both models on sixty others. In the cohort's file the features stand beside the outcome."""
    folder = tmp_path_factory.mktemp("others")
    people(60, 5).to_csv(folder / "others.csv", index=False)
    return compare_external([str(small_run)], folder / "others.csv", workers=1)


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


def test_models_are_judged_on_others_by_delong(judged: Compared) -> None:
    """The interval by hand, from the placements of every patient (DeLong 1988), on the logit scale as the method says."""
    assert set(judged.rows["test"]) == {"delong", "mcnemar", "paired_bootstrap"}
    assert set(judged.rows.loc[judged.rows["primary"], "test"]) == {"delong"} and "(beside)" in judged.as_text()
    metrics = judged.measured[0]
    for model, own in judged.together.predictions.groupby("model"):
        y, p = own["y_true"].to_numpy(), own["p_1"].to_numpy()
        wins = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
        auc = wins.mean()
        half = 1.959964 * np.sqrt(wins.mean(axis=1).var(ddof=1) / 24 + wins.mean(axis=0).var(ddof=1) / 36) / (auc * (1 - auc))
        row = metrics[(metrics["model"] == model) & (metrics["metric"] == "auc")].iloc[0]
        ends = [1 / (1 + np.exp(-(np.log(auc / (1 - auc)) + side * half))) for side in (-1, 1)]
        assert [row["value"], row["ci_low"], row["ci_high"]] == pytest.approx([auc, *ends], abs=1e-6)
        assert "DeLong" in row["method"]


def test_nothing_is_fitted_on_them_and_the_page_says_so(small_run: Path, judged: Compared, tmp_path: Path) -> None:
    """The hashes that are told are those of the files that lie there; the same without the new patients as with them."""
    told = judged.external
    assert (told["cases"], told["events"], told["fitted_on"], judged.planned) == (60, 24, {"out": 40}, True)
    assert len(told["weights"]) == 4 and told["unchanged"]
    for row in told["weights"]:
        assert row["before"] == row["after"] == hashlib.sha256((small_run / row["file"]).read_bytes()).hexdigest()
    page = write_comparison(judged, tmp_path / "out").read_text()
    assert all(row["after"] in page for row in told["weights"])
    assert json.loads((tmp_path / "out" / "external.json").read_text())["weights"] == told["weights"]
    assert len(pd.read_csv(tmp_path / "out" / "external_predictions.csv")) == 120
    said = " ".join(judged.sentences)
    assert "refitted on all development patients (40 of out)" in said and "this cohort is small" in said
    # the development AUC beside it is the run's own
    own = pd.read_parquet(small_run / "metrics.parquet").query("metric == 'auc' and repeat == -1 and role == 'test'")
    assert all(f">{value:.2f}<" in page for value in own["value"]) and "lost since cross-validation" in page


@pytest.mark.slow
def test_who_is_judged_changes_no_weight_and_a_bad_case_costs_no_other(small_run: Path, judged: Compared, tmp_path: Path) -> None:
    """Eight of them, their outcomes turned round, and one without: the same weights, and no verdict of so few."""
    others = people(60, 5)
    few = others.iloc[:9].assign(relapse=[*(1 - others["relapse"].iloc[:8]).astype(str), ""])
    few.to_csv(tmp_path / "few.csv", index=False)
    found = compare_external([str(small_run)], tmp_path / "few.csv", workers=1)
    assert found.external["weights"] == judged.external["weights"]
    assert (found.external["cases"], [row["case_id"] for row in found.external["failures"]]) == (8, [others["case_id"].iloc[8]])
    row = found.rows[found.rows["primary"]].iloc[0]
    assert "too small to say anything: 4 with and 4 without" in row["method"] and row["verdict"] == "not_resolved"
    write_comparison(found, tmp_path / "out")
    assert "is missing" in (tmp_path / "out" / "external_failures.csv").read_text()
    for path in (tmp_path / "out").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), f"{path.name} tells where files lie"


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


def test_options_of_the_command(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--workers goes with --external"):
        compare.main([str(small_run), "--workers", "2"], standalone_mode=False)
    with pytest.raises(ConfigError, match="the external cohort does not exist") as error:
        compare.main([str(small_run), "--external", str(tmp_path / "nobody.csv")], standalone_mode=False)
    assert "Name a manifest" in error.value.hint

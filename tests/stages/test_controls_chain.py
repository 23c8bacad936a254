"""The controls, run: outcomes shuffled between patients go through selection, fit and recalibration, and find nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

MODELS = {
    "ann": {"kind": "ann", "inputs": "selected", "members": 1},
    "volume": {"kind": "logistic", "inputs": "volume"},
    "deep": {"kind": "svm", "inputs": "selected", "sources": ["embedding"]},
    "both": {"kind": "svm", "inputs": "selected", "sources": ["scalar", "embedding"]},
    "average": {"kind": "average", "of": ["ann", "cnn"]},
    "cnn": {"kind": "cnn3d", "crop_voxels": [12, 12, 12], "epochs": 1, "minimum_epochs": 1, "members": 1},
}
SETTINGS = {
    "splits": {"repeats": 2, "folds": 3, "selection_fraction": 0.25},
    "models": MODELS, "comparison": {"primary": ["ann", "volume"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(module_study, tmp_path_factory):
    """One run with all four controls on 16 patients whose outcome the image tells."""
    from radpipe import pipeline
    from radpipe.config import load_workflow

    path = module_study.write(**SETTINGS, controls={"permutations": 20, "noise_columns": 40})
    out = tmp_path_factory.mktemp("runs") / "toy"
    result = pipeline.run(load_workflow(path), out, invocation=(path.name, "runs/toy"), workers=1)
    assert result.exit_code == 0
    return out


def test_every_control_is_there_beside_the_true_result(finished):
    table = pd.read_csv(finished / "controls.csv").set_index(["control", "model"])
    of_images = {(kind, model) for kind in ("shuffled_voxels", "random_region") for model in ("ann", "deep", "both", "cnn")}
    assert set(table.index) == {("permuted_outcomes", "ann"), ("noise_columns", "ann"), ("noise_columns", "both"), *of_images}
    assert (table["n"] == [20 if control == "permuted_outcomes" else 6 for control, _ in table.index]).all()
    assert len(pd.read_csv(finished / "failures.csv")) == 0
    metrics = pd.read_csv(finished / "metrics.csv").query("metric == 'auc' and role == 'test' and repeat == -1 and fold == -1")
    true = metrics.set_index("model")["value"]
    for (_, model), row in table.iterrows():
        assert row["observed"] == pytest.approx(true[model], abs=1e-12)
    known = table.dropna(subset=["ci_low", "ci_high"])
    assert (known["ci_low"] >= 0).all() and (known["ci_high"] <= 1).all()


def test_permuted_outcomes_through_the_whole_chain_give_what_chance_gives(finished):
    """The true AUC is far above 0.5; the mean of the shuffled ones lies within four of its own standard errors of it."""
    row = pd.read_csv(finished / "controls.csv").set_index("control").loc["permuted_outcomes"]
    assert row["n"] == 20 and row["observed"] > 0.9
    assert abs(row["value"] - 0.5) < 4 * row["spread"] / np.sqrt(row["n"])
    assert row["spread"] > 0.05 and row["flagged"] == (not row["ci_low"] <= 0.5 <= row["ci_high"])
    assert 1 / 21 <= row["p_value"] < 0.2


def test_the_run_itself_is_untouched_and_the_page_says_what_was_found(finished):
    cohort = pd.read_csv(finished / "cohort.csv")
    assert (cohort["outcome"] == cohort["case_id"].str[1:].astype(int) % 2).all()
    page = (finished / "report.html").read_text()
    assert "the guard is weak" in page or 'class="alarm"' in page
    assert "20 permutations" in page and "Voxels shuffled" in page and "Region elsewhere" in page and "Not run:" not in page

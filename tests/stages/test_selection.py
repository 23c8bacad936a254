"""Input selection in a run: who it sees, what it writes down, and what the report says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from radpipe import pipeline
from radpipe.config import load_workflow
from radpipe.errors import CohortError, ConfigError, RunError
from radpipe.evaluation.agreement import icc_a1_of
from radpipe.stages import work

pytestmark = pytest.mark.usefixtures("warm_servers")

UPTO_SELECT = ("cohort", "preprocess", "segment", "extract", "habitats", "patients", "select")
ANN = {"kind": "ann", "inputs": "selected", "members": 1, "iterations": 20}


def write(folder: Path, n: int = 48, **changes: Any) -> Path:
    """A cohort that is a table: a feature that tells, the volume, a copy of the volume in other units, and noise."""
    rng = np.random.default_rng(3)
    y = np.arange(n) % 2
    volume = np.exp(rng.normal(9 + 0.8 * y, 0.6))
    features = {
        "case_id": [f"P{k:02d}" for k in range(n)],
        "tells": 2.0 * y + rng.normal(size=n),
        "original_shape_MeshVolume": volume,
        "surface": volume ** (2 / 3) * np.exp(0.05 * rng.normal(size=n)),
        **{f"noise_{k}": rng.normal(size=n) for k in range(8)},
    }
    manifest = {
        "case_id": features["case_id"], "relapse": y, "grams": np.exp(features["tells"]), "died": np.where(np.arange(n) % 3 == 0, 0, 1),
        "months": 10 * np.exp(-features["tells"]) * rng.exponential(size=n),
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    pd.DataFrame(features).to_csv(folder / "features.csv", index=False)
    pd.DataFrame(manifest).to_csv(folder / "manifest.csv", index=False)
    content = {
        "radpipe_workflow": 1, "name": "table", "seed": 5, "cohort": {"manifest": "manifest.csv", "outcome": "relapse"},
        "splits": {"repeats": 2, "folds": 3}, "features": {"table": "features.csv"}, "segmentation": {"masks": "given"},
        "selection": {"trees": 20, "rounds": 2, "max_features": 3, "redundancy": 0.99},
        "models": {"ann": ANN, "volume": {"kind": "logistic", "inputs": "volume"}}, "comparison": {"primary": ["ann", "volume"]},
        **changes,
    }  # fmt: skip
    (folder / "workflow.yaml").write_text(yaml.safe_dump(content))
    return folder / "workflow.yaml"


def go(workflow: Path, out: Path, only: tuple[str, ...] = UPTO_SELECT):
    return pipeline.run(load_workflow(workflow), out, workers=1, scheduler="processes", only=only)


def read(out: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(out / f"{name}.parquet")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    go(write(folder / "study", references=False), folder / "run", only=())  # they choose no inputs
    return folder / "run"


def test_every_selection_says_whom_it_saw(finished: Path) -> None:
    fits, splits = read(finished, "selection_fits"), read(finished, "splits")
    assert len(fits) == 6 and (fits["n_selection"] == 0).all() and fits["saw_sha256"].nunique() == 6
    train = splits[splits["role"] == "train"].groupby(["repeat", "fold"]).size().tolist()
    assert fits["n_train"].tolist() == train
    kept = read(finished, "selection").groupby(["repeat", "fold"])["kept"].sum().tolist()
    assert fits["n_kept"].tolist() == kept and fits["n_kept"].min() >= 1


def test_what_is_chosen_is_set_beside_the_volume(finished: Path) -> None:
    found = read(finished, "selection_volume").set_index("feature")
    assert found.loc["tells", "partial"] > 0.4 and abs(found.loc["tells", "rho_volume"]) < 0.7
    of_size = found.index.intersection(["surface", "original_shape_MeshVolume"])
    assert len(of_size) and (found.loc[of_size, "rho_volume"] > 0.95).all()
    page = (finished / "report.html").read_text()
    assert "given the volume" in page and "share patients" in page and "kept most often" in page


def test_the_interval_of_stability_is_wider_than_that_of_independent_runs(finished: Path) -> None:
    row = read(finished, "selection_stability").iloc[0]
    assert row["n"] == 6 and row["ci_high"] - row["ci_low"] == pytest.approx(
        2.0 * (row["naive_high"] - row["naive_low"])
    )  # sqrt(1 + 6/2)


@pytest.mark.parametrize(
    ("cohort", "selector"),
    [
        pytest.param({"outcome": "relapse"}, "growing", marks=pytest.mark.slow),
        pytest.param({"outcome": "grams", "outcome_kind": "number"}, "l1", marks=pytest.mark.slow),
        pytest.param(
            {"outcome": "died", "outcome_kind": "time_to_event", "time": "months", "event": "1", "horizon": 12},
            "mrmr",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_each_kind_of_outcome_finds_what_tells(tmp_path: Path, cohort: dict[str, Any], selector: str) -> None:
    path = write(
        tmp_path / "study", cohort={"manifest": "manifest.csv", **cohort}, splits={"repeats": 1, "folds": 3},
        selection={"selector": selector, "max_features": 3}, models={"ann": ANN}, comparison={},
    )  # fmt: skip
    result = go(path, tmp_path / "run")
    assert result.exit_code == 0
    selection, fits = read(tmp_path / "run", "selection"), read(tmp_path / "run", "selection_fits")
    assert selection[selection["feature"] == "tells"]["kept"].all()
    assert (fits["n_selection"] > 0).all() == (selector == "growing") and (fits["steps"] != "").all() == (selector == "growing")


def test_a_test_patient_among_those_who_choose_ends_the_fold(tmp_path: Path) -> None:
    table = pd.DataFrame({"case_id": ["a", "b"], "x": [0.0, 1.0]})
    table.to_parquet(tmp_path / "table.parquet")
    payload = {
        "features": str(tmp_path / "table.parquet"), "columns": ["x"], "settings": {}, "seed": 1, "network": None, "repeats": None,
        "parts": {"train": {"case_ids": ["a", "b"], "patient_ids": ["A", "B"], "y": [0, 1]}}, "test_patients": ["B"],
    }  # fmt: skip
    with pytest.raises(RunError, match="fitted with test patients: B"):
        work.select_fold(payload, tmp_path)


def test_test_rows_change_nothing(finished: Path, tmp_path: Path) -> None:
    """A column equal to the outcome in one fold's test rows, noise elsewhere, is chosen as the noise it is in that fold."""
    path = write(tmp_path / "study")
    splits = read(finished, "splits")
    test = set(splits[(splits["repeat"] == 0) & (splits["fold"] == 0) & (splits["role"] == "test")]["case_id"])
    features = pd.read_csv(path.parent / "features.csv")
    outcome = pd.read_csv(path.parent / "manifest.csv").set_index("case_id")["relapse"]
    features.loc[features["case_id"].isin(test), "noise_0"] = [float(outcome[c]) for c in features["case_id"] if c in test]
    features.to_csv(path.parent / "features.csv", index=False)
    go(path, tmp_path / "run")
    first = [
        read(out, "selection").query("repeat == 0 and fold == 0").reset_index(drop=True) for out in (finished, tmp_path / "run")
    ]
    pd.testing.assert_frame_equal(first[0], first[1], check_exact=True)


@pytest.mark.slow
def test_perturbed_outlines_decide_who_may_be_chosen(study, tmp_path: Path) -> None:
    """By training patients alone: another value of a test patient's repeat changes nothing in that fold."""
    robustness = {"icc": 0.9, "perturbations": ["contour", "volume"], "contour_mm": 2.0, "volume": 0.3}
    path = study.write(selection={"selector": "none", "max_features": 3, "robustness": robustness})
    result = go(path, tmp_path / "run")
    assert result.exit_code == 0
    repeats = read(tmp_path / "run", "repeats")
    assert sorted(set(repeats["measurement"])) == ["contour 0", "given", "volume 0"] and len(repeats) == 3 * 16
    volume = repeats.pivot_table(index="case_id", columns="measurement", values="original_shape_VoxelVolume")
    assert (volume["contour 0"] == volume["given"]).all() and (volume["volume 0"] != volume["given"]).all()
    selection = read(tmp_path / "run", "selection")
    splits = read(tmp_path / "run", "splits")
    gone = selection[selection["reason"] == "not_robust"]
    assert len(gone) and "original_shape_VoxelVolume" not in set(selection[selection["kept"]]["feature"])
    train = splits.query("repeat == 0 and fold == 0 and role == 'train'")["case_id"]
    mine = repeats[repeats["case_id"].isin(train)].pivot_table(index="case_id", columns="measurement")
    for feature, reason in selection.query("repeat == 0 and fold == 0")[["feature", "reason"]].itertuples(index=False):
        agrees = icc_a1_of(mine[feature].to_numpy())[0] >= 0.9
        assert agrees == (reason not in ("not_robust", "constant")) or reason == "constant"


@pytest.mark.slow
def test_a_table_of_repeats_takes_the_outlines_place(tmp_path: Path) -> None:
    path = write(tmp_path / "study", models={"ann": ANN}, comparison={}, splits={"repeats": 1, "folds": 3})
    content = yaml.safe_load(path.read_text())
    with pytest.raises(ConfigError, match=r"name selection.robustness.table"):
        load_workflow(write(tmp_path / "study", selection={"robustness": {}}))
    rng = np.random.default_rng(0)
    again = pd.read_csv(path.parent / "features.csv").assign(measurement="second reader")
    again["noise_1"] = rng.permutation(again["noise_1"])
    again.to_csv(path.parent / "repeats.csv", index=False)
    path.write_text(yaml.safe_dump({**content, "selection": {"selector": "mrmr", "robustness": {"table": "repeats.csv"}}}))
    assert go(path, tmp_path / "run").exit_code == 0
    selection = read(tmp_path / "run", "selection")
    assert set(selection[selection["reason"] == "not_robust"]["feature"]) == {"noise_1"}
    again.rename(columns={"measurement": "reader"}).to_csv(path.parent / "repeats.csv", index=False)
    with pytest.raises(CohortError, match="no column measurement"):
        go(path, tmp_path / "run", ("select",))


def test_an_unknown_selector_is_refused_when_the_workflow_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'growing'"):
        load_workflow(write(tmp_path / "study", selection={"selector": "growin"}))

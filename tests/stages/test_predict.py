"""New patients scored by a run's models, refitted on all its patients."""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pytest

from radpipe.config import load_workflow
from radpipe.errors import CohortError, ConfigError, RunError
from radpipe.pipeline import run
from radpipe.stages.predict import predict

pytestmark = pytest.mark.usefixtures("warm_servers")

MODELS = {
    "ann": {"kind": "ann", "inputs": ["selected", "clinical"], "members": 1},
    "volume": {"kind": "logistic", "inputs": "volume"},
    "both": {"kind": "average", "of": ["ann", "volume"]},
}


def write_manifest(folder, rows):
    with open(folder / "manifest.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def done(warm_servers, module_study, tmp_path_factory):
    """A finished run and a manifest of two new cases beside a known one."""
    out = tmp_path_factory.mktemp("runs") / "out"
    compute = {"workers": 1, "scheduler": "processes"}
    written = module_study.write(models=MODELS, selection={"max_features": 2, "trees": 20, "rounds": 2}, compute=compute)
    assert run(load_workflow(written), out).exit_code == 0
    folder = tmp_path_factory.mktemp("new")
    others = type(module_study)(folder, [{}] * 40)
    others.add(2)
    rows = others.rows[40:]
    for row in rows:
        del row["relapse"]
    known = {name: value for name, value in module_study.rows[0].items() if name != "relapse"}
    known |= {name: str(module_study.folder / known[name]) for name in ("image_path", "mask_path")}
    write_manifest(folder, [*rows, known])
    return out, folder / "manifest.csv", rows, known


def table(path):
    return pd.read_csv(path, dtype={"case_id": str})


def test_new_patients_are_scored_by_a_refit_on_everybody(done, tmp_path):
    out, manifest, rows, known = done
    found = predict(out, manifest, tmp_path / "p.csv", workers=1)
    told = table(tmp_path / "p.csv")
    everyone = pd.read_parquet(out / "cohort.parquet")
    assert not found.failures and not (tmp_path / "p.failures.csv").exists()
    assert set(told["model"]) == set(MODELS) and set(told["case_id"]) == {row["case_id"] for row in (*rows, known)}
    assert set(told["fitted_on"]) == {everyone["patient_id"].nunique()}
    np.testing.assert_allclose(told["p_0"] + told["p_1"], 1)
    assert dict(zip(told["case_id"], told["seen"], strict=False))[known["case_id"]] == "yes" and found.seen == (
        known["patient_id"],
    )
    assert {seen for case, seen in zip(told["case_id"], told["seen"], strict=True) if case != known["case_id"]} == {"no"}
    # The saved refit says itself whom it saw: everybody of the run, nobody of the new ones.
    info = json.loads((out / "refit" / "models" / "ann" / "repeat0_fold0" / "model.json").read_text())
    assert set(info["saw"]) == set(everyone["patient_id"])
    assert set(info["upstream"]["selection"]["saw"]) < set(info["saw"])


@pytest.mark.slow
def test_who_else_is_scored_changes_nothing_and_one_model_can_be_asked(done, tmp_path):
    out, manifest, rows, _ = done
    together = predict(out, manifest, tmp_path / "a.csv", workers=1)
    write_manifest(tmp_path, [{**rows[0], **{k: str(manifest.parent / rows[0][k]) for k in ("image_path", "mask_path")}}])
    alone = predict(out, tmp_path / "manifest.csv", tmp_path / "b.csv", models=["both"], workers=1)
    assert [row["model"] for row in alone.rows] == ["both"]
    expected = next(row for row in together.rows if row["case_id"] == rows[0]["case_id"] and row["model"] == "both")
    assert alone.rows[0]["p_1"] == pytest.approx(expected["p_1"], abs=1e-12)


def test_a_refit_and_a_fold_are_one_path(done):
    """The refit's fit has a fold's own record: the same columns, the same parts, another set of patients."""
    out = done[0]
    folds, refit = pd.read_parquet(out / "fits.parquet"), pd.read_parquet(out / "refit" / "fits.parquet")
    assert list(folds.columns) == list(refit.columns)
    n = pd.read_parquet(out / "cohort.parquet")["patient_id"].nunique()
    assert set(refit["n_train"] + refit["n_selection"]) == {n} and (folds["n_train"] + folds["n_selection"] < n).all()


def test_bad_cohorts_are_named(done, tmp_path):
    out, manifest, rows, _ = done
    base = manifest.parent
    good = [{**row, **{k: str(base / row[k]) for k in ("image_path", "mask_path")}} for row in rows]
    write_manifest(tmp_path, [{name: value for name, value in row.items() if name != "age"} for row in good])
    with pytest.raises(CohortError, match="clinical column 'age' is missing"):
        predict(out, tmp_path / "manifest.csv", tmp_path / "p.csv", workers=1)
    write_manifest(tmp_path, [good[0], {**good[1], "modality": "CT"}])
    found = predict(out, tmp_path / "manifest.csv", tmp_path / "p.csv", models=["volume"], workers=1)
    assert {row["case_id"] for row in found.rows} == {good[0]["case_id"]}
    failures = list(csv.DictReader((tmp_path / "p.failures.csv").open()))
    assert (
        failures[0]["case_id"] == good[1]["case_id"] and "modality is CT, and the models were fitted on" in failures[0]["problem"]
    )
    with pytest.raises(ConfigError, match="no model 'an'"):
        predict(out, manifest, tmp_path / "p.csv", models=["an"])
    with pytest.raises(RunError, match="no finished run"):
        predict(tmp_path, manifest, tmp_path / "p.csv")


def test_a_run_of_other_code_is_refused(done, tmp_path):
    out, manifest, _, _ = done
    origin = out / "origin.json"
    kept = origin.read_text()
    try:
        origin.write_text(json.dumps({**json.loads(kept), "engine": "0" * 16}))
        with pytest.raises(RunError, match="another version"):
            predict(out, manifest, tmp_path / "p.csv")
    finally:
        origin.write_text(kept)

"""Every kind of outcome from a manifest to the predictions of all models that can do it, with the references that nobody named."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError
from scipy.stats import spearmanr

from radpipe.config import Workflow, load_workflow
from radpipe.errors import CohortError
from radpipe.io.volumes import read_mask
from radpipe.pipeline import run

pytestmark = pytest.mark.usefixtures("warm_servers")

UP_TO_TRAIN = ("cohort", "preprocess", "segment", "extract", "habitats", "patients", "embed", "select", "train")
OUTCOMES = {
    "number": {"outcome": "dose", "outcome_kind": "number"},
    "time_to_event": {
        "outcome": "status", "outcome_kind": "time_to_event", "time": "months", "event": 1, "competing": 2, "horizon": 1.0,
    },
}  # fmt: skip


def write(folder, kind: str, **changes) -> Workflow:
    """A table of features made elsewhere for 48 patients, one of which tells the outcome."""
    rng = np.random.default_rng(3)
    n = 48
    signal = rng.normal(size=n)
    ids = [f"p{k:02}" for k in range(n)]
    features = pd.DataFrame(rng.normal(size=(n, 4)), columns=[f"f{k}" for k in range(4)]).assign(
        f_good=signal + 0.2 * rng.normal(size=n)
    )
    features.assign(case_id=ids).to_csv(folder / "features.csv", index=False)
    time = np.round(np.exp(-1.5 * signal) * rng.exponential(size=n) + 0.01, 3)
    status = np.where(rng.random(n) < 0.2, 0, np.where(rng.random(n) < 0.15, 2, 1))
    manifest = pd.DataFrame(
        {"case_id": ids, "age": rng.integers(40, 70, n), "dose": 3 * signal + 20, "status": status, "months": time}
    )
    manifest.to_csv(folder / "manifest.csv", index=False)
    content = {
        "radpipe_workflow": 1, "name": kind, "cohort": {"manifest": "manifest.csv", "clinical": ["age"], **OUTCOMES[kind]},
        "splits": {"repeats": 1, "folds": 2}, "features": {"table": "features.csv"},
        "selection": {"max_features": 2, "trees": 20, "rounds": 2},
        "models": {"ann": {"kind": "ann", "inputs": "selected", "members": 1}, "mean": {"kind": "average", "of": ["ann", "xgboost"]},
                   "xgboost": {"kind": "xgboost", "rounds": 30}},
        **changes,
    }  # fmt: skip
    (folder / "workflow.yaml").write_text(yaml.safe_dump(content))
    return load_workflow(folder / "workflow.yaml")


@pytest.mark.parametrize(
    ("kind", "beside"),
    [("number", {"clinical", "linear", "forest", "prevalence"}), ("time_to_event", {"clinical", "cox", "prevalence"})],
)
def test_from_a_manifest_to_predictions(tmp_path, kind, beside):
    workflow = write(tmp_path, kind)
    assert set(workflow.references_added) == beside
    result = run(workflow, tmp_path / "out", workers=1, scheduler="processes", only=UP_TO_TRAIN)
    assert result.exit_code == 0
    said = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    cohort = pd.read_parquet(tmp_path / "out" / "cohort.parquet").set_index("case_id")
    assert set(said["model"]) == {"ann", "mean", "xgboost", *beside}
    truth = "value" if kind == "number" else "time"
    assert (said[truth].to_numpy() == cohort.loc[said["case_id"], truth].to_numpy()).all()
    assert (said["y_true"].to_numpy() == cohort.loc[said["case_id"], "outcome"].to_numpy()).all()
    if kind == "number":
        assert said[["p_0", "p_1"]].isna().all().all()
    else:
        assert said["p_1"].between(0, 1).all() and np.allclose(said["p_0"] + said["p_1"], 1)
    tested = said[said["role"] == "test"]
    for model in {"ann", "mean", "xgboost"}:
        rows = tested[tested["model"] == model]
        found = spearmanr(rows["score"], rows[truth])
        assert found.pvalue < 0.05 and (found.statistic > 0) == (kind == "number")
    # An average lies between its members before it is recalibrated; of numbers nothing is.
    if kind == "number":
        wide = tested.pivot_table(index="case_id", columns="model", values="score")
        np.testing.assert_allclose(wide["mean"], (wide["ann"] + wide["xgboost"]) / 2)
    # Nothing fitted has seen a patient of its own fold's test part.
    seen = pd.read_parquet(tmp_path / "out" / "seen.parquet")
    assert {"scalar", "ann", "ann encoder", "mean"} <= set(seen["thing"])
    for row in seen.to_dict("records"):
        test_part = tested[(tested["repeat"] == row["repeat"]) & (tested["fold"] == row["fold"])]["case_id"]
        assert not set(json.loads(row["patients"])) & set(cohort.loc[test_part, "patient_id"])


def test_more_inputs_than_patients_after_selection_are_named(tmp_path):
    workflow = write(tmp_path, "number", models={"ann": {"kind": "ann", "members": 1}}, references=False)
    wide = pd.read_csv(tmp_path / "features.csv")
    further = pd.DataFrame(np.random.default_rng(0).normal(size=(48, 60)), columns=[f"g{k}" for k in range(60)])
    pd.concat([wide, further], axis=1).to_csv(tmp_path / "features.csv", index=False)
    settings = workflow.selection.model_copy(update={"selector": "none", "max_features": None, "redundancy": 1.0})
    loose = workflow.model_copy(update={"selection": settings})
    assert run(loose, tmp_path / "out", workers=1, scheduler="processes", only=UP_TO_TRAIN).exit_code == 3
    failures = pd.read_csv(tmp_path / "out" / "failures.csv")
    assert failures["problem"].str.contains("input selection kept 65 inputs, and 1[68] cases train").all()
    assert failures["hint"].str.contains("max_features").all()


def test_one_image_under_two_patient_ids_is_refused(study, tmp_path):
    rows = study.rows
    for name in ("image_path",):
        (study.folder / "copy.nii.gz").write_bytes((study.folder / rows[0][name]).read_bytes())
    rows[2] = {**rows[2], "image_path": "copy.nii.gz", "mask_path": rows[0]["mask_path"]}
    assert read_mask(study.folder / rows[0]["mask_path"]).voxels.any()
    workflow = load_workflow(study.write())
    with pytest.raises(
        CohortError, match=r"same image stands under different patient_ids: 'P00' \(case P00\) and 'P02' \(case P02\)"
    ):
        run(workflow, tmp_path / "out", workers=1, scheduler="processes", only=("cohort",))


BASE = {
    "radpipe_workflow": 1, "name": "w", "cohort": {"manifest": "m.csv", "outcome": "y", "clinical": ["age"]},
    "models": {"ann": {"kind": "ann"}, "cnn": {"kind": "cnn3d"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"references": ["forrest"]}, "Did you mean 'forest'"),
        (
            {"models": {**BASE["models"], "mean": {"kind": "average", "of": ["ann", "cn"]}}},
            "averages 'cn', which is not among models. Did you mean 'cnn'",
        ),
        ({"models": {**BASE["models"], "a": {"kind": "average", "of": ["ann", "ann"]}}}, "names a model twice"),
        ({"models": {"ann": {"kind": "ann", "sources": ["embedding"]}}}, "0 models of kind cnn3d; add one"),
        ({"embedding": "ann", "models": {**BASE["models"], "d": {"kind": "svm", "inputs": "selected", "sources": ["embedding"]}}}, "no cnn3d model"),
        ({"models": {"s": {"kind": "svm", "inputs": ["selected", "features"]}}}, "the selected are among the features"),
        ({"models": {"c": {"kind": "cox"}}}, "predicts time_to_event, and cohort.outcome_kind is classes; kinds that can: ann"),
        ({"controls": {"model": "an"}}, "controls.model names 'an', which is not among models"),
        (
            {"controls": {"model": "m"}, "models": {**BASE["models"], "m": {"kind": "average", "of": ["ann", "cnn"]}}},
            "which is an average; name one of its models (ann, cnn)",
        ),
        (
            {"controls": {"model": "d"}, "models": {**BASE["models"], "d": {"kind": "svm", "inputs": "selected", "sources": ["embedding"]}}},
            "whose deep features have seen the true outcomes",
        ),
        ({"tuning_budget": 3, "models": {"ann": {"kind": "ann", "order": {"maximum": 2, "trials": 3}}}}, "may train 6 networks in a fold"),
    ],
)  # fmt: skip
def test_workflows_that_do_not_hold_together_are_refused(change, said):
    with pytest.raises(ValidationError) as caught:
        Workflow.model_validate({**BASE, **change})
    assert said in str(caught.value)


def test_references_are_added_once_and_stay_when_the_settings_are_read_back():
    plain = Workflow.model_validate(BASE)
    assert plain.references_added == ("prevalence", "clinical", "volume", "logistic", "forest", "xgboost", "svm")
    assert Workflow.model_validate(plain.model_dump(mode="json")).references_added == plain.references_added
    own = {**BASE, "models": {**BASE["models"], "mine": {"kind": "forest"}, "svm": {"kind": "logistic", "inputs": "volume"}}}
    found = Workflow.model_validate(own)
    assert found.references_added == ("prevalence", "clinical", "logistic", "xgboost", "reference_svm")
    assert Workflow.model_validate({**BASE, "references": False}).references_added == ()
    assert Workflow.model_validate({**BASE, "references": ["svm"]}).references_added == ("svm",)

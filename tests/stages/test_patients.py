"""Workflows whose rows are patients: several lesions and two modalities of each, from end to end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml

from radpipe import pipeline
from radpipe.config import load_workflow
from radpipe.core.image import Mask
from radpipe.core.tables import SCHEMAS, json_schema
from radpipe.errors import CohortError, ConfigError
from radpipe.io.volumes import read_image, write_mask
from radpipe.pipeline import RunResult
from radpipe.stages.predict import predict

pytestmark = pytest.mark.usefixtures("warm_servers")

UPTO_PATIENTS = ("cohort", "extract", "patients")
UPTO_COMPARE = tuple(name for name in pipeline.stage_names() if name != "report")
MODELS = {
    "ann": {"kind": "ann", "inputs": "selected", "members": 1},
    "volume": {"kind": "logistic", "inputs": "volume"},
    "clinical": {"kind": "logistic", "inputs": "clinical"},
}
SPLITS = {"repeats": 1, "folds": 2, "selection_fraction": 0.25}


def go(workflow: Path, out: Path, **options: Any) -> RunResult:
    return pipeline.run(load_workflow(workflow), out, **{"workers": 1, "scheduler": "processes", **options})


def read(out: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(out / f"{name}.parquet")


def two_modalities(study) -> None:
    """Of every patient a PET with its lesion and a small node in the corner, and the lesion again on an image called CT.

    P02 has no CT; the mask of P03's CT is empty.
    """
    rows = []
    for row in study.rows[:10]:
        patient, folder = row["patient_id"], study.folder
        image = read_image(folder / row["image_path"])
        node = np.zeros(image.grid.shape, bool)
        node[:3, :3, :4] = True
        write_mask(folder / f"{patient}_node.nii.gz", Mask(image.grid, node))
        rows.append({**row, "case_id": f"{patient}_PET_GTVp", "roi": "GTVp"})
        rows.append({**row, "case_id": f"{patient}_PET_node", "mask_path": f"{patient}_node.nii.gz", "roi": "node"})
        if patient == "P02":
            continue
        shutil.copy(folder / row["image_path"], folder / f"{patient}_CT.nii.gz")
        shutil.copy(folder / row["mask_path"], folder / f"{patient}_CT_mask.nii.gz")
        if patient == "P03":
            write_mask(folder / f"{patient}_CT_mask.nii.gz", Mask(image.grid, np.zeros(image.grid.shape, bool)))
        ct = {"modality": "CT", "image_path": f"{patient}_CT.nii.gz", "mask_path": f"{patient}_CT_mask.nii.gz", "roi": "GTVp"}
        rows.append({**row, "case_id": f"{patient}_CT_GTVp", **ct})
    study.rows[:] = rows


@pytest.fixture(scope="module")
def finished(module_study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    two_modalities(module_study)
    out = tmp_path_factory.mktemp("patients") / "run"
    patients = {
        "rule": "sum", "others": "weighted_mean", "blocks": ["PET", "CT"], "same_region": False,
        "params": {"CT": {"setting": {"binWidth": 0.25}, "featureClass": {"shape": None, "firstorder": ["Entropy"]}}},
    }  # fmt: skip
    result = go(module_study.write(patients=patients, models=MODELS, splits=SPLITS), out, only=UPTO_COMPARE)
    assert result.exit_code == 3  # P03's empty mask is said
    counts = {stage.stage: (stage.cases_in, stage.cases_out, stage.failures) for stage in result.stages}
    assert counts["cohort"] == (29, 28, 1)
    assert counts["patients"] == (10, 10, 0)
    assert counts["train"] == (10, 10, 0)
    return out


def test_one_row_a_patient_and_every_value_is_that_of_its_regions(finished: Path) -> None:
    regions, rows = read(finished, "features").set_index("case_id"), read(finished, "patient_features").set_index("patient_id")
    assert len(rows) == 10
    volume, entropy = "original_shape_VoxelVolume", "original_firstorder_Entropy"
    a, b = regions.loc["P05_PET_GTVp"], regions.loc["P05_PET_node"]
    assert rows.loc["P05", f"PET__{volume}"] == pytest.approx(a[volume] + b[volume])
    # Weighted by the volume of the voxels, which is what VoxelVolume is.
    mean = (a[entropy] * a[volume] + b[entropy] * b[volume]) / (a[volume] + b[volume])
    assert rows.loc["P05", f"PET__{entropy}"] == pytest.approx(mean)
    assert rows.loc["P05", f"CT__{entropy}"] == regions.loc["P05_CT_GTVp", entropy]
    # The same voxels cut into bins half as wide have about one bit more.
    assert rows.loc["P05", f"CT__{entropy}"] == pytest.approx(a[entropy] + 1, abs=0.25)


def test_what_is_missing_is_a_gap_with_its_reason(finished: Path) -> None:
    rows = read(finished, "patient_features").set_index("patient_id")
    ct = [name for name in rows.columns if name.startswith("CT__")]
    assert rows[ct].isna().all(axis=1).pipe(lambda gone: list(gone[gone].index)) == ["P02", "P03"]
    undefined = read(finished, "undefined")
    why = undefined[undefined["feature"].isin(ct)].groupby("case_id")["reason"].unique().map(list).to_dict()
    assert why == {"P02_PET_GTVp": ["block-missing"], "P03_PET_GTVp": ["region-failed"]}
    failures = read(finished, "failures")
    assert list(failures["case_id"]) == ["P03_CT_GTVp"]
    # CT was not asked for most intensity features.
    energy = undefined[(undefined["feature"] == "original_firstorder_Energy") & (undefined["case_id"] == "P05_CT_GTVp")]
    assert list(energy["reason"]) == ["not-of-this-region"]


def test_the_dictionary_says_rule_modality_and_settings(finished: Path) -> None:
    told = read(finished, "feature_dictionary").set_index("name")
    rows = read(finished, "patient_features")
    of_patients = told[told["aggregation"] != ""]
    assert set(of_patients.index) == set(rows.columns) - {"patient_id", "case_id"}
    assert of_patients.loc["PET__original_shape_VoxelVolume", "aggregation"] == "sum"
    assert of_patients.loc["PET__original_firstorder_Entropy", "aggregation"] == "weighted_mean"
    assert '"binWidth": 0.25' in of_patients.loc["CT__original_firstorder_Entropy", "settings"]
    assert '"binWidth": 0.5' in of_patients.loc["PET__original_firstorder_Entropy", "settings"]
    assert told.loc["original_firstorder_Entropy", "settings_key"] == "by-modality"
    validator = jsonschema.Draft202012Validator(json_schema(SCHEMAS["feature_dictionary"]))
    for row in told.reset_index().to_dict("records"):
        validator.validate(row)


def test_models_learn_and_are_tested_by_patient(finished: Path) -> None:
    predictions, patients = read(finished, "predictions"), read(finished, "patients")
    tested = predictions[predictions["role"] == "test"]
    assert set(tested["case_id"]) == set(patients["case_id"])
    assert tested.groupby(["model", "case_id"]).size().max() == 1
    assert tested.groupby("model").size().to_dict() == {"ann": 10, "clinical": 10, "volume": 10}
    splits, cohort = read(finished, "splits"), read(finished, "cohort")
    roles = splits.merge(cohort[["case_id", "patient_id"]]).groupby(["repeat", "fold", "patient_id"])["role"].nunique()
    assert roles.max() == 1  # all lesions of a patient stay together
    kept = read(finished, "selection")
    assert kept["feature"].str.match("(PET|CT)__original_").all()
    volumes = cohort.set_index("case_id")["mask_volume_ml"]
    assert patients.set_index("patient_id").loc["P05", "volume_ml"] == pytest.approx(
        volumes["P05_PET_GTVp"] + volumes["P05_PET_node"]
    )


@pytest.mark.slow
def test_the_report_speaks_of_patients(finished: Path, module_study) -> None:
    go(module_study.folder / "workflow.yaml", finished, only=("report",))
    page = (finished / "report.html").read_text()
    assert "10 cases" in page
    assert "28 cases" not in page


def test_running_it_again_changes_nothing(finished: Path, module_study) -> None:
    before = {path.name: path.read_bytes() for path in finished.glob("*.parquet")}
    result = go(module_study.folder / "workflow.yaml", finished, only=("patients",))
    assert result.stages[0].cases_out == 10
    assert {path.name: path.read_bytes() for path in finished.glob("*.parquet")} == before


def test_without_the_key_nothing_of_it_is_left(finished: Path, module_study, tmp_path: Path) -> None:
    """And the tables are those of a run that never had it."""
    used = tmp_path / "used"
    shutil.copytree(finished, used)
    plain = module_study.write("plain.yaml", models=MODELS, splits=SPLITS)
    go(plain, used, only=UPTO_PATIENTS)
    go(plain, tmp_path / "new", only=UPTO_PATIENTS)
    for name in ("features", "feature_dictionary", "undefined", "cohort", "splits"):
        assert (used / f"{name}.parquet").read_bytes() == (tmp_path / "new" / f"{name}.parquet").read_bytes(), name
    assert not list(used.glob("patient*"))
    assert "aggregation" not in read(used, "feature_dictionary").columns
    module_study.write(**yaml.safe_load((module_study.folder / "workflow.yaml").read_text()))


@pytest.mark.slow
def test_an_image_model_looks_at_the_region_that_stands_for_the_patient(study, tmp_path: Path) -> None:
    two_modalities(study)
    cnn = {"kind": "cnn3d", "crop_voxels": [8, 8, 8], "epochs": 1, "minimum_epochs": 1, "members": 1, "batch": 4}
    models = {"ann": MODELS["ann"], "cnn": cnn}
    patients = {"rule": "largest", "blocks": ["CT", "PET"]}
    workflow = study.write(patients=patients, models=models, splits=SPLITS, comparison={"primary": ["ann", "cnn"]})
    result = go(workflow, tmp_path / "run", only=("cohort", "preprocess", "extract", "habitats", "patients", "select", "train"))
    counts = {stage.stage: (stage.cases_in, stage.cases_out) for stage in result.stages}
    assert counts["patients"] == (10, 8)
    failures = read(tmp_path / "run", "failures").set_index("case_id")
    assert "The patient has no region of this modality." in failures.loc["P02", "problem"]
    assert "could not be measured" in failures.loc["P03", "problem"]
    predictions = read(tmp_path / "run", "predictions")
    seen = predictions.groupby("model")["case_id"].apply(set).to_dict()
    assert seen["ann"] == seen["cnn"] == {f"P{k:02d}_CT_GTVp" for k in range(10) if k not in (2, 3)}


def test_a_features_table_made_elsewhere_has_rows_of_patients_too(study, tmp_path: Path) -> None:
    for row in study.rows:
        row["roi"] = "GTV"
    study.rows[1]["patient_id"], study.rows[1]["relapse"], study.rows[1]["roi"] = "P00", "0", "node"
    table = [
        {"case_id": row["case_id"], "original_shape_VoxelVolume": 1000.0 * (k + 1), "mine": k} for k, row in enumerate(study.rows)
    ]
    pd.DataFrame(table).to_csv(study.folder / "mine.csv", index=False)
    workflow = study.write(
        patients={"rule": "weighted_mean"}, features={"table": "mine.csv"}, models={"ann": MODELS["ann"]}, comparison={}
    )
    go(workflow, tmp_path / "run", only=UPTO_PATIENTS)
    rows = read(tmp_path / "run", "patient_features").set_index("patient_id")
    assert rows.loc["P00", "PET__mine"] == pytest.approx((1 * 0 + 2 * 1) / 3)
    added = study.write(patients={"rule": "sum"}, features={"table": "mine.csv"}, models={"ann": MODELS["ann"]}, comparison={})
    with pytest.raises(ConfigError, match="nothing"):
        go(added, tmp_path / "run", only=UPTO_PATIENTS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patients": {"rule": "sum"}, "models": {"cnn": {"kind": "cnn3d"}}, "comparison": {}}, "takes several together"),
        ({"patients": {"rule": "largest"}, "models": {"cnn": {"kind": "cnn3d"}}, "comparison": {}}, "name patients.blocks"),
        ({"patients": {"rule": "largest"}, "segmentation": {"masks": "predicted"}}, "which of several regions"),
        ({"patients": {"rule": "largest"}, "maps": {}}, "do not go together yet"),
        ({"patients": {"rule": "largest", "params": {"PET": {"setting": {"binWidht": 1}}}}}, "patients.params.PET"),
        ({"patients": {"rule": "largest", "params": {"PET": {"setting": {"label": 2}}}}}, "reads masks otherwise"),
        ({"patients": {"rule": "biggest"}}, "patients.rule"),
    ],
)
def test_workflows_that_would_not_be_sound_are_refused(study, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_workflow(study.write(**changes))


@pytest.mark.parametrize(
    ("patients", "words"),
    [
        ({"rule": "primary", "primary": "GTVp"}, "'roi' is missing"),
        ({"rule": "largest", "block": "sequence"}, "'sequence' is missing"),
        ({"rule": "largest", "blocks": ["PET", "CT"]}, "no row of the manifest has modality 'CT'.*there is PET"),
        ({"rule": "largest", "block": "relapse_word"}, "cannot begin the name of a column"),
    ],
)
def test_a_manifest_that_does_not_suffice_is_refused_before_any_image(
    study, tmp_path: Path, patients: dict[str, Any], words: str
) -> None:
    for row in study.rows:
        row["relapse_word"] = "T1 post/contrast"
    with pytest.raises(CohortError, match=words):
        go(study.write(patients=patients), tmp_path / "run", only=("cohort",))


def test_parameters_of_a_modality_may_lie_in_a_file(study) -> None:
    (study.folder / "pet.yaml").write_text(yaml.safe_dump({"setting": {"binWidth": 0.125}}))
    workflow = load_workflow(study.write(patients={"rule": "largest", "params": {"PET": "pet.yaml"}}))
    assert workflow.features_of("PET").params == {"setting": {"binWidth": 0.125}}
    assert workflow.features_of("CT") == workflow.features


@pytest.mark.slow  # a refit: half a minute beside other work
def test_patients_of_several_regions_are_predicted(finished: Path, module_study, tmp_path: Path) -> None:
    """A refit knows new patients' rows, and looks at volume among those alone whom it learns from."""
    rows = pd.DataFrame([row for row in module_study.rows if row["patient_id"] in ("P05", "P06")])
    for name in ("image_path", "mask_path"):
        rows[name] = [str(module_study.folder / path) for path in rows[name]]
    rows.drop(columns="relapse").to_csv(tmp_path / "new.csv", index=False)
    found = predict(finished, tmp_path / "new.csv", tmp_path / "out.csv", models=["ann"], workers=1)
    assert found.failures == [] and [row["patient_id"] for row in found.rows] == ["P05", "P06"] == list(found.seen)
    confounding = pd.read_parquet(finished / "refit" / "selection_volume.parquet")
    assert (confounding["n"] <= 10).all() and len(confounding)

"""``radpipe correlate`` on real files: what it writes, what it warns of, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from radpipe.cli.correlate import correlate as command
from radpipe.core import tables
from radpipe.errors import CohortError, ConfigError, RadpipeError
from radpipe.io.tables import read_table
from radpipe.stages.correlate import Question, read_inputs, run

N = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Features as radpipe extract writes them, and a clinician's sheet: another order, one patient more, one less."""
    where = tmp_path_factory.mktemp("correlate")
    rng = np.random.default_rng(7)
    signal = rng.normal(size=N)
    volume = np.exp(rng.normal(size=N))
    site = np.array(["A", "B", "C"])[np.arange(N) % 3]
    shift = np.where(site == "B", 8.0, 0.0)
    names = [f"P{i:03d}" for i in range(N)]
    features = pd.DataFrame(
        {
            "patient_id": names, "Image": "x.nii.gz", "label": 1, "diagnostics_Versions_Numpy": "2.0", "diagnostics_count": 3,
            "original_shape_MeshVolume": volume, "original_glcm_JointEntropy": signal + shift, "original_glcm_Contrast": rng.normal(size=N) + shift,
            "original_firstorder_Mean": -signal + 0.2 * rng.normal(size=N), "original_firstorder_Energy": np.log(volume) + 0.1 * rng.normal(size=N),
        }
    )  # fmt: skip
    features.loc[4, "original_firstorder_Mean"] = np.nan
    features.to_csv(where / "features.csv", index=False)
    time = rng.exponential(30 * np.exp(-signal)).round(1)
    sheet = pd.DataFrame(
        {
            "patient_id": names, "response": np.where(signal + 0.5 * rng.normal(size=N) > 0, "yes", "no"),
            "grade": np.array(["low", "mid", "high"])[np.digitize(signal, [-0.5, 0.5])], "months": np.minimum(time, 60),
            "status": np.where(time < 60, rng.choice(["relapse", "died"], N, p=[0.8, 0.2]), "alive"),
            "age": rng.normal(60, 9, N).round(), "sex": rng.choice(["f", "m"], N), "scanner": site, "same": "x", "texts": names,
        }
    )  # fmt: skip
    sheet = pd.concat(
        [sheet.sample(frac=1, random_state=1).query("patient_id != 'P010'"), sheet.iloc[:1].assign(patient_id="X999")]
    )
    sheet.to_csv(where / "outcomes.csv", index=False)
    return where


def asked(**more):
    return Question(time="months", event="status", event_values=("relapse",), competing_values=("died",), **more)


def test_what_the_command_writes(folder, tmp_path):
    out = tmp_path / "found"
    arguments = [
        str(folder / "features.csv"), str(folder / "outcomes.csv"), "--time", "months", "--event", "status", "--event-value", "relapse",
        "--competing-value", "died", "--adjust", "volume,age,sex", "--batch", "scanner",
        "--out", str(out),
    ]  # fmt: skip
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert result.exit_code == 0, result.output
    assert (
        "double use" in result.output
        and "59 patients" in result.output
        and "ComBat over 'scanner' (A 20, B 19, C 20)" in result.output
    )
    table = read_table(out / "associations.parquet", tables.ASSOCIATIONS)
    assert set(table["outcome"]) == {"status"} and set(table["analysis"]) == {"adjusted", "unadjusted"}
    entropy = table.query("feature == 'original_glcm_JointEntropy' and outcome == 'status' and analysis == 'adjusted'").iloc[0]
    assert (
        entropy["effect"] > 1.5
        and entropy["q_value"] < 0.01
        and "sex=m" in entropy["method"]
        and "cause-specific" in entropy["method"]
    )
    assert not any(name.startswith("diagnostics") or name == "label" for name in table["feature"])
    assert read_table(out / "tertiles.csv", tables.TERTILES)["feature"].nunique() == 4
    page = (out / "correlate.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 8 and "For looking, not for choosing" in page and "of the event" in page
    record = json.loads((out / "correlate.json").read_text())
    assert record["patients"] == 59 and len(record["saw_sha256"]) == 64 and "double use" in record["warning"]


def test_harmonising_finds_what_the_scanner_hides(folder):
    question = Question(outcomes=("response",))
    features, outcomes = folder / "features.csv", folder / "outcomes.csv"
    from radpipe.stages.correlate import correlate

    raw = correlate(read_inputs(features, outcomes, question), question).associations.set_index("feature")
    harmonised = Question(outcomes=("response",), batch="scanner")
    after = correlate(read_inputs(features, outcomes, harmonised), harmonised).associations.set_index("feature")
    for column in ("p_value", "effect"):  # surer, and a larger AUC
        before, now = (table.loc["original_glcm_JointEntropy", column] for table in (raw, after))
        assert (now < before) if column == "p_value" else (now > before)
    assert after.loc["original_firstorder_Mean", "n"] == 58  # its missing value stays missing
    assert raw.loc["original_glcm_JointEntropy", "measure"] == "auc"
    grades = Question(outcomes=("grade",), order=("low", "mid", "high"))
    found = correlate(read_inputs(features, outcomes, grades), grades).associations.set_index("feature")
    assert (
        found.loc["original_firstorder_Mean", "measure"] == "kendall" and found.loc["original_firstorder_Mean", "effect"] < -0.5
    )


def test_the_folder_of_a_run(folder, tmp_path):
    """Features by case, patients from the run's cohort; two lesions of a patient make a mixed model."""
    features = pd.read_csv(folder / "features.csv").drop(
        columns=["Image", "label", "diagnostics_Versions_Numpy", "diagnostics_count"]
    )
    cases = pd.concat([features, features], ignore_index=True)
    cases.insert(0, "case_id", [f"case{i}" for i in range(len(cases))])
    cohort = cases[["case_id", "patient_id"]]
    cases.drop(columns="patient_id").assign(roi="given").to_parquet(tmp_path / "features.parquet")
    cohort.to_parquet(tmp_path / "cohort.parquet")
    found = run(tmp_path, folder / "outcomes.csv", Question(outcomes=("response",), id_column="patient_id"), tmp_path / "out")
    assert found.patients == 59 and found.regions == 118
    assert any("mixed models" in note for note in found.notes) and set(found.associations["measure"]) == {"difference_in_sd"}


def test_a_page_gives_the_same_bytes_again(folder, tmp_path):
    question = Question(outcomes=("response",))
    for name in ("one", "two"):
        run(folder / "features.csv", folder / "outcomes.csv", question, tmp_path / name)
    for file in ("correlate.html", "associations.csv", "tertiles.csv", "feature_clusters.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.parametrize(
    ("question", "kind", "words"),
    [
        (Question(), ConfigError, "no outcome is named"),
        (Question(time="months"), ConfigError, "belong together"),
        (Question(outcomes=("reponse",)), CohortError, "Did you mean 'response'"),
        (Question(outcomes=("grade",)), CohortError, "Say their order"),
        (Question(outcomes=("texts",)), CohortError, "texts"),
        (Question(outcomes=("same",)), CohortError, "texts|same for everybody"),
        (Question(outcomes=("response",), positive="maybe"), ConfigError, "does not hold 'maybe'"),
        (Question(outcomes=("grade",), order=("low", "high")), ConfigError, "'mid', which --order"),
        (Question(outcomes=("response",), adjust=("response",)), ConfigError, "at once"),
        (Question(time="months", event="status"), CohortError, "--event-value"),
        (Question(time="months", event="status", event_values=("gone",)), ConfigError, "does not hold 'gone'"),
        (Question(time="texts", event="status", event_values=("died",)), CohortError, "the time 'texts' is 'P"),
        (Question(outcomes=("response",), batch="scanner", reference="Z"), ConfigError, "no site 'Z'"),
        (Question(outcomes=("response",), batch="texts"), CohortError, "has one case"),
        (Question(outcomes=("response",), adjust=("texts",)), CohortError, "different texts"),
        (Question(outcomes=("response",), id_column="nothing"), CohortError, "nothing"),
        (Question(outcomes=("response",), id_column="age"), RadpipeError, "."),
    ],
)
def test_what_is_refused(question, kind, words, folder, tmp_path):
    with pytest.raises(kind, match=words) as error:
        run(folder / "features.csv", folder / "outcomes.csv", question, tmp_path / "out")
    assert error.value.hint
    assert not (tmp_path / "out" / "correlate.html").exists()


def test_bad_tables_are_named(folder, tmp_path):
    sheet = pd.read_csv(folder / "outcomes.csv")
    sheet.assign(months=-sheet["months"]).to_csv(tmp_path / "negative.csv", index=False)
    with pytest.raises(CohortError, match=r"case P\d+: .*negative.csv: the time 'months' is -.*; times are 0 or more"):
        run(folder / "features.csv", tmp_path / "negative.csv", asked(), tmp_path / "out")
    sheet.assign(status="alive").to_csv(tmp_path / "alive.csv", index=False)
    with pytest.raises(ConfigError, match="does not hold 'died'"):
        run(folder / "features.csv", tmp_path / "alive.csv", asked(), tmp_path / "out")
    sheet.assign(patient_id=[f"other{i}" for i in range(len(sheet))]).to_csv(tmp_path / "others.csv", index=False)
    with pytest.raises(CohortError, match="no id of"):
        run(folder / "features.csv", tmp_path / "others.csv", asked(), tmp_path / "out")
    pd.DataFrame({"patient_id": ["P001"], "Image": ["x"]}).to_csv(tmp_path / "empty.csv", index=False)
    with pytest.raises(CohortError, match="no column of numbers"):
        run(tmp_path / "empty.csv", folder / "outcomes.csv", asked(), tmp_path / "out")

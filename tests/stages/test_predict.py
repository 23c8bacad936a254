"""New patients scored by a run's models, refitted on all its patients; and judged by them (``compare --external``)."""

from __future__ import annotations

import csv
import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from radpipe.config import load_workflow
from radpipe.errors import CohortError, ConfigError, RunError
from radpipe.io.files import sha256_file
from radpipe.pipeline import run
from radpipe.stages.compare_command import compare_external, write_comparison
from radpipe.stages.predict import predict
from radpipe.stages.refit_judged import refuse_known

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
    written = module_study.write(models=MODELS, compute=compute)
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


# `radpipe compare --external`: the same refit, judged


@pytest.fixture(scope="module")
def external(module_study, tmp_path_factory):
    """Twenty-four patients whom no model saw, with their outcomes, as rows of a manifest with absolute paths."""
    folder = tmp_path_factory.mktemp("external")
    others = type(module_study)(folder, [{}] * 40)
    others.add(24)
    return [{**row, **{k: str(folder / row[k]) for k in ("image_path", "mask_path")}} for row in others.rows[40:]]


@pytest.mark.slow  # of a table of features, the same in tests/stages/test_compare_external.py
def test_external_patients_are_judged_and_nothing_is_fitted_on_them(done, external, tmp_path):
    out = done[0]
    write_manifest(tmp_path, external)
    found = compare_external([str(out)], tmp_path / "manifest.csv", primary=("ann", "volume"), workers=1)
    told = found.external
    assert (told["patients"], told["events"], found.design["repeats"]) == (24, 12, 0)
    assert set(found.rows["test"]) == {"delong", "mcnemar", "paired_bootstrap"}
    assert set(found.rows.loc[found.rows["primary"], "test"]) == {"delong"} and "(beside)" in found.as_text()
    thresholds = pd.read_parquet(out / "refit" / "fits.parquet").set_index("model")["threshold"]
    calls = {
        model: part.set_index("case_id")["p_1"] >= thresholds[model]
        for model, part in found.together.predictions.groupby("model")
    }
    truth = {row["case_id"]: row["relapse"] == "1" for row in external}
    right = {model: np.mean([called == truth[case] for case, called in own.items()]) for model, own in calls.items()}
    mcnemar = found.rows[
        (found.rows["test"] == "mcnemar") & (found.rows["model_a"] == "ann") & (found.rows["model_b"] == "volume")
    ]
    assert mcnemar["effect"].iloc[0] == pytest.approx(right["ann"] - right["volume"])  # at the refit's own thresholds
    # DeLong's variance by hand, from the placements of every patient; on the logit scale, as the method says
    y = found.together.predictions.drop_duplicates("case_id").sort_values("case_id")["y_true"].to_numpy()
    assert y.tolist() == [int(row["relapse"]) for row in external]
    for model in MODELS:
        own = found.together.predictions
        p = own[own["model"] == model].sort_values("case_id")["p_1"].to_numpy()
        wins = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
        metrics = found.measured[0]
        row = metrics[(metrics["model"] == model) & (metrics["metric"] == "auc")].iloc[0]
        assert row["value"] == pytest.approx(wins.mean())
        if 0 < wins.mean() < 1:
            error = np.sqrt(wins.mean(axis=1).var(ddof=1) / 12 + wins.mean(axis=0).var(ddof=1) / 12)
            centre, half = np.log(wins.mean() / (1 - wins.mean())), 1.959964 * error / (wins.mean() * (1 - wins.mean()))
            assert (row["ci_low"], row["ci_high"]) == pytest.approx(
                [1 / (1 + np.exp(-(centre + s * half))) for s in (-1, 1)], abs=1e-6
            )
            assert "DeLong" in row["method"]
    # the hashes are those of the files that lie there, once and with other patients in the test part
    assert len(told["weights"]) == 2 * len(MODELS) and told["unchanged"]
    for row in told["weights"]:
        assert row["before"] == row["after"] == hashlib.sha256((out / row["file"]).read_bytes()).hexdigest()
    page = write_comparison(found, tmp_path / "out").read_text()
    assert told["weights"][0]["after"] in page and "24 patients of manifest.csv, 12 with the event" in page
    assert json.loads((tmp_path / "out" / "external.json").read_text())["weights"] == told["weights"]
    assert len(pd.read_csv(tmp_path / "out" / "external_predictions.csv")) == 24 * len(MODELS)
    said = " ".join(found.sentences)
    assert "refitted on all development patients (16 of out)" in said and "this cohort is small" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows, known: [*rows, known | {"relapse": "1"}], "is among the run's own patients"),
        (lambda rows, known: [*rows, known | {"case_id": "X", "patient_id": "X", "relapse": "1"}], "one patient under two ids"),
        (lambda rows, known: [*rows, rows[0] | {"case_id": "X", "patient_id": "X", "mask_path": rows[1]["mask_path"]}], "one patient under two ids"),
        (lambda rows, known: [{**row, "relapse": {"0": "no", "1": "yes"}[row["relapse"]]} for row in rows], "another coding"),
        (lambda rows, known: [{**row, "relapse": str(int(row["relapse"]) + 1)} for row in rows], "another coding"),
        (
            lambda rows, known: [{("relapsed" if k == "relapse" else k): v for k, v in row.items()} for row in rows],
            "'relapse' is missing. Did you mean 'relapsed'",
        ),
        (lambda rows, known: [row for row in rows if row["relapse"] == "1"], "has one class only"),
        (lambda rows, known: [{k: v for k, v in row.items() if k != "age"} for row in rows], "clinical column 'age' is missing"),
        (
            lambda rows, known: [*rows, rows[1] | {"case_id": "X", "relapse": "0", "image_path": rows[2]["image_path"]}],
            "two different outcomes",
        ),
    ],
)  # fmt: skip
def test_an_external_cohort_that_would_mislead_is_refused(done, external, tmp_path, change, said):
    out, _, _, known = done
    write_manifest(tmp_path, change(external, known))
    with pytest.raises(CohortError, match=said) as error:
        compare_external([str(out)], tmp_path / "manifest.csv", primary=("ann", "volume"), workers=1)
    assert error.value.hint


def test_a_mask_that_many_share_tells_nothing_of_whose_it_is(tmp_path):
    """A box of one size on every patient is no patient under two ids; a mask that one new patient shares with one of the run's is."""
    for name, content in (("box", b"a box"), ("lesion", b"a lesion"), ("one", b"1"), ("two", b"2")):
        (tmp_path / name).write_bytes(content)
    box, lesion = (sha256_file(tmp_path / name) for name in ("box", "lesion"))
    run = pd.DataFrame(
        {
            "case_id": ["A", "B", "C"],
            "patient_id": ["A", "B", "C"],
            "image_sha256": ["1a", "1b", "1c"],
            "mask_sha256": [box, box, lesion],
        }
    )

    def fresh(*masks):
        return pd.DataFrame(
            [{"own_id": f"N{k}", "own_patient": f"N{k}", "image_path": str(tmp_path / ("one", "two")[k]), "mask_path": str(tmp_path / mask)}
             for k, mask in enumerate(masks)]
        )  # fmt: skip

    refuse_known(run, fresh("box", "box"), tmp_path / "new.csv")
    with pytest.raises(CohortError, match=r"case C of the run .patient 'C'.: one patient under two ids"):
        refuse_known(run, fresh("box", "lesion"), tmp_path / "new.csv")
    with pytest.raises(CohortError, match=r"that of case N0 .patient 'N0'."):
        refuse_known(run.iloc[:0], fresh("box", "box"), tmp_path / "new.csv")

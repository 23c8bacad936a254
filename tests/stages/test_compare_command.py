"""``radpipe compare``: the same answer whichever way the predictions come, and every mismatch named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.question import question_key, standing
from radpipe.core import tables
from radpipe.errors import CohortError, ConfigError, RadpipeError
from radpipe.io.run_folder import RunFolder
from radpipe.io.tables import write_table
from radpipe.stages.compare_command import compare_sources, write_comparison

REPEATS, FOLDS, N = 4, 3, 30


def predictions(model: str, signal: float, seed: int) -> pd.DataFrame:
    """Out-of-fold probabilities of 30 patients, a third of them with the event."""
    rng = np.random.default_rng(seed)
    rows = []
    for repeat in range(REPEATS):
        fold = np.arange(N) * 7 // 3 % FOLDS if repeat % 2 else np.arange(N) % FOLDS
        for case in range(N):
            y = int(case % 10 < 4)
            p = 1 / (1 + np.exp(-(signal * (y - 0.5) + rng.normal())))
            rows.append(
                {"repeat": repeat, "fold": int(fold[case]), "model": model, "case_id": f"P{case:02d}", "y_true": y, "p_1": p}
            )
    return pd.DataFrame(rows)


def splits_of(frame: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (repeat, fold), part in frame.drop_duplicates(["repeat", "fold", "case_id"]).groupby(["repeat", "fold"]):
        rows += [
            {"repeat": repeat, "fold": fold, "case_id": case, "role": "test" if case in set(part["case_id"]) else "train"}
            for case in sorted(set(frame["case_id"]))
        ]
    return pd.DataFrame(rows)


def write_run(folder: Path, frame: pd.DataFrame, comparison: str = "{primary: [a, b], margin: 0.1}") -> Path:
    folder.mkdir()
    full = frame.assign(seed=0, role="test", p_0=1 - frame["p_1"])
    write_table(tables.make_table(tables.PREDICTIONS, full), folder / "predictions.parquet", tables.PREDICTIONS)
    write_table(tables.make_table(tables.SPLITS, splits_of(frame)), folder / "splits.parquet", tables.SPLITS)
    people = frame.drop_duplicates("case_id")
    cohort = pd.DataFrame(
        {
            "case_id": people["case_id"], "patient_id": people["case_id"], "modality": "PET", "image_path": "i", "mask_path": "m",
            "label": 1, "outcome": people["y_true"], "image_sha256": "", "mask_sha256": "", "mask_volume_ml": 1.0,
        }
    )  # fmt: skip
    write_table(tables.make_table(tables.COHORT, cohort), folder / "cohort.parquet", tables.COHORT)
    (folder / "config.yaml").write_text(f"name: study\ncomparison: {comparison}\n")
    (folder / "run.json").write_text('{"radpipe_run": 1, "workflow": "study"}\n')
    return folder


@pytest.fixture
def sides(tmp_path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return predictions("a", 2.0, 1), predictions("b", 0.5, 2)


def csv(path: Path, frame: pd.DataFrame) -> str:
    frame.to_csv(path, index=False)
    return str(path)


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    columns = ["statistic", "df", "p_value", "effect", "ci_low", "ci_high", "p_equivalence"]
    np.testing.assert_allclose(left[columns].to_numpy(float), right[columns].to_numpy(float), rtol=1e-12)


def test_a_run_two_runs_and_two_tables_give_the_same_numbers(tmp_path: Path, sides) -> None:
    a, b = sides
    one = compare_sources([str(write_run(tmp_path / "one", pd.concat([a, b])))])
    runs = compare_sources([f"{write_run(tmp_path / 'left', a)}:a", f"{write_run(tmp_path / 'right', b)}:b"], margin=0.1)
    files = compare_sources([csv(tmp_path / "a.csv", a), csv(tmp_path / "b.csv", b)], margin=0.1)
    same(one.rows, runs.rows)
    same(one.rows, files.rows)
    assert one.rows["primary"].all()
    assert files.design == {"repeats": REPEATS, "folds": FOLDS, "n": N, "patients": N, "events": 12, "level": 0.95}
    page = write_comparison(files, tmp_path / "out").read_text()
    assert files.headline in page.replace("&#39;", "'")
    assert (tmp_path / "out" / "comparison.csv").is_file()


def test_swapping_the_sides_flips_every_sign_and_nothing_else(tmp_path: Path, sides) -> None:
    a, b = (csv(tmp_path / f"{name}.csv", frame) for name, frame in zip("ab", sides, strict=True))
    there, back = (
        compare_sources([a, b], primary=("a", "b")).rows.iloc[0],
        compare_sources([a, b], primary=("b", "a")).rows.iloc[0],
    )
    assert (there["model_a"], there["model_b"]) == (back["model_b"], back["model_a"]) == ("a", "b")
    for name, of_back in (("effect", "effect"), ("statistic", "statistic"), ("ci_low", "ci_high"), ("ci_high", "ci_low")):
        assert there[name] == pytest.approx(-back[of_back], abs=1e-12)
    for name in ("p_value", "p_equivalence", "df"):
        assert there[name] == pytest.approx(back[name])
    mirrored = {"a_better": "b_better", "b_better": "a_better"}
    assert back["verdict"] == mirrored.get(there["verdict"], there["verdict"])


def test_whether_images_add_anything_is_answered_first(tmp_path: Path, sides) -> None:
    """a, on images, is far better than b, on the volume; where nobody says what a model eats, the question is not put."""
    run = write_run(tmp_path / "run", pd.concat(sides))
    assert compare_sources([str(run)]).images is None
    with (run / "config.yaml").open("a") as file:
        file.write("models:\n  a: {kind: ann, inputs: selected}\n  b: {kind: logistic, inputs: volume}\n")
    found = compare_sources([str(run)], alpha=0.2)
    assert found.rows["verdict"].to_list() == ["a_better"]
    assert found.images is not None and found.images["kind"] == "yes"
    page = write_comparison(found, tmp_path / "out").read_text()
    assert page.index("Do images add anything") < page.index(found.headline)
    # a second run's models go by other names, and are known all the same
    twice = compare_sources([str(run), f"{write_run(tmp_path / 'other', sides[1])}:b"])
    assert "Volume" not in twice.together.models and twice.images is not None


def test_a_model_is_never_better_than_itself(tmp_path: Path, sides) -> None:
    run = write_run(tmp_path / "run", sides[0])
    found = compare_sources([f"{run}:a", f"{run}:a"])
    assert set(found.rows["verdict"]) <= {"equivalent", "not_resolved"}


def test_held_out_patients_need_no_folds(tmp_path: Path, sides) -> None:
    columns = ["case_id", "y_true", "p_1"]
    a, b = (csv(tmp_path / f"{n}.csv", frame[frame["repeat"] == 0][columns]) for n, frame in zip("ab", sides, strict=True))
    found = compare_sources([a, b])
    assert found.design["repeats"] == 0
    assert "held out" in found.sentences[0]
    assert set(found.rows["test"]) >= {"delong"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f[f["case_id"] != "P03"], "has patients that b has not: P03|never tests|has patients that"),
        (lambda f: f.assign(p_1=f["p_1"] + 1), "probabilities lie between 0 and 1"),
        (lambda f: f.assign(p_1=np.where(np.arange(len(f)) == 4, np.nan, f["p_1"])), "P04.*p_1 is empty in row 6"),
        (lambda f: f.assign(p_1=["high" if k == 4 else v for k, v in enumerate(f["p_1"])]), "P04.*p_1 is 'high' in row 6"),
        (lambda f: pd.concat([f, f.head(1)]), "the case stands twice in repeat 0, fold 0"),
        (lambda f: f.assign(y_true=1 - f["y_true"]), "All are the other way round"),
        (lambda f: f.assign(fold=(f["fold"] + f["case_id"].str[1:].astype(int) // 15) % FOLDS), "have different splits"),
        (lambda f: f.drop(columns=["repeat", "fold"]).drop_duplicates("case_id"), "comes from cross-validation and"),
        (lambda f: f.drop(columns="fold"), "there is a column repeat and none named fold"),
        (lambda f: f.drop(columns="y_true"), "the column 'y_true' is missing"),
        (lambda f: f.assign(y_true=0.5), "it is a whole number"),
        (lambda f: f.rename(columns={"p_1": "prob"}), "the column 'p_1' is missing"),
        (lambda f: f.assign(fold="first"), "fold is 'first' in row 2"),
        (lambda f: f[~((f["case_id"] == "P03") & (f["repeat"] == 1))], "repeat 1 never tests P03"),
    ],
)
def test_what_cannot_be_compared_is_named(tmp_path: Path, sides, change, said: str) -> None:
    a, b = csv(tmp_path / "a.csv", sides[0]), csv(tmp_path / "b.csv", change(sides[1]))
    with pytest.raises(CohortError, match=said) as error:
        compare_sources([a, b])
    assert error.value.hint


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        (["a.csv"], {}, "there is one model"),
        (["a.csv", "b.csv"], {"margin": 0.0}, "--margin is 0; it lies above 0 and below 1. It is the largest"),
        (["a.csv", "b.csv"], {"metric": "kappa"}, "--metric"),
        (["a.csv", "b.csv"], {"primary": ("a", "c")}, "--primary names 'c'"),
        (["a.csv", "b.csv"], {"primary": ("a",)}, "names 1 models"),
        (["a.csv:x", "b.csv"], {}, "has no model 'x'"),
        (["nothing", "b.csv"], {}, "is neither the folder of a run nor a table"),
        (["nothing.csv", "b.csv"], {}, "not there|No such|does not exist"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(tmp_path: Path, sides, texts, options, said: str) -> None:
    for name, frame in zip("ab", sides, strict=True):
        csv(tmp_path / f"{name}.csv", frame)
    with pytest.raises(RadpipeError, match=said) as error:
        compare_sources([str(tmp_path / text) for text in texts], **options)
    assert error.value.hint or isinstance(error.value, ConfigError)


def test_the_outcomes_of_a_run_serve_a_table_without_them(tmp_path: Path, sides) -> None:
    a, b = sides
    run = write_run(tmp_path / "run", a)
    found = compare_sources([csv(tmp_path / "b.csv", b.drop(columns="y_true")), f"{run}:a"])
    same(found.rows, compare_sources([csv(tmp_path / "b2.csv", b), f"{run}:a"], primary=("b", "a")).rows)


def test_only_a_question_asked_before_the_outcomes_is_planned(tmp_path: Path, sides) -> None:
    settings = ComparisonSettings.model_validate({"primary": ("a", "b"), "margin": 0.1})
    other = ComparisonSettings.model_validate({"primary": ("a", "b"), "margin": 0.2})
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    for asked in (settings, settings):
        folder.record_question(question_key(asked), {"primary": ["a", "b"], "metric": "auc", "margin": 0.1, "alpha": 0.05})
    assert standing(folder.questions(), question_key(settings)) == {
        "sha256": question_key(settings), "prior": True, "changes": 0, "first": None,
    }  # fmt: skip
    (folder.path / "cohort.parquet").write_bytes(b"")  # the outcomes have been read
    folder.record_question(question_key(other), {"primary": ["a", "b"], "metric": "auc", "margin": 0.2, "alpha": 0.05})
    changed = standing(folder.questions(), question_key(other))
    assert (changed["prior"], changed["changes"]) == (False, 1)
    assert changed["first"]["margin"] == 0.1
    assert standing(folder.questions(), question_key(settings))["prior"]  # the first question stays planned
    late = RunFolder(tmp_path / "late")
    late.path.mkdir()
    (late.path / "cohort.parquet").write_bytes(b"")
    late.record_question(question_key(settings), {})
    assert not standing(late.questions(), question_key(settings))["prior"]

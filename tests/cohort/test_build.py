from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from radpipe.cohort.build import make_cases, read_manifest
from radpipe.cohort.config import RESERVED, CohortSettings, SplitSettings
from radpipe.core.tables import COHORT
from radpipe.errors import CohortError, FileProblem, RadpipeError
from radpipe.io.tables import read_text_table

HEADER = ["case_id", "patient_id", "modality", "image_path", "mask_path", "label", "event", "age", "stage"]


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, str]]:
    """Ten good cases of ten patients with their files."""
    made = []
    for number in range(10):
        for kind in ("i", "m"):
            (tmp_path / f"{kind}{number}.nii.gz").write_bytes(b"x")
        made.append(
            dict(
                zip(
                    HEADER,
                    [
                        f"00{number}",
                        f"p{number}",
                        "CT",
                        f"i{number}.nii.gz",
                        f"m{number}.nii.gz",
                        "1",
                        str(number % 2),
                        "50",
                        "II",
                    ],
                    strict=True,
                )
            )
        )
    return made


def read(rows: list[dict[str, str]], base: Path, splits: SplitSettings | None = None, with_images: bool = True, **changes):
    settings = CohortSettings(**{"manifest": "m.csv", "outcome": "event", "clinical": ("age", "stage")} | changes)
    return read_manifest(pd.DataFrame(rows), settings, base=base, source=base / "m.csv", splits=splits, with_images=with_images)


def refusal(rows: list[dict[str, str]], base: Path, **changes: object) -> str:
    with pytest.raises(CohortError) as caught:
        read(rows, base, **changes)
    assert caught.value.path == str(base / "m.csv") and caught.value.hint
    return caught.value.problem


def test_a_good_manifest(rows, tmp_path: Path) -> None:
    good, errors = read(rows, tmp_path)
    assert errors == []
    assert good["case_id"].tolist() == [f"00{n}" for n in range(10)], "leading zeros stay"
    assert good["outcome"].tolist() == [0, 1] * 5 and good["outcome"].dtype == "int64"
    assert good["age"].dtype == "float64" and isinstance(good["stage"].dtype, pd.StringDtype)
    case = make_cases(good, tmp_path)[3]
    assert (case.case_id, case.patient_id, case.label, case.outcome) == ("003", "p3", 1, 1)
    assert case.image_path == tmp_path / "i3.nii.gz" and case.image_path.is_file()


def test_pyradiomics_headers(rows, tmp_path: Path) -> None:
    theirs = [
        {"ID": r["case_id"], "Image": r["image_path"], "Mask": r["mask_path"], "Label": "", "event": r["event"]} for r in rows
    ]
    good, errors = read(theirs, tmp_path, clinical=(), modality="MR")
    assert errors == []
    assert good["patient_id"].tolist() == good["case_id"].tolist()
    assert set(good["label"]) == {1} and set(good["modality"]) == {"MR"}


def test_absolute_paths_and_pt_for_pet(rows, tmp_path: Path) -> None:
    for row in rows:
        row["image_path"] = str(tmp_path / row["image_path"])
        row["modality"] = "pt"
    assert "case 009: row 11: the mask_path does not exist" in refusal(rows, Path("/"), clinical=())  # masks start elsewhere
    good, errors = read(rows, tmp_path)
    assert errors == [] and set(good["modality"]) == {"PET"}


CASE_FAULTS = {
    "event": ("", "row 5: the outcome 'event' is missing"),
    "modality": ("XR", "row 5: the modality is 'XR'"),
    "label": ("one", "row 5: the label 'one' is not a whole number above 0"),
    "image_path": ("", "row 5: the image_path is empty"),
    "mask_path": ("gone.nii.gz", "row 5: the mask_path does not exist"),
    "patient_id": ("", "row 5: the patient_id is empty"),
    "case_id": ("../../etc/passwd", "holds a slash"),
}


@pytest.mark.parametrize("column", CASE_FAULTS)
def test_what_concerns_one_case_costs_that_case_only(rows, tmp_path: Path, column: str) -> None:
    value, words = CASE_FAULTS[column]
    rows[3][column] = value
    good, errors = read(rows, tmp_path)
    assert len(good) == 9 and len(errors) == 1
    assert isinstance(errors[0], RadpipeError) and errors[0].case_id == rows[3]["case_id"]
    assert words in errors[0].problem and errors[0].hint


@pytest.mark.parametrize(
    ("label", "good"), [("", 1), ("2", 2), ("2.0", 2), ("0", None), ("-1", None), ("1.5", None), ("nan", None)]
)
def test_labels(rows, tmp_path: Path, label: str, good: int | None) -> None:
    rows[0]["label"] = label
    table, errors = read(rows, tmp_path)
    assert (table["label"][0] if not errors else None) == good


@pytest.mark.parametrize("case_id", ["a\nb", "a\\b", ".hidden", "..", "é" * 80, "a\x00b"])
def test_ids_that_cannot_name_a_file(rows, tmp_path: Path, case_id: str) -> None:
    rows[0]["case_id"] = case_id
    assert [error.case_id for error in read(rows, tmp_path)[1]] == [case_id]


def test_everything_wrong_with_a_case_is_one_row(rows, tmp_path: Path) -> None:
    rows[3] |= {"label": "x", "mask_path": "gone", "modality": ""}
    (error,) = read(rows, tmp_path)[1]
    for words in ("label 'x'", "mask_path does not exist", "modality is missing"):
        assert words in error.problem
    rows[3] |= {"label": "1", "modality": "CT"}
    (error,) = read(rows, tmp_path)[1]
    assert isinstance(error, FileProblem) and error.path == str(tmp_path / "gone")


@pytest.mark.parametrize(("path", "words"), [(".", "is a folder"), ("a" * 5000, "does not exist"), ("a\0b", "does not exist")])
def test_paths_that_cannot_be_files(rows, tmp_path: Path, path: str, words: str) -> None:
    rows[0]["image_path"] = path
    assert words in read(rows, tmp_path)[1][0].problem


def test_all_problems_of_the_manifest_at_once(rows, tmp_path: Path) -> None:
    rows[1]["case_id"] = "000"
    rows[3]["patient_id"] = "p2"
    rows[5]["case_id"] = ""
    rows[6]["age"] = "sixty"
    rows[7] |= {"image_path": "i8.nii.gz", "mask_path": "./m8.nii.gz"}
    rows[9]["mask_path"] = "gone"
    problem = refusal(rows, tmp_path)
    for words in (
        "case_id '000' stands in rows 2 and 3",
        "patient 'p2' has two different outcomes",
        "row 7 has no case_id",
        "'age' holds 'sixty' in row 8 among numbers",
        "'007' and '008' are the same region",
        "case 009: row 11: the mask_path does not exist",
    ):
        assert words in problem


def test_columns_that_are_missing_name_the_nearest(rows, tmp_path: Path) -> None:
    renamed = [
        {{"image_path": "imagepath", "event": "events"}.get(k, k): v for k, v in r.items() if k != "modality"} for r in rows
    ]
    problem = refusal(renamed, tmp_path, clinical=("aeg",))
    assert "'image_path' is missing. Did you mean 'imagepath'?" in problem
    assert "outcome column 'event' is missing. Did you mean 'events'?" in problem
    assert "clinical column 'aeg' is missing. Did you mean 'age'?" in problem
    assert "'modality' is missing" in problem and "cohort.modality" in problem


@pytest.mark.parametrize(
    ("values", "changes", "words"),
    [
        (["1"] * 10, {}, "one class only"),
        ([""] * 10, {}, "is empty"),
        (["0", "1", "2", "0", "1"] * 2, {}, "class 2 has 2 patients"),
        (["yes", "no"] * 5, {}, "Say which value is class 1"),
        (["yes", "no"] * 5, {"positive": "Yes"}, "cohort.positive is 'Yes', but the outcome 'event' holds 'no' and 'yes'"),
        (["yes", "no", "so"] * 3 + ["no"], {"positive": "yes"}, "3 classes"),
        (["1"] + ["0"] * 9, {"splits": SplitSettings(folds=2)}, "class 1 has 1 patients; 2 folds need at least 4"),
        (["1", "0"] * 5, {"splits": SplitSettings(folds=11)}, "10 patients for 11 folds"),
        (["1", "0"] * 5, {"splits": SplitSettings(folds=6)}, "class 0 has 5 patients; 6 folds need at least 6"),
    ],
)
def test_outcomes_that_cannot_be_used(rows, tmp_path: Path, values, changes, words: str) -> None:
    for row, value in zip(rows, values, strict=True):
        row["event"] = value
    assert words in refusal(rows, tmp_path, **changes)


def test_an_outcome_in_words(rows, tmp_path: Path) -> None:
    for row in rows:
        row["event"] = {"0": "alive", "1": "dead"}[row["event"]]
    assert read(rows, tmp_path, positive="dead")[0]["outcome"].tolist() == [0, 1] * 5
    assert read(rows, tmp_path, positive="alive")[0]["outcome"].tolist() == [1, 0] * 5


def test_one_class_is_left_after_the_bad_cases(rows, tmp_path: Path) -> None:
    for row in rows[1::2]:
        row["image_path"] = "gone"
    problem = refusal(rows, tmp_path)
    assert "leaving out 5 of 10 cases" in problem


def test_without_images_where_features_were_made_elsewhere(rows, tmp_path: Path) -> None:
    bare = [{name: row[name] for name in ("case_id", "patient_id", "event", "age", "stage")} for row in rows]
    good, errors = read(bare, tmp_path, with_images=False)
    assert errors == [] and len(good) == 10 and set(good["image_path"]) == {""}
    assert "'image_path' is missing" in refusal(bare, tmp_path)


def test_an_empty_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(",".join(HEADER) + "\n")
    settings = CohortSettings(manifest="m.csv", outcome="event")
    with pytest.raises(CohortError, match="no rows"):
        read_manifest(read_text_table(tmp_path / "m.csv"), settings, base=tmp_path, source=tmp_path / "m.csv")


def test_rows_are_numbered_as_in_the_file(rows, tmp_path: Path) -> None:
    rows[1]["label"] = "x"
    lines = [",".join(HEADER), "", *(",".join(row.values()) for row in rows)]
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    settings = CohortSettings(manifest="m.csv", outcome="event")
    _, (error,) = read_manifest(read_text_table(tmp_path / "m.csv"), settings, base=tmp_path, source=tmp_path / "m.csv")
    assert error.problem.startswith("row 4:")


def test_ids_that_differ_in_case_only(rows, tmp_path: Path) -> None:
    rows[0]["case_id"], rows[1]["case_id"] = "Ab", "aB"
    assert "'Ab' and 'aB' differ in upper and lower case only" in refusal(rows, tmp_path)


def test_clinical_columns_may_have_gaps_and_category_numbers_are_numbers(rows, tmp_path: Path) -> None:
    rows[0] |= {"age": "NA", "stage": ""}
    good, _ = read(rows, tmp_path)
    assert good["age"].isna().tolist()[:2] == [True, False] and good["stage"].isna().tolist()[:2] == [True, False]


def test_reserved_names_are_the_cohort_table_s() -> None:
    assert {column.name for column in COHORT.columns} == RESERVED


def test_settings_are_read_without_pandas() -> None:
    code = "import sys, radpipe.cohort.config, radpipe.preprocessing.config; print({'pandas', 'SimpleITK'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"outcome": "event", "clinical": ["age", "event"]}, "would read the answer"),
        ({"outcome": "event", "clinical": ["age", "age"]}, "twice"),
        ({"outcome": "event", "clinical": ["label"]}, "column of the cohort table"),
        ({"outcome": "event", "clincal": []}, "clincal"),
        ({}, "outcome"),
    ],
)
def test_settings_that_contradict_themselves(settings, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CohortSettings(manifest="m.csv", **settings)

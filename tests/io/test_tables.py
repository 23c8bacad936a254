from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radpipe.core.tables import COHORT, FAILURES, FEATURES, METRICS, SELECTION, SPLITS, make_table
from radpipe.errors import FileProblem, SchemaError
from radpipe.io.tables import protect, read_table, read_text_table, to_csv, unprotect, write_table

SPLIT_ROWS = [
    {"repeat": r, "fold": f, "case_id": c, "role": "test" if f == int(c[-1]) else "train"}
    for r in range(2) for f in range(2) for c in ("case_0", "case_1")
]  # fmt: skip
METRIC_ROW = {"model": "ann", "metric": "auc", "repeat": -1, "fold": -1, "role": "test", "value": 0.1 + 0.2, "ci_low": math.nan,
              "ci_high": 1e-300, "n": 34, "method": "DeLong"}  # fmt: skip
SELECTION_ROW = {
    "repeat": 0,
    "fold": 0,
    "sources": "scalar",
    "feature": "f",
    "importance": 0.5,
    "kept": True,
    "reason": "kept",
    "redundant_with": "",
}


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize(("schema", "rows"), [(SPLITS, SPLIT_ROWS), (METRICS, [METRIC_ROW]), (SELECTION, [SELECTION_ROW])])
def test_what_is_written_is_read(tmp_path: Path, schema, rows, suffix: str) -> None:
    write_table(pd.DataFrame(rows), tmp_path / "t.parquet", schema, csv=True)
    got = read_table(tmp_path / f"t{suffix}", schema)
    pd.testing.assert_frame_equal(got, make_table(schema, rows), check_exact=True)


def test_the_order_of_rows_and_columns_and_the_index_do_not_change_a_byte(tmp_path: Path) -> None:
    frame = pd.DataFrame(SPLIT_ROWS)
    shuffled = frame.sample(frac=1, random_state=3)[["role", "case_id", "fold", "repeat"]]
    shuffled["case_id"] = shuffled["case_id"].astype(object)
    write_table(frame, tmp_path / "a.parquet", SPLITS, csv=True)
    write_table(shuffled, tmp_path / "b.parquet", SPLITS, csv=True)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert pq.read_metadata(tmp_path / "a.parquet").metadata is None  # pandas would put its version there


def test_clinical_columns_keep_numbers_text_and_gaps(tmp_path: Path) -> None:
    row = {"patient_id": "p", "modality": "PET", "image_path": "i", "mask_path": "m", "label": 1, "outcome": 0,
           "image_sha256": "", "mask_sha256": "", "mask_volume_ml": 1.5}  # fmt: skip
    frame = pd.DataFrame(
        [row | {"case_id": c, "age": a, "grade": g} for c, a, g in (("001", 59.0, "High"), ("002", np.nan, None))]
    )
    write_table(frame, tmp_path / "c.parquet", COHORT, csv=True)
    got = read_table(tmp_path / "c.parquet", COHORT)
    assert got["case_id"].tolist() == ["001", "002"]
    assert got["age"].dtype == "float64" and got["age"].isna().tolist() == [False, True]
    assert got["grade"].isna().tolist() == [False, True] and got["grade"][0] == "High"


def test_numbers_survive_csv_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal(500) * 10.0 ** np.random.default_rng(1).integers(-30, 30, 500)
    frame = pd.DataFrame({"case_id": [f"c{i:03}" for i in range(500)], "roi": "given", "f": values})
    write_table(frame, tmp_path / "f.parquet", FEATURES, csv=True)
    assert read_table(tmp_path / "f.csv", FEATURES)["f"].tolist() == values.tolist()


def test_a_table_that_does_not_fit_is_refused_both_ways(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="role"):
        write_table(pd.DataFrame(SPLIT_ROWS).drop(columns="role"), tmp_path / "t.parquet", SPLITS)
    assert not list(tmp_path.iterdir())
    write_table(pd.DataFrame([METRIC_ROW]), tmp_path / "t.parquet", METRICS)
    with pytest.raises(SchemaError, match=r"t\.parquet.*splits"):
        read_table(tmp_path / "t.parquet", SPLITS)
    (tmp_path / "t.csv").write_text("repeat,fold,case_id,role\n0,1.5,a,test\n")
    with pytest.raises(SchemaError, match=r"'fold' holds '1\.5'"):
        read_table(tmp_path / "t.csv", SPLITS)


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "none"])
def test_a_damaged_parquet_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "t.parquet"
    write_table(pd.DataFrame(SPLIT_ROWS), path, SPLITS)
    data = {"cut": path.read_bytes()[:-20], "text": b"hello", "empty": b""}
    if damage == "none":
        path.unlink()
    else:
        path.write_bytes(data[damage])
    with pytest.raises(FileProblem, match=r"t\.parquet"):
        read_table(path, SPLITS)


FORMULAS = ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "＝1", "'=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_a_spreadsheet_would_run_is_protected(tmp_path: Path, text: str) -> None:
    row = {"case_id": text, "stage": "cohort", "error": "file", "path": text, "problem": text, "hint": "-5", "rerun": "x"}
    written = list(csv.reader(io.StringIO(to_csv(make_table(FAILURES, [row])))))[1]
    for cell in (written[0], written[3], written[4]):
        assert cell == "'" + text
    assert written[5] == "-5"


def test_negative_numbers_are_not_touched() -> None:
    assert to_csv(pd.DataFrame({"a": [-1.5], "=b": [-2]})) == "a,'=b\n-1.5,-2\n"


@given(st.text())
def test_protection_can_be_undone_and_leaves_no_formula(text: str) -> None:
    safe = protect(text)
    assert unprotect(safe) == text
    assert not safe or safe[0] not in "=@\t\r＝＋－＠"
    if safe and safe[0] in "+-":
        float(safe)


def test_a_table_written_by_a_person(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes('\ufeffID ;Grösse;;\r\n 001;5,3;;\r\n\r\n"a;b";;;\r\n'.encode())
    got = read_text_table(path)
    assert got.to_dict("list") == {"ID": ["001", "a;b"], "Grösse": ["5,3", ""]}
    assert got.index.tolist() == [2, 4] and got.index.name == "row"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"a,b\n1\n", "row 2 has 1 cells"),
        (b"a,b\n1,2\n1,2,3\n", "row 3 has 3 cells"),
        (b"a,a\n1,2\n", "'a' stands twice"),
        ("a,b\n1,Grösse\n".encode("latin-1"), "line 2 is not UTF-8"),
        (b'a,b\n"1,2\n', "line 2 is not CSV"),
        (b"a\0,b\n", "not a text file"),
        (b"PK\x03\x04\xff\xfe", "not UTF-8"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(FileProblem, match=words):
        read_text_table(path)

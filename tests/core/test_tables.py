"""data_schema/ is what the code says, and real rows keep to it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from radpipe.core.tables import (
    FAILURES,
    METRICS,
    SCHEMAS,
    SELECTION,
    SPLITS,
    Schema,
    check_table,
    empty_table,
    json_schema,
    make_table,
)
from radpipe.errors import SchemaError

EXAMPLES = {"string": "text", "int64": 3, "float64": 0.5, "bool": True}


def example(schema: Schema, **changes: object) -> dict[str, object]:
    row = {column.name: column.allowed[0] if column.allowed else EXAMPLES[column.dtype] for column in schema.columns}
    if schema.extra:
        row["further"] = 1.5
    return row | changes


@pytest.mark.parametrize("name", SCHEMAS)
def test_data_schema_agrees_with_the_code(repository: Path, name: str) -> None:
    stored = json.loads((repository / "data_schema" / f"{name}.json").read_text())
    assert stored == json_schema(SCHEMAS[name]), "run: python -m radpipe.core.tables data_schema"
    jsonschema.Draft202012Validator.check_schema(stored)


def test_no_schema_without_its_table(repository: Path) -> None:
    others = {"workflow"}  # written by radpipe.config
    assert {path.stem for path in (repository / "data_schema").glob("*.json")} - others == set(SCHEMAS)


def test_the_command_writes_them(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "radpipe.core.tables", str(tmp_path)], check=True)
    assert {path.stem for path in tmp_path.iterdir()} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_row_of_every_table_validates_and_a_wrong_one_does_not(name: str) -> None:
    schema = SCHEMAS[name]
    validator = jsonschema.Draft202012Validator(json_schema(schema))
    table = make_table(schema, [example(schema)])
    (row,) = json.loads(table.to_json(orient="records"))
    validator.validate(row)
    for column in schema.columns:
        assert validator.is_valid({key: value for key, value in row.items() if key != column.name}) is column.optional, (
            "a missing column"
        )
        wrong = 5 if column.dtype == "string" else "text"
        assert not validator.is_valid(row | {column.name: wrong}), "a wrong type"
        assert validator.is_valid(row | {column.name: None}) is column.nullable
    assert validator.is_valid(row | {"unheard_of": 1.0}) is bool(schema.extra)


def test_the_embedded_cohort_validates() -> None:
    from radpipe.cohort.build import read_manifest
    from radpipe.cohort.config import CohortSettings, SplitSettings
    from radpipe.cohort.splits import draw_splits
    from radpipe.datasets import load_sts_pet

    dataset = load_sts_pet()
    settings = CohortSettings(manifest="builtin:sts_pet", outcome="lung_metastasis", clinical=("age_years", "grade"))
    rows, _ = read_manifest(dataset.manifest, settings, base=dataset.folder, source=dataset.manifest_path)
    cohort = make_table(SCHEMAS["cohort"], rows.assign(image_sha256="0" * 64, mask_sha256="0" * 64, mask_volume_ml=1.0))
    splits = draw_splits(rows, SplitSettings(repeats=1), 1)
    for name, table in (("cohort", cohort), ("splits", splits)):
        validator = jsonschema.Draft202012Validator(json_schema(SCHEMAS[name]))
        for row in json.loads(table.to_json(orient="records")):
            validator.validate(row)


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_empty_table_is_a_table(name: str) -> None:
    check_table(empty_table(SCHEMAS[name]), SCHEMAS[name])
    assert len(make_table(SCHEMAS[name], [])) == 0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"repeat": 0, "fold": 0, "case_id": "a"}], "lacks the columns role"),
        ([{"repeat": 0, "fold": 0, "case_id": "a", "role": "tset"}], "'tset'; allowed: train, selection, test"),
        ([{"repeat": "x", "fold": 0, "case_id": "a", "role": "test"}], "'repeat': not int64"),
        ([{"repeat": 0, "fold": 0, "case_id": None, "role": "test"}], "'case_id' is empty in row 0"),
        ([{"repeat": 0, "fold": 0, "case_id": "a", "role": "test", "p": 1}], "unknown columns p"),
        ([{"repeat": 0, "fold": 0, "case_id": "a", "role": role} for role in ("test", "train")], "two rows have the key"),
    ],
)
def test_what_a_table_refuses(rows: list[dict[str, object]], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        make_table(SPLITS, rows)


def test_rows_in_any_order_make_the_same_table() -> None:
    rows = [example(FAILURES, case_id=name) for name in ("b", "a", "c")]
    pd.testing.assert_frame_equal(make_table(FAILURES, rows), make_table(FAILURES, rows[::-1]))
    assert make_table(FAILURES, rows)["case_id"].tolist() == ["a", "b", "c"]


def test_nullable_numbers_may_be_missing_and_others_not() -> None:
    assert make_table(METRICS, [example(METRICS, value=None)])["value"].isna().all()
    with pytest.raises(SchemaError, match="'n'"):
        make_table(METRICS, [example(METRICS, n=None)])


@pytest.mark.parametrize(("column", "value"), [("repeat", 0.5), ("repeat", float("nan")), ("kept", "False"), ("kept", None)])
def test_a_value_that_pandas_would_change_without_a_word_is_refused(column: str, value: object) -> None:
    row = {
        "repeat": 0,
        "fold": 0,
        "sources": "scalar",
        "feature": "f",
        "importance": 0.1,
        "kept": True,
        "reason": "kept",
        "redundant_with": "",
    }
    with pytest.raises(SchemaError, match=column):
        make_table(SELECTION, [{**row, column: value}])


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("ingest", "radpipe.intake.ingest_table:ITEM_COLUMNS"),
        ("ingest_regions", "radpipe.intake.ingest_table:REGION_COLUMNS"),
        ("ingest_files", "radpipe.intake.ingest_table:FILE_COLUMNS"),
        ("ingest_failures", "radpipe.intake.ingest_table:FAILURE_COLUMNS"),
        ("rois", "radpipe.intake.region_names:CENSUS_COLUMNS"),
        ("doctor_geometry", "radpipe.stages.doctor:_GEOMETRY"),
        ("doctor_regions", "radpipe.stages.doctor:_REGIONS"),
        ("doctor_overlaps", "radpipe.stages.doctor:_OVERLAPS"),
        ("doctor_repairs", "radpipe.stages.doctor_mend:_REPAIRS"),
        ("doctor_discretisation", "radpipe.intake.discretisation_advice:COLUMNS"),
    ],
)
def test_tables_of_the_intake_have_the_columns_that_are_written(name: str, written: str) -> None:
    module, _, attribute = written.partition(":")
    assert tuple(column.name for column in SCHEMAS[name].columns) == tuple(getattr(import_module(module), attribute))


def test_what_reads_a_manifest_asks_for_the_columns_of_its_schema() -> None:
    """A column that the schema requires is missed by the reader, and one that it does not require is not."""
    from radpipe.cohort.build import read_manifest
    from radpipe.cohort.config import CohortSettings
    from radpipe.errors import CohortError

    settings = CohortSettings(manifest="m.csv", outcome="y", modality="CT")
    schema = SCHEMAS["manifest"]
    whole = pd.DataFrame({column.name: ["1", "2"] for column in schema.columns} | {"y": ["0", "1"]}, dtype="string")
    for column in schema.columns:
        with pytest.raises(CohortError) as refused:  # the files do not exist, at the latest
            read_manifest(whole.drop(columns=column.name), settings, base=Path("/nowhere"), source=Path("m.csv"))
        assert (f"the column {column.name!r} is missing" in str(refused.value)) is not column.optional

"""``radpipe ibsi``: the table it writes, the summary it prints, what it says of missing files and of values that fail."""

from __future__ import annotations

import csv
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from radpipe.cli.ibsi import ibsi
from radpipe.errors import FileProblem, RunError
from radpipe.stages import ibsi as stage

ROW = stage.Compliance("IBSI 2 phase 2", "1.A", "none", "Mean", "stat_mean", "", -47.2, -47.0, 4.6, True)


@pytest.fixture(scope="module")
def everything(shared_data: Path) -> list[stage.Compliance]:
    return stage.run(shared_data)


@pytest.mark.slow  # every value is tested by itself in tests/features/ibsi and tests/filters
def test_the_docs_show_what_is_computed(everything, repository):
    text = (repository / "docs/ibsi.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- radpipe ibsi --markdown: begin -->")[2].partition("<!-- radpipe ibsi --markdown: end -->")[0]
    assert shown.strip() == stage.as_markdown(everything), "remake it: radpipe ibsi --data FOLDER --markdown"


@pytest.mark.slow
def test_every_reference_value(everything):
    """1,804 features, 33 response maps, 323 statistics (324 rows, one without consensus)."""
    for source, expected in zip(stage.SOURCES, (1804, 33, 323), strict=True):
        assert len([row for row in everything if row.source == source]) == expected
    assert not [row for row in everything if not row.passed]
    assert all(row.miss <= 1.0 + 1e-6 for row in everything)


def test_phases_and_files(shared_data, tmp_path, monkeypatch):
    """The command itself, on the tests it can do quickest: only the maps of the mean filter."""
    monkeypatch.setattr(stage, "PHASE_1", {test: wanted for test, wanted in stage.PHASE_1.items() if wanted.filter == "mean"})
    monkeypatch.setattr(stage, "phase_2", lambda: {})
    out = tmp_path / "table.csv"
    result = CliRunner().invoke(ibsi, ["--data", str(shared_data), "--out", str(out), "--phase", "2"], standalone_mode=False)
    assert result.return_value == 0
    assert "IBSI 2 phase 1: 5 of 5 within tolerance." in result.output
    assert "IBSI 2 phase 1: 5 of 5 (5 computed)" in result.output  # progress
    assert "IBSI 1" not in result.output
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["configuration"] for row in rows] == ["1.a.1", "1.a.2", "1.a.3", "1.a.4", "1.b.1"]
    assert list(rows[0]) == [
        "source", "configuration", "family", "feature", "tag", "aggregation", "value", "reference", "tolerance", "pass"
    ]  # fmt: skip
    assert {row["pass"] for row in rows} == {"yes"}
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]  # nothing temporary is left


def test_a_value_out_of_tolerance_is_told_and_fails(monkeypatch, tmp_path):
    bad = replace(ROW, value=-52.0, passed=False)
    monkeypatch.setattr(stage, "run", lambda *_, **__: [ROW, bad])
    out = tmp_path / "table.csv"
    result = CliRunner().invoke(ibsi, ["--data", str(tmp_path), "--out", str(out), "-q"], standalone_mode=False)
    assert result.return_value == 3
    assert "FAILED IBSI 2 phase 2 1.A Mean: -52, reference -47, tolerance 4.6" in result.output
    assert "IBSI 2 phase 2: 1 of 2 within tolerance." in result.output
    assert [line.rsplit(",", 1)[1] for line in out.read_text().splitlines()] == ["pass", "yes", "no"]


def test_a_table_that_cannot_be_written_is_told_before_the_work(monkeypatch, tmp_path):
    monkeypatch.setattr(stage, "run", lambda *_, **__: pytest.fail("it worked first"))
    with pytest.raises(RunError, match="its folder does not exist"):
        CliRunner().invoke(
            ibsi, ["--data", str(tmp_path), "--out", str(tmp_path / "none/t.csv")], standalone_mode=False, catch_exceptions=False
        )


def test_the_summary_counts_and_takes_the_worst():
    rows = [ROW, replace(ROW, value=-49.3), replace(ROW, configuration="1.B", tolerance=0.0, value=-47.0)]
    first, second = stage.summary(rows)
    assert (first.configuration, first.passed, first.total) == ("1.A", 2, 2)
    assert first.worst == pytest.approx(0.5)
    assert (second.configuration, second.worst) == ("1.B", 0.0)
    assert replace(ROW, tolerance=0.0, passed=False).miss == math.inf
    assert replace(ROW, value=math.nan, passed=False).miss == math.inf
    assert "| IBSI 2 phase 2 | 1.A | none | 2 of 2 | 0.50 |" in stage.as_markdown(rows)


def test_a_missing_file_is_named_before_any_work(tmp_path):
    with pytest.raises(FileProblem) as caught:
        stage.run(tmp_path)
    assert caught.value.path == str(tmp_path / "ibsi1/ibsi1_reference_values.csv")
    assert caught.value.problem == "there is no such file (and 42 more)."
    assert "theibsi/data_sets" in caught.value.hint
    with pytest.raises(FileProblem, match=r"ibsi2/digital_phantoms/checkerboard/image/checkerboard.nii.gz"):
        stage.run(tmp_path, sources=("IBSI 2 phase 1",))


def test_a_single_missing_map(shared_data, tmp_path):
    shutil.copytree(shared_data / "ibsi2", tmp_path / "ibsi2")
    lost = tmp_path / "ibsi2/reference_response_maps/4_b_2-ValidCRM.nii.gz"
    lost.parent.chmod(0o755)
    lost.unlink()
    with pytest.raises(FileProblem) as caught:
        stage.check_folder(tmp_path, ("IBSI 2 phase 1",))
    assert (caught.value.path, caught.value.problem) == (str(lost), "there is no such file.")

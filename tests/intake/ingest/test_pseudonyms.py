"""Ingest of an export that was not de-identified: pseudonyms stand for what would tell who somebody is, and all still fits together."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

GTV = (1, 4, 3, 7, 4, 9)
SECRET = "an-Example-of-a-secret-8d1f"


@pytest.fixture
def identified(hospital: Any) -> Any:
    """Two patients; each a CT, a PET with a frame of reference in common, and a structure set on the CT."""
    hospital.removed = "NO"
    for patient in ("0815471100", "Mustermann_Max"):  # so long that no digest spells it by chance
        scan = hospital.scan(patient, description="for Dr. Mustermann")
        hospital.scan(patient, "PET", 2)
        hospital.rtstruct(scan, {"GTVp": GTV, "Mustermanns Tumour": GTV}, name=f"RS {patient}")
    hospital.nifti("Mustermann_scan", {1: (1, 3, 2, 5, 2, 6)})
    return hospital


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text(SECRET)
    return tmp_path / "secret.txt"


def everything(out: Path) -> bytes:
    return b"\n".join(str(path).encode() + path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file())


def test_nothing_of_the_export_is_written_or_said(identified: Any, command: Any, tools: Any, tmp_path: Path) -> None:
    done = command(identified.folder, tmp_path / "cohort")
    whole = everything(tmp_path / "cohort") + (done.stdout + done.stderr).encode()
    for text in (
        "ustermann",
        "0815471100",
        str(identified.folder),
        identified.uid("study", "0815471100"),
        identified.uid("frame", "0815471100", "F"),
    ):
        assert text.encode() not in whole, text
    assert "not de-identified: 22 of 22" in done.stdout and "radpipe deidentify FOLDER" in done.stdout
    assert "random" in done.stdout and "--secret-file" in done.stdout
    rows = tools.rows_of(tmp_path / "cohort" / "manifest.csv")
    assert len(rows) == 9 and len({row["patient_id"] for row in rows}) == 3
    assert {row["roi"] for row in rows if row["modality"] == "PET"} >= {"GTVp"}
    assert stat.S_IMODE((tmp_path / "cohort" / "ingest.radpipe" / "pseudonyms.key").stat().st_mode) == 0o600


def test_the_same_voxels_as_with_the_ids_kept(identified: Any, command: Any, tools: Any, tmp_path: Path) -> None:
    command(identified.folder, tmp_path / "a")
    said = command(identified.folder, tmp_path / "b", "--keep-ids").stdout
    assert "--keep-ids" in said
    kept = tools.rows_of(tmp_path / "b" / "manifest.csv")
    assert {row["patient_id"] for row in kept} == {"0815471100", "Mustermann_Max", "Mustermann"}
    for folder in ("images", "masks"):
        ours, theirs = (sorted(path.read_bytes() for path in (tmp_path / name / folder).iterdir()) for name in ("a", "b"))
        assert ours == theirs


def test_a_secret_gives_the_pseudonyms_of_deidentify(
    identified: Any, command: Any, tools: Any, tmp_path: Path, secret: Path
) -> None:
    from radpipe.intake.deidentify.identity import Secret

    command(identified.folder, tmp_path / "cohort", "--secret-file", secret, "--write-pseudonyms", tmp_path / "who.csv")
    rows = tools.rows_of(tmp_path / "cohort" / "manifest.csv")
    expected = {name: Secret.of(SECRET).pseudonym(name) for name in ("0815471100", "Mustermann_Max")}
    assert set(expected.values()) < {row["patient_id"] for row in rows}
    who = {row["patient_id"]: row["pseudonym"] for row in tools.rows_of(tmp_path / "who.csv")}
    assert who == expected and stat.S_IMODE((tmp_path / "who.csv").stat().st_mode) == 0o600
    others = tools.rows_of(tmp_path / "who.others.csv")
    assert [row["original"] for row in others if row["what"] == "region"] == ["Mustermanns Tumour"]
    shown = {row["shown"] for row in others if row["what"] == "file"}
    assert {row["file"] for row in tools.rows_of(tmp_path / "cohort" / "ingest_files.csv")} == shown
    assert SECRET.encode() not in everything(tmp_path / "cohort")


def test_outcomes_find_their_patients_by_the_ids_of_the_export(identified: Any, command: Any, tools: Any, tmp_path: Path) -> None:
    sheet = tmp_path / "outcomes.csv"
    sheet.write_text("id,relapse\n815471100,1\nmustermann-max,0\nnobody,1\n")
    command(identified.folder, tmp_path / "cohort", "--outcomes", sheet, "--id-column", "id")
    rows = [row for row in tools.rows_of(tmp_path / "cohort" / "manifest.csv") if row["modality"] == "PET"]
    assert sorted({row["relapse"] for row in rows}) == ["0", "1"] and len({row["patient_id"] for row in rows}) == 2
    assert b"ustermann" not in everything(tmp_path / "cohort")


def test_what_the_user_asks_for_by_name_is_found(identified: Any, command: Any, tools: Any, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("Mustermanns Tumour\n")
    chosen = ("--series-description", "*dr. muster*", "--allow-words", words)
    command(identified.folder, tmp_path / "cohort", *chosen, "--modality", "CT", "--transfer", "none")
    rows = tools.rows_of(tmp_path / "cohort" / "manifest.csv")
    assert {row["roi"] for row in rows if row["modality"] == "CT" and "scan" not in row["case_id"]} >= {
        "Mustermanns Tumour",
        "GTVp",
    }


def test_the_table_does_not_lie_in_the_cohort(identified: Any, command: Any, tmp_path: Path) -> None:
    done = command(identified.folder, tmp_path / "c", "--write-pseudonyms", tmp_path / "c" / "who.csv", check=2)
    assert "apart from it" in done.stderr
    short = tmp_path / "short.txt"
    short.write_text("short")
    assert "too short" in command(identified.folder, tmp_path / "c", "--secret-file", short, check=2).stderr

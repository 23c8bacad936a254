"""radpipe extract --pyradiomics-compat: PyRadiomics' command line, its layouts (from live 3.0.1), and where it differs on purpose."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from radpipe.features.parity import off

REFERENCE = Path(__file__).parents[1] / "reference"
sys.path.insert(0, str(REFERENCE))
from small_volumes import write_small_volumes  # noqa: E402

LAYOUTS = json.loads((REFERENCE / "compat_layouts.json").read_text())
COMPAT = ("extract", "--pyradiomics-compat")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path / "volumes")


@pytest.fixture(scope="module")
def one_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the three layouts: the second and third find the cases measured."""
    return filled(tmp_path_factory.mktemp("layouts") / "volumes")


def filled(path: Path) -> Path:
    path.mkdir()
    write_small_volumes(path)
    (path / "batch.csv").write_text(LAYOUTS["batch"])
    return path


def comparable(text: str, kind: str, folder: Path) -> list[list[tuple[str, str]]]:
    """One list of (name, cell) a case, paths below FOLDER; versions and what only numpy 2 writes left out."""
    text = text.replace(str(folder), "FOLDER")
    if kind == "csv":
        rows = [list(row.items()) for row in csv.DictReader(io.StringIO(text))]
    elif kind == "json":
        rows = [[(name, str(value)) for name, value in row.items()] for row in json.loads(text)]
    else:
        cases: dict[str, list[tuple[str, str]]] = {}
        for line in text.splitlines():
            case, _, rest = line.partition("_")
            name, _, value = rest.partition(": ")
            cases.setdefault(case, []).append((name, value))
        rows = list(cases.values())
    return [
        [
            (name, "" if "_Versions_" in name or "np.float64" in cell or name.endswith("CenterOfMassIndex") else cell)
            for name, cell in row
        ]
        for row in rows
    ]


@pytest.mark.parametrize("kind", ["csv", "json", "txt"])
def test_the_three_layouts_are_pyradiomics_own(one_folder: Path, radpipe, kind: str) -> None:
    """Of a batch whose last case fails in PyRadiomics too: same rows, same names in the same order, same cells, same values."""
    folder = one_folder
    out = folder / f"out.{kind}"
    options = ["-o", out, "-f", kind, "-p", folder / "Params.yaml"]
    done = radpipe(*COMPAT, folder / "batch.csv", *options, check=3)
    assert "the file does not exist" in done.stderr and done.stdout == ""
    ours, theirs = (comparable(text, kind, folder) for text in (out.read_text(), LAYOUTS[kind]))
    assert len(ours) == len(theirs) == 3
    for our_row, their_row in zip(ours, theirs, strict=True):
        assert [name for name, _ in our_row] == [name for name, _ in their_row]
        measured = {name for name, cell in their_row if not name.startswith("diagnostics_") and name.count("_") >= 2 and cell}
        mine, reference = dict(our_row), dict(their_row)
        assert {n: c for n, c in mine.items() if n not in measured} == {n: c for n, c in reference.items() if n not in measured}
        shares = off({name: float(mine[name]) for name in measured}, {name: float(reference[name]) for name in measured})
        assert {name: share for name, share in shares.items() if share > 1} == {}
    assert [row["case_id"] for row in csv.DictReader((folder / "out.failures.csv").open())] == ["three"]


def test_a_single_case_and_its_options(folder: Path, radpipe_here) -> None:
    mask = folder / "layers.nrrd"
    done = radpipe_here(
        *COMPAT,
        folder / "image.nrrd",
        mask,
        "-s",
        "label_channel:1",
        "-s",
        "binWidth:10",
        "--format-path",
        "basename",
        "-v",
        "-l",
        "1",
    )
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines["Case-1_Image"] == "image.nrrd" and lines["Case-1_Mask"] == "layers.nrrd"
    assert "'binWidth': 10" in lines["Case-1_diagnostics_Configuration_Settings"]
    assert float(lines["Case-1_original_shape_MeshVolume"]) > 0
    # Without a channel named, the first is taken, as PyRadiomics does; an extraction of radpipe's own asks which.
    assert radpipe_here(*COMPAT, folder / "image.nrrd", mask).stdout != done.stdout
    assert "Say which one with label_channel (0 to 1)" in radpipe_here("extract", folder / "image.nrrd", mask, check=3).stderr


def test_output_is_never_appended_to(folder: Path, inside) -> None:
    (folder / "out.csv").write_text("mine\n")
    status, _, err = inside(*COMPAT, "batch.csv", "-o", "out.csv", "-f", "csv", cwd=folder)
    assert status == 2 and "--overwrite" in err and (folder / "out.csv").read_text() == "mine\n"


def test_a_csv_of_every_case(folder: Path, radpipe) -> None:
    (folder / "two.csv").write_text("ID,Image,Mask\none,image.nrrd,mask.nrrd\n")
    done = radpipe(
        *COMPAT, "two.csv", "-od", "cases", "-s", "binWidth:30", "--format", "json", "--format-path", "relative", cwd=folder
    )
    (row,) = json.loads(done.stdout)
    assert row["Image"] == "image.nrrd" and list(row)[:3] == ["ID", "Image", "Mask"]
    (kept,) = csv.DictReader((folder / "cases" / "features_1.csv").open())
    assert float(kept["original_firstorder_Mean"]) == row["original_firstorder_Mean"]


def test_validate_reads_the_files(folder: Path, inside) -> None:
    status, _, err = inside(*COMPAT, "batch.csv", "--validate", cwd=folder)
    assert status == 3 and "3 cases, 1 with errors" in err and "nothere.nrrd" in err
    (folder / "good.csv").write_text("Image,Mask\nimage.nrrd,mask.nrrd\nimage.nrrd,coarse_mask.nrrd\n")
    status, _, err = inside(*COMPAT, "good.csv", "--validate", cwd=folder)
    assert status == 3 and "not on the image's grid" in err
    status, _, err = inside(*COMPAT, "good.csv", "--validate", "-s", "correctMask:1", cwd=folder)
    assert status == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["image.nrrd"], "no mask is named"),
        (["image.nrrd", "mask.nrrd", "-m", "voxels"], "Invalid value for '--mode'"),
        (["image.nrrd", "mask.nrrd", "-s", "binwidth:3"], "Did you mean 'binWidth'"),
        (["image.nrrd", "mask.nrrd", "-j", "0"], "Invalid value for '--jobs'"),
        (["image.nrrd", "mask.nrrd", "--formt", "csv"], "No such option"),
        (["image.nrrd", "mask.nrrd", "-o", "nowhere/x.csv"], "cannot be written there"),
        (["image.nrrd", "mask.nrrd", "--log-file", "nowhere/x.log"], "the log cannot be written"),
    ],
)
def test_wrong_usage(folder: Path, inside, arguments: list[str], words: str) -> None:
    status, out, err = inside(*COMPAT, *arguments, cwd=folder)
    assert status == 2 and words in err and out == ""


def test_help_and_version(folder: Path, inside) -> None:
    status, out, _ = inside(*COMPAT, "--help", cwd=folder)
    assert status == 0 and all(option in out for option in ("--setting", "-od", "--skip-nans", "--unix-path", "--verbosity"))
    status, out, _ = inside(*COMPAT, "--version", cwd=folder)
    assert status == 0 and "radpipe" in out

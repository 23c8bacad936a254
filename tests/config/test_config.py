"""Every workflow loads; what is wrong in one is said in words, all at once, with the nearest key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from radpipe.config import load_workflow, workflow_schema
from radpipe.errors import ConfigError

GOOD = {
    "radpipe_workflow": 1,
    "name": "study",
    "cohort": {"manifest": "manifest.csv", "outcome": "relapse", "clinical": ["age"]},
    "models": {"ann": {"kind": "ann", "inputs": "selected"}, "cnn": {"kind": "cnn3d", "inputs": "image"}},
    "comparison": {"primary": ["ann", "cnn"]},
}


def write(folder: Path, content: object) -> Path:
    path = folder / "workflow.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def message(folder: Path, content: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_workflow(write(folder, content))
    assert str(folder / "workflow.yaml") in str(caught.value)
    return str(caught.value)


def test_every_workflow_of_the_repository_loads(repository: Path) -> None:
    paths = sorted((repository / "workflows").glob("*.yaml"))
    names = [load_workflow(path).name for path in paths]
    assert "sts_pet" in names
    assert len(set(names)) == len(paths)


def test_relative_paths_start_at_the_workflow_file(tmp_path: Path) -> None:
    assert load_workflow(write(tmp_path, GOOD)).resolve("a/b.csv") == tmp_path.resolve() / "a" / "b.csv"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"segmentation": {"mask": "given"}}, ["unknown key 'segmentation.mask'", "'masks'"]),
        ({"model": {}}, ["unknown key 'model'", "'models'"]),
        ({"models": {"ann": {"kind": "ann", "hiden": [3]}}, "comparison": {}}, ["unknown key 'models.ann.hiden'", "'hidden'"]),
        ({"splits": {"folds": 1}}, ["splits.folds", "2", "got 1"]),
        ({"comparison": {"primary": ["ann", "cmn"]}}, ["'cmn'", "ann, cnn"]),
        ({"cohort": {"outcome": "relapse"}}, ["'cohort.manifest' is missing"]),
        ({"models": {"x": {"kind": "svn"}}, "comparison": {}}, ["models.x", "svn"]),
        ({"cohort": {"manifest": "m.csv", "outcome": "r", "positive": True}, "models": {"v": {"kind": "logistic", "inputs": "volume"}},
          "comparison": {}}, ["cohort.positive", "quotes"]),
        ({"seed": "lucky"}, ["seed", "integer", "'lucky'"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, change: dict, said: list[str]) -> None:
    text = message(tmp_path, {**GOOD, **change})
    assert [part for part in said if part not in text] == []


def test_a_number_may_name_the_positive_class(tmp_path: Path) -> None:
    cohort = {"manifest": "m.csv", "outcome": "r", "positive": 2, "clinical": ["age"]}
    assert load_workflow(write(tmp_path, {**GOOD, "cohort": cohort})).cohort.positive == "2"


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = message(tmp_path, {**GOOD, "splits": {"folds": 1, "fold": 3}, "seed": -1})
    assert "3 problems" in text
    assert all(part in text for part in ("splits.folds", "splits.fold'", "seed"))


def test_a_newer_layout_is_refused_before_anything_else(tmp_path: Path) -> None:
    text = message(tmp_path, {"radpipe_workflow": 2, "cohorts": []})
    assert "version 2" in text
    assert "newer radpipe" in text


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    assert "stands twice" in message(tmp_path, "name: a\nname: b\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no settings"),
        ("- 1\n", "no mapping of settings"),
        ("a: [1\n", "not valid YAML"),
        ("\tname: x\n", "never with tabs"),
    ],
)
def test_what_is_no_workflow_is_refused(tmp_path: Path, content: str, words: str) -> None:
    assert words in message(tmp_path, content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_workflow(tmp_path / "nowhere.yaml")


def test_features_params_may_be_a_pyradiomics_file(tmp_path: Path) -> None:
    (tmp_path / "Params.yaml").write_text("setting:\n  binWidth: 0.5\n")
    workflow = load_workflow(write(tmp_path, {**GOOD, "features": {"params": "Params.yaml"}}))
    assert workflow.features.params["setting"]["binWidth"] == 0.5


def test_the_schema_in_data_schema_is_that_of_the_code(repository: Path) -> None:
    assert json.loads((repository / "data_schema" / "workflow.json").read_text()) == json.loads(json.dumps(workflow_schema()))


def test_reading_a_workflow_loads_no_heavy_library(repository: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from radpipe.config import load_workflow; "
        "load_workflow(Path('workflows/sts_pet.yaml')); "
        "print([m for m in ('torch', 'monai', 'sklearn', 'xgboost', 'dask', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_radpipe_loads_nothing() -> None:
    code = "import sys; import radpipe; print([m for m in ('numpy', 'pandas', 'torch', 'pydantic', 'SimpleITK') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

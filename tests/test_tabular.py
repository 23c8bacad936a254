"""The public feature tables: their traps, their workflows, and the page."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radpipe.config import load_workflow


@pytest.fixture(scope="module")
def tabular(repository: Path):
    sys.path.insert(0, str(repository / "tools"))
    try:
        import tabular
        import tabular_page

        yield tabular, tabular_page
    finally:
        sys.path.remove(str(repository / "tools"))


def test_there_is_a_sound_workflow_for_every_set(tabular, repository: Path) -> None:
    sets, _ = tabular
    files = {path.stem: load_workflow(path) for path in (repository / "workflows" / "tabular").glob("*.yaml")}
    assert set(files) == set(sets.SETS)
    for name, workflow in files.items():
        assert workflow.name == name and workflow.features.table == f"../../runs/tabular/{name}/features.csv"
        assert "ann" in workflow.models and "prevalence" in workflow.models and not workflow.needs_images
        assert ("volume" in workflow.models) == bool(sets.SETS[name].volume)
    for name in ("HarvardRT", "Moffitt", "MUMC"):  # the authors' script trained or tuned the CNN on each
        assert files[name].models["cnn"].in_sample is True and files[name].comparison.primary == ("ann", "cnn")


def test_the_traps_of_the_tables(tabular, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets, _ = tabular
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(5, 150)), columns=[f"f {k}" for k in range(150)])
    rows.loc[1, [f"f {k}" for k in range(120)]] = np.nan  # an extraction that failed
    rows.loc[4] = rows.loc[0]  # one lesion under two ids
    rows = rows.assign(id=["A", "B", "", "D", "E"], alive=[1, 0, 1, 0, 1], note="x", size=[1.0, 2, 3, 4, 1])
    rows.to_csv(tmp_path / "set.csv", index=False)
    monkeypatch.setitem(sets.SETS, "toy", sets.Set("set.csv", "id", ("alive",), "size", 1000.0, ("note",)))
    said = sets.prepare("toy", tmp_path, tmp_path / "out")
    manifest, features = (pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("manifest", "features"))
    assert manifest["case_id"].tolist() == features["case_id"].tolist() == ["A", "line_4", "D", "E"]
    assert manifest["patient_id"].tolist() == ["A", "line_4", "D", "A"]
    assert "note" not in features and "alive" not in features and "f_0" in features
    assert features[sets.VOLUME].tolist() == [1000, 3000, 4000, 1000]
    assert len(said) == 3 and "left out B" in said[1] and "E = A" in said[2]


def test_the_shared_tables_are_as_their_index_says(tabular, shared_data: Path, tmp_path: Path) -> None:
    sets, _ = tabular
    index = pd.read_csv(shared_data / "tabular" / "index.csv").set_index("dataset")
    assert {name.split()[-1] for name in index.index} == set(sets.SETS)
    lost = {"HarvardRT": 2}
    for name in ("Ramella2018", "MUMC", "Carvalho2018"):
        sets.prepare(name, shared_data / "tabular", tmp_path / name)
        manifest = pd.read_csv(tmp_path / name / "manifest.csv")
        known = index.loc[next(label for label in index.index if label.split()[-1] == name)]
        assert len(manifest) == known["n_patients"] - lost.get(name, 0) and manifest["case_id"].is_unique
        assert int(manifest[sets.SETS[name].outcomes[0]].sum()) == known["positive"]


def test_missing_data_are_said(tabular, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets, _ = tabular
    monkeypatch.setenv("RADPIPE_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match=r"set RADPIPE_DATA to the folder that holds tabular/index\.csv"):
        sets.data_folder()

"""Maps and habitats through the whole flow: columns, folds, what each model eats, and that no test case has a say in its fold."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from radpipe import pipeline
from radpipe.config import Workflow, load_workflow
from radpipe.core import tables as t
from radpipe.core.grid import Grid
from radpipe.errors import FileProblem
from radpipe.features.map_settings import MAP
from radpipe.features.maps import FeatureMaps
from radpipe.habitats.habitats import columns_of
from radpipe.io.models import load_model
from radpipe.io.tables import read_table
from radpipe.io.volumes import read_image, write_image
from radpipe.pipeline import RunResult
from radpipe.stages import work
from radpipe.stages.map_store import load_labels, load_maps, save_labels, save_maps

pytestmark = pytest.mark.usefixtures("warm_servers")

MAPS: dict[str, Any] = {
    "features": {"firstorder": ["Mean", "Variance"]},
    "habitats": {"k": [2, 3], "halvings": 2, "voxels_per_case": 40, "starts": 2, "agreement": 0.5},
}
MODELS: dict[str, Any] = {
    "ann_scalar": {"kind": "ann", "members": 1, "sources": ["scalar"]},
    "ann_voxelwise": {"kind": "ann", "members": 1, "sources": ["maps", "habitats"]},
    "all": {"kind": "logistic", "inputs": "features"},
    "volume": {"kind": "logistic", "inputs": "volume"},
}
UPTO_HABITATS = ("cohort", "preprocess", "extract", "habitats")
UPTO_COMPARE = tuple(name for name in pipeline.stage_names() if name != "report")
COLUMNS = ["original_firstorder_Mean", "original_firstorder_Variance"]


def small(study: Any, **changes: Any) -> Path:
    settings = {"maps": MAPS, "models": MODELS, "comparison": {"primary": ["ann_voxelwise", "ann_scalar"]}}
    return study.write(**{**settings, "splits": {"repeats": 1, "folds": 2}, **changes})


def go(workflow: Path, out: Path, **options: Any) -> RunResult:
    return pipeline.run(load_workflow(workflow), out, **{"workers": 1, "scheduler": "processes", **options})


def table(out: Path, schema: t.Schema) -> pd.DataFrame:
    return read_table(out / f"{schema.name}.parquet", schema)


def digests(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.parquet"))}


def computed(result: RunResult) -> dict[str, int]:
    return {stage.stage: stage.computed for stage in result.stages if stage.computed}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, module_study: Any) -> tuple[Any, Path]:
    """One whole run; the tests below read it."""
    out = tmp_path_factory.mktemp("out") / "run"
    assert go(small(module_study), out, only=UPTO_COMPARE).exit_code == 0
    return module_study, out


def test_maps_become_columns_that_their_arrays_give(finished: tuple[Any, Path]) -> None:
    _, out = finished
    features = table(out, t.FEATURES).set_index("case_id")
    of_maps = [name for name in features.columns if MAP in name]
    assert len(of_maps) == 2 * 10
    maps = table(out, t.MAPS).set_index("case_id")
    assert sorted(maps.index) == sorted(features.index)
    stored = load_maps(out / maps.loc["P03", "path"])
    assert list(stored.columns) == COLUMNS
    values = stored.values(COLUMNS[0]).astype(float)
    assert len(values) == maps.loc["P03", "centres"] == len(stored.centres)
    assert features.loc["P03", f"{COLUMNS[0]}{MAP}Mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert features.loc["P03", f"{COLUMNS[0]}{MAP}90Percentile"] == pytest.approx(np.percentile(values, 90), rel=1e-12)
    told = table(out, t.FEATURE_DICTIONARY)
    by_fold = [name for name in table(out, t.FOLD_FEATURES).columns if name.startswith("habitat_")]
    assert sorted(told["name"]) == sorted([*features.columns.drop("roi"), *by_fold])


def test_a_map_is_the_features_of_the_windows(finished: tuple[Any, Path]) -> None:
    """The mean map is the mean of the region's voxels in 3 x 3 x 3 voxels, on the case's own grid."""
    study, out = finished
    maps = load_maps(out / table(out, t.MAPS).set_index("case_id").loc["P05", "path"])
    image = read_image(study.folder / "P05_image.nii.gz")
    assert maps.grid.shape == image.grid.shape
    centre = maps.centres[len(maps.centres) // 2]
    inside = maps.centres[np.abs(maps.centres - centre).max(axis=1) <= 1]
    expected = image.voxels[tuple(inside.T)].mean()
    assert maps.map(COLUMNS[0]).voxels[tuple(centre)] == pytest.approx(expected, rel=1e-5)


def test_habitats_of_a_fold_are_the_share_and_mean_of_their_voxels(finished: tuple[Any, Path]) -> None:
    _, out = finished
    maps = table(out, t.MAPS).set_index("case_id")
    folds = table(out, t.FOLD_FEATURES)
    habitats = table(out, t.HABITATS)
    assert len(folds) == 16 * 2
    for (repeat, fold), own in habitats.groupby(["repeat", "fold"]):
        assert own["share"].sum() == pytest.approx(1.0)
        assert list(own["habitat"]) == list(range(1, own["k"].iloc[0] + 1))
        assert own[COLUMNS[0]].is_monotonic_increasing
        labels = load_labels(out / own["path"].iloc[0])
        rows = folds[(folds["repeat"] == repeat) & (folds["fold"] == fold)].set_index("case_id")
        assert sorted(labels) == sorted(rows.index)
        for case_id in ("P00", "P09"):
            stored = load_maps(out / maps.loc[case_id, "path"])
            mean = stored.values(COLUMNS[0])[labels[case_id] == 1].astype(float).mean()
            assert rows.loc[case_id, "habitat_1_share"] == pytest.approx((labels[case_id] == 1).mean())
            assert rows.loc[case_id, f"habitat_1_mean_{COLUMNS[0]}"] == pytest.approx(mean, rel=1e-12)
    choice = table(out, t.HABITAT_CHOICE)
    assert (choice.groupby(["repeat", "fold"])["chosen"].sum() == 1).all()


def test_habitats_saw_the_training_part_and_nobody_else(finished: tuple[Any, Path]) -> None:
    _, out = finished
    splits = table(out, t.SPLITS)
    for row in table(out, t.HABITATS).drop_duplicates(["repeat", "fold"]).to_dict("records"):
        _, info = load_model((out / row["path"]).parent)
        part = splits[(splits["repeat"] == row["repeat"]) & (splits["fold"] == row["fold"])]
        assert info["saw"] == sorted(part.loc[part["role"] == "train", "case_id"])


def test_every_missing_value_has_its_reason(finished: tuple[Any, Path]) -> None:
    _, out = finished
    undefined = table(out, t.UNDEFINED)
    told = set(undefined[["repeat", "fold", "case_id", "feature"]].itertuples(index=False, name=None))
    for schema, keys in ((t.FEATURES, ["case_id", "roi"]), (t.FOLD_FEATURES, list(t.FOLD_FEATURES.key))):
        frame = table(out, schema)
        for name in frame.columns.drop(keys):
            whole = "_".join([*name.split("_")[:2], "*"])
            for row in frame[frame[name].isna()].to_dict("records"):
                place = row.get("repeat", -1), row.get("fold", -1)
                assert (*place, row["case_id"], name) in told or (*place, "", whole) in told


def test_a_habitat_that_a_fold_has_not_is_told_once() -> None:
    """With other maps in a fold it may have fewer habitats; here one that has two stands beside one that has four."""
    from radpipe.stages.habitats import _features

    columns = columns_of(4, COLUMNS)

    def stored(k: int) -> Any:
        case = {
            "features": dict.fromkeys(columns_of(k, COLUMNS), 1.0),
            "undefined": {f"habitat_1_mean_{COLUMNS[0]}": "habitat-absent"},
        }
        return SimpleNamespace(row={"shares": [1 / k] * k, "cases": dict.fromkeys(("P00", "P01", "P02"), case)})

    rows, undefined = _features({(0, 0): stored(4), (0, 1): stored(2)}, columns, "given")
    assert len(rows) == 6 and np.isnan(rows[-1]["habitat_4_share"]) and rows[0]["habitat_4_share"] == 1.0
    told = t.make_table(t.UNDEFINED, undefined)
    missing = told[told["reason"] == "no-such-habitat"]
    assert missing[["repeat", "fold", "case_id", "feature"]].to_numpy().tolist() == [
        [0, 1, "", "habitat_3_*"],
        [0, 1, "", "habitat_4_*"],
    ]
    assert (told["reason"] == "habitat-absent").sum() == 6


def test_each_model_eats_what_it_names(finished: tuple[Any, Path]) -> None:
    _, out = finished
    selection = table(out, t.SELECTION)
    assert set(selection["sources"]) == {"scalar", "maps+habitats"}
    voxelwise = selection[selection["sources"] == "maps+habitats"]["feature"]
    assert all(MAP in name or name.startswith("habitat_") for name in voxelwise)
    assert any(name.startswith("habitat_") for name in voxelwise)
    assert not any(MAP in name or name.startswith("habitat_") for name in selection[selection["sources"] == "scalar"]["feature"])
    fits = table(out, t.FITS)
    for model, sources in (("ann_scalar", "scalar"), ("ann_voxelwise", "maps+habitats")):
        for row in fits[fits["model"] == model].to_dict("records"):
            here = selection[(selection["sources"] == sources) & (selection["fold"] == row["fold"]) & selection["kept"]]
            assert sorted(row["inputs"].split()) == sorted(here["feature"])
    everything = fits[fits["model"] == "all"]["inputs"].iloc[0].split()
    assert {"habitat_1_share", f"{COLUMNS[0]}{MAP}MoransI", COLUMNS[0]} <= set(everything)
    comparison = table(out, t.COMPARISON)
    primary = comparison[comparison["primary"]].iloc[0]
    assert {primary["model_a"], primary["model_b"]} == {"ann_scalar", "ann_voxelwise"}


@pytest.mark.slow
def test_a_rerun_computes_nothing_and_changes_nothing(finished: tuple[Any, Path]) -> None:
    study, out = finished
    before = digests(out)
    assert computed(go(small(study), out, only=UPTO_COMPARE)) == {}
    assert digests(out) == before
    assert computed(go(small(study), out, only=("habitats",))) == {}
    assert digests(out) == before


def test_the_report_is_drawn(finished: tuple[Any, Path]) -> None:
    study, out = finished
    assert go(small(study), out, only=("report",)).exit_code == 0
    page = (out / "report.html").read_text()
    assert "ann_voxelwise" in page


@pytest.mark.slow
def test_scalar_features_are_those_of_a_workflow_without_maps(finished: tuple[Any, Path], tmp_path: Path) -> None:
    """And its selection and its model's predictions, to the last bit: what voxels add stands beside, not in between."""
    study, out = finished
    other = tmp_path / "plain"
    models = {"ann_scalar": {"kind": "ann", "members": 1}, "volume": MODELS["volume"]}
    go(small(study, maps=None, models=models, comparison={}), other, only=UPTO_COMPARE)
    assert not (other / "maps.parquet").exists()
    assert not (other / "habitats.parquet").exists()
    plain = table(other, t.FEATURES)
    pd.testing.assert_frame_equal(table(out, t.FEATURES)[list(plain.columns)], plain, check_exact=True)
    mine = table(out, t.SELECTION)
    mine = mine[mine["sources"] == "scalar"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, table(other, t.SELECTION), check_exact=True)
    predicted = [table(path, t.PREDICTIONS) for path in (out, other)]
    mine, plain = (frame[frame["model"] == "ann_scalar"].reset_index(drop=True) for frame in predicted)
    pd.testing.assert_frame_equal(mine, plain, check_exact=True)


def test_a_test_cases_maps_cannot_change_what_is_learnt(finished: tuple[Any, Path], tmp_path: Path) -> None:
    """Wild maps for every case that does not train: the fitted habitats are the same bytes, and so is every other case's row."""
    study, out = finished
    splits, maps = table(out, t.SPLITS), table(out, t.MAPS).set_index("case_id")
    part = splits[splits["fold"] == 0].set_index("case_id")["role"]
    train = sorted(part.index[part == "train"])
    workflow = load_workflow(small(study))
    assert workflow.maps is not None and workflow.maps.habitats is not None
    paths = {case_id: str(out / maps.loc[case_id, "path"]) for case_id in sorted(part.index)}
    common = {"train": train, "columns": COLUMNS, "settings": workflow.maps.habitats.model_dump(mode="json"), "seed": 3}
    found = []
    for name in ("as they are", "wild"):
        folder = tmp_path / name
        folder.mkdir()
        for case_id in set(paths) - set(train) if name == "wild" else ():
            own = load_maps(Path(paths[case_id]))
            paths[case_id] = str(tmp_path / f"{case_id}.npz")
            save_maps(Path(paths[case_id]), replace(own, data=own.data[:, ::-1] * 1e4 - 7))
        found.append((work.find_habitats({**common, "paths": paths}, folder), load_model(folder)))
    (row, (learnt, info)), (wild, (again, same)) = found
    assert info == same
    assert all(learnt[name].tobytes() == again[name].tobytes() for name in learnt)
    assert (row["shares"], row["means"], row["choices"]) == (wild["shares"], wild["means"], wild["choices"])
    assert all(repr(row["cases"][case_id]) == repr(wild["cases"][case_id]) for case_id in train)
    assert all(repr(row["cases"][case_id]) != repr(wild["cases"][case_id]) for case_id in set(paths) - set(train))


@pytest.mark.slow
def test_a_test_cases_voxels_cannot_change_the_habitats(finished: tuple[Any, Path], tmp_path: Path) -> None:
    """Another image for a case: in the fold that tests it, nothing that was learnt moves by a bit; in the other, it does."""
    study, out = finished
    splits = table(out, t.SPLITS)
    tested = splits[(splits["role"] == "test") & (splits["fold"] == 0)]["case_id"]
    trained = set(splits[(splits["role"] == "train") & (splits["fold"] == 1)]["case_id"])
    case_id = next(case_id for case_id in tested if case_id in trained)
    path = study.folder / f"{case_id}_image.nii.gz"
    original = path.read_bytes()
    image = read_image(path)
    try:
        write_image(path, replace(image, voxels=(image.voxels[::-1] * 3 + 5).astype(np.float32)))
        other = tmp_path / "run"
        go(small(study), other, only=UPTO_HABITATS)
    finally:
        path.write_bytes(original)
    learnt = []
    for run in (out, other):
        of_fold = table(run, t.HABITATS).drop_duplicates("fold").set_index("fold")["path"]
        learnt.append({fold: load_model((run / place).parent) for fold, place in of_fold.items()})
    (before, info), (after, same) = learnt[0][0], learnt[1][0]
    assert info == same
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    assert learnt[0][1][0]["centre"].tobytes() != learnt[1][1][0]["centre"].tobytes()
    one, two = (table(run, t.FOLD_FEATURES) for run in (out, other))
    others = (one["fold"] == 0) & (one["case_id"] != case_id)
    pd.testing.assert_frame_equal(one[others], two[others], check_exact=True)


@pytest.mark.slow
def test_without_habitats_nothing_of_an_earlier_run_is_left(finished: tuple[Any, Path], tmp_path: Path) -> None:
    study, _ = finished
    out = tmp_path / "run"
    go(small(study), out, only=UPTO_HABITATS)
    models = {"a": {"kind": "logistic", "inputs": "features"}, "volume": MODELS["volume"]}
    maps = {**MAPS, "habitats": None}
    go(small(study, maps=maps, models=models, comparison={}), out, only=UPTO_COMPARE)
    assert len(table(out, t.FOLD_FEATURES)) == 0
    assert not (out / "habitats.parquet").exists()
    assert not table(out, t.FEATURE_DICTIONARY)["name"].str.startswith("habitat_").any()
    assert any(MAP in name for name in table(out, t.FEATURES).columns)
    go(small(study, maps=None, models=models, comparison={}), out, only=UPTO_COMPARE)
    assert not (out / "maps.parquet").exists()
    assert not any(MAP in name for name in table(out, t.FEATURES).columns)


def test_a_region_smaller_than_the_window_is_a_failed_case(finished: tuple[Any, Path], tmp_path: Path) -> None:
    study, _ = finished
    out = tmp_path / "run"
    assert go(small(study, maps={**MAPS, "kernel_radius": 5}), out, only=("cohort", "extract")).exit_code == 3
    failures = table(out, t.FAILURES)
    assert set(failures["error"]) == {"empty_roi"}
    assert failures["problem"].str.contains("window of 11 voxels").all()
    assert len(failures) + len(table(out, t.FEATURES)) == 16


@pytest.mark.slow
def test_outlines_that_differ_by_fold_have_maps_and_habitats_of_their_own(finished: tuple[Any, Path], tmp_path: Path) -> None:
    study, _ = finished
    segmentation = {
        "masks": "predicted",
        "nesting": "full",
        "folds": 2,
        "epochs": 8,
        "patch_voxels": [16, 16, 16],
        "flip_average": False,
    }
    out = tmp_path / "run"
    go(small(study, segmentation=segmentation), out, only=UPTO_COMPARE)
    folds = table(out, t.FOLD_FEATURES)
    assert set(folds["roi"]) == {"predicted"}
    assert {"original_shape_MeshVolume", f"{COLUMNS[0]}{MAP}Mean", "habitat_1_share"} <= set(folds.columns)
    assert folds["habitat_1_share"].notna().all()
    maps = table(out, t.MAPS)
    assert set(maps["roi"]) == {"given", "predicted"}
    agreement = table(out, t.MASK_AGREEMENT).set_index("feature")
    assert np.isfinite(agreement.loc[f"{COLUMNS[0]}{MAP}Mean", "icc"])
    assert set(table(out, t.PREDICTIONS)["model"]) == set(MODELS)


@pytest.mark.slow
def test_the_tables_are_the_same_for_one_and_two_workers(finished: tuple[Any, Path], tmp_path: Path) -> None:
    study, out = finished
    go(small(study), tmp_path / "two", workers=2, only=UPTO_COMPARE)
    assert digests(tmp_path / "two") == digests(out)


GOOD: dict[str, Any] = {
    "radpipe_workflow": 1, "name": "s", "cohort": {"manifest": "m.csv", "outcome": "relapse"},
    "models": {"ann": {"kind": "ann"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"maps": {}, "features": {"table": "f.csv"}}, "features.table"),
        ({"maps": {}, "features": {"feature_set": "ibsi"}}, "ibsi"),
        ({"maps": {"statistics": False, "habitats": None}}, "nothing would be made"),
        ({"maps": {"features": {"glcm": ["Contrst"]}}}, "Contrast"),
        ({"maps": {"features": {"shape": None}}}, "shape has no maps"),
        ({"maps": {"image_types": {"LoG": {}}}}, "sigma"),
        ({"maps": {"kernel_radius": 6}}, "less than or equal to 5"),
        ({"maps": {"habitats": {"order_by": "original_glcm_Contrst"}}}, "original_glcm_Contrast"),
        ({"models": {"a": {"kind": "ann", "sources": ["maps"]}}}, "add `maps: {}`"),
        ({"maps": {"habitats": None}, "models": {"a": {"kind": "ann", "sources": ["habitats"]}}}, "habitats: {}"),
        ({"models": {"a": {"kind": "ann", "sources": []}}}, "at least 1"),
        ({"models": {"a": {"kind": "ann", "sources": ["scalar", "scalar"]}}}, "twice"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_in_words(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Workflow.model_validate(GOOD | change)


def test_sources_by_default_are_all_there_are() -> None:
    plain = Workflow.model_validate(GOOD)
    assert plain.sources == plain.sources_of(plain.models["ann"]) == ("scalar",)
    whole = Workflow.model_validate(GOOD | {"maps": {}})
    assert whole.sources_of(whole.models["ann"]) == ("scalar", "maps", "habitats")
    again = Workflow.model_validate(plain.model_dump(mode="json"))  # what config.yaml holds can be run
    assert again == plain


def test_the_voxelwise_workflow_loads_and_says_what_it_will_take(
    repository: Path, tmp_path: Path, radpipe_here: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path = repository / "workflows" / "sts_pet_voxelwise.yaml"
    workflow = load_workflow(path)
    assert workflow.segmentation.masks == "given"
    assert set(workflow.comparison.primary or ()) == {"ann_scalar", "ann_voxelwise"}
    assert workflow.sources == ("scalar", "maps", "habitats")
    done = radpipe_here("run", path, "--out", tmp_path / "run", "--dry-run")
    assert "34 cases" in done.stdout
    assert "maps of 34 regions" in done.stdout
    assert "habitats" in done.stdout
    assert not (tmp_path / "run").exists()


def test_maps_and_labels_travel_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    centres = np.argwhere(rng.random((4, 5, 6)) < 0.4)
    data = rng.normal(size=(2, len(centres))).astype(np.float32)
    data[1, 3] = np.nan
    direction = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    grid = Grid((4, 5, 6), (3.0, 2.0, 1.5), (1.0, -2.0, 3.5), direction)
    maps = FeatureMaps(grid, ("a_b_C", "a_b_D"), centres, (slice(0, 4), slice(0, 5), slice(1, 6)), -1.0, data)
    save_maps(tmp_path / "maps.npz", maps)
    again = load_maps(tmp_path / "maps.npz")
    assert (again.grid, again.columns, again.box, again.initial) == (maps.grid, maps.columns, maps.box, maps.initial)
    assert again.data.tobytes() == data.tobytes()
    assert np.array_equal(again.centres, centres)
    first = (tmp_path / "maps.npz").read_bytes()
    save_maps(tmp_path / "maps.npz", again)
    assert (tmp_path / "maps.npz").read_bytes() == first
    labels = {"P/1 ä": np.array([1, 2, 0], np.uint8), "none": np.empty(0, np.uint8), "Z": np.array([3], np.uint8)}
    save_labels(tmp_path / "labels.npz", labels)
    read = load_labels(tmp_path / "labels.npz")
    assert list(read) == list(labels)
    assert all(np.array_equal(read[name], labels[name]) for name in labels)
    (tmp_path / "torn.npz").write_bytes(first[: len(first) // 2])
    for load in (load_maps, load_labels):
        with pytest.raises(FileProblem, match="torn"):
            load(tmp_path / "torn.npz")
    with pytest.raises(FileProblem):
        load_labels(tmp_path / "maps.npz")


@pytest.mark.slow
def test_folds_without_habitats_cost_only_the_models_that_eat_them(finished: tuple[Any, Path], tmp_path: Path) -> None:
    """One grey level everywhere: the map is flat, so there are no habitats; scalar features go on as if nothing had been."""
    study, whole = finished
    out = tmp_path / "run"
    maps = {"features": {"firstorder": ["Entropy"]}, "setting": {"binWidth": 1e6}, "habitats": MAPS["habitats"]}
    models = {name: MODELS[name] for name in ("ann_scalar", "ann_voxelwise", "volume")}
    assert go(small(study, maps=maps, models=models), out).exit_code == 3
    failures = table(out, t.FAILURES)
    assert failures[failures["stage"] == "habitats"]["problem"].str.contains("no map varies").all()
    assert (failures["stage"] == "habitats").sum() == 2
    assert failures[failures["stage"] == "train"]["case_id"].str.startswith("ann_voxelwise").all()
    predictions, earlier = table(out, t.PREDICTIONS), table(whole, t.PREDICTIONS)
    assert set(predictions["model"]) == {"ann_scalar", "volume"}
    mine, plain = (frame[frame["model"] == "ann_scalar"].reset_index(drop=True) for frame in (predictions, earlier))
    pd.testing.assert_frame_equal(mine, plain, check_exact=True)
    assert set(table(out, t.UNDEFINED)["reason"]) >= {"flat-map"}

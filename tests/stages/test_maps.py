"""The folder of maps that ``radpipe extract --mode voxel`` writes: killed and carried on, refused, repaired, announced."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError, FileProblem, RunError
from radpipe.features import FeatureSettings, extract_maps
from radpipe.io import map_folder
from radpipe.io.map_folder import MapFolder
from radpipe.io.maps import ZarrMaps
from radpipe.io.volumes import write_image, write_mask
from radpipe.stages import map_cases, maps
from radpipe.stages._progress import Progress
from radpipe.stages.cases import TableCase, read_cases, single_case
from radpipe.stages.maps import MapOptions, write_maps

pytestmark = pytest.mark.usefixtures("warm_servers")

GRID = Grid((8, 12, 14), (3.0, 2.0, 1.5), (10.0, -20.0, 30.0), (0.6, 0.8, 0.0, -0.8, 0.6, 0.0, 0.0, 0.0, 1.0))
FEW = {"setting": {"binWidth": 40}, "featureClass": {"firstorder": ["Mean", "Entropy"], "gldm": ["DependenceEntropy"]}}


TWO = FeatureSettings(params=FEW | {"imageType": {"Original": {}, "Square": {}}})


def have_zarr(layout: str) -> str:
    if layout == "zarr" and importlib.util.find_spec("zarr") is None:
        pytest.skip("zarr is not installed")
    return layout


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("case")
    rng = np.random.default_rng(0)
    z, y, x = np.indices(GRID.shape)
    inside = ((z - 3.5) / 2.7) ** 2 + ((y - 5.5) / 4) ** 2 + ((x - 6.5) / 4.6) ** 2 <= 1
    write_image(folder / "image.nii.gz", Image(GRID, rng.normal(40, 60, GRID.shape).astype(np.int16)))
    write_mask(folder / "mask.nii.gz", Mask(GRID, inside))
    return folder / "image.nii.gz", folder / "mask.nii.gz"


@pytest.fixture
def case(pair: tuple[Path, Path]) -> TableCase:
    return single_case(*pair).cases[0]


def tree(folder: Path) -> dict[str, str]:
    """path -> SHA-256 of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def killed_at(case: TableCase, folder: Path, layout: str, event: str, number: int) -> bool:
    """A process that makes the maps and kills itself at the event, as a power cut would; whether it came to that.

    event : "block" (before the number-th block is written), "half" (in the middle of the number-th map), "manifest" (before
    maps.json is written for the number-th time).
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    try:
        count = itertools.count(1)

        def dying(function: Callable[..., Any], leave: Callable[..., None] = lambda *args: None) -> Callable[..., Any]:
            def wrapped(*args: Any) -> Any:
                if next(count) == number:
                    leave(*args)
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args)

            return wrapped

        def half_a_file(path: Path, *_: Any) -> None:
            path.with_name(f".{path.name}.tmp").write_bytes(b"half a map")

        def half_a_chunk(store: ZarrMaps, channel: int, *_: Any) -> None:
            torn = store.folder / "0" / str(channel) / "0" / "0" / "7.partial"
            torn.parent.mkdir(parents=True, exist_ok=True)
            torn.write_bytes(b"half a chunk")

        if event == "block":
            MapFolder.write_block = dying(MapFolder.write_block)  # type: ignore[method-assign]
        elif event == "manifest":
            MapFolder._save = dying(MapFolder._save)  # type: ignore[method-assign]
        elif layout == "zarr":
            ZarrMaps.write = dying(ZarrMaps.write, half_a_chunk)  # type: ignore[method-assign]
        else:
            map_folder.write_map = dying(map_folder.write_map, half_a_file)
        write_maps(case, TWO, folder, MapOptions(layout))
    finally:
        os._exit(0)


@pytest.mark.parametrize(
    ("layout", "kills"),
    [
        ("nrrd", [("block", 1), ("block", 3), ("half", 2), ("manifest", 2), ("half", 5), ("manifest", 3)]),
        ("nifti", [("block", 2), ("half", 4)]),
        ("zarr", [("manifest", 1), ("block", 4), ("half", 2), ("half", 6)]),
    ],
)
def test_killed_again_and_again_it_ends_with_the_same_bytes(
    tmp_path: Path, case: TableCase, monkeypatch: pytest.MonkeyPatch, layout: str, kills: list[tuple[str, int]]
) -> None:
    have_zarr(layout)
    monkeypatch.setattr(maps, "BLOCK", 50)
    whole = write_maps(case, TWO, tmp_path / "whole", MapOptions(layout))
    assert whole["maps"] == 6 and whole["centres"] == 200
    died = [killed_at(case, tmp_path / "killed", layout, event, number) for event, number in kills]
    assert all(died[:-1])  # where little was left, the last may have come to its end
    assert write_maps(case, TWO, tmp_path / "killed", MapOptions(layout)) == {**whole, "found": not died[-1]}
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")
    assert write_maps(case, TWO, tmp_path / "killed", MapOptions(layout))["found"]


@pytest.mark.parametrize("layout", ["nrrd", "nifti", "zarr"])
def test_what_is_written_is_what_is_computed(tmp_path: Path, pair: tuple[Path, Path], case: TableCase, layout: str) -> None:
    from radpipe.io.maps import SUFFIXES, read_zarr_map
    from radpipe.io.volumes import read_image, read_mask

    settings = FeatureSettings(params=FEW | {"voxelSetting": {"initValue": -3}})
    made = write_maps(case, settings, tmp_path / "out", MapOptions(have_zarr(layout)))
    expected = extract_maps(read_image(pair[0]), read_mask(pair[1]), settings)
    assert made == {"maps": 3, "centres": len(expected.centres), "found": False}
    for column in expected.columns:
        if layout == "zarr":
            voxels, grid = read_zarr_map(tmp_path / "out" / "maps.ome.zarr", column)
        else:
            image = sitk.ReadImage(str(tmp_path / "out" / f"{column}{SUFFIXES[layout]}"))
            voxels = sitk.GetArrayFromImage(image)
            grid = Grid(voxels.shape, image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection())
        np.testing.assert_array_equal(voxels, expected.map(column).voxels)
        original = read_image(pair[0]).grid
        np.testing.assert_allclose(
            grid.world_mm(np.array([7.0, 11.0, 13.0])), original.world_mm(np.array([7.0, 11.0, 13.0])), atol=1e-4
        )
        assert grid.shape == original.shape


def test_the_background_may_be_undefined(tmp_path: Path, case: TableCase) -> None:
    write_maps(case, FeatureSettings(params=FEW | {"voxelSetting": {"initValue": float("nan")}}), tmp_path / "out")
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "original_firstorder_Mean.nrrd")))
    told = json.loads((tmp_path / "out" / "maps.json").read_text(), parse_constant=pytest.fail)
    assert np.isfinite(voxels).sum() == told["centres"] and told["initial"] == "nan"


def test_a_harmed_map_is_made_again_and_the_others_are_kept(tmp_path: Path, case: TableCase) -> None:
    settings = TWO
    write_maps(case, settings, tmp_path / "out")
    before = tree(tmp_path / "out")
    harmed = tmp_path / "out" / "square_firstorder_Mean.nrrd"
    kept = (tmp_path / "out" / "original_firstorder_Mean.nrrd").stat().st_mtime_ns
    harmed.write_bytes(harmed.read_bytes()[:-3])
    assert write_maps(case, settings, tmp_path / "out")["found"] is False
    assert tree(tmp_path / "out") == before
    assert (tmp_path / "out" / "original_firstorder_Mean.nrrd").stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    "change",
    [
        {"params": FEW | {"voxelSetting": {"kernelRadius": 2}}},
        {"params": FEW | {"setting": {"binWidth": 41}}},
        {"layout": "nifti"},
        {"stride": 2},
    ],
)
def test_maps_of_something_else_are_never_mixed_in(tmp_path: Path, case: TableCase, change: dict[str, Any]) -> None:
    write_maps(case, FeatureSettings(params=FEW), tmp_path / "out")
    before = tree(tmp_path / "out")
    settings = FeatureSettings(params=change.pop("params", FEW))
    with pytest.raises(RunError, match="another image, mask, setting, format or version"):
        write_maps(case, settings, tmp_path / "out", MapOptions(**change))
    assert tree(tmp_path / "out") == before


def test_threads_are_not_part_of_what_maps_are(tmp_path: Path, case: TableCase) -> None:
    settings = FeatureSettings(params=FEW)
    write_maps(case, settings, tmp_path / "one")
    write_maps(case, settings, tmp_path / "two", MapOptions(threads=2))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(
    tmp_path: Path, case: TableCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10 * 2**20})())
    with pytest.raises(
        RunError, match=r"the maps would take up to .* KB, the disk has 10\.5 MB free, and 52.4 MB of it are to stay free"
    ):
        write_maps(case, FeatureSettings(params=FEW), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_it_takes_is_told_first(tmp_path: Path, case: TableCase, capsys: pytest.CaptureFixture[str]) -> None:
    settings = TWO
    write_maps(case, settings, tmp_path / "out", progress=Progress())
    lines = [line for line in capsys.readouterr().err.splitlines() if "compiled" not in line]
    n = json.loads((tmp_path / "out" / "maps.json").read_text())["centres"]
    assert lines[0] == f"6 maps at {n:,} voxels, each from a window of 3 x 3 x 3, on 2 images"
    assert lines[1].startswith("expected: under 1 s on 1 thread, ") and "of memory, at most " in lines[1] and "free)" in lines[1]
    assert "maps: 2 of 2" in lines[2]
    write_maps(case, settings, tmp_path / "out", progress=Progress())
    assert "all maps are there from before" in capsys.readouterr().err


def test_the_disk_takes_no_more_than_was_said(tmp_path: Path, pair: tuple[Path, Path], case: TableCase) -> None:
    from radpipe.features.map_estimate import estimate, kept_bytes

    settings = FeatureSettings(params={"setting": {"binWidth": 40}})
    plan = maps.plan_case(maps.read_case(case, settings), settings, 1)
    what = estimate(plan, threads=2)
    assert what.kept_bytes == kept_bytes(93, len(plan.centres), GRID.shape) < what.disk_bytes
    for layout in ("nrrd", "nifti", *(["zarr"] if importlib.util.find_spec("zarr") else [])):
        write_maps(case, settings, tmp_path / layout, MapOptions(layout))
        used = sum(path.stat().st_size for path in (tmp_path / layout).rglob("*") if path.is_file() and path.name != "maps.json")
        assert used <= what.kept_bytes
    assert 0 < what.seconds < 60 and 0 < what.memory_bytes < 200e6


def test_bad_cases_are_named(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    settings = FeatureSettings(params=FEW | {"voxelSetting": {"kernelRadius": 5}})
    with pytest.raises(
        EmptyRoiError, match=r"case image.nii.gz: .*mask.nii.gz: a window of 11 voxels \(kernelRadius 5\) is larger"
    ):
        write_maps(single_case(*pair).cases[0], settings, tmp_path / "out")
    with pytest.raises(FileProblem, match="does not exist"):
        write_maps(single_case(pair[0], tmp_path / "none.nii").cases[0], settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_of_cases_has_a_folder_for_each(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    image, mask = pair
    table = tmp_path / "cases.csv"
    rows = [("a", mask, ""), ("a", mask, ""), ("b/c", mask, ""), ("d", mask, "7"), ("e", tmp_path / "none.nii.gz", "")]
    table.write_text("ID,Image,Mask,Label\n" + "".join(f"{name},{image},{where},{label}\n" for name, where, label in rows))
    settings, out = FeatureSettings(params=FEW), tmp_path / "out"
    for again in (False, True):
        found = map_cases.map_all(read_cases(table), settings, out, MapOptions(), workers=1, scheduler="processes")
        assert [item.failure is None for item in found] == [True, True, True, False, False]
        assert [item.result["found"] for item in found[:3] if item.result] == [again] * 3
    assert "label 7" in found[3].failure["problem"] and "does not exist" in found[4].failure["problem"]
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == [".radpipe", "a_row2", "a_row3", "b_c"]
    one = write_maps(single_case(*pair).cases[0], settings, tmp_path / "alone")
    assert one["maps"] == 3
    alone = {name: digest for name, digest in tree(tmp_path / "alone").items() if name != "maps.json"}
    for name in ("a_row2", "b_c"):
        assert {k: v for k, v in tree(out / name).items() if k != "maps.json"} == alone


def test_a_table_that_does_not_fit_is_refused_before_the_first_case(
    tmp_path: Path, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "cases.csv"
    table.write_text(f"ID,Image,Mask\na,{pair[0]},{pair[1]}\nb,{pair[0]},{pair[1]}\n")
    monkeypatch.setattr(maps.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10 * 2**20})())
    with pytest.raises(RunError, match="the disk has"):
        map_cases.map_all(read_cases(table), FeatureSettings(params=FEW), tmp_path / "out", MapOptions(), scheduler="processes")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix in (".nrrd", ".json")]


@pytest.mark.parametrize(
    ("feature_set", "params", "ratio"),
    [
        ("pyradiomics", {"setting": {"resampledPixelSpacing": [3, 4, 0]}}, (1.5 / 3) * (2 / 4)),
        ("ibsi", {"resample": {"spacing_mm": [3, 4, 6]}}, (1.5 / 3) * (2 / 4) * (3 / 6)),
        ("ibsi", {"dimension": "2D", "resample": {"spacing_mm": [3, 4]}}, (1.5 / 3) * (2 / 4)),
        ("ibsi", {}, 1.0),
    ],
)
def test_a_region_s_size_is_that_of_the_grid_its_maps_lie_on(
    case: TableCase, feature_set: str, params: dict[str, Any], ratio: float
) -> None:
    inside = sitk.GetArrayFromImage(sitk.ReadImage(str(case.mask))).sum()
    voxels, _ = map_cases._region_size(case, FeatureSettings(feature_set=feature_set, params=params))
    assert voxels == pytest.approx(inside * ratio)


def test_maps_of_the_ibsi_set_are_written_by_its_names(tmp_path: Path, case: TableCase) -> None:
    settings = FeatureSettings(feature_set="ibsi", params={"families": ["stat", "dzm"], "init_value": -1.0})
    said: list[str] = []
    progress = Progress(quiet=True)
    progress.say = said.append  # type: ignore[method-assign]
    done = write_maps(case, settings, tmp_path / "maps", MapOptions(), progress)
    assert done["maps"] == 18 and any("no maps of dzm (its distances are" in line for line in said)
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(case.image)))
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "maps" / "original_stat_MaximumIntensity.nrrd")))
    inside = sitk.GetArrayFromImage(sitk.ReadImage(str(case.mask))) > 0
    centre = np.argwhere(inside)[inside.sum() // 2]
    window = tuple(slice(place - 1, place + 2) for place in centre)
    assert found[tuple(centre)] == image[window][inside[window]].max() and (found[~inside] == -1).all()

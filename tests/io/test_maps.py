"""Maps on the disk: read back by SimpleITK (and zarr) with the voxels and the place they were written with."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.core.grid import Grid
from radpipe.errors import ConfigError, RunError
from radpipe.io import maps
from radpipe.io.map_folder import MANIFEST, MapFolder, check_folder, is_complete
from radpipe.io.maps import ZarrMaps, read_zarr_map, write_map

OBLIQUE = (0.6, 0.8, 0.0, -0.8, 0.6, 0.0, 0.0, 0.0, 1.0)
GRID = Grid((6, 9, 11), (2.5, 0.9765625, 0.7), (-123.456789, 55.25, -1000.1), OBLIQUE)


def read(path: Path) -> tuple[np.ndarray, Grid]:
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    return array, Grid(array.shape, image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection())


def close(one: Grid, other: Grid, tolerance: float) -> None:
    assert one.shape == other.shape
    np.testing.assert_allclose(one.spacing_mm, other.spacing_mm, rtol=tolerance)
    np.testing.assert_allclose(one.origin_mm, other.origin_mm, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.direction, other.direction, atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any box in any grid, also one that touches every side, in both formats and precisions."""
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    box = []
    for size in shape:
        start = data.draw(st.integers(0, size - 1))
        box.append(slice(start, data.draw(st.integers(start + 1, size))))
    suffix, tolerance = data.draw(st.sampled_from([(".nrrd", 1e-12), (".nii.gz", 1e-6)]))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    initial = data.draw(st.sampled_from([0.0, -1.0, 3.5]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    voxels = rng.normal(size=[side.stop - side.start for side in box]).astype(dtype)
    grid = Grid(shape, (2.5, 0.9765625, 0.7), (-123.5, 55.25, -1000.125), OBLIQUE)
    path = tmp_path_factory.mktemp("maps") / f"map{suffix}"
    write_map(path, "original_glcm_Idm", voxels, (box[0], box[1], box[2]), grid, initial)
    expected = np.full(shape, initial, dtype)
    expected[tuple(box)] = voxels
    array, place = read(path)
    np.testing.assert_array_equal(array, expected)
    assert array.dtype == dtype
    close(place, grid, tolerance)


def test_an_undefined_background_survives_in_nrrd(tmp_path: Path) -> None:
    """ITK's reader of NIfTI turns NaN into 0, whoever wrote it; that of NRRD keeps it."""
    voxels = np.full((2, 3, 4), 2.0, np.float32)
    voxels[0, 0, 0] = np.nan
    box = (slice(1, 3), slice(2, 5), slice(3, 7))
    write_map(tmp_path / "a.nrrd", "x", voxels, box, GRID, float("nan"))
    array, _ = read(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(array[box], voxels)
    assert np.isnan(array).sum() == array.size - voxels.size + 1
    write_map(tmp_path / "a.nii.gz", "x", voxels, box, GRID, float("nan"))
    raw = np.frombuffer(gzip.decompress((tmp_path / "a.nii.gz").read_bytes())[352:], "<f4").reshape(GRID.shape)
    np.testing.assert_array_equal(raw, array)


def test_a_large_background_costs_next_to_nothing(tmp_path: Path) -> None:
    grid = Grid((120, 256, 256), (1.0, 1.0, 1.0))
    voxels = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    write_map(tmp_path / "a.nrrd", "x", voxels, (slice(50, 54), slice(10, 18), slice(20, 28)), grid, 0.0)
    assert (tmp_path / "a.nrrd").stat().st_size < 1.2e-3 * 4 * 120 * 256 * 256 + voxels.nbytes + 2000
    array, _ = read(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(array[50:54, 10:18, 20:28], voxels)


def test_the_same_map_has_the_same_bytes(tmp_path: Path) -> None:
    voxels = np.ones((2, 2, 2), np.float32)
    for name in ("a", "b"):
        write_map(tmp_path / f"{name}.nrrd", "x", voxels, (slice(0, 2),) * 3, GRID, 0.0)
    assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()
    assert b"radpipe_feature:=x" in (tmp_path / "a.nrrd").read_bytes()


def test_a_disk_that_refuses_is_said_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="folder does not exist"):
        write_map(tmp_path / "nowhere" / "a.nrrd", "x", np.ones((1, 1, 1)), (slice(0, 1),) * 3, GRID, 0.0)


def test_a_zarr_store_is_ome_ngff_and_read_by_zarr(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    columns = ("original_glcm_Idm", "original_firstorder_Mean")
    store = ZarrMaps(tmp_path / "maps.ome.zarr", GRID, columns, 0.0, {"key": "k"})
    box = (slice(1, 5), slice(2, 9), slice(0, 4))
    voxels = np.random.default_rng(0).normal(size=(4, 7, 4)).astype(np.float32)
    store.write(1, voxels, box)
    array = zarr.open_group(str(tmp_path / "maps.ome.zarr"), mode="r")["0"]
    assert array.shape == (2, *GRID.shape) and array.metadata.zarr_format == 2
    np.testing.assert_array_equal(array[(1, *box)], voxels)
    assert float(np.abs(array[:]).sum()) == pytest.approx(float(np.abs(voxels).sum()), rel=1e-6)
    (multiscale,) = json.loads((tmp_path / "maps.ome.zarr" / ".zattrs").read_text())["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["c", "z", "y", "x"] and multiscale["version"] == "0.4"
    scale, translation = multiscale["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == [1.0, *GRID.spacing_mm]
    # The corner of the image, along its own axes.
    turned = np.asarray(GRID.direction).reshape(3, 3).T @ np.asarray(GRID.origin_mm)
    np.testing.assert_allclose(translation["translation"], [0.0, *turned[::-1]])
    found, grid = read_zarr_map(tmp_path / "maps.ome.zarr", "original_firstorder_Mean")
    assert grid == GRID
    np.testing.assert_array_equal(found[box], voxels)


@pytest.mark.parametrize("initial", [0.0, -5.0, np.nan])
def test_a_zarr_store_has_the_bytes_that_the_zarr_package_writes(tmp_path: Path, initial: float) -> None:
    zarr = pytest.importorskip("zarr")
    grid = Grid((70, 130, 90), (1.0, 1.0, 1.0))
    box = (slice(10, 50), slice(40, 120), slice(26, 90))
    voxels = np.random.default_rng(1).random((40, 80, 64)).astype(np.float32)
    voxels[:25, :40] = initial
    ours, theirs = (ZarrMaps(tmp_path / name, grid, ["a", "b"], initial, {}) for name in ("ours", "theirs"))
    ours.write(1, voxels, box)
    zarr.open_group(str(theirs.folder), mode="r+", zarr_format=2)["0"][(1, *box)] = voxels
    found = [
        {str(path.relative_to(store.folder)): path.read_bytes() for path in sorted(store.folder.rglob("*")) if path.is_file()}
        for store in (ours, theirs)
    ]
    assert found[0] == found[1] and len(found[0]) > 8


def test_without_zarr_the_format_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(ConfigError, match="format zarr needs the package zarr"):
        ZarrMaps(tmp_path / "a", GRID, ("x",), 0.0, {})


# the folder


def begin(folder: MapFolder, columns: tuple[str, ...] = ("a_b_c", "a_b_d")) -> np.ndarray:
    centres = np.argwhere(np.ones((2, 3, 4), bool)) + np.array([1, 2, 3])
    folder.begin(columns, centres, GRID, (slice(0, 4), slice(1, 6), slice(2, 8)), -1.0, {"made_by": "a test"})
    return centres


def test_a_folder_becomes_whole_block_by_block(tmp_path: Path) -> None:
    values = np.arange(48.0).reshape(2, 24)
    with MapFolder(tmp_path / "out", "k" * 64, "nrrd") as folder:
        centres = begin(folder)
        for start in (0, 10, 20):
            assert not folder.has_block(0, start, (2, min(10, 24 - start)))
            folder.write_block(0, start, values[:, start : start + 10])
            assert folder.has_block(0, start, (2, min(10, 24 - start))) and not folder.has_block(0, start, (2, 11))
        folder.write_response(0, ("a_b_c", "a_b_d"), (0, 10, 20))
        assert folder.written(("a_b_c", "a_b_d")) and not is_complete(tmp_path / "other", "k" * 64)
        folder.finish()
    assert is_complete(tmp_path / "out", "k" * 64) and not is_complete(tmp_path / "out", "j" * 64)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_b_c.nrrd", "a_b_d.nrrd", MANIFEST]
    array, place = read(tmp_path / "out" / "a_b_d.nrrd")
    close(place, GRID, 1e-12)
    np.testing.assert_array_equal(array[tuple(centres.T)], values[1])
    assert (array == -1).sum() == array.size - 24


@pytest.mark.parametrize("harm", ["remove", "cut", "change"])
def test_a_map_that_is_not_as_it_was_written_is_noticed(tmp_path: Path, harm: str) -> None:
    with MapFolder(tmp_path / "out", "k" * 64, "nrrd") as folder:
        begin(folder)
        folder.write_block(0, 0, np.ones((2, 24)))
        folder.write_response(0, ("a_b_c", "a_b_d"), (0,))
        folder.finish()
    path = tmp_path / "out" / "a_b_c.nrrd"
    data = path.read_bytes()
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-5] if harm == "cut" else data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    assert not is_complete(tmp_path / "out", "k" * 64)
    with MapFolder(tmp_path / "out", "k" * 64, "nrrd") as folder:
        assert not folder.written(("a_b_c",)) and folder.written(("a_b_d",))


def test_what_is_not_ours_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(RunError, match="this is a file"):
        check_folder(file, "k")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    check_folder(foreign, "k")  # empty
    (foreign / "notes.txt").write_text("mine")
    for name in (None, "[]", '{"format": 7}', "{"):
        if name is not None:
            (foreign / MANIFEST).write_text(name)
        with pytest.raises(RunError, match=r"holds other files \((maps.json, )?notes.txt\) and no maps.json; maps are not mixed"):
            check_folder(foreign, "k")
    with MapFolder(tmp_path / "out", "k", "nrrd") as folder:
        begin(folder)
    check_folder(tmp_path / "out", "k")
    with pytest.raises(RunError, match="another image, mask, setting, format or version"):
        check_folder(tmp_path / "out", "j")
    with pytest.raises(RunError, match="another image"), MapFolder(tmp_path / "out", "j", "nrrd"):
        pass


def test_two_processes_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with MapFolder(tmp_path / "out", "k", "nrrd") as folder:
        begin(folder)
        with pytest.raises(RunError, match="another process"), MapFolder(tmp_path / "out", "k", "nrrd"):
            pass
    with MapFolder(tmp_path / "out", "k", "nrrd"):
        pass


def test_what_a_killed_process_leaves_is_swept_and_no_hindrance(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").write_text("")
    (out / f".{MANIFEST}.abc.tmp").write_text("{")
    with MapFolder(out, "k", "nrrd") as folder:
        begin(folder)
        (out / ".blocks" / ".0000.tmp").write_text("x")
        (out / ".blocks" / "0000-0000000000.f4").write_bytes(b"a part")
        begin(folder)
        assert not folder.has_block(0, 0, (2, 24))
    assert not [path for path in out.rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="may not be written"), MapFolder(tmp_path / "out", "k", "nrrd"):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_who_may_not_write_is_told_before_anything_is_read(tmp_path: Path, mode: int) -> None:
    """As nobody; with 0o700 the folder cannot even be looked into."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(mode)
    try:
        pid = os.fork()
        if not pid:
            try:
                os.setuid(65534)
                check_folder(folder / "new" / "maps", "k")
            except RunError as error:
                os._exit(7 if "may not be written to" in error.problem else 1)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    finally:
        folder.rmdir()


def test_formats_are_named_once() -> None:
    assert maps.FORMATS == ("nrrd", "nifti", "zarr")

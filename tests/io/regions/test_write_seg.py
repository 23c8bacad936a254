"""DICOM segmentations written here, read by highdicom, by pydicom, and by radpipe."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.errors import ConfigError, EmptyRoiError, FileProblem, GeometryError
from radpipe.io.dicom.scan import Series, scan_folder
from radpipe.io.dicom.seg import read_seg
from radpipe.io.dicom.series import choose, frame_positions
from radpipe.io.dicom.write_seg import SegmentKind, write_dicom_seg

highdicom = pytest.importorskip("highdicom")


def grids() -> dict[str, Grid]:
    turn, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    return {
        "straight": Grid((5, 6, 7), (2.0, 1.0, 1.5), (-10.0, 5.0, 100.0)),
        "oblique": Grid((5, 6, 7), (2.5, 0.7, 0.9), (-33.0, 12.5, 400.25), tuple(float(v) for v in turn.ravel())),
        "feet first": Grid((5, 6, 7), (3.0, 1.0, 1.0), (1.0, 2.0, 3.0), (-1, 0, 0, 0, 1, 0, 0, 0, -1)),
    }


def series_of(folder: Path) -> Series:
    return choose(scan_folder(folder))


def masks_on(grid: Grid, *, overlap: bool) -> dict[str, Mask]:
    rng = np.random.default_rng(2)
    a, b = rng.random(grid.shape) > 0.7, rng.random(grid.shape) > 0.6
    a[0] = b[0] = a[3] = False  # an empty first slice, and one of a within
    return {"GTVp": Mask(grid, a), "node left": Mask(grid, b if overlap else b & ~a)}


def world(grid: Grid, voxels: np.ndarray) -> np.ndarray:
    """Places of the voxels, in an order that does not depend on the grid."""
    found = np.round(grid.world_mm(np.argwhere(voxels).astype(float)), 3)
    return found[np.lexsort(found.T)]


@pytest.mark.parametrize("which", ["straight", "oblique", "feet first"])
@pytest.mark.parametrize("overlap", [False, True])
def test_a_round_trip(ct_series, tmp_path: Path, which: str, overlap: bool) -> None:
    """Through radpipe's reader and highdicom's: the same voxels at the same places, belonging to the series."""
    grid = grids()[which]
    source = series_of(ct_series(grid))
    image = frame_positions(source).grid
    masks = masks_on(image, overlap=overlap)
    path = tmp_path / "out.dcm"
    write_dicom_seg(path, masks, source, description="predicted")
    found = read_seg(path)
    assert found.frame_of_reference_uid == "1.2.3.9" and found.referenced_series == ("1.2.3.4",)
    assert [(region.number, region.label) for region in found.regions] == [(1, "GTVp"), (2, "node left")]
    for region, mask in zip(found.regions, masks.values(), strict=True):
        np.testing.assert_array_equal(region.on_grid(image).voxels, mask.voxels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        volume = highdicom.seg.segread(path).get_volume(combine_segments=False)
    for place, mask in enumerate(masks.values()):
        index = np.argwhere(volume.array[..., place])
        there = np.round(index @ volume.affine[:3, :3].T + volume.affine[:3, 3], 3)
        np.testing.assert_allclose(there[np.lexsort(there.T)], world(image, mask.voxels), atol=2e-3)


def test_what_stands_in_the_file(ct_series, tmp_path: Path) -> None:
    source = series_of(ct_series(grids()["straight"]))
    masks = masks_on(frame_positions(source).grid, overlap=False)
    path = tmp_path / "out.dcm"
    write_dicom_seg(path, masks, source, kind=SegmentKind(algorithm=""))
    made = pydicom.dcmread(path)
    assert (made.SOPClassUID, made.Modality, made.SegmentationType) == ("1.2.840.10008.5.1.4.1.1.66.4", "SEG", "BINARY")
    assert (made.PatientID, made.StudyInstanceUID) == ("P1", "1.2.3.1")
    assert made.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    filled = sum(int(mask.voxels.any(axis=(1, 2)).sum()) for mask in masks.values())
    assert made.NumberOfFrames == filled == 7  # 3 slices of the one, 4 of the other; the empty ones are left out
    named = {item.ReferencedSOPInstanceUID for item in made.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named <= {file.sop_uid for file in source.files}


def test_a_label_map_segmentation(ct_series, tmp_path: Path) -> None:
    source = series_of(ct_series(grids()["oblique"]))
    grid = frame_positions(source).grid
    masks = masks_on(grid, overlap=False)
    write_dicom_seg(tmp_path / "out.dcm", masks, source, form="LABELMAP")
    found = read_seg(tmp_path / "out.dcm")
    assert found.kind == "LABELMAP" and [region.label for region in found.regions] == list(masks)
    for region, mask in zip(found.regions, masks.values(), strict=True):
        np.testing.assert_array_equal(region.on_grid(grid).voxels, mask.voxels)
    with pytest.raises(GeometryError, match="overlap"):
        write_dicom_seg(tmp_path / "two.dcm", masks_on(grid, overlap=True), source, form="LABELMAP")


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), (1, 0, 0, 0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, 1, 0, 0, 0, 1)])
def test_a_mask_on_a_grid_of_its_own(ct_series, tmp_path: Path, direction) -> None:
    """Predicted on finer slices than the series has, in either order, or mirrored: the file says where its planes lie."""
    source = series_of(ct_series(grids()["straight"]))
    fine = Grid((9, 10, 8), (1.0, 0.5, 0.5), (-8.0, 6.0, 101.0), direction)
    masks = masks_on(fine, overlap=True)
    write_dicom_seg(tmp_path / "out.dcm", masks, source)
    for region, mask in zip(read_seg(tmp_path / "out.dcm").regions, masks.values(), strict=True):
        np.testing.assert_allclose(world(region.grid, region.mask.voxels), world(fine, mask.voxels), atol=2e-3)


def test_what_cannot_be_written(ct_series, tmp_path: Path, monkeypatch) -> None:
    folder = ct_series(grids()["straight"])
    source = series_of(folder)
    grid = frame_positions(source).grid
    masks = masks_on(grid, overlap=False)
    path = tmp_path / "out.dcm"
    with pytest.raises(EmptyRoiError, match="'A' is empty"):
        write_dicom_seg(path, {"A": Mask(grid, np.zeros(grid.shape, bool))}, source)
    for name in ("x" * 65, "a\\b", "  ", "two\nlines"):
        with pytest.raises(FileProblem, match="cannot be a DICOM label"):
            write_dicom_seg(path, {name: masks["GTVp"]}, source)
    for file in folder.iterdir():
        changed = pydicom.dcmread(file)
        del changed.StudyInstanceUID
        changed.save_as(file)
    with pytest.raises(FileProblem, match="highdicom cannot make a segmentation") as caught:
        write_dicom_seg(path, masks, source, case_id="P1")
    assert caught.value.case_id == "P1" and "Nobody" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(ConfigError, match="highdicom, which is not installed"):
        write_dicom_seg(path, masks, source)
    assert not path.exists()


def test_a_real_series(shared_data: Path, tmp_path: Path) -> None:
    """dcmqi's small CT: its own segmentation, read and written again, is the same region."""
    base = shared_data / "dicom" / "dcmqi_segmentations" / "24x38x3"
    source = series_of(base / "image")
    grid = frame_positions(source).grid
    mask = read_seg(base / "seg" / "label.seg").regions[0].on_grid(grid)
    write_dicom_seg(tmp_path / "out.dcm", {"Liver": mask}, source)
    again = read_seg(tmp_path / "out.dcm").regions[0].on_grid(grid)
    np.testing.assert_array_equal(again.voxels, mask.voxels)

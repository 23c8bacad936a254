"""Mask files of several regions: labels, 3D Slicer's named segments and layers; and label maps written here, read by ITK."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError
from radpipe.io.labelled import pick, read_labelled
from radpipe.io.write_masks import write_labels

GRID = Grid((3, 4, 5), (2.0, 1.0, 1.5), (-10.0, 5.0, 100.0))


def itk(voxels: np.ndarray, grid: Grid = GRID) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(grid.direction)
    return image


def seg_nrrd(
    path: Path, layers: np.ndarray, keys: list[str], *, space: str = "left-posterior-superior", encoding: str = "gzip"
) -> Path:
    """As 3D Slicer writes it, by hand. layers : (z, y, x) or (layer, z, y, x); several values of a voxel lie together."""
    several = layers.ndim == 4
    shape = layers.shape[-1:-4:-1]
    flip = -1 if space == "right-anterior-superior" else 1
    directions = f"({1.5 * flip},0,0) (0,{1.0 * flip},0) (0,0,2)"
    lines = [
        "NRRD0004", "# Complete NRRD file format specification at:", "# http://teem.sourceforge.net/nrrd/format.html", "type: unsigned char",
        f"dimension: {4 if several else 3}", f"space: {space}",
        f"sizes: {f'{len(layers)} ' if several else ''}{' '.join(map(str, shape))}",
        f"space directions: {'none ' if several else ''}{directions}", f"kinds: {'list ' if several else ''}domain domain domain",
        "endian: little", f"encoding: {encoding}", f"space origin: ({-10 * flip},{5 * flip},100)", *keys, "", "",
    ]  # fmt: skip
    data = (np.moveaxis(layers, 0, -1) if several else layers).astype(np.uint8).tobytes()
    path.write_bytes("\n".join(lines).encode() + (gzip.compress(data) if encoding == "gzip" else data))
    return path


def segment(number: int, name: str, value: int | None = None, layer: int | None = None) -> list[str]:
    found = [f"Segment{number}_ID:=Segment_{number}", f"Segment{number}_Name:={name}", f"Segment{number}_Color:=0.5 0.7 0.4"]
    found += [] if value is None else [f"Segment{number}_LabelValue:={value}"]
    return found + ([] if layer is None else [f"Segment{number}_Layer:={layer}"])


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_every_label_is_a_region(tmp_path: Path, suffix: str) -> None:
    voxels = np.zeros(GRID.shape, np.int16)
    voxels[0, 0, :2], voxels[1, 1, 1], voxels[2] = 3, 7, 300
    path = tmp_path / f"mask{suffix}"
    sitk.WriteImage(itk(voxels), str(path))
    found = read_labelled(path)
    assert [(region.number, region.name) for region in found] == [(3, "label 3"), (7, "label 7"), (300, "label 300")]
    assert [int(region.mask.voxels.sum()) for region in found] == [2, 1, 20]
    np.testing.assert_allclose(found[0].grid.origin_mm, GRID.origin_mm)
    assert pick(found, 7, path=path)[0].number == 7


@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior"])
def test_named_segments_of_slicer(tmp_path: Path, space: str) -> None:
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[0, 0, 0], voxels[1, 1, 1:3] = 1, 5
    keys = [*segment(0, "Tumour, Prim\\nr\u00e4r", 5, 0), *segment(1, "Niere", 1, 0), *segment(2, "empty one", 9, 0)]
    path = seg_nrrd(tmp_path / "case.seg.nrrd", voxels, keys, space=space)
    found = read_labelled(path)
    assert [(region.number, region.name, region.value, region.layer) for region in found] == [
        (1, "Niere", 1, 0), (5, "Tumour, Prim\nr\u00e4r", 5, 0), (9, "empty one", 9, 0),
    ]  # fmt: skip
    assert [int(region.mask.voxels.sum()) for region in found] == [1, 2, 0]
    np.testing.assert_allclose(found[0].grid.world_mm(np.array([0.0, 0, 0])), (-10, 5, 100))


def test_layers_of_overlapping_segments(tmp_path: Path) -> None:
    layers = np.zeros((2, *GRID.shape), np.uint8)
    layers[0, 1, 1, 1:4], layers[0, 0, 0, 0], layers[1, 1, 1, 3:5] = 1, 2, 1
    keys = [*segment(0, "A", 1, 0), *segment(1, "B", 2, 0), *segment(2, "C", 1, 1)]
    found = read_labelled(seg_nrrd(tmp_path / "m.seg.nrrd", layers, keys))
    assert [(region.number, region.name, region.layer) for region in found] == [(1, "A", 0), (2, "B", 0), (3, "C", 1)]
    assert np.argwhere(found[2].mask.voxels).tolist() == [[1, 1, 3], [1, 1, 4]]
    assert (found[0].mask.voxels & found[2].mask.voxels).sum() == 1
    # The file of an older Slicer: no label values, each segment a layer of its own
    old = read_labelled(seg_nrrd(tmp_path / "old.seg.nrrd", (layers == 1).astype(np.uint8), [*segment(0, "A"), *segment(1, "C")]))
    assert [(region.name, int(region.mask.voxels.sum())) for region in old] == [("A", 3), ("C", 2)]


def test_a_label_that_no_segment_names(tmp_path: Path) -> None:
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[0], voxels[1] = 1, 4
    found = read_labelled(seg_nrrd(tmp_path / "m.seg.nrrd", voxels, segment(0, "A", 1, 0), encoding="raw"))
    assert [region.name for region in found] == ["A", "label 4"]
    with pytest.raises(FileProblem, match=r"no region 'B'.*It holds: 1 'A', 4 'label 4'"):
        pick(found, "B")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (segment(0, "A", 1, 3), "puts the segment 'A' into layer 3, and the file has 1"),
        ([*segment(0, "A", 1, 0), *segment(1, "B", 1, 0)], "label 1 of layer 0 to two segments, 'A' and 'B'"),
        (["Segment0_Name:=A", "Segment0_LabelValue:=one"], "no usable label value or layer for the segment 'A'"),
        (segment(0, "A", 0, 0), "no usable label value"),
    ],
)
def test_segments_that_do_not_fit(tmp_path: Path, keys, words) -> None:
    path = seg_nrrd(tmp_path / "m.seg.nrrd", np.ones(GRID.shape, np.uint8), keys)
    with pytest.raises(FileProblem, match=words) as caught:
        read_labelled(path, case_id="P1")
    assert caught.value.case_id == "P1" and caught.value.path == str(path)


def test_files_that_are_no_masks(tmp_path: Path) -> None:
    sitk.WriteImage(itk(np.random.default_rng(0).random(GRID.shape).astype(np.float32)), str(tmp_path / "p.nii.gz"))
    with pytest.raises(FileProblem, match="probability map"):
        read_labelled(tmp_path / "p.nii.gz")
    sitk.WriteImage(itk(np.full(GRID.shape, -3, np.int16)), str(tmp_path / "n.nii.gz"))
    with pytest.raises(FileProblem, match="label -3"):
        read_labelled(tmp_path / "n.nii.gz")
    big = Grid((20, 20, 20), (1.0, 1.0, 1.0))
    sitk.WriteImage(itk(np.arange(8000, dtype=np.int16).reshape(20, 20, 20), big), str(tmp_path / "i.nii.gz"))
    with pytest.raises(FileProblem, match="7999 different values"):
        read_labelled(tmp_path / "i.nii.gz")
    sitk.WriteImage(itk(np.zeros(GRID.shape, np.uint8)), str(tmp_path / "z.nii.gz"))
    assert read_labelled(tmp_path / "z.nii.gz") == ()


def test_dcmqis_label_map(shared_data: Path) -> None:
    found = read_labelled(shared_data / "dicom" / "dcmqi_segmentations" / "liver_spine_gapped_seg.nrrd")
    assert [(region.number, int(region.mask.voxels.sum())) for region in found] == [(1, 107098), (5, 12439)]


# written


def oblique() -> Grid:
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    return Grid((4, 6, 7), (2.5, 0.7, 0.9), (-33.0, 12.5, 400.25), tuple(float(v) for v in turn.ravel()))


@pytest.mark.parametrize("which", ["straight", "oblique", "reversed slices"])
def test_a_label_map_lies_where_the_masks_were(tmp_path: Path, which: str) -> None:
    """As ITK, on which 3D Slicer builds, reads it: every voxel at its place; and the names come back."""
    grid = {
        "straight": GRID,
        "oblique": oblique(),
        "reversed slices": Grid((4, 5, 6), (3.0, 1.0, 1.0), (1.0, 2.0, 3.0), (1, 0, 0, 0, 1, 0, 0, 0, -1)),
    }[which]
    rng = np.random.default_rng(1)
    a = rng.random(grid.shape) > 0.7
    b = (rng.random(grid.shape) > 0.5) & ~a
    path = tmp_path / "masks.nii.gz"
    write_labels(path, {"GTVp": Mask(grid, a), "node, left": Mask(grid, b)})
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), a + 2 * b)
    for index in ((0, 0, 0), (2, 3, 1), (grid.shape[0] - 1, 0, grid.shape[2] - 1)):
        place = image.TransformIndexToPhysicalPoint(tuple(int(v) for v in index[::-1]))
        np.testing.assert_allclose(place, grid.world_mm(np.array(index, float)), atol=1e-3)
    found = read_labelled(path)
    assert [(region.number, region.name) for region in found] == [(1, "GTVp"), (2, "node, left")]
    np.testing.assert_array_equal(found[1].mask.voxels, b)
    first = path.read_bytes()
    write_labels(path, {"GTVp": Mask(grid, a), "node, left": Mask(grid, b)})
    assert path.read_bytes() == first


def test_label_maps_that_cannot_be_written(tmp_path: Path) -> None:
    whole = Mask(GRID, np.ones(GRID.shape, bool))
    other = Mask(Grid(GRID.shape, GRID.spacing_mm), np.ones(GRID.shape, bool))
    for masks, error, words in (
        ({}, EmptyRoiError, "no mask to write"),
        ({"A": whole, "B": whole}, GeometryError, "'B' shares 60 voxels"),
        ({"A": whole, "B": other}, GeometryError, "different grids: origin"),
        ({"A": Mask(GRID, np.zeros(GRID.shape, bool))}, EmptyRoiError, "'A' is empty"),
    ):
        with pytest.raises(error, match=words):
            write_labels(tmp_path / "m.nii.gz", masks)
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_names_that_is_none(tmp_path: Path) -> None:
    write_labels(tmp_path / "m.nii.gz", {"A": Mask(GRID, np.ones(GRID.shape, bool))})
    for text, words in (
        ("name,number\n", "columns number,name"),
        ("number,name\n1,A\n1,B\n", "row 3"),
        ("number,name\nx,A\n", "row 2"),
    ):
        (tmp_path / "m.labels.csv").write_text(text)
        with pytest.raises(FileProblem, match=words):
            read_labelled(tmp_path / "m.nii.gz")

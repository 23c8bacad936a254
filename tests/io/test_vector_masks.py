"""Several masks in one file (overlapping regions): each channel is what ITK says it is, and nothing damaged is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.errors import EmptyRoiError, FileProblem
from radpipe.io.volumes import SUFFIXES, read_image, read_label_map, read_mask

NRRD = (
    "NRRD0004\ntype: {kind}\ndimension: 4\nspace: left-posterior-superior\nsizes: {sizes}\nspace directions: {directions}\n"
    "kinds: {kinds}\nencoding: raw\nendian: little\nspace origin: (1,2,3)\n\n"
)


def masks(count: int = 2, dtype: str = "u1") -> np.ndarray:
    """(z, y, x, channel): overlapping boxes, and a second label in the last."""
    array = np.zeros((4, 5, 6, count), dtype)
    for channel in range(count):
        array[channel % 2 : 3, 1:4, channel : channel + 3, channel] = 1
    array[0, 0, 0, count - 1] = 7
    return array


def written(path: Path, array: np.ndarray, compressed: bool = False) -> Path:
    image = sitk.GetImageFromArray(array, isVector=True)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((5.0, -6.0, 7.0))
    sitk.WriteImage(image, str(path), compressed)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("count", "dtype"), [(2, "u1"), (3, "i2"), (3, "f4")])
def test_every_channel_is_what_itk_reads(tmp_path: Path, suffix: str, compressed: bool, count: int, dtype: str) -> None:
    path = written(tmp_path / f"masks{suffix}", masks(count, dtype), compressed)
    theirs = sitk.ReadImage(str(path))
    assert theirs.GetNumberOfComponentsPerPixel() == count
    for channel in range(count):
        expected = sitk.GetArrayFromImage(sitk.VectorIndexSelectionCast(theirs, channel))
        ours = read_label_map(path, label_channel=channel)
        np.testing.assert_array_equal(ours.voxels, expected)
        assert ours.grid.spacing_mm[::-1] == theirs.GetSpacing() and ours.grid.origin_mm == theirs.GetOrigin()
        np.testing.assert_array_equal(read_mask(path, label=1, label_channel=channel).voxels, expected == 1)
    assert read_mask(path, label=7, label_channel=count - 1).voxels.sum() == 1
    with pytest.raises(EmptyRoiError, match="no voxel of the mask has the label 7; it holds the label 1"):
        read_mask(path, label=7, label_channel=0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_which_channel_must_be_said_and_be_there(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"masks{suffix}", masks())
    with pytest.raises(FileProblem, match="it holds 2 values per voxel"):
        read_mask(path)
    with pytest.raises(FileProblem, match="values per voxel"):
        read_image(path)
    for channel in (2, -1):
        with pytest.raises(FileProblem, match=f"label_channel {channel} was asked for, and the file holds 2 masks \\(0 to 1\\)"):
            read_mask(path, label_channel=channel)


@pytest.mark.parametrize("kind", ["list", "vector"])
@pytest.mark.parametrize("last", [False, True])
def test_nrrd_with_its_layers_first_or_last(tmp_path: Path, kind: str, last: bool) -> None:
    """3D Slicer writes a segmentation of overlapping regions as layers along an axis of the kind "list"."""
    array = masks()
    axes = "(1,0,0) (0,1,0) (0,0,2)"
    header = NRRD.format(
        kind="uint8", sizes="6 5 4 2" if last else "2 6 5 4", directions=f"{axes} none" if last else f"none {axes}",
        kinds=f"domain domain domain {kind}" if last else f"{kind} domain domain domain",
    )  # fmt: skip
    path = tmp_path / "layers.nrrd"
    path.write_bytes(header.encode() + np.ascontiguousarray(np.moveaxis(array, 3, 0) if last else array).tobytes())
    for channel in range(2):
        np.testing.assert_array_equal(read_label_map(path, label_channel=channel).voxels, array[..., channel])


def test_four_dimensions_that_are_no_channels_stay_refused(tmp_path: Path) -> None:
    header = NRRD.format(kind="uint8", sizes="2 6 5 4", directions="none (1,0,0) (0,1,0) (0,0,2)", kinds="time space space space")
    path = tmp_path / "time.nrrd"
    path.write_bytes(header.encode() + masks().tobytes())
    with pytest.raises(FileProblem, match="4D"):
        read_mask(path, label_channel=0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, suffix: str) -> None:
    whole = written(tmp_path / f"masks{suffix}", masks()).read_bytes()
    path = tmp_path / f"cut{suffix}"
    for length in range(1, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(FileProblem):
            read_mask(path, label_channel=0)


def test_a_file_of_one_mask_is_read_whatever_the_channel(tmp_path: Path) -> None:
    path = tmp_path / "one.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(masks()[..., 0]), str(path))
    np.testing.assert_array_equal(read_mask(path, label_channel=3).voxels, masks()[..., 0] == 1)


def test_probabilities_in_a_channel_are_no_labels(tmp_path: Path) -> None:
    array = masks(2, "f4")
    array[..., 1] *= 0.5
    path = written(tmp_path / "masks.nrrd", array)
    assert read_mask(path, label_channel=0).voxels.any()
    with pytest.raises(FileProblem, match="looks like a probability map"):
        read_mask(path, label_channel=1)

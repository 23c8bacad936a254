"""Volumes that are as they should be: what ITK sees is what radpipe sees, and what is written comes back."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError, FileProblem
from radpipe.io.nifti import write_nifti
from radpipe.io.volumes import SUFFIXES, read_header, read_image, read_mask, write_image, write_mask

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def rotation(turns: tuple[float, float, float]) -> np.ndarray:
    """A rotation matrix from three angles, by its textbook factors."""
    a, b, c = turns
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
    return about_z @ about_y @ about_x


OBLIQUE = Grid((4, 5, 6), (3.27, 1.5, 0.9765625), (12.5, -180.25, 433.125), tuple(rotation((0.3, -0.2, 1.1)).ravel()))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compressed", [False, True])
def test_reads_what_itk_reads(tmp_path: Path, suffix: str, dtype: str, compressed: bool) -> None:
    voxels = np.random.default_rng(1).integers(0, 120, OBLIQUE.shape).astype(dtype)
    written = sitk.GetImageFromArray(voxels)
    written.SetSpacing(OBLIQUE.spacing_mm[::-1])
    written.SetOrigin(OBLIQUE.origin_mm)
    written.SetDirection(OBLIQUE.direction)
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(written, str(path), compressed)
    expected, got = sitk.ReadImage(str(path)), read_image(path, unit="HU")
    np.testing.assert_array_equal(got.voxels, sitk.GetArrayFromImage(expected))
    assert got.voxels.dtype == np.dtype(dtype) and got.unit == "HU"
    assert got.grid.spacing_mm[::-1] == expected.GetSpacing()
    assert got.grid.origin_mm == expected.GetOrigin() and got.grid.direction == expected.GetDirection()
    header = read_header(path)
    assert header.grid == got.grid and header.dtype == np.dtype(dtype).name
    index = np.array([1, 2, 3])
    assert got.grid.world_mm(index) == pytest.approx(expected.TransformIndexToPhysicalPoint((3, 2, 1)), abs=1e-9)


@given(
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.tuples(*[st.floats(0.2, 8)] * 3),
    st.tuples(*[st.floats(-900, 900)] * 3),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_what_radpipe_writes_lies_where_it_lay(
    tmp_path_factory: pytest.TempPathFactory, turns, spacing, origin, mirrored
) -> None:
    matrix = rotation(turns) * (np.array([1, 1, -1]) if mirrored else 1)
    grid = Grid((3, 4, 5), spacing, origin, tuple(matrix.ravel()))
    path = tmp_path_factory.mktemp("w") / "a.nii"
    write_image(path, Image(grid, np.arange(60, dtype=np.int16).reshape(3, 4, 5)))
    there = sitk.ReadImage(str(path))
    for corner in ([0, 0, 0], [2, 3, 4], [2, 0, 4]):
        # float32 headers: 1e-4 mm at a metre from the scanner's centre
        assert there.TransformIndexToPhysicalPoint(corner[::-1]) == pytest.approx(grid.world_mm(np.array(corner)), abs=5e-4)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(there).ravel(), np.arange(60))
    again = read_image(path)
    assert np.abs(np.subtract(again.grid.spacing_mm, grid.spacing_mm)).max() < 1e-5


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_the_same_volume_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    image = Image(OBLIQUE, np.random.default_rng(0).standard_normal(OBLIQUE.shape).astype(np.float32))
    digests = set()
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / name, image)
        digests.add(hashlib.sha256((tmp_path / folder / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    if name.endswith("gz"):
        assert (tmp_path / "x" / name).read_bytes()[4:8] == bytes(4), "gzip time stamp"
    np.testing.assert_array_equal(read_image(tmp_path / "x" / name).voxels, image.voxels)


def test_scaled_numbers_are_what_itk_makes_of_them(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 30000, OBLIQUE.shape).astype(np.int16)
    write_nifti(tmp_path / "a.nii.gz", voxels, OBLIQUE, slope=1 / 512)
    got = read_image(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(got.voxels, sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nii.gz"))))
    np.testing.assert_array_equal(got.voxels, (voxels / 512).astype(np.float32))
    assert read_header(tmp_path / "a.nii.gz").dtype == "int16"


def test_gzip_in_several_members_as_bgzip_and_pigz_write_it(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", np.arange(120, dtype=np.int16).reshape(4, 5, 6), OBLIQUE)
    data = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(data[:400]) + gzip.compress(data[400:]))
    np.testing.assert_array_equal(read_image(tmp_path / "b.nii.gz").voxels.ravel(), np.arange(120))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_masks(tmp_path: Path, suffix: str) -> None:
    labels = np.zeros(OBLIQUE.shape, np.uint8)
    labels[1, 2, 3], labels[2, 2, 2:4], labels[0, 0, 0] = 1, 2, 7
    path = tmp_path / f"mask{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(path))
    for label, count in ((1, 1), (2, 2), (7, 1)):
        mask = read_mask(path, label=label)
        assert mask.voxels.dtype == bool and int(mask.voxels.sum()) == count
        np.testing.assert_array_equal(mask.voxels, labels == label)
    with pytest.raises(EmptyRoiError, match="no voxel of the mask has the label 3; it holds the labels 1, 2, 7") as caught:
        read_mask(path, label=3, case_id="P1")
    assert caught.value.case_id == "P1" and caught.value.path == str(path)


def test_an_empty_mask(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.nii.gz", Mask(OBLIQUE, np.zeros(OBLIQUE.shape, bool)))
    with pytest.raises(EmptyRoiError, match="every voxel is 0"):
        read_mask(tmp_path / "m.nii.gz")


def test_labels_kept_as_decimal_numbers(tmp_path: Path) -> None:
    labels = np.zeros(OBLIQUE.shape, np.uint8)
    labels[1, 1, 1] = 255
    write_nifti(tmp_path / "m.nii.gz", labels, OBLIQUE, slope=1 / 255)  # 255 / 255 is 1.0000000x in float32
    assert read_mask(tmp_path / "m.nii.gz", label=1).voxels.sum() == 1
    write_nifti(tmp_path / "p.nii.gz", np.full(OBLIQUE.shape, 0.37, np.float32), OBLIQUE)
    with pytest.raises(FileProblem, match=r"holds 0\.37: it looks like a probability map"):
        read_mask(tmp_path / "p.nii.gz")


def test_a_written_mask_comes_back(tmp_path: Path) -> None:
    mask = Mask(OBLIQUE, np.random.default_rng(0).random(OBLIQUE.shape) > 0.5)
    write_mask(tmp_path / "m.nii.gz", mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz").voxels, mask.voxels)
    with pytest.raises(ValueError, match=r"\.nii"):
        write_mask(tmp_path / "m.nrrd", mask)


def test_real_volumes_read_as_itk_reads_them(shared_data: Path) -> None:
    paths = [*sorted((shared_data / "sts" / "images" / "STS_001").glob("*.nii.gz"))]
    paths += sorted((shared_data / "pyradiomics_cases").rglob("*.nrrd"))[:4]
    paths += sorted((shared_data / "hippocampus").rglob("*.nii.gz"))[:4]
    assert len(paths) > 8
    for path in paths:
        expected = sitk.ReadImage(str(path))
        got = read_image(path)
        np.testing.assert_array_equal(got.voxels, sitk.GetArrayFromImage(expected))
        assert got.voxels.dtype == sitk.GetArrayViewFromImage(expected).dtype
        assert got.grid.origin_mm == expected.GetOrigin() and got.grid.direction == expected.GetDirection()

"""``radpipe extract`` on a DICOM folder with an RTSTRUCT or SEG beside it: the done-when of the intake, and what is refused.

The two STS patients are there as DICOM with contours and as NIfTI with masks that others rasterised. The rasterised masks have
the same voxels (test_sts_contours), so the rasterisation allows no difference: features agree to 1e-6, relative. What is left is
the NIfTI header's float32 spacing (4e-8 of a volume, 1.5e-5 mm of 3.27 mm) and the last bit of a SUV (1e-7).
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image
from radpipe.errors import RadpipeError
from radpipe.io.volumes import read_image, write_image, write_mask
from radpipe.stages._progress import Progress
from radpipe.stages.cases import read_cases, single_case
from radpipe.stages.map_cases import map_here
from radpipe.stages.maps import MapOptions
from radpipe.stages.measure import measure_case
from radpipe.stages.parameter_file import load_settings
from radpipe.stages.reading import Reading, read_pair
from radpipe.stages.tabulate import measure_here

GRID = Grid((6, 16, 18), (2.0, 1.0, 1.0), (-5.0, 10.0, 20.0))
BOX = [[-1.5, 12.5], [6.5, 12.5], [6.5, 21.5], [-1.5, 21.5]]  # 8 x 9 voxels: columns 4 to 11, rows 3 to 11
OTHER = [[7.5, 12.5], [10.5, 12.5], [10.5, 15.5], [7.5, 15.5]]


def features(image: Path, mask: Path, *overrides: str) -> dict[str, float]:
    settings = load_settings(None, overrides=overrides, feature_set=None, engine=None)
    payload: dict[str, Any] = {
        "case_id": "P1", "image_path": str(image), "mask_path": str(mask), "label": None, "label_channel": None, "modality": "",
        "settings": settings.model_dump(mode="json"),
    }  # fmt: skip
    return measure_case(payload)["features"]


def agree(one: dict[str, float], two: dict[str, float]) -> None:
    assert list(one) == list(two) and len(one) == 107
    for name, value in one.items():
        assert value == pytest.approx(two[name], rel=1e-6, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize(
    ("patient", "modality"),
    [
        ("STS_018", "CT"),
        ("STS_001", "PET"),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in (("STS_001", "CT"), ("STS_001", "MR_T1"), ("STS_018", "PET"), ("STS_018", "MR_T1"))
        ),
    ],
)
def test_features_of_dicom_are_those_of_nifti(shared_data: Path, patient: str, modality: str) -> None:
    dicom, nifti = shared_data / "sts" / "dicom" / patient / modality, shared_data / "sts" / "images" / patient
    # 25 SUV is one bin; with a quarter the textures say something.
    overrides = ("binWidth:0.25",) if modality == "PET" else ()
    agree(
        features(dicom / "image", dicom / "mask" / "RS.dcm", *overrides),
        features(nifti / f"{modality}_image.nii.gz", nifti / f"{modality}_mask.nii.gz", *overrides),
    )


def test_contours_of_the_ct_on_the_pet(shared_data: Path) -> None:
    """One frame of reference: what a planning structure set says of the CT holds on the PET too. The mask differs by 20 of
    1200 voxels at its border, and the mean and 90th percentile by no more than these can move them."""
    sts = shared_data / "sts"
    ct = sts / "dicom" / "STS_018" / "CT" / "mask" / "RS.dcm"
    moved = features(sts / "dicom" / "STS_018" / "PET" / "image", ct, "binWidth:0.25")
    nifti = sts / "images" / "STS_018"
    published = features(nifti / "PET_image.nii.gz", nifti / "PET_mask.nii.gz", "binWidth:0.25")
    for name in ("original_firstorder_Mean", "original_firstorder_90Percentile", "original_shape_VoxelVolume"):
        assert moved[name] == pytest.approx(published[name], rel=0.02)
    assert moved["original_firstorder_Maximum"] == pytest.approx(published["original_firstorder_Maximum"], rel=1e-6)


# the command


@pytest.fixture
def export(ct_series, rtstruct, dicom) -> tuple[Path, Path]:
    """A CT of random values with two ROIs."""
    voxels = np.random.default_rng(4).normal(40, 30, GRID.shape).astype(np.int16)
    folder = ct_series(GRID, voxels)
    drawn = [dicom.contour([[x, y, z] for x, y in BOX]) for z in (22.0, 24.0, 26.0, 28.0)]
    other = [dicom.contour([[x, y, z] for x, y in OTHER]) for z in (22.0, 24.0)]
    return folder, rtstruct([(1, "GTVp", drawn), (2, "Node", other), (3, "never drawn", None)])


def expected(box: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros(GRID.shape, bool)
    mask[box] = True
    return mask


def command(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "radpipe", *map(str, args)], capture_output=True, text=True, timeout=120)


def test_the_command_on_a_folder_and_a_structure_set(export, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    done = command("extract", *export, "--roi", "gtvp", "-o", out)
    assert done.returncode == 0, done.stderr
    with open(out, newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["roi"] == "gtvp"
    assert float(row["original_shape_VoxelVolume"]) == 8 * 9 * 4 * 2.0


def test_several_rois_and_nobody_says_which(export) -> None:
    (item,) = measure_here(single_case(*export), load_settings(None, overrides=(), feature_set=None, engine=None))
    assert item.failure is not None
    assert item.failure["problem"] == "it holds 2 ROIs and nobody says which one is meant: 1 'GTVp', 2 'Node'."
    assert "--roi" in item.failure["hint"] and "column roi" in item.failure["hint"]


def test_a_pair_is_read(export) -> None:
    image, mask = export
    pair = read_pair(image, mask, Reading(roi="GTVp"), unit="HU", case_id="P1")
    assert pair.image.unit == "HU" and pair.image.grid == pair.mask.grid
    np.testing.assert_array_equal(pair.mask.voxels, expected((slice(1, 5), slice(3, 12), slice(4, 12))))
    node = read_pair(image, mask, Reading(roi="2"))
    np.testing.assert_array_equal(node.mask.voxels, expected((slice(1, 3), slice(3, 6), slice(13, 16))))
    both = read_pair(image, mask, Reading(roi="[gn]*[pe]"))  # a pattern that fits two means both together
    np.testing.assert_array_equal(both.mask.voxels, pair.mask.voxels | node.mask.voxels)


def test_the_roi_column_of_a_table(export, tmp_path: Path) -> None:
    image, mask = export
    table = tmp_path / "cases.csv"
    rows = [("a", "GTVp"), ("b", "Node"), ("c", "CTV"), ("d", ""), ("e", "never drawn")]
    table.write_text(
        "case_id,image_path,mask_path,modality,roi\n" + "".join(f"{case},{image},{mask},CT,{roi}\n" for case, roi in rows)
    )
    settings = load_settings(None, overrides=(), feature_set=None, engine=None)
    found = {item.case.case_id: item for item in measure_here(read_cases(table), settings)}
    assert found["a"].result["features"]["original_shape_VoxelVolume"] == 576.0
    assert found["b"].result["features"]["original_shape_VoxelVolume"] == 36.0
    assert "no ROI 'CTV'" in found["c"].failure["problem"] and "1 'GTVp', 2 'Node'" in found["c"].failure["problem"]
    assert "nobody says which" in found["d"].failure["problem"] and "column roi" in found["d"].failure["hint"]
    assert found["e"].failure["error"] == "empty_roi" and "never drawn" in found["e"].failure["problem"]
    assert all(item.failure is None or item.failure["path"] == str(mask) for item in found.values())


def test_a_segmentation_beside_a_folder(export, tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    from radpipe.core.image import Mask
    from radpipe.io.dicom.scan import scan_folder
    from radpipe.io.dicom.series import choose
    from radpipe.io.dicom.write_seg import write_dicom_seg

    image, mask = export
    contoured = read_pair(image, mask, Reading(roi="GTVp"))
    write_dicom_seg(tmp_path / "seg.dcm", {"GTVp": contoured.mask}, choose(scan_folder(image)))
    pair = read_pair(image, tmp_path / "seg.dcm", Reading())
    np.testing.assert_array_equal(pair.mask.voxels, contoured.mask.voxels)
    fine = Grid(
        (8, 18, 16), (1.0, 0.5, 0.5), (-1.25, 12.75, 21.5)
    )  # its own voxels: refused, or resampled where that is asked for
    write_dicom_seg(tmp_path / "fine.dcm", {"A": Mask(fine, np.ones(fine.shape, bool))}, choose(scan_folder(image)))
    with pytest.raises(RadpipeError, match="its voxels are not those of the image") as caught:
        read_pair(image, tmp_path / "fine.dcm", Reading(), case_id="P1")
    assert caught.value.case_id == "P1" and "correctMask" in caught.value.hint
    again = read_pair(image, tmp_path / "fine.dcm", Reading(correct_mask=True))
    # 8 x 9 x 8 mm from x -1.5, y 12.5, z 21 on: the voxels of the image whose centres lie in it
    np.testing.assert_array_equal(again.mask.voxels, expected((slice(1, 5), slice(3, 12), slice(4, 12))))


def test_two_series_in_one_folder(export, ct_series) -> None:
    """The contours say on which of the two they were drawn."""
    image, mask = export
    second = ct_series(GRID, uid="1.2.3.77", frame="1.2.3.78", name="second")
    for number, file in enumerate(sorted(second.iterdir())):
        file.rename(image / f"other{number}.dcm")
    pair = read_pair(image, mask, Reading(roi="Node"))
    assert pair.image.voxels.any()  # the second series is all zeros


def test_what_is_refused(export, ct_series, tmp_path: Path, rtstruct, dicom) -> None:
    image, mask = export  # not marked as de-identified, so that messages show pseudonyms of its UIDs
    elsewhere = ct_series(GRID, uid="1.2.3.5", frame="1.2.3.10", name="elsewhere")
    nifti = tmp_path / "image.nii.gz"
    write_image(nifti, Image(GRID, np.zeros(GRID.shape, np.int16)))
    hollow = tmp_path / "hollow"
    hollow.mkdir()
    text = tmp_path / "notes.dcm"
    text.write_bytes(b"\0" * 128 + b"DICM and nothing else")
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(mask.read_bytes()[:-200])
    far = rtstruct([(1, "GTV", [dicom.contour([[x + 500, y, 22.0] for x, y in BOX])])], name="far.dcm")
    for pair, words in (
        ((elsewhere, mask), r"ROI 1 'GTVp' was made on the series 2\.25\.\d+ .*image series 2\.25\.\d+ has the frame"),
        ((nifti, mask), "belong to a DICOM series, and the image is none"),
        ((hollow, mask), "no image series"),
        ((image, text), "DICOM|damaged|cut off|structure"),
        ((image, cut), "cut off"),
        ((image, tmp_path / "none.dcm"), "does not exist|not there"),
        ((image, next(image.iterdir())), "holds no region .its modality is CT"),
        ((image, far), "lies outside the image"),
    ):
        with pytest.raises(RadpipeError, match=words) as caught:
            read_pair(*pair, Reading(roi="1"), case_id="P1")
        assert caught.value.case_id == "P1" and caught.value.path and caught.value.hint
    with pytest.raises(RadpipeError, match="values are HU, and SUV is expected"):
        read_pair(image, mask, Reading(roi="1"), unit="SUV", case_id="P1")


def test_a_registration_that_cannot_be_read_is_named(export, rtstruct, dicom) -> None:
    """Nothing links the two frames then; the file that might have is said."""
    image, _ = export
    elsewhere = rtstruct(
        [(1, "GTV", [dicom.contour([[x, y, 22.0] for x, y in BOX])])],
        frame="1.2.3.77",
        series=("1.2.3.78",),
        name="elsewhere.dcm",
    )
    made = dicom.dataset("1.2.840.10008.5.1.4.1.1.66.1", "REG", FrameOfReferenceUID="1.2.3.9")
    made.RegistrationSequence = [dicom.item(FrameOfReferenceUID="1.2.3.77", MatrixRegistrationSequence=[])]
    made.save_as(image / "link.dcm", enforce_file_format=True)
    with pytest.raises(RadpipeError, match=r"The registration link\.dcm could not be used: .*has no matrix") as caught:
        read_pair(image, elsewhere, Reading(), case_id="P1")
    assert caught.value.path == str(elsewhere) and "frame" in caught.value.problem
    whole = (image / "link.dcm").read_bytes()
    (image / "link.dcm").write_bytes(whole[:-30])
    with pytest.raises(RadpipeError, match=r"link\.dcm"):
        read_pair(image, elsewhere, Reading())


@pytest.mark.slow
def test_maps_of_dicom_are_those_of_nifti(export, tmp_path: Path) -> None:
    image, mask = export
    pair = read_pair(image, mask, Reading(roi="Node"))
    write_image(tmp_path / "i.nii.gz", pair.image)
    write_mask(tmp_path / "m.nii.gz", pair.mask)
    settings = load_settings(None, overrides=("kernelRadius:1",), feature_set=None, engine=None)
    found = []
    for name, cases in (
        ("d", single_case(image, mask, "Node")),
        ("n", single_case(tmp_path / "i.nii.gz", tmp_path / "m.nii.gz")),
    ):
        (item,) = map_here(cases, settings, tmp_path / name, MapOptions("nifti", 2, 1), progress=Progress(quiet=True), rerun="")
        assert item.failure is None, item.failure
        found.append({path.name: read_image(path).voxels for path in sorted((tmp_path / name).rglob("*.nii.gz"))})
    ours, theirs = found
    assert len(ours) > 80 and list(ours) == list(theirs)
    for name, voxels in ours.items():
        np.testing.assert_allclose(voxels, theirs[name], rtol=1e-5, atol=1e-9, equal_nan=True, err_msg=name)


def test_who_works_with_nifti_does_without_pydicom(tmp_path: Path) -> None:
    """A single case starts in about a second; pydicom and highdicom alone would take half of one."""
    rng = np.random.default_rng(0)
    write_image(tmp_path / "i.nii.gz", Image(GRID, rng.normal(0, 50, GRID.shape).astype(np.int16)))
    write_image(tmp_path / "m.nii.gz", Image(GRID, expected((slice(1, 4), slice(2, 9), slice(2, 9))).astype(np.uint8)))
    code = (
        "import sys\nfrom pathlib import Path\nfrom radpipe.stages.reading import Reading, read_pair\n"
        "import radpipe.stages.measure, radpipe.stages.cases, radpipe.stages.tabulate, radpipe.cli.main\n"
        f"read_pair(Path({str(tmp_path / 'i.nii.gz')!r}), Path({str(tmp_path / 'm.nii.gz')!r}), Reading())\n"
        "print([name for name in ('pydicom', 'highdicom') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_single_case_without_a_roi_is_as_before(tmp_path: Path) -> None:
    cases = single_case(tmp_path / "i.nii.gz", tmp_path / "m.nii.gz")
    assert cases.columns == ("image_path", "mask_path") and cases.cases[0].roi == ""


def test_a_region_of_a_label_map_by_name(tmp_path: Path) -> None:
    """--roi means the same for a mask that is no DICOM: the name stands in the file, or in the table beside it."""
    from radpipe.core.image import Mask
    from radpipe.io.write_masks import write_labels

    image, mask = tmp_path / "i.nii.gz", tmp_path / "m.nii.gz"
    write_image(image, Image(GRID, np.random.default_rng(1).normal(0, 50, GRID.shape).astype(np.int16)))
    box, other = expected((slice(1, 4), slice(2, 9), slice(2, 9))), expected((slice(1, 4), slice(10, 14), slice(2, 9)))
    write_labels(mask, {"GTVp": Mask(GRID, box), "Node": Mask(GRID, other)})
    (case,) = single_case(image, mask, "node").cases
    assert (case.label, case.label_channel) == (2, None)
    settings = load_settings(None, overrides=(), feature_set=None, engine=None)
    (item,) = measure_here(single_case(image, mask, "node"), settings)
    assert item.result is not None
    assert item.result["features"]["original_shape_VoxelVolume"] == other.sum() * 2.0
    with pytest.raises(RadpipeError, match=r"no region 'CTV'.*It holds: 1 'GTVp', 2 'Node'"):
        single_case(image, mask, "CTV")
    with pytest.raises(RadpipeError, match="2 regions fit"):
        single_case(image, mask, "*")

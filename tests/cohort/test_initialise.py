from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radpipe.cohort.initialise import guess_pairs

# Ways folders are named in the field: (files, {case: (patient, modality, image, mask)})
LAYOUTS = {
    "suffixes": (
        ["a_image.nii.gz", "a_mask.nii.gz", "b_image.nii.gz", "b_mask.nii.gz"],
        {"a": ("a", "", "a_image.nii.gz", "a_mask.nii.gz"), "b": ("b", "", "b_image.nii.gz", "b_mask.nii.gz")},
    ),
    "a folder per patient": (
        ["P1/image.nii.gz", "P1/mask.nii.gz", "P2/image.nii.gz", "P2/mask.nii.gz"],
        {p: (p, "", f"{p}/image.nii.gz", f"{p}/mask.nii.gz") for p in ("P1", "P2")},
    ),
    "nnU-Net": (
        ["d/imagesTr/h_001_0000.nii.gz", "d/labelsTr/h_001.nii.gz"],
        {"h_001": ("h_001", "", "d/imagesTr/h_001_0000.nii.gz", "d/labelsTr/h_001.nii.gz")},
    ),
    "Medical Segmentation Decathlon": (
        ["imagesTr/h_001.nii.gz", "labelsTr/h_001.nii.gz"],
        {"h_001": ("h_001", "", "imagesTr/h_001.nii.gz", "labelsTr/h_001.nii.gz")},
    ),
    "PyRadiomics": (
        ["brain1_image.nrrd", "brain1_label.nrrd"],
        {"brain1": ("brain1", "", "brain1_image.nrrd", "brain1_label.nrrd")},
    ),
    "3D Slicer": (["a.nrrd", "a-label.nrrd"], {"a": ("a", "", "a.nrrd", "a-label.nrrd")}),
    "modalities": (
        ["S1/CT_image.nii", "S1/CT_mask.nii", "S1/PET_image.nii", "S1/PET_mask.nii"],
        {
            "S1_CT": ("S1", "CT", "S1/CT_image.nii", "S1/CT_mask.nii"),
            "S1_PET": ("S1", "PET", "S1/PET_image.nii", "S1/PET_mask.nii"),
        },
    ),
    "one of each in a folder": (["P1/t1.mha", "P1/seg.mha"], {"P1_t1": ("P1", "MR", "P1/t1.mha", "P1/seg.mha")}),
    "an image of a tumour": (
        ["x/tumour_image.nii", "x/tumour_mask.nii"],
        {"x": ("x", "", "x/tumour_image.nii", "x/tumour_mask.nii")},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_the_field(layout: str) -> None:
    paths, expected = LAYOUTS[layout]
    guess = guess_pairs(["README.md", *reversed(paths)])
    got = {row["case_id"]: (row["patient_id"], row["modality"], row["image_path"], row["mask_path"]) for row in guess.rows}
    assert got == expected and guess.left == []
    assert all(row["label"] == "1" for row in guess.rows)


def test_real_folders(shared_data) -> None:
    for folder, count in ((shared_data / "sts" / "images", 34 * 3), (shared_data / "sts" / "pet_5cm", 34)):
        guess = guess_pairs(str(path.relative_to(folder)) for path in folder.rglob("*.nii.gz"))
        assert len(guess.rows) == count and guess.left == []
        assert len({row["patient_id"] for row in guess.rows}) == 34
    folder = shared_data / "hippocampus"
    guess = guess_pairs(str(path.relative_to(folder)) for path in folder.rglob("*.nii.gz"))
    assert len(guess.rows) == 200, "and the two files its README calls unpaired are left"
    assert len(guess.left) == 2


def test_what_is_not_clear_is_handed_back_with_the_reason() -> None:
    guess = guess_pairs(["a.nii", "b.nii", "b_mask.nii", "b-seg.nii", "c_seg.nii"])
    assert guess.rows == []
    assert dict(guess.left) == {
        "a.nii": "no mask with a name like it",
        "b.nii": "1 image and 2 masks have the same name",
        "b_mask.nii": "1 image and 2 masks have the same name",
        "b-seg.nii": "1 image and 2 masks have the same name",
        "c_seg.nii": "no image with a name like it",
    }


names = st.lists(st.sampled_from(["P1", "P2", "image", "mask", "CT", "seg", "0000", "é"]), min_size=1, max_size=3).map("_".join)
trees = st.lists(st.lists(names, min_size=1, max_size=3).map("/".join).map("{}.nii.gz".format), max_size=12)


@given(trees, st.randoms(use_true_random=False))
def test_every_file_is_in_one_row_or_left_whatever_the_order(paths: list[str], random) -> None:
    guess = guess_pairs(paths)
    placed = [row[name] for row in guess.rows for name in ("image_path", "mask_path")] + [path for path, _ in guess.left]
    assert sorted(placed) == sorted(set(paths))
    ids = [row["case_id"].casefold() for row in guess.rows]
    assert len(set(ids)) == len(ids) and all(ids)
    shuffled = paths[:]
    random.shuffle(shuffled)
    assert guess_pairs(shuffled) == guess

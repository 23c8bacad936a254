"""Cases beside each other: hand-worked overlaps, real cohorts with known truths, copies, odd spacings; and bin widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.datasets import load_sts_pet
from radpipe.features.region import Region, bin_edges, discretise
from radpipe.intake.cohort_faults import Examined, odd_planes, odd_spacings, scales
from radpipe.intake.coinciding import apart, groups, overlap
from radpipe.intake.discretisation_advice import RegionLevels, advise, occupied_levels, spanned
from radpipe.stages import doctor
from radpipe.stages.doctor import examine


def box(shape: tuple[int, int, int], where: tuple[slice, ...], spacing: float = 1.0, origin: float = 0.0) -> Mask:
    voxels = np.zeros(shape, bool)
    voxels[where] = True
    return Mask(Grid(shape, (spacing,) * 3, (origin,) * 3), voxels)


def test_overlap_of_boxes_worked_by_hand() -> None:
    one = box((20, 20, 20), np.s_[4:12, 4:12, 4:12])
    two = box((20, 20, 20), np.s_[4:12, 4:12, 8:16])  # half of it beside the other
    found = overlap([one], [two])
    assert found.dice == pytest.approx(0.5) and found.dice_shifted == pytest.approx(1.0)
    assert found.shift_mm == pytest.approx((4.0, 0.0, 0.0)) and found.volume_ml == pytest.approx((0.512, 0.512))
    # The same box on a grid of 2 mm voxels whose edges fall on the fine one's: 8 x 8 x 8 mm again.
    coarse = box((10, 10, 10), np.s_[2:6, 2:6, 2:6], 2.0, 0.5)
    assert overlap([one], [coarse]).dice == pytest.approx(1.0)
    # Two regions that share voxels count once.
    assert overlap([one, one], [one]).dice == pytest.approx(1.0)


def test_sts_019_and_its_neighbours(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published README of the data: Dice 0.64 for STS_019's CT against MR and PET; elsewhere 1.00 (MR) and about 0.97 (PET)."""
    monkeypatch.setattr(doctor, "HERE", 100)
    rows = ["case_id,patient_id,modality,image_path,mask_path,label"]
    for patient in ("STS_002", "STS_019"):
        for name, modality in (("CT", "CT"), ("PET", "PET"), ("MR_T1", "MR")):
            base = shared_data / "sts" / "images" / patient / name
            rows.append(f"{patient}_{name},{patient},{modality},{base}_image.nii.gz,{base}_mask.nii.gz,1")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    report = examine(tmp_path, tmp_path / "store")
    dice = {(row["patient_id"], row["modality_1"], row["modality_2"]): row["dice"] for row in report.overlaps}
    assert dice[("STS_019", "CT", "MR")] == pytest.approx(0.64, abs=0.005)
    assert dice[("STS_019", "CT", "PET")] == pytest.approx(0.64, abs=0.005)
    assert dice[("STS_002", "CT", "MR")] == pytest.approx(1.0, abs=0.005)
    assert dice[("STS_002", "CT", "PET")] == pytest.approx(0.97, abs=0.01)
    assert {(item.check, item.case_id) for item in report.findings} == {("not-coinciding", "STS_019_CT")}
    assert all("MR and PET agree with each other" in item.what and item.severity == "error" for item in report.findings)
    assert set(report.pictures) == {0, 1}


def test_the_embedded_cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No false alarm on 34 real patients: what is found are the lesions that the scan or its crop ends in, counted here anew."""
    monkeypatch.setattr(doctor, "HERE", 100)
    data = load_sts_pet()
    report = examine(data.manifest_path, tmp_path)
    import SimpleITK as sitk

    touching = set()
    for case in data.manifest["case_id"]:
        voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(data.folder / "masks" / f"{case}.nii.gz")))
        if voxels[0].any() or voxels[-1].any() or voxels[:, [0, -1]].any() or voxels[:, :, [0, -1]].any():
            touching.add(case)
    assert {item.case_id for item in report.findings if item.check == "border"} == touching
    assert [(i.check, i.case_id) for i in report.findings if i.check != "border"] == [("parts", "STS_044")]
    assert len(report.regions) == 34 and report.count("error") == 0
    (advice,) = report.advice
    assert advice.setting == {"binWidth": 0.25} and advice.regions == 34


def test_copies(cohort: Any) -> None:
    cohort.add("a", patient="P1").add("b", patient="P2")
    found = cohort.look().findings
    assert [(item.check, item.case_id, item.severity) for item in found] == [
        ("duplicate-image", "a", "error"), ("duplicate-image", "b", "error"),
    ]  # fmt: skip
    cohort.rows.clear()
    found = cohort.add("a", patient="P1").add("b", patient="P1").look().findings
    assert {(item.check, item.case_id) for item in found} == {("duplicate-region", "a"), ("duplicate-region", "b")}
    cohort.rows.clear()
    other = cohort.like(cohort.intensities * 0.9, cohort.image)
    found = cohort.add("a", patient="P1").add("b", patient="P2", image=other).look().findings
    assert {(item.check, item.case_id) for item in found} == {("duplicate-region", "a"), ("duplicate-region", "b")}


def cases(spacings: list[float], modality: str = "CT", **more: Any) -> list[Examined]:
    grid = [Grid((10, 10, 10), (spacing, 1.0, 1.0)) for spacing in spacings]
    return [Examined(f"c{n}", f"p{n}", modality, f"i{n}", f"m{n}", 1, image=own, **more) for n, own in enumerate(grid)]


def test_an_odd_spacing_stands_out_of_five() -> None:
    (found,) = odd_spacings(cases([3.0, 3.0, 3.27, 2.5, 6.0]))
    assert found.case_id == "c4" and "6 mm along head-feet (3 mm)" in found.what
    assert odd_spacings(cases([3.0, 6.0])) == []  # of two, none is odd


def test_slices_in_another_plane_stand_out() -> None:
    listed = cases([3.0] * 6)
    sagittal = Grid((10, 10, 10), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    listed[2] = Examined("c2", "p2", "CT", "i2", "m2", 1, image=sagittal)
    (found,) = odd_planes(listed)
    assert found.case_id == "c2" and "slices are sagittal; those of 5 of 6 CT images are axial" in found.what


def test_mr_of_different_scales() -> None:
    def listed(tops: list[float]) -> list[Examined]:
        made = cases([1.0] * len(tops), "MR")
        return [Examined(c.case_id, c.patient_id, "MR", c.image_file, c.mask_file, 1, image=c.image, facts={"image": {"p99": top}})
                for c, top in zip(made, tops, strict=True)]  # fmt: skip

    assert scales(listed([900, 1000, 1100, 1200, 950])) == []
    (found,) = scales(listed([100, 1000, 5000, 400, 9000]))
    assert found.check == "normalisation" and found.case_id == ""


def test_regions_of_several_lesions_are_compared_lesion_by_lesion() -> None:
    def one(case: str, modality: str, roi: str) -> Examined:
        return Examined(case, "P", modality, case, case, 1, roi=roi, region_key="k")

    listed = [one("a", "CT", "GTVp"), one("b", "PET", "GTVp"), one("c", "CT", "GTVn")]
    (group,) = groups(listed)
    assert {name: [case.case_id for case in of] for name, of in group.items()} == {"CT": ["a"], "PET": ["b"]}
    assert (
        apart(group, {("CT", "PET"): overlap([box((9, 9, 9), np.s_[1:4, 1:4, 1:4])], [box((9, 9, 9), np.s_[1:4, 1:4, 1:4])])})
        == []
    )


# bin widths


@pytest.mark.parametrize("width", [1.0, 2.5, 10.0, 25.0])
def test_levels_are_those_of_the_extraction(width: float) -> None:
    """PyRadiomics' rule as the feature engine has it (which is held to PyRadiomics elsewhere)."""
    values = np.random.default_rng(3).normal(40, 60, 4000).astype(np.float32)
    shape = (10, 20, 20)
    levels = discretise(Region(values, np.ones(shape, bool), (1.0, 1.0, 1.0)), bin_edges(values, width, None), 0)
    assert spanned(float(values.min()), float(values.max()), width) == levels.n_levels
    assert occupied_levels(values)[width] == len(np.unique(levels.flat[levels.where]))


def test_advice_worked_by_hand() -> None:
    """Ten regions from 0 to 999 HU: 25 HU gives 40 bins, 10 gives 100, 5 gives 200, 50 gives 20."""
    regions = [RegionLevels(f"c{n}", "CT", 0.0, 999.0, {}) for n in range(10)]
    advice = advise(regions, "CT", "HU")
    assert advice is not None
    rows = {row["bin_width"]: row for row in advice.rows}
    assert [(w, rows[w]["bins_median"], rows[w]["share_good"]) for w in (5.0, 10.0, 25.0, 50.0)] == [
        (5.0, 200.0, 0.0), (10.0, 100.0, 1.0), (25.0, 40.0, 1.0), (50.0, 20.0, 0.0),
    ]  # fmt: skip
    assert advice.setting == {"binWidth": 25.0}  # the usual one, as good as any
    assert rows[2.5]["share_many"] == 1.0 and rows[100.0]["share_few"] == 1.0


def test_without_a_common_scale_or_range_a_number_of_bins_is_advised() -> None:
    regions = [RegionLevels(f"c{n}", "MR", 0.0, 1000.0, {}) for n in range(6)]
    advice = advise(regions, "MR", "arbitrary", comparable=False)
    assert advice is not None and advice.setting == {"binCount": 64} and not any(row["recommended"] for row in advice.rows)
    wild = [RegionLevels(f"c{n}", "CT", 0.0, 10.0 ** (n + 1), {}) for n in range(6)]
    advice = advise(wild, "CT", "HU")
    assert advice is not None and advice.setting == {"binCount": 64} and "No width suits" in advice.reason
    assert advise([RegionLevels("a", "CT", 5.0, 5.0, {})], "CT", "HU") is None


def test_flat_regions_are_counted_as_degenerate() -> None:
    regions = [RegionLevels("flat", "CT", 30.0, 30.0, {}), *[RegionLevels(f"c{n}", "CT", 0.0, 999.0, {}) for n in range(3)]]
    advice = advise(regions, "CT", "HU")
    assert advice is not None and all(row["share_one"] == 0.25 for row in advice.rows)

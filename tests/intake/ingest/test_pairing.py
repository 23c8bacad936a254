"""Which regions go on which image: hand-worked exports, one rule each."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np

from radpipe.intake.cases import name_cases, unnamed_patient
from radpipe.intake.pairing import FRAME, OWN, REGISTERED, ImageFacts, Pairing, RegionFacts, RoiFacts, pair_regions
from radpipe.intake.region_names import RegionMap


def image(
    key: str, modality: str = "CT", *, patient: str = "P1", number: int | None = 1, frame: str = "F", n: int = 3
) -> ImageFacts:
    return ImageFacts(key, f"uid.{key}", patient, modality, number, "", frame, frozenset(f"{key}.{i}" for i in range(n)))


def rt(
    key: str, on: str = "", names: tuple[str, ...] = ("GTV",), *, frame: str = "F", patient: str = "P1", **more: Any
) -> RegionFacts:
    rois = tuple(RoiFacts(at, name, frame) for at, name in enumerate(names, start=1))
    series = frozenset({f"uid.{on}"} if on else ())
    return RegionFacts(key, more.pop("kind", "RTSTRUCT"), f"sop.{key}", patient, more.pop("number", 1), "", rois, series, **more)


def found(pairing: Pairing) -> list[tuple[str, str, tuple[int, ...], str, bool]]:
    return [(pair.image, pair.region, pair.rois, pair.how, pair.transferred) for pair in pairing.pairs]


def test_a_structure_set_goes_on_its_series_and_to_the_pet_and_mr_of_its_frame() -> None:
    images = [image("ct"), image("pet", "PET"), image("mr", "MR"), image("other", "PET", number=2, frame="G")]
    pairing = pair_regions(images, [rt("rs", "ct", ("GTV", "Lung"))])
    assert found(pairing) == [
        ("ct", "rs", (1, 2), OWN, False), ("mr", "rs", (1, 2), FRAME, True), ("pet", "rs", (1, 2), FRAME, True),
    ]  # fmt: skip
    assert pairing.without == ("other",)
    assert pairing.pairs[2].rule == "transferred: drawn on the CT series 1, in the same frame of reference"
    assert found(pair_regions(images, [rt("rs", "ct")], transfer="none")) == [("ct", "rs", (1,), OWN, False)]


def test_a_series_with_regions_of_its_own_keeps_to_them_unless_told() -> None:
    images = [image("ct"), image("pet", "PET")]
    sets = [rt("a", "ct", ("GTV", "Lung")), rt("b", "pet", ("gtv",))]
    assert found(pair_regions(images, sets)) == [("ct", "a", (1, 2), OWN, False), ("pet", "b", (1,), OWN, False)]
    assert ("pet", "a", (2,), FRAME, True) in found(pair_regions(images, sets, transfer="all"))


def test_a_registration_carries_contours_to_another_frame() -> None:
    shift = np.eye(4)
    shift[:3, 3] = (1, 2, 3)

    def link(patient: str, start: str, end: str) -> Any:
        return shift if (patient, start, end) == ("P1", "F", "G") else None

    (own, moved) = pair_regions([image("ct"), image("pet", "PET", frame="G")], [rt("rs", "ct")], link=link).pairs
    assert (own.how, moved.how, moved.image) == (OWN, REGISTERED, "pet")
    assert moved.transform is shift and "spatial registration" in moved.rule
    # and onto its own series, where it was saved in the frame of another
    (pair,) = pair_regions([image("pet", "PET", frame="G")], [rt("rs", "pet")], link=link).pairs
    assert (pair.how, pair.transferred, pair.transform is shift) == (REGISTERED, False, True)


def test_a_frame_of_its_own_is_forgiven_where_the_contours_name_the_slices() -> None:
    images = [image("ct"), image("pet", "PET")]
    named = rt("rs", "ct", frame="own", slices=frozenset({"ct.1"}))
    pairing = pair_regions(images, [named])
    assert found(pairing) == [("ct", "rs", (1,), OWN, False), ("pet", "rs", (1,), FRAME, True)]
    assert "although it has a frame of reference of its own" in pairing.pairs[0].rule
    (left,) = pair_regions(images, [rt("rs", "ct", frame="own")]).unpaired
    assert left.fault and "another frame of reference" in left.why
    (left,) = pair_regions(images, [rt("seg", "ct", frame="own", slices=frozenset({"ct.1"}), kind="SEG")]).unpaired
    assert left.fault and "the CT series 1" in left.why


def test_a_structure_set_without_its_series_is_a_fault_and_said_to_be_transferable() -> None:
    images = [image("pet", "PET")]
    pairing = pair_regions(images, [rt("rs", "gone")])
    assert not pairing.pairs
    (left,) = pairing.unpaired
    assert left.fault and left.why == "the series it refers to is not in the export."
    assert "--transfer all" in left.hint and "PET series 1" in left.hint
    assert found(pair_regions(images, [rt("rs", "gone")], transfer="all")) == [("pet", "rs", (1,), FRAME, True)]
    (left,) = pair_regions(images, [rt("rs", "gone", frame="elsewhere")], transfer="all").unpaired
    assert "--transfer" not in left.hint


def test_slices_decide_between_the_parts_of_a_series() -> None:
    parts = [ImageFacts(f"s#{i}", "uid.s", "P1", "CT", 1, "", "F", frozenset({f"{i}"})) for i in (1, 2)]
    pairing = pair_regions(parts, [rt("rs", "s", slices=frozenset({"2"}))], transfer="none")
    assert found(pairing) == [("s#2", "rs", (1,), OWN, False)]


def test_nothing_crosses_from_one_patient_to_another() -> None:
    images = [image("ct"), image("pet", "PET", patient="P2")]
    assert found(pair_regions(images, [rt("rs", "ct")])) == [("ct", "rs", (1,), OWN, False)]
    assert found(pair_regions(images[1:], [rt("rs", "gone")], transfer="all")) == []
    pairing = pair_regions(images, [rt("rs", "ct", patient="anonymised")])
    assert found(pairing) == [("ct", "rs", (1,), OWN, False)]
    assert "PatientID" in pairing.remarks["rs"]


def test_no_order_of_files_changes_anything() -> None:
    images = [image("ct"), image("pet", "PET"), image("mr", "MR", number=None), image("ct2", number=1, frame="G")]
    sets = [rt("a", "ct"), rt("b", "ct"), rt("c", "ct2", frame="G"), rt("d", "gone")]
    first = pair_regions(images, sets)
    cases = name_cases({i.key: i for i in images}, {r.key: r for r in sets}, first.pairs)
    for seed in range(8):
        mixed = list(images), list(sets)
        for listed in mixed:
            random.Random(seed).shuffle(listed)
        again = pair_regions(*mixed)
        assert (again.pairs, again.unpaired, again.without) == (first.pairs, first.unpaired, first.without)
        assert name_cases({i.key: i for i in mixed[0]}, {r.key: r for r in mixed[1]}, again.pairs) == cases


# cases


def named(images: list[ImageFacts], sets: list[RegionFacts], **more: Any) -> tuple[list[str], list[Any]]:
    pairs = pair_regions(images, sets).pairs
    cases, left = name_cases({i.key: i for i in images}, {r.key: r for r in sets}, pairs, **more)
    assert len({case.case_id.casefold() for case in cases}) == len(cases)
    return [case.case_id for case in cases], left


def test_cases_bear_patient_modality_and_region_and_the_series_where_there_are_several() -> None:
    images = [image("ct", number=2), image("pet", "PET", number=4)]
    assert named(images, [rt("rs", "ct", ("GTV Mass", "../x"))])[0] == [
        "P1_CT_GTV_Mass", "P1_CT_x", "P1_PET_GTV_Mass", "P1_PET_x",
    ]  # fmt: skip
    several = [*images, image("ct2", number=7), image("p2", patient="P2", number=9, frame="H")]
    ids, _ = named(several, [rt("rs", "ct"), rt("rs2", "ct2"), rt("rs3", "p2", frame="H", patient="P2")])
    assert ids == ["P1_CT_2_GTV", "P1_CT_7_GTV", "P1_PET_GTV-1", "P1_PET_GTV-2", "P2_CT_GTV"]
    same = [image("ct", number=2), image("ct2", number=2), image("ct3", number=None)]
    assert named(same, [rt("rs", "ct"), rt("rs2", "ct2"), rt("rs3", "ct3")])[0] == [
        "P1_CT_2a_GTV", "P1_CT_2b_GTV", "P1_CT_x_GTV",
    ]  # fmt: skip


def test_several_structure_sets_of_an_image_are_all_taken_and_numbered() -> None:
    ids, left = named([image("ct")], [rt("b", "ct", ("GTV", "Lung"), number=5), rt("a", "ct", ("gtv",), number=3)])
    assert ids == ["P1_CT_gtv-1", "P1_CT_GTV-2", "P1_CT_Lung"] and not left


def test_a_region_map_names_merges_refuses_and_leaves() -> None:
    region_map = RegionMap({"primary": ("GTV*",)})
    images, sets = [image("ct"), image("p2", patient="P2")], [
        rt("a", "ct", ("GTVp", "Lung", "GTV_T")), rt("b", "p2", ("GTV70",), patient="P2"),
    ]  # fmt: skip
    ids, left = named(images, sets, region_map=region_map)
    assert ids == ["P2_CT_primary"]
    by_name = {one.names: one for one in left}
    assert not by_name[("Lung",)].fault and "region map" in by_name[("Lung",)].why
    refused = by_name[("GTVp", "GTV_T")]
    assert refused.fault and refused.case_id == "P1_CT_primary" and "'GTVp', 'GTV_T'" in refused.why
    ids, left = named(images, sets, region_map=region_map, merge=True)
    assert ids == ["P1_CT_primary", "P2_CT_primary"] and [one.names for one in left] == [("Lung",)]


def test_patients_that_only_a_file_system_would_confuse() -> None:
    images = [image(str(at), patient=patient) for at, patient in enumerate(["a/b", "a b", "A_B", "ab"])]
    sets = [rt(f"r{at}", str(at), patient=one.patient_id) for at, one in enumerate(images)]
    ids, _ = named(images, sets)
    assert len({one.casefold() for one in ids}) == 4 and "ab_CT_GTV" in ids
    for one, other in itertools.combinations([unnamed_patient("", "s1"), unnamed_patient("s2"), unnamed_patient()], 2):
        assert one != other
    assert unnamed_patient("s1") == unnamed_patient("", "s1")

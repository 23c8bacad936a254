"""Regions of one patient on several modalities: whether they lie at the same place, and which of them does not."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radpipe.core.image import Mask
from radpipe.intake.cohort_faults import Examined
from radpipe.intake.findings import Finding, joined
from radpipe.typing import FloatArray

COINCIDE, APART = 0.9, 0.8
"""Dice of one lesion's regions on two modalities: regions that were drawn once and transferred have 0.95 and more (coarse PET
voxels cost some per cent); below APART they are different outlines, or lie at different places."""


@dataclass(frozen=True)
class Overlap:
    """Of two regions. dice : in space. shift_mm : of centres (x, y, z), LPS, from first to second. dice_shifted : were the first
    moved by that. volume_ml : of both."""

    dice: float
    shift_mm: tuple[float, float, float]
    dice_shifted: float
    volume_ml: tuple[float, float]


def overlap(first: Sequence[Mask], second: Sequence[Mask]) -> Overlap:
    """Of the unions of two sets of regions, each on whatever grid; sampled at the centres of the voxels of both."""
    points = [_points(masks) for masks in (first, second)]
    volumes = [float(weights.sum()) for _, weights in points]
    centres = [np.average(at, axis=0, weights=weights) for at, weights in points]
    shift = centres[1] - centres[0]

    def dice(move: FloatArray) -> float:
        (at_1, weight_1), (at_2, weight_2) = points
        both = weight_1[_inside(at_1 + move, second)].sum() + weight_2[_inside(at_2 - move, first)].sum()
        return float(both / sum(volumes))

    return Overlap(
        dice(np.zeros(3)),
        (float(shift[0]), float(shift[1]), float(shift[2])),
        dice(shift),
        (volumes[0] / 1000.0, volumes[1] / 1000.0),
    )


def apart(cases: Mapping[str, Sequence[Examined]], overlaps: Mapping[tuple[str, str], Overlap]) -> list[Finding]:
    """Of one lesion of one patient: the modalities whose regions do not lie where the others do.

    cases : modality -> its cases. overlaps : of every two modalities, in that order.
    """
    low = {pair: found for pair, found in overlaps.items() if found.dice < APART}
    if not low:
        return []
    names = list(cases)
    means = {name: np.mean([found.dice for pair, found in overlaps.items() if name in pair] or [1.0]) for name in names}
    odd = min(names, key=lambda name: means[name])
    rest = [found.dice for pair, found in overlaps.items() if odd not in pair]
    alone = bool(rest) and min(rest) >= COINCIDE
    result = []
    for (one, two), found in low.items():
        if alone and odd not in (one, two):
            continue
        # The finding stands at the odd one out; of two alone, at the second.
        at, other = (one, two) if alone and odd == one else (two, one)
        shift = np.asarray(found.shift_mm) * (1 if at == two else -1)  # how far `at` lies from `other`
        apart_mm = float(np.linalg.norm(shift))
        volume_at, volume_other = found.volume_ml if at == one else found.volume_ml[::-1]
        words = (
            f"The region on {at} does not lie where that on {other} does: Dice {found.dice:.2f} in the patient's coordinates, centres "
            f"{apart_mm:.3g} mm apart ({_direction_words(shift)}), {volume_at:.3g} ml against {volume_other:.3g} ml."
        )
        if found.dice_shifted >= COINCIDE:
            words += f" Moved by that, Dice would be {found.dice_shifted:.2f}: the same outline at another place."
        else:
            words += f" Moved by that, Dice would be {found.dice_shifted:.2f}: not only the place differs."
        if alone:
            words += f" {joined(name for name in names if name != odd)} agree with each other (Dice {min(rest):.2f})."
        case = cases[at][0]
        result.append(
            Finding(
                "not-coinciding", "error" if alone or found.dice_shifted >= COINCIDE else "warning", words,
                "Check by eye on the fused images which is right: wrong registration, a mask of another series, or outlines that were "
                "drawn separately. Not repaired: the files do not say which one is right.",
                case.case_id, case.mask_file, details={"at": at, "other": other},
            )
        )  # fmt: skip
    return result


def groups(cases: Sequence[Examined]) -> list[dict[str, list[Examined]]]:
    """Cases that should show one lesion, by modality; those with two modalities or more.

    Same patient, same frame of reference (positions in two frames, as those of two visits, cannot be compared) and same roi, or
    none named. GTV_PET and GTV_CT are one roi: a modality's word in a name says only where it was drawn.
    """
    found: dict[tuple[str, str, str], dict[str, list[Examined]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        if case.region_key and case.modality:
            found[(case.patient_id, case.frame, _lesion(case.roi, case.modality))][case.modality].append(case)
    return [{name: list(of) for name, of in sorted(group.items())} for group in found.values() if len(group) > 1]


def _lesion(roi: str, modality: str) -> str:
    """The name of a region without the words for the modality it was drawn on."""
    words = [word for word in re.split(r"[\W_]+", roi.casefold()) if word]
    own = _OWN_WORDS.get(modality, frozenset())
    if modality == "MR" and own & set(words):
        own |= _SEQUENCES  # alone, T1 and T2 may be the first and the second target
    return " ".join(word for word in words if word not in own) or roi.casefold()


def images_of(cases: Sequence[Examined]) -> list[list[int]]:
    """Places of the cases by image: regions of one image are one lesion's parts."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, case in enumerate(cases):
        found[case.image_file].append(place)
    return list(found.values())


def disagreeing(modality: str, cases: Sequence[Examined], lowest: float) -> Finding:
    """Several images of one modality and patient whose regions lie at different places, where no frame of reference tells whether
    they are comparable. lowest : Dice of two of them."""
    count = len(images_of(cases))
    return Finding(
        "not-coinciding", "note",
        f"The regions on the {count} {modality} images of this patient do not coincide with each other (Dice {lowest:.2f}), so they were "
        "not compared with those on other modalities: the images may be of several visits.",
        "If they are of one visit, look at them on each other. Frames of reference in the manifest would tell.",
        cases[0].case_id, cases[0].mask_file, details={"at": modality, "other": modality},
    )  # fmt: skip


def pairs(group: Mapping[str, Sequence[Examined]]) -> list[tuple[str, str]]:
    return list(itertools.combinations(group, 2))


def _points(masks: Sequence[Mask]) -> tuple[FloatArray, FloatArray]:
    """((n, 3) LPS mm of the voxels' centres, (n,) their volumes in mm3); what two regions share counts once."""
    at, weight = [], []
    for place, mask in enumerate(masks):
        own = mask.grid.world_mm(np.argwhere(mask.voxels).astype(np.float64))
        own = own[~_inside(own, masks[:place])] if place else own
        at.append(own)
        weight.append(np.full(len(own), mask.grid.voxel_volume_mm3))
    return np.concatenate(at), np.concatenate(weight)


def _inside(at_mm: FloatArray, masks: Sequence[Mask]) -> Any:
    """(n,) bool: whether each position lies in a voxel of any of the regions."""
    found = np.zeros(len(at_mm), bool)
    for mask in masks:
        matrix = np.asarray(mask.grid.direction).reshape(3, 3) * np.asarray(mask.grid.spacing_mm[::-1])
        index = np.rint((at_mm - np.asarray(mask.grid.origin_mm)) @ np.linalg.inv(matrix).T).astype(np.int64)[:, ::-1]
        within = ((index >= 0) & (index < mask.voxels.shape)).all(axis=1)
        z, y, x = index[within].T
        found[within] |= mask.voxels[z, y, x]
    return found


_OWN_WORDS = {"CT": frozenset({"ct"}), "PET": frozenset({"pet", "pt", "suv"}), "MR": frozenset({"mr", "mri"})}
_SEQUENCES = frozenset({"t1", "t2", "t1w", "t2w", "t1c", "t1ce", "t2fs", "flair", "stir", "adc", "dwi"})
_TOWARDS = (("right", "left"), ("front", "back"), ("feet", "head"))


def _direction_words(shift: FloatArray) -> str:
    parts = [f"{abs(mm):.3g} mm towards the {_TOWARDS[axis][int(mm > 0)]}" for axis, mm in enumerate(shift) if abs(mm) >= 0.5]
    return joined(parts) if parts else "less than 0.5 mm along every axis"

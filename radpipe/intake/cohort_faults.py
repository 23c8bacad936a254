"""What only shows when cases stand beside each other: odd voxel sizes, copies, and regions that should coincide and do not."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.intake.findings import Finding, counted, joined, measured
from radpipe.typing import FloatArray

FEWEST = 5
"""Cases of a modality below which nothing is called odd."""
ODD_SPACING = 1.5
"""Times (or parts of) the cohort's median voxel size."""
COINCIDE, APART = 0.9, 0.8
"""Dice of one lesion's regions on two modalities: regions that were drawn once and transferred have 0.95 and more (coarse PET
voxels cost some per cent); below APART they are different outlines, or lie at different places."""


@dataclass(frozen=True)
class Examined:
    """What is known of a case. frame : its image's FrameOfReferenceUID, "" where nobody says. image_key, region_key : of the
    voxels; "" where they could not be read. labels : value -> voxels of the mask file. facts : of the image and the region
    (voxel_faults), {} where they could not be read."""

    case_id: str
    patient_id: str
    modality: str
    image_file: str
    mask_file: str
    label: int
    roi: str = ""
    image: Grid | None = None
    frame: str = ""
    image_key: str = ""
    region_key: str = ""
    labels: Mapping[int, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def cohort_findings(cases: Sequence[Examined]) -> list[Finding]:
    """Everything but :func:`apart`, which needs the voxels of several masks."""
    return [*odd_spacings(cases), *odd_planes(cases), *copies(cases), *unused_labels(cases), *scales(cases)]


def odd_spacings(cases: Sequence[Examined]) -> list[Finding]:
    result = []
    for modality, group in _by_modality(cases).items():
        spacings = np.array([_of_patient(case.image) for case in group])
        usual = np.median(spacings, axis=0)
        for case, own in zip(group, spacings, strict=True):
            odd = [axis for axis in range(3) if not 1 / ODD_SPACING <= own[axis] / usual[axis] <= ODD_SPACING]
            if odd:
                parts = [f"{own[axis]:.4g} mm along {_BODY[axis]} ({usual[axis]:.4g} mm)" for axis in odd]
                result.append(
                    Finding(
                        "spacing-outlier", "warning",
                        f"Its voxels measure {joined(parts)}; in brackets the median of the {len(group)} {modality or 'cases'} images.",
                        "Check the header; where it is true, resample all images to one voxel size (textures depend on it).",
                        case.case_id, case.image_file,
                    )
                )  # fmt: skip
    return result


def odd_planes(cases: Sequence[Examined]) -> list[Finding]:
    result = []
    for modality, group in _by_modality(cases).items():
        planes = [_PLANES[_slice_axis(case.image)] for case in group]
        usual = max(sorted(set(planes)), key=planes.count)
        if planes.count(usual) < 0.8 * len(planes):
            continue
        for case, plane in zip(group, planes, strict=True):
            if plane != usual:
                result.append(
                    Finding(
                        "orientation-outlier", "warning",
                        f"Its slices are {plane}; those of {planes.count(usual)} of {len(group)} {modality} images are {usual}.",
                        "Check the header; where it is true, features by slice (force2D, shape2D) are not comparable.",
                        case.case_id, case.image_file,
                    )
                )  # fmt: skip
    return result


def copies(cases: Sequence[Examined]) -> list[Finding]:
    """The same voxels under two patients, and the same region of the same image under two cases."""
    result = []
    images: dict[str, list[Examined]] = defaultdict(list)
    regions: dict[str, list[Examined]] = defaultdict(list)
    for case in cases:
        if case.image_key:
            images[case.image_key].append(case)
        if case.region_key:
            regions[case.region_key].append(case)
    for group in images.values():
        if len({case.patient_id for case in group}) < 2:
            continue
        for case in group:
            others = joined(other.case_id for other in group if other.patient_id != case.patient_id)
            result.append(
                Finding(
                    "duplicate-image", "error",
                    f"The image has exactly the voxels of {others}, which the manifest gives to another patient.",
                    "Find out whose it is. One patient on two sides of a split makes a model look better than it is.",
                    case.case_id, case.image_file,
                )
            )  # fmt: skip
    for group in regions.values():
        for case in group:
            same = [o for o in group if o is not case and o.patient_id == case.patient_id and o.image_key == case.image_key]
            if same and case.image_key:
                result.append(
                    Finding(
                        "duplicate-region", "error",
                        f"Image and region are the same, voxel for voxel, as those of {joined(o.case_id for o in same)}.",
                        "Keep one of them: a region that counts twice weighs twice.",
                        case.case_id, case.mask_file,
                    )
                )  # fmt: skip
            strangers = [
                o
                for o in group
                if o.patient_id != case.patient_id and o.image_key and case.image_key and o.image_key != case.image_key
            ]
            if strangers:
                result.append(
                    Finding(
                        "duplicate-region", "error",
                        f"The region is the same, voxel for voxel, as that of {joined(o.case_id for o in strangers)}, another patient on "
                        "another image.",
                        "A mask was saved under the wrong name: find the right one.",
                        case.case_id, case.mask_file,
                    )
                )  # fmt: skip
    return result


def unused_labels(cases: Sequence[Examined]) -> list[Finding]:
    used: dict[str, set[int]] = defaultdict(set)
    for case in cases:
        used[case.mask_file].add(case.label)
    result, told = [], set()
    for case in cases:
        rest = {value: count for value, count in case.labels.items() if value not in used[case.mask_file]}
        if not rest or case.mask_file in told or case.label not in case.labels:
            continue
        told.add(case.mask_file)
        listed = joined(f"{value} ({counted(count, 'voxel')})" for value, count in list(rest.items())[:12])
        more = f" and {len(rest) - 12} more" if len(rest) > 12 else ""
        result.append(
            Finding(
                "unused-labels", "note",
                f"The mask also holds {'the label' if len(rest) == 1 else 'the labels'} {listed}{more}; no row of the manifest names them.",
                "Add a row for each that is a region of interest.",
                case.case_id, case.mask_file,
            )
        )  # fmt: skip
    return result


def scales(cases: Sequence[Examined]) -> list[Finding]:
    """MR whose intensities differ from case to case by factors, and a CT or PET far off the others."""
    result = []
    for modality, group in _by_modality(cases).items():
        known = [case for case in group if case.facts.get("image")]
        if len(known) < FEWEST:
            continue
        tops = np.array([max(case.facts["image"]["p99"], 1e-12) for case in known])
        ratio = float(np.percentile(tops, 90) / np.percentile(tops, 10))
        if modality == "MR":
            if ratio > 3:
                result.append(
                    Finding(
                        "normalisation", "warning",
                        f"The brightest intensities (99th percentile) of the {len(known)} MR images differ by a factor of {ratio:.3g} between the "
                        "10th and the 90th of 100 images: MR has no unit, and these were not brought to a common scale.",
                        "Set normalize: true (or normalise on a reference tissue) before a bin width can mean the same in all of them.",
                    )
                )  # fmt: skip
            continue
        middle = float(np.median(tops))
        for case, top in zip(known, tops, strict=True):
            if modality == "PET" and not 1 / 50 < top / middle < 50:
                result.append(
                    Finding(
                        "intensity", "warning",
                        f"The 99th percentile of the image is {measured(top)}; the median of the {len(known)} PET images is {measured(middle)}.",
                        "Check that all images have the same unit.",
                        case.case_id, case.image_file,
                    )
                )  # fmt: skip
    return result


def without_repeats(findings: Iterable[Finding]) -> list[Finding]:
    """Without the cohort's word on an image's unit where the image itself was found not to have it."""
    listed = list(findings)
    known = {(item.case_id, item.file) for item in listed if item.check == "intensity" and item.severity == "error"}
    return [
        item for item in listed
        if not (item.check == "intensity" and item.severity == "warning" and (item.case_id, item.file) in known)
    ]  # fmt: skip


def withdraw_labels(findings: Iterable[Finding], cases: Sequence[Examined]) -> list[Finding]:
    """Findings whose repair "use-label" would take another row's region, without that repair."""
    named = {(case.mask_file, case.label): case.case_id for case in cases}
    result = []
    for item in findings:
        owner = named.get((item.file, item.details.get("label", -1))) if item.safe_repair == "use-label" else None
        if owner is not None and owner != item.case_id:
            item = replace(
                item,
                safe_repair="",
                to_do=f"The only label there is the region of case {owner}: this region is missing. Draw it, or remove the row.",
            )
        result.append(item)
    return result


# Regions of one patient on several modalities


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
_BODY = ("left-right", "front-back", "head-feet")
_PLANES = ("sagittal", "coronal", "axial")
_TOWARDS = (("right", "left"), ("front", "back"), ("feet", "head"))


def _direction_words(shift: FloatArray) -> str:
    parts = [f"{abs(mm):.3g} mm towards the {_TOWARDS[axis][int(mm > 0)]}" for axis, mm in enumerate(shift) if abs(mm) >= 0.5]
    return joined(parts) if parts else "less than 0.5 mm along every axis"


def _by_modality(cases: Sequence[Examined]) -> dict[str, list[Examined]]:
    """Images, each once however many regions it has; modalities with enough of them."""
    found: dict[str, dict[str, Examined]] = defaultdict(dict)
    for case in cases:
        if case.image is not None:
            found[case.modality].setdefault(case.image_file, case)
    return {modality: list(group.values()) for modality, group in found.items() if len(group) >= FEWEST}


def _of_patient(grid: Grid | None) -> FloatArray:
    """Voxel size along left-right, front-back and head-feet, mm."""
    assert grid is not None
    along = np.abs(np.asarray(grid.direction).reshape(3, 3)).argmax(axis=1)
    return np.asarray(np.asarray(grid.spacing_mm[::-1])[along], np.float64)


def _slice_axis(grid: Grid | None) -> int:
    """Along which of left-right, front-back and head-feet the slices (array axis z) follow each other."""
    assert grid is not None
    return int(np.abs(np.asarray(grid.direction).reshape(3, 3)[:, 2]).argmax())

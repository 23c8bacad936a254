"""What only shows when cases stand beside each other: odd voxel sizes, scales, and copies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from radpipe.core.grid import Grid
from radpipe.intake.findings import Finding, counted, joined, measured
from radpipe.typing import FloatArray

FEWEST = 5
"""Cases of a modality below which nothing is called odd."""
ODD_SPACING = 1.5
"""Times (or parts of) the cohort's median voxel size."""


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
    """Everything but :func:`.coinciding.apart`, which needs the voxels of several masks."""
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


_BODY = ("left-right", "front-back", "head-feet")
_PLANES = ("sagittal", "coronal", "axial")


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

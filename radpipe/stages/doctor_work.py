"""The half of ``radpipe doctor`` that runs in a child: one case looked at, or the regions of one patient laid over each other."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from radpipe.core.grid import Grid, grid_differences
from radpipe.core.image import UNITS, Image, Mask
from radpipe.errors import EmptyRoiError, RadpipeError
from radpipe.intake import cohort_faults, coinciding, voxel_faults
from radpipe.intake.discretisation_advice import occupied_levels
from radpipe.intake.findings import Finding, Place
from radpipe.intake.geometry_faults import confirm, geometry_findings, lattice, on_image, orientation_finding, space_finding
from radpipe.io.volumes import LabelMap, read_image, read_label_map, read_orientations, reason
from radpipe.preprocessing.resample import resample_mask
from radpipe.report.doctor_slices import finding_slice
from radpipe.report.inputs import OverlaySlice

Payload = dict[str, Any]
Row = dict[str, Any]
SLICES = "slices.npz"
_REASONS = {"missing": "missing-file", "cut-off": "cut-off-file", "not-finite": "not-finite", "unreadable": "unreadable-file"}
_WITHOUT_PICTURE = {"unused-labels", "empty-mask"}


def examine_case(payload: Payload, folder: Path) -> Row:
    """Everything that one image and one mask tell. payload : case_id, image_path, mask_path, label and label_channel (None: not
    given), modality. The row's findings name no file where they are about both; pictures lie in ``folder``."""
    case_id, modality = payload["case_id"], payload["modality"]
    image_path, mask_path = Path(payload["image_path"]), Path(payload["mask_path"])
    image, labels, findings = _read(payload)
    row: Row = {"image": None, "mask": None, "region": None, "levels": None, "geometry_known": False}
    wanted = 1 if payload["label"] is None else payload["label"]
    region: Mask | None = None  # on the image's grid where there is an image
    second: Mask | None = None
    if labels is not None:
        counts = voxel_faults.count_labels(labels.voxels)
        row["mask"] = {"grid": asdict(labels.grid), "labels": {str(value): count for value, count in counts.items()}}
        own = voxel_faults.label_findings(counts, wanted, given=payload["label"] is not None)
        findings += [item.about(case_id, str(mask_path)) for item in own]
    if image is not None:
        row["image"] = {
            "grid": asdict(image.grid),
            "key": _key(image.voxels.astype("<f4")),
            "facts": voxel_faults.image_facts(image),
        }
    given = labels.region(wanted) if labels is not None and str(wanted) in row["mask"]["labels"] else None
    geometry: list[Finding] = []
    if image is not None and labels is not None:
        row["geometry_known"] = True
        geometry = [confirm(item, image.grid, labels.grid, labels.voxels) for item in geometry_findings(image.grid, labels.grid)]
        geometry += _spaces(image_path, mask_path)
        findings += [item.about(case_id, str(mask_path)) for item in geometry]
        findings += [Finding.from_json(item) for item in payload["frames"]]
    if given is not None:
        row["region"] = {"key": _key(np.packbits(given.voxels), given.voxels.shape), **_size(given)}
        if image is None:
            region = given
        else:
            region, second = _on_image(image, given, geometry)
            if region is None:
                findings.append(_outside(given, image.grid).about(case_id, str(mask_path)))
        placed = region if region is not None and (image is None or lattice(image.grid, given.grid)) else given
        pieces = voxel_faults.pieces(placed)
        row["region"]["pieces"] = len(pieces)
        for item in voxel_faults.region_findings(placed, pieces):
            if placed is not region:  # its indices are not the image's
                item = replace(item, place=None)
            if item.check != "border" or placed is region:
                findings.append(item.about(case_id, str(mask_path)))
    if image is not None:
        inside = image.voxels[region.voxels] if region is not None and region.voxels.any() else None
        facts = voxel_faults.region_facts(inside) if inside is not None else None
        place = voxel_faults.widest(region.voxels) if inside is not None and region is not None else None
        findings += [
            item.about(case_id, str(image_path))
            for item in voxel_faults.intensity_findings(modality, row["image"]["facts"], facts, place)
        ]
        if facts is not None and inside is not None:
            row["region"]["facts"] = facts
            if not any(item.severity == "error" for item in findings):
                occupied = {f"{width:g}": count for width, count in occupied_levels(inside).items()}
                row["levels"] = {"low": facts["min"], "high": facts["max"], "occupied": occupied}
    row["findings"] = without_paths(findings, [payload["image_path"], payload["mask_path"]])
    what = "outline as given"
    if given is None and image is not None and labels is not None and len(row["mask"]["labels"]) == 1:
        (only,) = row["mask"]["labels"]
        region, second = _on_image(image, labels.region(int(only)), geometry)
        what = f"outline: label {only}, the only one there"
    row["pictures"] = _draw(findings, image, region, second, modality, what, folder)
    return row


def compare_regions(payload: Payload, folder: Path) -> Row:
    """The regions of one lesion of one patient on several modalities. payload : group, modality -> list of cases."""
    group = {modality: [cohort_faults.Examined(**case) for case in cases] for modality, cases in payload["group"].items()}
    masks = {
        modality: [
            read_label_map(case.mask_file, label_channel=channel, case_id=case.case_id).region(case.label, case_id=case.case_id)
            for case, channel in zip(cases, payload["channels"][modality], strict=True)
        ]
        for modality, cases in group.items()
    }
    several = [_several(name, group[name], masks[name]) for name in group]
    group = {name: of for (name, of), odd in zip(group.items(), several, strict=True) if odd is None}
    overlaps = {pair: coinciding.overlap(masks[pair[0]], masks[pair[1]]) for pair in coinciding.pairs(group)}
    apart = coinciding.apart(group, overlaps)
    findings = [*(odd for odd in several if odd is not None), *apart]
    slices: dict[str, Any] = {}
    pictures: dict[str, Any] = {}
    for place, item in enumerate(findings):
        if item not in apart:
            continue
        case = group[item.details["at"]][0]
        try:
            image = read_image(case.image_file, unit=UNITS.get(case.modality, "arbitrary"), case_id=case.case_id)
        except RadpipeError:  # said where the case itself is examined
            continue
        own, other = (_union(masks[item.details[side]], image.grid) for side in ("at", "other"))
        if own is not None:
            at = voxel_faults.widest(own.voxels)
            shown = finding_slice(item.case_id, image, own, other, at.axis, at.index, modality=case.modality)
            pictures[str(place)] = _keep(
                slices, place, shown, f"solid: region on {item.details['at']}, dashed: on {item.details['other']}"
            )
    _save(slices, folder)
    rows = [{"pair": list(pair), **asdict(found)} for pair, found in overlaps.items()]
    return {"findings": without_paths(findings, members(payload)), "pictures": pictures, "overlaps": rows}


# A stored result tells nothing of where the files of the cohort lie: their folders may bear a name.

_PLACE = "\x1f"


def without_paths(findings: Sequence[Finding], files: Sequence[str]) -> list[Row]:
    """Findings as JSON values, each with the place of its file in ``files``; of any other file the last part of its path."""
    return [
        {**item.as_json(), "file": f"{_PLACE}{files.index(item.file)}" if item.file in files else Path(item.file).name}
        for item in findings
    ]


def with_paths(rows: Sequence[Mapping[str, Any]], files: Sequence[str]) -> list[Finding]:
    """The reverse of :func:`without_paths`."""
    found = []
    for row in rows:
        file = str(row["file"])
        found.append(Finding.from_json({**row, "file": files[int(file[1:])] if file.startswith(_PLACE) else file}))
    return found


def members(payload: Payload) -> list[str]:
    """The files of a payload of :func:`compare_regions`."""
    return [str(case[name]) for cases in payload["group"].values() for case in cases for name in ("image_file", "mask_file")]


def _several(modality: str, cases: list[cohort_faults.Examined], masks: list[Mask]) -> Finding | None:
    """Whether several images of one modality contradict each other: then which of them others should agree with is unknown."""
    images = [[masks[place] for place in places] for places in coinciding.images_of(cases)]
    lowest = min((coinciding.overlap(*two).dice for two in itertools.combinations(images, 2)), default=1.0)
    return coinciding.disagreeing(modality, cases, lowest) if lowest < coinciding.APART else None


def load_slices(folder: Path, pictures: dict[str, Any]) -> dict[int, tuple[OverlaySlice, str]]:
    """Place in the list of findings -> (slice, what its outlines are)."""
    if not pictures:
        return {}
    found = {}
    with np.load(folder / SLICES, allow_pickle=False) as arrays:
        for place, about in pictures.items():
            name = f"{place}_second"
            second = arrays[name] if name in arrays.files else None
            spacing = (about["spacing_mm"][0], about["spacing_mm"][1])
            shown = OverlaySlice(
                about["case_id"], arrays[f"{place}_grey"], arrays[f"{place}_first"], second, spacing, None, about["caption"],
                about["unit"], about["modality"],
            )  # fmt: skip
            found[int(place)] = (shown, about["lines"])
    return found


def file_finding(error: RadpipeError, case_id: str, path: Path) -> Finding:
    """Why a file could not be read."""
    check = _REASONS[reason(error)]
    return Finding(check, "error", error.problem[:1].upper() + error.problem[1:], error.hint, case_id, error.path or str(path))


def _read(payload: Payload) -> tuple[Image | None, LabelMap | None, list[Finding]]:
    case_id = payload["case_id"]
    image_path, mask_path = Path(payload["image_path"]), Path(payload["mask_path"])
    findings = []
    image = labels = None
    try:
        image = read_image(image_path, unit=UNITS.get(payload["modality"], "arbitrary"), case_id=case_id)
        findings += _orientation(image_path, image.grid, case_id)
    except RadpipeError as error:
        findings.append(file_finding(error, case_id, image_path))
    try:
        labels = read_label_map(mask_path, label_channel=payload["label_channel"], case_id=case_id)
        findings += _orientation(mask_path, labels.grid, case_id)
    except RadpipeError as error:
        findings.append(file_finding(error, case_id, mask_path))
    return image, labels, findings


def _orientation(path: Path, grid: Grid, case_id: str) -> list[Finding]:
    forms = read_orientations(path, case_id=case_id)
    found = orientation_finding(forms.sform, forms.qform, grid) if forms is not None else None
    return [found.about(case_id, str(path))] if found is not None else []


def _spaces(image: Path, mask: Path) -> list[Finding]:
    forms = [read_orientations(path) for path in (image, mask)]
    if forms[0] is None or forms[1] is None:
        return []
    found = space_finding(*(form.sform_code or form.qform_code for form in forms if form is not None))
    return [found] if found is not None else []


def _on_image(image: Image, given: Mask, geometry: list[Finding]) -> tuple[Mask | None, Mask | None]:
    """(where the mask's header puts the region, where it would lie with the image's header): the second only where they differ."""
    place = lattice(image.grid, given.grid)
    second = None
    if geometry and given.grid.shape == image.grid.shape and grid_differences(image.grid, given.grid):
        second = Mask(image.grid, given.voxels)
    if place is not None:
        voxels, _ = on_image(given.voxels, place, image.grid.shape)
        if (voxels == given.voxels).all() if voxels.shape == given.voxels.shape else False:
            second = None
        return (Mask(image.grid, voxels) if voxels.any() else None), second
    try:
        return resample_mask(given, image.grid), second
    except EmptyRoiError:
        return None, second


def _outside(given: Mask, image: Grid) -> Finding:
    return Finding(
        "outside",
        "error",
        f"By its header no voxel of the region ({int(given.voxels.sum()):,} voxels, {given.volume_ml:.3g} ml) lies inside the image.",
        "The mask belongs to another image, or one of the headers is wrong. Not repaired: the files do not say which.",
    )


def _size(region: Mask) -> dict[str, Any]:
    return {"voxels": int(np.count_nonzero(region.voxels)), "volume_ml": region.volume_ml,
            "slices": int(np.count_nonzero(region.voxels.any(axis=(1, 2))))}  # fmt: skip


def _key(voxels: np.ndarray, shape: tuple[int, ...] = ()) -> str:
    digest = hashlib.sha256(str((*voxels.shape, *shape)).encode())
    digest.update(np.ascontiguousarray(voxels).data)
    return digest.hexdigest()


def _union(masks: list[Mask], grid: Grid) -> Mask | None:
    voxels = np.zeros(grid.shape, bool)
    for mask in masks:
        try:
            voxels |= resample_mask(mask, grid).voxels
        except EmptyRoiError:
            continue
    return Mask(grid, voxels) if voxels.any() else None


def _draw(
    findings: list[Finding], image: Image | None, region: Mask | None, second: Mask | None, modality: str, what: str, folder: Path
) -> dict[str, Any]:
    """Slices of all findings that can be shown, into ``folder``; place in the list -> what is shown."""
    if image is None:
        return {}
    if any(item.check == "intensity" and item.severity == "error" for item in findings):
        modality = ""  # the modality's own grey scale would show nothing
    pictures: dict[str, Any] = {}
    slices: dict[str, Any] = {}
    for place, item in enumerate(findings):
        if item.check in _WITHOUT_PICTURE:
            continue
        shown = region if region is not None else second
        where = item.place or (voxel_faults.widest(shown.voxels) if shown is not None else Place(0, image.grid.shape[0] // 2))
        lines = what if region is not None else "no region to show"
        if second is not None:
            lines = "solid: where the mask's header puts it; dashed: where it would lie with the image's header"
            if region is None:
                lines = "dashed: where the region would lie with the image's header"
        taken = finding_slice(item.case_id, image, region, second, where.axis, where.index, modality=modality)
        pictures[str(place)] = _keep(slices, place, taken, lines)
    _save(slices, folder)
    return pictures


def _keep(slices: dict[str, Any], place: int, shown: OverlaySlice, lines: str) -> dict[str, Any]:
    slices[f"{place}_grey"] = shown.image
    slices[f"{place}_first"] = shown.given
    if shown.predicted is not None:
        slices[f"{place}_second"] = shown.predicted
    return {"case_id": shown.case_id, "spacing_mm": list(shown.spacing_mm), "caption": shown.caption, "unit": shown.unit,
            "modality": shown.modality, "lines": lines}  # fmt: skip


def _save(slices: dict[str, Any], folder: Path) -> None:
    if slices:
        np.savez_compressed(folder / SLICES, **slices)

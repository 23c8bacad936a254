"""A case's voxels: labels, the region's size, border, pieces, gaps, and intensities against the modality's unit."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from radpipe.core.image import Image, Mask
from radpipe.intake.findings import Finding, Place, counted, joined, measured
from radpipe.intake.geometry_faults import AXES, patient_end
from radpipe.typing import BoolVolume, Volume

SMALL_VOXELS = 64
"""Regions below it have too few pairs and runs for a matrix of grey levels; a common lower limit in the field."""
CRUMB_SHARE, CRUMB_ML = 0.01, 0.5
"""A separate piece is a crumb where it is below both; a larger one may be a lesion of its own."""
_LINES = ("slice", "row", "column")
_WORST_CRUMBS = 5


@dataclass(frozen=True)
class Piece:
    """voxels, volume_ml of one connected piece (26 neighbours). centre : (z, y, x), index of a voxel inside it."""

    voxels: int
    volume_ml: float
    centre: tuple[int, int, int]


def label_findings(labels: Mapping[int, int], wanted: int, *, given: bool) -> list[Finding]:
    """labels : value -> voxels, without 0. wanted : the region's value. given : whether the manifest names it (else it is the default).

    The repair is safe where one label alone is there; whether another row means that label is checked for the whole cohort.
    """
    if not labels:
        return [
            Finding(
                "empty-mask", "error", "The mask is empty: every voxel is 0.", "Draw the region again, or leave the case out."
            )
        ]
    if wanted in labels:
        return []
    there = joined(f"{value} ({counted(count, 'voxel')})" for value, count in list(labels.items())[:12])
    said = f"No voxel has the label {wanted}{'' if given else ', the default'}; the mask holds {there}."
    if len(labels) > 1:
        return [Finding("label", "error", said, "Write the region's label into the manifest's label column.")]
    (only,) = labels
    return [
        Finding(
            "label", "error", said, f"Write {only} into the manifest's label column; it is the only label in the mask.",
            safe_repair="use-label", details={"label": only},
        )
    ]  # fmt: skip


def count_labels(voxels: Volume) -> dict[int, int]:
    """value -> voxels, ascending, without 0."""
    values, counts = np.unique(np.rint(voxels) if voxels.dtype.kind == "f" else voxels, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True) if value != 0}


def pieces(region: Mask) -> list[Piece]:
    """The connected pieces, largest first."""
    numbered, count = ndimage.label(region.voxels, np.ones((3, 3, 3), bool))
    if count == 0:
        return []
    sizes = np.bincount(numbered.ravel())[1:]
    boxes = ndimage.find_objects(numbered)
    found = []
    for number in np.argsort(-sizes, kind="stable"):
        box = boxes[number]
        inside = np.argwhere(numbered[box] == number + 1)
        middle = inside[np.abs(inside - inside.mean(axis=0)).sum(axis=1).argmin()]
        centre = tuple(int(side.start + at) for side, at in zip(box, middle, strict=True))
        volume = float(sizes[number]) * region.grid.voxel_volume_mm3 / 1000.0
        found.append(Piece(int(sizes[number]), volume, (centre[0], centre[1], centre[2])))
        if len(found) == 1000:  # salt and pepper; the count is what matters
            found += [Piece(int(size), float(size) * region.grid.voxel_volume_mm3 / 1000.0, found[-1].centre)
                      for size in np.sort(sizes)[::-1][1000:]]  # fmt: skip
            break
    return found


def region_findings(region: Mask, found: Sequence[Piece]) -> list[Finding]:
    """Size, border, pieces, gaps and holes of a region on its image's grid. found : of :func:`pieces`."""
    inside = region.voxels
    voxels = int(np.count_nonzero(inside))
    if not voxels:
        return []
    return [
        *_size(region, voxels), *_border(region), *_crumbs(region, found), *_gaps(region), *_holes(region, voxels),
    ]  # fmt: skip


def widest(inside: BoolVolume, axis: int = 0) -> Place:
    """The slice across ``axis`` in which the region is largest."""
    others = tuple(other for other in range(3) if other != axis)
    return Place(axis, int(np.argmax(inside.sum(axis=others))))


def _size(region: Mask, voxels: int) -> list[Finding]:
    extents = [
        int(np.ptp(np.flatnonzero(region.voxels.any(axis=tuple(o for o in range(3) if o != axis))))) + 1 for axis in range(3)
    ]
    size = f"{counted(voxels, 'voxel')} ({_ml(region.volume_ml)})"
    place = widest(region.voxels)
    if voxels == 1:
        return [Finding("small-region", "error", f"The region is a single voxel ({_ml(region.volume_ml)}): it has no shape and no texture.",
                        "Leave the case out, or draw the region again.", place=place)]  # fmt: skip
    flat = [AXES[2 - axis] for axis in range(3) if extents[axis] == 1]
    if flat:
        return [
            Finding(
                "small-region", "warning",
                f"The region lies in a single {joined(_LINES['zyx'.index(axis)] for axis in flat)} ({joined(flat)}): {size}.",
                "Three-dimensional shape means little here; set force2D (and use shape2D), or draw the lesion on all its slices.",
                place=place,
            )
        ]  # fmt: skip
    if voxels < SMALL_VOXELS:
        return [
            Finding(
                "small-region", "warning",
                f"The region has {size}; textures of fewer than {SMALL_VOXELS} voxels say little.",
                "Use intensity and size features only, or leave the case out.",
                place=place,
            )
        ]  # fmt: skip
    return []


def _border(region: Mask) -> list[Finding]:
    inside = region.voxels
    sides = []
    for axis in range(3):
        if inside.shape[axis] == 1:
            continue
        for low in (True, False):
            touching = int(np.count_nonzero(inside.take(0 if low else -1, axis=axis)))
            if touching:
                sides.append((touching, axis, low))
    if not sides:
        return []
    words = [
        f"the {'first' if low else 'last'} {_LINES[axis]} ({AXES[2 - axis]}, {patient_end(region.grid, 2 - axis, low)}) with "
        f"{counted(touching, 'voxel')}"
        for touching, axis, low in sides
    ]
    _, axis, low = max(sides)
    across = 1 if axis == 0 else 0  # a picture that shows the border as an edge
    edge = inside.take(0 if low else -1, axis=axis)
    return [
        Finding(
            "border", "warning",
            f"The region touches the border of the image: {joined(words)}. The lesion may go on outside.",
            "Check whether the scan, or a crop, cuts the lesion; shape and size are then too small.",
            place=Place(across, int(edge.sum(axis=1).argmax())),
        )
    ]  # fmt: skip


def _crumbs(region: Mask, found: Sequence[Piece]) -> list[Finding]:
    total = sum(piece.volume_ml for piece in found)
    crumbs = [piece for piece in found[1:] if piece.volume_ml < CRUMB_SHARE * total and piece.volume_ml < CRUMB_ML]
    parts = [piece for piece in found if piece not in crumbs]
    result = []
    if crumbs:
        shown = joined([_ml(piece.volume_ml) + f" ({counted(piece.voxels, 'voxel')})" for piece in crumbs[:_WORST_CRUMBS]]
                       + [f"{len(crumbs) - _WORST_CRUMBS} smaller"] * (len(crumbs) > _WORST_CRUMBS))  # fmt: skip
        result.append(
            Finding(
                "crumbs", "warning",
                f"{counted(len(crumbs), 'small separate piece')} besides the {counted(len(parts), 'main part')} "
                f"({_ml(sum(piece.volume_ml for piece in parts))}): {shown}.",
                "Erase them if they are slips of the brush; they stretch the diameter and the bounding box.",
                place=Place(0, crumbs[0].centre[0]),
            )
        )  # fmt: skip
    if len(parts) > 1:
        shown = joined(_ml(piece.volume_ml) for piece in parts[:_WORST_CRUMBS])
        more = f" and {len(parts) - _WORST_CRUMBS} more" if len(parts) > _WORST_CRUMBS else ""
        result.append(
            Finding(
                "parts", "note",
                f"The region has {len(parts)} separate parts: {shown}{more}.",
                "Right where they are one lesion for the question; several lesions are better given as regions of their own.",
                place=Place(0, parts[1].centre[0]),
            )
        )  # fmt: skip
    return result


def _gaps(region: Mask) -> list[Finding]:
    """Empty slices, across any axis, between two that hold the region at the same place in the plane: forgotten ones."""
    result = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        used = np.flatnonzero(region.voxels.any(axis=others))
        forgotten: list[int] = []
        for before, after in itertools.pairwise(used):
            if after - before < 2:
                continue
            above, below = region.voxels.take(int(before), axis=axis), region.voxels.take(int(after), axis=axis)
            both = np.count_nonzero(above & below)
            if both >= 0.25 * min(np.count_nonzero(above), np.count_nonzero(below)):  # else two lesions, one after the other
                forgotten += range(int(before) + 1, int(after))
        if forgotten:
            across = 1 if axis == 0 else 0
            line = region.voxels.take(int(used[np.searchsorted(used, forgotten[0]) - 1]), axis=axis)
            result.append(
                Finding(
                    "gap", "warning",
                    f"{counted(len(forgotten), _LINES[axis])} of the region {'is' if len(forgotten) == 1 else 'are'} empty, between others "
                    f"that hold it at the same place: {_runs(forgotten)} (of {used[0] + 1} to {used[-1] + 1}, counted from 1 along "
                    f"{AXES[2 - axis]}).",
                    "Draw the missing outlines; every slice counts for shape and texture.",
                    place=Place(across, int(line.sum(axis=1).argmax())),
                )
            )  # fmt: skip
    return result


def _holes(region: Mask, voxels: int) -> list[Finding]:
    box = ndimage.find_objects(region.voxels.astype(np.uint8))[0]
    inside = region.voxels[box]
    hollow = ndimage.binary_fill_holes(inside) & ~inside
    missing = int(np.count_nonzero(hollow))
    if missing == 0:
        return []
    _, count = ndimage.label(hollow, np.ones((3, 3, 3), bool))
    volume = missing * region.grid.voxel_volume_mm3 / 1000.0
    z = box[0].start + widest(hollow).index
    return [
        Finding(
            "holes", "note",
            f"{counted(count, 'hole')} inside the region, {counted(missing, 'voxel')} in all ({_ml(volume)}, {missing / voxels:.1%} of the region).",
            "Right where necrosis or a vessel was left out on purpose; else fill them.",
            place=Place(0, int(z)),
        )
    ]  # fmt: skip


def image_facts(image: Image) -> dict[str, Any]:
    """Range and kind of all intensities (JSON values)."""
    voxels = image.voxels
    low, high = float(voxels.min()), float(voxels.max())
    sample = voxels[:: max(1, voxels.shape[0] // 64)].ravel()
    sample = sample[:: max(1, sample.size // 200_000)]
    whole = bool(voxels.dtype.kind in "iub" or (sample == np.rint(sample)).all())
    spread = np.percentile(sample, (1, 50, 99))
    return {
        "min": low, "max": high, "whole": whole, "p1": float(spread[0]), "median": float(spread[1]), "p99": float(spread[2]),
        "mean": float(sample.mean(dtype=float)), "sd": float(sample.std(dtype=float)),
    }  # fmt: skip


def region_facts(values: Volume) -> dict[str, float]:
    """Range of the region's intensities (JSON values)."""
    spread = np.percentile(values, (1, 50, 99))
    names = ("min", "max", "p1", "median", "p99")
    return dict(zip(names, map(float, (values.min(), values.max(), *spread)), strict=True))


def intensity_findings(
    modality: str, image: Mapping[str, Any], region: Mapping[str, float] | None, place: Place | None
) -> list[Finding]:
    """What the intensities say against CT in HU and PET in SUV, and of an MR that was scaled. image, region : the facts above."""
    low, high = image["min"], image["max"]
    if low == high:
        return [Finding("intensity", "error", f"Every voxel of the image is {low:g}.", "Export the image again.", place=place)]
    found: list[Finding] = []
    if region is not None and region["min"] == region["max"]:
        found.append(
            Finding(
                "constant",
                "error",
                f"Every voxel of the region is {region['min']:g}: it has no texture.",
                "Check that the mask belongs to this image, and that the image is not cut off at that value.",
                place=place,
            )
        )
    if modality in _UNIT:
        found += [Finding("intensity", *said, place=place) for said in _against_unit(modality, image, region)]
    elif modality == "MR" and abs(image["mean"]) < 0.05 and abs(image["sd"] - 1) < 0.05:
        said = f"The image has mean {image['mean']:.2g} and standard deviation {image['sd']:.3g}: it was normalised already."
        found.append(Finding("intensity", "note", said, "Leave normalize off, and choose a bin width that fits (0.1, not 25)."))
    return found


_UNIT = {"CT": "HU", "PET": "SUV"}
_Said = tuple[str, str, str]  # severity, what, what to do


def _against_unit(modality: str, image: Mapping[str, Any], region: Mapping[str, float] | None) -> list[_Said]:
    low, high, unit = image["min"], image["max"], _UNIT[modality]
    inside = f", with {measured(region['median'])} as the region's median" if region is not None else ""
    span = f"{modality} values run from {measured(low)} to {measured(high)}{inside}"
    if image["whole"] and low >= 0 and high <= 255:
        why = f"{span}, all of them whole: this looks like a picture of 8 bits, not like {unit}."
        return [("error", why, f"Export the image again in {unit}; window and level must not be burnt in.")]
    if high - low <= 2.0 and (modality == "CT" or low < 0 or high <= 1.0):
        why = f"{span}: they were normalised, and are not {unit} any more."
        return [("error", why, f"Give the image in {unit}; radpipe normalises by itself where that is asked for.")]
    return (_against_hounsfield if modality == "CT" else _against_suv)(span, image, region)


def _against_hounsfield(span: str, image: Mapping[str, Any], region: Mapping[str, float] | None) -> list[_Said]:
    # Soft tissue is about 40 HU and fat -100; stored values lie 1000 or 1024 higher. Bone alone has such a median, but a scan
    # of bone has fat and air around it.
    if image["min"] >= 0 and (region or image)["median"] > 400:
        why = f"{span}: these look like stored values, whose rescale to HU (usually -1024) was forgotten. Air would be -1000 HU."
        return [("error", why, "Export the CT again with its rescale slope and intercept applied.")]
    if region is not None and region["median"] < -900:
        said = f"Half of the region is air: its median is {measured(region['median'])} HU (lung has -850 to -500, fat -100)."
        return [("warning", said, "Look whether it lies where it should: a mask that was mirrored, or is of another patient, has the image's "
                 "header all the same.")]  # fmt: skip
    if region is not None and (region["min"] < -1024 or region["max"] > 4000):
        why = "padding outside the scanned circle" if region["min"] < -1024 else "metal, or values in another unit,"
        said = f"CT values inside the region run from {measured(region['min'])} to {measured(region['max'])} HU: {why} lies within the outline."
        return [("warning", said, "Look at the outline; consider a resegmentRange such as [-1000, 400].")]
    return []


def _against_suv(span: str, image: Mapping[str, Any], region: Mapping[str, float] | None) -> list[_Said]:
    if image["max"] > 500 and (region is None or region["max"] > 100):
        why = f"{span}: this is no SUV (a hot lesion has 5 to 50); it looks like Bq/ml, counts or stored values."
        way_out = (
            "Convert to SUV, which takes the injected activity, its time and the weight; radpipe ingest does it from DICOM files."
        )
        return [("error", why, way_out)]
    if image["min"] < -0.05 * image["max"]:
        return [("warning", f"{span}: an uptake cannot be negative.", "Ask how the image was made; splines overshoot.")]
    if region is not None and region["max"] > 100:
        return [("warning", f"{span}, and {measured(region['max'])} as its maximum: high for a SUV.", "Check the unit.")]
    return []


def _runs(numbers: Sequence[int]) -> str:
    """0-based indices as 1-based runs: 3, 5 to 7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{low + 1}" if low == high else f"{low + 1} to {high + 1}" for low, high in runs)


def _ml(volume: float) -> str:
    return f"{volume:.3g} ml" if volume < 1000 else f"{volume:.0f} ml"

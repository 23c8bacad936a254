"""Image grid against mask grid: which attribute differs, by how much, what it comes from, and whether it can be mended safely.

The question behind every difference is where the mask's voxels lie among the image's. Where each of them falls on one voxel
of the image (another order of axes, a margin that was left out, rounding of the header), the mask can be laid on the image's
grid without moving anything. Where they fall between voxels, or where the headers contradict themselves, nobody can say from
the files alone which of them is right.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from radpipe.core.grid import Grid
from radpipe.intake.findings import Finding, counted, joined
from radpipe.typing import FloatArray, IntArray, Volume

ROUNDING = 0.05
"""Of a voxel, anywhere in the volume. Cosines written with four decimals and spacings with four digits stay below it over 500
voxels; half a voxel, the commonest real shift, is ten times as much."""
ACCEPTED = 1e-4
"""radpipe's own tolerance (radpipe.features.grids.TOLERANCE), in voxels and in cosines."""
EXACT = 1e-6
"""PyRadiomics' own tolerance, in voxels and in cosines."""
AXES = ("x", "y", "z")
_ENDS = (("right", "left"), ("front", "back"), ("feet", "head"))  # of LPS: towards minus, towards plus
_LINES = ("columns", "rows", "slices")


@dataclass(frozen=True)
class Relation:
    """The image index (x, y, z) of the mask's index k is matrix @ k + offset."""

    matrix: FloatArray
    offset: FloatArray

    def of(self, index_xyz: FloatArray) -> FloatArray:
        """(..., 3) -> (..., 3)."""
        return np.asarray(index_xyz, float) @ self.matrix.T + self.offset


@dataclass(frozen=True)
class Lattice:
    """The mask's index k is the image's index order @ k + start, all of them whole. order : signed permutation (3, 3)."""

    order: IntArray
    start: IntArray

    @property
    def plain(self) -> bool:
        """Whether the axes are the image's own."""
        return bool((self.order == np.eye(3)).all())

    def box(self, shape_xyz: tuple[int, ...]) -> tuple[IntArray, IntArray]:
        """First and last index of the image that the mask covers, per axis of the image."""
        last = self.order @ (np.asarray(shape_xyz) - 1) + self.start
        return np.minimum(self.start, last), np.maximum(self.start, last)


def relation(image: Grid, mask: Grid) -> Relation:
    own, other = _matrix(image), _matrix(mask)
    offset = np.linalg.solve(own, np.asarray(mask.origin_mm) - np.asarray(image.origin_mm))
    return Relation(np.asarray(np.linalg.solve(own, other), np.float64), np.asarray(offset, np.float64))


def lattice(image: Grid, mask: Grid) -> Lattice | None:
    """How the mask's voxels fall on the image's, one on one; None where they fall between them (by more than ROUNDING)."""
    found = relation(image, mask)
    order = _order(image, mask)
    if order is None:
        return None
    start = np.rint(found.offset).astype(np.int64)
    corners = _corners(mask)
    off = np.abs(found.of(corners) - (corners @ order.T + start)).max()
    return Lattice(order, start) if off <= ROUNDING else None


def on_image(voxels: Volume, place: Lattice, shape: tuple[int, int, int]) -> tuple[Volume, int]:
    """The mask's voxels (z, y, x) on the image's grid of ``shape``, and how many that are not 0 had no place there.

    No voxel is moved: what the image has and the mask lacks is 0.
    """
    axes = [int(np.flatnonzero(place.order[row])[0]) for row in range(3)]  # of the mask, for each axis of the image
    turned = voxels.transpose([2 - axes[2 - axis] for axis in range(3)])
    turned = np.flip(turned, tuple(2 - row for row in range(3) if place.order[row].sum() < 0))
    first, last = place.box(voxels.shape[::-1])
    result = np.zeros(shape, voxels.dtype)
    target, source = [], []
    for axis in range(3):
        low, high = int(first[2 - axis]), int(last[2 - axis])
        inside = slice(max(low, 0), max(min(high, shape[axis] - 1) + 1, max(low, 0)))
        target.append(inside)
        source.append(slice(inside.start - low, inside.stop - low))
    result[tuple(target)] = turned[tuple(source)]
    return result, int(np.count_nonzero(voxels)) - int(np.count_nonzero(result))


def attributes(image: Grid, mask: Grid) -> list[dict[str, Any]]:
    """Attribute by attribute: what both headers say and how far apart they are, in mm and in voxels of the image."""
    spacing = np.asarray(image.spacing_mm[::-1])
    gap = np.asarray(mask.spacing_mm[::-1]) - spacing
    shift = np.asarray(mask.origin_mm) - np.asarray(image.origin_mm)
    index = np.linalg.solve(_matrix(image), shift)
    turn = np.abs(np.asarray(image.direction) - np.asarray(mask.direction)).max()
    corners, own = _corners(mask), relation(image, mask)
    far_voxels = own.of(corners) - corners
    far_mm = far_voxels * spacing
    rows = [
        ("size", _whole(image.shape[::-1]), _whole(mask.shape[::-1]), np.nan, float(np.abs(np.subtract(image.shape, mask.shape)).max()),
         image.shape == mask.shape),
        ("spacing", _numbers(spacing), _numbers(mask.spacing_mm[::-1]), float(np.abs(gap).max()), float(np.abs(gap / spacing).max()),
         bool((np.abs(gap) <= EXACT * spacing).all())),
        ("origin", _numbers(image.origin_mm), _numbers(mask.origin_mm), float(np.linalg.norm(shift)), float(np.abs(index).max()),
         bool(np.abs(index).max() <= EXACT)),
        ("direction", _numbers(image.direction), _numbers(mask.direction), np.nan, float(turn), bool(turn <= EXACT)),
        ("farthest corner", "", "", float(np.linalg.norm(far_mm, axis=1).max()), float(np.abs(far_voxels).max()),
         bool(np.abs(far_voxels).max() <= EXACT)),
    ]  # fmt: skip
    names = ("attribute", "image", "mask", "difference_mm", "difference_voxels", "same")
    return [dict(zip(names, row, strict=True)) for row in rows]


def geometry_findings(image: Grid, mask: Grid, *, accepted: float = ACCEPTED) -> list[Finding]:
    """What is wrong between the two grids; empty where nothing is. accepted : radpipe's own tolerance, in voxels and cosines.

    A repair that is named here is safe as far as headers can tell; the voxels have their say in :func:`confirm`.
    """
    place, order = lattice(image, mask), _order(image, mask)
    if image.shape != mask.shape and sorted(image.shape) == sorted(mask.shape) and order is not None:
        # Sizes exchanged, from the same first voxel on: no crop gives that.
        alike = (np.abs(order) == np.eye(3)).all()
        if alike and (place is None or (place.plain and not place.start.any())):
            return [_saved_in_other_order(image, mask)]
    if place is not None:
        return _on_lattice(image, mask, place, accepted)
    return _off_lattice(image, mask)


def confirm(finding: Finding, image: Grid, mask: Grid, voxels: Volume) -> Finding:
    """The finding with its repair, or without it where the mask's voxels (all labels) say that it is not safe."""
    place = lattice(image, mask)
    if not finding.safe_repair or place is None:
        return replace(finding, safe_repair="")
    _, lost = on_image(voxels, place, image.shape)
    if lost:
        return replace(
            finding,
            safe_repair="",
            what=f"{finding.what} {counted(lost, 'voxel')} of the mask's regions would have no place in the image.",
            to_do="Check that the mask belongs to this image.",
        )
    if finding.safe_repair == "fit-to-image" and (sides := _cut_sides(image, mask, place, voxels)):
        return replace(
            finding,
            safe_repair="",
            what=f"{finding.what} The region reaches the very edge ({joined(sides)}) beyond which the mask has nothing, so part of "
            "the outline may be missing.",
            to_do="Export the mask again, whole; filling up with empty slices might cut the lesion off.",
        )
    return finding


def _on_lattice(image: Grid, mask: Grid, place: Lattice, accepted: float) -> list[Finding]:
    sizes = np.asarray(image.shape[::-1])
    first, last = place.box(mask.shape[::-1])
    same_box = bool((first == 0).all() and (last == sizes - 1).all())
    if place.plain and same_box:
        return _rounding(image, mask, accepted)
    if not place.plain:
        turned = _turned_words(image, mask, place)
        check = "flip" if (np.abs(place.order) == np.eye(3)).all() else "transposed-axes"
        if same_box:
            return [
                Finding(
                    check, "error",
                    f"{turned} Every voxel still lies where one of the image's lies: only the order of storage differs.",
                    "Store the mask in the image's order; no voxel moves.",
                    safe_repair="reorder-axes",
                )
            ]  # fmt: skip
        if (first >= 0).all() and (last < sizes).all():
            less = _cut_or_padded(image, mask, first, last)
            return [
                Finding(
                    check, "error", f"{turned} {less.what}",
                    "Store the mask in the image's order, and fill it up with empty voxels; no voxel moves.", safe_repair="fit-to-image",
                )
            ]  # fmt: skip
        return [
            Finding(
                check, "error",
                f"{turned} By its header it covers {_cover_words(first, last)} of the image, which has {_whole(sizes)} voxels.",
                "Export the mask again. Not repaired: either its header or its voxels are turned, and the files do not say which.",
            )
        ]  # fmt: skip
    if image.shape == mask.shape:
        return [_shift(image, mask)]
    return [_cut_or_padded(image, mask, first, last)]


def _rounding(image: Grid, mask: Grid, accepted: float) -> list[Finding]:
    rows = {row["attribute"]: row for row in attributes(image, mask)}
    corner = rows.pop("farthest corner")
    if all(row["same"] for row in rows.values()):
        return []
    differing = [name for name, row in rows.items() if not row["same"]]
    # What grid_differences will accept, by its own rules.
    refused = (
        rows["spacing"]["difference_voxels"] > accepted
        or np.abs(np.subtract(image.origin_mm, mask.origin_mm)).max() > accepted * max(image.spacing_mm)
        or rows["direction"]["difference_voxels"] > accepted
    )
    return [
        Finding(
            "rounding",
            "error" if refused else "note",
            f"{joined(differing).capitalize()} of image and mask differ by rounding: nowhere by more than "
            f"{corner['difference_mm']:.2g} mm ({corner['difference_voxels']:.2g} voxels). "
            + ("radpipe refuses it without correctMask." if refused else "radpipe accepts it; PyRadiomics does not."),
            "Give the mask the image's header: every voxel of the mask stays on its voxel of the image.",
            safe_repair="use-image-header",
        )
    ]  # fmt: skip


def _cut_or_padded(image: Grid, mask: Grid, first: IntArray, last: IntArray) -> Finding:
    sizes = np.asarray(image.shape[::-1])
    parts = []
    for axis in range(3):
        for missing, low in ((int(first[axis]), True), (int(sizes[axis] - 1 - last[axis]), False)):
            if not missing:
                continue
            which = ("first" if low else "last") + ("" if abs(missing) == 1 else f" {abs(missing)}")
            end = _end(image, axis, low)
            one = _LINES[axis][:-1] if abs(missing) == 1 else _LINES[axis]
            parts.append(
                f"lacks the image's {which} {one} ({AXES[axis]}, at the {end}: {abs(missing) * image.spacing_mm[2 - axis]:.4g} mm)"
                if missing > 0
                else f"has {counted(-missing, _LINES[axis][:-1])} more before the image's first ({AXES[axis]}, at the {end})"
                if low
                else f"has {counted(-missing, _LINES[axis][:-1])} more after the image's last ({AXES[axis]}, at the {end})"
            )
    return Finding(
        "slices",
        "error",
        f"The mask has {_whole(mask.shape[::-1])} voxels (its x, y, z), the image {_whole(sizes)}. By their headers the mask "
        f"{joined(parts)}; all its voxels lie on voxels of the image.",
        "Fill the mask up with empty voxels, or cut empty ones off, to the image's size; no voxel moves.",
        safe_repair="fit-to-image",
    )


def _shift(image: Grid, mask: Grid) -> Finding:
    index = relation(image, mask).offset
    parts = []
    for axis in range(3):
        if abs(index[axis]) > ROUNDING:
            toward = _end(image, axis, index[axis] < 0)
            parts.append(
                f"{abs(index[axis]) * image.spacing_mm[2 - axis]:.4g} mm ({abs(index[axis]):.3g} voxels) along {AXES[axis]} towards the {toward}"
            )
    agree = "size, spacing and direction" if image.shape == mask.shape else "spacing and direction"
    half = bool((np.abs(np.abs(index) - 0.5) < ROUNDING).all())
    why = (
        " Half a voxel along every axis: one of the programs counted from the voxel's corner, the other from its centre."
        if half
        else ""
    )
    return Finding(
        "shift",
        "error",
        f"The mask is shifted by {joined(parts)}; {agree} agree." + why + _default_words(image, mask),
        "Export image and mask again from the same series. Not repaired: with the image's header the mask would lie elsewhere, and "
        "the files do not say which place is right; the picture shows both.",
    )


def _saved_in_other_order(image: Grid, mask: Grid) -> Finding:
    return Finding(
        "transposed-axes",
        "error",
        f"The mask's size (x, y, z) {_whole(mask.shape[::-1])} is the image's {_whole(image.shape[::-1])} in another order, while "
        "both headers say that the axes run alike: the voxels were saved with their axes exchanged (an array is z, y, x; a file x, y, z).",
        "Save the mask again with its axes in the image's order. Not repaired: the header contradicts the voxels, and an axis may be "
        "turned round as well.",
    )


def _off_lattice(image: Grid, mask: Grid) -> list[Finding]:
    order = _order(image, mask)
    if order is None:
        angle, cosines = _angle(image, mask), np.abs(np.subtract(image.direction, mask.direction)).max()
        return [
            Finding(
                "rotation",
                "error",
                f"The mask is turned against the image by {angle:.3g} degrees (direction cosines differ by up to {cosines:.3g}).",
                "Export both from the same series. Not repaired: the mask would have to be resampled, which changes the outline.",
            )
        ]
    found = []
    axes = np.abs(order).argmax(axis=1)  # of the mask, for each axis of the image
    turned = not (order == np.eye(3)).all()
    if turned:
        check = "flip" if (np.abs(order) == np.eye(3)).all() else "transposed-axes"
        found.append(
            Finding(
                check, "error",
                f"{_turned_words(image, mask, Lattice(order, np.zeros(3, np.int64)))} Its voxels do not fall on those of the image.",
                "Export the mask again from this image. Not repaired: either its header or its voxels are turned.",
            )
        )  # fmt: skip
    own = np.asarray(image.spacing_mm[::-1])
    other = np.asarray(mask.spacing_mm[::-1])[axes]
    sizes, others = np.asarray(image.shape[::-1]), np.asarray(mask.shape[::-1])[axes]
    stretched = np.abs(other / own - 1) * others > ROUNDING
    if stretched.any():
        parts = [f"{AXES[axis]} {other[axis]:.5g} mm against {own[axis]:.5g} mm" for axis in range(3) if stretched[axis]]
        same_view = bool((np.abs(other * others - own * sizes) <= np.maximum(own, other)).all())
        if (sizes == others).all():
            why = "With the same number of voxels, one of the headers must be wrong."
        elif same_view:
            why = "Both cover the same field of view: one of them was resampled."
        else:
            why = "They cover different fields of view."
        found.append(
            Finding(
                "resolution",
                "error",
                f"The mask has another voxel size than the image: {joined(parts)}; {_whole(mask.shape[::-1])} against "
                f"{_whole(image.shape[::-1])} voxels. {why}{_default_words(image, mask)}",
                "Use the image that the mask was drawn on. Not repaired: resampling changes the outline (correctMask: true does it by "
                "nearest neighbour where you want that).",
            )
        )
    angle = 0.0 if turned else _angle(image, mask)
    if np.radians(angle) * max(own * sizes) > ROUNDING * min(own):
        found.append(
            Finding(
                "rotation",
                "error",
                f"The mask is turned against the image by {angle:.3g} degrees.",
                "Export both from the same series. Not repaired: the mask would have to be resampled, which changes the outline.",
            )
        )
    if not found:
        found.append(_shift(image, mask))
        if image.shape != mask.shape:
            found.append(
                Finding(
                    "slices",
                    "error",
                    f"The mask has {_whole(mask.shape[::-1])} voxels (x, y, z), the image {_whole(image.shape[::-1])}.",
                    "Export the mask again from this image. Not repaired: its voxels lie between the image's.",
                )
            )
    return found


def _cut_sides(image: Grid, mask: Grid, place: Lattice, voxels: Volume) -> list[str]:
    """Sides at which the region reaches the mask's edge although the image goes on."""
    first, last = place.box(mask.shape[::-1])
    placed, _ = on_image(voxels, place, image.shape)
    sides = []
    for axis in range(3):
        for at, low, more in ((first[axis], True, first[axis] > 0), (last[axis], False, last[axis] < image.shape[2 - axis] - 1)):
            if more and 0 <= at < image.shape[2 - axis] and placed.take(int(at), axis=2 - axis).any():
                sides.append(f"{AXES[axis]}, {_end(image, axis, low)}")
    return sides


def patient_end(grid: Grid, axis_xyz: int, low: bool) -> str:
    """Which side of the patient lies at the first (low) or last index of an axis: right, left, front, back, feet, head."""
    return _end(grid, axis_xyz, low)


def _end(grid: Grid, axis: int, low: bool) -> str:
    along = np.asarray(grid.direction).reshape(3, 3)[:, axis]
    body = int(np.abs(along).argmax())
    return _ENDS[body][int((along[body] > 0) != low)]


def _turned_words(image: Grid, mask: Grid, place: Lattice) -> str:
    axes = np.abs(place.order).argmax(axis=1)
    flipped = [axis for axis in range(3) if place.order[axis].sum() < 0]
    words = []
    if not (axes == np.arange(3)).all():
        words.append("its " + ", ".join(AXES[int(axes[axis])] for axis in range(3)) + " are the image's x, y, z")
    for axis in flipped:
        own = int(axes[axis])
        name = AXES[axis] if own == axis else f"{AXES[own]} (the image's {AXES[axis]})"
        words.append(
            f"its {name} axis runs from {_end(mask, own, True)} to {_end(mask, own, False)}, the image's from "
            f"{_end(image, axis, True)} to {_end(image, axis, False)}"
        )
    kind = (
        "The axes of the mask stand in another order than the image's"
        if words and words[0].endswith("x, y, z")
        else "The mask is flipped"
    )
    return f"{kind}: {'; '.join(words)}."


def _default_words(image: Grid, mask: Grid) -> str:
    for name, grid in (("mask", mask), ("image", image)):
        if grid.spacing_mm == (1.0, 1.0, 1.0) and not any(grid.origin_mm):
            return f" The {name}'s header holds defaults (spacing 1 mm, origin 0): its geometry was lost when it was saved."
    return ""


def _order(image: Grid, mask: Grid) -> IntArray | None:
    """The signed permutation that the mask's directions are of the image's; None where they are turned otherwise."""
    cosines = np.asarray(image.direction).reshape(3, 3).T @ np.asarray(mask.direction).reshape(3, 3)
    order = np.rint(cosines).astype(np.int64)
    return order if (np.abs(order).sum(axis=0) == 1).all() and (np.abs(order).sum(axis=1) == 1).all() else None


def _angle(image: Grid, mask: Grid) -> float:
    """Degrees of the rotation from one to the other, the nearest exchange or reversal of axes left aside."""
    own, other = (np.asarray(grid.direction).reshape(3, 3) for grid in (image, mask))
    best = -1.0
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            order = np.zeros((3, 3))
            order[list(axes), range(3)] = signs
            best = max(best, float(np.trace((own @ order).T @ other)))
    return float(np.degrees(np.arccos(np.clip((best - 1) / 2, -1, 1))))


def _cover_words(first: IntArray, last: IntArray) -> str:
    return joined(f"{axis} {int(low)} to {int(high)}" for axis, low, high in zip(AXES, first, last, strict=True))


def _matrix(grid: Grid) -> FloatArray:
    return np.asarray(np.asarray(grid.direction).reshape(3, 3) * np.asarray(grid.spacing_mm[::-1]), np.float64)


def _corners(grid: Grid) -> FloatArray:
    return np.array(list(itertools.product(*((0, size - 1) for size in grid.shape[::-1]))), float)


def _whole(values: Any) -> str:
    return " x ".join(str(int(value)) for value in values)


def _numbers(values: Any) -> str:
    return " ".join(f"{float(value):.9g}" for value in values)


_SPACES = {1: "scanner", 2: "another image", 3: "Talairach", 4: "MNI", 5: "a template"}


def orientation_finding(sform: FloatArray | None, qform: FloatArray | None, grid: Grid) -> Finding | None:
    """What a NIfTI header's two orientations say, where they disagree; None where they agree. Both 4 x 4, index to LPS mm.

    grid : as it is read, which tells which of the two is used.
    """
    if sform is None or qform is None:
        return None
    corners = np.c_[_corners(grid), np.ones(8)]
    at_s, at_q = (corners @ form.T for form in (sform, qform))
    apart_mm = float(np.linalg.norm(at_s - at_q, axis=1).max())
    index = np.linalg.solve(sform[:3, :3], (at_q - at_s)[:, :3].T)
    voxels = float(np.abs(index).max()) if np.isfinite(index).all() else np.inf
    if voxels <= 1e-3:
        return None
    used_s = (
        np.abs(at_s[:, :3] - grid.world_mm(corners[:, 2::-1])).max()
        <= np.abs(at_q[:, :3] - grid.world_mm(corners[:, 2::-1])).max()
    )
    said = (
        f"The header's two orientations (sform, qform) put the farthest corner {apart_mm:.3g} mm ({voxels:.3g} voxels) apart; "
        f"radpipe reads the {'sform' if used_s else 'qform'}, another program may read the other."
    )
    if voxels <= ROUNDING:
        return Finding(
            "nifti-orientations",
            "note",
            said,
            "Write the file again with one orientation; no voxel moves.",
            safe_repair="rewrite-header",
        )
    return Finding(
        "nifti-orientations", "error", said,
        "Find out which is right (open it beside an image of the same patient) and write it into both. Not repaired: the file does not say.",
    )  # fmt: skip


def space_finding(image_code: int, mask_code: int) -> Finding | None:
    """Where one of two NIfTI files is in a template's space and the other is not. Codes as in the header; 0 says nothing."""
    if image_code == mask_code or max(image_code, mask_code) < 3 or 0 in (image_code, mask_code):
        return None
    return Finding(
        "template-space", "warning",
        f"By its header the image is in the coordinates of {_SPACES.get(image_code, image_code)}, the mask in those of "
        f"{_SPACES.get(mask_code, mask_code)}.",
        "Check that the mask was drawn on this image and not on one that was normalised to a template.",
    )  # fmt: skip

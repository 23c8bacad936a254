"""DICOM segmentations: binary, fractional and label maps, each segment a region on the segmentation's own grid.

A segmentation stores planes, not a volume: frames may be left out where a segment is empty, two segments may overlap, and the
order of frames means nothing. The grid is therefore built from the positions of all planes; planes that are missing between
them are empty. Frames are kept packed (one bit a voxel) and become a mask when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError, RadpipeError
from radpipe.io.dicom import headers, pixels
from radpipe.io.dicom.headers import Unreadable
from radpipe.io.dicom.registration import Placement, Registration, placement, rigid_part, told
from radpipe.io.named import pick_named
from radpipe.typing import FloatArray, Volume

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
THRESHOLD = 0.5
"""Of a fractional segment: a voxel with at least this share of the maximum is inside."""
_AGAIN = "Export the segmentation again."
_MAX_VOXELS = 4 << 30  # a stack larger than this has a wrong position, not that many slices
_UNEVEN = 0.02  # of a slice distance
_ON_LATTICE = 0.05  # of a voxel, at the corners of the segmentation's grid
_BACKGROUND = ("125040", "DCM")  # coded type of what is no region


@dataclass(frozen=True, eq=False)
class SegRegion:
    """One segment on the segmentation's own grid.

    number : SegmentNumber. label : SegmentLabel. category, kind : meanings of its coded category and type. planes : index of the
    slice of each stored frame. packed : (frames, bytes), one bit a voxel. values : (frames, rows, columns) of a fractional
    segment, else None; maximum : the value that stands for 1.
    """

    number: int
    label: str
    description: str
    grid: Grid
    planes: tuple[int, ...]
    packed: np.ndarray
    category: str = ""
    kind: str = ""
    values: np.ndarray | None = None
    maximum: float = 1.0
    path: str = ""

    def __str__(self) -> str:
        return f"segment {self.number} {self.label!r}"

    @property
    def name(self) -> str:
        return self.label

    @property
    def n_voxels(self) -> int:
        return int(np.bitwise_count(self.packed).sum(dtype=np.int64))

    @property
    def mask(self) -> Mask:
        """On the segmentation's grid; empty where the segment has no frame. Of a fractional one: at least THRESHOLD."""
        voxels = np.zeros(self.grid.shape, bool)
        count = voxels[0].size
        for plane, bits in zip(self.planes, self.packed, strict=True):
            voxels[plane] = np.unpackbits(bits, count=count).reshape(voxels.shape[1:]).astype(bool)
        return Mask(self.grid, voxels)

    @property
    def fraction(self) -> Volume | None:
        """(z, y, x) float32 from 0 to 1 of a fractional segment; None of a binary one."""
        if self.values is None:
            return None
        found = np.zeros(self.grid.shape, np.float32)
        for plane, values in zip(self.planes, self.values, strict=True):
            found[plane] = values / np.float32(self.maximum)
        return found

    def on_grid(self, grid: Grid, *, transform: FloatArray | None = None) -> Mask:
        """The segment on an image's grid; see :func:`on_grid`. EmptyRoiError where it has no voxel."""
        mask = self.mask
        if not mask.voxels.any():
            raise EmptyRoiError(
                f"{self} is empty: no frame holds a voxel of it.", hint="Draw it, or leave it out.", path=self.path
            )
        try:
            return on_grid(mask, grid, transform=transform)
        except RadpipeError as error:
            raise type(error)(f"{self}: {error.problem}", hint=error.hint, path=self.path) from error


@dataclass(frozen=True, eq=False)
class Segments:
    """kind : BINARY, FRACTIONAL or LABELMAP. fractional_type : PROBABILITY, OCCUPANCY or ''. frame_of_reference_uid : of the
    positions; '' where not given. overlapping : whether a voxel belongs to two segments."""

    path: Path
    kind: str
    grid: Grid
    regions: tuple[SegRegion, ...]
    frame_of_reference_uid: str
    referenced_series: tuple[str, ...]
    fractional_type: str = ""

    @property
    def overlapping(self) -> bool:
        seen = np.zeros((self.grid.shape[0], -(-self.grid.shape[1] * self.grid.shape[2] // 8)), np.uint8)
        for region in self.regions:
            for plane, bits in zip(region.planes, region.packed, strict=True):
                if np.any(seen[plane] & bits):
                    return True
                seen[plane] |= bits
        return False


def read_seg(path: Path, *, case_id: str = "") -> Segments:
    """Every segment of a segmentation. FileProblem where the file is damaged, cut off, none, or has no place in the patient;
    GeometryError where its planes are no even stack."""
    try:
        dataset = headers.read_whole(Path(path))
        with headers.reasons():
            return _segments(dataset, Path(path))
    except Unreadable as error:
        raise told(error, path, case_id) from error
    except RadpipeError as error:
        raise error.about(case_id=case_id, path=path) from error


def pick(segments: Segments, which: str | int) -> tuple[SegRegion, ...]:
    """The segments that ``which`` means: a label, a number or a pattern; see :func:`radpipe.io.named.pick_named`."""
    return pick_named(segments.regions, which, noun="segment", path=segments.path)


def place(
    segments: Segments,
    region: SegRegion,
    *,
    series_uid: str,
    frame_of_reference_uid: str,
    registrations: Sequence[Registration] = (),
) -> Placement:
    """How the segment's positions become those of an image series; GeometryError where nothing ties them together."""
    return placement(
        str(region), segments.frame_of_reference_uid, segments.referenced_series, series_uid=series_uid,
        frame_of_reference_uid=frame_of_reference_uid, registrations=registrations, path=segments.path,
    )  # fmt: skip


def on_grid(mask: Mask, grid: Grid, *, transform: FloatArray | None = None) -> Mask:
    """A mask on a grid whose voxels are the same ones (a part, more of them, axes in another order or direction): moved, never
    resampled. GeometryError where the voxels are others, or where the region reaches outside.

    transform : 4 x 4, LPS mm, from the mask's space to the grid's, where a registration lies between: then nearest neighbour.
    """
    if transform is not None:
        from radpipe.preprocessing.resample import resample_mask

        return resample_mask(moved(mask, transform), grid)
    axes, signs, start, off = _lattice(mask.grid, grid)
    if off > _ON_LATTICE:
        raise GeometryError(
            f"its voxels are not those of the image: they lie up to {off:.3g} voxels off (spacing x, y, z "
            f"{_mm(mask.grid.spacing_mm[::-1])} and {_mm(grid.spacing_mm[::-1])} mm).",
            hint="Give the image that it was drawn on, or set correctMask: true to resample it (nearest neighbour).",
        )
    index = np.argwhere(mask.voxels)[:, ::-1]  # x, y, z
    placed = index[:, axes] * signs + start
    outside = np.any((placed < 0) | (placed >= grid.shape[::-1]), axis=1)
    if outside.any():
        raise GeometryError(
            f"{int(outside.sum())} of its {len(index)} voxels lie outside the image.",
            hint="Check that it belongs to this image, and that the image was not cropped.",
        )
    voxels = np.zeros(grid.shape, bool)
    voxels[placed[:, 2], placed[:, 1], placed[:, 0]] = True
    return Mask(grid, voxels)


def moved(mask: Mask, transform: FloatArray) -> Mask:
    """The mask where a rigid matrix (4 x 4, LPS mm) takes it: the same voxels on a turned and shifted grid."""
    matrix = rigid_part(transform)
    scale = float(np.cbrt(abs(np.linalg.det(matrix[:3, :3]))))
    direction = matrix[:3, :3] @ np.asarray(mask.grid.direction).reshape(3, 3) / scale
    origin = matrix[:3, :3] @ np.asarray(mask.grid.origin_mm) + matrix[:3, 3]
    z, y, x = (float(side) * scale for side in mask.grid.spacing_mm)
    place_ = (float(origin[0]), float(origin[1]), float(origin[2]))
    return Mask(Grid(mask.grid.shape, (z, y, x), place_, tuple(float(value) for value in direction.ravel())), mask.voxels)


def _lattice(own: Grid, image: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """(axes, signs, start, off): image index = own index[axes] * signs + start, true up to ``off`` voxels. x, y, z."""
    to_image = np.linalg.inv(_steps(image))
    turn = to_image @ _steps(own)
    axes = np.abs(turn).argmax(axis=1)
    signs = np.sign(turn[np.arange(3), axes]).astype(int)
    start = to_image @ (np.asarray(own.origin_mm) - np.asarray(image.origin_mm))
    whole = np.rint(start).astype(int)
    if len(set(axes.tolist())) < 3:
        return axes, signs, whole, float("inf")
    ends = np.array([[x, y, z] for x in (0, own.shape[2] - 1) for y in (0, own.shape[1] - 1) for z in (0, own.shape[0] - 1)])
    exact = ends @ turn.T + start
    return axes, signs, whole, float(np.abs(exact - (ends[:, axes] * signs + whole)).max())


def _steps(grid: Grid) -> FloatArray:
    return np.asarray(np.asarray(grid.direction).reshape(3, 3) * np.asarray(grid.spacing_mm[::-1]))


def _mm(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"


# the file


@dataclass(frozen=True)
class _Stack:
    """planes : slice index of every frame. segments : its SegmentNumber (0 of a label map)."""

    grid: Grid
    planes: tuple[int, ...]
    segments: tuple[int, ...]


def _segments(dataset: Dataset, path: Path) -> Segments:
    kind, modality = headers.text(dataset, "SOPClassUID"), headers.text(dataset, "Modality")
    if kind not in (SEGMENTATION, LABEL_MAP) and (kind or modality != "SEG"):
        raise FileProblem(
            f"this is no DICOM segmentation (its modality is {modality or 'not given'}).", hint="Give the SEG file.", path=path
        )
    form = headers.text(dataset, "SegmentationType").upper() or ("LABELMAP" if kind == LABEL_MAP else "")
    if form not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise FileProblem(
            f"its segmentation type is {form or 'not given'}; radpipe reads BINARY, FRACTIONAL and LABELMAP.",
            hint=_AGAIN,
            path=path,
        )
    described = _described(dataset, path)
    stack = _stack(dataset, form, path)
    for number in stack.segments:
        if form != "LABELMAP" and number not in described:
            raise FileProblem(f"there are frames of a segment {number} that its list does not name.", hint=_AGAIN, path=path)
    stored = pixels.frames(dataset)
    if stored.shape != (len(stack.planes), *stack.grid.shape[1:]):
        raise FileProblem(
            f"it describes {len(stack.planes)} frames of {stack.grid.shape[1]} x {stack.grid.shape[2]} and holds "
            f"{' x '.join(map(str, stored.shape))}.", hint=_AGAIN, path=path,
        )  # fmt: skip
    maximum = 1.0
    if form == "FRACTIONAL":
        maximum = headers.number(dataset, "MaximumFractionalValue") or 0.0
        if not maximum > 0:
            raise FileProblem("it is fractional and does not say which value stands for 1.", hint=_AGAIN, path=path)
        if stored.max(initial=0) > maximum:
            raise FileProblem(f"it holds the value {int(stored.max())}, above its maximum {maximum:g}.", hint=_AGAIN, path=path)
    frames = (
        _of_labels(stored, stack, described, dataset, path)
        if form == "LABELMAP"
        else _of_frames(stored, stack, maximum, form, path)
    )
    width = -(-stack.grid.shape[1] * stack.grid.shape[2] // 8)
    regions = []
    for number, item in described.items():
        mine = frames.get(number, [])
        values = np.stack([stored[frame] for _, frame, _ in mine]) if form == "FRACTIONAL" and mine else None
        if form == "FRACTIONAL" and values is None:
            values = np.zeros((0, *stack.grid.shape[1:]), stored.dtype)
        regions.append(
            SegRegion(
                number, headers.text(item, "SegmentLabel") or f"segment {number}", headers.text(item, "SegmentDescription"),
                stack.grid, tuple(plane for plane, _, _ in mine),
                np.stack([bits for _, _, bits in mine]) if mine else np.zeros((0, width), np.uint8),
                _meaning(item, "SegmentedPropertyCategoryCodeSequence"), _meaning(item, "SegmentedPropertyTypeCodeSequence"),
                values, maximum, str(path),
            )
        )  # fmt: skip
    series = [headers.text(item, "SeriesInstanceUID") for item in headers.items(dataset, "ReferencedSeriesSequence")]
    return Segments(
        path=path, kind=form, grid=stack.grid, regions=tuple(regions),
        frame_of_reference_uid=headers.text(dataset, "FrameOfReferenceUID"),
        referenced_series=tuple(dict.fromkeys(uid for uid in series if uid)),
        fractional_type=headers.text(dataset, "SegmentationFractionalType").upper(),
    )  # fmt: skip


def _described(dataset: Dataset, path: Path) -> dict[int, Dataset]:
    """The items of the list of segments, by number; without those that stand for the background of a label map."""
    found: dict[int, Dataset] = {}
    for item in headers.items(dataset, "SegmentSequence"):
        number = headers.whole(item, "SegmentNumber")
        if number is None or number in found:
            raise FileProblem(
                "a segment of its list has no number." if number is None else f"two segments of its list have the number {number}.",
                hint=_AGAIN, path=path,
            )  # fmt: skip
        found[number] = item
    if not found:
        raise FileProblem("the segmentation has no list of segments: it is empty or cut off.", hint=_AGAIN, path=path)
    return {number: item for number, item in found.items() if not _is_background(item)}


def _is_background(item: Dataset) -> bool:
    codes = headers.items(item, "SegmentedPropertyTypeCodeSequence")
    return bool(codes) and (headers.text(codes[0], "CodeValue"), headers.text(codes[0], "CodingSchemeDesignator")) == _BACKGROUND


def _meaning(item: Dataset, keyword: str) -> str:
    codes = headers.items(item, keyword)
    return headers.text(codes[0], "CodeMeaning") if codes else ""


Frames = dict[int, list[tuple[int, int, np.ndarray]]]  # segment -> (slice, frame, packed bits)


def _of_frames(stored: Volume, stack: _Stack, maximum: float, form: str, path: Path) -> Frames:
    found: Frames = {}
    taken: set[tuple[int, int]] = set()
    for frame, (plane, number) in enumerate(zip(stack.planes, stack.segments, strict=True)):
        if (plane, number) in taken:
            raise FileProblem(f"segment {number} has two frames at the same place.", hint=_AGAIN, path=path)
        taken.add((plane, number))
        inside = stored[frame] >= THRESHOLD * maximum if form == "FRACTIONAL" else stored[frame] != 0
        found.setdefault(number, []).append((plane, frame, np.packbits(inside)))
    return found


def _of_labels(stored: Volume, stack: _Stack, described: dict[int, Dataset], dataset: Dataset, path: Path) -> Frames:
    found: Frames = {}
    padding = headers.whole(dataset, "PixelPaddingValue")
    background = {headers.whole(item, "SegmentNumber") for item in headers.items(dataset, "SegmentSequence")} - described.keys()
    if len(set(stack.planes)) < len(stack.planes):
        raise FileProblem("it has two frames at the same place.", hint=_AGAIN, path=path)
    for frame, plane in enumerate(stack.planes):
        for value in np.unique(stored[frame]).tolist():
            number = int(value)
            if number in described:
                found.setdefault(number, []).append((plane, frame, np.packbits(stored[frame] == value)))
            elif number not in background and number not in (0, padding):
                raise FileProblem(
                    f"it holds the value {number}, which its list of segments does not name.", hint=_AGAIN, path=path
                )
    return found


# where its planes lie


def _stack(dataset: Dataset, form: str, path: Path) -> _Stack:
    rows, columns = headers.whole(dataset, "Rows"), headers.whole(dataset, "Columns")
    frames = headers.items(dataset, "PerFrameFunctionalGroupsSequence")
    declared = headers.whole(dataset, "NumberOfFrames")
    if not rows or not columns or not frames:
        raise FileProblem("it does not say how large its frames are and where they lie.", hint=_AGAIN, path=path)
    if declared is not None and declared != len(frames):
        raise FileProblem(f"it declares {declared} frames and describes {len(frames)}.", hint=_AGAIN, path=path)
    found = headers.items(dataset, "SharedFunctionalGroupsSequence")
    shared = found[0] if found else Dataset()
    orientations: set[tuple[float, ...]] = set()
    spacings: set[tuple[float, ...]] = set()
    between: set[float] = set()
    places, segments = [], []
    for number, frame in enumerate(frames, start=1):
        place_ = headers.numbers(_group(frame, shared, "PlanePositionSequence"), "ImagePositionPatient", 3)
        if place_ is None:
            raise FileProblem(
                f"frame {number} has no position in the patient: it was drawn on a picture without one (a radiograph, a slide, "
                "an ultrasound image).", hint="Give a segmentation of a CT, MR or PET series.", path=path,
            )  # fmt: skip
        measures = _group(frame, shared, "PixelMeasuresSequence")
        orientation = headers.numbers(_group(frame, shared, "PlaneOrientationSequence"), "ImageOrientationPatient", 6)
        spacing = headers.numbers(measures, "PixelSpacing", 2)
        if orientation is None or spacing is None or min(spacing) <= 0:
            raise FileProblem(
                f"frame {number} does not say how it is turned, or how large its voxels are.", hint=_AGAIN, path=path
            )
        orientations.add(tuple(round(value, 5) + 0.0 for value in orientation))
        spacings.add(tuple(round(value, 6) for value in spacing))
        for keyword in ("SpacingBetweenSlices", "SliceThickness"):
            distance = headers.number(measures, keyword)
            if distance is not None and distance > 0:
                between.add(distance)
                break
        places.append(place_)
        identified = headers.whole(_group(frame, shared, "SegmentIdentificationSequence"), "ReferencedSegmentNumber")
        if identified is None and form != "LABELMAP":
            raise FileProblem(f"frame {number} does not say to which segment it belongs.", hint=_AGAIN, path=path)
        segments.append(identified or 0)
        if number == 1:
            first, pixel = orientation, spacing
    if len(orientations) > 1 or len(spacings) > 1:
        what = "orientations" if len(orientations) > 1 else "voxel sizes"
        raise GeometryError(
            f"its frames have {max(len(orientations), len(spacings))} {what}.", hint="Export one stack.", path=path
        )
    grid, planes = _grid(np.array(places), np.array(first), pixel, between, (rows, columns), path)
    return _Stack(grid, planes, tuple(segments))


def _group(frame: Dataset, shared: Dataset, keyword: str) -> Dataset:
    found = headers.items(frame, keyword) or headers.items(shared, keyword)
    return found[0] if found else Dataset()


def _grid(
    places: FloatArray, orientation: FloatArray, pixel: tuple[float, ...], between: set[float], size: tuple[int, int], path: Path
) -> tuple[Grid, tuple[int, ...]]:
    """(grid of the whole stack, slice index of every frame)."""
    along, down = orientation[:3], orientation[3:]
    if abs(np.linalg.norm(along) - 1) > 1e-3 or abs(np.linalg.norm(down) - 1) > 1e-3 or abs(along @ down) > 1e-3:
        raise GeometryError("the axes of its frames are not at right angles.", hint=_AGAIN, path=path)
    normal = np.cross(along, down)
    normal /= np.linalg.norm(normal)
    heights = places @ normal
    beside = places - np.outer(heights, normal)
    spread = float(np.linalg.norm(beside - beside[0], axis=1).max())
    if spread > 0.05 * min(pixel):
        raise GeometryError(
            f"its planes are shifted against each other by up to {spread:.3g} mm: no straight stack.",
            hint="Resample it onto a straight grid with the software that made it.", path=path,
        )  # fmt: skip
    ordered = np.sort(heights)
    gaps = np.diff(ordered)
    gaps = gaps[gaps > 1e-3]
    stated = next(iter(between)) if len(between) == 1 else None
    step = _step(gaps, stated, path)
    index = (heights - ordered[0]) / step
    count = int(np.rint(index.max())) + 1
    if count * size[0] * size[1] > _MAX_VOXELS:
        raise GeometryError(f"its planes span {count} slices of {step:.4g} mm: a position is wrong.", hint=_AGAIN, path=path)
    origin = places[int(heights.argmin())]
    direction = np.stack([along, down, normal], axis=1)
    grid = Grid(
        (count, *size), (step, pixel[0], pixel[1]), (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(value) + 0.0 for value in direction.ravel()),
    )  # fmt: skip
    return grid, tuple(int(value) for value in np.rint(index))


def _step(gaps: FloatArray, stated: float | None, path: Path) -> float:
    """The distance of slices, mm. The positions decide; what the file states fills in where planes were left out."""
    if not gaps.size:
        if stated is None:
            raise GeometryError("it has one plane and does not say how thick its slice is.", hint=_AGAIN, path=path)
        return stated
    smallest = float(gaps.min())
    for step in dict.fromkeys([stated if stated is not None else smallest, smallest]):
        times = gaps / step
        if times.min() > 0.5 and np.abs(times - np.rint(times)).max() <= _UNEVEN:
            # Over the whole stack, so that the last digit of a text does not add up.
            found = float(gaps.sum() / np.rint(times).sum())
            return stated if stated is not None and abs(found - stated) <= 1e-5 * stated else found
    raise GeometryError(
        f"its planes are unevenly spaced: {gaps.min():.4g} to {gaps.max():.4g} mm.",
        hint="Resample it onto an even grid with the software that made it.", path=path,
    )  # fmt: skip

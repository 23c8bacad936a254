"""Text that is drawn into voxels: found by what sets glyphs apart from anatomy, at any size, place and grey.

Glyphs are pieces of one grey with edges of a voxel or two, of one height, on one line, close to each other. Anatomy has each of
these somewhere, and hardly ever all of them four times in a row. It is a look, no proof: handwriting, a single letter, text
of fewer voxels than can be read by a person, and text turned by other angles than a quarter are not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radpipe.typing import FloatArray, Volume

Box = tuple[int, int, int, int]
"""First row, first column, row after the last, column after the last."""
_HEIGHT = (5, 120)
_GLYPHS = 4  # in a row
_SHARES = (0.12, 0.25, 0.4, 0.55, 0.7, 0.85)  # of the frame's range
_QUANTILES = (0.9, 0.97, 0.99, 0.997)
_CROWDED = (40, 90, 200, 500)  # pieces, from which a line must be one glyph longer
_MOST_PIECES = 3000
_WIDEST = 2.5  # of its height: letters may touch
_CONTRAST = 0.1  # of the frame's range: what is drawn is meant to be seen
_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class _Piece:
    top: int
    left: int
    bottom: int
    right: int
    label: int
    area: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def turned(self) -> _Piece:
        return _Piece(self.left, self.top, self.right, self.bottom, self.label, self.area)

    def could_be_glyph(self) -> bool:
        """By size and shape: one glyph, or some that touch; no full square."""
        if not _HEIGHT[0] <= self.height <= _HEIGHT[1] or self.width > _WIDEST * self.height or self.area < self.height:
            return False
        return self.area <= 0.85 * self.height * self.width or self.width <= 0.45 * self.height


def find_text(frame: Volume) -> list[Box]:
    """Boxes around what looks like lines of text in (rows, columns) values; upright or turned by a quarter."""
    values = frame.astype(np.float32)
    if min(values.shape) < 2 * _HEIGHT[0] or not np.isfinite(values).all() or np.ptp(values) == 0:
        return []
    return _merged([box for one in (values, -values) for box in _bright_text(one)])


def in_frames(frames: Volume) -> dict[int, list[Box]]:
    """Frame -> its boxes, of (frames, rows, columns); frames without text are left out."""
    found: dict[int, list[Box]] = {}
    for number, frame in enumerate(frames):
        boxes = find_text(frame)
        if boxes:
            found[number] = boxes
    return found


def blanked(frames: Volume, found: Mapping[int, Sequence[Box]]) -> Volume:
    """The frames with every box, and a margin, at the frame's lowest value."""
    clean = frames.copy()
    for number, boxes in found.items():
        frame = clean[number]
        for top, left, bottom, right in boxes:
            more = max(3, min(bottom - top, right - left) // 3)
            frame[max(top - more, 0) : bottom + more, max(left - more, 0) : right + more] = frames[number].min()
    return clean


def _bright_text(values: FloatArray) -> list[Box]:
    low, high = float(np.quantile(values, 0.001)), float(values.max())
    visible = _CONTRAST * (high - low)
    if high <= low:
        low = float(values.min())
    levels = [low + share * (high - low) for share in _SHARES] + [float(np.quantile(values, share)) for share in _QUANTILES]
    found: list[Box] = []
    for level in sorted(set(levels)):
        mask = values > level
        if not 0 < mask.mean() < 0.95:
            continue
        labels, count = ndimage.label(mask, _EIGHT)
        if count < _GLYPHS:
            continue
        pieces = _pieces(labels, count)
        for turned in (False, True):
            mine = [one.turned() for one in pieces] if turned else pieces
            mine = [one for one in mine if one.could_be_glyph()]
            if not _GLYPHS <= len(mine) <= _MOST_PIECES:
                continue
            # Among many pieces, as noise has, some lie in a row by chance.
            enough = _GLYPHS + int(np.searchsorted(_CROWDED, len(mine)))
            for line in _lines(mine):
                if len(line) >= enough and _is_text(
                    line, labels.T if turned else labels, values.T if turned else values, visible, enough
                ):
                    top, left = min(one.top for one in line), min(one.left for one in line)
                    bottom, right = max(one.bottom for one in line), max(one.right for one in line)
                    found.append((left, top, right, bottom) if turned else (top, left, bottom, right))
    return found


def _pieces(labels: np.ndarray, count: int) -> list[_Piece]:
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    found = []
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is None:
            continue
        rows, columns = place
        if areas[label] >= _HEIGHT[0]:
            found.append(_Piece(rows.start, columns.start, rows.stop, columns.stop, label, int(areas[label])))
    return found


def _lines(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Pieces of like height, one beside the other."""
    order = sorted(pieces, key=lambda one: one.left)
    lines: list[list[_Piece]] = []
    done: list[list[_Piece]] = []
    for one in order:
        # Whoever comes from now on lies too far to the right of these: its height is at most 1 / 0.55 of theirs.
        done += [line for line in lines if one.left - line[-1].right > 2 * line[-1].height]
        lines = [line for line in lines if one.left - line[-1].right <= 2 * line[-1].height]
        best, least = None, float("inf")
        for line in lines:
            last = line[-1]
            gap = one.left - last.right
            height = max(one.height, last.height)
            if gap >= least or not -0.2 * height <= gap <= 1.1 * height or one.left <= last.left:
                continue
            if min(one.height, last.height) < 0.55 * height:
                continue
            if abs(one.bottom - last.bottom) > 0.25 * height and abs(one.top - last.top) > 0.25 * height:
                continue
            best, least = line, gap
        if best is None:
            lines.append([one])
        else:
            best.append(one)
    return [line for line in (*done, *lines) if len(line) >= _GLYPHS]


def _is_text(line: Sequence[_Piece], labels: np.ndarray, values: FloatArray, visible: float, enough: int) -> bool:
    """One ink, sharp edges, thin strokes, one line, in most of its pieces."""
    inks, sound = [], []
    for one in line:
        rows = slice(max(one.top - 2, 0), one.bottom + 2)
        columns = slice(max(one.left - 2, 0), one.right + 2)
        mine = labels[rows, columns] == one.label
        near = values[rows, columns]
        around = ndimage.binary_dilation(mine, _EIGHT, iterations=2) & ~ndimage.binary_dilation(mine, _EIGHT)
        if not around.any():
            return False
        inside = near[mine]
        ink = float(np.quantile(inside, 0.8))
        ground = (
            float(np.median(near[around & (labels[rows, columns] == 0)]))
            if (around & (labels[rows, columns] == 0)).any()
            else ink
        )
        contrast = ink - ground
        if contrast < visible:
            continue
        flat = float(np.mean(inside > ink - 0.45 * contrast))
        top = float(inside.max()) - ink
        quiet = float(np.mean(near[around] < ground + 0.3 * contrast))
        thick = 2 * float(ndimage.distance_transform_edt(np.pad(mine, 1)).max()) - 1
        inks.append((ink, contrast))
        if flat > 0.55 and top < 0.4 * contrast and quiet > 0.7 and thick <= max(0.42 * one.height, 3.0):
            sound.append(one)
    if len(sound) < max(enough, 0.55 * len(line)):
        return False
    ink = np.array([pair[0] for pair in inks])
    contrast = float(np.median([pair[1] for pair in inks]))
    if float(np.median(np.abs(ink - np.median(ink)))) > 0.15 * contrast:
        return False
    height = float(np.median([one.height for one in line]))
    bottoms = np.array([one.bottom for one in line], float)
    tops = np.array([one.top for one in line], float)
    on_line = max(np.mean(np.abs(ends - np.median(ends)) <= max(1.0, 0.1 * height)) for ends in (bottoms, tops))
    return bool(on_line >= 0.6)


def _merged(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that touch as one."""
    left = list(boxes)
    done: list[Box] = []
    while left:
        one = left.pop()
        changed = True
        while changed:
            changed = False
            for other in list(left):
                if one[0] <= other[2] + 2 and other[0] <= one[2] + 2 and one[1] <= other[3] + 2 and other[1] <= one[3] + 2:
                    left.remove(other)
                    one = (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))
                    changed = True
        done.append(one)
    return sorted(done)

"""Slices in the patient -> one grid, or an error that says which slices do not lie as a grid needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from radpipe.core.grid import Grid, Triple
from radpipe.errors import GeometryError
from radpipe.typing import FloatArray

Six = tuple[float, float, float, float, float, float]
MAX_BYTES = 4 << 30  # of a volume, as for every other format
_SAME_COSINE = 5e-4  # a tenth of a mm at the edge of a field of 500 mm
_SHOWN = 8


@dataclass(frozen=True)
class Frame:
    """One slice as its header places it. Lengths in mm, LPS; None where the header does not say.

    number : in its file, from 0. instance : InstanceNumber of its file. pixel_spacing_mm : between rows, between columns.
    kind : the image type's values. stack : StackID of an enhanced file. marks : what may tell it from others at its position.
    """

    number: int
    instance: int | None
    rows: int
    columns: int
    position_mm: Triple | None = None
    orientation: Six | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    slope: float = 1.0
    intercept: float = 0.0
    kind: tuple[str, ...] = ()
    stack: str = ""
    marks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Stack:
    """Slices in the order of their grid. order : indices into the frames given, ascending along the slice normal.

    positions_mm : (slices,) along the normal. offsets_mm : (slices, 2), how far each slice lies aside of the grid's own
    column of slices, along rows and columns; zeros where the slices lie over each other.
    regular : the slices are the grid's planes, in order; else they must be resampled onto it.
    """

    grid: Grid
    order: tuple[int, ...]
    positions_mm: FloatArray
    offsets_mm: FloatArray
    regular: bool


def same_orientation(one: Six, other: Six) -> bool:
    return all(abs(a - b) <= _SAME_COSINE for a, b in zip(one, other, strict=True))


def stack(
    frames: Sequence[Frame],
    *,
    names: Sequence[str] = (),
    resample: bool = False,
    path: object = "",
    case_id: str = "",
    note: str = "",
) -> Stack:
    """The grid of slices that lie evenly over each other; GeometryError, with millimetres and instance numbers, where they do not.

    resample : slices that are unevenly spaced or sheared (gantry tilt) are placed instead of refused; two slices at one place
    and mixed orientations are refused all the same. names : what to call each frame in an error; by default its instance number.
    note : said first in every error, e.g. which part of a series this is.
    """

    def refuse(problem: str, hint: str) -> GeometryError:
        return GeometryError(f"{note}{problem}", hint=hint, case_id=case_id, path=path)

    called = list(names) or [_name(frame, index) for index, frame in enumerate(frames)]
    first = _sound(frames, called, refuse)
    across, down, normal = _axes(first.orientation, refuse)
    if len(frames) < 2:
        raise refuse("it is a series of one slice, so its third dimension is unknown.", "Export the whole series.")
    places = np.array([frame.position_mm for frame in frames], dtype=float)
    along = places @ normal
    order = np.argsort(along, kind="stable")
    along, places = along[order], places[order]
    in_order = [called[index] for index in order]
    gaps = np.diff(along)
    twice = np.flatnonzero(gaps < max(0.01, 1e-3 * float(np.median(gaps))))
    if twice.size:
        pairs = [f"{in_order[i]} and {in_order[i + 1]} at {along[i]:.2f} mm" for i in twice]
        raise refuse(
            f"{twice.size} slice position{_s(twice.size)} hold{'s' if twice.size == 1 else ''} more than one slice: {_list(pairs)}.",
            "Leave only one image for each position: remove the copies, or split echoes and time points into series of their own.",
        )
    spacing_down, spacing_across = first.pixel_spacing_mm or (0.0, 0.0)
    aside = np.stack([(places - places[0]) @ across, (places - places[0]) @ down], axis=1)
    sheared = np.abs(aside).max() > 0.1 * min(spacing_down, spacing_across)
    if sheared and not resample:
        raise refuse(*_aside(aside, along, in_order))
    step, even = _step(along, places)
    if not even and not resample:
        raise refuse(*_uneven(gaps, in_order))
    regular = even and not sheared
    if not regular:
        # The usual step, so that slices keep their places where only some are missing.
        length, usual = float(along[-1] - along[0]), float(np.median(gaps))
        step = length / round(length / usual) if abs(length / usual - round(length / usual)) < 0.05 else usual
        count = int(np.floor(length / step + 1e-6)) + 1
        origin = places[0] + aside.min(axis=0)[0] * across + aside.min(axis=0)[1] * down
        wide = np.ceil((aside.max(axis=0) - aside.min(axis=0)) / (spacing_across, spacing_down) - 1e-6).astype(int)
        shape = (count, first.rows + int(wide[1]), first.columns + int(wide[0]))
        if 4 * math.prod(shape) > MAX_BYTES:
            raise refuse(
                f"its slices lie so far apart that an even grid would have {shape[0]} x {shape[1]} x {shape[2]} voxels.",
                "Look at the positions of its slices: one of them is wrong.",
            )
        aside = aside - aside.min(axis=0)
    else:
        origin, shape = places[0], (len(frames), first.rows, first.columns)
        aside = np.zeros_like(aside)
    grid = Grid(
        shape,
        (step, spacing_down, spacing_across),
        _triple(origin),
        tuple(float(value) + 0.0 for value in np.stack([across, down, normal], axis=1).ravel()),
    )
    return Stack(grid, tuple(int(index) for index in order), along, aside, regular)


def _sound(frames: Sequence[Frame], called: list[str], refuse: Callable[[str, str], GeometryError]) -> Frame:
    """The first frame, once every frame has a place and all are alike in size, spacing and orientation."""
    if not frames:
        raise refuse("it holds no slice.", "Export the series again.")
    first = frames[0]
    for name, value in (
        ("ImagePositionPatient", lambda frame: frame.position_mm),
        ("ImageOrientationPatient", lambda frame: frame.orientation),
        ("PixelSpacing", lambda frame: frame.pixel_spacing_mm),
    ):
        without = [called[index] for index, frame in enumerate(frames) if value(frame) is None]
        if without:
            raise refuse(
                f"{name} is missing for {_list(without)}, so nobody knows where the slices lie.",
                "Export the series from its source; a copy without geometry cannot be measured.",
            )
    if min(first.pixel_spacing_mm or (0.0,)) <= 0:
        raise refuse(f"its pixel spacing is {first.pixel_spacing_mm} mm.", "Export the series again.")
    if first.rows < 1 or first.columns < 1:
        raise refuse(f"its slices have {first.rows} rows and {first.columns} columns.", "Export the series again.")
    sizes = sorted({(frame.rows, frame.columns) for frame in frames})
    if len(sizes) > 1:
        raise refuse(
            f"its slices differ in size (rows, columns): {_list([str(size) for size in sizes])}.",
            "Export one series of one size.",
        )
    apart = np.array([frame.pixel_spacing_mm for frame in frames])
    if np.abs(apart - apart[0]).max() > 1e-4 * apart[0].min():
        raise refuse(
            f"its slices differ in pixel spacing: {apart.min():.6g} to {apart.max():.6g} mm.", "Export one series of one spacing."
        )
    turned = [
        called[index]
        for index, frame in enumerate(frames)
        if not same_orientation(frame.orientation or (0,) * 6, first.orientation or (0,) * 6)
    ]
    if turned:
        raise refuse(
            f"it has mixed orientations: {_list(turned)} lie otherwise than {called[0]}.",
            "Export each orientation as a series of its own.",
        )
    return first


def _axes(orientation: Six | None, refuse: Callable[[str, str], GeometryError]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors (LPS): along a row, along a column, and their normal, at right angles to the last digit."""
    cosines = np.array(orientation, dtype=float).reshape(2, 3)
    if np.abs(cosines @ cosines.T - np.eye(2)).max() > 1e-3:
        raise refuse(
            f"its ImageOrientationPatient {tuple(orientation or ())} is not two unit vectors at right angles.",
            "Export the series again from its source.",
        )
    across = cosines[0] / np.linalg.norm(cosines[0])
    normal = np.cross(across, cosines[1])
    normal /= np.linalg.norm(normal)
    return across, np.cross(normal, across), normal


def _step(along: FloatArray, places: FloatArray) -> tuple[float, bool]:
    """(mean step, whether every slice lies where even steps put it).

    A fiftieth of the step is let pass (PET bed positions meet a few hundredths of a mm off), and the rounding of positions that
    are written with few decimals.
    """
    count = len(along)
    step = float(along[-1] - along[0]) / (count - 1)
    off = along - along[0] - step * np.arange(count)
    worst = float(np.abs(off - np.median(off)).max())
    rounding = next((10.0**-k for k in range(1, 7) if np.abs(places * 10**k - np.rint(places * 10**k)).max() < 1e-6), 0.0)
    return step, worst <= max(0.02 * step, min(0.51 * rounding, 0.05 * step))


def _uneven(gaps: FloatArray, names: list[str]) -> tuple[str, str]:
    usual = float(np.median(gaps))
    times = gaps / usual
    wide = [i for i in range(len(gaps)) if times[i] > 1.5 and abs(times[i] - round(times[i])) < 0.05]
    resample = "export it whole, or have it resampled (radpipe ingest --uneven resample)."
    if wide and all(i in wide or abs(times[i] - 1) < 0.05 for i in range(len(gaps))):
        lost = sum(round(float(times[i])) - 1 for i in wide)
        gaps_named = [f"{gaps[i]:.2f} mm between {names[i]} and {names[i + 1]}" for i in wide]
        return (
            f"{lost} slice{_s(lost)} {'is' if lost == 1 else 'are'} missing: {_list(gaps_named)}, where the others are {usual:.2f} mm apart.",
            f"Find the missing slice{_s(lost)} and {resample}",
        )
    odd = [i for i in range(len(gaps)) if abs(times[i] - 1) > 0.01] or [int(np.argmax(np.abs(times - 1)))]
    odd_named = [f"{gaps[i]:.2f} mm between {names[i]} and {names[i + 1]}" for i in odd]
    return (
        f"its slices are unevenly spaced, {gaps.min():.2f} to {gaps.max():.2f} mm apart (mostly {usual:.2f} mm): {_list(odd_named)}.",
        f"Look at the series, then {resample}",
    )


def _aside(aside: FloatArray, along: FloatArray, names: list[str]) -> tuple[str, str]:
    run = along - along[0]
    shear = run @ aside / (run @ run)  # mm aside for each mm along the normal
    left_over = np.abs(aside - np.outer(run, shear)).max()
    angle = float(np.degrees(np.arctan(np.linalg.norm(shear))))
    furthest = int(np.argmax(np.linalg.norm(aside, axis=1)))
    far = f"{names[furthest]} lies {np.linalg.norm(aside[furthest]):.2f} mm aside of {names[0]}"
    if left_over <= 0.1 + 0.01 * np.abs(aside).max():
        return (
            f"its slices are sheared by {angle:.1f} degrees (gantry tilt): {far}.",
            "Export it without tilt, or have it resampled (radpipe ingest --uneven resample).",
        )
    return (
        f"its slices do not lie over each other: {far}.",
        "Look at the series; to place each slice where its header says, have it resampled (radpipe ingest --uneven resample).",
    )


def _name(frame: Frame, index: int) -> str:
    name = f"instance {frame.instance}" if frame.instance is not None else f"slice {index + 1}"
    return f"{name} frame {frame.number + 1}" if frame.number else name


def _list(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return ", ".join(parts[:_SHOWN]) + more


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _triple(values: FloatArray) -> Triple:
    return float(values[0]) + 0.0, float(values[1]) + 0.0, float(values[2]) + 0.0

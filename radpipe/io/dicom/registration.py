"""Spatial registration objects: matrices between frames of reference, and how a region comes to lie on an image.

A file says for each of its items how points of a source frame become points of the registered frame (the file's own
FrameOfReferenceUID): the item's matrices, multiplied in the order of the sequence, x_registered = M1 M2 ... x_source, LPS mm
(DICOM PS3.3 C.20.2.1.1). Either way round may be asked for, and several files make a chain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from radpipe.errors import FileProblem, GeometryError, RadpipeError
from radpipe.io.dicom import headers
from radpipe.io.dicom.headers import Unreadable
from radpipe.typing import FloatArray

SPATIAL = "1.2.840.10008.5.1.4.1.1.66.1"
DEFORMABLE = "1.2.840.10008.5.1.4.1.1.66.3"
_WANTED = headers.tags("SOPClassUID", "Modality", "FrameOfReferenceUID", "RegistrationSequence", "SOPInstanceUID")
_STRAIGHT = 1e-3  # how far the axes of a matrix may be from right angles, and their scales from one another
_AGAIN = "Export the registration again."


@dataclass(frozen=True)
class Matrix:
    """One 4 x 4, as 16 numbers row by row: points of ``source`` to points of ``target`` (frames of reference), LPS mm.

    images : SOPInstanceUIDs that the item names; where the file gives no source frame, they tell it.
    """

    source: str
    target: str
    values: tuple[float, ...]
    images: tuple[str, ...] = ()

    @property
    def array(self) -> FloatArray:
        return np.array(self.values).reshape(4, 4)


@dataclass(frozen=True)
class Registration:
    """What one registration object says. frame_of_reference_uid : of the registered frame. matrices : one for each item."""

    path: Path
    frame_of_reference_uid: str
    matrices: tuple[Matrix, ...]


@dataclass(frozen=True)
class Placement:
    """How a region's coordinates become an image's. matrix : 4 x 4 LPS mm, None where they are the same. rule : in words."""

    matrix: FloatArray | None
    rule: str


def read_registration(path: Path, *, case_id: str = "") -> Registration:
    """The matrices of a spatial registration object. FileProblem where it is damaged, deformable, or none."""
    try:
        dataset = headers.read_whole(Path(path), _WANTED)
        with headers.reasons():
            return _registration(dataset, Path(path))
    except Unreadable as error:
        raise told(error, path, case_id) from error
    except RadpipeError as error:
        raise error.about(case_id=case_id, path=path) from error


def link(registrations: Iterable[Registration], source: str, target: str) -> FloatArray | None:
    """4 x 4 from points of the frame ``source`` to points of ``target``, over as few matrices as possible; None without a way.

    GeometryError where two files say different things (by more than 0.1 mm within 500 mm) about the same two frames.
    """
    if source == target:
        return np.eye(4)
    steps: dict[str, dict[str, FloatArray]] = {}
    for registration in registrations:
        for matrix in registration.matrices:
            if not matrix.source or not matrix.target or matrix.source == matrix.target:
                continue
            for a, b, array in (
                (matrix.source, matrix.target, matrix.array),
                (matrix.target, matrix.source, np.asarray(np.linalg.inv(matrix.array), float)),
            ):
                known = steps.setdefault(a, {}).setdefault(b, array)
                if _apart_mm(known, array) > 0.1:
                    raise GeometryError(
                        f"two registrations between the same frames of reference disagree, by up to {_apart_mm(known, array):.3g} mm.",
                        hint="Keep the one that was approved, and move the other away.",
                        path=registration.path,
                    )
    found: dict[str, FloatArray] = {source: np.eye(4)}
    queue = deque([source])
    while queue:
        frame = queue.popleft()
        if frame == target:
            return found[frame]
        for other, array in steps.get(frame, {}).items():
            if other not in found:
                found[other] = array @ found[frame]
                queue.append(other)
    return None


def placement(
    what: str, frame: str, drawn_on: Sequence[str], *, series_uid: str, frame_of_reference_uid: str,
    registrations: Sequence[Registration] = (), path: object = "",
) -> Placement:  # fmt: skip
    """How a region, known by its frame of reference and the series it was drawn on, comes to lie on an image series.

    In this order: it was drawn on that series; both have one frame of reference; a registration links the frames. Else
    GeometryError: nothing says that the two share a space, and equal numbers would be chance. what : the region, for messages.
    """
    if series_uid and series_uid in drawn_on:
        return Placement(None, "drawn on this series")
    if frame and frame == frame_of_reference_uid:
        return Placement(None, "same frame of reference")
    if frame and frame_of_reference_uid:
        matrix = link(registrations, frame, frame_of_reference_uid)
        if matrix is not None:
            return Placement(matrix, "linked by a spatial registration")
    on = f"the series {', '.join(drawn_on)}" if drawn_on else "a series that the file does not name"
    space = f"frame of reference {frame}" if frame else "no frame of reference given"
    other = f"has the frame of reference {frame_of_reference_uid}" if frame_of_reference_uid else "gives no frame of reference"
    raise GeometryError(
        f"{what} was made on {on} ({space}), and the image series {series_uid} {other}.",
        hint="Give the image series that it was made on, or a spatial registration (REG) that links the two.",
        path=path,
    )


def rigid_part(transform: FloatArray) -> FloatArray:
    """The 4 x 4 itself, checked: finite, last row 0 0 0 1, may turn, shift and scale alike along all axes. GeometryError else."""
    matrix = np.asarray(transform, float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.abs(matrix[3] - (0, 0, 0, 1)).max() > 1e-6:
        raise GeometryError("the registration's matrix is not a 4 x 4 of finite numbers with the last row 0 0 0 1.", hint=_AGAIN)
    scales = np.linalg.norm(matrix[:3, :3], axis=0)
    if (
        scales.min() < 0.1
        or scales.max() > 10
        or np.ptp(scales) > _STRAIGHT * scales.max()
        or not _straight(matrix[:3, :3] / scales)
    ):
        raise GeometryError(
            "the registration stretches or shears: a region transferred with it would change its shape.",
            hint="Use a rigid registration, or resample image and region with the software that made this one.",
        )
    return matrix


def told(error: Unreadable, path: object, case_id: str) -> RadpipeError:
    """What is wrong with a file; an error of our own, raised while it was read, as it is."""
    cause = error.__cause__
    if isinstance(cause, RadpipeError):
        return cause.about(case_id=case_id, path=path)
    return FileProblem(error.why, hint=error.hint or "Correct the path, or export the file again.", case_id=case_id, path=path)


def _straight(axes: FloatArray) -> bool:
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= _STRAIGHT)


def _apart_mm(a: FloatArray, b: FloatArray) -> float:
    """The farthest that the two send a corner of a body (500 mm from the origin along each axis) apart."""
    corners = np.array([[x, y, z, 1.0] for x in (-500, 500) for y in (-500, 500) for z in (-500, 500)])
    return float(np.linalg.norm(corners @ (a - b).T, axis=1).max())


def _registration(dataset: Dataset, path: Path) -> Registration:
    kind, modality = headers.text(dataset, "SOPClassUID"), headers.text(dataset, "Modality")
    if kind == DEFORMABLE:
        raise FileProblem(
            "this is a deformable registration, which radpipe does not apply.",
            hint="Resample with the software that made it, or use a rigid registration.", path=path,
        )  # fmt: skip
    if kind != SPATIAL and (kind or modality != "REG"):
        raise FileProblem(
            f"this is no spatial registration (its modality is {modality or 'not given'}).", hint="Give the REG file.", path=path
        )
    registered = headers.text(dataset, "FrameOfReferenceUID")
    if not registered:
        raise FileProblem("the registration does not say to which frame of reference it leads.", hint=_AGAIN, path=path)
    matrices = []
    for number, item in enumerate(headers.items(dataset, "RegistrationSequence"), start=1):
        product = np.eye(4)
        count = 0
        for one in headers.items(item, "MatrixRegistrationSequence"):
            for entry in headers.items(one, "MatrixSequence"):
                product = product @ _matrix(entry, number, path)
                count += 1
        if not count:
            raise FileProblem(f"item {number} of the registration has no matrix.", hint=_AGAIN, path=path)
        images = tuple(
            headers.text(image, "ReferencedSOPInstanceUID") for image in headers.items(item, "ReferencedImageSequence")
        )
        source = headers.text(item, "FrameOfReferenceUID")
        matrices.append(Matrix(source, registered, tuple(float(value) for value in product.ravel()), images))
    if not matrices:
        raise FileProblem("the registration has no items.", hint=_AGAIN, path=path)
    return Registration(path, registered, tuple(matrices))


def _matrix(entry: Dataset, number: int, path: Path) -> FloatArray:
    values = headers.numbers(entry, "FrameOfReferenceTransformationMatrix", 16)
    matrix = None if values is None else np.array(values).reshape(4, 4)
    if matrix is None or np.abs(matrix[3] - (0, 0, 0, 1)).max() > 1e-6 or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise FileProblem(
            f"the matrix of item {number} of the registration is not 16 finite numbers that can be inverted.",
            hint=_AGAIN,
            path=path,
        )
    return matrix

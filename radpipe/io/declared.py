"""What a volume file's header promises, in one form for every format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WANTED = "Give a .nii, .nii.gz, .nrrd or .mha volume."
Packing = str  # "raw", "gzip" or "zlib"


class Unsound(Exception):
    """A header or its data cannot be trusted. The reader turns it into a FileProblem with case and path."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class NotFinite(Unsound):
    """Voxels are NaN or infinite."""


class CutOff(Unsound):
    """Bytes are missing at the end."""


@dataclass(frozen=True)
class Declared:
    """shape : (x, y, z), as files write it. offset : byte where the voxels start, in the stream the header was read from.
    packing : how the voxels themselves are packed within that stream. packed_bytes : how long they then are, where it says.
    components : values a voxel holds (several masks in one file). planar : whether they are stored volume after volume
    (else voxel after voxel)."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    offset: int
    packing: Packing = "raw"
    packed_bytes: int | None = None
    components: int = 1
    planar: bool = False

    @property
    def data_bytes(self) -> int:
        return math.prod(self.shape) * self.components * self.dtype.itemsize


def check_shape(sizes: Sequence[int]) -> tuple[int, int, int]:
    """(x, y, z) of a volume; further dimensions may be there where they hold one entry."""
    if any(size < 1 for size in sizes):
        raise Unsound(f"the header gives the size {_join(sizes)}.", "The header is damaged: export the file again.")
    if len(sizes) < 3:
        raise Unsound(f"this is a {len(sizes)}D image ({_join(sizes)}).", "Give a volume: radpipe works in three dimensions.")
    if any(size != 1 for size in sizes[3:]):
        raise Unsound(
            f"this is a {len(sizes)}D image ({_join(sizes)}): several values per voxel or several time points.",
            "Export one volume with one value per voxel.",
        )
    return sizes[0], sizes[1], sizes[2]


def check_spacing(spacing: Sequence[float]) -> None:
    """Unsound unless every spacing is finite and positive."""
    if not all(math.isfinite(value) and value > 0 for value in spacing):
        raise Unsound(
            f"the voxel spacing is {_join(spacing)} mm; it must be finite and above 0.",
            "Export the file again from a source that knows its voxel size.",
        )


def _join(values: Sequence[float]) -> str:
    return " x ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)

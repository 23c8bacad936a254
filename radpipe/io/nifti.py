"""NIfTI-1: the header read and judged before ITK sees the file, and volumes written with the same bytes every time.

Layout: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
"""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from radpipe.core.grid import Grid
from radpipe.io.declared import WANTED, CutOff, Declared, Unsound, check_shape, check_spacing
from radpipe.io.files import atomic_write
from radpipe.typing import FloatArray, Volume

HEADER_BYTES = 348
_FIRST_VOXEL = 352  # header, then four bytes that say whether extensions follow
_VECTOR = 1007  # intent code
_LAST_START = 1 << 26  # 64 MiB of header extensions
_FIELDS = np.dtype(
    [
        ("sizeof_hdr", "i4"), ("unused_1", "V36"), ("dim", "i2", 8), ("intent_p", "f4", 3), ("intent_code", "i2"),
        ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"), ("pixdim", "f4", 8), ("vox_offset", "f4"),
        ("scl_slope", "f4"), ("scl_inter", "f4"), ("slice_end", "i2"), ("slice_code", "u1"), ("xyzt_units", "u1"),
        ("cal_max", "f4"), ("cal_min", "f4"), ("slice_duration", "f4"), ("toffset", "f4"), ("unused_2", "V8"),
        ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i2"), ("sform_code", "i2"), ("quatern", "f4", 3),
        ("qoffset", "f4", 3), ("srow", "f4", (3, 4)), ("intent_name", "S16"), ("magic", "S4"),
    ]
)  # fmt: skip
_DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_OTHER_TYPES = {
    1: "single bits", 32: "complex numbers", 128: "RGB colours", 1536: "128-bit floats", 1792: "complex numbers",
    2048: "complex numbers", 2304: "RGBA colours",
}  # fmt: skip
_UNIT_NAMES = {1: "metres", 3: "micrometres"}


@dataclass(frozen=True)
class Orientations:
    """sform, qform : 4 x 4, voxel index (x, y, z) to LPS mm; None where the header's code says that there is none.
    sform_code, qform_code : 1 scanner, 2 aligned to another image, 3 Talairach, 4 MNI, 5 another template; 0 none."""

    sform: FloatArray | None
    qform: FloatArray | None
    sform_code: int
    qform_code: int


def orientations(stream: IO[bytes]) -> Orientations:
    """Both orientations of the header at the start of ``stream``; Unsound where it is damaged."""
    from scipy.spatial.transform import Rotation  # wanted here only

    raw = stream.read(HEADER_BYTES)
    if len(raw) < HEADER_BYTES:
        raise CutOff(f"the file ends after {len(raw)} bytes, inside its own header (348 bytes).", "Copy or export it again.")
    fields, _ = _fields(raw)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    sform = qform = None
    if fields["sform_code"] > 0:
        sform = to_lps @ np.vstack([fields["srow"].astype(float), [0, 0, 0, 1]])
    if fields["qform_code"] > 0:
        turn = fields["quatern"].astype(float)
        spacing = fields["pixdim"][1:4].astype(float) * (1, 1, -1 if fields["pixdim"][0] < 0 else 1)
        # Near a half turn the fourth part is lost in the rounding of float32; the reference library takes it for 0 there.
        rest = 1.0 - float(np.sum(turn**2))
        qform = np.eye(4)
        qform[:3, :3] = Rotation.from_quat([*turn, np.sqrt(rest) if rest > 1e-7 else 0.0]).as_matrix() * spacing
        qform[:3, 3] = fields["qoffset"]
        qform = to_lps @ qform
    return Orientations(sform, qform, int(fields["sform_code"]), int(fields["qform_code"]))


def declared(stream: IO[bytes], *, vector: bool = False) -> Declared:
    """What the header at the start of ``stream`` promises; Unsound where it is damaged or promises what radpipe cannot use.

    vector : whether a voxel may hold several values (the fifth dimension, with the intent "vector", as ITK writes it).
    """
    raw = stream.read(HEADER_BYTES)
    if len(raw) < HEADER_BYTES:
        raise CutOff(f"the file ends after {len(raw)} bytes, inside its own header (348 bytes).", "Copy or export it again.")
    fields, order = _fields(raw)
    if bytes(fields["magic"]) == b"ni1":
        raise Unsound("this is the header of a .hdr/.img pair, not a whole NIfTI file.", "Convert the pair to one .nii.gz.")
    if bytes(fields["magic"]) != b"n+1":
        raise Unsound(f"the NIfTI mark 'n+1' is missing from the header (found {bytes(fields['magic'])!r}).", "Export it again.")
    dtype = _dtype(fields, order)
    sizes = [int(n) for n in fields["dim"][1 : int(fields["dim"][0]) + 1]]
    components = sizes.pop() if vector and len(sizes) == 5 and int(fields["intent_code"]) == _VECTOR and sizes[4] > 1 else 1
    shape = check_shape(sizes)
    check_spacing(fields["pixdim"][1:4].tolist())
    _check_scaling(fields)
    _check_place(fields)
    offset = float(fields["vox_offset"])
    if not np.isfinite(offset) or not _FIRST_VOXEL <= offset <= _LAST_START or offset != int(offset):
        raise Unsound(
            f"the header says the voxels start at byte {offset:g}; not a whole number from {_FIRST_VOXEL} to {_LAST_START}.",
            "The header is damaged: export the file again.",
        )
    return Declared(shape=shape, dtype=dtype, offset=int(offset), components=components, planar=True)


def _fields(raw: bytes) -> tuple[np.void, str]:
    for order in "<>":
        fields = np.frombuffer(raw, _FIELDS.newbyteorder(order))[0]
        if fields["sizeof_hdr"] == HEADER_BYTES and 1 <= fields["dim"][0] <= 7:
            return fields, order
    sizes = {int.from_bytes(raw[:4], "little"), int.from_bytes(raw[:4], "big")}
    if 540 in sizes:
        raise Unsound("this is a NIfTI-2 file.", "Convert it to NIfTI-1 (.nii.gz).")
    if HEADER_BYTES in sizes:
        number = int(np.frombuffer(raw, _FIELDS)[0]["dim"][0])
        raise Unsound(f"the header gives {number} as the number of dimensions.", "The header is damaged: export the file again.")
    raise Unsound(f"this is not a NIfTI file (it begins with {raw[:8]!r}).", WANTED)


def _dtype(fields: np.void, order: str) -> np.dtype:
    code = int(fields["datatype"])
    if code in _OTHER_TYPES:
        raise Unsound(f"its voxels are {_OTHER_TYPES[code]}, not single numbers.", "Export one grey value per voxel.")
    if code not in _DTYPES:
        raise Unsound(f"the header names the data type {code}, which does not exist.", "The header is damaged: export it again.")
    dtype = np.dtype(order + _DTYPES[code])
    if int(fields["bitpix"]) != 8 * dtype.itemsize:
        raise Unsound(
            f"the header gives {int(fields['bitpix'])} bits a voxel for the data type {dtype.name}.",
            "The header is damaged: export the file again.",
        )
    return dtype


def _check_scaling(fields: np.void) -> None:
    slope, inter = float(fields["scl_slope"]), float(fields["scl_inter"])
    if not (np.isfinite(slope) and np.isfinite(inter)):
        raise Unsound(
            f"the scaling of its voxels is not finite (scl_slope {slope:g}, scl_inter {inter:g}).",
            "Set scl_slope to 1 and scl_inter to 0, or export the file again.",
        )


def _check_place(fields: np.void) -> None:
    """Orientation and position, as far as the header claims to know them."""
    unit = int(fields["xyzt_units"]) & 7
    if unit in _UNIT_NAMES:
        raise Unsound(f"its lengths are in {_UNIT_NAMES[unit]}, not millimetres.", "Export the file in millimetres.")
    if fields["sform_code"] > 0:
        matrix = fields["srow"].astype(float)
        if not np.isfinite(matrix).all():
            raise Unsound("the sform (orientation) holds values that are not finite.", "Export the file again.")
        # ITK takes the directions from here and the spacing from pixdim: where they disagree, one of them is wrong.
        lengths, spacing = np.linalg.norm(matrix[:, :3], axis=0), fields["pixdim"][1:4].astype(float)
        if fields["qform_code"] <= 0 and np.any(np.abs(lengths - spacing) > 1e-3 * spacing):
            raise Unsound(
                f"its sform says the spacing is {_round(lengths)} mm and its pixdim says {_round(spacing)} mm.",
                "Export the file again with one spacing.",
            )
    if fields["qform_code"] > 0:
        turn = fields["quatern"].astype(float)
        if not (np.isfinite(turn).all() and np.isfinite(fields["qoffset"]).all()):
            raise Unsound("the qform (orientation) holds values that are not finite.", "Export the file again.")
        if np.sum(turn**2) > 1.001:
            raise Unsound("the qform (orientation) is not a rotation.", "The header is damaged: export the file again.")


def _round(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.5g}" for value in values) + ")"


def write_nifti(path: str | os.PathLike[str], voxels: Volume, grid: Grid, *, slope: float = 1.0) -> None:
    """(z, y, x) voxels to .nii or .nii.gz, atomically, without a time stamp: the same volume gives the same bytes.

    slope : what a reader multiplies the stored numbers with. ValueError for a dtype NIfTI does not have.
    """
    plain = np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("<"))
    if voxels.shape != grid.shape:
        raise ValueError(f"voxels {voxels.shape} do not fill the grid {grid.shape}")
    content = header(voxels.dtype, grid, slope=slope)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        if Path(path).suffix == ".gz":
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                packed.write(content)
                packed.write(plain.data)
        else:
            file.write(content)
            file.write(plain.data)


def header(dtype: np.dtype, grid: Grid, *, slope: float = 1.0) -> bytes:
    """All that stands before the voxels of a file in little-endian ``dtype``; ValueError for a dtype NIfTI does not have."""
    codes = {np.dtype(name): code for code, name in _DTYPES.items()}
    if dtype.newbyteorder("=") not in codes:
        raise ValueError(f"NIfTI has no data type {dtype}")
    fields = np.zeros((), _FIELDS.newbyteorder("<"))
    fields["sizeof_hdr"] = HEADER_BYTES
    fields["dim"] = (3, *grid.shape[::-1], 1, 1, 1, 1)
    fields["datatype"] = codes[dtype.newbyteorder("=")]
    fields["bitpix"] = 8 * dtype.itemsize
    fields["pixdim"] = (1, *grid.spacing_mm[::-1], 0, 0, 0, 0)
    fields["vox_offset"] = _FIRST_VOXEL
    fields["scl_slope"] = slope
    fields["xyzt_units"] = 2  # millimetres
    fields["sform_code"] = 1  # scanner coordinates
    columns = np.asarray(grid.direction).reshape(3, 3) * np.asarray(grid.spacing_mm[::-1])
    lps_to_ras = np.array([-1.0, -1.0, 1.0])
    fields["srow"] = np.column_stack([columns, grid.origin_mm]) * lps_to_ras[:, None]
    fields["magic"] = b"n+1"
    return fields.tobytes() + bytes(4)

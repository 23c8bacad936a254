"""NRRD with its voxels in the same file: the header read and judged before ITK sees it.

Format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
from typing import IO

import numpy as np

from radpipe.io.declared import WANTED, Declared, Packing, Unsound, check_shape, check_spacing

_HEADER_LIMIT = 1 << 20
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names}
_PACKINGS: dict[str, Packing] = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
_SEVERAL = ("vector", "list", "2-vector", "3-vector", "4-vector")  # kinds of an axis along which a voxel's values lie
_DAMAGED = "The header is damaged: export the file again."


def declared(stream: IO[bytes], *, vector: bool = False) -> Declared:
    """What the header at the start of ``stream`` promises; Unsound where it is damaged or promises what radpipe cannot use.

    vector : whether a voxel may hold several values (one axis of the kind "vector" or "list", as 3D Slicer and ITK write it).
    """
    first = stream.readline(64)
    if not re.fullmatch(rb"NRRD000[1-5]\r?\n", first):
        raise Unsound(f"this is not an NRRD file (it begins with {first[:8]!r}).", WANTED)
    fields = _fields(stream)
    if "data file" in fields or "datafile" in fields:
        raise Unsound("its voxels lie in another file.", "Save it as one .nrrd with its voxels inside (an attached header).")
    if any(_whole(fields.get(name, "0"), name) != 0 for name in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise Unsound("its header asks to skip bytes before the voxels.", "Save the file again without a skip.")
    packing = fields.get("encoding", "").lower()
    if packing not in _PACKINGS:
        raise Unsound(f"its voxels are stored as {packing or 'nothing named'!r}.", "Save it with the encoding raw or gzip.")
    sizes = [_whole(text, "sizes") for text in _need(fields, "sizes").split()]
    if len(sizes) != _whole(_need(fields, "dimension"), "dimension"):
        raise Unsound(f"the header gives {len(sizes)} sizes for {fields['dimension']} dimensions.", _DAMAGED)
    axis = _component_axis(fields, len(sizes)) if vector else None
    components = 1 if axis is None else sizes.pop(axis)
    if len(sizes) > 3:
        raise Unsound(
            f"this is a {len(sizes)}D file ({fields['sizes']}): several values per voxel, layers or time points.",
            "Export one volume with one value per voxel (3D Slicer: export the segmentation as a label map).",
        )
    shape = check_shape(sizes)
    _check_geometry(fields, axis)
    return Declared(
        shape=shape,
        dtype=_dtype(fields),
        offset=stream.tell(),
        packing=_PACKINGS[packing],
        components=components,
        planar=axis == 3,
    )


def _component_axis(fields: dict[str, str], dimensions: int) -> int | None:
    """Which of four axes numbers the values of a voxel: the first or the last, where the header says so and ITK agrees."""
    kinds = fields.get("kinds", "").lower().split()
    several = [place for place, kind in enumerate(kinds) if kind in _SEVERAL]
    return several[0] if dimensions == len(kinds) == 4 and several in ([0], [3]) else None


def _fields(stream: IO[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    while True:
        line = stream.readline(_HEADER_LIMIT)
        if not line.endswith(b"\n") or stream.tell() > _HEADER_LIMIT:
            raise Unsound("the file ends inside its own header.", "Copy or export it again.")
        text = line.decode("latin-1").rstrip("\r\n")
        if not text:
            return fields
        if text.startswith("#") or ":=" in text:  # a comment, or a key of the user's own
            continue
        name, colon, value = text.partition(":")
        if not colon:
            raise Unsound(f"a line of its header is not 'field: value' ({text[:40]!r}).", _DAMAGED)
        if name.strip().lower() in fields:
            raise Unsound(f"its header gives {name.strip()!r} twice.", _DAMAGED)
        fields[name.strip().lower()] = value.strip()


def _need(fields: dict[str, str], name: str) -> str:
    if name not in fields:
        raise Unsound(f"its header does not give {name!r}.", _DAMAGED)
    return fields[name]


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unsound(f"its header gives {text[:40]!r} for {name!r}, which is not a whole number.", _DAMAGED) from None


def _dtype(fields: dict[str, str]) -> np.dtype:
    name = _need(fields, "type").lower()
    if name not in _DTYPES:
        raise Unsound(f"its voxels are of the type {name[:40]!r}.", "Export one number per voxel.")
    code = _DTYPES[name]
    if code.endswith("1"):
        return np.dtype(code)
    order = _need(fields, "endian").lower()
    if order not in ("little", "big"):
        raise Unsound(f"its header gives {order[:40]!r} for 'endian'.", _DAMAGED)
    return np.dtype(("<" if order == "little" else ">") + code)


def _check_geometry(fields: dict[str, str], component_axis: int | None) -> None:
    directions = fields.get("space directions", fields.get("spacedirections"))
    if directions is not None:
        written = re.findall(r"\([^)]*\)|\S+", directions)
        if component_axis is not None and len(written) == 4 and written[component_axis] == "none":
            del written[component_axis]
        vectors = [_vector(text, "space directions") for text in written]
        if [len(vector) for vector in vectors] != [3, 3, 3]:
            raise Unsound("its space directions are not three vectors of three numbers.", _DAMAGED)
        check_spacing(np.linalg.norm(vectors, axis=1).tolist())
        # ITK would read a missing origin as (0, 0, 0), which is a place like any other.
        origin = fields.get("space origin", fields.get("spaceorigin"))
        if origin is not None and len(_vector(origin, "space origin")) != 3:
            raise Unsound("its space origin is not three numbers.", _DAMAGED)
        for units in re.findall(r'"([^"]*)"', fields.get("space units", "")):
            if units.lower() not in ("mm", "millimeter", "millimeters", "millimetre", ""):
                raise Unsound(f"its lengths are in {units!r}, not millimetres.", "Export the file in millimetres.")
    elif "spacings" in fields:
        spacing = [_number(text, "spacings") for text in fields["spacings"].split()]
        if component_axis is not None and len(spacing) == 4:
            del spacing[component_axis]
        if len(spacing) != 3:
            raise Unsound(f"its header gives {len(spacing)} spacings for three axes.", _DAMAGED)
        check_spacing(spacing)
    else:
        raise Unsound("its header gives no voxel spacing.", "Export the file again from a source that knows its voxel size.")


def _vector(text: str, name: str) -> list[float]:
    if not (text.startswith("(") and text.endswith(")")):
        raise Unsound(f"its header gives {text[:40]!r} for {name!r}, which is not a vector.", _DAMAGED)
    values = [_number(part.strip(), name) for part in text[1:-1].split(",")]
    if not np.isfinite(values).all():
        raise Unsound(f"its header gives {text[:60]} for {name!r}, which is not finite.", _DAMAGED)
    return values


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Unsound(f"its header gives {text[:40]!r} for {name!r}, which is not a number.", _DAMAGED) from None

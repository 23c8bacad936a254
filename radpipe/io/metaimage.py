"""MetaImage with its voxels in the same file (.mha): the header read and judged before ITK sees it.

Format: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

from typing import IO

import numpy as np

from radpipe.io.declared import WANTED, Declared, Unsound, check_shape, check_spacing

_HEADER_LIMIT = 1 << 20
_DTYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_DAMAGED = "The header is damaged: export the file again."
_ORDERS = {"true": ">", "false": "<"}


def declared(stream: IO[bytes], *, vector: bool = False) -> Declared:
    """What the header at the start of ``stream`` promises; Unsound where it is damaged or promises what radpipe cannot use.

    vector : whether a voxel may hold several values.
    """
    fields = _fields(stream)
    if fields.get("ObjectType", "Image").lower() != "image":
        raise Unsound(f"it holds a {fields['ObjectType'][:40]!r}, not an image.", "Give a volume.")
    if fields["ElementDataFile"] != "LOCAL":
        raise Unsound("its voxels lie in another file.", "Save it as one .mha with its voxels inside.")
    if fields.get("BinaryData", "True").lower() != "true":
        raise Unsound("its voxels are stored as text.", "Save it with binary data.")
    if _whole(fields.get("HeaderSize", "0"), "HeaderSize") > 0:
        raise Unsound("its header asks to skip bytes before the voxels.", "Save the file again without HeaderSize.")
    components = _whole(fields.get("ElementNumberOfChannels", "1"), "ElementNumberOfChannels")
    if components < 1 or (components > 1 and not vector):
        raise Unsound(f"it holds {fields['ElementNumberOfChannels']} values per voxel.", "Export one value per voxel.")
    sizes = [_whole(text, "DimSize") for text in _need(fields, "DimSize").split()]
    if len(sizes) != _whole(_need(fields, "NDims"), "NDims"):
        raise Unsound(f"the header gives {len(sizes)} sizes for {fields['NDims']} dimensions.", _DAMAGED)
    shape = check_shape(sizes)
    _check_geometry(fields, len(sizes))
    kind = _need(fields, "ElementType")
    if kind not in _DTYPES:
        raise Unsound(f"its voxels are of the type {kind[:40]!r}.", "Export one number per voxel.")
    order = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower()
    compressed = fields.get("CompressedData", "False").lower()
    if order not in _ORDERS or compressed not in _ORDERS:
        raise Unsound("its header gives a byte order or compression that is neither True nor False.", _DAMAGED)
    if compressed == "true" and "CompressedDataSize" not in fields:
        # ITK then prints "Uncompress failed" and hands out whatever lay in memory.
        raise Unsound("its header does not give 'CompressedDataSize'.", "Save it again, or without compression.")
    if compressed == "false" and "CompressedDataSize" in fields:
        raise Unsound("its header gives a compressed size for voxels that are not compressed.", _DAMAGED)
    return Declared(
        shape=shape,
        dtype=np.dtype(_ORDERS[order] + _DTYPES[kind]),
        offset=stream.tell(),
        packing="zlib" if compressed == "true" else "raw",
        packed_bytes=_whole(fields["CompressedDataSize"], "CompressedDataSize") if compressed == "true" else None,
        components=components,
    )


def _fields(stream: IO[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    while "ElementDataFile" not in fields:
        line = stream.readline(_HEADER_LIMIT)
        name, equals, value = line.decode("latin-1").partition("=")
        if not fields and (not equals or not line.isascii()):
            raise Unsound(f"this is not a MetaImage file (it begins with {line[:8]!r}).", WANTED)
        if not line.endswith(b"\n") or stream.tell() > _HEADER_LIMIT:
            raise Unsound("the file ends inside its own header.", "Copy or export it again.")
        if not equals:
            raise Unsound(f"a line of its header is not 'field = value' ({line[:40]!r}).", _DAMAGED)
        if name.strip() in fields:
            raise Unsound(f"its header gives {name.strip()[:40]!r} twice.", _DAMAGED)
        fields[name.strip()] = value.strip()
    return fields


def _check_geometry(fields: dict[str, str], dimensions: int) -> None:
    # ElementSize is the extent of a voxel's sample; ITK falls back on it where ElementSpacing is missing, and so do we.
    spacing = fields.get("ElementSpacing", fields.get("ElementSize"))
    if spacing is None:
        raise Unsound("its header gives no voxel spacing.", "Export the file again from a source that knows its voxel size.")
    values = _numbers(spacing, "ElementSpacing", dimensions)
    check_spacing(values[:3])
    counts = dict.fromkeys(("Offset", "Position", "Origin"), dimensions)
    counts |= dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), dimensions**2)
    for name in counts.keys() & fields.keys():
        if not np.isfinite(_numbers(fields[name], name, counts[name])).all():
            raise Unsound(f"its header gives values for {name!r} that are not finite.", _DAMAGED)


def _need(fields: dict[str, str], name: str) -> str:
    if name not in fields:
        raise Unsound(f"its header does not give {name!r}.", _DAMAGED)
    return fields[name]


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unsound(f"its header gives {text[:40]!r} for {name!r}, which is not a whole number.", _DAMAGED) from None


def _numbers(text: str, name: str, count: int) -> list[float]:
    try:
        values = [float(part) for part in text.split()]
    except ValueError:
        raise Unsound(f"its header gives {text[:40]!r} for {name!r}, which is not numbers.", _DAMAGED) from None
    if len(values) != count:
        raise Unsound(f"its header gives {len(values)} numbers for {name!r}; {count} are needed.", _DAMAGED)
    return values

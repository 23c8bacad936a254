"""Feature maps on the disk: one NRRD or NIfTI file a feature, or one OME-Zarr store with all of them.

A map fills the whole grid of the image but has values in the region's box alone. Everything else is one number, so it is packed
once and its bytes are repeated: a map of a whole CT costs what its region costs. The same map gives the same bytes every time.

NRRD: https://teem.sourceforge.net/nrrd/format.html. OME-NGFF 0.4 (Zarr version 2): https://ngff.openmicroscopy.org/0.4/.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from radpipe.core.grid import Grid
from radpipe.errors import ConfigError
from radpipe.io import nifti
from radpipe.io.files import cannot_write
from radpipe.typing import Volume

SUFFIXES = {"nrrd": ".nrrd", "nifti": ".nii.gz"}
FORMATS = (*SUFFIXES, "zarr")
ZARR_NAME = "maps.ome.zarr"
Box = tuple[slice, slice, slice]
_LEVEL = 4
_CHUNK = (32, 64, 64)
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time
_NRRD_TYPES = {"float32": "float", "float64": "double"}


def write_map(path: Path, name: str, voxels: Volume, box: Box, grid: Grid, initial: float) -> None:
    """One map to .nrrd or .nii.gz, whole or not at all as far as a killed process goes; a power cut is for digests to find.

    voxels : (z, y, x) float32 or float64, of ``box`` on ``grid``. initial : everywhere else. RunError on a full disk or a missing
    permission.
    """
    plain = np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("<"))
    background = np.asarray(initial, plain.dtype).tobytes()
    with _replacing(path) as file:
        if path.name.endswith(".nrrd"):
            file.write(nrrd_header(name, voxels.dtype, grid))
            first = b""
        else:
            first = nifti.header(voxels.dtype, grid)
        file.write(_GZIP_HEADER)
        crc = size = 0
        for part, packed in _packed(first, plain, box, grid.shape, background):
            file.write(packed)
            crc, size = zlib.crc32(part, crc), size + len(part)
        file.write(b"\x03\x00" + crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file under a temporary name that takes its own in the end. Bringing hundreds of maps to the disk one by one takes longer
    than computing them, so that is left to the system."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def nrrd_header(name: str, dtype: np.dtype[Any], grid: Grid) -> bytes:
    """In LPS, millimetres; numbers with all their digits."""
    columns = np.asarray(grid.direction).reshape(3, 3) * np.asarray(grid.spacing_mm[::-1])
    lines = [
        "NRRD0004",
        "# a feature map written by radpipe",
        f"type: {_NRRD_TYPES[dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(size) for size in grid.shape[::-1])}",
        f"space directions: {' '.join(_vector(column) for column in columns.T)}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(grid.origin_mm)}",
        f"radpipe_feature:={name}",
    ]
    return ("\n".join(lines) + "\n\n").encode()


def _vector(values: Sequence[float] | np.ndarray) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def _packed(
    first: bytes, plain: Volume, box: Box, shape: tuple[int, int, int], background: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """(bytes, the same packed), in the file's order. Each part stands by itself (a full flush), so that equal parts are equal."""
    z, y, x = box
    depth, height, width = shape

    def empty(voxels: int) -> tuple[bytes, bytes]:
        return _background(background, voxels)

    if first:
        yield first, _deflated(first)
    for plane in range(depth):
        if not z.start <= plane < z.stop:
            yield empty(height * width)
            continue
        if y.start:
            yield empty(y.start * width)
        rows = np.frombuffer(background, plain.dtype).repeat((y.stop - y.start) * width).reshape(-1, width)
        rows[:, x] = plain[plane - z.start]
        part = rows.tobytes()
        yield part, _deflated(part)
        if y.stop < height:
            yield empty((height - y.stop) * width)


@lru_cache(maxsize=8)
def _background(value: bytes, voxels: int) -> tuple[bytes, bytes]:
    part = value * voxels
    return part, _deflated(part)


def _deflated(part: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH)


class ZarrMaps:
    """An OME-Zarr store: one array (c, z, y, x), a channel for every column; chunks without a value are not written.

    folder : the store's. Opening it again with the same grid and columns carries on where it was; anything else is refused by
    whoever keeps the folder's key. ConfigError where the zarr package is not installed.
    """

    def __init__(self, folder: Path, grid: Grid, columns: Sequence[str], initial: float, about: Mapping[str, Any]) -> None:
        try:
            import zarr
            from numcodecs import Blosc
        except ImportError as error:
            raise ConfigError(
                f"format zarr needs the package zarr, which is not installed ({error}).",
                hint="pip install zarr; or use --format nrrd.",
            ) from error
        self.folder = folder
        z, y, x = (min(a, b) for a, b in zip(_CHUNK, grid.shape, strict=True))
        self._chunks = (z, y, x)
        self._initial = np.float32(initial)
        self._codec = Blosc(cname="zstd", clevel=5, shuffle=Blosc.SHUFFLE)
        try:
            if not (folder / "0" / ".zarray").is_file():
                # The array comes last: where it is, everything before it is, too.
                group = zarr.open_group(str(folder), mode="w", zarr_format=2, attributes=_metadata(grid, columns, about))
                # Blosc with Zstandard is what OME-Zarr's own tools write.
                group.create_array(
                    "0", shape=(len(columns), *grid.shape), chunks=(1, *self._chunks), dtype="<f4", fill_value=float(initial),
                    compressors=self._codec, chunk_key_encoding={"name": "v2", "separator": "/"},
                )  # fmt: skip
        except OSError as error:
            raise cannot_write(folder, error) from error

    def write(self, channel: int, voxels: Volume, box: Box) -> None:
        """The map of one channel; voxels : (z, y, x) of ``box``. From several threads at once, of different channels.

        Chunk by chunk, the bytes that the zarr package writes: its own way holds every chunk of a map several times over.
        """
        own = self.folder / "0" / str(channel)
        try:
            shutil.rmtree(own, ignore_errors=True)  # what a killed process left behind
            for number in np.ndindex(*(-(-side.stop // size) for side, size in zip(box, self._chunks, strict=True))):
                chunk = self._chunk(number, voxels, box)
                if chunk is None:
                    continue
                path = own.joinpath(*map(str, number))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._codec.encode(chunk))
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def _chunk(self, number: tuple[int, ...], voxels: Volume, box: Box) -> Volume | None:
        """A chunk as it is stored; None where it holds nothing but the initial value."""
        there, here = [], []
        for k, size, side in zip(number, self._chunks, box, strict=True):
            low, high = max(k * size, side.start), min((k + 1) * size, side.stop)
            if low >= high:
                return None
            there.append(slice(low - side.start, high - side.start))
            here.append(slice(low - k * size, high - k * size))
        part = voxels[tuple(there)]
        if (part == self._initial).all() or (np.isnan(self._initial) and np.isnan(part).all()):
            return None
        chunk: Volume = np.full(self._chunks, self._initial, "<f4")
        chunk[tuple(here)] = part
        return chunk

    def files(self, channel: int) -> list[Path]:
        """Of one channel, sorted."""
        return sorted(path for path in (self.folder / "0" / str(channel)).rglob("*") if path.is_file())


def _metadata(grid: Grid, columns: Sequence[str], about: Mapping[str, Any]) -> dict[str, Any]:
    """OME-NGFF 0.4. It knows scale and translation along the axes; the directions stand beside it."""
    z, y, x = grid.spacing_mm
    # The translation is along the image's own axes: where voxel 0 lies in the patient, seen from the image.
    turned = np.asarray(grid.direction).reshape(3, 3).T @ np.asarray(grid.origin_mm)
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    transformations = [
        {"type": "scale", "scale": [1.0, z, y, x]},
        {"type": "translation", "translation": [0.0, *(float(value) for value in turned[::-1])]},
    ]
    return {
        "multiscales": [
            {
                "version": "0.4",
                "name": "feature maps",
                "axes": axes,
                "datasets": [{"path": "0", "coordinateTransformations": transformations}],
            }
        ],
        "omero": {"channels": [{"label": column, "active": False, "color": "FFFFFF"} for column in columns], "version": "0.4"},
        "radpipe": {
            **about,
            "columns": list(columns),
            "origin_mm_lps_xyz": list(grid.origin_mm),
            "direction_lps": list(grid.direction),
            "spacing_mm_zyx": list(grid.spacing_mm),
        },
    }


def read_zarr_map(folder: Path, column: str) -> tuple[Volume, Grid]:
    """((z, y, x) float32, its grid) of one column of a store that radpipe wrote; KeyError where it has none of that name."""
    import zarr

    group: Any = zarr.open_group(str(folder), mode="r")
    about = dict(group.attrs)["radpipe"]
    channel = about["columns"].index(column)
    voxels = np.asarray(group["0"][channel])
    z, y, x = voxels.shape
    return voxels, Grid(
        (z, y, x), tuple(about["spacing_mm_zyx"]), tuple(about["origin_mm_lps_xyz"]), tuple(about["direction_lps"])
    )


def digest_of(paths: Sequence[Path]) -> dict[str, Any]:
    """{"bytes", "sha256"} of files taken together, in their order and with their names."""
    digest = hashlib.sha256()
    size = 0
    for path in paths:
        data = path.read_bytes()
        digest.update(json.dumps([path.name, len(data)]).encode())
        digest.update(data)
        size += len(data)
    return {"bytes": size, "sha256": digest.hexdigest()}

"""Volume files <-> Image and Mask: NIfTI (.nii, .nii.gz), NRRD (.nrrd), MetaImage (.mha). (DICOM series: :mod:`radpipe.io.dicom`.)

ITK decodes, but only what was checked first: it reads a truncated file as zeros, turns NaN in NIfTI into zeros, and fills a
MetaImage that it cannot unpack with whatever lay in memory, all without an error. So the header is judged here, the bytes are
counted as they are unpacked (never more than the header declares, and never more than a cap), NaN is looked for in the
bytes themselves, and what ITK then hands out must have their checksum.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import SimpleITK as sitk

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.core.plain_words import plain
from radpipe.errors import EmptyRoiError, FileProblem, RadpipeError
from radpipe.io import metaimage, nifti, nrrd
from radpipe.io.declared import CutOff, Declared, NotFinite, Unsound
from radpipe.io.files import cannot_read
from radpipe.typing import Volume

MAX_VOXEL_BYTES = 4 << 30  # a volume larger than this is a damaged header or a decompression bomb, not a scan
_PIECE = 1 << 20
_LABELS_SHOWN = 12
_SHEARED = (
    "its axes are not at right angles (sheared orientation), which radpipe and ITK cannot use.",
    "Resample the image onto a straight grid, or repair the orientation in its header.",
)

sitk.ProcessObject.SetGlobalWarningDisplay(False)  # what ITK only warns about is judged here


@dataclass(frozen=True)
class _Format:
    """declared : reads a header from a stream. itk_reader : the ITK class that must decode it. gzipped : whether the file as a
    whole may be gzip."""

    declared: Callable[..., Declared]
    itk_reader: str
    gzipped: bool = False


_FORMATS = {
    ".nii.gz": _Format(nifti.declared, "NiftiImageIO", gzipped=True),
    ".nii": _Format(nifti.declared, "NiftiImageIO"),
    ".nrrd": _Format(nrrd.declared, "NrrdImageIO"),
    ".mha": _Format(metaimage.declared, "MetaImageIO"),
}
SUFFIXES = tuple(_FORMATS)


@dataclass(frozen=True)
class LabelMap:
    """What a mask file holds: voxels (z, y, x) on ``grid``, whole numbers in the dtype they came in; 0 is outside."""

    grid: Grid
    voxels: Volume
    path: str = ""

    def region(self, label: int = 1, *, case_id: str = "") -> Mask:
        """The voxels that hold ``label``; EmptyRoiError, naming the labels that are there, where none does."""
        whole = np.issubdtype(self.voxels.dtype, np.integer)
        inside = self.voxels == label if whole else np.rint(self.voxels) == label
        if not inside.any():
            there = _labels(self.voxels)
            if not there:
                problem, hint = "the mask is empty: every voxel is 0.", "Draw the region again."
            else:
                problem = f"no voxel of the mask has the label {label}; it holds {there}."
                hint = "Put the right number in the manifest's label column, or in setting.label."
            raise EmptyRoiError(problem, hint=hint, case_id=case_id, path=self.path)
        return Mask(self.grid, inside)


@dataclass(frozen=True)
class Header:
    """What a volume file says of itself. dtype : of the stored numbers, before any scaling."""

    grid: Grid
    dtype: str


def read_image(
    path: str | os.PathLike[str], *, unit: str = "arbitrary", case_id: str = "", max_bytes: int = MAX_VOXEL_BYTES
) -> Image:
    """An image in the dtype it came in (scaled NIfTI: float). FileProblem where the file cannot be trusted; see the module.

    A folder, or a file, of DICOM that holds one image series is read too: its unit is its own, and another one is refused.
    unit : "HU", "SUV" or "arbitrary"; files do not say. Memory: one volume; reading takes a second pass over the bytes.
    """
    if is_dicom(path):
        from radpipe.io.dicom.series import read_path  # here: NIfTI must not pay for pydicom

        image = read_path(Path(path), case_id=case_id)
        if unit not in ("arbitrary", image.unit):
            raise FileProblem(
                f"its values are {image.unit}, and {unit} is expected.",
                hint="Correct the modality in the manifest, or the path.",
                case_id=case_id,
                path=path,
            )
        return image
    with _problems_of(path, case_id):
        grid, voxels = _read(Path(path), max_bytes)
        return Image(grid, voxels, unit)


def read_mask(
    path: str | os.PathLike[str],
    *,
    label: int = 1,
    label_channel: int | None = None,
    case_id: str = "",
    max_bytes: int = MAX_VOXEL_BYTES,
) -> Mask:
    """The voxels that hold ``label``; EmptyRoiError, naming the labels that are there, where none does. Else as read_image.

    label_channel : see :func:`read_label_map`.
    """
    return read_label_map(path, label_channel=label_channel, case_id=case_id, max_bytes=max_bytes).region(label, case_id=case_id)


def read_label_map(
    path: str | os.PathLike[str], *, label_channel: int | None = None, case_id: str = "", max_bytes: int = MAX_VOXEL_BYTES
) -> LabelMap:
    """All labels of a mask file. FileProblem where it cannot be trusted, or holds numbers that are no labels.

    label_channel : which of the masks, from 0, where a voxel holds several (overlapping regions, PyRadiomics' key of that
    name); None refuses such a file. A file with one value a voxel is read as it is, whatever the channel.
    """
    with _problems_of(path, case_id):
        grid, voxels = _read(Path(path), max_bytes, vector=True)
        if voxels.ndim == 4:
            count = voxels.shape[3]
            if label_channel is None:
                raise Unsound(
                    f"it holds {count} values per voxel: several masks in one file.",
                    f"Say which one with label_channel (0 to {count - 1}), or export one mask.",
                )
            if not 0 <= label_channel < count:
                raise Unsound(
                    f"label_channel {label_channel} was asked for, and the file holds {count} masks (0 to {count - 1}).",
                    "Name one of these; label_channel counts from 0.",
                )
            voxels = np.ascontiguousarray(voxels[..., label_channel])
        _check_labels(voxels)
    return LabelMap(grid, voxels, str(path))


def read_label_layers(
    path: str | os.PathLike[str], *, case_id: str = "", max_bytes: int = MAX_VOXEL_BYTES
) -> tuple[LabelMap, ...]:
    """All labels of a mask file, one map for each value that a voxel holds (one, unless regions overlap). Else as read_label_map."""
    with _problems_of(path, case_id):
        grid, voxels = _read(Path(path), max_bytes, vector=True)
        _check_labels(voxels)
    layers = [np.ascontiguousarray(voxels[..., layer]) for layer in range(voxels.shape[3])] if voxels.ndim == 4 else [voxels]
    return tuple(LabelMap(grid, layer, str(path)) for layer in layers)


def read_header(path: str | os.PathLike[str], *, case_id: str = "") -> Header:
    """Grid and stored dtype, from the header alone: whether the voxels are all there is not looked at."""
    if is_dicom(path):
        from radpipe.io.dicom.series import read_path_header

        return Header(*read_path_header(Path(path), case_id=case_id))
    with _problems_of(path, case_id):
        form = _format(Path(path))
        with _opened(Path(path), form) as stream:
            promised = form.declared(stream)
        reader = _itk_reader(Path(path), form)
        _asked(reader.ReadImageInformation)
        return Header(_grid(reader, promised), promised.dtype.name)


def read_orientations(path: str | os.PathLike[str], *, case_id: str = "") -> nifti.Orientations | None:
    """Both orientations of a NIfTI header as they stand there, before ITK takes one of them; None for other formats."""
    with _problems_of(path, case_id):
        form = _format(Path(path))
        if form.declared is not nifti.declared:
            return None
        with _opened(Path(path), form) as stream:
            return nifti.orientations(stream)


def reason(error: RadpipeError) -> str:
    """Why a reader of this file refused: "missing", "cut-off", "not-finite" or "unreadable"."""
    cause = error.__cause__
    if isinstance(cause, FileNotFoundError | IsADirectoryError):
        return "missing"
    if isinstance(cause, CutOff | EOFError | gzip.BadGzipFile | zlib.error):
        return "cut-off"
    return "not-finite" if isinstance(cause, NotFinite) else "unreadable"


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """To .nii or .nii.gz, atomically; the same image gives the same bytes. RunError on a full disk or a missing permission."""
    _check_written_suffix(path)
    nifti.write_nifti(path, image.voxels, image.grid)


def write_mask(path: str | os.PathLike[str], mask: Mask) -> None:
    """To .nii or .nii.gz as 0 and 1, atomically; the same mask gives the same bytes."""
    _check_written_suffix(path)
    nifti.write_nifti(path, mask.voxels.astype(np.uint8), mask.grid)


@contextmanager
def _problems_of(path: str | os.PathLike[str], case_id: str) -> Iterator[None]:
    """Whatever is wrong with a file, as a FileProblem with its case and path."""
    try:
        yield
    except Unsound as error:
        raise FileProblem(error.problem, hint=error.hint, case_id=case_id, path=path) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileProblem(
            f"the compressed data are damaged or cut off ({error}).",
            hint="Copy or export the file again.",
            case_id=case_id,
            path=path,
        ) from error
    except OSError as error:
        raise cannot_read(path, error, case_id) from error


def _read(path: Path, max_bytes: int, *, vector: bool = False) -> tuple[Grid, Volume]:
    """(z, y, x); with ``vector`` (z, y, x, component) where a voxel holds several values."""
    form = _format(path)
    with _opened(path, form) as stream:
        promised = form.declared(stream, vector=vector)
        if promised.data_bytes > max_bytes:
            raise Unsound(
                f"the header declares {_gib(promised.data_bytes)} of voxels; more than {_gib(max_bytes)} is not read.",
                "The header is damaged, or the image must be cropped first.",
            )
        checksum = _check_bytes(stream, promised)
    reader = _itk_reader(path, form)
    decoded = _asked(reader.Execute)
    if decoded.GetNumberOfComponentsPerPixel() != promised.components:
        raise Unsound("it holds several values per voxel.", "Export one value per voxel.")
    # A copy, so that the array does not hang on ITK's memory; trailing dimensions of one entry go.
    voxels = sitk.GetArrayFromImage(decoded).reshape(*promised.shape[::-1], *[promised.components][: promised.components > 1])
    same_type = voxels.dtype == promised.dtype.newbyteorder("=")  # a scaled NIfTI becomes float
    stored = np.moveaxis(voxels, 3, 0) if voxels.ndim == 4 and promised.planar else voxels
    if same_type and zlib.crc32(np.ascontiguousarray(stored, promised.dtype).data) != checksum:
        raise Unsound("ITK reads other voxels than the file holds.", "Save the file again as .nii.gz.")
    if np.issubdtype(voxels.dtype, np.floating) and not np.isfinite(voxels).all():
        raise _not_finite(int(voxels.size - np.isfinite(voxels).sum()), voxels.size)
    return _grid(reader, promised), voxels


def _gib(count: int) -> str:
    return f"{count / 2**30:.3g} GiB"


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """A folder, or a file that says at byte 128 that it is DICOM; a name that says it is a volume is believed."""
    name = str(path).lower()
    if name.endswith(SUFFIXES) or "\0" in name:
        return False
    try:
        if os.path.isdir(path):
            return True
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except (OSError, UnicodeEncodeError):
        return False  # what is wrong with it is said where it is opened


def _format(path: Path) -> _Format:
    try:
        name = str(path).encode("utf-8").decode().lower()
    except UnicodeEncodeError:
        raise Unsound("its name is not UTF-8 text.", "Rename the file.") from None
    if "\0" in name:
        raise Unsound("its name holds a null character.", "Correct the path.")
    if path.is_dir():
        raise IsADirectoryError
    for suffix, form in _FORMATS.items():
        if name.endswith(suffix):
            return form
    if not path.exists():
        raise FileNotFoundError(path)
    raise Unsound(
        f"radpipe does not read files named like this (it reads {', '.join(SUFFIXES)}).", "Convert the file to .nii.gz."
    )


@contextmanager
def _opened(path: Path, form: _Format) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked where it is gzip as a whole."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if packed and not form.gzipped:
            raise Unsound("the file is compressed although its name does not say so.", f"Rename it to {path.name}.gz.")
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked  # type: ignore[misc]


def _check_bytes(stream: IO[bytes], promised: Declared) -> int:
    """Count the voxels' bytes as they are unpacked, stop at what the header declares, look for NaN on the way; their CRC-32."""
    start = stream.tell()
    if promised.offset > start:
        _skip(stream, promised.offset - start)
    found, not_finite, rest, checksum = 0, 0, b"", 0
    floating = np.issubdtype(promised.dtype, np.floating)
    for piece in _unpacked(stream, promised):
        found += len(piece)
        checksum = zlib.crc32(piece, checksum)
        if found > promised.data_bytes:
            raise Unsound(
                f"the header declares {promised.data_bytes} bytes of voxels, but more follow.",
                "The header does not belong to these data: export the file again.",
            )
        if floating:
            whole = len(rest) + len(piece)
            whole -= whole % promised.dtype.itemsize
            block = rest + piece
            rest = block[whole:]
            not_finite += int(np.count_nonzero(~np.isfinite(np.frombuffer(block[:whole], promised.dtype))))
    if found < promised.data_bytes:
        raise CutOff(
            f"the file is cut off: the header declares {promised.data_bytes} bytes of voxels and {found} are there.",
            "Copy or export the file again.",
        )
    if not_finite:
        raise _not_finite(not_finite, promised.data_bytes // promised.dtype.itemsize)
    return checksum


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0:
        piece = stream.read(min(count, _PIECE))
        if not piece:
            raise CutOff("the file ends before its voxels begin.", "Copy or export the file again.")
        count -= len(piece)


def _unpacked(stream: IO[bytes], promised: Declared) -> Iterator[bytes]:
    if promised.packing == "gzip":
        with gzip.GzipFile(fileobj=stream) as inner:
            yield from iter(lambda: inner.read(_PIECE), b"")
    elif promised.packing == "zlib":
        yield from _inflated(stream, promised.packed_bytes)
    else:
        yield from iter(lambda: stream.read(_PIECE), b"")


def _inflated(stream: IO[bytes], packed_bytes: int | None) -> Iterator[bytes]:
    unpack = zlib.decompressobj()
    found = 0
    for packed in iter(lambda: stream.read(_PIECE), b""):
        found += len(packed)
        while packed:
            yield unpack.decompress(packed, _PIECE)
            packed = unpack.unconsumed_tail
        if unpack.unused_data:
            raise zlib.error("bytes follow after the end of the compressed data")
    if not unpack.eof:
        raise EOFError("the end of the compressed data is missing")
    # ITK unpacks as many bytes as the header says, and leaves the rest of the volume as it finds it in memory.
    if packed_bytes is not None and packed_bytes != found:
        raise Unsound(
            f"the header declares {packed_bytes} bytes of compressed voxels and {found} are there.", "Export the file again."
        )


def _not_finite(count: int, of: int) -> NotFinite:
    return NotFinite(
        f"{count} of {of} voxels are NaN or infinite.", "Repair the image: replace them, or export it again from its source."
    )


def _itk_reader(path: Path, form: _Format) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(form.itk_reader)
    return reader


def _asked(of_itk: Callable[[], Any]) -> Any:
    """The answer; Unsound with ITK's reason where it refuses."""
    try:
        return of_itk()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise Unsound(*_SHEARED) from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Unsound(
            f"ITK cannot read it ({plain(lines[-1]) if lines else 'no reason given'}).", "Export the file again."
        ) from error


def _grid(reader: sitk.ImageFileReader, promised: Declared) -> Grid:
    size = reader.GetDimension()
    if tuple(reader.GetSize()[:3]) != promised.shape:
        raise Unsound(f"ITK reads the size {reader.GetSize()}, the header says {promised.shape}.", "Export the file again.")
    spacing = reader.GetSpacing()[:3]
    origin = reader.GetOrigin()[:3]
    direction = np.asarray(reader.GetDirection()).reshape(size, size)[:3, :3]
    if not (np.isfinite(spacing).all() and min(spacing) > 0 and np.isfinite(origin).all() and np.isfinite(direction).all()):
        raise Unsound("its spacing, position or orientation is not finite.", "Export the file again.")
    # ITK checks this for NIfTI only; 1e-3 lets cosines written with four decimals pass.
    if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3:
        raise Unsound(*_SHEARED)
    return Grid(
        (promised.shape[2], promised.shape[1], promised.shape[0]),
        (spacing[2], spacing[1], spacing[0]),
        (origin[0] + 0.0, origin[1] + 0.0, origin[2] + 0.0),  # no -0.0
        tuple(float(value) + 0.0 for value in direction.ravel()),
    )


def _check_labels(voxels: Volume) -> None:
    if np.issubdtype(voxels.dtype, np.integer):
        return
    # Labels stored with a float slope come back a rounding error away from whole numbers.
    off = np.abs(voxels - np.rint(voxels))
    if off.max() > 1e-3:
        value = float(voxels.ravel()[int(off.argmax())])
        raise Unsound(
            f"the mask holds {value:.6g}: it looks like a probability map or an image, not like labels.",
            "Give the file with whole numbers: 0 outside, the label inside.",
        )


def _labels(voxels: Volume) -> str:
    """The labels other than 0, in words; '' where there are none."""
    values = np.unique(np.rint(voxels))
    values = values[values != 0]
    if not values.size:
        return ""
    shown = ", ".join(f"{value:.0f}" for value in values[:_LABELS_SHOWN])
    more = f" and {values.size - _LABELS_SHOWN} more" if values.size > _LABELS_SHOWN else ""
    return f"the label{'s' if values.size > 1 else ''} {shown}{more}"


def _check_written_suffix(path: str | os.PathLike[str]) -> None:
    if not str(path).endswith((".nii", ".nii.gz")):
        raise ValueError(f"volumes are written as .nii or .nii.gz, not {Path(path).name}")

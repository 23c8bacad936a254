"""Voxels of one DICOM file, as stored: every transfer syntax that has a free decoder, and never more than the file can hold.

What a header declares is held against the file before anything is allocated: a few bytes can declare a volume of 800 GiB, a
decoder trusts the size inside the compressed frame, and a cut frame is decoded to zeros without a word.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from radpipe.io.dicom import headers
from radpipe.io.dicom.geometry import MAX_BYTES
from radpipe.io.dicom.headers import Unreadable
from radpipe.typing import Volume

MAX_FRAME_BYTES = 256 << 20  # 8192 x 8192 in 32 bits: no slice is larger
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_RLE_RATIO = 64  # two bytes stand for 128 at most
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
_LIBJPEG = (
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
)  # fmt: skip
_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
PIXEL_TAGS = headers.tags(
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PhotometricInterpretation", "PlanarConfiguration", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", *_KEYWORDS,
)  # fmt: skip


def frames(dataset: Dataset, numbers: Sequence[int] | None = None) -> Volume:
    """(frames, rows, columns), the stored values of an image or segmentation before any rescale, bits as 0 and 1.

    numbers : only these frames, from 0, in this order; None for all. Unreadable where a decoder is missing, the data are cut
    off, hold colours, or are declared larger than they can be.
    """
    with headers.reasons():
        syntax = transfer_syntax(dataset)
        check_decoder(syntax)
        shape, bits = _declared(dataset)
        wanted = list(range(shape[0])) if numbers is None else list(numbers)
        if wanted and not 0 <= min(wanted) <= max(wanted) < shape[0]:
            raise Unreadable("damaged", f"frame {max(wanted) + 1} is asked for and the file holds {shape[0]}.", headers.AGAIN)
        if syntax in _NATIVE:
            _check_native(dataset, shape, bits)
            found = _decoded(dataset, syntax, wanted, shape)
        else:
            packed = _packed(dataset, syntax, shape, bits)
            if bits == 1 and syntax == RLELossless:
                found = _bits_from_rle(dataset, shape)[wanted]
            elif syntax == DEFLATED_FRAMES:
                found = np.stack([_inflated(packed[number], dataset, shape, bits) for number in wanted])
            else:
                found = _decoded(dataset, syntax, wanted, shape)
        return found.astype(found.dtype.newbyteorder("="), copy=False)


def transfer_syntax(dataset: Dataset) -> UID:
    """What the file says, or for one without file meta information what it looks like."""
    said = headers.text(getattr(dataset, "file_meta", None) or Dataset(), "TransferSyntaxUID")
    if said:
        return UID(said)
    implicit, little = dataset.original_encoding
    if implicit:
        return UID(ImplicitVRLittleEndian)
    return UID(ExplicitVRLittleEndian if little in (True, None) else ExplicitVRBigEndian)


def check_decoder(syntax: str) -> None:
    """Unreadable, with what to install, where nothing that is installed decodes a transfer syntax."""
    if syntax in _NATIVE or syntax == DEFLATED_FRAMES:
        return
    uid = UID(syntax)
    name = f"{uid.name} ({uid})" if uid.name != uid else f"the transfer syntax {uid}"
    try:
        available = get_decoder(uid).is_available
    except NotImplementedError:
        raise Unreadable(
            "no-decoder", f"its voxels are compressed as {name}, which nothing reads here.", "Export it uncompressed."
        ) from None
    if available:
        return
    if uid in _LIBJPEG:
        hint = "Install its decoder (pylibjpeg-libjpeg, GPL-3.0) with `pip install 'radpipe[jpeg-lossless]'`, or export it uncompressed."
    else:
        hint = "Install its decoder with `pip install pyjpegls pylibjpeg-openjpeg pylibjpeg-rle`, or export it uncompressed."
    raise Unreadable("no-decoder", f"its voxels are compressed as {name}, and no decoder for it is installed.", hint)


def _declared(dataset: Dataset) -> tuple[tuple[int, int, int], int]:
    """((frames, rows, columns), bits of a voxel); Unreadable where they cannot be a grey image."""
    rows, columns = headers.whole(dataset, "Rows") or 0, headers.whole(dataset, "Columns") or 0
    count = headers.whole(dataset, "NumberOfFrames")
    bits = headers.whole(dataset, "BitsAllocated") or 0
    if not any(keyword in dataset for keyword in _KEYWORDS):
        raise headers.truncated("it holds no voxels, or the file is cut off within them.")
    samples = headers.whole(dataset, "SamplesPerPixel") or 1
    if samples != 1 or headers.text(dataset, "PhotometricInterpretation").upper() == "PALETTE COLOR":
        raise Unreadable("colour", "it is a colour picture, no image of one value a voxel.", "Export the original series.")
    if rows < 1 or columns < 1 or (count is not None and count < 1):
        raise Unreadable("damaged", f"its header declares {count or 1} frames of {rows} x {columns} voxels.", headers.AGAIN)
    if bits not in (1, 8, 16, 32, 64):
        raise Unreadable("damaged", f"its header declares {bits} bits a voxel.", headers.AGAIN)
    stored, high = headers.whole(dataset, "BitsStored"), headers.whole(dataset, "HighBit")
    if "PixelData" in dataset and stored is not None and (not 1 <= stored <= bits or (high is not None and high != stored - 1)):
        raise Unreadable(
            "damaged", f"its header declares {stored} bits stored of {bits}, the highest at {high}, which no longer is DICOM.",
            headers.AGAIN,
        )  # fmt: skip
    shape = (count or 1, rows, columns)
    size = max(bits, 8) // 8 * rows * columns
    if size > MAX_FRAME_BYTES or size * shape[0] > MAX_BYTES:
        raise Unreadable(
            "too-large",
            f"its header declares {shape[0]} frames of {rows} x {columns} voxels ({size * shape[0] / 2**30:.3g} GiB); "
            f"more than {MAX_BYTES >> 30} GiB, or {MAX_FRAME_BYTES >> 20} MiB a frame, is not read.",
            "The header is damaged: export the file again.",
        )
    return shape, bits


def _check_native(dataset: Dataset, shape: tuple[int, int, int], bits: int) -> None:
    keyword = next(keyword for keyword in _KEYWORDS if keyword in dataset)
    there = len(dataset[keyword].value or b"")
    expected = ceil(shape[0] * shape[1] * shape[2] * bits / 8)
    if there < expected:
        raise headers.truncated(f"its voxels are cut off: the header declares {expected} bytes and {there} are there.")


def _packed(dataset: Dataset, syntax: UID, shape: tuple[int, int, int], bits: int) -> list[bytes]:
    """The compressed frames, each as large as the header says and whole."""
    data = dataset.get("PixelData") or b""
    expected = ceil(shape[1] * shape[2] * bits / 8)
    if syntax == RLELossless and len(data) * _RLE_RATIO < expected * shape[0]:
        raise Unreadable(
            "too-large",
            f"its header declares {expected * shape[0]} bytes of voxels, and {len(data)} bytes of RLE cannot hold so many.",
            "The header is damaged: export the file again.",
        )
    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    packed = list(generate_frames(data, number_of_frames=shape[0], extended_offsets=offsets))
    if len(packed) != shape[0]:
        raise headers.truncated(f"its header declares {shape[0]} frames and {len(packed)} are there.")
    if syntax not in (RLELossless, DEFLATED_FRAMES):
        for number, frame in enumerate(packed):
            _check_codestream(frame, number, shape)
    return packed


def _check_codestream(frame: bytes, number: int, shape: tuple[int, int, int]) -> None:
    """Unreadable unless a JPEG, JPEG-LS or JPEG 2000 frame is of the declared size and has its end."""
    size = _codestream_size(frame)
    if size is not None and size != shape[1:]:
        raise Unreadable(
            "damaged",
            f"its frame {number + 1} holds {size[0]} x {size[1]} voxels, and the header declares {shape[1]} x {shape[2]}.",
            headers.AGAIN,
        )
    if b"\xff\xd9" not in frame.rstrip(b"\0")[-4:]:
        raise headers.truncated(f"its frame {number + 1} is cut off: the end of the compressed data is missing.")


def _codestream_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) as the compressed data say; None where they do not."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start >= 0 and len(frame) >= start + 24:
        width, height, left, top = struct.unpack(">IIII", frame[start + 8 : start + 24])
        return height - top, width - left
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return struct.unpack(">HH", frame[at + 5 : at + 9])
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _decoded(dataset: Dataset, syntax: UID, wanted: list[int], shape: tuple[int, int, int]) -> Volume:
    """By pydicom's decoders. One frame after the other, unless it is all of them: a file may hold many volumes."""
    decoder = get_decoder(syntax)
    with _decoding(syntax):
        if wanted == list(range(shape[0])):
            return decoder.as_array(dataset, raw=True, allow_excess_frames=False)[0].reshape(shape)
        return np.stack([decoder.as_array(dataset, raw=True, index=number)[0] for number in wanted])


@contextmanager
def _decoding(syntax: UID) -> Iterator[None]:
    """Whatever a decoder makes of damaged data, as Unreadable."""
    try:
        yield
    except (MemoryError, RecursionError, OSError):
        raise
    except BaseException as error:
        # The RLE decoder is Rust: what it did not foresee is a panic, which is no Exception to Python.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise Unreadable("damaged", f"its voxels cannot be decoded ({syntax.name}).", headers.AGAIN) from error


def _bits_from_rle(dataset: Dataset, shape: tuple[int, int, int]) -> Volume:
    """One-bit frames in RLE: to the decoder each is a row of bytes (pydicom refuses them as they are)."""
    with _decoding(RLELossless):
        packed, _ = get_decoder(RLELossless).as_array(
            dataset.PixelData, raw=True, rows=1, columns=ceil(shape[1] * shape[2] / 8), number_of_frames=shape[0],
            samples_per_pixel=1, bits_allocated=8, bits_stored=8, pixel_representation=0, photometric_interpretation="MONOCHROME2",
            pixel_keyword="PixelData", allow_excess_frames=False,
        )  # fmt: skip
    return _bits(packed.reshape(shape[0], -1), shape)


def _inflated(frame: bytes, dataset: Dataset, shape: tuple[int, int, int], bits: int) -> Volume:
    """One frame of the deflated-frame transfer syntax, never more bytes than it must have."""
    expected = ceil(shape[1] * shape[2] * bits / 8)
    plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, expected + 1)
    if len(plain) < expected:
        raise headers.truncated(f"a frame unpacks to {len(plain)} bytes where {expected} are declared.")
    if bits == 1:
        return _bits(np.frombuffer(plain[:expected], np.uint8)[np.newaxis], (1, *shape[1:]))[0]
    signed = headers.whole(dataset, "PixelRepresentation") == 1
    return np.frombuffer(plain[:expected], np.dtype(f"<{'i' if signed else 'u'}{bits // 8}")).reshape(shape[1:])


def _bits(packed: Volume, shape: tuple[int, int, int]) -> Volume:
    """(frames, bytes) with the first voxel in the lowest bit -> (frames, rows, columns) of 0 and 1."""
    return np.unpackbits(packed, axis=1, bitorder="little")[:, : shape[1] * shape[2]].reshape(shape)

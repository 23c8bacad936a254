"""DICOM headers, read so that a bad file is a reason and never a crash: not DICOM, cut off, nested without end, a bomb."""

from __future__ import annotations

import errno
import io
import logging
import math
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, cast

from pydicom import config as pydicom_config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag

from radpipe.errors import FileProblem, RadpipeError

# What is wrong with a value is judged here, where it is used; pydicom's own remarks quote values of the header.
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

MAX_INFLATED = 1 << 30  # a deflated file that unpacks to more is a bomb; a CT of 2000 slices would be as large
DEFLATED = "1.2.840.10008.1.2.1.99"
_PLAIN = b"1.2.840.10008.1.2.1\0\0\0"
_MAX_HEADER = 64 << 20
_PIECE = 1 << 20
_PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
_UNDEFINED = 0xFFFFFFFF
_LONG_FORM = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
AGAIN = "Copy or export the file again."


class Unreadable(Exception):
    """A file that cannot be used. what : a short code for tables. why : one sentence. hint : what to do."""

    def __init__(self, what: str, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.what = what
        self.why = why
        self.hint = hint

    def problem(self, path: object, case_id: str = "") -> FileProblem:
        return FileProblem(self.why, hint=self.hint, case_id=case_id, path=path)


def tags(*keywords: str) -> tuple[int, ...]:
    """The tags of DICOM keywords."""
    found = tuple(tag_for_keyword(keyword) for keyword in keywords)
    if None in found:
        raise ValueError(f"{keywords[found.index(None)]} is no DICOM keyword")
    return cast(tuple[int, ...], found)


_REMOVED = tags("PatientIdentityRemoved")
_SIZES = tags("NumberOfFrames", "Rows", "Columns", "BitsAllocated")


def read_header(path: Path, wanted: Iterable[int]) -> tuple[FileDataset, bool]:
    """The ``wanted`` elements before the voxels, and whether voxels follow. Unreadable where the file is no DICOM or is cut off:
    uncompressed voxels must be there as many bytes as are declared."""
    with reasons(), _opened(path, _MAX_HEADER) as file:
        pixels: list[int] = []

        def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
            if tag in _PIXELS:
                pixels.append(length)
            return bool(pixels)

        dataset = _parsed(file, at_pixels, wanted)
        if pixels and pixels[0] != _UNDEFINED:
            # pydicom goes back to the element's first byte; its tag and length take 8 bytes, with a VR 12.
            there = file.size - file.tell() - (8 if dataset.original_encoding[0] else 12)
            if there < pixels[0]:
                raise Unreadable(
                    "truncated",
                    f"the file is cut off: it declares {pixels[0]} bytes of voxels and {max(there, 0)} are there.",
                    AGAIN,
                )
        if pixels and pixels[0] == _UNDEFINED:
            _check_fragments(file)
        return dataset, bool(pixels)


def read_whole(path: Path, wanted: Iterable[int] = ()) -> FileDataset:
    """The file with its voxels; with ``wanted`` these elements only. Unreadable as :func:`read_header`."""
    with reasons():
        with _opened(path, _MAX_HEADER) as file:
            keep = file.size
            if file.deflated:
                # Before anything is unpacked: as much as the header says, so that a bomb must at least declare itself.
                said = _parsed(file, lambda tag, _, __: tag in _PIXELS, _SIZES)
                sizes = [whole(said, keyword) or 1 for keyword in ("NumberOfFrames", "Rows", "Columns", "BitsAllocated")]
                keep = math.prod(sizes) // 8 + _MAX_HEADER
                if file.size > keep:
                    raise Unreadable("too-large", "it unpacks to far more than its header declares.", "Export it uncompressed.")
        with _opened(path, keep) as file:
            return _parsed(file, None, wanted)


@contextmanager
def reasons() -> Iterator[None]:
    """Whatever goes wrong with a file, as Unreadable. What libraries say is not passed on: it may quote the header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (Unreadable, RadpipeError):
        raise
    except RecursionError as error:
        raise Unreadable(
            "nested", "its sequences are nested deeper than can be read.", "Export the file again without the private elements."
        ) from error
    except MemoryError as error:
        raise Unreadable("too-large", "its header declares more data than fit into memory.", AGAIN) from error
    except FileNotFoundError as error:
        raise Unreadable("missing", "the file is not there.", "Correct the path.") from error
    except PermissionError as error:
        raise Unreadable("no-permission", "the file may not be read.", "Give yourself the right to read it.") from error
    except EOFError as error:
        raise truncated() from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # a place that cannot be in a file
            raise Unreadable("damaged", "its DICOM elements are damaged: their lengths do not fit.", AGAIN) from error
        raise Unreadable("unreadable", f"the file cannot be read ({error.strerror or 'input error'}).", AGAIN) from error
    except Exception as error:
        raise Unreadable("damaged", f"its DICOM elements are damaged ({type(error).__name__}).", AGAIN) from error


def says_removed(path: Path) -> bool | None:
    """Whether a file says that the patient's identity was removed from it (PatientIdentityRemoved); None where it is no DICOM."""
    try:
        dataset, _ = read_header(path, _REMOVED)
    except Unreadable as error:
        return None if error.what in ("not-dicom", "empty", "missing", "not-a-file") else False
    return text(dataset, "PatientIdentityRemoved").upper() == "YES"


def truncated(why: str = "the file is cut off.") -> Unreadable:
    return Unreadable("truncated", why, AGAIN)


class Show(Protocol):
    """What may be seen of header values, where a file tells who the patient is. Both give the same answer for the same value, and
    different ones for different values, so that what belongs together still does."""

    def value(self, keyword: str, value: str) -> str:
        """In place of an element's value."""

    def mark(self, keyword: str, value: str) -> str:
        """The same for what tells frames apart, which is shown and never counted with."""


_show: ContextVar[Show | None] = ContextVar("show", default=None)  # of a thread: several read headers at one time


@contextmanager
def shown_by(show: Show | None) -> Iterator[None]:
    """Within: :func:`text` and :func:`texts` tell of every value what ``show`` makes of it, and so do all messages and tables that
    are made with them. Numbers, dates and times are what they are: they are computed with."""
    before = _show.set(show)
    try:
        yield
    finally:
        _show.reset(before)


def show_now() -> Show | None:
    """What :func:`shown_by` has set."""
    return _show.get()


@contextmanager
def seen(files: Iterable[Path], asked: str = "") -> Iterator[None]:
    """Within: of these files all may be seen where each says that the patient's identity was removed; else what tells nothing about
    anybody, and the name or pattern of a region that the user asks for. Where :func:`shown_by` has decided, that stands."""
    if _show.get() is not None or all(says_removed(path) is not False for path in files):
        yield
        return
    # By its name: which words tell nothing about anybody is the business of the intake room, and no reader knows a room.
    show: Show = import_module("radpipe.intake.discretion").asked_for(asked)
    with shown_by(show):
        yield


def text(dataset: Dataset, keyword: str) -> str:
    """An element as one line of text; '' where it is missing, empty or damaged. Several values are joined by a backslash."""
    parts = _parts(dataset, keyword)
    show = _show.get()
    if show is not None:
        parts = [show.value(keyword, part) for part in parts]
    return "\\".join(parts)


def mark(dataset: Dataset, keyword: str) -> str:
    """As :func:`text`, for values that are compared with each other and shown, and that nothing is computed from."""
    found = text(dataset, keyword)
    show = _show.get()
    return found if show is None or not found else show.mark(keyword, found)


def _parts(dataset: Dataset, keyword: str) -> list[str]:
    """Its values, each on one line; none where it is missing, empty or damaged."""
    try:
        value = dataset.get(keyword)
        if value is None:
            return []
        parts = [str(part) for part in value] if _several(value) else [str(value)]
    except Exception:  # an element that cannot be decoded tells nothing, and the next one may
        return []
    joined = " ".join("\\".join(parts).replace("\0", " ").split())
    return joined.split("\\") if joined else []


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of an element of several values."""
    joined = text(dataset, keyword)
    return tuple(part.strip() for part in joined.split("\\")) if joined else ()


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """The finite numbers of an element; None where it is missing, damaged, not finite or not of ``count`` values."""
    parts = _parts(dataset, keyword)
    try:
        found = tuple(float(part) for part in parts)
    except ValueError:
        return None
    if not found or (count is not None and len(found) != count) or not all(math.isfinite(value) for value in found):
        return None
    return found


def number(dataset: Dataset, keyword: str) -> float | None:
    """One finite number; None where it is missing or is none."""
    found = numbers(dataset, keyword, 1)
    return None if found is None else found[0]


def is_empty(dataset: Dataset, keyword: str) -> bool:
    """Whether an element is missing or has no value; a damaged one has."""
    element = dataset.get_item(tag_for_keyword(keyword) or 0)
    value = None if element is None else element.value
    return value is None or not (value.strip() if isinstance(value, bytes | str) else str(value))


def whole(dataset: Dataset, keyword: str) -> int | None:
    """One whole number; None where it is missing or is none."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence; none where it is missing or is no sequence. Deep nesting raises RecursionError, as in pydicom."""
    try:
        found = dataset.get(keyword)
        return tuple(found) if found is not None and _several(found) else ()
    except RecursionError:
        raise
    except Exception:
        return ()


def _several(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


class _Watched:
    """A file that notices when more was read than is there: pydicom takes the end of a file for the end of a sequence."""

    def __init__(self, file: IO[bytes], size: int, name: str, *, deflated: bool = False) -> None:
        self._file = file
        self.deflated = deflated
        self.size = size
        self.name = name
        self.short = False
        self._at_end = 0
        self.seek = file.seek
        self.tell = file.tell

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= _PIECE:
            # A length that a damaged header declares must not become an allocation.
            left = max(self.size - self._file.tell(), 0)
            data = self._file.read(left if count < 0 else min(count, left))
        else:
            data = self._file.read(count)
        if len(data) < count:
            self._at_end += 1
            # 8192: pydicom looks for a delimiter in pieces of this size, whether or not so much is left. Zeros: some systems
            # fill up the last block.
            self.short |= (bool(data.strip(b"\0")) and count != 8192) or self._at_end > 2
        return data

    def close(self) -> None:
        self._file.close()


def _parsed(file: _Watched, stop_when: Any, wanted: Iterable[int]) -> FileDataset:
    kept = list(wanted)
    dataset = read_partial(cast(BinaryIO, file), stop_when, force=True, specific_tags=cast(list[BaseTag | int], kept) or None)
    if not dataset._dict and not dataset.file_meta:
        raise _not_dicom()
    # pydicom steps over what is not wanted, so it can step over the end, and it takes a value that is too short.
    if file.short or file.tell() > file.size or _has_short_value(dataset):
        raise truncated()
    return dataset


def _check_fragments(file: _Watched) -> None:
    """Unreadable unless compressed voxels reach their delimiter. From the element's first byte on; nothing is read but lengths."""
    file.seek(12, os.SEEK_CUR)  # tag, VR and length of the element
    while True:
        head = file.read(8)
        if len(head) < 8 or file.tell() > file.size:
            raise truncated("the file is cut off within its compressed voxels.")
        group, element, length = struct.unpack("<HHI", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            return
        if (group, element) != (0xFFFE, 0xE000) or length == _UNDEFINED:
            raise Unreadable("damaged", "its compressed voxels are damaged: where a piece should begin there is none.", AGAIN)
        file.seek(length, os.SEEK_CUR)


def _has_short_value(dataset: Dataset) -> bool:
    return any(
        isinstance(element, RawDataElement)
        and element.value is not None
        and element.length != _UNDEFINED
        and len(element.value) < element.length
        for element in dataset._dict.values()
    )


@contextmanager
def _opened(path: Path, keep: int) -> Iterator[_Watched]:
    """A regular file that is DICOM by its look; a deflated one as the plain file it stands for, its first ``keep`` bytes."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable("not-a-file", "it is not a regular file.")
    if found.st_size == 0:
        raise Unreadable("empty", "the file is empty.", AGAIN)
    with open(path, "rb") as file:
        start = file.read(144)
        _check_look(start)
        syntax, end = _transfer_syntax(file) if start[128:132] == b"DICM" else ("", 0)
        file.seek(0)
        if syntax != DEFLATED:
            yield _Watched(file, found.st_size, str(path))
            return
        yield _Watched(*_inflated(file, end, keep), str(path), deflated=True)


def _not_dicom() -> Unreadable:
    return Unreadable("not-dicom", "it is not a DICOM file, whatever its name says.")


def _check_look(start: bytes) -> None:
    """Not DICOM unless it says so at byte 128, or begins as files without a preamble do: with an element of group 2 or 8."""
    if start[128:132] == b"DICM":
        return
    for order in ("<", ">"):
        if len(start) < 16:
            break
        group, element = struct.unpack(order + "HH", start[:4])
        length = struct.unpack(order + "I", start[4:8])[0]
        explicit = start[4:6].isalpha() and start[4:6].isupper()
        if group in (2, 8) and element <= 0x70 and (explicit or (order == "<" and length <= 1024)):
            return
    raise _not_dicom()


def _transfer_syntax(file: IO[bytes]) -> tuple[str, int]:
    """(transfer syntax, byte where the file meta information ends). pydicom would unpack a deflated file before it tells."""
    file.seek(132)
    syntax = ""
    while True:
        at = file.tell()
        head = file.read(8)
        if len(head) < 8 or head[:2] != b"\2\0":
            return syntax, at
        length = struct.unpack("<I", file.read(4))[0] if head[4:6] in _LONG_FORM else struct.unpack("<H", head[6:])[0]
        if head[2:4] == b"\x10\0":
            syntax = file.read(length).rstrip(b"\0 ").decode("ascii", "replace")
        else:
            file.seek(length, os.SEEK_CUR)


def _inflated(file: IO[bytes], end: int, keep: int) -> tuple[io.BytesIO, int]:
    """(the first ``keep`` bytes of the file with its data set unpacked, the bytes of all of it).

    Never more than MAX_INFLATED (pydicom unpacks whatever comes); the end of the data is looked for in any case.
    """
    plain = io.BytesIO()
    plain.write(file.read(end).replace(DEFLATED.encode(), _PLAIN))
    size = plain.tell()
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    while not unpack.eof:
        packed = unpack.unconsumed_tail or file.read(_PIECE)
        if not packed:
            raise truncated("the file is cut off: the end of its deflated data is missing.")
        piece = unpack.decompress(packed, _PIECE)
        size += len(piece)
        plain.write(piece[: max(keep - plain.tell(), 0)])
        if size > MAX_INFLATED:
            raise Unreadable("too-large", f"it unpacks to more than {MAX_INFLATED >> 30} GiB.", "Export it uncompressed.")
    plain.seek(0)
    return plain, size

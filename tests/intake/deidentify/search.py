"""Every byte of a folder, a file or a text, searched for canaries: unpacked where packed, in every encoding of text."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from canaries import MARK, NUMBER, ROOT, Planted

_DEPTH = 4
_PIECE = 200 << 20
_ISO = re.compile(rb"19[0-4]\d[-./_: ]?[01]\d[-./_: ]?[0-3]\d")
_TURNED = re.compile(rb"[0-3]?\d[-./ ][0-3]?\d[-./ ]19[0-4]\d(?!\d)")  # 2.25.1940... is the beginning of a UID
_MONTHS = {name: at for at, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}
_WORDED = re.compile(rb"([0-3]?\d)[ .-]+(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ ,.-]+(19[0-4]\d)", re.IGNORECASE)
_TEXT = re.compile(MARK.encode(), re.IGNORECASE)
_UID = re.compile(re.escape(ROOT.encode()) + rb"[.\d]*")
_DIGITS = re.compile(rb"\d+(?:\.\d+)?")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Leak:
    """file : where, with the packed members it is in. canary : as it was planted. where : its place in the input."""

    file: str
    canary: str
    where: str

    def __str__(self) -> str:
        return f"{self.file}: {self.canary} ({self.where})"


def search_folder(folder: Path, planted: Planted) -> list[Leak]:
    """Every file under a folder, and every name of a file and folder."""
    found: list[Leak] = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        found += search_bytes(relative.encode("utf-8", "surrogateescape"), f"name {relative}", planted)
        if path.is_file() and not path.is_symlink():
            found += search_bytes(path.read_bytes(), relative, planted)
    return found


def search_text(text: str, name: str, planted: Planted) -> list[Leak]:
    return search_bytes(text.encode("utf-8", "surrogateescape"), name, planted)


def search_bytes(data: bytes, name: str, planted: Planted) -> list[Leak]:
    found: dict[tuple[str, str], Leak] = {}
    for member, content in unpacked(data, name):
        for canary, where in _hits(content, planted):
            found.setdefault((member, canary), Leak(member, canary, where))
    return list(found.values())


def unpacked(data: bytes, name: str, depth: int = _DEPTH) -> Iterator[tuple[str, bytes]]:
    """The bytes, and what is packed in them: gzip, zlib, bzip2, xz, zip, tar, chunks of PNG, columns of Parquet, pages of HTML."""
    yield name, data
    if not depth:
        return
    inner: list[tuple[str, bytes]] = []
    if data[:2] == b"\x1f\x8b":
        inner.append((f"{name}!gz", _tried(lambda: gzip.decompress(data))))
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            inner += [(f"{name}!{one}", one.encode() + b"\n" + packed.read(one)) for one in packed.namelist()]
    elif data[:3] == b"BZh":
        inner.append((f"{name}!bz2", _tried(lambda: bz2.decompress(data))))
    elif data[:6] == b"\xfd7zXZ\x00":
        inner.append((f"{name}!xz", _tried(lambda: lzma.decompress(data))))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as packed:
            inner += [
                (f"{name}!{one.name}", one.name.encode() + (packed.extractfile(one).read() if one.isfile() else b""))
                for one in packed
            ]
    elif data[:8] == _PNG:
        inner += [(f"{name}!{kind}", content) for kind, content in _png(data)]
    elif data[:4] == b"PAR1":
        import pyarrow.parquet as parquet

        table = parquet.read_table(io.BytesIO(data))
        text = "\n".join(
            [
                str(table.schema.metadata),
                *table.schema.names,
                *(str(cell) for column in table.columns for cell in column.to_pylist()),
            ]
        )
        inner.append((f"{name}!parquet", text.encode("utf-8", "surrogatepass")))
    elif data[128:132] == b"DICM" or name.endswith(".dcm"):
        inner += [(f"{name}!deflated", content) for content in _deflated(data)]
    elif data[:2] in (b"x\x9c", b"x\x01", b"x\xda", b"x^"):
        inner.append((f"{name}!zlib", _tried(lambda: zlib.decompress(data))))
    elif data[:1] in b"<" or data[:15].lower() == b"<!doctype html>":
        inner += [(f"{name}!base64 {at}", content) for at, content in enumerate(_embedded(data))]
    for member, content in inner:
        if content:
            yield from unpacked(content, member, depth - 1)


def _tried(unpack) -> bytes:
    try:
        return unpack()
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return b""


def _inflated(data: bytes, bits: int = zlib.MAX_WBITS) -> bytes:
    return _tried(lambda: zlib.decompressobj(bits).decompress(data))


def _png(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8].decode("latin-1"), data[at + 8 : at + 8 + length]
        if kind in ("zTXt", "iTXt", "iCCP"):
            for cut in (content.find(b"\0") + 2, content.rfind(b"\0") + 1):
                yield kind, _inflated(content[cut:])
        elif kind == "IDAT":
            yield kind, _inflated(content)
        at += 12 + length


def _deflated(data: bytes) -> Iterator[bytes]:
    if b"1.2.840.10008.1.2.1.99" in data[:1000]:
        at = 132
        while data[at : at + 2] == b"\2\0":
            short = data[at + 4 : at + 6] not in (b"OB", b"UN", b"SQ", b"UT", b"OW")
            length = int.from_bytes(data[at + 6 : at + 8] if short else data[at + 8 : at + 12], "little")
            at += (8 if short else 12) + length
        yield _inflated(data[at:], -zlib.MAX_WBITS)


def _embedded(data: bytes) -> Iterator[bytes]:
    import base64

    for found in re.finditer(rb"base64,([A-Za-z0-9+/=]+)", data):
        yield base64.b64decode(found.group(1) + b"==")


def _hits(data: bytes, planted: Planted) -> Iterable[tuple[str, str]]:
    # Without zero bytes UTF-16 of either order is what UTF-8 and Latin-1 are.
    for text in (data, data.replace(b"\0", b"")) if b"\0" in data else (data,):
        yield from _in_text(text, planted)
    for packed, where in planted.packed.items():
        if packed in data or packed[::-1] in data:
            yield packed.hex(), where


def _in_text(data: bytes, planted: Planted) -> Iterable[tuple[str, str]]:
    for hit in _TEXT.finditer(data):
        canary = data[hit.start() : hit.start() + 12].decode("latin-1").upper()
        yield canary, planted.values.get(canary, "part of a canary")
    for hit in _UID.finditer(data):
        canary = hit.group().decode().rstrip(".")
        yield canary, planted.values.get(canary, "part of a UID")
    if planted.numbers:
        for hit in _DIGITS.finditer(data):
            text = hit.group().decode()
            if len(text) >= 9 and text in planted.numbers:
                yield text, planted.numbers[text]
            elif text.startswith(NUMBER) and len(text) < 20:
                whole = text.partition(".")[0]
                if whole in planted.numbers:
                    yield whole, planted.numbers[whole]
    for pattern in (_ISO, _TURNED):
        for hit in pattern.finditer(data):
            if _decimals(data, hit.start(), hit.end()):
                continue
            for day in _days(hit.group()):
                if day in planted.dates:
                    yield f"{day} as {hit.group().decode()}", planted.dates[day]
    for hit in _WORDED.finditer(data):
        day = f"{int(hit.group(3))}-{_MONTHS[hit.group(2).lower()]:02d}-{int(hit.group(1)):02d}"
        if day in planted.dates:
            yield f"{day} in words", planted.dates[day]


_DECIMAL = re.compile(rb"-?\d+\.\d{9,}(?:[eE][-+]?\d+)?")


def _decimals(data: bytes, start: int, stop: int) -> bool:
    """Whether the bytes are decimals of a measured number, as of 0.6194012221: eight digits in a row that spell a date by chance.
    A UID has more points, and a date or time no nine decimals."""
    part = data[max(0, start - 40) : stop + 40]
    left = start - max(0, start - 40)
    while left and part[left - 1 : left] in (b".", b"-", b"+", *(b"%d" % digit for digit in range(10))):
        left -= 1
    right = left
    while right < len(part) and part[right : right + 1] in (
        b".",
        b"e",
        b"E",
        b"-",
        b"+",
        *(b"%d" % digit for digit in range(10)),
    ):
        right += 1
    token = part[left:right]
    return bool(_DECIMAL.fullmatch(token)) and token.index(b".") < start - max(0, start - 40) - left


def _days(text: bytes) -> Iterator[str]:
    """ISO dates that a spelling may mean."""
    parts = [part.decode() for part in re.findall(rb"\d+", text)]
    if len(parts) == 1:
        digits = parts[0]
        yield f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"
    elif len(parts[0]) == 4 and len(parts) == 3:
        yield f"{parts[0]}-{parts[1]:0>2}-{parts[2]:0>2}"
    elif len(parts) == 3:
        yield f"{parts[2]}-{parts[1]:0>2}-{parts[0]:0>2}"
        yield f"{parts[2]}-{parts[0]:0>2}-{parts[1]:0>2}"

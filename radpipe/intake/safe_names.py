"""Names from headers -> names of files: nothing that leaves the folder, no two that a file system would take for one."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

LONGEST = 120  # bytes; the name stands in names of files, which may have 255 with what is put around them
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)  # Windows, also before a dot
_DIGITS = 8
K = TypeVar("K", bound=Hashable)


def safe_part(text: str, otherwise: str = "none") -> str:
    """Letters and digits of any script, '-', '_' and '.'; all else becomes '_'. ``otherwise`` where nothing is left."""
    kept = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in unicodedata.normalize("NFC", text.strip()))
    kept = re.sub(r"_{2,}", "_", kept).strip("_.")
    while ".." in kept:
        kept = kept.replace("..", ".")
    return kept or otherwise


def safe_name(parts: Sequence[str]) -> str:
    """The parts joined by '_', as a name of at most LONGEST bytes; a longer one is cut and ends in a digest of all of it."""
    name = "_".join(safe_part(part) for part in parts if part)
    if _RESERVED.fullmatch(name.partition(".")[0]):
        name = f"_{name}".replace(".", "_")
    return _shortened(name, "\0".join(parts))


def distinct_names(parts: Mapping[K, Sequence[str]], identity: Mapping[K, str]) -> dict[K, str]:
    """A name for every key. Names that differ in case only (or not at all) all end in a digest of ``identity``, so that none
    depends on the order they came in. identity : what the key really is; no two alike."""
    names = {key: safe_name(part) for key, part in parts.items()}
    common = Counter(_folded(name) for name in names.values())
    found = {
        key: _shortened(name, identity[key], always=True) if common[_folded(name)] > 1 else name for key, name in names.items()
    }
    if len({_folded(name) for name in found.values()}) != len(found):  # a name that looks like another's with its digest
        found = {key: _shortened(name, identity[key], always=True) for key, name in names.items()}
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _shortened(name: str, whole: str, *, always: bool = False) -> str:
    if len(name.encode()) <= LONGEST and not always:
        return name
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    head = name.encode()[: LONGEST - 1 - _DIGITS].decode("utf-8", "ignore").rstrip("_.")
    return f"{head}-{digest}"

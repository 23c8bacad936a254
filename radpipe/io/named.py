"""Which region of a file is meant: by name, by number, or by a pattern."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Protocol, TypeVar

from radpipe.core.registry import nearest
from radpipe.errors import FileProblem

_SHOWN = 40


class Named(Protocol):
    """A region of a file, whatever kind of file it is."""

    @property
    def number(self) -> int: ...
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


def pick_named(regions: Sequence[T], which: str | int, *, noun: str, path: object) -> tuple[T, ...]:
    """The regions that ``which`` means: a name (upper and lower case are the same), a number, or a pattern (``GTV*``).

    A name or a number means one region, a pattern as many as it fits. FileProblem, listing what is there, where it means none,
    and where a name or number stands for several. noun : "ROI", "segment", "region".
    """
    text = str(which).strip()
    if not isinstance(which, int):
        found = tuple(region for region in regions if region.name.strip().casefold() == text.casefold())
        if found:
            return _one(found, f"the name {found[0].name!r}", "Say which one by its number, or rename one of them.", noun, path)
    if text.lstrip("-").isdecimal():
        found = tuple(region for region in regions if region.number == int(text))
        if found:
            return _one(found, f"the number {text}", f"Export the file again: each {noun} needs a number of its own.", noun, path)
    elif any(sign in text for sign in "*?["):
        found = tuple(region for region in regions if fnmatch.fnmatchcase(region.name.strip().casefold(), text.casefold()))
        if found:
            return found
    raise FileProblem(
        f"there is no {noun} {which!r}.{nearest(text, [region.name for region in regions])} It holds: {listed(regions, noun)}.",
        hint="Give a name, a number, or a pattern such as 'GTV*'.",
        path=path,
    )


def only(regions: Sequence[T], *, noun: str, path: object) -> T:
    """The one region of a file that holds one; FileProblem, listing them, where it holds several or none."""
    if len(regions) == 1:
        return regions[0]
    if not regions:
        raise FileProblem(f"it holds no {noun}.", hint="Export the file again with its regions.", path=path)
    raise FileProblem(
        f"it holds {len(regions)} {noun}s and nobody says which one is meant: {listed(regions, noun)}.",
        hint="Say --roi NAME, or write the name (or number) in the column roi of the table.",
        path=path,
    )


def listed(regions: Sequence[Named], noun: str) -> str:
    """The regions for people: 1 'GTV', 2 'Lung_L'."""
    if not regions:
        return f"no {noun}"
    shown = [f"{region.number} {region.name!r}" for region in regions[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(regions) - _SHOWN} more" if len(regions) > _SHOWN else "")


def _one(found: tuple[T, ...], shared: str, hint: str, noun: str, path: object) -> tuple[T, ...]:
    if len(found) == 1:
        return found
    several = ", ".join(f"{region.number} {region.name!r}" for region in found)
    raise FileProblem(f"{len(found)} {noun}s have {shared}: {several}.", hint=hint, path=path)

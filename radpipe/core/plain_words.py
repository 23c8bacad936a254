"""What an error of another library may say in a message or a log: its kind, where in the code, and plain words.

Such an error may quote what it choked on, and in a medical file that may be a name. So of its text stays what cannot be one:
words in small letters outside of quotation marks, and short numbers.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from radpipe.errors import RadpipeError

_GAP = "..."
_QUOTED = re.compile(r"""b?'(?:[^'\\\\]|\\\\.)*'|b?"(?:[^"\\\\]|\\\\.)*"|`[^`]*`|<[^<>]*>""")
_PLAIN = re.compile(
    r"[(\[{]*(?:[a-z]{1,20}(?:[-/][a-z]{1,20})?|I|A|[-+]?\d{1,4}(?:\.\d{1,3})?(?:e[-+]?\d{1,2})?|[-+*=<>!/&|]{1,2})[)\]}]*[,;:.?!]*"
)
_SHAPE = re.compile(r"[(\[]\d{1,4}(?:[,x]\d{1,4})*,?[)\]][,;:.]*")
_FIRST = re.compile(r"[A-Z][a-z]{1,14}[,:]?")
_OPENING = """
a an all array cannot can could data dimension dimensions empty error expected failed file found got illegal image input invalid length
mismatch must no not number object operands out shape shapes size the this to too unable unexpected unknown unsupported value values
when wrong
"""
_STARTS = frozenset(_OPENING.split())
_LONGEST = 300
_FRAME = re.compile(r'\s*File "([^"]*)", line (\d+) in ([\w<>]+)')
_FAULT = re.compile(
    r"(Current thread|Thread) 0x[0-9a-f]+.{0,40}\(most recent call first\):|Fatal Python error: [A-Z][A-Za-z ]{1,40}"
)


def plain(text: str) -> str:
    """A text with '...' for everything that may be somebody's: what is quoted, paths, names, long numbers, dates."""
    words: list[str] = []
    for at, word in enumerate(_QUOTED.sub(f" {_GAP} ", text).split()):
        starts = at == 0 and _FIRST.fullmatch(word) and word.strip(",:").lower() in _STARTS
        kept = word if word == _GAP or starts or _PLAIN.fullmatch(word) or _SHAPE.fullmatch(word) else _GAP
        if kept != _GAP or not words or words[-1] != _GAP:
            words.append(kept)
    return " ".join(words)[:_LONGEST].strip()


def one_line(error: BaseException) -> str:
    """Kind and plain words: 'ValueError: could not convert string to float: ...'."""
    said = plain(error.strerror or "") if isinstance(error, OSError) else plain(str(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def plain_traceback(error: BaseException, longest: int = 20000) -> str:
    """As Python's own, the same frames and causes, with what :func:`plain` leaves of the messages; an error of radpipe says what is
    wrong, and not with which file or case: that stands where it is reported."""
    parts: list[str] = []
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        frames = "".join(
            f'  File "{_source(frame.filename)}", line {frame.lineno}, in {frame.name}\n'
            + (f"    {frame.line}\n" if frame.line else "")
            for frame in traceback.extract_tb(at.__traceback__)
        )
        said = f"{type(at).__name__}: {at.problem}" if isinstance(at, RadpipeError) else one_line(at)
        parts.append(f"Traceback (most recent call last):\n{frames}{said}")
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return "\n\nwhich came after:\n\n".join(parts)[-longest:]


def plain_output(text: str) -> str:
    """What a process printed before it ended: where Python was when it crashed, and of all else the plain words."""
    lines = []
    for line in text.splitlines():
        frame = _FRAME.fullmatch(line)
        if frame:
            lines.append(f'  File "{_source(frame[1])}", line {frame[2]} in {frame[3]}')
        else:
            lines.append(line if _FAULT.fullmatch(line) else plain(line))
    return "\n".join(lines)


def _source(filename: str) -> str:
    """Where in a package, not where on this machine."""
    parts = Path(filename).parts
    for mark in ("site-packages", "dist-packages"):
        if mark in parts:
            return "/".join(parts[parts.index(mark) + 1 :])
    if "radpipe" in parts:
        return "/".join(parts[len(parts) - 1 - parts[::-1].index("radpipe") :])
    return Path(filename).name

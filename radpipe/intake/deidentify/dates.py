"""DICOM dates, times and ages: moved by whole days, capped, or refused where they are none."""

from __future__ import annotations

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME = re.compile(r"([01]\d|2[0-3])(:?[0-5]\d(:?([0-5]\d|60)(\.\d{1,6})?)?)?")
_MOMENT = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?")
_AGE = re.compile(r"(\d{1,3})([DWMY])")
OLDEST = 89
"""Of older people the age is given as 90: they are few (HIPAA 164.514(b)(2)(i)(C))."""


def shift_date(text: str, days: int) -> str | None:
    """DA -> DA; None where it is no date."""
    found = _DATE.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    try:
        return (date(*(int(part) for part in found.groups())) + timedelta(days=days)).strftime("%Y%m%d").zfill(8)
    except (ValueError, OverflowError):
        return None


def check_time(text: str) -> str | None:
    """TM as it is; None where it is no time."""
    stripped = text.strip(" \0")
    return stripped if _TIME.fullmatch(stripped) else None


def shift_moment(text: str, days: int) -> str | None:
    """DT -> DT with its time, without the offset from UTC, which tells where the scanner stands; None where it is none."""
    found = _MOMENT.fullmatch(text.strip(" \0"))
    moved = shift_date(found[1], days) if found else None
    if found is None or moved is None or check_time(found[2] or "00") is None:
        return None
    return f"{moved}{found[2] or ''}"


def cap_age(text: str) -> str | None:
    """AS -> AS, above OLDEST years as 090Y; None where it is no age."""
    found = _AGE.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    number, unit = int(found[1]), found[2]
    years = number / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[unit]
    return f"{OLDEST + 1:03d}Y" if years >= OLDEST + 1 or (unit == "Y" and number > OLDEST) else f"{number:03d}{unit}"

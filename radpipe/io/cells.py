"""Cells of a CSV: safe to open in a spreadsheet, and read back as they were. No pandas, so that a single case needs none."""

from __future__ import annotations

import re

# What a spreadsheet takes for the start of a formula (OWASP: CSV injection), also in full width.
_FORMULA = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def quoted(text: str) -> str:
    """Between quotation marks where the text needs them."""
    # pandas and Python's csv before 3.13 leave a lone carriage return unquoted, which starts a new line in a spreadsheet.
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\n\r') else text


def protect(text: str) -> str:
    """An apostrophe before text that a spreadsheet would take for a formula; a number written as text stays as it is."""
    return "'" + text if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unprotect(text: str) -> str:
    """What :func:`protect` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text

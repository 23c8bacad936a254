"""Where what a benchmark measured goes: into a page of the docs, in the place of what it measured before."""

from __future__ import annotations

import os
import platform
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def put_table(page: str, script: str, lines: list[str]) -> None:
    """Between the two comments that name the script."""
    path = DOCS / page
    text = path.read_text()
    begin, end = f"<!-- table: benchmarks/{script}.py --write -->", f"<!-- end of table: {script} -->"
    before, after = text[: text.index(begin) + len(begin)], text[text.index(end) :]
    path.write_text(before + "\n" + "\n".join(lines) + "\n" + after)


def put_section(page: str, title: str, lines: list[str], library: str) -> None:
    """The section of this title ("## ..."), in its old place or at the end. library : whose version says most, as "torch 2.13.0"."""
    path = DOCS / page
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {library}"
    head, found, rest = path.read_text().partition(f"\n{title}\n")
    _, following, after = rest.partition("\n## ") if found else ("", "", "")
    body = "\n".join(["", title, "", *lines, "", f"Measured on {machine}.", ""])
    path.write_text(head.rstrip("\n") + "\n" + body + (following + after if following else ""))

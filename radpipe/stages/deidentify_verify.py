"""``radpipe deidentify --verify``: the audit of a folder, of ours or anybody's. It writes nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from radpipe.errors import ConfigError
from radpipe.intake.deidentify import verify as audit
from radpipe.intake.deidentify.verify import CANARY, FILE, MEANING, Finding
from radpipe.intake.deidentify.words import Words
from radpipe.io.dicom import headers
from radpipe.io.dicom.headers import Unreadable
from radpipe.io.dicom.scan import walk
from radpipe.stages.deidentify import QUARANTINE, REMOVED, REPORT
from radpipe.stages.ingest_state import relative

_SHORTEST = 3  # characters of a canary: shorter ones are found by chance
_OURS = (REPORT, REMOVED, QUARANTINE)


@dataclass
class Audit:
    """rows : (file, finding) -> how often. files : looked at."""

    rows: Counter[tuple[str, Finding]]
    files: int

    def lines(self, most: int) -> Iterator[str]:
        """What to print: every kind of finding with the number of its files and one of them, then totals."""
        where: dict[Finding, list[str]] = {}
        kinds: Counter[str] = Counter()
        for (file, finding), count in sorted(self.rows.items()):
            where.setdefault(finding, []).append(file)
            kinds[finding.kind] += count
        for finding in sorted(where)[:most]:
            files = where[finding]
            yield f"{finding.kind}: {finding.where}: {len(files)} file{'s' if len(files) > 1 else ''}, as {files[0]}"
        if len(where) > most:
            yield f"... and {len(where) - most} more"
        for kind, count in sorted(kinds.items()):
            yield f"{count} {MEANING[kind]}"
        found = len({file for file, _ in self.rows})
        yield (
            f"{self.files} files looked at, {found} of them with findings" if self.rows else f"{self.files} files, nothing found"
        )


def verify(folder: Path, canaries: Path | None = None, *, words: Words | None = None) -> Audit:
    """Look at every file under ``folder``, its name included. canaries : file of values that must not be there, one a line."""
    values = _canaries(canaries)
    rows: Counter[tuple[str, Finding]] = Counter()
    files = 0
    for path in walk(folder):
        files += 1
        name = relative(path, folder)
        for finding in _file(path, name, values, words):
            rows[name, finding] += 1
    if files == 0:
        raise ConfigError("the folder is empty.", hint="Name the folder to audit.", path=folder)
    return Audit(rows, files)


def _file(path: Path, name: str, canaries: list[str], words: Words | None) -> list[Finding]:
    found = [
        Finding(CANARY, f"line {at + 1} of the list, in the name") for at, value in enumerate(canaries) if value and value in name
    ]
    found += [one for one in audit.other_findings(re.sub(r"[_/]", " ", name).encode()) if one.kind != FILE]
    if path.is_symlink() or not path.is_file():
        return [*found, Finding(FILE, "link, or no file")]
    data = path.read_bytes()
    found += [Finding(CANARY, f"line {at + 1} of the list") for at in audit.canaries_in(data, canaries) if canaries[at]]
    try:
        dataset = headers.read_whole(path)
        with headers.reasons():
            found += audit.file_findings(data, dataset)
            found += audit.findings(dataset, words)
    except Unreadable as error:
        if error.what == "not-dicom":
            return [*found, *(audit.other_findings(data) if path.name not in _OURS else ())]
        found.append(Finding(FILE, f"cannot be read ({error.what})"))
    return found


def _canaries(path: Path | None) -> list[str]:
    """Values by line; those too short to be told from chance are left out, and keep their place."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the list of canaries cannot be read.", hint="Give a text file in UTF-8, one a line.", path=path
        ) from error
    return [line.strip() if len(line.strip()) >= _SHORTEST else "" for line in lines]

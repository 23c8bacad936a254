"""The three folders of ``radpipe deidentify`` and what lies in them: who holds them, whose secret made them, the table of pseudonyms,
files for their owner alone."""

from __future__ import annotations

import csv
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from radpipe.errors import ConfigError, RunError
from radpipe.intake.deidentify.identity import Secret
from radpipe.io.cells import unprotect
from radpipe.io.files import cannot_write, write_bytes
from radpipe.io.locks import holding
from radpipe.io.rows import to_csv
from radpipe.stages.deidentify_settings import Folders

SECRET, CLAIM = "secret.txt", "made_with.json"
_TABLE_COLUMNS = ("patient_id", "pseudonym", "days", "key_check")


@contextmanager
def locked(folders: Folders) -> Iterator[None]:
    """Hold the three folders for this process; the private one is for its owner alone."""
    if folders.out.exists() and not folders.out.is_dir():
        raise RunError("the output folder is a file.", hint="Choose another --out.", path=folders.out)
    if not (folders.private / CLAIM).is_file() and folders.out.is_dir() and any(folders.out.iterdir()):
        raise RunError("the output folder holds other files.", hint="Choose an empty or new --out.", path=folders.out)
    try:
        folders.private.mkdir(parents=True, exist_ok=True)
        folders.private.chmod(0o700)
        folders.out.mkdir(parents=True, exist_ok=True)
        folders.quarantine.mkdir(parents=True, exist_ok=True)
        folders.quarantine.chmod(0o700)
    except OSError as error:
        raise cannot_write(folders.out, error) from error
    with holding(folders.private / "lock", mode=0o600) as (_, ours):
        if not ours:
            raise RunError(
                "another radpipe deidentify is writing to this folder.",
                hint="Wait for it, or choose another --out.",
                path=folders.out,
            )
        yield


@contextmanager
def table_held(table: Path) -> Iterator[None]:
    """Two batches that share a table wait for each other, or one would lose the other's patients."""
    with holding(table.with_name(f".{table.name}.lock"), wait=True, mode=0o600):
        yield


def random_secret(private: Path) -> Secret:
    path = private / SECRET
    if not path.is_file():
        write_private(path, secrets.token_urlsafe(32) + "\n")
    return Secret.of(path.read_text(encoding="utf-8"))


def claim(folders: Folders, secret: Secret) -> None:
    """RunError where the output was made with another secret: its patients would get second names."""
    path = folders.private / CLAIM
    before = loaded(path).get("key_check", secret.check())
    if before != secret.check():
        raise RunError(
            "this output was made with another secret.", hint="Give the same secret, or choose another --out.", path=folders.out
        )
    write_bytes(path, json.dumps({"key_check": secret.check()}).encode())


def read_table(path: Path, secret: Secret) -> dict[str, str]:
    """Patient -> pseudonym of an earlier batch; none where there is no table. ConfigError where another secret made it."""
    if not path.is_file():
        return {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            "the pseudonym table cannot be read.", hint="Name one that radpipe deidentify wrote.", path=path
        ) from error
    if rows and not {"patient_id", "pseudonym", "key_check"} <= set(rows[0]):
        raise ConfigError(
            "it is no pseudonym table of radpipe deidentify (patient_id, pseudonym, key_check).",
            hint="Name one that it wrote, or a new file.", path=path,
        )  # fmt: skip
    if any(row["key_check"] != secret.check() for row in rows):
        raise ConfigError(
            "this pseudonym table was made with another secret.",
            hint="Give the secret it was made with, or name a new table.",
            path=path,
        )
    found = {unprotect(row["patient_id"]): unprotect(row["pseudonym"]) for row in rows}
    if len(found) < len(rows) or len(set(found.values())) < len(found):
        raise ConfigError("the pseudonym table has a patient or a pseudonym twice.", hint="Restore it from a copy.", path=path)
    return found


def write_table(path: Path, names: Mapping[str, str], secret: Secret) -> None:
    rows = [
        {"patient_id": patient, "pseudonym": names[patient], "days": secret.days(patient), "key_check": secret.check()}
        for patient in sorted(names)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, to_csv(_TABLE_COLUMNS, rows))


def write_private(path: Path, text: str) -> None:
    """For nobody's eyes but the owner's."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)


def write_rows_of(path: Path, schema: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    write_bytes(path, to_csv([column.name for column in schema.columns], rows).encode("utf-8", "backslashreplace"))


def remove(folder: Path, name: str) -> None:
    """A file, and the folders that it leaves empty."""
    path = folder / name
    path.unlink(missing_ok=True)
    for parent in path.parents:
        if parent == folder or not parent.is_relative_to(folder):
            return
        try:
            parent.rmdir()
        except OSError:
            return


def loaded(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

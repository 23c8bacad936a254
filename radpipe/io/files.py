"""Writing a file whole or not at all, and the checksum of one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from radpipe.errors import FileProblem, RunError

_UMASK = os.umask(0o022)  # it can only be read by setting it, which is safe at import and not between threads
os.umask(_UMASK)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
# What else the system may say about the file being written; any other OSError in the body is about something else.
_WRITING = _FULL | _FORBIDDEN | {errno.EFBIG, errno.EIO}


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the same folder that becomes ``path`` when the block ends well, and vanishes when it does not.

    Whoever reads ``path`` finds the old file or the new one, never a part: the bytes are on the disk (fsync) before the
    name is given (os.replace), and the name is on the disk before this returns.
    Raises RunError on a full disk, a missing permission, or a size limit.
    """
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error
    temporary = Path(name)
    try:
        # mkstemp makes files that nobody else may read; a result has the permissions of any new file.
        os.fchmod(handle, 0o666 & ~_UMASK)
        os.close(handle)
        yield temporary
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    except OSError as error:
        if error.errno in _WRITING:
            raise cannot_write(target, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """``data`` to ``path``, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def sweep_torn(folder: Path, *, deep: bool = False) -> None:
    """Remove what :func:`atomic_write` left in a folder (deep: and below it) when it was killed. For who alone writes there."""
    for path in folder.rglob(".*.tmp") if deep else folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 (hex) of the file's bytes, read in pieces. FileProblem where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise cannot_read(path, error) from error


def sha256_path(path: str | os.PathLike[str]) -> str:
    """:func:`sha256_file`; of a folder (a DICOM series) that of its files' names and bytes, links left out."""
    if not os.path.isdir(path):
        return sha256_file(path)
    whole = hashlib.sha256()
    for root, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(root, name)
            if file.is_file() and not file.is_symlink():
                whole.update(f"{file.relative_to(path).as_posix()}\0{sha256_file(file)}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def cannot_read(path: str | os.PathLike[str], error: OSError, case_id: str = "") -> FileProblem:
    """What the system said about reading ``path``, as a FileProblem."""
    hints = {
        FileNotFoundError: ("the file does not exist.", "Check the path; a relative path starts at the manifest's folder."),
        IsADirectoryError: ("this is a folder, not a file.", "Name the file itself."),
        PermissionError: ("the file may not be read.", "Give yourself permission to read it (chmod u+r)."),
    }
    for kind, (problem, hint) in hints.items():
        if isinstance(error, kind):
            return FileProblem(problem, hint=hint, case_id=case_id, path=path)
    return FileProblem(f"the file cannot be read ({error.strerror or error}).", hint="Copy it again.", case_id=case_id, path=path)


def cannot_write(path: Path, error: OSError) -> RunError:
    if error.errno in _FULL:
        problem, hint = "the disk is full.", "Free some space and run the same command again; what is done is kept."
    elif error.errno in _FORBIDDEN:
        problem, hint = "the folder may not be written to.", "Choose another output folder, or change its permissions."
    elif error.errno == errno.EFBIG:
        problem, hint = "the file would be larger than this system allows.", "Raise the limit (ulimit -f) and run again."
    elif error.errno == errno.ENOENT:
        problem, hint = "its folder does not exist.", "Make the folder, or choose another output folder."
    else:
        problem, hint = f"the file cannot be written ({error.strerror or error}).", "Check the disk and the output folder."
    return RunError(problem, hint=hint, path=path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

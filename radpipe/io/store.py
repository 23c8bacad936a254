"""Results found by what went into them: ``<root>/<stage>/<key[:2]>/<key>/`` holds ``row.json`` and the files it lists.

A result is made in a temporary folder, sealed (every byte on the disk, sizes and checksums in ``row.json``) and renamed
into place in one step: whoever finds a result finds all of it, whatever was killed in between. Temporary folders belong
to a session; a session whose process is dead (its lock is free, also after ``kill -9``) is swept away by the next run.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radpipe.errors import RunError
from radpipe.io.files import cannot_write, sha256_file

ROW_FILE = "row.json"
FORMAT = 1
_TEMPORARY = "tmp"
_STAGE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KEY = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True)
class StoredResult:
    """row : what the task returned (JSON values). folder : where its files are."""

    stage: str
    key: str
    row: dict[str, Any]
    folder: Path

    def file(self, name: str) -> Path:
        return self.folder / name


class Store:
    """root : the store's folder, made when first needed. session : of the run this process works for; "" for the run itself."""

    def __init__(self, root: str | os.PathLike[str], session: str = "") -> None:
        self.root = Path(root).resolve()
        self._session = session
        self._lock = -1

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def session(self) -> str:
        """Name of this run's temporary folder; opened (made and locked) by the first call."""
        if not self._session:
            self._session, self._lock = self._open_session()
        return self._session

    @property
    def session_folder(self) -> Path:
        return self.root / _TEMPORARY / self.session

    def find(self, stage: str, key: str, *, deep: bool = False) -> StoredResult | None:
        """The whole result of that key, or None where there is none or it is torn. deep : also compare every checksum."""
        folder = self._folder(stage, key)
        try:
            sealed = json.loads((folder / ROW_FILE).read_bytes())
            # What the file says it is, not where it lies, decides: a folder moved by hand is not taken for another's result.
            whole = sealed["format"] == FORMAT and sealed["stage"] == stage and sealed["key"] == key
            for name, facts in sealed["files"].items():
                path = folder / name
                whole = whole and os.path.getsize(path) == facts["size"]
                whole = whole and (not deep or sha256_file(path) == facts["sha256"])
            return StoredResult(stage, key, sealed["row"], folder) if whole else None
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def begin(self, stage: str, key: str) -> Path:
        """An empty temporary folder for the files of one result."""
        self._folder(stage, key)
        workdir = self.session_folder / f"{stage}-{key}-{uuid.uuid4().hex[:12]}"
        with _writing(workdir):
            workdir.mkdir()
        return workdir

    def unfinished(self, stage: str, key: str) -> list[Path]:
        """Temporary folders of this session for that result: who left one behind was at work on it when it died."""
        return sorted(self.session_folder.glob(f"{stage}-{key}-*"))

    def commit(self, stage: str, key: str, workdir: Path) -> None:
        """Rename a sealed folder into place. Where a whole result of that key is there already, it stays and ours goes."""
        target = self._folder(stage, key)
        with _writing(target):
            _make_folders(target.parent, self.root)
            for _ in range(3):
                try:
                    os.rename(workdir, target)
                    sync_folder(target.parent)
                    return
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                        raise
                if self.find(stage, key, deep=True):
                    self.discard(workdir)
                    return
                torn = self.session_folder / f"torn-{uuid.uuid4().hex[:12]}"
                with contextlib.suppress(FileNotFoundError):  # another worker may have moved it just now
                    os.rename(target, torn)
                self.discard(torn)
        raise RunError("another process keeps writing this result.", hint="Run one radpipe at a time on a store.", path=target)

    def discard(self, workdir: Path) -> None:
        """Remove a temporary folder."""
        if workdir.is_dir():
            shutil.rmtree(workdir, ignore_errors=True)
        else:
            workdir.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the temporary folders of runs that are dead."""
        temporary = self.root / _TEMPORARY
        if not temporary.is_dir():
            return
        for lock in sorted(temporary.glob("*.lock")):
            if lock.stem == self._session:
                continue
            with contextlib.suppress(FileNotFoundError), _opened(lock, os.O_RDWR) as handle:
                if _try_lock(handle):
                    shutil.rmtree(temporary / lock.stem, ignore_errors=True)
                    lock.unlink(missing_ok=True)
        for folder in sorted(temporary.iterdir()):
            # The lock is made before its folder and removed after it, so a folder alone is what a removal left behind.
            if folder.is_dir() and not folder.with_name(folder.name + ".lock").exists():
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove this run's temporary folder and those of dead runs."""
        if self._lock < 0:
            return
        temporary, session = self.root / _TEMPORARY, self._session
        shutil.rmtree(temporary / session, ignore_errors=True)
        (temporary / f"{session}.lock").unlink(missing_ok=True)
        os.close(self._lock)
        self._session, self._lock = "", -1
        self.sweep()
        with contextlib.suppress(OSError):  # not empty: another run is at work
            temporary.rmdir()

    def _folder(self, stage: str, key: str) -> Path:
        if not _STAGE.fullmatch(stage) or stage == _TEMPORARY or not _KEY.fullmatch(key):
            raise ValueError(f"not a stage and a content key: {stage!r}, {key!r}")
        return self.root / stage / key[:2] / key

    def _open_session(self) -> tuple[str, int]:
        temporary = self.root / _TEMPORARY
        with _writing(temporary):
            temporary.mkdir(parents=True, exist_ok=True)
            while True:
                name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
                path = temporary / f"{name}.lock"
                handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
                # A sweep may have taken the lock, and removed the file, between the two steps: then try another name.
                if _try_lock(handle) and path.exists():
                    (temporary / name).mkdir()
                    return name, handle
                os.close(handle)


def seal(stage: str, key: str, workdir: Path, row: dict[str, Any]) -> None:
    """Write ``row.json`` with the size and checksum of every file in ``workdir``, and bring all of it to the disk.

    Numbers of numpy become plain ones; NaN is kept (as JSON's usual extension). RunError on a full disk.
    """
    with _writing(workdir):
        files = {}
        for path in sorted(workdir.rglob("*")):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise ValueError(f"a result holds plain files only, not {path.name}")
            if path.is_file():
                files[path.relative_to(workdir).as_posix()] = {"size": path.stat().st_size, "sha256": sha256_file(path)}
                _sync(path)
            else:
                sync_folder(path)
        if ROW_FILE in files:
            raise ValueError(f"the name {ROW_FILE} is the store's own")
        sealed = {"format": FORMAT, "stage": stage, "key": key, "row": row, "files": files}
        text = json.dumps(sealed, ensure_ascii=False, default=_plain)
        with open(workdir / ROW_FILE, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(workdir)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk."""
    _sync(path)


def _plain(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    raise TypeError(f"a row holds JSON values; {type(value).__name__} is none")


def _sync(path: Path) -> None:
    with _opened(path, os.O_RDONLY) as handle:
        os.fsync(handle)


def _make_folders(folder: Path, root: Path) -> None:
    """mkdir -p from root downwards; a new name is on the disk before anything is put under it."""
    if not folder.is_dir():
        if folder != root:
            _make_folders(folder.parent, root)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            sync_folder(folder.parent)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags)
    try:
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error

"""The folder that ``radpipe ingest`` makes: whose it is, what stands in it, and how it changes without ever being half.

manifest.csv      what ``radpipe run`` takes; written last and taken away first, so that it never names a file of another ingest
images/ masks/ overlays/ and tables beside it           ingest.radpipe/  results by content (radpipe.io.store), lock and record
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from radpipe.errors import RunError
from radpipe.io.files import atomic_write, cannot_write, sweep_torn, write_bytes
from radpipe.io.locks import holding

MANIFEST = "manifest.csv"
OWN = "ingest.radpipe"
FORMAT = 1
_PARTS = ("images", "masks", "overlays")
_IGNORED = {".DS_Store", "Thumbs.db", "desktop.ini"}


class CohortFolder:
    """path : made by :meth:`lock` where it is not there yet."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).resolve()
        self.store = self.path / OWN
        self.log = self.store / "logs" / "run.log"
        self._claim = self.store / "made_with.json"
        self._record = self.store / "files.json"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process. RunError where another one holds it, or where something else's files are in it."""
        self._refuse_foreign()
        with holding(self.store / "lock") as (_, ours):
            if not ours:
                raise RunError(
                    "another radpipe ingest is writing to this folder.",
                    hint="Wait for it, or choose another --out.",
                    path=self.path,
                )
            for name in ("", *_PARTS):  # where one that was killed was writing
                sweep_torn(self.path / name)
            yield

    def check_claim(self, made_with: Mapping[str, Any], *, redo: bool) -> None:
        """RunError where the folder was made with something else, or its manifest was edited since; nothing is written.

        made_with : option -> value, in words that can be shown. redo : it is to be made anew.
        """
        self._refuse_foreign()
        before = _loaded(self._claim)
        if before is None or redo:
            return
        different = [name for name in {**before, **made_with} if before.get(name) != made_with.get(name)]
        if different:
            shown = ", ".join(f"{name} ({before.get(name)!s} then, {made_with.get(name)!s} now)" for name in different)
            raise RunError(
                f"this cohort was made with other settings: {shown}.",
                hint="Say --redo to make it anew (what is the same is not computed again), or choose another --out.",
                path=self.path,
            )
        known = (_loaded(self._record) or {}).get(MANIFEST)
        manifest = self.path / MANIFEST
        if known and manifest.is_file() and _digest(manifest.read_bytes()) != known["source"]:
            raise RunError(
                "this manifest was edited since it was made.",
                hint="Say --redo to lose the edits, or choose another --out.",
                path=manifest,
            )

    def claim(self, made_with: Mapping[str, Any]) -> None:
        """Remember what the cohort is made with."""
        write_bytes(self._claim, json.dumps(dict(made_with), indent=1, sort_keys=True).encode())

    def publish(self, files: Mapping[str, tuple[str, Path] | bytes]) -> None:
        """Make the folder hold exactly these files, besides what others put there.

        files : name in the folder -> its bytes, or (a key of its content, a file to copy). The manifest is written last. A file
        that stands there already, as it was written, is left as it is.
        """
        before = _loaded(self._record) or {}
        keyed = {name: _digest(made) if isinstance(made, bytes) else made[0] for name, made in files.items()}
        stale = {name for name in before if name not in files}
        wanted = [name for name in files if not self._stands(name, before.get(name), keyed[name])]
        if not wanted and not stale:
            return
        manifest = self.path / MANIFEST
        if manifest.exists() and MANIFEST in before:
            manifest.unlink()
        # What a killed run leaves behind is in the record too, so the next one finds and replaces it.
        self._remember({**before, **{name: {"source": ""} for name in wanted}})
        for name in sorted(stale):
            self._inside(name).unlink(missing_ok=True)
        done = {name: before[name] for name in files if name not in wanted}
        for name in sorted(wanted, key=lambda name: (name == MANIFEST, name)):
            made, path = files[name], self._inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(made, bytes):
                write_bytes(path, made)
            else:
                with atomic_write(path) as temporary:
                    shutil.copyfile(made[1], temporary)
            found = path.stat()
            done[name] = {"source": keyed[name], "size": found.st_size, "mtime_ns": found.st_mtime_ns}
        self._remember(done)
        for folder in {self._inside(name).parent for name in stale}:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()

    def _stands(self, name: str, known: Mapping[str, Any] | None, source: str) -> bool:
        try:
            found = self._inside(name).stat()
        except OSError:
            return False
        return known is not None and (known["source"], known.get("size"), known.get("mtime_ns")) == (
            source, found.st_size, found.st_mtime_ns,
        )  # fmt: skip

    def _inside(self, name: str) -> Path:
        path = self.path / name
        if path.parent.resolve() not in {self.path, *(self.path / part for part in _PARTS)}:
            raise RunError(
                f"the name {name!r} leads out of the cohort's folder.", hint="Report this fault in radpipe.", path=self.path
            )
        return path

    def _remember(self, record: Mapping[str, Any]) -> None:
        write_bytes(self._record, json.dumps(dict(sorted(record.items())), indent=0).encode())

    def _refuse_foreign(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunError("the output folder is a file.", hint="Choose another --out.", path=self.path)
        try:
            there = set(os.listdir(self.path)) - _IGNORED if self.path.exists() else set()
        except OSError as error:
            raise cannot_write(self.path, error) from error
        if there and OWN not in there:
            raise RunError(
                f"the output folder holds other files ({sorted(there)[0]!r}).",
                hint="Choose an empty or new --out.",
                path=self.path,
            )


def _loaded(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

"""One case's maps on the disk: ``maps.json``, the maps, and blocks of values that are not whole maps yet.

``maps.json`` holds the content key of what the maps are of. A folder with another key, or with files and no ``maps.json``, is
refused; one with the same key is carried on with: what is there and whole is kept. Blocks and maps are written under a
temporary name and renamed, so that a killed process leaves nothing that could be taken for a result.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radpipe.core.grid import Grid
from radpipe.errors import RunError
from radpipe.io.files import cannot_write, sweep_torn, write_bytes
from radpipe.io.locks import holding
from radpipe.io.maps import SUFFIXES, ZARR_NAME, ZarrMaps, digest_of, write_map
from radpipe.typing import IntArray, Volume

MANIFEST = "maps.json"
FORMAT = 1
_BLOCKS = ".blocks"
_LOCK = ".lock"
_VALUE = np.dtype("<f4")
Box = tuple[slice, slice, slice]


class MapFolder:
    """The folder of one case; a context manager that keeps other processes out of it.

    key : content key of image, mask, settings, layout. layout : nrrd, nifti or zarr. RunError where the folder holds something
    else, is in use, or may not be written to.
    """

    def __init__(self, path: Path, key: str, layout: str) -> None:
        self.path = path
        self.key = key
        self.layout = layout
        self._held = contextlib.ExitStack()
        self._manifest: dict[str, Any] = {}
        self._zarr: ZarrMaps | None = None

    def __enter__(self) -> MapFolder:
        check_folder(self.path, self.key)
        with contextlib.ExitStack() as until_now:
            _, ours = until_now.enter_context(holding(self.path / _LOCK))
            if not ours:
                raise RunError(
                    "another process is writing maps into this folder.",
                    hint="Wait for it, or name another folder.",
                    path=self.path,
                )
            self._held = until_now.pop_all()
        found = _read_manifest(self.path)
        self._manifest = found if found and found.get("key") == self.key else {}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            (self.path / _LOCK).unlink()
        self._held.close()

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the maps, where an earlier run got as far as to know them."""
        return tuple(self._manifest.get("columns", ()))

    @property
    def centres(self) -> int:
        """Values of a map."""
        return int(self._manifest.get("centres", 0))

    def begin(
        self, columns: Sequence[str], centres: IntArray, grid: Grid, box: Box, initial: float, about: Mapping[str, Any]
    ) -> None:
        """What the maps are; about : what else a reader of ``maps.json`` should know (JSON values)."""
        self._centres, self._grid, self._box, self._initial = centres, grid, box, initial
        same = self._manifest.get("columns") == list(columns) and self._manifest.get("centres") == len(centres)
        self._manifest = {
            "format": FORMAT,
            "key": self.key,
            "layout": self.layout,
            "complete": False,
            **about,
            "grid": {
                "size_zyx": list(grid.shape),
                "spacing_mm_zyx": list(grid.spacing_mm),
                "origin_mm_lps_xyz": list(grid.origin_mm),
                "direction_lps": list(grid.direction),
            },
            "box_zyx": [[side.start, side.stop] for side in box],
            "centres": len(centres),
            "initial": initial if np.isfinite(initial) else str(initial),
            "columns": list(columns),
            "maps": dict(self._manifest["maps"]) if same else {},
        }
        self._save()
        try:
            (self.path / _BLOCKS).mkdir(exist_ok=True)
            sweep_torn(self.path)
            sweep_torn(self.path / _BLOCKS)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        if self.layout == "zarr":
            self._zarr = ZarrMaps(self.path / ZARR_NAME, grid, columns, initial, {"key": self.key, **about})

    # blocks

    def has_block(self, response: int, start: int, shape: tuple[int, int]) -> bool:
        """Whether that block is there and whole."""
        path = self._block(response, start)
        return path.is_file() and path.stat().st_size == shape[0] * shape[1] * _VALUE.itemsize

    def write_block(self, response: int, start: int, values: NDArray[Any]) -> None:
        """(features, n) of the centres from ``start`` on."""
        write_bytes(self._block(response, start), values.astype(_VALUE).tobytes())

    def _block(self, response: int, start: int) -> Path:
        return self.path / _BLOCKS / f"{response:04d}-{start:010d}.f4"

    def _row(self, response: int, row: int, rows: int, starts: Sequence[int]) -> NDArray[np.float32]:
        """One feature at all centres."""
        parts = []
        for start in starts:
            with open(self._block(response, start), "rb") as file:
                count = os.fstat(file.fileno()).st_size // rows
                file.seek(row * count)
                parts.append(np.frombuffer(file.read(count), _VALUE))
        return np.concatenate(parts)

    # maps

    def written(self, columns: Sequence[str]) -> bool:
        """Whether all these maps are there with the bytes that were written."""
        maps = self._manifest.get("maps", {})
        with contextlib.suppress(OSError):
            return all(column in maps and digest_of(self._files(column)) == maps[column] for column in columns)
        return False

    def write_response(self, response: int, columns: Sequence[str], starts: Sequence[int], threads: int = 1) -> None:
        """The maps of one response from its blocks, which are removed. threads : maps packed at a time."""
        within = tuple((self._centres - [side.start for side in self._box]).T)
        shape = [side.stop - side.start for side in self._box]

        def write(row: int) -> dict[str, Any]:
            column = columns[row]
            voxels: Volume = np.full(shape, self._initial, np.float32)
            voxels[within] = self._row(response, row, len(columns), starts)
            if self._zarr is not None:
                self._zarr.write(self._manifest["columns"].index(column), voxels, self._box)
            else:
                write_map(self._file(column), column, voxels, self._box, self._grid, self._initial)
            return digest_of(self._files(column))

        with ThreadPoolExecutor(threads) as pool:
            self._manifest["maps"] |= zip(columns, pool.map(write, range(len(columns))), strict=True)
        self._save()
        for start in starts:
            self._block(response, start).unlink()

    def finish(self) -> None:
        """All maps are there."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path / _BLOCKS)
        self._manifest["complete"] = True
        self._save()

    def _file(self, column: str) -> Path:
        return self.path / f"{column}{SUFFIXES[self.layout]}"

    def _files(self, column: str) -> list[Path]:
        if self.layout != "zarr":
            return [self._file(column)]
        channel = self._manifest["columns"].index(column)
        folder = self.path / ZARR_NAME / "0" / str(channel)
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def _save(self) -> None:
        write_bytes(self.path / MANIFEST, (json.dumps(self._manifest, indent=1, ensure_ascii=False) + "\n").encode())


def check_folder(path: Path, key: str) -> None:
    """RunError where maps of that key may not be written into the folder; one that is not there yet may be made. Asked before
    anything is read or computed."""
    try:
        if path.exists() and not path.is_dir():
            raise RunError("this is a file; maps are written into a folder.", hint="Name a folder.", path=path)
        there = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "Permission denied")
        names = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    except OSError as error:
        raise cannot_write(path, error) from error
    names = {name for name in names if name != _LOCK and not (name.startswith(".") and name.endswith(".tmp"))}
    if not names:
        return
    manifest = _read_manifest(path)
    if manifest is None:
        raise RunError(
            f"the folder holds other files ({', '.join(sorted(names)[:3])}) and no {MANIFEST}; maps are not mixed with them.",
            hint="Name a new or empty folder.",
            path=path,
        )
    if manifest.get("key") != key:
        raise RunError(
            "the folder holds maps of another image, mask, setting, format or version of radpipe; they are not mixed.",
            hint="Name a new folder, or remove this one.",
            path=path,
        )


def is_complete(path: Path, key: str) -> bool:
    """Whether the folder holds all maps of that key, as they were written."""
    manifest = _read_manifest(path)
    if manifest is None or manifest.get("key") != key or not manifest.get("complete"):
        return False
    with MapFolder(path, key, manifest["layout"]) as folder:
        return folder.written(folder.columns)


def _read_manifest(path: Path) -> dict[str, Any] | None:
    """None where there is none, or it is none of radpipe's."""
    try:
        content = json.loads((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("format") == FORMAT else None

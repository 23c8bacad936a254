"""Where everything of a run lies; no other file builds a path.

run.json                which workflow the folder belongs to        run.lock    held while a run is at work
config.yaml             the settings with every default             records.json  what the one-piece stages were made from
refit/                  tables of `radpipe predict`                 origin.json  where the settings' paths start, and the code's version
question.json           what it was asked, and whether before the outcomes were read
<table>.parquet, .csv   the tables (radpipe.core.tables)            report.html
masks/ probabilities/   predicted outlines, one file a case         models/<name>/repeat0_fold1/
logs/run.log            what was printed and every traceback        timings.csv   seconds and memory; in no table
store/                  results by content key (radpipe.io.store)   inputs/       working tables by content
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import filecmp
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from radpipe.errors import RunError
from radpipe.io.files import atomic_write, cannot_write, sweep_torn
from radpipe.io.locks import holding
from radpipe.io.store import ROW_FILE

FORMAT = 1
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TIMING_COLUMNS = ("finished", "stage", "task_id", "tries", "wall_s", "cpu_s", "peak_mb")


class RunFolder:
    """path : made by :meth:`lock` where it is not there yet."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).resolve()
        self.config = self.path / "config.yaml"
        self.records = self.path / "records.json"
        self.origin = self.path / "origin.json"
        self.report = self.path / "report.html"
        self.log = self.path / "logs" / "run.log"
        self.timings = self.path / "timings.csv"
        self.store = self.path / "store"
        self._marker = self.path / "run.json"
        self._questions = self.path / "question.json"
        self._lock = self.path / "run.lock"

    # whose folder it is

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; RunError where another process holds it, or where it is something else's."""
        self._refuse_foreign()
        with holding(self._lock) as (file, ours):
            if not ours:
                raise RunError(
                    f"the output folder is in use by {_holder(file.read())}.",
                    hint="Wait for that run or stop it, or choose another --out.",
                    path=self.path,
                )
            since = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
            file.flush()
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    file.truncate(0)

    def check_claim(self, workflow: str) -> None:
        """RunError where the folder belongs to another workflow or is something else's; nothing is written."""
        self._refuse_foreign()
        try:
            owner = json.loads(self._marker.read_text(encoding="utf-8"))
            name, version = str(owner["workflow"]), int(owner["radpipe_run"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:
            hint = "Choose another --out, or remove the folder."
            raise RunError("this file does not say whose run it is.", hint=hint, path=self._marker) from error
        if version > FORMAT:
            raise RunError("the output folder was made by a newer radpipe.", hint="Use that, or another --out.", path=self.path)
        if name != workflow:
            raise RunError(
                f"the output folder belongs to the workflow {name!r}, and this is {workflow!r}.",
                hint="Choose another --out, or give the workflow its name back.",
                path=self.path,
            )

    def claim(self, workflow: str) -> None:
        """Make the folder this workflow's; call it while holding the lock."""
        self.check_claim(workflow)
        if not self._marker.exists():
            with atomic_write(self._marker) as temporary:
                temporary.write_text(json.dumps({"radpipe_run": FORMAT, "workflow": workflow}) + "\n", encoding="utf-8")

    def _refuse_foreign(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunError("the output folder is a file.", hint="Choose another --out.", path=self.path)
        try:
            foreign = [] if not self.path.exists() else sorted(set(os.listdir(self.path)) - {self._lock.name, ".DS_Store"})
        except OSError as error:
            raise cannot_write(self.path, error) from error
        if foreign and not self._marker.exists():
            raise RunError(
                f"the output folder is not empty and holds no run of radpipe ({', '.join(foreign[:3])}, ...).",
                hint="Choose a new or empty folder for --out.",
                path=self.path,
            )

    def record_question(self, key: str, question: Mapping[str, Any]) -> None:
        """Write down what the run is asked, before a stage runs, unless it was asked that the last time too."""
        history = self.questions()
        if history and history[-1]["sha256"] == key:
            return
        entry = {"sha256": key, "question": dict(question), "after_outcomes": self.table("cohort").is_file()}
        with atomic_write(self._questions) as temporary:
            temporary.write_text(json.dumps([*history, entry], indent=1) + "\n", encoding="utf-8")

    def questions(self) -> list[dict[str, Any]]:
        """Every question the folder was given, oldest first: sha256, question, after_outcomes. RunError where it cannot be read."""
        try:
            found = json.loads(self._questions.read_text(encoding="utf-8"))
            return [{name: entry[name] for name in ("sha256", "question", "after_outcomes")} for entry in found]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError) as error:
            hint = "Choose another --out: without it nobody can say what was asked before the outcomes were read."
            raise RunError("this file does not say what the run was asked.", hint=hint, path=self._questions) from error

    def sweep(self) -> None:
        """Remove the temporary files of a run that was killed while it wrote; call it while holding the lock."""
        sweep_torn(self.path)
        for name in ("inputs", "masks", "probabilities", "models"):
            sweep_torn(self.path / name, deep=True)

    # where things lie

    def table(self, name: str) -> Path:
        """The Parquet file of a table; its CSV has the same name."""
        return self.path / f"{name}.parquet"

    def inputs(self, key: str) -> Path:
        """A working table for child processes, named by its content."""
        return self._made(self.path / "inputs") / f"{key}.parquet"

    def relative(self, path: Path) -> str:
        """A path inside the folder as it stands in tables: relative, with forward slashes."""
        return Path(os.path.relpath(path, self.path)).as_posix()  # a refit's store lies beside its folder

    def outline_paths(self, case_id: str, repeat: int = -1, fold: int = -1) -> dict[str, Path]:
        """mask_path and probability_path of a case; one level deeper where outlines differ between outer folds."""
        below = _fold_name(repeat, fold)
        name = f"{safe_name(case_id)}.nii.gz"
        return {"mask_path": self.path / "masks" / below / name, "probability_path": self.path / "probabilities" / below / name}

    def model(self, name: str, repeat: int, fold: int) -> Path:
        """The folder of one fitted model."""
        return self.path / "models" / safe_name(name) / _fold_name(repeat, fold)

    # what is handed out of the store

    def publish(self, stored: Path, case_id: str, repeat: int = -1, fold: int = -1) -> dict[str, str]:
        """Copy a stored outline to where a reader looks for it; its mask_path and probability_path, relative."""
        paths = self.outline_paths(case_id, repeat, fold)
        self._copy(stored / "mask.nii.gz", paths["mask_path"])
        self._copy(stored / "probability.nii.gz", paths["probability_path"])
        return {name: self.relative(path) for name, path in paths.items()}

    def publish_model(self, stored: Path, name: str, repeat: int, fold: int) -> str:
        """Copy a stored model to where a reader looks for it; its folder, relative."""
        folder = self.model(name, repeat, fold)
        for path in sorted(stored.iterdir()):
            if path.name != ROW_FILE:
                self._copy(path, folder / path.name)
        return self.relative(folder)

    def keep_only(self, top: str, published: Iterable[str]) -> None:
        """Remove from ``masks``, ``probabilities`` or ``models`` what an earlier run with other settings published.

        published : relative paths, of files or of whole folders, that stay.
        """
        keep = {self.path / name for name in published}
        for path in sorted((self.path / top).rglob("*"), reverse=True):
            if not path.is_dir() and not keep.intersection((path, *path.parents)):
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def _copy(self, source: Path, target: Path) -> None:
        # A copy and no link: a reader who edits it must not edit the stored result.
        if target.is_file() and filecmp.cmp(source, target, shallow=False):
            return
        self._made(target.parent)
        with atomic_write(target) as temporary:
            shutil.copyfile(source, temporary)

    def _made(self, folder: Path) -> Path:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        return folder

    # what is no result

    def add_timings(self, timings: Iterable[Mapping[str, Any]]) -> None:
        """Append what was computed now (not what was found) to timings.csv; see MapResult.timings."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        computed = [timing for timing in timings if not timing["found"]]
        if not computed:
            return
        try:
            new = not self.timings.exists()
            with open(self.timings, "a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if new:
                    writer.writerow(_TIMING_COLUMNS)
                for timing in computed:
                    numbers = [round(float(timing[name]), 3) for name in _TIMING_COLUMNS[4:]]
                    writer.writerow([now, timing["stage"], _no_formula(str(timing["task_id"])), timing["tries"], *numbers])
        except OSError as error:
            raise cannot_write(self.timings, error) from error


def safe_name(name: str) -> str:
    """A file name for an id: itself where it is plain, else percent-encoded; never a path, never too long, no two alike."""
    if _PLAIN.fullmatch(name) and len(name) <= 100:
        return name
    encoded = quote(name, safe="")
    if not _PLAIN.match(encoded):  # a leading dot, or nothing at all
        encoded = "%" + (f"{ord(name[0]):02X}" if name else "") + encoded[1:]
    return encoded if len(encoded) <= 100 else f"{encoded[:80]}%{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _fold_name(repeat: int, fold: int) -> str:
    return "" if repeat < 0 else f"repeat{repeat}_fold{fold}"


def _no_formula(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):  # it has just taken the lock and not written its name yet
        return "another process"

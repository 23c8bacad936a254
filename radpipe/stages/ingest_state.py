"""One ingest: what was met in the export, what is paired, and what became of it; and what its steps share."""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radpipe.core.keys import content_key
from radpipe.errors import RadpipeError
from radpipe.intake import ingest_table
from radpipe.intake.deidentify.identity import Secret
from radpipe.intake.discretion import Discretion
from radpipe.intake.ingest_table import Item
from radpipe.intake.pairing import ImageFacts, Pair, RegionFacts
from radpipe.io.cohort_folder import CohortFolder
from radpipe.io.dicom.registration import Registration
from radpipe.io.dicom.scan import Series
from radpipe.io.files import atomic_write, sha256_file
from radpipe.io.store import Store, StoredResult
from radpipe.stages._parallel import MapResult, Task, map_tasks
from radpipe.stages._pool import Pool
from radpipe.stages.ingest_settings import Limits, Options, read_secret
from radpipe.typing import FloatArray

if TYPE_CHECKING:
    from radpipe.stages._progress import Progress

KEY_FILE = "pseudonyms.key"
_ROOMS = ("intake", "io", "preprocessing")
_SAID_HERE = {
    "compute.case_memory_mb": "--case-memory-mb",
    "compute.case_timeout_s": "--case-timeout-s",
    "have it resampled (radpipe ingest --uneven resample)": "say --uneven resample",
    " Or read the values as they are stored (in Python, suv=None).": "",
}
"""What the readers call their parameters -> the options of the command."""
_LIBRARIES = ("highdicom", "matplotlib", "numpy", "pydicom", "pyjpegls", "pylibjpeg", "scipy", "simpleitk")


@dataclass
class Ingested:
    """How it ended. rows : of the manifest. notes : lines for the user."""

    rows: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    items: list[Item]
    regions: list[dict[str, Any]]
    identified: int  # DICOM files that do not say that they are de-identified
    dicom: int
    files: int
    discreet: bool = False  # pseudonyms stand for the ids of the export
    kept: bool = False  # the user asked that they be kept
    notes: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)


@dataclass
class ImageOf:
    """An image of the export: a DICOM series, or a volume file."""

    facts: ImageFacts
    files: tuple[str, ...]
    item: Item
    series: Series | None = None
    result: StoredResult | None = None
    failure: dict[str, Any] | None = None


@dataclass
class RegionsOf:
    """A file of regions. path : to read it from. drawn : (image, place in the file) -> what became of it, and where its mask is."""

    facts: RegionFacts
    relative: str
    path: Path
    item: Item
    case_id: str = ""  # what a failure of the whole file is called
    drawn: dict[tuple[str, int], tuple[dict[str, Any], Path]] = field(default_factory=dict)


class Ingest:
    """One ingest: what was met, what is paired, what became of it."""

    def __init__(
        self, folder: Path, cohort: CohortFolder, options: Options, workers: int | None, scheduler: str, limits: Limits,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        from radpipe.stages._progress import Progress

        self.folder, self.cohort, self.options = folder.resolve(), cohort, options
        self.progress = progress or Progress(quiet=True)
        self.pool = Pool(
            workers or "auto", scheduler=scheduler, memory_mb=limits.memory_mb, timeout_s=limits.timeout_s, log=cohort.log
        )
        self.store = Store(cohort.store)
        self.walked: list[str] = []
        self.images: dict[str, ImageOf] = {}
        self.regions: dict[str, RegionsOf] = {}
        self.others: list[Item] = []
        self.pairs: list[Pair] = []
        self.failures: list[dict[str, Any]] = []
        self.remarks: dict[str, str] = {}
        self.matrices: dict[str, list[Registration]] = defaultdict(list)
        self.unnamed: set[str] = set()
        self.identified = self.dicom = 0
        self.secret = self._secret()
        self.discretion: Discretion | None = None  # of this export; known when its headers are read
        self.real: dict[str, str] = {}  # path as it is shown -> path within the export
        self.links: dict[tuple[str, str, str], FloatArray | None] = {}
        self.bad_links: set[str] = set()

    def __enter__(self) -> Ingest:
        self.store.__enter__()
        self.pool.__enter__()
        self.store.sweep()
        return self

    def __exit__(self, *error: Any) -> None:
        self.pool.__exit__(*error)
        self.store.__exit__(*error)

    def so_far(self, rows: list[dict[str, Any]] | None = None, regions: list[dict[str, Any]] | None = None) -> Ingested:
        """What was met, and became of it until now."""
        items = {
            id(one): one
            for one in (*(i.item for i in self.images.values()), *(r.item for r in self.regions.values()), *self.others)
        }
        listed = sorted(
            items.values(), key=lambda item: (item.patient_id, item.item, item.modality, item.series_number or 0, item.files)
        )
        for item in listed:
            if item.used and item.item != "registration":
                item.why = ""
        for key, text in self.remarks.items():
            if self.regions[key].item.used:
                self.regions[key].item.why = text
        order = sorted(self.failures, key=lambda row: (row["case_id"], row["file"], row["problem"]))
        placed = sorted(
            regions or [], key=lambda row: (row["patient_id"], row["modality"], row["case_id"], row["file"], row["name"])
        )
        return Ingested(
            rows or [],
            order,
            listed,
            placed,
            self.identified,
            self.dicom,
            len(self.walked),
            self.discretion is not None,
            self.options.keep_ids,
        )

    # who may be seen

    def _secret(self) -> Secret | None:
        """The user's, or this cohort's own: made once, so that the same command carries on where it was."""
        if self.options.keep_ids:
            return None
        if self.options.secret is None and not self._own_key.is_file():
            with atomic_write(self._own_key) as temporary:
                temporary.write_text(secrets.token_urlsafe(32), encoding="utf-8")
                temporary.chmod(0o600)
        self._key_file = (self.options.secret or self._own_key).resolve()
        return read_secret(self._key_file)

    @property
    def _own_key(self) -> Path:
        return self.cohort.store / KEY_FILE

    def seen_as(self, discretion: bool) -> dict[str, Any]:
        """For the payload of a task that reads headers: what it may tell of them."""
        regions = self.options.region_map
        return {
            "key_file": str(self._key_file) if discretion else "", "words": list(self.options.allowed),
            "region_map": None if regions is None else {name: list(like) for name, like in regions.names.items()},
        }  # fmt: skip

    def seen_key(self, discretion: bool) -> list[str]:
        """The same for its key."""
        if not discretion or self.secret is None:
            return []
        regions = self.options.region_map
        named = [] if regions is None else [f"{name}={like}" for name, like in sorted(regions.names.items())]
        return [self.secret.check(), *sorted(self.options.allowed), *named]

    @property
    def seen(self) -> dict[str, Any]:
        return self.seen_as(self.discretion is not None)

    def name(self, relative: str) -> str:
        """How a path within the export is shown."""
        return relative if self.discretion is None else self.discretion.path(relative)

    # small things

    def map(self, name: str, function: str, tasks: Sequence[Task]) -> MapResult:
        return map_tasks(
            tasks, stage=f"ingest_{name}", function=f"radpipe.stages.intake_work:{function}", pool=self.pool, store=self.store,
            progress=self.progress, preload="intake",
        )  # fmt: skip

    def key(self, name: str, **parts: Any) -> str:
        seen = self.seen_key(self.discretion is not None)
        return content_key(stage=f"ingest_{name}", engine=_engine(), **({"seen": seen} if seen else {}), **parts)

    def digests(self, paths: Iterable[Path]) -> dict[Path, str | RadpipeError]:
        """SHA-256 of every file, each read once. Threads, because hashing releases the interpreter."""

        def digest(path: Path) -> str | RadpipeError:
            try:
                return sha256_file(path)
            except RadpipeError as error:
                return error

        listed = list(dict.fromkeys(paths))
        with ThreadPoolExecutor(self.pool.workers) as threads:
            return dict(zip(listed, threads.map(digest, listed), strict=True))

    def leave(self, item: Item, facts: dict[str, Any], case_id: str = "") -> None:
        item.why = plain(facts["problem"])
        self.others.append(item)
        self.fail(case_id or item.patient_id, self.shown(facts.get("path", "")) or item.files[0], item.item, facts)

    def fail(self, case_id: str, file: str, item: str, facts: dict[str, Any]) -> None:
        hint = facts["hint"]
        for ours, theirs in _SAID_HERE.items():
            hint = hint.replace(ours, theirs)
        row = {"case_id": case_id, "file": file, "item": item, "error": facts["error"], "problem": facts["problem"], "hint": hint}
        if row not in self.failures:
            self.failures.append(row)

    def where(self, facts: dict[str, Any], image: ImageOf) -> str:
        named = self.shown(facts.get("path", ""))
        if named:
            return named
        return image.files[0] if len(image.files) == 1 else ingest_table.common_folder(image.files)

    def shown(self, path: str) -> str:
        """A path within the export, relative to it; nothing of any other."""
        if not path:
            return ""
        found = Path(path)
        if found.is_absolute():
            return self.name(relative(found, self.folder)) if found.is_relative_to(self.folder) else ""
        return path


def failed_of(tasks: Sequence[Task], result: MapResult) -> dict[str, dict[str, Any]]:
    """task_id -> its failure."""
    return dict(zip((task.task_id for task in tasks if task.task_id not in result.done), result.failures, strict=True))


def relative(path: Path, folder: Path) -> str:
    """As io.dicom.scan writes it: text that a table can hold, whatever the name."""
    return path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()


def sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def plain(text: str) -> str:
    return text.rstrip(".")


@cache
def _engine() -> str:
    """What a result depends on besides its inputs: the source that makes it, and the libraries it uses."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    sources = [source for room in ("core", *_ROOMS) for source in sorted((package / room).rglob("*.py"))]
    sources += [package / "stages" / "intake_work.py", package / "report" / "overlay.py", package / "report" / "map_pictures.py"]
    for source in sources:
        digest.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes() + b"\0")
    for library in _LIBRARIES:
        try:
            version = metadata.version(library)
        except metadata.PackageNotFoundError:  # a decoder that this Python has no wheel of
            version = "none"
        digest.update(f"{library}={version};".encode())
    return digest.hexdigest()[:16]

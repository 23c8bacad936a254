"""An export -> a folder that may leave the hospital: the door of ``radpipe deidentify``.

Headers first, in blocks; then every file is built anew in a worker's child, which writes it where it belongs, whole or not at
all. Three folders: OUT holds clean files and reports without a name; OUT.private who is who, and which file was which item;
OUT.quarantine pictures of what a person must look at. Results are found again by their content, so the same command carries on.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radpipe.core.intake_tables import DEIDENTIFIED, DEIDENTIFY_FILES, DEIDENTIFY_QUARANTINE, DEIDENTIFY_REMOVED, DEIDENTIFY_WORDS
from radpipe.core.keys import content_key
from radpipe.errors import ConfigError
from radpipe.intake.cases import unnamed_patient
from radpipe.intake.deidentify import profile
from radpipe.intake.deidentify.identity import Secret, assign
from radpipe.intake.discretion import Discretion
from radpipe.io.dicom.scan import walk
from radpipe.io.files import sweep_torn, write_bytes
from radpipe.io.store import Store
from radpipe.stages._parallel import MapResult, Task, map_tasks
from radpipe.stages._pool import Pool
from radpipe.stages.deidentify_folders import (
    SECRET,
    claim,
    loaded,
    locked,
    random_secret,
    read_table,
    remove,
    table_held,
    write_private,
    write_rows_of,
    write_table,
)
from radpipe.stages.deidentify_settings import Folders, Settings, plan_text
from radpipe.stages.deidentify_work import LEFT, QUARANTINED, REFUSED, WRITTEN
from radpipe.stages.ingest_settings import DEFAULT, Limits
from radpipe.stages.ingest_state import failed_of, relative

if TYPE_CHECKING:
    from radpipe.stages._progress import Progress

HEADERS_A_TASK, FILES_A_TASK = 200, 40
REPORT, REMOVED, QUARANTINE = "report.csv", "removed.csv", "quarantine.csv"
FILES, WORDS, TABLE = "files.csv", "words_to_allow.csv", "pseudonyms.csv"
_RECORD, _RUN, _STORE = "written.json", "run", "results"
_REGIONS = ("RT Structure Set", "Segmentation", "Label Map Segmentation")
_SEE_LOG = "logs/run.log in the private folder says more; the other files went on."
_LEFT = {"junk", "dicomdir", "link", "copy"}


@dataclass
class Item:
    """One file of the export. number : its name wherever a report may leave the hospital. facts : of its header.

    shown : its path for the terminal, whose lines may be kept: parts of it that may name somebody are replaced, and the table of
    files in OUT.private has it as it is.
    """

    relative: str
    path: Path
    facts: dict[str, Any]
    number: int = 0
    patient: str = ""
    status: str = ""
    what: str = ""
    why: str = ""
    hint: str = ""
    target: str = ""
    face: dict[str, str] | None = None
    shown: str = ""
    row: dict[str, Any] = field(default_factory=dict)

    def end(self, status: str, what: str, why: str, hint: str = "") -> None:
        self.status, self.what, self.why, self.hint = status, what, why, hint


@dataclass
class Deidentified:
    """How it ended. items : every file. pseudonyms : patient -> pseudonym. notes : lines for the user."""

    items: list[Item]
    pseudonyms: dict[str, str]
    folders: Folders
    table: Path
    removed: Counter[str]
    words: Counter[tuple[str, str]]
    notes: list[str] = field(default_factory=list)

    def count(self, status: str) -> int:
        return sum(item.status == status for item in self.items)


def deidentify(
    folder: Path, out: Path, settings: Settings | None = None, *, workers: int | None = None, scheduler: str = "local",
    limits: Limits = DEFAULT, progress: Progress | None = None,
) -> Deidentified:  # fmt: skip
    """Every file under ``folder`` built anew in ``out``, or quarantined, or refused by name. The export is never changed.

    ConfigError or RunError for what concerns the whole: folders within each other, a short secret, a pseudonym table of another
    secret, an output that holds other files.
    """
    settings = settings or Settings()
    settings.check()
    folders = Folders.beside(out)
    folders.check(folder, settings.pseudonyms)
    given = Secret.of(settings.secret) if settings.secret is not None else None
    table = settings.pseudonyms.resolve() if settings.pseudonyms else folders.private / TABLE
    if given is not None:
        read_table(table, given)
    with locked(folders):
        secret = given or random_secret(folders.private)
        read_table(table, secret)
        claim(folders, secret)
        with _Deidentify(folder.resolve(), folders, settings, secret, workers, scheduler, limits, progress) as state:
            state.look()
            with table_held(table):
                known = read_table(table, secret)
                names = assign((item.patient for item in state.open()), secret, known)
                write_table(table, {**known, **names}, secret)
            state.clean(names)
            done = state.finish(names, table)
    if given is None:
        done.notes.insert(
            0,
            f"no secret was given: pseudonyms are from random bytes in {folders.private / SECRET}. Without that file nobody, you "
            "included, can give the same patient the same pseudonym again.",
        )
    return done


class _Deidentify:
    def __init__(
        self, folder: Path, folders: Folders, settings: Settings, secret: Secret, workers: int | None, scheduler: str, limits: Limits,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        from radpipe.stages._progress import Progress

        self.folder, self.folders, self.settings, self.secret = folder, folders, settings, secret
        self.progress = progress or Progress(quiet=True)
        log = folders.private / "logs" / "run.log"
        self.pool = Pool(workers or "auto", scheduler=scheduler, memory_mb=limits.memory_mb, timeout_s=limits.timeout_s, log=log)
        self.store = Store(folders.private / _STORE)
        self.items: list[Item] = []
        self.notes: list[str] = []

    def __enter__(self) -> _Deidentify:
        self.store.__enter__()
        self.pool.__enter__()
        self.store.sweep()
        return self

    def __exit__(self, *error: Any) -> None:
        self.pool.__exit__(*error)
        self.store.__exit__(*error)

    def open(self) -> list[Item]:
        """Files of which nothing is said yet."""
        return [item for item in self.items if not item.status]

    # headers

    def look(self) -> None:
        """Every file's header, and what it already decides."""
        paths = list(walk(self.folder))
        if not paths:
            raise ConfigError("the folder is empty.", hint="Name the folder of the export.")
        self.progress.say(f"{len(paths)} files in the export")
        facts = self._headers(paths)
        self.items = [Item(relative(path, self.folder), path, found) for path, found in zip(paths, facts, strict=True)]
        # The order of paths may be that of names.
        for number, item in enumerate(sorted(self.items, key=lambda item: self.secret.hex("item", item.relative)), start=1):
            item.number = number
        known = {self.secret.pseudonym(item.facts["patient"]) for item in self.items if item.facts.get("patient")}
        discretion = Discretion(self.secret, known=frozenset(known))
        for item in self.items:
            item.shown = discretion.path(item.relative)
            found = item.facts
            if found["what"]:
                item.end(LEFT if found["what"] in _LEFT else REFUSED, found["what"], found["why"], found["hint"])
            elif found["sop_class"] not in profile.OBJECTS and found["sop_class"] not in profile.PICTURES:
                item.end(
                    REFUSED, "object-type", f"its object type, {found['object_type']}, is not on the list.",
                    "Leave it out; docs/deidentify.md lists what radpipe knows.",
                )  # fmt: skip
        self._patients()
        self._copies()

    def _headers(self, paths: Sequence[Path]) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        blocks = [list(range(start, min(start + HEADERS_A_TASK, len(paths)))) for start in range(0, len(paths), HEADERS_A_TASK)]
        for attempt in (blocks, None):
            if attempt is None:
                attempt = [[at] for at in range(len(paths)) if at not in found]
            tasks, of = [], {}
            for block in attempt:
                name = f"headers-{block[0]}-{len(block)}"
                work = self._hand_over(name, [str(paths[at]) for at in block])
                key = self.key("headers", files=[_stamp(paths[at], self.folder) for at in block])
                tasks.append(Task(name, key, {"work": work}))
                of[name] = block
            result = self.map("headers", "read_headers", tasks)
            for name, stored in result.done.items():
                found |= dict(zip(of[name], stored.row["files"], strict=True))
            if len(found) == len(paths):
                break
        lost = {"what": "damaged", "why": "its header could not be read: it needs too much memory or time.", "hint": ""}
        return [found.get(at, lost) for at in range(len(paths))]

    def _patients(self) -> None:
        """Whose file each is. One id in a study, one issuer of an id."""
        studies: dict[str, set[str]] = defaultdict(set)
        issuers: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))  # of an id, in each of its studies
        born: dict[str, set[str]] = defaultdict(set)
        for item in self.open():
            found = item.facts
            item.patient = found["patient"] or unnamed_patient(found["study"], found["frame"], found["series"], found["sop"])
            if found["study"]:
                studies[found["study"]].add(found["patient"])
            if found["patient"] and found["issuer"]:
                issuers[found["patient"]][found["study"]].add(found["issuer"])
            if found["patient"] and found["born"]:
                born[found["patient"]].add(found["born"])
        # Files of one study are one patient's, whoever wrote what into them; two studies that share no issuer may be two people's.
        doubtful = {
            patient for patient, of in issuers.items() if any(not one & other for one, other in combinations(of.values(), 2))
        }
        for item in self.open():
            found = item.facts
            if len(studies.get(found["study"], ())) > 1:
                item.end(
                    REFUSED, "patient-ids", "the files of its study bear different patient ids (or some none).",
                    "Find out whose it is and correct the others, or leave the study out.",
                )  # fmt: skip
            elif found["patient"] in doubtful:
                item.end(
                    REFUSED, "issuers", "its patient id was given by two issuers, so it may be two patients.",
                    "De-identify the files of each hospital by themselves.",
                )  # fmt: skip
        several = sum(len(dates) > 1 for dates in born.values())
        if several:
            self.notes.append(
                f"{several} patient{'s have' if several > 1 else ' has'} files with different birth dates under one id: if these are "
                "two people, they share a pseudonym."
            )

    def _copies(self) -> None:
        """Of files with the same bytes one is taken; files that share a SOPInstanceUID and differ are all kept."""
        seen: dict[str, Item] = {}
        names: Counter[str] = Counter()
        for item in sorted(self.open(), key=lambda item: item.number):
            found = item.facts
            first = seen.setdefault(found["sha256"], item)
            if first is not item:
                item.end(LEFT, "copy", f"it is a copy of item {first.number}.")
                continue
            parts = [self.secret.hex(name, found[name])[:12] for name in ("study", "series", "sop")]
            kind = found["object_type"].split()[0].lower()
            place = f"study-{parts[0]}/{kind}-{parts[1]}/{parts[2]}"
            names[place] += 1
            item.target = f"{place}{f'-{names[place]}' if names[place] > 1 else ''}.dcm"

    # files

    def clean(self, names: Mapping[str, str]) -> None:
        """Build every open file anew."""
        if self.settings.deface:
            self._faces()
        items = sorted(self.open(), key=lambda item: (item.patient, item.target))
        for item in items:
            item.target = f"{names[item.patient]}/{item.target}"
        before = loaded(self.folders.private / _RECORD)
        self._forget(before, {item.target for item in items}, {f"{item.number}.png" for item in items})
        plan_path = self.store.session_folder / "plan.json"
        words = _words(self.settings.words)
        plan = plan_text(self.settings, self.secret, words)
        write_private(plan_path, plan)
        waiting = [items[start : start + FILES_A_TASK] for start in range(0, len(items), FILES_A_TASK)]
        for attempt in ("blocks", "single"):
            tasks, of = [], {}
            for at, block in enumerate(waiting):
                name = f"{attempt}-{at}"
                entries = [self._entry(item, names) for item in block]
                work = self._hand_over(name, entries)
                told = [
                    {
                        **{name: value for name, value in entry.items() if name != "path"},
                        "face": (entry["face"] or {}).get("key", ""),
                    }
                    for entry in entries
                ]
                key = self.key("files", plan=self.secret.hex("plan", plan), files=told)
                stored = self.store.find("deidentify_files", key)
                if stored is not None and not all(
                    self._stands(row, item) for row, item in zip(stored.row["files"], block, strict=True)
                ):
                    self.store.discard(stored.folder)
                payload = {
                    "plan": str(plan_path),
                    "work": work,
                    "out": str(self.folders.out),
                    "quarantine": str(self.folders.quarantine),
                }
                tasks.append(Task(name, key, payload))
                of[name] = block
            result = self.map("files", "clean_block", tasks)
            failed = failed_of(tasks, result)
            waiting = []
            for name, block in of.items():
                if name in result.done:
                    for item, row in zip(block, result.done[name].row["files"], strict=True):
                        item.row = row
                        item.end(row["status"], row["what"], row["why"], row["hint"])
                elif attempt == "blocks" and len(block) > 1:
                    waiting += [[item] for item in block]
                else:
                    # What a crash says may quote the file; it stays in the log.
                    error = failed[name]["error"]
                    block[0].end(REFUSED, error, f"it could not be worked on ({error}).", _SEE_LOG)
            if not waiting:
                break

    def _faces(self) -> None:
        """Where the face is in every series that may show one; a series whose face cannot be blanked is refused."""
        series: dict[tuple[str, str], list[Item]] = defaultdict(list)
        for item in self.open():
            if item.facts["head"]:
                series[item.patient, item.facts["series"]].append(item)
        tasks, of = [], {}
        for at, ((patient, _), images) in enumerate(sorted(series.items())):
            regions = [
                item for item in self.open() if item.patient == patient and item.facts["object_type"] in _REGIONS
            ]  # fmt: skip
            named = any(item.facts["head"] == "named" for item in images)
            work = {"folder": str(self.folder), "images": [str(item.path) for item in images], "named": named,
                    "regions": [str(item.path) for item in regions]}  # fmt: skip
            name = f"faces-{at}"
            key = self.key("faces", images=[item.facts["sha256"] for item in images], named=named,
                           regions=sorted(item.facts["sha256"] for item in regions))  # fmt: skip
            tasks.append(Task(name, key, {"work": self._hand_over(name, work)}))
            of[name] = images
        result = self.map("faces", "find_faces", tasks)
        failed = failed_of(tasks, result)
        for name, images in of.items():
            stored = result.done.get(name)
            why, hint = (
                (failed[name]["problem"], failed[name]["hint"]) if stored is None else (stored.row["why"], stored.row["hint"])
            )
            if stored is None or why:
                for item in images:
                    item.end(REFUSED, "face", why, hint)
                continue
            for item, mask in zip(images, stored.row["masks"], strict=True):
                item.face = {"file": str(stored.file("faces.npz")), "name": mask, "key": stored.key} if mask else None

    def _entry(self, item: Item, names: Mapping[str, str]) -> dict[str, Any]:
        return {
            "path": str(item.path), "item": item.number, "sha256": item.facts["sha256"], "sop_class": item.facts["sop_class"],
            "pseudonym": names[item.patient], "days": self.secret.days(item.patient), "target": item.target,
            "head": item.facts["head"], "face": item.face,
        }  # fmt: skip

    def _stands(self, row: Mapping[str, Any], item: Item) -> bool:
        """Whether what a stored result says was written is still there."""
        if row["status"] == QUARANTINED and row["picture"]:
            return (self.folders.quarantine / row["picture"]).is_file()
        path = self.folders.out / item.target
        return bool(row["status"] != WRITTEN) or (path.is_file() and path.stat().st_size == int(row["size"]))

    def _forget(self, before: Mapping[str, Any], targets: set[str], pictures: set[str]) -> None:
        """Remove what an earlier run wrote and this one will not, and remember what this one may write."""
        for name in set(before.get("files", ())) - targets:
            remove(self.folders.out, name)
        for name in set(before.get("pictures", ())) - pictures:
            remove(self.folders.quarantine, name)
        self._remember(targets, pictures)

    def _remember(self, targets: set[str], pictures: set[str]) -> None:
        write_bytes(self.folders.private / _RECORD, json.dumps({"files": sorted(targets), "pictures": sorted(pictures)}).encode())

    # the end

    def finish(self, names: dict[str, str], table: Path) -> Deidentified:
        """Reports: what may leave in OUT, what may not in OUT.private."""
        sweep_torn(self.folders.private)
        for folder in (self.folders.out, self.folders.quarantine):  # here, where nobody of ours writes any more
            sweep_torn(folder, deep=True)
        for item in self.items:
            if item.status != WRITTEN and item.target:
                remove(self.folders.out, item.target)
                item.target = ""
            if item.status != QUARANTINED:
                remove(self.folders.quarantine, f"{item.number}.png")
        removed: Counter[str] = Counter()
        words: Counter[tuple[str, str]] = Counter()
        for item in self.items:
            removed.update(item.row.get("removed", {}))
            words.update((name, text) for name, text in item.row.get("replaced", ()))
        written = [item for item in self.items if item.status == WRITTEN]
        pictures = {item.row["picture"] for item in self.items if item.status == QUARANTINED and item.row.get("picture")}
        self._remember({item.target for item in written}, pictures)
        self._tables(names, removed, words)
        notes = list(self.notes)
        cleared = sum(bool(item.row.get("notes")) for item in written)
        if cleared:
            notes.append(
                f"in {cleared} files bits of the voxels beyond those stored were cleared: overlays and worse hide there."
            )
        heads = {item.patient for item in written if item.facts["head"] and not self.settings.deface}
        blanked = {item.patient for item in written if item.face}
        if blanked:
            notes.append(
                f"the face of {len(blanked)} patient{'s' if len(blanked) > 1 else ''} was blanked; brain and regions are untouched. Ears "
                "stay, and an eye should go over the pictures."
            )
        if heads:
            notes.append(
                f"{len(heads)} patient{'s have' if len(heads) > 1 else ' has'} CT or MR that may show the head: a face can be rebuilt "
                "from them and recognised. --deface blanks it."
            )
        return Deidentified(self.items, names, self.folders, table, removed, words, notes)

    def _tables(self, names: Mapping[str, str], removed: Counter[str], words: Counter[tuple[str, str]]) -> None:
        items = sorted(self.items, key=lambda item: item.number)
        report = [
            {
                "item": item.number, "object_type": item.facts.get("object_type", ""), "pseudonym": names.get(item.patient, ""),
                "status": item.status, "why": item.why, "what_to_do": item.hint, "file": item.target,
                "notes": "; ".join(item.row.get("notes", ())),
            }
            for item in items
        ]  # fmt: skip
        out, private, quarantine = self.folders.out, self.folders.private, self.folders.quarantine
        write_rows_of(out / REPORT, DEIDENTIFIED, report)
        write_rows_of(out / REMOVED, DEIDENTIFY_REMOVED, [{"keyword": name, "count": removed[name]} for name in sorted(removed)])
        kept = [
            {"item": item.number, "file": item.relative, "object_type": item.facts.get("object_type", ""), "status": item.status,
             "why": item.why, "what_to_do": item.hint}
            for item in sorted(self.items, key=lambda item: item.relative)
        ]  # fmt: skip
        write_rows_of(private / FILES, DEIDENTIFY_FILES, kept)
        listed = [{"keyword": name, "text": text, "count": words[name, text]} for name, text in sorted(words)]
        write_rows_of(private / WORDS, DEIDENTIFY_WORDS, listed)
        seen = [
            {
                "item": item.number,
                "object_type": item.facts.get("object_type", ""),
                "why": item.why,
                "picture": item.row.get("picture", ""),
            }
            for item in items
            if item.status == QUARANTINED
        ]
        if seen:
            write_rows_of(quarantine / QUARANTINE, DEIDENTIFY_QUARANTINE, seen)
        else:
            remove(quarantine, QUARANTINE)
            with suppress(OSError):  # not empty
                quarantine.rmdir()

    # small things

    def map(self, name: str, function: str, tasks: Sequence[Task]) -> MapResult:
        return map_tasks(
            tasks, stage=f"deidentify_{name}", function=f"radpipe.stages.deidentify_work:{function}", pool=self.pool,
            store=self.store, progress=self.progress, preload="deidentify",
        )  # fmt: skip

    def key(self, name: str, **parts: Any) -> str:
        return content_key(stage=f"deidentify_{name}", engine=_engine(), **parts)

    def _hand_over(self, name: str, work: Any) -> str:
        """Work as a file that goes with the run: names of files and patients do not travel through a scheduler."""
        path = self.store.session_folder / f"{name}.json"
        write_private(path, json.dumps(work))
        return str(path)


def _words(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the list of words cannot be read.", hint="Give a text file in UTF-8, one word a line.", path=path
        ) from error


def _stamp(path: Path, folder: Path) -> list[Any]:
    try:
        found = path.lstat()
    except OSError:
        return [relative(path, folder)]
    return [relative(path, folder), found.st_size, found.st_mtime_ns]


@cache
def _engine() -> str:
    """What a result depends on besides its input: the source that makes it."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    sources = [*sorted((package / "intake" / "deidentify").rglob("*.py")), *sorted((package / "io").rglob("*.py"))]
    for source in (*sources, package / "stages" / "deidentify_work.py", package / "stages" / "deidentify_settings.py"):
        digest.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]

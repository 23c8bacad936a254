"""A hospital's export -> a cohort: the door of ``radpipe ingest``.

Headers first, in blocks of files; then each file of regions, each image series and each pair of the two is a task of its own, in
a worker's child, found again by its content. What is not needed is not read. The cohort's folder changes last, and whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radpipe.cohort.initialise import VOLUME_SUFFIXES, guess_pairs
from radpipe.core.keys import content_key
from radpipe.errors import ConfigError, FileProblem, GeometryError, RadpipeError, RunError
from radpipe.intake import ingest_table
from radpipe.intake.cases import CaseFacts, LeftRegion, name_cases, unnamed_patient
from radpipe.intake.ingest_table import FAILED, LEFT, USED, Item
from radpipe.intake.pairing import OWN, REGISTERED, ImageFacts, Pair, RegionFacts, RoiFacts, Transfer, as_rows, pair_regions
from radpipe.intake.region_names import CENSUS_COLUMNS, NamedVolume, RegionMap, census, region_map_file
from radpipe.io.cohort_folder import MANIFEST, CohortFolder
from radpipe.io.dicom.registration import DEFORMABLE, Matrix, Registration, link
from radpipe.io.dicom.scan import DicomFile, Export, Left, Series, group, walk
from radpipe.io.files import sha256_file, write_bytes
from radpipe.io.labelled import names_path
from radpipe.io.rows import to_csv
from radpipe.io.store import Store, StoredResult
from radpipe.stages import intake_work as work
from radpipe.stages._child import classify
from radpipe.stages._parallel import MapResult, Task, map_tasks
from radpipe.stages._pool import Pool
from radpipe.typing import FloatArray

if TYPE_CHECKING:
    from radpipe.stages._progress import Progress

HEADERS_A_TASK = 200
ROIS, ROI_MAP = "rois.csv", "roi_map.yaml"
_ROOMS = ("intake", "io", "preprocessing")
_LIBRARIES = ("highdicom", "matplotlib", "numpy", "pydicom", "pyjpegls", "pylibjpeg", "scipy", "simpleitk")
_REGIONS = ("RTSTRUCT", "SEG")


@dataclass(frozen=True)
class Limits:
    """Of a series in a worker. memory_mb : resident. timeout_s : seconds."""

    memory_mb: float = 3000
    timeout_s: float = 900


DEFAULT = Limits()


@dataclass(frozen=True)
class Options:
    """What the user chose. modalities, descriptions : image series to take; empty: all. descriptions may be part of one, or a
    pattern. merge : regions of an image that the map gives one name become one. suv, uneven : see io.dicom.series."""

    modalities: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    transfer: Transfer = "auto"
    uneven: str = "refuse"
    suv: str = "bw"
    region_map: RegionMap | None = None
    merge: bool = False

    def words(self) -> dict[str, str]:
        """As they are remembered in the cohort's folder."""
        regions = None if self.region_map is None else {name: list(found) for name, found in self.region_map.names.items()}
        return {
            "--modality": " ".join(sorted(self.modalities)) or "all",
            "--series-description": " | ".join(sorted(self.descriptions)) or "all",
            "--transfer": self.transfer, "--uneven": self.uneven, "--suv": self.suv,
            "--roi-map": "none" if regions is None else content_key(regions=regions)[:12],
            "--merge-rois": "yes" if self.merge else "no",
        }  # fmt: skip


@dataclass(frozen=True)
class Outcomes:
    """The sheet to join. pseudonyms : the table that de-identification leaves, where the cases bear pseudonyms."""

    path: Path
    id_column: str
    pseudonyms: Path | None = None
    sheet: str | None = None
    day_first: bool | None = None

    def check(self) -> None:
        """What is wrong with the sheet as a whole is said before anything is converted."""
        from radpipe.intake.outcomes import check_sheet
        from radpipe.io.spreadsheets import read_pseudonyms, read_sheet

        check_sheet(read_sheet(self.path, self.id_column, sheet=self.sheet), self.id_column)
        if self.pseudonyms is not None:
            read_pseudonyms(self.pseudonyms)

    def words(self) -> str:
        parts = [sha256_file(path)[:12] for path in (self.path, self.pseudonyms) if path is not None]
        sheet = "" if self.sheet is None else f", sheet {self.sheet!r}"
        order = "" if self.day_first is None else f", {'day' if self.day_first else 'month'} first"
        return f"{' '.join(parts)} by {self.id_column!r}{sheet}{order}"


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
    notes: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)


@dataclass
class _Image:
    """An image of the export: a DICOM series, or a volume file."""

    facts: ImageFacts
    files: tuple[str, ...]
    item: Item
    series: Series | None = None
    result: StoredResult | None = None
    failure: dict[str, Any] | None = None


@dataclass
class _Regions:
    """A file of regions. path : to read it from. drawn : (image, place in the file) -> what became of it, and where its mask is."""

    facts: RegionFacts
    relative: str
    path: Path
    item: Item
    case_id: str = ""  # what a failure of the whole file is called
    drawn: dict[tuple[str, int], tuple[dict[str, Any], Path]] = field(default_factory=dict)


def ingest(
    folder: Path, out: Path, options: Options, *, outcomes: Outcomes | None = None, workers: int | None = None,
    scheduler: str = "local", limits: Limits = DEFAULT, progress: Progress | None = None, redo: bool = False,
) -> Ingested:  # fmt: skip
    """The export under ``folder`` as a cohort in ``out``. What is wrong with a file is a row of its failures.

    ConfigError or RunError for what concerns the whole: folders within each other, a cohort made with other settings (unless
    redo), a full disk, an outcome sheet that cannot be used.
    """
    check_folders(folder, out)
    if outcomes is not None:
        outcomes.check()
    cohort = CohortFolder(out)
    made_with = {"FOLDER": _named_by(folder), **options.words(), "--outcomes": outcomes.words() if outcomes else "none"}
    cohort.check_claim(made_with, redo=redo)
    with cohort.lock():
        cohort.check_claim(made_with, redo=redo)
        cohort.claim(made_with)
        with _Work(folder, cohort, options, workers, scheduler, limits, progress) as found:
            found.look()
            found.convert()
            done = found.finish(outcomes)
    return done


def list_rois(
    folder: Path, out: Path, options: Options, *, workers: int | None = None, scheduler: str = "local", limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> tuple[list[dict[str, Any]], Ingested, bool]:  # fmt: skip
    """(the census of region names, what was met on the way, whether the alias file is new). Writes rois.csv and roi_map.yaml.

    An alias file that is there already is left as it is: it may have been edited.
    """
    check_folders(folder, out)
    cohort = CohortFolder(out)
    with cohort.lock(), _Work(folder, cohort, options, workers, scheduler, limits, progress) as found:
        found.look()
        found.convert(own_only=True)
        rows = census(found.volumes(), options.region_map)
        write_bytes(cohort.path / ROIS, to_csv(CENSUS_COLUMNS, rows).encode())
        aliases = cohort.path / ROI_MAP
        new = not aliases.exists()
        if new:
            write_bytes(aliases, region_map_file(rows).encode())
        return rows, found.so_far(), new


def check_folders(folder: Path, out: Path) -> None:
    """ConfigError where one lies in the other: results would be taken for input."""
    export, cohort = folder.resolve(), out.resolve()
    if not export.is_dir():
        raise ConfigError("this is no folder.", hint="Name the folder of the export.", path=folder)
    if cohort.is_relative_to(export):
        raise ConfigError("the cohort would lie in the export itself.", hint="Choose an --out beside it.", path=out)
    if export.is_relative_to(cohort):
        raise ConfigError("the export lies in the folder of the cohort.", hint="Choose an --out beside it.", path=out)


def _named_by(folder: Path) -> str:
    """Not the path itself: it may name a person."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]


class _Work:
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
        self.images: dict[str, _Image] = {}
        self.regions: dict[str, _Regions] = {}
        self.others: list[Item] = []
        self.pairs: list[Pair] = []
        self.failures: list[dict[str, Any]] = []
        self.remarks: dict[str, str] = {}
        self.matrices: dict[str, list[Registration]] = defaultdict(list)
        self.unnamed: set[str] = set()
        self.identified = self.dicom = 0
        self._links: dict[tuple[str, str, str], FloatArray | None] = {}
        self._bad_links: set[str] = set()

    def __enter__(self) -> _Work:
        self.store.__enter__()
        self.pool.__enter__()
        self.store.sweep()
        return self

    def __exit__(self, *error: Any) -> None:
        self.pool.__exit__(*error)
        self.store.__exit__(*error)

    # what is there

    def look(self) -> None:
        """Headers, what the files of regions say, and the pairs."""
        paths = list(walk(self.folder))
        self.walked = [_relative(path, self.folder) for path in paths]
        if not paths:
            raise ConfigError("the folder is empty.", hint="Name the folder of the export.", path=self.folder)
        self.progress.say(f"{len(paths)} files in the export")
        export = group(self._headers(paths))
        volumes = self._sort(export)
        self._describe(export)
        self._volumes(volumes)
        self._pair()

    def _headers(self, paths: Sequence[Path]) -> list[DicomFile | Left]:
        blocks = [list(range(start, min(start + HEADERS_A_TASK, len(paths)))) for start in range(0, len(paths), HEADERS_A_TASK)]
        found: dict[int, DicomFile | Left] = {}
        # A file that kills its child takes its block with it; the others of the block are then read one by one.
        for attempt in (blocks, None):
            if attempt is None:
                attempt = [[at] for at in range(len(paths)) if at not in found]
            tasks = {
                str(block[0]): (
                    block,
                    Task(
                        str(block[0]), self._key("headers", files=[_stamp(paths[at], self.walked[at]) for at in block]),
                        {"folder": str(self.folder), "files": [str(paths[at]) for at in block]},
                    ),
                )
                for block in attempt
            }  # fmt: skip
            result = self._map("headers", "read_headers", [task for _, task in tasks.values()])
            for name, stored in result.done.items():
                block, _ = tasks[name]
                found |= {at: work.file_of(row, paths[at]) for at, row in zip(block, stored.row["files"], strict=True)}
            if len(found) == len(paths):
                break
        return [
            found.get(at) or Left(self.walked[at], "its header could not be read: it needs too much memory or time.", "damaged")
            for at in range(len(paths))
        ]

    def _sort(self, export: Export) -> list[str]:
        """Items of everything that is not a region; volume files that are no DICOM are given back."""
        volumes = []
        for left in export.left:
            if left.what == "not-dicom" and left.relative.lower().endswith(VOLUME_SUFFIXES):
                volumes.append(left.relative)
                continue
            self.others.append(Item("file", (left.relative,), why=left.why))
            if ingest_table.is_fault(left.what, left.relative):
                self._fail("", left.relative, "file", {"error": "file", "problem": _sentence(left.why), "hint": _hint_of(left)})
        for series in export.series:
            self.dicom += len(series.files)
            self.identified += sum(not file.deidentified for file in series.files)
            self.unnamed |= {_patient(file) for file in series.files if not file.patient_id.strip()}
            if series.is_image:
                facts = _image_facts(series)
                item = _item("image series", series, facts)
                self.images[facts.key] = _Image(facts, item.files, item, series)
        return volumes

    def _describe(self, export: Export) -> None:
        files = [
            (series, file)
            for series in export.series
            if not series.is_image
            for file in series.files
        ]  # fmt: skip
        digests = self._digests(file.path for _, file in files)
        tasks, about = [], {}
        for series, file in files:
            item = _item({"REG": "registration"}.get(series.modality, series.modality), series, None, file)
            if series.modality not in (*_REGIONS, "REG"):
                item.why = f"radpipe has no use for {series.modality}"
                self.others.append(item)
                continue
            if file.sop_class == DEFORMABLE:
                item.why = "a deformable registration, which is not applied"
                self.others.append(item)
                continue
            digest = digests[file.path]
            if isinstance(digest, RadpipeError):
                self._leave(item, classify(digest), _file_case(item.patient_id, series))
                continue
            about[file.relative] = (series, file, item, digest)
            payload = {"path": str(file.path), "kind": series.modality}
            tasks.append(
                Task(file.relative, self._key("described", kind=series.modality, file=digest), payload, path=file.relative)
            )
        result = self._map("described", "describe_regions", tasks)
        failed = _failed(tasks, result)
        frames = {uid: image.facts.frame for image in self.images.values() for uid in image.facts.slices}
        for name, (series, file, item, digest) in about.items():
            if name in failed:
                self._leave(item, failed[name], _file_case(item.patient_id, series))
            elif series.modality == "REG":
                self._register(file, item, result.done[name].row, frames)
            else:
                facts = _region_facts(series, file, digest, result.done[name].row)
                self.regions[facts.key] = _Regions(facts, file.relative, file.path, item, _file_case(item.patient_id, series))
                if result.done[name].row["problems"]:
                    self.remarks[facts.key] = " ".join(result.done[name].row["problems"])

    def _register(self, file: DicomFile, item: Item, row: dict[str, Any], frames: dict[str, str]) -> None:
        matrices = []
        for entry in row["matrices"]:
            source = entry["source"] or next((frames[uid] for uid in entry["images"] if uid in frames), "")
            matrices.append(Matrix(source, entry["target"], tuple(entry["values"]), tuple(entry["images"])))
        self.matrices[_patient(file)].append(Registration(file.path, row["frame"], tuple(matrices)))
        item.why = "no region needed it"
        self.others.append(item)

    def _volumes(self, paths: list[str]) -> None:
        """NIfTI, NRRD and MetaImage files, paired by name; each pair is converted at once, for its labels say what regions it has."""
        guess = guess_pairs(paths)
        for path, why in guess.left:
            self.others.append(Item("volume", (path,), why=why))
        wanted = self.options.modalities
        tasks, about = [], {}
        rows = [row | {"modality": row["modality"] or (wanted[0] if len(wanted) == 1 else "")} for row in guess.rows]
        tables = {row["mask_path"]: table for row in rows if (table := names_path(self.folder / row["mask_path"])).is_file()}
        named = [self.folder / row[name] for row in rows for name in ("image_path", "mask_path")]
        digests = self._digests([*named, *tables.values()])
        for row in rows:
            beside = (_relative(tables[row["mask_path"]], self.folder),) if row["mask_path"] in tables else ()
            item = Item("volume", (row["image_path"], row["mask_path"], *beside), row["patient_id"], row["modality"])
            image, mask = self.folder / row["image_path"], self.folder / row["mask_path"]
            if not row["modality"]:
                facts = classify(
                    FileProblem(
                        "neither its name nor its folder says whether it is CT, PET or MR.",
                        hint="Say --modality, or put a word for it into the name.", case_id=row["case_id"], path=image,
                    )
                )  # fmt: skip
                self._leave(item, facts, row["case_id"])
            elif wanted and row["modality"] not in wanted:
                item.why = "left out by --modality"
                self.others.append(item)
            elif problem := next((one for one in (digests[image], digests[mask]) if isinstance(one, RadpipeError)), None):
                self._leave(item, classify(problem), row["case_id"])
            else:
                names = str(digests[tables[row["mask_path"]]]) if beside else ""
                key = self._key("volumes", image=digests[image], mask=digests[mask], modality=row["modality"], names=names)
                payload = {"image": str(image), "mask": str(mask), "modality": row["modality"]}
                tasks.append(Task(row["case_id"], key, payload, case_id=row["case_id"], path=row["image_path"]))
                about[row["case_id"]] = (row, item, str(digests[mask]))
        beside_masks = {_relative(table, self.folder) for table in tables.values()}
        self.others = [item for item in self.others if item.item != "file" or item.files[0] not in beside_masks]
        result = self._map("volumes", "convert_volume", tasks)
        failed = _failed(tasks, result)
        for case_id, (row, item, digest) in about.items():
            if case_id in failed:
                self._leave(item, failed[case_id], case_id)
                continue
            stored = result.done[case_id]
            key = f"volume {row['image_path']}"
            image_facts = ImageFacts(key, "", row["patient_id"], row["modality"], None, "", "", frozenset())
            rois = tuple(RoiFacts(at, name, "") for at, name in enumerate(stored.row["names"]))
            region_facts = RegionFacts(
                f"volume {row['mask_path']}", "volume", "", row["patient_id"], None, "", rois, sha256=digest
            )
            self.images[key] = _Image(image_facts, item.files, item, result=stored)
            regions = _Regions(region_facts, row["mask_path"], self.folder / row["mask_path"], item)
            for number, found in stored.row["regions"].items():
                regions.drawn[key, int(number)] = (found, stored.file(work.mask_name(int(number))))
            self.regions[region_facts.key] = regions
            rule = f"paired by name with {row['mask_path'].rpartition('/')[2]}"
            self.pairs.append(Pair(key, region_facts.key, tuple(roi.number for roi in rois), OWN, rule, False))

    def _pair(self) -> None:
        images = [image.facts for image in self.images.values() if image.series is not None]
        regions = [one.facts for one in self.regions.values() if one.facts.kind in _REGIONS]
        found = pair_regions(images, regions, link=self._link, transfer=self.options.transfer)
        left_out = {facts.key: why for facts in images if (why := self._left_out(facts))}
        self.pairs += [pair for pair in found.pairs if pair.image not in left_out]
        for key, why in left_out.items():
            self.images[key].item.why = why
        drawn = {facts.patient_id for facts in regions}
        for key in found.without:
            image = self.images[key]
            elsewhere = self.options.transfer != "none" and image.facts.patient_id in drawn
            why = "no region refers to it" + (", and none lies in its frame of reference" if elsewhere else "")
            image.item.why = image.item.why or why
        for key, text in found.remarks.items():
            self.remarks[key] = "; ".join(part for part in (text, self.remarks.get(key, "")) if part)
        for one in found.unpaired:
            mine = self.regions[one.region]
            mine.item.why = mine.item.why or one.why
            if one.fault:
                facts = {"error": "cohort", "problem": _sentence(one.why), "hint": one.hint}
                self._fail(mine.case_id, mine.relative, mine.item.item, facts)

    def _left_out(self, image: ImageFacts) -> str:
        if self.options.modalities and image.modality not in self.options.modalities:
            return "left out by --modality"
        text = image.description.casefold()
        wanted = [one.casefold() for one in self.options.descriptions]
        if wanted and not any(one in text or fnmatchcase(text, one) for one in wanted):
            return "left out by --series-description"
        return ""

    def _link(self, patient: str, start: str, end: str) -> FloatArray | None:
        key = (patient, start, end)
        if key not in self._links:
            try:
                self._links[key] = link(self.matrices[patient], start, end) if self.matrices[patient] else None
            except GeometryError as error:
                self._links[key] = None
                if error.path not in self._bad_links:
                    self._bad_links.add(error.path)
                    self._fail(patient, self._shown(error.path), "registration", classify(error))
        return self._links[key]

    # what is made of it

    def convert(self, *, own_only: bool = False) -> None:
        """Images that have regions, then the regions on them. own_only : leave transferred ones out."""
        self.pairs = [pair for pair in self.pairs if not (own_only and pair.transferred)]
        with_regions = dict.fromkeys(pair.image for pair in self.pairs)
        images = [image for key in with_regions if (image := self.images[key]).series is not None]
        digests = self._digests(file.path for image in images if image.series for file in image.series.files)
        tasks = []
        for image in images:
            assert image.series is not None
            found = [digests[file.path] for file in image.series.files]
            wrong = next((one for one in found if isinstance(one, RadpipeError)), None)
            if wrong is not None:
                image.failure = classify(wrong)
                continue
            settings = {"uneven": self.options.uneven, "suv": self.options.suv}
            key = self._key("images", files=found, chosen=image.series.chosen, **settings)
            described = self.store.session_folder / f"series-{key}.json"
            described.write_text(json.dumps(work.series_row(image.series)), encoding="utf-8")
            folder = ingest_table.common_folder(image.files) if len(image.files) > 1 else image.files[0]
            tasks.append(Task(image.facts.key, key, {"series": str(described), **settings}, path=folder))
        result = self._map("images", "convert_series", tasks)
        failed = _failed(tasks, result)
        for task in tasks:
            image = self.images[task.task_id]
            image.result = result.done.get(task.task_id)
            image.failure = None if image.result else failed[task.task_id]
        self._draw()

    def _draw(self) -> None:
        tasks, about = [], {}
        for at, pair in enumerate(self.pairs):
            image, regions = self.images[pair.image], self.regions[pair.region]
            if image.result is None or image.series is None:
                continue
            transform = as_rows(pair.transform)
            parts = {"rois": list(pair.rois), "grid": image.result.row["grid"], "transform": transform, "kind": regions.facts.kind,
                     "transferred": pair.transferred}  # fmt: skip
            key = self._key("regions", file=regions.facts.sha256, **parts)
            tasks.append(Task(str(at), key, {"path": str(regions.path), **parts}, path=regions.relative))
            about[str(at)] = (pair, regions)
        result = self._map("regions", "draw_regions", tasks)
        failed = _failed(tasks, result)
        for name, (pair, regions) in about.items():
            for number in pair.rois:
                if name in failed:
                    regions.drawn[pair.image, number] = ({"failure": failed[name]}, Path())
                else:
                    stored = result.done[name]
                    regions.drawn[pair.image, number] = (stored.row["regions"][str(number)], stored.file(work.mask_name(number)))

    def volumes(self) -> list[NamedVolume]:
        """Every region on the image it was drawn on, for the census."""
        found = []
        for pair in self.pairs:
            if pair.transferred:
                continue
            regions, image = self.regions[pair.region], self.images[pair.image].facts
            names = {roi.number: roi.name for roi in regions.facts.rois}
            for number in pair.rois:
                row, _ = regions.drawn.get((pair.image, number), ({}, Path()))
                found.append(NamedVolume(names[number], image.patient_id, image.modality, row.get("volume_ml")))
        return found

    # what is left of it

    def finish(self, outcomes: Outcomes | None) -> Ingested:
        """Cases, tables, and the folder."""
        images = {key: image.facts for key, image in self.images.items()}
        regions = {key: one.facts for key, one in self.regions.items()}
        cases, left = name_cases(images, regions, self.pairs, region_map=self.options.region_map, merge=self.options.merge)
        rules = {(pair.image, pair.region, number): pair.rule for pair in self.pairs for number in pair.rois}
        made, region_rows = self._made(cases)
        region_rows += [self._left_row(one, rules) for one in left]
        merged, pictures = self._merged(made), {}
        pictures = self._pictures(made, merged, region_rows)
        files: dict[str, tuple[str, Path] | bytes] = {}
        rows = []
        for case in made:
            image = self.images[case.image]
            assert image.result is not None
            facts = image.facts
            image_path, mask_path = f"images/{case.image_name}.nii.gz", f"masks/{case.case_id}.nii.gz"
            files[image_path] = (image.result.key, image.result.file(work.IMAGE))
            files[mask_path] = merged[case.case_id]
            if case.case_id in pictures:
                files[f"overlays/{case.case_id}.png"] = pictures[case.case_id]
            rows.append(
                {"case_id": case.case_id, "patient_id": facts.patient_id, "modality": facts.modality, "roi": case.roi,
                 "image_path": image_path, "mask_path": mask_path, "label": 1}
            )  # fmt: skip
            self._use(case)
        numbered = sum(case.roi not in case.names for case in made) if self.options.region_map is None else 0
        rows.sort(key=lambda row: str(row["case_id"]))
        done = self.so_far(rows, region_rows)
        if numbered:
            done.notes.append(
                f"{numbered} cases have regions of one name on one image (several structure sets, or names given twice): all are "
                "taken, numbered NAME-1, NAME-2; ingest_regions.csv says which is from which file. A --roi-map can refuse or merge them."
            )
        unnamed = {str(row["patient_id"]) for row in rows if row["patient_id"] in self.unnamed}
        if unnamed:
            done.notes.append(
                f"{len(unnamed)} patients without a PatientID are called {', '.join(sorted(unnamed)[:3])}"
                f"{' ...' if len(unnamed) > 3 else ''}, by their study."
            )
        columns: Sequence[str] = ingest_table.MANIFEST_COLUMNS
        if outcomes is not None:
            columns = self._join(outcomes, done, files)
        self._tables(done, columns, files)
        self.cohort.publish(files)
        return done

    def _made(self, cases: Sequence[CaseFacts]) -> tuple[list[CaseFacts], list[dict[str, Any]]]:
        """Cases whose image and mask are there; and a row for every region of every case."""
        made, rows = [], []
        for case in cases:
            image = self.images[case.image]
            whole = True
            for (key, number), name in zip(case.sources, case.names, strict=True):
                regions = self.regions[key]
                found, _ = regions.drawn.get((case.image, number), ({}, Path()))
                facts = image.failure or found.get("failure")
                row = self._region_row(case.image, regions, name, case.case_id, case.roi, case.rule, case.transferred)
                if facts is None:
                    notes = [*found["notes"], *([self.remarks[key]] if key in self.remarks else [])]
                    row |= {"status": USED, "voxels": found["voxels"], "volume_ml": found["volume_ml"], "notes": " ".join(notes),
                            "touches_border": "yes" if found["border"] else "no"}  # fmt: skip
                    rows.append(row)
                    continue
                whole = False
                # Nobody asked for a transferred region by name: where the image does not reach it, that is no fault.
                beyond = image.failure is None and case.transferred and facts["error"] in ("geometry", "empty_roi")
                rows.append(row | {"status": LEFT if beyond else FAILED, "why": facts["problem"]})
                if beyond:
                    regions.item.why = regions.item.why or _plain(facts["problem"])
                elif image.failure is not None:
                    image.item.why = _plain(facts["problem"])
                    regions.item.why = regions.item.why or "the image it belongs to could not be read"
                    self._fail(case.case_id, self._where(facts, image), image.item.item, facts)
                else:
                    regions.item.why = regions.item.why or _plain(facts["problem"])
                    self._fail(case.case_id, regions.relative, regions.item.item, facts)
            if whole:
                made.append(case)
        return made, rows

    def _left_row(self, one: LeftRegion, rules: dict[tuple[str, str, int], str]) -> dict[str, Any]:
        key, number = one.sources[0]
        regions = self.regions[key]
        row = self._region_row(one.image, regions, " + ".join(one.names), one.case_id, "", rules[one.image, key, number], False)
        regions.item.why = regions.item.why or _plain(one.why)
        self.images[one.image].item.why = self.images[one.image].item.why or "none of its regions is taken"
        if one.fault:
            self._fail(
                one.case_id, regions.relative, regions.item.item, {"error": "cohort", "problem": one.why, "hint": one.hint}
            )
        return row | {"status": FAILED if one.fault else LEFT, "why": one.why}

    def _region_row(
        self, image: str, regions: _Regions, name: str, case_id: str, roi: str, rule: str, transferred: bool
    ) -> dict[str, Any]:
        facts = self.images[image].facts
        return {
            "case_id": case_id, "patient_id": facts.patient_id, "modality": facts.modality, "series_number": facts.number,
            "roi": roi, "name": name, "rule": rule, "transferred": "yes" if transferred else "no", "file": regions.relative,
        }  # fmt: skip

    def _merged(self, made: Sequence[CaseFacts]) -> dict[str, tuple[str, Path]]:
        """case_id -> (key of its content, its mask)."""
        found: dict[str, tuple[str, Path]] = {}
        tasks = []
        for case in made:
            masks = [self.regions[key].drawn[case.image, number][1] for key, number in case.sources]
            key = self._key("merged", masks=[str(mask.relative_to(self.store.root)) for mask in masks])
            if len(masks) == 1:
                found[case.case_id] = (key, masks[0])
            else:
                tasks.append(Task(case.case_id, key, {"masks": [str(mask) for mask in masks]}, case_id=case.case_id))
        result = self._map("merged", "merge_masks", tasks)
        if result.failures:
            raise RunError(result.failures[0]["problem"], hint=result.failures[0]["hint"], case_id=result.failures[0]["case_id"])
        return found | {name: (stored.key, stored.file(work.mask_name(0))) for name, stored in result.done.items()}

    def _pictures(
        self, made: Sequence[CaseFacts], masks: dict[str, tuple[str, Path]], rows: list[dict[str, Any]]
    ) -> dict[str, tuple[str, Path]]:
        """case_id -> (key of its content, picture), of the cases with transferred regions."""
        tasks = []
        for case in made:
            image = self.images[case.image]
            if not case.transferred or image.result is None:
                continue
            words = {
                "title": case.case_id,
                "subtitle": case.rule,
                "modality": image.facts.modality,
                "unit": image.result.row["unit"],
            }
            key = self._key("overlays", image=image.result.key, mask=masks[case.case_id][0], **words)
            payload = {"image": str(image.result.file(work.IMAGE)), "masks": [str(masks[case.case_id][1])], **words}
            tasks.append(Task(case.case_id, key, payload, case_id=case.case_id))
        result = self._map("overlays", "draw_overlay", tasks)
        for failure in result.failures:
            self._fail(failure["case_id"], "", "overlay", failure)
        for row in rows:
            if row["case_id"] in result.done and row.get("status") == USED:
                row["overlay"] = f"overlays/{row['case_id']}.png"
        return {name: (stored.key, stored.file(work.PICTURE)) for name, stored in result.done.items()}

    def _use(self, case: CaseFacts) -> None:
        image = self.images[case.image]
        for item in {id(one): one for one in (image.item, *(self.regions[key].item for key, _ in case.sources))}.values():
            item.used = True
            item.cases.append(case.case_id)
        if any(pair.image == case.image and pair.how == REGISTERED for pair in self.pairs):
            for item in self.others:
                if item.item == "registration" and item.patient_id == image.facts.patient_id:
                    item.used, item.why = True, ""
                    item.cases.append(case.case_id)

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
        return Ingested(rows or [], order, listed, placed, self.identified, self.dicom, len(self.walked))

    def _tables(self, done: Ingested, columns: Sequence[str], files: dict[str, tuple[str, Path] | bytes]) -> None:
        listed = ingest_table.file_rows(done.items)
        ingest_table.check_all_there(listed, self.walked)
        for name, names, rows in (
            (MANIFEST, columns, done.rows),
            ("ingest.csv", ingest_table.ITEM_COLUMNS, ingest_table.item_rows(done.items)),
            ("ingest_regions.csv", ingest_table.REGION_COLUMNS, done.regions),
            ("ingest_files.csv", ingest_table.FILE_COLUMNS, listed),
            ("failures.csv", ingest_table.FAILURE_COLUMNS, done.failures),
        ):
            if rows or name != "failures.csv":
                files[name] = to_csv(names, rows).encode()

    def _join(self, outcomes: Outcomes, done: Ingested, files: dict[str, tuple[str, Path] | bytes]) -> list[str]:
        """The manifest's columns, with those of the sheet; the rows get their cells, and the folder the reports."""
        import pandas as pd

        from radpipe.core.intake_tables import OUTCOME_CELLS, OUTCOME_IDS
        from radpipe.intake.outcomes import join_outcomes
        from radpipe.io.spreadsheets import read_pseudonyms, read_sheet

        sheet = read_sheet(outcomes.path, outcomes.id_column, sheet=outcomes.sheet)
        pseudonyms = read_pseudonyms(outcomes.pseudonyms) if outcomes.pseudonyms is not None else None
        cases = pd.DataFrame(done.rows, columns=list(ingest_table.MANIFEST_COLUMNS)).astype(str)
        joined = join_outcomes(cases, sheet, outcomes.id_column, day_first=outcomes.day_first, pseudonyms=pseudonyms)
        done.rows = [{str(name): cell for name, cell in row.items()} for row in joined.frame.to_dict("records")]
        done.outcomes = joined.notes
        files["outcomes_report.csv"] = to_csv([column.name for column in OUTCOME_IDS.columns], joined.ids).encode()
        if joined.cells:
            files["outcomes_cells.csv"] = to_csv([column.name for column in OUTCOME_CELLS.columns], joined.cells).encode()
        return [str(name) for name in joined.frame.columns]

    # small things

    def _map(self, name: str, function: str, tasks: Sequence[Task]) -> MapResult:
        return map_tasks(
            tasks, stage=f"ingest_{name}", function=f"radpipe.stages.intake_work:{function}", pool=self.pool, store=self.store,
            progress=self.progress, preload="intake",
        )  # fmt: skip

    def _key(self, name: str, **parts: Any) -> str:
        return content_key(stage=f"ingest_{name}", engine=_engine(), **parts)

    def _digests(self, paths: Iterable[Path]) -> dict[Path, str | RadpipeError]:
        """SHA-256 of every file, each read once. Threads, because hashing releases the interpreter."""

        def digest(path: Path) -> str | RadpipeError:
            try:
                return sha256_file(path)
            except RadpipeError as error:
                return error

        listed = list(dict.fromkeys(paths))
        with ThreadPoolExecutor(self.pool.workers) as threads:
            return dict(zip(listed, threads.map(digest, listed), strict=True))

    def _leave(self, item: Item, facts: dict[str, Any], case_id: str = "") -> None:
        item.why = _plain(facts["problem"])
        self.others.append(item)
        self._fail(case_id or item.patient_id, item.files[0], item.item, facts)

    def _fail(self, case_id: str, file: str, item: str, facts: dict[str, Any]) -> None:
        hint = (
            facts["hint"]
            .replace("compute.case_memory_mb", "--case-memory-mb")
            .replace("compute.case_timeout_s", "--case-timeout-s")
        )
        row = {"case_id": case_id, "file": file, "item": item, "error": facts["error"], "problem": facts["problem"], "hint": hint}
        if row not in self.failures:
            self.failures.append(row)

    def _where(self, facts: dict[str, Any], image: _Image) -> str:
        named = self._shown(facts.get("path", ""))
        if named:
            return named
        return image.files[0] if len(image.files) == 1 else ingest_table.common_folder(image.files)

    def _shown(self, path: str) -> str:
        """A path within the export, relative to it; nothing of any other."""
        if not path:
            return ""
        found = Path(path)
        if found.is_absolute():
            return _relative(found, self.folder) if found.is_relative_to(self.folder) else ""
        return path


# facts from headers


def _patient(file: DicomFile) -> str:
    return file.patient_id.strip() or unnamed_patient(file.study_uid, file.frame_of_reference_uid, file.series_uid, file.sop_uid)


def _image_facts(series: Series) -> ImageFacts:
    first = series.files[0]
    parts = (
        series.patient_id,
        series.study_uid,
        series.uid,
        series.modality,
        first.sop_class,
        series.frame_of_reference_uid,
        series.part,
    )
    return ImageFacts(
        key="|".join(parts), uid=series.uid, patient_id=_patient(first), modality=series.modality, number=series.number,
        description=f"{series.description} {series.part}".strip(), frame=series.frame_of_reference_uid,
        slices=frozenset(series.files[index].sop_uid for index, _ in series.chosen) - {""},
    )  # fmt: skip


def _region_facts(series: Series, file: DicomFile, digest: str, row: dict[str, Any]) -> RegionFacts:
    rois = tuple(RoiFacts(**roi) for roi in row["rois"])
    return RegionFacts(
        key=f"{file.sop_uid}|{digest}", kind=series.modality, sop_uid=file.sop_uid, patient_id=_patient(file),
        number=series.number, label=row["label"], rois=rois, series=frozenset(row["series"]), slices=frozenset(row["slices"]),
        sha256=digest,
    )  # fmt: skip


def _item(kind: str, series: Series, facts: ImageFacts | None, file: DicomFile | None = None) -> Item:
    files = (file.relative,) if file is not None else tuple(one.relative for one in series.files)
    return Item(
        kind, files, facts.patient_id if facts else _patient(file or series.files[0]), series.modality if facts else "",
        series.number, facts.description if facts else series.description, series.uid,
    )  # fmt: skip


def _file_case(patient: str, series: Series) -> str:
    """What a file is called whose regions are no cases."""
    return f"{patient}_{series.modality}{'' if series.number is None else f'_{series.number}'}"


def _failed(tasks: Sequence[Task], result: MapResult) -> dict[str, dict[str, Any]]:
    """task_id -> its failure."""
    return dict(zip((task.task_id for task in tasks if task.task_id not in result.done), result.failures, strict=True))


def _relative(path: Path, folder: Path) -> str:
    """As io.dicom.scan writes it: text that a table can hold, whatever the name."""
    return path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()


def _stamp(path: Path, relative: str) -> list[Any]:
    """What tells that a file's header is as it was, without reading it."""
    try:
        found = path.lstat()
    except OSError:
        return [relative, -1, -1]
    return [relative, found.st_size, found.st_mtime_ns]


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _plain(text: str) -> str:
    return text.rstrip(".")


def _hint_of(left: Left) -> str:
    hints = {
        "truncated": "Copy or export the file again.", "damaged": "Copy or export the file again.",
        "empty": "Copy or export the file again.", "link-out": "Copy what it points to into the export, if it belongs there.",
        "not-dicom": "Remove it, or export the file again if it was an image.",
        "no-permission": "Give yourself permission to read it (chmod u+r).",
    }  # fmt: skip
    return hints.get(left.what, "Export the file again, or remove it.")


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

"""The first step of an ingest: headers, what the files of regions say, and which region belongs on which image."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from radpipe.cohort.initialise import VOLUME_SUFFIXES, guess_pairs
from radpipe.errors import ConfigError, FileProblem, GeometryError, RadpipeError
from radpipe.intake import ingest_table
from radpipe.intake.cases import unnamed_patient
from radpipe.intake.deidentify.words import Words
from radpipe.intake.discretion import Discretion
from radpipe.intake.ingest_table import Item
from radpipe.intake.pairing import OWN, ImageFacts, Pair, RegionFacts, RoiFacts, pair_regions
from radpipe.io.dicom.headers import read_header, reasons, tags
from radpipe.io.dicom.headers import text as text_of
from radpipe.io.dicom.registration import DEFORMABLE, Matrix, Registration, link
from radpipe.io.dicom.scan import DicomFile, Export, Left, Series, group, walk
from radpipe.io.labelled import names_path
from radpipe.stages import intake_work
from radpipe.stages._child import classify
from radpipe.stages._parallel import Task
from radpipe.stages.ingest_state import ImageOf, Ingest, RegionsOf, failed_of, relative, sentence
from radpipe.typing import FloatArray

HEADERS_A_TASK = 200
_REGIONS = ("RTSTRUCT", "SEG")


def look(state: Ingest) -> None:
    """Headers, what the files of regions say, and the pairs."""
    paths = list(walk(state.folder))
    state.walked = inside = [relative(path, state.folder) for path in paths]
    if not paths:
        raise ConfigError("the folder is empty.", hint="Name the folder of the export.", path=state.folder)
    state.progress.say(f"{len(paths)} files in the export")
    found = _headers(state, paths, inside)
    state.walked = [state.name(path) for path in inside]
    state.real = dict(zip(state.walked, inside, strict=True))
    export = group(found)
    volumes = _sort(state, export)
    _describe(state, export)
    _volumes(state, volumes)
    _pair(state)


def _headers(state: Ingest, paths: Sequence[Path], inside: Sequence[str]) -> list[DicomFile | Left]:
    """Of every file what may be seen of it. Everything of an export is seen as it is where nobody in it can be recognised by it:
    every id is that of a file which says that the patient's identity was removed (PatientIdentityRemoved)."""
    hidden = state.secret is not None
    rows = _header_rows(state, paths, inside, range(len(paths)), hidden)
    dicom = [row for row in rows.values() if "sop_class" in row]
    if hidden:
        vouched = {row["patient_id"] for row in dicom if row["deidentified"]} - {""}
        if not all(row["deidentified"] or row["patient_id"] in vouched for row in dicom):
            assert state.secret is not None
            known = frozenset(row["patient_id"] for row in dicom) - {""}
            state.discretion = Discretion(state.secret, Words.of(state.options.allowed), known=known)
            for at, row in rows.items():
                row["relative"] = state.name(inside[at])
        else:
            again = [at for at, row in rows.items() if "as_is" not in row]
            rows = {at: row["as_is"] for at, row in rows.items() if "as_is" in row}
            rows |= _header_rows(state, paths, inside, again, False)
    found: list[DicomFile | Left] = []
    for at, path in enumerate(paths):
        if at in rows:
            found.append(intake_work.file_of(rows[at], path))
        else:
            found.append(
                Left(state.name(inside[at]), "its header could not be read: it needs too much memory or time.", "damaged")
            )
    return found


def _header_rows(
    state: Ingest, paths: Sequence[Path], inside: Sequence[str], wanted: Sequence[int], hidden: bool
) -> dict[int, dict[str, Any]]:
    """Place of a file -> its row of intake_work.read_headers. hidden : only what tells nobody."""
    blocks = [list(wanted[start : start + HEADERS_A_TASK]) for start in range(0, len(wanted), HEADERS_A_TASK)]
    found: dict[int, dict[str, Any]] = {}
    # A file that kills its child takes its block with it; the others of the block are then read one by one.
    for attempt in (blocks, None):
        if attempt is None:
            attempt = [[at] for at in wanted if at not in found]
        tasks = {
            str(block[0]): (
                block,
                Task(
                    str(block[0]),
                    state.key(
                        "headers", files=[_stamp(paths[at], inside[at]) for at in block], hidden=state.seen_key(hidden),
                    ),
                    {"folder": str(state.folder), "files": [str(paths[at]) for at in block], **state.seen_as(hidden)},
                ),
            )
            for block in attempt
        }  # fmt: skip
        result = state.map("headers", "read_headers", [task for _, task in tasks.values()])
        for name, stored in result.done.items():
            block, _ = tasks[name]
            found |= dict(zip(block, stored.row["files"], strict=True))
        if len(found) == len(wanted):
            break
    return found


def _sort(state: Ingest, export: Export) -> list[str]:
    """Items of everything that is not a region; volume files that are no DICOM are given back."""
    volumes = []
    for left in export.left:
        if left.what == "not-dicom" and left.relative.lower().endswith(VOLUME_SUFFIXES):
            volumes.append(state.real[left.relative])
            continue
        state.others.append(Item("file", (left.relative,), why=left.why))
        if ingest_table.is_fault(left.what, left.relative):
            state.fail("", left.relative, "file", {"error": "file", "problem": sentence(left.why), "hint": _hint_of(left)})
    for series in export.series:
        state.dicom += len(series.files)
        state.identified += sum(not file.deidentified for file in series.files)
        state.unnamed |= {patient_of(file) for file in series.files if not file.patient_id.strip()}
        if series.is_image:
            facts = _image_facts(series)
            item = _item("image series", series, facts)
            state.images[facts.key] = ImageOf(facts, item.files, item, series)
    return volumes


def _describe(state: Ingest, export: Export) -> None:
    files = [
        (series, file)
        for series in export.series
        if not series.is_image
        for file in series.files
    ]  # fmt: skip
    digests = state.digests(file.path for _, file in files)
    tasks, about = [], {}
    for series, file in files:
        item = _item({"REG": "registration"}.get(series.modality, series.modality), series, None, file)
        if series.modality not in (*_REGIONS, "REG"):
            item.why = f"radpipe has no use for {series.modality}"
            state.others.append(item)
            continue
        if file.sop_class == DEFORMABLE:
            item.why = "a deformable registration, which is not applied"
            state.others.append(item)
            continue
        digest = digests[file.path]
        if isinstance(digest, RadpipeError):
            state.leave(item, classify(digest), _file_case(item.patient_id, series))
            continue
        about[file.relative] = (series, file, item, digest)
        payload = {"path": str(file.path), "kind": series.modality, **state.seen}
        tasks.append(Task(file.relative, state.key("described", kind=series.modality, file=digest), payload, path=file.relative))
    result = state.map("described", "describe_regions", tasks)
    failed = failed_of(tasks, result)
    frames = {uid: image.facts.frame for image in state.images.values() for uid in image.facts.slices}
    for name, (series, file, item, digest) in about.items():
        if name in failed:
            state.leave(item, failed[name], _file_case(item.patient_id, series))
        elif series.modality == "REG":
            _register(state, file, item, result.done[name].row, frames)
        else:
            facts = _region_facts(series, file, digest, result.done[name].row)
            state.regions[facts.key] = RegionsOf(facts, file.relative, file.path, item, _file_case(item.patient_id, series))
            if result.done[name].row["problems"]:
                state.remarks[facts.key] = " ".join(result.done[name].row["problems"])


def _register(state: Ingest, file: DicomFile, item: Item, row: dict[str, Any], frames: dict[str, str]) -> None:
    matrices = []
    for entry in row["matrices"]:
        source = entry["source"] or next((frames[uid] for uid in entry["images"] if uid in frames), "")
        matrices.append(Matrix(source, entry["target"], tuple(entry["values"]), tuple(entry["images"])))
    state.matrices[patient_of(file)].append(Registration(file.path, row["frame"], tuple(matrices)))
    item.why = "no region needed it"
    state.others.append(item)


def _volumes(state: Ingest, paths: list[str]) -> None:
    """NIfTI, NRRD and MetaImage files, paired by name; each pair is converted at once, for its labels say what regions it has."""
    guess = guess_pairs(paths)
    for path, why in guess.left:
        state.others.append(Item("volume", (state.name(path),), why=why))
    wanted = state.options.modalities
    tasks, about = [], {}
    rows = [row | {"modality": row["modality"] or (wanted[0] if len(wanted) == 1 else "")} for row in guess.rows]
    tables = {row["mask_path"]: table for row in rows if (table := names_path(state.folder / row["mask_path"])).is_file()}
    named = [state.folder / row[name] for row in rows for name in ("image_path", "mask_path")]
    digests = state.digests([*named, *tables.values()])
    for row in rows:
        beside = (relative(tables[row["mask_path"]], state.folder),) if row["mask_path"] in tables else ()
        parts = (row["image_path"], row["mask_path"], *beside)
        row = _volume_seen(state, row)
        item = Item("volume", tuple(state.name(part) for part in parts), row["patient_id"], row["modality"])
        image, mask = state.folder / row["image_path"], state.folder / row["mask_path"]
        if not row["modality"]:
            facts = classify(
                FileProblem(
                    "neither its name nor its folder says whether it is CT, PET or MR.",
                    hint="Say --modality, or put a word for it into the name.", case_id=row["case_id"], path=image,
                )
            )  # fmt: skip
            state.leave(item, facts, row["case_id"])
        elif wanted and row["modality"] not in wanted:
            item.why = "left out by --modality"
            state.others.append(item)
        elif problem := next((one for one in (digests[image], digests[mask]) if isinstance(one, RadpipeError)), None):
            state.leave(item, classify(problem), row["case_id"])
        else:
            names = str(digests[tables[row["mask_path"]]]) if beside else ""
            key = state.key("volumes", image=digests[image], mask=digests[mask], modality=row["modality"], names=names)
            payload = {"image": str(image), "mask": str(mask), "modality": row["modality"]}
            tasks.append(Task(row["case_id"], key, payload, case_id=row["case_id"], path=state.name(row["image_path"])))
            about[row["case_id"]] = (row, item, str(digests[mask]))
    beside_masks = {state.name(relative(table, state.folder)) for table in tables.values()}
    state.others = [item for item in state.others if item.item != "file" or item.files[0] not in beside_masks]
    result = state.map("volumes", "convert_volume", tasks)
    failed = failed_of(tasks, result)
    for case_id, (row, item, digest) in about.items():
        if case_id in failed:
            state.leave(item, failed[case_id], case_id)
            continue
        stored = result.done[case_id]
        key = f"volume {state.name(row['image_path'])}"
        image_facts = ImageFacts(key, "", row["patient_id"], row["modality"], None, "", "", frozenset())
        names = stored.row["names"]
        if state.discretion is not None:
            names = [state.discretion.text(name) for name in names]
        rois = tuple(RoiFacts(at, name, "") for at, name in enumerate(names))
        mask_name = state.name(row["mask_path"])
        region_facts = RegionFacts(f"volume {mask_name}", "volume", "", row["patient_id"], None, "", rois, sha256=digest)
        state.images[key] = ImageOf(image_facts, item.files, item, result=stored)
        regions = RegionsOf(region_facts, mask_name, state.folder / row["mask_path"], item)
        for number, found in stored.row["regions"].items():
            regions.drawn[key, int(number)] = (found, stored.file(intake_work.mask_name(int(number))))
        state.regions[region_facts.key] = regions
        rule = f"paired by name with {mask_name.rpartition('/')[2]}"
        state.pairs.append(Pair(key, region_facts.key, tuple(roi.number for roi in rois), OWN, rule, False))


def _pair(state: Ingest) -> None:
    images = [image.facts for image in state.images.values() if image.series is not None]
    regions = [one.facts for one in state.regions.values() if one.facts.kind in _REGIONS]
    found = pair_regions(images, regions, link=lambda *frames: _link(state, *frames), transfer=state.options.transfer)
    left_out = {facts.key: why for facts in images if (why := _left_out(state, facts))}
    state.pairs += [pair for pair in found.pairs if pair.image not in left_out]
    for key, why in left_out.items():
        state.images[key].item.why = why
    drawn = {facts.patient_id for facts in regions}
    for key in found.without:
        image = state.images[key]
        elsewhere = state.options.transfer != "none" and image.facts.patient_id in drawn
        why = "no region refers to it" + (", and none lies in its frame of reference" if elsewhere else "")
        image.item.why = image.item.why or why
    for key, text in found.remarks.items():
        state.remarks[key] = "; ".join(part for part in (text, state.remarks.get(key, "")) if part)
    for one in found.unpaired:
        mine = state.regions[one.region]
        mine.item.why = mine.item.why or one.why
        if one.fault:
            facts = {"error": "cohort", "problem": sentence(one.why), "hint": one.hint}
            state.fail(mine.case_id, mine.relative, mine.item.item, facts)


def _left_out(state: Ingest, image: ImageFacts) -> str:
    if state.options.modalities and image.modality not in state.options.modalities:
        return "left out by --modality"
    wanted = [one.casefold() for one in state.options.descriptions]
    text = _description(state, image).casefold() if wanted else ""
    if wanted and not any(one in text or fnmatchcase(text, one) for one in wanted):
        return "left out by --series-description"
    series = state.options.series if state.discretion is None else tuple(map(state.discretion.uid, state.options.series))
    if series and image.uid not in series:
        return "left out by --series-uid"
    return ""


def _description(state: Ingest, image: ImageFacts) -> str:
    """As the export has it, also where it is shown otherwise: for comparing it with what the user asks for."""
    series = state.images[image.key].series
    if state.discretion is None or series is None:
        return image.description
    with reasons():
        header, _ = read_header(series.files[0].path, tags("SeriesDescription"))
    return f"{text_of(header, 'SeriesDescription')} {series.part}".strip()


def _volume_seen(state: Ingest, row: dict[str, Any]) -> dict[str, Any]:
    """A pair of volumes, whose patient and case are known by their names only."""
    if state.discretion is None:
        return row
    patient = state.discretion.patient(row["patient_id"])
    case = row["case_id"]
    rest = case[len(row["patient_id"]) :] if case.startswith(row["patient_id"]) else f"_{state.discretion.text(case)}"
    return row | {"patient_id": patient, "case_id": patient + rest}


def _link(state: Ingest, patient: str, start: str, end: str) -> FloatArray | None:
    key = (patient, start, end)
    if key not in state.links:
        try:
            state.links[key] = link(state.matrices[patient], start, end) if state.matrices[patient] else None
        except GeometryError as error:
            state.links[key] = None
            if error.path not in state.bad_links:
                state.bad_links.add(error.path)
                state.fail(patient, state.shown(error.path), "registration", classify(error))
    return state.links[key]


# facts from headers


def patient_of(file: DicomFile) -> str:
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
        key="|".join(parts), uid=series.uid, patient_id=patient_of(first), modality=series.modality, number=series.number,
        description=f"{series.description} {series.part}".strip(), frame=series.frame_of_reference_uid,
        slices=frozenset(series.files[index].sop_uid for index, _ in series.chosen) - {""},
    )  # fmt: skip


def _region_facts(series: Series, file: DicomFile, digest: str, row: dict[str, Any]) -> RegionFacts:
    rois = tuple(RoiFacts(**roi) for roi in row["rois"])
    return RegionFacts(
        key=f"{file.sop_uid}|{digest}", kind=series.modality, sop_uid=file.sop_uid, patient_id=patient_of(file),
        number=series.number, label=row["label"], rois=rois, series=frozenset(row["series"]), slices=frozenset(row["slices"]),
        sha256=digest,
    )  # fmt: skip


def _item(kind: str, series: Series, facts: ImageFacts | None, file: DicomFile | None = None) -> Item:
    files = (file.relative,) if file is not None else tuple(one.relative for one in series.files)
    return Item(
        kind, files, facts.patient_id if facts else patient_of(file or series.files[0]), series.modality if facts else "",
        series.number, facts.description if facts else series.description, series.uid,
    )  # fmt: skip


def _file_case(patient: str, series: Series) -> str:
    """What a file is called whose regions are no cases."""
    return f"{patient}_{series.modality}{'' if series.number is None else f'_{series.number}'}"


def _stamp(path: Path, relative: str) -> list[Any]:
    """What tells that a file's header is as it was, without reading it."""
    try:
        found = path.lstat()
    except OSError:
        return [relative, -1, -1]
    return [relative, found.st_size, found.st_mtime_ns]


def _hint_of(left: Left) -> str:
    hints = {
        "truncated": "Copy or export the file again.", "damaged": "Copy or export the file again.",
        "empty": "Copy or export the file again.", "link-out": "Copy what it points to into the export, if it belongs there.",
        "not-dicom": "Remove it, or export the file again if it was an image.",
        "no-permission": "Give yourself permission to read it (chmod u+r).",
    }  # fmt: skip
    return hints.get(left.what, "Export the file again, or remove it.")

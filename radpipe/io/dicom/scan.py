"""What a folder of DICOM holds, from headers alone: files, series, and what is left aside and why.

A bad file never stops the walk: it is a ``Left`` with its reason. Nothing of a header is kept but what :class:`DicomFile` names.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileDataset

from radpipe.errors import CohortError
from radpipe.io.dicom import enhanced, headers, pixels
from radpipe.io.dicom.geometry import Frame, same_orientation
from radpipe.io.dicom.headers import Unreadable

_CT, _MR, _PET = "CT", "MR", "PET"
IMAGES = {  # storage class -> modality as radpipe names it
    "1.2.840.10008.5.1.4.1.1.2": _CT,
    "1.2.840.10008.5.1.4.1.1.2.1": _CT,  # enhanced
    "1.2.840.10008.5.1.4.1.1.2.2": _CT,  # legacy converted enhanced
    "1.2.840.10008.5.1.4.1.1.4": _MR,
    "1.2.840.10008.5.1.4.1.1.4.1": _MR,
    "1.2.840.10008.5.1.4.1.1.4.4": _MR,
    "1.2.840.10008.5.1.4.1.1.128": _PET,
    "1.2.840.10008.5.1.4.1.1.130": _PET,
    "1.2.840.10008.5.1.4.1.1.128.1": _PET,
}
OTHERS = {
    "1.2.840.10008.5.1.4.1.1.481.3": "RTSTRUCT",
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
    "1.2.840.10008.5.1.4.1.1.66.7": "SEG",  # label map segmentation
    "1.2.840.10008.5.1.4.1.1.66.1": "REG",
    "1.2.840.10008.5.1.4.1.1.66.3": "REG",  # deformable
}
_DIRECTORY = "1.2.840.10008.1.3.10"
_KINDS = {
    "1.2.840.10008.5.1.4.1.1.7": "a secondary capture (a picture of an image)",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
    "1.2.840.10008.5.1.4.1.1.481.5": "a radiotherapy plan",
    "1.2.840.10008.5.1.4.1.1.6.1": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.1": "a radiograph",
    "1.2.840.10008.5.1.4.1.1.11.1": "a presentation state",
    "1.2.840.10008.5.1.4.1.1.66": "raw data",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
}
_WANTED = headers.tags(
    "SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "SeriesNumber", "SeriesDescription", "NumberOfFrames", "PatientIdentityRemoved", "ReferencedFrameOfReferenceSequence",
    *enhanced.FRAME_KEYWORDS,
)  # fmt: skip


@dataclass(frozen=True)
class DicomFile:
    """One readable DICOM file, header only. relative : its path in the folder walked, as text that can be written anywhere.

    frames : of a CT, MR or PET, where each of its frames lies; empty for other classes.
    deidentified : PatientIdentityRemoved is YES. transfer_syntax : how the voxels are encoded.
    """

    path: Path
    relative: str
    sop_class: str
    sop_uid: str
    modality: str
    patient_id: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    series_number: int | None
    series_description: str
    n_frames: int
    deidentified: bool
    frames: tuple[Frame, ...] = ()
    transfer_syntax: str = ""


@dataclass(frozen=True)
class Left:
    """A file that nobody uses. why : the reason in a sentence. what : the same as a code: not-dicom, empty, truncated, damaged,
    nested, too-large, unreadable, no-permission, missing, not-a-file, link, link-out, link-broken, dicomdir, no-class,
    not-an-image, localizer, copy."""

    relative: str
    why: str
    what: str = ""


@dataclass(frozen=True)
class Series:
    """Files that belong together: one SeriesInstanceUID, split where they cannot be one volume (orientation, size, image type,
    echo, time point). part : what tells this part from the others of the series; '' where there is one.

    uid : the SeriesInstanceUID; where files have none, a name made of their folder.
    chosen : (file, frame) of every slice, as indices into ``files`` and their ``frames``; empty for classes without slices.
    """

    uid: str
    study_uid: str
    patient_id: str
    modality: str
    description: str
    number: int | None
    frame_of_reference_uid: str
    files: tuple[DicomFile, ...]
    part: str = ""
    chosen: tuple[tuple[int, int], ...] = ()

    @property
    def is_image(self) -> bool:
        return bool(self.files) and self.files[0].sop_class in IMAGES

    @property
    def n_slices(self) -> int:
        return len(self.chosen)

    def __str__(self) -> str:
        name = f"{self.modality} {self.number if self.number is not None else '-'}"
        extra = f" [{self.part}]" if self.part else ""
        count = f"{self.n_slices} slices" if self.is_image else f"{len(self.files)} file{'s' if len(self.files) != 1 else ''}"
        return f"{name} {self.description!r}{extra}, {count}, {self.uid}"


@dataclass(frozen=True)
class Export:
    """What a folder holds. Both in a fixed order: by patient, study, series number, UID, part; by path."""

    series: tuple[Series, ...]
    left: tuple[Left, ...]


def scan_folder(folder: Path, *, progress: Callable[[int], None] | None = None) -> Export:
    """Every file under ``folder``. progress : called with the count of files looked at. Never raises for a bad file."""
    found: list[DicomFile | Left] = []
    for path in walk(folder):
        found.append(scan_file(path, folder))
        if progress is not None:
            progress(len(found))
    return group(found)


def walk(folder: Path) -> Iterator[Path]:
    """Every file, link and folder that cannot be listed under ``folder``, in a fixed order. Links are not followed; scan_file
    names them."""
    if not folder.is_dir():
        raise CohortError("this is not a folder.", hint="Name the folder of the export.", path=folder)
    closed: list[Path] = []
    for root, folders, files in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        folders.sort()
        linked = [name for name in folders if os.path.islink(os.path.join(root, name))]
        for name in sorted([*files, *linked]):
            yield Path(root, name)
    yield from closed


def scan_file(path: Path, folder: Path) -> DicomFile | Left:
    """One file's header. Depends on nothing else, so files may be looked at in any order and anywhere."""
    return scan_shown(path, folder, (headers.show_now(),))[0]


def scan_shown(path: Path, folder: Path, shows: Sequence[headers.Show | None]) -> list[DicomFile | Left]:
    """One file's header, read once, as each of ``shows`` lets it be seen. ``relative`` is the path as it is."""
    relative = _relative(path, folder)
    try:
        with headers.reasons():
            _check_place(path, folder)
            dataset, has_pixels = headers.read_header(path, _WANTED)
    except Unreadable as error:
        return [Left(relative, error.why, error.what) for _ in shows]
    found: list[DicomFile | Left] = []
    for show in shows:
        try:
            with headers.reasons(), headers.shown_by(show):
                found.append(_scanned(dataset, has_pixels, path, relative))
        except Unreadable as error:
            found.append(Left(relative, error.why, error.what))
    return found


def group(files: Iterable[DicomFile | Left]) -> Export:
    """Files -> series. Of files that are the same to the last byte one is kept; a scout is left aside."""
    left: list[Left] = []
    kept: list[DicomFile] = []
    for found in sorted(files, key=lambda file: file.relative):
        if isinstance(found, Left):
            left.append(found)
        else:
            kept.append(found)
    kept, copies = _without_copies(kept)
    left += copies
    series: list[Series] = []
    by_series: dict[tuple[str, ...], list[DicomFile]] = defaultdict(list)
    for file in kept:
        by_series[(file.patient_id, _series_name(file), file.modality, file.sop_class, file.frame_of_reference_uid)].append(file)
    for (_, uid, _, sop_class, _), members in by_series.items():
        if sop_class not in IMAGES:
            series.append(_series(uid, members, "", ()))
            continue
        parts, scouts = _parts(members)
        left += [Left(file.relative, "it is a scout (localizer): a projection, no slice.", "localizer") for file in scouts]
        for part, chosen in parts:
            used = sorted({index for index, _ in chosen})
            place = {index: position for position, index in enumerate(used)}
            series.append(
                _series(uid, [members[index] for index in used], part, tuple((place[index], frame) for index, frame in chosen))
            )
    return Export(tuple(sorted(series, key=_series_key)), tuple(sorted(left, key=lambda file: file.relative)))


def _scanned(dataset: FileDataset, has_pixels: bool, path: Path, relative: str) -> DicomFile | Left:
    meta = dataset.file_meta
    sop_class = headers.text(dataset, "SOPClassUID") or headers.text(meta, "MediaStorageSOPClassUID")
    modality = headers.text(dataset, "Modality")
    if sop_class == _DIRECTORY:
        return Left(relative, "it is the index of a medium (DICOMDIR); the files it lists are read without it.", "dicomdir")
    if not sop_class:
        if not modality and not headers.text(dataset, "SeriesInstanceUID"):
            return Left(relative, "it is not a DICOM file, whatever its name says.", "not-dicom")
        return Left(relative, "it does not say what kind of object it is (SOPClassUID).", "no-class")
    if sop_class not in IMAGES and sop_class not in OTHERS:
        kind = _KINDS.get(sop_class, f"an object of modality {modality or 'unknown'}")
        return Left(relative, f"it is {kind}; radpipe reads CT, MR and PET images and their regions.", "not-an-image")
    if sop_class in IMAGES and not has_pixels:
        return Left(relative, "it holds no voxels: the file is cut off, or only its header was exported.", "truncated")
    frame_uid = headers.text(dataset, "FrameOfReferenceUID")
    for item in headers.items(dataset, "ReferencedFrameOfReferenceSequence")[:1]:
        frame_uid = frame_uid or headers.text(item, "FrameOfReferenceUID")
    return DicomFile(
        path=path,
        relative=relative,
        sop_class=sop_class,
        sop_uid=headers.text(dataset, "SOPInstanceUID") or headers.text(meta, "MediaStorageSOPInstanceUID"),
        modality=IMAGES.get(sop_class) or OTHERS[sop_class],
        patient_id=headers.text(dataset, "PatientID"),
        study_uid=headers.text(dataset, "StudyInstanceUID"),
        series_uid=headers.text(dataset, "SeriesInstanceUID"),
        frame_of_reference_uid=frame_uid,
        series_number=headers.whole(dataset, "SeriesNumber"),
        series_description=headers.text(dataset, "SeriesDescription"),
        n_frames=max(headers.whole(dataset, "NumberOfFrames") or 1, 1),
        deidentified=headers.text(dataset, "PatientIdentityRemoved").upper() == "YES",
        frames=enhanced.frames_of(dataset) if sop_class in IMAGES else (),
        transfer_syntax=pixels.transfer_syntax(dataset),
    )


def _relative(path: Path, folder: Path) -> str:
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:
        relative = str(path)
    # A name that is not UTF-8 must not break the table that will hold it.
    return Path(relative).as_posix().encode("utf-8", "backslashreplace").decode()


def _check_place(path: Path, folder: Path) -> None:
    """Unreadable for links: what they point to is read under its own name, or lies outside of what was given."""
    if not path.is_symlink():
        if path.is_dir():
            raise Unreadable("no-permission", "the folder may not be listed.", "Give yourself the right to read it.")
        return
    target = Path(os.path.realpath(path))
    if not target.exists():
        raise Unreadable("link-broken", "it is a link that points to nothing.")
    if not target.is_relative_to(Path(os.path.realpath(folder))):
        raise Unreadable("link-out", "it is a link out of the folder; links out are not followed.")
    raise Unreadable("link", "it is a link to something in the folder, which is read under its own name.")


def _without_copies(files: list[DicomFile]) -> tuple[list[DicomFile], list[Left]]:
    """Files with one SOPInstanceUID and the same bytes are one file. Where the bytes differ all are kept."""
    left = []
    kept = []
    count = Counter(file.sop_uid for file in files)
    seen: dict[tuple[str, str], DicomFile] = {}
    for file in files:
        if file.sop_uid and count[file.sop_uid] > 1:
            twin = seen.setdefault((file.sop_uid, _digest(file)), file)
            if twin is not file:
                left.append(Left(file.relative, f"it is a copy of {twin.relative}.", "copy"))
                continue
        kept.append(file)
    return kept, left


def _digest(file: DicomFile) -> str:
    try:
        with open(file.path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return file.relative  # like no other file; who reads it will say what is wrong


def _series_name(file: DicomFile) -> str:
    if file.series_uid:
        return file.series_uid
    return f"no-uid:{Path(file.relative).parent.as_posix()}:{file.series_number if file.series_number is not None else ''}"


def _series(uid: str, files: list[DicomFile], part: str, chosen: tuple[tuple[int, int], ...]) -> Series:
    first = files[0]
    return Series(
        uid=uid,
        study_uid=first.study_uid,
        patient_id=first.patient_id,
        modality=first.modality,
        description=first.series_description,
        number=first.series_number,
        frame_of_reference_uid=first.frame_of_reference_uid,
        files=tuple(files),
        part=part,
        chosen=chosen,
    )


def _series_key(series: Series) -> tuple[object, ...]:
    number = series.number if series.number is not None else -1
    natural = tuple((int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", series.part))
    return (series.patient_id, series.study_uid, number, series.uid, series.modality, natural, series.files[0].relative)


Slot = tuple[int, int]  # (file, frame) of a series


def _parts(files: list[DicomFile]) -> tuple[list[tuple[str, tuple[Slot, ...]]], list[DicomFile]]:
    """The volumes in an image series, with what tells each from the others; and scouts."""
    scouts = {
        index
        for index, file in enumerate(files)
        if file.modality == _CT and any("LOCALIZER" in frame.kind[2:3] for frame in file.frames)
    }
    frames = {(index, frame.number): frame for index, file in enumerate(files) if index not in scouts for frame in file.frames}
    alike: list[tuple[Frame, list[Slot]]] = []
    for slot, frame in frames.items():
        for leader, slots in alike:
            if _alike(leader, frame):
                slots.append(slot)
                break
        else:
            alike.append((frame, [slot]))
    words = _difference([leader for leader, _ in alike])
    parts: list[tuple[str, tuple[Slot, ...]]] = []
    for word, (_, slots) in zip(words, alike, strict=True):
        for detail, some in _split(slots, frames, files):
            parts.append((", ".join(piece for piece in (word, detail) if piece), tuple(some)))
    return parts, [files[index] for index in sorted(scouts)]


def _alike(one: Frame, other: Frame) -> bool:
    """Whether two slices could be of one volume, wherever they lie."""
    if (one.rows, one.columns, one.stack, one.kind[:3]) != (other.rows, other.columns, other.stack, other.kind[:3]):
        return False
    if (one.orientation is None) != (other.orientation is None) or (one.position_mm is None) != (other.position_mm is None):
        return False
    if one.orientation is not None and other.orientation is not None and not same_orientation(one.orientation, other.orientation):
        return False
    spacings = (one.pixel_spacing_mm, other.pixel_spacing_mm)
    if spacings[0] is None or spacings[1] is None:
        return spacings[0] is spacings[1]
    return all(abs(a - b) <= 1e-4 * abs(a) for a, b in zip(*spacings, strict=True))


def _difference(leaders: list[Frame]) -> list[str]:
    """For each kind of slice in a series what it has of its own, in words; '' where there is one kind."""
    if len(leaders) < 2:
        return [""] * len(leaders)
    facts = [
        {
            "stack": frame.stack,
            "image type": "\\".join(frame.kind[:3]),
            "size": f"{frame.columns} x {frame.rows}",
            "orientation": "none" if frame.orientation is None else " ".join(f"{value:.4g}" for value in frame.orientation),
            "pixel spacing": "none" if frame.pixel_spacing_mm is None else "{:.5g} x {:.5g}".format(*frame.pixel_spacing_mm),
            "position": "none" if frame.position_mm is None else "given",
        }
        for frame in leaders
    ]
    telling = [name for name in facts[0] if len({fact[name] for fact in facts}) > 1]
    return [", ".join(f"{name} {fact[name]}" for name in telling) for fact in facts]


def _split(slots: list[Slot], frames: dict[Slot, Frame], files: list[DicomFile]) -> list[tuple[str, list[Slot]]]:
    """Slices of one kind -> volumes with one slice a position: by echo, time point and the like, where that parts them evenly.

    Where nothing does they stay together, and who reads them is told which positions are held twice.
    """
    if any(frames[slot].position_mm is None for slot in slots):
        # No volume in any case. Each file stands for itself, so that the reason names it.
        return _by_file(slots, files)
    if not _crowded(slots, frames):
        return [("", slots)]
    names: list[str] = []
    for name in _marks_in_order(slots, frames):
        trial = _parted(slots, frames, [*names, name])
        if not _parts_positions(slots, frames, name):
            continue
        names.append(name)
        if _even(trial.values(), strong=name in enhanced.STRONG_MARKS) and not any(
            _crowded(some, frames) for some in trial.values()
        ):
            return [(", ".join(word for word in key if word), some) for key, some in trial.items()]
    if any(len(files[index].frames) > 1 for index, _ in slots):
        by_file = _by_file(slots, files)
        if len(by_file) > 1:
            return by_file
    return [("", slots)]


def _even(parts: Iterable[list[Slot]], *, strong: bool) -> bool:
    """Whether parts are volumes rather than strays: of one size, or by a strong mark (one of them may lack a slice) nearly."""
    sizes = [len(part) for part in parts]
    return len(set(sizes)) == 1 or (strong and min(sizes) >= 2 and 2 * min(sizes) >= max(sizes))


def _by_file(slots: list[Slot], files: list[DicomFile]) -> list[tuple[str, list[Slot]]]:
    found: dict[int, list[Slot]] = defaultdict(list)
    for slot in slots:
        found[slot[0]].append(slot)
    if len(found) == 1:
        return [("", slots)]
    return [(f"file {Path(files[index].relative).name}", some) for index, some in found.items()]


def _place(frame: Frame) -> tuple[float, ...]:
    return tuple(round(value, 2) + 0.0 for value in frame.position_mm or ())


def _crowded(slots: list[Slot], frames: dict[Slot, Frame]) -> bool:
    return len({_place(frames[slot]) for slot in slots}) < len(slots)


def _marks_in_order(slots: list[Slot], frames: dict[Slot, Frame]) -> list[str]:
    there = {name for slot in slots for name, _ in frames[slot].marks}
    return ["image type", *(name for name in enhanced.MARK_NAMES if name in there)]


def _mark(frame: Frame, name: str) -> str:
    if name == "image type":
        return "\\".join(frame.kind)
    return dict(frame.marks).get(name, "")


def _parted(slots: list[Slot], frames: dict[Slot, Frame], names: list[str]) -> dict[tuple[str, ...], list[Slot]]:
    found: dict[tuple[str, ...], list[Slot]] = defaultdict(list)
    for slot in slots:
        found[tuple(f"{name} {_mark(frames[slot], name)}".strip() for name in names)].append(slot)
    return found


def _parts_positions(slots: list[Slot], frames: dict[Slot, Frame], name: str) -> bool:
    """Whether a mark tells slices at one position apart (it may also just change from slice to slice)."""
    seen: dict[tuple[float, ...], set[str]] = defaultdict(set)
    for slot in slots:
        seen[_place(frames[slot])].add(_mark(frames[slot], name))
    return any(len(values) > 1 for values in seen.values())

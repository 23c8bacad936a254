"""What a child does for ``radpipe deidentify``: headers of a block of files, and a block of files built anew.

Whatever is wrong with one file is a value in the row: it must not cost the others of its block. Texts for tables hold no value of
a header; what was replaced in names goes back apart, for the private folder.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from radpipe.core.grid import Grid
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError, RadpipeError, RunError
from radpipe.intake.deidentify import burned_in, deface, profile, suspicion
from radpipe.intake.deidentify.identity import Secret
from radpipe.intake.deidentify.rebuild import Plan, Rebuilt, Refused, object_type, rebuild
from radpipe.intake.deidentify.words import Words
from radpipe.io.dicom import headers, pixels, rtstruct, seg
from radpipe.io.dicom.headers import Unreadable
from radpipe.io.dicom.scan import Series, group, scan_file
from radpipe.io.dicom.series import frame_positions, read_series
from radpipe.io.dicom.write_clean import write_dataset
from radpipe.io.files import sha256_file, write_bytes
from radpipe.typing import Volume

Payload = Mapping[str, Any]
Row = dict[str, Any]
WRITTEN, QUARANTINED, REFUSED, LEFT = "written", "quarantined", "refused", "left"
_DIRECTORY = "1.2.840.10008.1.3.10"
_WANTED = headers.tags(
    "SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyInstanceUID",
    "SeriesInstanceUID", "FrameOfReferenceUID", "BodyPartExamined", "StudyDescription", "SeriesDescription", "ProtocolName",
)  # fmt: skip
_VOXELS = headers.tags("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_JUNK = {".ds_store", "thumbs.db", "desktop.ini"}
_PICTURE_SIDE = 1024
_NOT_DEFACED = "Look at it: leave it out, or de-identify it without --deface where its face may be shown."
_OUTLINE = 0.3  # of the body: a region as large as that is its outline
_NO_TISSUE = ("EXTERNAL", "SUPPORT", "FIXATION", "MARKER", "ISOCENTER", "REGISTRATION")


def read_headers(payload: Payload, folder: Path) -> Row:
    """deidentify_headers: one entry a file. payload : work, a file with the list of paths."""
    return {"files": [_header(Path(path)) for path in json.loads(Path(payload["work"]).read_text(encoding="utf-8"))]}


def _header(path: Path) -> Row:
    try:
        if path.is_symlink():
            raise Unreadable("link", "it is a link, which is not followed; what it points to must be in the export itself.")
        if path.is_dir():
            raise Unreadable("no-permission", "the folder may not be listed.", "Give yourself the right to read it.")
        if path.name.casefold() in _JUNK:
            raise Unreadable("junk", "it is a file of the operating system.")
        dataset, _ = headers.read_header(path, _WANTED)
        with headers.reasons():
            return _facts(path, dataset)
    except Unreadable as error:
        return {"what": error.what, "why": error.why, "hint": error.hint}
    except RadpipeError as error:
        return {"what": error.kind, "why": error.problem, "hint": error.hint}


def _facts(path: Path, dataset: Dataset) -> Row:
    sop_class = headers.text(dataset, "SOPClassUID") or headers.text(dataset.file_meta, "MediaStorageSOPClassUID")
    if sop_class == _DIRECTORY:
        raise Unreadable(
            "dicomdir", "it is the index of a medium (DICOMDIR), which names patients; the files it lists are read without it."
        )
    if not sop_class and not headers.text(dataset, "SeriesInstanceUID"):
        raise Unreadable("not-dicom", "it is not a DICOM file, whatever its name says.")
    dataset.SOPClassUID = sop_class
    return {
        "what": "", "object_type": object_type(dataset), "sop_class": sop_class, "sha256": sha256_file(path),
        "patient": headers.text(dataset, "PatientID"), "issuer": headers.text(dataset, "IssuerOfPatientID"),
        "born": headers.text(dataset, "PatientBirthDate"), "study": headers.text(dataset, "StudyInstanceUID"),
        "series": headers.text(dataset, "SeriesInstanceUID"),
        "sop": headers.text(dataset, "SOPInstanceUID"),
        "frame": headers.text(dataset, "FrameOfReferenceUID"), "head": suspicion.head(dataset, object_type(dataset)),
    }  # fmt: skip


def clean_block(payload: Payload, folder: Path) -> Row:
    """deidentify_files: one entry a file. payload : plan and work (files), out, quarantine (folders)."""
    plan = json.loads(Path(payload["plan"]).read_text(encoding="utf-8"))
    secret = Secret(bytes.fromhex(plan["key"]))
    words = Words.of(plan["words"])
    rows = []
    for entry in json.loads(Path(payload["work"]).read_text(encoding="utf-8")):
        mine = Plan(
            entry["pseudonym"], secret.uid, entry["days"], frozenset(plan["retain"]), words, plan["descriptors"],
            method=plan["method"], face="YES" if entry["head"] == "named" else "",
        )  # fmt: skip
        try:
            rows.append({"item": entry["item"], **_cleaned(entry, mine, plan, Path(payload["out"]), Path(payload["quarantine"]))})
        except (Unreadable, RadpipeError) as error:
            if isinstance(error, RunError):
                raise  # a full disk is no fault of the file
            if isinstance(error, RadpipeError):
                error = Unreadable(error.kind, error.problem, error.hint)
            rows.append({"item": entry["item"], "status": REFUSED, "what": error.what, "why": error.why, "hint": error.hint})
    return {"files": rows}


def _cleaned(entry: Row, mine: Plan, plan: Row, out: Path, quarantine: Path) -> Row:
    path = Path(entry["path"])
    if sha256_file(path) != entry["sha256"]:
        raise Unreadable("changed", "the file is no longer what it was when the folder was looked through.", "Try again.")
    dataset = headers.read_whole(path)
    with headers.reasons():
        dataset.SOPClassUID = entry["sop_class"]
        if not headers.text(dataset, "SOPInstanceUID"):
            dataset.SOPInstanceUID = headers.text(dataset.file_meta, "MediaStorageSOPInstanceUID")
        why = suspicion.by_header(dataset)
        if why:
            return _quarantined(entry, why, _picture_of(dataset), quarantine)
        voxels = None
        if any(tag in dataset for tag in _VOXELS):
            voxels = _plain_voxels(dataset)
        elif entry["sop_class"] in suspicion.WITH_VOXELS:
            raise Unreadable("truncated", "it holds no voxels: the file is cut off, or only its header was exported.")
        _check_order(dataset)
        notes = []
        if voxels is not None and entry["sop_class"] in suspicion.SEEN:
            found = burned_in.in_frames(voxels)
            if found and not plan["clean_pixels"]:
                first = next(iter(found))
                why = f"{len(found)} of its {len(voxels)} frames {'shows' if len(found) == 1 else 'show'} what looks like text."
                return _quarantined(entry, why, picture(voxels[first]), quarantine)
            if found:
                voxels = burned_in.blanked(voxels, found)
                if burned_in.in_frames(voxels[list(found)]):
                    why = "its voxels show what looks like text, also after it was blanked once."
                    return _quarantined(entry, why, picture(voxels[next(iter(found))]), quarantine)
                _put(dataset, voxels)
                notes.append(f"text was blanked in {len(found)} frame{'' if len(found) == 1 else 's'}")
            mine = replace(mine, pixels_cleaned=bool(plan["clean_pixels"]))
        if voxels is not None and entry["face"]:
            voxels = _without_face(voxels, entry["face"])
            _put(dataset, voxels)
            mine = replace(mine, face="NO")
            notes.append("the face was blanked")
        made = _rebuilt(dataset, mine)
        data = write_dataset(_place(out, entry["target"]), made.dataset)
    return {
        "status": WRITTEN, "what": "", "why": "", "hint": "", "removed": dict(made.removed), "replaced": made.replaced,
        "notes": [*made.notes, *notes], "size": len(data), "voxels": 0 if voxels is None else int(voxels.size),
    }  # fmt: skip


def _rebuilt(dataset: Dataset, plan: Plan) -> Rebuilt:
    try:
        return rebuild(dataset, plan)
    except Refused as error:
        raise Unreadable(error.what, error.why, error.hint) from None


def _without_face(voxels: Volume, face: Row) -> Volume:
    """The frames with the voxels of the face at the lowest value of each."""
    with np.load(face["file"]) as stored:
        mask = stored[face["name"]].astype(bool)
    if mask.shape != voxels.shape:
        raise Unreadable("changed", "the file is no longer what it was when its face was looked for.", "Try again.")
    clean = voxels.copy()
    for frame, hidden in zip(clean, mask, strict=True):
        frame[hidden] = frame.min()
    return clean


def find_faces(payload: Payload, folder: Path) -> Row:
    """deidentify_faces: where the face is in one image series, as masks of its frames (faces.npz).

    payload : work, a file with folder, images and regions (paths), named. The row has what keeps the series from being defaced
    (why, hint), or for each image the name of its mask; "" where nothing of it is blanked.
    """
    work = json.loads(Path(payload["work"]).read_text(encoding="utf-8"))
    root = Path(work["folder"])
    found = {path: scan_file(Path(path), root) for path in work["images"]}
    masks: dict[str, Volume] = {}
    names: dict[str, str] = dict.fromkeys(work["images"], "")
    unplaced = set(work["images"])
    for series in group(found.values()).series:
        of_path = {file.sop_uid: str(file.path) for file in series.files}
        unplaced -= set(of_path.values())
        try:
            image = read_series(series)
            face = deface.find_face(image.voxels.astype(np.float32), image.grid, series.modality)
            _check_regions(work["regions"], series, image.grid, face, image.voxels)
        except deface.NotFound as error:
            if error.no_head and not work["named"]:
                continue
            return {"why": f"it cannot be defaced: {error.why}", "hint": _NOT_DEFACED}
        except GeometryError:
            return {"why": "it cannot be defaced: its slices are no even stack.", "hint": _NOT_DEFACED}
        for (sop, frame), plane in frame_positions(series).slices.items():
            name = names[of_path[sop]] = names[of_path[sop]] or f"mask_{len(masks)}"
            if name not in masks:
                count = next(file.n_frames for file in series.files if file.sop_uid == sop)
                masks[name] = np.zeros((count, *image.grid.shape[1:]), bool)
            masks[name][frame - 1] = face.face[round(plane)]
    if unplaced and work["named"]:
        return {"why": "it cannot be defaced: it is a scout, or its place in the patient is not known.", "hint": _NOT_DEFACED}
    np.savez_compressed(folder / "faces.npz", **masks)  # type: ignore[arg-type]
    return {"why": "", "hint": "", "masks": [names[path] for path in work["images"]]}


def _check_regions(paths: list[str], series: Series, grid: Grid, face: deface.Face, voxels: Volume) -> None:
    """NotFound where blanking the face would change a voxel of a region or of the brain: values before and after are compared."""
    after = voxels.copy()
    after[face.face] = voxels.min()
    if not np.array_equal(after[face.brain], voxels[face.brain]):
        raise deface.NotFound("the brain would be touched.")
    body = int(face.head.sum())
    for path in paths:
        for name, mask in _regions(Path(path), series, grid):
            if mask.sum() > _OUTLINE * body:
                continue  # the outline of the body itself
            if not np.array_equal(after[mask], voxels[mask]):
                raise deface.NotFound(f"{name} of its region files lies in the face and would be touched.")


def _regions(path: Path, series: Series, grid: Grid) -> Iterator[tuple[str, Volume]]:
    """Every region that lies in the series' frame of reference, by number, as voxels of the grid."""
    kind = headers.text(headers.read_header(path, headers.tags("SOPClassUID"))[0], "SOPClassUID")
    try:
        if kind == rtstruct.RTSTRUCT:
            for roi in rtstruct.read_rtstruct(path).rois:
                if roi.frame_of_reference_uid in ("", series.frame_of_reference_uid) and roi.interpreted not in _NO_TISSUE:
                    with suppress(EmptyRoiError, GeometryError):
                        yield f"region {roi.number}", rtstruct.rasterise(roi, grid)[0].voxels
        else:
            segments = seg.read_seg(path)
            if segments.frame_of_reference_uid in ("", series.frame_of_reference_uid):
                for one in segments.regions:
                    with suppress(EmptyRoiError, GeometryError):
                        yield f"segment {one.number}", one.on_grid(grid).voxels
    except FileProblem as error:
        raise deface.NotFound("a file of its regions cannot be read, so they cannot be kept.") from error


def _plain_voxels(dataset: Dataset) -> Volume:
    """Decode the voxels into the dataset, little endian and uncompressed: what a compressed stream holds besides is gone."""
    stored = pixels.frames(dataset)
    _put(dataset, stored)
    return stored


def _put(dataset: Dataset, stored: Volume) -> None:
    bits = headers.whole(dataset, "BitsAllocated") or 0
    tag = next(tag for tag in _VOXELS if tag in dataset)
    if bits == 1:
        data = np.packbits(stored.ravel().astype(np.uint8), bitorder="little").tobytes()
    elif stored.dtype.itemsize * 8 == bits:
        data = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
    else:
        raise Unreadable("damaged", "its voxels are of another size than its header says.", headers.AGAIN)
    dataset[tag] = DataElement(Tag(tag), "OB" if bits <= 8 else "OW", data)


def _check_order(dataset: Dataset) -> None:
    """Tables and grids of a big endian file would need their bytes turned; nobody writes such files any more."""
    if dataset.original_encoding[1] is False and (
        "ModalityLUTSequence" in dataset or "DeformableRegistrationSequence" in dataset
    ):
        raise Unreadable(
            "big-endian", "it is stored in big endian order, with a table in it.", "Export it in little endian order."
        )


def _quarantined(entry: Row, why: str, picture: bytes | None, quarantine: Path) -> Row:
    name = f"{entry['item']}.png"
    if picture is not None:
        write_bytes(_place(quarantine, name), picture)
    return {
        "status": QUARANTINED, "what": "quarantined", "why": why, "picture": name if picture is not None else "",
        "hint": "Look at its picture in the quarantine; nothing of it is in the output.",
    }  # fmt: skip


def _place(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _picture_of(dataset: Dataset) -> bytes | None:
    """The first frame as it would be shown; None where it cannot be decoded."""
    from pydicom.pixels import pixel_array

    try:
        first = np.asarray(pixel_array(dataset, index=0))
    except Exception:  # a picture is a help; the file stays in quarantine without one
        return None
    return picture(first)


def picture(frame: Volume) -> bytes:
    """(rows, columns) or (rows, columns, 3) -> PNG, stretched to the values it has and thinned to a screen."""
    step = max(1, -(-max(frame.shape[:2]) // _PICTURE_SIDE))
    values = frame[::step, ::step].astype(np.float64)
    low, high = float(values.min()), float(values.max())
    grey = np.zeros(values.shape, np.uint8) if high <= low else ((values - low) / (high - low) * 255).astype(np.uint8)
    colour = grey.ndim == 3 and grey.shape[2] == 3
    rows = b"".join(b"\0" + row.tobytes() for row in (grey if colour else grey.reshape(grey.shape[:2])))
    head = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 2 if colour else 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


__all__ = ["clean_block", "find_faces", "picture", "profile", "read_headers"]

"""What a child does for ``radpipe deidentify``: headers of a block of files, and a block of files built anew.

Whatever is wrong with one file is a value in the row: it must not cost the others of its block. Texts for tables hold no value of
a header; what was replaced in names goes back apart, for the private folder.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from radpipe.errors import RadpipeError, RunError
from radpipe.intake.deidentify import burned_in, profile, suspicion
from radpipe.intake.deidentify.identity import Secret
from radpipe.intake.deidentify.rebuild import Plan, Rebuilt, Refused, object_type, rebuild
from radpipe.intake.deidentify.words import Words
from radpipe.io.dicom import headers, pixels
from radpipe.io.dicom.headers import Unreadable
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
        "frame": headers.text(dataset, "FrameOfReferenceUID"), "head": suspicion.is_head(dataset, object_type(dataset)),
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
            method=plan["method"], face="YES" if entry["head"] else "",
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


__all__ = ["clean_block", "picture", "profile", "read_headers"]

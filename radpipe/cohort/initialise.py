"""A folder's file names -> a manifest to start from. Looks at names only; what it cannot pair it says, and why."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
MASK_WORDS = frozenset(
    {
        "mask", "masks", "seg", "segs", "segmentation", "segmentations", "label", "labels", "labelmap", "labelstr", "labelsts",
        "roi", "gtv", "contour", "contours", "outline", "outlines", "annotation", "annotations", "lesion", "tumor", "tumour",
    }
)  # fmt: skip
IMAGE_WORDS = frozenset({"image", "images", "img", "imgs", "imagestr", "imagests", "scan", "scans", "volume", "volumes"})
_MODALITY_WORDS = {
    "CT": "CT", "PET": "PET", "PT": "PET", "SUV": "PET", "MR": "MR", "MRI": "MR", "T1": "MR", "T2": "MR", "FLAIR": "MR",
    "ADC": "MR", "DWI": "MR", "T1W": "MR", "T2W": "MR", "T1C": "MR", "T1CE": "MR",
}  # fmt: skip
_CHANNEL = re.compile(r"_0000$")  # nnU-Net: the first channel of an image; its label file has no such ending
_WORD_BORDER = re.compile(r"[_\-. ]+")


@dataclass(frozen=True)
class Guess:
    """rows : manifest rows (case_id, patient_id, modality, image_path, mask_path, label). left : (path, why it is in no row)."""

    rows: list[dict[str, str]]
    left: list[tuple[str, str]]


@dataclass(frozen=True)
class _File:
    path: str
    key: tuple[str, ...]  # folders and words of the name that are left without the words for image and mask
    is_mask: bool
    folder: str


def guess_pairs(paths: Iterable[str]) -> Guess:
    """Pair images with masks by name. paths : relative, "/" between folders, in any order; the result does not depend on it.

    A file is a mask where its name, or else a folder above it, has a word for mask (mask, seg, label, roi, gtv, ...: `a_mask`,
    `a-label`, `labelsTr/a`, `masks/a`). Two files belong together where what is left of their paths is the same
    (`a_image`/`a_mask`, `imagesTr/a_0000`/`labelsTr/a`, `a/image`/`a/mask`), or where a folder holds just one image and one mask.
    The patient is guessed as the case without its modality. Nothing else is guessed: two masks of one image, or
    two images of one mask, are handed back.
    """
    files = [_read(path) for path in sorted(set(paths)) if path.lower().endswith(VOLUME_SUFFIXES)]
    pairs: list[tuple[_File, _File]] = []
    left: dict[str, str] = {}
    alone = []
    for images, masks in _grouped(files, by="key"):
        if len(images) == len(masks) == 1:
            pairs.append((images[0], masks[0]))
        elif images and masks:
            for file in images + masks:
                left[file.path] = f"{_count(images, 'image')} and {_count(masks, 'mask')} have the same name"
        else:
            alone += images + masks
    whole = {images[0].folder: len(images) + len(masks) for images, masks in _grouped(files, by="folder") if images}
    for images, masks in _grouped(alone, by="folder"):
        if len(images) == len(masks) == 1 and whole[images[0].folder] == 2:
            pairs.append((images[0], masks[0]))
        else:
            left |= {file.path: "no mask with a name like it" for file in images}
            left |= {file.path: "no image with a name like it" for file in masks}
    pairs.sort(key=lambda pair: pair[0].path)
    ids = _case_ids([image.key for image, _ in pairs])
    rows = []
    for case_id, (image, mask) in zip(ids, pairs, strict=True):
        modality, patient_id = _modality(case_id, image.path)
        rows.append(
            {
                "case_id": case_id,
                "patient_id": patient_id,
                "modality": modality,
                "image_path": image.path,
                "mask_path": mask.path,
                "label": "1",
            }
        )
    return Guess(rows, sorted(left.items()))


def _read(path: str) -> _File:
    pure = PurePosixPath(path)
    name = pure.name
    stem = name[: -len(next(suffix for suffix in VOLUME_SUFFIXES if name.lower().endswith(suffix)))]
    words = _words(_CHANNEL.sub("", stem))
    folder_words = [_words(part) for part in pure.parts[:-1]]
    said = [word.lower() for word in words if word.lower() in MASK_WORDS | IMAGE_WORDS]
    # The last such word of the name decides (`tumour_image` is an image); a file whose name says nothing is what its folder
    # says: `labelsTr`, `masks`, but not `lesion_07`.
    if said:
        is_mask = said[-1] in MASK_WORDS
    else:
        is_mask = any(all(word.lower() in MASK_WORDS for word in part) and part for part in folder_words)
    rest = [word for word in words if word.lower() not in MASK_WORDS | IMAGE_WORDS]
    folders = ["_".join(part) for part in folder_words if not all(word.lower() in MASK_WORDS | IMAGE_WORDS for word in part)]
    return _File(path, (*folders, "_".join(rest)), is_mask, str(pure.parent))


def _words(text: str) -> list[str]:
    return [word for word in _WORD_BORDER.split(text) if word]


def _grouped(files: list[_File], *, by: str) -> list[tuple[list[_File], list[_File]]]:
    groups: dict[object, tuple[list[_File], list[_File]]] = defaultdict(lambda: ([], []))
    for file in files:
        groups[getattr(file, by)][file.is_mask].append(file)
    return list(groups.values())


def _case_ids(keys: list[tuple[str, ...]]) -> list[str]:
    """The shortest end of each key that names every case once; the folders all cases share say nothing."""
    longest = max((len(key) for key in keys), default=0)
    for depth in range(1, longest + 1):
        ids = ["_".join(part for part in key[-depth:] if part) for key in keys]
        # `P1/CT_image` is P1's, not a case called CT.
        named = [any(word.upper() not in _MODALITY_WORDS for word in case_id.split("_")) for case_id in ids]
        if all(ids) and all(named) and len({case_id.casefold() for case_id in ids}) == len(ids):
            return ids
    ids = ["_".join(part for part in key if part) or "case" for key in keys]
    return [f"{case_id}_{place + 1}" for place, case_id in enumerate(ids)]


def _modality(case_id: str, path: str) -> tuple[str, str]:
    """Modality ("" where no name says it) and the case's id without it."""
    words = case_id.split("_")
    named = [word for word in words if word.upper() in _MODALITY_WORDS]
    rest = "_".join(word for word in words if word not in named) or case_id
    everywhere = named or [word for word in re.split(r"[/_\-. ]+", path) if word.upper() in _MODALITY_WORDS]
    kinds = {_MODALITY_WORDS[word.upper()] for word in everywhere}
    return (kinds.pop(), rest) if len(kinds) == 1 else ("", case_id)


def _count(files: list[_File], noun: str) -> str:
    return f"{len(files)} {noun}{'s' if len(files) != 1 else ''}"

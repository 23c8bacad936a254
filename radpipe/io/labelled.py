"""Masks that hold several regions: every label of a NIfTI, NRRD or MetaImage file, every named segment of a 3D Slicer file.

A ``.seg.nrrd`` of 3D Slicer names its segments in the header (``Segment3_Name``, ``_LabelValue``, ``_Layer``); segments that
overlap lie in layers of their own. A table ``FILE.labels.csv`` (number, name) beside any other file names its labels, as
:mod:`radpipe.io.write_masks` writes it. A label that nobody names is called ``label 7``.
"""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.errors import FileProblem
from radpipe.io.files import cannot_read
from radpipe.io.named import pick_named
from radpipe.io.volumes import MAX_VOXEL_BYTES, SUFFIXES, LabelMap, read_label_layers

_SEGMENT = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer)")
_HEADER_LIMIT = 1 << 20
_MOST = 4096  # labels; more are an image, not a mask


@dataclass(frozen=True, eq=False)
class NamedRegion:
    """One region of a mask file. number : its label where the file's labels are all different, else its place in the file, from 1.

    value, layer : its voxels hold ``value`` in the layer (from 0) of the file: label and label_channel of a manifest.
    """

    number: int
    name: str
    value: int
    layer: int
    labels: LabelMap

    @property
    def grid(self) -> Grid:
        return self.labels.grid

    @property
    def mask(self) -> Mask:
        """Empty where a segment was named and never drawn."""
        return Mask(self.labels.grid, _holds(self.labels, self.value))

    def __str__(self) -> str:
        return f"region {self.number} {self.name!r}"


def read_labelled(
    path: str | os.PathLike[str], *, case_id: str = "", max_bytes: int = MAX_VOXEL_BYTES
) -> tuple[NamedRegion, ...]:
    """Every region of a mask file, by layer and label; none where every voxel is 0. FileProblem as read_label_map, where the
    header's segments do not fit the voxels, and where the file holds too many values to be a mask."""
    layers = read_label_layers(path, case_id=case_id, max_bytes=max_bytes)
    there = {(layer, value) for layer, labels in enumerate(layers) for value in _values(labels, path, case_id)}
    named = _segments(Path(path), len(layers), case_id) or _table(Path(path), case_id)
    for (layer, _), name in named.items():
        if layer >= len(layers):
            raise FileProblem(
                f"its header puts the segment {name!r} into layer {layer}, and the file has {len(layers)}.",
                hint="Save the segmentation again.", case_id=case_id, path=path,
            )  # fmt: skip
    every = sorted(there | named.keys())
    values = [value for _, value in every]
    distinct = len(set(values)) == len(values)
    return tuple(
        NamedRegion(
            value if distinct else number, named.get((layer, value), f"label {value}" if len(layers) == 1 else f"layer {layer} label {value}"),
            value, layer, layers[layer],
        )
        for number, (layer, value) in enumerate(every, start=1)
    )  # fmt: skip


def pick(regions: tuple[NamedRegion, ...], which: str | int, *, path: object = "") -> tuple[NamedRegion, ...]:
    """The regions that ``which`` means: a name, a number or a pattern; see :func:`radpipe.io.named.pick_named`."""
    return pick_named(regions, which, noun="region", path=path)


def _holds(labels: LabelMap, value: int) -> np.ndarray:
    voxels = labels.voxels
    return np.asarray(voxels == value if np.issubdtype(voxels.dtype, np.integer) else np.rint(voxels) == value)


def _values(labels: LabelMap, path: object, case_id: str) -> list[int]:
    values = np.unique(np.rint(labels.voxels))
    values = values[values != 0]
    if values.size > _MOST:
        raise FileProblem(
            f"it holds {values.size} different values: an image, not a mask.", hint="Give the mask.", case_id=case_id, path=path
        )
    if values.size and values.min() < 0:
        raise FileProblem(
            f"it holds the label {int(values.min())}; labels are above 0.",
            hint="Export the mask again.",
            case_id=case_id,
            path=path,
        )
    return [int(value) for value in values]


def _segments(path: Path, layers: int, case_id: str) -> dict[tuple[int, int], str]:
    """(layer, value) -> name, from the header of an NRRD; empty where it names no segment."""
    if not path.name.lower().endswith(".nrrd"):
        return {}
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER_LIMIT)
    except OSError as error:
        raise cannot_read(path, error, case_id) from error
    end = re.search(rb"\r?\n\r?\n", header)
    found: dict[int, dict[str, str]] = {}
    for line in header[: end.start() if end else len(header)].splitlines():
        key, mark, text = line.partition(b":=")
        known = _SEGMENT.fullmatch(key.strip().decode("latin-1")) if mark else None
        if known:
            found.setdefault(int(known[1]), {})[known[2]] = _unescaped(text.decode("utf-8", "replace"))
    named: dict[tuple[int, int], str] = {}
    for number, entry in sorted(found.items()):
        # Slicer 4.10 and before: no label values and layers, every segment is 1 in a layer of its own.
        layer = _whole(entry.get("Layer", str(number) if layers > 1 and "LabelValue" not in entry else "0"))
        value = _whole(entry.get("LabelValue", "1"))
        name = entry.get("Name", "").strip() or f"segment {number}"
        if layer is None or value is None or layer < 0 or value < 1:
            raise FileProblem(
                f"its header gives no usable label value or layer for the segment {name!r}.",
                hint="Save the segmentation again.", case_id=case_id, path=path,
            )  # fmt: skip
        if (layer, value) in named:
            raise FileProblem(
                f"its header gives the label {value} of layer {layer} to two segments, {named[layer, value]!r} and {name!r}.",
                hint="Save the segmentation again.", case_id=case_id, path=path,
            )  # fmt: skip
        named[layer, value] = name
    return named


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text.strip())


def _table(path: Path, case_id: str) -> dict[tuple[int, int], str]:
    """(layer 0, value) -> name, from FILE.labels.csv beside the mask; empty where there is none."""
    beside = names_path(path)
    if not beside.is_file():
        return {}
    try:
        rows = list(csv.reader(beside.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise FileProblem(
            "the names of labels cannot be read.", hint="Remove the file, or save it as UTF-8.", case_id=case_id, path=beside
        ) from error
    if not rows or rows[0] != ["number", "name"]:
        raise FileProblem(
            "the names of labels need the columns number,name.", hint="Correct or remove the file.", case_id=case_id, path=beside
        )
    named: dict[tuple[int, int], str] = {}
    for place, row in enumerate(rows[1:], start=2):
        number = _whole(row[0]) if len(row) == 2 else None
        if number is None or number < 1 or not row[1].strip() or (0, number) in named:
            raise FileProblem(
                f"row {place} is no label with a name, or names a label a second time.",
                hint="Correct the row.",
                case_id=case_id,
                path=beside,
            )
        named[0, number] = row[1].strip()
    return named


def names_path(path: Path) -> Path:
    """mask.nii.gz -> mask.labels.csv."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return path.with_name(path.name[: -len(suffix)] + ".labels.csv")
    return path.with_name(path.name + ".labels.csv")


def _whole(text: str) -> int | None:
    try:
        return int(text.strip())
    except ValueError:
        return None

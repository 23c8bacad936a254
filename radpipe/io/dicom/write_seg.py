"""Predicted masks -> a DICOM segmentation that belongs to its image series, by highdicom."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from radpipe.core.image import Mask
from radpipe.errors import ConfigError, FileProblem, GeometryError
from radpipe.io.dicom import headers
from radpipe.io.dicom.headers import Unreadable
from radpipe.io.files import write_bytes
from radpipe.io.write_masks import check_masks

if TYPE_CHECKING:
    from radpipe.io.dicom.scan import Series

Code = tuple[str, str, str]
_LABEL_LENGTH = 64  # of a DICOM value of type LO


@dataclass(frozen=True)
class SegmentKind:
    """What the segments are, as coded terms (value, scheme, meaning). algorithm : its name, or "" of outlines drawn by hand."""

    category: Code = ("49755003", "SCT", "Morphologically Altered Structure")
    type: Code = ("52988006", "SCT", "Lesion")
    algorithm: str = "radpipe"


def write_dicom_seg(
    path: str | os.PathLike[str],
    masks: Mapping[str, Mask],
    source: Series,
    *,
    description: str = "radpipe",
    kind: SegmentKind = SegmentKind(),
    form: Literal["BINARY", "LABELMAP"] = "BINARY",
    series_number: int = 300,
    case_id: str = "",
) -> None:
    """Masks on one grid, one segment each in their order, to a DICOM segmentation of the series ``source``, whole or not at all.

    The planes are those of the masks' grid, so it need not be the series' own: position, turn and spacing are written for
    every frame. Frames without a voxel are left out. Patient and study are the source's, the frame of reference too.
    ConfigError where highdicom is not installed; GeometryError or EmptyRoiError as :func:`radpipe.io.write_masks.write_labels`
    (segments may overlap, but not as LABELMAP); FileProblem where a source file lacks what a segmentation must repeat.
    """
    try:
        import highdicom
        from highdicom.seg import Segmentation
    except ImportError as error:
        raise ConfigError(
            "DICOM segmentations are written by highdicom, which is not installed.",
            hint="pip install highdicom, or write NIfTI masks.",
        ) from error
    check_masks(masks, path)
    for name in masks:
        if not name.strip() or len(name) > _LABEL_LENGTH or "\\" in name or not name.isprintable():
            raise FileProblem(
                f"the region's name {name[:80]!r} cannot be a DICOM label.",
                hint=f"Use 1 to {_LABEL_LENGTH} printable characters without a backslash.", case_id=case_id, path=path,
            )  # fmt: skip
    grid = next(iter(masks.values())).grid
    pixels = np.zeros(grid.shape, np.uint8 if len(masks) < 256 else np.uint16)
    overlap = False
    for number, mask in enumerate(masks.values(), start=1):
        overlap |= bool(pixels[mask.voxels].any())
        pixels[mask.voxels] = number
    if overlap and form == "LABELMAP":
        raise GeometryError("regions overlap, and a label map holds one a voxel.", hint="Write it as BINARY.", path=path)
    if overlap:
        pixels = np.stack([mask.voxels for mask in masks.values()], axis=-1).astype(np.uint8)
    direction = np.asarray(grid.direction).reshape(3, 3)
    positions = grid.world_mm(np.array([[plane, 0, 0] for plane in range(grid.shape[0])], float))
    spacing = grid.spacing_mm
    sources = _sources(source, case_id)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # highdicom's remarks quote the patient's name
            segmentation = Segmentation(
                source_images=sources,
                pixel_array=pixels,
                segmentation_type=form,
                segment_descriptions=[_segment(number, name, kind) for number, name in enumerate(masks, start=1)],
                series_instance_uid=highdicom.UID(),
                series_number=series_number,
                sop_instance_uid=highdicom.UID(),
                instance_number=1,
                manufacturer="radpipe",
                manufacturer_model_name="radpipe",
                software_versions=version("radpipe"),
                device_serial_number="0",
                series_description=description,
                content_label="RADPIPE",
                pixel_measures=highdicom.PixelMeasuresSequence(
                    pixel_spacing=[_ds(spacing[1]), _ds(spacing[2])],
                    slice_thickness=_ds(spacing[0]),
                    spacing_between_slices=_ds(spacing[0]),
                ),
                plane_orientation=highdicom.PlaneOrientationSequence(
                    "PATIENT", [_ds(value) for value in (*direction[:, 0], *direction[:, 1])]
                ),
                plane_positions=[
                    highdicom.PlanePositionSequence("PATIENT", [_ds(value) for value in position]) for position in positions
                ],
                omit_empty_frames=True,
            )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # highdicom's own words may quote the header; of them only the names of elements are passed on.
        lacking = [word for word in re.findall(r"\w+", str(error)) if tag_for_keyword(word) is not None]
        named = f"; it is about {', '.join(dict.fromkeys(lacking))}" if lacking else ""
        raise FileProblem(
            f"highdicom cannot make a segmentation of the series {source.uid} ({type(error).__name__}{named}).",
            hint="Write NIfTI masks, or give the series as it was exported.", case_id=case_id, path=source.files[0].path,
        ) from error  # fmt: skip
    buffer = io.BytesIO()
    segmentation.save_as(buffer)
    write_bytes(path, buffer.getvalue())


def _ds(value: float) -> float:
    """As DICOM writes decimals: 16 characters, so what is computed here is what a reader will find."""
    from pydicom.valuerep import format_number_as_ds

    return float(format_number_as_ds(float(value)))


def _sources(source: Series, case_id: str) -> list[Dataset]:
    """Headers of the series' files, in the order of its slices."""
    found: list[Dataset] = []
    order = dict.fromkeys(file for file, _ in source.chosen) or range(len(source.files))
    for place in order:
        file = source.files[place]
        try:
            dataset = headers.read_whole(file.path)
        except Unreadable as error:
            raise error.problem(file.path, case_id) from error
        for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
            if keyword in dataset:
                del dataset[keyword]
        found.append(dataset)
    return found


def _segment(number: int, name: str, kind: SegmentKind) -> Any:
    import highdicom
    from highdicom.sr.coding import CodedConcept
    from pydicom.sr.codedict import codes

    algorithm = None
    if kind.algorithm:
        algorithm = highdicom.AlgorithmIdentificationSequence(
            name=kind.algorithm, family=codes.cid7162.ArtificialIntelligence, version=version("radpipe")
        )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=CodedConcept(*kind.category),
        segmented_property_type=CodedConcept(*kind.type),
        algorithm_type="AUTOMATIC" if algorithm is not None else "MANUAL",
        algorithm_identification=algorithm,
    )

"""Where the frames of an image file lie: one frame in a classic file, many in an enhanced (multi-frame) one."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pydicom.dataset import Dataset

from radpipe.io.dicom import headers
from radpipe.io.dicom.geometry import Frame

# What tells frames at one position apart, in the order in which a split is tried: (words, keyword of a classic header,
# (sequence, keyword) of a functional group).
MARKS: tuple[tuple[str, str, tuple[str, str]], ...] = (
    ("echo time", "EchoTime", ("MREchoSequence", "EffectiveEchoTime")),
    ("echo", "EchoNumbers", ("", "")),
    ("component", "ComplexImageComponent", ("MRImageFrameTypeSequence", "ComplexImageComponent")),
    ("temporal position", "TemporalPositionIdentifier", ("FrameContentSequence", "TemporalPositionIndex")),
    ("b value", "DiffusionBValue", ("MRDiffusionSequence", "DiffusionBValue")),
    ("inversion time", "InversionTime", ("MRModifierSequence", "InversionTimes")),
    ("flip angle", "FlipAngle", ("MRTimingAndRelatedParametersSequence", "FlipAngle")),
    ("kernel", "ConvolutionKernel", ("CTReconstructionSequence", "ConvolutionKernel")),
    ("trigger time", "TriggerTime", ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")),
    ("frame reference time", "FrameReferenceTime", ("FrameContentSequence", "FrameReferenceDateTime")),
    ("acquisition", "AcquisitionNumber", ("FrameContentSequence", "FrameAcquisitionNumber")),
    ("acquisition time", "AcquisitionTime", ("FrameContentSequence", "FrameAcquisitionDateTime")),
    ("content time", "ContentTime", ("", "")),
)
_FRAME_TYPES = ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence")
_CONVERTED = ("UnassignedPerFrameConvertedAttributesSequence", "UnassignedSharedConvertedAttributesSequence")
STRONG_MARKS = {"image type", "echo time", "echo", "component", "temporal position", "b value", "inversion time"}
MARK_NAMES = (*(name for name, _, _ in MARKS), "gradient")
FRAME_KEYWORDS = (
    "ImageType", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "InstanceNumber",
    "RescaleSlope", "RescaleIntercept", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    *(keyword for _, keyword, _ in MARKS),
)  # fmt: skip


def frames_of(dataset: Dataset) -> tuple[Frame, ...]:
    """Every frame of an image, in the file's order. What the header does not say is None there, and judged where it is needed.

    Several frames that no functional group places count as one frame without a position: they cannot be a volume.
    """
    shared = headers.items(dataset, "SharedFunctionalGroupsSequence")
    groups = headers.items(dataset, "PerFrameFunctionalGroupsSequence")
    if groups:
        return tuple(_enhanced(dataset, (group, *shared[:1]), number) for number, group in enumerate(groups))
    several = (headers.whole(dataset, "NumberOfFrames") or 1) > 1
    return (_classic(dataset, placed=not several),)


def macro(groups: Iterable[Dataset], sequence: str) -> Dataset:
    """The item of a functional group, the frame's own before the shared one; an empty one where there is none."""
    for group in groups:
        found = headers.items(group, sequence)
        if found:
            return found[0]
    return Dataset()


def converted(dataset: Dataset) -> tuple[Dataset, ...]:
    """What a legacy converted image keeps of its classic headers: of its first frame, then what all frames share."""
    groups = (
        *headers.items(dataset, "PerFrameFunctionalGroupsSequence")[:1],
        *headers.items(dataset, "SharedFunctionalGroupsSequence")[:1],
    )
    return tuple(item for name in _CONVERTED for group in groups for item in headers.items(group, name)[:1])


def _enhanced(dataset: Dataset, groups: tuple[Dataset, ...], number: int) -> Frame:
    scaling = macro(groups, "PixelValueTransformationSequence")
    old = [macro(groups, name) for name in _CONVERTED]
    marks = []
    for words, keyword, (sequence, inner) in MARKS:
        value = headers.mark(macro(groups, sequence), inner) if sequence else ""
        value = value or next((found for item in old if (found := headers.mark(item, keyword))), "")
        if value:
            marks.append((words, value))
    gradient = headers.mark(
        macro((macro(groups, "MRDiffusionSequence"),), "DiffusionGradientDirectionSequence"), "DiffusionGradientOrientation"
    )
    kinds = (headers.texts(macro(groups, name), "FrameType") for name in _FRAME_TYPES)
    return Frame(
        number=number,
        instance=headers.whole(dataset, "InstanceNumber"),
        rows=headers.whole(dataset, "Rows") or 0,
        columns=headers.whole(dataset, "Columns") or 0,
        position_mm=headers.numbers(macro(groups, "PlanePositionSequence"), "ImagePositionPatient", 3),
        orientation=headers.numbers(macro(groups, "PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        pixel_spacing_mm=headers.numbers(macro(groups, "PixelMeasuresSequence"), "PixelSpacing", 2),
        slope=_scale(scaling, "RescaleSlope", 1.0),
        intercept=_scale(scaling, "RescaleIntercept", 0.0),
        kind=next((kind for kind in kinds if kind), headers.texts(dataset, "ImageType")),
        stack=headers.text(macro(groups, "FrameContentSequence"), "StackID"),
        marks=(*marks, *([("gradient", gradient)] if gradient else [])),
    )


def _classic(dataset: Dataset, *, placed: bool) -> Frame:
    marks = ((words, headers.mark(dataset, keyword)) for words, keyword, _ in MARKS)
    return Frame(
        number=0,
        instance=headers.whole(dataset, "InstanceNumber"),
        rows=headers.whole(dataset, "Rows") or 0,
        columns=headers.whole(dataset, "Columns") or 0,
        position_mm=headers.numbers(dataset, "ImagePositionPatient", 3) if placed else None,
        orientation=headers.numbers(dataset, "ImageOrientationPatient", 6) if placed else None,
        pixel_spacing_mm=headers.numbers(dataset, "PixelSpacing", 2),
        slope=_scale(dataset, "RescaleSlope", 1.0),
        intercept=_scale(dataset, "RescaleIntercept", 0.0),
        kind=headers.texts(dataset, "ImageType"),
        marks=tuple((words, value) for words, value in marks if value),
    )


def _scale(dataset: Dataset, keyword: str, otherwise: float) -> float:
    """A rescale element; ``otherwise`` where it is missing or empty; NaN, which is refused, where it is no number."""
    found = headers.number(dataset, keyword)
    if found is not None:
        return found
    return otherwise if headers.is_empty(dataset, keyword) else math.nan

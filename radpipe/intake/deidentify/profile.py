"""The allow-list: every element that may be in a de-identified file, by object type, at every level of nesting, and why.

The list follows DICOM PS3.15 Annex E (Basic Application Level Confidentiality Profile and its options, 2024b) by what remains, not
by what is removed: an element that is not here is not in the output, whatever the profile's own table says about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

CHARACTERISTICS, DATES, DEVICE, PRIVATE = "patient-characteristics", "modified-dates", "device-identity", "safe-private"
OPTIONS = (CHARACTERISTICS, DATES, DEVICE, PRIVATE)
"""Of the standard, which a user can choose: what is retained."""

DROP, EMPTY, SOME = "drop", "empty", "some"
_NUMBERS = {"DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"}
_BY_VR = {"UI": "uid", "DA": "date", "TM": "time", "DT": "moment", "CS": "term", "AT": "tag", "SQ": "items", "AS": "age"}
KINDS = {
    "pseudonym": "the pseudonym",
    "number": "kept where it is a number",
    "term": "kept where its words are allowed",
    "words": "kept where its words are allowed",
    "label": "kept where its words are allowed, else a numbered name",
    "uid": "replaced by a keyed hash; UIDs of the standard itself stay",
    "date": "moved by the patient's offset",
    "time": "kept",
    "moment": "moved by the patient's offset",
    "age": "kept, above 89 years as 90",
    "tag": "kept: the number of an element",
    "items": "its items by the same rules",
    "code": "kept where the code is of the standard's dictionaries, with their own meaning",
    "bytes": "kept, cut to the length that the header declares",
    "voxels": "kept: as many bits as are stored, and no byte more",
    "verbatim": "kept as it is",
    "empty": "written empty, because the element must be there",
}


@dataclass(frozen=True)
class Rule:
    """kind : of KINDS. need : the option without which it goes. missing : what is written for a value that goes: drop, empty, some (of
    several values those that may stay), code, or a text. items : the table of a sequence's items."""

    kind: str
    why: str
    need: str = ""
    missing: str = DROP
    items: Table | None = None


@dataclass(frozen=True)
class Table:
    """tag -> rule."""

    rules: Mapping[int, Rule] = field(default_factory=dict)

    def __or__(self, other: Table) -> Table:
        return Table({**self.rules, **other.rules})

    def walk(self, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Rule]]:
        """((keywords from the top), rule) of every element, its items after it; a table within itself is not entered again."""
        for tag, rule in sorted(self.rules.items()):
            path = (*above, keyword_for_tag(tag))
            yield path, rule
            if rule.items is not None and len(path) < 8 and path.count(path[-1]) < 2:
                yield from rule.items.walk(path)


def keep(why: str, keywords: str, *, kind: str = "", need: str = "", missing: str = DROP, items: Table | None = None) -> Table:
    """A table of keywords with one reason. kind : by default what the elements' value representation asks for."""
    rules = {}
    for keyword in keywords.split():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise ValueError(f"{keyword} is no DICOM keyword")
        rules[tag] = Rule(kind or _kind(tag), why, need or _need(kind or _kind(tag)), missing, items)
    return Table(rules)


def _kind(tag: int) -> str:
    vrs = set(dictionary_VR(tag).split(" or "))
    if vrs <= _NUMBERS:
        return "number"
    (vr,) = vrs
    return _BY_VR.get(vr, "words")


def _need(kind: str) -> str:
    return DATES if kind in ("date", "time", "moment") else CHARACTERISTICS if kind == "age" else ""


# codes and references

_CODED = "what the object is, in codes of the standard"
CODE = keep(_CODED, "CodeValue CodingSchemeDesignator CodeMeaning", kind="words")


def coded(keywords: str, why: str = _CODED, *, missing: str = DROP, more: Table | None = None) -> Table:
    """Sequences of coded entries; more : what an item holds besides its code."""
    return keep(why, keywords, kind="code", missing=missing, items=CODE | more if more else CODE)


def sequence(why: str, keywords: str, *items: Table, missing: str = DROP) -> Table:
    whole = Table()
    for one in items:
        whole |= one
    return keep(why, keywords, kind="items", items=whole, missing=missing)


_LINK = "which objects belong together"
REFERENCE = keep(_LINK, "ReferencedSOPClassUID ReferencedSOPInstanceUID ReferencedFrameNumber ReferencedSegmentNumber") | coded(
    "PurposeOfReferenceCodeSequence", _LINK
)
_INSTANCES = sequence(_LINK, "ReferencedInstanceSequence", REFERENCE)
REFERENCED_SERIES = sequence(_LINK, "ReferencedSeriesSequence", keep(_LINK, "SeriesInstanceUID"), _INSTANCES)
OTHER_STUDIES = sequence(
    _LINK, "StudiesContainingOtherReferencedInstancesSequence", keep(_LINK, "StudyInstanceUID"), REFERENCED_SERIES
)
SOURCES = sequence(_LINK, "SourceImageSequence ReferencedImageSequence", REFERENCE)

# what every object has

_WHO = "tells patients apart, by a name that means nobody"
_MUST = "the standard wants the element; it is empty"
_DOSE = "what SUV by body weight, lean body mass or surface is computed from"
_WHEN = "intervals between scans, and the decay of the tracer"
PATIENT = (
    keep(_WHO, "PatientName PatientID", kind="pseudonym")
    | keep(_MUST, "PatientBirthDate", kind="empty")
    | keep(_DOSE, "PatientSex", need=CHARACTERISTICS, missing=EMPTY)
    | keep(_DOSE, "PatientSize PatientWeight", need=CHARACTERISTICS)
    | keep("age at the scan", "PatientAge")
)
_TELLS = "what was scanned and how"
STUDY = (
    keep("objects of one study", "StudyInstanceUID")
    | keep(_WHEN, "StudyDate StudyTime", missing=EMPTY)
    | keep(_MUST, "ReferringPhysicianName StudyID AccessionNumber", kind="empty")
    | keep(_TELLS, "StudyDescription")
)
SERIES = (
    keep("objects of one series", "SeriesInstanceUID")
    | keep("objects of one series", "SeriesNumber", missing=EMPTY)
    | keep(_TELLS, "Modality PatientPosition Laterality BodyPartExamined SeriesDescription ProtocolName")
    | keep(_WHEN, "SeriesDate SeriesTime")
)
_SCANNER = "intensities and textures differ between scanners"
EQUIPMENT = keep(_SCANNER, "Manufacturer", missing=EMPTY) | keep(_SCANNER, "ManufacturerModelName SoftwareVersions")
_DEVICE = "which device it was"
DEVICE_IDENTITY = keep(_DEVICE, "DeviceSerialNumber StationName GantryID DetectorID", kind="verbatim", need=DEVICE) | keep(
    _DEVICE, "DeviceUID", need=DEVICE
)
_OBJECT = "identifies the object and says how to read it"
SOP = keep(_OBJECT, "SOPClassUID SOPInstanceUID") | keep(_OBJECT, "InstanceNumber", missing=EMPTY)
_PLACE = "where the voxels lie in the patient"
FRAME = keep(_PLACE, "FrameOfReferenceUID") | keep(_PLACE, "PositionReferenceIndicator", missing=EMPTY)
COMMON = PATIENT | STUDY | SERIES | EQUIPMENT | DEVICE_IDENTITY | SOP

# images

_VOXELS = "the voxels and how they are stored"
PIXELS = keep(
    _VOXELS,
    "SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation PixelAspectRatio "
    "PixelPaddingValue PixelPaddingRangeLimit NumberOfFrames LossyImageCompression LossyImageCompressionRatio "
    "LossyImageCompressionMethod",
) | keep(_VOXELS, "PixelData FloatPixelData DoubleFloatPixelData", kind="voxels")
_SCALE = "from stored values to HU, SUV or dose"
RESCALE = keep(_SCALE, "RescaleSlope RescaleIntercept RescaleType PixelPresentation") | sequence(
    _SCALE, "ModalityLUTSequence", keep(_SCALE, "LUTDescriptor ModalityLUTType"), keep(_SCALE, "LUTData", kind="bytes")
)
WINDOW = keep("how it is shown", "WindowCenter WindowWidth VOILUTFunction PresentationLUTShape")
PLANE = keep(
    _PLACE,
    "ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness SliceLocation SpacingBetweenSlices "
    "PatientOrientation GantryDetectorTilt TemporalPositionIdentifier NumberOfTemporalPositions TemporalResolution",
)
_HOW = "how it was acquired and reconstructed: textures depend on it"
IMAGE = (
    keep(_HOW, "ImageType", missing="OTHER")
    | keep(_HOW, "AcquisitionNumber", missing=EMPTY)
    | keep(_HOW, "ImagesInAcquisition AcquisitionDuration")
    | keep(_WHEN, "AcquisitionDate AcquisitionTime AcquisitionDateTime ContentDate ContentTime")
    | SOURCES
    | coded("AnatomicRegionSequence DerivationCodeSequence")
    | PIXELS | RESCALE | WINDOW | PLANE
)  # fmt: skip
CONTRAST = (
    keep(_HOW, "ContrastBolusAgent", missing=EMPTY)
    | keep(_HOW, "ContrastBolusRoute ContrastBolusVolume ContrastBolusTotalDose ContrastBolusIngredient "
        "ContrastBolusIngredientConcentration ContrastFlowRate ContrastFlowDuration")
    | coded("ContrastBolusAgentSequence")
)  # fmt: skip
CT_ACQUISITION = CONTRAST | keep(
    _HOW,
    "KVP DataCollectionDiameter ReconstructionDiameter DistanceSourceToDetector DistanceSourceToPatient TableHeight TableSpeed "
    "TableFeedPerRotation RotationDirection ExposureTime XRayTubeCurrent Exposure ExposureInuAs ExposureTimeInms "
    "XRayTubeCurrentInuA ExposureModulationType FilterType "
    "GeneratorPower FocalSpots ConvolutionKernel ScanOptions SingleCollimationWidth TotalCollimationWidth SpiralPitchFactor "
    "DataCollectionCenterPatient ReconstructionTargetCenterPatient CTDIvol RevolutionTime AcquisitionType",
)
MR_ACQUISITION = CONTRAST | keep(
    _HOW,
    "ScanningSequence SequenceVariant ScanOptions MRAcquisitionType SequenceName AngioFlag RepetitionTime EchoTime InversionTime "
    "NumberOfAverages ImagingFrequency ImagedNucleus EchoNumbers MagneticFieldStrength NumberOfPhaseEncodingSteps EchoTrainLength "
    "PercentSampling PercentPhaseFieldOfView PixelBandwidth TriggerTime ReceiveCoilName TransmitCoilName AcquisitionMatrix "
    "InPlanePhaseEncodingDirection FlipAngle VariableFlipAngleFlag SAR dBdt DiffusionBValue DiffusionGradientOrientation "
    "DiffusionDirectionality ComplexImageComponent AcquisitionContrast",
)
TRACER = sequence(
    _DOSE, "RadiopharmaceuticalInformationSequence",
    keep(_DOSE, "Radiopharmaceutical RadiopharmaceuticalRoute RadiopharmaceuticalVolume RadionuclideTotalDose RadionuclideHalfLife "
        "RadionuclidePositronFraction RadiopharmaceuticalSpecificActivity RadiopharmaceuticalAgentNumber "
        "RadiopharmaceuticalStartTime RadiopharmaceuticalStartDateTime"),
    coded("RadionuclideCodeSequence RadiopharmaceuticalCodeSequence AdministrationRouteCodeSequence", _DOSE),
    missing=EMPTY,
)  # fmt: skip
PET_ACQUISITION = (
    TRACER
    | keep(_SCALE, "Units SUVType DecayCorrection DecayCorrected DecayFactor DoseCalibrationFactor CountsSource SeriesType")
    | keep(_SCALE, "CorrectedImage", missing=SOME)
    | keep(_WHEN, "DecayCorrectionDateTime")
    | keep(
        _HOW,
        "ActualFrameDuration FrameReferenceTime ReprojectionMethod NumberOfRRIntervals NumberOfTimeSlots NumberOfTimeSlices "
        "NumberOfSlices NumberOfRotations RandomsCorrectionMethod AttenuationCorrectionMethod ScatterCorrectionMethod "
        "ReconstructionMethod DetectorLinesOfResponseUsed AcquisitionStartCondition AcquisitionTerminationCondition "
        "DeadTimeFactor ScatterFractionFactor SliceSensitivityFactor ImageIndex AxialAcceptance AxialMash TransverseMash "
        "DetectorElementSize CoincidenceWindowWidth CollimatorType FieldOfViewShape FieldOfViewDimensions TypeOfDetectorMotion "
        "AttenuationCorrected ScatterCorrected DeadTimeCorrected GantryMotionCorrected PatientMotionCorrected "
        "CountLossNormalizationCorrected RandomsCorrected NonUniformRadialSamplingCorrected SensitivityCalibrated "
        "DetectorNormalizationCorrection TimeOfFlightInformationUsed ReconstructionDiameter ConvolutionKernel FilterType",
    )
    | sequence(_HOW, "EnergyWindowRangeSequence", keep(_HOW, "EnergyWindowLowerLimit EnergyWindowUpperLimit"), missing=EMPTY)
    | coded("PatientOrientationCodeSequence", _PLACE, missing=EMPTY, more=coded("PatientOrientationModifierCodeSequence", _PLACE))
    | coded("PatientGantryRelationshipCodeSequence", _PLACE, missing=EMPTY)
)
CT = COMMON | FRAME | IMAGE | CT_ACQUISITION
MR = COMMON | FRAME | IMAGE | MR_ACQUISITION
PET = COMMON | FRAME | IMAGE | PET_ACQUISITION | keep(_WHEN, "AcquisitionDate AcquisitionTime", missing=EMPTY)

# multi-frame images

_EACH = "the same for each frame"
_REAL = sequence(
    _SCALE, "RealWorldValueMappingSequence",
    keep(_SCALE, "RealWorldValueFirstValueMapped RealWorldValueLastValueMapped RealWorldValueSlope RealWorldValueIntercept "
        "DoubleFloatRealWorldValueFirstValueMapped DoubleFloatRealWorldValueLastValueMapped LUTLabel"),
    keep(_SCALE, "LUTExplanation", missing="UNKNOWN"),
    coded("MeasurementUnitsCodeSequence", _SCALE),
)  # fmt: skip
_FRAME_TYPE = keep(_HOW, "FrameType", missing="OTHER") | keep(
    _HOW,
    "PixelPresentation VolumetricProperties VolumeBasedCalculationTechnique ComplexImageComponent AcquisitionContrast",
)
GROUPS = (
    sequence(_PLACE, "PixelMeasuresSequence", keep(_PLACE, "PixelSpacing SliceThickness SpacingBetweenSlices"))
    | sequence(_PLACE, "PlanePositionSequence", keep(_PLACE, "ImagePositionPatient"))
    | sequence(_PLACE, "PlaneOrientationSequence", keep(_PLACE, "ImageOrientationPatient"))
    | sequence(
        _EACH, "FrameContentSequence",
        keep(_PLACE, "FrameAcquisitionNumber FrameAcquisitionDuration StackID InStackPositionNumber DimensionIndexValues "
            "TemporalPositionIndex"),
        keep(_WHEN, "FrameReferenceDateTime FrameAcquisitionDateTime"),
    )
    | sequence("how it is shown", "FrameVOILUTSequence", keep("how it is shown", "WindowCenter WindowWidth VOILUTFunction"))
    | sequence(_SCALE, "PixelValueTransformationSequence",
        keep(_SCALE, "RescaleIntercept RescaleSlope"), keep(_SCALE, "RescaleType", missing="US"))
    | sequence(_HOW, "CTImageFrameTypeSequence MRImageFrameTypeSequence PETFrameTypeSequence", _FRAME_TYPE)
    | sequence(_TELLS, "FrameAnatomySequence", keep(_TELLS, "FrameLaterality"), coded("AnatomicRegionSequence"))
    | sequence(_LINK, "DerivationImageSequence", SOURCES, coded("DerivationCodeSequence"))
    | sequence(_LINK, "ReferencedImageSequence", REFERENCE)
    | sequence(_LINK, "ConversionSourceAttributesSequence", REFERENCE)
    | sequence(_LINK, "SegmentIdentificationSequence", keep(_LINK, "ReferencedSegmentNumber"))
    | sequence(_PLACE, "TemporalPositionSequence", keep(_PLACE, "TemporalPositionTimeOffset"))
    | _REAL
    | sequence(_HOW, "MRTimingAndRelatedParametersSequence",
        keep(_HOW, "RepetitionTime FlipAngle EchoTrainLength RFEchoTrainLength GradientEchoTrainLength"),
        sequence(_HOW, "OperatingModeSequence", keep(_HOW, "OperatingModeType OperatingMode")),
        sequence(_HOW, "SpecificAbsorptionRateSequence", keep(_HOW, "SpecificAbsorptionRateDefinition SpecificAbsorptionRateValue")))
    | sequence(_HOW, "MRTransmitCoilSequence", keep(_HOW, "TransmitCoilName", missing="UNKNOWN"),
        keep(_HOW, "TransmitCoilManufacturerName", missing=EMPTY), keep(_HOW, "TransmitCoilType"))
    | sequence(_HOW, "MRReceiveCoilSequence", keep(_HOW, "ReceiveCoilName", missing="UNKNOWN"),
        keep(_HOW, "ReceiveCoilManufacturerName", missing=EMPTY), keep(_HOW, "ReceiveCoilType QuadratureReceiveCoil"),
        sequence(_HOW, "MultiCoilDefinitionSequence", keep(_HOW, "MultiCoilElementName", missing="UNKNOWN"),
            keep(_HOW, "MultiCoilElementUsed")))
    | sequence(_HOW, "MREchoSequence", keep(_HOW, "EffectiveEchoTime"))
    | sequence(_HOW, "MRModifierSequence", keep(_HOW, "InversionRecovery InversionTimes FlowCompensation Spoiling T2Preparation "
        "SpectrallySelectedExcitation SpatialPresaturation PartialFourier PartialFourierDirection ParallelAcquisition "
        "ParallelAcquisitionTechnique ParallelReductionFactorInPlane ParallelReductionFactorOutOfPlane"))
    | sequence(_HOW, "MRImagingModifierSequence", keep(_HOW, "MagnetizationTransfer BloodSignalNulling Tagging TransmitterFrequency "
        "PixelBandwidth"))
    | sequence(_HOW, "MRAveragesSequence", keep(_HOW, "NumberOfAverages"))
    | sequence(_HOW, "MRFOVGeometrySequence", keep(_HOW, "InPlanePhaseEncodingDirection MRAcquisitionFrequencyEncodingSteps "
        "MRAcquisitionPhaseEncodingStepsInPlane MRAcquisitionPhaseEncodingStepsOutOfPlane PercentSampling PercentPhaseFieldOfView"))
    | sequence(_HOW, "MRDiffusionSequence", keep(_HOW, "DiffusionBValue DiffusionDirectionality"),
        sequence(_HOW, "DiffusionGradientDirectionSequence", keep(_HOW, "DiffusionGradientOrientation")))
    | sequence(_HOW, "CardiacSynchronizationSequence", keep(_HOW, "NominalCardiacTriggerDelayTime"))
    | sequence(_HOW, "CTAcquisitionTypeSequence", keep(_HOW, "AcquisitionType TubeAngle ConstantVolumeFlag FluoroscopyFlag"))
    | sequence(_HOW, "CTAcquisitionDetailsSequence", keep(_HOW, "RotationDirection RevolutionTime SingleCollimationWidth "
        "TotalCollimationWidth TableHeight GantryDetectorTilt DataCollectionDiameter"))
    | sequence(_HOW, "CTTableDynamicsSequence", keep(_HOW, "TableSpeed TableFeedPerRotation SpiralPitchFactor"))
    | sequence(_PLACE, "CTPositionSequence", keep(_PLACE, "TablePosition DataCollectionCenterPatient "
        "ReconstructionTargetCenterPatient"))
    | sequence(_HOW, "CTGeometrySequence", keep(_HOW, "DistanceSourceToDetector DistanceSourceToDataCollectionCenter"))
    | sequence(_HOW, "CTReconstructionSequence", keep(_HOW, "ReconstructionAlgorithm ConvolutionKernel ConvolutionKernelGroup "
        "ReconstructionDiameter ReconstructionFieldOfView ReconstructionPixelSpacing ReconstructionAngle ImageFilter"))
    | sequence(_HOW, "CTExposureSequence", keep(_HOW, "ExposureTimeInms XRayTubeCurrentInmA ExposureInmAs ExposureModulationType "
        "EstimatedDoseSaving CTDIvol"))
    | sequence(_HOW, "CTXRayDetailsSequence", keep(_HOW, "KVP FocalSpots FilterType FilterMaterial CalciumScoringMassFactorPatient"))
    | sequence(_HOW, "PETReconstructionSequence", keep(_HOW, "ReconstructionType ReconstructionAlgorithm IterativeReconstructionMethod "
        "NumberOfIterations NumberOfSubsets ReconstructionDiameter"))
    | sequence(_DOSE, "RadiopharmaceuticalUsageSequence", keep(_DOSE, "RadiopharmaceuticalAgentNumber"))
)  # fmt: skip


def _with_converted(groups: Table, classic: Table) -> Table:
    """Functional groups of a legacy converted image: what its classic headers held besides."""
    once = sequence("what the classic header held", "UnassignedSharedConvertedAttributesSequence "
        "UnassignedPerFrameConvertedAttributesSequence", classic)  # fmt: skip
    return groups | once


DIMENSIONS = sequence(_PLACE, "DimensionOrganizationSequence", keep(_PLACE, "DimensionOrganizationUID")) | sequence(
    _PLACE, "DimensionIndexSequence",
    keep(_PLACE, "DimensionOrganizationUID DimensionIndexPointer FunctionalGroupPointer DimensionIndexPrivateCreator "
        "FunctionalGroupPrivateCreator"),
) | keep(_PLACE, "DimensionOrganizationType")  # fmt: skip
_EXACT = {"EquipmentModule": keep(_SCANNER, "Manufacturer ManufacturerModelName SoftwareVersions", missing="UNKNOWN")}
_ENHANCED = (
    COMMON | FRAME | IMAGE | _EXACT["EquipmentModule"] | REFERENCED_SERIES | OTHER_STUDIES
    | keep(_WHEN, "ContentDate", missing="19000101") | keep(_WHEN, "ContentTime", missing="000000")
    | keep(_WHEN, "AcquisitionDateTime", missing="19000101000000")
    | keep(_HOW, "ContentQualification PixelPresentation VolumetricProperties VolumeBasedCalculationTechnique AcquisitionContrast "
        "ComplexImageComponent ResonantNucleus KSpaceFiltering MagneticFieldStrength ApplicableSafetyStandardAgency "
        "MultienergyCTAcquisition ConcatenationUID InConcatenationNumber ConcatenationFrameOffsetNumber BodyPartExamined")
    | keep(_DEVICE, "DeviceSerialNumber", kind="verbatim", need=DEVICE, missing="REMOVED")
    | DIMENSIONS
    | keep(_MUST, "AcquisitionContextSequence", kind="empty")
)  # fmt: skip


def _groups(groups: Table) -> Table:
    return sequence(_EACH, "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence", groups)


_EVIDENCE = sequence(
    _LINK,
    "ReferencedImageEvidenceSequence SourceImageEvidenceSequence",
    keep(_LINK, "StudyInstanceUID"),
    sequence(
        _LINK, "ReferencedSeriesSequence", keep(_LINK, "SeriesInstanceUID"), sequence(_LINK, "ReferencedSOPSequence", REFERENCE)
    ),
)
_PULSE_SEQUENCE = keep(_HOW, "PulseSequenceName", missing="UNKNOWN") | keep(
    _HOW,
    "NumberOfKSpaceTrajectories SteadyStatePulseSequence TimeOfFlightContrast SegmentedKSpaceTraversal MultiPlanarExcitation "
    "SaturationRecovery OversamplingPhase MultipleSpinEcho EchoPlanarPulseSequence PhaseContrast GeometryOfKSpaceTraversal "
    "EchoPulseSequence SpectrallySelectedSuppression CoverageOfKSpace RectilinearPhaseEncodeReordering KSpaceFiltering",
)
_CLASSIC = IMAGE | keep(_TELLS, "BodyPartExamined")
ENHANCED_CT = _ENHANCED | CONTRAST | _EVIDENCE | _groups(GROUPS)
ENHANCED_MR = _ENHANCED | CONTRAST | MR_ACQUISITION | _PULSE_SEQUENCE | _EVIDENCE | _groups(GROUPS)
ENHANCED_PET = _ENHANCED | PET_ACQUISITION | _EVIDENCE | _groups(GROUPS)
LEGACY_CT = _ENHANCED | CT_ACQUISITION | _groups(_with_converted(GROUPS, _CLASSIC | CT_ACQUISITION))
LEGACY_MR = _ENHANCED | MR_ACQUISITION | _EVIDENCE | _groups(_with_converted(GROUPS, _CLASSIC | MR_ACQUISITION))
LEGACY_PET = _ENHANCED | PET_ACQUISITION | _groups(_with_converted(GROUPS, _CLASSIC | PET_ACQUISITION | SERIES | PATIENT))

# regions, registrations, doses

_REGION = "the regions and what they are called"
_IMAGES_OF = sequence(_LINK, "ContourImageSequence", REFERENCE)
RTSTRUCT = (
    COMMON | FRAME
    | keep(_MUST, "OperatorsName", kind="empty")
    | keep(_REGION, "StructureSetLabel", kind="label")
    | keep(_WHEN, "StructureSetDate StructureSetTime", missing=EMPTY)
    | keep(_REGION, "ApprovalStatus")
    | REFERENCED_SERIES
    | sequence(
        _LINK, "ReferencedFrameOfReferenceSequence", keep(_PLACE, "FrameOfReferenceUID"),
        sequence(_LINK, "RTReferencedStudySequence", REFERENCE,
            sequence(_LINK, "RTReferencedSeriesSequence", keep(_LINK, "SeriesInstanceUID"), _IMAGES_OF)),
    )
    | sequence(
        _REGION, "StructureSetROISequence",
        keep(_REGION, "ROINumber ReferencedFrameOfReferenceUID ROIVolume"), keep(_REGION, "ROIName", kind="label"),
        keep(_REGION, "ROIGenerationAlgorithm", missing=EMPTY),
    )
    | sequence(
        _REGION, "ROIContourSequence", keep(_REGION, "ROIDisplayColor ReferencedROINumber"),
        sequence(_REGION, "ContourSequence", _IMAGES_OF,
            keep(_REGION, "ContourNumber AttachedContours ContourGeometricType ContourSlabThickness ContourOffsetVector "
                "NumberOfContourPoints ContourData")),
    )
    | sequence(
        _REGION, "RTROIObservationsSequence", keep(_REGION, "ObservationNumber ReferencedROINumber"),
        keep(_REGION, "RTROIInterpretedType", missing=EMPTY), keep(_MUST, "ROIInterpreter", kind="empty"),
        coded("RTROIIdentificationCodeSequence"),
    )
)  # fmt: skip
_SEGMENT = (
    keep(_REGION, "SegmentNumber SegmentAlgorithmType RecommendedDisplayCIELabValue RecommendedDisplayGrayscaleValue")
    | keep(_REGION, "SegmentLabel", kind="label")
    | keep(_REGION, "SegmentDescription")
    | keep(_REGION, "SegmentAlgorithmName", missing="UNKNOWN")
    | coded("SegmentedPropertyCategoryCodeSequence", _REGION, missing="code")
    | coded("SegmentedPropertyTypeCodeSequence", _REGION, missing="code",
        more=coded("SegmentedPropertyTypeModifierCodeSequence", _REGION))
    | coded("AnatomicRegionSequence", _REGION, more=coded("AnatomicRegionModifierSequence", _REGION))
)  # fmt: skip
_CONTENT = (
    keep(_REGION, "ContentLabel", kind="label")
    | keep(_MUST, "ContentDescription ContentCreatorName", kind="empty")
    | keep(_WHEN, "ContentDate", missing="19000101")
    | keep(_WHEN, "ContentTime", missing="000000")
)
SEG = (
    COMMON | FRAME | IMAGE | _EXACT["EquipmentModule"] | _CONTENT | DIMENSIONS | REFERENCED_SERIES | OTHER_STUDIES
    | keep(_DEVICE, "DeviceSerialNumber", kind="verbatim", need=DEVICE, missing="REMOVED")
    | keep(_REGION, "SegmentationType SegmentationFractionalType MaximumFractionalValue SegmentsOverlap ConcatenationUID "
        "InConcatenationNumber ConcatenationFrameOffsetNumber")
    | sequence(_REGION, "SegmentSequence", _SEGMENT)
    | _groups(GROUPS)
)  # fmt: skip
_MATRIX = sequence(
    _PLACE, "MatrixSequence", keep(_PLACE, "FrameOfReferenceTransformationMatrix FrameOfReferenceTransformationMatrixType")
)
_REGISTRATION = (
    COMMON | FRAME | _CONTENT | _EXACT["EquipmentModule"] | REFERENCED_SERIES | OTHER_STUDIES
    | keep(_DEVICE, "DeviceSerialNumber", kind="verbatim", need=DEVICE, missing="REMOVED")
)  # fmt: skip
REGISTRATION = _REGISTRATION | sequence(
    _PLACE, "RegistrationSequence", keep(_PLACE, "FrameOfReferenceUID"), SOURCES,
    sequence(_PLACE, "MatrixRegistrationSequence", _MATRIX, coded("RegistrationTypeCodeSequence", _PLACE, missing=EMPTY)),
)  # fmt: skip
DEFORMABLE = _REGISTRATION | sequence(
    _PLACE, "DeformableRegistrationSequence", keep(_PLACE, "SourceFrameOfReferenceUID"), SOURCES,
    coded("RegistrationTypeCodeSequence", _PLACE, missing=EMPTY),
    sequence(_PLACE, "PreDeformationMatrixRegistrationSequence PostDeformationMatrixRegistrationSequence",
        keep(_PLACE, "FrameOfReferenceTransformationMatrix FrameOfReferenceTransformationMatrixType")),
    sequence(_PLACE, "DeformableRegistrationGridSequence",
        keep(_PLACE, "ImageOrientationPatient ImagePositionPatient GridDimensions GridResolution"),
        keep(_PLACE, "VectorGridData", kind="bytes")),
)  # fmt: skip
RTDOSE = (
    COMMON | FRAME | IMAGE
    | keep(_MUST, "OperatorsName", kind="empty")
    | keep(_SCALE, "DoseUnits DoseType DoseSummationType DoseGridScaling GridFrameOffsetVector FrameIncrementPointer "
        "TissueHeterogeneityCorrection SpatialTransformOfDose NormalizationPoint")
    | sequence(_LINK, "ReferencedRTPlanSequence ReferencedStructureSetSequence", REFERENCE)
)  # fmt: skip

OBJECTS: dict[str, tuple[str, Table]] = {
    "1.2.840.10008.5.1.4.1.1.2": ("CT Image", CT),
    "1.2.840.10008.5.1.4.1.1.2.1": ("Enhanced CT Image", ENHANCED_CT),
    "1.2.840.10008.5.1.4.1.1.2.2": ("Legacy Converted Enhanced CT Image", LEGACY_CT),
    "1.2.840.10008.5.1.4.1.1.4": ("MR Image", MR),
    "1.2.840.10008.5.1.4.1.1.4.1": ("Enhanced MR Image", ENHANCED_MR),
    "1.2.840.10008.5.1.4.1.1.4.4": ("Legacy Converted Enhanced MR Image", LEGACY_MR),
    "1.2.840.10008.5.1.4.1.1.128": ("Positron Emission Tomography Image", PET),
    "1.2.840.10008.5.1.4.1.1.130": ("Enhanced PET Image", ENHANCED_PET),
    "1.2.840.10008.5.1.4.1.1.128.1": ("Legacy Converted Enhanced PET Image", LEGACY_PET),
    "1.2.840.10008.5.1.4.1.1.481.3": ("RT Structure Set", RTSTRUCT),
    "1.2.840.10008.5.1.4.1.1.481.2": ("RT Dose", RTDOSE),
    "1.2.840.10008.5.1.4.1.1.66.4": ("Segmentation", SEG),
    "1.2.840.10008.5.1.4.1.1.66.7": ("Label Map Segmentation", SEG),
    "1.2.840.10008.5.1.4.1.1.66.1": ("Spatial Registration", REGISTRATION),
    "1.2.840.10008.5.1.4.1.1.66.3": ("Deformable Spatial Registration", DEFORMABLE),
}
"""SOP class -> its name and allow-list."""

PICTURES = {
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.7.1": "Multi-frame Single Bit Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.7.3": "Multi-frame Grayscale Word Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.6.1": "Ultrasound Image",
    "1.2.840.10008.5.1.4.1.1.3.1": "Ultrasound Multi-frame Image",
    "1.2.840.10008.5.1.4.1.1.6.2": "Enhanced US Volume",
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography Image",
    "1.2.840.10008.5.1.4.1.1.12.1": "X-Ray Angiographic Image",
    "1.2.840.10008.5.1.4.1.1.12.2": "X-Ray Radiofluoroscopic Image",
}
"""Object types whose pixels hold text by their nature: quarantined whatever is seen in them."""


@dataclass(frozen=True)
class SafePrivate:
    """A private element that is kept with the safe private option. element : its last two digits. kind : as of a rule."""

    group: int
    creator: str
    element: int
    vr: str
    kind: str
    why: str


SAFE_PRIVATE = (
    SafePrivate(0x7053, "Philips PET Private Group", 0x00, "DS", "number", "factor from counts to SUV (Philips)"),
    SafePrivate(0x7053, "Philips PET Private Group", 0x09, "DS", "number", "factor from counts to activity (Philips)"),
    SafePrivate(0x0009, "GEMS_PETD_01", 0x0D, "DT", "moment", "start of the scan, to which activity is corrected (GE)"),
)


def without_options(table: Table) -> Table:
    """Only what needs no option."""
    return Table({tag: replace(rule) for tag, rule in table.rules.items() if not rule.need})

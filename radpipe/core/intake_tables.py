"""The schemas of what comes before a run: the manifest, the outcome sheet, and what ingest and doctor say of a cohort."""

from __future__ import annotations

from radpipe.core.schema import Column, Schema

_ROW = Column("row", "int64", "row of the sheet, from 1; -1 where there is none")

MANIFEST = Schema(
    "manifest",
    "The cases of a study, one row a region of an image; a CSV that a person, radpipe init or radpipe ingest writes.",
    (
        Column("case_id", "string", "names the row once; letters, digits, -, _ and . (PyRadiomics' ID is taken too)"),
        Column(
            "patient_id",
            "string",
            "cases of one patient stay together; the case's own id where the column is missing",
            optional=True,
        ),
        Column(
            "modality",
            "string",
            "CT, PET (or PT), MR (or MRI); where it is missing, cohort.modality of the workflow holds",
            nullable=True,
            allowed=("CT", "PET", "PT", "MR", "MRI"),
            optional=True,
        ),
        Column("image_path", "string", "image file, absolute or relative to the manifest (PyRadiomics' Image)"),
        Column("mask_path", "string", "file with the outline (PyRadiomics' Mask)"),
        Column(
            "label",
            "int64",
            "value of the region's voxels in the mask file, above 0; 1 where missing (PyRadiomics' Label)",
            nullable=True,
            optional=True,
        ),
        Column("roi", "string", "name of the region, as GTVp; needed where a patient has several", nullable=True, optional=True),
        Column(
            "image_frame_of_reference_uid",
            "string",
            "FrameOfReferenceUID of the image; radpipe ingest writes it, radpipe doctor compares it",
            nullable=True,
            optional=True,
        ),
        Column(
            "mask_frame_of_reference_uid",
            "string",
            "that of the region, after the registration that moved it, where one did",
            nullable=True,
            optional=True,
        ),
    ),
    ("case_id",),
    extra="any",
    extra_named="outcomes and clinical columns; the workflow says which are used (cohort.outcome, cohort.clinical)",
)
OUTCOMES = Schema(
    "outcomes",
    "The outcome sheet, Excel or CSV: one row a patient; where its header begins, and how its cells are written, is found out.",
    (Column("patient_id", "string", "the patient's id; the column may have any name, which --id-column says"),),
    ("patient_id",),
    extra="any",
    extra_named="outcomes and clinical values: numbers, dates, yes and no in English, German, French or Italian, or words",
)
PSEUDONYMS = Schema(
    "pseudonyms",
    "Which pseudonym stands for which patient; whoever has it can tell who is who.",
    (
        Column("patient_id", "string", "the id as the hospital knows it"),
        Column("pseudonym", "string", "the id that the images bear now"),
    ),
    ("patient_id",),
    extra="any",
    extra_named="whatever else it holds; not read",
)
OUTCOME_IDS = Schema(
    "outcome_ids",
    "Whose row of the outcome sheet is whose: every patient of the cohort, and every row that is nobody's.",
    (
        Column("patient_id", "string", "of the cohort; empty for a row that is nobody's"),
        Column("sheet_id", "string", "as the sheet has it; empty where there is none, and after de-identification"),
        _ROW,
        Column("status", "string", "what became of it", allowed=("matched", "unmatched", "ambiguous")),
        Column("rule", "string", "how a match was found; empty for none", allowed=("exact", "spelling", "leading-zeros", "")),
        Column("meaning", "string", "the same in words"),
    ),
    ("patient_id", "row"),
)
OUTCOME_CELLS = Schema(
    "outcome_cells",
    "Every cell of the outcome sheet that could not be taken as it stands.",
    (
        _ROW,
        Column("column", "string", "of the sheet"),
        Column("patient_id", "string", "of the cohort"),
        Column("problem", "string", "what is wrong with the cell"),
        Column("done", "string", "what the manifest has instead"),
    ),
    ("row", "column", "patient_id", "problem"),
)
INGEST = Schema(
    "ingest",
    "What radpipe ingest made of an export: every series, structure set, segmentation, registration and loose file once (ingest.csv).",
    (
        Column("item", "string", "what it is: an image series, a file of regions, a registration, a volume, a file by itself"),
        Column(
            "patient_id",
            "string",
            "PatientID of its header, or of its name; a pseudonym where the export was not de-identified; empty where none is known",
        ),
        Column("modality", "string", "CT, PET or MR; DICOM's own word for other series; empty for other files"),
        Column("series_number", "float64", "SeriesNumber", nullable=True),
        Column(
            "series_description", "string", "SeriesDescription, where nothing in it can identify or the export was de-identified"
        ),
        Column("series_uid", "string", "SeriesInstanceUID, or another that stands for it; empty for what is no DICOM"),
        Column("file", "string", "its file, or the folder that holds all of them, within the export"),
        Column("files", "int64", "files that belong to it"),
        Column("files_used", "int64", "of these, those a case was made from"),
        Column("files_left", "int64", "and those that were left"),
        Column("status", "string", "what became of it", allowed=("used", "left")),
        Column("cases", "string", "ids of the cases made from it, separated by spaces"),
        Column("why", "string", "why it was left, or what is remarkable about its use"),
    ),
    ("item", "file", "series_uid", "series_description"),
)
INGEST_REGIONS = Schema(
    "ingest_regions",
    "Every region of an export on every image it was put on, and by which rule (ingest_regions.csv).",
    (
        Column("case_id", "string", "the case it became; empty where it became none"),
        Column("patient_id", "string", "of the image"),
        Column("modality", "string", "of the image"),
        Column("series_number", "float64", "of the image", nullable=True),
        Column("roi", "string", "name of the region in the cohort, after the region map"),
        Column("name", "string", "name of the region in the export"),
        Column("status", "string", "what became of it", allowed=("used", "left", "failed")),
        Column(
            "rule",
            "string",
            "why it belongs to this image: refers to it, same frame of reference, linked by a registration, names alike",
        ),
        Column("transferred", "string", "whether its contours were drawn on another image", allowed=("yes", "no")),
        Column("voxels", "float64", "voxels of the mask; empty where there is none", nullable=True),
        Column("volume_ml", "float64", "voxels times voxel volume", "ml", nullable=True),
        Column("touches_border", "string", "yes or no; empty where there is no mask"),
        Column("overlay", "string", "picture to check the outline by, within the cohort; empty for none"),
        Column("file", "string", "file of the region, within the export"),
        Column("why", "string", "why it was left or failed"),
        Column("notes", "string", "what is remarkable about the mask"),
    ),
    ("case_id", "modality", "series_number", "name", "roi", "file"),
)
INGEST_FILES = Schema(
    "ingest_files",
    "Every file of an export once: in = used + left (ingest_files.csv).",
    (
        Column("file", "string", "path within the export, without what may identify where that was not de-identified"),
        Column("status", "string", "what became of it", allowed=("used", "left")),
        Column("item", "string", "what it is or belongs to"),
        Column("series_uid", "string", "SeriesInstanceUID; empty for what is no DICOM"),
        Column("why", "string", "why it was left"),
    ),
    ("file",),
)
INGEST_FAILURES = Schema(
    "ingest_failures",
    "What radpipe ingest could not use, and what to do (failures.csv of a cohort).",
    (
        Column("case_id", "string", "the case that was to be; empty where it is no case"),
        Column("file", "string", "file or folder within the export"),
        Column("item", "string", "what it is"),
        Column("error", "string", "kind: file, geometry, empty_roi, crash, timeout, memory, ..."),
        Column("problem", "string", "what is wrong"),
        Column("hint", "string", "what to do"),
    ),
    ("case_id", "file", "problem"),
)
ROI_CENSUS = Schema(
    "rois",
    "The names of regions in an export: how many patients, how large (rois.csv of radpipe ingest --list-rois).",
    (
        Column("name", "string", "as the export has it"),
        Column("patients", "int64", "patients with such a region"),
        Column("regions", "int64", "regions of that name"),
        Column("empty", "int64", "of these, those without a volume"),
        Column("modalities", "string", "of the images, separated by spaces"),
        Column("volume_ml_median", "float64", "median volume", "ml", nullable=True),
        Column("volume_ml_min", "float64", "smallest", "ml", nullable=True),
        Column("volume_ml_max", "float64", "largest", "ml", nullable=True),
        Column("canonical", "string", "its name by the region map; empty without one, or where the map leaves it"),
    ),
    ("name",),
)
DOCTOR_FINDINGS = Schema(
    "doctor_findings",
    "What `radpipe doctor` found in a cohort, worst first.",
    (
        Column("number", "int64", "place in the list, from 1; errors first, then warnings, then notes"),
        Column("case_id", "string", "the case's id in the manifest; empty where it concerns the cohort"),
        Column("file", "string", "the file it is about, from the manifest's folder; empty where there is none"),
        Column("check", "string", "kind of finding: shift, flip, slices, border, intensity, duplicate-image, ..."),
        Column(
            "severity",
            "string",
            "error: the case is refused, or its features would be wrong; warning: look at it; note: good to know",
            allowed=("error", "warning", "note"),
        ),
        Column("what", "string", "what was found, with numbers and units"),
        Column("what_to_do", "string", "what to do about it"),
        Column("safe_repair", "string", "the repair that --fix makes; empty where none is safe"),
    ),
    ("number",),
)
DOCTOR_GEOMETRY = Schema(
    "doctor_geometry",
    "Image and mask of every case, attribute by attribute (geometry.csv).",
    (
        Column("case_id", "string", "the case"),
        Column("attribute", "string", "size, spacing, origin, direction, farthest corner"),
        Column("image", "string", "what the image's header says, x y z"),
        Column("mask", "string", "what the mask's header says, x y z"),
        Column("difference_mm", "float64", "how far apart they are; empty where that has no length", "mm", nullable=True),
        Column(
            "difference_voxels",
            "float64",
            "the same in voxels of the image; of directions, largest difference of a cosine",
            "voxel",
            nullable=True,
        ),
        Column("same", "bool", "whether the difference is none, or rounding"),
    ),
    ("case_id", "attribute"),
)
DOCTOR_REGIONS = Schema(
    "doctor_regions",
    "Size, extent and intensities of every region (regions.csv).",
    (
        Column("case_id", "string", "the case"),
        Column("patient_id", "string", "the patient"),
        Column("modality", "string", "CT, PET or MR"),
        Column("roi", "string", "name of the region; empty where the manifest has none"),
        Column("label", "string", "value of the region's voxels in the mask file"),
        Column("voxels", "float64", "voxels of the region", nullable=True),
        Column("volume_ml", "float64", "voxels times voxel volume", "ml", nullable=True),
        Column("slices", "float64", "slices it lies on", nullable=True),
        Column("pieces", "float64", "separate pieces (26 neighbours)", nullable=True),
        Column("intensity_min", "float64", "lowest in the region", "intensity", nullable=True),
        Column("intensity_p1", "float64", "1st percentile", "intensity", nullable=True),
        Column("intensity_median", "float64", "median", "intensity", nullable=True),
        Column("intensity_p99", "float64", "99th percentile", "intensity", nullable=True),
        Column("intensity_max", "float64", "highest in the region", "intensity", nullable=True),
        Column("image_min", "float64", "lowest of the whole image", "intensity", nullable=True),
        Column("image_max", "float64", "highest of the whole image", "intensity", nullable=True),
        Column("spacing_x", "float64", "voxel size along x", "mm", nullable=True),
        Column("spacing_y", "float64", "voxel size along y", "mm", nullable=True),
        Column("spacing_z", "float64", "voxel size along z", "mm", nullable=True),
    ),
    ("case_id",),
)
DOCTOR_OVERLAPS = Schema(
    "doctor_overlaps",
    "How well regions of one patient on two modalities coincide in the patient's space (overlaps.csv).",
    (
        Column("patient_id", "string", "the patient"),
        Column("roi", "string", "name of the region; empty where the manifest has none"),
        Column("modality_1", "string", "first modality"),
        Column("modality_2", "string", "second modality"),
        Column("dice", "float64", "overlap where both lie", nullable=True),
        Column("apart_mm", "float64", "distance of their centres", "mm", nullable=True),
        Column("dice_moved", "float64", "overlap after one is moved onto the other's centre", nullable=True),
        Column("volume_1_ml", "float64", "volume on the first", "ml", nullable=True),
        Column("volume_2_ml", "float64", "volume on the second", "ml", nullable=True),
    ),
    ("patient_id", "roi", "modality_1", "modality_2", "dice", "apart_mm"),
)
DOCTOR_DISCRETISATION = Schema(
    "doctor_discretisation",
    "Grey levels of the cohort's own regions at every candidate bin width (discretisation.csv).",
    (
        Column("modality", "string", "CT, PET or MR; empty where none is given"),
        Column("unit", "string", "of the intensities"),
        Column("bin_width", "float64", "candidate", "intensity"),
        Column("regions", "int64", "regions behind the row"),
        Column("bins_median", "float64", "median number of bins of a region, empty ones between counted"),
        Column("bins_min", "int64", "fewest"),
        Column("bins_max", "int64", "most"),
        Column("share_good", "float64", "share of regions with 30 to 130 bins"),
        Column("share_few", "float64", "share with fewer than 16 grey levels that hold a voxel"),
        Column("share_one", "float64", "share with a single grey level: degenerate textures"),
        Column("share_many", "float64", "share with more than 256 bins"),
        Column("recommended", "bool", "whether this width is advised"),
    ),
    ("modality", "bin_width"),
)
DOCTOR_REPAIRS = Schema(
    "doctor_repairs",
    "What radpipe doctor --fix changed, and why that is safe (repairs.csv).",
    (
        Column("case_id", "string", "the case"),
        Column("repair", "string", "which repair"),
        Column("file", "string", "the file as it was"),
        Column("mended", "string", "the mended file in the new folder"),
        Column("what_changed", "string", "in words"),
        Column("why_safe", "string", "in words"),
        Column("sha256_before", "string", "of the file as it was; empty where a cell of the manifest was mended"),
        Column("sha256_after", "string", "of the mended file; empty likewise"),
    ),
    ("case_id", "repair", "file"),
)
_ITEM = Column("item", "int64", "number of the file; which file it is, only OUT.private/files.csv says")
_OBJECT_TYPE = Column("object_type", "string", "DICOM object type; empty where the file is none")
_STATUS = Column(
    "status",
    "string",
    "what became of the file",
    allowed=("written", "quarantined", "refused", "left"),
)
DEIDENTIFIED = Schema(
    "deidentified",
    "What radpipe deidentify made of every file of an export, without a name or a value of a header (report.csv in the output).",
    (
        _ITEM,
        _OBJECT_TYPE,
        Column("pseudonym", "string", "of the patient; empty where none was given"),
        _STATUS,
        Column("why", "string", "why it was not written"),
        Column("what_to_do", "string", "what to do about it"),
        Column("file", "string", "the clean file, within the output; empty where there is none"),
        Column("notes", "string", "what else was done to it"),
    ),
    ("item",),
)
DEIDENTIFY_REMOVED = Schema(
    "deidentify_removed",
    "Every kind of element that was removed, emptied or replaced by a numbered name (removed.csv in the output).",
    (
        Column("keyword", "string", "DICOM keyword; the tag where it has none; 'private elements' for all of these"),
        Column("count", "int64", "elements, over all files and levels of nesting; a sequence with all it held counts once"),
    ),
    ("keyword",),
)
DEIDENTIFY_FILES = Schema(
    "deidentify_files",
    "Which file of the export was which item (OUT.private/files.csv; it may name people and stays in the hospital).",
    (
        _ITEM,
        Column("file", "string", "path within the export"),
        _OBJECT_TYPE,
        _STATUS,
        Column("why", "string", "why it was not written"),
        Column("what_to_do", "string", "what to do about it"),
    ),
    ("item",),
)
DEIDENTIFY_WORDS = Schema(
    "deidentify_words",
    "Texts that were replaced because a word of theirs is not on the list (OUT.private/words_to_allow.csv; they may name people).",
    (
        Column("keyword", "string", "the element"),
        Column("text", "string", "its text in the export"),
        Column("count", "int64", "how often"),
    ),
    ("keyword", "text"),
)
DEIDENTIFY_QUARANTINE = Schema(
    "deidentify_quarantine",
    "Files that may show text, and a picture of each (OUT.quarantine/quarantine.csv; it stays in the hospital).",
    (
        _ITEM,
        _OBJECT_TYPE,
        Column("why", "string", "why it was not written"),
        Column("picture", "string", "in the same folder; empty where it could not be decoded"),
    ),
    ("item",),
)
INTAKE = (
    MANIFEST, OUTCOMES, PSEUDONYMS, OUTCOME_IDS, OUTCOME_CELLS, INGEST, INGEST_REGIONS, INGEST_FILES, INGEST_FAILURES, ROI_CENSUS,
    DOCTOR_FINDINGS, DOCTOR_GEOMETRY, DOCTOR_REGIONS, DOCTOR_OVERLAPS, DOCTOR_DISCRETISATION, DOCTOR_REPAIRS,
    DEIDENTIFIED, DEIDENTIFY_REMOVED, DEIDENTIFY_FILES, DEIDENTIFY_WORDS, DEIDENTIFY_QUARANTINE,
)  # fmt: skip

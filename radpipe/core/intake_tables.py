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
INTAKE = (MANIFEST, OUTCOMES, PSEUDONYMS, OUTCOME_IDS, OUTCOME_CELLS)

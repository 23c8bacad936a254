"""6. patients: several regions and modalities of a patient become one row, by a stated rule."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from radpipe.config import Workflow
from radpipe.core import tables
from radpipe.errors import CohortError, ConfigError, RunError
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.patient_rows import PROBLEMS, REASONS, PatientRows, Region, patient_rows
from radpipe.io.tables import read_table
from radpipe.stages.cohort import blocks_of, load_regions, manifest_path
from radpipe.stages.context import Context, StageResult, failure

NAME = "patients"
NEEDS = ("manifest", "cohort", "features", "feature_dictionary", "undefined")
MAKES = ("patients", "patient_regions", "patient_features", "their rows of feature_dictionary and undefined")
OWN_VOLUMES = ("original_shape_MeshVolume", "original_shape_VoxelVolume")


def run(context: Context) -> StageResult:
    """Tables in, tables out. From here on a patient stands under the case_id of the region that stands for it."""
    workflow = context.workflow
    settings = workflow.patients
    if settings is None:
        return context.not_needed(NAME, [tables.PATIENTS, tables.PATIENT_REGIONS, tables.PATIENT_FEATURES], "one row a region")
    cohort = context.read(tables.COHORT)
    manifest = load_regions(workflow)
    strangers = set(cohort["case_id"]) - set(manifest["case_id"])
    if strangers:
        raise RunError("the manifest was changed since the stage cohort ran.", hint="Run the workflow again: radpipe run.")
    features = context.read(tables.FEATURES)
    features = features[features["roi"] == "given"].drop(columns="roi").set_index("case_id")
    volumes = _volumes(workflow, cohort, features)
    blocks = blocks_of(workflow, manifest)
    here = set(cohort["patient_id"])
    regions = [
        Region(row["case_id"], row["patient_id"], row["block"], row["roi"], row["image_path"], volumes.get(row["case_id"]))
        for row in manifest.to_dict("records")
        if row["patient_id"] in here
    ]
    told, undefined = _of_regions(context)
    dictionaries = {
        block: told if workflow.features.table is not None else feature_dictionary(workflow.features_of(block))
        for block in blocks
    }
    looks = any(model.inputs == "image" for model in workflow.models.values())
    made = patient_rows(
        regions, features, dictionaries, pd.DataFrame(undefined, columns=["case_id", "feature", "reason", "meaning"]), settings,
        blocks=blocks, first_block_needed=looks,
    )  # fmt: skip
    if not made.dictionary:
        raise ConfigError(
            "no feature of this workflow can be added over regions, so patients.rule: sum leaves nothing.",
            hint="Add volumes, surfaces or energies to features.params, or choose patients.others or another rule.",
        )
    _write(context, made, told, undefined)
    failures = _failures(made, blocks, looks, str(manifest_path(workflow)))
    if not made.rows:
        raise CohortError("no patient has a row: " + failures[0]["problem"], hint=failures[0]["hint"])
    return context.finish(NAME, sorted(here), [row["patient_id"] for row in made.rows], failures, note=_note(made, blocks))


def _volumes(workflow: Workflow, cohort: pd.DataFrame, features: pd.DataFrame) -> dict[str, float]:
    """case -> ml, of the given outline; of the features table where there are no images."""
    if workflow.needs_images:
        return dict(zip(cohort["case_id"], cohort["mask_volume_ml"], strict=True))
    for name in OWN_VOLUMES:
        if name in features.columns:
            return {str(case): float(value) / 1000.0 for case, value in features[name].items() if value == value}
    raise ConfigError(
        f"patients needs the volumes of regions, and the features table has no column {' or '.join(OWN_VOLUMES)}.",
        hint="Add the column (mm3) to the table.",
    )


def _of_regions(context: Context) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The dictionary and the undefined values as the stage extract left them, without what an earlier run added here."""
    told = read_table(context.folder.table("feature_dictionary"), tables.FEATURE_DICTIONARY)
    if "aggregation" in told.columns:
        told = told[told["aggregation"] == ""].drop(columns=["modality", "aggregation"])
    undefined = context.read(tables.UNDEFINED)
    undefined = undefined[undefined["feature"].isin(set(told["name"]))]
    return told.to_dict("records"), undefined.to_dict("records")


def _write(context: Context, made: PatientRows, told: list[dict[str, Any]], undefined: list[dict[str, Any]]) -> None:
    context.write(tables.PATIENTS, made.patients, csv=True)
    context.write(tables.PATIENT_REGIONS, made.regions, csv=True)
    context.write(tables.PATIENT_FEATURES, made.rows, csv=True)
    plain = [{**row, "modality": "", "aggregation": ""} for row in told]
    context.write(tables.FEATURE_DICTIONARY, [*plain, *made.dictionary], csv=True)
    everywhere = {"repeat": -1, "fold": -1, "roi": "given"}
    context.write(tables.UNDEFINED, [*undefined, *({**everywhere, **row} for row in made.undefined)], csv=True)


def _failures(made: PatientRows, blocks: list[str], looks: bool, manifest: str) -> list[dict[str, str]]:
    """Patients without a row, and blocks that somebody must decide about."""
    rows = []
    for patient, reasons in made.without.items():
        words = " ".join(f"{block}: {REASONS[reason]}" for block, reason in reasons.items())
        hint = next(
            (PROBLEMS[reason] for reason in reasons.values() if reason in PROBLEMS),
            "Complete the manifest, or leave the patient out.",
        )
        seen = (
            f" A model looks at the image of {blocks[0]}, so a patient without it has no row."
            if looks and len(reasons) < len(blocks)
            else ""
        )
        rows.append(failure(patient, CohortError(f"no row can be made of the patient. {words}{seen}", hint=hint, path=manifest)))
    for patient, block, reason, cases in made.problems:
        if patient not in made.without:
            problem = f"{REASONS[reason]} ({', '.join(cases)}) The patient has no values of {block}."
            rows.append(failure(f"{patient} ({block})", CohortError(problem, hint=PROBLEMS[reason], path=manifest)))
    return rows


def _note(made: PatientRows, blocks: list[str]) -> str:
    lacking = Counter(block for row in made.patients for block in blocks if block not in row["blocks"].split())
    words = [f"{len(made.dictionary)} columns of {', '.join(blocks)}"]
    return "; ".join([*words, *(f"{count} without {block}" for block, count in lacking.items())])

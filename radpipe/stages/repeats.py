"""Features measured again, for the filter of those that do not repeat: part of the stage select."""

from __future__ import annotations

from typing import Any

import pandas as pd

from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.seeds import derive_seed
from radpipe.errors import CohortError
from radpipe.io.tables import read_text_table
from radpipe.selection.config import RobustnessSettings
from radpipe.stages._parallel import Task
from radpipe.stages.cohort import case_payload
from radpipe.stages.context import Context, engine_version

GIVEN = "given"


def repeats(context: Context, settings: RobustnessSettings) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The table ``repeats``: the features of every given outline, and of every changed one or of the table of repeats; and failures.

    A case whose changed outline could not be measured counts for no feature's ICC; it is not lost to the run.
    """
    features = context.read(tables.FEATURES)
    features = features[features["roi"] == GIVEN].drop(columns="roi").assign(measurement=GIVEN)
    if settings.table is not None:
        again, failures = _from_table(context, settings.table, list(features.columns)), []
        if not set(again["case_id"]) & set(features["case_id"]):
            features = features.iloc[:0]  # a study of other patients, who were not measured by this run
    else:
        again, failures = _perturbed(context, settings)
    return context.write(tables.REPEATS, pd.concat([features, again], ignore_index=True)), failures


def _perturbed(context: Context, settings: RobustnessSettings) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    workflow = context.workflow
    amounts = {
        "translation": settings.translation, "rotation": settings.rotation_deg, "volume": settings.volume, "contour": settings.contour_mm,
    }  # fmt: skip
    own = workflow.features.model_dump(mode="json")
    engine = engine_version("features", "filters", "io", "cohort", "preprocessing")
    tasks, about = [], {}
    for row in context.read(tables.COHORT).to_dict("records"):
        for change in settings.perturbations:
            for number in range(settings.repeats):
                measurement = f"{change} {number}"
                task_id = f"{row['case_id']} ({measurement})"
                about[task_id] = (row["case_id"], measurement)
                # By case and change: what else is in the cohort changes nothing.
                how = {
                    "change": change, "amount": amounts[change],
                    "seed": derive_seed(workflow.seed, "repeats", row["case_id"], measurement), "settings": own,
                }  # fmt: skip
                key = content_key(
                    stage="select_repeats", engine=engine, image=row["image_sha256"], mask=row["mask_sha256"], label=row["label"],
                    modality=row["modality"], **how,
                )  # fmt: skip
                payload = {**case_payload(workflow, row), **how}
                tasks.append(Task(task_id=task_id, key=key, payload=payload, case_id=row["case_id"], path=str(row["mask_path"])))
    result = context.map("select_repeats", "radpipe.stages.work:extract_perturbed", tasks)
    rows: list[dict[str, Any]] = []
    for task_id, stored in result.done.items():
        case_id, measurement = about[task_id]
        rows.append({"case_id": case_id, "measurement": measurement, **stored.row["features"]})
    failures = [
        {**row, "case_id": row["task_id"], "problem": f"{row['problem']} The case goes on; it does not count for what repeats."}
        for row in result.failures
    ]
    return pd.DataFrame(rows), failures


def _from_table(context: Context, name: str, columns: list[str]) -> pd.DataFrame:
    """Rows of cases that are not in the cohort are welcome: a test-retest study of other patients."""
    path = context.workflow.resolve(name)
    frame = read_text_table(path).rename(columns={"repeat": "measurement"})
    for needed in ("case_id", "measurement"):
        if needed not in frame.columns:
            raise CohortError(
                f"the table of repeats has no column {needed}.", hint="It needs case_id, measurement and the features.", path=path
            )
    known = [column for column in columns if column in frame.columns]
    if not set(known) - {"case_id", "measurement"}:
        raise CohortError(
            "the table of repeats has none of the run's features.", hint="Name its columns as in features.", path=path
        )
    found = frame[known].copy()
    for column in known:
        if column not in ("case_id", "measurement"):
            found[column] = pd.to_numeric(found[column].astype(object), errors="coerce").astype("float64")
    if (found["measurement"] == GIVEN).any():
        raise CohortError(
            f"the table of repeats names a measurement {GIVEN!r}, which is the run's own.", hint="Call it otherwise.", path=path
        )
    return found

"""What the models of a run are given: tables of features, clinical columns and volumes, and crops around the lesions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import pandas as pd

from radpipe.config import Workflow
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.errors import ConfigError, RunError
from radpipe.features.map_settings import MAP
from radpipe.habitats.habitats import PREFIX
from radpipe.io.store import StoredResult
from radpipe.models.config import ALL_SOURCES, Cnn3dParams, Source
from radpipe.stages._parallel import Task
from radpipe.stages.cohort import case_payload, reading_parts
from radpipe.stages.context import Context, engine_version, frame_key, write_inputs

Fold = tuple[int, int]
ALL_FOLDS: Fold = (-1, -1)
VOLUME = "volume_ml"
T = TypeVar("T")
ByFold = dict[Fold, pd.DataFrame]


def of_fold(found: dict[Fold, T], fold: Fold) -> T | None:
    """What holds for that fold: its own, or what all folds share; None where it could not be made."""
    return found[fold] if fold in found else found.get(ALL_FOLDS)


def upstream(task_id: str, problem: str, stage: str) -> dict[str, str]:
    """The failure of a task whose inputs an earlier stage could not make."""
    return {"case_id": task_id, "error": "upstream", "path": "", "problem": problem, "hint": f"See the failure of stage {stage}."}


def fold_features(context: Context, sources: Sequence[Source] = ALL_SOURCES) -> dict[Fold, pd.DataFrame]:
    """Features of the outlines the models use, one row a case, index case_id; under ALL_FOLDS where all folds share them.

    sources : which kinds of columns, of those that the run makes. What differs by fold stands beside what does not. A fold whose
    habitats could not be found is missing where they are asked for.
    """
    workflow = context.workflow
    if workflow.patients is not None:
        rows = context.read(tables.PATIENT_FEATURES)
        return {ALL_FOLDS: rows.drop(columns="patient_id").set_index("case_id").sort_index()}
    roi = workflow.segmentation.masks
    wanted = [source for source in sources if source in workflow.sources]
    features = context.read(tables.FEATURES)
    shared = _of_sources(features[features["roi"] == roi].drop(columns="roi").set_index("case_id").sort_index(), wanted, workflow)
    by_fold = context.read(tables.FOLD_FEATURES)
    by_fold = by_fold[by_fold["roi"] == roi].drop(columns="roi")
    own = _of_sources(by_fold.drop(columns=["repeat", "fold", "case_id"]), wanted, workflow).columns
    folds = {(int(repeat), int(fold)): rows for (repeat, fold), rows in by_fold.groupby(["repeat", "fold"])}
    if "habitats" in wanted:
        found = set(context.read(tables.HABITATS)[["repeat", "fold"]].drop_duplicates().itertuples(index=False, name=None))
        if found and not any(source_of(name, workflow) == "habitats" for name in own):
            raise RunError(
                "the habitats are not in the table fold_features.", hint="Run the stage habitats after extract: radpipe run does."
            )
        folds = {place: rows for place, rows in folds.items() if place in found}
        if not folds:
            return {}
    if not len(own) or not folds:
        return {ALL_FOLDS: shared}
    joined = {}
    for place, rows in folds.items():
        mine = rows.set_index("case_id")[list(own)].sort_index()
        # nesting: full has no value that all folds share; without it, all but the habitats are shared.
        joined[place] = shared.drop(columns=own, errors="ignore").join(mine, how="inner") if len(shared) else mine
    return joined


def source_of(column: str, workflow: Workflow) -> Source:
    """What kind of feature a column is; without maps all are scalar, whatever a table made elsewhere calls them."""
    if workflow.maps is None:
        return "scalar"
    return "habitats" if column.startswith(PREFIX) else "maps" if MAP in column else "scalar"


def _of_sources(table: pd.DataFrame, wanted: Sequence[Source], workflow: Workflow) -> pd.DataFrame:
    return table[[name for name in table.columns if source_of(str(name), workflow) in wanted]]


def clinical(context: Context, cohort: pd.DataFrame) -> dict[Fold, pd.DataFrame]:
    """The clinical columns the workflow names."""
    return {ALL_FOLDS: cohort[list(context.workflow.cohort.clinical)]}


def given(context: Context, cohort: pd.DataFrame) -> ByFold:
    """Predictions made elsewhere that the workflow names."""
    return {ALL_FOLDS: cohort[list(context.workflow.cohort.given)]}


def volume(context: Context, cohort: pd.DataFrame, features: dict[Fold, pd.DataFrame]) -> dict[Fold, pd.DataFrame]:
    """Volume of the outline in use, ml. ConfigError where neither masks nor a column of the features table tell it."""
    workflow = context.workflow
    if workflow.patients is not None:
        patients = context.read(tables.PATIENTS)
        return {ALL_FOLDS: patients.set_index("case_id")[["volume_ml"]].rename(columns={"volume_ml": VOLUME})}
    if not workflow.needs_images:
        for name in ("original_shape_MeshVolume", "original_shape_VoxelVolume"):
            if name in features[ALL_FOLDS].columns:
                return {ALL_FOLDS: (features[ALL_FOLDS][[name]] / 1000.0).rename(columns={name: VOLUME})}
        raise ConfigError(
            "a model has inputs: volume, but the features table has no column original_shape_MeshVolume or original_shape_VoxelVolume.",
            hint="Add the column (mm3), or remove the model.",
        )
    if workflow.segmentation.masks == "given":
        return {ALL_FOLDS: cohort[["mask_volume_ml"]].rename(columns={"mask_volume_ml": VOLUME})}
    outlines = context.read(tables.SEGMENTATION).rename(columns={"volume_predicted_ml": VOLUME})
    return {(int(r), int(f)): rows.set_index("case_id")[[VOLUME]] for (r, f), rows in outlines.groupby(["repeat", "fold"])}


def outcome(workflow: Workflow, cohort: pd.DataFrame, case_ids: Sequence[str]) -> dict[str, Any]:
    """What a task is told of the outcome of these cases, as JSON values: ``y``, and in ``outcome`` whatever is not two classes.

    cohort : index case_id. ``outcome`` holds kind, n_classes, horizon and the lists time or value, as
    :class:`radpipe.models.model.Examples` wants them; it is left out for two classes.
    """
    settings = workflow.cohort
    rows = cohort.loc[list(case_ids)]
    found: dict[str, Any] = {"y": [int(code) for code in rows["outcome"]]}
    further: dict[str, Any] = {}
    if settings.outcome_kind == "classes":
        n_classes = len(settings.classes) or int(cohort["outcome"].max()) + 1
        further = {"n_classes": n_classes} if n_classes > 2 else {}
    elif settings.outcome_kind == "number":
        further = {"kind": "number", "value": [float(value) for value in rows["value"]]}
    else:
        further = {"kind": "time_to_event", "time": [float(time) for time in rows["time"]], "horizon": settings.horizon}
    return {**found, "outcome": further} if further else found


def set_name(sources: Sequence[Source]) -> str:
    """A set of inputs as the selection table names it."""
    return "+".join(sources)


def kept_inputs(context: Context) -> dict[tuple[str, Fold], list[str]]:
    """(set of inputs, fold) -> the features that input selection kept; one is missing where its selection failed."""
    selection = context.read(tables.SELECTION)
    kept = selection[selection["kept"]]
    return {
        (str(s), (int(r), int(f))): sorted(rows["feature"]) for (s, r, f), rows in kept.groupby(["sources", "repeat", "fold"])
    }


def publish(context: Context, table: pd.DataFrame) -> str:
    """The file a child reads the table from (index case_id)."""
    path = context.folder.inputs(frame_key(table))
    if not path.is_file():
        write_inputs(table, path)
    return str(path)


def crops(
    context: Context, model: Cnn3dParams, case_ids: Sequence[str]
) -> tuple[dict[Fold, dict[str, StoredResult]], list[dict[str, str]]]:
    """An image network's input, one task per case and outline: the box around the outline in use. Also the cases that failed."""
    workflow = context.workflow
    settings = {
        "crop_voxels": list(model.crop_voxels), "mask_channel": model.mask_channel, "margin_mm": workflow.preprocessing.margin_mm,
    }  # fmt: skip
    engine = engine_version("preprocessing", "io")
    prepared = {row["case_id"]: row for row in context.read(tables.PREPROCESSED).to_dict("records")}
    tasks, about = [], {}
    for fold, case_id, path, mask_key, label in _outlines(context, case_ids):
        task_id = case_id if fold == ALL_FOLDS else f"{case_id}/{fold[0]}/{fold[1]}"
        about[task_id] = (fold, case_id)
        source = prepared[case_id]
        tasks.append(
            Task(
                task_id=task_id,
                key=content_key(
                    stage="train_crops", engine=engine, prepared=source["key"], mask=mask_key, label=label, settings=settings,
                    **reading_parts(workflow),
                ),
                payload={
                    "case_id": case_id, "prepared_path": str(context.folder.path / source["image_path"]), "mask_path": path,
                    "label": label, **settings, **reading_parts(workflow),
                },
                case_id=case_id,
                path=path,
            )
        )  # fmt: skip
    result = context.map("train_crops", "radpipe.stages.work:crop_case", tasks)
    found: dict[Fold, dict[str, StoredResult]] = {}
    for task_id, stored in result.done.items():
        fold, case_id = about[task_id]
        found.setdefault(fold, {})[case_id] = stored
    return found, result.failures


def _outlines(context: Context, case_ids: Sequence[str]) -> list[tuple[Fold, str, str, str, int]]:
    """(fold, case, mask file, its key, label) of every outline in use."""
    workflow = context.workflow
    wanted = set(case_ids)
    if workflow.segmentation.masks == "predicted":
        rows = context.read(tables.SEGMENTATION).to_dict("records")
        return [
            ((row["repeat"], row["fold"]), row["case_id"], str(context.folder.path / row["mask_path"]), row["key"], 1)
            for row in rows
            if row["case_id"] in wanted
        ]
    found: list[tuple[Fold, str, str, str, int]] = []
    for row in context.read(tables.COHORT).to_dict("records"):
        if row["case_id"] in wanted:
            payload: dict[str, Any] = case_payload(workflow, row)
            found.append((ALL_FOLDS, row["case_id"], payload["mask_path"], row["mask_sha256"], row["label"]))
    return found

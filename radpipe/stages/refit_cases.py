"""Both kinds of patients of a refit: the run's own, and the new ones, checked and outlined as the run's were, in one cohort."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from radpipe.cohort.build import PYRADIOMICS_HEADERS, read_manifest
from radpipe.cohort.splits import draw_refit
from radpipe.config import Workflow, load_workflow
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.seeds import derive_seed
from radpipe.errors import CohortError, RadpipeError, RunError
from radpipe.io.cohort_folder import MANIFEST
from radpipe.io.files import sha256_file, write_bytes
from radpipe.io.rows import to_csv
from radpipe.io.run_folder import RunFolder
from radpipe.io.tables import read_table, read_text_table
from radpipe.models.config import inputs_of
from radpipe.stages import extract
from radpipe.stages._parallel import Task
from radpipe.stages.cohort import default_label, manifest_path, reading_parts
from radpipe.stages.context import Context, engine_version, failure

NEW = "new."  # before the ids of the new ones, so that a patient of the run among them is a patient of its own
OURS = {theirs: ours for theirs, ours in PYRADIOMICS_HEADERS.items() if ours == "case_id"}


def load_base(folder: RunFolder) -> Workflow:
    """The run's workflow as it was, with the folder its paths start from."""
    workflow = load_workflow(folder.config)
    workflow._base = (folder.path / json.loads(folder.origin.read_text(encoding="utf-8"))["base"]).resolve()
    return workflow


def predicts_masks(context: Context) -> bool:
    return context.workflow.needs_images and load_base(RunFolder(context.folder.path.parent)).segmentation.masks == "predicted"


def new_rows(context: Context, manifest: Path) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The cohort's rows that hold together, with absolute paths, under ids of their own; and what is wrong with the others."""
    workflow = context.workflow
    raw = read_text_table(manifest)
    wanted = {table for model in workflow.models.values() for table in inputs_of(model)}
    settings = workflow.cohort.model_copy(
        update={
            "clinical": workflow.cohort.clinical if "clinical" in wanted else (),
            "given": workflow.cohort.given if "given" in wanted else (),
        }
    )
    outlines = predicts_masks(context)
    rows, problems = read_manifest(
        raw, settings, base=manifest.parent.resolve(), source=manifest, with_images=workflow.needs_images, with_outcome=False,
        with_masks=not outlines, default_label=default_label(workflow),
    )  # fmt: skip
    failures = [{**failure(problem.case_id, problem), "stage": "cohort"} for problem in problems]
    run_cohort = read_table(RunFolder(context.folder.path.parent).table(tables.COHORT.name), tables.COHORT)
    known = sorted(set(run_cohort["modality"]))
    keep = []
    for row in rows.to_dict("records"):
        if workflow.needs_images and row["modality"] not in known:
            problem = CohortError(
                f"the modality is {row['modality']}, and the models were fitted on {' and '.join(known)}.",
                hint="Models hold for what they were fitted on; leave the case out.", case_id=str(row["case_id"]), path=manifest,
            )  # fmt: skip
            failures.append({**failure(str(row["case_id"]), problem), "stage": "cohort"})
            continue
        for name in ("image_path", "mask_path"):
            row[name] = str((manifest.parent.resolve() / str(row[name])).resolve()) if row[name] else ""
        keep.append({**row, "own_id": row["case_id"], "own_patient": row["patient_id"]})
    fresh = pd.DataFrame(keep, columns=[*rows.columns, "own_id", "own_patient"])
    if len(fresh):
        fresh = fresh.assign(case_id=NEW + fresh["case_id"].astype(str), patient_id=NEW + fresh["patient_id"].astype(str))
    return fresh, failures


def known_rows(context: Context, folder: RunFolder) -> pd.DataFrame:
    """The run's patients with absolute paths; the outlines of networks, which the models learnt from, in the given ones' place."""
    cohort = read_table(folder.table(tables.COHORT.name), tables.COHORT)
    base = manifest_path(load_base(folder)).parent
    cohort = cohort.assign(
        image_path=[str(base / path) if path else "" for path in cohort["image_path"]],
        mask_path=[str(base / path) if path else "" for path in cohort["mask_path"]],
    )
    if not predicts_masks(context):
        return cohort
    outlines = read_table(folder.table(tables.SEGMENTATION.name), tables.SEGMENTATION)
    if (outlines["repeat"] >= 0).any():  # nesting: full; a case's outline is that of the fold which tested it
        splits = read_table(folder.table(tables.SPLITS.name), tables.SPLITS)
        tested = splits[(splits["role"] == "test") & (splits["repeat"] == 0)]
        outlines = outlines.merge(tested[["repeat", "fold", "case_id"]], on=["repeat", "fold", "case_id"])
    outlines = outlines.set_index("case_id")
    cohort = cohort[cohort["case_id"].isin(outlines.index)]
    own = outlines.loc[cohort["case_id"]]
    paths = [str(folder.path / path) for path in own["mask_path"]]
    return cohort.assign(
        mask_path=paths, label=1, mask_sha256=[sha256_file(Path(path)) for path in paths],
        mask_volume_ml=own["volume_predicted_ml"].to_numpy(),
    )  # fmt: skip


def meet(context: Context, folder: RunFolder, known: pd.DataFrame, fresh: pd.DataFrame, manifest: Path) -> None:
    """Both kinds of patients in one cohort: the run's train and select, the new ones are the test part."""
    workflow = context.workflow
    failures: list[dict[str, str]] = []
    if predicts_masks(context):
        fresh, failures = _outline(context, folder, fresh)
    checked: dict[str, dict[str, Any]] = {}
    if workflow.needs_images:
        checked, wrong = _check(context, fresh)
        failures += wrong
    else:
        checked = {case: {"image_sha256": "", "mask_sha256": "", "mask_volume_ml": 0.0} for case in fresh["case_id"]}
    blank = {"outcome": 0} | {name: 0.0 for name in ("time", "value") if name in known.columns}
    rows = [
        {**{name: value for name, value in row.items() if not str(name).startswith("own_")}, **blank, **checked[str(row["case_id"])]}
        for row in fresh.to_dict("records") if str(row["case_id"]) in checked
    ]  # fmt: skip
    both = pd.concat([known, pd.DataFrame(rows)], ignore_index=True) if rows else known
    clinical = [name for name in both.columns if name not in known.columns]
    context.finish("cohort", list(fresh["case_id"]), list(checked), failures)
    both = context.write(tables.COHORT, both.drop(columns=clinical))
    parts = draw_refit(known, workflow.splits, workflow.seed, workflow.cohort.outcome_kind)
    tested = [{"repeat": 0, "fold": 0, "case_id": row["case_id"], "role": "test"} for row in rows]
    context.write(tables.SPLITS, pd.concat([parts, pd.DataFrame(tested)], ignore_index=True))
    _write_inputs(context, folder, fresh, manifest)


def _check(context: Context, fresh: pd.DataFrame) -> tuple[dict[str, dict[str, Any]], list[dict[str, str]]]:
    """Every new case's files, as the cohort stage checks those of a run."""
    engine = engine_version("cohort", "io")
    parts = reading_parts(context.workflow)
    tasks, digests, failures = [], {}, []
    for row in fresh.to_dict("records"):
        case_id = str(row["case_id"])
        try:
            digests[case_id] = (sha256_file(Path(row["image_path"])), sha256_file(Path(row["mask_path"])))
        except RadpipeError as error:
            failures.append(failure(case_id, error.about(case_id=case_id)))
            continue
        image, mask = digests[case_id]
        known = {name: row[name] for name in ("case_id", "patient_id", "modality", "label", "image_path", "mask_path")}
        tasks.append(
            Task(
                task_id=case_id,
                key=content_key(stage="cohort", engine=engine, image=image, mask=mask, label=row["label"], modality=row["modality"], **parts),
                payload={**known, "outcome": 0, **parts}, case_id=case_id, path=str(row["image_path"]),
            )
        )  # fmt: skip
    result = context.map("cohort", "radpipe.stages.work:check_case", tasks)
    found = {
        case_id: {"image_sha256": digests[case_id][0], "mask_sha256": digests[case_id][1], **stored.row}
        for case_id, stored in result.done.items()
    }
    return found, [*failures, *result.failures]


def _outline(context: Context, folder: RunFolder, fresh: pd.DataFrame) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The new cases with the outlines of one network, trained on the given outlines of all the run's patients."""
    workflow = context.workflow
    prepared = read_table(folder.table(tables.PREPROCESSED.name), tables.PREPROCESSED).sort_values("case_id")
    settings = load_base(folder).segmentation.model_dump(mode="json")
    engine = engine_version("segmentation", "networks", "preprocessing", "io")
    seed = derive_seed(workflow.seed, "segment", "refit")
    examples = [
        (row["case_id"], str(folder.path / row["image_path"]), str(folder.path / row["mask_path"]))
        for row in prepared.to_dict("records")
    ]
    task = Task(
        task_id="segmentation network of all patients",
        key=content_key(
            stage="segment-fit", engine=engine, settings=settings, seed=seed, train=dict(zip(prepared["case_id"], prepared["key"], strict=True))
        ),
        payload={"examples": examples, "settings": settings, "seed": seed},
    )  # fmt: skip
    fitted = context.map("segment", "radpipe.stages.work:fit_segmenter", [task], preload="monai")
    if fitted.failures:
        row = fitted.failures[0]
        raise RunError(
            f"the network that should outline the new patients could not be fitted: {row['problem']}", hint=row["hint"]
        )
    network = fitted.done[task.task_id]
    preprocessing = workflow.preprocessing.model_dump(mode="json")
    tasks, failures = [], []
    for row in fresh.to_dict("records"):
        case_id = str(row["case_id"])
        try:
            image = sha256_file(Path(row["image_path"]))
        except RadpipeError as error:
            failures.append(failure(case_id, error.about(case_id=case_id)))
            continue
        tasks.append(
            Task(
                task_id=case_id,
                key=content_key(
                    stage="segment-new", engine=engine, network=network.key, image=image, modality=row["modality"], settings=settings,
                    preprocessing=preprocessing,
                ),
                payload={
                    "case_id": case_id, "image_path": row["image_path"], "modality": row["modality"], "settings": settings,
                    "preprocessing": preprocessing, "network_folder": str(network.folder),
                },
                case_id=case_id, path=str(row["image_path"]),
            )
        )  # fmt: skip
    outlined = context.map("segment", "radpipe.stages.work:outline_new", tasks, preload="monai")
    paths = {}
    for case_id, stored in outlined.done.items():
        published = context.folder.publish(stored.folder, case_id)
        paths[case_id] = str(context.folder.path / published["mask_path"])
    fresh = fresh[fresh["case_id"].isin(paths)]
    return fresh.assign(mask_path=[paths[case_id] for case_id in fresh["case_id"]], label=1), [*failures, *outlined.failures]


def _write_inputs(context: Context, folder: RunFolder, fresh: pd.DataFrame, manifest: Path) -> None:
    """Files that stages of this workflow read by themselves: the manifest's regions, and a table of features made elsewhere."""
    original = load_base(folder)
    old = read_text_table(manifest_path(original))
    renamed = dict(zip(fresh["own_id"].astype(str), fresh["case_id"].astype(str), strict=True))
    patient = dict(zip(fresh["case_id"].astype(str), fresh["patient_id"].astype(str), strict=True))
    source = read_text_table(manifest).rename(columns=OURS)
    own = source[source["case_id"].isin(renamed)]
    own = own.assign(case_id=[renamed[case_id] for case_id in own["case_id"]])
    own = own.assign(patient_id=[patient[case_id] for case_id in own["case_id"]])
    both = pd.concat([old.rename(columns=OURS), own], ignore_index=True).fillna("")
    write_bytes(context.folder.path / MANIFEST, to_csv(list(both.columns), both.to_dict("records")).encode())
    if original.features.table is None:
        return
    features = extract.read_feature_csv(original.resolve(str(original.features.table)))
    names = [name for name in features.columns if name != "case_id"]
    lacking = [name for name in names if name not in source.columns]
    if lacking:
        raise CohortError(
            f"the cohort lacks the feature column {lacking[0]!r}"
            + (f" and {len(lacking) - 1} more." if len(lacking) > 1 else "."),
            hint="The run's features come from a table, so the new patients' must stand in the cohort's file, under the same names.",
        )
    rows = source[source["case_id"].isin(renamed)]
    rows = rows.assign(case_id=[renamed[case_id] for case_id in rows["case_id"]])[["case_id", *names]]
    text = pd.concat([features.astype(object), rows], ignore_index=True)
    write_bytes(context.folder.path / "features_in.csv", to_csv(["case_id", *names], text.to_dict("records")).encode())

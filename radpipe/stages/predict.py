"""New patients scored by a finished run's models, refitted on all its patients: the door of ``radpipe predict``.

A refit is one more fold: all patients of the run train and select, the new ones stand in the test part, and the stages of the run do
the rest, from images to predictions. So a refit and a fold share every line of code, and nothing of the new patients reaches a fit.
Where a network outlined the run's patients, one network of all their outlines outlines the new ones. It works in RUN/refit with the
run's store: what is there is not computed again.

``radpipe compare --external`` judges the same refit: there the new patients' outcomes are read, whom the models saw is refused, and the
refit is made a second time without the new patients, so that the weights of both can be held against each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from radpipe.cohort.build import PYRADIOMICS_HEADERS, read_manifest
from radpipe.cohort.external import read_as_known
from radpipe.cohort.splits import draw_refit, two_outcomes
from radpipe.config import Workflow, load_workflow
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.registry import nearest
from radpipe.core.seeds import derive_seed
from radpipe.errors import CohortError, ConfigError, RadpipeError, RunError
from radpipe.io.cohort_folder import MANIFEST
from radpipe.io.files import sha256_file, write_bytes
from radpipe.io.rows import check_suffix, to_csv, write_rows
from radpipe.io.run_folder import RunFolder
from radpipe.io.store import Store
from radpipe.io.tables import read_table, read_text_table
from radpipe.models.config import AverageParams, inputs_of
from radpipe.stages import embed, extract, habitats, patients, preprocess, select, train
from radpipe.stages._parallel import Task
from radpipe.stages._pool import Pool
from radpipe.stages._progress import Progress
from radpipe.stages.cohort import default_label, manifest_path, reading_parts
from radpipe.stages.context import Context, engine_version, failure
from radpipe.stages.fitting import ROOMS

REFIT: tuple[ModuleType, ...] = (preprocess, extract, habitats, patients, embed, select, train)
NEW = "new."  # before the ids of the new ones, so that a patient of the run among them is a patient of its own
_OURS = {theirs: ours for theirs, ours in PYRADIOMICS_HEADERS.items() if ours == "case_id"}
FAILURE_COLUMNS = ("case_id", "stage", "error", "path", "problem", "hint")


@dataclass(frozen=True)
class Predicted:
    """rows : one a new case and model. failures : of new cases. fitted_on : patients the models were refitted on. seen : ids of
    new patients who, or whose images, are among these.

    Of judged ones: fits : the refit's table FITS. truths : case -> y_true, and time or value. weights : file in the run folder ->
    its SHA-256 as fitted without the new patients, and after they were predicted.
    """

    rows: list[dict[str, Any]]
    failures: list[dict[str, str]]
    fitted_on: int
    seen: tuple[str, ...]
    fits: pd.DataFrame = field(default_factory=pd.DataFrame)
    truths: dict[str, dict[str, float]] = field(default_factory=dict)
    weights: dict[str, tuple[str, str]] = field(default_factory=dict)


def predict(
    run: Path,
    cohort: Path,
    out: Path,
    *,
    models: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Predicted:
    """Score the cases of ``cohort`` (a manifest, or a folder that ``radpipe ingest`` made) and write ``out`` and its failures.

    models : names; all of the run by default. RunError where the run is not finished, is of another version of the code, or is in
    use; CohortError where the cohort lacks what the models need.
    """
    check_suffix(out)
    found = refit(run, cohort, models=models, workers=workers, progress=progress)
    _write(out, found)
    return found


def refit(
    run: Path,
    cohort: Path,
    *,
    models: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
    judged: bool = False,
) -> Predicted:
    """Refit and score; writes RUN/refit alone. judged : the new patients' outcomes are read, for a comparison.

    Then CohortError also where a new patient, or an image or outline of one, is among the run's; where the outcome is another one or
    coded otherwise, or has one class only; RunError where the weights are not the same with and without the new patients.
    """
    folder = RunFolder(run)
    workflow, base = _workflow_of(folder)
    chosen = _chosen(workflow, models)
    manifest = cohort / MANIFEST if cohort.is_dir() else cohort
    with folder.lock(), _context(workflow, folder, chosen, base, workers, progress) as context:
        fresh, failures = _new_rows(context, manifest)
        known = _known_rows(context, folder)
        truths: dict[str, dict[str, float]] = {}
        if judged:
            truths, faults = _truths(context, fresh, manifest)
            failures += faults
            fresh = fresh[fresh["own_id"].isin(truths)]
            _refuse_known(read_table(folder.table(tables.COHORT.name), tables.COHORT), fresh, manifest)
        names = {str(row["case_id"]): row for row in fresh.to_dict("records")}
        weights: list[dict[str, str]] = []
        for rows in ([fresh.iloc[:0]] if judged else []) + ([fresh] if len(fresh) else []):
            _meet(context, folder, known, rows, manifest)
            for stage in REFIT:
                context.progress.start_stage(stage.NAME)
                result = stage.run(context)
                context.progress.end_stage(stage.NAME, f"{result.cases_out} of {result.cases_in}")
            weights.append(_weights(context, folder) if judged else {})
        found = _result(context, folder, names, failures, chosen, known)
        if judged and len(fresh):
            found = replace(found, fits=context.read(tables.FITS), truths=truths, weights=_unchanged(*weights))
    return found


# the judged


def _truths(
    context: Context, fresh: pd.DataFrame, manifest: Path
) -> tuple[dict[str, dict[str, float]], list[dict[str, str]]]:  # fmt: skip
    """Outcomes of the new cases, by the run's coding, and the cases that have none. They never enter the refit."""
    settings = load_base(RunFolder(context.folder.path.parent)).cohort
    table = read_text_table(manifest).rename(columns=_OURS)
    known = read_text_table(manifest_path(load_base(RunFolder(context.folder.path.parent))))
    for name in (settings.outcome, *([settings.time] if settings.time else [])):
        if name not in table.columns:
            raise CohortError(
                f"the outcome column {name!r} is missing.{nearest(name, table.columns)}",
                hint="The cohort is judged by the outcome that the run's models foretell, under the same name.", path=manifest,
            )  # fmt: skip
    cells = {str(name): [str(cell).strip() for cell in table[name]] for name in table.columns}
    outcomes = read_as_known(cells, {str(name): [str(cell).strip() for cell in known[name]] for name in known.columns}, settings)
    if outcomes.problems:
        raise CohortError(" ".join(outcomes.problems), hint="Correct the outcome of the external cohort.", path=manifest)
    truths, failures, wanted = {}, [], set(fresh["own_id"].astype(str))
    for place, case_id in enumerate(cells["case_id"]):
        if case_id not in wanted:
            continue
        if place in outcomes.faults:
            problem, hint = outcomes.faults[place]
            failures.append(
                {**failure(case_id, CohortError(problem, hint=hint, case_id=case_id, path=manifest)), "stage": "cohort"}
            )
            continue
        code = outcomes.codes[place]
        assert code is not None  # a cell without a code has its fault, or is a problem of the column
        truths[case_id] = {"y_true": code} | {name: float(values[place] or 0) for name, values in outcomes.further.items()}
    people = fresh[fresh["own_id"].isin(truths)]
    told = [truths[case_id] for case_id in people["own_id"]]
    asked = pd.DataFrame(told).rename(columns={"y_true": "outcome"}).assign(
        case_id=people["own_id"].to_list(), patient_id=people["own_patient"].to_list()
    )  # fmt: skip
    if told and (wrong := two_outcomes(asked, settings.outcome_kind)):
        raise CohortError(" ".join(wrong), hint="A patient has one outcome: correct it.", path=manifest)
    return truths, failures


def _refuse_known(cohort: pd.DataFrame, fresh: pd.DataFrame, manifest: Path) -> None:
    """CohortError where a new patient is one of the run's, by name or by the content of a file; or stands there under two names."""
    ours = set(cohort["patient_id"].astype(str))
    held: dict[str, dict[str, str]] = {}  # digest -> patient -> case; those of the run first
    for row in cohort.to_dict("records"):
        for digest in {row["image_sha256"], row["mask_sha256"]} - {""}:
            held.setdefault(digest, {}).setdefault(str(row["patient_id"]), str(row["case_id"]))
    found = []
    for row in fresh.to_dict("records"):
        case_id, patient = str(row["own_id"]), str(row["own_patient"])
        if patient in ours:
            raise CohortError(
                f"the patient {patient!r} is among the run's own patients, whom the models learnt from.",
                hint="Leave the patient out of the external cohort; if it is another person of the same name, give an id of its own.",
                case_id=case_id, path=manifest,
            )  # fmt: skip
        for what in ("image", "mask"):
            path = Path(row[f"{what}_path"])
            if row[f"{what}_path"] and path.is_file():
                found.append((what, path, case_id, patient, held.setdefault(sha256_file(path), {})))
                found[-1][-1].setdefault(patient, case_id)
    for what, path, case_id, patient, owners in found:
        owner, case = next(iter(owners.items()))
        # A mask that three patients share is a box or a sphere of one size, and tells nothing of whose it is.
        if owner == patient or (what == "mask" and len(owners) > 2):
            continue
        whose = f"case {case} of the run (patient {owner!r})" if owner in ours else f"case {case} (patient {owner!r})"
        raise CohortError(
            f"its {what} is, byte for byte, that of {whose}: one patient under two ids.",
            hint="Leave one of them out, or give both the same patient_id where both are new.", case_id=case_id, path=path,
        )  # fmt: skip


def _weights(context: Context, folder: RunFolder) -> dict[str, str]:
    """File of a fitted model, as it lies in the run folder -> SHA-256."""
    paths = [context.folder.path / row for row in context.read(tables.FITS)["model_path"]]
    files = [path / name for path in paths for name in ("weights.safetensors", "model.json")]
    return {folder.relative(path): sha256_file(path) for path in sorted(files)}


def _unchanged(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    """RunError where a file of a model is another one with the new patients than without."""
    found = {name: (before.get(name, "no model"), after.get(name, "no model")) for name in sorted({*before, *after})}
    for name, (earlier, later) in found.items():
        if earlier != later:
            raise RunError(
                "the refitted model is not the same with the external patients as without them, so it is not judged.",
                hint="On a graphics card a fit need not repeat itself to the last bit: set the model's device: cpu. Else this is a bug.",
                path=name,
            )
    return found


# the run


def _workflow_of(folder: RunFolder) -> tuple[Workflow, Path]:
    if not folder.config.is_file() or not folder.origin.is_file() or not folder.table(tables.PREDICTIONS.name).is_file():
        raise RunError(
            "there is no finished run here.",
            hint="Name the folder that `radpipe run` wrote, or finish that run first.",
            path=folder.path,
        )
    origin = json.loads(folder.origin.read_text(encoding="utf-8"))
    if origin["engine"] != engine_version(*ROOMS):
        raise RunError(
            "the run was made by another version of radpipe or of its libraries, so its figures are not those of the models that would "
            "be fitted now.",
            hint="Run the workflow again (what has not changed is kept), or use the version that made it.", path=folder.path,
        )  # fmt: skip
    workflow = load_workflow(folder.config)
    base = (folder.path / origin["base"]).resolve()
    workflow._base = base
    return workflow, base


def _chosen(workflow: Workflow, models: Sequence[str]) -> list[str]:
    for name in models:
        if name not in workflow.models:
            raise ConfigError(
                f"the run has no model {name!r}.{nearest(name, workflow.models)}", hint=f"It has: {', '.join(workflow.models)}."
            )
    return list(models) or list(workflow.models)


def _needed(workflow: Workflow, chosen: Sequence[str]) -> dict[str, Any]:
    """The chosen models and those that they are made of."""
    names = set(chosen)
    for name in chosen:
        model = workflow.models[name]
        names |= set(model.of) if isinstance(model, AverageParams) else set()
    subset = {name: model for name, model in workflow.models.items() if name in names}
    deep = workflow.model_copy(update={"models": subset, "embedding": workflow.embedding_model}).embedding_model
    return {name: model for name, model in workflow.models.items() if name in names or name == deep}


@contextmanager
def _context(
    workflow: Workflow, folder: RunFolder, chosen: Sequence[str], base: Path, workers: int | None, progress: Progress | None
) -> Iterator[Context]:
    """The refit's own folder of tables within the run, with the run's store."""
    own = RunFolder(folder.path / "refit")
    own.store = folder.store
    own.path.mkdir(exist_ok=True)
    for path in own.path.glob("*.parquet"):  # of an earlier call, with other patients
        path.unlink()
    changed = {
        "models": _needed(workflow, chosen), "embedding": workflow.embedding_model,
        "cohort": workflow.cohort.model_copy(update={"manifest": str(own.path / MANIFEST)}),
        "segmentation": workflow.segmentation.model_copy(update={"masks": "given"}),
    }  # fmt: skip
    if workflow.features.table is not None:
        changed["features"] = workflow.features.model_copy(update={"table": str(own.path / "features_in.csv")})
    refit = workflow.model_copy(update=changed)
    refit._base = base
    compute = workflow.compute
    pool = Pool(
        workers or compute.count, scheduler=compute.scheduler, memory_mb=compute.case_memory_mb, timeout_s=compute.case_timeout_s,
        log=folder.log,
    )  # fmt: skip
    with Store(folder.store) as store, pool:
        store.sweep()
        yield Context(refit, own, store, pool, progress or Progress(quiet=True), ("", str(folder.path)))


# the cases


def _new_rows(context: Context, manifest: Path) -> tuple[pd.DataFrame, list[dict[str, str]]]:
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
    outlines = _predicts_masks(context)
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


def _known_rows(context: Context, folder: RunFolder) -> pd.DataFrame:
    """The run's patients with absolute paths; the outlines of networks, which the models learnt from, in the given ones' place."""
    cohort = read_table(folder.table(tables.COHORT.name), tables.COHORT)
    base = manifest_path(load_base(folder)).parent
    cohort = cohort.assign(
        image_path=[str(base / path) if path else "" for path in cohort["image_path"]],
        mask_path=[str(base / path) if path else "" for path in cohort["mask_path"]],
    )
    if not _predicts_masks(context):
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


def load_base(folder: RunFolder) -> Workflow:
    """The run's workflow as it was, with the folder its paths start from."""
    workflow = load_workflow(folder.config)
    workflow._base = (folder.path / json.loads(folder.origin.read_text(encoding="utf-8"))["base"]).resolve()
    return workflow


def _predicts_masks(context: Context) -> bool:
    return context.workflow.needs_images and load_base(RunFolder(context.folder.path.parent)).segmentation.masks == "predicted"


def _meet(context: Context, folder: RunFolder, known: pd.DataFrame, fresh: pd.DataFrame, manifest: Path) -> None:
    """Both kinds of patients in one cohort: the run's train and select, the new ones are the test part."""
    workflow = context.workflow
    failures: list[dict[str, str]] = []
    if _predicts_masks(context):
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
    source = read_text_table(manifest).rename(columns=_OURS)
    own = source[source["case_id"].isin(renamed)]
    own = own.assign(case_id=[renamed[case_id] for case_id in own["case_id"]])
    own = own.assign(patient_id=[patient[case_id] for case_id in own["case_id"]])
    both = pd.concat([old.rename(columns=_OURS), own], ignore_index=True).fillna("")
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


# what is told


def _result(
    context: Context, folder: RunFolder, names: dict[str, dict[str, Any]], failures: list[dict[str, str]], chosen: Sequence[str],
    known: pd.DataFrame,
) -> Predicted:  # fmt: skip
    def own(case_id: str) -> str:
        return str(names[case_id]["own_id"]) if case_id in names else case_id

    if not names:
        return Predicted([], failures, 0, ())
    cohort = context.read(tables.COHORT).set_index("case_id")
    images, ids = set(known["image_sha256"]) - {""}, set(known["patient_id"].astype(str))
    seen_cases = {
        case_id for case_id, row in names.items()
        if str(row["own_patient"]) in ids or (case_id in cohort.index and cohort.loc[case_id, "image_sha256"] in images)
    }  # fmt: skip
    predictions = context.read(tables.PREDICTIONS)
    fits = context.read(tables.FITS).set_index("model")
    fitted_on = {thing: len(saw) for (_, _, stage, thing), saw in context.seen().items() if stage == "train"}
    said = [name for name in predictions.columns if name.startswith("p_") or name == "score"]
    rows = []
    for row in predictions[(predictions["role"] == "test") & predictions["model"].isin(chosen)].to_dict("records"):
        case_id, model = str(row["case_id"]), str(row["model"])
        rows.append(
            {
                "case_id": own(case_id), "patient_id": str(names[case_id]["own_patient"]), "model": model,
                **{name: row[name] for name in said if pd.notna(row[name])},
                **({"threshold": float(fits.loc[model, "threshold"])} if pd.notna(fits.loc[model, "threshold"]) else {}),
                "seen": "yes" if case_id in seen_cases else "no",
                "fitted_on": fitted_on[model],
            }
        )  # fmt: skip
    rows.sort(key=lambda row: (row["case_id"], list(context.workflow.models).index(row["model"])))
    for row in context.read(tables.FAILURES).to_dict("records"):
        mine = str(row["case_id"]) in names
        if mine or row["stage"] in ("train", "select", "embed", "habitats"):
            failures.append({name: str(row[name]) for name in FAILURE_COLUMNS} | {"case_id": own(str(row["case_id"]))})
    seen = tuple(sorted({str(names[case_id]["own_patient"]) for case_id in seen_cases}))
    return Predicted(rows, failures, max(fitted_on.values(), default=0), seen)


def _write(out: Path, found: Predicted) -> None:
    columns = list(dict.fromkeys(name for row in found.rows for name in row))
    leading = [name for name in columns if name not in ("threshold", "seen", "fitted_on")]
    write_rows(
        out, [*leading, *(name for name in ("threshold", "seen", "fitted_on") if name in columns)] or ["case_id"], found.rows
    )
    beside = out.with_name(f"{out.stem}.failures.csv")
    if found.failures:
        write_rows(beside, FAILURE_COLUMNS, found.failures)
    else:
        beside.unlink(missing_ok=True)

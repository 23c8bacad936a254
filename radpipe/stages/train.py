"""8. train: every model on every outer fold, features and images alike, into one table of predictions."""

from __future__ import annotations

from typing import Any

import pandas as pd

from radpipe.config import Workflow
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.registry import lookup
from radpipe.core.seeds import derive_seed
from radpipe.errors import RunError
from radpipe.io.files import sha256_file
from radpipe.io.store import StoredResult
from radpipe.models.config import Cnn3dParams, Source
from radpipe.networks.registry import CLASSIFIERS
from radpipe.stages import _inputs
from radpipe.stages._inputs import Fold
from radpipe.stages._parallel import Task
from radpipe.stages.context import Context, StageResult, engine_version, frame_key

NAME = "train"
NEEDS = ("cohort", "splits", "features", "selection", "preprocessed", "segmentation where masks: predicted")
MAKES = ("predictions", "fits", "models/")
TRUTHS: dict[str, tuple[str, ...]] = {"classes": (), "number": ("value",), "time_to_event": ("time",)}
NO_PROBABILITY = {"p_0": float("nan"), "p_1": float("nan")}
Crops = dict[str, dict[Fold, dict[str, StoredResult]]]
Sources = tuple[Source, ...]
Features = dict[Sources, dict[Fold, pd.DataFrame]]


def run(context: Context) -> StageResult:
    """One task per (repeat, fold, model). All models meet the same cases: those that have everything any model needs."""
    workflow = context.workflow
    cohort = context.read(tables.COHORT).set_index("case_id")
    splits = context.read(tables.SPLITS)
    features = {sources: _inputs.fold_features(context, sources) for sources in _sets(workflow)}
    made = [set(table.index) for by_fold in features.values() for table in by_fold.values()]
    entering = sorted(set.intersection(*made)) if made else []
    failures: list[dict[str, str]] = []
    crops: Crops = {}
    for name, model in workflow.models.items():
        if isinstance(model, Cnn3dParams):
            crops[name], failed = _inputs.crops(context, model, entering)
            failures += failed
    lost = {row["case_id"] for row in failures}
    alive = [case_id for case_id in entering if case_id not in lost]
    if not alive:
        raise RunError("no case is left to train on.", hint="See failures.csv.")

    parts = splits[splits["case_id"].isin(alive)].sort_values(["repeat", "fold", "case_id"])
    tasks, about, without = _tasks(context, cohort, parts, features, crops)
    failures += without
    networks = [
        lookup(CLASSIFIERS, model.network, "network") for model in workflow.models.values() if isinstance(model, Cnn3dParams)
    ]
    preload = "monai" if any(network.library == "monai" for network in networks) else "torch"
    result = context.map(NAME, "radpipe.stages.work:fit_model", tasks, preload=preload)

    role = {(r, f, c): part for r, f, c, part in parts[["repeat", "fold", "case_id", "role"]].itertuples(index=False)}
    kind = workflow.cohort.outcome_kind
    truth = {
        str(row["case_id"]): {"y_true": int(row["outcome"])} | {name: float(row[name]) for name in TRUTHS[kind]}
        for row in cohort.reset_index().to_dict("records")
    }
    predictions, fits = [], []
    for task_id, stored in result.done.items():
        repeat, fold, name, seed = about[task_id]
        key = {"repeat": repeat, "fold": fold, "seed": seed, "model": name}
        for case_id, own in stored.row["probabilities"].items():
            known = {"role": role[repeat, fold, case_id], **truth[case_id], **NO_PROBABILITY}
            said = {f"p_{place}": p for place, p in enumerate(own)}
            if kind != "classes":
                said["score"] = stored.row["scores"][case_id]
            predictions.append({**key, "case_id": case_id, **known, **said})
        model_path = context.folder.publish_model(stored.folder, name, repeat, fold)
        fits.append({**key, **stored.row["facts"], "saw_sha256": stored.row["saw_sha256"], "model_path": model_path})
    context.write(tables.PREDICTIONS, predictions, csv=True)
    context.write(tables.FITS, fits, csv=True)
    context.folder.keep_only("models", [row["model_path"] for row in fits])
    return context.finish(NAME, entering, alive, [*failures, *result.failures])


def _sets(workflow: Workflow) -> list[Sources]:
    """What the models eat of the features; all of it at least once, so that every model meets the same cases."""
    return list(dict.fromkeys([workflow.sources, *(workflow.sources_of(model) for model in workflow.models.values())]))


def _weights(workflow: Workflow) -> dict[str, tuple[str, str]]:
    """Model -> the file it starts from and its SHA-256, where it names one."""
    named = {name: workflow.resolve(m.weights) for name, m in workflow.models.items() if isinstance(m, Cnn3dParams) and m.weights}
    return {name: (str(path), sha256_file(path)) for name, path in named.items()}


def _tasks(
    context: Context, cohort: pd.DataFrame, parts: pd.DataFrame, features: Features, crops: Crops
) -> tuple[list[Task], dict[str, tuple[int, int, str, int]], list[dict[str, str]]]:
    """Tasks; task id -> (repeat, fold, model, seed); and failures of fits whose inputs could not be selected."""
    workflow = context.workflow
    wanted = {model.inputs for model in workflow.models.values()}
    others = {"clinical": _inputs.clinical(context, cohort)}
    if "volume" in wanted:
        others["volume"] = _inputs.volume(context, cohort, features[workflow.sources])
    kept = _inputs.kept_inputs(context) if "selected" in wanted else {}
    engine = engine_version("models", "networks", "selection")
    weights = _weights(workflow)
    tasks: list[Task] = []
    about: dict[str, tuple[int, int, str, int]] = {}
    without: list[dict[str, str]] = []
    for (repeat, fold), part in parts.groupby(["repeat", "fold"]):
        place = (int(repeat), int(fold))
        case_ids = list(part["case_id"])
        common = {
            "case_ids": case_ids, "roles": list(part["role"]),
            "patient_ids": [str(patient) for patient in cohort.loc[case_ids, "patient_id"]],
            **_inputs.outcome(workflow, cohort, case_ids),
        }  # fmt: skip
        for name, model in workflow.models.items():
            task_id = f"{name} (repeat {repeat}, fold {fold})"
            own = workflow.sources_of(model)
            chosen = kept.get((_inputs.set_name(own), place))
            if model.inputs == "selected" and chosen is None:
                without.append(_inputs.upstream(task_id, "its inputs could not be selected.", "select"))
                continue
            table = None
            if not isinstance(model, Cnn3dParams):
                table = _inputs.of_fold(others[model.inputs] if model.inputs in others else features[own], place)
                if table is None:
                    without.append(_inputs.upstream(task_id, "the fold's habitats could not be found.", "habitats"))
                    continue
            seed = derive_seed(workflow.seed, NAME, repeat, fold, name)
            params = model.model_dump(mode="json")
            payload: dict[str, Any] = {**common, "params": params, "seed": seed, "table": "", "columns": [], "crops": []}
            data: Any = None
            if isinstance(model, Cnn3dParams):
                found = _inputs.of_fold(crops[name], place) or {}
                payload["crops"] = [str(found[case_id].file("crop.npy")) for case_id in case_ids]
                data = [found[case_id].key for case_id in case_ids]
                if name in weights:
                    payload["weights"], content = weights[name]
                    data = [*data, content]
            elif table is not None:
                table = table.loc[case_ids]
                table = table[chosen] if model.inputs == "selected" else table
                payload |= {"table": _inputs.publish(context, table), "columns": list(table.columns)}
                data = frame_key(table)
            key = content_key(stage=NAME, engine=engine, params=params, seed=seed, data=data, **common)
            about[task_id] = (*place, name, seed)
            tasks.append(Task(task_id=task_id, key=key, payload=payload))
    return tasks, about, without

"""What the fits of a run have in common: who takes part, what each model eats, and the tasks. The same for folds and for a refit."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from radpipe.config import Workflow
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.registry import lookup
from radpipe.core.seeds import derive_seed
from radpipe.errors import ConfigError, RunError
from radpipe.io.files import sha256_file, write_bytes
from radpipe.io.store import StoredResult
from radpipe.models.config import EMBEDDING, AverageParams, Cnn3dParams, ModelParams, Source, inputs_of
from radpipe.networks.registry import CLASSIFIERS
from radpipe.stages import _inputs
from radpipe.stages._inputs import Fold
from radpipe.stages._parallel import Task
from radpipe.stages.context import Context, engine_version, frame_key

FIT = "train"  # the name in keys and seeds, whoever asks for the fit
ROOMS = ("cohort", "io", "preprocessing", "segmentation", "networks", "features", "filters", "habitats", "selection", "models")
Sources = tuple[Source, ...]


@dataclass
class Fits:
    """parts : the splits table of those who take part. crops : model -> fold -> case -> its box. without : fits that cannot be.

    about : task id -> (repeat, fold, model, seed). dropped : references that this run has no inputs for.
    """

    context: Context
    cohort: pd.DataFrame
    entering: list[str]
    alive: list[str]
    failures: list[dict[str, str]]
    parts: pd.DataFrame
    crops: dict[str, dict[Fold, dict[str, StoredResult]]]
    features: dict[Sources, dict[Fold, pd.DataFrame]]
    others: dict[str, dict[Fold, pd.DataFrame]]
    kept: dict[tuple[str, Fold], list[str]]
    seen: dict[tuple[int, int, str, str], list[str]]
    weights: dict[str, tuple[str, str]]
    dropped: list[str] = field(default_factory=list)
    about: dict[str, tuple[int, int, str, int]] = field(default_factory=dict)
    without: list[dict[str, str]] = field(default_factory=list)

    @property
    def models(self) -> dict[str, ModelParams]:
        """Of the workflow, less the references that this run has no inputs for."""
        return {name: model for name, model in self.context.workflow.models.items() if name not in self.dropped}


def take_part(context: Context, *, names: Sequence[str] | None = None) -> Fits:
    """Who takes part: those who have everything that any model needs, so that all models meet the same cases.

    names : only the inputs of these models are read (all of them still say who takes part).
    """
    workflow = context.workflow
    cohort = context.read(tables.COHORT).set_index("case_id")
    splits = context.read(tables.SPLITS)
    wanted = [model for name, model in workflow.models.items() if names is None or name in names]
    # Deep features are of those who take part, so they do not say who does.
    bare = tuple(source for source in workflow.sources if source != EMBEDDING)
    sets = [bare, *(workflow.sources_of(model) for model in wanted)]
    features = {sources: _inputs.fold_features(context, sources) for sources in dict.fromkeys(sets)}
    made = [set(table.index) for table in features[bare].values()]
    for sources, by_fold in features.items():
        made += [set(table.index) for table in by_fold.values()] if EMBEDDING not in sources else []
    entering = sorted(set.intersection(*made)) if made else []
    failures: list[dict[str, str]] = []
    crops = {}
    for name, model in workflow.models.items():
        if isinstance(model, Cnn3dParams):
            crops[name], failed = _inputs.crops(context, model, entering)
            failures += failed
    lost = {row["case_id"] for row in failures}
    alive = [case_id for case_id in entering if case_id not in lost]
    if not alive:
        raise RunError("no case is left to train on.", hint="See failures.csv.")
    parts = splits[splits["case_id"].isin(alive)].sort_values(["repeat", "fold", "case_id"])
    inputs = {table for model in wanted for table in inputs_of(model)}
    others, dropped = _others(context, cohort, features[bare], inputs)
    kept = _inputs.kept_inputs(context) if "selected" in inputs else {}
    return Fits(
        context,
        cohort,
        entering,
        alive,
        failures,
        parts,
        crops,
        features,
        others,
        kept,
        context.seen(),
        _weights(workflow),
        dropped,
    )


def _others(
    context: Context, cohort: pd.DataFrame, features: dict[Fold, pd.DataFrame], inputs: set[str]
) -> tuple[dict[str, dict[Fold, pd.DataFrame]], list[str]]:
    """Tables beside the features; and the references that must go without them."""
    workflow = context.workflow
    others = {"clinical": _inputs.clinical(context, cohort), "given": _inputs.given(context, cohort)}
    if "volume" not in inputs:
        return others, []
    try:
        return others | {"volume": _inputs.volume(context, cohort, features)}, []
    except ConfigError:
        asking = [name for name, model in workflow.models.items() if "volume" in inputs_of(model)]
        if any(name not in workflow.references_added for name in asking):
            raise
        return others, asking


def write_origin(context: Context) -> None:
    """Beside a run's tables, what a refit needs to know of it: where its paths start, from the run folder (no path of the machine
    leaves with a run), and the code that made it."""
    told = {
        "base": Path(os.path.relpath(context.workflow.base, context.folder.path)).as_posix(),
        "engine": engine_version(*ROOMS),
    }
    write_bytes(context.folder.origin, (json.dumps(told, indent=1) + "\n").encode())


def preload_for(workflow: Workflow) -> str:
    """What the fork server imports before the fits."""
    networks = [
        lookup(CLASSIFIERS, model.network, "network") for model in workflow.models.values() if isinstance(model, Cnn3dParams)
    ]
    if not networks:
        return "torch"
    return "monai" if any(network.library == "monai" for network in networks) else "cnn"


def _weights(workflow: Workflow) -> dict[str, tuple[str, str]]:
    """Model -> the file it starts from and its SHA-256, where it names one."""
    named = {name: workflow.resolve(m.weights) for name, m in workflow.models.items() if isinstance(m, Cnn3dParams) and m.weights}
    return {name: (str(path), sha256_file(path)) for name, path in named.items()}


def fit_tasks(fits: Fits, names: Sequence[str], members: dict[tuple[int, int, str], StoredResult] | None = None) -> list[Task]:
    """One task per (repeat, fold, model) of these models; those without inputs are told in ``fits.without``.

    members : (repeat, fold, model) -> its fit, for models that average others.
    """
    context = fits.context
    workflow = context.workflow
    engine = engine_version("models", "networks", "selection")
    found: list[Task] = []
    for (repeat, fold), part in fits.parts.groupby(["repeat", "fold"]):
        place = (int(repeat), int(fold))
        case_ids = list(part["case_id"])
        common = {
            "case_ids": case_ids, "roles": list(part["role"]),
            "patient_ids": [str(patient) for patient in fits.cohort.loc[case_ids, "patient_id"]],
            **_inputs.outcome(workflow, fits.cohort, case_ids),
        }  # fmt: skip
        for name in names:
            model = workflow.models[name]
            task_id = f"{name} (repeat {repeat}, fold {fold})"
            try:
                eaten, data, upstream = _meal(fits, name, model, place, case_ids, list(part["role"]), members or {})
            except _Without as reason:
                fits.without.append({**reason.row, "case_id": task_id})
                continue
            seed = derive_seed(workflow.seed, FIT, repeat, fold, name)
            params = model.model_dump(mode="json")
            payload = {
                **common,
                "params": params,
                "seed": seed,
                "table": "",
                "columns": [],
                "crops": [],
                **eaten,
                "upstream": upstream,
            }
            key = content_key(stage=FIT, engine=engine, params=params, seed=seed, data=data, upstream=upstream, **common)
            fits.about[task_id] = (*place, name, seed)
            found.append(Task(task_id=task_id, key=key, payload=payload))
    return found


class _Without(Exception):
    """A fit that cannot be: ``row`` says why."""

    def __init__(self, row: dict[str, str]) -> None:
        super().__init__(row["problem"])
        self.row = row


def _meal(
    fits: Fits, name: str, model: ModelParams, place: Fold, case_ids: list[str], roles: list[str],
    members: dict[tuple[int, int, str], StoredResult],
) -> tuple[dict[str, Any], Any, dict[str, Any]]:  # fmt: skip
    """What the model eats in that fold: entries of the payload, the data's key, and whom what made it has seen."""
    if isinstance(model, Cnn3dParams):
        boxes = _inputs.of_fold(fits.crops[name], place) or {}
        data = [boxes[case_id].key for case_id in case_ids]
        eaten: dict[str, Any] = {"crops": [str(boxes[case_id].file("crop.npy")) for case_id in case_ids]}
        if name in fits.weights:
            eaten["weights"], content = fits.weights[name]
            data = [*data, content]
        return eaten, data, {}
    if isinstance(model, AverageParams):
        table, upstream = _members(model, place, case_ids, members)
    else:
        table, upstream = _columns(fits, model, place, case_ids, roles)
    if table is None:
        return {}, None, {}
    return {"table": _inputs.publish(fits.context, table), "columns": list(table.columns)}, frame_key(table), upstream


def _columns(
    fits: Fits, model: ModelParams, place: Fold, case_ids: list[str], roles: list[str]
) -> tuple[pd.DataFrame | None, dict[str, Any]]:
    """The tables of the model's inputs side by side."""
    own = fits.context.workflow.sources_of(model)
    of_set = _inputs.set_name(own)
    tables_, upstream = [], {}
    for name in inputs_of(model):
        if name == "none":
            continue
        table = _inputs.of_fold(fits.others[name] if name in fits.others else fits.features[own], place)
        if table is None:
            raise _Without(_inputs.upstream("", "the fold's habitats or deep features could not be found.", "habitats or embed"))
        if name in ("selected", "features"):
            for stage, thing in (("habitats", "habitats"), ("embed", EMBEDDING)):
                if thing in own and (saw := fits.seen.get((*place, stage, thing))) is not None:
                    upstream[thing] = {"saw": saw}
        if name == "selected":
            chosen = fits.kept.get((of_set, place))
            if chosen is None:
                raise _Without(_inputs.upstream("", "its inputs could not be selected.", "select"))
            learning = sum(role == "train" for role in roles)
            if len(chosen) > learning:
                raise _Without(
                    {
                        "case_id": "", "error": "inputs", "path": "",
                        "problem": f"input selection kept {len(chosen)} inputs, and {learning} cases train.",
                        "hint": "Lower selection.max_features, choose a stricter selector, or give a penalised model inputs: features.",
                    }
                )  # fmt: skip
            upstream["selection"] = {"saw": fits.seen.get((*place, "select", of_set), [])}
            table = table[chosen]
        tables_.append(table.loc[case_ids])
    if not tables_:
        return None, {}
    return (tables_[0] if len(tables_) == 1 else pd.concat(tables_, axis=1)), upstream


def _members(
    model: AverageParams, place: Fold, case_ids: list[str], members: dict[tuple[int, int, str], StoredResult]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What the models that are averaged say of every case of the fold."""
    columns: dict[str, list[float]] = {}
    upstream: dict[str, Any] = {}
    for name in model.of:
        stored = members.get((*place, name))
        if stored is None:
            raise _Without(_inputs.upstream("", f"the model {name!r}, which it averages, could not be fitted.", FIT))
        said, scores = stored.row["probabilities"], stored.row["scores"]
        if scores:
            columns[name] = [scores[case_id] for case_id in case_ids]
        elif len(said[case_ids[0]]) == 2:
            columns[name] = [said[case_id][1] for case_id in case_ids]
        else:
            for k in range(len(said[case_ids[0]])):
                columns[f"{name}:{k}"] = [said[case_id][k] for case_id in case_ids]
        upstream[name] = {"saw": sorted({patient for saw in stored.row["saw"].values() for patient in saw})}
    return pd.DataFrame(columns, index=pd.Index(case_ids, name="case_id")), upstream

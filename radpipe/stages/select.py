"""8. select: the inputs of the network, chosen inside each training part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from radpipe.config import Workflow
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.seeds import derive_seed
from radpipe.errors import ConfigError
from radpipe.models.config import AnnParams, inputs_of
from radpipe.selection.confounding import answer_of, given_volume
from radpipe.selection.registry import WITH_SELECTION_PART
from radpipe.selection.stability import nogueira
from radpipe.selection.target import Target
from radpipe.stages import _inputs
from radpipe.stages._parallel import Task
from radpipe.stages.context import Context, StageResult, engine_version, frame_key
from radpipe.stages.repeats import repeats as measured_again

NAME = "select"
NEEDS = ("cohort", "splits", "features", "habitats where maps ask for them")
MAKES = (
    "selection",
    "selection_fits",
    "selection_stability",
    "selection_volume",
    "repeats where selection.robustness asks for them",
)
SCHEMAS = (tables.SELECTION, tables.SELECTION_FITS, tables.SELECTION_STABILITY, tables.SELECTION_VOLUME, tables.REPEATS)


def run(context: Context) -> StageResult:
    """One task an outer fold and set of inputs that a model asks for; nobody of the test part goes into it.

    The training part chooses; its selection part has a say only with selectors that ask a network.
    """
    workflow = context.workflow
    sets = list(dict.fromkeys(workflow.sources_of(model) for model in workflow.models.values() if "selected" in inputs_of(model)))
    if not sets:
        context.write_seen(NAME, [])
        return context.not_needed(NAME, list(SCHEMAS), "no model has inputs: selected")
    settings = workflow.selection.model_dump(mode="json")
    asks = workflow.selection.selector in WITH_SELECTION_PART
    network = _network(workflow).model_dump(mode="json") if asks else None
    engine = engine_version("selection", "evaluation", *(("models", "networks") if asks else ()))
    cohort = context.read(tables.COHORT).set_index("case_id")
    splits = context.read(tables.SPLITS)
    # In a refit there are patients who are only ever tested; nothing is learnt or told of them here.
    learning = [case_id for case_id in cohort.index if case_id in set(splits[splits["role"] != "test"]["case_id"])]
    repeats, failed = None, []
    if workflow.selection.robustness is not None:
        repeats, failed = measured_again(context, workflow.selection.robustness, learning)
    else:
        context.folder.table(tables.REPEATS.name).unlink(missing_ok=True)
    tasks: list[Task] = []
    about: dict[str, tuple[str, int, int]] = {}
    without: list[dict[str, str]] = []
    features = {sources: _inputs.fold_features(context, sources) for sources in sets}
    for sources in sets:
        for (repeat, fold), part in splits.groupby(["repeat", "fold"]):
            of_what = f", {_inputs.set_name(sources)}" if len(sets) > 1 else ""
            task_id = f"input selection (repeat {repeat}, fold {fold}{of_what})"
            about[task_id] = (_inputs.set_name(sources), int(repeat), int(fold))
            table = _inputs.of_fold(features[sources], (int(repeat), int(fold)))
            if table is None:
                without.append(_inputs.upstream(task_id, "the fold's habitats could not be found.", "habitats"))
                continue
            by_role = {role: sorted(set(rows["case_id"]) & set(table.index)) for role, rows in part.groupby("role")}
            used = {role: by_role.get(role, []) for role in (("train", "selection") if asks else ("train",))}
            rows = table.loc[[case_id for ids in used.values() for case_id in ids]]
            parts = {
                role: {
                    "case_ids": ids, "patient_ids": [str(patient) for patient in cohort.loc[ids, "patient_id"]],
                    **_inputs.outcome(workflow, cohort, ids),
                }
                for role, ids in used.items()
            }  # fmt: skip
            mine = None
            if repeats is not None:
                # Of this cohort the training part alone; patients of another study are nobody's test part.
                mine = repeats[repeats["case_id"].isin(used["train"]) | ~repeats["case_id"].isin(cohort.index)].set_index(
                    "case_id"
                )
            seed = derive_seed(workflow.seed, NAME, repeat, fold)  # the same for every set: they differ in their candidates alone
            tasks.append(
                Task(
                    task_id=task_id,
                    key=content_key(
                        stage=NAME, engine=engine, settings=settings, seed=seed, rows=frame_key(rows), parts=parts, network=network,
                        repeats=None if mine is None else frame_key(mine),
                    ),
                    payload={
                        "features": _inputs.publish(context, table), "columns": list(table.columns), "parts": parts,
                        "settings": settings, "seed": seed, "network": network,
                        "repeats": None if mine is None else _inputs.publish(context, mine),
                        "test_patients": sorted(set(map(str, cohort.loc[by_role.get("test", []), "patient_id"]))),
                    },
                )
            )  # fmt: skip
    result = context.map(NAME, "radpipe.stages.work:select_fold", tasks, preload="torch")
    context.write_seen(
        NAME, [(*about[task_id][1:], about[task_id][0], stored.row["saw"]) for task_id, stored in result.done.items()]
    )
    chosen, fits = [], []
    for task_id, stored in result.done.items():
        name, repeat, fold = about[task_id]
        key = {"repeat": repeat, "fold": fold, "sources": name}
        chosen += [{**key, **row} for row in stored.row["rows"]]
        fits.append({**key, "selector": workflow.selection.selector, **stored.row["fit"]})
    selection = context.write(tables.SELECTION, chosen, csv=True)
    context.write(tables.SELECTION_FITS, fits, csv=True)
    context.write(tables.SELECTION_STABILITY, _stability(selection, workflow), csv=True)
    named = {_inputs.set_name(sources): found for sources, found in features.items()}
    context.write(tables.SELECTION_VOLUME, _confounding(context, selection, cohort.loc[learning], named), csv=True)
    return context.finish(NAME, list(about), list(result.done), [*without, *failed, *result.failures])


def _network(workflow: Workflow) -> AnnParams:
    """The network that growing and pruning train: the workflow's first that eats selected inputs, else the default one."""
    found = [model for model in workflow.models.values() if isinstance(model, AnnParams) and "selected" in inputs_of(model)]
    return found[0] if found else AnnParams()


def _stability(selection: pd.DataFrame, workflow: Workflow) -> list[dict[str, Any]]:
    shared = 1 / (workflow.splits.folds - 1)
    found = []
    for sources, rows in selection.groupby("sources"):
        kept = rows.pivot_table(index=["repeat", "fold"], columns="feature", values="kept", aggfunc="all", fill_value=False)
        runs = kept.to_numpy(dtype=bool)
        if len(runs) < 2:
            continue
        value, low, high = nogueira(runs, shared)
        _, naive_low, naive_high = nogueira(runs)
        found.append(
            {
                "sources": sources, "value": value, "ci_low": low, "ci_high": high, "naive_low": naive_low, "naive_high": naive_high,
                "n": len(runs),
                "method": f"Nogueira 2018 over {len(runs)} training parts that share patients; variance times 1 + {len(runs)} x "
                f"{shared:.3g}, by analogy with the corrected resampled t",
            }
        )  # fmt: skip
    return found


def _confounding(
    context: Context, selection: pd.DataFrame, cohort: pd.DataFrame, features: dict[str, _inputs.ByFold]
) -> list[dict[str, Any]]:
    """Of every feature that some fold kept; empty where nothing tells the volume."""
    found = []
    kept = selection[selection["kept"]]
    for sources, rows in kept.groupby("sources"):
        table = _mean_over_folds(features[str(sources)])
        volume = _volume(context, cohort, features[str(sources)])
        if volume is None:
            continue
        case_ids = [case_id for case_id in table.index if case_id in volume.index and case_id in cohort.index]
        target = Target.told(_inputs.outcome(context.workflow, cohort, case_ids))
        answer, words = answer_of(target)
        for feature, times in rows.groupby("feature").size().items():
            values = table.loc[case_ids, feature].to_numpy(float)
            said = given_volume(np.where(np.isfinite(values), values, np.nan), volume.loc[case_ids].to_numpy(float), answer)
            found.append(
                {
                    "sources": sources, "feature": feature, "kept": int(times), "n": said.n, "rho_volume": said.rho_volume,
                    "association": said.association, "partial": said.partial, "ci_low": said.low, "ci_high": said.high,
                    "p_value": said.p_value, "method": words,
                }
            )  # fmt: skip
    return found


def _mean_over_folds(by_fold: _inputs.ByFold) -> pd.DataFrame:
    """One row a case; values that differ by fold (habitats, networks' outlines) as their mean."""
    if _inputs.ALL_FOLDS in by_fold:
        return by_fold[_inputs.ALL_FOLDS]
    return pd.concat(by_fold.values()).groupby(level=0).mean()


def _volume(context: Context, cohort: pd.DataFrame, features: _inputs.ByFold) -> pd.Series | None:
    try:
        found = _inputs.volume(context, cohort, features)
    except ConfigError:  # a table made elsewhere need not tell it
        return None
    return _mean_over_folds(found)[_inputs.VOLUME]

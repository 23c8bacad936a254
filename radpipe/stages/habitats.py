"""5. habitats: clusters of voxels in the space of the feature maps, found inside each training part."""

from __future__ import annotations

from typing import Any

import pandas as pd

from radpipe import __version__
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.seeds import derive_seed
from radpipe.features.images import column_names
from radpipe.habitats.habitats import PREFIX, REASONS, columns_of, mean_column, share_column
from radpipe.io.store import StoredResult
from radpipe.io.tables import read_table
from radpipe.stages._parallel import Task
from radpipe.stages.context import Context, StageResult, engine_version
from radpipe.stages.map_store import LABELS_FILE

NAME = "habitats"
NEEDS = ("cohort", "splits", "maps", "fold_features")
MAKES = ("habitats", "habitat_choice", "columns of fold_features, and their rows of feature_dictionary and undefined")
Place = tuple[int, int]


def run(context: Context) -> StageResult:
    """One task an outer fold: habitats from the training part's voxels, then every case's share and mean of each.

    Its columns are added to the table of features that differ by fold (and their rows to what goes with it); adding them again
    changes nothing.
    """
    workflow = context.workflow
    maps = workflow.maps
    if maps is None or maps.habitats is None:
        _add(context, [], [], [])
        context.write_seen(NAME, [])
        return context.not_needed(NAME, [tables.HABITATS, tables.HABITAT_CHOICE], "the workflow asks for none")
    columns = maps.habitats.columns(tuple(column_names(maps.extraction(workflow.features).parameters)))
    settings = maps.habitats.model_dump(mode="json")
    engine = engine_version("habitats")
    regions = context.read(tables.MAPS)
    regions = regions[regions["roi"] == workflow.segmentation.masks]
    splits = context.read(tables.SPLITS)
    tasks: list[Task] = []
    about: dict[str, Place] = {}
    seed = derive_seed(workflow.seed, NAME)  # of all folds: a case's voxels are drawn once, whichever folds it trains in
    for (repeat, fold), part in splits.groupby(["repeat", "fold"]):
        place = (int(repeat), int(fold))
        known = _of_fold(regions, place)
        roles = {case_id: role for case_id, role in zip(part["case_id"], part["role"], strict=True) if case_id in known}
        train = sorted(case_id for case_id, role in roles.items() if role == "train")
        task_id = f"habitats (repeat {repeat}, fold {fold})"
        about[task_id] = place
        tasks.append(
            Task(
                task_id=task_id,
                key=content_key(stage=NAME, engine=engine, settings=settings, columns=list(columns), seed=seed, train=train,
                                maps={case_id: known[case_id]["key"] for case_id in sorted(roles)}),
                payload={
                    "paths": {case_id: str(context.folder.path / known[case_id]["path"]) for case_id in sorted(roles)}, "train": train,
                    "columns": list(columns), "settings": settings, "seed": seed,
                },
            )
        )  # fmt: skip
    result = context.map(NAME, "radpipe.stages.work:find_habitats", tasks, preload="torch")
    found = {about[task_id]: stored for task_id, stored in result.done.items()}
    habitats, choices = [], []
    for (repeat, fold), stored in found.items():
        place_of = {"repeat": repeat, "fold": fold}
        same = {
            "k": len(stored.row["shares"]),
            "order_by": columns[0],
            "path": context.folder.relative(stored.file(LABELS_FILE)),
            "key": stored.key,
        }
        for number, (share, means) in enumerate(zip(stored.row["shares"], stored.row["means"], strict=True), start=1):
            habitats.append({**place_of, "habitat": number, **same, "share": share, **means})
        choices += [{**place_of, **choice} for choice in stored.row["choices"]]
    patient = dict(context.read(tables.COHORT)[["case_id", "patient_id"]].itertuples(index=False, name=None))
    trained = {about[task.task_id]: [patient[case_id] for case_id in task.payload["train"]] for task in tasks}
    context.write_seen(NAME, [(*place, "habitats", trained[place]) for place in found])
    context.write(tables.HABITATS, habitats, csv=True)
    context.write(tables.HABITAT_CHOICE, choices, csv=True)
    most = max((len(stored.row["shares"]) for stored in found.values()), default=0)
    rows, undefined = _features(found, columns_of(most, columns), workflow.segmentation.masks)
    _add(context, rows, undefined, _dictionary(most, columns, maps.key(workflow.features)))
    note = f"{most} at most" if most else ""
    return context.finish(NAME, list(about), list(result.done), result.failures, note=note)


def _of_fold(regions: pd.DataFrame, place: Place) -> dict[str, dict[str, Any]]:
    """case -> its row of the maps table, of that fold where outlines differ by fold."""
    own = regions[(regions["repeat"] == place[0]) & (regions["fold"] == place[1])]
    rows = own if len(own) else regions[regions["repeat"] == -1]
    return {str(row["case_id"]): {str(name): value for name, value in row.items()} for row in rows.to_dict("records")}


def _features(
    found: dict[Place, StoredResult], columns: list[str], roi: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of FOLD_FEATURES with every column, and of UNDEFINED for those without a value.

    A habitat that a fold has not is missing in every case and column there, which one row says: case "", feature "habitat_4_*".
    """
    rows, undefined = [], []
    most = max((len(stored.row["shares"]) for stored in found.values()), default=0)
    for (repeat, fold), stored in found.items():
        for number in range(len(stored.row["shares"]) + 1, most + 1):
            key = {"repeat": repeat, "fold": fold, "case_id": "", "roi": roi}
            undefined.append({**key, **_reason(f"{PREFIX}{number}_*", "no-such-habitat")})
        for case_id, own in stored.row["cases"].items():
            key = {"repeat": repeat, "fold": fold, "case_id": case_id, "roi": roi}
            rows.append({**key, **{name: own["features"].get(name, float("nan")) for name in columns}})
            undefined += [{**key, **_reason(name, code)} for name, code in own["undefined"].items()]
    return rows, undefined


def _reason(feature: str, code: str) -> dict[str, Any]:
    return {"feature": feature, "value": float("nan"), "reason": code, "meaning": REASONS[code]}


def _add(context: Context, rows: list[dict[str, Any]], undefined: list[dict[str, Any]], dictionary: list[dict[str, Any]]) -> None:
    """Into the three tables, in place of what an earlier run added there."""
    if not rows and not _is_there(context):
        return
    keys = list(tables.FOLD_FEATURES.key)
    earlier = context.read(tables.FOLD_FEATURES)
    earlier = earlier.drop(columns=[name for name in earlier.columns if name.startswith(PREFIX)])
    others = [name for name in earlier.columns if name not in keys]
    if rows:
        # Outer, for nesting: full, where a fold without habitats keeps the features it has.
        merged = earlier.merge(tables.make_table(tables.FOLD_FEATURES, rows), on=keys, how="outer") if others else rows
    else:
        merged = earlier if others else []
    context.write(tables.FOLD_FEATURES, merged)
    known = read_table(context.folder.table("undefined"), tables.UNDEFINED)
    context.write(tables.UNDEFINED, [*known[~known["feature"].str.startswith(PREFIX)].to_dict("records"), *undefined], csv=True)
    told = read_table(context.folder.table("feature_dictionary"), tables.FEATURE_DICTIONARY)
    context.write(tables.FEATURE_DICTIONARY, [*told[told["family"] != "habitat"].to_dict("records"), *dictionary], csv=True)


def _is_there(context: Context) -> bool:
    path = context.folder.table(tables.FOLD_FEATURES.name)
    return path.is_file() and any(name.startswith(PREFIX) for name in read_table(path, tables.FOLD_FEATURES).columns)


def _dictionary(most: int, columns: tuple[str, ...], key: str) -> list[dict[str, Any]]:
    ordered = f"habitats are clusters of voxels, found in the training part of each fold and numbered by their mean of {columns[0]}, the lowest first"
    same = {
        "image_type": "", "family": "habitat", "ibsi": "", "convention": "radpipe", "source": f"radpipe {__version__}", "other_name": "",
        "settings": "", "settings_key": key,
    }  # fmt: skip
    rows = []
    for number in range(1, most + 1):
        share = f"Share of the region's voxels that lie in habitat {number}; {ordered}."
        rows.append({**same, "name": share_column(number), "feature": "share", "unit": "1", "meaning": share})
        for name in columns:
            mean = f"Mean of the map {name} over the voxels of habitat {number}; {ordered}."
            rows.append({**same, "name": mean_column(number, name), "feature": f"mean_{name}", "unit": "", "meaning": mean})
    return rows

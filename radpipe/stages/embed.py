"""7. embed: what a 3D CNN makes of every image before its last layer, as columns of features; of every fold its own network's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from radpipe import __version__
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.io.tables import read_table
from radpipe.models.config import EMBEDDING
from radpipe.stages import _inputs
from radpipe.stages._parallel import Task
from radpipe.stages.context import Context, StageResult, engine_version
from radpipe.stages.fitting import FIT, fit_tasks, preload_for, take_part

NAME = "embed"
NEEDS = ("cohort", "splits", "features", "preprocessed")
MAKES = ("embedding", "its rows of feature_dictionary")


def run(context: Context) -> StageResult:
    """The network of every fold, which training finds again in the store, and its deep features of all cases of the fold.

    The network has seen the outcomes of its training and selection part, so its features fit them better than any new patient:
    what is chosen among them is chosen on the training part, and judged on a test part that neither has seen.
    """
    workflow = context.workflow
    name = workflow.embedding_model
    if name is None:
        context.write_seen(NAME, [])
        _tell(context, [])
        return context.not_needed(NAME, [tables.EMBEDDING], "no model's sources name embedding")
    fits = take_part(context, names=[name])
    preload = preload_for(workflow)
    fitted = context.map(FIT, "radpipe.stages.work:fit_model", fit_tasks(fits, [name]), preload=preload)
    engine = engine_version("models", "networks")
    tasks, about = [], {}
    for fit_id, stored in fitted.done.items():
        place = fits.about[fit_id][:2]
        boxes = _inputs.of_fold(fits.crops[name], place) or {}
        case_ids = [case_id for case_id in fits.alive if case_id in boxes]
        task_id = f"deep features (repeat {place[0]}, fold {place[1]})"
        about[task_id] = (place, stored)
        crops = [boxes[case_id] for case_id in case_ids]
        tasks.append(
            Task(
                task_id=task_id,
                key=content_key(stage=NAME, engine=engine, fit=stored.key, case_ids=case_ids, crops=[crop.key for crop in crops]),
                payload={
                    "model_folder": str(stored.folder), "case_ids": case_ids, "crops": [str(crop.file("crop.npy")) for crop in crops],
                },
            )
        )  # fmt: skip
    result = context.map(NAME, "radpipe.stages.work:embed_cases", tasks, preload=preload)
    rows, seen, columns = [], [], []
    for task_id, stored in result.done.items():
        (repeat, fold), fit = about[task_id]
        seen.append((repeat, fold, EMBEDDING, {patient for saw in fit.row["saw"].values() for patient in saw}))
        columns = [column(k) for k in range(stored.row["width"])]
        values = np.load(stored.file("embedding.npy"), allow_pickle=False)
        frame = pd.DataFrame(values, columns=columns)
        frame.insert(0, "case_id", stored.row["case_ids"])
        rows.append(frame.assign(repeat=repeat, fold=fold))
    context.write_seen(NAME, seen)
    context.write(tables.EMBEDDING, pd.concat(rows) if rows else [])
    _tell(context, columns)
    expected = [*about, *(row["task_id"] for row in fitted.failures)]
    failures = [{**row, "case_id": row["task_id"]} for row in (*fitted.failures, *result.failures)]
    return context.finish(
        NAME, expected, list(result.done), [*failures, *fits.failures], note=f"{len(columns)} columns of {name}"
    )


def column(k: int) -> str:
    """Name of the k-th deep feature, from 0."""
    return f"{EMBEDDING}_{k:03d}"


def _tell(context: Context, columns: list[str]) -> None:
    """Into the dictionary of features, in place of what an earlier run added there."""
    path = context.folder.table(tables.FEATURE_DICTIONARY.name)
    if not path.is_file():
        return
    known = read_table(path, tables.FEATURE_DICTIONARY)
    rest = known[known["family"] != EMBEDDING]
    if not columns and len(rest) == len(known):
        return
    meaning = "What the 3D CNN of the fold makes of the image: an input of its last layer, after training on the outcomes."
    added = [
        {
            "name": name, "image_type": "", "family": EMBEDDING, "feature": name, "ibsi": "", "unit": "", "meaning": meaning,
            "convention": "radpipe", "source": f"radpipe {__version__}", "other_name": "", "settings": "", "settings_key": "",
        }
        for name in columns
    ]  # fmt: skip
    context.write(tables.FEATURE_DICTIONARY, [*rest.to_dict("records"), *added], csv=True)

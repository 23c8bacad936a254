"""5. select: the inputs of the network, chosen by decision trees inside each training part."""

from __future__ import annotations

from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.seeds import derive_seed
from radpipe.stages import _inputs
from radpipe.stages._parallel import Task
from radpipe.stages.context import Context, StageResult, engine_version, frame_key

NAME = "select"
NEEDS = ("cohort", "splits", "features")
MAKES = ("selection",)


def run(context: Context) -> StageResult:
    """One task an outer fold; only the training part's rows and outcomes go into it."""
    workflow = context.workflow
    if not any(model.inputs == "selected" for model in workflow.models.values()):
        return context.not_needed(NAME, [tables.SELECTION], "no model has inputs: selected")
    features = _inputs.fold_features(context)
    settings = workflow.selection.model_dump(mode="json")
    engine = engine_version("selection")
    outcome = context.read(tables.COHORT).set_index("case_id")["outcome"]
    splits = context.read(tables.SPLITS)
    tasks: list[Task] = []
    about: dict[str, tuple[int, int]] = {}
    for (repeat, fold), part in splits[splits["role"] == "train"].groupby(["repeat", "fold"]):
        table = _inputs.of_fold(features, (int(repeat), int(fold)))
        train = sorted(set(part["case_id"]) & set(table.index))
        rows = table.loc[train]
        y = [int(outcome[case_id]) for case_id in train]
        seed = derive_seed(workflow.seed, NAME, repeat, fold)
        task_id = f"input selection (repeat {repeat}, fold {fold})"
        about[task_id] = (int(repeat), int(fold))
        tasks.append(
            Task(
                task_id=task_id,
                key=content_key(stage=NAME, engine=engine, settings=settings, seed=seed, rows=frame_key(rows), y=y),
                payload={
                    "features": _inputs.publish(context, table), "columns": list(table.columns), "train": train, "y": y,
                    "settings": settings, "seed": seed,
                },
            )
        )  # fmt: skip
    result = context.map(NAME, "radpipe.stages.work:select_fold", tasks, preload="torch")
    rows_out = []
    for task_id, stored in result.done.items():
        repeat, fold = about[task_id]
        rows_out += [{"repeat": repeat, "fold": fold, **row} for row in stored.row["rows"]]
    context.write(tables.SELECTION, rows_out, csv=True)
    return context.finish(NAME, list(about), list(result.done), result.failures)

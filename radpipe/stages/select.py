"""7. select: the inputs of the network, chosen by decision trees inside each training part."""

from __future__ import annotations

from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.seeds import derive_seed
from radpipe.stages import _inputs
from radpipe.stages._parallel import Task
from radpipe.stages.context import Context, StageResult, engine_version, frame_key

NAME = "select"
NEEDS = ("cohort", "splits", "features", "habitats where maps ask for them")
MAKES = ("selection",)


def run(context: Context) -> StageResult:
    """One task an outer fold and set of inputs that a model asks for; only the training part's rows and outcomes go into it."""
    workflow = context.workflow
    sets = list(dict.fromkeys(workflow.sources_of(model) for model in workflow.models.values() if model.inputs == "selected"))
    if not sets:
        return context.not_needed(NAME, [tables.SELECTION], "no model has inputs: selected")
    settings = workflow.selection.model_dump(mode="json")
    engine = engine_version("selection")
    outcome = context.read(tables.COHORT).set_index("case_id")["outcome"]
    splits = context.read(tables.SPLITS)
    tasks: list[Task] = []
    about: dict[str, tuple[str, int, int]] = {}
    without: list[dict[str, str]] = []
    for sources in sets:
        features = _inputs.fold_features(context, sources)
        for (repeat, fold), part in splits[splits["role"] == "train"].groupby(["repeat", "fold"]):
            of_what = f", {_inputs.set_name(sources)}" if len(sets) > 1 else ""
            task_id = f"input selection (repeat {repeat}, fold {fold}{of_what})"
            about[task_id] = (_inputs.set_name(sources), int(repeat), int(fold))
            table = _inputs.of_fold(features, (int(repeat), int(fold)))
            if table is None:
                without.append(_inputs.upstream(task_id, "the fold's habitats could not be found.", "habitats"))
                continue
            train = sorted(set(part["case_id"]) & set(table.index))
            rows = table.loc[train]
            y = [int(outcome[case_id]) for case_id in train]
            seed = derive_seed(workflow.seed, NAME, repeat, fold)  # the same for every set: they differ in their candidates alone
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
        name, repeat, fold = about[task_id]
        rows_out += [{"repeat": repeat, "fold": fold, "sources": name, **row} for row in stored.row["rows"]]
    context.write(tables.SELECTION, rows_out, csv=True)
    return context.finish(NAME, list(about), list(result.done), [*without, *result.failures])

"""12. controls: the whole chain again on data in which nothing can be foretold, in run folders of their own under controls/.

Each control is a run of its own that goes through the same stages as the true one, on altered tables or images; no stage knows
that it is one. What a control still finds is made by the work itself, or by the region's size and place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from radpipe.comparison import controls
from radpipe.comparison.config import ControlSettings
from radpipe.config import Workflow
from radpipe.core import tables
from radpipe.core.seeds import derive_seed, generator
from radpipe.errors import RunError
from radpipe.evaluation import resampled
from radpipe.evaluation.fold_metrics import default_metric
from radpipe.evaluation.metrics import fold_values
from radpipe.evaluation.predictions import scores_of
from radpipe.io.files import sha256_file
from radpipe.io.run_folder import RunFolder, safe_name
from radpipe.io.store import Store
from radpipe.io.tables import read_table, write_table
from radpipe.io.volumes import read_mask, write_image, write_mask
from radpipe.preprocessing.controls import random_region, shuffle_voxels
from radpipe.stages import control_models, embed, extract, habitats, preprocess, select, train
from radpipe.stages._progress import Progress
from radpipe.stages.cohort import case_payload, manifest_path
from radpipe.stages.context import Context, StageResult, failure
from radpipe.stages.work import read_case

NAME = "controls"
NEEDS = ("every table up to predictions",)
MAKES = ("controls", "controls/")
FOLDER = "controls"


def run(context: Context) -> StageResult:
    """One row a control and model; the rows of permuted outcomes first."""
    settings = context.workflow.controls
    if settings is None:
        shutil.rmtree(context.folder.path / FOLDER, ignore_errors=True)
        return context.not_needed(NAME, [tables.CONTROLS], "not asked for; `radpipe run --controls` does")
    workflow = context.workflow
    observed = _whole(context, context.read(tables.PREDICTIONS), list(workflow.models))
    permuted = control_models.of_permuted(workflow, settings)
    asked = {("permuted_outcomes", name) for name in [permuted] if name is not None}
    asked |= {("noise_columns", name) for name in control_models.of_noise(workflow, settings)}
    rows = _permuted(context, settings, observed)
    rows += _noise(context, settings, observed)
    for kind in ("shuffled_voxels", "random_region"):
        asked |= {(kind, name) for name in control_models.of_altered_images(workflow, settings)}
        rows += _altered_images(context, kind, settings, observed)
    context.write(tables.CONTROLS, rows, csv=True)
    done = {(row["control"], row["model"]) for row in rows}
    failures = [_without_value(context, *one) for one in sorted(asked - done)]
    flagged = sum(bool(row["flagged"]) for row in rows)
    note = f"{flagged} flagged: see the report" if flagged else "nothing flagged"
    return context.finish(
        NAME, [" ".join(one) for one in sorted(asked)], [" ".join(one) for one in sorted(done)], failures, note=note
    )


def _without_value(context: Context, control: str, model: str) -> dict[str, str]:
    """The row of failures of a control that none of the model's fits came out of."""
    why = context.folder.path / FOLDER / safe_name(control) / "failures.csv"
    problem = RunError(
        "no fit of this model gave a value.", hint="The file says what happened to each fit.", path=context.folder.relative(why)
    )
    return failure(f"{control} {model}", problem)


# one control, one folder


@contextmanager
def _control(context: Context, name: str, workflow: Workflow) -> Iterator[Context]:
    """A run folder under controls/ with a store of its own; workers and progress are those of the run."""
    folder = RunFolder(context.folder.path / FOLDER / safe_name(name))
    with folder.lock():
        folder.claim(workflow.name)
        folder.sweep()
        with Store(folder.store) as store:
            store.sweep()
            yield Context(workflow, folder, store, context.pool, context.progress, context.invocation)


def _hand_on(context: Context, inner: Context, schemas: Sequence[tables.Schema]) -> None:
    """Tables of the run as they are, but that paths inside the run folder lead there from the control's."""
    up = os.path.relpath(context.folder.path, inner.folder.path)
    for schema in schemas:
        path = context.folder.table(schema.name)
        if not path.is_file():
            continue
        frame = read_table(path, schema)
        for column in ("mask_path", "probability_path", "image_path", "path"):
            if column in frame.columns and schema.name != tables.COHORT.name:
                frame[column] = [f"{up}/{value}" for value in frame[column]]
        write_table(frame, inner.folder.table(schema.name), schema)


def _walk(inner: Context, stages: Sequence[ModuleType], what: str) -> None:
    for stage in stages:
        inner.progress.start_stage(f"{what}: {stage.NAME}")
        result = stage.run(inner)
        inner.progress.end_stage(f"{what}: {stage.NAME}", f"{result.cases_out} of {result.cases_in}")


def _with_models(workflow: Workflow, names: Sequence[str]) -> Workflow:
    """Of these models alone; whose deep features are columns stays as it is."""
    models = {name: workflow.models[name] for name in names}
    return workflow.model_copy(update={"models": models, "controls": None, "embedding": workflow.embedding_model})


# what the runs are worth


def _metric(workflow: Workflow, cohort: pd.DataFrame) -> str:
    kind = workflow.cohort.outcome_kind
    return "spearman" if kind == "number" else default_metric(kind, int(cohort["outcome"].max()) + 1)


def _whole(context: Context, predictions: pd.DataFrame, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Model -> value (mean over folds), ci_low, ci_high (corrected resampled t), n folds, of the test parts."""
    metric = _metric(context.workflow, context.read(tables.COHORT))
    scores = scores_of(predictions, "test")
    splits = context.read(tables.SPLITS)
    counts = splits.assign(test=splits["role"] == "test").groupby(["repeat", "fold"])["test"].agg(["sum", "size"])
    ratio = float((counts["sum"] / (counts["size"] - counts["sum"])).mean())
    found = {}
    for name in names:
        if name not in scores:
            continue
        values = fold_values(scores[name], metric, context.workflow.cohort.horizon)
        usable = {key: value for key, value in values.items() if np.isfinite(value)}
        repeats = len({repeat for repeat, _ in usable})
        df = resampled.degrees_of_freedom(repeats) if repeats else 0
        mean = resampled.corrected_mean(np.array(list(usable.values())), ratio, df)
        low, high = mean.interval(context.workflow.evaluation.confidence) if mean.standard_error > 0 else (np.nan, np.nan)
        low, high = max(low, -1.0 if metric == "spearman" else 0.0), min(high, 1.0)
        found[name] = {"value": mean.mean, "low": low, "high": high, "n": len(usable), "repeats": repeats}
    return found


def _row(control: str, model: str, metric: str, observed: Mapping[str, dict[str, float]], **values: Any) -> dict[str, Any]:
    return {
        "control": control, "model": model, "metric": metric, "observed": observed.get(model, {}).get("value", np.nan), "spread": np.nan,
        "p_value": np.nan, "flagged": False, **values,
    }  # fmt: skip


# permuted outcomes


def _permuted(context: Context, settings: ControlSettings, observed: Mapping[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Selection, fit and recalibration again with outcomes dealt anew within the folds of one repeat, B times."""
    workflow = context.workflow
    name = control_models.of_permuted(workflow, settings)
    if name is None:
        return []
    cohort, splits = context.read(tables.COHORT), context.read(tables.SPLITS)
    metric = _metric(workflow, cohort)
    own = _with_models(workflow, [name])
    values = []
    with _control(context, "permuted_outcomes", own) as inner:
        inner.progress = Progress(quiet=True)  # a hundred small runs: one bar for all of them
        _hand_on(
            context,
            inner,
            [tables.FEATURES, tables.FOLD_FEATURES, tables.HABITATS, tables.SEGMENTATION, tables.PREPROCESSED, tables.SEEN],
        )
        with context.progress.work(f"permuted outcomes of {name}", settings.permutations) as counter:
            for turn in range(settings.permutations):
                mine = splits[splits["repeat"] == turn % workflow.splits.repeats]
                tested = mine[mine["role"] == "test"].set_index("case_id")["fold"].astype(int).to_dict()
                present = cohort[cohort["case_id"].isin(tested)]
                inner.write(tables.COHORT, controls.permuted(present, tested, generator(workflow.seed, NAME, "permuted", turn)))
                inner.write(tables.SPLITS, mine)
                inner.workflow = own.model_copy(update={"seed": derive_seed(workflow.seed, NAME, "seed", turn)})
                select.run(inner)
                train.run(inner)
                found = _whole(inner, inner.read(tables.PREDICTIONS), [name])
                values.append(found[name]["value"] if name in found else np.nan)
                counter.advance()
    if np.count_nonzero(np.isfinite(values)) < 2:
        return []
    judged = controls.judge(np.array(values), observed.get(name, {}).get("value", np.nan), metric)
    method = (
        f"{judged.n} runs of selection, fit and recalibration with outcomes dealt anew among patients of the same fold, one repeat each; "
        f"interval: Monte-Carlo, {controls.LEVEL:.0%} of the mean; p compares the whole run with single repeats, so it is conservative"
    )
    row = _row(
        "permuted_outcomes",
        name,
        metric,
        observed,
        value=judged.mean,
        ci_low=judged.low,
        ci_high=judged.high,
        n=judged.n,
        method=method,
    )
    return [row | {"spread": judged.sd, "p_value": judged.p_value, "flagged": judged.flagged}]


# noise among the features


def _noise(context: Context, settings: ControlSettings, observed: Mapping[str, dict[str, float]]) -> list[dict[str, Any]]:
    workflow = context.workflow
    names = control_models.of_noise(workflow, settings)
    if not names:
        return []
    own = _with_models(workflow, names)
    with _control(context, "noise_columns", own) as inner:
        _hand_on(
            context,
            inner,
            [
                tables.COHORT,
                tables.SPLITS,
                tables.HABITATS,
                tables.SEGMENTATION,
                tables.PREPROCESSED,
                tables.EMBEDDING,
                tables.SEEN,
            ],
        )
        for schema in (tables.FEATURES, tables.FOLD_FEATURES):
            frame = context.read(schema)
            cases = sorted(set(frame["case_id"]))
            if len(cases) and (schema is tables.FEATURES or not len(context.read(tables.FEATURES))):
                noise = controls.noise_columns(cases, settings.noise_columns, generator(workflow.seed, NAME, "noise"))
                frame = frame.merge(noise.reset_index(), on="case_id", how="left")
            inner.write(schema, frame)
        _walk(inner, (select, train), f"{NAME}, noise")
        found = _whole(inner, inner.read(tables.PREDICTIONS), names)
        kept = inner.read(tables.SELECTION)
        kept = kept[kept["kept"]]
    share = float(kept["feature"].str.startswith("noise_").mean()) if len(kept) else float("nan")
    words = f"the same splits with {settings.noise_columns} columns of noise among the features; interval: corrected resampled t"
    if np.isfinite(share):
        words += f"; {share:.0%} of the columns that selection kept are noise"
    return _rows("noise_columns", found, _metric(workflow, context.read(tables.COHORT)), observed, words)


def _rows(
    control: str, found: Mapping[str, dict[str, float]], metric: str, observed: Mapping[str, dict[str, float]], method: str
) -> list[dict[str, Any]]:
    return [
        _row(control, name, metric, observed, value=own["value"], ci_low=own["low"], ci_high=own["high"], n=int(own["n"]),
             method=f"{method}, {resampled.in_words(int(own['repeats']), resampled.degrees_of_freedom(int(own['repeats'])))}")
        for name, own in found.items()
    ]  # fmt: skip


# images and regions


def _altered_images(
    context: Context, kind: str, settings: ControlSettings, observed: Mapping[str, dict[str, float]]
) -> list[dict[str, Any]]:
    """Extraction, selection and fits of all models that look at the image, on images or regions without the lesion's pattern."""
    workflow = context.workflow
    names = control_models.of_altered_images(workflow, settings)
    if not names:
        return []
    deep = workflow.embedding_model  # whose network is trained anew, too, where models eat what it makes of the images
    network = [deep] if deep is not None and settings.networks and deep not in names else []
    with _control(context, kind, _with_models(workflow, [*names, *network])) as inner:
        _hand_on(context, inner, [tables.SPLITS, tables.SEEN])
        cohort, outlines, overlap = _alter(context, inner, kind)
        inner.write(tables.COHORT, cohort)
        if outlines is not None:
            inner.write(tables.SEGMENTATION, outlines)
        stages: list[ModuleType] = [preprocess, extract, habitats, embed, select, train]
        _walk(inner, stages, f"{NAME}, {kind.replace('_', ' ')}")
        found = _whole(inner, inner.read(tables.PREDICTIONS), names)
    words = {
        "shuffled_voxels": "the same regions with their voxels shuffled: size, shape and histogram stay, every pattern goes",
        "random_region": f"regions of the same size and shape elsewhere in the image; on average {overlap:.0%} of one lies in the true one",
    }[kind]
    return _rows(
        kind, found, _metric(workflow, context.read(tables.COHORT)), observed, f"{words}; interval: corrected resampled t"
    )


def _alter(context: Context, inner: Context, kind: str) -> tuple[pd.DataFrame, pd.DataFrame | None, float]:
    """Write the altered images or outlines; the cohort and segmentation tables that lead to them, and the mean overlap."""
    workflow = context.workflow
    base = manifest_path(workflow).parent
    cohort = context.read(tables.COHORT)
    outlines = context.read(tables.SEGMENTATION) if workflow.segmentation.masks == "predicted" else None
    used = set(outlines["case_id"]) if outlines is not None else set(cohort["case_id"])
    cohort = cohort[cohort["case_id"].isin(used)].copy()
    up = os.path.relpath(context.folder.path, inner.folder.path)
    rows, overlaps, of_outlines = [], [], []
    for row in cohort.to_dict("records"):
        case_id = str(row["case_id"])
        image, given = read_case(case_payload(workflow, row))
        rng = generator(workflow.seed, NAME, kind, case_id)
        mine = [] if outlines is None else outlines[outlines["case_id"] == case_id].to_dict("records")
        masks = {str(o["mask_path"]): read_mask(context.folder.path / str(o["mask_path"]), case_id=case_id) for o in mine}
        if kind == "shuffled_voxels":
            region = given.voxels if outlines is None else np.any([mask.voxels for mask in masks.values()], axis=0)
            path = _file(inner, "images", case_id)
            write_image(path, shuffle_voxels(image, region, rng))
            row |= {"image_path": os.path.relpath(path, base), "image_sha256": sha256_file(path)}
            of_outlines += [
                {**o, "mask_path": f"{up}/{o['mask_path']}", "probability_path": f"{up}/{o['probability_path']}"} for o in mine
            ]
        else:
            if outlines is None:
                moved, overlap = random_region(image, given, rng)
                overlaps.append(overlap)
                path = _file(inner, "masks", case_id)
                write_mask(path, moved)
                row |= {"mask_path": os.path.relpath(path, base), "mask_sha256": sha256_file(path), "label": 1}
            for place, outline in enumerate(mine):
                moved, overlap = random_region(
                    image, masks[str(outline["mask_path"])], generator(workflow.seed, NAME, kind, case_id, "outline")
                )
                overlaps.append(overlap)
                path = _file(inner, "masks", f"{case_id}_{place}")
                write_mask(path, moved)
                at = inner.folder.relative(path)
                of_outlines.append({**outline, "mask_path": at, "probability_path": at, "key": sha256_file(path)})
        rows.append(row)
    altered = pd.DataFrame(rows)
    return altered, pd.DataFrame(of_outlines) if outlines is not None else None, float(np.mean(overlaps)) if overlaps else 0.0


def _file(inner: Context, kind: str, name: str) -> Path:
    folder = inner.folder.path / f"altered_{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{safe_name(name)}.nii.gz"

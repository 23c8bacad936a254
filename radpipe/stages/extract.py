"""4. extract: image and region -> one row of features; and how well the predicted outline's values agree with the given one's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from radpipe.config import Workflow
from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, FileProblem
from radpipe.evaluation.agreement import icc_a1
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.map_statistics import REASONS as OF_MAPS
from radpipe.features.map_statistics import map_dictionary
from radpipe.features.patient_rows import REASONS as OF_PATIENTS
from radpipe.features.undefined import REASONS
from radpipe.io.tables import read_text_table
from radpipe.stages._parallel import MapResult, Task
from radpipe.stages.cohort import blocks_of, case_payload, load_regions
from radpipe.stages.context import Context, StageResult, engine_version, failure
from radpipe.stages.map_store import MAPS_FILE

NAME = "extract"
NEEDS = ("cohort", "segmentation where masks: predicted")
MAKES = ("features", "fold_features", "feature_dictionary", "undefined", "mask_agreement", "maps")


@dataclass(frozen=True)
class _Region:
    """An outline of a case. mask_key : of the outline's content. mask_path : of a predicted one."""

    repeat: int
    fold: int
    case_id: str
    roi: str
    mask_key: str
    mask_path: str = ""

    @property
    def task_id(self) -> str:
        everywhere = (self.roi, self.repeat) == ("given", -1)
        return self.case_id if everywhere else f"{self.case_id}/{self.roi}/{self.repeat}/{self.fold}"

    @property
    def place(self) -> dict[str, Any]:
        return {"repeat": self.repeat, "fold": self.fold, "case_id": self.case_id, "roi": self.roi}


def run(context: Context) -> StageResult:
    """One task per case and outline, and one more for its maps; the table of features, what each column is, and the agreement of
    the outlines."""
    if context.workflow.features.table is not None:
        return _from_table(context)
    workflow = context.workflow
    regions = _regions(context)
    entering = sorted({region.case_id for region in regions.values()})
    settings = _settings_of(workflow)
    result = context.map(NAME, "radpipe.stages.work:extract_case", _tasks(context, regions, NAME, settings))
    problems = list(result.failures)
    mapped: MapResult | None = None
    if workflow.maps is not None:
        options = {"stride": workflow.maps.stride, "statistics": workflow.maps.statistics}
        own = workflow.maps.extraction(workflow.features).model_dump(mode="json")
        _announce_compiling(context)
        mapped = context.map(
            "extract_maps",
            "radpipe.stages.work:map_region",
            _tasks(context, regions, "extract_maps", lambda case_id: own, **options),
        )
        problems += mapped.failures

    failures, lost = _failures(problems, regions, workflow.segmentation.masks)
    rows: list[dict[str, Any]] = []
    fold_rows: list[dict[str, Any]] = []
    undefined: list[dict[str, Any]] = []
    for task_id, stored in result.done.items():
        region = regions[task_id]
        if region.case_id in lost or (mapped is not None and task_id not in mapped.done):
            continue
        values, why = dict(stored.row["features"]), dict(stored.row["undefined"])
        if mapped is not None:
            values |= mapped.done[task_id].row["features"]
            why |= mapped.done[task_id].row["undefined"]
        if region.repeat < 0:
            rows.append({"case_id": region.case_id, "roi": region.roi, **values})
        else:
            fold_rows.append({**region.place, **values})
        undefined += [
            {**region.place, "feature": name, "value": values[name], "reason": code, "meaning": (REASONS | OF_MAPS)[code]}
            for name, code in why.items()
        ]
    undefined += _not_asked(rows, workflow)
    features = context.write(tables.FEATURES, rows, csv=True)
    context.write(tables.FOLD_FEATURES, fold_rows)
    context.write(tables.FEATURE_DICTIONARY, _dictionary(workflow), csv=True)
    context.write(tables.UNDEFINED, undefined, csv=True)
    context.write(tables.MASK_AGREEMENT, _agreement(features, fold_rows), csv=True)
    _write_maps(context, mapped, regions, lost)
    return context.finish(NAME, entering, [case_id for case_id in entering if case_id not in lost], failures)


def _regions(context: Context) -> dict[str, _Region]:
    """task id -> outline: every case's given one, and the predicted ones where there are."""
    cohort = context.read(tables.COHORT)
    masks = dict(zip(cohort["case_id"], cohort["mask_sha256"], strict=True))
    if context.workflow.segmentation.masks == "given":
        found = [_Region(-1, -1, case_id, "given", masks[case_id]) for case_id in cohort["case_id"]]
    else:
        outlines = context.read(tables.SEGMENTATION)
        found = [_Region(-1, -1, case_id, "given", masks[case_id]) for case_id in sorted(set(outlines["case_id"]))]
        found += [
            _Region(
                row["repeat"], row["fold"], row["case_id"], "predicted", row["key"], str(context.folder.path / row["mask_path"])
            )
            for row in outlines.to_dict("records")
        ]
    return {region.task_id: region for region in found}


def _settings_of(workflow: Workflow) -> Callable[[str], dict[str, Any]]:
    """case -> the settings of its extraction; the same for all but where patients have parameters for their modalities."""
    if workflow.patients is None or not workflow.patients.params:
        settings = workflow.features.model_dump(mode="json")
        return lambda case_id: settings
    manifest = load_regions(workflow)
    of_block = {block: workflow.features_of(block).model_dump(mode="json") for block in set(manifest["block"])}
    block_of = dict(zip(manifest["case_id"], manifest["block"], strict=True))
    return lambda case_id: of_block[block_of[case_id]]


def _not_asked(rows: list[dict[str, Any]], workflow: Workflow) -> list[dict[str, Any]]:
    """Why a region has no value of a feature that only another modality's settings ask for."""
    if workflow.patients is None or not workflow.patients.params:
        return []
    names = dict.fromkeys(name for row in rows for name in row)
    code = "not-of-this-region"
    return [
        {"repeat": -1, "fold": -1, "case_id": row["case_id"], "roi": row["roi"], "feature": name, "value": float("nan"), "reason": code,
         "meaning": OF_PATIENTS[code]}
        for row in rows
        for name in names
        if name not in row
    ]  # fmt: skip


def _tasks(
    context: Context, regions: dict[str, _Region], work: str, settings_of: Callable[[str], dict[str, Any]], **options: Any
) -> list[Task]:
    """One a region. settings_of : case -> settings, which with the options go into the payload and the key; JSON values."""
    workflow = context.workflow
    by_id = {row["case_id"]: row for row in context.read(tables.COHORT).to_dict("records")}
    engine = engine_version("features", "filters", "io", "cohort")
    tasks = []
    for task_id, region in regions.items():
        row = by_id[region.case_id]
        settings = {"settings": settings_of(region.case_id), **options}
        key = content_key(
            stage=work, engine=engine, image=row["image_sha256"], mask=region.mask_key, given=row["mask_sha256"], label=row["label"],
            modality=row["modality"], roi=region.roi, **settings,
        )  # fmt: skip
        payload = {**case_payload(workflow, row), "roi": region.roi, "predicted_path": region.mask_path, **settings}
        tasks.append(
            Task(task_id=task_id, key=key, payload=payload, case_id=region.case_id, path=region.mask_path or row["mask_path"])
        )
    return tasks


def _announce_compiling(context: Context) -> None:
    from radpipe.features._kernels._jit import cache_folder  # here, because it imports numba

    folder = cache_folder()
    if folder is None or not any(folder.rglob("window_*.nbi")):
        context.progress.say(
            "the kernels of feature maps are compiled now, once on this machine: about half a minute before the first case"
        )


def _dictionary(workflow: Workflow) -> list[dict[str, Any]]:
    rows = _region_dictionary(workflow)
    if workflow.maps is not None and workflow.maps.statistics:
        base = feature_dictionary(workflow.maps.extraction(workflow.features))
        rows += map_dictionary(workflow.maps, base, workflow.maps.key(workflow.features))
    return rows


def _region_dictionary(workflow: Workflow) -> list[dict[str, Any]]:
    if workflow.patients is None or not workflow.patients.params:
        return feature_dictionary(workflow.features)
    # A column that modalities make with different settings has none of its own; the patients' columns have.
    found: dict[str, dict[str, Any]] = {}
    for block in blocks_of(workflow, load_regions(workflow)):
        for row in feature_dictionary(workflow.features_of(block)):
            known = found.setdefault(row["name"], row)
            if known["settings_key"] != row["settings_key"]:
                found[row["name"]] = {**known, "settings": "", "settings_key": "by-modality"}
    return list(found.values())


def _write_maps(context: Context, mapped: MapResult | None, regions: dict[str, _Region], lost: set[str]) -> None:
    """Where the maps lie; nothing is left of an earlier run that made some where this one makes none."""
    if mapped is None:
        context.folder.table(tables.MAPS.name).unlink(missing_ok=True)
        return
    rows = [
        {**regions[task_id].place, "path": context.folder.relative(stored.file(MAPS_FILE)), "centres": stored.row["centres"], "key": stored.key}
        for task_id, stored in mapped.done.items()
        if regions[task_id].case_id not in lost
    ]  # fmt: skip
    context.write(tables.MAPS, rows)


def _failures(problems: list[dict[str, str]], regions: dict[str, _Region], used: str) -> tuple[list[dict[str, str]], set[str]]:
    """The stage's failures, and the cases that are lost to it.

    A case whose values from the given outline fail is not lost where the predicted one is used: it is reported, and
    missing from the agreement only.
    """
    lost = {regions[row["task_id"]].case_id for row in problems if regions[row["task_id"]].roi == used}
    rows = []
    for row in problems:
        region = regions[row["task_id"]]
        if region.roi == used:
            rows.append({**row, "case_id": region.case_id})
        elif region.case_id not in lost:
            rows.append({
                **row, "case_id": f"{region.case_id} (given outline)",
                "problem": f"{row['problem']} The case goes on with its predicted outline; only the agreement table lacks it.",
            })  # fmt: skip
    return rows, lost


def _agreement(features: pd.DataFrame, fold_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = [name for name in features.columns if name not in ("case_id", "roi")]
    given = features[features["roi"] == "given"].set_index("case_id")[names]
    if fold_rows:
        # nesting: full gives a case one value a fold; the first repeat's test fold would be one choice among many, the median is none.
        predicted = pd.DataFrame(fold_rows).groupby("case_id")[names].median()
    else:
        predicted = features[features["roi"] == "predicted"].set_index("case_id")[names]
    both = given.index.intersection(predicted.index)
    if not len(both):
        return []
    rows = []
    for name in names:
        icc, low, high = icc_a1(predicted.loc[both, name].to_numpy(), given.loc[both, name].to_numpy())
        rows.append({"feature": name, "n": len(both), "icc": icc, "ci_low": low, "ci_high": high})
    return rows


def _from_table(context: Context) -> StageResult:
    """Features that were made elsewhere: a CSV with a case_id column and numbers."""
    workflow = context.workflow
    path = workflow.resolve(str(workflow.features.table))
    cohort = context.read(tables.COHORT)
    frame = read_feature_csv(path)
    known = set(cohort["case_id"])
    missing = [case_id for case_id in cohort["case_id"] if case_id not in set(frame["case_id"])]
    frame = frame[frame["case_id"].isin(known)]
    failures = [
        failure(case_id, FileProblem("has no row in the features table.", hint="Add its row, or remove the case from the manifest.", path=path))
        for case_id in missing
    ]  # fmt: skip
    if frame.empty:
        raise CohortError("no case_id of the features table is in the manifest.", hint="Check the ids.", path=path)
    names = [name for name in frame.columns if name != "case_id"]
    context.write(tables.FEATURES, [{**row, "roi": "given"} for row in frame.to_dict("records")], csv=True)
    context.write(tables.FOLD_FEATURES, [])
    context.folder.table(tables.MAPS.name).unlink(missing_ok=True)
    dictionary = [
        {"name": name, "image_type": "", "family": "", "feature": name, "ibsi": "", "unit": "", "meaning": "made elsewhere",
         "convention": "user", "source": path.name, "other_name": "", "settings": "", "settings_key": ""}
        for name in names
    ]  # fmt: skip
    context.write(tables.FEATURE_DICTIONARY, dictionary, csv=True)
    context.write(tables.UNDEFINED, [], csv=True)
    context.write(tables.MASK_AGREEMENT, [], csv=True)
    done = [case_id for case_id in cohort["case_id"] if case_id not in missing]
    return context.finish(NAME, list(cohort["case_id"]), done, failures, note=f"read from {path.name}")


def read_feature_csv(path: Path) -> pd.DataFrame:
    """case_id (text) and numbers; PyRadiomics' own CSV is taken too (ID for case_id, ``diagnostics_`` and path columns left out)."""
    frame = read_text_table(path)
    if "case_id" not in frame.columns and "ID" in frame.columns:
        frame = frame.rename(columns={"ID": "case_id"})
    if "case_id" not in frame.columns:
        near = nearest("case_id", frame.columns)
        raise CohortError(f"the features table has no column case_id.{near}", hint="Name the column of ids case_id.", path=path)
    repeated = frame["case_id"][frame["case_id"].duplicated()]
    if len(repeated):
        raise CohortError(f"case {repeated.iloc[0]} stands twice in the features table.", hint="One row a case.", path=path)
    aside = {"Image", "Mask", "Label", "Label_channel"}
    names = [name for name in frame.columns if name != "case_id" and name not in aside and not name.startswith("diagnostics_")]
    for name in names:
        numbers = pd.to_numeric(frame[name].where(~frame[name].str.lower().isin(["", "na", "nan", "null"])), errors="coerce")
        text = numbers.isna() & ~frame[name].str.lower().isin(["", "na", "nan", "null"])
        if text.any():
            row = frame.loc[text].iloc[0]
            raise CohortError(
                f"the feature {name!r} is {row[name]!r}, not a number.",
                hint="Leave columns of text out of the features table.", case_id=row["case_id"], path=path,
            )  # fmt: skip
        frame[name] = numbers.astype("float64")
    return frame[["case_id", *names]]

"""4. extract: image and region -> one row of features; and how well the predicted outline's values agree with the given one's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from radpipe.core import tables
from radpipe.core.keys import content_key
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, FileProblem
from radpipe.evaluation.agreement import icc_a1
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.undefined import REASONS
from radpipe.io.tables import read_text_table
from radpipe.stages._parallel import MapResult, Task
from radpipe.stages.cohort import case_payload
from radpipe.stages.context import Context, StageResult, engine_version, failure

NAME = "extract"
NEEDS = ("cohort", "segmentation where masks: predicted")
MAKES = ("features", "fold_features", "feature_dictionary", "undefined", "mask_agreement")


def run(context: Context) -> StageResult:
    """One task per case and outline; the table of features, what each column is, and the agreement of the outlines."""
    if context.workflow.features.table is not None:
        return _from_table(context)
    workflow = context.workflow
    predicted = workflow.segmentation.masks == "predicted"
    cohort = context.read(tables.COHORT)
    outlines = context.read(tables.SEGMENTATION) if predicted else None
    settings = workflow.features.model_dump(mode="json")
    engine = engine_version("features", "io", "cohort")
    by_id = {row["case_id"]: row for row in cohort.to_dict("records")}
    tasks: list[Task] = []
    about: dict[str, tuple[int, int, str, str]] = {}

    def add(case_id: str, roi: str, repeat: int, fold: int, mask_key: str, mask_path: str) -> None:
        row = by_id[case_id]
        task_id = case_id if (roi, repeat) == ("given", -1) else f"{case_id}/{roi}/{repeat}/{fold}"
        about[task_id] = (repeat, fold, case_id, roi)
        tasks.append(
            Task(
                task_id=task_id,
                key=content_key(stage=NAME, engine=engine, image=row["image_sha256"], mask=mask_key, given=row["mask_sha256"], label=row["label"],
                                modality=row["modality"], roi=roi, settings=settings),
                payload={**case_payload(workflow, row), "roi": roi, "predicted_path": mask_path, "settings": settings},
                case_id=case_id,
                path=mask_path or row["mask_path"],
            )
        )  # fmt: skip

    entering = list(cohort["case_id"]) if outlines is None else sorted(set(outlines["case_id"]))
    for case_id in entering:
        add(case_id, "given", -1, -1, by_id[case_id]["mask_sha256"], "")
    for row in [] if outlines is None else outlines.to_dict("records"):
        add(row["case_id"], "predicted", row["repeat"], row["fold"], row["key"], str(context.folder.path / row["mask_path"]))
    result = context.map(NAME, "radpipe.stages.work:extract_case", tasks)

    used = "predicted" if predicted else "given"
    failures, lost = _failures(result, about, used)
    rows: list[dict[str, Any]] = []
    fold_rows: list[dict[str, Any]] = []
    undefined: list[dict[str, Any]] = []
    for task_id, stored in result.done.items():
        repeat, fold, case_id, roi = about[task_id]
        if case_id in lost:
            continue
        values = stored.row["features"]
        if repeat < 0:
            rows.append({"case_id": case_id, "roi": roi, **values})
        else:
            fold_rows.append({"repeat": repeat, "fold": fold, "case_id": case_id, "roi": roi, **values})
        place = {"repeat": repeat, "fold": fold, "case_id": case_id, "roi": roi}
        undefined += [
            {**place, "feature": name, "value": values[name], "reason": code, "meaning": REASONS[code]}
            for name, code in stored.row["undefined"].items()
        ]
    features = context.write(tables.FEATURES, rows, csv=True)
    context.write(tables.FOLD_FEATURES, fold_rows)
    context.write(tables.FEATURE_DICTIONARY, feature_dictionary(workflow.features), csv=True)
    context.write(tables.UNDEFINED, undefined, csv=True)
    context.write(tables.MASK_AGREEMENT, _agreement(features, fold_rows), csv=True)
    return context.finish(NAME, entering, [case_id for case_id in entering if case_id not in lost], failures)


def _failures(result: MapResult, about: dict[str, tuple[int, int, str, str]], used: str) -> tuple[list[dict[str, str]], set[str]]:
    """The stage's failures, and the cases that are lost to it.

    A case whose values from the given outline fail is not lost where the predicted one is used: it is reported, and
    missing from the agreement only.
    """
    lost = {about[row["task_id"]][2] for row in result.failures if about[row["task_id"]][3] == used}
    rows = []
    for row in result.failures:
        _, _, case_id, roi = about[row["task_id"]]
        if roi == used:
            rows.append({**row, "case_id": case_id})
        elif case_id not in lost:
            rows.append({
                **row, "case_id": f"{case_id} (given outline)",
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

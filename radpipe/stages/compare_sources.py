"""Whose predictions ``radpipe compare`` sets side by side: runs of radpipe, and anybody's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from radpipe.comparison.external_tables import Side, read_predictions
from radpipe.core import tables
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, ConfigError, FileProblem, RunError
from radpipe.io.files import cannot_read, sha256_file
from radpipe.io.run_folder import RunFolder
from radpipe.io.tables import read_table, read_text_table

_CSV = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Source:
    """Some models' predictions on test patients.

    predictions : table PREDICTIONS, role test only (and training rows where a run has them). splits : table SPLITS, or None where
    the patients were held out (no repeats, no folds). plan : the workflow's ``comparison`` section, None for a table.
    patients : case_id -> patient_id, as far as known. questions : what the run was asked, oldest first. sha256 : of the file the
    predictions came from.
    """

    name: str
    path: Path
    kind: str  # "run" or "table"
    predictions: pd.DataFrame
    splits: pd.DataFrame | None
    sha256: str
    plan: Mapping[str, Any] | None = None
    patients: Mapping[str, str] = field(default_factory=dict)
    questions: tuple[Mapping[str, Any], ...] = ()

    @property
    def models(self) -> list[str]:
        return sorted(set(self.predictions["model"]))


@dataclass(frozen=True)
class Together:
    """Sources that can be compared. models : in the order of the sources, renamed where two share a name. predictions : table
    PREDICTIONS. splits : SPLITS, or None for held-out patients."""

    sources: tuple[Source, ...]
    models: tuple[str, ...]
    predictions: pd.DataFrame
    splits: pd.DataFrame | None
    patients: Mapping[str, str]


def read_source(text: str, *, outcomes: Mapping[str, int] | None = None) -> Source:
    """RUN, RUN:MODEL, FILE.csv or FILE.csv:MODEL. outcomes : case_id -> class, for a table that does not hold them."""
    path, _, model = text.partition(":") if not Path(text).exists() else (text, "", "")
    place = Path(path)
    if place.is_dir():
        found = _read_run(place)
    elif place.suffix.lower() in _CSV or place.is_file():
        found = _read_csv(place, outcomes)
    else:
        raise ConfigError(
            f"{path!r} is neither the folder of a run nor a table of predictions.",
            hint="Give runs/NAME, runs/NAME:MODEL or FILE.csv.",
        )
    if not model:
        return found
    if model not in found.models:
        raise ConfigError(
            f"{path} has no model {model!r}.{nearest(model, found.models)} It has {', '.join(found.models)}.",
            hint="Name one of them.",
        )
    return replace(found, predictions=found.predictions[found.predictions["model"] == model].reset_index(drop=True))


def put_together(sources: Sequence[Source]) -> Together:
    """One table of predictions on the same patients and splits; CohortError names what differs between two sources."""
    first = sources[0]
    for other in sources[1:]:
        _same_patients(first, other)
        _same_splits(first, other)
    names = [model for source in sources for model in source.models]
    shared = {name for name in names if names.count(name) > 1}
    parts, labels = [], _labels(sources)
    for source, label in zip(sources, labels, strict=True):
        renamed = {name: f"{label}_{name}" if name in shared else name for name in source.models}
        parts.append(source.predictions.assign(model=source.predictions["model"].map(renamed)))
    predictions = pd.concat(parts, ignore_index=True)
    patients: dict[str, str] = {}
    for source in sources:
        patients |= {case: patient for case, patient in source.patients.items() if case not in patients}
    models = tuple(dict.fromkeys(name for part in parts for name in part["model"]))
    return Together(tuple(sources), models, predictions, first.splits, patients)


def _labels(sources: Sequence[Source]) -> list[str]:
    """A short name a source; numbered where two are alike."""
    names = [source.name for source in sources]
    return [name if names.count(name) == 1 else f"{name}_{1 + names[:k].count(name)}" for k, name in enumerate(names)]


# a run


def _read_run(folder: Path) -> Source:
    path = folder / "predictions.parquet"
    if not (folder / "run.json").is_file():
        raise RunError("this folder is not a run of radpipe.", hint="Give the --out folder of `radpipe run`.", path=folder)
    for needed in (path, folder / "splits.parquet", folder / "config.yaml", folder / "cohort.parquet"):
        if not needed.is_file():
            raise RunError(f"the run has no {needed.name} yet.", hint="Let `radpipe run` finish first.", path=folder)
    predictions = read_table(path, tables.PREDICTIONS)
    splits = read_table(folder / "splits.parquet", tables.SPLITS)
    cohort = read_table(folder / "cohort.parquet", tables.COHORT)
    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise FileProblem("the run's settings cannot be read.", hint="Run it again.", path=folder / "config.yaml") from error
    used = splits[splits["case_id"].isin(set(predictions["case_id"]))].reset_index(drop=True)
    return Source(
        name=str(settings.get("name", folder.name)),
        path=folder,
        kind="run",
        predictions=predictions,
        splits=used,
        sha256=sha256_file(path),
        plan=settings.get("comparison") or {},
        patients=dict(zip(cohort["case_id"].astype(str), cohort["patient_id"].astype(str), strict=True)),
        questions=tuple(RunFolder(folder).questions()),
    )


# a person's table


def _read_csv(path: Path, outcomes: Mapping[str, int] | None) -> Source:
    if not path.is_file():
        raise cannot_read(path, FileNotFoundError(2, "No such file or directory"))
    table = read_text_table(path)
    if "y_true" not in table.columns and "case_id" in table.columns and outcomes is not None:
        unknown = [case for case in table["case_id"] if case not in outcomes]
        if unknown:
            raise CohortError(
                f"the outcome of {_listed(unknown)} is not known.", hint="Add the column y_true.", case_id=unknown[0], path=path
            )
        table = table.assign(y_true=[str(outcomes[case]) for case in table["case_id"]])
    models = list(dict.fromkeys(table["model"])) if "model" in table.columns else [path.stem]
    parts, with_folds = [], False
    for model in models:
        side = Side(table, str(model), str(path), str(model) if "model" in table.columns else "")
        part, with_folds = read_predictions(side, str(model))
        parts.append(part)
    predictions = pd.concat(parts, ignore_index=True)
    known = "patient_id" in table.columns
    patients = dict(zip(table["case_id"], table["patient_id"].astype(str), strict=True)) if known else {}
    splits = _implied_splits(predictions, path) if with_folds else None
    return Source(path.stem, path, "table", predictions, splits, sha256_file(path), patients=patients)


def _implied_splits(predictions: pd.DataFrame, path: Path) -> pd.DataFrame:
    """What cross-validation implies: who is not tested in a fold was learnt from."""
    everyone = sorted(set(predictions["case_id"]))
    rows = []
    for (repeat, fold), part in predictions.groupby(["repeat", "fold"]):
        tested = set(part["case_id"])
        for model, own in part.groupby("model"):
            if set(own["case_id"]) != tested:
                lacking = sorted(tested - set(own["case_id"]))
                raise CohortError(
                    f"model {model!r} lacks {_listed(lacking)} in repeat {repeat}, fold {fold}.",
                    hint="Every model tests the same patients in the same folds.",
                    case_id=lacking[0],
                    path=path,
                )
        rows += [
            {"repeat": repeat, "fold": fold, "case_id": case, "role": "test" if case in tested else "train"} for case in everyone
        ]
    for repeat, part in predictions.drop_duplicates(["repeat", "case_id"]).groupby("repeat"):
        lacking = sorted(set(everyone) - set(part["case_id"]))
        if lacking:
            raise CohortError(
                f"repeat {repeat} never tests {_listed(lacking)}.",
                hint="In every repeat each patient is tested once.",
                case_id=lacking[0],
                path=path,
            )
    return tables.make_table(tables.SPLITS, rows)


# the same patients, the same splits


def _same_patients(first: Source, other: Source) -> None:
    mine, theirs = set(first.predictions["case_id"]), set(other.predictions["case_id"])
    for here, there, more, less in ((mine, theirs, first, other), (theirs, mine, other, first)):
        if here - there:
            raise CohortError(
                f"{_shown(more)} has patients that {_shown(less)} has not: {_listed(sorted(here - there))}.",
                hint="Models are compared on the same patients only: leave these out on both sides, or predict them on both.",
                case_id=min(here - there),
            )
    truth = [source.predictions.drop_duplicates("case_id").set_index("case_id")["y_true"] for source in (first, other)]
    differ = sorted(case for case in mine if truth[0][case] != truth[1][case])
    if differ:
        swapped = len(differ) == len(mine)
        raise CohortError(
            f"{_shown(first)} and {_shown(other)} do not give {_listed(differ)} the same outcome."
            + (" All are the other way round: one side codes the event as 0." if swapped else ""),
            hint="Use one outcome with one coding: 1 is the event.",
            case_id=differ[0],
        )


def _same_splits(first: Source, other: Source) -> None:
    if (first.splits is None) != (other.splits is None):
        with_folds, without = (first, other) if other.splits is None else (other, first)
        raise CohortError(
            f"{_shown(with_folds)} comes from cross-validation and {_shown(without)} does not.",
            hint="Give both their repeat and fold. Scores that were fixed before (a published network's, say) enter a run as a "
            "model of kind `given`, which is tested on the run's own splits.",
        )
    if first.splits is None or other.splits is None:
        return
    tests = []
    for source in (first, other):
        assert source.splits is not None
        rows = source.splits[source.splits["role"] == "test"]
        tests.append({(int(r), int(f), str(c)) for r, f, c in rows[["repeat", "fold", "case_id"]].itertuples(index=False)})
    if tests[0] != tests[1]:
        repeat, fold, case = min(tests[0] ^ tests[1])
        folds = [
            source.splits[["repeat", "fold"]].drop_duplicates().shape[0] for source in (first, other) if source.splits is not None
        ]
        raise CohortError(
            f"{_shown(first)} ({folds[0]} folds) and {_shown(other)} ({folds[1]} folds) have different splits: only one of them "
            f"tests the case in repeat {repeat}, fold {fold}.",
            hint="Models are compared on the same splits only: use the same seed, repeats, folds and patients in both workflows.",
            case_id=case,
        )


def _shown(source: Source) -> str:
    return source.path.name if source.kind == "table" else f"the run {source.path.name}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

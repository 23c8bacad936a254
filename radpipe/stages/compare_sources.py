"""Whose predictions ``radpipe compare`` sets side by side: runs of radpipe, and anybody's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from radpipe.comparison.external_tables import read_side
from radpipe.comparison.sides import Side, listed
from radpipe.core import tables
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, ConfigError, FileProblem, RunError
from radpipe.io.files import cannot_read, sha256_file
from radpipe.io.run_folder import RunFolder
from radpipe.io.tables import read_table, read_text_table

_CSV = (".csv", ".tsv", ".txt")


@dataclass(frozen=True, kw_only=True)
class Source(Side):
    """A side and where it comes from. kind : run or table. settings : the run's workflow, empty for a table. questions : what the run
    was asked, oldest first. sha256 : of the file the predictions came from."""

    path: Path
    kind: str
    sha256: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    questions: tuple[Mapping[str, Any], ...] = ()


def read_source(text: str, *, outcomes: Mapping[str, int] | None = None) -> Source:
    """RUN, RUN:MODEL, FILE.csv or FILE.csv:MODEL. outcomes : case_id -> class, for a table that does not hold them."""
    place, model = path_and_model(text)
    if place.is_dir():
        found = _read_run(place)
    elif place.suffix.lower() in _CSV or place.is_file():
        found = _read_csv(place, outcomes)
    else:
        raise ConfigError(
            f"{str(place)!r} is neither the folder of a run nor a table of predictions.",
            hint="Give runs/NAME, runs/NAME:MODEL or FILE.csv.",
        )
    if not model:
        # References that nobody named stand beside the study, as in the run's own comparison: each would cost the others power.
        named = (found.settings.get("comparison") or {}).get("primary") or ()
        added = found.settings.get("references")
        beside = set(added if isinstance(added, list) else ()) - set(named)
        rows = found.predictions[~found.predictions["model"].isin(beside)]
        return replace(found, predictions=rows.reset_index(drop=True)) if len(rows) else found
    if model not in found.models:
        raise ConfigError(
            f"{place} has no model {model!r}.{nearest(model, found.models)} It has {', '.join(found.models)}.",
            hint="Name one of them.",
        )
    return replace(found, predictions=found.predictions[found.predictions["model"] == model].reset_index(drop=True))


def path_and_model(text: str) -> tuple[Path, str]:
    """RUN:MODEL -> both; the model is empty where none is named."""
    path, _, model = text.partition(":") if not Path(text).exists() else (text, "", "")
    return Path(path), model


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
    fits = folder / "fits.parquet"
    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise FileProblem("the run's settings cannot be read.", hint="Run it again.", path=folder / "config.yaml") from error
    return Source(
        name=str(settings.get("name", folder.name)), said=f"the run {folder.name}", path=folder, kind="run", predictions=predictions,
        splits=splits[splits["case_id"].isin(set(predictions["case_id"]))].reset_index(drop=True), sha256=sha256_file(path),
        fits=read_table(fits, tables.FITS) if fits.is_file() else None, settings=settings,
        patients=dict(zip(cohort["case_id"].astype(str), cohort["patient_id"].astype(str), strict=True)),
        questions=tuple(RunFolder(folder).questions()),
    )  # fmt: skip


def _read_csv(path: Path, outcomes: Mapping[str, int] | None) -> Source:
    if not path.is_file():
        raise cannot_read(path, FileNotFoundError(2, "No such file or directory"))
    table = read_text_table(path)
    if "y_true" not in table.columns and "case_id" in table.columns and outcomes is not None:
        unknown = [case for case in table["case_id"] if case not in outcomes]
        if unknown:
            raise CohortError(
                f"the outcome of {listed(unknown)} is not known.", hint="Add the column y_true.", case_id=unknown[0], path=path
            )
        table = table.assign(y_true=[str(outcomes[case]) for case in table["case_id"]])
    side = read_side(table, path.stem, str(path))
    return Source(
        name=side.name, said=path.name, path=path, kind="table", predictions=side.predictions, splits=side.splits,
        patients=side.patients, sha256=sha256_file(path),
    )  # fmt: skip

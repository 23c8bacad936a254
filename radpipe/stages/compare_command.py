"""The door of ``radpipe compare``: sources in, verdict, table and page out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.question import question_key, standing
from radpipe.comparison.sides import Together, carries_verdict, compare_sides, together
from radpipe.core import tables
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, ConfigError
from radpipe.evaluation.predictions import class_columns, outcome_kind
from radpipe.io.files import write_bytes
from radpipe.io.rows import write_rows
from radpipe.io.tables import write_table
from radpipe.report import performance, words
from radpipe.report.compare_page import render
from radpipe.stages._progress import Progress
from radpipe.stages.compare_external import external_facts, judge_runs
from radpipe.stages.compare_facts import costs, metrics_and_curves, settings_of
from radpipe.stages.compare_sources import Source, read_source
from radpipe.stages.refit import FAILURE_COLUMNS


@dataclass(frozen=True)
class Compared:
    """What ``radpipe compare`` found. planned : the run was asked just this before its outcomes were read. images : whether they add
    anything, in words; None where the models cannot tell.

    developed : where patients are external, the same runs as they were cross-validated; else the sources themselves. external :
    of :func:`radpipe.stages.compare_external.external_facts`; None without an external cohort. metrics, curves : of the
    refitted models on it.
    """

    sources: tuple[Source, ...]
    together: Together
    settings: ComparisonSettings
    planned: bool
    rows: pd.DataFrame
    headline: str
    sentences: tuple[str, ...]
    design: dict[str, Any]
    developed: tuple[Source, ...]
    images: dict[str, Any] | None = None
    external: dict[str, Any] | None = None
    measured: tuple[pd.DataFrame, pd.DataFrame] | None = None

    @property
    def question_sha256(self) -> str:
        """Of pair, metric, margin and alpha."""
        return question_key(self.settings)

    def as_text(self) -> str:
        """The table for a terminal."""
        lines = [f"{'a - b':<34}{'test':<14}{'difference':>11}  {'interval':<18}{'p':>8}{'p (TOST)':>10}  verdict"]
        carries = carries_verdict(self.rows)
        for row in self.rows.to_dict("records"):
            pair = f"{row['model_a']} - {row['model_b']}" + (" *" if row["primary"] else "")
            ends = words.interval(words.finite(row["ci_low"]), words.finite(row["ci_high"]), sign=True)
            lines.append(
                f"{pair:<34}{row['test']:<14}{words.number(words.finite(row['effect']), 3, sign=True):>11}  {ends:<18}"
                f"{words.p_value(words.finite(row['p_adjusted'])):>8}{words.p_value(words.finite(row['p_equivalence'])):>10}  "
                f"{row['verdict'].replace('_', ' ') if row['test'] == carries else '(beside)'}"
            )
        if self.rows["primary"].any():
            lines.append("* the primary pair; p of the others is Holm-adjusted")
        for row in self._by_themselves().to_dict("records"):
            ends = words.interval(words.finite(row["ci_low"]), words.finite(row["ci_high"]))
            lines.append(
                f"{row['model']:<34}{row['metric']:<14}{words.number(words.finite(row['value']), 3):>11}  {ends:<18}{row['method']}"
            )
        return "\n".join(lines)

    def _by_themselves(self) -> pd.DataFrame:
        """How each refitted model ranks external patients: its row of the table METRICS; no row without an external cohort."""
        if self.measured is None:
            return pd.DataFrame()
        metrics = self.measured[0]
        ranking = [name for name in ("auc", "macro_auc", "harrell_c", "spearman") if name in set(metrics["metric"])]
        return metrics[(metrics["metric"] == ranking[0]) & (metrics["repeat"] == -1) & (metrics["role"] == "test")]


def compare_sources(texts: Sequence[str], *, primary: tuple[str, ...] | None = None, **changes: Any) -> Compared:
    """texts : as :func:`radpipe.stages.compare_sources.read_source` takes them. changes : metric, margin, alpha.

    ConfigError, CohortError where the sides cannot be compared or the question makes no sense.
    """
    return _compared(_read(texts), primary, changes)


def compare_external(
    texts: Sequence[str], cohort: Path, *, primary: tuple[str, ...] | None = None, workers: int | None = None,
    progress: Progress | None = None, **changes: Any,
) -> Compared:  # fmt: skip
    """The runs' models, refitted on all their patients, on the patients of ``cohort``, whom they never saw.

    cohort : a manifest with the outcome, or a folder of ``radpipe ingest``. Errors as in :func:`compare_sources` and
    :func:`radpipe.stages.compare_external.judge_runs`.
    """
    judged = judge_runs(texts, cohort, workers=workers, progress=progress)
    sides = [side for _, side, _ in judged]
    first = sides[0].predictions
    if outcome_kind(first) == "classes" and len(class_columns(first)) == 2:
        # Nothing here is conditional but on the refit, so what else can be told of fixed scores stands beside DeLong's test.
        changes = {"conditional": ("delong", "mcnemar", "paired_bootstrap"), **changes}
    found = _compared(sides, primary, changes)
    found = replace(found, developed=tuple(run for run, _, _ in judged))
    measured = metrics_and_curves(found.sources, found.together)
    facts = external_facts(cohort, judged, found.together.predictions, measured[0], found.rows, found.settings.alpha)
    sentences = (*found.sentences, *facts["said"])
    return replace(found, external=facts, measured=measured, sentences=sentences)


def _compared(sources: Sequence[Source], primary: tuple[str, ...] | None, changes: Mapping[str, Any]) -> Compared:
    both = together(sources)
    planned = dict(sources[0].settings.get("comparison") or {}) if len(sources) == 1 else {}
    settings = ask(list(both.models), planned, primary, changes)
    own = bool(planned) and standing(sources[0].questions, question_key(settings))["prior"]
    try:
        rows = compare_sides(both, settings, horizon=settings_of(sources)[1])
    except CohortError as error:
        raise error.about(path=sources[0].path) from error
    design = _design(both, settings)
    said = words.verdict(_primary(rows), {**design, "planned": own})
    return Compared(
        tuple(sources), both, settings, own, rows, said["headline"], tuple(said["sentences"]), design, tuple(sources),
        _images(sources, both, rows, settings),
    )  # fmt: skip


def _images(sources: Sequence[Source], both: Together, rows: pd.DataFrame, settings: ComparisonSettings) -> dict[str, Any] | None:
    """Whether images add anything to clinical columns or volume, in words; None where no such models are among these."""
    eaten = {
        new: performance.eaten(sources[place].settings.get("models", {}), name) for new, (place, name) in both.sources.items()
    }
    told = [{str(k): words.finite(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows.to_dict("records")]
    pairs, images, references = performance.pairs_with_references(eaten, told, carries_verdict(rows))
    if not images or not references:
        return None
    return words.images_add(pairs, images, references, 1 - settings.alpha, str(rows["metric"].iloc[0]))


def ask(
    models: list[str], planned: Mapping[str, Any], primary: tuple[str, ...] | None, changes: Mapping[str, Any]
) -> ComparisonSettings:
    """The question: what the command line says, else what the workflow planned; two models are a pair by themselves."""
    if len(models) < 2:
        raise ConfigError(f"there is one model, {models[0]!r}: nothing to compare it with.", hint="Give a second run or table.")
    asked = {name: planned[name] for name in ("primary", "metric", "margin", "alpha") if name in planned} | dict(changes)
    asked["primary"] = primary or asked.get("primary") or (tuple(models) if len(models) == 2 else None)
    if asked["primary"] is not None:
        _check_pair(tuple(asked["primary"]), models)
    try:
        return ComparisonSettings.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if name == "margin":
            raise ConfigError(
                f"--margin is {asked['margin']:g}; it lies above 0 and below 1.",
                hint="It is the largest difference that would not matter (0.05 AUC by default): with none at all, no two models could ever "
                "be called equivalent.",
            ) from error
        raise ConfigError(f"--{name}: {first['msg']}.", hint="See `radpipe compare --help`.") from error


def _read(texts: Sequence[str]) -> list[Source]:
    """Runs first, so that tables without outcomes can take theirs."""
    runs = {text: read_source(text) for text in texts if Path(text.partition(":")[0]).is_dir()}
    outcomes: dict[str, int] = {}
    for source in runs.values():
        outcomes |= dict(zip(source.predictions["case_id"], source.predictions["y_true"].astype(int), strict=True))
    return [runs[text] if text in runs else read_source(text, outcomes=outcomes or None) for text in texts]


def _check_pair(pair: tuple[str, ...], models: list[str]) -> None:
    if len(pair) != 2:
        raise ConfigError(f"--primary names {len(pair)} models, and a pair has two.", hint="Write --primary A,B.")
    for name in pair:
        if name not in models:
            raise ConfigError(
                f"--primary names {name!r}, which is not among the models.{nearest(name, models)} There are {', '.join(models)}.",
                hint="Name two of them.",
            )


def _primary(rows: pd.DataFrame) -> dict[str, Any] | None:
    found = rows[rows["primary"]]
    if not len(found):
        return None
    return {str(k): (words.finite(v) if isinstance(v, float) else v) for k, v in found.iloc[0].to_dict().items()}


def _design(both: Together, settings: ComparisonSettings) -> dict[str, Any]:
    tested = both.predictions[both.predictions["role"] == "test"].drop_duplicates("case_id")
    people = tested.loc[~tested["case_id"].map(lambda case: both.patients.get(case, case)).duplicated()]
    splits = both.splits
    with_event = "value" not in tested.columns and len(class_columns(tested)) <= 2
    return {
        "repeats": 0 if splits is None else int(splits["repeat"].nunique()),
        "folds": 0 if splits is None else int(splits["fold"].nunique()),
        "n": len(tested),
        "patients": len(people),
        "events": int(np.sum(people["y_true"] == 1)) if with_event else None,
        "level": 1 - settings.alpha,
    }


def write_comparison(found: Compared, out: Path) -> Path:
    """comparison.csv, comparison.parquet, comparison_metrics.csv and compare.html in ``out``; of an external cohort also external.json,
    external_predictions.csv and external_failures.csv. The page's path."""
    out.mkdir(parents=True, exist_ok=True)
    metrics, curves = found.measured or metrics_and_curves(found.sources, found.together)
    write_table(found.rows, out / "comparison.parquet", tables.COMPARISON, csv=True)
    write_rows(out / "comparison_metrics.csv", list(metrics.columns), metrics.to_dict("records"))
    if found.external is not None:
        predictions = found.together.predictions.drop(columns=["repeat", "fold", "seed", "role"])
        write_rows(out / "external_predictions.csv", list(predictions.columns), predictions.to_dict("records"))
        write_bytes(out / "external.json", (json.dumps(found.external, indent=1, allow_nan=False) + "\n").encode())
        failures = found.external["failures"]
        beside = out / "external_failures.csv"
        if failures:
            write_rows(beside, ("run", *FAILURE_COLUMNS), failures)
        else:
            beside.unlink(missing_ok=True)
    page = out / "compare.html"
    write_bytes(page, render(found.together.predictions, found.rows, metrics, curves, _said(found)).encode("utf-8"))
    return page


def _said(found: Compared) -> dict[str, Any]:
    before = metrics_and_curves(found.developed, found.together)[0] if found.external is not None else None
    spent = [costs(source) for source in found.developed]
    return {
        "images": found.images,
        "headline": found.headline,
        "sentences": list(found.sentences),
        "design": found.design,
        "planned": found.planned,
        "carries": carries_verdict(found.rows),
        "question_sha256": found.question_sha256,
        "settings": found.settings.model_dump(mode="json"),
        "sources": [{"name": s.path.name, "kind": s.kind, "models": s.models, "sha256": s.sha256} for s in found.sources],
        "costs": {new: spent[place].get(name, {}) for new, (place, name) in found.together.sources.items()},
        "external": found.external,
        "development": before,
    }

"""``radpipe correlate``: a table of features and a table of outcomes -> associations, curves, clusters and a page."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import radpipe
from radpipe.core import tables
from radpipe.core.registry import nearest
from radpipe.correlation.screen import Outcome, OutcomeKind, cluster_features, screen, tertile_curves
from radpipe.errors import CohortError, ConfigError, RadpipeError
from radpipe.intake.outcomes import join_outcomes
from radpipe.io.files import write_bytes
from radpipe.io.spreadsheets import read_sheet
from radpipe.io.tables import read_any_table, write_table
from radpipe.typing import FloatArray

ID_COLUMNS = ("patient_id", "case_id", "PatientID", "ID", "id", "patient", "case")
NOT_FEATURES = re.compile(r"(diagnostics_.*|label|image|mask|image_path|mask_path|roi|repeat|fold|seed|unnamed.*)", re.IGNORECASE)
MOST_GRADES = 6
"""Whole numbers of at most so many values are taken as an ordered grade."""
MOST_CURVES = 4
"""Features whose thirds are drawn, those of the smallest p."""
DOUBLE_USE = (
    "What is found here must not choose the inputs of a model that is then judged on these same patients: that is double use, "
    "and inflates its AUC by up to 0.15 (Demircioğlu 2021). radpipe run chooses inputs within each training part."
)


@dataclass(frozen=True)
class Question:
    """What the user asked. outcomes : columns of the outcome sheet. time, event : of times to an event, with event_values (what
    means the event) and competing_values. positive : the class that is 1. order : grades, from the lowest.
    """

    outcomes: tuple[str, ...] = ()
    time: str = ""
    event: str = ""
    event_values: tuple[str, ...] = ()
    competing_values: tuple[str, ...] = ()
    kind: OutcomeKind | None = None
    positive: str = ""
    order: tuple[str, ...] = ()
    adjust: tuple[str, ...] = ()
    batch: str = ""
    reference: str | None = None
    id_column: str = ""
    roi: str = ""
    confidence: float = 0.95

    def check(self) -> None:
        """ConfigError where the question makes no sense by itself."""
        if bool(self.time) != bool(self.event):
            raise ConfigError("--time and --event belong together.", hint="Name the column of times and that of the events.")
        if not self.outcomes and not self.time:
            raise ConfigError("no outcome is named.", hint="Say --outcome COLUMN, or --time COLUMN --event COLUMN.")
        repeated = {self.time, self.event, self.batch, *self.adjust} & {*self.outcomes} - {""}
        if repeated:
            raise ConfigError(f"{sorted(repeated)[0]!r} is an outcome and something else at once.", hint="Name it once.")
        if self.kind == "time_to_event":
            raise ConfigError("times to an event are named by --time and --event.", hint="Leave --kind out.")


@dataclass(frozen=True)
class Joined:
    """features : (n, m) numbers. clinical : the columns that were asked for, text, "" where nothing is known. patients : (n,)."""

    features: pd.DataFrame
    clinical: pd.DataFrame
    patients: list[str]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Correlated:
    """The tables, and what was said. rho : (m, m) correlations of the features in the clusters' order."""

    associations: pd.DataFrame
    tertiles: pd.DataFrame
    clusters: pd.DataFrame
    rho: FloatArray
    outcomes: list[Outcome]
    notes: list[str]
    patients: int
    regions: int


def run(features: Path, outcomes: Path, question: Question, out: Path) -> Correlated:
    """Read, correlate, write the folder ``out``: associations, tertiles and feature_clusters (.csv and .parquet), correlate.html,
    correlate.json. RadpipeError names what cannot be used."""
    question.check()
    joined = read_inputs(features, outcomes, question)
    try:
        found = correlate(joined, question)
    except RadpipeError as error:
        raise error.about(path=outcomes) from error
    write(found, question, joined, out, features=features, outcomes=outcomes)
    return found


def read_inputs(features: Path, outcomes: Path, question: Question) -> Joined:
    """Both tables as one row a region, by the patient's (or case's) id."""
    table, id_of_features, notes = _features(Path(features), question)
    wanted = [*question.outcomes, question.time, question.event, question.batch]
    wanted += [name for name in question.adjust if name != "volume"]
    wanted = list(dict.fromkeys(name for name in wanted if name))
    id_column, sheet = _sheet(Path(outcomes), question)
    if question.adjust and "volume" in question.adjust and "volume" in sheet.columns:
        wanted.append("volume")
    here = [name for name in wanted if name not in sheet.columns and name in table.columns]
    cases = pd.DataFrame({"patient_id": _texts(table[id_of_features])})
    joined = join_outcomes(cases, sheet, id_column, columns=[name for name in wanted if name not in here])
    clinical = joined.frame.drop(columns="patient_id")
    clinical.columns = pd.Index([name.removeprefix("outcome_") if name not in wanted else name for name in clinical.columns])
    for name in here:
        clinical[name] = _texts(table[name])
    known = clinical.ne("").any(axis=1).to_numpy()
    if not known.any():
        raise CohortError(
            f"no id of {features} stands in the column {id_column!r} of {outcomes}.",
            hint="Say which column names the patients: --id COLUMN.", path=outcomes,
        )  # fmt: skip
    notes += [*joined.notes, *(_cell_note(cell) for cell in joined.cells[:5])]
    numbers = _numbers(table, exclude={id_of_features, *wanted})
    if not numbers.shape[1]:
        raise CohortError(
            "there is no column of numbers in it.", hint="Give a table of features, one row a region.", path=features
        )
    people = cases["patient_id"][known].tolist()
    return Joined(numbers[known].reset_index(drop=True), clinical[known].reset_index(drop=True), people, notes)


def _cell_note(cell: dict[str, Any]) -> str:
    return f"row {cell['row']}, column {cell['column']!r}: {cell['problem']} ({cell['done']})"


def _texts(values: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(values.dtype):
        return pd.Series(["" if v != v else f"{v:g}" for v in values.tolist()], index=values.index)
    return values.astype(object).where(values.notna(), "").astype(str).str.strip()


def _features(path: Path, question: Question) -> tuple[pd.DataFrame, str, list[str]]:
    """The table of features, its id column, and what was done to it. A run's folder: its features, with its cohort's patients."""
    notes: list[str] = []
    folder = path if path.is_dir() else None
    if folder is not None:
        path = folder / "features.parquet"
    table = read_any_table(path).reset_index(drop=True)
    if folder is not None and (folder / "cohort.parquet").is_file() and "case_id" in table.columns:
        cohort = read_any_table(folder / "cohort.parquet").set_index("case_id")["patient_id"]
        table["patient_id"] = table["case_id"].map(cohort)
    if not len(table):
        raise CohortError("the table of features has no row.", hint="Run radpipe extract first.", path=path)
    own = [name for name in (question.id_column, *ID_COLUMNS) if name and name in table.columns]
    if not own:
        raise CohortError(
            "no column names the patients.", hint=f"Name one of {', '.join(ID_COLUMNS[:4])}, or say --id COLUMN.", path=path
        )
    for column in ("roi", "Label", "label"):
        values = sorted(set(_texts(table[column]))) if column in table.columns else []
        if len(values) > 1 and column == "roi":
            chosen = question.roi or ("given" if {"given", "predicted"} <= set(values) else "")
            if chosen and chosen not in values:
                raise ConfigError(
                    f"there is no region {chosen!r}.{nearest(chosen, values)}", hint=f"There are: {', '.join(values)}."
                )
            if chosen:
                table = table[_texts(table[column]) == chosen].reset_index(drop=True)
                notes.append(f"regions named {chosen!r} only (of {', '.join(values)})")
    return table, own[0], notes


def _sheet(path: Path, question: Question) -> tuple[str, Any]:
    """The outcome sheet and the name of its id column."""
    names = (question.id_column,) if question.id_column else ID_COLUMNS
    first: CohortError | None = None
    for name in names:
        try:
            return name, read_sheet(path, name)
        except CohortError as error:
            first = first or error
    assert first is not None
    if question.id_column:
        raise first
    raise CohortError(
        f"no column of it is named {', '.join(ID_COLUMNS[:-1])} or {ID_COLUMNS[-1]}.",
        hint="Say which names the patients: --id COLUMN.",
        path=path,
    )


def _numbers(table: pd.DataFrame, exclude: set[str]) -> pd.DataFrame:
    """The columns that hold numbers in every cell that is not empty, and are no ids or bookkeeping."""
    found: dict[str, pd.Series] = {}
    for name in table.columns:
        if name in exclude or name in ID_COLUMNS or NOT_FEATURES.fullmatch(str(name)):
            continue
        cells = table[name]
        if pd.api.types.is_bool_dtype(cells.dtype):
            continue
        text = (
            cells.astype(object).where(cells.notna(), "").astype(str).str.strip()
            if not pd.api.types.is_numeric_dtype(cells.dtype)
            else None
        )
        numbers = pd.to_numeric(cells if text is None else text.where(text != "", None), errors="coerce").astype(float)
        empty = cells.isna() if text is None else text.str.lower().isin(["", "nan", "none"])
        if bool((numbers.isna() & ~empty).any()) or bool(numbers.isna().all()):
            continue
        found[str(name)] = numbers.where(np.isfinite(numbers))
    return pd.DataFrame(found)


def correlate(joined: Joined, question: Question) -> Correlated:
    """Every outcome that was asked for; q-values are those of one outcome and analysis."""
    notes = list(joined.notes)
    features = joined.features
    covariates = _covariates(joined, question)
    if question.batch:
        features, note = _harmonised(features, joined, question, covariates)
        notes.append(note)
    several = len(set(joined.patients)) < len(joined.patients)
    if several:
        notes.append(
            f"{len(joined.patients)} regions of {len(set(joined.patients))} patients: mixed models with a level for each patient"
        )
    outcomes = [_outcome(joined.clinical[name], name, question) for name in question.outcomes]
    if question.time:
        outcomes.append(_times(joined.clinical, question, joined.patients))
    associations, curves = [], []
    for outcome in outcomes:
        table = screen(features, outcome, covariates=covariates, patients=joined.patients, confidence=question.confidence)
        associations.append(table)
        if outcome.kind == "time_to_event":
            # Drawn are those with the smallest p of the analysis that counts: beside the covariates, where there are some.
            told = table[table["analysis"] == ("adjusted" if covariates is not None else "unadjusted")].dropna(subset=["p_value"])
            names = told.sort_values("p_value", kind="stable")["feature"].head(MOST_CURVES).tolist()
            curves.append(tertile_curves(features, outcome, names, patients=joined.patients, confidence=question.confidence))
    clusters, rho = cluster_features(features)
    tertiles = pd.concat(curves, ignore_index=True) if curves else tables.make_table(tables.TERTILES, [])
    return Correlated(
        pd.concat(associations, ignore_index=True), tertiles, clusters, rho, outcomes, notes, len(set(joined.patients)), len(joined.patients)
    )  # fmt: skip


def _covariates(joined: Joined, question: Question) -> pd.DataFrame | None:
    """The columns to adjust for, as numbers; a text column of k values becomes k - 1 columns of 0 and 1."""
    if not question.adjust:
        return None
    found: dict[str, FloatArray] = {}
    for name in question.adjust:
        if name == "volume" and name not in joined.clinical.columns:
            volumes = [c for c in joined.features.columns if re.search(r"shape_(MeshVolume|VoxelVolume)$|^volume", c)]
            if not volumes:
                raise CohortError(
                    "there is no volume among the features or the outcomes.",
                    hint="Extract the shape features, or name the column: --adjust COLUMN.",
                )
            found[volumes[0]] = joined.features[volumes[0]].to_numpy(float)
            continue
        if name in joined.features.columns:
            found[name] = joined.features[name].to_numpy(float)
            continue
        cells = joined.clinical[name]
        numbers = pd.to_numeric(cells.where(cells != "", None), errors="coerce").to_numpy(float)
        if not (np.isnan(numbers) & (cells != "").to_numpy()).any():
            found[name] = numbers
            continue
        kinds = sorted(set(cells) - {""})
        if len(kinds) > MOST_GRADES:
            raise CohortError(
                f"the column {name!r} has {len(kinds)} different texts.", hint="Adjust for numbers, or for few categories."
            )
        for kind in kinds[1:]:
            found[f"{name}={kind}"] = np.where(cells == "", np.nan, (cells == kind).astype(float))
    return pd.DataFrame(found)


def _harmonised(
    features: pd.DataFrame, joined: Joined, question: Question, covariates: pd.DataFrame | None
) -> tuple[pd.DataFrame, str]:
    from radpipe.harmonisation.combat import ComBat  # scikit-learn: a second to import, wanted where it is asked for

    kept = covariates[[c for c in covariates.columns if c not in features.columns]] if covariates is not None else None
    if kept is not None and kept.isna().any().any():
        raise CohortError(
            "ComBat cannot keep a covariate that is missing for some.", hint="Fill it in, or leave it out of --adjust."
        )
    whole = features.loc[:, features.notna().any()]
    filled = whole.fillna(whole.median())
    combat = ComBat(reference=question.reference)
    sites = joined.clinical[question.batch].tolist()
    out = combat.fit_transform(
        filled.to_numpy(float),
        sites=sites,
        covariates=kept.to_numpy(float) if kept is not None and kept.shape[1] else None,
        patients=joined.patients,
    )
    result = features.copy()
    result[whole.columns] = np.where(whole.isna(), np.nan, out)
    counts = ", ".join(f"{name} {n}" for name, n in zip(combat.sites_, combat.n_of_site_, strict=True))
    return result, (
        f"features harmonised by ComBat over {question.batch!r} ({counts}), fitted on these very cases: right for looking; "
        "a model's ComBat is fitted on its training part only"
    )


def _outcome(cells: pd.Series, name: str, question: Question) -> Outcome:
    """The kind from what the column holds, unless the question says it."""
    numbers = pd.to_numeric(cells.where(cells != "", None), errors="coerce").to_numpy(float)
    text = bool((np.isnan(numbers) & (cells != "").to_numpy()).any())
    values = sorted(set(cells) - {""}, key=lambda v: (0, float(v), v) if not text else (1, 0.0, v))
    kind = question.kind
    if question.order:
        unknown = [value for value in values if value not in question.order]
        if unknown:
            raise ConfigError(
                f"column {name!r} holds {unknown[0]!r}, which --order does not name.", hint="Name every value, the lowest first."
            )
        codes = {value: float(k) for k, value in enumerate(question.order)}
        return Outcome(name, "ordinal", np.array([codes.get(v, np.nan) for v in cells]), meaning=" < ".join(question.order))
    if kind is None:
        if len(values) == 2:
            kind = "binary"
        elif text:
            raise CohortError(
                f"column {name!r} holds {len(values)} texts ({', '.join(values[:5])}).",
                hint="Say their order (--order low,middle,high), or choose a column of two classes or of numbers.",
            )
        else:
            whole = bool(np.all(numbers[~np.isnan(numbers)] % 1 == 0))
            kind = "ordinal" if whole and len(values) <= MOST_GRADES else "continuous"
    if kind == "binary":
        if len(values) != 2:
            raise CohortError(
                f"column {name!r} holds {len(values)} different values, not two.", hint="Choose another kind of outcome."
            )
        one = question.positive or values[1]
        if one not in values:
            raise ConfigError(f"column {name!r} does not hold {one!r}.", hint=f"It holds {values[0]!r} and {values[1]!r}.")
        codes_of = np.where(cells == "", np.nan, (cells == one).astype(float))
        return Outcome(
            name, "binary", codes_of, meaning=f"{one} ({int(np.nansum(codes_of))}) against {next(v for v in values if v != one)}"
        )
    if text:
        raise CohortError(f"column {name!r} holds text.", hint="Numbers are needed; say --order for grades in words.")
    return Outcome(name, kind, numbers)


def _times(clinical: pd.DataFrame, question: Question, patients: Sequence[str]) -> Outcome:
    """Times with event codes; a negative time is named with its patient."""
    cells = clinical[question.event]
    values = sorted(set(cells) - {""})
    events, competing = set(question.event_values), set(question.competing_values)
    if not events:
        if not set(values) <= {"0", "1", "2"}:
            raise CohortError(
                f"column {question.event!r} holds {', '.join(values[:5])}; 0 (censored), 1 (event) and 2 (another event) are understood.",
                hint="Say which value is the event: --event-value VALUE (and --competing-value VALUE).",
            )
        events, competing = {"1"}, {"2"}
    missing = sorted((events | competing) - set(values)) if question.event_values else []
    if missing:
        raise ConfigError(f"column {question.event!r} does not hold {missing[0]!r}.", hint=f"It holds {', '.join(values)}.")
    code = np.array([np.nan if v == "" else 1.0 if v in events else 2.0 if v in competing else 0.0 for v in cells])
    time = pd.to_numeric(clinical[question.time].where(clinical[question.time] != "", None), errors="coerce").to_numpy(float)
    text = np.isnan(time) & (clinical[question.time] != "").to_numpy()
    if text.any():
        raise CohortError(
            f"the time {question.time!r} is {clinical[question.time][text].iloc[0]!r}.",
            hint="Times are numbers (days, months), not dates.", case_id=patients[int(text.argmax())],
        )  # fmt: skip
    below = np.nan_to_num(time) < 0
    if below.any():
        raise CohortError(
            f"the time {question.time!r} is {time[below][0]:g}; times are 0 or more.",
            hint="Count time from the same start (e.g. the scan) for everybody; leave out who had the event before it.",
            case_id=patients[int(below.argmax())],
        )  # fmt: skip
    if not np.any(code == 1):
        raise CohortError(
            f"nobody has the event {question.event!r}.",
            hint="Say which value is the event: --event-value VALUE, or add patients who had it.",
        )
    n_events, n_others = int(np.sum(code == 1)), int(np.sum(code == 2))
    meaning = (
        f"{n_events} events" + (f", {n_others} competing events" if n_others else "") + f", {int(np.sum(code == 0))} censored"
    )
    return Outcome(question.event, "time_to_event", code, time, meaning)


def write(found: Correlated, question: Question, joined: Joined, out: Path, *, features: Path, outcomes: Path) -> None:
    """The folder; the page last, so that a page is there only where its tables are."""
    from radpipe.report.correlate_page import render  # matplotlib: a second to import

    out.mkdir(parents=True, exist_ok=True)
    (out / "correlate.html").unlink(missing_ok=True)
    write_table(found.associations, out / "associations.parquet", tables.ASSOCIATIONS, csv=True)
    write_table(found.tertiles, out / "tertiles.parquet", tables.TERTILES, csv=True)
    write_table(found.clusters, out / "feature_clusters.parquet", tables.FEATURE_CLUSTERS, csv=True)
    seen = sorted(set(joined.patients))
    record = {
        "radpipe": radpipe.__version__,
        "features": str(features),
        "outcomes": str(outcomes),
        "question": {key: value for key, value in vars(question).items() if value not in ((), "", None)},
        "patients": len(seen),
        "saw_sha256": hashlib.sha256("\n".join(seen).encode()).hexdigest(),
        "warning": DOUBLE_USE,
        "notes": found.notes,
    }
    write_bytes(out / "correlate.json", (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
    page = render(
        associations=found.associations, tertiles=found.tertiles, clusters=found.clusters, rho=found.rho,
        outcomes=[{"name": o.name, "kind": o.kind, "meaning": o.meaning} for o in found.outcomes],
        facts={
            "features_file": Path(features).name, "outcomes_file": Path(outcomes).name, "patients": found.patients,
            "regions": found.regions, "adjust": list(question.adjust), "confidence": question.confidence, "warning": DOUBLE_USE,
            "notes": found.notes,
        },
    )  # fmt: skip
    write_bytes(out / "correlate.html", page.encode())


def strongest(found: Correlated, count: int = 3) -> list[str]:
    """Lines for the terminal: of every outcome, how many hold at 5 % false discoveries, and the first few."""
    lines = []
    for outcome in found.outcomes:
        rows = found.associations[found.associations["outcome"] == outcome.name]
        for analysis in sorted(set(rows["analysis"]), reverse=True):
            part = rows[rows["analysis"] == analysis].sort_values("p_value", kind="stable")
            held = int((part["q_value"] <= 0.05).sum())
            names: Sequence[str] = part.dropna(subset=["p_value"])["feature"].head(count).tolist() if held else ()
            told = int(part["p_value"].notna().sum())
            lines.append(
                f"{outcome.name} ({outcome.kind.replace('_', ' ')}{'; ' + outcome.meaning if outcome.meaning else ''}), {analysis}: "
                f"{held} of {told} features at a false discovery rate of 5 %" + (f": {', '.join(names)}" if names else "")
            )
    return lines

"""Who trains, selects and tests: drawn once, stored, and never drawn again by a later stage."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from radpipe.cohort.config import OutcomeKind, SplitSettings
from radpipe.cohort.outcomes import EVENT
from radpipe.core.seeds import generator
from radpipe.core.tables import SPLITS, make_table
from radpipe.errors import CohortError

QUARTERS = 4


def draw_splits(cases: pd.DataFrame, settings: SplitSettings, seed: int, kind: OutcomeKind = "classes") -> pd.DataFrame:
    """Repeated, stratified, patient-grouped folds -> the splits table.

    cases : case_id, patient_id, outcome (class index, or what COHORT says of other kinds), and value or time where the kind has
    one; all cases of a patient have one outcome. The order of rows does not matter. Strata are the classes; the quarters of a
    number; of times to an event, whether it was seen, censored or came second to another. In every repeat each stratum's patients
    are shuffled and dealt to the folds in turn, so that folds differ by at most one patient, in all and per stratum; each training
    part then gives up a stratified selection part.
    CohortError where a class has too few patients, or a patient two outcomes.
    """
    problems = [*two_outcomes(cases, kind), *too_few(cases, settings, kind)]
    if problems:
        raise CohortError(
            " ".join(problems), hint="The splits are drawn over the cases that passed the check; failures.csv names the others."
        )
    outcome_of = _strata(cases, kind)
    case_ids = {patient: sorted(ids) for patient, ids in cases.groupby("patient_id")["case_id"]}
    rows = []
    for repeat in range(settings.repeats):
        fold_of = _deal(outcome_of, settings.folds, generator(seed, "splits", repeat))
        for fold in range(settings.folds):
            rng = generator(seed, "splits", repeat, fold, "selection")
            selecting = _selection_part(outcome_of[fold_of != fold], settings.selection_fraction, rng)
            for patient in outcome_of.index:
                role = "test" if fold_of[patient] == fold else "selection" if patient in selecting else "train"
                for case_id in case_ids[patient]:
                    rows.append({"repeat": repeat, "fold": fold, "case_id": case_id, "role": role})
    return make_table(SPLITS, rows)


def _strata(cases: pd.DataFrame, kind: OutcomeKind) -> pd.Series:
    """patient_id -> stratum, sorted by patient."""
    patients = cases.sort_values("case_id").groupby("patient_id").first().sort_index()
    if kind != "number":
        return patients["outcome"]
    # By rank, so that each quarter has as many patients as any other whatever the values are.
    rank = patients["value"].rank(method="first").to_numpy()
    return pd.Series(((rank - 1) * QUARTERS // len(patients)).astype(int), index=patients.index)


def too_few(cases: pd.DataFrame, settings: SplitSettings, kind: OutcomeKind = "classes") -> list[str]:
    """Why the patients do not suffice for the folds; empty where they do.

    Every fold must test each class, and every training part must keep two patients of each: one to fit, one to select. For times
    to an event that holds of the event; a number needs so many patients in all.
    """
    patients = cases.drop_duplicates("patient_id")
    way_out = "Add patients, or lower splits.folds."
    if len(patients) < settings.folds:
        return [f"there are {len(patients)} patients for {settings.folds} folds. {way_out}"]
    needed = _needed(settings.folds)
    if kind == "number":
        if len(patients) < needed:
            return [f"there are {len(patients)} patients; {settings.folds} folds need at least {needed}. {way_out}"]
        same = patients["value"].min() == patients["value"].max()
        return ["all patients have the same outcome, so there is nothing to predict."] if same else []
    if kind == "time_to_event":
        count = int((patients["outcome"] == EVENT).sum())
        if count >= needed:
            return []
        return [f"{count} patients have the event; {settings.folds} folds need at least {needed}. {way_out}"]
    problems = []
    for outcome, count in patients["outcome"].value_counts().sort_index().items():
        if count < needed:
            problems.append(f"class {outcome} has {count} patients; {settings.folds} folds need at least {needed}. {way_out}")
    if patients["outcome"].nunique() < 2:
        problems.append("all patients have the same outcome; a model needs two classes.")
    return problems


def two_outcomes(cases: pd.DataFrame, kind: OutcomeKind = "classes") -> list[str]:
    """One sentence for every patient whose cases do not agree on the outcome."""
    problems = []
    names = {"classes": ["outcome"], "number": ["value"], "time_to_event": ["outcome", "time"]}[kind]
    for patient, own in cases.groupby("patient_id"):
        if len(own) > 1 and len(own[names].drop_duplicates()) > 1:
            problems.append(f"patient {patient!r} has two different outcomes (cases {', '.join(own['case_id'])}).")
    return problems


def _needed(folds: int) -> int:
    count = folds
    while count - math.ceil(count / folds) < 2:
        count += 1
    return count


def _deal(outcome_of: pd.Series, folds: int, rng: np.random.Generator) -> pd.Series:
    """Fold of every patient. Each class is dealt on from the fold where the one before it stopped, so that sizes stay even."""
    fold_of = pd.Series(-1, index=outcome_of.index)
    # A random start, or the first folds would be the larger ones in every repeat.
    place = int(rng.integers(folds))
    for outcome in sorted(outcome_of.unique()):
        patients = rng.permutation(outcome_of.index[outcome_of == outcome].to_numpy(object))
        fold_of[patients] = (place + np.arange(len(patients))) % folds
        place += len(patients)
    return fold_of


def _selection_part(outcome_of: pd.Series, fraction: float, rng: np.random.Generator) -> set[str]:
    """Patients of a training part that select: the fraction of each class, at least one, and at least one is left to fit."""
    chosen: set[str] = set()
    for outcome in sorted(outcome_of.unique()):
        patients = outcome_of.index[outcome_of == outcome].to_numpy(object)
        count = min(max(1, round(fraction * len(patients))), len(patients) - 1)
        chosen.update(rng.permutation(patients)[:count])
    return chosen

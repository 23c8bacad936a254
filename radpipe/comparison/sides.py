"""Predictions of several sources on the same patients and splits: checked against each other, put into one table, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from radpipe.comparison.compare import compare_models, thresholds_of
from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.held_out import compare_held_out
from radpipe.comparison.registry import PRIMARY_TEST
from radpipe.errors import CohortError


@dataclass(frozen=True, kw_only=True)
class Side:
    """Some models' predictions on test patients, whatever made them.

    predictions : table PREDICTIONS of any kind of outcome, role test only (and training rows where a run has them). splits : table
    SPLITS, or None where the patients were held out (no repeats, no folds). patients : case_id -> patient_id, as far as known.
    fits : model, repeat, fold, threshold of the calls; None where nobody knows them. said : how errors call it.
    """

    name: str
    predictions: pd.DataFrame
    splits: pd.DataFrame | None = None
    patients: Mapping[str, str] = field(default_factory=dict)
    fits: pd.DataFrame | None = None
    said: str = ""

    @property
    def models(self) -> list[str]:
        return sorted(set(self.predictions["model"]))

    def __str__(self) -> str:
        return self.said or f"the table of {self.name!r}"


@dataclass(frozen=True)
class Together:
    """Sides that can be compared. models : in the order of the sides, renamed where two share a name; sources : whose each is.

    predictions, splits, patients, fits : as in :class:`Side`, of all.
    """

    models: tuple[str, ...]
    sources: Mapping[str, tuple[int, str]]
    predictions: pd.DataFrame
    splits: pd.DataFrame | None
    patients: Mapping[str, str]
    fits: pd.DataFrame | None


def together(sides: Sequence[Side]) -> Together:
    """One table of predictions on the same patients and splits; CohortError names what differs between two sides."""
    first = sides[0]
    for other in sides[1:]:
        _same_kind(first, other)
        _same_patients(first, other)
        _same_outcomes(first, other)
        _same_splits(first, other)
    names = [model for side in sides for model in side.models]
    apart = len({side.name for side in sides}) == len(sides)
    sources: dict[str, tuple[int, str]] = {}
    predictions, fits = [], []
    for k, side in enumerate(sides):
        own = {
            name: name if names.count(name) == 1 else f"{side.name}_{name}" if apart else f"{name} ({chr(ord('A') + k)})"
            for name in side.models
        }
        sources |= {new: (k, name) for name, new in own.items()}
        predictions.append(side.predictions.assign(model=side.predictions["model"].map(own)))
        if side.fits is not None:
            mine = side.fits[side.fits["model"].isin(own)]
            fits.append(mine.assign(model=mine["model"].map(own)))
    patients = {case: patient for side in reversed(sides) for case, patient in side.patients.items()}
    return Together(
        tuple(sources), sources, pd.concat(predictions, ignore_index=True), first.splits, patients,
        pd.concat(fits, ignore_index=True) if fits else None,
    )  # fmt: skip


def compare_sides(both: Together, settings: ComparisonSettings, *, horizon: float | None = None) -> pd.DataFrame:
    """Table COMPARISON of every two models: the corrected resampled t-test on shared splits; DeLong's test or the paired bootstrap
    on held-out patients."""
    if both.splits is not None:
        return compare_models(
            both.predictions, both.splits, settings, fits=both.fits, patients=both.patients, horizon=horizon
        )  # fmt: skip
    thresholds = {model: threshold for (model, *_), threshold in thresholds_of(both.fits).items()}
    return compare_held_out(both.predictions, settings, thresholds=thresholds, patients=both.patients, horizon=horizon)


def carries_verdict(rows: pd.DataFrame) -> str:
    """The test whose verdicts count, in a table COMPARISON; the others stand beside it."""
    if rows["primary"].any():
        return str(rows.loc[rows["primary"], "test"].iloc[0])
    tests = set(rows["test"])
    told = set(rows.loc[rows["p_value"].notna(), "test"])  # DeLong's is none where patients have several cases
    order = [PRIMARY_TEST, *(["delong"] if "delong" in told else []), "paired_bootstrap", "delong"]
    return next(test for test in order if test in tests)


def listed(names: Sequence[str]) -> str:
    """The first five, and how many more."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _same_kind(first: Side, other: Side) -> None:
    if (first.splits is None) != (other.splits is None):
        with_folds, without = (first, other) if other.splits is None else (other, first)
        raise CohortError(
            f"{with_folds} comes from cross-validation and {without} does not: it has not the columns repeat and fold.",
            hint="Give both their repeat and fold. Scores that were fixed before (a published network's, say) enter a run as a "
            "model of kind `given`, which is tested on the run's own splits.",
        )
    for column in ("time", "value"):
        if (column in first.predictions.columns) != (column in other.predictions.columns):
            has, lacks = (first, other) if column in first.predictions.columns else (other, first)
            raise CohortError(
                f"{has} has the column {column!r}, {lacks} has not: another kind of outcome.", hint="Compare the same outcome."
            )


def _same_patients(first: Side, other: Side) -> None:
    mine, theirs = (set(side.predictions["case_id"]) for side in (first, other))
    for more, less, only in ((first, other, mine - theirs), (other, first, theirs - mine)):
        if only:
            raise CohortError(
                f"{more} has patients that {less} has not; it lacks: {listed(sorted(only))}.",
                hint="Models are compared on the same patients only: leave these out on both sides, or predict them on both.",
                case_id=min(only),
            )


def _same_outcomes(first: Side, other: Side) -> None:
    for column in ("y_true", "time", "value"):
        if column not in first.predictions.columns:
            continue
        mine, theirs = (
            side.predictions.drop_duplicates("case_id").set_index("case_id")[column].sort_index() for side in (first, other)
        )
        differ = [str(case) for case in mine.index[(mine != theirs).to_numpy()]]
        if not differ:
            continue
        case = differ[0]
        swapped = column == "y_true" and len(differ) == len(mine) and {*mine} == {*theirs} == {0, 1}
        raise CohortError(
            f"{column} is {mine[case]:g} in {first} and {theirs[case]:g} in {other} ({len(differ)} of {len(mine)} cases differ: "
            f"{listed(differ)})." + (" All are the other way round: the coding is swapped." if swapped else ""),
            hint="Use one outcome with one coding: class 1 is the event, which p_1 foretells.", case_id=case,
        )  # fmt: skip


def _same_splits(first: Side, other: Side) -> None:
    if first.splits is None or other.splits is None:
        return
    tests = []
    for side in (first, other):
        assert side.splits is not None
        rows = side.splits[side.splits["role"] == "test"]
        tests.append({(int(r), int(f), str(c)) for r, f, c in rows[["repeat", "fold", "case_id"]].itertuples(index=False)})
    folds = [{(repeat, fold) for repeat, fold, _ in own} for own in tests]
    if folds[0] != folds[1]:
        repeat, fold = min(folds[0] ^ folds[1])
        raise CohortError(
            f"{other if (repeat, fold) in folds[0] else first} has no predictions in repeat {repeat}, fold {fold}.",
            hint="Both sides need every fold of the same splits.",
        )
    if tests[0] != tests[1]:
        repeat, fold, case = min(tests[0] ^ tests[1])
        raise CohortError(
            f"{first} and {other} have different splits: the splits differ in repeat {repeat}, fold {fold}, where only one of them "
            "tests the case.",
            hint="Models are compared on the same splits only: use the same seed, repeats, folds and patients in both workflows.",
            case_id=case,
        )  # fmt: skip

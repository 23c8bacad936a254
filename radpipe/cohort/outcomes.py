"""The outcome columns of a manifest: classes, a number, or the time to an event -> numbers, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from radpipe.cohort.config import CohortSettings

MISSING = {"", "na", "n/a", "nan", "null"}
CENSORED, EVENT, COMPETING = 0, 1, 2
_MOST_CLASSES = 20
"""More different values than this are taken for numbers or names that were meant otherwise."""


@dataclass(frozen=True)
class Outcomes:
    """One entry a row; None where it is not known.

    codes : class index; of time_to_event 0 censored, 1 the event, 2 a competing event; of a number 0.
    further : column of the cohort table -> its values: ``time`` or ``value``. problems : of the columns as a whole.
    faults : place of a row -> (what is wrong with its outcome, what to do).
    """

    codes: list[int | None]
    further: Mapping[str, list[float | None]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    faults: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def read_outcomes(raw: Mapping[str, Sequence[str]], settings: CohortSettings) -> Outcomes:
    """raw : column of the manifest -> its cells; those that the settings name are there."""
    return {"classes": _classes, "number": _number_outcome, "time_to_event": _time_to_event}[settings.outcome_kind](raw, settings)


def _classes(raw: Mapping[str, Sequence[str]], settings: CohortSettings) -> Outcomes:
    name, positive = settings.outcome, settings.positive
    cells, faults = _cells(raw[name], name)
    values = sorted({cell for cell in cells if cell is not None})
    unknown: list[int | None] = [None] * len(cells)

    def refuse(problem: str) -> Outcomes:
        return Outcomes(unknown, {}, [problem], faults)

    if not values:
        return refuse(f"the outcome column {name!r} is empty.")
    shown = joined(values[:6])
    if len(values) > _MOST_CLASSES:
        return refuse(
            f"the outcome {name!r} holds {len(values)} different values ({shown}, ...), too many for classes. "
            "For numbers set cohort.outcome_kind: number; else name another column."
        )
    if settings.classes:
        order = [canonical(value) for value in settings.classes]
        odd = [value for value in values if value not in order]
        if odd:
            return refuse(f"the outcome {name!r} holds {joined(odd[:6])}, which cohort.classes does not name.")
        absent = [value for value in order if value not in values]
        if absent:
            return refuse(f"cohort.classes names {joined(absent[:6])}, but the outcome {name!r} holds {shown} only.")
    elif len(values) == 1:
        if positive is None and not set(values) <= {"0", "1"}:
            return refuse(_which_is_1(name, values))
        return refuse(
            f"the outcome {name!r} has one class only: every case has {values[0]!r}. A model needs cases with and without it; "
            "add cases, or name another column."
        )
    elif positive is not None:
        one = canonical(positive)
        if len(values) > 2:
            return refuse(
                f"the outcome {name!r} has {len(values)} classes ({shown}); cohort.positive goes with two. "
                "Leave it out, or give the order in cohort.classes."
            )
        if one not in values:
            return refuse(f"cohort.positive is {positive!r}, but the outcome {name!r} holds {joined(values)}.")
        order = [value for value in values if value != one] + [one]
    elif len(values) == 2 and set(values) != {"0", "1"}:
        return refuse(_which_is_1(name, values))
    else:
        order = sorted(values, key=_in_order)
    return Outcomes([None if cell is None else order.index(cell) for cell in cells], faults=faults)


def _which_is_1(name: str, values: list[str]) -> str:
    return (
        f"the outcome column {name!r} holds {joined(values)}, not 0 and 1. "
        f"Say which value is class 1, for example cohort.positive: {values[-1]!r}."
    )


def _number_outcome(raw: Mapping[str, Sequence[str]], settings: CohortSettings) -> Outcomes:
    name = settings.outcome
    values, faults = _numbers(raw[name], name, "outcome", lambda value: "")
    there = [value for value in values if value is not None]
    problems = []
    if not there:
        text = next((cell for cell in raw[name] if cell.casefold() not in MISSING), "")
        problems.append(
            f"the outcome column {name!r} holds {f'text ({text!r})' if text else 'nothing'}, and cohort.outcome_kind is number. "
            "Name a column of numbers, or set cohort.outcome_kind: classes."
        )
    elif len(set(there)) == 1:
        problems.append(
            f"the outcome {name!r} is {there[0]:g} in every case, so there is nothing to predict. Name another column."
        )
    return Outcomes([None if value is None else 0 for value in values], {"value": values}, problems, faults)


def _time_to_event(raw: Mapping[str, Sequence[str]], settings: CohortSettings) -> Outcomes:
    name, time_name = settings.outcome, str(settings.time)
    cells, faults = _cells(raw[name], name)
    code_of = {canonical(value): CENSORED for value in ("0", *settings.censored)}
    code_of |= {canonical(value): COMPETING for value in settings.competing}
    code_of |= {canonical(value): EVENT for value in settings.event}
    problems = []
    odd = sorted({cell for cell in cells if cell is not None} - set(code_of))
    if odd:
        problems.append(
            f"the outcome column {name!r} holds {joined(odd[:6])}, and nothing says what that means. "
            "Name every value in cohort.event, cohort.competing or cohort.censored."
        )
    codes = [None if cell is None else code_of.get(cell) for cell in cells]

    def below_zero(value: float) -> str:
        return "is below 0" if value < 0 else ""

    times, time_faults = _numbers(raw[time_name], time_name, "time", below_zero)
    for place, (problem, hint) in time_faults.items():
        earlier = faults.get(place)
        faults[place] = (f"{earlier[0]} {problem}", f"{earlier[1]} {hint}") if earlier else (problem, hint)
    if not problems and EVENT not in codes:
        problems.append(
            f"no case has the event: cohort.event is {joined(list(settings.event))}, and the outcome column {name!r} holds "
            f"{joined(sorted({cell for cell in cells if cell is not None})[:6]) if any(cells) else 'nothing'}. "
            "Check cohort.event, or name another column."
        )
    known = [time for time in times if time is not None]
    if not known:
        problems.append(f"the time column {time_name!r} holds no time (a number, 0 or more). Name another column.")
    elif settings.horizon is not None and settings.horizon > max(known):
        problems.append(
            f"cohort.horizon is {settings.horizon:g}, but nobody was followed beyond {max(known):g} ({time_name!r}). "
            "Choose a time within the follow-up, in the unit of the time column."
        )
    both = [None if time is None else code for code, time in zip(codes, times, strict=True)]
    return Outcomes(both, {"time": times}, problems, faults)


def _cells(column: Sequence[str], name: str) -> tuple[list[str | None], dict[int, tuple[str, str]]]:
    cells = [None if cell.casefold() in MISSING else canonical(cell) for cell in column]
    missing = (f"the outcome {name!r} is missing.", "Fill it in, or remove the row.")
    return cells, {place: missing for place, cell in enumerate(cells) if cell is None}


def _numbers(
    column: Sequence[str], name: str, what: str, wrong: Callable[[float], str]
) -> tuple[list[float | None], dict[int, tuple[str, str]]]:
    """Every cell as a number, None where it is none or is wrong; and why. ``wrong`` says what is wrong with a number, or nothing."""
    values: list[float | None] = []
    faults: dict[int, tuple[str, str]] = {}
    for place, cell in enumerate(column):
        value = number(cell)
        if cell.casefold() in MISSING:
            faults[place] = (f"the {what} {name!r} is missing.", "Fill it in, or remove the row.")
            value = None
        elif value is None:
            faults[place] = (f"the {what} {name!r} is {cell!r}, no finite number.", "Write a number, or remove the row.")
        elif said := wrong(value):
            faults[place] = (f"the {what} {name!r} {said} ({cell}).", "Correct it, or remove the row.")
            value = None
        values.append(value)
    return values, faults


def canonical(text: str) -> str:
    """0, 0.0 and 00 are one class: whole numbers as such, other text as it is."""
    value = number(text)
    return str(int(value)) if value is not None and value == int(value) else text


def number(text: str) -> float | None:
    """The finite number that a cell holds."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _in_order(text: str) -> tuple[bool, float, str]:
    """Grades 2 and 10 stand in the order of numbers; text comes after them, in its own."""
    value = number(text)
    return (value is None, 0.0 if value is None else value, text)


def joined(values: Sequence[str] | Sequence[int]) -> str:
    """'a', 'b' and 'c'."""
    shown = [repr(value) if isinstance(value, str) else str(value) for value in values]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"

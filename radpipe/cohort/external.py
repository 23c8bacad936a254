"""Outcomes of patients who were never fitted on, read by the coding of those who were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from radpipe.cohort.config import CohortSettings
from radpipe.cohort.outcomes import EVENT, MISSING, Outcomes, canonical, joined, read_outcomes


def read_as_known(
    raw: Mapping[str, Sequence[str]], known: Mapping[str, Sequence[str]], settings: CohortSettings
) -> Outcomes:  # fmt: skip
    """raw, known : columns of the new and of the run's manifest -> their cells. A class means what it meant in the run.

    Its problems: a value that the run's patients do not have (another coding), one class only, nobody with the event.
    """
    if settings.outcome_kind == "time_to_event":
        return _times_as_known(raw, known, settings)
    if settings.outcome_kind != "classes":
        return read_outcomes(raw, settings)
    name = settings.outcome
    theirs = [None if cell.casefold() in MISSING else canonical(cell) for cell in known[name]]
    code_of = {
        cell: code for cell, code in zip(theirs, read_outcomes(known, settings).codes, strict=True) if cell is not None
    }  # fmt: skip
    cells = [None if cell.casefold() in MISSING else canonical(cell) for cell in raw[name]]
    missing = (f"the outcome {name!r} is missing.", "Fill it in, or remove the row.")
    found = Outcomes(
        [None if cell is None else code_of.get(cell) for cell in cells],
        faults={place: missing for place, cell in enumerate(cells) if cell is None},
    )
    values = sorted({cell for cell in cells if cell is not None})
    odd = [value for value in values if value not in code_of]
    if odd:
        return replace(found, problems=[
            f"the outcome {name!r} holds {joined(odd[:6])}, and the run's patients have {joined(sorted(code_of))}: another coding. "
            "Write it as in the run."
        ])  # fmt: skip
    if len(values) < 2:
        held = f"every patient has {values[0]!r}" if values else "it is empty"
        return replace(
            found,
            problems=[f"the outcome {name!r} has one class only ({held}): nothing can be told apart. Add patients of the other."],
        )
    return found


def _times_as_known(raw: Mapping[str, Sequence[str]], known: Mapping[str, Sequence[str]], settings: CohortSettings) -> Outcomes:
    """Times by the run's own words for the event, what competes with it, and being censored."""
    name = settings.outcome
    found = read_outcomes(raw, settings)
    theirs = {canonical(cell) for cell in known[name] if cell.casefold() not in MISSING}
    named = {canonical(value) for value in (*settings.event, *settings.competing, *settings.censored)}
    values = sorted({canonical(cell) for cell in raw[name] if cell.casefold() not in MISSING})
    odd = [value for value in values if value not in theirs | named]
    event = joined(list(settings.event))
    if odd:
        return replace(found, problems=[
            f"the outcome {name!r} holds {joined(odd[:6])}, and the run's patients have {joined(sorted(theirs))} (the event is {event}): "
            "another coding. Write it as in the run."
        ])  # fmt: skip
    if values and EVENT not in found.codes:
        return replace(found, problems=[
            f"nobody has the event: in the run it is {event}, and the outcome {name!r} holds {joined(values[:6])}, so no order of events "
            "can be judged. Add patients who had it."
        ])  # fmt: skip
    return found

"""No model is judged on a patient it has seen.

Everything that is fitted keeps the ids of the patients it was fitted on under the name ``saw``, wherever it is saved: a model's
encoder and recalibration, the model itself, and under ``upstream`` what made its inputs (habitats, input selection, other models).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from radpipe.errors import RunError


def refuse_seen(saw: Iterable[str], test_patient_ids: Iterable[str], *, model: str = "the model") -> None:
    """RunError if any test patient is among those a fitted thing saw (while fitting, stopping, recalibrating or choosing)."""
    both = sorted(set(saw) & set(test_patient_ids))
    if both:
        shown = ", ".join(both[:5]) + (f" and {len(both) - 5} more" if len(both) > 5 else "")
        raise RunError(
            f"{model} was fitted with test patients: {shown}.",
            hint="Its scores for them would be memory, not prediction: draw the splits by patient and train again.",
            kind="leakage",
        )


def records(info: Mapping[str, Any], path: str = "") -> dict[str, frozenset[str]]:
    """Name of every fitted thing in what was saved of a model -> the patients it saw; "" is the model itself.

    info : what ``state()`` gave, or a model.json: ``{"saw": [...], "encoder": {"saw": [...]}, "upstream": {"selection": {"saw": ...}}}``
    gives "", "encoder" and "upstream selection".
    """
    found: dict[str, frozenset[str]] = {}
    for name, value in info.items():
        if name == "saw":
            found[path] = frozenset(map(str, value))
        elif isinstance(value, Mapping):
            found |= records(value, f"{path} {name}".strip())
    return found


def check_records(info: Mapping[str, Any], test_patient_ids: Iterable[str], *, model: str = "the model") -> frozenset[str]:
    """All patients that anything saved with the model saw; RunError (kind leakage) where a test patient is among them, or where the
    model keeps no record of its own."""
    found = records(info)
    if not found.get(""):
        raise RunError(
            f"{model} does not say whom it was fitted on.",
            hint="A model without that record cannot be judged: every state() gives its patients as 'saw'. Train it again.",
            kind="leakage",
        )
    test = frozenset(test_patient_ids)
    for thing, saw in found.items():
        refuse_seen(saw, test, model=f"{thing} of {model}" if thing else model)
    return frozenset().union(*found.values())

"""No model is judged on a patient it has seen."""

from __future__ import annotations

from collections.abc import Iterable

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

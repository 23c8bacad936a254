"""What was asked: one pair, one metric, one margin. Its hash shows whether it was asked before the outcomes were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from radpipe.comparison.config import ComparisonSettings
from radpipe.core.keys import content_key


def question(settings: ComparisonSettings) -> dict[str, Any]:
    """What decides the verdict: the primary pair, the metric, the margin and alpha."""
    return settings.model_dump(mode="json", include={"primary", "metric", "margin", "alpha"})


def question_key(settings: ComparisonSettings) -> str:
    """SHA-256 of :func:`question`."""
    return content_key(question=question(settings))


def standing(history: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """Whether a verdict on the question ``key`` may call itself planned.

    history : every question a run folder was given, oldest first: sha256, question, after_outcomes (whether the cohort's
    outcomes had been read by then). prior is true where this very question came first and before the outcomes; changes counts the
    questions that came after them.
    """
    first = history[0] if history else None
    prior = first is not None and first["sha256"] == key and not first["after_outcomes"]
    return {
        "sha256": key,
        "prior": prior,
        "changes": sum(bool(entry["after_outcomes"]) for entry in history[1:]),
        "first": dict(first["question"]) if first is not None and first["sha256"] != key else None,
    }

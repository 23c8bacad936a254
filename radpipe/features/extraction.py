"""What an extraction gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Extraction:
    """One region, measured.

    row : column -> value, in the table's order. undefined : column -> code of :data:`radpipe.features.undefined.REASONS`, for
    every value of ``row`` that is no measurement (NaN, or what the definition sets by convention). diagnostics : PyRadiomics'
    ``diagnostics_*`` -> value; empty where they were not asked for.
    """

    row: dict[str, float]
    undefined: dict[str, str] = field(default_factory=dict)
    diagnostics: dict[str, Any] = field(default_factory=dict)

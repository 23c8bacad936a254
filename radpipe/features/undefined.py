"""Why a feature has no value, or one that is a convention and no measurement: the rows of the companion table."""

from __future__ import annotations

import math
from collections.abc import Mapping

REASONS = {
    "one-intensity": "All voxels of the region have the same intensity, so nothing varies that the feature could measure.",
    "one-level": "All voxels of the region fall into one grey level, so there is no texture. A smaller binWidth may show some.",
    "no-neighbours": "No two voxels of the region are neighbours at the distances set.",
    "no-difference": "No voxel of the region differs from the mean of its neighbours (or none has a neighbour).",
    "response-undefined": "The filter's response has no value at some voxel of the region, so nothing can be measured on it.",
    "zero-divisor": "The formula divides by zero for this region.",
}
"""Code -> what it says to a reader. A NaN is undefined for that reason; any other value is the one the definition sets there."""

# What PyRadiomics sets where its formula has no value: family -> features. (The IBSI set's rules: features/ibsi/reasons.py.)
_SET_WHERE_ONE_INTENSITY = {"firstorder": ("Skewness", "Kurtosis")}
_SET_WHERE_ONE_LEVEL = {"glcm": ("Correlation", "MCC", "Imc1", "Imc2"), "ngtdm": ("Contrast", "Busyness")}
_SET_WHERE_NO_DIFFERENCE = {"ngtdm": ("Coarseness", "Strength")}
_FLAT_COARSENESS = 1e6
_OF_PAIRS = {"glcm", "ngtdm", "glrlm"}


def reasons(family: str, values: Mapping[str, float], *, one_intensity: bool, one_level: bool) -> dict[str, str]:
    """feature -> code of :data:`REASONS`, for every value of one family that is no measurement.

    family : as in column names ("glcm"). values : all of the family's features of one region, by name.
    one_intensity, one_level : whether the region's voxels have a single intensity, a single grey level.
    """
    found: dict[str, str] = {}
    if one_intensity:
        found |= dict.fromkeys(_SET_WHERE_ONE_INTENSITY.get(family, ()), "one-intensity")
    if values.get("Coarseness") == _FLAT_COARSENESS:
        found |= dict.fromkeys(_SET_WHERE_NO_DIFFERENCE.get(family, ()), "no-difference")
    if one_level:
        found |= dict.fromkeys(_SET_WHERE_ONE_LEVEL.get(family, ()), "one-level")
    for name, value in values.items():
        if not math.isfinite(value):
            found[name] = _why(family, one_intensity, one_level)
    return {name: found[name] for name in values if name in found}


def _why(family: str, one_intensity: bool, one_level: bool) -> str:
    if family in _OF_PAIRS:
        return "one-level" if one_level else "no-neighbours"
    return "one-intensity" if one_intensity else "zero-divisor"

"""Why an IBSI feature has no value, or one that the manual sets and no formula gives: codes of radpipe.features.undefined.REASONS."""

from __future__ import annotations

import math
from collections.abc import Mapping

# What the manual sets where the formula has no value.
_SET_WHERE_ONE_INTENSITY = {
    "stat": ("IntensitySkewness", "ExcessIntensityKurtosis"),
    "ivh": ("AreaUnderTheIvhCurve",),
}
_SET_WHERE_ONE_LEVEL = {"ih": ("DiscretisedIntensitySkewness", "ExcessDiscretisedIntensityKurtosis")}
_OF_VARIANCE = ("MoransIIndex", "GearysCMeasure")


def reasons(
    family: str, values: Mapping[str, float], *, one_intensity: bool, one_level: bool, conventions: Mapping[str, str]
) -> dict[str, str]:
    """feature -> code, for every value of one family that is no measurement.

    family : "cm", without the aggregation. one_intensity, one_level : whether the region's voxels have a single intensity, a
    single grey level. conventions : feature -> code, of what was set for a part of the region (NGTDM of a plane of one level).
    """
    found = dict(conventions)
    if one_intensity:
        found |= dict.fromkeys(_SET_WHERE_ONE_INTENSITY.get(family, ()), "one-intensity")
    if one_level:
        found |= dict.fromkeys(_SET_WHERE_ONE_LEVEL.get(family, ()), "one-level")
    for name, value in values.items():
        if not math.isfinite(value):
            found[name] = _why(family, name, values, one_intensity, one_level)
    return {name: found[name] for name in values if name in found}


def _why(family: str, name: str, values: Mapping[str, float], one_intensity: bool, one_level: bool) -> str:
    if family in ("cm", "ngt") and all(math.isnan(value) for value in values.values()):
        return "no-neighbours"
    if one_level and family in ("cm", "ih"):
        return "one-level"
    if one_intensity and (family == "ivh" or name in _OF_VARIANCE):
        return "one-intensity"
    return "zero-divisor"

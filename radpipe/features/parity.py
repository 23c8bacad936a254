"""How far two rows of features are apart, against what they may be: |difference| <= bound x max(|reference|, natural scale)."""

from __future__ import annotations

import math

from radpipe.core.registry import lookup
from radpipe.features.family import FeatureFamily
from radpipe.features.registry import FAMILIES

BOUND = 1e-9
# A sum over triangles in another order, and eigenvalues, lose more digits.
LOOSER = {
    "shape": {
        "MeshVolume",
        "SurfaceArea",
        "SurfaceVolumeRatio",
        "Sphericity",
        "Compactness1",
        "Compactness2",
        "SphericalDisproportion",
    },
    "shape2D": {"MeshSurface", "Perimeter", "PerimeterSurfaceRatio", "Sphericity", "SphericalDisproportion"},
    "glcm": {"MCC"},
}
LOOSER_BOUND = 1e-6
# In a region that lies in a plane (or on a line) an eigenvalue is 0; PyRadiomics' is what rounding left, and the root of it
# can reach 1e-8 of the longest axis. Values below this share of the longest axis are 0 on both sides.
ZERO_AXES = {"LeastAxisLength", "Flatness", "MinorAxisLength", "Elongation"}
ZERO_AXIS = 1e-7


def off(row: dict[str, float], reference: dict[str, float]) -> dict[str, float]:
    """column -> |difference| over what it may be; above 1 is too far. Infinite where only one side has it or is NaN."""
    found = {}
    for column in [*reference, *(name for name in row if name not in reference)]:
        if column not in row or column not in reference:
            found[column] = math.inf
            continue
        ours, theirs = row[column], reference[column]
        if math.isnan(ours) or math.isnan(theirs):
            found[column] = 0.0 if math.isnan(ours) and math.isnan(theirs) else math.inf
            continue
        prefix, name = column.rsplit("_", 1)
        family: FeatureFamily = lookup(FAMILIES, prefix.rsplit("_", 1)[1], "feature class")
        siblings = {key.rsplit("_", 1)[1]: value for key, value in reference.items() if key.rsplit("_", 1)[0] == prefix}
        if name in ZERO_AXES and max(abs(ours), abs(theirs)) <= ZERO_AXIS * family.natural_scale(name, siblings):
            found[column] = 0.0
            continue
        bound = LOOSER_BOUND if name in LOOSER.get(family.name, ()) else BOUND
        allowed = bound * max(abs(theirs), family.natural_scale(name, siblings))
        found[column] = abs(ours - theirs) / allowed if allowed > 0 else (0.0 if ours == theirs else math.inf)
    return found

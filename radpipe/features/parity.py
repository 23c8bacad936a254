"""How far two rows of features are apart, against what they may be: |difference| <= bound x max(|reference|, natural scale).

The bound is 1e-9 on the original image and 1e-6 on filtered ones, where rounding inside the filter comes first; surfaces of
meshes and MCC, an eigenvalue, have 1e-6 everywhere. The natural scale stands beside the feature in the catalogue: a
skewness of 1e-17 and one of 0 are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from radpipe.core.registry import lookup
from radpipe.features.family import FeatureFamily
from radpipe.features.registry import FAMILIES

BOUND = 1e-9
# A filter's own rounding (1e-16 of the image's intensities) is larger against a response around 0.
FILTERED_BOUND = 1e-6
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


def bound(image_type: str, family: str, name: str) -> float:
    """What a feature's difference may be, as a share of its reference or natural scale. image_type : as in column names."""
    if name in LOOSER.get(family, ()):
        return LOOSER_BOUND
    return BOUND if image_type == "original" else FILTERED_BOUND


def off(row: Mapping[str, float], reference: Mapping[str, float]) -> dict[str, float]:
    """column -> |difference| over what it may be; above 1 is too far. Infinite where only one side has it or is NaN."""
    siblings: dict[str, dict[str, float]] = {}
    for column, value in reference.items():
        prefix, name = column.rsplit("_", 1)
        siblings.setdefault(prefix, {})[name] = value
    found = {}
    for column in [*reference, *(name for name in row if name not in reference)]:
        if column not in row or column not in reference:
            found[column] = math.inf
            continue
        prefix, name = column.rsplit("_", 1)
        image_type, family_name = prefix.rsplit("_", 1)
        family: FeatureFamily = lookup(FAMILIES, family_name, "feature class")
        found[column] = _share(image_type, family, name, row[column], reference[column], siblings[prefix])
    return found


def _share(image_type: str, family: FeatureFamily, name: str, ours: float, theirs: float, siblings: dict[str, float]) -> float:
    if ours == theirs or (math.isnan(ours) and math.isnan(theirs)):
        return 0.0
    if not (math.isfinite(ours) and math.isfinite(theirs)):
        return math.inf
    scale = family.natural_scale(name, siblings)
    if name in ZERO_AXES and max(abs(ours), abs(theirs)) <= ZERO_AXIS * scale:
        return 0.0
    allowed = bound(image_type, family.name, name) * max(abs(theirs), scale)
    return abs(ours - theirs) / allowed if allowed > 0 else math.inf

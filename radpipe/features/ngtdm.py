"""Neighbouring grey-tone differences: each voxel against the mean of its neighbours. 5 features of PyRadiomics (IBSI IPET).

Amadasun and King 1989, doi:10.1109/21.44046.
"""

from __future__ import annotations

from radpipe.features._kernels.neighbourhood import tone_difference_features
from radpipe.typing import FloatArray


def compute(count: FloatArray, difference: FloatArray) -> dict[str, float]:
    """Every feature of the family. count, difference : of :func:`~radpipe.features._kernels.neighbourhood.neighbourhood`."""
    coarseness, contrast, busyness, complexity, strength = tone_difference_features(count, difference)
    return {
        "Busyness": float(busyness),
        "Coarseness": float(coarseness),
        "Complexity": float(complexity),
        "Contrast": float(contrast),
        "Strength": float(strength),
    }

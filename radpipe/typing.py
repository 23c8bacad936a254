"""Array aliases that say their shapes. Arrays of voxels are always (z, y, x)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Volume: TypeAlias = NDArray[Any]  # (z, y, x), any numeric dtype
BoolVolume: TypeAlias = NDArray[np.bool_]  # (z, y, x)
FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

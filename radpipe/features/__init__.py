"""Image, region -> one row of features, or one map a feature: PyRadiomics' names and values, by radpipe's own kernels.

``extract``, ``extract_row`` and ``extract_maps`` are the doors of this room; each is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "FeatureSettings": "radpipe.features.config",
    "FeatureMaps": "radpipe.features.maps",
    "extract_maps": "radpipe.features.maps",
    "extract_row": "radpipe.features.extract",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'radpipe.features' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)

"""config -> cohort -> image -> mask -> features -> selection -> ANN | 3D CNN -> predictions -> evaluation -> comparison -> report.

The names below are the public ones; each is imported when it is first used, so that ``import radpipe`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "load_workflow": "radpipe.config",
    "Workflow": "radpipe.config",
    "run": "radpipe.pipeline",
    "load_sts_pet": "radpipe.datasets",
    "read_image": "radpipe.io.volumes",
    "read_mask": "radpipe.io.volumes",
    "Grid": "radpipe.core.grid",
    "Image": "radpipe.core.image",
    "Mask": "radpipe.core.image",
    "extract": "radpipe.features.extract",
    "extract_row": "radpipe.features.extract",
    "extract_maps": "radpipe.features.maps",
    "feature_dictionary": "radpipe.features.dictionary",
    "FeatureSettings": "radpipe.features.config",
    "select_inputs": "radpipe.selection.select",
    "evaluate": "radpipe.evaluation.metrics",
    "compare_models": "radpipe.comparison.compare",
    "RadpipeError": "radpipe.errors",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'radpipe' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""IBSI 2's filters by the names that ``filter`` of the IBSI parameters takes. One line a filter.

Beside ``apply`` a filter's module has PARAMS (its settings class), ``prefix(params)`` (of the columns' names),
``meaning(params)`` (for the dictionary) and ``reach(params, spacing_mm)`` (voxels around a voxel that its response depends on;
None: the whole image).
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from radpipe.core.registry import lookup, nearest
from radpipe.errors import ConfigError
from radpipe.filters.ibsi_common import FilterSettings

IBSI_FILTERS: dict[str, str] = {
    "mean": "radpipe.filters.ibsi_mean:apply",
    "log": "radpipe.filters.ibsi_log:apply",
    "laws": "radpipe.filters.ibsi_laws:apply",
    "gabor": "radpipe.filters.ibsi_gabor:apply",
    "wavelet": "radpipe.filters.ibsi_wavelet:apply",
    "simoncelli": "radpipe.filters.ibsi_simoncelli:apply",
    "riesz_log": "radpipe.filters.ibsi_riesz_log:apply",
    "riesz_simoncelli": "radpipe.filters.ibsi_riesz_simoncelli:apply",
}


def module_of(name: str) -> ModuleType:
    """The filter's module; ConfigError with the nearest name where there is no such filter."""
    lookup(IBSI_FILTERS, name, "IBSI filter")
    return importlib.import_module(IBSI_FILTERS[name].partition(":")[0])


def settings_of(name: str, values: dict[str, Any] | None) -> FilterSettings:
    """The filter's settings, typed; ConfigError names every key that is unknown (with the nearest known one) or out of range."""
    model: type[FilterSettings] = module_of(name).PARAMS
    if values is not None and not isinstance(values, dict):
        raise ConfigError(
            f"{name}: its settings must be a mapping, not {values!r}.", hint=f"Keys: {', '.join(model.model_fields)}."
        )
    try:
        return model.model_validate(values or {})
    except ValidationError as error:
        said = []
        for item in error.errors():
            key = ".".join(str(step) for step in item["loc"])
            if item["type"] == "extra_forbidden":
                said.append(f"{name}: unknown key {key!r}.{nearest(key, model.model_fields)}".rstrip("."))
            elif key:
                said.append(f"{name}.{key}: {item['msg'].removeprefix('Value error, ')} (got {item['input']!r})")
            else:
                said.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
        raise ConfigError(f"{'; '.join(said)}.", hint=f"Keys of {name}: {', '.join(model.model_fields)}.") from None

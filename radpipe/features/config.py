"""Settings of the features room."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field, model_validator

from radpipe.core.settings import Settings
from radpipe.errors import ConfigError
from radpipe.features.parameters import Parameters, parse_parameters


class FeatureSettings(Settings):
    """Which features are taken from every region, and how."""

    engine: Literal["radpipe", "pyradiomics"] = "radpipe"
    """radpipe's own kernels, or the pyradiomics package (`make pyradiomics`) for filtered images; the values agree."""
    params: dict[str, Any] = Field(default_factory=dict)
    """PyRadiomics' parameter mapping (setting, imageType, featureClass), or the path of a YAML or JSON file that holds it."""
    table: str | None = None
    """A CSV of features made elsewhere, to be used in place of extracting; relative to the workflow file."""

    @model_validator(mode="after")
    def _parameters_are_known(self) -> FeatureSettings:
        if self.engine == "radpipe":
            try:
                parse_parameters(self.params)
            except ConfigError as error:
                raise ValueError(f"params: {error.problem} {error.hint}") from error
        return self

    @property
    def parameters(self) -> Parameters:
        """``params``, typed, with every default written out; ConfigError where radpipe's engine cannot follow them."""
        return _parsed(json.dumps(self.params, default=str))


@lru_cache(maxsize=16)
def _parsed(params: str) -> Parameters:
    return parse_parameters(json.loads(params))

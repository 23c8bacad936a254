"""Settings of the features room."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from radpipe.core.settings import Settings
from radpipe.errors import ConfigError
from radpipe.features.parameters import Parameters, parse_parameters

if TYPE_CHECKING:
    from radpipe.features.ibsi.parameters import IbsiParameters


class FeatureSettings(Settings):
    """Which features are taken from every region, and how."""

    engine: Literal["radpipe", "pyradiomics"] = "radpipe"
    """radpipe's own kernels, or the pyradiomics package (`make pyradiomics`) for filtered images; the values agree."""
    feature_set: Literal["pyradiomics", "ibsi"] = "pyradiomics"
    """Whose features: PyRadiomics' names, definitions and processing, or those of the IBSI reference manual."""
    params: dict[str, Any] = Field(default_factory=dict)
    """PyRadiomics' parameter mapping (setting, imageType, featureClass), or that of the IBSI set (docs: ibsi); or the path of a
    YAML or JSON file that holds it."""
    table: str | None = None
    """A CSV of features made elsewhere, to be used in place of extracting; relative to the workflow file."""

    @model_validator(mode="after")
    def _parameters_are_known(self) -> FeatureSettings:
        if self.feature_set == "ibsi" and self.engine == "pyradiomics":
            raise ValueError("engine pyradiomics has no IBSI set; use engine: radpipe with feature_set: ibsi")
        if self.engine == "radpipe":
            try:
                if self.feature_set == "ibsi":
                    parse_ibsi(self.params)
                else:
                    parse_parameters(self.params)
            except ConfigError as error:
                raise ValueError(f"params: {error.problem} {error.hint}") from error
        return self

    @property
    def parameters(self) -> Parameters:
        """``params`` of the PyRadiomics set, typed, with every default written out.

        ConfigError where radpipe's engine cannot follow them, or they are those of the IBSI set.
        """
        if self.feature_set != "pyradiomics":
            raise ConfigError("feature_set: ibsi has no PyRadiomics parameters.", hint="Read ibsi_parameters.")
        return _parsed(json.dumps(self.params, default=str))

    @property
    def ibsi_parameters(self) -> IbsiParameters:
        """``params`` of the IBSI set, typed, with every default written out; ConfigError where they are PyRadiomics'."""
        if self.feature_set != "ibsi":
            raise ConfigError("feature_set: pyradiomics has no IBSI parameters.", hint="Set feature_set: ibsi.")
        return _parsed_ibsi(json.dumps(self.params, default=str))


@lru_cache(maxsize=16)
def _parsed(params: str) -> Parameters:
    return parse_parameters(json.loads(params))


@lru_cache(maxsize=16)
def _parsed_ibsi(params: str) -> IbsiParameters:
    return parse_ibsi(json.loads(params))


def parse_ibsi(params: dict[str, Any]) -> IbsiParameters:
    """The other set's models are made only where it is asked for: every process that starts would wait for them."""
    from radpipe.features.ibsi import parameters

    return parameters.parse_ibsi(params)

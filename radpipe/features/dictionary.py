"""What every column of the features table is, one row each (``feature_dictionary.parquet``)."""

from __future__ import annotations

from typing import Any

from radpipe import __version__
from radpipe.core.keys import content_key
from radpipe.core.registry import lookup
from radpipe.errors import ConfigError
from radpipe.features.config import FeatureSettings
from radpipe.features.family import FeatureFamily
from radpipe.features.registry import FAMILIES


def feature_dictionary(settings: FeatureSettings, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """Rows of FEATURE_DICTIONARY, in the order of the table's columns.

    columns : the table's, needed where filters of the pyradiomics engine name columns that only the run can tell; by
    default those that radpipe's engine makes with these settings.
    """
    key = settings_key(settings)
    source = f"radpipe {__version__}"
    if settings.engine == "pyradiomics":
        from radpipe.features.pyradiomics_engine import pyradiomics_version

        source = f"pyradiomics {pyradiomics_version()}"
    if columns is None:
        parameters = settings.parameters
        columns = [f"original_{family}_{name}" for family, names in parameters.features.items() for name in names]
    return [_entry(column, source, key) for column in columns]


def settings_key(settings: FeatureSettings) -> str:
    """First 16 digits of the SHA-256 of the extraction settings, defaults written out: the same extraction, the same key."""
    if settings.engine == "radpipe":
        return content_key(
            engine="radpipe", parameters=settings.parameters.model_dump(mode="json", exclude={"reading", "voxel"})
        )[:16]
    return content_key(engine=settings.engine, params=settings.params)[:16]


def _entry(column: str, source: str, key: str) -> dict[str, Any]:
    image_type, family_name, name = column.rsplit("_", 2)
    try:
        family: FeatureFamily = lookup(FAMILIES, family_name, "feature class")
        feature = family.feature(name)
    except (KeyError, ConfigError) as error:
        raise ConfigError(
            f"{column!r} is no feature radpipe knows.", hint="Columns are <imageType>_<class>_<Feature>."
        ) from error
    return {
        "name": column,
        "image_type": image_type,
        "family": family_name,
        "feature": name,
        "ibsi": feature.ibsi,
        "unit": feature.unit,
        "meaning": feature.meaning,
        "convention": "pyradiomics",
        "source": source,
        "settings_key": key,
    }

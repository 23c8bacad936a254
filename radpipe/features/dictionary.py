"""What every column of the features table is, one row each (``feature_dictionary.parquet``)."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from radpipe import __version__
from radpipe.core.keys import content_key
from radpipe.core.registry import lookup
from radpipe.errors import ConfigError
from radpipe.features.config import FeatureSettings
from radpipe.features.family import FeatureFamily
from radpipe.features.images import SHAPES, column_names, image_type
from radpipe.features.parameters import ImageTypeSettings, Parameters, TextureSettings, parse_parameters
from radpipe.features.registry import FAMILIES
from radpipe.filters.settings import READ_BY

Row = dict[str, Any]


def feature_dictionary(settings: FeatureSettings, columns: list[str] | None = None) -> list[Row]:
    """Rows of FEATURE_DICTIONARY, in the order of the table's columns.

    columns : those of a table, where it may hold others than these settings make; by default exactly those. ConfigError where a
    column is no feature.
    """
    if settings.feature_set == "ibsi":
        return _ibsi(settings, columns)
    key = settings_key(settings)
    source = f"radpipe {__version__}"
    parameters = settings.parameters if settings.engine == "radpipe" else None
    if settings.engine == "pyradiomics":
        from radpipe.features.pyradiomics_engine import pyradiomics_version

        source = f"pyradiomics {pyradiomics_version()}"
        parameters = _if_known(settings)
    if columns is None:
        columns = column_names(settings.parameters)
    images = _images(parameters) if parameters is not None else {}
    return [_entry(column, images, parameters) | {"source": source, "settings_key": key} for column in columns]


def settings_key(settings: FeatureSettings) -> str:
    """First 16 digits of the SHA-256 of the extraction settings, defaults written out: the same extraction, the same key."""
    if settings.feature_set == "ibsi":
        from radpipe.features.ibsi.dictionary import settings_key as of_ibsi

        return of_ibsi(settings.ibsi_parameters)
    if settings.engine == "radpipe":
        chosen = settings.parameters.model_dump(mode="json", exclude={"reading", "voxel"})
        return content_key(engine="radpipe", parameters=chosen)[:16]
    return content_key(engine=settings.engine, params=settings.params)[:16]


def _ibsi(settings: FeatureSettings, columns: list[str] | None) -> list[Row]:
    from radpipe.features.ibsi.dictionary import pyradiomics_names, rows

    parameters = settings.ibsi_parameters
    other = pyradiomics_names(parameters)
    made_by = _json(parameters.model_dump(mode="json", exclude_defaults=True))
    found = {row["name"]: row | {"other_name": other[row["name"]], "settings": made_by} for row in rows(parameters)}
    if columns is None:
        return list(found.values())
    for column in columns:
        if column not in found:
            raise ConfigError(f"{column!r} is no feature of these settings.", hint="Columns are <imageType>_<family>_<Feature>.")
    return [found[column] for column in columns]


def _if_known(settings: FeatureSettings) -> Parameters | None:
    """pyradiomics takes some parameters that radpipe refuses; what they are is then not said column by column."""
    try:
        return parse_parameters(settings.params)
    except ConfigError:
        return None


def _images(parameters: Parameters) -> dict[str, tuple[str, ImageTypeSettings]]:
    """prefix of a column -> (its image type, the settings of that)."""
    return {
        prefix: (kind, settings) for kind, settings in parameters.images.items() for prefix in image_type(kind).prefixes(settings)
    }


def _entry(column: str, images: dict[str, tuple[str, ImageTypeSettings]], parameters: Parameters | None) -> Row:
    try:
        prefix, family_name, name = column.rsplit("_", 2)
        family: FeatureFamily = lookup(FAMILIES, family_name, "feature class")
        feature = family.feature(name)
    except (KeyError, ValueError, ConfigError) as error:
        raise ConfigError(
            f"{column!r} is no feature radpipe knows.", hint="Columns are <imageType>_<class>_<Feature>."
        ) from error
    filtered = prefix != "original"
    known = images.get(prefix)
    meaning = feature.meaning
    if filtered:
        told = image_type(known[0]).told(prefix, known[1]) if known else f"the image type {prefix}"
        meaning = f"{feature.meaning.removesuffix('.')}; of {told}."
    return {
        "name": column,
        "image_type": prefix,
        "family": family_name,
        "feature": name,
        "ibsi": feature.ibsi,
        # A response has a unit of its own: a squared HU or an HU per mm is no HU.
        "unit": feature.unit.replace("intensity", "response") if filtered else feature.unit,
        "meaning": meaning,
        "convention": "pyradiomics",
        "other_name": _ibsi_name(family_name, name, feature.ibsi, known[1] if known else None),
        "settings": _made_by(family_name, known, parameters),
    }


def _ibsi_name(family: str, name: str, tag: str, settings: ImageTypeSettings | None) -> str:
    """``<family>_<Feature>`` of the IBSI set for the same quantity, "" where it has none or sums directions up otherwise."""
    own, feature = _ibsi_names().get((f"{family}_{name}", tag), ("", ""))
    plane = "25D" if settings is not None and settings.force2D else "3D"
    if own in ("cm", "rlm"):
        norm = settings.weightingNorm if settings is not None else None
        if norm not in (None, "no_weighting") or (own == "cm" and settings is not None and not settings.symmetricalGLCM):
            return ""
        own = f"{own}-{plane}-{'avg' if norm is None else 'mrg'}"
    elif own in ("szm", "ngt", "ngl"):
        own = f"{own}-{plane}"
    return f"{own}_{feature}" if own else ""


@lru_cache(maxsize=1)
def _ibsi_names() -> dict[tuple[str, str], tuple[str, str]]:
    """(PyRadiomics' ``<family>_<Feature>``, IBSI tag) -> (IBSI family, feature)."""
    from radpipe.features.ibsi.catalogue import FAMILIES as IBSI_FAMILIES
    from radpipe.features.ibsi.catalogue import IbsiFeature

    return {
        (feature.pyradiomics, feature.ibsi): (family.name, feature.name)
        for family in IBSI_FAMILIES.values()
        for feature in family.features
        if isinstance(feature, IbsiFeature) and feature.pyradiomics
    }


def _made_by(family: str, known: tuple[str, ImageTypeSettings] | None, parameters: Parameters | None) -> str:
    """What made the column, as JSON: how grey levels are cut, what the filter reads, and whatever is not PyRadiomics' default."""
    if parameters is None:
        return ""
    given = parameters.setting.model_dump(mode="json", exclude_defaults=True)
    of_image = {key: value for key, value in given.items() if key not in TextureSettings.model_fields}
    if family in SHAPES or known is None:
        flat = {key: given[key] for key in ("force2D", "force2Ddimension") if key in given and family == "shape2D"}
        return _json(of_image | flat)
    kind, settings = known
    own = settings.model_dump(mode="json", exclude_defaults=True, exclude={"binWidth", "binCount"})
    bins = {"binCount": settings.binCount} if settings.binCount is not None else {"binWidth": settings.binWidth}
    read = settings.model_dump(mode="json", include=set(READ_BY.get(kind, ())))
    return _json(of_image | own | bins | read)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)

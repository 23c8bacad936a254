"""What every column of an IBSI table is: rows of the feature dictionary (``feature_dictionary.parquet``)."""

from __future__ import annotations

from typing import Any

from radpipe import __version__
from radpipe.core.keys import content_key
from radpipe.features.ibsi.catalogue import FAMILIES, IbsiFeature, column_families
from radpipe.features.ibsi.extract import image_types
from radpipe.features.ibsi.parameters import OF_MAPS, IbsiParameters

_AGGREGATIONS = {
    "2D-avg": "mean over planes and directions",
    "2D-mrg": "directions of a plane merged, mean over planes",
    "25D-avg": "planes merged, mean over directions",
    "25D-mrg": "all directions of all planes merged",
    "3D-avg": "mean over the 13 directions of the volume",
    "3D-mrg": "the 13 directions of the volume merged",
    "2D": "mean over planes",
    "25D": "planes merged",
    "3D": "in the volume",
}


def settings_key(parameters: IbsiParameters) -> str:
    """First 16 digits of the SHA-256 of the extraction settings, defaults written out: the same extraction, the same key."""
    return content_key(engine="radpipe", feature_set="ibsi", parameters=parameters.model_dump(mode="json", exclude=OF_MAPS))[:16]


def rows(parameters: IbsiParameters) -> list[dict[str, Any]]:
    """One row a column, in the table's order; the shape of ``radpipe.features.dictionary`` with convention "ibsi"."""
    key = settings_key(parameters)
    found = []
    for prefix, image in image_types(parameters).items():
        for family, way, named in column_families(parameters):
            for feature in FAMILIES[family].features:
                how = [_AGGREGATIONS[way]] if way else []
                how += [f"of {image}"] if prefix != "original" else []
                found.append(
                    {
                        "name": f"{prefix}_{named}_{feature.name}",
                        "image_type": prefix,
                        "family": named,
                        "feature": feature.name,
                        "ibsi": feature.ibsi,
                        "unit": feature.unit,
                        "meaning": feature.meaning.removesuffix(".") + (f" ({'; '.join(how)})" if how else "") + ".",
                        "convention": "ibsi",
                        "source": f"radpipe {__version__}",
                        "settings_key": key,
                    }
                )
    return found


def pyradiomics_names(parameters: IbsiParameters) -> dict[str, str]:
    """Column -> PyRadiomics' ``<family>_<Feature>`` of the same quantity, "" where it has none.

    The same by definition; discretisation, averaging and the treatment of the region's edge follow each set's own rules.
    """
    names = {}
    for prefix in image_types(parameters):
        for family, _, named in column_families(parameters):
            for feature in FAMILIES[family].features:
                assert isinstance(feature, IbsiFeature)
                names[f"{prefix}_{named}_{feature.name}"] = feature.pyradiomics
    return names

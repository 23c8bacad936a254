"""IBSI 1's reference values: the processing configurations as settings, and rows compared with the table.

Zwanenburg 2020, doi:10.1148/radiol.2020191145. Pure: the caller reads the images and the table (``ibsi1_reference_values.csv``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from radpipe.features.ibsi.catalogue import FAMILIES, IbsiFeature
from radpipe.features.ibsi.parameters import BY_PLANE, BY_VOLUME, Discretise, IbsiParameters, Resample

_HU25 = Discretise(method="fbs", width=25.0)
_BINS32 = Discretise(method="fbn", bins=32)
_AS_IT_IS = Discretise(method="none")
CONFIGURATIONS: dict[str, IbsiParameters] = {
    "digital_phantom": IbsiParameters(discretise=_AS_IT_IS, ivh=_AS_IT_IS, aggregations=(*BY_PLANE, *BY_VOLUME)),
    "A": IbsiParameters(dimension="2D", round_intensities=True, resegment_range=(-500.0, 400.0), discretise=_HU25, ivh=_AS_IT_IS),
    "B": IbsiParameters(
        dimension="2D",
        resample=Resample(spacing_mm=(2.0, 2.0)),
        round_intensities=True,
        resegment_range=(-500.0, 400.0),
        discretise=_BINS32,
        ivh=_AS_IT_IS,
    ),
    "C": IbsiParameters(
        resample=Resample(spacing_mm=(2.0, 2.0, 2.0)),
        round_intensities=True,
        resegment_range=(-1000.0, 400.0),
        discretise=_HU25,
        ivh=Discretise(method="fbs", width=2.5),
    ),
    "D": IbsiParameters(
        resample=Resample(spacing_mm=(2.0, 2.0, 2.0)),
        round_intensities=True,
        outlier_sigma=3.0,
        discretise=_BINS32,
        ivh=_AS_IT_IS,
    ),
    "E": IbsiParameters(
        resample=Resample(spacing_mm=(2.0, 2.0, 2.0), interpolation="cubic"),
        round_intensities=True,
        resegment_range=(-1000.0, 400.0),
        outlier_sigma=3.0,
        discretise=_BINS32,
        ivh=Discretise(method="fbn", bins=1000),
    ),
}
"""Name -> settings: the digital phantom, and configurations A to E of the CT phantom (rounded to whole HU after reading)."""

# Names of the aggregation methods in the table -> in columns.
_WAYS = {
    "": "",
    "2D, averaged": "2D-avg",
    "2D, slice-merged": "2D-mrg",
    "2.5D, direction-merged": "25D-avg",
    "2.5D, merged": "25D-mrg",
    "3D, averaged": "3D-avg",
    "3D, merged": "3D-mrg",
    "2D": "2D",
    "2.5D": "25D",
    "3D": "3D",
}


@dataclass(frozen=True)
class Verdict:
    """One reference value and ours. configuration : key of CONFIGURATIONS. tag, aggregation : as in the table."""

    configuration: str
    tag: str
    code: str
    aggregation: str
    column: str
    reference: float
    tolerance: float
    consensus: str
    value: float
    passed: bool


def column_of(tag: str, aggregation: str) -> str:
    """Column of a row of the table: ("cm_joint_max", "2.5D, merged") -> "original_cm-25D-mrg_JointMaximum".

    KeyError where the table speaks of a feature or aggregation radpipe does not know.
    """
    family = tag.partition("_")[0]
    way = _WAYS[aggregation]
    for feature in FAMILIES[family].features:
        if isinstance(feature, IbsiFeature) and feature.tag == tag:
            return f"original_{family}{'-' if way else ''}{way}_{feature.name}"
    raise KeyError(tag)


def configuration_of(row: Mapping[str, str]) -> str:
    """Key of CONFIGURATIONS that a row of the table belongs to."""
    return row["configuration"] or row["dataset"]


def compare(table: Iterable[Mapping[str, str]], values: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
    """The verdict on every row of the reference table whose configuration was computed.

    table : rows of ``ibsi1_reference_values.csv``. values : configuration -> row of features.
    """
    verdicts = []
    for row in table:
        configuration = configuration_of(row)
        if configuration not in values:
            continue
        column = column_of(row["tag"], row["aggregation"])
        reference, tolerance = float(row["reference_value"]), float(row["tolerance"] or 0)
        value = values[configuration][column]
        verdicts.append(
            Verdict(
                configuration,
                row["tag"],
                row["feature_code"],
                row["aggregation"],
                column,
                reference,
                tolerance,
                row["consensus"],
                value,
                within(value, reference, tolerance),
            )
        )
    return verdicts


def within(value: float, reference: float, tolerance: float) -> bool:
    """|value - reference| <= tolerance; with tolerance 0 the value must be the reference to 3 significant digits.

    The tolerance's own last digit is decimal, so a billionth of the reference is let pass for binary rounding.
    """
    if not math.isfinite(value):
        return False
    if tolerance == 0.0:
        value = float(f"{value:.3g}")
    return abs(value - reference) <= tolerance + 1e-9 * abs(reference)

"""The IBSI digital phantom: where PyRadiomics' definition is IBSI's, the value is the consensus value.

Grey levels of the phantom are its intensities 1 to 6, so a bin width of 1 changes nothing. IBSI's "3D, averaged" is
PyRadiomics' mean over directions. Reference: shared data ibsi1/, doi:10.1148/radiol.2020191145.
"""

from __future__ import annotations

import csv

import pytest

from radpipe.core.registry import lookup
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row
from radpipe.features.registry import FAMILIES

IBSI_FAMILY = {
    "shape": "Morphological features",
    "firstorder": "Intensity-based statistical features",
    "glcm": "Grey level co-occurrence based features",
    "glrlm": "Grey level run length based features",
    "glszm": "Grey level size zone based features",
    "gldm": "Neighbouring grey level dependence based features",
    "ngtdm": "Neighbourhood grey tone difference based features",
}
VOXELS = 74
# PyRadiomics divides the second moments by n, IBSI by n - 1; kurtosis is IBSI's excess kurtosis plus 3.
AS_IBSI = {
    "MajorAxisLength": lambda value: value * (VOXELS / (VOXELS - 1)) ** 0.5,
    "MinorAxisLength": lambda value: value * (VOXELS / (VOXELS - 1)) ** 0.5,
    "LeastAxisLength": lambda value: value * (VOXELS / (VOXELS - 1)) ** 0.5,
    "Kurtosis": lambda value: value - 3,
}
TAGGED = [
    (family, feature.name, feature.ibsi)
    for family in IBSI_FAMILY
    for feature in lookup(FAMILIES, family, "feature class").features
    if feature.ibsi and not feature.optional and feature.ibsi not in ("TLU2", "BJ5W")
]
HISTOGRAM = [("firstorder", "Entropy", "TLU2"), ("firstorder", "Uniformity", "BJ5W")]
TAGGED.append(("firstorder", "Kurtosis", "IPH6"))


@pytest.fixture(scope="module")
def consensus(shared_data):
    with (shared_data / "ibsi1" / "ibsi1_reference_values.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "digital_phantom"]
    return {(row["family"], row["feature_code"], row["aggregation"]): row for row in rows}


@pytest.fixture(scope="module")
def values(shared_data, read_case):
    folder = shared_data / "ibsi1" / "digital_phantom"
    image, mask = read_case(folder / "image" / "phantom.nii.gz", folder / "mask" / "mask.nii.gz")
    return extract_row(image, mask, FeatureSettings(params={"setting": {"binWidth": 1}}))


@pytest.mark.parametrize(("family", "name", "tag"), TAGGED + HISTOGRAM, ids=lambda value: str(value))
def test_is_the_consensus_value(consensus, values, family, name, tag):
    wanted = "Intensity histogram features" if tag in ("TLU2", "BJ5W") else IBSI_FAMILY[family]
    found = [consensus[wanted, tag, way] for way in ("", "3D", "3D, averaged") if (wanted, tag, way) in consensus]
    assert len(found) == 1, [key for key in consensus if key[1] == tag]
    reference, tolerance = float(found[0]["reference_value"]), float(found[0]["tolerance"] or 0)
    got = AS_IBSI.get(name, float)(values[f"original_{family}_{name}"])
    assert float(f"{got:.3g}") == pytest.approx(reference, rel=1e-9, abs=max(tolerance, 1e-12))

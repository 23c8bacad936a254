"""Which feature maps a workflow makes of every region, and what of them goes into the table. No numba, no pandas."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from radpipe.core.keys import content_key
from radpipe.core.settings import Settings
from radpipe.features.config import FeatureSettings

MAP = "__map_"
"""Between the feature and the statistic in a column's name."""
# Few and different: what is there (Mean), how much it varies nearby (Variance, Contrast), how ordered that is (Idm, runs).
# Maps whose value in flat windows is a convention (Coarseness, Correlation, MCC) make poor habitats and stay out of the default.
DEFAULT_FEATURES: dict[str, tuple[str, ...] | None] = {
    "firstorder": ("Mean", "Variance", "Entropy"),
    "glcm": ("Contrast", "Idm", "JointEntropy"),
    "glrlm": ("LongRunEmphasis",),
    "ngtdm": ("Contrast",),
}


class MapSettings(Settings):
    """Feature maps: every feature in a window around every voxel of the region. Grey levels are cut as for the scalar features."""

    kernel_radius: int = Field(1, ge=1, le=5)
    """Voxels around the voxel that belong to its window (PyRadiomics' kernelRadius): 1 is 3 x 3 x 3 voxels."""
    masked_kernel: bool = True
    """Windows read voxels of the region only (PyRadiomics' maskedKernel)."""
    stride: int = Field(1, ge=1, le=20)
    """A window at every so many voxels along every axis; 2 is an eighth of the work."""
    image_types: dict[str, dict[str, Any] | None] = Field({"Original": {}}, min_length=1)
    """Images the maps are made of, and their settings, as ``imageType`` of PyRadiomics."""
    features: dict[str, tuple[str, ...] | None] = Field(DEFAULT_FEATURES, min_length=1)
    """Family -> features, as ``featureClass`` of PyRadiomics; empty for all of the family. Shape has no maps."""
    setting: dict[str, Any] = Field(default_factory=dict)
    """What differs from ``features.params.setting`` for the maps alone, for example resampledPixelSpacing."""
    statistics: bool = True
    """Write ``<feature>__map_<Statistic>`` of every map into the features table."""

    def extraction(self, features: FeatureSettings) -> FeatureSettings:
        """Settings of :func:`radpipe.features.maps.extract_maps`; ConfigError or ValueError where they cannot be followed."""
        given = features.params.get("setting") or {}
        params: dict[str, Any] = {
            "setting": {**given, **self.setting},
            "imageType": {name: own or {} for name, own in self.image_types.items()},
            "featureClass": {family: list(names) if names else None for family, names in self.features.items()},
            "voxelSetting": {"kernelRadius": self.kernel_radius, "maskedKernel": self.masked_kernel},
        }
        return FeatureSettings(params=params)

    def key(self, features: FeatureSettings) -> str:
        """First 16 digits of the SHA-256 of all that makes the maps, defaults written out."""
        chosen = self.extraction(features).parameters.model_dump(mode="json", exclude={"reading"})
        return content_key(maps=chosen, stride=self.stride)[:16]

    def told(self, settings: str) -> str:
        """A dictionary row's settings (JSON) with those of the maps."""
        own = {"kernelRadius": self.kernel_radius, "maskedKernel": self.masked_kernel, "stride": self.stride}
        return json.dumps(json.loads(settings) | own, sort_keys=True)

"""What a feature is, and what a family of features is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """The facts of one feature.

    name : PyRadiomics' name. ibsi : the IBSI tag of the same quantity, "" where IBSI has none. unit : of the value; "1" for
    none, "intensity" for that of the image (HU, SUV or arbitrary). meaning : what it measures, one sentence.
    scale : the natural scale of a value that may lie around 0; two values are called equal when they differ by little against
    the larger of |value| and this. A number, or (another feature of the family, power): that feature's |value| ** power.
    optional : computed only where it is asked for by name.
    """

    name: str
    ibsi: str
    unit: str
    meaning: str
    scale: float | tuple[str, float] = 0.0
    optional: bool = False


@dataclass(frozen=True)
class FeatureFamily:
    """name : as in column names. features : in PyRadiomics' order of output."""

    name: str
    meaning: str
    features: tuple[Feature, ...]

    @property
    def default_names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features if not feature.optional)

    def feature(self, name: str) -> Feature:
        """KeyError where the family has none of that name."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def natural_scale(self, name: str, values: dict[str, float]) -> float:
        """The natural scale of a feature, given the family's values (name -> value) of the same region."""
        scale = self.feature(name).scale
        if isinstance(scale, tuple):
            return float(abs(values.get(scale[0], 0.0)) ** scale[1])
        return scale

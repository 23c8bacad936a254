"""PyRadiomics' parameter mapping (``setting``, ``imageType``, ``featureClass``), typed and checked.

Names, defaults, ranges and meanings are PyRadiomics 3.0.1's. A key PyRadiomics does not know is refused with the nearest
one it does. A key it knows but that radpipe cannot honour is refused with what to do; none is passed over in silence.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator

from radpipe.core.registry import lookup, nearest
from radpipe.core.settings import Settings
from radpipe.errors import ConfigError
from radpipe.features.family import FeatureFamily
from radpipe.features.registry import FAMILIES

MOST_LEVELS = 10_000
IMAGE_TYPES = (
    "Original", "LoG", "Wavelet", "Square", "SquareRoot", "Logarithm", "Exponential", "Gradient", "LBP2D", "LBP3D",
)  # fmt: skip
INTERPOLATORS = (
    "sitkNearestNeighbor", "sitkLinear", "sitkBSpline", "sitkGaussian", "sitkLabelGaussian", "sitkHammingWindowedSinc",
    "sitkCosineWindowedSinc", "sitkWelchWindowedSinc", "sitkLanczosWindowedSinc", "sitkBlackmanWindowedSinc",
)  # fmt: skip
# Settings of filters: PyRadiomics reads them only where the filter is enabled, so beside Original they change nothing.
_OF_FILTERS = (
    "sigma", "start_level", "level", "wavelet", "gradientUseSpacing", "lbp2DRadius", "lbp2DSamples", "lbp2DMethod",
    "lbp3DLevels", "lbp3DIcosphereRadius", "lbp3DIcosphereSubdivision",
)  # fmt: skip
_VOXELWISE = ("kernelRadius", "maskedKernel", "initValue", "voxelBatch")
# What the io and cohort stages settle before a region gets here: key -> (the value that changes nothing, what to do instead).
_OF_READING: dict[str, tuple[Any, str]] = {
    "label": (1, "Name the region's value in the manifest (column label)."),
    "label_channel": (0, "Write the region as a mask file of its own."),
    "correctMask": (False, "Bring the mask to the image's grid first; radpipe compares the grids of every case."),
    "geometryTolerance": (None, "radpipe compares grids to 1e-4 of a voxel; bring the mask to the image's grid first."),
}
_IGNORED = {"additionalInfo": bool}  # diagnostics_* are no features; how a row was made stands in the feature dictionary
PositiveFloat = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]


class _Strict(Settings):
    model_config = ConfigDict(strict=True)


class TextureSettings(_Strict):
    """What can differ by image type: everything applied at or after the filter."""

    binWidth: float = Field(default=25.0, gt=0)
    """Width of a grey level, in the image's unit; edges lie at its multiples."""
    binCount: int | None = Field(default=None, gt=0, le=MOST_LEVELS)
    """Number of grey levels between the region's minimum and maximum; in place of binWidth."""
    distances: tuple[PositiveInt, ...] = Field(default=(1,), min_length=1, max_length=20)
    """Offsets of GLCM, GLDM and NGTDM, voxels (largest component)."""
    force2D: bool = False
    """Offsets within the planes across force2Ddimension only."""
    force2Ddimension: int = Field(default=0, ge=0, le=2)
    """Axis left out with force2D: 0 z, 1 y, 2 x."""
    weightingNorm: Literal["manhattan", "euclidean", "infinity", "no_weighting"] | None = None
    """GLCM and GLRLM: how directions are weighted before they are added; None takes the mean of their values."""
    voxelArrayShift: int = 0
    """Added to intensities for Energy, TotalEnergy and RootMeanSquared, in the image's unit."""
    symmetricalGLCM: bool = True
    """Count every pair both ways."""
    gldm_a: int = Field(default=0, ge=0)
    """Levels that differ by at most this are alike in GLDM."""

    @field_validator("distances", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("distances")
    @classmethod
    def _once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a distance twice")
        return value


class ImageSettings(TextureSettings):
    """``setting``: the keys that bear on the original image."""

    normalize: bool = False
    """Bring the whole image to mean 0 and standard deviation 1 before resampling."""
    normalizeScale: float = Field(default=1.0, gt=0)
    """Multiplies the normalised image."""
    removeOutliers: float | None = Field(default=None, gt=0)
    """Clip the normalised image at plus and minus this many standard deviations, before scaling."""
    resampledPixelSpacing: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(default=None, min_length=3, max_length=3)
    """Voxel size after resampling in x, y, z, mm; 0 keeps the mask's."""
    interpolator: str | int | None = "sitkBSpline"
    """Of the image (masks take the nearest voxel); null switches resampling off."""
    padDistance: int = Field(default=5, ge=0)
    """Voxels kept around the region when resampling."""
    preCrop: bool = False
    """Crop before filters; on the original image it changes no value."""
    resegmentRange: tuple[float, ...] | None = Field(default=None, min_length=1, max_length=2)
    """Keep only voxels from the first to the second value (inclusive), in resegmentMode's unit."""
    resegmentMode: Literal["absolute", "relative", "sigma"] = "absolute"
    """absolute: intensities; relative: times the region's maximum; sigma: standard deviations from the region's mean."""
    resegmentShape: bool = False
    """Take shape from the resegmented region too."""
    minimumROIDimensions: int = Field(default=2, ge=1, le=3)
    """Directions the region must extend in by more than one voxel."""
    minimumROISize: int | None = Field(default=None, gt=0)
    """The region must have more voxels than this."""

    @field_validator("resampledPixelSpacing", "resegmentRange", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("interpolator")
    @classmethod
    def _known_interpolator(cls, value: str | int | None) -> str | int | None:
        if isinstance(value, str) and value not in INTERPOLATORS:
            raise ValueError(
                f"there is no interpolator {value!r}.{nearest(value, INTERPOLATORS)} Choose one of {', '.join(INTERPOLATORS)}"
            )
        if isinstance(value, int) and not 1 <= value <= 10:
            raise ValueError("an interpolator given as a number lies in 1 to 10")
        return value


class Parameters(_Strict):
    """One extraction, whole: every default written out."""

    setting: ImageSettings = ImageSettings()
    """Of the image, the region and the textures."""
    original: TextureSettings = TextureSettings()
    """``setting`` with what ``imageType: Original`` overrides; textures and first-order features go by it."""
    features: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """family -> names, in PyRadiomics' order of output."""


def parse_parameters(params: dict[str, Any]) -> Parameters:
    """PyRadiomics' mapping -> Parameters; ConfigError names every problem at once. {} gives the 107 default features."""
    problems: list[str] = []
    for key in params:
        if key not in ("setting", "voxelSetting", "featureClass", "imageType"):
            problems.append(f"unknown key {key!r}.{nearest(str(key), ('setting', 'voxelSetting', 'featureClass', 'imageType'))}")
    setting = _mapping(params, "setting", problems)
    for key in _mapping(params, "voxelSetting", problems):
        if key not in _VOXELWISE:
            problems.append(f"voxelSetting: unknown key {key!r}.{nearest(str(key), _VOXELWISE)}")
    own = _known(setting, "setting", problems)
    image_settings = _validated(ImageSettings, own, "setting", problems)
    overrides = _overrides(_mapping(params, "imageType", problems), problems)
    texture = {key: value for key, value in own.items() if key in TextureSettings.model_fields} | overrides
    texture_settings = _validated(TextureSettings, texture, "imageType.Original", problems) if overrides else None
    features = _features(params.get("featureClass"), problems)
    if problems or image_settings is None:
        listed = "; ".join(problem.rstrip(".") for problem in problems)
        raise ConfigError(f"{listed}.", hint="Keys, ranges and meanings are those of a PyRadiomics parameter file.")
    if texture_settings is None:
        texture_settings = TextureSettings(**image_settings.model_dump(include=set(TextureSettings.model_fields)))
    return Parameters(setting=image_settings, original=texture_settings, features=features)


def _mapping(params: dict[str, Any], key: str, problems: list[str]) -> dict[str, Any]:
    value = params.get(key, {})
    if not isinstance(value, dict):
        problems.append(f"{key}: must be a mapping, not {value!r}")
        return {}
    return value


def _known(setting: dict[str, Any], where: str, problems: list[str]) -> dict[str, Any]:
    """The keys that bear on the original image; the others are harmless or a problem."""
    own = {}
    known = [*ImageSettings.model_fields, *_OF_FILTERS, *_OF_READING, *_IGNORED]
    for key, value in setting.items():
        if key in ImageSettings.model_fields:
            own[key] = value
        elif key in _OF_READING:
            harmless, instead = _OF_READING[key]
            if value is not None and (value != harmless or type(value) is not type(harmless)):
                problems.append(f"{where}.{key}: {value!r} cannot be followed here. {instead}")
        elif key in _IGNORED:
            if not isinstance(value, _IGNORED[key]):
                problems.append(f"{where}.{key}: must be {_IGNORED[key].__name__} (got {value!r})")
        elif key not in _OF_FILTERS:
            problems.append(f"{where}: unknown key {key!r}.{nearest(str(key), known)}")
    return own


def _overrides(image_types: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    for name in image_types:
        if name not in IMAGE_TYPES:
            problems.append(f"imageType: unknown image type {name!r}.{nearest(str(name), IMAGE_TYPES)}")
        elif name != "Original":
            problems.append(
                f"imageType.{name}: radpipe's engine has the original image only; filtered images need `engine: pyradiomics`"
            )
    value = image_types.get("Original") or {}
    if not isinstance(value, dict):
        problems.append(f"imageType.Original: must be a mapping of settings, or {{}} (got {value!r})")
        return {}
    own = _known(value, "imageType.Original", problems)
    for key in own:
        if key not in TextureSettings.model_fields:
            problems.append(f"imageType.Original.{key}: applies to the image before any image type; set it under setting")
    return {key: value for key, value in own.items() if key in TextureSettings.model_fields}


def _features(chosen: Any, problems: list[str]) -> dict[str, tuple[str, ...]]:
    """featureClass -> names of every family; the default is every recommended feature of every family but shape2D."""
    families: dict[str, FeatureFamily] = {name: lookup(FAMILIES, name, "feature class") for name in FAMILIES}
    if chosen is None or chosen == {}:
        return {name: entry.default_names for name, entry in families.items() if name != "shape2D"}
    if not isinstance(chosen, dict):
        problems.append(f"featureClass: must be a mapping of feature classes, not {chosen!r}")
        return {}
    picked: dict[str, tuple[str, ...]] = {}
    for name, names in chosen.items():
        if name not in families:
            problems.append(f"featureClass: unknown feature class {name!r}.{nearest(str(name), FAMILIES)}")
            continue
        entry = families[name]
        if names is not None and not isinstance(names, list | tuple):
            problems.append(f"featureClass.{name}: must be a list of names, or empty for all (got {names!r})")
            continue
        known = [feature.name for feature in entry.features]
        for feature in names or ():
            if feature in REMOVED.get(name, {}):
                problems.append(f"featureClass.{name}: {feature} is no longer computed by PyRadiomics; {REMOVED[name][feature]}")
            elif feature not in known:
                problems.append(f"featureClass.{name}: unknown feature {feature!r}.{nearest(str(feature), known)}")
        picked[name] = tuple(dict.fromkeys(names)) if names else entry.default_names
    order = list(FAMILIES)[:2]  # shapes come first whatever the order of the classes
    return {name: picked[name] for name in [*(n for n in order if n in picked), *(n for n in picked if n not in order)]}


REMOVED = {
    "glcm": {
        "Dissimilarity": "it equals DifferenceAverage",
        "Homogeneity1": "it equals Id",
        "Homogeneity2": "it equals Idm",
        "SumVariance": "it equals ClusterTendency",
    },
    "gldm": {
        "GrayLevelNonUniformityNormalized": "it equals firstorder Uniformity",
        "DependencePercentage": "it is always 1",
    },
}


def _validated(model: type[_Strict], values: dict[str, Any], where: str, problems: list[str]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        for item in error.errors():
            name = ".".join(str(step) for step in (where, *item["loc"]))
            message = item["msg"].removeprefix("Value error, ")
            problems.append(f"{name}: {message} (got {item['input']!r})")
        return None

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
from radpipe.filters.registry import IMAGE_TYPES
from radpipe.filters.settings import MOST_BITS, OF_ONE_FILTER, READ_BY, FilterSettings

MOST_LEVELS = 10_000
INTERPOLATORS = (
    "sitkNearestNeighbor", "sitkLinear", "sitkBSpline", "sitkGaussian", "sitkLabelGaussian", "sitkHammingWindowedSinc",
    "sitkCosineWindowedSinc", "sitkWelchWindowedSinc", "sitkLanczosWindowedSinc", "sitkBlackmanWindowedSinc",
)  # fmt: skip
PositiveInt = Annotated[int, Field(gt=0)]


class _Strict(Settings):
    model_config = ConfigDict(strict=True)


class TextureSettings(_Strict):
    """How intensities of an image or a response become grey levels, and these textures."""

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


class ImageTypeSettings(FilterSettings, TextureSettings):
    """What can differ by image type: everything applied at or after the filter."""


class ReadingSettings(_Strict):
    """``setting``: the keys that are followed where files are read; an extraction from arrays has no use for them."""

    label: int = Field(default=1, gt=0)
    """Value of the region in the mask file."""
    label_channel: int = Field(default=0, ge=0)
    """Which component of a mask file with several values per voxel."""
    correctMask: bool = False
    """Bring a mask on another grid to the image's by nearest neighbours; otherwise that is an error."""
    geometryTolerance: float | None = Field(default=None, gt=0)
    """How far the grids of image and mask may differ; None takes the reader's default."""
    additionalInfo: bool = True
    """Hand back diagnostics_* too."""


class VoxelSettings(_Strict):
    """``voxelSetting``: the keys of feature maps, where every voxel has its own region."""

    kernelRadius: int = Field(default=1, gt=0)
    """Voxels around the voxel that belong to its window (largest component); maps take 1 to 5."""
    maskedKernel: bool = True
    """Only voxels of the region count; false: all voxels of the image around it, and grey levels are counted over them, too."""
    initValue: float = Field(default=0.0, allow_inf_nan=True)
    """Of voxels without a value."""
    voxelBatch: int | None = Field(default=None, ge=-1)
    """How many voxels are computed together; no value depends on it. None, or PyRadiomics' -1: radpipe's own choice."""

    @field_validator("voxelBatch")
    @classmethod
    def _some(cls, value: int | None) -> int | None:
        if value == 0:
            raise ValueError("must be 1 or more (or -1)")
        return value


class ImageSettings(TextureSettings):
    """``setting``: the keys that bear on the image and the region, and the textures' defaults."""

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
    """Voxels kept around the region when resampling or cropping: what filters see of its surroundings."""
    preCrop: bool = False
    """Crop before filters also where the image is not resampled; on the original image it changes no value."""
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
    reading: ReadingSettings = ReadingSettings()
    """Of reading files."""
    voxel: VoxelSettings = VoxelSettings()
    """Of feature maps."""
    images: dict[str, ImageTypeSettings] = Field(default_factory=lambda: {"Original": ImageTypeSettings()})
    """image type -> ``setting`` with what the image type overrides, in the order of the table's columns."""
    features: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """family -> names, in PyRadiomics' order of output."""


_SECTIONS = ("setting", "voxelSetting", "featureClass", "imageType")
_KNOWN = tuple(dict.fromkeys([*ImageSettings.model_fields, *ImageTypeSettings.model_fields, *ReadingSettings.model_fields]))


def parse_parameters(params: dict[str, Any]) -> Parameters:
    """PyRadiomics' mapping -> Parameters; ConfigError names every problem at once. {} gives the 107 default features."""
    problems: list[str] = []
    for key in params:
        if key not in _SECTIONS:
            problems.append(f"unknown key {key!r}.{nearest(str(key), _SECTIONS)}")
    setting = _mapping(params, "setting", problems)
    for key in setting:
        if key in VoxelSettings.model_fields:
            problems.append(f"setting.{key}: is of feature maps; set it under voxelSetting")
        elif key not in _KNOWN:
            problems.append(f"setting: unknown key {key!r}.{nearest(str(key), (*_KNOWN, *VoxelSettings.model_fields))}")
    voxelwise = _mapping(params, "voxelSetting", problems)
    for key in voxelwise:
        if key not in VoxelSettings.model_fields:
            problems.append(f"voxelSetting: unknown key {key!r}.{nearest(str(key), VoxelSettings.model_fields)}")
    parsed = {
        name: _validated(model, {key: given[key] for key in given if key in model.model_fields}, where, problems)
        for name, model, given, where in (
            ("setting", ImageSettings, setting, "setting"),
            ("reading", ReadingSettings, setting, "setting"),
            (
                "filters",
                ImageTypeSettings,
                {k: v for k, v in setting.items() if k not in TextureSettings.model_fields},
                "setting",
            ),
            ("voxel", VoxelSettings, voxelwise, "voxelSetting"),
        )
    }
    images = _images(_mapping(params, "imageType", problems) or {"Original": {}}, setting, parsed, problems)
    features = _features(params.get("featureClass"), problems)
    if problems:
        listed = "; ".join(problem.rstrip(".") for problem in problems)
        raise ConfigError(f"{listed}.", hint="Keys, ranges and meanings are those of a PyRadiomics parameter file.")
    parsed.pop("filters")
    return Parameters(**parsed, images=images, features=features)


def _mapping(params: dict[str, Any], key: str, problems: list[str]) -> dict[str, Any]:
    value = params.get(key, {})
    if not isinstance(value, dict):
        problems.append(f"{key}: must be a mapping, not {value!r}")
        return {}
    return value


def _images(
    image_types: dict[str, Any], setting: dict[str, Any], parsed: dict[str, Any], problems: list[str]
) -> dict[str, ImageTypeSettings]:
    """Every image type with its settings: those of ``setting`` with its own over them."""
    common = {key: value for key, value in setting.items() if key in ImageTypeSettings.model_fields}
    sound = parsed["setting"] is not None and parsed["filters"] is not None  # what is wrong there is said once, not by image type
    images = {}
    for name, given in image_types.items():
        where = f"imageType.{name}"
        if name not in IMAGE_TYPES:
            problems.append(f"imageType: unknown image type {name!r}.{nearest(str(name), IMAGE_TYPES)}")
            continue
        if given is not None and not isinstance(given, dict):
            problems.append(f"{where}: must be a mapping of settings, or {{}} (got {given!r})")
            continue
        own = {}
        for key, value in (given or {}).items():
            if key in ImageTypeSettings.model_fields:
                own[key] = value
            elif key in _KNOWN:
                problems.append(f"{where}.{key}: applies to the image before any image type; set it under setting")
            else:
                problems.append(f"{where}: unknown key {key!r}.{nearest(str(key), ImageTypeSettings.model_fields)}")
        settings = _validated(ImageTypeSettings, (common if sound else {}) | own, where, problems)
        if settings is not None:
            # Parameter files often hold the keys of every filter; those of another one are checked and left at their defaults.
            unread = OF_ONE_FILTER.difference(READ_BY.get(name, ()))
            settings = ImageTypeSettings(**settings.model_dump(exclude=set(unread)))
            images[name] = settings
            _refuse_impossible(name, settings, sound, problems)
    return images


def _refuse_impossible(name: str, settings: ImageTypeSettings, sound: bool, problems: list[str]) -> None:
    """What each setting allows and the image type does not."""
    if name == "LoG" and not settings.sigma and sound:
        problems.append("imageType.LoG.sigma: LoG needs at least one width in mm, for example sigma: [1.0, 3.0]")
    if name == "LBP2D" and settings.lbp2DMethod in ("default", "ror") and settings.lbp2DSamples > MOST_BITS:
        problems.append(
            f"imageType.LBP2D.lbp2DSamples: method {settings.lbp2DMethod} writes a pattern as a number of at most {MOST_BITS} bits "
            f"(got {settings.lbp2DSamples})"
        )


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

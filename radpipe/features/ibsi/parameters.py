"""Settings of the IBSI feature set, typed and checked.

Terms and defaults are those of the IBSI reference manual (doi:10.1148/radiol.2020191145). The mapping in ``params`` of a
workflow with ``feature_set: ibsi`` is read by :func:`parse_ibsi`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from radpipe.core.registry import nearest
from radpipe.core.settings import Settings
from radpipe.errors import ConfigError

MOST_LEVELS = 10_000
Dimension = Literal["2D", "3D"]
Interpolation = Literal["nearest", "linear", "cubic"]
Aggregation = Literal["2D-avg", "2D-mrg", "25D-avg", "25D-mrg", "3D-avg", "3D-mrg"]
Family = Literal["morph", "loc", "stat", "ih", "ivh", "cm", "rlm", "szm", "dzm", "ngt", "ngl"]
FAMILY_ORDER: tuple[Family, ...] = ("morph", "loc", "stat", "ih", "ivh", "cm", "rlm", "szm", "dzm", "ngt", "ngl")
BY_PLANE: tuple[Aggregation, ...] = ("2D-avg", "2D-mrg", "25D-avg", "25D-mrg")
BY_VOLUME: tuple[Aggregation, ...] = ("3D-avg", "3D-mrg")
PositiveMm = Annotated[float, Field(gt=0)]


class Resample(Settings):
    """The grid that image and mask are brought to, aligned by its centre."""

    spacing_mm: tuple[PositiveMm, ...] = Field(min_length=1, max_length=3)
    """New voxel size, mm: one number for all axes, x and y (dimension 2D), or x, y and z."""
    interpolation: Interpolation = "linear"
    """Of the image; in the plane with dimension 2D. cubic: interpolating cubic B-spline."""
    mask_interpolation: Interpolation = "linear"
    """Of the mask, before the threshold."""
    mask_threshold: float = Field(default=0.5, gt=0, le=1)
    """A new voxel is inside where at least this share of it is."""

    @field_validator("spacing_mm", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) else value

    def spacing_zyx(self, old_mm: tuple[float, float, float], dimension: str) -> tuple[float, float, float]:
        """(z, y, x), mm. old_mm : (z, y, x), kept along z with dimension 2D."""
        x, y, z = (self.spacing_mm * 3 if len(self.spacing_mm) == 1 else (*self.spacing_mm, old_mm[0]))[:3]
        return (old_mm[0] if dimension == "2D" else z, y, x)


class Discretise(Settings):
    """How intensities become grey levels 1, 2, 3, ..."""

    method: Literal["none", "fbn", "fbs"] = "none"
    """none: intensities are whole numbers already (from 1 on; with ivh any); fbn: a fixed number of bins between the
    region's minimum and maximum (K15C); fbs: bins of a fixed size (Q3RU)."""
    bins: int | None = Field(default=None, ge=1, le=MOST_LEVELS)
    """fbn: number of bins."""
    width: float | None = Field(default=None, gt=0)
    """fbs: size of a bin, in the image's unit (25 HU for CT)."""
    start: float | None = None
    """fbs: lower edge of the first bin, in the image's unit; by default the lower end of resegment_range, or, where that is
    open, the region's minimum."""

    @model_validator(mode="after")
    def _complete(self) -> Discretise:
        needed = {"fbn": "bins", "fbs": "width", "none": None}[self.method]
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"method {self.method} needs {needed}")
        for name, method in (("bins", "fbn"), ("width", "fbs"), ("start", "fbs")):
            if getattr(self, name) is not None and self.method != method:
                raise ValueError(f"{name} applies with method {method} only, not with {self.method}")
        return self


OF_MAPS = {"kernel_radius", "init_value"}
"""Settings that no row of features depends on."""


class IbsiParameters(Settings):
    """One extraction of the IBSI set, whole: every default written out."""

    dimension: Dimension = "3D"
    """2D: interpolate within the planes across z, and textures by plane; 3D: in the volume."""
    resample: Resample | None = None
    """New grid; null keeps the image's."""
    round_intensities: bool = False
    """Round to whole numbers after interpolation (CT in HU)."""
    resegment_range: tuple[float | None, float | None] | None = None
    """Keep intensities from the first to the second value (inclusive, image's unit; null is open) in the intensity mask."""
    outlier_sigma: float | None = Field(default=None, gt=0)
    """Keep intensities within this many standard deviations of the region's mean in the intensity mask; the manual uses 3."""
    discretise: Discretise = Discretise(method="fbn", bins=32)
    """Grey levels of the intensity histogram and the textures."""
    ivh: Discretise = Discretise(method="fbn", bins=1000)
    """Grey levels of the intensity-volume histogram. The manual's advice: none for intensities that are calibrated whole numbers
    (CT), fbs with a small width for other calibrated ones (PET: 0.1 SUV), fbn with 1000 bins for arbitrary ones (MR)."""
    families: tuple[Family, ...] = FAMILY_ORDER
    """Feature families: morph, loc, stat, ih, ivh, cm, rlm, szm, dzm, ngt, ngl."""
    aggregations: tuple[Aggregation, ...] = ()
    """How directions and planes of textures are brought together; by default all four by plane with dimension 2D, both of the
    volume with 3D. avg is the manual's "averaged" (25D: "direction-merged"), mrg its "merged" (2D: "slice-merged")."""
    glcm_distance: int = Field(default=1, ge=1, le=20)
    """Offset of co-occurring voxels, voxels (largest component; Chebyshev)."""
    ngtdm_distance: int = Field(default=1, ge=1, le=20)
    """Neighbours of NGTDM lie within this many voxels (Chebyshev)."""
    ngldm_distance: int = Field(default=1, ge=1, le=20)
    """Neighbours of NGLDM lie within this many voxels (Chebyshev)."""
    ngldm_alpha: int = Field(default=0, ge=0)
    """Levels that differ by at most this depend on each other in NGLDM."""
    kernel_radius: int = Field(default=1, ge=1, le=5)
    """Of feature maps only: voxels around the voxel that belong to its window; 1 is 3 x 3 x 3 voxels (3 x 3 with dimension 2D)."""
    init_value: float = Field(default=0.0, allow_inf_nan=True)
    """Of feature maps only: what stands at voxels without a value (.nan is allowed)."""
    filter: dict[str, Any] | tuple[dict[str, Any], ...] | None = None
    """One of IBSI 2's filters with its settings, ``{<name>: {...}}``, or a list of such; the image itself where null."""

    @field_validator("families", "aggregations", mode="after")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names an entry twice")
        return value

    @field_validator("resegment_range")
    @classmethod
    def _ascending(cls, value: tuple[float | None, float | None] | None) -> tuple[float | None, float | None] | None:
        if value is not None:
            low, high = value
            if low is None and high is None:
                raise ValueError("is open on both sides; leave it out")
            if low is not None and high is not None and not low < high:
                raise ValueError(f"the first value must be below the second (got {low:g} and {high:g})")
        return value

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("aggregations"):
            data = {**data, "aggregations": BY_PLANE if data.get("dimension") == "2D" else BY_VOLUME}
        return data

    @model_validator(mode="after")
    def _fits(self) -> IbsiParameters:
        if self.resample is not None:
            given = len(self.resample.spacing_mm)
            if self.dimension == "3D" and given == 2:
                raise ValueError("resample.spacing_mm: dimension 3D needs one number, or x, y and z")
            if self.dimension == "2D" and given == 3:
                raise ValueError("resample.spacing_mm: dimension 2D needs one number, or x and y; planes keep their distance")
        return self


def parse_ibsi(params: dict[str, Any]) -> IbsiParameters:
    """The mapping of a workflow or parameter file -> IbsiParameters; ConfigError names every problem at once."""
    problems: list[str] = []
    if not isinstance(params, dict):
        raise ConfigError(f"the IBSI parameters must be a mapping, not {params!r}.", hint="See radpipe.features.ibsi.parameters.")
    parameters = None
    try:
        parameters = IbsiParameters.model_validate(params)
    except ValidationError as error:
        problems += [_said(item) for item in error.errors()]
    if parameters is not None and parameters.filter is not None:
        problems += _filter_problems(parameters)
    if problems or parameters is None:
        raise ConfigError(
            f"{'; '.join(problem.rstrip('.') for problem in problems)}.",
            hint=f"Keys of the IBSI set: {', '.join(IbsiParameters.model_fields)}.",
        )
    return parameters


_MODELS: dict[str, type[Settings]] = {"resample": Resample, "discretise": Discretise, "ivh": Discretise}


def _said(item: Any) -> str:
    """One of pydantic's errors in our words: key, value, and the nearest known key where it is unknown."""
    where = [str(step) for step in item["loc"]]
    name = ".".join(where) or "params"
    if item["type"] == "extra_forbidden":
        model = _MODELS.get(where[0], IbsiParameters) if len(where) > 1 else IbsiParameters
        inside = f"{where[0]}: " if len(where) > 1 else ""
        return f"{inside}unknown key {where[-1]!r}.{nearest(where[-1], model.model_fields)}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error" and not item["loc"]:
        return str(message)
    hint = ""
    if item["type"] == "literal_error" and isinstance(item["input"], str):
        choices = [choice.strip("' ") for choice in item["ctx"]["expected"].replace(" or ", ",").split(",")]
        hint = nearest(item["input"], choices)
    return f"{name}: {message} (got {item['input']!r}){hint}"


def _filter_problems(parameters: IbsiParameters) -> list[str]:
    """What is wrong with ``filter``; each filter's module says by its settings class what it takes."""
    from radpipe.features.ibsi.chosen import chosen_filters

    try:
        chosen = chosen_filters(parameters.filter)
    except ConfigError as error:
        return [error.problem if error.problem.startswith("filter") else f"filter: {error.problem}"]
    if parameters.dimension == "3D":
        return []
    deep = [name for name, settings in chosen if settings.dimension == "3D"]
    return [f"filter: {name} in 3D cannot be used with dimension 2D; set its dimension to 2D" for name in deep]

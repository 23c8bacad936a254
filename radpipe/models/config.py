"""Settings of the models: one class a kind, told apart by ``kind``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from radpipe.core.registry import lookup, nearest
from radpipe.core.settings import Settings
from radpipe.networks.registry import CLASSIFIERS

TableInputs = Literal["selected", "features", "clinical", "volume"]
Source = Literal["scalar", "maps", "habitats"]
ALL_SOURCES: tuple[Source, ...] = ("scalar", "maps", "habitats")


def _in_order(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    if len(set(sources)) < len(sources):
        raise ValueError("names a source twice")
    return tuple(name for name in ALL_SOURCES if name in sources)


Sources = Annotated[tuple[Source, ...], Field(min_length=1), AfterValidator(_in_order)]
CropSide = Annotated[int, Field(ge=8, le=256)]
Voxels = Annotated[int, Field(ge=8, le=512)]
Neurons = Annotated[int, Field(ge=1, le=1024)]


class CalibrationSettings(Settings):
    """Recalibration of the logit on the selection part: intercept + slope * logit, held near 0 and 1.

    The selection part of a small cohort has a handful of events, on which a free slope runs away. The two therefore have
    normal priors; with many patients the data outweigh them by themselves.
    """

    recalibrate: bool = True
    """Off leaves the model's own probabilities."""
    intercept_sd: float = Field(0.5, gt=0)
    """Prior standard deviation of the intercept around 0, in logits."""
    slope_sd: float = Field(0.5, gt=0)
    """Prior standard deviation of the slope around 1."""


class AnnParams(Settings):
    """A small neural network on features: scaling, perceptron, unscaling and probabilistic layers; averaged over seeds."""

    kind: Literal["ann"] = "ann"
    inputs: TableInputs = "selected"
    """Which table it eats: the selected features, all features, the clinical columns, or the volume (as its logarithm)."""
    sources: Sources = ALL_SOURCES
    """Of ``selected`` and ``features``: which columns. scalar: one value a region; maps: statistics of feature maps; habitats: their
    shares and means. By default all that the workflow makes."""
    recipe: Literal["modern", "opennn"] = "modern"
    """modern: cross-entropy of logits, logistic layer. opennn: targets scaled to [-1, 1], squared error, unscaling, clip."""
    scaling: Literal["mean_standard_deviation", "minimum_maximum", "standard_deviation", "logarithm", "none"] = (
        "mean_standard_deviation"
    )
    """Scaling layer of the inputs, learnt on the training part."""
    hidden: tuple[Neurons, ...] = Field((3,), max_length=8)
    """Perceptrons of each hidden layer; empty for none, which is logistic regression."""
    activation: Literal["tanh", "logistic", "relu", "elu", "linear"] = "tanh"
    """Of the hidden perceptrons; the output layer is linear."""
    error: Literal["cross_entropy", "mean_squared", "normalized_squared", "weighted_squared"] | None = None
    """Error term; null for the recipe's own: cross_entropy (modern), normalized_squared (opennn)."""
    regularisation: Literal["l1", "l2", "l2_norm", "none"] | None = None
    """l1: sum |w|. l2: half the sum of w^2. l2_norm: OpenNN's norm of all parameters. null: l2 (modern), l2_norm (opennn)."""
    weight: float | None = Field(None, ge=0)
    """Of the regularisation in the loss; null for 0.1 (modern), 0.01 (opennn)."""
    iterations: int = Field(200, ge=1, le=100_000)
    """The most L-BFGS iterations."""
    minimum_iterations: int = Field(5, ge=0)
    """Iterations before the selection error has a say: on a few patients its first move is chance."""
    patience: int = Field(20, ge=1)
    """Iterations in a row without a lower selection error before it stops."""
    members: int = Field(5, ge=1, le=1000)
    """Networks from different starting weights, whose probabilities are averaged."""
    calibration: CalibrationSettings = CalibrationSettings()

    @model_validator(mode="after")
    def _error_fits_recipe(self) -> AnnParams:
        if self.error is not None and (self.recipe == "modern") != (self.error == "cross_entropy"):
            raise ValueError(
                f"error {self.error!r} does not go with recipe {self.recipe!r}: cross_entropy is of logits (modern), "
                "squared errors are of targets scaled to [-1, 1] (opennn)."
            )
        return self

    @property
    def error_term(self) -> str:
        return self.error or ("cross_entropy" if self.recipe == "modern" else "normalized_squared")

    @property
    def regularisation_term(self) -> str:
        return self.regularisation or ("l2" if self.recipe == "modern" else "l2_norm")

    @property
    def regularisation_weight(self) -> float:
        return self.weight if self.weight is not None else (0.1 if self.recipe == "modern" else 0.01)


class AugmentationSettings(Settings):
    """How training images are changed anew every epoch; 0 switches a part off."""

    flip: bool = True
    """Mirror along each axis with probability 1/2."""
    shift: float = Field(0.06, ge=0, le=0.5)
    """Largest shift along each axis, as a fraction of it."""
    rotation_deg: float = Field(15.0, ge=0, le=180)
    """Largest turn about each axis, degrees."""
    scale: float = Field(0.1, ge=0, lt=1)
    """Largest change of size, as a fraction."""
    gain: float = Field(0.1, ge=0, lt=1)
    """Largest change of the intensities' spread, as a fraction; image channels only, not the mask."""
    offset: float = Field(0.1, ge=0)
    """Largest shift of the intensities, in standard deviations of the training images."""
    noise: float = Field(0.05, ge=0)
    """Standard deviation of added noise, in standard deviations of the training images."""


class Cnn3dParams(Settings):
    """A 3D convolutional network on the image cropped around the lesion, end to end; averaged over seeds."""

    kind: Literal["cnn3d"] = "cnn3d"
    inputs: Literal["image"] = "image"
    """The cropped image."""
    crop_voxels: tuple[Voxels, Voxels, Voxels] = (32, 32, 32)
    """Size of the crop around the lesion, in the order x, y, z; in voxels of ``preprocessing.spacing_mm``."""
    mask_channel: bool = False
    """Give the outline to the network as a second channel."""
    crop_voxels: tuple[CropSide, CropSide, CropSide] = (32, 32, 32)
    """Size of the cropped image in voxels of preprocessing.spacing_mm; in the order x, y, z."""
    mask_channel: bool = False
    """Whether the outline goes in as a second channel."""
    network: str = "plaincnn3d"
    """Name in the registry of classifiers."""
    network_params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of that network; see ``radpipe describe networks``."""
    epochs: int = Field(30, ge=1, le=100_000)
    """The most passes over the training images."""
    minimum_epochs: int = Field(8, ge=0)
    """Epochs before the selection error has a say."""
    patience: int = Field(10, ge=1)
    """Epochs in a row without a lower selection error before it stops."""
    batch: int = Field(7, ge=3)
    """The most images in a step; the training part is dealt into equal batches."""
    learning_rate: float = Field(3e-3, gt=0)
    """The highest of the one-cycle schedule of AdamW."""
    weight_decay: float = Field(0.01, ge=0)
    """Of AdamW."""
    members: int = Field(2, ge=1, le=100)
    """Networks from different starting weights, whose probabilities are averaged."""
    augmentation: AugmentationSettings = AugmentationSettings()
    calibration: CalibrationSettings = CalibrationSettings()

    @field_validator("network")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in CLASSIFIERS:
            raise ValueError(
                f"there is no classifier network named {name!r}.{nearest(name, CLASSIFIERS)} "
                f"Choose one of: {', '.join(CLASSIFIERS)}."
            )
        return name

    @model_validator(mode="after")
    def _network_params_fit(self) -> Cnn3dParams:
        self.checked_network_params()
        return self

    def checked_network_params(self) -> Settings:
        """The network's own settings; pydantic's error names what does not fit."""
        params: Settings = lookup(CLASSIFIERS, self.network, "classifier network").params.model_validate(self.network_params)
        return params


class LogisticParams(Settings):
    """Logistic regression with an L2 penalty, on the clinical columns, the volume or any table."""

    kind: Literal["logistic"] = "logistic"
    inputs: TableInputs = "clinical"
    """Which table it eats. Volumes go in as logarithms."""
    sources: Sources = ALL_SOURCES
    """Of ``selected`` and ``features``: which columns. scalar: one value a region; maps: statistics of feature maps; habitats: their
    shares and means. By default all that the workflow makes."""
    c: float = Field(1.0, gt=0)
    """Inverse of the L2 penalty on standardised inputs, as in scikit-learn."""


class XgboostParams(Settings):
    """Gradient-boosted trees (xgboost), stopped on the selection part."""

    kind: Literal["xgboost"] = "xgboost"
    inputs: TableInputs = "features"
    """Which table it eats."""
    sources: Sources = ALL_SOURCES
    """Of ``selected`` and ``features``: which columns. scalar: one value a region; maps: statistics of feature maps; habitats: their
    shares and means. By default all that the workflow makes."""
    rounds: int = Field(200, ge=1, le=100_000)
    """The most trees."""
    minimum_rounds: int = Field(10, ge=1)
    """Trees before the selection error has a say."""
    patience: int = Field(20, ge=1)
    """Trees in a row without a lower selection error before it stops."""
    learning_rate: float = Field(0.05, gt=0, le=1)
    """Shrinkage of each tree."""
    depth: int = Field(2, ge=1, le=20)
    """The most splits on the way to a leaf."""
    subsample: float = Field(0.8, gt=0, le=1)
    """Fraction of training rows each tree sees."""
    columns: float = Field(0.3, gt=0, le=1)
    """Fraction of columns each tree sees."""
    l2: float = Field(1.0, ge=0)
    """Penalty on the leaves."""
    calibration: CalibrationSettings = CalibrationSettings()


ModelParams = Annotated[AnnParams | Cnn3dParams | LogisticParams | XgboostParams, Field(discriminator="kind")]
PARAMS: dict[str, type[Settings]] = {
    "ann": AnnParams, "cnn3d": Cnn3dParams, "logistic": LogisticParams, "xgboost": XgboostParams,
}  # fmt: skip

"""Settings of the models: one class a kind, told apart by ``kind``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from radpipe.core.registry import lookup, nearest
from radpipe.core.settings import Settings
from radpipe.networks.registry import CLASSIFIERS

TableInput = Literal["selected", "features", "clinical", "volume"]
Source = Literal["scalar", "maps", "habitats", "embedding"]
VOLUME = "volume_ml"
EMBEDDING: Source = "embedding"
# What a model eats that names nothing; an embedding must be asked for, because it knows the outcomes of the training part.
ALL_SOURCES: tuple[Source, ...] = ("scalar", "maps", "habitats")


def _in_order(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    if len(set(sources)) < len(sources):
        raise ValueError("names a source twice")
    return tuple(name for name in (*ALL_SOURCES, EMBEDDING) if name in sources)


Sources = Annotated[tuple[Source, ...], Field(min_length=1), AfterValidator(_in_order)]


def _one_or_more(inputs: object) -> object:
    if isinstance(inputs, list | tuple):
        if len(set(inputs)) < len(inputs):
            raise ValueError("names a table twice")
        if {"selected", "features"} <= set(inputs):
            raise ValueError("names selected and features, and the selected are among the features")
        if len(inputs) == 1:
            return inputs[0]
    return inputs


# Lists stand for fusion: their columns side by side. One table is written by itself, so that it has one spelling.
TableInputs = Annotated[TableInput | Annotated[tuple[TableInput, ...], Field(min_length=2)], BeforeValidator(_one_or_more)]
CropSide = Annotated[int, Field(ge=8, le=256)]
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


class OrderSettings(Settings):
    """Order selection: how many perceptrons the last hidden layer gets, chosen by the selection error inside each outer fold."""

    strategy: Literal["incremental", "golden_section"] = "incremental"
    """incremental: minimum, minimum + 1, ... golden_section: the bracket around the least error is narrowed by the golden section."""
    minimum: int = Field(1, ge=1, le=1024)
    """The fewest perceptrons."""
    maximum: int = Field(10, ge=1, le=1024)
    """The most perceptrons."""
    trials: int = Field(3, ge=1, le=100)
    """Networks of each order, from different starting weights."""
    of_trials: Literal["minimum", "mean"] = "mean"
    """An order's error is the least of its trials' (OpenNN), or their mean: the network is an ensemble of such trials."""
    patience: int = Field(3, ge=1)
    """incremental: it stops after so many orders whose error is above that of the order before."""
    tolerance: float = Field(0.0, ge=0)
    """An order replaces the best so far if its error is lower by more than this."""

    @model_validator(mode="after")
    def _range(self) -> OrderSettings:
        if self.maximum < self.minimum:
            raise ValueError(f"order.maximum {self.maximum} is below order.minimum {self.minimum}.")
        return self


class TableParams(Settings):
    """What all models of tables share."""

    kind: str
    inputs: TableInputs
    """Which table it eats, or several: [selected, clinical] puts their columns side by side."""
    sources: Sources = ALL_SOURCES
    """Of ``selected`` and ``features``: which columns. scalar: one value a region; maps: statistics of feature maps; habitats: their
    shares and means; embedding: a 3D CNN's deep features. By default all that the workflow makes, but no embedding."""


class AnnParams(TableParams):
    """A small neural network on features: scaling, perceptron, unscaling and probabilistic layers; averaged over seeds."""

    kind: Literal["ann"] = "ann"
    inputs: TableInputs = "selected"
    """Which table it eats: the selected features, all features, the clinical columns, or the volume (as its logarithm)."""
    recipe: Literal["modern", "opennn"] = "modern"
    """modern: cross-entropy of logits with a logistic or softmax layer; numbers standardised, squared error, unscaling; times to an
    event by Cox's partial likelihood. opennn: targets scaled to [-1, 1], squared error, unscaling, clip; not for times."""
    scaling: Literal["mean_standard_deviation", "minimum_maximum", "standard_deviation", "logarithm", "none"] = (
        "mean_standard_deviation"
    )
    """Scaling layer of the inputs, learnt on the training part."""
    hidden: tuple[Neurons, ...] = Field((3,), max_length=8)
    """Perceptrons of each hidden layer; empty for none, which is logistic (softmax, ridge, Cox) regression."""
    order: OrderSettings | None = None
    """Chooses the last number of ``hidden``; null takes it as it stands."""
    activation: Literal["tanh", "logistic", "relu", "elu", "linear"] = "tanh"
    """Of the hidden perceptrons; the output layer is linear."""
    error: Literal["cross_entropy", "mean_squared", "normalized_squared", "weighted_squared", "minkowski", "cox"] | None = None
    """Error term; null for the recipe's own: cross_entropy, mean_squared (numbers) or cox (times) in modern, normalized_squared in
    opennn. weighted_squared is for two classes."""
    bounding: Literal["none", "training"] | tuple[float, float] = "none"
    """Of numbers: predictions are held within these bounds; training: within the training part's range."""
    regularisation: Literal["l1", "l2", "l2_norm", "none"] | None = None
    """l1: sum |w|. l2: half the sum of w^2. l2_norm: OpenNN's norm of all parameters. null: l2 (modern), l2_norm (opennn)."""
    weight: float | None = Field(None, ge=0)
    """Of the regularisation in the loss; null for 0.1 (modern), 0.01 (opennn)."""
    optimiser: Literal["lbfgs", "adam"] = "lbfgs"
    """lbfgs: quasi-Newton, for tables of hundreds of rows. adam: gradient steps, for thousands; needs more iterations."""
    learning_rate: float = Field(0.01, gt=0)
    """Of adam."""
    iterations: int = Field(200, ge=1, le=100_000)
    """The most iterations of the optimiser; every one sees all rows."""
    minimum_iterations: int = Field(5, ge=0)
    """Iterations before the selection error has a say: on a few patients its first move is chance."""
    patience: int = Field(20, ge=1)
    """Iterations in a row without a lower selection error before it stops."""
    members: int = Field(5, ge=1, le=1000)
    """Networks from different starting weights, whose probabilities are averaged."""
    calibration: CalibrationSettings = CalibrationSettings()

    @model_validator(mode="after")
    def _error_fits_recipe(self) -> AnnParams:
        if self.recipe == "opennn" and self.error in ("cross_entropy", "cox"):
            raise ValueError(
                f"error {self.error!r} does not go with recipe 'opennn', whose targets are scaled to [-1, 1]: choose a squared error "
                "or recipe: modern."
            )
        if self.order is not None and not self.hidden:
            raise ValueError("order chooses the perceptrons of the last hidden layer, and hidden is empty: name one, as [3].")
        if isinstance(self.bounding, tuple) and self.bounding[0] >= self.bounding[1]:
            raise ValueError(f"bounding {list(self.bounding)} is not a lower and a higher bound.")
        return self

    def misfit(self, outcome_kind: str, n_classes: int = 2) -> str | None:
        """Why these settings are not for such an outcome, or None."""
        if outcome_kind == "time_to_event" and self.recipe == "opennn":
            return "recipe: opennn is for classes and numbers; times to an event need recipe: modern."
        fitting: tuple[str, ...] = {
            "classes": ("cross_entropy",) if self.recipe == "modern" else ("mean_squared", "normalized_squared", "weighted_squared", "minkowski"),
            "number": ("mean_squared", "normalized_squared", "minkowski"),
            "time_to_event": ("cox",),
        }[outcome_kind]  # fmt: skip
        if outcome_kind == "classes" and n_classes > 2:
            fitting = tuple(name for name in fitting if name != "weighted_squared")
        if self.error is not None and self.error not in fitting:
            return f"error {self.error!r} does not go with recipe {self.recipe!r} and this outcome: choose one of {', '.join(fitting)}."
        if outcome_kind != "number" and self.bounding != "none":
            return "bounding is for numbers: leave it at none."
        return None

    def error_of(self, outcome_kind: str) -> str:
        """The error term, the recipe's own where none is named."""
        own = {"classes": "cross_entropy", "number": "mean_squared", "time_to_event": "cox"}[outcome_kind]
        return self.error or (own if self.recipe == "modern" else "normalized_squared")

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


# What tuning may change: how a network is built and trained, not what it sees or how its members are put together.
TUNABLE = (
    "network",
    "network_params",
    "epochs",
    "minimum_epochs",
    "patience",
    "batch",
    "learning_rate",
    "weight_decay",
    "augmentation",
)


class Cnn3dParams(Settings):
    """A 3D convolutional network on the image cropped around the lesion, end to end; averaged over seeds."""

    kind: Literal["cnn3d"] = "cnn3d"
    inputs: Literal["image"] = "image"
    """The cropped image."""
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
    """Networks from different starting weights, whose probabilities (numbers, scores) are averaged."""
    candidates: tuple[dict[str, Any], ...] = Field((), max_length=100)
    """Tuning: each is a change of these settings, as {learning_rate: 0.001, network_params: {channels: [8, 16]}}. One network of each is
    fitted and the lowest selection error wins; empty takes the settings as they stand."""
    weights: str | None = None
    """File (.safetensors) to start from: a model that radpipe saved, or the state of the same network; null starts at random."""
    freeze: tuple[str, ...] = ()
    """Layers that keep the weights of that file, by name or pattern, as [conv1, layer*]."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU where torch finds one. Results of a GPU and of a CPU differ in the last digits; a CPU uses one thread."""
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
        least = lookup(CLASSIFIERS, self.network, "classifier network").least_side(self.checked_network_params())
        if min(self.crop_voxels) < least:
            raise ValueError(
                f"the {self.network} needs boxes of {least} voxels a side at least; crop_voxels is {self.crop_voxels}."
            )
        if self.freeze and self.weights is None:
            raise ValueError("freeze keeps layers as they came from a file: name it in weights, or leave freeze out.")
        for change in self.candidates:
            self.changed(change)
        return self

    def changed(self, change: dict[str, Any]) -> Cnn3dParams:
        """The settings of one of the candidates; ValueError for a key that tuning must not touch."""
        for key in change:
            if key not in TUNABLE:
                raise ValueError(f"candidates may not change {key!r}.{nearest(key, TUNABLE)} They may: {', '.join(TUNABLE)}.")
        views = {**self.augmentation.model_dump(), **change.get("augmentation", {})}
        return Cnn3dParams.model_validate({**self.model_dump(), "candidates": (), **change, "augmentation": views})

    def checked_network_params(self) -> Settings:
        """The network's own settings; pydantic's error names what does not fit."""
        params: Settings = lookup(CLASSIFIERS, self.network, "classifier network").params.model_validate(self.network_params)
        return params


class LogisticParams(TableParams):
    """Logistic regression with an L2 penalty, on the clinical columns, the volume or any table."""

    kind: Literal["logistic"] = "logistic"
    inputs: TableInputs = "clinical"
    """Which table it eats. Volumes go in as logarithms."""
    c: float = Field(1.0, gt=0)
    """Inverse of the L2 penalty on standardised inputs, as in scikit-learn."""


class XgboostParams(TableParams):
    """Gradient-boosted trees (xgboost), stopped on the selection part."""

    kind: Literal["xgboost"] = "xgboost"
    inputs: TableInputs = "features"
    """Which table it eats."""
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


class ForestParams(TableParams):
    """A random forest on the features, recalibrated on the selection part."""

    kind: Literal["forest"] = "forest"
    inputs: TableInputs = "features"
    trees: int = Field(100, ge=1, le=10_000)
    """Trees, each on a bootstrap sample of the training part, with the square root of the columns (a third of them for numbers) tried
    at every split."""
    leaf: int = Field(2, ge=1)
    """The fewest training rows in a leaf."""
    calibration: CalibrationSettings = CalibrationSettings()


class SvmParams(TableParams):
    """A support vector machine on the features; its decision value becomes a probability on the selection part."""

    kind: Literal["svm"] = "svm"
    inputs: TableInputs = "features"
    kernel: Literal["rbf", "linear"] = "rbf"
    """rbf: exp(-gamma |x - x'|^2) of standardised inputs."""
    c: float = Field(1.0, gt=0)
    """Cost of a case on the wrong side of the margin."""
    gamma: float | None = Field(None, gt=0)
    """Of the rbf kernel; null for 1 over the number of inputs."""
    calibration: CalibrationSettings = CalibrationSettings()


class LinearParams(TableParams):
    """Linear regression of a number with an L2 penalty (ridge)."""

    kind: Literal["linear"] = "linear"
    inputs: TableInputs = "features"
    """Which table it eats, or several: [selected, clinical] puts their columns side by side. Volumes go in as logarithms."""
    penalty: float = Field(1.0, ge=0)
    """Times half the sum of squared coefficients of standardised inputs, beside half the sum of squared errors of the
    standardised outcome; 0 for ordinary least squares."""


class CoxParams(TableParams):
    """Cox's proportional hazards model with an L2 penalty (ridge), for times to an event."""

    kind: Literal["cox"] = "cox"
    inputs: TableInputs = "features"
    """Which table it eats, or several: [selected, clinical] puts their columns side by side. Volumes go in as logarithms."""
    penalty: float = Field(1.0, ge=0)
    """Times half the sum of squared coefficients of standardised inputs, beside the partial likelihood's negative logarithm."""
    ties: Literal["efron", "breslow"] = "efron"
    """How patients with the event at one time share their risk set."""


class GivenParams(Settings):
    """Predictions made elsewhere for the same patients: a column of the manifest, named in cohort.given; two classes."""

    kind: Literal["given"] = "given"
    inputs: Literal["given"] = "given"
    """It reads the manifest."""
    column: str = "p_1"
    """The column with the prediction of class 1."""
    scale: Literal["probability", "logit"] = "probability"
    """What the column holds: probabilities, or logarithms of odds."""
    in_sample: bool | None = None
    """Whether the model behind it was trained or tuned on these very patients; null where that is not known. Its figures are
    then no estimate for new patients."""


class PrevalenceParams(Settings):
    """No model at all: everybody gets the outcome's frequency, or mean, in the training part."""

    kind: Literal["prevalence"] = "prevalence"
    inputs: Literal["none"] = "none"
    """It looks at nothing."""


class AverageParams(Settings):
    """Other models of the same fold averaged: probabilities, or for other outcomes scores; recalibrated on the selection part."""

    kind: Literal["average"] = "average"
    inputs: Literal["models"] = "models"
    """It eats what its models predict."""
    of: tuple[str, ...] = Field(min_length=2)
    """Names of the models that are averaged, as [ann, cnn]."""
    calibration: CalibrationSettings = CalibrationSettings()

    @model_validator(mode="after")
    def _once(self) -> AverageParams:
        if len(set(self.of)) < len(self.of):
            raise ValueError("names a model twice")
        return self


ModelParams = Annotated[
    AnnParams
    | AverageParams
    | Cnn3dParams
    | CoxParams
    | ForestParams
    | GivenParams
    | LinearParams
    | LogisticParams
    | PrevalenceParams
    | SvmParams
    | XgboostParams,
    Field(discriminator="kind"),
]
PARAMS: dict[str, type[Settings]] = {
    "ann": AnnParams, "average": AverageParams, "cnn3d": Cnn3dParams, "cox": CoxParams, "forest": ForestParams,
    "given": GivenParams, "linear": LinearParams,
    "logistic": LogisticParams, "prevalence": PrevalenceParams, "svm": SvmParams, "xgboost": XgboostParams,
}  # fmt: skip


def inputs_of(params: Any) -> tuple[str, ...]:
    """The tables a model eats, one or several: ("selected", "clinical")."""
    inputs = params.inputs
    return (inputs,) if isinstance(inputs, str) else tuple(inputs)


def logarithms(params: Any) -> bool | tuple[str, ...]:
    """Which columns go in as logarithms: True for all (a table of volumes), else their names; :class:`radpipe.models.encode.Encoder`."""
    inputs = inputs_of(params)
    return inputs == ("volume",) or ("volume" in inputs and (VOLUME,))


def references(outcome_kind: str, *, clinical: bool, volume: bool) -> dict[str, Any]:
    """What every study is set beside: name -> model. clinical, volume : whether there are such inputs."""
    line: dict[str, type[Any]] = {"classes": LogisticParams, "number": LinearParams, "time_to_event": CoxParams}
    plain = line[outcome_kind]
    found: dict[str, Any] = {"prevalence": PrevalenceParams()}
    found |= {"clinical": plain(inputs="clinical")} if clinical else {}
    found |= {"volume": plain(inputs="volume")} if volume else {}
    found[plain.model_fields["kind"].default] = plain(inputs="features")
    found |= {} if outcome_kind == "time_to_event" else {"forest": ForestParams()}
    found["xgboost"] = XgboostParams()
    return found | ({"svm": SvmParams()} if outcome_kind == "classes" else {})

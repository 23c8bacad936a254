"""How lesions are outlined."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from radpipe.core.registry import lookup, nearest
from radpipe.core.settings import Settings
from radpipe.errors import ConfigError
from radpipe.networks.registry import SEGMENTERS


class AugmentationSettings(Settings):
    """Random changes to each training patch. Every one can be turned off."""

    flips: bool = True
    """Mirror each axis with probability 1/2."""
    crop: float = Field(0.0, ge=0.0, lt=1.0)
    """Up to this share of each axis is cut away: for images that show lesions anywhere; windows around them lose by it."""
    gamma: float = Field(0.3, ge=0.0, le=2.0)
    """Intensities, as a share of the patch's range, are raised to the power exp(u), u uniform within plus or minus this."""
    warp: float = Field(0.25, ge=0.0, le=1.0)
    """Probability that a batch is rotated and scaled."""
    rotation_degrees: float = Field(15.0, ge=0.0, le=180.0)
    """Largest angle about each axis, degrees."""
    scale: float = Field(0.2, ge=0.0, le=1.0)
    """Each axis is stretched by exp(u), u uniform within plus or minus this."""


class SegmentationSettings(Settings):
    """Given or predicted outlines, and the network that predicts them."""

    masks: Literal["given", "predicted"] = "given"
    """Which outline the later stages use. given: the one in the manifest; no network is trained."""
    nesting: Literal["cross_fit", "full"] = "cross_fit"
    """cross_fit: one set of networks for the study; each patient is outlined by one that never saw that patient's outline.
    full: networks are trained anew inside every outer training part, so that test patients share no network with training ones;
    (folds + 1) x outer folds trainings."""
    folds: int = Field(5, ge=2, le=50)
    """Parts of the cross-fitting: a network is trained on all parts but one and outlines that one."""
    network: str = "unet3d"
    """Name in the registry of segmentation networks (``radpipe describe networks``)."""
    network_params: dict[str, Any] = Field(default_factory=dict)
    """The network's own parameters; unknown ones are refused."""
    epochs: int = Field(70, ge=1, le=100_000)
    """Passes over the training cases; each gives one patch a pass."""
    batch_size: int = Field(1, ge=1, le=64)
    """Patches a step. 1 where cases are few: with the time a step takes, many small steps learn more than few large ones."""
    patch_voxels: tuple[int, int, int] = (48, 40, 40)
    """Largest patch (z, y, x), voxels of the preprocessed grid; smaller images are taken whole."""
    foreground: float = Field(0.5, ge=0.0, le=1.0)
    """Where an image is larger than the patch: probability that the patch holds a voxel of the lesion drawn at random."""
    learning_rate: float = Field(6e-3, gt=0.0, le=1.0)
    """Highest rate of the one-cycle schedule (AdamW)."""
    weight_decay: float = Field(1e-4, ge=0.0, le=1.0)
    """Decoupled weight decay of AdamW."""
    augmentation: AugmentationSettings = AugmentationSettings()
    """Random changes while training."""
    overlap: float = Field(0.5, ge=0.0, lt=1.0)
    """Share of a patch that neighbouring patches have in common at inference; weights fall off to the patch's edge."""
    flip_average: bool = True
    """Average the probabilities over the 8 mirror images."""
    threshold: float = Field(0.5, gt=0.0, lt=1.0)
    """Lowest probability of a voxel inside the outline."""
    keep: Literal["largest", "all", "largest_by_probability"] = "largest_by_probability"
    """Which connected pieces stay: the one with most voxels, all, or the one with the largest sum of probabilities."""
    min_volume_ml: float = Field(0.0, ge=0.0)
    """Pieces below this are dropped, ml. A case left with none fails; the given outline never takes its place."""
    fill_holes: bool = True
    """Fill cavities that the outline encloses, such as a necrotic centre without uptake."""

    @model_validator(mode="after")
    def _network_is_known(self) -> SegmentationSettings:
        try:
            network = lookup(SEGMENTERS, self.network, "segmentation network")
        except ConfigError as error:
            raise ValueError(str(error)) from error
        try:
            network.params.model_validate(self.network_params)
        except ValidationError as error:
            raise ValueError(f"network_params of {self.network}: {_in_words(error, network.params)}") from error
        if any(n < 1 for n in self.patch_voxels):
            raise ValueError(f"patch_voxels {self.patch_voxels} must be positive")
        return self


def _in_words(error: ValidationError, params: type[BaseModel]) -> str:
    problems = []
    for item in error.errors():
        key = ".".join(str(step) for step in item["loc"])
        if item["type"] == "extra_forbidden":
            problems.append(
                f"unknown key {key!r}.{nearest(key, params.model_fields)} Known here: {', '.join(params.model_fields)}."
            )
        else:
            problems.append(f"{key}: {item['msg']}.")
    return " ".join(problems)

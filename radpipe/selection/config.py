"""Settings of input selection."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from radpipe.core.registry import nearest
from radpipe.core.settings import Settings
from radpipe.selection.registry import SELECTORS

Perturbation = Literal["translation", "rotation", "volume", "contour"]


class RobustnessSettings(Settings):
    """Features that do not repeat leave before selection: ICC over perturbed outlines, or over repeats measured elsewhere.

    The ICC of every outer fold is of its training patients alone.
    """

    icc: float = Field(0.75, gt=0, le=1)
    """The least ICC(A,1) (two-way, absolute agreement, one measurement); 0.75 is Koo and Li's good, doi:10.1016/j.jcm.2016.02.012."""
    perturbations: tuple[Perturbation, ...] = ("translation", "rotation", "volume", "contour")
    """How given outlines are changed before features are extracted again: moved, turned, grown or shrunk, or with another contour."""
    repeats: int = Field(1, ge=1, le=20)
    """Outlines of each kind of change."""
    translation: float = Field(0.5, gt=0, le=5)
    """Length of a move in voxels, in a random direction."""
    rotation_deg: float = Field(5.0, gt=0, le=45)
    """Turn about the z axis through the outline's middle, degrees; to either side."""
    volume: float = Field(0.15, gt=0, lt=1)
    """The largest change of volume, as a fraction; grown or shrunk along the outline's distance."""
    contour_mm: float = Field(1.5, gt=0, le=20)
    """Standard deviation of how far the contour moves in or out, mm, at volume kept."""
    table: str | None = None
    """A CSV of repeats made elsewhere (case_id, repeat, features) in place of perturbed outlines; relative to the workflow file."""

    @model_validator(mode="after")
    def _something_repeats(self) -> RobustnessSettings:
        if not self.perturbations and self.table is None:
            raise ValueError("names no perturbation and no table of repeats, so nothing would be repeated")
        if len(set(self.perturbations)) < len(self.perturbations):
            raise ValueError("names a perturbation twice")
        return self


class SelectionSettings(Settings):
    """How the inputs of the network are chosen, inside each training part."""

    selector: str = "tree"
    """Name in the registry of selectors; ``none`` keeps whatever is neither constant, missing nor redundant."""
    redundancy: float = Field(0.9, gt=0, le=1)
    """Of two features with |Spearman| above this the one less related to the outcome is dropped; 1 keeps all."""
    max_features: int | None = Field(6, ge=1)
    """The most inputs to keep, the most important first; null for no limit."""
    missing_fraction: float = Field(0.2, ge=0, lt=1)
    """A feature missing in more than this fraction of the training rows is dropped; the rest is filled with the median."""
    robustness: RobustnessSettings | None = None
    """Features must repeat over perturbed outlines or repeated measurements; null for no such filter."""
    trees: int = Field(100, ge=10, le=10_000)
    """tree and xgboost: trees in each forest, or rounds of boosting."""
    rounds: int = Field(10, ge=1, le=1000)
    """tree and xgboost: forests, each with its own permuted shadows; importances and shadows are averaged over them."""
    leaf: int = Field(2, ge=1)
    """tree and cart: the least training rows in a leaf of a tree."""
    shadow_quantile: float = Field(0.9, gt=0, le=1)
    """A feature is kept if its importance exceeds this quantile of the shadows'; 1 is the best shadow, the strictest.

    On six public radiomic tables cut down to 27 patients, 0.9 with 3 inputs gave the network an AUC of 0.694 and 1 one of 0.684
    (37 draws, standard error of the difference 0.01): with so few patients the best of a hundred shadows looks like a signal.
    """

    level: float = Field(0.05, gt=0, lt=1)
    """cart: a leaf is split where its best split has a smaller p than this among permuted outcomes."""
    permutations: int = Field(100, ge=19, le=10_000)
    """cart: permutations behind that p."""
    subsamples: int = Field(50, ge=10, le=10_000)
    """stability: halves of the training part."""
    frequency: float = Field(0.6, gt=0.5, le=1)
    """stability: the share of the halves in which a kept input is among the first."""
    false_inclusions: float = Field(1.0, gt=0)
    """stability: useless inputs that may be expected to be kept; sets how many count as the first."""
    maximum_correlation: float = Field(0.9, gt=0, le=1)
    """growing: inputs with this relevance or more go in at once."""
    minimum_correlation: float = Field(0.0, ge=0, lt=1)
    """growing and pruning: inputs with this relevance or less stay out."""
    selection_failures: Annotated[int, Field(ge=1)] | None = None
    """growing and pruning: rises of the selection error before the search ends; null for a fifth of the inputs, at least 3."""

    @field_validator("selector")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SELECTORS:
            raise ValueError(
                f"there is no selector named {name!r}.{nearest(name, SELECTORS)} Choose one of: {', '.join(SELECTORS)}."
            )
        return name

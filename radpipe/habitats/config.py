"""Settings of the habitats room."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from radpipe.core.settings import Settings

K = Annotated[int, Field(ge=2, le=12)]


class HabitatSettings(Settings):
    """How voxels are sorted into habitats, and how many of these there are."""

    features: tuple[str, ...] | None = Field(None, min_length=1)
    """Maps that span the feature space, by column (original_glcm_Contrast); null for all maps."""
    order_by: str | None = None
    """Habitats are numbered by their mean of this map, the lowest is habitat 1; null for the first of the features."""
    k: tuple[K, ...] = Field((2, 3, 4, 5), min_length=1)
    """Numbers of habitats to choose among; a single one is taken as it is."""
    agreement: float = Field(0.8, gt=0, le=1)
    """The most habitats are taken on which halves of the training cases agree at least so well (prediction strength, 0 to 1)."""
    halvings: int = Field(8, ge=2, le=1000)
    """Random halvings of the training cases that the agreement is the mean of."""
    voxels_per_case: int = Field(200, ge=10, le=100_000)
    """Voxels drawn from every training case, at most; so a large lesion has no more say than a small one."""
    starts: int = Field(4, ge=1, le=100)
    """Starts of k-means, of which the best is kept."""
    clip: float = Field(3.0, gt=0)
    """Standardised values beyond plus and minus this count as this, so that a few extreme voxels found no habitat of their own."""

    @field_validator("features", "k")
    @classmethod
    def _once(cls, value: tuple[object, ...] | None) -> tuple[object, ...] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("names one twice")
        return value

    @model_validator(mode="after")
    def _order_is_a_feature(self) -> HabitatSettings:
        if self.features is not None and self.order_by is not None and self.order_by not in self.features:
            raise ValueError(f"order_by is {self.order_by!r}, which is not among features ({', '.join(self.features)})")
        return self

    def columns(self, maps: tuple[str, ...]) -> tuple[str, ...]:
        """The maps that span the space, the one that orders the habitats first. maps : columns there are."""
        chosen = self.features if self.features is not None else maps
        first = self.order_by if self.order_by is not None else chosen[0]
        return (first, *(name for name in chosen if name != first))

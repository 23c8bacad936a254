"""Settings of one row a patient."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from radpipe.core.settings import Settings

Block = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]*$")]
Rule = Literal["primary", "largest", "sum", "weighted_mean"]


class PatientSettings(Settings):
    """How several regions and modalities of a patient become one row: a rule over regions, one block of columns a modality."""

    rule: Rule
    """primary: the region that ``primary`` names; largest: that of largest volume; sum; weighted_mean: weighted by volume.
    A sum is of additive features (volumes, areas, energies); see ``others``."""
    primary: str | None = Field(None, min_length=1)
    """Name of the primary region (column ``roi`` of the manifest), or a pattern such as GTVp*; case does not matter."""
    others: Literal["leave_out", "largest", "weighted_mean"] = "leave_out"
    """With rule sum: what becomes of features that may not be added, such as entropies and diameters."""
    same_region: bool = True
    """Regions are told apart by name: what one modality takes, the others take too, and have no value where they lack it."""
    block: str = Field("modality", min_length=1)
    """Column of the manifest whose values name the blocks of columns, as PET in PET__original_glcm_JointEntropy."""
    blocks: tuple[Block, ...] | None = Field(None, min_length=1)
    """The blocks in their order; the first one's region is what image models look at. null: all there are, in alphabetical order."""
    params: dict[Block, dict[str, Any]] = Field(default_factory=dict)
    """Block -> its own parameters in place of ``features.params`` (a bin width of 25 HU is none for SUV); or the path of a file."""

    @model_validator(mode="after")
    def _keys_agree(self) -> PatientSettings:
        if (self.rule == "primary") != (self.primary is not None):
            raise ValueError("rule: primary and the key primary, which names the region, go together")
        if self.others != "leave_out" and self.rule != "sum":
            raise ValueError("others goes with rule: sum")
        if self.blocks is not None:
            if len(set(self.blocks)) < len(self.blocks):
                raise ValueError("blocks names one twice")
            if strange := [name for name in self.params if name not in self.blocks]:
                raise ValueError(f"params names the block {strange[0]!r}, which is not among blocks ({', '.join(self.blocks)})")
        return self

    @property
    def one_region(self) -> bool:
        """Whether a row is of one region, not of several taken together."""
        return self.rule in ("primary", "largest")

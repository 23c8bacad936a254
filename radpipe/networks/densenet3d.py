"""A 3D DenseNet from MONAI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from radpipe.core.settings import Settings
from radpipe.networks.network import Network

if TYPE_CHECKING:
    from torch import nn

Layers = Annotated[int, Field(ge=1, le=64)]


class Params(Settings):
    """Parameters of the 3D DenseNet; the defaults are an eighth of the published width and three short blocks."""

    blocks: tuple[Layers, ...] = Field((2, 2, 2), min_length=1, max_length=5)
    """Layers of each dense block; (6, 12, 24, 16) is DenseNet-121. The grid is halved between two blocks."""
    features: int = Field(8, ge=1, le=512)
    """Feature maps of the first convolution; 64 as published."""
    growth: int = Field(8, ge=1, le=256)
    """Feature maps that each layer adds; 32 as published."""
    bottleneck: int = Field(2, ge=1, le=8)
    """Maps of the 1 x 1 x 1 convolution in each layer, as a multiple of growth; 4 as published."""
    stem_pool: bool = False
    """Whether max pooling halves the grid once more right after the first convolution, as published for large images."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Probability that a map of a layer is set to zero while training."""


def least_side(params: Params) -> int:
    """The first convolution, the pooling after it and each step between blocks halve the grid, and something must be left."""
    return int(2 ** (len(params.blocks) + params.stem_pool))


def build(params: Params, in_channels: int, out_channels: int) -> nn.Module:
    """(n, in_channels, z, y, x) -> logits (n, out_channels). Huang 2017, doi:10.1109/CVPR.2017.243; MONAI ``DenseNet``."""
    # Imported here: a workflow is read, and its network_params checked, without the seconds that torch and MONAI take.
    from monai.networks.nets import DenseNet  # type: ignore[attr-defined]
    from torch import nn

    network = DenseNet(
        spatial_dims=3,
        in_channels=in_channels,
        out_channels=out_channels,
        init_features=params.features,
        growth_rate=params.growth,
        block_config=params.blocks,
        bn_size=params.bottleneck,
        dropout_prob=params.dropout,
    )
    if not params.stem_pool:
        network.features.pool0 = nn.Identity()  # a box of 32 voxels a side has no voxels to give away
    return network


NETWORK = Network(
    name="densenet3d",
    summary="3D DenseNet (three short blocks at an eighth of its width by default)",
    source="MONAI DenseNet; Huang 2017, doi:10.1109/CVPR.2017.243",
    params=Params,
    library="monai",
    build=build,
    head="class_layers.out",
    least_side=least_side,
)

"""A 3D U-Net from MONAI: the segmenter of the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from radpipe.core.settings import Settings
from radpipe.networks.network import Network

if TYPE_CHECKING:
    from torch import nn


class Params(Settings):
    """Parameters of the 3D U-Net."""

    channels: tuple[int, ...] = Field((8, 16, 32, 64), min_length=2, max_length=7)
    """Feature maps at each level, from the finest."""
    full_resolution: bool = False
    """Whether the finest level works on the image's own voxels; False starts by halving the grid, several times as fast."""
    residual_convolutions: int = Field(0, ge=0, le=4)
    """Convolutions of each residual unit; 0 for one plain convolution a level."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Probability that a feature map is set to zero while training."""


def size_multiple(params: Params) -> int:
    """How often the grid is halved, as a factor."""
    return int(2 ** (len(params.channels) - 1 - params.full_resolution))


def build(params: Params, in_channels: int, out_channels: int) -> nn.Module:
    """The U-Net: (n, in_channels, z, y, x) -> logits (n, out_channels, z, y, x); axes are multiples of :func:`size_multiple`.

    Instance normalisation: each feature map of each image to mean 0 and sd 1, so that the scale of intensities does not matter.
    MONAI's ``UNet`` after Kerfoot 2018, doi:10.1007/978-3-030-12029-0_40; Çiçek 2016, doi:10.1007/978-3-319-46723-8_49.
    """
    # Imported here: a workflow is read, and its network_params checked, without the seconds that torch and MONAI take.
    from monai.networks.nets import UNet  # type: ignore[attr-defined]

    strides = (1 if params.full_resolution else 2, *(2,) * (len(params.channels) - 2))
    return UNet(
        spatial_dims=3,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=params.channels,
        strides=strides,
        num_res_units=params.residual_convolutions,
        dropout=params.dropout,
    )


NETWORK = Network(
    name="unet3d",
    summary="3D U-Net with instance normalisation (MONAI)",
    source="Kerfoot 2018, doi:10.1007/978-3-030-12029-0_40",
    params=Params,
    library="monai",
    build=build,
    size_multiple=size_multiple,
)

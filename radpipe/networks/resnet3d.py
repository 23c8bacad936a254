"""A 3D ResNet from MONAI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from radpipe.core.settings import Settings
from radpipe.networks.network import Network

if TYPE_CHECKING:
    from torch import nn


class Params(Settings):
    """Parameters of the 3D ResNet; the defaults are a ResNet-10 with an eighth of its width."""

    layers: tuple[int, ...] = Field((1, 1, 1, 1), min_length=4, max_length=4)
    """Residual blocks of each level; (1, 1, 1, 1) is ResNet-10, (2, 2, 2, 2) is ResNet-18."""
    channels: tuple[int, ...] = Field((8, 16, 32, 64), min_length=4, max_length=4)
    """Feature maps of each level; (64, 128, 256, 512) is the published width."""
    stride: int = Field(2, ge=1, le=2)
    """Of the first convolution, which is 3 x 3 x 3."""

    @model_validator(mode="after")
    def _positive(self) -> Params:
        if min(self.layers + self.channels) < 1:
            raise ValueError("layers and channels are counts of at least 1.")
        return self


def build(params: Params, in_channels: int, out_channels: int) -> nn.Module:
    """(n, in_channels, z, y, x) of any size -> logits (n, out_channels). He 2016, doi:10.1109/CVPR.2016.90; MONAI ``ResNet``."""
    # Imported here: a workflow is read, and its network_params checked, without the seconds that torch and MONAI take.
    from monai.networks.nets import ResNet  # type: ignore[attr-defined]

    return ResNet(
        block="basic",
        layers=list(params.layers),
        block_inplanes=list(params.channels),
        spatial_dims=3,
        n_input_channels=in_channels,
        conv1_t_size=3,
        conv1_t_stride=params.stride,
        no_max_pool=True,
        num_classes=out_channels,
        bias_downsample=False,
    )


NETWORK = Network(
    name="resnet3d",
    summary="3D ResNet (ResNet-10 at an eighth of its width by default)",
    source="MONAI ResNet; He 2016, doi:10.1109/CVPR.2016.90",
    params=Params,
    library="monai",
    build=build,
    head="fc",
)

"""Which networks there are: a new one is one file and one line here.

Each file holds its ``Params``, its ``build(params, in_channels, out_channels)`` and a ``NETWORK``
(:class:`radpipe.networks.network.Network`) that names the two; the entry here points at the latter.
"""

from __future__ import annotations

# image (n, channels, z, y, x) -> one logit a voxel, on the same grid
SEGMENTERS: dict[str, str] = {
    "unet3d": "radpipe.networks.unet3d:NETWORK",
}

# image (n, channels, z, y, x) -> one logit a class
CLASSIFIERS: dict[str, str] = {
    "plaincnn3d": "radpipe.networks.plaincnn3d:NETWORK",
    "resnet3d": "radpipe.networks.resnet3d:NETWORK",
    "densenet3d": "radpipe.networks.densenet3d:NETWORK",
}

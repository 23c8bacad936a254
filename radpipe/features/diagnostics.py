"""PyRadiomics' ``diagnostics_*``: what went in, and what preparation made of it. Its names, order and values.

``Versions_PyRadiomics`` says whose code ran: radpipe's, by the definitions of PyRadiomics 3.0.1. Positions and sizes are in
x, y, z, as PyRadiomics writes them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from radpipe import __version__
from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.features._kernels.binning import lay_out
from radpipe.features._kernels.zones import zones
from radpipe.features.loading import Loaded
from radpipe.features.parameters import ImageSettings
from radpipe.features.region import Box, bounding_box, directions
from radpipe.typing import BoolVolume, Volume

PREFIX = "diagnostics_"
_OF_IMAGES = ("Spacing", "Size", "Mean", "Minimum", "Maximum")
_OF_MASKS = ("Spacing", "Size", "BoundingBox", "VoxelNum", "VolumeNum", "CenterOfMassIndex", "CenterOfMass")
_INTENSITIES = ("Mean", "Minimum", "Maximum")
NAMES = tuple(
    PREFIX + name
    for name in (
        *(f"Versions_{library}" for library in ("PyRadiomics", "Numpy", "SimpleITK", "PyWavelet", "Python")),
        "Configuration_Settings",
        "Configuration_EnabledImageTypes",
        *(f"Image-original_{name}" for name in ("Hash", "Dimensionality", *_OF_IMAGES)),
        *(f"Mask-original_{name}" for name in ("Hash", *_OF_MASKS)),
        *(f"Image-interpolated_{name}" for name in _OF_IMAGES),
        *(f"Mask-{kind}_{name}" for kind in ("interpolated", "corrected", "resegmented") for name in (*_OF_MASKS, *_INTENSITIES)),
    )
)
"""Every name there is, in the order in which those that apply are given."""

# What PyRadiomics puts under Configuration_Settings before the user's own settings.
DEFAULTS: dict[str, Any] = {
    "minimumROIDimensions": 2, "minimumROISize": None, "normalize": False, "normalizeScale": 1, "removeOutliers": None,
    "resampledPixelSpacing": None, "interpolator": "sitkBSpline", "preCrop": False, "padDistance": 5, "distances": [1],
    "force2D": False, "force2Ddimension": 0, "resegmentRange": None, "label": 1, "additionalInfo": True,
}  # fmt: skip


def wanted(params: Mapping[str, Any]) -> bool:
    """Whether ``setting.additionalInfo`` asks for them; it does by default."""
    return bool((params.get("setting") or {}).get("additionalInfo", True))


def diagnose(image: Image, mask: Mask, loaded: Loaded, params: Mapping[str, Any], setting: ImageSettings) -> dict[str, Any]:
    """All that can be said of a region whose file is not known; see :func:`of_mask_file` for what only the file can tell.

    params : PyRadiomics' mapping, as given. Values are text, whole numbers, floats, tuples of them, or mappings of settings.
    """
    found = {**_versions(), **_configuration(params), **_image("original", image.voxels, image.grid)}
    found |= _mask("original", mask.voxels, mask.grid, labels=mask.voxels)
    voxels, region, inside, grid = loaded.voxels, loaded.region, loaded.inside, loaded.grid
    if loaded.interpolated:
        if grid == image.grid:
            # The new spacing is the old one: PyRadiomics then only crops.
            box = _padded(bounding_box(region), setting.padDistance, grid.shape)
            voxels, region, inside, grid = voxels[box], region[box], inside[box], _cropped(grid, box)
        found |= _image("interpolated", voxels, grid)
        found |= _mask("interpolated", region, grid, voxels)
    if setting.resegmentRange is not None:
        found |= _mask("resegmented", inside, grid, voxels)
    return in_order(found)


def of_mask_file(label_map: Volume, grid: Grid, region: BoolVolume) -> dict[str, Any]:
    """``Mask-original_*`` as PyRadiomics has it: of the file's own grid, and with the hash of all its labels.

    label_map : (z, y, x) whole numbers, the channel that was chosen. region : where the chosen label is.
    """
    return _mask("original", region, grid, labels=label_map)


def of_corrected_mask(image: Image, mask: Mask) -> dict[str, Any]:
    """``Mask-corrected_*`` of a mask that was brought to the image's grid."""
    return _mask("corrected", mask.voxels, mask.grid, image.voxels)


def in_order(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same entries in PyRadiomics' order."""
    return {name: found[name] for name in NAMES if name in found}


def _versions() -> dict[str, str]:
    named = {
        "PyRadiomics": f"radpipe {__version__} (PyRadiomics 3.0.1 definitions)",
        "Numpy": np.__version__,
        "SimpleITK": version("SimpleITK"),
        "PyWavelet": version("PyWavelets"),
        "Python": ".".join(map(str, sys.version_info[:3])),
    }
    return {f"{PREFIX}Versions_{library}": text for library, text in named.items()}


def _configuration(params: Mapping[str, Any]) -> dict[str, Any]:
    settings = {**DEFAULTS, **(params.get("setting") or {}), **(params.get("voxelSetting") or {})}
    types = {name: dict(own or {}) for name, own in (params.get("imageType") or {"Original": {}}).items()}
    return {f"{PREFIX}Configuration_Settings": settings, f"{PREFIX}Configuration_EnabledImageTypes": types}


def _image(kind: str, voxels: Volume, grid: Grid) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if kind == "original":
        found = {"Hash": _sha1(voxels), "Dimensionality": "3D"}
    found |= {"Spacing": _xyz(grid.spacing_mm), "Size": grid.shape[::-1], **_intensities(voxels)}
    return {f"{PREFIX}Image-{kind}_{name}": value for name, value in found.items()}


def _mask(
    kind: str, region: BoolVolume, grid: Grid, voxels: Volume | None = None, *, labels: Volume | None = None
) -> dict[str, Any]:
    """region : not empty."""
    box = bounding_box(region)
    part = region[box]
    start = [side.start for side in box]
    where = np.nonzero(part)
    count = len(where[0])
    # Sums of whole numbers are exact, so this is PyRadiomics' mean to the last bit.
    centre = [(int(axis.sum()) + count * first) / count for axis, first in zip(where, start, strict=True)]
    found: dict[str, Any] = {"Hash": _sha1(labels.astype(np.uint32))} if labels is not None else {}
    found |= {
        "Spacing": _xyz(grid.spacing_mm),
        "Size": grid.shape[::-1],
        "BoundingBox": (*start[::-1], *part.shape[::-1]),
        "VoxelNum": count,
        "VolumeNum": _pieces(part),
        "CenterOfMassIndex": _xyz(centre),
        "CenterOfMass": tuple(float(value) for value in grid.world_mm(np.array(centre))),
    }
    if voxels is not None:
        found |= _intensities(voxels[box][part])
    return {f"{PREFIX}Mask-{kind}_{name}": value for name, value in found.items()}


def _intensities(values: Volume) -> dict[str, float]:
    return {
        "Mean": float(np.mean(values, dtype=np.float64)),
        "Minimum": float(values.min()),
        "Maximum": float(values.max()),
    }


def _pieces(part: BoolVolume) -> int:
    """Connected pieces, 26 neighbours."""
    if part.size == 1:
        return 1
    where = np.ones(np.count_nonzero(part), np.int32)
    flat = lay_out(np.ascontiguousarray(part).view(np.uint8), where, 1, where)
    rows, columns = part.shape[1] + 2, part.shape[2] + 2
    angles = directions(part.shape, (1,), None, both=False)
    steps = angles @ np.array([rows * columns, columns, 1], np.int64)
    apart = np.abs(angles - angles[-1]).max(axis=1) > 1
    return len(zones(flat, where, steps, steps[apart])[0])


def _sha1(voxels: Volume) -> str:
    """What ``SimpleITK.Hash`` gives: SHA-1 of the voxels in memory order, x fastest."""
    native = np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("="))
    return hashlib.sha1(native.data, usedforsecurity=False).hexdigest()


def _xyz(values: tuple[float, ...] | list[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in reversed(values))


def _padded(box: Box, pad: int, shape: tuple[int, int, int]) -> Box:
    z, y, x = (slice(max(side.start - pad, 0), min(side.stop + pad, size)) for side, size in zip(box, shape, strict=True))
    return z, y, x


def _cropped(grid: Grid, box: Box) -> Grid:
    z, y, x = box
    return grid.cropped((z.start, y.start, x.start), (z.stop - z.start, y.stop - y.start, x.stop - x.start))

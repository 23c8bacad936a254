"""The image types of one extraction: which columns they make, and the families' values on each response in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from radpipe.core.registry import lookup
from radpipe.errors import RadpipeError
from radpipe.features.intensity import measure
from radpipe.features.parameters import Parameters, TextureSettings
from radpipe.features.share import ALONE, Share
from radpipe.filters.registry import IMAGE_TYPES
from radpipe.filters.scene import ImageType, Scene
from radpipe.typing import Volume

SHAPES = ("shape", "shape2D")
Measured = tuple[str, dict[str, float], dict[str, str]]
"""(prefix, ``<family>_<Feature>`` -> value, ``<family>_<Feature>`` -> why a value is no measurement)."""


def image_type(name: str) -> ImageType:
    """ConfigError where there is none of that name."""
    found: ImageType = lookup(IMAGE_TYPES, name, "image type")
    return found


def column_names(parameters: Parameters) -> list[str]:
    """The row's names in order; known before any image is read."""
    names = [f"original_{family}_{name}" for family in SHAPES for name in parameters.features.get(family, ())]
    own = [f"{family}_{name}" for family, names in parameters.features.items() if family not in SHAPES for name in names]
    for kind, settings in parameters.images.items():
        names += [f"{prefix}_{name}" for prefix in image_type(kind).prefixes(settings) for name in own]
    return names


def measured_images(scene: Scene, parameters: Parameters, share: Share) -> Iterator[Measured]:
    """One response after the other, so that few are in memory at once: with threads, one for each and two that wait."""
    if share.threads == 1 or list(parameters.images) == ["Original"]:  # of one image the families are shared out
        for prefix, values, settings in _responses(scene, parameters):
            yield _measured(prefix, values, scene, parameters, settings, share)
        return
    waiting: deque[Callable[[], Measured]] = deque()
    left = sum(len(image_type(kind).prefixes(settings)) for kind, settings in parameters.images.items())
    for prefix, values, settings in _responses(scene, parameters):
        left -= 1  # the last ones share out their families, too, or one thread would wait for the other's last image
        within = share if left < share.threads else ALONE
        waiting.append(share(partial(_measured, prefix, values, scene, parameters, settings, within)))
        if len(waiting) > share.threads + 1:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


def _responses(scene: Scene, parameters: Parameters) -> Iterator[tuple[str, list[Volume], TextureSettings]]:
    """The values in a list of which they are taken: who no longer needs them lets them go before grey levels are laid out."""
    for name, settings in parameters.images.items():
        for prefix, values in image_type(name).respond(scene, settings):
            held = [values]
            del values
            yield prefix, held, settings


def _measured(
    prefix: str, held: list[Volume], scene: Scene, parameters: Parameters, settings: TextureSettings, share: Share
) -> Measured:
    wanted = parameters.features
    own = not scene.keeps(held[0])
    if held[0].dtype.kind == "f" and not np.isfinite(held[0]).all():
        nothing = {f"{family}_{name}": float("nan") for family, names in wanted.items() if family not in SHAPES for name in names}
        return prefix, nothing, dict.fromkeys(nothing, "response-undefined")
    try:
        return prefix, *measure(held, scene.mask, scene.spacing_mm, wanted, settings, share, own=own)
    except RadpipeError as error:
        if prefix == "original":
            raise
        raise type(error)(f"image type {prefix}: {error.problem}", hint=error.hint, kind=error.kind) from error

"""The families that read intensities, on one image: the original or a filter's response."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radpipe.features import firstorder, glcm, gldm, glrlm, glszm, ngtdm
from radpipe.features._kernels.neighbourhood import neighbourhood
from radpipe.features.parameters import TextureSettings
from radpipe.features.region import Levels, Region, bin_edges, directions, discretise
from radpipe.features.undefined import reasons

_ON_LEVELS = ("glcm", "gldm", "glrlm", "glszm", "ngtdm")
Work = dict[str, Callable[[], dict[str, float]]]


def measure(
    region: Region, wanted: dict[str, tuple[str, ...]], setting: TextureSettings
) -> tuple[dict[str, float], dict[str, str]]:
    """(``<family>_<Feature>`` -> value, ``<family>_<Feature>`` -> why a value is no measurement) of the wanted families.

    wanted : family -> names; shape is passed over. EmptyRoiError where the region has no two voxels at the distances set,
    RadpipeError where the bin width makes more than 10,000 grey levels.
    """
    on_levels = [family for family in wanted if family in _ON_LEVELS]
    if not on_levels and "firstorder" not in wanted:
        return {}, {}
    edges = bin_edges(region.values, setting.binWidth, setting.binCount)
    far = setting.distances if {"glcm", "gldm", "ngtdm"} & set(on_levels) else (1,)
    levels = discretise(region, edges, max((1, *far)))
    low, high = region.values.min(), region.values.max()
    lowest = int(levels.flat[levels.where].min())
    values: dict[str, float] = {}
    why: dict[str, str] = {}
    for family, compute in _work(region, levels, wanted, setting).items():
        own = compute()
        values |= {f"{family}_{name}": own[name] for name in wanted[family]}
        codes = reasons(family, own, one_intensity=bool(low == high), one_level=lowest == levels.n_levels)
        why |= {f"{family}_{name}": codes[name] for name in wanted[family] if name in codes}
    return values, why


def _work(region: Region, levels: Levels, wanted: dict[str, tuple[str, ...]], setting: TextureSettings) -> Work:
    """family -> how to compute it, for the wanted families that read intensities."""
    flat_axis = setting.force2Ddimension if setting.force2D else None
    work: Work = {}
    if "firstorder" in wanted:
        counts = np.bincount(levels.flat[levels.where])
        volume = float(np.prod(region.spacing_mm))
        work["firstorder"] = lambda: firstorder.compute(region.values, counts[counts > 0], volume, setting.voxelArrayShift)
    if "glcm" in wanted:
        pairs = directions(levels.box, setting.distances, flat_axis, both=False)
        with_mcc = "MCC" in wanted["glcm"]
        work["glcm"] = lambda: glcm.compute(levels, pairs, setting.symmetricalGLCM, setting.weightingNorm, with_mcc)
    if "glrlm" in wanted or "glszm" in wanted:
        near = directions(levels.box, (1,), flat_axis, both=False)
        work["glrlm"] = lambda: glrlm.compute(levels, near, setting.weightingNorm)
        work["glszm"] = lambda: glszm.compute(levels, near)
    if "gldm" in wanted or "ngtdm" in wanted:
        codes, count, difference, n = _neighbourhood(levels, setting, flat_axis)
        work["gldm"] = lambda: gldm.compute(codes, levels.n_levels, n)
        work["ngtdm"] = lambda: ngtdm.compute(count, difference)
    return {family: work[family] for family in wanted if family in work}


def _neighbourhood(levels: Levels, setting: TextureSettings, flat_axis: int | None):  # type: ignore[no-untyped-def]
    around = levels.steps(directions(levels.box, setting.distances, flat_axis, both=True))
    return (*neighbourhood(levels.flat, levels.where, around, setting.gldm_a, levels.n_levels), around.size)

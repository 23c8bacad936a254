"""The families that read intensities, on one image: the original or a filter's response."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from radpipe.features import firstorder, glcm, gldm, glrlm, glszm, ngtdm
from radpipe.features._kernels.neighbourhood import neighbourhood
from radpipe.features.parameters import TextureSettings
from radpipe.features.region import Levels, Region, bin_edges, directions, discretise
from radpipe.features.undefined import reasons

_ON_LEVELS = ("glcm", "gldm", "glrlm", "glszm", "ngtdm")
Values = dict[str, dict[str, float]]  # family -> name -> value


def measure(
    region: Region, wanted: dict[str, tuple[str, ...]], setting: TextureSettings, threads: int = 1
) -> tuple[dict[str, float], dict[str, str]]:
    """(``<family>_<Feature>`` -> value, ``<family>_<Feature>`` -> why a value is no measurement) of the wanted families.

    wanted : family -> names; shape is passed over. threads : how many families are computed at once. EmptyRoiError where the
    region has no two voxels at the distances set, RadpipeError where the bin width makes more than 10,000 grey levels.
    """
    on_levels = [family for family in wanted if family in _ON_LEVELS]
    if not on_levels and "firstorder" not in wanted:
        return {}, {}
    edges = bin_edges(region.values, setting.binWidth, setting.binCount)
    far = setting.distances if {"glcm", "gldm", "ngtdm"} & set(on_levels) else (1,)
    levels = discretise(region, edges, max((1, *far)))
    low, high = region.values.min(), region.values.max()
    lowest = int(levels.flat[levels.where].min())
    flat = bool(low == high) or lowest == levels.n_levels
    work = _work(region, levels, wanted, setting)
    if threads > 1 and len(work) > 1:
        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(lambda compute: compute(), work))
    else:
        done = [compute() for compute in work]
    found = {family: own for part in done for family, own in part.items()}
    values: dict[str, float] = {}
    why: dict[str, str] = {}
    for family in wanted:
        if family not in found:
            continue
        values |= {f"{family}_{name}": found[family][name] for name in wanted[family]}
        if not (flat or family == "ngtdm") and math.isfinite(sum(found[family].values())):
            continue
        codes = reasons(family, found[family], one_intensity=bool(low == high), one_level=lowest == levels.n_levels)
        why |= {f"{family}_{name}": codes[name] for name in wanted[family] if name in codes}
    return values, why


def _work(
    region: Region, levels: Levels, wanted: dict[str, tuple[str, ...]], setting: TextureSettings
) -> list[Callable[[], Values]]:
    """What is to be computed, in parts that need nothing of each other; the longest first."""
    flat_axis = setting.force2Ddimension if setting.force2D else None

    def first_order() -> Values:
        counts = np.bincount(levels.flat[levels.where])
        volume = float(np.prod(region.spacing_mm))
        return {"firstorder": firstorder.compute(region.values, counts[counts > 0], volume, setting.voxelArrayShift)}

    def cooccurrence() -> Values:
        pairs = directions(levels.box, setting.distances, flat_axis, both=False)
        return {"glcm": glcm.compute(levels, pairs, setting.symmetricalGLCM, setting.weightingNorm, "MCC" in wanted["glcm"])}

    def runs() -> Values:
        return {"glrlm": glrlm.compute(levels, directions(levels.box, (1,), flat_axis, both=False), setting.weightingNorm)}

    def zones() -> Values:
        return {"glszm": glszm.compute(levels, directions(levels.box, (1,), flat_axis, both=False))}

    def around() -> Values:
        steps = levels.steps(directions(levels.box, setting.distances, flat_axis, both=True))
        codes, count, difference = neighbourhood(levels.flat, levels.where, steps, setting.gldm_a, levels.n_levels)
        return {"gldm": gldm.compute(codes, levels.n_levels, steps.size), "ngtdm": ngtdm.compute(count, difference)}

    parts = {
        runs: ("glrlm",),
        cooccurrence: ("glcm",),
        zones: ("glszm",),
        around: ("gldm", "ngtdm"),
        first_order: ("firstorder",),
    }
    return [part for part, families in parts.items() if any(family in wanted for family in families)]

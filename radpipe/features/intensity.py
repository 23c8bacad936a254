"""The families that read intensities, on one image: the original or a filter's response."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from radpipe.features import firstorder, glcm, gldm, glrlm, glszm, ngtdm
from radpipe.features._kernels.neighbourhood import neighbourhood
from radpipe.features.parameters import TextureSettings
from radpipe.features.region import Levels, Region, bin_edges, counted, digitised, directions, laid_out
from radpipe.features.share import Share
from radpipe.features.undefined import reasons
from radpipe.typing import BoolVolume, IntArray, Volume

_ON_LEVELS = ("glcm", "gldm", "glrlm", "glszm", "ngtdm")
Values = dict[str, dict[str, float]]  # family -> name -> value


def measure(
    held: list[Volume], mask: BoolVolume, spacing_mm: tuple[float, float, float], wanted: dict[str, tuple[str, ...]], setting: TextureSettings,
    share: Share, *, own: bool,
) -> tuple[dict[str, float], dict[str, str]]:  # fmt: skip
    """(``<family>_<Feature>`` -> value, ``<family>_<Feature>`` -> why a value is no measurement) of the wanted families.

    held : the intensities of the region (see Region), taken out, for levels take their room. wanted : family -> names; shape is
    passed over. own : nobody else reads the intensities. share : who computes the families. EmptyRoiError where the region has no two
    voxels at the distances set, RadpipeError where the bin width makes more than 10,000 grey levels.
    """
    on_levels = [family for family in wanted if family in _ON_LEVELS]
    if not on_levels and "firstorder" not in wanted:
        return {}, {}
    region = Region(held.pop(), mask, spacing_mm)
    edges = bin_edges(region.values, setting.binWidth, setting.binCount)
    levels = digitised(region.values, edges)
    low, high = region.values.min(), region.values.max()
    waiting = []
    if "firstorder" in wanted:  # first, so that its copy of the region is gone before the levels are laid out
        waiting.append(share(_first_order(region, counted(levels), setting, own)))
    region = replace(region, values=np.empty(0))
    one_level = int(levels.min()) == int(levels.max())
    if on_levels:
        far = setting.distances if {"glcm", "gldm", "ngtdm"} & set(on_levels) else (1,)
        laid = laid_out(region, levels, max((1, *far)), own=True)
        waiting += [share(work) for work in _textures(laid, wanted, setting, share)]
    done = [result() for result in waiting]
    found = {family: own for part in done for family, own in part.items()}
    values: dict[str, float] = {}
    why: dict[str, str] = {}
    for family in wanted:
        if family not in found:
            continue
        values |= {f"{family}_{name}": found[family][name] for name in wanted[family]}
        if not (low == high or one_level or family == "ngtdm") and math.isfinite(sum(found[family].values())):
            continue
        codes = reasons(family, found[family], one_intensity=bool(low == high), one_level=one_level)
        why |= {f"{family}_{name}": codes[name] for name in wanted[family] if name in codes}
    return values, why


def _first_order(region: Region, counts: IntArray, setting: TextureSettings, own: bool) -> Callable[[], Values]:
    volume = float(np.prod(region.spacing_mm))
    return lambda: {"firstorder": firstorder.compute(region.values, counts[counts > 0], volume, setting.voxelArrayShift, own=own)}


def _textures(
    levels: Levels, wanted: dict[str, tuple[str, ...]], setting: TextureSettings, share: Share
) -> list[Callable[[], Values]]:
    """What is to be computed, in parts that need nothing of each other: the longest first; last those that share out parts of their
    own, the smallest at the very end."""
    flat_axis = setting.force2Ddimension if setting.force2D else None

    def cooccurrence() -> Values:
        pairs = directions(levels.box, setting.distances, flat_axis, both=False)
        return {
            "glcm": glcm.compute(levels, pairs, setting.symmetricalGLCM, setting.weightingNorm, "MCC" in wanted["glcm"], share)
        }

    def runs() -> Values:
        return {"glrlm": glrlm.compute(levels, directions(levels.box, (1,), flat_axis, both=False), setting.weightingNorm, share)}

    def zones() -> Values:
        return {"glszm": glszm.compute(levels, directions(levels.box, (1,), flat_axis, both=False))}

    def around() -> Values:
        steps = levels.steps(directions(levels.box, setting.distances, flat_axis, both=True))
        table, count, difference = neighbourhood(levels.flat, levels.where, steps, setting.gldm_a, levels.n_levels)
        return {"gldm": gldm.compute(table), "ngtdm": ngtdm.compute(count, difference)}

    parts = {
        zones: ("glszm",),
        around: ("gldm", "ngtdm"),
        runs: ("glrlm",),
        cooccurrence: ("glcm",),
    }
    return [part for part, families in parts.items() if any(family in wanted for family in families)]

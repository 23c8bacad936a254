"""Which bin width suits a cohort: grey levels of every region at every candidate width.

The rule of grey levels is PyRadiomics': bins start at the multiple of the width at or below the region's minimum. Its authors
advise a width that gives most regions 30 to 130 bins (PyRadiomics' documentation, "Frequently asked questions", bin width;
Tixier 2012, doi:10.2967/jnumed.111.099127, for the range). IBSI advises a fixed number of bins where intensities have no
unit (Zwanenburg 2020, doi:10.1148/radiol.2020191145).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radpipe.typing import Volume

FEW, GOOD, MANY = 16, (30, 130), 256
"""Grey levels: fewer than FEW leave a matrix with little in it; GOOD is what is aimed at; beyond MANY most cells of it are empty."""
BIN_COUNT = 64
_MANTISSAS = (1.0, 2.0, 2.5, 5.0)
_USUAL = {"CT": 25.0, "PET": 0.5}  # widths that much of the literature uses; taken where they are nearly as good as the best
_NEARLY = 0.05


@dataclass(frozen=True)
class RegionLevels:
    """low, high : intensities of one region. occupied : width -> grey levels that hold at least one voxel."""

    case_id: str
    modality: str
    low: float
    high: float
    occupied: Mapping[float, int]


@dataclass(frozen=True)
class Advice:
    """Of one modality. rows : one a width (columns of COLUMNS). setting : PyRadiomics' key and value. reason : in a sentence or two."""

    modality: str
    unit: str
    regions: int
    rows: tuple[dict[str, Any], ...]
    setting: dict[str, float | int]
    reason: str


COLUMNS = (
    "modality", "unit", "bin_width", "regions", "bins_median", "bins_min", "bins_max", "share_good", "share_few", "share_one",
    "share_many", "recommended",
)  # fmt: skip


def candidates(low: float, high: float) -> list[float]:
    """Round widths (1, 2, 2.5 or 5 times a power of ten) that cut the range into 1 to 600 bins."""
    span = high - low
    if not span > 0:
        return []
    first = math.floor(math.log10(span / 600))
    steps = [m * 10.0**power for power in range(first, first + 5) for m in _MANTISSAS]
    return [float(f"{width:.3g}") for width in steps if span / 600 <= width <= span]


def occupied_levels(values: Volume) -> dict[float, int]:
    """Width -> grey levels of a region that hold at least one voxel. values : (n,), its intensities."""
    exact = values.astype(np.float64)
    return {width: int(np.unique(np.floor(exact / width)).size) for width in candidates(float(exact.min()), float(exact.max()))}


def spanned(low: float, high: float, width: float) -> int:
    """Grey levels from the minimum's bin to the maximum's: Ng."""
    return math.floor(high / width) - math.floor(low / width) + 1


def advise(regions: Sequence[RegionLevels], modality: str, unit: str, *, comparable: bool = True) -> Advice | None:
    """The advice for a modality; None where no region has two intensities.

    comparable : whether intensities mean the same in all images (MR that was not normalised: no).
    """
    own = [region for region in regions if region.modality == modality]
    widths = _widths(own)
    if not widths:
        return None
    rows = [_row(own, modality, unit, width) for width in widths]
    best = max(rows, key=lambda row: (row["share_good"], -abs(math.log(row["bins_median"] / math.sqrt(GOOD[0] * GOOD[1])))))
    usual = next((row for row in rows if row["bin_width"] == _USUAL.get(modality)), None)
    chosen = usual if usual is not None and usual["share_good"] >= best["share_good"] - _NEARLY else best
    said = (
        f"With {_words(chosen, unit)} the regions have {chosen['bins_median']:.0f} bins in the median ({chosen['bins_min']} to "
        f"{chosen['bins_max']}), and {chosen['share_good']:.0%} of {len(own)} lie between {GOOD[0]} and {GOOD[1]}"
    )
    if not comparable:
        setting: dict[str, float | int] = {"binCount": BIN_COUNT}
        reason = (
            f"Intensities differ in scale from image to image, so no width means the same in all of them: a fixed number of {BIN_COUNT} bins "
            f"(IBSI's advice for intensities without a unit), or normalise first. {said}."
        )
    elif chosen["share_good"] < 0.5:
        setting = {"binCount": BIN_COUNT}
        reason = (
            f"No width suits: ranges differ too much. {said}, more than with any other width. A fixed number of {BIN_COUNT} bins gives every "
            "region as many, at the price that a bin is no longer the same intensity everywhere."
        )
    else:
        setting = {"binWidth": chosen["bin_width"]}
        why = (
            "a usual width, and nearly as good as the best here"
            if chosen is usual and chosen is not best
            else "the most of any round width"
        )
        reason = f"{said}: {why}. {chosen['share_few']:.0%} have fewer than {FEW} grey levels, {chosen['share_many']:.0%} more than {MANY}."
    rows = [{**row, "recommended": row is chosen and "binWidth" in setting} for row in rows]
    return Advice(modality, unit, len(own), tuple(rows), setting, reason)


def params(advice: Advice) -> dict[str, Any]:
    """A parameter file for ``radpipe extract -p``."""
    return {"imageType": {"Original": {}}, "setting": dict(advice.setting)}


def _widths(regions: Sequence[RegionLevels]) -> list[float]:
    """Round widths with which the regions have 4 to 600 bins in the median."""
    spans = [region.high - region.low for region in regions if region.high > region.low]
    if not spans:
        return []
    middle = float(np.median(spans))
    return [width for width in candidates(0.0, middle) if middle / width >= 4]


def _row(regions: Sequence[RegionLevels], modality: str, unit: str, width: float) -> dict[str, Any]:
    bins = np.array([spanned(region.low, region.high, width) for region in regions])
    # Where a width is not among a region's own candidates it gives one or two levels, or more than 600.
    held = np.array([region.occupied.get(width, count) for region, count in zip(regions, bins.tolist(), strict=True)])
    return {
        "modality": modality, "unit": unit, "bin_width": width, "regions": len(regions), "bins_median": float(np.median(bins)),
        "bins_min": int(bins.min()), "bins_max": int(bins.max()), "share_good": float(np.mean((bins >= GOOD[0]) & (bins <= GOOD[1]))),
        "share_few": float(np.mean(held < FEW)), "share_one": float(np.mean(held == 1)), "share_many": float(np.mean(bins > MANY)),
        "recommended": False,
    }  # fmt: skip


def _words(row: Mapping[str, Any], unit: str) -> str:
    return f"a bin width of {row['bin_width']:g}{f' {unit}' if unit not in ('', 'arbitrary') else ''}"

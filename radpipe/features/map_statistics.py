"""Feature maps -> numbers for a table: how a feature varies over the region, ``<feature>__map_<Statistic>``.

Statistics of a map say what one value for the whole region cannot: whether a texture is the same everywhere (StandardDeviation),
has a few odd places (Skewness), and whether these lie together (MoransI).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from radpipe.features.map_settings import MAP, MapSettings
from radpipe.typing import FloatArray, IntArray

BINS = 32
"""Of Entropy."""
PERCENTILES = (10, 25, 50, 75, 90)
STATISTICS: dict[str, str] = {
    "Mean": "mean over the region",
    "StandardDeviation": "standard deviation over the region (divided by n)",
    **{f"{share}Percentile": f"{share}th percentile over the region" for share in PERCENTILES},
    "Skewness": "skewness over the region",
    "Entropy": f"entropy of its histogram over the region, {BINS} bins of equal width from its smallest to its largest value",
    "MoransI": "spatial autocorrelation over the region, Moran's I of voxels that touch (1: alike, 0: no relation, -1: opposite)",
}
"""Statistic -> what it is, of a map. All are in the unit of the map but those of :data:`OWN_UNIT`."""
OWN_UNIT = {"Skewness": "1", "Entropy": "bit", "MoransI": "1"}
OF_FLAT_MAPS = tuple(OWN_UNIT)
REASONS = {
    "flat-map": "The map has one value all over the region, so nothing varies that the statistic could measure.",
    "map-undefined": "The map has a value at no voxel of the region.",
    "map-no-neighbours": "No two voxels of the region at which the map was computed are neighbours.",
}
"""Code -> what it says to a reader; the map's part of :data:`radpipe.features.undefined.REASONS`."""
_AT_ONCE = 16  # maps of a large region that are held as float64 together
_FLAT = 1e-12  # relative to the largest value: below it a spread is rounding
_FLAT_FLOAT32 = 1e-6  # the same for maps that were kept as float32
_EPS = 4e-15  # PyRadiomics' epsilon in a logarithm moves an entropy of 0 by less than this


def map_statistics(
    columns: Iterable[str], values: NDArray[np.floating], centres: IntArray, *, stride: int = 1
) -> tuple[dict[str, float], dict[str, str]]:
    """``<column>__map_<Statistic>`` -> value, and -> code of :data:`REASONS` for those without one (NaN).

    columns : names of the maps. values : (columns, n), at the centres. centres : (n, 3), indices (z, y, x), each once. stride : of
    the lattice of centres, voxels. Voxels at which a map has no value (NaN, infinite) are left out of that map's statistics.

    With x the n values of one map that are finite, m their mean:

    - Mean m (IBSI Q4LE); StandardDeviation, the root of sum (x - m)^2 / n (IBSI variance ECT3).
    - 10Percentile to 90Percentile: linear between the two nearest sorted values (Hyndman and Fan's type 7, doi:10.2307/2684934).
    - Skewness: third central moment over the second to the power 3/2, both divided by n (IBSI KE2A).
    - Entropy: -sum p log2 p in bits over the histogram of ``BINS`` = 32 bins of equal width from the smallest to the largest
      value (IBSI TLU2 on a fixed bin number, K15C); 0 to 5. It is of the histogram's shape: scaling or shifting the map changes nothing.
    - MoransI: n / W * sum over pairs of w (x_i - m)(x_j - m) / sum (x - m)^2, where w is 1 for two centres that touch at a face, an
      edge or a corner of the lattice (26 neighbours, ``stride`` voxels apart) and else 0, and W is the sum of w (Moran 1950,
      doi:10.1093/biomet/37.1-2.17). Unlike IBSI's N365 it counts neighbours only, so it says how smooth the map is. Windows of
      neighbours overlap: maps of a larger kernelRadius are smoother by construction.

    A map with one value all over (up to rounding: 1e-6 of it in float32, and 4e-15) has no Skewness, Entropy or MoransI.
    """
    row: dict[str, float] = {}
    why: dict[str, str] = {}
    names = list(columns)
    for start in range(0, len(names), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        _add_block(names[part], np.asarray(values)[part], centres, stride, row, why)
    return row, why


def _add_block(
    names: list[str], values: NDArray[np.floating], centres: IntArray, stride: int, row: dict[str, float], why: dict[str, str]
) -> None:
    table = values.astype(np.float64)
    finite = np.isfinite(table)
    moran = morans_i(table, finite, centres, stride)
    floor = _FLAT_FLOAT32 if values.dtype == np.float32 else _FLAT
    for at, name in enumerate(names):
        x = table[at][finite[at]]
        found = _of_one(x, floor)
        found["MoransI"] = moran[at] if math.isfinite(found["Skewness"]) else math.nan
        for statistic, value in found.items():
            column = f"{name}{MAP}{statistic}"
            row[column] = value
            if not math.isfinite(value):
                why[column] = "map-undefined" if not x.size else "map-no-neighbours" if _only(found, statistic) else "flat-map"


def _only(found: dict[str, float], statistic: str) -> bool:
    """Whether Moran's I alone is missing: then the map is not flat, it has no neighbours."""
    return statistic == "MoransI" and math.isfinite(found["Skewness"])


def _of_one(x: FloatArray, floor: float) -> dict[str, float]:
    if not x.size:
        return dict.fromkeys(STATISTICS, math.nan)
    low, high = float(x.min()), float(x.max())
    flat = high - low <= max(floor * max(abs(low), abs(high)), _EPS)
    mean = low if flat else float(x.mean())
    centred = x - mean
    variance = 0.0 if flat else float((centred * centred).mean())
    found = {"Mean": mean, "StandardDeviation": math.sqrt(variance)}
    shares = np.percentile(x, PERCENTILES)
    found |= {f"{share}Percentile": float(value) for share, value in zip(PERCENTILES, shares, strict=True)}
    if flat or variance == 0.0:
        return found | dict.fromkeys(OF_FLAT_MAPS, math.nan)
    # In units of its own spread: a cube of large or tiny numbers would leave float64's range.
    scaled = centred / math.sqrt(variance)
    counts = np.bincount(np.minimum(((x - low) / (high - low) * BINS).astype(np.int64), BINS - 1), minlength=BINS)
    p = counts[counts > 0] / x.size
    return found | {"Skewness": float((scaled**3).mean()), "Entropy": float(-(p * np.log2(p)).sum()), "MoransI": math.nan}


def morans_i(table: FloatArray, finite: NDArray[np.bool_], centres: IntArray, stride: int = 1) -> list[float]:
    """Moran's I of every row of ``table``; see :func:`map_statistics`. finite : (columns, n), the voxels that count.

    NaN where a row has no two neighbours or no spread. Memory: one offset's pairs, and the rows once more.
    """
    n = finite.sum(axis=1)
    z = np.where(finite, table, 0.0)
    mean = np.divide(z.sum(axis=1), n, out=np.zeros(len(n)), where=n > 0)
    z = np.where(finite, z - mean[:, None], 0.0)
    spread = np.abs(z).max(axis=1, initial=0.0)
    z /= np.where(spread > 0, spread, 1.0)[:, None]
    whole = bool(finite.all())
    products = np.zeros(len(n))
    pairs = np.zeros(len(n))
    for first, second in _neighbours(centres, stride):
        products += np.einsum("ij,ij->i", z[:, first], z[:, second])
        pairs += len(first) if whole else (finite[:, first] & finite[:, second]).sum(axis=1)
    squares = np.einsum("ij,ij->i", z, z)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = n / pairs * products / squares
    return [
        float(value) if count and square > 0 else math.nan for value, count, square in zip(found, pairs, squares, strict=True)
    ]


def _neighbours(centres: IntArray, stride: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Places of the centres of all pairs that touch, one of the 13 directions after another."""
    if not len(centres):
        return
    lattice = (np.asarray(centres, np.int64) - centres.min(axis=0)) // stride
    shape = lattice.max(axis=0) + 3  # a border of nobody around, so that no offset leaves the box
    place = np.ravel_multi_index(tuple((lattice + 1).T), tuple(shape))
    index = np.full(int(np.prod(shape)), -1, np.int32)
    index[place] = np.arange(len(centres), dtype=np.int32)
    steps = (int(shape[1] * shape[2]), int(shape[2]), 1)
    for offset in product((-1, 0, 1), repeat=3):
        if offset <= (0, 0, 0):
            continue
        other = index[place + sum(step * size for step, size in zip(offset, steps, strict=True))]
        first = np.flatnonzero(other >= 0)
        yield first, other[first].astype(np.int64)


def map_dictionary(settings: MapSettings, base: list[dict[str, object]], key: str) -> list[dict[str, object]]:
    """Rows of FEATURE_DICTIONARY for the columns of :func:`map_statistics`.

    base : the rows of the maps' own features (:func:`radpipe.features.dictionary.feature_dictionary`). key : of the maps' settings.
    """
    side = 2 * settings.kernel_radius + 1
    window = (
        f"windows of {side} voxels around every voxel"
        if settings.masked_kernel
        else f"windows of {side} voxels, of all voxels in them"
    )
    rows = []
    for entry in base:
        quantity = str(entry["meaning"]).rstrip(".")
        for statistic, told in STATISTICS.items():
            rows.append({
                **entry,
                "name": f"{entry['name']}{MAP}{statistic}",
                "feature": f"{entry['feature']}{MAP}{statistic}",
                "ibsi": "",
                "unit": OWN_UNIT.get(statistic, str(entry["unit"])),
                "meaning": f"Map of {entry['family']} {entry['feature']} in {window}: {told}. The feature: {quantity}.",
                "convention": "radpipe",
                "other_name": "",
                "settings": settings.told(str(entry["settings"] or "{}")),
                "settings_key": key,
            })  # fmt: skip
    return rows

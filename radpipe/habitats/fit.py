"""Voxels of training cases -> habitats, and how many of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from radpipe.core.seeds import derive_seed, generator
from radpipe.errors import CohortError
from radpipe.habitats.config import HabitatSettings
from radpipe.habitats.habitats import Choice, Habitats, nearest, standardised
from radpipe.typing import FloatArray

_EPS = 4e-15  # a map that varies by less varies by rounding: PyRadiomics' epsilon in logarithms


def fit_habitats(
    maps: Mapping[str, NDArray[np.floating]], columns: tuple[str, ...], settings: HabitatSettings, *, seed: int
) -> Habitats:
    """k-means on the standardised maps of the training cases.

    maps : case -> (n, p) values of its voxels, one column a map; voxels without a value on every map are left out. columns : (p,);
    habitats are numbered by their mean of the first, so habitat 1 is the same kind of tissue in every fold. seed : chance
    comes from it; which voxels of a case are drawn depends on seed and case alone. The order of cases does not matter.

    How many: Tibshirani and Walther's prediction strength (2005, doi:10.1198/106186005X59243), over halves of the cases and not of
    the voxels, which are alike within a case. For every k asked for the cases are halved at random ``halvings`` times and each half
    is clustered. Of the pairs of voxels that a half's own clustering puts into one habitat, the other half's centroids put some
    share together too; the worst habitat's share is the strength, averaged over halves and halvings. The largest k with a
    strength of at least ``agreement`` is taken; where none reaches it, the one with the highest.

    CohortError for fewer than four cases with voxels, or fewer voxels than habitats.
    """
    drawn = {case: draw(values, settings.voxels_per_case, case, seed) for case, values in sorted(maps.items())}
    drawn = {case: values for case, values in drawn.items() if len(values)}
    voxels = np.concatenate([*drawn.values(), np.empty((0, len(columns)))])
    if len(drawn) < 4 or len(voxels) < 2 * max(settings.k):
        raise CohortError(
            f"{len(drawn)} training cases with {len(voxels)} voxels are too few for {max(settings.k)} habitats.",
            hint="Use fewer folds, fewer habitats (maps.habitats.k), or switch them off (maps.habitats: null).",
        )
    centre, spread = voxels.mean(axis=0), voxels.std(axis=0)
    varies = spread > np.maximum(1e-9 * np.abs(voxels).max(axis=0), _EPS)
    if not varies.any():
        raise CohortError(
            "no map varies among the training voxels, so there are no habitats.",
            hint="Choose other maps (maps.habitats.features).",
        )
    scale = np.where(varies, spread, np.inf)
    points = standardised(voxels, centre, scale, settings.clip)
    owner = np.repeat(np.arange(len(drawn)), [len(values) for values in drawn.values()])
    choices = _choices(points, owner, settings, seed)
    k = next(choice.k for choice in choices if choice.chosen)
    centroids = _clustered(points, k, settings.starts, derive_seed(seed, "fit", k))
    labels = nearest(points, centroids)
    means = np.stack([voxels[labels == number].mean(axis=0) for number in range(len(centroids))])
    # Ties (a first map that does not vary) fall to the other maps, so that the numbers never hang on k-means' own order.
    order = np.lexsort(means.T[::-1])
    shares = np.bincount(labels, minlength=len(centroids))[order] / len(labels)
    return Habitats(columns, centre, scale, settings.clip, centroids[order], means[order], shares, choices, tuple(drawn))


def draw(values: NDArray[np.floating], most: int, case: str, seed: int) -> FloatArray:
    """(m, p) up to ``most`` of a case's voxels that have a value on every map, in their own order."""
    values = np.asarray(values, np.float64)
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    if len(known) > most:
        known = np.sort(generator(seed, "voxels", case).choice(known, most, replace=False))
    return values[known]


def _choices(points: FloatArray, owner: NDArray[np.int64], settings: HabitatSettings, seed: int) -> tuple[Choice, ...]:
    if len(settings.k) == 1:
        return (Choice(settings.k[0], math.nan, math.nan, True),)
    found = [(k, *_agreement(points, owner, k, settings, seed)) for k in sorted(settings.k)]
    reached = [k for k, mean, _ in found if mean >= settings.agreement]
    best = max(reached) if reached else max(found, key=lambda entry: (round(entry[1], 9), -entry[0]))[0]
    return tuple(Choice(k, mean, spread, k == best) for k, mean, spread in found)


def _agreement(points: FloatArray, owner: NDArray[np.int64], k: int, settings: HabitatSettings, seed: int) -> tuple[float, float]:
    """Mean and standard deviation of the prediction strength over halvings of the cases."""
    cases = int(owner.max()) + 1
    found = []
    for turn in range(settings.halvings):
        first = np.isin(owner, generator(seed, "halving", turn).permutation(cases)[: cases // 2])
        halves = [points[first], points[~first]]
        centroids = [
            _clustered(half, k, settings.starts, derive_seed(seed, "half", turn, at, k)) for at, half in enumerate(halves)
        ]
        strengths = [
            prediction_strength(nearest(half, centroids[at]), nearest(half, centroids[1 - at])) for at, half in enumerate(halves)
        ]
        found.append(float(np.mean(strengths)))
    return float(np.mean(found)), float(np.std(found, ddof=1))


def prediction_strength(own: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Of the pairs of voxels that lie in one cluster of ``own``, the share that also lie in one of ``other``; of the worst cluster.

    own, other : (n,), numbers from 0. A cluster of a single voxel has no pairs and counts as 0: it is what no other half finds.
    """
    counts = np.zeros((int(own.max()) + 1, int(other.max()) + 1))
    np.add.at(counts, (own, other), 1)
    sizes = counts.sum(axis=1)
    together = (counts * (counts - 1)).sum(axis=1)[sizes > 0]
    pairs = (sizes * (sizes - 1))[sizes > 0]
    return float(np.divide(together, pairs, out=np.zeros(len(pairs)), where=pairs > 0).min())


def _clustered(points: FloatArray, k: int, starts: int, seed: int) -> FloatArray:
    """(k, p) centroids, no two alike and none without a voxel."""
    with warnings.catch_warnings():
        # Fewer distinct points than habitats: what is left over is taken out below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(k, n_init=starts, random_state=seed % 2**32, algorithm="lloyd").fit(points)
    centroids = np.unique(np.asarray(model.cluster_centers_, np.float64), axis=0)
    used = np.unique(nearest(points, centroids))
    return centroids[used]

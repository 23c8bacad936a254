"""What was learnt, what it makes of a case, and its names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radpipe.errors import SchemaError
from radpipe.typing import FloatArray

REASONS = {
    "habitat-absent": "No voxel of the region belongs to this habitat, so it has no mean there.",
    "no-such-habitat": "Fewer habitats than this one's number were found in the training part of this fold.",
    "no-habitats": "No voxel of the region has a value on every map that the habitats are made of.",
}
"""Code -> what it says to a reader."""
PREFIX = "habitat_"


@dataclass(frozen=True)
class Choice:
    """One number of habitats that was tried. agreement, spread : mean and standard deviation of the prediction strength over the
    halvings; NaN where only one number was asked for."""

    k: int
    agreement: float
    spread: float
    chosen: bool


@dataclass(frozen=True, eq=False)
class Habitats:
    """k clusters of voxels, fitted on the training part of one outer fold.

    columns : (p,), maps that span the space; habitat 1 has the lowest mean of the first. centre, scale : (p,), of the training voxels;
    scale is infinite where a map does not vary, which takes it out. clip : in standardised units. centroids : (k, p), standardised.
    means : (k, p), of the training voxels, in the maps' own units. shares : (k,), of the training voxels. saw : training cases.
    """

    columns: tuple[str, ...]
    centre: FloatArray
    scale: FloatArray
    clip: float
    centroids: FloatArray
    means: FloatArray
    shares: FloatArray
    choices: tuple[Choice, ...]
    saw: tuple[str, ...]

    @property
    def k(self) -> int:
        return len(self.centroids)

    def assign(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """(n,) number of each voxel's habitat, 1 to k; 0 where a map has no value. values : (n, p), in the maps' own units."""
        values = _checked(values, self.columns)
        known = np.isfinite(values).all(axis=1)
        labels = np.zeros(len(values), np.uint8)
        labels[known] = nearest(standardised(values[known], self.centre, self.scale, self.clip), self.centroids) + 1
        return labels

    def describe(self, values: NDArray[np.floating], labels: NDArray[np.uint8]) -> tuple[dict[str, float], dict[str, str]]:
        """One case's columns ``habitat_<k>_share`` and ``habitat_<k>_mean_<map>``; and why some have no value.

        values : (n, p). labels : (n,), of :meth:`assign`. The share is of the voxels that have a habitat, and 0 for one that none
        of them belongs to: that is a measurement. The mean of an absent habitat is none.
        """
        values = _checked(values, self.columns)
        known = int((labels > 0).sum())
        row: dict[str, float] = {}
        why: dict[str, str] = {}
        for number in range(1, self.k + 1):
            inside = values[labels == number]
            row[share_column(number)] = len(inside) / known if known else math.nan
            names = [mean_column(number, name) for name in self.columns]
            if len(inside):
                row.update(zip(names, inside.mean(axis=0, dtype=np.float64).tolist(), strict=True))
                continue
            row.update(dict.fromkeys(names, math.nan))
            why.update(dict.fromkeys(names, "habitat-absent" if known else "no-habitats"))
            if not known:
                why[share_column(number)] = "no-habitats"
        return row, why

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that was learnt: arrays, and the rest as JSON."""
        arrays = {name: getattr(self, name) for name in ("centre", "scale", "centroids", "means", "shares")}
        choices = [[choice.k, _or_none(choice.agreement), _or_none(choice.spread), choice.chosen] for choice in self.choices]
        return arrays, {
            "kind": "habitats",
            "columns": list(self.columns),
            "clip": self.clip,
            "choices": choices,
            "saw": list(self.saw),
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> Habitats:
        """From what :meth:`state` gave."""
        choices = tuple(
            Choice(int(k), _or_nan(mean), _or_nan(spread), bool(chosen)) for k, mean, spread, chosen in info["choices"]
        )
        return cls(
            tuple(info["columns"]), arrays["centre"], arrays["scale"], float(info["clip"]), arrays["centroids"], arrays["means"],
            arrays["shares"], choices, tuple(info["saw"]),
        )  # fmt: skip


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def share_column(number: int) -> str:
    """habitat_2_share."""
    return f"{PREFIX}{number}_share"


def mean_column(number: int, name: str) -> str:
    """habitat_2_mean_original_glcm_Contrast."""
    return f"{PREFIX}{number}_mean_{name}"


def columns_of(k: int, maps: Sequence[str]) -> list[str]:
    """All columns of so many habitats."""
    return [name for number in range(1, k + 1) for name in (share_column(number), *(mean_column(number, m) for m in maps))]


def standardised(values: FloatArray, centre: FloatArray, scale: FloatArray, clip: float) -> FloatArray:
    """Values with the training voxels' mean 0 and standard deviation 1, clipped."""
    return np.clip((values - centre) / scale, -clip, clip)


def nearest(points: FloatArray, centroids: FloatArray) -> NDArray[np.int64]:
    """(n,) place of the nearest centroid; the first of two that are equally near."""
    # One centroid at a time, squared differences: exact for points on a centroid, and no (n, k, p) array.
    distances = np.stack([((points - centroid) ** 2).sum(axis=1) for centroid in centroids], axis=1)
    return np.argmin(distances, axis=1).astype(np.int64)


def _checked(values: NDArray[np.floating], columns: Sequence[str]) -> FloatArray:
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or values.shape[1] != len(columns):
        raise SchemaError(
            f"values are {values.shape}, not (voxels, {len(columns)} maps).", hint="Give the maps the habitats have."
        )
    return values

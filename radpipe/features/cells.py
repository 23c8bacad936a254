"""Texture matrices as Python sees them: the non-zero cells, one set for each direction or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radpipe.features._kernels.cells import count_codes
from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Cells:
    """codes : (cells,) int64, row * n_columns + column, distinct, ascending. weight : (cells,) float64, how often."""

    codes: IntArray
    weight: FloatArray
    n_columns: int

    @property
    def rows(self) -> IntArray:
        return self.codes // self.n_columns

    @property
    def columns(self) -> IntArray:
        return self.codes % self.n_columns


def counted(codes: IntArray, n_rows: int, n_columns: int) -> Cells:
    """The matrix whose cell ``code`` says how often that code occurs. codes is reordered."""
    if codes.size == 0:
        return Cells(codes, np.zeros(0), n_columns)
    found, counts = count_codes(codes, n_rows * n_columns)
    return Cells(found, counts.astype(np.float64), n_columns)


def tabled(table: IntArray) -> Cells:
    """The cells of a dense matrix (rows, columns)."""
    flat = table.ravel()
    codes = np.flatnonzero(flat)
    return Cells(codes, flat[codes].astype(np.float64), table.shape[1])


def weighted_sum(matrices: Sequence[Cells], weights: FloatArray) -> Cells:
    """Sum over directions of weight times matrix."""
    codes = np.concatenate([cells.codes for cells in matrices])
    values = np.concatenate([cells.weight * weight for cells, weight in zip(matrices, weights, strict=True)])
    found, place = np.unique(codes, return_inverse=True)
    weight = np.bincount(place, weights=values, minlength=found.size).astype(np.float64)
    return Cells(found, weight, matrices[0].n_columns)


def distance_mm(angles: IntArray, spacing_mm: Sequence[float], norm: str) -> FloatArray:
    """Length of each offset in mm by the norm manhattan, euclidean or infinity."""
    steps = np.abs(angles) * np.asarray(spacing_mm)
    if norm == "infinity":
        return np.asarray(steps.max(axis=1))
    if norm == "euclidean":
        return np.asarray(np.sqrt((steps**2).sum(axis=1)))
    return np.asarray(steps.sum(axis=1))


def mean_over_directions(table: FloatArray) -> FloatArray:
    """(directions, n) -> (n,): mean of each column, NaN left out; NaN where nothing is left."""
    sums = table.sum(axis=0)
    if not np.isnan(sums).any():
        return np.asarray(sums / len(table))
    known = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, table, 0.0).sum(axis=0) / known.sum(axis=0))

"""A texture matrix as its non-zero cells."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, kernel


@kernel
def count_codes(codes: IntArray, limit: int) -> tuple[IntArray, IntArray]:
    """How often each code occurs: (distinct codes, ascending; counts). codes : int64, 0 .. limit - 1; overwritten.

    Few possible codes are counted in a table, many by sorting, so that memory follows the voxels and never Ng x Ng.
    """
    n = codes.size
    if n == 0:
        return codes, codes
    if limit <= 4 * n + 65536:
        table = np.zeros(limit, np.int64)
        for code in codes:
            table[code] += 1
        return occurring(table)
    codes = _sorted(codes, limit)
    distinct = 1
    for k in range(1, n):
        if codes[k] != codes[k - 1]:
            distinct += 1
    found = np.empty(distinct, np.int64)
    counts = np.zeros(distinct, np.int64)
    place = 0
    found[0] = codes[0]
    counts[0] = 1
    for k in range(1, n):
        if codes[k] != codes[k - 1]:
            place += 1
            found[place] = codes[k]
        counts[place] += 1
    return found, counts


@kernel
def occurring(table: IntArray) -> tuple[IntArray, IntArray]:
    """(places of the table that are not zero, ascending; what stands there)."""
    distinct = 0
    for code in range(table.size):
        if table[code]:
            distinct += 1
    found = np.empty(distinct, np.int64)
    counts = np.empty(distinct, np.int64)
    place = 0
    for code in range(table.size):
        if table[code]:
            found[place] = code
            counts[place] = table[code]
            place += 1
    return found, counts


@kernel
def parted(codes: IntArray, width: int) -> tuple[IntArray, IntArray]:
    """(codes // width, the rest). (Written out, as all around: numba's arithmetic with whole arrays, its sums and its maxima bring
    modules with them that every fresh process would wait for.)"""
    quotient = np.empty(codes.size, np.int64)
    rest = np.empty(codes.size, np.int64)
    for k in range(codes.size):
        quotient[k] = codes[k] // width
        rest[k] = codes[k] - quotient[k] * width
    return quotient, rest


@kernel
def total_of(values: FloatArray) -> float:
    """One after the other."""
    total = 0.0
    for value in values:
        total += value
    return total


@kernel
def scaled(values: FloatArray, divisor: float) -> FloatArray:
    """Every value divided."""
    result = np.empty(values.size)
    for k in range(values.size):
        result[k] = values[k] / divisor
    return result


@kernel
def _sorted(codes: IntArray, limit: int) -> IntArray:
    """Ascending, by digits of eleven bits, the least first. codes is overwritten. (numba's own sort takes seconds to compile.)"""
    room = np.empty(codes.size, np.int64)
    ends = np.empty(2048, np.int64)
    shift = 0
    while (limit - 1) >> shift > 0:
        for digit in range(2048):
            ends[digit] = 0
        for code in codes:
            ends[(code >> shift) & 2047] += 1
        end = 0
        for digit in range(2048):
            end += ends[digit]
            ends[digit] = end
        for k in range(codes.size - 1, -1, -1):
            digit = (codes[k] >> shift) & 2047
            ends[digit] -= 1
            room[ends[digit]] = codes[k]
        codes, room = room, codes
        shift += 11
    return codes

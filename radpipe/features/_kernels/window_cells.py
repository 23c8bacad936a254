"""What the windows of voxel-wise maps share: the places of a window, and the formulas over level and size.

For the compiler's sake callers write ``int(n)`` for a count they hand on: for a plain n, which starts at 0, numba compiles the
called kernel twice, once for the number 0. Loops stand where an array expression would do, which takes it longer.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel

EPS = np.spacing(1.0)  # PyRadiomics adds it inside its logarithms
EPS_BITS = EPS / np.log(2.0)


@kernel
def window_places(shape: IntArray, radius: IntArray, offsets: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """(source, target) of a window's voxels in memory order, and steps to their neighbours; int64 each.

    source : relative to the centre, in a flat volume of ``shape`` (z, y, x). target : in a flat cube that holds the window and
    around it room for the longest offset. radius : (3,), 0 along the axis that force2D leaves out. steps : (n,), offsets (n, 3)
    as steps in that cube; 0 for those that reach past the window.
    """
    border = 0
    for b in range(len(offsets)):
        for axis in range(3):
            border = max(border, abs(offsets[b, axis]))
    border = min(border, 2 * max(radius[0], radius[1], radius[2]))
    rows = 2 * (radius[1] + border) + 1
    columns = 2 * (radius[2] + border) + 1
    steps = np.zeros(len(offsets), np.int64)
    for b in range(len(offsets)):
        fits = True
        for axis in range(3):
            fits &= abs(offsets[b, axis]) <= 2 * radius[axis]
        if fits:
            steps[b] = (offsets[b, 0] * rows + offsets[b, 1]) * columns + offsets[b, 2]
    n = (2 * radius[0] + 1) * (2 * radius[1] + 1) * (2 * radius[2] + 1)
    source = np.empty(n, np.int64)
    target = np.empty(n, np.int64)
    k = 0
    for z in range(-radius[0], radius[0] + 1):
        for y in range(-radius[1], radius[1] + 1):
            for x in range(-radius[2], radius[2] + 1):
                source[k] = (z * shape[1] + y) * shape[2] + x
                target[k] = ((z + radius[0] + border) * rows + y + radius[1] + border) * columns + x + radius[2] + border
                k += 1
    return source, target, steps


@kernel
def times_log(most: int) -> FloatArray:
    """n log2(n) of n = 0 .. most."""
    table = np.zeros(most + 1)
    for n in range(2, most + 1):
        table[n] = n * np.log2(n)
    return table


@kernel
def bits_of_one_more(most: int) -> FloatArray:
    """(k + 1) log2(k + 1) - k log2(k) of k = 0 .. most: what one more of a kind adds to an entropy's sum."""
    bits = np.empty(most + 1)
    before = 0.0
    for k in range(most + 1):
        now = (k + 1.0) * np.log2(k + 1.0)
        bits[k] = now - before
        before = now
    return bits


@kernel
def inverse_squares(most: int) -> FloatArray:
    """1 / n^2 of n = 0 .. most; 0 for 0."""
    table = np.zeros(most + 1)
    for n in range(1, most + 1):
        table[n] = 1.0 / (float(n) * float(n))
    return table


@kernel
def numbered(level: int, number: LevelArray, tone: IntArray, distinct: int) -> int:
    """The number of a level among those of the window, from 1; ``distinct`` + 1 where it is new, 0 for level 0.

    number : (Ng + 1,), 0 for levels not met yet. tone : receives level number k at k. Without a branch, which no processor
    could predict.
    """
    place = np.uint64(level)
    known = int(number[place])
    k = distinct + 1 if (known == 0) & (level != 0) else known
    number[place] = k
    tone[np.uint64(k)] = level
    return k


@kernel
def bits_set(word: int) -> int:
    """How many bits of a word are set (the sum of ever larger groups, all groups at a time)."""
    pairs = word - ((word >> 1) & 0x5555555555555555)
    fours = (pairs & 0x3333333333333333) + ((pairs >> 2) & 0x3333333333333333)
    eights = (fours + (fours >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (eights * 0x0101010101010101) >> 56


@kernel
def level_size(
    kind: LevelArray,
    size: LevelArray,
    n: int,
    distinct: int,
    tone: IntArray,
    inverse: FloatArray,
    bits: FloatArray,
    code: LevelArray,
    by_level: LevelArray,
    by_size: LevelArray,
    cells: LevelArray,
    out: FloatArray,
) -> None:
    """Seventeen numbers of a list of things that have a grey level and a size, not counted yet; NaN throughout where n is 0.

    kind, size : of the first n things; equal pairs may occur any number of times. tone : the level of each kind, 1 .. distinct.
    inverse : of :func:`inverse_squares`, up to the highest level and size. bits : of :func:`bits_of_one_more`, up to n. The rest is
    room, all 0 before and after: by_level (kinds + 1,), by_size (largest size + 1,), cells (their product); code (n,) may hold
    anything. out : the sixteen of :func:`~radpipe.features._kernels.levelsize.level_size_features`, then the sum of squared shares.

    Sums of whole numbers stay whole (at most 10,000 levels and 1,331 voxels: far below 2^63), so no variance is below 0.
    """
    if n == 0:
        out[:] = np.nan
        return
    width = np.uint64(by_size.size)
    level_sum = size_sum = s1 = s3 = s7 = 0
    level_uniformity = size_uniformity = energy = different = 0
    s0 = s2 = s4 = s5 = s6 = entropy = 0.0
    for t in range(n):
        k = np.uint64(kind[t])
        j = int(size[t])
        i = int(tone[k])
        place = k * width + np.uint64(j)
        code[t] = place
        count = int(by_level[k])
        level_uniformity += 2 * count + 1
        by_level[k] = count + 1
        count = int(by_size[np.uint64(j)])
        size_uniformity += 2 * count + 1
        by_size[np.uint64(j)] = count + 1
        count = int(cells[place])
        energy += 2 * count + 1
        entropy += bits[np.uint64(count)]
        different += count == 0
        cells[place] = count + 1
        i2 = i * i
        j2 = j * j
        low = inverse[np.uint64(i)]
        small = inverse[np.uint64(j)]
        level_sum += i
        size_sum += j
        s0 += small
        s1 += j2
        s2 += low
        s3 += i2
        s4 += low * small
        s5 += i2 * small
        s6 += low * j2
        s7 += i2 * j2
    for t in range(n):
        by_size[np.uint64(size[t])] = 0
        cells[np.uint64(code[t])] = 0
    for known in range(1, distinct + 1):
        by_level[np.uint64(known)] = 0
    share = 1.0 / n
    square = share * share
    out[0] = s0 * share
    out[1] = s1 * share
    out[2] = level_uniformity * share
    out[3] = level_uniformity * square
    out[4] = size_uniformity * share
    out[5] = size_uniformity * square
    out[6] = n / size_sum
    out[7] = (n * s3 - level_sum * level_sum) * square
    out[8] = (n * s1 - size_sum * size_sum) * square
    out[9] = np.log2(n) - entropy * share - different * EPS_BITS
    out[10] = s2 * share
    out[11] = s3 * share
    out[12] = s4 * share
    out[13] = s5 * share
    out[14] = s6 * share
    out[15] = s7 * share
    out[16] = energy * square


@kernel
def weighted_level_size(
    kind: LevelArray,
    size: LevelArray,
    weight: FloatArray,
    n: int,
    tone: IntArray,
    code: LevelArray,
    by_level: FloatArray,
    by_size: FloatArray,
    cells: FloatArray,
    out: FloatArray,
) -> None:
    """The first sixteen of :func:`level_size`, of things that weigh differently. weight : (n,), each thing's."""
    if n == 0:
        out[:] = np.nan
        return
    width = np.uint64(by_size.size)
    total = level_sum = size_sum = 0.0
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    for t in range(n):
        k = np.uint64(kind[t])
        place = k * width + np.uint64(size[t])
        code[t] = place
        w = weight[t]
        by_level[k] += w
        by_size[np.uint64(size[t])] += w
        cells[place] += w
        i = float(tone[k])
        j = float(size[t])
        i2 = i * i
        j2 = j * j
        high = w * i2
        low = w / i2
        small = 1.0 / j2
        total += w
        level_sum += w * i
        size_sum += w * j
        s0 += w * small
        s1 += w * j2
        s2 += low
        s3 += high
        s4 += low * small
        s5 += high * small
        s6 += low * j2
        s7 += high * j2
    level_uniformity = size_uniformity = entropy = 0.0
    for t in range(n):  # a sum is taken where it is met first, and cleared
        k = np.uint64(kind[t])
        x = by_level[k]
        by_level[k] = 0.0
        level_uniformity += x * x
        x = by_size[np.uint64(size[t])]
        by_size[np.uint64(size[t])] = 0.0
        size_uniformity += x * x
        place = np.uint64(code[t])
        x = cells[place]
        cells[place] = 0.0
        if x > 0.0:
            p = x / total
            entropy -= p * np.log2(p + EPS)
    square = total * total
    out[0] = s0 / total
    out[1] = s1 / total
    out[2] = level_uniformity / total
    out[3] = level_uniformity / square
    out[4] = size_uniformity / total
    out[5] = size_uniformity / square
    out[6] = total / size_sum
    out[7] = max(total * s3 - level_sum * level_sum, 0.0) / square
    out[8] = max(total * s1 - size_sum * size_sum, 0.0) / square
    out[9] = entropy
    out[10] = s2 / total
    out[11] = s3 / total
    out[12] = s4 / total
    out[13] = s5 / total
    out[14] = s6 / total
    out[15] = s7 / total

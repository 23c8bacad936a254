"""What IBSI 2's filters share: padding, scales, right-angle rotations, separable convolution, and names of response maps.

IBSI 2 reference manual, arXiv:2006.05470; Whybra 2024, doi:10.1148/radiol.231319. Arrays are (z, y, x); where the manual names
axes in order (kernel letters, Riesz indices), the first acts along x.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from scipy import ndimage

from radpipe.core.settings import Settings
from radpipe.errors import ConfigError, FileProblem, GeometryError
from radpipe.typing import FloatArray, Volume

Padding = Literal["zero", "nearest", "periodic", "mirror"]
Dimension = Literal["2D", "3D"]
Pooling = Literal["max", "average"]
Unit = Literal["mm", "voxel"]
Triple = tuple[float, float, float]
Step = tuple[FloatArray, int]  # a kernel, and scipy.ndimage's origin: how far its centre is moved
Chain = tuple[Step, ...]  # convolutions along one axis, one after the other

# The manual's mirror repeats the outermost voxel (d c b a | a b c d); scipy calls that reflect, numpy symmetric.
_NDIMAGE_MODE = {"zero": "constant", "nearest": "nearest", "periodic": "wrap", "mirror": "reflect"}
_NUMPY_MODE = {"zero": "constant", "nearest": "edge", "periodic": "wrap", "mirror": "symmetric"}
_PLANES = 4  # that go through the second and third convolution together
_SPACING_TOLERANCE = 1e-3  # of the spacing: far below anything a kernel of a few voxels feels


class FilterSettings(Settings):
    """What every filter takes."""

    dimension: Dimension = "3D"
    """2D: every axial plane for itself; 3D: the volume."""
    padding: Padding = "mirror"
    """What lies outside the image: zero, nearest (the outermost voxel goes on), periodic, or mirror (the outermost voxel is
    repeated)."""

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of (z, y, x) that the filter works along."""
        return (1, 2) if self.dimension == "2D" else (0, 1, 2)


class PooledSettings(FilterSettings):
    """What filters with a direction take."""

    rotation_invariance: bool = False
    """Filter in all right-angle rotations of the kernel (24 in 3D, 4 in 2D) and pool the responses."""
    pooling: Pooling = "max"
    """rotation_invariance: the largest response of all rotations at every voxel, or their average."""


def checked(voxels: Volume, params: FilterSettings, name: str) -> Volume:
    """``voxels``, as they are: filters make float64 of a part at a time. GeometryError: the filter cannot run on a volume of this
    shape. FileProblem: NaN or infinite voxels, which a convolution would spread over everything around."""
    if voxels.ndim != 3 or voxels.size == 0:
        raise GeometryError(f"the {name} filter needs a volume (z, y, x), not an array of shape {voxels.shape}.")
    if min(voxels.shape[axis] for axis in params.axes) < 2:
        raise GeometryError(
            f"the {name} filter cannot run in {params.dimension} on {voxels.shape} voxels (z, y, x): one axis has a single voxel.",
            hint=f"Set dimension: 2D for {name}."
            if params.dimension == "3D" and min(voxels.shape[1:]) > 1
            else "Filters need at least 2 voxels along every axis they work on.",
        )
    bad = sum(int(np.count_nonzero(~np.isfinite(plane))) for plane in voxels) if voxels.dtype.kind == "f" else 0
    if bad:
        raise FileProblem(
            f"the {name} filter cannot run: {bad} of the image's {voxels.size} voxels are NaN or infinite.",
            hint="Mend the image.",
        )
    return voxels


def in_voxels(scale: float, unit: Unit, spacing_mm: Triple, axes: Sequence[int], name: str) -> float:
    """A scale in voxels. spacing_mm : (z, y, x).

    ConfigError where it is given in mm and the voxels' sides along ``axes`` differ: the manual's kernels are isotropic.
    """
    if unit == "voxel":
        return scale
    sides = [spacing_mm[axis] for axis in axes]
    if max(sides) - min(sides) > _SPACING_TOLERANCE * min(sides):
        raise ConfigError(
            f"the {name} filter in mm needs voxels of equal sides in its {len(sides)} dimensions; these are "
            f"{' x '.join(f'{side:g}' for side in sides)} mm ({', '.join('zyx'[axis] for axis in axes)}).",
            hint=f"Resample to equal sides, or set dimension: 2D or unit: voxel for {name}.",
        )
    return scale / float(np.mean(sides))


def convolved(voxels: Volume, chain: Iterable[Step], axis: int, padding: Padding, into: FloatArray | None = None) -> FloatArray:
    """``voxels`` convolved along one axis, once a step; each step pads what the step before it left. float64.

    into : where the response goes; by default a new array. The voxels themselves will do: lines are read before they are written.
    """
    for kernel, origin in chain:
        into = np.empty(voxels.shape) if into is None else into
        ndimage.convolve1d(voxels, kernel, axis=axis, output=into, mode=_NDIMAGE_MODE[padding], origin=origin)
        voxels = into
    return voxels


def box_mean(voxels: Volume, support: int, axes: Sequence[int], padding: Padding, into: FloatArray | None = None) -> FloatArray:
    """The mean over ``support`` (odd) voxels along each of ``axes``, centred. into : see :func:`convolved`."""
    kernel = np.full(support, 1.0 / support)
    for axis in axes:
        voxels = into = convolved(voxels, ((kernel, 0),), axis, padding, into)
    return voxels


def slabs(n: int) -> Iterator[slice]:
    """0 .. n, a few planes at a time."""
    return (slice(start, min(start + _PLANES, n)) for start in range(0, n, _PLANES))


def padded(voxels: Volume, widths: Sequence[tuple[int, int]], padding: Padding) -> Volume:
    """``voxels`` with ``widths`` (before, after) more voxels along each axis."""
    if not any(width for pair in widths for width in pair):
        return voxels
    return np.pad(voxels, widths, mode=_NUMPY_MODE[padding])  # type: ignore[call-overload,no-any-return]


def flipped(chain: Chain) -> Chain:
    """The chain that filters the mirrored axis: filter(image mirrored) mirrored back. An even kernel's centre moves to its twin."""
    return tuple(
        (np.ascontiguousarray(kernel[::-1]), -1 - origin if kernel.size % 2 == 0 else -origin) for kernel, origin in chain
    )


def right_angle_rotations(n: int) -> Iterator[tuple[tuple[int, ...], tuple[bool, ...]]]:
    """(order of axes, which are mirrored) of every rotation by right angles: 4 for n = 2, 24 for n = 3."""
    for order in itertools.permutations(range(n)):
        swaps = sum(1 for i, j in itertools.combinations(range(n), 2) if order[i] > order[j])
        for mirrored in itertools.product((False, True), repeat=n):
            if (swaps + sum(mirrored)) % 2 == 0:  # determinant +1: turned, not reflected
                yield order, mirrored


def pooled_separable(voxels: Volume, chains: Sequence[Chain], params: PooledSettings) -> FloatArray:
    """The response of a separable filter, pooled over its rotations where the settings ask for it.

    chains : one for each axis of ``params.axes``, in that order. Besides the response one more array of the image's size is held,
    the image convolved along z; the rest goes a few planes at a time.
    """
    axes = params.axes
    kernels: list[tuple[Chain, ...]] = [tuple(chains)]
    if params.rotation_invariance:
        # Rotations that give the same kernel are computed once; every distinct kernel comes up equally often among them.
        distinct: dict[tuple[bytes, ...], tuple[Chain, ...]] = {}
        for order, mirrored in right_angle_rotations(len(axes)):
            turned = tuple(flipped(chains[i]) if flip else chains[i] for i, flip in zip(order, mirrored, strict=True))
            distinct[tuple(_key(chain) for chain in turned)] = turned
        kernels = list(distinct.values())
    total = np.empty(voxels.shape)
    begun = False
    for after, rest in _along_z(voxels, kernels, axes, params.padding):
        for planes in slabs(len(voxels)):
            of_planes = total[planes]
            filled = begun
            for response in _responses(after[planes], rest, (1, 2), params.padding):
                if not filled:
                    of_planes[...] = response
                elif params.pooling == "max":
                    np.maximum(of_planes, response, out=of_planes)
                else:
                    of_planes += response
                filled = True
        begun = True
    if params.pooling == "average" and len(kernels) > 1:
        total /= len(kernels)
    return total


def _along_z(
    voxels: Volume, kernels: list[tuple[Chain, ...]], axes: Sequence[int], padding: Padding
) -> Iterator[tuple[Volume, list[tuple[Chain, ...]]]]:
    """(the voxels convolved along z, what is left of the kernels that begin so); the same array each time."""
    if 0 not in axes:
        yield voxels, kernels
        return
    after = np.empty(voxels.shape)
    for group in _alike(kernels):
        yield convolved(voxels, group[0][0], 0, padding, after), [kernel[1:] for kernel in group]


def _alike(kernels: list[tuple[Chain, ...]]) -> list[list[tuple[Chain, ...]]]:
    """Those that begin alike, together."""
    groups: dict[bytes, list[tuple[Chain, ...]]] = {}
    for kernel in kernels:
        groups.setdefault(_key(kernel[0]), []).append(kernel)
    return list(groups.values())


def _responses(voxels: Volume, kernels: list[tuple[Chain, ...]], axes: Sequence[int], padding: Padding) -> Iterator[Volume]:
    """One response a kernel; kernels that begin alike share the convolutions along their first axes."""
    if not axes:
        yield from (voxels for _ in kernels)
        return
    for group in _alike(kernels):
        after = convolved(voxels, group[0][0], axes[0], padding)
        yield from _responses(after, [kernel[1:] for kernel in group], axes[1:], padding)


def _key(chain: Chain) -> bytes:
    """Equal for chains that do the same; -0.0 and 0.0 are one number."""
    return b"|".join((kernel + 0.0).tobytes() + bytes([origin % 256]) for kernel, origin in chain)


def chain_reach(chain: Chain) -> int:
    """How many voxels away the farthest voxel lies that the chain looks at, on either side."""
    return sum(kernel.size // 2 + abs(origin) for kernel, origin in chain)


def kernel_radius(cutoff: float, sigma: float) -> int:
    """Voxels on each side of a kernel cut at ``cutoff`` times sigma (voxels)."""
    return max(math.floor(cutoff * sigma + 0.5), 1)


def number(value: float) -> str:
    """A number as it stands in a column's name: dots as dashes, 1.5 -> 1-5, 2.0 -> 2-0 (as PyRadiomics writes sigma)."""
    return repr(float(value)).replace(".", "-").replace("+", "")


def named(*parts: str | None, params: FilterSettings) -> str:
    """The prefix of a response map's columns: what was given, the dimension, and the padding where it is not the filter's default."""
    usual = type(params).model_fields["padding"].default
    ends: list[str] = [params.dimension, *([params.padding] if params.padding != usual else [])]
    return "-".join([part for part in parts if part] + ends)


def pooling_part(params: PooledSettings) -> str | None:
    """max or average in a column's name, where responses are pooled."""
    return params.pooling if params.rotation_invariance else None


def where_said(params: FilterSettings) -> str:
    """The end of a dictionary's sentence."""
    place = "each axial plane" if params.dimension == "2D" else "the volume"
    return f"in {place}, {params.padding} padding"


def pooling_said(params: PooledSettings) -> str:
    """', the largest of ...' or ''."""
    if not params.rotation_invariance:
        return ""
    how = "largest" if params.pooling == "max" else "average"
    return f", {how} response of the {4 if params.dimension == '2D' else 24} right-angle rotations"

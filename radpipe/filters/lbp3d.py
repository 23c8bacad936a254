"""LBP3D: local binary patterns in 3D, turned into numbers that do not change when the region is turned, and the kurtosis.

Banerjee 2013, doi:10.1007/978-3-642-37410-4_3. A voxel's neighbours are the corners of an icosphere around it, taken from the
image by cubic B-splines (outside the image 0, and in the image's dtype: rounded in an image of whole numbers). Which of them
are at least as bright as the voxel is written in spherical harmonics; every degree's norm is one response, and the kurtosis
of the neighbours' intensities another. PyRadiomics gives the polar angle for the azimuth and the other way round, so the
functions are not quite the harmonics of the sphere; kept, because the names promise its values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.ndimage import map_coordinates, spline_filter1d

from radpipe.filters.scene import ImageType, Response, Scene, give_back, room
from radpipe.filters.settings import FilterSettings
from radpipe.typing import FloatArray, IntArray, Volume

BoolArray: TypeAlias = NDArray[np.bool_]
ComplexArray: TypeAlias = NDArray[np.complex128]

_CHUNK_VOXELS = 1024
# Small products of matrices, and sums of a single column, are added up in another order. Equal neighbourhoods must give equal
# numbers, so few voxels are worked on as more.
_FEWEST_VOXELS = 256
_CHUNK_LINES = 100_000  # voxels of the lines that are filtered at a time
_MANY_VOXELS = 1_000_000
_MUCH = 0.7  # of the region's box
_SMALL = 50_000  # voxels of a box of which five are 2 MB, no more than what is worked on at a time
# A B-spline's coefficient depends on a voxel n away by 0.27^n: beyond this margin by 1e-23.
_REACH = 40
_MOST_STENCIL = 1000
# Two orders of magnitude above what a sum of a hundred terms loses, against the largest coefficient.
_DOUBT = 1e-11
# A kurtosis of neighbours that differ by less is worth nothing after rounding; scipy's is then taken for what it is.
_ALIKE = 1e-5
# The icosahedron with corners on the unit sphere: half its short and half its long side, corners, faces.
_SHORT, _LONG = 0.5257311121191336, 0.85065080835204
_CORNERS = np.array(
    [(a * _SHORT, b * _LONG, 0.0) for b in (1, -1) for a in (-1, 1)]
    + [(0.0, a * _SHORT, b * _LONG) for b in (1, -1) for a in (-1, 1)]
    + [(b * _LONG, 0.0, a * _SHORT) for b in (1, -1) for a in (-1, 1)]
)
_FACES = np.array(
    [
        (0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2), (10, 7, 6), (7, 1, 8),
        (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5), (2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1),
    ]
)  # fmt: skip


def prefixes(settings: FilterSettings) -> list[str]:
    return [f"lbp-3D-m{level}" for level in range(1, settings.lbp3DLevels + 1)] + ["lbp-3D-k"]


def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
    """The norms of degrees 0, 1, ... and the kurtosis (NaN where all neighbours are equally bright).

    They come of one look at the neighbours; but where the region is most of a large box they would take more than three times the
    box, and each has a look of its own.
    """
    corners = icosphere(settings.lbp3DIcosphereSubdivision, settings.lbp3DIcosphereRadius)
    names = prefixes(settings)
    much = scene.mask.size > _SMALL and np.count_nonzero(scene.mask) > _MUCH * scene.mask.size
    for wanted in [[name] for name in names] if much else [names]:
        if much:
            give_back()
        yield from _look(scene, settings, corners, wanted)


def _look(scene: Scene, settings: FilterSettings, corners: FloatArray, wanted: list[str]) -> Iterator[Response]:
    """Those of the responses that are wanted, in their order."""
    levels = settings.lbp3DLevels
    degrees, harmonics = _harmonics(corners, settings.lbp3DIcosphereRadius, levels)
    sampler = Sampler(scene, corners)
    voxels = int(np.count_nonzero(scene.mask))
    lowest, *higher, kurtosis = prefixes(settings)
    norms = {name: degree for degree, name in enumerate(higher, 1) if name in wanted}
    constant = constant_norms(harmonics)
    # Of neighbours at least as bright, which is all that degree 0 depends on.
    numbers = np.empty(voxels if lowest in wanted else 0, np.min_scalar_type(len(constant)))
    found = {name: room([voxels]) for name in wanted if name != lowest}  # one by one, for each is let go by itself
    for start, places in _places(scene):
        n = len(places)
        chunk = slice(start, start + n)
        values = scene.voxels[tuple(places.T)]  # here, and not of the whole region, beside the coefficients and what is found
        if n < _FEWEST_VOXELS:
            places, values = np.resize(places, (_FEWEST_VOXELS, 3)), np.resize(values, _FEWEST_VOXELS)
        around = sampler.around(places, values)
        if kurtosis in wanted:
            found[kurtosis][chunk] = _kurtosis(around)[:n]
        ones = np.greater_equal(around, values[:, None])
        holes = np.flatnonzero(~np.isfinite(around[:n]).all(axis=1))  # a hole in the image is not dark
        if lowest in wanted:
            numbers[chunk] = np.count_nonzero(ones[:n], axis=1)
            numbers[start + holes] = len(constant) - 1
        every = all_norms(ones, degrees, harmonics, levels) if norms and levels > 2 else None
        for name, degree in norms.items():
            found[name][chunk] = (norm_of_degree_1(ones, harmonics) if every is None else every[degree])[:n]
            found[name][start + holes] = np.nan
    del sampler
    if lowest in wanted:
        found[lowest] = room([voxels])
        for start in range(0, voxels, _CHUNK_LINES):  # numpy makes 64 bits of every number that it looks up
            found[lowest][start : start + _CHUNK_LINES] = constant[numbers[start : start + _CHUNK_LINES]]
    del numbers
    for name in wanted:
        yield name, found.pop(name)


def _places(scene: Scene) -> Iterator[tuple[int, IntArray]]:
    """(number of the first one, (n, 3) places in the whole image) of the region's voxels in memory order, some at a time."""
    corner = np.array([side.start for side in scene.box])
    step = max(1, _CHUNK_VOXELS // (scene.mask.shape[1] * scene.mask.shape[2]))
    start = 0
    for plane in range(0, len(scene.mask), step):
        places = np.argwhere(scene.mask[plane : plane + step]) + (corner + np.array((plane, 0, 0)))
        for first in range(0, len(places), _CHUNK_VOXELS):
            yield start + first, places[first : first + _CHUNK_VOXELS]
        start += len(places)


def icosphere(subdivisions: int, radius: float) -> FloatArray:
    """(corners, 3): an icosahedron whose triangles are cut in four, again and again, and whose corners are put on the sphere."""
    corners, faces = _CORNERS, _FACES
    for _ in range(subdivisions):
        edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        _, first, place = np.unique(edges[:, 1] * len(corners) + edges[:, 0], return_index=True, return_inverse=True)
        middle = place.reshape(-1, 3) + len(corners)
        corners = np.vstack([corners, corners[edges[first]].mean(axis=1)])
        a, b, c = faces.T
        ab, bc, ca = middle.T
        faces = np.column_stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca]).reshape(-1, 3)
        corners = _on_sphere(corners, radius)
    return _on_sphere(corners, radius) if subdivisions == 0 else corners


def _on_sphere(corners: FloatArray, radius: float) -> FloatArray:
    length = np.sqrt(np.dot(corners**2, [1, 1, 1]))[:, None]
    return np.asarray(corners + corners / length * (radius - length))


def _harmonics(corners: FloatArray, radius: float, levels: int) -> tuple[IntArray, ComplexArray]:
    """(degree of every function, (corners, functions) their values), with the two angles exchanged, as PyRadiomics does."""
    azimuth = np.arccos(corners[:, 2] / radius)
    polar = np.arctan2(corners[:, 1], corners[:, 0])
    degrees, columns = [], []
    for n in range(levels):
        for m in range(-n, n + 1):
            degrees.append(n)
            columns.append(_spherical(n, m, polar, azimuth))
    return np.array(degrees), np.column_stack(columns)


def _spherical(n: int, m: int, polar: FloatArray, azimuth: FloatArray) -> ComplexArray:
    """Of degree n and order m. scipy renamed the function in 1.15 and exchanged its arguments; the numbers are the same."""
    if hasattr(special, "sph_harm_y"):
        return np.asarray(special.sph_harm_y(n, m, polar, azimuth))
    return np.asarray(special.sph_harm(m, n, azimuth, polar))


def all_norms(ones: BoolArray, degrees: IntArray, harmonics: ComplexArray, levels: int) -> FloatArray:
    """(levels, voxels). The sums run in PyRadiomics' order, for equal patterns must give equal numbers."""
    weights = (ones[:, :, None].astype(np.int64) * harmonics[None]).sum(axis=1)
    rebuilt = [weights[:, None, degrees == 0] * harmonics[None, :, degrees == 0]]
    rebuilt += [
        np.sum(weights[:, None, degrees == n] * harmonics[None, :, degrees == n], axis=2, keepdims=True) for n in range(1, levels)
    ]
    return np.asarray(np.real(np.sqrt(np.sum(np.concatenate(rebuilt, axis=2) ** 2, axis=1))).T)


def constant_norms(harmonics: ComplexArray) -> FloatArray:
    """(corners + 2,): what :func:`all_norms` gives for degree 0, by the number of ones, to the last bit; then NaN."""
    constant: FloatArray = harmonics[:, 0].real
    alike = np.concatenate([[0.0], np.cumsum(constant)])  # as many times the constant as there are ones
    same = (alike * constant[0]) ** 2
    squared = np.zeros_like(same)
    for _ in range(len(harmonics)):
        squared += same
    return np.append(np.sqrt(squared), np.nan)


def norm_of_degree_1(ones: BoolArray, harmonics: ComplexArray) -> FloatArray:
    """(voxels,): what :func:`all_norms` gives for degree 1, to the last bit, with fewer complex numbers.

    The functions of orders 1 and -1 are each other's negative conjugate, so of a sum over orders the imaginary parts cancel and
    the real parts of the two are the same number.
    """
    turned = ones.T.astype(np.float64, order="C")  # (corners, voxels); sums over the first axis run one after the other
    axial, right, up = (
        (turned * part[:, None]).sum(axis=0) for part in (harmonics[:, 2].real, harmonics[:, 3].real, harmonics[:, 3].imag)
    )
    # As complex numbers, for numpy rounds their product only once where the processor can.
    side = ((right + 1j * up)[None] * harmonics[:, 3, None]).real
    rebuilt = np.multiply(axial[None], harmonics[:, 2, None].real, out=turned)
    rebuilt += side
    rebuilt += side
    rebuilt *= rebuilt
    return np.asarray(np.sqrt(rebuilt.sum(axis=0)))


def _kurtosis(around: NDArray[Any]) -> FloatArray:
    """Excess kurtosis of every row; NaN where its values are equal but for rounding."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = around.mean(axis=1, keepdims=True)
        squares = (around - mean) ** 2
        m2 = squares.mean(axis=1)
        m4 = (squares**2).mean(axis=1)
        return np.asarray(np.where(m2 <= (np.finfo(m2.dtype).resolution * mean[:, 0]) ** 2, np.nan, m4 / m2**2.0) - 3)


class Sampler:
    """The image at the corners around voxels, as scipy's map_coordinates gives it.

    The corners lie at the same places around every voxel, so all of them are one product of matrices with the B-spline
    coefficients around the voxel. That product rounds otherwise than scipy; where the last digits decide (a corner about as
    bright as its voxel, a whole number about to be rounded, a voxel among equals, or the image's end), scipy is asked.
    """

    def __init__(self, scene: Scene, corners: FloatArray) -> None:
        self._corners = corners
        self._dtype = scene.voxels.dtype
        self._shape = np.array(scene.voxels.shape)
        self._reach = int(np.ceil(np.abs(corners).max() - 1e-9)) + 1
        self._framed, self._start = _coefficients(scene, self._reach)
        self._scale = max(abs(float(self._framed.min())), abs(float(self._framed.max())))
        side = 2 * self._reach + 1
        self._matrix: FloatArray | None = None
        # scipy mirrors what a spline reads beyond the image's end; an image that is thinner than that is left to scipy.
        if side**3 <= _MOST_STENCIL and (self._shape > self._reach).all():
            along = np.stack([_spline_weights(corners[:, axis], self._reach) for axis in range(3)])  # (axes, corners, side)
            self._matrix = np.einsum("ka,kb,kc->kabc", *along).reshape(len(corners), side**3)
            _, rows, columns = self._framed.shape
            steps = np.arange(side)
            self._steps = ((steps[:, None, None] * rows + steps[:, None]) * columns + steps).ravel()

    def around(self, places: IntArray, centres: Volume) -> NDArray[Any]:
        """(voxels, corners), in the image's dtype. places : (voxels, 3) in the whole image. centres : their intensities."""
        if self._matrix is None:
            return self._exact(places[:, None, :] + self._corners[None])
        corner = places - (self._start + self._reach)
        _, rows, columns = self._framed.shape
        first = (corner[:, 0] * rows + corner[:, 1]) * columns + corner[:, 2]
        flat = self._framed.reshape(-1)
        nearby = np.empty((len(self._steps), len(places)))
        for row, step in zip(nearby, self._steps, strict=True):
            np.take(flat, first + step, out=row, mode="clip")
        with np.errstate(invalid="ignore"):  # a hole in the image nearby
            sampled = nearby.T @ self._matrix.T
            del nearby
            if self._dtype.kind == "f":
                result = sampled.astype(self._dtype)
                alike = sampled.max(axis=1) - sampled.min(axis=1) <= _ALIKE * self._scale
                sampled -= centres[:, None]
                doubtful = np.abs(sampled, out=sampled) <= _DOUBT * self._scale
                doubtful[alike] = True
            else:
                limits = np.iinfo(self._dtype)
                rounded = np.rint(sampled)  # but for halves, which are in doubt
                sampled -= rounded
                doubtful = np.abs(sampled, out=sampled) >= 0.5 - _DOUBT * self._scale
                result = np.clip(rounded, limits.min, limits.max, out=rounded).astype(self._dtype)
        edge = np.flatnonzero(((places < self._reach) | (places >= self._shape - self._reach)).any(axis=1))
        if edge.size:
            at = places[edge, None, :] + self._corners[None]
            beyond = np.any((at < 0) | (at > self._shape - 1), axis=2)
            result[edge] = np.where(beyond, 0, result[edge])
            if self._dtype.kind == "f":  # zeros make neighbours differ, or be alike, otherwise than what was sampled there
                doubtful[edge[beyond.any(axis=1)]] = True
            doubtful[edge] &= ~beyond
        voxel, which = np.nonzero(doubtful)
        if voxel.size:
            result[voxel, which] = self._exact(places[voxel] + self._corners[which])
        return result

    def _exact(self, at: FloatArray) -> NDArray[Any]:
        """(..., 3) places in the whole image -> (...).

        A place in the whole image less a whole number is exact, so its fraction is that of the whole image, whose rounding decides
        whether an equally bright neighbour counts.
        """
        reach = self._reach
        within = (slice(reach, -reach),) * 3
        moved = np.moveaxis(at - (self._start + reach), -1, 0)
        found = map_coordinates(self._framed[within], moved, order=3, prefilter=False, output=self._dtype)
        return np.asarray(found)


def _spline_weights(offsets: FloatArray, reach: int) -> FloatArray:
    """(offsets, 2 reach + 1): the cubic B-spline at every voxel from -reach to reach, seen from the offset."""
    distance = np.abs(offsets[:, None] - np.arange(-reach, reach + 1))
    near = 2 / 3 - distance**2 * (1 - distance / 2)
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far)


def _coefficients(scene: Scene, reach: int) -> tuple[FloatArray, IntArray]:
    """((z, y, x) B-spline coefficients of the region's box with a margin, where its first one lies in the whole image).

    The margin holds all that a spline around a voxel reads, and a frame of ``reach`` voxels more: where the image ends, its mirror
    image, as scipy has it. Lines go through a few at a time, and are cut to the margin at once; of a large region half of the planes
    are done after the other half, for which the lines across them are filtered twice.
    """
    margin = reach + 2
    part, inside = scene.around(margin + _REACH)
    cuts = tuple(slice(max(s.start - margin, 0), min(s.stop + margin, size)) for s, size in zip(inside, part.shape, strict=True))
    z, y, x = cuts
    framed = room([side.stop - side.start + 2 * reach for side in cuts])
    within = (slice(reach, -reach),) * 3
    depth = z.stop - z.start
    if depth * (y.stop - y.start) * part.shape[2] > _MANY_VOXELS:
        depth = -(-depth // 2)
    for first in range(z.start, z.stop, depth):
        some = slice(first, min(first + depth, z.stop))
        _fill(framed[within][first - z.start : some.stop - z.start], part, (some, y, x))
    for axis in range(3):
        line = np.moveaxis(framed, axis, 0)
        last = len(line) - 1 - reach
        for away in range(1, reach + 1):
            line[reach - away] = line[min(reach + away, last)]
            line[last + away] = line[max(last - away, reach)]
    starts = [side.start - within.start + cut.start - reach for side, within, cut in zip(scene.box, inside, cuts, strict=True)]
    return framed, np.array(starts)


def _fill(of_frame: FloatArray, part: Volume, cuts: tuple[slice, slice, slice]) -> None:
    """The coefficients of the part, cut."""
    z, y, x = cuts
    planes = room([z.stop - z.start, y.stop - y.start, part.shape[2]])
    step = max(1, _CHUNK_LINES // (part.shape[0] * part.shape[1]))
    for start in range(0, part.shape[2], step):
        piece = part[:, :, start : start + step]
        piece = spline_filter1d(piece, order=3, axis=0, output=np.float64, mode="constant")[z]
        planes[:, :, start : start + step] = spline_filter1d(piece, order=3, axis=1, output=np.float64, mode="constant")[:, y]
    for plane, filled in zip(planes, of_frame, strict=True):
        filled[:] = spline_filter1d(plane, order=3, axis=1, output=np.float64, mode="constant")[:, x]


def _told(prefix: str, settings: FilterSettings) -> str:
    radius = f"(radius {settings.lbp3DIcosphereRadius:g}, in voxels)"
    if prefix == "lbp-3D-k":
        return f"the kurtosis of the neighbours' intensities {radius}"
    degree = int(prefix.removeprefix("lbp-3D-m")) - 1
    return f"the norm of the 3D local binary patterns {radius} in spherical harmonics of degree {degree}"


LBP3D = ImageType(prefixes, respond, _told, keeps_unit=False)

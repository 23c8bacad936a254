"""The marching-cubes surface of a mask, as PyRadiomics draws it, and the moments of its voxels.

A cube lies between 2 x 2 x 2 voxels; which of its corners are inside makes its configuration. Corners (z, y, x):
0 (0,0,0), 1 (0,0,1), 2 (0,1,1), 3 (0,1,0), 4 to 7 the same at z + 1. The surface cuts every edge in the middle.
Triangles: the classic table of Lorensen and Cline 1987, doi:10.1145/37402.37422, for configurations without corner 7
(the others are their complements), in the order PyRadiomics' cshape.c has it (BSD 3-Clause), because ambiguous
configurations may be closed in two ways and the values promise PyRadiomics' one.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import Bytes, FloatArray, IntArray, kernel

# For each configuration 0 .. 127 its triangles, three edges each, as hexadecimal digits; "-" where there are none.
_TRIANGLES = [
    "-",
    "083",
    "190",
    "183198",
    "12a",
    "08312a",
    "92a029",
    "2832a8a98",
    "b23",
    "b2008b",
    "190b23",
    "b2119b98b",
    "3a1ba3",
    "a1008a8ba",
    "9033b9ba9",
    "98aba8",
    "478",
    "043473",
    "190478",
    "194147173",
    "12a478",
    "34730412a",
    "92a902478",
    "2a9297273479",
    "478b23",
    "b47b24204",
    "190478b23",
    "47b94bb29192",
    "3a1ba3478",
    "ba114b10447b",
    "4789033b9ba9",
    "47b4b99ba",
    "954",
    "954083",
    "054015",
    "854835315",
    "12a954",
    "08312a954",
    "2a5542240",
    "2a5325354834",
    "954b23",
    "b2008b954",
    "054015b23",
    "215258b28548",
    "3a1ba3954",
    "549a1008a8ba",
    "54050ba5bb03",
    "548a58ba8",
    "789579",
    "309539357",
    "780017715",
    "157173",
    "78957912a",
    "12a309395357",
    "0288258572a5",
    "2a5253357",
    "579789b23",
    "579972209b27",
    "b23018178157",
    "21b17b157",
    "7895793a1ba3",
    "5705097b0a10ba0",
    "ba003ba50078570",
    "ba557b",
    "65a",
    "08365a",
    "19065a",
    "18319865a",
    "165126",
    "165126083",
    "965906026",
    "598582526832",
    "b2365a",
    "b2008b65a",
    "190b2365a",
    "b2119b98b65a",
    "63b653513",
    "08b0b50515b6",
    "63b036065059",
    "65969bb98",
    "47865a",
    "04347365a",
    "19047865a",
    "19414717365a",
    "478165126",
    "043473165126",
    "478965906026",
    "739479329596269",
    "b2347865a",
    "b47b2420465a",
    "190b2347865a",
    "47b94bb2919265a",
    "47863b653513",
    "51b5b610b47b04b",
    "47863b036065059",
    "65969b4797b9",
    "a4964a",
    "a4964a083",
    "01aa60640",
    "18316886461a",
    "149124264",
    "149124264083",
    "024426",
    "832824426",
    "b23a4964a",
    "b2008ba4964a",
    "b2301aa60640",
    "64161a148b2118b",
    "964369139b63",
    "18b081b61149641",
    "63b036640",
    "86468b",
    "67a78a89a",
    "67a0a709a073",
    "67a1a7178018",
    "67a1a7173",
    "126168189678",
    "269129679309739",
    "078706602",
    "273267",
    "b2367a78a89a",
    "207b2709767a9a7",
    "67a1a7178018b23",
    "b2117ba61167",
    "896678169b63136",
    "09167b",
    "07870603bb60",
    "67b",
]
# Middle of every edge, relative to corner 0, in (z, y, x).
_EDGES = np.array(
    [[0, 0, 0.5], [0, 0.5, 1], [0, 1, 0.5], [0, 0.5, 0], [1, 0, 0.5], [1, 0.5, 1], [1, 1, 0.5], [1, 0.5, 0],
     [0.5, 0, 0], [0.5, 0, 1], [0.5, 1, 1], [0.5, 1, 0]]
)  # fmt: skip


def _tables() -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """For a voxel of 1 x 1 x 1: (configuration of each triangle; twice its area vector; and of each configuration, 0 .. 255,
    the sum over triangles of a x b + b x c + c x a, and of (a x b) . c, with the sign of a configuration's complement turned)."""
    owner = np.array([index for index, edges in enumerate(_TRIANGLES) if edges != "-" for _ in range(len(edges) // 3)])
    corners = np.array([[int(edge, 16) for edge in edges] for edges in _TRIANGLES if edges != "-" for edges in _threes(edges)])
    a, b, c = (_EDGES[corners[:, corner]] for corner in range(3))
    across = np.cross(a, b)
    moved, fixed = np.zeros((256, 3)), np.zeros(256)
    # All are multiples of 1/8, so the order of the additions does not matter.
    for table, of_triangles in ((moved, across + np.cross(b, c) + np.cross(c, a)), (fixed, (across * c).sum(axis=1))):
        np.add.at(table, owner, of_triangles)
        np.subtract.at(table, 255 - owner, of_triangles)
    return owner, np.cross(a - c, b - c), moved, fixed


def _threes(edges: str) -> list[str]:
    return [edges[k : k + 3] for k in range(0, len(edges), 3)]


_OWNER, _AREA_VECTORS, _MOVED, _FIXED = _tables()


def surface_and_volume(cubes: FloatArray, spacing: FloatArray) -> tuple[float, float]:
    """(area, volume) of the surface. cubes : (256, 4) from :func:`count_cubes`. spacing : (3,), (z, y, x), mm.

    The volume is a sum of determinants of triangle corners, which is linear in the cube's place: cubes of one
    configuration need only their number and the sum of their indices, and the voxel's size is a factor. Where two ambiguous
    configurations meet, PyRadiomics' table leaves a gap and the volume depends a little on where index 0 lies; it lies at
    the corner of the region's box, so the region's place in the image does not matter.
    """
    voxel = float(np.prod(spacing))
    sizes = 0.5 * np.sqrt(((_AREA_VECTORS * (voxel / spacing)) ** 2).sum(axis=1))
    number = cubes[:, 0]
    area = float(sizes @ (number[_OWNER] + number[255 - _OWNER]))
    volume = float(number @ _FIXED + (cubes[:, 1:] * _MOVED).sum()) * voxel / 6.0
    return area, volume


@kernel
def count_cubes(mask: Bytes) -> FloatArray:
    """(256, 4) float64: number of cubes of each configuration, and the sums of their z, y and x index.

    mask : (z, y, x) uint8, 0 or 1, with a border of zeros one voxel wide.
    """
    depth, height, width = mask.shape
    table = np.zeros((256, 4))
    for z in range(depth - 1):
        for y in range(height - 1):
            # Corners at x + 1 become corners at x of the next cube: 1 -> 0, 2 -> 3, 5 -> 4, 6 -> 7.
            near = mask[z, y, 0] | mask[z, y + 1, 0] << 3 | mask[z + 1, y, 0] << 4 | mask[z + 1, y + 1, 0] << 7
            for x in range(width - 1):
                ahead = x + 1
                a = mask[z, y, ahead]
                b = mask[z, y + 1, ahead]
                c = mask[z + 1, y, ahead]
                d = mask[z + 1, y + 1, ahead]
                cube = near | a << 1 | b << 2 | c << 5 | d << 6
                near = a | b << 3 | c << 4 | d << 7
                if cube != 0 and cube != 255:
                    table[cube, 0] += 1.0
                    table[cube, 1] += z
                    table[cube, 2] += y
                    table[cube, 3] += x
    return table


@kernel
def moments(mask: Bytes) -> IntArray:
    """Whole numbers over the voxels of the mask: n, then the sums of z, y, x, zz, yy, xx, zy, zx, yx. mask : (z, y, x) uint8."""
    out = np.zeros(10, np.int64)
    for z in range(mask.shape[0]):
        for y in range(mask.shape[1]):
            n = np.int64(0)
            first = np.int64(0)
            second = np.int64(0)
            for x in range(mask.shape[2]):
                inside = np.int64(mask[z, y, x])
                n += inside
                first += inside * x
                second += inside * x * x
            if n:
                out[0] += n
                out[1] += n * z
                out[2] += n * y
                out[3] += first
                out[4] += n * z * z
                out[5] += n * y * y
                out[6] += second
                out[7] += n * z * y
                out[8] += first * z
                out[9] += first * y
    return out

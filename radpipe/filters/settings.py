"""The keys of a PyRadiomics parameter file that its filters read. Names, defaults and ranges are PyRadiomics 3.0.1's."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from radpipe.core.registry import nearest
from radpipe.core.settings import Settings

# The discrete wavelets of PyWavelets, written out so that reading a parameter file does not import it.
WAVELETS = (
    *(f"bior{n}" for n in ("1.1", "1.3", "1.5", "2.2", "2.4", "2.6", "2.8", "3.1", "3.3", "3.5", "3.7", "3.9", "4.4", "5.5", "6.8")),
    *(f"coif{n}" for n in range(1, 18)),
    *(f"db{n}" for n in range(1, 39)),
    "dmey",
    "haar",
    *(f"rbio{n}" for n in ("1.1", "1.3", "1.5", "2.2", "2.4", "2.6", "2.8", "3.1", "3.3", "3.5", "3.7", "3.9", "4.4", "5.5", "6.8")),
    *(f"sym{n}" for n in range(2, 21)),
)  # fmt: skip
READ_BY: dict[str, tuple[str, ...]] = {
    "LoG": ("sigma",),
    "Wavelet": ("start_level", "level", "wavelet"),
    "Gradient": ("gradientUseSpacing",),
    "LBP2D": ("lbp2DRadius", "lbp2DSamples", "lbp2DMethod"),
    "LBP3D": ("lbp3DLevels", "lbp3DIcosphereRadius", "lbp3DIcosphereSubdivision"),
}
"""image type -> the keys that it alone reads; for the others they change nothing."""
OF_ONE_FILTER = frozenset(key for keys in READ_BY.values() for key in keys)
MOST_BITS = 31  # of a pattern written as one whole number


class FilterSettings(Settings):
    """What the filters read; every image type has its own."""

    model_config = ConfigDict(strict=True)

    sigma: tuple[int | float, ...] = Field(default=(), max_length=100)
    """LoG: widths of the Gaussian, mm. A whole number stays one, for it stands so in the column's name."""
    start_level: int = Field(default=0, ge=0, le=20)
    """Wavelet: how often the image is smoothed by the low pass before the first level that is written out."""
    level: int = Field(default=1, gt=0, le=20)
    """Wavelet: number of levels."""
    wavelet: str = "coif1"
    """Wavelet: name of a discrete wavelet of PyWavelets."""
    gradientUseSpacing: bool = True
    """Gradient: per mm; false: per voxel."""
    lbp2DRadius: float = Field(default=1.0, gt=0, le=1000)
    """LBP2D: distance of the neighbours, voxels."""
    lbp2DSamples: int = Field(default=8, gt=0, le=1000)
    """LBP2D: number of neighbours (PyRadiomics' documentation says 9; its code, and this, takes 8)."""
    lbp2DMethod: Literal["default", "ror", "uniform", "nri_uniform", "var"] = "uniform"
    """LBP2D: how a pattern becomes a number. default: its bits; ror: the least of its rotations; uniform: number of ones where
    they stand together; nri_uniform: the same, with where they stand; var: variance of the neighbours."""
    lbp3DLevels: int = Field(default=2, gt=0, le=20)
    """LBP3D: number of degrees of spherical harmonics, from 0."""
    lbp3DIcosphereRadius: float = Field(default=1.0, gt=0, le=1000)
    """LBP3D: distance of the neighbours, voxels."""
    lbp3DIcosphereSubdivision: int = Field(default=1, ge=0, le=5)
    """LBP3D: how often the faces of the icosahedron are cut in four; 12, 42, 162, ... neighbours."""
    force2D: bool = False
    """Wavelet: leave the axis force2Ddimension out."""
    force2Ddimension: int = Field(default=0, ge=0, le=2)
    """Axis across the planes of LBP2D, and left out by Wavelet with force2D: 0 z, 1 y, 2 x."""

    @field_validator("sigma", mode="before")
    @classmethod
    def _sigma_listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("sigma")
    @classmethod
    def _sigma_once(cls, value: tuple[int | float, ...]) -> tuple[int | float, ...]:
        if any(width <= 0 for width in value):
            raise ValueError("must be widths greater than 0 mm")
        if len({str(width) for width in value}) < len(value):
            raise ValueError("names a width twice")
        return value

    @field_validator("wavelet")
    @classmethod
    def _known_wavelet(cls, value: str) -> str:
        if value not in WAVELETS:
            raise ValueError(
                f"there is no discrete wavelet {value!r}.{nearest(value, WAVELETS)} "
                "Choose one of bior*, coif1 to coif17, db1 to db38, dmey, haar, rbio*, sym2 to sym20"
            )
        return value

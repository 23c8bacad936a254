"""PyRadiomics' image types. A new one is one file and one line here."""

from __future__ import annotations

IMAGE_TYPES: dict[str, str] = {
    "Original": "radpipe.filters.pointwise:ORIGINAL",
    "LoG": "radpipe.filters.log:LOG",
    "Wavelet": "radpipe.filters.wavelet:WAVELET",
    "Square": "radpipe.filters.pointwise:SQUARE",
    "SquareRoot": "radpipe.filters.pointwise:SQUARE_ROOT",
    "Logarithm": "radpipe.filters.pointwise:LOGARITHM",
    "Exponential": "radpipe.filters.pointwise:EXPONENTIAL",
    "Gradient": "radpipe.filters.gradient:GRADIENT",
    "LBP2D": "radpipe.filters.lbp2d:LBP2D",
    "LBP3D": "radpipe.filters.lbp3d:LBP3D",
}

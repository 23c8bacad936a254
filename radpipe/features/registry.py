"""The families, in PyRadiomics' order of output (shape first, then by name). A new family is one file and one line here."""

from __future__ import annotations

FAMILIES: dict[str, str] = {
    "shape": "radpipe.features.catalogue:SHAPE",
    "shape2D": "radpipe.features.catalogue:SHAPE2D",
    "firstorder": "radpipe.features.catalogue:FIRSTORDER",
    "glcm": "radpipe.features.catalogue:GLCM",
    "gldm": "radpipe.features.catalogue:GLDM",
    "glrlm": "radpipe.features.catalogue:GLRLM",
    "glszm": "radpipe.features.catalogue:GLSZM",
    "ngtdm": "radpipe.features.catalogue:NGTDM",
}

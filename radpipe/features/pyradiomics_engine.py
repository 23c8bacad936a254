"""The same row through the pyradiomics package, for filtered images and as a second opinion. Optional: `make pyradiomics`."""

from __future__ import annotations

import logging
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np

from radpipe.core.image import Image, Mask
from radpipe.errors import ConfigError, EmptyRoiError, RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.resample import to_itk

_TOO_SMALL = (
    "only contains 1 segmented voxel",
    "too few dimensions",
    "Size of the ROI is too small",
    "No labels found",
    "excluded too many",
)


def extract_row(image: Image, mask: Mask, settings: FeatureSettings) -> dict[str, float]:
    """As :func:`radpipe.features.extract.extract_row`, with all of PyRadiomics' image types; diagnostics_* are left out.

    ConfigError where pyradiomics is not installed or refuses the parameters.
    """
    featureextractor = _imported()
    _with_what_patterns_need(settings.params.get("imageType") or {})
    try:
        extractor = (
            featureextractor.RadiomicsFeatureExtractor(dict(settings.params))
            if settings.params
            else featureextractor.RadiomicsFeatureExtractor()
        )
    except Exception as error:  # pykwalify's errors share no base class that is not Exception
        raise ConfigError(f"pyradiomics refuses the parameters: {error}", hint="See features.params.") from error
    extractor.settings["additionalInfo"] = False
    try:
        row = extractor.execute(to_itk(image.voxels, image.grid), to_itk(mask.voxels.astype(np.uint8), mask.grid), label=1)
    except ValueError as error:
        kind = EmptyRoiError if any(part in str(error) for part in _TOO_SMALL) else RadpipeError
        raise kind(f"pyradiomics cannot use the region: {error}", hint="Check the mask, or exclude the case.") from error
    return {name: float(np.asarray(value)) for name, value in row.items()}


def pyradiomics_version() -> str:
    """Of the installed package; ConfigError where there is none."""
    _imported()
    try:
        return version("pyradiomics")
    except PackageNotFoundError:
        return str(_imported().__dict__.get("__version__", "unknown"))


def _with_what_patterns_need(image_types: dict[str, Any]) -> None:
    """pyradiomics leaves LBP2D and LBP3D out, with a warning in its log, where it cannot import what they need."""
    needs = {"LBP2D": ("skimage",), "LBP3D": ("scipy", "trimesh")}
    for image_type, packages in needs.items():
        missing = [name for name in packages if image_type in image_types and find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"pyradiomics needs {' and '.join(missing)} for {image_type}, which is not installed.",
                hint="Run `make pyradiomics` again, or use `engine: radpipe`.",
            )
    if "LBP3D" in image_types:
        import scipy.special

        if not hasattr(scipy.special, "sph_harm"):  # gone since scipy 1.17; the same function under another name and order
            scipy.special.sph_harm = lambda m, n, theta, phi: scipy.special.sph_harm_y(n, m, phi, theta)


def _imported() -> Any:
    logging.getLogger("radiomics").setLevel(logging.ERROR)
    try:
        from radiomics import featureextractor
    except ImportError as error:
        raise ConfigError(
            f"features.engine is pyradiomics, which is not installed ({error}).",
            hint="Run `make pyradiomics` (it needs a C compiler), or use `engine: radpipe`.",
        ) from error
    return featureextractor

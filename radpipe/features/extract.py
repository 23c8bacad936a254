"""Image, mask -> one row of features. The order of work is PyRadiomics': normalise, resample, check, resegment, then features."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from radpipe.core.image import Image, Mask
from radpipe.errors import ConfigError
from radpipe.features import diagnostics, shape, shape2d
from radpipe.features._kernels.recursive import recursive_pass
from radpipe.features.config import FeatureSettings
from radpipe.features.extraction import Extraction
from radpipe.features.images import SHAPES, column_names, measured_images
from radpipe.features.loading import Loaded, load
from radpipe.features.parameters import Parameters
from radpipe.features.region import bounding_box
from radpipe.features.undefined import reasons
from radpipe.filters.scene import Scene, readable

__all__ = ["column_names", "extract", "extract_row", "warm_up"]


def extract(image: Image, mask: Mask, settings: FeatureSettings, *, threads: int = 1) -> Extraction:
    """The features of one region: ``<imageType>_<family>_<Feature>`` -> value, and why some have none.

    threads : how many may compute at once; no value depends on it. A PyRadiomics feature is NaN only where PyRadiomics leaves
    it undefined (no two voxels of the region are neighbours). EmptyRoiError: empty, or too small for the settings.
    FileProblem: NaN or infinite intensities inside. RadpipeError: more than 10,000 grey levels. ConfigError: settings that
    cannot be followed.
    """
    return _extract(image, mask, settings, threads, with_diagnostics=diagnostics.wanted(settings.params))


def _extract(image: Image, mask: Mask, settings: FeatureSettings, threads: int, *, with_diagnostics: bool) -> Extraction:
    if threads < 1:
        raise ConfigError(f"threads is {threads}.", hint="Use 1 or more.")
    if settings.engine == "pyradiomics":
        from radpipe.features.pyradiomics_engine import extract_row as through_pyradiomics

        row = through_pyradiomics(image, mask, settings)
        return Extraction(row, {name: "zero-divisor" for name, value in row.items() if not math.isfinite(value)})
    if settings.feature_set == "ibsi":
        from radpipe.features.ibsi.extract import measure_ibsi

        return measure_ibsi(image, mask, settings.ibsi_parameters)
    parameters = settings.parameters
    loaded = load(image, mask, parameters.setting)
    measured = _measured(loaded, parameters, threads)
    if not with_diagnostics:
        return measured
    return replace(measured, diagnostics=diagnostics.diagnose(image, mask, loaded, settings.params, parameters.setting))


def extract_row(image: Image, mask: Mask, settings: FeatureSettings, *, threads: int = 1) -> dict[str, float]:
    """``extract(...).row``: the features alone."""
    return _extract(image, mask, settings, threads, with_diagnostics=False).row


def _measured(loaded: Loaded, parameters: Parameters, threads: int) -> Extraction:
    box = bounding_box(loaded.inside)
    spacing = loaded.grid.spacing_mm
    wanted = parameters.features
    row: dict[str, float] = {}
    why: dict[str, str] = {}

    def add(prefix: str, values: dict[str, float], codes: dict[str, str]) -> None:
        row.update({f"{prefix}_{name}": value for name, value in values.items()})
        why.update({f"{prefix}_{name}": code for name, code in codes.items()})

    # PyRadiomics cuts the region for shape to the box of the resegmented one, also where resegmentShape is off.
    outline = (loaded.inside if parameters.setting.resegmentShape else loaded.region)[box]
    for family in ("shape", "shape2D"):
        if family in wanted:
            if family == "shape":
                values = shape.compute(outline, spacing)
            else:
                values = shape2d.compute(outline, spacing, parameters.setting.force2D, parameters.setting.force2Ddimension)
            codes = reasons(family, values, one_intensity=False, one_level=False)
            add(
                f"original_{family}",
                {name: values[name] for name in wanted[family]},
                {n: codes[n] for n in wanted[family] if n in codes},
            )
    if any(family not in SHAPES for family in wanted):
        mask = np.ascontiguousarray(loaded.inside[box])
        for prefix, values, codes in measured_images(
            Scene(readable(loaded.voxels), box, mask, spacing, recursive_pass), parameters, threads
        ):
            add(prefix, values, codes)
    return Extraction({name: row[name] for name in column_names(parameters)}, why)


def warm_up() -> None:
    """Compile, or load from the cache, every kernel that an extraction with default settings runs. One thread."""
    from radpipe.core.grid import Grid

    grid = Grid((5, 5, 5), (1.0, 1.0, 1.0))
    z, y, x = np.indices(grid.shape)
    region = (z - 2) ** 2 + (y - 2) ** 2 + (x - 2) ** 2 <= 5
    extract_row(Image(grid, ((z * 7 + y * 5 + x * 3) % 11 * 25.0)), Mask(grid, region), FeatureSettings())

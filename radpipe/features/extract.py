"""Image, mask -> one row of features. The order of work is PyRadiomics': normalise, resample, check, resegment, then features."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from radpipe.core.image import Image, Mask
from radpipe.errors import ConfigError
from radpipe.features import diagnostics, shape, shape2d
from radpipe.features._kernels.periodic import periodic_pass
from radpipe.features._kernels.recursive import recursive_pass
from radpipe.features.config import FeatureSettings
from radpipe.features.extraction import Extraction
from radpipe.features.images import SHAPES, Measured, column_names, measured_images
from radpipe.features.loading import Loaded, load
from radpipe.features.parameters import Parameters
from radpipe.features.region import Box
from radpipe.features.share import Share, sharing
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
    box = loaded.box
    row: dict[str, float] = {}
    why: dict[str, str] = {}

    def add(parts: Iterable[Measured]) -> None:
        for prefix, values, codes in parts:
            row.update({f"{prefix}_{name}": value for name, value in values.items()})
            why.update({f"{prefix}_{name}": code for name, code in codes.items()})

    with sharing(threads) as share:  # shape beside what comes before the grey levels, which one thread does
        shapes = share(lambda: list(_shapes(loaded, box, parameters)))
        add(_images(loaded, box, parameters, share))
        add(shapes())
    return Extraction({name: row[name] for name in column_names(parameters)}, why)


def _shapes(loaded: Loaded, box: Box, parameters: Parameters) -> Iterator[Measured]:
    setting, spacing = parameters.setting, loaded.grid.spacing_mm
    # PyRadiomics cuts the region for shape to the box of the resegmented one, also where resegmentShape is off.
    outline = (loaded.inside if setting.resegmentShape else loaded.region)[box]
    for family in SHAPES:
        if family not in parameters.features:
            continue
        if family == "shape":
            values = shape.compute(outline, spacing)
        else:
            values = shape2d.compute(outline, spacing, setting.force2D, setting.force2Ddimension)
        codes = reasons(family, values, one_intensity=False, one_level=False)
        names = parameters.features[family]
        yield f"original_{family}", {name: values[name] for name in names}, {n: codes[n] for n in names if n in codes}


def _images(loaded: Loaded, box: Box, parameters: Parameters, share: Share) -> Iterator[Measured]:
    if all(family in SHAPES for family in parameters.features):
        return
    mask = np.ascontiguousarray(loaded.inside[box])
    scene = Scene(
        readable(loaded.voxels), box, mask, loaded.grid.spacing_mm, recursive_pass, periodic_pass, share.pieces, share.all
    )  # fmt: skip
    yield from measured_images(scene, parameters, share)


def warm_up() -> None:
    """Compile, or load from the cache, every kernel that an extraction with default settings runs. One thread."""
    from radpipe.core.grid import Grid

    grid = Grid((5, 5, 5), (1.0, 1.0, 1.0))
    z, y, x = np.indices(grid.shape)
    region = (z - 2) ** 2 + (y - 2) ** 2 + (x - 2) ** 2 <= 5
    for grey in ((z * 7 + y * 5 + x * 3) % 11, z * 25 + y * 5 + x):  # few levels and many: MCC has a way for each
        extract_row(Image(grid, grey * 25.0), Mask(grid, region), FeatureSettings())

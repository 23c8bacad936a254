"""Image, mask -> one row of features. The order of work is PyRadiomics': normalise, resample, check, resegment, then features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError
from radpipe.features import firstorder, glcm, gldm, glrlm, glszm, ngtdm, shape, shape2d
from radpipe.features._kernels.neighbourhood import neighbourhood
from radpipe.features.config import FeatureSettings
from radpipe.features.parameters import ImageSettings, Parameters, TextureSettings
from radpipe.features.region import Box, Levels, Region, bin_edges, bounding_box, check_size, directions, discretise
from radpipe.typing import BoolVolume, Volume

_ON_LEVELS = ("glcm", "gldm", "glrlm", "glszm", "ngtdm")


def extract_row(image: Image, mask: Mask, settings: FeatureSettings) -> dict[str, float]:
    """The features of one region, PyRadiomics' names and order: ``original_<family>_<Feature>`` -> value.

    A feature is NaN only where PyRadiomics leaves it undefined (no two voxels of the region are neighbours).
    EmptyRoiError: empty, or too small for the settings. FileProblem: NaN or infinite intensities inside.
    RadpipeError: more than 10,000 grey levels. ConfigError: settings that cannot be followed.
    """
    if settings.engine == "pyradiomics":
        from radpipe.features.pyradiomics_engine import extract_row as through_pyradiomics

        return through_pyradiomics(image, mask, settings)
    parameters = settings.parameters
    voxels, whole, spacing, inside = _prepared(image, mask, parameters.setting)
    wanted = parameters.features
    box = bounding_box(inside)
    row: dict[str, float] = {}

    def add(family: str, values: dict[str, float]) -> None:
        row.update({f"original_{family}_{name}": values[name] for name in wanted[family]})

    # PyRadiomics cuts the region for shape to the box of the resegmented one, also where resegmentShape is off.
    outline = (inside if parameters.setting.resegmentShape else whole)[box]
    if "shape" in wanted:
        add("shape", shape.compute(outline, spacing))
    if "shape2D" in wanted:
        add("shape2D", shape2d.compute(outline, spacing, parameters.setting.force2D, parameters.setting.force2Ddimension))
    region = Region(voxels[box], np.ascontiguousarray(inside[box]), spacing)
    for family, compute in _intensity_families(region, wanted, parameters.original).items():
        add(family, compute())
    return {name: row[name] for name in column_names(parameters)}


def column_names(parameters: Parameters) -> list[str]:
    """The row's names in order."""
    return [f"original_{family}_{name}" for family, names in parameters.features.items() for name in names]


def warm_up() -> None:
    """Compile, or load from the cache, every kernel that an extraction with default settings runs. One thread."""
    from radpipe.core.grid import Grid

    grid = Grid((5, 5, 5), (1.0, 1.0, 1.0))
    z, y, x = np.indices(grid.shape)
    region = (z - 2) ** 2 + (y - 2) ** 2 + (x - 2) ** 2 <= 5
    extract_row(Image(grid, ((z * 7 + y * 5 + x * 3) % 11 * 25.0)), Mask(grid, region), FeatureSettings())


def _prepared(
    image: Image, mask: Mask, setting: ImageSettings
) -> tuple[Volume, BoolVolume, tuple[float, float, float], BoolVolume]:
    """(voxels, region before resegmentation, spacing, region after it), normalised, resampled and checked."""
    if image.grid.shape != mask.grid.shape:
        raise GeometryError(
            f"the image has {image.grid.shape} voxels, the mask {mask.grid.shape} (z, y, x).",
            hint="Bring the mask to the image's grid.",
        )
    box = bounding_box(mask.voxels)
    _refuse_undefined(image.voxels[box][mask.voxels[box]])
    voxels, region, grid = image.voxels, mask.voxels, image.grid
    if setting.normalize:
        from radpipe.features.resample import normalised

        if not np.isfinite(voxels).all():
            raise FileProblem(
                "the image has NaN or infinite voxels; its mean is undefined.", hint="Mend the image, or set normalize: false."
            )
        voxels = normalised(voxels, setting.normalizeScale, setting.removeOutliers)
    if setting.interpolator is not None and setting.resampledPixelSpacing is not None:
        from radpipe.features.resample import resampled

        voxels, region, grid = resampled(voxels, region, grid, setting)
        box = bounding_box(region)
        _refuse_undefined(voxels[box][region[box]])
    check_size(region, box, setting.minimumROIDimensions, setting.minimumROISize)
    inside = region
    if setting.resegmentRange is not None:
        inside = resegmented(voxels, region, box, setting)
        check_size(inside, bounding_box(inside), setting.minimumROIDimensions, setting.minimumROISize)
    return voxels, region, grid.spacing_mm, inside


def _refuse_undefined(values: Volume) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise FileProblem(
            f"{bad} of the region's {values.size} voxels are NaN or infinite.",
            hint="Mend the image, or cut these voxels from the mask.",
        )


def resegmented(voxels: Volume, region: BoolVolume, box: Box, setting: ImageSettings) -> BoolVolume:
    """The region without voxels outside resegmentRange; EmptyRoiError where fewer than two are left."""
    assert setting.resegmentRange is not None
    part = region[box].copy()
    values = voxels[box][part]
    bounds: list[Any] = sorted(setting.resegmentRange)
    if setting.resegmentMode == "relative":
        bounds = [values.max() * bound for bound in bounds]  # in the image's dtype, as PyRadiomics
    elif setting.resegmentMode == "sigma":
        mean, deviation = np.mean(values), np.std(values)
        bounds = [mean + deviation * bound for bound in bounds]
    keep = values >= bounds[0]
    if len(bounds) == 2:
        keep &= values <= bounds[1]
    left = int(np.count_nonzero(keep))
    if left <= 1:
        limits = " to ".join(f"{float(bound):g}" for bound in bounds)
        raise EmptyRoiError(
            f"resegmentRange ({setting.resegmentMode}; {limits}) leaves {left} of {values.size} voxels.",
            hint="Widen resegmentRange, or exclude the case.",
        )
    part[part] = keep
    result = np.zeros_like(region)
    result[box] = part
    return result


def _intensity_families(
    region: Region, wanted: dict[str, tuple[str, ...]], setting: TextureSettings
) -> dict[str, Callable[[], dict[str, float]]]:
    """family -> how to compute it, for the wanted families that read intensities."""
    on_levels = [family for family in wanted if family in _ON_LEVELS]
    if not on_levels and "firstorder" not in wanted:
        return {}
    edges = bin_edges(region.values, setting.binWidth, setting.binCount)
    far = setting.distances if {"glcm", "gldm", "ngtdm"} & set(on_levels) else (1,)
    levels = discretise(region, edges, max((1, *far)))
    flat_axis = setting.force2Ddimension if setting.force2D else None
    work: dict[str, Callable[[], dict[str, float]]] = {}
    if "firstorder" in wanted:
        counts = np.bincount(levels.flat[levels.where])
        volume = float(np.prod(region.spacing_mm))
        work["firstorder"] = lambda: firstorder.compute(region.values, counts[counts > 0], volume, setting.voxelArrayShift)
    if "glcm" in wanted:
        pairs = directions(levels.box, setting.distances, flat_axis, both=False)
        with_mcc = "MCC" in wanted["glcm"]
        work["glcm"] = lambda: glcm.compute(levels, pairs, setting.symmetricalGLCM, setting.weightingNorm, with_mcc)
    if "glrlm" in wanted or "glszm" in wanted:
        near = directions(levels.box, (1,), flat_axis, both=False)
        work["glrlm"] = lambda: glrlm.compute(levels, near, setting.weightingNorm)
        work["glszm"] = lambda: glszm.compute(levels, near)
    if "gldm" in wanted or "ngtdm" in wanted:
        codes, count, difference, n = _neighbourhood(levels, setting, flat_axis)
        work["gldm"] = lambda: gldm.compute(codes, levels.n_levels, n)
        work["ngtdm"] = lambda: ngtdm.compute(count, difference)
    return {family: work[family] for family in wanted if family in work}


def _neighbourhood(levels: Levels, setting: TextureSettings, flat_axis: int | None):  # type: ignore[no-untyped-def]
    around = levels.steps(directions(levels.box, setting.distances, flat_axis, both=True))
    return (*neighbourhood(levels.flat, levels.where, around, setting.gldm_a, levels.n_levels), around.size)

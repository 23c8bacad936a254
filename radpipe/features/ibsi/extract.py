"""Image, mask -> one row of IBSI features: resample, round, resegment, filter, discretise, then the families."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from radpipe.core.image import Image, Mask
from radpipe.errors import FileProblem
from radpipe.features._kernels._jit import LevelArray
from radpipe.features._kernels.zone_distances import ShortArray
from radpipe.features.extraction import Extraction
from radpipe.features.ibsi import local, morphology, statistics
from radpipe.features.ibsi.catalogue import BY_DIRECTION, BY_PLANE_OR_VOLUME, column_families, feature_names
from radpipe.features.ibsi.discretise import grey_levels, laid_out
from radpipe.features.ibsi.histogram import intensity_histogram, intensity_volume_histogram
from radpipe.features.ibsi.parameters import IbsiParameters
from radpipe.features.ibsi.prepare import Prepared, all_finite, prepare
from radpipe.features.ibsi.reasons import reasons
from radpipe.features.ibsi.textures import Textures
from radpipe.features.ibsi.zones import border_distance
from radpipe.features.region import bounding_box
from radpipe.typing import FloatArray


def measure_ibsi(image: Image, mask: Mask, parameters: IbsiParameters) -> Extraction:
    """The features of one region, ``<imageType>_<family>_<Feature>`` -> value, and the reason of each that is no measurement.

    imageType is ``original``, or the prefix of each filter. Families and names: :mod:`radpipe.features.ibsi.catalogue`.
    EmptyRoiError: no voxel is left. FileProblem: NaN or infinite intensities in the region (anywhere, with a filter).
    GeometryError: image and mask differ in size. RadpipeError (discretisation): more than 10,000 levels, or intensities that
    ``method: none`` cannot take. ConfigError: a filter that cannot run on this image.
    """
    margin_mm = local.RADIUS_MM if "loc" in parameters.families else 0.0
    if parameters.filter is None:
        return features_of(prepare(image, mask, parameters, margin_mm=margin_mm), parameters, "original")
    from radpipe.features.ibsi.filters import reach_mm, responses

    far = reach_mm(parameters, image.grid.spacing_mm)
    whole = prepare(image, mask, parameters, margin_mm=None if far is None else far + margin_mm)
    if not (all_finite(image.voxels) and all_finite(whole.voxels)):
        raise FileProblem(
            "the image has NaN or infinite voxels, which a filter spreads.", hint="Mend the image, or leave the filter out."
        )
    box = whole.box(margin_mm)
    row: dict[str, float] = {}
    why: dict[str, str] = {}
    for prefix, response in responses(whole.voxels, whole.spacing_mm, parameters, box):
        part = Prepared(response, whole.morphological[box], whole.intensity[box], whole.spacing_mm)
        measured = features_of(part, parameters, prefix)
        row |= measured.row
        why |= measured.undefined
        del response, part  # before the next filter's comes
    return Extraction(row, why)


def extract_ibsi(image: Image, mask: Mask, parameters: IbsiParameters) -> dict[str, float]:
    """``measure_ibsi(...).row``: the features alone; NaN where one is undefined."""
    return measure_ibsi(image, mask, parameters).row


def column_names(parameters: IbsiParameters) -> list[str]:
    """The row's names in order."""
    return [
        f"{prefix}_{named}_{name}"
        for prefix in image_types(parameters)
        for family, _, named in column_families(parameters)
        for name in feature_names(family)
    ]


def image_types(parameters: IbsiParameters) -> dict[str, str]:
    """First part of the columns' names -> what that image is, in words: the image itself, or each filter's response."""
    if parameters.filter is None:
        return {"original": "the image itself"}
    from radpipe.features.ibsi.filters import prefixes

    return prefixes(parameters)


def features_of(prepared: Prepared, parameters: IbsiParameters, prefix: str) -> Extraction:
    """One image that is resampled, masked and filtered already. prefix : first part of the names."""
    region = _Region(prepared, parameters)
    row: dict[str, float] = {}
    why: dict[str, str] = {}
    for family, way, named in column_families(parameters):
        values = region.compute(family, way)
        codes = region.reasons(family, way, values)
        for name in feature_names(family):
            row[f"{prefix}_{named}_{name}"] = values[name]
            if name in codes:
                why[f"{prefix}_{named}_{name}"] = codes[name]
    return Extraction(row, why)


class _Region:
    """One region's families, and what several of them share."""

    def __init__(self, prepared: Prepared, parameters: IbsiParameters) -> None:
        self._whole = prepared
        self._part = prepared.cropped()
        self._parameters = parameters
        # The resegmentation range speaks of the image, not of a filter's response.
        self._limits = None if parameters.filter is not None else parameters.resegment_range

    def compute(self, family: str, way: str) -> dict[str, float]:
        """Every feature of one family in one aggregation; see :func:`~radpipe.features.ibsi.catalogue.column_families`."""
        part = self._part
        if family == "morph":
            return morphology.compute(part.voxels, part.morphological, part.intensity, part.spacing_mm)
        if family == "loc":
            near = self._whole.cropped(local.RADIUS_MM)
            return local.compute(near.voxels, near.intensity, near.spacing_mm)
        if family == "stat":
            return statistics.compute(self._values)
        if family == "ih":
            return intensity_histogram(self._grey)
        if family == "ivh":
            return intensity_volume_histogram(self._values, self._parameters.ivh, self._limits)
        return self._textures.compute(family, way)

    def reasons(self, family: str, way: str, values: dict[str, float]) -> dict[str, str]:
        """feature -> code of radpipe.features.undefined.REASONS, of the values that are no measurement."""
        textured = family in (*BY_DIRECTION, *BY_PLANE_OR_VOLUME)
        one_level = (textured or family == "ih") and self._one_level
        conventions = self._textures.conventions(family, way) if textured else {}
        return reasons(family, values, one_intensity=self._one_intensity, one_level=one_level, conventions=conventions)

    @cached_property
    def _values(self) -> FloatArray:
        return self._part.voxels[self._part.intensity].astype(np.float64, copy=False)

    @cached_property
    def _one_intensity(self) -> bool:
        return float(self._values.min()) == float(self._values.max())

    @cached_property
    def _grey(self) -> LevelArray:
        return grey_levels(self._values, self._parameters.discretise, (self._limits or (None, None))[0])

    @cached_property
    def _one_level(self) -> bool:
        return int(self._grey.min()) == int(self._grey.max())

    @cached_property
    def _textures(self) -> Textures:
        parameters, part = self._parameters, self._part
        box = bounding_box(part.intensity)
        wanted = set(parameters.families) & {*BY_DIRECTION, *BY_PLANE_OR_VOLUME}
        distance = {"cm": parameters.glcm_distance, "ngt": parameters.ngtdm_distance, "ngl": parameters.ngldm_distance}
        border = max([1, *(distance[family] for family in wanted if family in distance)])
        # Textures come last: but for two facts, which are noted, nobody needs intensities and levels beside those laid out.
        grey, _ = self._grey, (self._one_level, self._one_intensity)
        del self._values, self._grey
        levels = laid_out(part.intensity[box], grey, border, part.spacing_mm)

        def distances(by_plane: bool) -> ShortArray:
            return border_distance(part.morphological, by_plane=by_plane)[part.intensity]

        return Textures(levels, parameters, distances)

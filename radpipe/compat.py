"""PyRadiomics' feature extractor on radpipe's engine: a script changes its import line.

    from radpipe.compat import featureextractor      # was: from radiomics import featureextractor
    extractor = featureextractor.RadiomicsFeatureExtractor("Params.yaml", binWidth=10)
    row = extractor.execute("image.nrrd", "mask.nrrd")

Names, settings, order and values are PyRadiomics 3.0.1's. What differs on purpose: a setting that PyRadiomics would pass over
in silence (a typo) is an error, as is a region it would give no features for; 2D images and DICOM folders are refused.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radpipe.core.grid import Grid
from radpipe.core.image import Image
from radpipe.core.registry import nearest
from radpipe.errors import ConfigError, FileProblem, RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.diagnostics import DEFAULTS
from radpipe.features.parameters import IMAGE_TYPES, INTERPOLATORS
from radpipe.features.registry import FAMILIES
from radpipe.io.mapping import parse_mapping, read_mapping
from radpipe.io.volumes import LabelMap, read_image, read_label_map
from radpipe.stages.measure import measured
from radpipe.stages.parameter_file import checked_settings
from radpipe.stages.reading import matched, reading_of

if TYPE_CHECKING:
    import SimpleITK as sitk

logger = logging.getLogger("radpipe.compat")
featureextractor = sys.modules[__name__]  # so that `from radpipe.compat import featureextractor` reads like PyRadiomics' own line

_VOXELWISE = ("kernelRadius", "maskedKernel", "initValue", "voxelBatch")
_SHAPES = ("shape", "shape2D")
_CLASSES = tuple(sorted(FAMILIES))  # PyRadiomics finds its classes in the order of their files' names


class ExtractionError(RadpipeError, ValueError):
    """A case or a setting that cannot be used; a ValueError too, which is what scripts written for PyRadiomics catch."""


class ParameterFileMissing(FileProblem, OSError):
    """The parameter file does not exist; an OSError too, as PyRadiomics raises."""


class RadiomicsFeatureExtractor:
    """PyRadiomics' class of that name.

    params : path of a parameter file (YAML or JSON), or its mapping; without it, all features of the original image but
    shape2D. kwargs : settings over the file's. settings, enabledImagetypes and enabledFeatures are plain dicts that may be
    edited; they are checked when they are used, and here.
    """

    def __init__(self, *args: str | os.PathLike[str] | Mapping[str, Any], **kwargs: Any) -> None:
        self.settings: dict[str, Any] = dict(DEFAULTS)
        self.enabledImagetypes: dict[str, dict[str, Any]] = {"Original": {}}
        self.enabledFeatures: dict[str, list[str] | None] = {name: [] for name in _CLASSES if name != "shape2D"}
        self.featureClassNames = list(_CLASSES)
        if len(args) > 1:
            raise ExtractionError(
                f"one parameter file or mapping is expected, not {len(args)}.", hint="Name settings by keyword."
            )
        if args:
            self._load(args[0])
        self.settings.update(kwargs)
        self._checked()

    # parameters

    def loadParams(self, paramsFile: str | os.PathLike[str]) -> None:
        """Settings, image types and features of a file, in place of those so far."""
        self._load(paramsFile)
        self._checked()

    def loadJSONParams(self, JSON_configuration: str) -> None:
        """As :meth:`loadParams`, of JSON text."""
        try:
            self._apply(parse_mapping(JSON_configuration))
        except RadpipeError as error:
            raise _refused(error) from error
        self._checked()

    def addProvenance(self, provenance_on: bool = True) -> None:
        """Whether ``diagnostics_*`` come before the features."""
        self.settings["additionalInfo"] = provenance_on

    def _load(self, given: str | os.PathLike[str] | Mapping[str, Any]) -> None:
        if isinstance(given, Mapping):
            self._apply(given)
            return
        path = Path(given)
        if not path.is_file():
            raise ParameterFileMissing("the parameter file does not exist.", hint="Check the path.", path=path)
        try:
            self._apply(read_mapping(path))
        except RadpipeError as error:
            raise _refused(error) from error

    def _apply(self, params: Mapping[str, Any]) -> None:
        known = ("setting", "voxelSetting", "featureClass", "imageType")
        for key in params:
            if key not in known:
                raise ExtractionError(
                    f"unknown key {key!r} among the parameters.{nearest(str(key), known)}", hint=f"Known are {', '.join(known)}."
                )
        sections = {key: params.get(key) or {} for key in known}
        for key, value in sections.items():
            if not isinstance(value, Mapping):
                raise ExtractionError(f"{key} must be a mapping, not {value!r}.", hint="See PyRadiomics' parameter files.")
        self.enabledImagetypes = {name: dict(own or {}) for name, own in sections["imageType"].items()} or {"Original": {}}
        self.enabledFeatures = dict(sections["featureClass"]) or {name: [] for name in _CLASSES}
        self.settings = {**DEFAULTS, **sections["setting"], **sections["voxelSetting"]}

    # what is enabled

    def enableAllImageTypes(self) -> None:
        """Every image type, with its default settings."""
        self.enabledImagetypes.update({name: {} for name in IMAGE_TYPES})

    def disableAllImageTypes(self) -> None:
        """None; shape needs none."""
        self.enabledImagetypes = {}

    def enableImageTypeByName(self, imageType: str, enabled: bool = True, customArgs: dict[str, Any] | None = None) -> None:
        """One image type on, with settings of its own, or off. ValueError where there is none of that name."""
        _known(imageType, IMAGE_TYPES, "image type")
        if enabled:
            self.enabledImagetypes[imageType] = customArgs or {}
        else:
            self.enabledImagetypes.pop(imageType, None)

    def enableImageTypes(self, **enabledImagetypes: dict[str, Any]) -> None:
        """Image types on, each with settings of its own."""
        for name, own in enabledImagetypes.items():
            self.enableImageTypeByName(name, customArgs=own)

    def enableAllFeatures(self) -> None:
        """Every class, with all features that are not deprecated."""
        self.enabledFeatures.update({name: [] for name in _CLASSES})

    def disableAllFeatures(self) -> None:
        """No class."""
        self.enabledFeatures = {}

    def enableFeatureClassByName(self, featureClass: str, enabled: bool = True) -> None:
        """One class on, with all its features, or off. ValueError where there is none of that name."""
        _known(featureClass, _CLASSES, "feature class")
        if enabled:
            self.enabledFeatures[featureClass] = []
        else:
            self.enabledFeatures.pop(featureClass, None)

    def enableFeaturesByName(self, **enabledFeatures: list[str] | None) -> None:
        """Features of each class by name; an empty list or None: all of the class."""
        for name in enabledFeatures:
            _known(name, _CLASSES, "feature class")
        self.enabledFeatures.update(enabledFeatures)

    # extraction

    def execute(
        self,
        imageFilepath: str | os.PathLike[str] | sitk.Image,
        maskFilepath: str | os.PathLike[str] | sitk.Image,
        label: int | None = None,
        label_channel: int | None = None,
        voxelBased: bool = False,
    ) -> OrderedDict[str, Any]:
        """``diagnostics_*`` (unless switched off), then the features, in PyRadiomics' order: as 0-d arrays, or with ``voxelBased``
        as SimpleITK images (64-bit) of the region's box and kernelRadius around it.

        imageFilepath, maskFilepath : a file (NIfTI, NRRD, MetaImage) or a 3D SimpleITK image. label, label_channel : over the
        settings'. ExtractionError (a ValueError) where the case cannot be used, saying why and what to do.
        """
        own = {"label": _plain(label), "label_channel": _plain(label_channel)}
        settings, classes = self._checked(own)
        try:
            image = _image_of(imageFilepath)
            reading = reading_of(settings.params)
            channel = 0 if reading.label_channel is None else reading.label_channel
            pair = matched(image, _labels_of(maskFilepath, channel), reading, diagnostics=self._provenance)
            if voxelBased:
                from radpipe.stages.maps import maps_of

                found = {**maps_of(pair, settings, own), "features": {}}
            else:
                found = measured(pair, settings, own)
        except RadpipeError as error:
            raise _refused(error) from error
        row: OrderedDict[str, Any] = OrderedDict(found["diagnostics"])
        if row and not self.enabledImagetypes:
            row["diagnostics_Configuration_EnabledImageTypes"] = {}
        for name, value in found["features"].items():
            if name.rsplit("_", 2)[1] in classes:
                row[name] = np.array(value)
        if voxelBased:
            from radpipe.features.resample import to_itk

            for name in found["maps"].columns:
                if name.rsplit("_", 2)[1] in classes:
                    image_out = found["maps"].cropped(name)
                    row[name] = to_itk(image_out.voxels, image_out.grid)
        return row

    @property
    def _provenance(self) -> bool:
        return bool(self.settings.get("additionalInfo", False))

    def _checked(self, own: Mapping[str, Any] | None = None) -> tuple[FeatureSettings, set[str]]:
        """The typed settings, and the feature classes that were asked for; ExtractionError names every problem."""
        given = {name: _plain(value) for name, value in self.settings.items()}
        given |= {name: value for name, value in (own or {}).items() if value is not None}
        given["interpolator"] = _named_interpolator(given.get("interpolator"))
        features = {name: None if names is None else list(names) for name, names in self.enabledFeatures.items()}
        types = {name: {key: _plain(value) for key, value in types.items()} for name, types in self.enabledImagetypes.items()}
        if not types:
            # Without any image type there is nothing to measure but shape.
            features = {name: names for name, names in features.items() if name in _SHAPES}
        if "shape2D" in features and not given.get("force2D"):
            logger.warning("shape2D needs force2D: True; it is left out")
            del features["shape2D"]
        wanted = set(features)
        params = {
            "setting": {name: value for name, value in given.items() if name not in _VOXELWISE},
            "voxelSetting": {name: value for name, value in given.items() if name in _VOXELWISE},
            "imageType": types or {"Original": {}},
            # The engine measures at least something; what was not asked for is not handed out.
            "featureClass": features or {"firstorder": ["Mean"]},
        }
        try:
            return checked_settings({"params": params}), wanted
        except ConfigError as error:
            raise _refused(error) from error


def setVerbosity(level: int) -> None:
    """The least level of messages that reach standard error (10 DEBUG ... 50 CRITICAL, 60 none)."""
    package = logging.getLogger("radpipe")
    if not any(isinstance(handler, logging.StreamHandler) for handler in package.handlers):
        package.addHandler(logging.StreamHandler())
    package.setLevel(min(max(level, 10), 60))


def _refused(error: RadpipeError) -> ExtractionError:
    return ExtractionError(error.problem, hint=error.hint, case_id=error.case_id, path=error.path, kind=error.kind)


def _known(name: str, names: tuple[str, ...], kind: str) -> None:
    if name not in names:
        raise ExtractionError(f"there is no {kind} {name!r}.{nearest(name, names)}", hint=f"Choose one of {', '.join(names)}.")


def _plain(value: Any) -> Any:
    """Settings as a file would hold them: numpy's and SimpleITK's numbers and sequences as Python's own."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _named_interpolator(value: Any) -> Any:
    """SimpleITK's own constants by their names; their numbers have changed with its versions."""
    import SimpleITK as sitk

    by_number = {int(getattr(sitk, name)): name for name in INTERPOLATORS if hasattr(sitk, name)}
    return by_number.get(value, value) if isinstance(value, int) and value > len(INTERPOLATORS) else value


def _image_of(given: str | os.PathLike[str] | sitk.Image) -> Image:
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        if path.is_dir():
            raise ExtractionError(
                "this is a folder; a DICOM series is not read here.", hint="Convert it to one .nii.gz first.", path=path
            )
        return read_image(path)
    grid, voxels = _of_itk(given, "image")
    if voxels.ndim == 4:
        raise ExtractionError(f"the image holds {voxels.shape[3]} values per voxel.", hint="Give one grey value per voxel.")
    return Image(grid, voxels)


def _labels_of(given: str | os.PathLike[str] | sitk.Image, channel: int) -> LabelMap:
    if isinstance(given, str | os.PathLike):
        return read_label_map(given, label_channel=channel)
    grid, voxels = _of_itk(given, "mask")
    if voxels.ndim == 4:
        if not 0 <= channel < voxels.shape[3]:
            raise ExtractionError(
                f"label_channel {channel} was asked for, and the mask holds {voxels.shape[3]} (0 to {voxels.shape[3] - 1}).",
                hint="label_channel counts from 0.",
            )
        voxels = np.ascontiguousarray(voxels[..., channel])
    return LabelMap(grid, voxels)


def _of_itk(given: sitk.Image, what: str) -> tuple[Grid, np.ndarray]:
    """Grid and voxels (z, y, x[, component]) of a SimpleITK image."""
    import SimpleITK as sitk

    if not isinstance(given, sitk.Image):
        raise ExtractionError(f"the {what} is a {type(given).__name__}.", hint="Give the path of a file, or a SimpleITK image.")
    if given.GetDimension() != 3:
        raise ExtractionError(
            f"the {what} is {given.GetDimension()}D; radpipe works in three dimensions.",
            hint="Make a volume of one slice of it: SimpleITK.JoinSeries(image).",
        )
    array = sitk.GetArrayFromImage(given)
    x, y, z = given.GetSpacing()
    z_size, y_size, x_size = array.shape[:3]
    return Grid((z_size, y_size, x_size), (z, y, x), given.GetOrigin(), given.GetDirection()), array


__all__ = ["ExtractionError", "ParameterFileMissing", "RadiomicsFeatureExtractor", "featureextractor", "logger", "setVerbosity"]

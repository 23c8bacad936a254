"""What a network is shown of a case."""

from __future__ import annotations

from radpipe.core.image import Image, Mask
from radpipe.preprocessing.config import PreprocessingSettings
from radpipe.preprocessing.normalise import normalise
from radpipe.preprocessing.resample import resample_image, resample_mask, with_spacing


def prepare(image: Image, mask: Mask, settings: PreprocessingSettings, modality: str) -> tuple[Image, Mask]:
    """Image and mask at the settings' spacing, the image normalised by its modality (float32).

    image, mask : on one grid. Intensities are windowed before they are interpolated, so that metal or a full bladder does not
    bleed into its neighbours. Errors: EmptyRoiError where the region vanishes at the spacing, FileProblem for a constant image.
    """
    image = normalise(image, settings, modality)
    if settings.spacing_mm is None:
        return image, mask
    x, y, z = settings.spacing_mm
    grid = with_spacing(image.grid, (z, y, x))
    return resample_image(image, grid, settings.interpolation), resample_mask(mask, grid)

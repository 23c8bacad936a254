"""Voxels of one DICOM file, as stored: every transfer syntax that has a free decoder, and nothing that is not there."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from radpipe.typing import Volume


def frames(dataset: Dataset) -> Volume:
    """(frames, rows, columns), the stored values of an image or segmentation, whole numbers or floats; before any rescale."""
    from pydicom.pixels import get_decoder

    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    array, _ = decoder.as_array(dataset, raw=True)
    return np.asarray(array if array.ndim == 3 else array[np.newaxis])

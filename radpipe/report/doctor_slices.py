"""The slice of a case at which a finding shows, as a radiologist sees it, with one or two outlines."""

from __future__ import annotations

import numpy as np

from radpipe.core.image import Image, Mask
from radpipe.report.inputs import OverlaySlice
from radpipe.report.map_pictures import PLANES, anatomical

_MARGIN_MM = 25.0
_MOST_PIXELS = 240  # a side; the picture is smaller than that on the page


def finding_slice(
    case_id: str, image: Image, outline: Mask | None, second: Mask | None, axis: int, index: int, *, modality: str = ""
) -> OverlaySlice:
    """The slice ``index`` across array axis ``axis`` (z, y, x) of the image, around the outlines; both lie on its grid.

    The patient's right is on the left and front up (axial), head up (coronal, sagittal).
    """
    order, flips = anatomical(image.grid)
    turn = [place for place, flip in enumerate(flips) if flip]
    across = order.index(axis)
    at = image.voxels.shape[axis] - 1 - index if flips[across] else index

    def seen(voxels: np.ndarray) -> np.ndarray:
        return np.flip(voxels.transpose(order), turn).take(at, axis=across)

    masks = [None if mask is None else seen(mask.voxels) for mask in (outline, second)]
    whole = [None if mask is None else np.flip(mask.voxels.transpose(order), turn).any(axis=across) for mask in (outline, second)]
    spacing = [image.grid.spacing_mm[place] for place in order]
    del spacing[across]
    grey = seen(image.voxels)
    union = np.zeros(grey.shape, bool)
    for shown, anywhere in zip(masks, whole, strict=True):
        if shown is not None and anywhere is not None:
            union |= shown if shown.any() else anywhere
    windows: list[slice] = []
    for place in (0, 1):
        used = np.flatnonzero(union.any(axis=1 - place))
        first, last = (int(used[0]), int(used[-1])) if len(used) else (0, grey.shape[place] - 1)
        margin = round(_MARGIN_MM / spacing[place])
        start, stop = max(0, first - margin), min(grey.shape[place], last + margin + 1)
        windows.append(slice(start, stop, max(1, -(-(stop - start) // _MOST_PIXELS))))
    cut = tuple(windows)
    steps = [windows[place].step for place in (0, 1)]
    return OverlaySlice(
        case_id,
        np.asarray(grey[cut]),
        np.asarray(masks[0][cut]) if masks[0] is not None else np.zeros(grey[cut].shape, bool),
        np.asarray(masks[1][cut]) if masks[1] is not None else None,
        (spacing[0] * steps[0], spacing[1] * steps[1]),
        None,
        f"{PLANES[across]}, {('z', 'y', 'x')[axis]} = {index + 1} of {image.voxels.shape[axis]}",
        image.unit if image.unit != "arbitrary" else "",
        modality,
    )

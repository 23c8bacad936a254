"""Masks with names to a NIfTI label map, and the names beside it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from radpipe.core.grid import grid_differences
from radpipe.core.image import Mask
from radpipe.errors import EmptyRoiError, GeometryError
from radpipe.io.files import write_bytes
from radpipe.io.labelled import names_path
from radpipe.io.nifti import write_nifti


def write_labels(path: str | os.PathLike[str], masks: Mapping[str, Mask]) -> None:
    """Masks on one grid to .nii or .nii.gz, labels 1, 2, ... in their order, with FILE.labels.csv (number, name) beside it.

    Both whole or not at all; the same masks give the same bytes. GeometryError where two are on different grids or overlap (a
    voxel holds one label: write one file each, or a DICOM segmentation); EmptyRoiError where there is none, or one is empty.
    """
    labels = stacked(masks, path)
    grid = next(iter(masks.values())).grid
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["number", "name"])
    writer.writerows(enumerate(masks, start=1))
    write_nifti(path, labels, grid)
    write_bytes(names_path(Path(path)), table.getvalue().encode())


def stacked(masks: Mapping[str, Mask], path: object) -> np.ndarray:
    """(z, y, x) of labels 1, 2, ...; errors as :func:`write_labels`."""
    check_masks(masks, path)
    first = next(iter(masks.values()))
    labels = np.zeros(first.grid.shape, np.uint8 if len(masks) < 256 else np.uint16)
    for number, (name, mask) in enumerate(masks.items(), start=1):
        both = int((labels[mask.voxels] > 0).sum())
        if both:
            raise GeometryError(
                f"the region {name!r} shares {both} voxels with another one, and a voxel of a label map holds one label.",
                hint="Write one file each, or a DICOM segmentation.", path=path,
            )  # fmt: skip
        labels[mask.voxels] = number
    return labels


def check_masks(masks: Mapping[str, Mask], path: object) -> None:
    """GeometryError unless all lie on one grid; EmptyRoiError where there is none, or one is empty."""
    if not masks:
        raise EmptyRoiError("there is no mask to write.", hint="Give at least one region.", path=path)
    first_name, first = next(iter(masks.items()))
    for name, mask in masks.items():
        differences = grid_differences(first.grid, mask.grid)
        if differences:
            raise GeometryError(
                f"the regions {first_name!r} and {name!r} lie on different grids: {'; '.join(differences)}.",
                hint="Resample them onto one grid.", path=path,
            )  # fmt: skip
        if not mask.voxels.any():
            raise EmptyRoiError(f"the region {name!r} is empty.", hint="Leave it out.", path=path)

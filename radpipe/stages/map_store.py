"""Feature maps and habitats of a workflow's cases <-> compact files in the run's store; the tables say where they lie.

``maps.parquet`` names the file of every region's maps, ``habitats.parquet`` that of every fold's habitats::

    maps = load_maps(run / row.path)                      # of maps.parquet: a FeatureMaps
    maps.map("original_glcm_Contrast")                    # an Image on the case's own grid
    labels = load_labels(run / row.path)["STS_001"]       # of habitats.parquet: (n,) uint8, 0 none, 1 to k
    voxels[tuple(maps.centres.T)] = labels                # the same centres, in the same order
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from radpipe.core.grid import Grid
from radpipe.errors import FileProblem

if TYPE_CHECKING:
    from radpipe.features.maps import FeatureMaps

MAPS_FILE = "maps.npz"
LABELS_FILE = "labels.npz"


def save_maps(path: Path, maps: FeatureMaps) -> None:
    """Values at the centres as float32, compressed."""
    grid = maps.grid
    np.savez_compressed(
        path,
        columns=np.array(maps.columns),
        data=np.asarray(maps.data, np.float32),
        centres=np.asarray(maps.centres, np.int32),
        shape=np.array(grid.shape, np.int64),
        spacing_mm=np.array(grid.spacing_mm),
        origin_mm=np.array(grid.origin_mm),
        direction=np.array(grid.direction),
        box=np.array([[side.start, side.stop] for side in maps.box], np.int64),
        initial=np.array(maps.initial),
    )


def load_maps(path: Path) -> FeatureMaps:
    """What :func:`save_maps` wrote; FileProblem for anything else."""
    from radpipe.features.maps import FeatureMaps

    found = _arrays(path, ("columns", "data", "centres", "shape", "spacing_mm", "origin_mm", "direction", "box", "initial"))
    z, y, x = (slice(int(start), int(stop)) for start, stop in found["box"])
    grid = Grid(
        tuple(found["shape"].tolist()), tuple(found["spacing_mm"].tolist()), tuple(found["origin_mm"].tolist()),
        tuple(found["direction"].tolist()),
    )  # fmt: skip
    return FeatureMaps(
        grid,
        tuple(map(str, found["columns"])),
        found["centres"].astype(np.int64),
        (z, y, x),
        float(found["initial"]),
        found["data"],
    )


def save_labels(path: Path, labels: Mapping[str, NDArray[np.uint8]]) -> None:
    """case -> (n,) number of the habitat of each of its centres."""
    sizes = [len(own) for own in labels.values()]
    np.savez_compressed(
        path,
        case_ids=np.array(list(labels), dtype=np.str_),
        stops=np.cumsum(sizes, dtype=np.int64),
        labels=np.concatenate([*labels.values(), np.empty(0, np.uint8)]),
    )


def load_labels(path: Path) -> dict[str, NDArray[np.uint8]]:
    """What :func:`save_labels` wrote; FileProblem for anything else."""
    found = _arrays(path, ("case_ids", "stops", "labels"))
    parts = np.split(found["labels"], found["stops"][:-1])
    return {str(case_id): part for case_id, part in zip(found["case_ids"], parts, strict=True)}


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FileProblem(
            f"holds no maps or habitats that radpipe wrote ({error}).", hint="Remove the file and run again.", path=path
        ) from error

"""What the report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radpipe.core.grid import grid_differences
from radpipe.core.image import Image, Mask
from radpipe.errors import GeometryError
from radpipe.report.map_pictures import MapPicture
from radpipe.typing import BoolVolume


@dataclass(frozen=True)
class OverlaySlice:
    """One slice of one case with its outlines.

    image : (y, x), intensities in ``unit``. given, predicted : (y, x) bool; predicted is None where no network outlined.
    spacing_mm : (y, x), mm. dice, dice_no_look : of the whole region, not of the slice; the second is that of an
    ellipsoid drawn without looking. modality : CT, PET or MR.
    """

    case_id: str
    image: NDArray[Any]
    given: NDArray[np.bool_]
    predicted: NDArray[np.bool_] | None
    spacing_mm: tuple[float, float]
    dice: float | None
    caption: str = ""
    unit: str = ""
    modality: str = ""
    dice_no_look: float | None = None


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """Everything the page shows, and nothing it has to look up.

    tables : schema name -> table (cohort, splits, features, feature_dictionary, selection, predictions, fits, metrics,
        comparison, failures; segmentation and mask_agreement where outlines were predicted). None or absent: not made.
    settings : the whole workflow with every default, as JSON values.
    pictures : small ones of as many cases as the plot by patient shows, where it is not left without.
    maps : pictures of a few cases' feature maps; map_facts : column -> (unit, what it measures).
    excluded : case_id -> why it was left out before the run (rows of the manifest that are no case).
    stability : sources -> value, ci_low, ci_high of the selection's stability among these candidates (Nogueira 2018).
    budget : model -> (fits, CPU seconds of all of them).
    command : runs this workflow again.
    question : of :func:`radpipe.comparison.question.standing`: sha256, prior, changes, first. Empty where nobody wrote it down.
    controls_level : of the Monte-Carlo interval of permuted outcomes.
    """

    name: str
    title: str
    tables: Mapping[str, pd.DataFrame | None]
    settings: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    overlays: tuple[OverlaySlice, ...] = ()
    pictures: tuple[OverlaySlice, ...] = ()
    maps: tuple[MapPicture, ...] = ()
    map_facts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    stability: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    budget: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    licence: str = ""
    citations: tuple[str, ...] = ()
    command: str = ""
    question: Mapping[str, Any] = field(default_factory=dict)
    controls_level: float = 0.99

    def table(self, name: str) -> pd.DataFrame:
        """The table; empty (without columns) where it was not made."""
        found = self.tables.get(name)
        return pd.DataFrame() if found is None else found


def pick_cases(segmentation: pd.DataFrame, n: int) -> list[str]:
    """Up to ``n`` case ids, spread evenly over the ranking by Dice, worst first: an honest choice shows failures too."""
    mean = segmentation.groupby("case_id")["dice"].mean().reset_index().sort_values(["dice", "case_id"])
    ranks = np.linspace(0, len(mean) - 1, min(n, len(mean))).round().astype(int)
    return [str(mean["case_id"].iloc[rank]) for rank in np.unique(ranks).tolist()]


def overlay(
    case_id: str,
    image: Image,
    given: Mask,
    predicted: Mask | None,
    *,
    dice: float | None,
    dice_no_look: float | None = None,
    modality: str = "",
    margin_mm: float = 25.0,
) -> OverlaySlice:
    """The axial slice with the largest given area, cut to ``margin_mm`` around the outlines.

    GeometryError where the outlines do not lie on the image's grid.
    """
    for mask in (given, predicted):
        if mask is not None and (differences := grid_differences(image.grid, mask.grid)):
            raise GeometryError(
                f"image and outline do not lie on one grid: {'; '.join(differences)}.",
                hint="Draw outlines on the grid of the image they were made from.",
                case_id=case_id,
            )
    seen: BoolVolume = given.voxels | (predicted.voxels if predicted else False)
    area = given.voxels.sum(axis=(1, 2)) if given.voxels.any() else seen.sum(axis=(1, 2))
    z = int(np.argmax(area))
    spacing = (image.grid.spacing_mm[1], image.grid.spacing_mm[2])
    windows: list[slice] = []
    for axis in (0, 1):
        used = np.flatnonzero(seen[z].any(axis=1 - axis))
        first, last = (used[0], used[-1]) if len(used) else (0, seen[z].shape[axis] - 1)
        margin = round(margin_mm / spacing[axis])
        windows.append(slice(max(0, int(first) - margin), int(last) + margin + 1))
    return OverlaySlice(
        case_id,
        np.asarray(image.voxels[z, windows[0], windows[1]]),
        given.voxels[z, windows[0], windows[1]],
        predicted.voxels[z, windows[0], windows[1]] if predicted else None,
        spacing,
        dice,
        f"slice {z + 1} of {seen.shape[0]}",
        image.unit if image.unit != "arbitrary" else "",
        modality,
        dice_no_look,
    )

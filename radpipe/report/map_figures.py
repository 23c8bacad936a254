"""Pictures of feature maps: three planes of a case, one column a picture, so that a narrow page can stack them."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure

from radpipe.report.plotting import GIVEN, INK, png
from radpipe.report.words import number

SIDE, FOOT, GAP = 180, 46, 6  # CSS pixels: width of a column, height of its scale, space between planes


def draw_maps(summary: dict[str, Any] | None) -> list[dict[str, Any]]:
    """For every case: pictures (title, data URI, height in CSS pixels) of the image, each map and the habitats."""
    if summary is None:
        return []
    return [_case(case, summary) for case in summary["cases"]]


def _case(case: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    planes = case["planes"]
    spans = [max(len(p["grey"]) * p["spacing_mm"][0], len(p["grey"][0]) * p["spacing_mm"][1]) for p in planes]
    span = max(spans)
    heights = [max(40, round(SIDE * len(p["grey"]) * p["spacing_mm"][0] / span)) for p in planes]
    grey = mpl.colormaps["gray_r" if case["inverted"] else "gray"]
    pictures = [
        _column(planes, [p["grey"] for p in planes], heights, span, grey, Normalize(0, 255), case["window"], case["inverted"])
    ]
    titles = ["image and outline"]
    for place, column in enumerate(summary["columns"]):
        norm = Normalize(column["low"], column["high"])
        values = [p["maps"][place] for p in planes]
        pictures.append(_column(planes, values, heights, span, mpl.colormaps["cividis"], norm, column["unit"], False))
        titles.append(column["name"])
    if summary["habitats"] and all(p["habitats"] is not None for p in planes):
        k = summary["habitats"]
        colours = ListedColormap([mpl.colormaps["viridis"](step) for step in np.linspace(0.05, 0.95, k)])
        values = [np.where(np.array(p["habitats"]) > 0, p["habitats"], np.nan) for p in planes]
        pictures.append(_column(planes, values, heights, span, colours, BoundaryNorm(np.arange(k + 1) + 0.5, k), "number", False))
        titles.append("habitats")
    total = sum(heights) + GAP * (len(heights) - 1) + FOOT
    return {"pictures": [{"title": title, "data": data, "height": total} for title, data in zip(titles, pictures, strict=True)]}


def _column(
    planes: list[dict[str, Any]], values: list[Any], heights: list[int], span: float, colours: Colormap, norm: Normalize, unit: str, bright: bool
) -> str:  # fmt: skip
    """The planes below each other at one scale, and the scale of the colours (for the image itself: its window in words)."""
    total = sum(heights) + GAP * (len(heights) - 1) + FOOT
    is_image = isinstance(norm, Normalize) and colours.name.startswith("gray")

    def draw(figure: Figure) -> None:
        top = total
        for plane, shown, height in zip(planes, values, heights, strict=True):
            ax = figure.add_axes((0, (top - height) / total, 1, height / total))
            _plane(ax, plane, np.array(shown, float), span, height, colours, norm, bright, is_image)
            top -= height + GAP
        if is_image:
            figure.text(0.5, (FOOT - 16) / total, unit, ha="center", va="center", fontsize=6.6)
            return
        scale = figure.add_axes((0.1, (FOOT - 16) / total, 0.8, 8 / total))
        bar = figure.colorbar(ScalarMappable(norm, colours), cax=scale, orientation="horizontal")
        bar.outline.set_visible(False)  # type: ignore[operator]
        if isinstance(norm, BoundaryNorm):
            ticks = list(range(1, colours.N + 1))
            bar.set_ticks(ticks, labels=[str(tick) for tick in ticks])
        else:
            ends = [float(norm.vmin or 0.0), float(norm.vmax or 0.0)]
            bar.set_ticks(ends, labels=[f"{number(ends[0])}", f"{number(ends[1])}{_unit(unit)}"])
            first, last = bar.ax.get_xticklabels()
            first.set_horizontalalignment("left")
            last.set_horizontalalignment("right")
        bar.ax.tick_params(labelsize=6.6, length=0, pad=1.5, colors=INK)

    return png(SIDE, total, draw)


def _plane(
    ax: Axes, plane: dict[str, Any], values: Any, span: float, height: int, colours: Colormap, norm: Normalize, bright: bool, is_image: bool
) -> None:  # fmt: skip
    rows, columns = values.shape
    dy, dx = plane["spacing_mm"]
    ax.set_axis_off()
    ax.add_patch(
        mpl.patches.Rectangle(
            (0, 0), 1, 1, transform=ax.transAxes, color="white" if bright or not is_image else "black", zorder=-2
        )
    )
    if not is_image:  # the grey image behind, so that one sees where in the body the map lies
        ax.imshow(np.array(plane["grey"], float), cmap="gray_r", vmin=-200, vmax=900, extent=(0, columns * dx, rows * dy, 0))
    ax.imshow(
        np.ma.masked_invalid(values), cmap=colours, norm=norm, extent=(0, columns * dx, rows * dy, 0), interpolation="nearest"
    )
    if is_image:
        ringed = np.pad(np.array(plane["outline"], float), 1)
        xs, ys = (np.arange(ringed.shape[1]) - 0.5) * dx, (np.arange(ringed.shape[0]) - 0.5) * dy
        lines = ax.contour(xs, ys, ringed, levels=[0.5], colors=[GIVEN["light" if bright else "dark"]], linewidths=1.3)
        lines.set_path_effects([patheffects.withStroke(linewidth=2.6, foreground="white" if bright else "black", alpha=0.85)])
        ink, paper = ("black", "white") if bright else ("white", "black")
        ax.text(0.03, 0.95, plane["name"], transform=ax.transAxes, color=ink, fontsize=6.6, va="top",
                path_effects=[patheffects.withStroke(linewidth=2, foreground=paper)])  # fmt: skip
    ax.set_xlim(columns * dx / 2 - span / 2, columns * dx / 2 + span / 2)
    half = span * height / SIDE / 2
    ax.set_ylim(rows * dy / 2 + half, rows * dy / 2 - half)


def _unit(unit: str) -> str:
    return "" if unit in ("", "1") else f" {unit}"

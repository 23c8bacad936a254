"""A region on its image in three planes, as a PNG: what a person looks at to see whether transferred contours lie where they should."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from radpipe.core.image import Image, Mask
from radpipe.report.map_pictures import Plane, map_picture

_PANEL = 2.6  # inches of the longest side
_DPI = 110
_MARGIN_MM = 40.0  # around the region: enough of the body to see where one is
_OUTLINE = "#ffb000"


def overlay_png(image: Image, mask: Mask, title: str, subtitle: str = "", *, modality: str = "") -> bytes:
    """PNG bytes: axial, coronal and sagittal slice through the region where its area is largest, its outline on them.

    The patient's right is on the left; PET is shown dark on white. The same input gives the same bytes with the same matplotlib.
    """
    picture = map_picture("", image, mask, {}, None, modality=modality, margin_mm=_MARGIN_MM)
    spans = [_size(plane) for plane in picture.planes]
    scale = _PANEL / max(max(span) for span in spans)
    bright = modality == "PET"
    low, high = _window(picture.planes, modality)
    widths = [max(0.6, span[1] * scale) for span in spans]
    height = max(max(0.6, span[0] * scale) for span in spans)
    gap, top = 0.1, 0.55
    total = sum(widths) + gap * (len(widths) + 1)
    total, indent = max(total, 4.2), max(0.0, (4.2 - total) / 2)
    with mpl.rc_context({"font.family": "DejaVu Sans", "text.usetex": False, "text.parse_math": False}):
        figure = Figure(figsize=(total, height + top + gap), dpi=_DPI, facecolor="white")
        left = indent + gap
        for plane, width, span in zip(picture.planes, widths, spans, strict=True):
            tall = max(0.6, span[0] * scale)
            place = (left / total, (gap + (height - tall) / 2) / (height + top + gap))
            ax = figure.add_axes((*place, width / total, tall / (height + top + gap)))
            _draw(ax, plane, low, high, bright)
            left += width + gap
        for at, text, size in ((0.16, title, 8.5), (0.36, subtitle, 6.5)):
            figure.text(gap / total, 1 - at / (height + top + gap), _fitting(text, total, size), fontsize=size, va="center")
        buffer = io.BytesIO()
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _draw(ax: Axes, plane: Plane, low: float, high: float, bright: bool) -> None:
    rows, columns = plane.image.shape
    dy, dx = plane.spacing_mm
    extent = (0, columns * dx, rows * dy, 0)
    colours = "gray_r" if bright else "gray"
    ax.imshow(np.asarray(plane.image, float), cmap=colours, vmin=low, vmax=high, extent=extent, interpolation="nearest")
    ringed = np.pad(plane.outline.astype(float), 1)
    xs, ys = (np.arange(columns + 2) - 0.5) * dx, (np.arange(rows + 2) - 0.5) * dy
    if plane.outline.any():
        lines = ax.contour(xs, ys, ringed, levels=[0.5], colors=[_OUTLINE], linewidths=1.2)
        lines.set_path_effects([patheffects.withStroke(linewidth=2.4, foreground="black", alpha=0.7)])
    ink, paper = ("black", "white") if bright else ("white", "black")
    ax.text(0.03, 0.97, plane.name, transform=ax.transAxes, color=ink, fontsize=6.5, va="top",
            path_effects=[patheffects.withStroke(linewidth=2, foreground=paper)])  # fmt: skip
    ax.set_xlim(0, columns * dx)
    ax.set_ylim(rows * dy, 0)
    ax.set_axis_off()


def _size(plane: Plane) -> tuple[float, float]:
    """(height, width), mm."""
    return plane.image.shape[0] * plane.spacing_mm[0], plane.image.shape[1] * plane.spacing_mm[1]


def _window(planes: tuple[Plane, ...], modality: str) -> tuple[float, float]:
    values = np.concatenate([np.asarray(plane.image, float).ravel() for plane in planes])
    if modality == "CT":
        return -160.0, 240.0  # soft tissue
    low, high = (0.0, float(np.percentile(values, 99.5))) if modality == "PET" else np.percentile(values, (1, 99))
    return float(low), float(max(high, low + 1e-6))


def _fitting(text: str, inches: float, points: float) -> str:
    most = int(inches * 72 / (points * 0.6))
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"

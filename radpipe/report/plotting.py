"""How every picture of a page is made: inline SVG, and PNG as data URIs for image slices.

Figures are made without pyplot, so none stays open; the same values give the same bytes.
Every figure is at most 440 px wide, so that a phone shows it at nearly its own size. Pairs of models differ in
lightness, line style and marker, so that a greyscale print can be read.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, LINE, WASH = "#1c2430", "#566072", "#c9d0da", "#eef1f5"
ARMS = (
    {"color": "#17457f", "linestyle": "-", "marker": "o"},
    {"color": "#c2621a", "linestyle": (0, (5, 1.6)), "marker": "s"},
)
OTHERS = tuple(
    {"color": "#7b8494", "linestyle": style, "marker": "D"} for style in ((0, (1, 1.4)), "-.", (0, (7, 2, 1, 2, 1, 2)), "-")
)
GIVEN, PREDICTED = {"dark": "#f2b134", "light": "#b86a00"}, {"dark": "#27c4d9", "light": "#00718f"}  # by background
MOST_NAMED = 60
"""Rows of a per-case figure that still carry the case's name."""
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 8.5, "text.color": INK, "text.parse_math": False, "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED, "axes.labelsize": 8.5, "axes.linewidth": 0.8, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelsize": 8, "ytick.labelsize": 8, "xtick.major.size": 3,
    "ytick.major.size": 0, "legend.frameon": False, "legend.fontsize": 8, "figure.facecolor": "none", "axes.facecolor": "none",
    "svg.fonttype": "none", "svg.hashsalt": "radpipe", "savefig.facecolor": "none", "axes.unicode_minus": True,
}  # fmt: skip
PIXEL = 1 / 96  # inch of a CSS pixel


@contextmanager
def _style() -> Iterator[None]:
    """The page's style whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def svg(
    name: str, alt: str, width: int, height: int, draw: Callable[[Figure], None], layout: str | None = "constrained"
) -> Markup:
    """Draw and return inline SVG: scales with its column, text in the page's font, ids of its own."""
    with _style():
        figure = Figure(figsize=(width * PIXEL, height * PIXEL), layout=layout)  # type: ignore[arg-type]
        draw(figure)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = body.replace("'DejaVu Sans'", "inherit").replace(
        "stroke-linejoin: round; stroke-linecap: butt", "stroke-linejoin: round"
    )
    attributes = f'class="chart" role="img" aria-labelledby="{name}-title" style="max-width:{round(width * 1.25)}px" '
    attributes += f'viewBox="0 0 {width * 0.75:g} {height * 0.75:g}" xmlns="http://www.w3.org/2000/svg" '
    attributes += 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    body = re.sub(r"<svg[^>]*>", f'<svg {attributes}><title id="{name}-title">{Markup.escape(alt)}</title>', body, count=1)
    return Markup(body)  # made here from numbers and text that matplotlib escaped


def png(width: int, height: int, draw: Callable[[Figure], None]) -> str:
    """A data URI; pixels at twice the CSS size for sharp screens."""
    with _style():
        figure = Figure(figsize=(width * PIXEL, height * PIXEL), dpi=192)
        draw(figure)
        buffer = io.BytesIO()
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def styles(models: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Model -> colour, line style and marker; the primary pair stands out."""
    arms, others = iter(ARMS), 0
    found = {}
    for model in models:
        if model["primary"]:
            found[model["model"]] = next(arms)
        else:
            found[model["model"]] = OTHERS[others % len(OTHERS)]
            others += 1
    return found


def short(name: str, most: int = 34) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def light_grid(ax: Axes, axis: str = "x") -> None:
    ax.grid(True, axis=axis, color=WASH, linewidth=1.2)  # type: ignore[arg-type]
    ax.set_axisbelow(True)


def case_rows(figure: Figure, names: list[str], head: int) -> Axes:
    """Axes with one row a case, first on top; without names where there are too many to read. head : pixels above the rows.

    Figures of the same cases get the same margins, so that their rows stand level with each other.
    """
    width, height = (size / PIXEL for size in figure.get_size_inches())
    named = len(names) <= MOST_NAMED
    left = min(150.0, 16 + 4.7 * max((len(short(name, 26)) for name in names), default=0)) if named else 12.0
    ax = figure.add_axes((left / width, 44 / height, (width - left - 14) / width, (height - 44 - head) / height))
    ax.set_ylim(len(names) - 0.4, -0.6)
    if named:
        ax.set_yticks(range(len(names)), [short(name, 26) for name in names], fontsize=6.8)
    else:
        ax.set_yticks([])
    light_grid(ax)
    return ax


def case_height(count: int, head: int) -> int:
    """Pixels of a per-case figure; beyond the named rows they get thinner, and the figure no taller than a page."""
    return round(44 + head + (count * 13.0 if count <= MOST_NAMED else min(480 + (count - MOST_NAMED) * 2.0, 900.0)))

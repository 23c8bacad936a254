"""Pictures of what input selection kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from radpipe.report.plotting import light_grid, short, svg


def selected(summary: dict[str, Any], place: int) -> Markup:
    """How often each feature was kept. place : of this figure among those of its kind."""
    features = summary["features"]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        at = np.arange(len(features))
        ax.barh(at, [100 * f["share"] for f in features], height=0.62, color="#4d7199")
        for row, f in zip(at, features, strict=True):
            ax.annotate(
                f"{f['times']}", (100 * f["share"], row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7.5
            )
        names = [f["feature"].removeprefix("original_").replace("_", " ") for f in features]
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_yticks(range(len(names)), [short(name, 30) for name in names], fontsize=7.4)
        light_grid(ax)
        ax.set_xlim(0, 108)
        ax.set_xticks([0, 25, 50, 75, 100])
        ax.set_xlabel(f"kept in % of the {summary['fits']} training parts")

    top = ", ".join(f"{f['feature']} in {f['times']}" for f in features[:3])
    return svg(
        f"selected{place}",
        f"Features kept most often, of {summary['fits']} training parts: {top}.",
        440,
        66 + 19 * len(features),
        draw,
    )

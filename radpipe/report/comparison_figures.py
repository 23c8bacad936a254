"""Pictures of differences between models."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from radpipe.report.plotting import INK, MUTED, svg
from radpipe.report.words import number


def forest(rows: list[dict[str, Any]], labels: dict[str, str], metric: str, margin: float, level: str) -> Markup:
    """Differences of every two models with their intervals; the margin shaded."""

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ends = [abs(row[key]) for row in rows for key in ("ci_low", "ci_high", "effect") if row[key] is not None]
        reach = min(1.0, max([*ends, 2.5 * margin]) * 1.06)
        ax.axvspan(-margin, margin, color="#dfe6ee", linewidth=0)
        ax.axvline(0, color=MUTED, linewidth=0.9)
        for at, row in enumerate(rows):
            strong = row["primary"]
            color = INK if strong else "#6d7788"
            if row["effect"] is None or row["ci_low"] is None:
                ax.annotate("no test", (0, at), ha="center", va="center", fontsize=7.5, color=MUTED, fontstyle="italic")
                continue
            ax.hlines(at, max(row["ci_low"], -reach), min(row["ci_high"], reach), color=color, linewidth=2.2 if strong else 1.2)
            ax.plot(row["effect"], at, "D" if strong else "o", color=color, markersize=6.5 if strong else 4.5)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_yticks(range(len(rows)), [f"{labels[row['model_a']]} − {labels[row['model_b']]}" for row in rows], fontsize=7.8)
        for tick, row in zip(ax.get_yticklabels(), rows, strict=True):
            tick.set(color=INK if row["primary"] else MUTED, fontweight="bold" if row["primary"] else "normal")
        ax.set_xlim(-reach, reach)
        ax.set_xlabel(f"difference in {metric}, {level} interval; shaded: within ±{number(margin)}")

    listed = "; ".join(f"{labels[r['model_a']]} minus {labels[r['model_b']]} {number(r['effect'], sign=True)}" for r in rows)
    return svg("forest", f"Differences in {metric}: {listed}.", 440, 74 + 24 * len(rows), draw)

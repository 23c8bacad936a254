"""Pictures of what a study of this size can tell, before any fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from radpipe.report.plotting import ARMS, INK, MUTED, WASH, light_grid, svg


def chances(points: tuple[tuple[float, float, float], ...], margin: float) -> Markup:
    """points : (true gap, chance of "better", chance of "equivalent")."""
    gap, better, equal = (np.array(column) for column in zip(*points, strict=True))

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.axvline(margin, color=MUTED, linewidth=0.9, linestyle=":")
        ax.stackplot(gap, 100 * equal, 100 * (1 - better - equal), 100 * better, colors=["#9db4cf", WASH, "#17457f"])
        for value, low, high, word, color in (
            (0.0, 0.0, equal[0], "equivalent", INK), (gap[-1] * 0.5, equal[len(gap) // 2], 1 - better[len(gap) // 2], "not resolved", MUTED),
            (gap[-1], 1 - better[-1], 1.0, "called different", "white"),
        ):  # fmt: skip
            if high - low > 0.08:
                align = "left" if value == 0 else "right" if value == gap[-1] else "center"
                ax.annotate(word, (value, 50 * (low + high)), xytext=({"left": 6, "right": -6}.get(align, 0), 0), textcoords="offset points",
                            ha=align, va="center", color=color, fontsize=8.5)  # fmt: skip
        ax.set(
            xlim=(0, gap[-1]),
            ylim=(0, 100),
            xlabel="true gap between two models, AUC (dotted: the margin)",
            ylabel="% of such studies",
        )

    at = int(np.argmin(np.abs(gap - 0.1)))
    alt = f"At a true gap of {gap[at]:.2f} AUC {100 * better[at]:.0f} % of such studies call a difference; of two equal models "
    alt += f"{100 * equal[0]:.0f} % are called equivalent."
    return svg("chances", alt, 420, 320, draw)


def demands(rows: list[dict[str, Any]], patients: int) -> Markup:
    """Patients that each set of candidates asks for, beside those there are."""
    shown = [row for row in rows if row["patients"]]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        names = ["this cohort", *(f"{row['what']} ({row['candidates']:,})" for row in shown)]
        values = [patients, *(row["patients"] for row in shown)]
        ax.barh(range(len(names)), values, height=0.55, color=[ARMS[1]["color"], *["#4d7199"] * len(shown)])
        for at, value in enumerate(values):
            ax.annotate(f"{value:,}", (value, at), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xscale("log")
        ax.set_xlim(max(1, min(values) / 3), max(values) * 6)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")  # whole numbers, not powers in TeX
        ax.minorticks_off()
        ax.set_xlabel("patients (logarithmic)")
        light_grid(ax)

    listed = "; ".join(f"{row['what']} ask for {row['patients']:,}" for row in shown)
    return svg("demands", f"This cohort has {patients:,} patients; {listed}.", 420, 90 + 34 * len(shown), draw)

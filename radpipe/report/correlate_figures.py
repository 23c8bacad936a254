"""Pictures of ``radpipe correlate``: heat map of the features, volcano, forest plot, curves by thirds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from radpipe.report.plotting import INK, LINE, MUTED, light_grid, png, svg
from radpipe.report.words import number

MOST_IN_HEAT_MAP = 400
MOST_IN_FOREST = 15
MOST_LOG2 = 6.0
"""Ratios further than 64-fold from 1 stand at the edge of the volcano, as crosses."""
MEASURES = {
    "auc": "AUC", "odds_ratio_per_sd": "odds ratio per SD", "kendall": "Kendall's tau", "spearman": "Spearman correlation",
    "partial_spearman": "partial Spearman correlation", "hazard_ratio_per_sd": "hazard ratio per SD",
    "difference_in_sd": "difference in SD",
}  # fmt: skip
RATIOS = {"odds_ratio_per_sd", "hazard_ratio_per_sd"}
HELD = "#17457f"
THIRDS = {
    "lowest": {"color": "#17457f", "linestyle": "-"},
    "middle": {"color": "#7b8494", "linestyle": (0, (4, 2))},
    "highest": {"color": "#c2621a", "linestyle": (0, (1, 1.2))},
}


def heat_map(rho: NDArray[np.float64], clusters: pd.DataFrame) -> str:
    """Rank correlations of the features, those that say much the same side by side; a PNG as data URI."""
    n = min(len(rho), MOST_IN_HEAT_MAP)
    shown = rho[:n, :n]
    names = clusters["feature"].tolist()[:n]

    def draw(figure: Figure) -> None:
        named = n <= 40
        left, bottom = (0.36, 0.36) if named else (0.08, 0.08)
        ax = figure.add_axes((left, bottom, 0.86 - left, 0.98 - bottom))
        # Blue and orange differ in lightness from white alike, so a grey print shows how strong, and the sign is in the table.
        drawn = ax.imshow(shown, cmap="PuOr_r", vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
        edges = np.flatnonzero(np.diff(clusters["cluster"].to_numpy()[:n])) + 0.5
        if len(edges) <= 120:
            ax.vlines(edges, -0.5, n - 0.5, color="#ffffff", linewidth=0.6)
            ax.hlines(edges, -0.5, n - 0.5, color="#ffffff", linewidth=0.6)
        if named:
            ax.set_xticks(range(n), [_named(name, 30) for name in names], rotation=90, fontsize=6)
            ax.set_yticks(range(n), [_named(name, 30) for name in names], fontsize=6)
        else:
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_xlabel(f"{n} features, in the order of feature_clusters.csv")
        for spine in ax.spines.values():
            spine.set_visible(False)
        bar = figure.colorbar(drawn, cax=figure.add_axes((0.89, bottom, 0.025, 0.98 - bottom)))
        bar.outline.set_edgecolor(LINE)  # type: ignore[operator]
        bar.ax.tick_params(labelsize=7)

    return png(520, 500, draw)


def _named(feature: str, most: int = 36) -> str:
    """A long name without its middle: what tells features apart stands at the end."""
    return feature if len(feature) <= most else f"{feature[: most // 2 - 6]}…{feature[-(most // 2 + 5) :]}"


def _scale(measure: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log2(values) if measure in RATIOS else values


def volcano(name: str, rows: pd.DataFrame) -> Markup:
    """How strong against how sure, one dot a feature; those that hold at 5 % false discoveries are filled and named."""
    rows = rows.dropna(subset=["effect", "p_value"]).sort_values("p_value", kind="stable")
    measure = str(rows["measure"].iloc[0])
    x = _scale(measure, rows["effect"].to_numpy(float))
    null = float(_scale(measure, rows["no_effect"].to_numpy(float)[:1])[0])
    y = -np.log10(np.maximum(rows["p_value"].to_numpy(float), 1e-300))
    held = rows["q_value"].to_numpy(float) <= 0.05

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.axvline(null, color=MUTED, linewidth=0.9)
        many = len(rows) > 600
        ax.plot(
            x[~held],
            y[~held],
            "o",
            markersize=3.2,
            markerfacecolor="none",
            markeredgecolor=MUTED,
            markeredgewidth=0.8,
            rasterized=many,
        )
        ax.plot(x[held], y[held], "D", markersize=4.2, color=HELD, rasterized=many)
        reach = max(1e-3, float(np.abs(x - null).max())) * 1.25
        if measure in RATIOS and reach > MOST_LOG2:  # a nearly separated feature would squeeze all others into a line
            reach = MOST_LOG2 * 1.06
        beyond = np.abs(x - null) > reach
        ax.plot(np.sign(x[beyond] - null) * MOST_LOG2, y[beyond], "x", markersize=4, color=MUTED)
        ax.set_xlim(null - reach, null + reach)
        ax.set_ylim(0, max(2.0, float(y.max()) * 1.12))
        for k in range(min(3, int(held.sum()))):
            right = x[k] > null
            ax.annotate(
                _named(str(rows["feature"].iloc[k]), 34), (float(x[k]), float(y[k])), xytext=(-5 if right else 5, 5), textcoords="offset points",
                ha="right" if right else "left", fontsize=6.8, color=INK,
            )  # fmt: skip
        ax.set_xlabel(MEASURES[measure] + (" (log2)" if measure in RATIOS else ""))
        ax.set_ylabel("−log10 p")
        light_grid(ax, "both")

    alt = f"{len(rows)} features; {int(held.sum())} hold at a false discovery rate of 5 %."
    return svg(name, alt, 420, 300, draw)


def forest(name: str, rows: pd.DataFrame) -> Markup:
    """The features with the smallest p, with their intervals."""
    rows = rows.dropna(subset=["effect", "p_value"]).sort_values("p_value", kind="stable").head(MOST_IN_FOREST)
    measure = str(rows["measure"].iloc[0])
    null = float(_scale(measure, rows["no_effect"].to_numpy(float)[:1])[0])
    middle, low, high = (_scale(measure, rows[c].to_numpy(float)) for c in ("effect", "ci_low", "ci_high"))

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.axvline(null, color=MUTED, linewidth=0.9)
        for k in range(len(rows)):
            held = rows["q_value"].iloc[k] <= 0.05
            if np.isfinite(low[k]) and np.isfinite(high[k]):
                ax.hlines(k, low[k], high[k], color=HELD if held else MUTED, linewidth=1.8 if held else 1.1)
            ax.plot(middle[k], k, "D" if held else "o", color=HELD if held else MUTED, markersize=4.6)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_yticks(range(len(rows)), [_named(str(feature)) for feature in rows["feature"]], fontsize=6.8)
        ax.set_xlabel(MEASURES[measure] + (" (log2)" if measure in RATIOS else ""))
        light_grid(ax)

    first = rows.iloc[0]
    alt = f"The strongest: {first['feature']}, {MEASURES[measure]} {number(float(first['effect']))}."
    return svg(name, alt, 440, 60 + 17 * len(rows), draw)


def thirds(name: str, rows: pd.DataFrame) -> Markup:
    """Who is free of the event, by thirds of one feature, with bands and the numbers at risk."""
    feature = str(rows["feature"].iloc[0])
    last = float(rows["time"].max())
    ticks = [round(last * k / 4, 1 if last > 4 else 3) for k in range(5)]

    def at_risk(part: pd.DataFrame, time: float) -> int:
        later = part[part["time"] >= time]
        return int(later["at_risk"].iloc[0]) if len(later) else 0

    def draw(figure: Figure) -> None:
        ax = figure.add_axes((0.13, 0.36, 0.84, 0.6))
        for row, (word, style) in enumerate(THIRDS.items()):
            part = rows[rows["tertile"] == word].sort_values("time")
            if not len(part):
                continue
            time, value = part["time"].to_numpy(float), part["event_free"].to_numpy(float)
            low, high = part["ci_low"].to_numpy(float), part["ci_high"].to_numpy(float)
            known = (np.isfinite(low) & np.isfinite(high)).tolist()
            color, counts = style["color"], f"{int(part['n_events'].iloc[0])} of {int(part['n'].iloc[0])}"
            ax.fill_between(time, low, high, where=known, step="post", color=color, alpha=0.12, linewidth=0)
            ax.step(time, value, where="post", linewidth=1.6, label=f"{word} third ({counts})", **style)
            for tick in ticks:
                at = 0.13 + 0.84 * (tick / last if last else 0)
                figure.text(at, 0.15 - 0.055 * row, str(at_risk(part, tick)), ha="center", fontsize=6.8, color=color)
            figure.text(0.015, 0.15 - 0.055 * row, word, fontsize=6.8, color=style["color"])
        figure.text(0.015, 0.205, "at risk", fontsize=6.8, color=MUTED)
        ax.set_xlim(0, last)
        ax.set_ylim(0, 1.02)
        ax.set_xticks(ticks)
        ax.set_ylabel("free of the event")
        ax.legend(loc="upper right", fontsize=7)
        light_grid(ax, "y")

    p = rows["p_value"].iloc[0]
    return svg(name, f"{feature} by thirds; log-rank p {number(float(p), 3)}.", 420, 300, draw, None)

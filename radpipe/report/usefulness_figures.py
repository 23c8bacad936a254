"""Pictures of what acting on a model would do, and of patients' fate by predicted risk."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radpipe.report.plotting import INK, MUTED, light_grid, short, svg
from radpipe.report.words import number

GROUPS = (
    {"color": "#17457f", "linestyle": "-"},
    {"color": "#c2621a", "linestyle": (0, (5, 1.6))},
    {"color": "#3f7d5a", "linestyle": (0, (1, 1.2))},
    {"color": "#6b4a8e", "linestyle": "-."},
)


def _array(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


def decision(summary: dict[str, Any], look: dict[str, dict[str, Any]]) -> Markup:
    """Net benefit over the threshold of every shown model, of treating everybody and of treating nobody."""
    curves = summary["curves"]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        at, everybody = _array(curves[0]["threshold"]), _array(curves[0]["treat_all"])
        ax.axhline(0, color=MUTED, linewidth=1.0, label="treat nobody")
        ax.plot(at, everybody, color=MUTED, linewidth=1.2, linestyle=":", label="treat everybody")
        for curve in curves:
            style = look[curve["model"]]
            low, high = _array(curve["ci_low"]), _array(curve["ci_high"])
            known = np.isfinite(low) & np.isfinite(high)
            if known.any():
                ax.fill_between(at, low, high, where=known.tolist(), color=style["color"], alpha=0.11, linewidth=0)
            ax.plot(at, _array(curve["net_benefit"]), color=style["color"], linestyle=style["linestyle"], marker=style["marker"],
                    markersize=3.2, linewidth=1.8, label=short(curve["label"], 22))  # fmt: skip
        values = np.concatenate([_array(curve["net_benefit"]) for curve in curves] + [np.zeros(1)])
        top = max(float(np.nanmax(values)), float(np.nanmax(everybody)))
        if top > 0:  # what lies far below zero, or in the far end of a band, would flatten everything else
            ax.set_ylim(-0.25 * top, 1.35 * top)
        ax.set_xlim(float(at[0]), float(at[-1]) if len(at) > 1 else float(at[0]) + 0.01)
        ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        ax.set_xlabel("risk from which on one would treat")
        ax.set_ylabel("net benefit")
        light_grid(ax, "both")
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize=7.6, handlelength=2.8, borderaxespad=0.2)

    said = "; ".join(f"{c['label']} {number(c['net_benefit'][0])} to {number(c['net_benefit'][-1])}" for c in curves)
    alt = f"Decision curves, net benefit from the lowest to the highest threshold: {said}. The table below has every value."
    return svg("decision", alt, 420, 330, draw)


def risk_groups(item: dict[str, Any], unit: str) -> Markup:
    """Kaplan-Meier curves (Aalen-Johansen where events compete) of groups of similar predicted risk, with numbers at risk."""
    groups = item["groups"]
    last = max(group["time"][-1] for group in groups)
    ticks = [float(tick) for tick in MaxNLocator(5).tick_values(0, last) if 0 <= tick <= last]

    def at_risk(group: dict[str, Any], time: float) -> int:
        return next((n for at, n in zip(group["time"], group["at_risk"], strict=True) if at >= time), 0)

    def draw(figure: Figure) -> None:
        rows = len(groups)
        foot = 0.125 + 0.055 * rows
        ax: Axes = figure.add_axes((0.14, foot + 0.06, 0.83, 0.92 - foot - 0.06))
        for other in item["others"]:
            style = GROUPS[other["group"] % len(GROUPS)]
            ax.step(other["time"], _array(other["value"]), where="post", color=style["color"], linewidth=0.6, alpha=0.35)
        for row, group in enumerate(groups):
            style = GROUPS[group["group"] % len(GROUPS)]
            time, low, high = np.array(group["time"]), _array(group["ci_low"]), _array(group["ci_high"])
            known = np.isfinite(low) & np.isfinite(high)
            ax.fill_between(time, low, high, where=known.tolist(), step="post", color=style["color"], alpha=0.13, linewidth=0)
            word = item["names"][group["group"]]
            ax.step(
                time,
                _array(group["value"]),
                where="post",
                linewidth=1.9,
                label=f"{word} ({group['events']} of {group['n']})",
                **style,
            )
            for tick in ticks:
                place = 0.14 + 0.83 * (tick / last if last else 0)
                figure.text(
                    place, foot - 0.11 - 0.055 * row, str(at_risk(group, tick)), ha="center", fontsize=7, color=style["color"]
                )
            figure.text(0.005, foot - 0.11 - 0.055 * row, word.split()[0], fontsize=7, color=style["color"])
        figure.text(0.005, foot - 0.055, "at risk", fontsize=7, color=MUTED)
        ax.set_xlim(0, last)
        ax.set_ylim(0, 1.02)
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_xlabel(f"time{f' ({unit})' if unit else ''}", labelpad=1)
        ax.set_ylabel("free of the event" if item["kind"] == "event_free" else "have had the event")
        ax.legend(loc="lower left" if item["kind"] == "event_free" else "upper left", fontsize=7.4)
        ax.set_title(item["label"], fontsize=9.5, loc="left", color=INK, fontweight="bold")
        light_grid(ax, "y")

    ends = "; ".join(
        f"{item['names'][g['group']]}: {g['events']} of {g['n']} with the event, at the end {number(g['value'][-1])}"
        for g in groups
    )
    return svg(f"risk-{item['model']}", f"Patients by predicted risk, {item['label']}: {ends}.", 420, 360, draw, None)


def time_auc(items: list[dict[str, Any]], look: dict[str, dict[str, Any]], unit: str) -> Markup:
    """AUC of the event by each time, with intervals."""

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.axhline(0.5, color=MUTED, linewidth=0.9, linestyle=":")
        every = [point["time"] for item in items for point in item["points"]]
        step = (max(every) - min(every)) * 0.008 if len(every) > 1 else 0.0
        for shift, item in enumerate(items):
            style = look[item["model"]]
            at = np.array([point["time"] for point in item["points"]]) + step * (shift - (len(items) - 1) / 2)
            low, high = (_array([point[key] for point in item["points"]]) for key in ("ci_low", "ci_high"))
            ax.vlines(at, low, high, color=style["color"], linewidth=1.2, alpha=0.7)
            ax.plot(at, _array([point["value"] for point in item["points"]]), color=style["color"], linestyle=style["linestyle"],
                    marker=style["marker"], markersize=4.4, linewidth=1.6, label=short(item["label"], 24))  # fmt: skip
        ax.set_ylim(0, 1.02)
        ax.set_xlabel(f"event by this time{f' ({unit})' if unit else ''}")
        ax.set_ylabel("AUC at that time")
        light_grid(ax, "y")
        ax.legend(loc="lower right", fontsize=7.6)

    said = "; ".join(f"{i['label']} {number(i['points'][0]['value'])} to {number(i['points'][-1]['value'])}" for i in items)
    return svg("time-auc", f"Time-dependent AUC from the first to the last time: {said}.", 420, 320, draw)

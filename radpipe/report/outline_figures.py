"""Pictures of outlines: slices with both of them, how well they agree, and what that does to the features."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import patheffects
from matplotlib.figure import Figure

from radpipe.report.plotting import ARMS, GIVEN, LINE, MUTED, PREDICTED, case_height, case_rows, png, svg
from radpipe.report.words import number


def dice(segmentation: dict[str, Any]) -> Markup:
    """Dice of every case, beside what an outline drawn without looking reaches."""
    cases = segmentation["cases"]

    def draw(figure: Figure) -> None:
        ax = case_rows(figure, [c["case_id"] for c in cases], 34)
        at = np.arange(len(cases))
        own = np.array([c["dice"] for c in cases], float)
        blind = np.array([c["no_look"] for c in cases], float)
        ax.hlines(at, blind, own, color=LINE, linewidth=1)
        ax.plot(blind, at, "|", color=MUTED, markersize=7, markeredgewidth=1.4, label="drawn without looking")
        ax.plot(own, at, "o", color=ARMS[0]["color"], markersize=4.2, label="network")
        ax.axvline(segmentation["dice"]["mean"], color=ARMS[0]["color"], linewidth=0.8, alpha=0.6)
        ax.axvline(segmentation["no_look"]["mean"], color=MUTED, linewidth=0.8, linestyle=":")
        ax.set_xlim(0, 1)
        ax.set_xlabel("Dice (0: no overlap, 1: the same outline)")
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, handletextpad=0.3, borderaxespad=0.2)

    alt = f"Dice per case. Network: mean {number(segmentation['dice']['mean'])}; drawn without looking: mean "
    alt += f"{number(segmentation['no_look']['mean'])}; the network is better in {segmentation['beaten']} of {len(cases)} cases."
    return svg("dice", alt, 420, case_height(len(cases), 34), draw, None)


def hd95(segmentation: dict[str, Any]) -> Markup:
    """95th percentile Hausdorff distance of every case, in the order of the Dice figure."""
    cases = segmentation["cases"]

    def draw(figure: Figure) -> None:
        ax = case_rows(figure, [c["case_id"] for c in cases], 34)
        at = np.arange(len(cases))
        values = np.array([np.nan if c["hd95_mm"] is None else c["hd95_mm"] for c in cases], float)
        ax.hlines(at, 0, values, color=LINE, linewidth=1)
        ax.plot(values, at, "o", color=ARMS[0]["color"], markersize=4.2)
        ax.axvline(float(np.nanmedian(values)), color=ARMS[0]["color"], linewidth=0.8, alpha=0.6)
        ax.set_xlim(0, None)
        ax.set_xlabel("95 % Hausdorff distance (mm)")

    spread = segmentation["hd95_mm"]
    alt = f"95 % Hausdorff distance per case: median {number(spread['median'], 1)} mm, largest {number(spread['max'], 1)} mm."
    return svg("hd95", alt, 420, case_height(len(cases), 34), draw, None)


def agreement(summary: dict[str, Any]) -> Markup:
    """ICC of every feature with its interval, best first."""
    features = summary["features"]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        at = np.arange(len(features))
        icc, low, high = (
            np.array([np.nan if f[key] is None else f[key] for f in features], float) for key in ("icc", "ci_low", "ci_high")
        )
        floor = max(-1.0, min(0.0, float(np.nanmin(low)) if np.isfinite(low).any() else 0.0))
        for band, shade in zip(((0.5, 0.75), (0.75, 0.9), (0.9, 1.0)), (0.25, 0.5, 0.8), strict=True):
            ax.axvspan(*band, color="#d8e3ee", alpha=shade, linewidth=0)
        ax.hlines(at, np.maximum(low, floor), high, color="#8fa3bb", linewidth=1.1)
        ax.plot(icc, at, "o", color=ARMS[0]["color"], markersize=2.8)
        for x, word in ((0.625, "moderate"), (0.825, "good"), (0.955, "excellent")):
            ax.annotate(word, (x, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                        ha="center", fontsize=6.8, color=MUTED)  # fmt: skip
        ax.set_ylim(len(features), -1)
        ax.set_yticks([])
        ax.set_ylabel(f"{len(features)} features, best first")
        ax.set_xlim(floor, 1)
        ax.set_xlabel("ICC(A,1) of predicted and given outline")

    counts = ", ".join(f"{band['count']} {band['name']}" for band in summary["bands"])
    alt = f"Agreement of {summary['n']} features between outlines: {counts}; median ICC {number(summary['median'])}."
    return svg("agreement", alt, 420, round(90 + min(360, max(140, 4.2 * len(features)))), draw)


def overlay(item: dict[str, Any], side: int = 230) -> str:
    """A slice with its given (solid) and predicted (dashed) outline and a scale bar; a PNG as data URI. side : CSS pixels."""
    grey = np.array(item["grey"], float)
    dy, dx = item["spacing_mm"]
    height_mm, width_mm = grey.shape[0] * dy, grey.shape[1] * dx

    def draw(figure: Figure) -> None:
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        background = 1.0 if item["inverted"] else 0.0
        figure.set_facecolor(str(background))
        ax.imshow(grey, cmap="gray_r" if item["inverted"] else "gray", vmin=0, vmax=255, extent=(0, width_mm, height_mm, 0),
                  interpolation="bilinear")  # fmt: skip
        ground = "light" if item["inverted"] else "dark"
        halo = [patheffects.withStroke(linewidth=3.4, foreground="white" if item["inverted"] else "black", alpha=0.85)]
        for outline, color, dashes in ((item["given"], GIVEN[ground], "solid"), (item["predicted"], PREDICTED[ground], "dashed")):
            if outline is None or not np.any(outline):
                continue
            ringed = np.pad(np.array(outline, float), 1)  # an outline may touch the window's edge
            xs = (np.arange(ringed.shape[1]) - 0.5) * dx
            ys = (np.arange(ringed.shape[0]) - 0.5) * dy
            lines = ax.contour(xs, ys, ringed, levels=[0.5], colors=[color], linewidths=1.7, linestyles=dashes)
            lines.set_path_effects(halo)
        span = max(width_mm, height_mm)
        ax.set_xlim(width_mm / 2 - span / 2, width_mm / 2 + span / 2)
        ax.set_ylim(height_mm / 2 + span / 2, height_mm / 2 - span / 2)
        bar = 20.0 if span < 200 else 50.0
        left, low = width_mm / 2 - span / 2 + span * 0.04, height_mm / 2 + span / 2 - span * 0.05
        ink, paper = ("black", "white") if item["inverted"] else ("white", "black")
        ax.plot(
            [left, left + bar],
            [low, low],
            color=ink,
            linewidth=2.2,
            path_effects=[patheffects.withStroke(linewidth=4, foreground=paper)],
        )
        ax.text(left, low - span * 0.025, f"{bar:g} mm", color=ink, fontsize=7.5,
                path_effects=[patheffects.withStroke(linewidth=2.4, foreground=paper)])  # fmt: skip

    return png(side, side, draw)

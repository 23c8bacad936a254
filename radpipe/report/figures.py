"""Plain values -> pictures for the page: inline SVG, and PNG as data URIs for image slices.

The only place that draws. Figures are made without pyplot, so none stays open; the same values give the same bytes.
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
import numpy as np
from markupsafe import Markup
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from radpipe.report.words import number

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
_PIXEL = 1 / 96  # inch of a CSS pixel


@contextmanager
def _style() -> Iterator[None]:
    """The page's style whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def _svg(
    name: str, alt: str, width: int, height: int, draw: Callable[[Figure], None], layout: str | None = "constrained"
) -> Markup:
    """Draw and return inline SVG: scales with its column, text in the page's font, ids of its own."""
    with _style():
        figure = Figure(figsize=(width * _PIXEL, height * _PIXEL), layout=layout)  # type: ignore[arg-type]
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
        figure = Figure(figsize=(width * _PIXEL, height * _PIXEL), dpi=192)
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


def _short(name: str, most: int = 34) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _light_grid(ax: Axes, axis: str = "x") -> None:
    ax.grid(True, axis=axis, color=WASH, linewidth=1.2)  # type: ignore[arg-type]
    ax.set_axisbelow(True)


def _case_rows(figure: Figure, names: list[str], head: int) -> Axes:
    """Axes with one row a case, first on top; without names where there are too many to read. head : pixels above the rows.

    Figures of the same cases get the same margins, so that their rows stand level with each other.
    """
    width, height = (size / _PIXEL for size in figure.get_size_inches())
    named = len(names) <= MOST_NAMED
    left = min(150.0, 16 + 4.7 * max((len(_short(name, 26)) for name in names), default=0)) if named else 12.0
    ax = figure.add_axes((left / width, 44 / height, (width - left - 14) / width, (height - 44 - head) / height))
    ax.set_ylim(len(names) - 0.4, -0.6)
    if named:
        ax.set_yticks(range(len(names)), [_short(name, 26) for name in names], fontsize=6.8)
    else:
        ax.set_yticks([])
    _light_grid(ax)
    return ax


def _case_height(count: int, head: int) -> int:
    """Pixels of a per-case figure; beyond the named rows they get thinner, and the figure no taller than a page."""
    return round(44 + head + (count * 13.0 if count <= MOST_NAMED else min(480 + (count - MOST_NAMED) * 2.0, 900.0)))


def dice(segmentation: dict[str, Any]) -> Markup:
    """Dice of every case, beside what an outline drawn without looking reaches."""
    cases = segmentation["cases"]

    def draw(figure: Figure) -> None:
        ax = _case_rows(figure, [c["case_id"] for c in cases], 34)
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
    return _svg("dice", alt, 420, _case_height(len(cases), 34), draw, None)


def hd95(segmentation: dict[str, Any]) -> Markup:
    """95th percentile Hausdorff distance of every case, in the order of the Dice figure."""
    cases = segmentation["cases"]

    def draw(figure: Figure) -> None:
        ax = _case_rows(figure, [c["case_id"] for c in cases], 34)
        at = np.arange(len(cases))
        values = np.array([np.nan if c["hd95_mm"] is None else c["hd95_mm"] for c in cases], float)
        ax.hlines(at, 0, values, color=LINE, linewidth=1)
        ax.plot(values, at, "o", color=ARMS[0]["color"], markersize=4.2)
        ax.axvline(float(np.nanmedian(values)), color=ARMS[0]["color"], linewidth=0.8, alpha=0.6)
        ax.set_xlim(0, None)
        ax.set_xlabel("95 % Hausdorff distance (mm)")

    spread = segmentation["hd95_mm"]
    alt = f"95 % Hausdorff distance per case: median {number(spread['median'], 1)} mm, largest {number(spread['max'], 1)} mm."
    return _svg("hd95", alt, 420, _case_height(len(cases), 34), draw, None)


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
    return _svg("agreement", alt, 420, round(90 + min(360, max(140, 4.2 * len(features)))), draw)


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
        ax.set_yticks(range(len(names)), [_short(name, 30) for name in names], fontsize=7.4)
        _light_grid(ax)
        ax.set_xlim(0, 108)
        ax.set_xticks([0, 25, 50, 75, 100])
        ax.set_xlabel(f"kept in % of the {summary['fits']} training parts")

    top = ", ".join(f"{f['feature']} in {f['times']}" for f in features[:3])
    return _svg(
        f"selected{place}",
        f"Features kept most often, of {summary['fits']} training parts: {top}.",
        440,
        66 + 19 * len(features),
        draw,
    )


def roc(models: list[dict[str, Any]]) -> Markup:
    """ROC curves, averaged within folds; a band spans the repeats of the primary pair."""
    look = styles(models)
    drawn = [m for m in models if m["roc"]]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.plot([0, 1], [0, 1], color=LINE, linewidth=1)
        for m in reversed(drawn):  # the primary pair last, on top
            style, curve = look[m["model"]], m["roc"]
            if m["primary"]:
                ax.fill_between(curve["rates"], curve["low"], curve["high"], color=style["color"], alpha=0.13, linewidth=0)
            width = 2.0 if m["primary"] else 1.1
            auc = m["metrics"].get("auc", {}).get("value")
            ax.plot(curve["rates"], curve["mean"], color=style["color"], linestyle=style["linestyle"], linewidth=width,
                    label=f"{m['label']}  {number(auc)}")  # fmt: skip
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(
            handles[::-1], labels[::-1], loc="lower right", title="AUC", title_fontsize=8, alignment="left", handlelength=2.6
        )
        ax.set(
            xlim=(0, 1),
            ylim=(0, 1.005),
            xlabel="false alarms: 1 − specificity",
            ylabel="events found: sensitivity",
            aspect="equal",
        )

    alt = "ROC curves. AUC: " + ", ".join(f"{m['label']} {number(m['metrics'].get('auc', {}).get('value'))}" for m in drawn) + "."
    return _svg("roc", alt, 420, 410, draw)


def calibration(model: dict[str, Any], style: dict[str, Any], confidence: str) -> Markup:
    """Observed against predicted risk in groups, with intervals and counts."""
    groups = model["calibration"]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=(0, (4, 3)))
        for g in groups:
            ax.vlines(g["predicted"], g["ci_low"], g["ci_high"], color=style["color"], linewidth=1.3, alpha=0.75)
            lift = 3 if g["ci_high"] - g["observed"] > 0.04 else 7  # clear of the marker where that is the upper end
            ax.annotate(f"{g['events']} of {g['n']}", (g["predicted"], g["ci_high"]), xytext=(0, lift),
                        textcoords="offset points", fontsize=7.5, ha="center", color=INK)  # fmt: skip
        ax.plot([g["predicted"] for g in groups], [g["observed"] for g in groups], style["marker"], color=style["color"],
                markersize=6, clip_on=False)  # fmt: skip
        ax.set(
            xlim=(0, 1),
            ylim=(0, 1.08),
            yticks=[0, 0.2, 0.4, 0.6, 0.8, 1],
            xlabel="predicted risk",
            ylabel="share that had the event",
            aspect="equal",
        )
        ax.set_title(model["label"], fontsize=9.5, loc="left", color=INK, fontweight="bold")

    listed = "; ".join(f"predicted {number(g['predicted'])}, had the event {g['events']} of {g['n']}" for g in groups)
    name = f"calibration-{model['model']}"
    return _svg(name, f"Calibration of {model['label']} in groups, {confidence} intervals: {listed}.", 360, 370, draw)


def scores(model: dict[str, Any], style: dict[str, Any], groups: list[str]) -> Markup:
    """Out-of-fold risk of every case, mean and range over repeats; filled where the event happened."""
    cases = model["scores"]

    def draw(figure: Figure) -> None:
        ax = _case_rows(figure, [c["case_id"] for c in cases], 50)
        at = np.arange(len(cases))
        ax.hlines(at, [c["low"] for c in cases], [c["high"] for c in cases], color="#b7bfca", linewidth=1.2)
        for event, face in ((1, style["color"]), (0, "white")):
            rows = [i for i, c in enumerate(cases) if c["y"] == event]
            ax.plot([cases[i]["p"] for i in rows], at[rows], style["marker"], color=style["color"], markerfacecolor=face,
                    markersize=4.6, markeredgewidth=1.0, label=_short(groups[event], 26))  # fmt: skip
        if model["threshold"] is not None:
            ax.axvline(model["threshold"], color=MUTED, linewidth=0.9, linestyle=":")
        ax.set_xlim(-0.015, 1.015)
        ax.set_xlabel("predicted risk (mean and range over repeats)")
        legend = ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, title=model["label"], title_fontsize=9.5,
                           handletextpad=0.2, alignment="left", borderaxespad=0.2)  # fmt: skip
        legend.get_title().set_fontweight("bold")

    found = [c["p"] for c in cases if c["y"] == 1]
    others = [c["p"] for c in cases if c["y"] == 0]
    alt = (
        f"Predicted risk by case, {model['label']}: median {number(float(np.median(found)) if found else None)} with the event, "
    )
    alt += f"{number(float(np.median(others)) if others else None)} without."
    name = f"scores-{model['model']}"
    return _svg(name, alt, 420, _case_height(len(cases), 50), draw, None)


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
    return _svg("forest", f"Differences in {metric}: {listed}.", 440, 74 + 24 * len(rows), draw)


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
    return _svg("chances", alt, 420, 320, draw)


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
        _light_grid(ax)

    listed = "; ".join(f"{row['what']} ask for {row['patients']:,}" for row in shown)
    return _svg("demands", f"This cohort has {patients:,} patients; {listed}.", 420, 90 + 34 * len(shown), draw)


def overlay(item: dict[str, Any]) -> str:
    """A slice with its given (solid) and predicted (dashed) outline and a scale bar; a PNG as data URI."""
    grey = np.array(item["grey"], float)
    dy, dx = item["spacing_mm"]
    height_mm, width_mm = grey.shape[0] * dy, grey.shape[1] * dx
    side = 230

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


def draw_all(summary: dict[str, Any]) -> dict[str, Any]:
    """Every figure of the page, by name; a missing part of the run has none."""
    models = summary["models"]
    look = styles(models)
    arms = [m for m in models if m["primary"]] or models[:2]
    tested = [row for row in summary["comparison"] if row["test"] == "corrected_t"]
    labels = {m["model"]: m["label"] for m in models}
    seg, agree = summary["segmentation"], summary["agreement"]
    return {
        "overlays": [overlay(item) for item in summary["overlays"]],
        "dice": dice(seg) if seg else None,
        "hd95": hd95(seg) if seg and seg["hd95_mm"]["median"] is not None else None,
        "agreement": agreement(agree) if agree and agree["n"] else None,
        "selected": [selected(found, place) if found["features"] else None for place, found in enumerate(summary["selections"])],
        "roc": roc(models) if any(m["roc"] for m in models) else None,
        "calibration": [calibration(m, look[m["model"]], summary["confidence"]) for m in arms if m["calibration"]],
        "scores": [scores(m, look[m["model"]], summary["groups"]) for m in arms if m["scores"]],
        "forest": forest(tested, labels, summary["metric_name"], summary["margin"], summary["level"]) if tested else None,
    }


__all__ = ["GIVEN", "INK", "draw_all", "png", "styles"]

"""Pictures of how well models predict: ROC curves, calibration, the risk of every case."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from radpipe.report.plotting import INK, LINE, MUTED, case_height, case_rows, short, styles, svg
from radpipe.report.words import number


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
    return svg("roc", alt, 420, 410, draw)


def calibration(model: dict[str, Any], style: dict[str, Any], confidence: str) -> Markup:
    """Observed against predicted risk in groups, with intervals and counts."""
    groups = model["calibration"]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=(0, (4, 3)))
        for g in groups:
            low, high = (g["observed"] if g[key] is None else g[key] for key in ("ci_low", "ci_high"))
            ax.vlines(g["predicted"], low, high, color=style["color"], linewidth=1.3, alpha=0.75)
            lift = 3 if high - g["observed"] > 0.04 else 7  # clear of the marker where that is the upper end
            ax.annotate(f"{g['events']} of {g['n']}", (g["predicted"], high), xytext=(0, lift),
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
    return svg(name, f"Calibration of {model['label']} in groups, {confidence} intervals: {listed}.", 360, 370, draw)


def scores(model: dict[str, Any], style: dict[str, Any], groups: list[str]) -> Markup:
    """Out-of-fold risk of every case, mean and range over repeats; filled where the event happened."""
    cases = model["scores"]

    def draw(figure: Figure) -> None:
        ax = case_rows(figure, [c["case_id"] for c in cases], 50)
        at = np.arange(len(cases))
        ax.hlines(at, [c["low"] for c in cases], [c["high"] for c in cases], color="#b7bfca", linewidth=1.2)
        for event, face in ((1, style["color"]), (0, "white")):
            rows = [i for i, c in enumerate(cases) if c["y"] == event]
            ax.plot([cases[i]["p"] for i in rows], at[rows], style["marker"], color=style["color"], markerfacecolor=face,
                    markersize=4.6, markeredgewidth=1.0, label=short(groups[event], 26))  # fmt: skip
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
    return svg(name, alt, 420, case_height(len(cases), 50), draw, None)

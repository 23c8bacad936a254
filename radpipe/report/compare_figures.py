"""Pictures of the comparison page that the page of a run has not."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from radpipe.report.figures import _light_grid, _svg
from radpipe.report.words import number

INK, MUTED, LINE = "#1c2430", "#566072", "#c9d0da"


def each_model(models: list[dict[str, Any]], metric: str, level: str, names: tuple[str, str]) -> Markup:
    """The AUC of every model with its interval; where patients are external, above it that of the cross-validation.

    names : what the filled and the open marker stand for; the second is empty without an external cohort.
    """
    both = bool(names[1])

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.axvline(0.5, color=MUTED, linewidth=0.9, linestyle=":")
        for at, model in enumerate(models):
            strong = model["primary"]
            for place, (key, face) in enumerate((("shown", INK if strong else "#6d7788"), ("developed", "white"))):
                found = model[key]
                if not found or found["value"] is None:
                    continue
                y = at + (0.16 if place == 0 else -0.18) * both
                color = INK if strong else "#6d7788"
                if found["ci_low"] is not None:
                    ax.hlines(y, found["ci_low"], found["ci_high"], color=color, linewidth=2.0 if place == 0 else 1.0)
                ax.plot(found["value"], y, "D" if place == 0 else "o", color=color, markerfacecolor=face, markersize=5.5,
                        label=names[place] if at == 0 else None)  # fmt: skip
        ax.set_ylim(len(models) - 0.4, -0.6)
        ax.set_yticks(range(len(models)), [model["label"] for model in models], fontsize=7.8)
        for tick, model in zip(ax.get_yticklabels(), models, strict=True):
            tick.set(color=INK if model["primary"] else MUTED, fontweight="bold" if model["primary"] else "normal")
        ax.set_xlim(0, 1)
        ax.set_xlabel(f"{metric}, {level} interval; dotted: chance")
        _light_grid(ax)
        if both:
            ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, handletextpad=0.3, borderaxespad=0.2)

    listed = "; ".join(f"{m['label']} {number(m['shown']['value'])}" for m in models if m["shown"])
    return _svg("each", f"{metric} of each model: {listed}.", 440, 84 + (24 + 10 * both) * len(models), draw)


def net_benefit(models: list[dict[str, Any]], look: dict[str, dict[str, Any]]) -> Markup:
    """Net benefit by the risk from which on one would treat; of treating everybody, and nobody."""
    drawn = [model for model in models if model["curve"]]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        first = drawn[0]["curve"]
        ax.plot(first["threshold"], first["treat_all"], color=LINE, linewidth=1.6, label="treat everybody")
        ax.axhline(0, color=MUTED, linewidth=0.9, label="treat nobody")
        for model in reversed(drawn):
            style, curve = look[model["model"]], model["curve"]
            ax.plot(curve["threshold"], curve["net_benefit"], color=style["color"], linestyle=style["linestyle"],
                    linewidth=2.0 if model["primary"] else 1.1, label=model["label"])  # fmt: skip
        values = [value for model in drawn for value in model["curve"]["net_benefit"] if value is not None]
        top = max([*values, *(v for v in first["treat_all"] if v is not None), 0.05])
        ax.set(
            ylim=(max(-0.25, min([*values, 0.0]) - 0.02), top * 1.06), xlim=(min(first["threshold"]), max(first["threshold"])),
            xlabel="risk from which on one would treat", ylabel="net benefit",
        )  # fmt: skip
        _light_grid(ax, "y")
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(-0.1, -0.17), ncols=2, handlelength=2.6)

    lines = (len(drawn) + 3) // 2
    return _svg("benefit", f"Net benefit of {', '.join(m['label'] for m in drawn)}.", 420, 320 + 16 * lines, draw)

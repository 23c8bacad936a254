"""Pictures of models side by side, and of differences between them."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from radpipe.report.metric_words import lower_is_better, most
from radpipe.report.plotting import ARMS, INK, LINE, MUTED, WASH, light_grid, short, svg
from radpipe.report.words import number, size


def forest(rows: list[dict[str, Any]], labels: dict[str, str], metric: str, margin: float, level: str) -> Markup:
    """Differences of two models with their intervals; the margin shaded. Right is always where the first model is better, so
    errors and losses are turned round. metric : in words; rows say by ``metric`` which one it is."""
    name = str(rows[0].get("metric", ""))
    turned = lower_is_better(name)

    def sides(row: dict[str, Any]) -> tuple[float | None, float | None, float | None]:
        low, middle, high = row["ci_low"], row["effect"], row["ci_high"]
        if not turned:
            return low, middle, high
        return tuple(None if value is None else -value for value in (high, middle, low))  # type: ignore[return-value]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ends = [abs(row[key]) for row in rows for key in ("ci_low", "ci_high", "effect") if row[key] is not None]
        reach = min(most(name), max([*ends, 2.5 * margin]) * 1.06)
        ax.axvspan(-margin, margin, color="#dfe6ee", linewidth=0)
        for edge in (-margin, margin):
            ax.axvline(edge, color=LINE, linewidth=0.8, linestyle=(0, (2, 2)))
        ax.axvline(0, color=MUTED, linewidth=0.9)
        for at, row in enumerate(rows):
            strong = row["primary"]
            color = INK if strong else "#6d7788"
            low, middle, high = sides(row)
            if middle is None or low is None or high is None:
                ax.annotate("no test", (0, at), ha="center", va="center", fontsize=7.5, color=MUTED, fontstyle="italic")
                continue
            ax.hlines(at, max(low, -reach), min(high, reach), color=color, linewidth=2.2 if strong else 1.2)
            ax.plot(middle, at, "D" if strong else "o", color=color, markersize=6.5 if strong else 4.5)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        names = [f"{short(labels[row['model_a']], 18)} − {short(labels[row['model_b']], 18)}" for row in rows]
        ax.set_yticks(range(len(rows)), names, fontsize=7.8)
        for tick, row in zip(ax.get_yticklabels(), rows, strict=True):
            tick.set(color=INK if row["primary"] else MUTED, fontweight="bold" if row["primary"] else "normal")
        ax.set_xlim(-reach, reach)
        for x, align, word in ((0.0, "left", "← second better"), (1.0, "right", "first better →")):
            ax.annotate(
                word,
                (x, 1.0),
                xycoords="axes fraction",
                xytext=(0, 3),
                textcoords="offset points",
                ha=align,
                fontsize=7.2,
                color=MUTED,
            )
        also = ", turned" if turned else ""
        ax.set_xlabel(f"difference in {metric}{also}, {level} interval; shaded: within ±{size(margin, name)}", fontsize=7.8)

    listed = "; ".join(f"{labels[r['model_a']]} minus {labels[r['model_b']]} {size(r['effect'], name, sign=True)}" for r in rows)
    alt = f"Differences in {metric}{', of which lower is better' if turned else ''}: {listed}. Margin {size(margin, name)}."
    return svg("forest", alt, 440, 88 + 24 * len(rows), draw)


def each_model(models: list[dict[str, Any]], metric: str, level: str, names: tuple[str, str]) -> Markup:
    """The leading metric of every model with its interval; where patients are external, above it that of the cross-validation.

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
        light_grid(ax)
        if both:
            ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, handletextpad=0.3, borderaxespad=0.2)

    listed = "; ".join(f"{m['label']} {number(m['shown']['value'])}" for m in models if m["shown"])
    return svg("each", f"{metric} of each model: {listed}.", 440, 84 + (24 + 10 * both) * len(models), draw)


def controls(rows: list[dict[str, Any]], metric: str, null: float) -> Markup:
    """What every control reached, with its interval, beside the true result of the same model and what chance gives."""
    shown = [row for row in rows if row["value"] is not None]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.axvline(null, color=MUTED, linewidth=0.9, linestyle=":")
        for at, row in enumerate(shown):
            color = ARMS[1]["color"] if row["flagged"] else INK
            if row["observed"] is not None:
                ax.plot([row["value"], row["observed"]], [at, at], color=LINE, linewidth=0.8, zorder=1)
                ax.plot(row["observed"], at, "D", color=ARMS[0]["color"], markerfacecolor="white", markersize=5.5,
                        label="the true result" if at == 0 else None)  # fmt: skip
            if row["ci_low"] is not None and row["ci_high"] is not None:
                ax.hlines(at, row["ci_low"], row["ci_high"], color=color, linewidth=2.0)
            ax.plot(row["value"], at, "o", color=color, markersize=4.8, label="the control" if at == 0 else None)
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_yticks(range(len(shown)), [f"{row['name']}: {short(row['label'], 16)}" for row in shown], fontsize=7.6)
        ends = [row[key] for row in shown for key in ("value", "ci_low", "ci_high", "observed") if row[key] is not None]
        low, high = min([*ends, null]), max([*ends, null])
        pad = 0.06 * max(high - low, 0.1)
        ax.set_xlim(low - pad, high + pad)
        ax.set_xlabel(f"{metric} (dotted: what chance gives)")
        light_grid(ax)
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, handletextpad=0.3, borderaxespad=0.2)

    listed = "; ".join(f"{r['name']}, {r['label']} {number(r['value'])} (true {number(r['observed'])})" for r in shown)
    return svg("controls", f"Controls beside the true result, {metric}: {listed}.", 440, 96 + 24 * len(shown), draw)


def gap(rows: list[dict[str, Any]], metric: str, chance: float) -> Markup:
    """The metric on patients learnt from (hollow) and on patients never seen (filled)."""

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        at = list(range(len(rows)))
        ax.axvline(chance, color=MUTED, linewidth=0.9, linestyle=":")
        ax.hlines(at, [r["test"] for r in rows], [r["train"] for r in rows], color=LINE, linewidth=1.4)
        ax.plot(
            [r["train"] for r in rows],
            at,
            "o",
            color=INK,
            markerfacecolor="white",
            markersize=5,
            label="learnt from",
            clip_on=False,
        )
        ax.plot([r["test"] for r in rows], at, "o", color=INK, markersize=5, label="never seen", clip_on=False)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_yticks(at, [short(row["label"], 22) for row in rows], fontsize=7.8)
        for tick, row in zip(ax.get_yticklabels(), rows, strict=True):
            tick.set(color=INK if row["primary"] else MUTED, fontweight="bold" if row["primary"] else "normal")
        low = min([chance, *(r[key] for r in rows for key in ("train", "test"))])
        ax.set_xlim(low - 0.05, 1.0)
        ax.set_xlabel(f"{metric} (dotted: what chance gives)")
        ax.grid(True, axis="x", color=WASH, linewidth=1.2)
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, handletextpad=0.3, borderaxespad=0.2)

    listed = "; ".join(f"{r['label']} {number(r['train'])} and {number(r['test'])}" for r in rows)
    return svg("gap", f"{metric} on patients learnt from and on patients never seen: {listed}.", 420, 92 + 20 * len(rows), draw)

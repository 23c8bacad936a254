"""Plain values -> every picture of the page of a run. One family of figures, one file; they are gathered here."""

from __future__ import annotations

from typing import Any

from radpipe.report.comparison_figures import forest
from radpipe.report.outline_figures import agreement, dice, hd95, overlay
from radpipe.report.performance_figures import calibration, roc, scores
from radpipe.report.plan_figures import chances, demands
from radpipe.report.plotting import GIVEN, INK, LINE, MUTED, png, styles
from radpipe.report.plotting import light_grid as _light_grid
from radpipe.report.plotting import svg as _svg
from radpipe.report.selection_figures import selected


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


__all__ = [
    "GIVEN", "INK", "LINE", "MUTED", "_light_grid", "_svg", "calibration", "chances", "demands", "draw_all", "forest", "overlay", "png",
    "roc", "scores", "styles",
]  # fmt: skip

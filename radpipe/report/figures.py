"""Plain values -> every picture of the page of a run. One family of figures, one file; they are gathered here."""

from __future__ import annotations

from typing import Any

from radpipe.report.comparison_figures import controls, forest, gap
from radpipe.report.outline_figures import agreement, dice, hd95, overlay
from radpipe.report.performance_figures import calibration, roc, scores
from radpipe.report.plotting import styles
from radpipe.report.selection_figures import selected
from radpipe.report.usefulness_figures import decision, risk_groups, time_auc

SMALL = 130
"""Pixels of the picture beside a patient's score."""

MOST_CURVES = 6
"""ROC curves that can be told apart in one picture."""


def _with_curves(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those whose ROC curve is drawn: all where they are few, else the primary pair and what it is to be held against."""
    found = [m for m in models if m["roc"]]
    if len(found) > MOST_CURVES:
        asked = [m for m in found if m["primary"] or set(m["inputs"].split()) & {"clinical", "volume"}]
        found = (asked or found)[:MOST_CURVES]
    return found


def draw_all(summary: dict[str, Any]) -> dict[str, Any]:
    """Every figure of the page, by name; a missing part of the run has none."""
    models = summary["models"]
    look = styles(models)
    arms = [m for m in models if m["primary"]] or models[:2]
    tested = [row for row in summary["comparison"] if row["test"] == "corrected_t"]
    asked = [row for row in tested if row["asked"]] or tested
    lead, controlled = summary["lead"], [row for row in summary["controls"]["rows"] if row["value"] is not None]
    labels = {m["model"]: m["label"] for m in models}
    seg, agree = summary["segmentation"], summary["agreement"]
    return {
        "overlays": [overlay(item) for item in summary["overlays"]],
        "dice": dice(seg) if seg else None,
        "hd95": hd95(seg) if seg and seg["hd95_mm"]["median"] is not None else None,
        "agreement": agreement(agree) if agree and agree["n"] else None,
        "selected": [selected(found, place) if found["features"] else None for place, found in enumerate(summary["selections"])],
        "roc": roc(_with_curves(models)) if any(m["roc"] for m in models) else None,
        "calibration": [calibration(m, look[m["model"]], summary["confidence"]) for m in arms if m["calibration"]],
        "scores": [scores(m, look[m["model"]], summary["groups"]) for m in arms if m["scores"]]
        if not summary["patients"]
        else [],
        "pictures": {c["case_id"]: overlay(c["picture"], SMALL) for c in summary["patients"]["cases"] if c["picture"]}
        if summary["patients"]
        else {},
        "forest": forest(asked, labels, summary["metric_name"], summary["margin"], summary["level"]) if tested else None,
        "decision": decision(summary["decision"], look) if summary["decision"] else None,
        "risk_groups": [risk_groups(item, summary["time_unit"]) for item in summary["risk_groups"]],
        "time_auc": time_auc(summary["time_auc"], look, summary["time_unit"]) if summary["time_auc"] else None,
        "controls": controls(controlled, controlled[0]["metric_name"], controlled[0]["null"]) if controlled else None,
        "gap": gap(summary["gaps"], lead["name"], lead["chance"]) if summary["gaps"] else None,
    }

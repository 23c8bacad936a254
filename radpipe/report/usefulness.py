"""Would acting on it do good, and what may be promised of one patient: decision curves, prediction sets, curves over time."""

from __future__ import annotations

from typing import Any

import pandas as pd

from radpipe.evaluation.conformal import least_for
from radpipe.report import described
from radpipe.report.inputs import ReportInputs
from radpipe.report.whom import shown_models, table_of
from radpipe.report.words import finite, joined, label, number, percent, plural


def decision_summary(inputs: ReportInputs, models: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Net benefit of the shown models, of treating everybody and nobody; what is best where. None where there is no table."""
    shown = shown_models(models)
    table = table_of(shown, inputs, "decision_curves")
    if table.empty:
        return None
    curves = []
    for m in shown:
        own = table[table["model"] == m["model"]].sort_values("threshold")
        if own["net_benefit"].notna().any():
            curves.append(
                {"model": m["model"], "label": m["label"], **{
                    key: [finite(v) for v in own[key]] for key in ("threshold", "net_benefit", "ci_low", "ci_high", "treat_all")
                }}
            )  # fmt: skip
    if not curves:  # nobody was followed until the horizon
        return None
    first = curves[0]
    rows = []
    for k, threshold in enumerate(first["threshold"]):
        cells = [{key: curve[key][k] for key in ("net_benefit", "ci_low", "ci_high")} for curve in curves]
        rows.append({"threshold": threshold, "treat_all": first["treat_all"][k], "cells": cells})
    return {
        "curves": curves, "rows": rows, "sentences": [_beaten(curve) for curve in curves], "method": str(table["method"].iloc[0]),
        "banded": any(value is not None for curve in curves for value in curve["ci_low"]),
    }  # fmt: skip


def _beaten(curve: dict[str, Any]) -> str:
    """At which thresholds the model's net benefit lies above both simple rules, and whether the interval says so too."""
    above, surely = [], []
    for at, benefit, low, everybody in zip(
        curve["threshold"], curve["net_benefit"], curve["ci_low"], curve["treat_all"], strict=True
    ):
        if benefit is None or everybody is None:
            continue
        rule = max(everybody, 0.0)
        if benefit > rule + 1e-12:
            above.append(at)
            if low is not None and low > rule:
                surely.append(at)
    name = curve["label"]
    if not above:
        return f"{name} does no more good than treating everybody or nobody at any of these thresholds."
    text = f"{name} lies above both simple rules at {_spans(above, curve['threshold'])}"
    if surely:
        return f"{text}; the lower end of its interval does so at {_spans(surely, curve['threshold'])}."
    if any(low is not None for low in curve["ci_low"]):
        return f"{text}, but nowhere does the lower end of its interval: that it does more good is not shown."
    return f"{text}; it has no interval."


def _spans(values: list[float], every: list[float]) -> str:
    """'thresholds of 20 % to 40 % and of 55 %'."""
    place = {value: at for at, value in enumerate(every)}
    spans: list[list[float]] = []
    for value in values:
        if spans and place[value] == place[spans[-1][-1]] + 1:
            spans[-1].append(value)
        else:
            spans.append([value])
    said = [f"{_risk(span[0])} to {_risk(span[-1])}" if len(span) > 1 else _risk(span[0]) for span in spans]
    return f"{'a threshold' if len(values) == 1 else 'thresholds'} of {joined(said)}"


def _risk(value: float) -> str:
    return percent(round(value, 6))


def conformal_summary(inputs: ReportInputs, models: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Coverage and size of the prediction sets, class by class, of the shown models; None where there is no table."""
    shown = shown_models(models)
    table = table_of(shown, inputs, "conformal")
    if table.empty:
        return None
    _, group_0, group_1 = described.outcome_words(inputs)
    two = described.kind_of(inputs) == "two"
    order = {m["model"]: at for at, m in enumerate(shown)}
    rows = []
    for found in sorted(table.to_dict("records"), key=lambda r: (order[str(r["model"])], int(r["class"]))):
        row = {str(key): finite(value) if isinstance(value, float) else value for key, value in found.items()}
        name = ((group_0, group_1)[row["class"]] if two else f"class {row['class']}") if row["class"] is not None else ""
        vacuous, fits = int(row["vacuous_fits"]), int(row["fits"])
        if not fits:
            said = "no set: nothing to calibrate on"
        elif vacuous == fits:
            said = "vacuous: never left out"
        elif vacuous:
            said = f"vacuous in {vacuous} of {fits} fits"
        elif row["ci_high"] is not None and row["ci_high"] < row["level"]:
            said = "less than promised"
        else:
            said = "as promised, within its interval"
        rows.append(
            {**row, "label": label(str(row["model"])), "name": name, "said": said, "all_vacuous": bool(fits) and vacuous == fits}
        )
    level = float(table["level"].iloc[0])
    fewest = [int(row["fewest_calibration"]) for row in rows]
    vacuous = [row for row in rows if row["all_vacuous"]]
    least = least_for(level)
    if rows and len(vacuous) == len(rows):
        headline = f"Vacuous: at {percent(level)} every set holds every outcome, and so says nothing about the patient."
    elif vacuous:
        headline = f"Vacuous for {joined(list(dict.fromkeys(row['name'] for row in vacuous)))}: that outcome is in every set."
    else:
        headline = f"Sets that hold what happens in {percent(level)} of the patients of each outcome."
    sentences = []
    if vacuous or any(row["vacuous_fits"] for row in rows):
        sentences.append(
            f"To leave an outcome out at {percent(level)}, a fit must have seen at least {least} other patients with it in its selection "
            f"part; here some had {min(fewest)}. No model of this run can, for such a patient, rule the outcome out."
        )
    if len(vacuous) < len(rows):
        sentences.append(
            "A set with one outcome is a statement about the patient; a set with both says that the model does not know; an empty one, that "
            "the patient is unlike those it learnt from."
        )
    return {
        "rows": rows, "level": percent(level), "headline": headline, "sentences": sentences, "method": str(rows[0]["method"]) if rows else "",
        "vacuous": len(vacuous) == len(rows),
    }  # fmt: skip


def risk_group_summary(inputs: ReportInputs, models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each shown model: curves of patients of similar risk, the first repeat with its bands, the others as lines."""
    table = inputs.table("risk_groups")
    if table.empty:
        return []
    found = []
    for m in shown_models(models):
        own = table[table["model"] == m["model"]]
        if own.empty:
            continue
        repeats = sorted(own["repeat"].unique().tolist())
        p = own.groupby("repeat")["p_value"].first().dropna()
        kind = str(own["kind"].iloc[0])
        number_of = int(own["group"].max()) + 1
        first = own[own["repeat"] == repeats[0]]
        groups = [_steps(first[first["group"] == group], int(str(group))) for group in sorted(first["group"].unique())]
        others = [
            {"group": int(group), "time": part["time"].tolist(), "value": [finite(v) for v in part["value"]]}
            for (repeat, group), part in own.sort_values("time").groupby(["repeat", "group"]) if repeat != repeats[0]
        ]  # fmt: skip
        said = f"Log-rank p {number(float(p.median()), 3)} (median over {plural(len(p), 'repeat')}"
        said += f", {number(float(p.min()), 3)} to {number(float(p.max()), 3)})" if len(p) > 1 else ")"
        found.append(
            {
                "model": m["model"], "label": m["label"], "kind": kind, "groups": groups, "others": others, "repeats": len(repeats),
                "names": _risk_names(number_of), "p": finite(p.median()) if len(p) else None, "said": f"{said}, conditional on these groups.",
                "method": str(first["method"].iloc[0]).partition(";")[0],
            }
        )  # fmt: skip
    return found


def _steps(part: pd.DataFrame, group: int) -> dict[str, Any]:
    part = part.sort_values("time")
    return {
        "group": group, "n": int(part["n"].iloc[0]), "events": int(part["n_events"].iloc[0]), "at_risk": part["at_risk"].astype(int).tolist(),
        **{key: [finite(v) for v in part[key]] for key in ("time", "value", "ci_low", "ci_high")},
    }  # fmt: skip


def _risk_names(groups: int) -> list[str]:
    return (
        ["lower risk", "higher risk"]
        if groups == 2
        else ["lowest risk", *[f"group {k + 2}" for k in range(groups - 2)], "highest risk"]
    )


def time_auc_summary(inputs: ReportInputs, models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each shown model the AUC at several times, with intervals; empty where the outcome is no time."""
    table = inputs.table("time_auc")
    if table.empty:
        return []
    found = []
    for m in shown_models(models):
        own = table[table["model"] == m["model"]].sort_values("time")
        points = [
            {"time": float(r["time"]), "value": finite(r["auc"]), "ci_low": finite(r["ci_low"]), "ci_high": finite(r["ci_high"]),
             "n_events": int(r["n_events"]), "n_free": int(r["n_free"])}
            for r in own.to_dict("records")
        ]  # fmt: skip
        if any(point["value"] is not None for point in points):
            found.append({"model": m["model"], "label": m["label"], "points": points, "method": str(own["method"].iloc[0])})
    return found

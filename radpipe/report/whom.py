"""For whom does it work, and for whom not: subgroups, and every patient by himself. Tables -> plain values for the page."""

from __future__ import annotations

from typing import Any

import pandas as pd

from radpipe.report import described
from radpipe.report.inputs import ReportInputs
from radpipe.report.metric_words import METRIC_NAMES, lower_is_better
from radpipe.report.words import finite, percent, plural, significant

MOST_ROWS = 400
"""Patients beyond which the plot by patient is left to the tables."""
MOST_FACTS = 8


def subgroup_summary(inputs: ReportInputs, models: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Rows by clinical column and group, one cell a shown model and metric; None where the workflow names no clinical column."""
    table = inputs.table("subgroups")
    if table.empty:
        return None
    shown = shown_models(models)
    names = list(dict.fromkeys(table["metric"]))
    whole = {
        (m["model"], metric): m["metrics"].get(metric, {}).get("value") for m in shown for metric in names
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    told = 0
    least = int(inputs.settings.get("evaluation", {}).get("subgroup_least", 10))
    place = {column: at for at, column in enumerate(dict.fromkeys(table["column"]))}
    parts = sorted(table.groupby(["column", "group"], sort=False), key=lambda item: (place[item[0][0]], _rank(str(item[0][1]))))  # type: ignore[index]
    for (column, group), part in parts:  # type: ignore[misc]
        found = {(str(r["model"]), str(r["metric"])): r for r in part.to_dict("records")}
        cells = []
        for m in shown:
            for metric in names:
                row = found.get((m["model"], metric))
                cells.append(_cell(row, whole[m["model"], metric]) if row else None)
        told += any(cell and cell["value"] is not None for cell in cells)
        first = part.iloc[0]
        name = " in ".join(filter(None, described.column_words(str(column))))
        few = all(cell is None or cell["value"] is None for cell in cells)
        counts = {"n": int(first["n"]), "events": int(first["n_events"])}
        rows.append({"column": name, "group": str(group), **counts, "few": few, "cells": cells})
    methods = [str(r["method"]) for r in table.to_dict("records") if finite(r["value"]) is not None]
    kind = described.kind_of(inputs)
    asked = f"{2 * least} patients" if kind == "number" else f"{least} patients with and {least} without the event"
    return {
        "columns": [
            {"model": m["label"], "metric": METRIC_NAMES.get(name, name), "lower": lower_is_better(name)} for m in shown for name in names
        ],
        "rows": rows, "told": told, "method": methods[0] if methods else "", "headline": _headline(rows, told, asked),
        "counts_events": kind != "number",
        "sentences": _sentences(rows, shown, names, asked),
    }  # fmt: skip


def shown_models(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The primary pair; without one, the first two models."""
    return [m for m in models if m["primary"]] or models[:2]


def table_of(shown: list[dict[str, Any]], inputs: ReportInputs, name: str) -> pd.DataFrame:
    """The rows of a run's table that are about these models."""
    table = inputs.table(name)
    return table[table["model"].isin([m["model"] for m in shown])] if len(table) else table


def _rank(group: str) -> tuple[int, str]:
    """Lower half before the upper, what is not known last, else by name."""
    return (2 if group == "not known" else 1 if group.startswith("above ") else 0, group)


def _cell(row: dict[Any, Any], whole: float | None) -> dict[str, Any]:
    value, low, high = (finite(row[name]) for name in ("value", "ci_low", "ci_high"))
    metric = str(row["metric"])
    worse = None
    if value is not None and low is not None and high is not None and whole is not None:
        worse = low > whole if lower_is_better(metric) else high < whole
    return {
        "metric": metric,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "worse": worse,
        "digits": 3 if lower_is_better(metric) else 2,
    }


def _headline(rows: list[dict[str, Any]], told: int, asked: str) -> str:
    if not told:
        return f"For whom it does not work cannot be told: no group of patients has {asked}."
    worse = [f"{row['column']} {row['group']}" for row in rows if any(cell and cell["worse"] for cell in row["cells"])]
    if worse:
        return f"Worse than over all patients in: {', '.join(worse)}."
    return "No group was seen to do worse than all patients together; most intervals are too wide to rule it out."


def _sentences(rows: list[dict[str, Any]], shown: list[dict[str, Any]], names: list[str], asked: str) -> list[str]:
    few = sum(row["few"] for row in rows)
    if few == len(rows):
        return ["Who was in which group stands below; with so few, any number would be chance."]
    said = [f"Groups were not named beforehand as questions, and {plural(len(rows) * len(shown) * len(names), 'number')} were looked at: "
            "what differs here can suggest a question, not answer one."]  # fmt: skip
    if few:
        said.append(
            f"{few} of {plural(len(rows), 'group')} {'has' if few == 1 else 'have'} fewer than {asked} and therefore no number."
        )
    return said


def patients_summary(inputs: ReportInputs, models: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Every patient's predicted risk by the shown models, highest first, with what is known of the patient.

    Each: case_id, event (or None where the outcome is not known to be one), marks (one a shown model: p, low, high), facts, picture
    (an overlay, as JSON values, or None). None where no model gives a risk, or there are too many patients for a plot.
    """
    shown = [m for m in shown_models(models) if m["scores"]]
    if not shown or len(shown[0]["scores"]) > MOST_ROWS:
        return None
    scores = {m["model"]: {row["case_id"]: row for row in m["scores"]} for m in shown}
    cohort = inputs.table("cohort")
    known = {str(row["case_id"]): row for row in cohort.to_dict("records")} if len(cohort) else {}
    pictures = {item["case_id"]: item for item in described.overlay_summary(inputs.pictures)}
    sets = _sets(inputs, [m["model"] for m in shown])
    cases = []
    for first in shown[0]["scores"]:
        case = first["case_id"]
        marks = [{"model": m["model"], **{key: scores[m["model"]][case][key] for key in ("p", "low", "high")}}
                 for m in shown if case in scores[m["model"]]]  # fmt: skip
        facts = _facts(inputs, known.get(case, {}))
        for m, mark in zip(shown, marks, strict=False):
            text = f"{percent(round(100 * mark['p']) / 100)}, {round(100 * mark['low'])} to {round(100 * mark['high'])} % over repeats"
            facts.append([f"Risk by {m['label']}", text])
            if said := sets.get((m["model"], case)):
                facts.append([f"Set by {m['label']}", said])
        cases.append({"case_id": case, "event": first["y"] == 1, "marks": marks, "facts": facts, "picture": pictures.get(case)})
    return {
        "models": [{"model": m["model"], "label": m["label"], "threshold": m["threshold"]} for m in shown], "cases": cases,
        "pictured": sum(case["picture"] is not None for case in cases),
    }  # fmt: skip


def _facts(inputs: ReportInputs, row: dict[Any, Any]) -> list[list[str]]:
    """What the cohort table knows of the patient: [name, value]."""
    if not row:
        return []
    found = []
    for name in list(inputs.settings.get("cohort", {}).get("clinical") or ())[:MOST_FACTS]:
        value = row.get(name)
        known = value is not None and not (isinstance(value, float) and finite(value) is None) and not pd.isna(value)
        text = "not known" if not known else f"{value:g}" if isinstance(value, float) else str(value)
        title, unit = described.column_words(str(name))
        found.append([title, f"{text} {unit}" if unit and text != "not known" else text])
    volume = finite(row.get("mask_volume_ml"))
    if volume is not None:
        found.append(["lesion volume", f"{significant(volume)} ml"])
    if "time" in row and (time := finite(row["time"])) is not None:
        found.append(["followed for", significant(time)])
    return found


def _sets(inputs: ReportInputs, models: list[str]) -> dict[tuple[str, str], str]:
    """(model, case) -> what its prediction sets hold, over repeats, in words."""
    table = inputs.table("conformal_sets")
    if table.empty:
        return {}
    _, group_0, group_1 = described.outcome_words(inputs)
    names = {"": "neither", "0": f"only “{group_0}”", "1": f"only “{group_1}”", "0 1": "both outcomes"}
    found = {}
    own = table[table["model"].isin(models)]
    for (model, case), part in own.groupby(["model", "case_id"], sort=False):
        counts = part["classes"].fillna("").astype(str).value_counts()
        if len(counts) == 1:
            found[str(model), str(case)] = names.get(str(counts.index[0]), str(counts.index[0]))
        else:
            said = [f"{names.get(str(kept), str(kept))} in {count}" for kept, count in counts.items()]
            found[str(model), str(case)] = f"{', '.join(said)} of {len(part)} repeats"
    return found

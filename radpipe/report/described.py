"""Cohort, outlines, agreement and selection: tables -> plain values for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from radpipe.core.tables import COHORT
from radpipe.report.inputs import OverlaySlice, ReportInputs
from radpipe.report.words import finite, number, plural, significant

UNITS_OF_COLUMNS = {"years": "years", "days": "days", "mm": "mm", "ml": "ml", "cm": "cm", "kg": "kg", "months": "months"}
ICC_BANDS = (("excellent", 0.9), ("good", 0.75), ("moderate", 0.5), ("poor", -np.inf))
"""Koo and Li 2016, doi:10.1016/j.jcm.2016.02.012."""
MOST_CATEGORIES = 8


def kind_of(inputs: ReportInputs) -> str:
    """two (classes, which most of the page is about), classes (more of them), number or time_to_event."""
    kind = str(inputs.settings.get("cohort", {}).get("outcome_kind", "classes"))
    cohort = inputs.table("cohort")
    return "two" if kind == "classes" and not (len(cohort) and (cohort["outcome"] > 1).any()) else kind


def kind_note(kind: str) -> str:
    """What the page leaves out where the outcome is not of two classes; empty where it is."""
    if kind == "time_to_event":
        return (
            "The outcome is the time to an event. ROC curves of two classes are left out: how patients of similar predicted risk fared over "
            "time stands in their place."
        )
    what = {"classes": "has more than two classes", "number": "is a number"}.get(kind)
    if what is None:
        return ""
    return (
        f"The outcome {what}. What is said of two classes (ROC and calibration curves, decision curves, the risk of each case, events a fold) "
        "is left out; the tables of predictions and metrics hold what there is."
    )


def time_unit(inputs: ReportInputs) -> str:
    """Of times to an event, where the name of their column tells it; empty otherwise."""
    return UNITS_OF_COLUMNS.get(str(inputs.settings.get("cohort", {}).get("time") or "").split("_")[-1], "")


def outcome_words(inputs: ReportInputs) -> tuple[str, str, str]:
    """The outcome, and how its two groups are called: ('lung metastasis', 'no lung metastasis', 'lung metastasis')."""
    cohort: Mapping[str, Any] = inputs.settings.get("cohort", {})
    name = str(inputs.settings.get("report", {}).get("outcome_name") or str(cohort.get("outcome", "outcome")).replace("_", " "))
    kind = kind_of(inputs)
    if kind != "two":
        halves = {
            "classes": ("first class", "other classes"), "number": ("below the median", "at or above"),
            "time_to_event": ("without the event", "with the event"),
        }[kind]  # fmt: skip
        return name, f"{name}: {halves[0]}", f"{name}: {halves[1]}"
    positive = cohort.get("positive")
    if positive in (None, "", "1"):
        return name, f"no {name}", name
    return name, f"{name}: other", f"{name}: {positive}"


def cohort_table(inputs: ReportInputs) -> dict[str, Any]:
    """Who is in the study, by outcome."""
    cohort = inputs.table("cohort")
    if cohort.empty:
        return {"n": 0, "patients": 0, "events": 0, "rows": [], "excluded": [], "modalities": []}
    kind = kind_of(inputs)
    upper = {
        "two": cohort["outcome"] == 1, "classes": cohort["outcome"] > 0, "time_to_event": cohort["outcome"] == 1,
        "number": cohort["value"] >= cohort["value"].median() if "value" in cohort else cohort["outcome"] == 1,
    }[kind]  # fmt: skip
    groups = [cohort[~upper], cohort[upper], cohort]
    known = {column.name for column in COHORT.columns}
    rows: list[dict[str, Any]] = []
    for name in [column for column in cohort.columns if column not in known]:
        rows += _column_rows(name, groups)
    rows += _column_rows("mask_volume_ml", groups, "Lesion volume, given outline")
    return {
        "n": len(cohort),
        "patients": int(cohort["patient_id"].nunique()),
        "events": int(upper.sum()),
        "group_sizes": [len(group) for group in groups],
        "modalities": sorted(set(cohort["modality"])),
        "rows": rows,
        "excluded": [{"case_id": str(case), "why": why} for case, why in sorted(inputs.excluded.items())],
    }


def column_words(name: str) -> tuple[str, str]:
    """A clinical column's title and unit: ('Age', 'years') of age_years."""
    words = name.split("_")
    unit = UNITS_OF_COLUMNS.get(words[-1], "")
    title = " ".join(words[:-1] if unit and len(words) > 1 else words)
    return title[:1].upper() + title[1:], unit


def _column_rows(name: str, groups: list[pd.DataFrame], title: str = "") -> list[dict[str, Any]]:
    values = [group[name] for group in groups]
    own, unit = column_words(name)
    title = title or own
    numbers = [pd.to_numeric(column, errors="coerce") for column in values]
    whole = numbers[-1]
    numeric = bool(whole.notna().any()) and int(whole.notna().sum()) == int(_present(values[-1]).sum())
    if numeric and whole.nunique() > 2:
        cells = [_median(column.dropna().to_numpy(float)) for column in numbers]
        rows = [{"name": title, "unit": f"{unit}, median (range)" if unit else "median (range)", "cells": cells, "level": False}]
    else:
        texts = [column[_present(column)].map(_category) for column in values]
        counts = texts[-1].value_counts()
        kept = sorted(counts.index[:MOST_CATEGORIES], key=lambda value: (-counts[value], value))
        rows = [{"name": title, "unit": "n (%)", "cells": ["", "", ""], "level": False}]
        for category in kept:
            rows.append(
                {
                    "name": category,
                    "unit": "",
                    "cells": [_share(int((t == category).sum()), len(t)) for t in texts],
                    "level": True,
                }
            )
        if len(counts) > len(kept):
            other = [~t.isin(kept) for t in texts]
            cells = [_share(int(o.sum()), len(o)) for o in other]
            rows.append({"name": f"{len(counts) - len(kept)} others", "unit": "", "cells": cells, "level": True})
    missing = [int((~_present(column)).sum()) for column in values]
    if missing[-1]:
        rows.append({"name": "not known", "unit": "", "cells": [str(m) for m in missing], "level": True})
    return rows


def _present(column: pd.Series) -> pd.Series:
    return column.notna() & (column.astype(str).str.strip() != "")


def _category(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _median(values: np.ndarray) -> str:
    if not len(values):
        return "n/a"
    whole = bool(np.all(values == np.round(values))) and np.abs(values).max() < 1e7
    low, middle, high = (f"{v:g}" if whole else significant(float(v)) for v in (values.min(), np.median(values), values.max()))
    return f"{middle} ({low} to {high})"


def _share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.0f})" if total else "0"


def split_words(inputs: ReportInputs) -> dict[str, Any]:
    """Repeats, folds and the sizes of the parts."""
    splits = inputs.table("splits")
    if splits.empty:
        return {"repeats": 0, "folds": 0, "sizes": {}}
    sizes = splits.groupby(["repeat", "fold", "role"]).size().groupby("role").agg(["min", "max"])
    return {
        "repeats": int(splits["repeat"].nunique()),
        "folds": int(splits["fold"].nunique()),
        "sizes": {
            str(role): f"{row['min']}" if row["min"] == row["max"] else f"{row['min']} to {row['max']}"
            for role, row in sizes.iterrows()
        },
    }


def segmentation_summary(inputs: ReportInputs) -> dict[str, Any] | None:
    """Dice and distance per case beside the no-look baseline; None where no network outlined."""
    table = inputs.table("segmentation")
    if table.empty:
        return None
    columns = ["dice", "hd95_mm", "dice_no_look", "volume_given_ml", "volume_predicted_ml"]
    cases = table.groupby("case_id")[columns].mean().reset_index().sort_values(["dice", "case_id"], ascending=[False, True])
    beaten = int((cases["dice"] > cases["dice_no_look"]).sum())
    return {
        "nesting": str(inputs.settings.get("segmentation", {}).get("nesting", "cross_fit")),
        "folds": inputs.settings.get("segmentation", {}).get("folds"),
        "cases": [
            {
                "case_id": str(row["case_id"]), "dice": finite(row["dice"]), "no_look": finite(row["dice_no_look"]),
                "hd95_mm": finite(row["hd95_mm"]),
            }
            for row in cases.to_dict("records")
        ],
        "n": len(cases),
        "beaten": beaten,
        "dice": _spread(cases["dice"]),
        "no_look": _spread(cases["dice_no_look"]),
        "hd95_mm": _spread(cases["hd95_mm"]),
        "volume_ratio": _spread(cases["volume_predicted_ml"] / cases["volume_given_ml"]),
    }  # fmt: skip


def _spread(values: pd.Series) -> dict[str, float | None]:
    array = values.to_numpy(float)
    array = array[np.isfinite(array)]
    if not len(array):
        return {"mean": None, "median": None, "min": None, "max": None}
    return {
        "mean": float(array.mean()), "median": float(np.median(array)), "min": float(array.min()), "max": float(array.max()),
    }  # fmt: skip


def unmeasured_summary(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Feature values that are no measurement, by reason: how many values, of how many features and cases; the most first."""
    table = inputs.table("undefined")
    table = table[table["case_id"] != ""] if len(table) else table  # of whole folds: the habitats' section says so
    if table.empty:
        return []
    rows = [
        {
            "meaning": str(meaning),
            "n_values": len(part),
            "n_features": part["feature"].nunique(),
            "cases": sorted(set(part["case_id"])),
        }
        for meaning, part in table.groupby("meaning")
    ]
    return sorted(rows, key=lambda row: (-row["n_values"], row["meaning"]))


def agreement_summary(inputs: ReportInputs) -> dict[str, Any] | None:
    """ICC of every feature between predicted and given outline: how many are good, which are worst and best."""
    table = inputs.table("mask_agreement")
    if table.empty:
        return None
    known = table[table["icc"].notna()].sort_values(["icc", "feature"], ascending=[False, True])
    rows = [
        {"feature": str(r["feature"]), "n": int(r["n"]), **{key: finite(r[key]) for key in ("icc", "ci_low", "ci_high")}}
        for r in known.to_dict("records")
    ]  # fmt: skip
    bands, above = [], np.inf
    for name, floor in ICC_BANDS:
        count = int(((known["icc"] >= floor) & (known["icc"] < above)).sum())
        bands.append({"name": name, "from": finite(floor), "count": count})
        above = floor
    shown = 5
    return {
        "features": rows,
        "bands": bands,
        "n": len(rows),
        "undefined": int(table["icc"].isna().sum()),
        "median": finite(known["icc"].median()) if len(rows) else None,
        "best": rows[:shown],
        "worst": rows[shown:][-shown:],
    }


SOURCES = {"scalar": "values of the whole lesion", "maps": "statistics of feature maps", "habitats": "habitats"}


def selection_summaries(inputs: ReportInputs) -> list[dict[str, Any]]:
    """For every set of candidates: how often each feature was kept, what it is, and how stable the selection was."""
    table = inputs.table("selection")
    if table.empty:
        return []
    return [_selection(inputs, str(sources), part) for sources, part in table.groupby("sources", sort=False)]


def _selection(inputs: ReportInputs, sources: str, table: pd.DataFrame) -> dict[str, Any]:
    fits = len(table[["repeat", "fold"]].drop_duplicates())
    kept = table[table["kept"]]
    times = kept.groupby("feature").size()
    order = sorted(times.index, key=lambda name: (-times[name], name))
    dictionary = inputs.table("feature_dictionary")
    facts = {str(r["name"]): r for r in dictionary.to_dict("records")} if not dictionary.empty else {}
    shown = order[: int(inputs.settings.get("report", {}).get("features_shown", 12))]
    features = [
        {
            "feature": str(name), "times": int(times[name]), "share": float(times[name] / fits),
            "unit": str(facts.get(name, {}).get("unit", "")), "meaning": str(facts.get(name, {}).get("meaning", "")),
        }
        for name in shown
    ]  # fmt: skip
    stability = inputs.stability.get(sources)
    return {
        "sources": sources,
        "among": ", ".join(SOURCES.get(name, name) for name in sources.split("+")),
        "fits": fits,
        "candidates": int(table["feature"].nunique()),
        "ever_kept": len(order),
        "per_fit": _spread(kept.groupby(["repeat", "fold"]).size()) if len(kept) else None,
        "features": features,
        "stability": {key: finite(value) for key, value in stability.items()} if stability else None,
        "volume": _volume(inputs, sources, shown),
    }


# From here on a feature is the volume under another name.
NAMES_THE_VOLUME = 0.7


def _volume(inputs: ReportInputs, sources: str, shown: list[Any]) -> dict[str, Any] | None:
    """Of the features kept most often: how far each is the volume, and what it says beyond. None where no volume is known."""
    table = inputs.table("selection_volume")
    if table.empty:
        return None
    table = table[(table["sources"] == sources) & table["feature"].isin(shown)].set_index("feature")
    if table.empty:
        return None
    columns = ("rho_volume", "association", "partial", "ci_low", "ci_high")
    rows = [
        {"feature": str(name), **{key: finite(table.loc[name, key]) for key in columns}} for name in shown if name in table.index
    ]
    known = [row for row in rows if row["rho_volume"] is not None]
    alike = sum(abs(row["rho_volume"]) >= NAMES_THE_VOLUME for row in known)
    beyond = sum(row["ci_low"] is not None and (row["ci_low"] > 0 or row["ci_high"] < 0) for row in rows)
    sentence = (
        f"Of the {plural(len(rows), 'feature')} kept most often, {alike} {'is' if alike == 1 else 'are'} the lesion's volume under another "
        f"name (|Spearman| with it {NAMES_THE_VOLUME} or more), and {beyond} {'has' if beyond == 1 else 'have'} an association with the "
        "outcome given the volume whose 95 % interval leaves out 0. They were chosen on these patients for their association with the "
        "outcome, so these associations flatter; what the models predict for unseen patients is told below."
    )
    return {"rows": rows, "sentence": sentence, "answer": str(table["method"].iloc[0])}


def overlay_summary(slices: tuple[OverlaySlice, ...]) -> list[dict[str, Any]]:
    """Slices as grey values 0 to 255 and outlines as lists, with the window in words."""
    return [_overlay(item) for item in slices]


def map_summary(inputs: ReportInputs) -> dict[str, Any] | None:
    """The pictures of feature maps as lists; one scale a map, the same for all cases, from the 2nd to the 98th percentile shown."""
    if not inputs.maps:
        return None
    names = list(inputs.maps[0].planes[0].maps)
    columns = []
    for name in names:
        values = np.concatenate([plane.maps[name].ravel() for picture in inputs.maps for plane in picture.planes])
        known = values[np.isfinite(values)]
        low, high = (float(q) for q in np.percentile(known, [2, 98])) if len(known) else (0.0, 1.0)
        unit, meaning = inputs.map_facts.get(name, ("", ""))
        columns.append({"name": name, "unit": unit, "meaning": meaning, "low": low, "high": high if high > low else low + 1.0})
    cases = []
    for picture in inputs.maps:
        low, high = _window([plane.image for plane in picture.planes], picture.modality)
        planes = [
            {
                "name": plane.name,
                "spacing_mm": [float(step) for step in plane.spacing_mm],
                "grey": _grey(plane.image, low, high),
                "outline": plane.outline.astype(int).tolist(),
                "maps": [[[finite(value) for value in row] for row in plane.maps[name].tolist()] for name in names],
                "habitats": None if plane.habitats is None else plane.habitats.astype(int).tolist(),
            }
            for plane in picture.planes
        ]
        window = f"grey scale {significant(low, 2)} to {significant(high, 2)} {picture.unit}".rstrip()
        cases.append({"case_id": picture.case_id, "window": window, "inverted": picture.modality == "PET", "planes": planes})
    shown = [plane.habitats for picture in inputs.maps for plane in picture.planes if plane.habitats is not None]
    return {"columns": columns, "cases": cases, "habitats": max((int(labels.max(initial=0)) for labels in shown), default=0)}


def _window(images: list[Any], modality: str) -> tuple[float, float]:
    """The grey scale of a modality, for these slices."""
    seen = np.concatenate([np.asarray(image, float).ravel() for image in images])
    seen = seen[np.isfinite(seen)]
    if modality == "CT":
        low, high = -160.0, 240.0
    elif modality == "PET":
        low, high = 0.0, float(np.percentile(seen, 99.8)) if len(seen) else 1.0
    else:
        low, high = (float(q) for q in np.percentile(seen, [1, 99.5])) if len(seen) else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def _grey(image: Any, low: float, high: float) -> list[list[int]]:
    """0 to 255."""
    grey = np.nan_to_num(np.clip((np.asarray(image, float) - low) / (high - low), 0, 1)) * 255
    found: list[list[int]] = grey.round().astype(int).tolist()
    return found


def _overlay(item: OverlaySlice) -> dict[str, Any]:
    low, high = _window([item.image], item.modality)
    window = f"grey scale {significant(low, 2)} to {significant(high, 2)} {item.unit}".rstrip()
    return {
        "case_id": item.case_id,
        "dice": finite(item.dice),
        "no_look": finite(item.dice_no_look),
        "caption": item.caption,
        "window": window,
        "inverted": item.modality == "PET",
        "spacing_mm": [float(step) for step in item.spacing_mm],
        "grey": _grey(item.image, low, high),
        "given": np.asarray(item.given).astype(int).tolist(),
        "predicted": None if item.predicted is None else np.asarray(item.predicted).astype(int).tolist(),
        "alt": _alt(item),
    }


def _alt(item: OverlaySlice) -> str:
    text = f"Case {item.case_id}, {item.modality or 'image'} {item.caption}: given outline solid"
    if item.predicted is not None:
        text += f", predicted outline dashed, Dice {number(item.dice)}"
        text += "" if item.dice_no_look is None else f" (without looking {number(item.dice_no_look)})"
    return text

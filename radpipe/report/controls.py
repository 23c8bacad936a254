"""What the negative controls found, in words: tables -> plain values for the page."""

from __future__ import annotations

from typing import Any

from radpipe.report.inputs import ReportInputs
from radpipe.report.metric_words import CHANCE, METRIC_NAMES
from radpipe.report.words import finite, interval, joined, label, number, p_value, percent, plural

ENOUGH = 100
"""Permuted runs below which their mean is too unsure to show anything but a gross leak."""
NAMES = {
    "permuted_outcomes": "Outcomes shuffled",
    "shuffled_voxels": "Voxels shuffled",
    "random_region": "Region elsewhere",
    "noise_columns": "Noise among the features",
}
ASKS = {
    "permuted_outcomes": "The outcomes change places between patients, so nothing can be foretold. Whatever is found now, the work itself made.",
    "shuffled_voxels": "Inside the outline the voxels change places: size, shape and histogram stay, every pattern goes.",
    "random_region": "The outline is moved elsewhere in the image: its size and shape stay, the lesion goes.",
    "noise_columns": "Columns of random numbers join the features: does selection fall for them?",
}


def controls_summary(inputs: ReportInputs) -> dict[str, Any]:
    """kind : not_run, flagged, weak (fewer than 100 permutations, not flagged), clean, or others (no permuted outcomes).

    headline, sentences, cautions (title, text: what models did without the lesion or its pattern), rows (of the table CONTROLS, as JSON
    values, with name, asks, said), missing (controls that were not run), command (runs them).
    """
    table = inputs.table("controls")
    command = f"{inputs.command} --controls" if inputs.command else "radpipe run WORKFLOW --controls"
    if table.empty:
        return {
            "kind": "not_run", "headline": "No controls were run: whether this analysis finds things where there is nothing is not known.",
            "sentences": [
                "The controls repeat the whole chain on data in which nothing, or much less, can be foretold: outcomes shuffled between "
                "patients, voxels shuffled, regions elsewhere, noise among the features. This command runs them:"
            ],
            "cautions": [], "rows": [], "missing": list(NAMES.values()), "command": command,
        }  # fmt: skip
    order = {name: at for at, name in enumerate(NAMES)}
    rows = [_row(found) for found in table.to_dict("records")]
    rows.sort(key=lambda row: (order[row["control"]], row["model"]))
    permuted = [row for row in rows if row["control"] == "permuted_outcomes"]
    missing = [NAMES[name] for name in NAMES if name not in {row["control"] for row in rows}]
    kind, headline, sentences = _judged(permuted, inputs.controls_level)
    return {
        "kind": kind, "headline": headline, "sentences": sentences, "cautions": _cautions(rows), "rows": rows, "missing": missing,
        "command": command,
    }  # fmt: skip


def _row(found: dict[Any, Any]) -> dict[str, Any]:
    row = {str(key): finite(value) if isinstance(value, float) else value for key, value in found.items()}
    name, metric = str(row["control"]), str(row["metric"])
    row |= {
        "name": NAMES[name], "asks": ASKS[name], "label": label(str(row["model"])), "n": int(row["n"]), "flagged": bool(row["flagged"]),
        "null": CHANCE.get(metric), "metric_name": METRIC_NAMES.get(metric, metric), "weak": name == "permuted_outcomes" and row["n"] < ENOUGH,
    }  # fmt: skip
    return {**row, "said": _said(row)}


def _said(row: dict[str, Any]) -> str:
    """One sentence: what this control means for the result beside it."""
    value, low, high, true = row["value"], row["ci_low"], row["ci_high"], row["observed"]
    if value is None:
        return "It gave no value."
    if row["control"] == "permuted_outcomes":
        if row["flagged"]:
            return f"Flagged: {'above' if value > row['null'] else 'below'} what chance gives."
        return "As chance gives" + (f", as far as {plural(row['n'], 'permutation')} can tell." if row["weak"] else ".")
    if true is None or low is None or high is None:
        return "No interval, so nothing can be said of a difference."
    if low <= true <= high:
        return {
            "noise_columns": "The true result lies inside its interval: the noise did no harm that could be seen.",
        }.get(row["control"], "The true result lies inside its interval: what was destroyed is not shown to matter.")
    if true > high:
        return {
            "noise_columns": "Below the true result: selection fell for noise.",
        }.get(row["control"], "Below the true result: the model seems to use what was destroyed.")
    if row["control"] == "random_region":
        return "Above the true result: what lies elsewhere in the image tells more than the lesion."
    return "Above the true result, which should not be: look at the work."


_WITHOUT = {
    "random_region": (
        "Caution: a region without the lesion did no worse.",
        "Regions of the same size and shape, moved elsewhere in the image, foretold the outcome better than chance, and no worse than the "
        "lesion as far as these patients can tell: {models}. So it is not shown that these models look at the lesion: its size and shape, the "
        "body around it, or how the image was made, may be all they use.",
    ),
    "shuffled_voxels": (
        "Caution: the pattern inside the lesion is not shown to matter.",
        "With the voxels inside the outline shuffled, models foretold the outcome better than chance, and no worse than with every voxel in "
        "its place as far as these patients can tell: {models}. Size, shape and the mix of intensities may be all they use.",
    ),
}


def _cautions(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Of each way to take the lesion, or its pattern, away: the models that were sure to beat chance without it, and that the true result
    was not above. A clean permutation says that a result is no work of chance; this says what it may be a result of."""
    found = []
    for name, (title, text) in _WITHOUT.items():
        told = [
            f"{row['label']} {number(row['value'])} (true result {number(row['observed'])})"
            for row in rows
            if row["control"] == name and None not in (row["null"], row["ci_low"], row["ci_high"], row["observed"])
            and row["ci_low"] > row["null"] and row["observed"] <= row["ci_high"]
        ]  # fmt: skip
        if told:
            found.append({"title": title, "text": text.format(models=joined(told))})
    return found


def _judged(permuted: list[dict[str, Any]], level: float) -> tuple[str, str, list[str]]:
    if not permuted:
        return (
            "others", "Outcomes were not shuffled: whether this analysis finds things where there is nothing is not known.",
            ["No model of the workflow eats features, or none gave a value; the other controls stand below."],
        )  # fmt: skip
    row = permuted[0]
    metric, null = row["metric_name"], row["null"]
    ends = interval(row["ci_low"], row["ci_high"], 3)
    seen = f"With the outcomes shuffled between patients {row['n']:,} times, so that nothing could be foretold, {row['label']} reached a mean "
    seen += f"{metric} of {number(row['value'], 3)} ({percent(level)} Monte-Carlo interval {ends}); chance gives {number(null)}."
    sentences = [seen]
    if row["flagged"]:
        above = row["value"] > null
        kind = "flagged"
        headline = "Warning: this analysis finds something where there is nothing. Its results should not be relied upon."
        sentences.append(
            "That is more than chance explains. Somewhere knowledge of the outcomes reaches the predictions, or the splits favour one answer; "
            f"the {metric} values on this page may be too {'high' if above else 'low'} by the same fault. Find it before anything else on this page "
            "is believed."
        )
    elif row["weak"]:
        kind = "weak"
        headline = "No sign that this analysis finds things where there is nothing, but the guard is weak."
    else:
        kind = "clean"
        headline = "No sign that this analysis finds things where there is nothing."
        sentences.append("That is what an honest analysis gives.")
    if row["weak"]:
        half = None if row["ci_high"] is None else row["ci_high"] - row["value"]
        sentences.append(
            f"The guard is weak: {plural(row['n'], 'permutation')} were run and at least {ENOUGH} are asked for, so the mean is known to "
            f"within ±{number(half, 3)} only and a smaller leak would not show."
        )
    if row["p_value"] is not None:
        sentences.append(
            f"The true outcomes gave {number(row['observed'])}; so much or more from shuffled ones: p = {p_value(row['p_value'])} "
            "((k + 1) / (n + 1))."
        )
    sentences.append(f"Only {row['label']} was tried in this way: training every network anew so often takes too long.")
    return kind, headline, sentences

"""What ``radpipe correlate`` found -> one HTML page that needs nothing else."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radpipe.report import correlate_figures as figures
from radpipe.report import words
from radpipe.report.html import _breakable

MOST_ROWS = 25
KINDS = {"binary": "two classes", "ordinal": "a grade", "continuous": "a number", "time_to_event": "time to an event"}


def render(
    *,
    associations: pd.DataFrame,
    tertiles: pd.DataFrame,
    clusters: pd.DataFrame,
    rho: NDArray[np.float64],
    outcomes: list[dict[str, str]],
    facts: dict[str, Any],
) -> str:
    """outcomes : name, kind, meaning. facts : features_file, outcomes_file, patients, regions, adjust, confidence, warning, notes.
    The same input gives the same bytes."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(number=words.number, p=words.p_value, plural=words.plural, breakable=_breakable)
    environment.globals.update(interval=words.interval)
    template = files("radpipe.report").joinpath("templates/correlate.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        facts=facts,
        level=words.percent(facts["confidence"]),
        outcomes=[_outcome(k, item, associations, tertiles, facts) for k, item in enumerate(outcomes)],
        heat_map=figures.heat_map(rho, clusters) if len(rho) > 1 else "",
        n_clusters=int(clusters["cluster"].nunique()) if len(clusters) else 0,
        n_features=int(associations["feature"].nunique()),
        n_drawn=min(len(rho), figures.MOST_IN_HEAT_MAP),
    )


def _outcome(
    place: int, item: dict[str, str], associations: pd.DataFrame, tertiles: pd.DataFrame, facts: dict[str, Any]
) -> dict[str, Any]:
    rows = associations[associations["outcome"] == item["name"]]
    analyses = []
    for analysis in ("adjusted", "unadjusted"):
        part = rows[rows["analysis"] == analysis]
        if not len(part):
            continue
        told = part.dropna(subset=["effect", "p_value"]).sort_values(["p_value", "feature"], kind="stable")
        held = int((told["q_value"] <= 0.05).sum())
        title = (
            "By itself" if analysis == "unadjusted" else f"Adjusted for {words.joined([str(name) for name in facts['adjust']])}"
        )
        analyses.append(
            {
                "title": title,
                "held": held,
                "told": len(told),
                "not_told": len(part) - len(told),
                "why_not": str(part[part["effect"].isna()]["method"].iloc[0]) if len(part) > len(told) else "",
                "measure": figures.MEASURES[str(part["measure"].iloc[0])],
                "method": str(told["method"].iloc[0]) if len(told) else "",
                "volcano": figures.volcano(f"volcano-{place}-{analysis}", part) if len(told) else "",
                "forest": figures.forest(f"forest-{place}-{analysis}", part) if len(told) else "",
                "rows": [_shown(row) for row in told.head(MOST_ROWS).to_dict("records")],
            }
        )  # fmt: skip
    curves = []
    if item["kind"] == "time_to_event":
        for k, (feature, part) in enumerate(tertiles.groupby("feature", sort=False)):
            curves.append(
                {
                    "feature": str(feature),
                    "p": words.finite(part["p_value"].iloc[0]),
                    "picture": figures.thirds(f"thirds-{place}-{k}", part),
                }
            )
    return {**item, "kind": KINDS[item["kind"]], "analyses": analyses, "curves": curves}


def _shown(row: dict[Any, Any]) -> dict[str, Any]:
    names = {"effect": "effect", "ci_low": "low", "ci_high": "high", "p_value": "p", "q_value": "q"}
    return {
        "feature": str(row["feature"]),
        "n": int(row["n"]),
        **{short: words.finite(row[name]) for name, short in names.items()},
    }

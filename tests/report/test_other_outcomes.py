"""The page of a study whose outcome is not of two classes: what assumes two is left out with a sentence, the rest stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radpipe.report.html import render
from radpipe.report.summary import summarise


def of_kind(inputs, kind: str):
    tables = dict(inputs.tables)
    cohort, predictions = tables["cohort"].copy(), tables["predictions"].copy()
    n = len(cohort)
    settings = {
        **inputs.settings,
        "cohort": {**inputs.settings["cohort"], "outcome_kind": "classes" if kind == "three" else kind},
    }
    if kind == "number":
        cohort = cohort.assign(outcome=0, value=np.linspace(0, 5, n))
        predictions = predictions.assign(y_true=0, p_0=np.nan, p_1=np.nan, score=1.0, value=1.0)
    elif kind == "time_to_event":
        cohort = cohort.assign(outcome=np.arange(n) % 3, time=np.linspace(1, 50, n))
        predictions = predictions.assign(
            y_true=predictions["case_id"].map(dict(zip(cohort["case_id"], cohort["outcome"], strict=True)))
        )
        predictions = predictions.assign(score=0.5, time=4.0)
    else:
        cohort = cohort.assign(outcome=np.arange(n) % 3)
        predictions = predictions.assign(y_true=2, p_2=0.1)
    tables |= {"cohort": cohort, "predictions": predictions}
    for name in ("metrics", "comparison"):  # as far as nobody has computed them
        tables[name] = None
    return replace(inputs, tables=tables, settings=settings)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("three", "has more than two classes"), ("number", "is a number"), ("time_to_event", "is the time to an event")],
)
def test_the_page_says_what_it_leaves_out(inputs, kind, said):
    summary = summarise(of_kind(replace(inputs, overlays=(), maps=(), pictures=()), kind))
    assert said in summary["note"] and all(model["roc"] is None for model in summary["models"])
    titles = " ".join(limit["title"] for limit in summary["limits"])
    assert ("Few events" in titles) == (kind == "time_to_event") and ("patients" in titles) == (kind != "three")
    page = render(summary)
    assert summary["note"] in page and "with the event (" not in page
    assert sum(summary["cohort"]["group_sizes"][:2]) == summary["cohort"]["n"]


def test_of_two_classes_nothing_is_left_out(inputs):
    summary = summarise(replace(inputs, overlays=(), maps=(), pictures=()))
    assert summary["note"] == "" and "with the event (" in render(summary)

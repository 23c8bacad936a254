"""What the page says about how firm a run's habitats are."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from radpipe.core import tables as t
from radpipe.report.html import render
from radpipe.report.map_habitats import habitat_summary
from radpipe.report.summary import summarise


def choice(*folds: dict[int, float | None], taken: tuple[int, ...]) -> pd.DataFrame:
    """One dict a fold: k -> agreement. taken : k of each fold."""
    rows = [
        {
            "repeat": 0,
            "fold": fold,
            "k": k,
            "agreement": value,
            "spread": None if value is None else 0.1,
            "chosen": k == taken[fold],
        }
        for fold, tried in enumerate(folds)
        for k, value in tried.items()
    ]
    return t.make_table(t.HABITAT_CHOICE, rows)


WEAK = choice({2: 0.65, 3: 0.5, 4: 0.4}, {2: 0.55, 3: 0.62, 4: 0.5}, {2: 0.60, 3: 0.5, 4: 0.4}, taken=(2, 3, 2))


def test_folds_that_do_not_agree_are_said_to() -> None:
    found = habitat_summary(WEAK, 0.8)
    assert found is not None
    assert found["counts"] == {2: 2, 3: 1} and found["reached"] == 0 and found["agreement"] == [0.6, 0.62, 0.65]
    text = " ".join(found["sentences"])
    for words in (
        "2 to 4 habitats were tried", "At least 0.80 was asked for", "in none of 3 folds", "0.60 to 0.65, the middle fold 0.62",
        "no firm property of the lesions", "2 habitats in 2 folds, 3 habitats in 1 fold", "other tissue than habitat 2 of another",
    ):  # fmt: skip
        assert words in text


def test_some_folds_agree() -> None:
    found = habitat_summary(WEAK, 0.61)
    assert found is not None and found["reached"] == 2 and "only in 2 of 3 folds" in found["sentences"][1]


def test_folds_that_agree_are_not_slighted() -> None:
    found = habitat_summary(choice({2: 0.9, 4: 0.7}, {2: 0.95, 4: 0.2}, taken=(2, 2)), 0.8)
    assert found is not None
    text = " ".join(found["sentences"])
    assert "2 or 4 habitats were tried" in text and "reached in every fold" in text and "Every fold found 2 habitats." in text
    assert "no firm property" not in text


def test_a_number_that_was_set_was_not_asked_about() -> None:
    found = habitat_summary(choice({3: None}, {3: None}, taken=(3, 3)), 0.8)
    assert found is not None and found["agreement"] is None
    assert found["sentences"][0].startswith("The number of habitats, 3, was set beforehand.") and len(found["sentences"]) == 1


def test_without_habitats_there_is_nothing_to_say() -> None:
    assert habitat_summary(t.empty_table(t.HABITAT_CHOICE), 0.8) is None


@pytest.mark.parametrize("asked", [None, 0.8])
def test_the_page(inputs, asked: float | None) -> None:
    settings = {**inputs.settings, "maps": None if asked is None else {"habitats": {"agreement": asked}}}
    gone = {"repeat": 0, "fold": 0, "case_id": "", "roi": "given", "feature": "habitat_3_*", "value": None, "reason": "no-such-habitat",
            "meaning": "Fewer habitats."}  # fmt: skip
    undefined = t.make_table(t.UNDEFINED, [*inputs.tables["undefined"].to_dict("records"), gone])
    tables = {**inputs.tables, "habitat_choice": WEAK, "undefined": undefined}
    page = render(summarise(replace(inputs, settings=settings, tables=tables, overlays=(), maps=(), pictures=())))
    assert ("How firm are the habitats?" in page) == ("in none of 3 folds" in page) == (asked is not None)
    assert "Fewer habitats." not in page

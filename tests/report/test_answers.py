"""The page answers in this order: asked, images, arm, how sure, for whom not, what could be wrong; and every new table is in it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from radpipe.core import tables as t
from radpipe.evaluation.fold_metrics import FOLD_METRICS
from radpipe.report import words
from radpipe.report.html import render
from radpipe.report.metric_words import METRIC_NAMES, lower_is_better
from radpipe.report.summary import summarise

ORDER = ("asked", "images-add", "arm", "sure", "whom", "wrong", "cohort", "outlines", "features", "failures", "settings")


@pytest.fixture(scope="module")
def inputs(inputs):
    return replace(inputs, overlays=(), maps=(), question={"sha256": "ab" * 32, "prior": True, "changes": 0, "first": None})


@pytest.fixture(scope="module")
def of_time(make_inputs, make_timed):
    return make_timed(replace(make_inputs(n=60, events=30), overlays=(), maps=(), pictures=()))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<(style|svg).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL))


def test_the_order_of_the_answers(page):
    places = [page.index(f'<section id="{name}"') for name in ORDER]
    assert places == sorted(places)
    nav = re.findall(r'<a href="#([a-z-]+)"', page[page.index("<nav") : page.index("</nav>")])
    assert nav == list(ORDER) and 'class="alarm"' not in page


def test_what_was_asked_stands_with_its_rule(summary, page):
    asked = summary["asked"]
    assert [item["href"] for item in asked["questions"]] == ["#images-add", "#arm"]
    assert asked["questions"][0]["answer"] == summary["images_add"]["headline"]
    assert asked["questions"][1]["answer"] == summary["verdict"]["headline"]
    facts = dict(map(tuple, asked["facts"]))
    assert facts["A difference that does not matter"] == "within ±0.05 AUC" and facts["Error rate of the test"] == "5 %"
    assert facts["Asked of"] == "34 patients, 13 with the event"
    assert asked["when"].endswith("before outcomes were read") and "ab" * 32 in page


def test_every_interval_has_its_method(page):
    for method in (
        "Nadeau and Bengio 2003", "bootstrap (BCa)", "Wilson", "corrected resampled t", "fitted models held fixed",
        "two one-sided tests",
    ):  # fmt: skip
        assert method.lower() in page.lower(), method


def test_subgroups_are_the_table_s(inputs, summary):
    table = inputs.tables["subgroups"].set_index(["model", "column", "group", "metric"])
    rows = summary["subgroups"]["rows"]
    assert [row["group"] for row in rows if row["column"].startswith("Age")] == sorted(
        (row["group"] for row in rows if row["column"].startswith("Age")), key=lambda name: name.startswith("above")
    )
    for row in rows:
        column = "age_years" if row["column"].startswith("Age") else "sex"
        for cell, head in zip(row["cells"], summary["subgroups"]["columns"], strict=True):
            own = table.loc[(head["model"].lower(), column, row["group"], cell["metric"])]
            assert (
                cell["value"] == pytest.approx(own["value"], nan_ok=True) if cell["value"] is not None else np.isnan(own["value"])
            )
            assert (row["n"], row["events"]) == (own["n"], own["n_events"])


def test_a_group_that_does_worse_is_named_and_a_small_one_has_no_number(inputs):
    table = inputs.tables["subgroups"].copy()
    female = (table["group"] == "Female") & (table["model"] == "ann") & (table["metric"] == "auc")
    male = table["group"] == "Male"
    table.loc[female, ["value", "ci_low", "ci_high"]] = [0.4, 0.3, 0.5]
    table.loc[male, ["value", "ci_low", "ci_high"]] = np.nan
    said = summarise(replace(inputs, tables={**inputs.tables, "subgroups": table}))["subgroups"]
    assert said["headline"] == "Worse than over all patients in: Sex Female."
    assert [row["few"] for row in said["rows"] if row["group"] == "Male"] == [True]
    table[["value", "ci_low", "ci_high"]] = np.nan
    none = summarise(replace(inputs, tables={**inputs.tables, "subgroups": table}))["subgroups"]
    assert none["told"] == 0 and "cannot be told" in none["headline"]


def test_of_an_error_more_is_worse(inputs):
    table = inputs.tables["subgroups"].copy()
    female = (table["group"] == "Female") & (table["model"] == "ann") & (table["metric"] == "brier")
    for ends, worse in (([0.5, 0.45, 0.6], True), ([0.05, 0.01, 0.1], False)):
        table.loc[female, ["value", "ci_low", "ci_high"]] = ends
        cells = summarise(replace(inputs, tables={**inputs.tables, "subgroups": table}))["subgroups"]["rows"]
        cell = next(c for row in cells if row["group"] == "Female" for c in row["cells"] if c["metric"] == "brier")
        assert cell["worse"] is worse


def test_decision_curves_say_where_a_model_beats_both_simple_rules(inputs):
    at = [0.1, 0.2, 0.3, 0.4]
    rows = [
        {"model": "ann", "threshold": x, "net_benefit": benefit, "ci_low": low, "ci_high": 0.5, "treat_all": everybody, "n": 34, "method": "m"}
        for x, benefit, low, everybody in zip(at, (0.2, 0.25, 0.2, -0.01), (0.1, 0.15, 0.12, -0.1), (0.3, 0.2, 0.1, -0.05), strict=True)
    ]  # fmt: skip
    table = t.make_table(t.DECISION_CURVES, rows)
    found = summarise(replace(inputs, tables={**inputs.tables, "decision_curves": table}))["decision"]
    # above max(treat all, 0) at 20 % and 30 %; its lower end only at 30 %: worked out by hand
    assert found["sentences"] == [
        "ANN lies above both simple rules at thresholds of 20 % to 30 %; the lower end of its interval does so at a threshold of 30 %."
    ]
    table["ci_low"] = -1.0
    assert (
        "is not shown"
        in summarise(replace(inputs, tables={**inputs.tables, "decision_curves": table}))["decision"]["sentences"][0]
    )
    table["net_benefit"] = -1.0
    assert (
        "no more good"
        in summarise(replace(inputs, tables={**inputs.tables, "decision_curves": table}))["decision"]["sentences"][0]
    )


def test_sets_that_can_leave_nothing_out_are_called_vacuous(inputs, summary, page):
    assert summary["conformal"]["vacuous"] == all(
        inputs.tables["conformal"].query("model in ['ann', 'cnn']")["vacuous_fits"] == 15
    )
    table = inputs.tables["conformal"].copy()
    table["vacuous_fits"], table["fewest_calibration"] = table["fits"], 3
    said = summarise(replace(inputs, tables={**inputs.tables, "conformal": table}))["conformal"]
    assert (
        said["headline"].startswith("Vacuous")
        and "at least 9 other patients" in said["sentences"][0]
        and "some had 3" in said["sentences"][0]
    )
    table["vacuous_fits"], table["coverage"], table["ci_high"] = 0, 0.7, 0.8
    said = summarise(replace(inputs, tables={**inputs.tables, "conformal": table}))["conformal"]
    assert "Vacuous" not in said["headline"] and {row["said"] for row in said["rows"]} == {"less than promised"}
    assert "What may be promised of one patient?" in page


def test_every_patient_has_a_row_and_a_card_with_facts_and_picture(inputs, summary, page):
    cases = summary["patients"]["cases"]
    predictions = inputs.tables["predictions"].query("role == 'test'")
    assert len(cases) == 34 and summary["patients"]["pictured"] == 5
    assert page.count('<label class="patient">') == 34 and page.count('type="radio" name="patient"') == 34
    assert [c["marks"][0]["p"] for c in cases] == sorted((c["marks"][0]["p"] for c in cases), reverse=True)
    for case in (cases[0], cases[-1]):
        own = predictions[predictions["case_id"] == case["case_id"]]
        assert case["event"] == (own["y_true"].iloc[0] == 1)
        for mark in case["marks"]:
            p = own.loc[own["model"] == mark["model"], "p_1"]
            assert (mark["p"], mark["low"], mark["high"]) == pytest.approx((p.mean(), p.min(), p.max()))
        names = [name for name, _ in case["facts"]]
        assert names[:4] == ["Age", "Sex", "Grade", "lesion volume"] and "Risk by ANN" in names and "Set by CNN" in names
    assert page.count('width="130" height="130"') == 5


def test_too_many_patients_for_a_plot_are_left_to_the_tables(inputs, monkeypatch):
    monkeypatch.setattr("radpipe.report.whom.MOST_ROWS", 33)
    assert summarise(inputs)["patients"] is None


def test_times_to_an_event_have_curves_and_auc_over_time(of_time):
    found = summarise(of_time)
    page = render(found)
    assert "Kaplan" not in found["risk_groups"][0]["method"]  # a sixth of the patients had a competing event
    assert found["risk_groups"][0]["method"].startswith("Aalen-Johansen") and len(found["risk_groups"]) == 2
    assert found["lead"]["metric"] == "harrell_c" and found["metric"] == "harrell_c" and len(found["chance"]) == 5
    event = dict(map(tuple, found["asked"]["facts"]))["The event"]
    competing = int((of_time.tables["cohort"]["outcome"] == 2).sum())
    assert event.startswith("lung metastasis, by 24 months") and f"{competing} cases had another one first" in event
    assert found["time_unit"] == "months" and found["time_auc"][0]["points"][0]["n_events"] >= 1
    assert (
        "What may be promised of one patient?" not in page
        and "How did patients of similar risk fare?" in page
        and "Concordance (Uno)" in page
        and "Treat from" in page
    )
    assert sum(g["n"] for g in found["models"][0]["calibration"]) == 60
    text = text_of(page)
    assert " nan" not in text.lower() and "None" not in text


def test_without_competing_events_the_curves_are_kaplan_meier(of_time):
    from radpipe.evaluation.config import EvaluationSettings
    from radpipe.evaluation.curves import risk_groups

    predictions = of_time.tables["predictions"].copy()
    predictions["y_true"] = predictions["y_true"].replace(2, 0)
    table = risk_groups(predictions, EvaluationSettings())
    found = summarise(replace(of_time, tables={**of_time.tables, "risk_groups": table}))["risk_groups"][0]
    assert found["method"].startswith("Kaplan-Meier") and found["kind"] == "event_free"


def test_a_number_s_page_turns_errors_round_and_knows_no_events(inputs):
    from radpipe.comparison.compare import compare_models
    from radpipe.comparison.config import ComparisonSettings
    from radpipe.evaluation.config import EvaluationSettings
    from radpipe.evaluation.metrics import evaluate

    rng = np.random.default_rng(0)
    cohort, predictions = inputs.tables["cohort"], inputs.tables["predictions"]
    value = dict(zip(cohort["case_id"], 30 + 10 * cohort["outcome"] + rng.normal(0, 5, len(cohort)), strict=True))
    score = 30 + 10 * predictions["p_1"]
    told = predictions.assign(y_true=0, score=score, value=predictions["case_id"].map(value), p_0=np.nan, p_1=np.nan)
    told = t.make_table(t.PREDICTIONS, told)
    changed = {
        "cohort": t.make_table(t.COHORT, cohort.assign(outcome=0, value=cohort["case_id"].map(value))), "predictions": told,
        "metrics": evaluate(told, inputs.tables["fits"], EvaluationSettings(bootstrap_resamples=200)),
        "comparison": compare_models(told, inputs.tables["splits"], ComparisonSettings(primary=("ann", "cnn"))),
        "subgroups": None, "conformal": None, "conformal_sets": None, "decision_curves": None,
    }  # fmt: skip
    settings = {**inputs.settings, "cohort": {**inputs.settings["cohort"], "outcome_kind": "number"}}
    found = summarise(replace(inputs, tables={**inputs.tables, **changed}, settings=settings))
    assert found["metric"] == "rmse" and found["lower_is_better"] and found["patients"] is None
    raw = changed["comparison"].set_index(["model_a", "model_b"])["effect"]
    for pair in found["images_add"]["pairs"]:  # turned: more is better
        a, b = sorted((pair["model"], pair["reference"]))
        assert pair["effect"] == pytest.approx(-raw[a, b] if a == pair["model"] else raw[a, b])
    said = " ".join(found["verdict"]["sentences"])
    assert "events" not in said and "below zero ANN is better" in said
    assert found["margin"] == pytest.approx(0.05 * told.drop_duplicates("case_id")["value"].std())
    assert dict(map(tuple, found["asked"]["facts"]))["Measured by"] == "root mean squared error, lower is better"


# lower is better


LOWER = ("brier", "log_loss", "brier_at_horizon", "rmse", "mae")


def test_which_metrics_are_better_low_and_all_have_a_name():
    assert {name for name in FOLD_METRICS if lower_is_better(name)} == set(LOWER)
    assert set(FOLD_METRICS) <= set(METRIC_NAMES)


@pytest.mark.parametrize("metric", LOWER)
def test_better_is_the_lower_side_in_words(metric):
    design = {"repeats": 10, "folds": 5, "n": 34, "events": 13, "level": 0.95}
    base = {"model_a": "ann", "model_b": "cnn", "metric": metric, "margin": 0.05, "p_value": 0.01, "method": "m"}
    won = words.verdict({**base, "effect": -2.0, "ci_low": -3.0, "ci_high": -1.0, "verdict": "a_better"}, design)
    assert won["headline"] == "ANN predicted better than CNN in this cohort."
    assert f"{METRIC_NAMES[metric]} of ANN was lower, which is better, by 2.0" in won["sentences"][0]
    open_ = words.verdict({**base, "effect": -0.5, "ci_low": -1.5, "ci_high": 0.01, "verdict": "not_resolved"}, design)
    # far below zero remains possible, and that is the first one's side
    assert "“ANN clearly better” and “no difference that matters” both remain possible" in open_["sentences"][0]
    if metric in ("rmse", "mae", "log_loss"):
        assert "no difference whatever" not in " ".join(open_["sentences"])


@pytest.mark.parametrize("metric", ["auc", "rmse"])
def test_right_is_better_for_the_first_in_the_forest_plot(metric):
    """Drawn where the first is better: its mark stands right of the line at zero."""
    from matplotlib.figure import Figure

    from radpipe.report import comparison_figures, plotting

    seen = {}

    def catch(name, alt, width, height, draw, layout="constrained"):
        figure = Figure()
        draw(figure)
        seen["x"] = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "D"]
        seen["label"] = figure.axes[0].get_xlabel()
        return plotting.Markup("")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison_figures, "svg", catch)
        better = -4.0 if metric == "rmse" else 0.4
        rows = [
            {
                "model_a": "a",
                "model_b": "b",
                "metric": metric,
                "primary": True,
                "effect": better,
                "ci_low": better - 0.1,
                "ci_high": better + 0.1,
            }
        ]
        comparison_figures.forest(rows, {"a": "A", "b": "B"}, METRIC_NAMES[metric], 0.05, "95 %")
    assert seen["x"] == [abs(better)] and ("turned" in seen["label"]) == (metric == "rmse")


def test_an_equivalence_of_a_changed_question_does_not_call_its_margin_planned():
    row = {"model_a": "ann", "model_b": "cnn", "metric": "auc", "effect": 0.0, "ci_low": -0.02, "ci_high": 0.02, "margin": 0.05, "p_value": 0.9,
           "method": "m", "verdict": "equivalent"}  # fmt: skip
    design = {"repeats": 10, "folds": 5, "n": 34, "events": 13, "level": 0.95}
    assert "before the outcomes" not in words.verdict(row, design)["sentences"][0]
    assert "before the outcomes" in words.verdict(row, {**design, "planned": True})["sentences"][0]


def test_a_horizon_that_nobody_reaches_leaves_out_what_it_cannot_tell(of_time):
    from radpipe.evaluation.config import EvaluationSettings
    from radpipe.evaluation.curves import decision_curves

    far = {**of_time.settings, "cohort": {**of_time.settings["cohort"], "horizon": 1e4}}
    table = decision_curves(of_time.tables["predictions"], EvaluationSettings(), horizon=1e4)
    assert table["net_benefit"].isna().any()
    table["net_benefit"] = np.nan
    found = summarise(replace(of_time, settings=far, tables={**of_time.tables, "decision_curves": table}))
    assert found["decision"] is None and found["models"][0]["calibration"] == []

"""McNemar against R and Agresti, the paired bootstrap, held-out sets, and anybody's tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from radpipe.comparison.compare import compare_models
from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.delong import delong
from radpipe.comparison.external_tables import read_side
from radpipe.comparison.held_out import compare_held_out
from radpipe.comparison.mcnemar import difference_interval, mcnemar, mcnemar_test
from radpipe.comparison.paired_bootstrap import paired_bootstrap
from radpipe.comparison.sides import Side, compare_sides, together
from radpipe.comparison.test import PairedFold
from radpipe.core.tables import COMPARISON, check_table
from radpipe.errors import CohortError, ConfigError

SETTINGS = ComparisonSettings()


def compare_tables(a: Side, b: Side, settings, **options) -> pd.DataFrame:
    """Of one model a side; A is model_a, and the pair is the primary one."""
    both = together([a, b])
    return compare_sides(both, settings.model_copy(update={"primary": both.models}), **options)


def test_mcnemar_is_Rs_and_agrestis(binary, expected):
    y = binary["y"].to_numpy()
    right_a, right_b = (binary["pA"] >= 0.5) == (y == 1), (binary["pB"] >= 0.5) == (y == 1)
    found = mcnemar(int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum()))
    assert [found.chi_square_corrected, found.p_corrected, found.chi_square, found.p, found.p_exact] == pytest.approx(
        expected["mcnemar_cc_p_nocc_p_exact"], rel=1e-9
    )
    agresti = mcnemar(150, 86)  # STATISTICS.md: 794/150/86/570
    assert (agresti.chi_square_corrected, agresti.chi_square, agresti.p_exact) == pytest.approx(
        (16.81779661, 17.3559322, 3.71593614e-05), rel=1e-8
    )
    assert found.p_mid < found.p_exact and mcnemar(0, 0).p_exact == 1.0


def fold(y, a, b, **more):
    cases = np.array([f"c{i:03d}" for i in range(len(y))])
    return (PairedFold(0, 0, cases, np.asarray(y, np.int64), np.asarray(a, float), np.asarray(b, float), 0, **more),)


def test_mcnemar_of_calls_at_thresholds(binary):
    y = binary["y"].to_numpy()
    parts = fold(y, binary["pA"], binary["pB"], threshold_a=0.4, threshold_b=0.6)
    right = [(binary["pA"] >= 0.4) == (y == 1), (binary["pB"] >= 0.6) == (y == 1)]
    result = mcnemar_test(parts, SETTINGS)
    assert result.effect == pytest.approx(right[0].mean() - right[1].mean())
    assert result.ci_low < result.effect < result.ci_high and "held-out set" in result.method


def test_interval_of_paired_proportions_covers():
    """Nominal 0.95 at 40 cases; 1,000 tables, Monte-Carlo error 0.007."""
    rng = np.random.default_rng(0)
    tables = rng.multinomial(40, [0.5, 0.2, 0.1, 0.2], size=1000)
    ends = [difference_interval(int(t[1]), int(t[2]), 40, 0.95) for t in tables]
    assert 0.93 < np.mean([low <= 0.1 <= high for low, high, _ in ends]) < 0.985


def test_bootstrap_and_delong_agree_on_a_held_out_set(binary):
    parts = fold(binary["y"], binary["A"], binary["B"])
    ours, theirs = paired_bootstrap(parts, SETTINGS), delong(parts, SETTINGS)
    assert ours.effect == pytest.approx(theirs.effect)
    assert ours.effect / ours.statistic == pytest.approx(theirs.effect / theirs.statistic, rel=0.08)  # standard errors
    assert (ours.ci_low, ours.ci_high) == pytest.approx((theirs.ci_low, theirs.ci_high), abs=0.015)
    assert "held-out set" in ours.method and "conditional" not in ours.method
    flipped = paired_bootstrap(fold(binary["y"], binary["B"], binary["A"]), SETTINGS)
    assert (flipped.effect, flipped.ci_low, flipped.ci_high) == (-ours.effect, -ours.ci_high, -ours.ci_low)
    assert flipped.p_value == ours.p_value


def test_bootstrap_draws_patients(binary):
    """Every case twice, as two lesions of one patient: as unsure as with each case once."""
    y, a, b = (np.repeat(binary[name].to_numpy(float), 2) for name in ("y", "A", "B"))
    patients = np.repeat([f"p{i}" for i in range(len(binary))], 2)
    once = paired_bootstrap(fold(binary["y"], binary["A"], binary["B"]), SETTINGS)
    twice = paired_bootstrap(fold(y, a, b, patients=patients), SETTINGS)
    assert twice.effect == pytest.approx(once.effect)
    assert twice.statistic == pytest.approx(once.statistic, rel=0.1)


def held_out_table(binary, models=("A", "B")):
    rows = []
    for model in models:
        p = binary[f"p{model}"]
        rows.append(pd.DataFrame({"case_id": [f"c{i:03d}" for i in range(len(binary))], "y_true": binary["y"], "p_1": p}))
    return rows


def test_a_held_out_set_has_delong_and_a_verdict(binary, expected):
    a, b = held_out_table(binary)
    settings = ComparisonSettings(conditional=("mcnemar", "delong"))
    table = compare_tables(read_side(a, "mine"), read_side(b, "theirs"), settings)
    check_table(table, COMPARISON)
    main = table[table["test"] == "delong"].iloc[0]
    z, p, low, high = expected["delong_AB_Z_p_lo_hi"]
    # the scores are the same up to a monotone map, so pROC's numbers hold
    assert (main["statistic"], main["p_value"], main["ci_low"], main["ci_high"]) == pytest.approx((z, p, low, high), rel=1e-6)
    assert main["primary"] and main["verdict"] == "not_resolved" and sorted(table["test"]) == ["delong", "mcnemar"]
    better = b.assign(p_1=b["p_1"] / 3 + 0.6 * b["y_true"])
    table = compare_tables(read_side(better, "mine"), read_side(b, "theirs"), SETTINGS)
    assert table.loc[0, "verdict"] == "a_better"
    flipped = compare_tables(read_side(b, "theirs"), read_side(better, "mine"), SETTINGS)
    assert flipped.loc[0, "verdict"] == "b_better" and flipped.loc[0, "effect"] == -table.loc[0, "effect"]
    itself = compare_tables(read_side(a, "same"), read_side(a, "same"), SETTINGS).iloc[0]
    assert itself["verdict"] == "equivalent" and itself["effect"] == 0 and itself["model_a"] == "same (A)"


def test_a_held_out_set_may_be_too_small(binary):
    rows = np.r_[0:5, 60:100]
    a, b = (part.iloc[rows].assign(p_1=lambda t: t["y_true"] * 0.9) for part in held_out_table(binary))
    b = b.assign(p_1=0.5 - 0.3 * b["y_true"])
    row = compare_tables(read_side(a, "a"), read_side(b, "b"), SETTINGS).iloc[0]
    assert row["verdict"] == "not_resolved" and "too small to say anything: 5 with and 40 without" in row["method"]


def test_several_cases_a_patient_go_through_the_bootstrap(binary):
    a, b = held_out_table(binary)
    predictions = together([read_side(a, "a"), read_side(b, "b")]).predictions
    patients = {f"c{i:03d}": f"p{i // 2}" for i in range(len(binary))}
    table = compare_held_out(predictions, ComparisonSettings(conditional=("delong",)), patients=patients)
    assert set(table["test"]) == {"paired_bootstrap", "delong"}
    assert "not independent" in table.loc[table["test"] == "delong", "method"].iloc[0]


def out_of_fold(binary, model="A", repeats=10, seed=0):
    rows = []
    y = binary["y"].to_numpy()
    for repeat in range(repeats):
        rng = np.random.default_rng(repeat)
        fold_of = np.empty(len(y), int)
        for cls in (0, 1):
            members = rng.permutation(np.flatnonzero(y == cls))
            fold_of[members] = np.arange(len(members)) % 5
        noise = np.random.default_rng(seed + 100 * repeat).normal(size=len(y))
        p = 1 / (1 + np.exp(-(np.log(binary[f"p{model}"] / (1 - binary[f"p{model}"])) + 0.3 * noise)))
        rows.append(pd.DataFrame({"id": [f"c{i:03d}" for i in range(len(y))], "y": y, "p": p, "repeat": repeat, "fold": fold_of}))
    return pd.concat(rows, ignore_index=True)


def test_tables_with_folds_get_the_corrected_test(binary):
    a, b = out_of_fold(binary), out_of_fold(binary, "B", seed=1)
    as_text = b.map(str)  # as a CSV reader gives it
    table = compare_tables(read_side(a, "ours"), read_side(as_text, "theirs"), ComparisonSettings(conditional=("delong",)))
    row = table[table["test"] == "corrected_t"].iloc[0]
    assert row["df"] == 9 and row["primary"] and "n_test/n_train 0.250" in row["method"]
    assert "conditional on these scores" in table[table["test"] == "delong"].iloc[0]["method"]
    with_itself = compare_tables(read_side(a, "ours"), read_side(a, "ours"), SETTINGS).iloc[0]
    assert with_itself["verdict"] == "equivalent" and with_itself["p_value"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t[t["case_id"] != "c007"], "lacks: c007"),
        (lambda t: t.assign(p_1=t["p_1"] * 2), "between 0 and 1"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "stands twice"),
        (lambda t: t.assign(y_true=1 - t["y_true"]), "the coding is swapped"),
        (lambda t: t.assign(y_true=np.where(t["case_id"] == "c003", 0, t["y_true"])), "1 of 120 cases differ"),
        (lambda t: t.assign(y_true=t["y_true"].map({0: "no", 1: "yes"})), "which is no number"),
        (lambda t: t.assign(p_1=np.where(t["case_id"] == "c003", np.nan, t["p_1"])), "c003.*p_1 is empty in row 5"),
        (lambda t: t.drop(columns="p_1"), "'p_1' is missing"),
        (lambda t: t.rename(columns={"case_id": "case_idd"}), "Did you mean 'case_idd'"),
        (lambda t: t.assign(fold=0, repeat=0), "has not"),
        (lambda t: t.assign(model=["x", "y"] * 60), "2 models"),
        (lambda t: t.iloc[:0], "no row"),
        (lambda t: t.assign(case_id=""), "no case_id"),
        (lambda t: t.assign(time=3.0), "score .the log relative hazard. is missing"),
    ],
)
def test_what_tables_are_refused(change, words, binary):
    a, b = held_out_table(binary)
    with pytest.raises(CohortError, match=words) as error:
        compare_tables(read_side(a, "a", "a.csv"), read_side(change(b), "b", "b.csv"), SETTINGS)
    assert error.value.hint


def test_one_class_and_other_splits_are_refused(binary):
    a, b = (part[part["y_true"] == 1] for part in held_out_table(binary))
    with pytest.raises(CohortError, match="same outcome"):
        compare_tables(read_side(a, "a"), read_side(b, "b"), SETTINGS)
    a, b = out_of_fold(binary), out_of_fold(binary)
    with pytest.raises(CohortError, match="the splits differ"):
        compare_tables(read_side(a, "a"), read_side(b.assign(fold=(b["fold"] + b["repeat"]) % 5), "b"), SETTINGS)
    with pytest.raises(CohortError, match="no predictions in repeat 9"):
        compare_tables(read_side(a, "a"), read_side(b[b["repeat"] < 9], "b"), SETTINGS)


def other_kind(kind, n=90, repeats=10):
    """Two models of another kind of outcome, A better than B; predictions and splits."""
    rng = np.random.default_rng(5)
    signal = rng.normal(size=n)
    rows, splits = [], []
    time = np.round(rng.exponential(np.exp(-signal)), 4)
    truth = {
        "number": {"y_true": np.zeros(n), "value": 10 + 3 * signal + rng.normal(size=n)},
        "time_to_event": {"y_true": (rng.random(n) < 0.7).astype(int), "time": time},
        "classes": {"y_true": np.digitize(signal + 0.3 * rng.normal(size=n), [-0.5, 0.5])},
    }[kind]
    for repeat in range(repeats):
        fold_of = rng.permutation(np.arange(n) % 5)
        for model, noise in (("A", 0.3), ("B", 2.0)):
            said = signal + noise * rng.normal(size=n)
            table = pd.DataFrame(
                {"case_id": [f"c{i:03d}" for i in range(n)], **truth, "repeat": repeat, "fold": fold_of, "model": model}
            )
            if kind == "number":
                table["score"] = 10 + 3 * said
            elif kind == "time_to_event":
                table["score"], table["p_1"] = said, 1 / (1 + np.exp(-said))
            else:
                steps = [stats.norm.cdf(edge - said) for edge in (-0.5, 0.5)]
                table["p_0"], table["p_1"], table["p_2"] = steps[0], steps[1] - steps[0], 1 - steps[1]
            rows.append(table)
        splits.append(fold_of)
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize(
    ("kind", "metric", "sign"), [("number", "rmse", -1), ("time_to_event", "harrell_c", 1), ("classes", "macro_auc", 1)]
)
def test_other_kinds_of_outcome(kind, metric, sign):
    table = other_kind(kind, repeats=4 if kind == "classes" else 6)
    sides = [read_side(table[table["model"] == name], name) for name in ("A", "B")]
    settings = ComparisonSettings(conditional=("delong", "mcnemar"))
    found = compare_tables(*sides, settings, horizon=1.0).set_index("test")
    main = found.loc["corrected_t"]
    assert main["metric"] == metric and np.sign(main["effect"]) == sign and main["verdict"] == "a_better"
    assert "no test" in found.loc["delong", "method"] and "no test" in found.loc["mcnemar", "method"]
    if kind == "number":  # a twentieth of the outcome's standard deviation, in its unit
        assert main["margin"] == pytest.approx(0.05 * table.drop_duplicates("case_id")["value"].std())
    with pytest.raises(ConfigError, match="does not fit an outcome"):
        compare_tables(*sides, ComparisonSettings(metric="brier"), horizon=1.0)
    swapped = compare_tables(*sides[::-1], settings, horizon=1.0).set_index("test").loc["corrected_t"]
    assert swapped["effect"] == -main["effect"] and swapped["verdict"] == "b_better"


def test_brier_at_the_horizon_needs_one():
    table = other_kind("time_to_event", repeats=2)
    sides = [read_side(table[table["model"] == name], name) for name in ("A", "B")]
    settings = ComparisonSettings(metric="brier_at_horizon")
    with pytest.raises(ConfigError, match="horizon"):
        compare_tables(*sides, settings)
    assert np.isfinite(compare_tables(*sides, settings, horizon=1.0).loc[0, "effect"])
    first = table[table["repeat"] == 0].drop(columns=["repeat", "fold"])
    held_out = [read_side(first[first["model"] == name], name) for name in ("A", "B")]
    row = compare_tables(*held_out, SETTINGS, horizon=1.0).iloc[0]
    assert row["test"] == "paired_bootstrap" and row["metric"] == "harrell_c" and row["verdict"] == "a_better"


def test_thresholds_of_the_fits_reach_mcnemar(make_tables):
    y = np.array([1] * 30 + [0] * 50)
    rng = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-(y + rng.normal(size=(3, 80)))))
    predictions, splits = make_tables(y, {"a": p, "b": p})
    fits = pd.DataFrame(
        [
            {"model": m, "repeat": r, "fold": f, "threshold": t}
            for m, t in (("a", 0.6), ("b", 0.1))
            for r in range(3)
            for f in range(5)
        ]
    )
    settings = ComparisonSettings(conditional=("mcnemar",))
    row = compare_models(predictions, splits, settings, fits=fits).set_index("test").loc["mcnemar"]
    mean = p.mean(axis=0)
    assert (
        row["effect"] == pytest.approx(np.mean((mean >= 0.6) == y) - np.mean((mean >= 0.1) == y)) and row["metric"] == "accuracy"
    )

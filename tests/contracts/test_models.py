"""What every model in the registry must do, for every kind of outcome it says it can predict."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from radpipe.core.registry import lookup
from radpipe.core.tables import FITS, make_table
from radpipe.errors import RadpipeError, SchemaError
from radpipe.models import MODELS, load
from radpipe.models.config import (
    PARAMS,
    AnnParams,
    AverageParams,
    Cnn3dParams,
    ForestParams,
    GivenParams,
    LogisticParams,
    SvmParams,
    XgboostParams,
)
from radpipe.models.inference import seconds_a_case
from radpipe.models.model import Examples
from radpipe.models.registry import OUTCOME_KINDS

# Small enough to be quick; everything else as the user gets it.
QUICK = {
    "ann": AnnParams(inputs="features", members=2),
    "average": AverageParams(of=("first", "second")),
    "cnn3d": Cnn3dParams(epochs=12, minimum_epochs=4, learning_rate=0.01, members=1),
    "forest": ForestParams(trees=30),
    "given": GivenParams(column="first"),
    "logistic": LogisticParams(inputs="features"),
    "svm": SvmParams(),
    "xgboost": XgboostParams(rounds=40),
}
BLIND = "prevalence"
ON_PREDICTIONS = ("average", "given")
CLASSES = ("two", "three")
ALL = [
    (kind, outcome)
    for kind in MODELS
    for able in OUTCOME_KINDS[kind]
    for outcome in (CLASSES if able == "classes" else (able,))
    if (kind, outcome) != ("given", "three")
]


def params_of(kind: str):
    return QUICK.get(kind) or PARAMS[kind]()


def separable(n: int, outcome: str, *, seed: int, start: int = 0) -> Examples:
    """Columns and an image that tell the outcome, a text column that does not, and two members' predictions of it."""
    rng = np.random.default_rng(seed)
    k = 3 if outcome == "three" else 2
    y = np.arange(n) % k
    signal = rng.permutation(np.linspace(-1.5, 1.5, n)) if outcome in ("number", "time_to_event") else y - (k - 1) / 2
    ids = tuple(f"case_{start + place:03}" for place in range(n))
    table = pd.DataFrame(
        {
            "a": 4.0 * signal + rng.normal(size=n),
            "b": 100 - 300.0 * signal + 50 * rng.normal(size=n),
            "sex": rng.choice(["M", "F"], n),
        },
        index=ids,
    )
    table.loc[ids[0], "a"] = np.nan
    if outcome == "three":
        table["c"] = 4.0 * (y == 1) + rng.normal(size=n)
    images = rng.normal(size=(n, 1, 8, 10, 12)).astype(np.float32)
    images[:, 0, 2:6, 3:7, 4:8] += 3.0 * signal[:, None, None, None].astype(np.float32)
    made = Examples(ids, tuple(f"patient_{name}" for name in ids), y, table, images, n_classes=k)
    if outcome == "number":
        return replace(made, y=0 * y, kind="number", value=10 + 3 * signal)
    if outcome == "time_to_event":
        time = np.exp(-2 * signal) * rng.exponential(0.3, n) + 0.01
        code = np.where(rng.random(n) < 0.15, 0, np.where(rng.random(n) < 0.1, 2, 1))
        return replace(made, y=code, kind="time_to_event", time=time, horizon=0.5)
    return made


def with_members(examples: Examples, outcome: str) -> Examples:
    """For models that are made of others: what two models say, which here is a noisy truth."""
    rng = np.random.default_rng(len(examples))
    columns = {}
    for name in ("first", "second"):
        if outcome in ("number", "time_to_event"):
            truth = examples.value if outcome == "number" else -np.log(examples.time)
            columns[name] = truth + 0.3 * rng.normal(size=len(examples))
        else:
            k = examples.n_classes
            p = np.eye(k)[examples.y] * 2 + rng.random((len(examples), k))
            p /= p.sum(axis=1, keepdims=True)
            columns |= {name: p[:, 1]} if k == 2 else {f"{name}:{j}": p[:, j] for j in range(k)}
    return replace(examples, table=pd.DataFrame(columns, index=examples.case_ids))


def parts(kind: str, outcome: str) -> tuple[Examples, Examples, Examples]:
    made = separable(24, outcome, seed=1), separable(12, outcome, seed=2, start=50), separable(30, outcome, seed=3, start=100)
    return tuple(with_members(part, outcome) for part in made) if kind in ON_PREDICTIONS else made  # type: ignore[return-value]


def fitted(kind: str, train: Examples, selection: Examples, seed: int = 7):
    return lookup(MODELS, kind, "model")(train, selection, params_of(kind), seed=seed)


def said(model, examples: Examples) -> bytes:
    """All that a model says of these cases."""
    found = [] if examples.kind == "number" else [model.predict_proba(examples)]
    return b"".join(part.tobytes() for part in [*found, *([] if examples.kind == "classes" else [model.predict_score(examples)])])


def concordance(score: np.ndarray, examples: Examples) -> float:
    """Share of pairs in the right order: Harrell's of times, of classes the AUC averaged over pairs of classes."""
    if examples.kind == "classes":
        many = examples.n_classes > 2
        return float(roc_auc_score(examples.y, score if many else score[:, 1], **({"multi_class": "ovo"} if many else {})))
    truth = examples.value if examples.kind == "number" else -examples.time
    event = np.ones(len(examples), bool) if examples.kind == "number" else examples.y == 1
    right = [
        (score[i] > score[j]) + 0.5 * (score[i] == score[j])
        for i in np.flatnonzero(event) for j in range(len(examples)) if truth[i] > truth[j]
    ]  # fmt: skip
    return float(np.mean(right))


@pytest.fixture(scope="module")
def models() -> dict:
    return {}


@pytest.fixture
def model(request, models):
    """Each fitted once."""
    key = request.getfixturevalue("kind"), request.getfixturevalue("outcome")
    if key not in models:
        models[key] = fitted(key[0], *parts(*key)[:2])
    return models[key]


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes() for name in a)


def test_registry_and_params_name_the_same_models():
    assert set(PARAMS) == set(MODELS) == set(OUTCOME_KINDS)
    for kind, params in PARAMS.items():
        assert params_of(kind).kind == kind and params.__doc__


@pytest.mark.parametrize(("kind", "outcome"), ALL)
class TestEveryModel:
    def test_learns_what_can_be_learnt(self, kind, outcome, model):
        test = parts(kind, outcome)[2]
        if test.kind != "number":
            p = model.predict_proba(test)
            assert p.shape == (30, test.n_classes) and p.dtype == np.float64
            np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
            assert p.min() >= 0 and p.max() <= 1
        score = p if test.kind == "classes" else model.predict_score(test)
        if kind == BLIND:
            assert concordance(score, test) == 0.5
            return
        noisy = test.kind == "time_to_event"  # exponential times: the truth itself would order some 80 % of pairs
        assert concordance(score, test) > (0.7 if noisy else 0.9)
        if outcome == "two":
            assert np.mean((p[:, 1] >= model.facts()["threshold"]) == test.y) > 0.8
        if noisy:
            assert roc_auc_score(test.time < np.median(test.time), p[:, 1]) > 0.7

    def test_same_seed_same_bytes(self, kind, outcome, model):
        train, selection, test = parts(kind, outcome)
        again = fitted(kind, train, selection)
        assert same(model.state()[0], again.state()[0])
        assert model.state()[1] == again.state()[1]
        assert said(model, test) == said(again, test)
        assert model.history == again.history

    def test_round_trip_predicts_the_same(self, kind, outcome, model):
        arrays, info = model.state()
        assert all(isinstance(values, np.ndarray) and values.dtype != object for values in arrays.values())
        back = load(kind, {name: values.copy() for name, values in arrays.items()}, json.loads(json.dumps(info, allow_nan=False)))
        test = parts(kind, outcome)[2]
        assert said(back, test) == said(model, test)
        assert back.facts() == model.facts() and back.saw == model.saw
        assert same(back.state()[0], arrays) and back.state()[1] == info

    def test_how_long_a_prediction_takes_can_be_told(self, kind, outcome, model):
        assert 0 <= seconds_a_case(*model.state(), number=outcome == "number") < 5

    def test_a_broken_state_is_refused(self, kind, outcome, model):
        arrays, info = model.state()
        with pytest.raises(SchemaError, match="was opened as"):
            load(kind, arrays, {**info, "kind": "other"})
        with pytest.raises(SchemaError, match="lacks"):
            load(kind, {}, info)

    def test_a_prediction_does_not_depend_on_who_else_is_predicted(self, kind, outcome, model):
        test = parts(kind, outcome)[2]
        ask = model.predict_score if test.kind == "number" else model.predict_proba
        np.testing.assert_allclose(ask(test.take(test.case_ids[4:5]))[0], ask(test)[4], rtol=1e-5)

    def test_test_outcomes_are_not_looked_at(self, kind, outcome, model):
        test = parts(kind, outcome)[2]
        other = replace(
            test, y=test.y[::-1].copy(), time=None if test.time is None else test.time[::-1].copy(),
            value=None if test.value is None else test.value[::-1].copy(),
        )  # fmt: skip
        assert said(model, other) == said(model, test)

    def test_records_whom_it_saw(self, kind, outcome, model):
        train, selection, _ = parts(kind, outcome)
        assert model.saw == set(train.patient_ids) | set(selection.patient_ids)

    def test_facts_fill_a_row_of_the_fits_table(self, kind, outcome, model):
        rest = {
            "repeat": 0, "fold": 0, "seed": 7, "model": kind, "n_train": 20, "n_selection": 8, "saw_sha256": "", "model_path": "",
        }  # fmt: skip
        row = make_table(FITS, [{**rest, **model.facts()}]).iloc[0]
        assert (row.n_inputs > 0) == (kind != BLIND) and row.n_parameters > 0
        assert (0 < row.threshold < 1) if outcome == "two" else np.isnan(row.threshold)
        assert np.isnan(row.recalibration_slope) if outcome == "number" else row.recalibration_slope > 0

    def test_too_little_to_fit_is_named(self, kind, outcome):
        train, selection, _ = parts(kind, outcome)
        alike = {
            "number": (lambda: replace(train, value=np.ones(24)), "one value"),
            "time_to_event": (lambda: replace(train, y=0 * train.y), "none of the training part's 24 cases has the event"),
        }.get(
            outcome, (lambda: train.take([c for c, y in zip(train.case_ids, train.y, strict=True) if y == 0]), "are of 1 class,")
        )
        with pytest.raises(RadpipeError, match=alike[1]):
            fitted(kind, alike[0](), selection)
        with pytest.raises(RadpipeError, match="selection part is empty"):
            fitted(kind, train, selection.take([]))
        if kind != BLIND:
            with pytest.raises(RadpipeError, match="given none"):
                fitted(kind, replace(train, table=None, images=None), replace(selection, table=None, images=None))
        if outcome == "three":
            with pytest.raises(RadpipeError, match="no case of class 1"):
                fitted(kind, train.take([c for c, y in zip(train.case_ids, train.y, strict=True) if y != 1]), selection)

    def test_a_selection_part_of_one_kind_is_survived(self, kind, outcome):
        """One class only, or nobody with the event."""
        train, selection, test = parts(kind, outcome)
        few = selection.take([c for c, y in zip(selection.case_ids, selection.y, strict=True) if y == 0])
        if len(few):
            model = fitted(kind, train, few)
            assert all(np.isfinite(np.frombuffer(said(model, test))))


@pytest.mark.parametrize("kind", MODELS)
def test_another_kind_of_outcome_is_refused(kind):
    for outcome in {"classes", "number", "time_to_event"} - set(OUTCOME_KINDS[kind]):
        train, selection, _ = parts(kind, "two" if outcome == "classes" else outcome)
        with pytest.raises(RadpipeError, match=f"of kind {outcome}"):
            fitted(kind, train, selection)

"""What every model in the registry must do."""

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
from radpipe.models.config import PARAMS, AnnParams, Cnn3dParams, XgboostParams
from radpipe.models.model import Examples

# Small enough to be quick; everything else as the user gets it.
QUICK = {
    "ann": AnnParams(inputs="features", members=2),
    "cnn3d": Cnn3dParams(epochs=12, minimum_epochs=4, learning_rate=0.01, members=1),
    "xgboost": XgboostParams(rounds=40),
}
NAMES = list(MODELS)


def params_of(kind: str):
    return QUICK.get(kind) or PARAMS[kind]()


def separable(n: int, *, seed: int, start: int = 0) -> Examples:
    """Two columns and an image, each of which tells the two classes apart, and a text column that does not."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    ids = tuple(f"case_{start + k:03}" for k in range(n))
    table = pd.DataFrame(
        {"a": 4.0 * y + rng.normal(size=n), "b": 100 - 300.0 * y + 50 * rng.normal(size=n), "sex": rng.choice(["M", "F"], n)},
        index=ids,
    )
    table.loc[ids[0], "a"] = np.nan
    images = rng.normal(size=(n, 1, 8, 10, 12)).astype(np.float32)
    images[:, 0, 2:6, 3:7, 4:8] += 3.0 * y[:, None, None, None].astype(np.float32)
    return Examples(ids, tuple(f"patient_{name}" for name in ids), y, table, images)


TRAIN, SELECTION, TEST = separable(20, seed=1), separable(8, seed=2, start=50), separable(30, seed=3, start=100)


def fitted(kind: str, train: Examples = TRAIN, selection: Examples = SELECTION, seed: int = 7):
    return lookup(MODELS, kind, "model")(train, selection, params_of(kind), seed=seed)


@pytest.fixture(scope="module")
def models() -> dict:
    return {kind: fitted(kind) for kind in NAMES}


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes() for name in a)


def test_registry_and_params_name_the_same_models():
    assert set(PARAMS) == set(MODELS)
    for kind, params in PARAMS.items():
        assert params().kind == kind and params.__doc__


@pytest.mark.parametrize("kind", NAMES)
class TestEveryModel:
    def test_learns_what_can_be_learnt(self, kind, models):
        p = models[kind].predict_proba(TEST)
        assert p.shape == (30, 2) and p.dtype == np.float64
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
        assert p.min() >= 0 and p.max() <= 1
        assert roc_auc_score(TEST.y, p[:, 1]) > 0.95
        assert np.mean((p[:, 1] >= models[kind].facts()["threshold"]) == TEST.y) > 0.8

    def test_same_seed_same_bytes(self, kind, models):
        again = fitted(kind)
        assert same(models[kind].state()[0], again.state()[0])
        assert models[kind].state()[1] == again.state()[1]
        assert models[kind].predict_proba(TEST).tobytes() == again.predict_proba(TEST).tobytes()
        assert models[kind].history == again.history

    def test_round_trip_predicts_the_same(self, kind, models):
        arrays, info = models[kind].state()
        assert all(isinstance(values, np.ndarray) and values.dtype != object for values in arrays.values())
        back = load(kind, {name: values.copy() for name, values in arrays.items()}, json.loads(json.dumps(info, allow_nan=False)))
        assert back.predict_proba(TEST).tobytes() == models[kind].predict_proba(TEST).tobytes()
        assert back.facts() == models[kind].facts() and back.saw == models[kind].saw
        assert same(back.state()[0], arrays) and back.state()[1] == info

    def test_a_broken_state_is_refused(self, kind, models):
        arrays, info = models[kind].state()
        with pytest.raises(SchemaError, match="was opened as"):
            load(kind, arrays, {**info, "kind": "other"})
        with pytest.raises(SchemaError, match="lacks"):
            load(kind, {}, info)

    def test_a_prediction_does_not_depend_on_who_else_is_predicted(self, kind, models):
        together = models[kind].predict_proba(TEST)
        one = models[kind].predict_proba(TEST.take(TEST.case_ids[4:5]))
        np.testing.assert_allclose(one[0], together[4], rtol=1e-5)

    def test_test_outcomes_are_not_looked_at(self, kind, models):
        other = replace(TEST, y=1 - TEST.y)
        assert models[kind].predict_proba(other).tobytes() == models[kind].predict_proba(TEST).tobytes()

    def test_records_whom_it_saw(self, kind, models):
        assert models[kind].saw == set(TRAIN.patient_ids) | set(SELECTION.patient_ids)

    def test_facts_fill_a_row_of_the_fits_table(self, kind, models):
        rest = {
            "repeat": 0, "fold": 0, "seed": 7, "model": kind, "n_train": 20, "n_selection": 8, "saw_sha256": "", "model_path": "",
        }  # fmt: skip
        row = make_table(FITS, [{**rest, **models[kind].facts()}]).iloc[0]
        assert row.n_inputs > 0 and row.n_parameters > 0 and 0 < row.threshold < 1
        assert row.recalibration_slope > 0

    def test_too_little_to_fit_is_named(self, kind):
        with pytest.raises(RadpipeError, match="are of 1 class,"):
            fitted(kind, TRAIN.take(TRAIN.case_ids[::2]))
        with pytest.raises(RadpipeError, match="selection part is empty"):
            fitted(kind, selection=SELECTION.take([]))
        with pytest.raises(RadpipeError, match="given none"):
            fitted(kind, replace(TRAIN, table=None, images=None), replace(SELECTION, table=None, images=None))

    def test_a_selection_part_of_one_class_is_survived(self, kind):
        model = fitted(kind, selection=SELECTION.take(SELECTION.case_ids[:4:2]))
        assert roc_auc_score(TEST.y, model.predict_proba(TEST)[:, 1]) > 0.9

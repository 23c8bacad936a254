"""The CNN on other outcomes than two classes, its tuning, and its deep features."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from radpipe.errors import SchemaError
from radpipe.models.cnn3d.model import fit, load
from radpipe.models.cnn3d.target import Target, selection_error, target_of
from radpipe.models.config import Cnn3dParams
from radpipe.models.model import Examples

PARAMS = {"epochs": 14, "minimum_epochs": 8, "learning_rate": 0.02, "batch": 6, "members": 1}


def bright_cubes(seed: int, n: int = 18, start: int = 0) -> Examples:
    """A cube that is bright by 0, 1 or 2; ``y`` says how bright."""
    rng = np.random.default_rng(seed)
    ids = tuple(f"case_{start + k}" for k in range(n))
    y = np.arange(n) % 3
    images = rng.normal(size=(n, 1, 8, 8, 8)).astype(np.float32) * 0.3
    images[:, 0, 2:6, 2:6, 2:6] += 2.0 * y[:, None, None, None].astype(np.float32)
    return Examples(ids, ids, y, images=images, n_classes=3)


def as_kind(examples: Examples, kind: str) -> Examples:
    if kind == "number":
        return replace(examples, kind="number", value=100 + 30.0 * examples.y, y=0 * examples.y)
    if kind == "time_to_event":
        # The brighter, the sooner; those that would come after 7 are censored there.
        times = 9.0 - 3 * examples.y + np.arange(len(examples)) / 100
        return replace(examples, kind=kind, time=np.minimum(times, 7), y=(times < 7).astype(int), horizon=5.0)
    return examples


@pytest.fixture(scope="module")
def fits() -> dict:
    made = {}
    for kind in ("classes", "number", "time_to_event"):
        train, selection = as_kind(bright_cubes(1), kind), as_kind(bright_cubes(2, 9, start=50), kind)
        made[kind] = fit(train, selection, Cnn3dParams(**PARAMS), seed=5)
    return made


TEST = bright_cubes(3, 12, start=100)


def test_three_classes(fits):
    p = fits["classes"].predict_proba(as_kind(TEST, "classes"))
    assert p.shape == (12, 3) and np.allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == TEST.y).mean() > 0.8


def test_a_number_in_its_own_unit(fits):
    test = as_kind(TEST, "number")
    score = fits["number"].predict_score(test)
    assert np.abs(score - test.value).mean() < 12  # values are 100, 130 and 160


def test_time_to_event(fits):
    test = as_kind(TEST, "time_to_event")
    score, p = fits["time_to_event"].predict_score(test), fits["time_to_event"].predict_proba(test)
    assert score[TEST.y == 2].min() > score[TEST.y == 0].max()
    assert np.array_equal(np.argsort(score), np.argsort(p[:, 1])) and np.allclose(p.sum(axis=1), 1)
    assert p[TEST.y == 2, 1].min() > 0.5 > p[TEST.y == 0, 1].max()


@pytest.mark.parametrize("kind", ["classes", "number", "time_to_event"])
def test_round_trip(fits, kind):
    test, model = as_kind(TEST, kind), fits[kind]
    arrays, info = model.state()
    back = load(arrays, json.loads(json.dumps(info, allow_nan=False)))
    ask = "predict_proba" if kind == "classes" else "predict_score"
    assert getattr(back, ask)(test).tobytes() == getattr(model, ask)(test).tobytes()
    assert back.facts() == model.facts() and back.state()[1] == info


def test_classes_have_no_score(fits):
    with pytest.raises(SchemaError, match="no score"):
        fits["classes"].predict_score(TEST)


def test_every_batch_of_times_has_an_event():
    target = Target("time_to_event", torch.arange(20.0), torch.arange(20) % 5 == 0)
    batches = target.batches(5, np.random.default_rng(0))
    assert sorted(torch.cat(batches).tolist()) == list(range(20))
    assert [int(target.take(rows).event.sum()) for rows in batches] == [1, 1, 1, 1]
    few = Target("time_to_event", torch.arange(20.0), torch.arange(20) == 3)
    assert [len(rows) for rows in few.batches(5, np.random.default_rng(0))] == [20]


def test_selection_error_of_times_is_the_cross_validated_partial_likelihood():
    """Two training cases (event at 1, censored at 4), one selection case with an event at 2; all scores 0.

    Together: log 3 + log 2; training alone: log 2; so log 3 for the one event.
    """
    train = Target("time_to_event", torch.tensor([1.0, 4.0]).double(), torch.tensor([True, False]))
    own = Target("time_to_event", torch.tensor([2.0]).double(), torch.tensor([True]))
    error = selection_error(own, torch.zeros(1, 1).double(), train, torch.zeros(2, 1).double())
    assert float(error) == pytest.approx(np.log(3))


def test_competing_events_are_censored_where_they_happen():
    examples = replace(as_kind(TEST, "time_to_event"), y=np.array([0, 1, 2] * 4))
    assert target_of(examples).event.tolist() == [False, True, False] * 4


class TestTuning:
    def test_the_candidate_with_the_lowest_selection_error_wins(self):
        train, selection = bright_cubes(1), bright_cubes(2, 9, start=50)
        hopeless, good = {"learning_rate": 1e-9}, {"learning_rate": 0.02}
        params = Cnn3dParams(**{**PARAMS, "learning_rate": 0.005}, candidates=(hopeless, good))
        model = fit(train, selection, params, seed=5)
        first, second = (row["selection_error"] for row in model.summary["candidates"])
        assert second < first and model.summary["chosen"] == 1 and model.params.learning_rate == 0.02
        assert load(*model.state()).predict_proba(TEST).tobytes() == model.predict_proba(TEST).tobytes()

    def test_what_it_may_not_change_is_named(self):
        with pytest.raises(ValueError, match="may not change 'members'"):
            Cnn3dParams(candidates=({"members": 3},))
        with pytest.raises(ValueError, match=r"may not change 'learning_rat'.*Did you mean 'learning_rate'"):
            Cnn3dParams(candidates=({"learning_rat": 3},))
        with pytest.raises(ValueError, match="channel"):
            Cnn3dParams(candidates=({"network_params": {"channel": [4]}},))

    def test_a_box_too_small_for_the_network_is_named(self):
        with pytest.raises(
            ValueError, match=r"densenet3d needs boxes of 16 voxels a side at least; crop_voxels is \(32, 32, 8\)"
        ):
            Cnn3dParams(network="densenet3d", network_params={"blocks": [1, 1, 1, 1]}, crop_voxels=(32, 32, 8))


def test_embedding_is_what_the_head_sees(fits):
    model = fits["classes"]
    deep = model.embed(TEST)
    network = model.networks[0]
    head = network.network.get_submodule("head")
    logits = deep @ head.weight.detach().numpy().astype(np.float64).T + head.bias.detach().numpy()
    p = torch.softmax(torch.from_numpy(logits) + network.offset, dim=1).numpy()
    raw = network(torch.from_numpy(TEST.images)).detach().numpy()
    assert deep.shape == (12, 3 * 16)
    np.testing.assert_allclose(p, raw, atol=1e-5)
    np.testing.assert_allclose(model.embed(TEST.take(TEST.case_ids[3:4]))[0], deep[3], rtol=1e-5, atol=1e-6)

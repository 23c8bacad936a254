"""Habitats: what is planted is found and numbered alike, the number of them is that which halves agree on, and nothing but the
training cases is seen."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from pydantic import ValidationError

from radpipe.errors import CohortError, SchemaError
from radpipe.habitats.config import HabitatSettings
from radpipe.habitats.fit import draw, fit_habitats, prediction_strength
from radpipe.habitats.habitats import Habitats, columns_of, nearest

COLUMNS = ("uptake", "texture", "noise")
FEW = HabitatSettings(k=(2, 3, 4), halvings=4, voxels_per_case=100)
THREE = HabitatSettings(k=(3,))
CENTRES = np.array([[1.0, 10.0, 0.0], [5.0, -10.0, 0.0], [9.0, 10.0, 0.0]])


def cohort(n: int = 16, seed: int = 0, centres: np.ndarray = CENTRES, spread: float = 0.3) -> dict[str, np.ndarray]:
    """Cases with three kinds of voxels, in shares of their own; noise that means nothing."""
    rng = np.random.default_rng(seed)
    found = {}
    for index in range(n):
        kinds = rng.choice(len(centres), rng.integers(80, 400), p=rng.dirichlet(np.full(len(centres), 3.0)))
        values = centres[kinds] + rng.normal(size=(len(kinds), 3)) * [spread, 3 * spread, 0.1]
        found[f"C{index:02d}"] = values
    return found


def states_equal(one: Habitats, two: Habitats) -> bool:
    (a, b), (c, d) = one.state(), two.state()
    return b == d and all(a[name].tobytes() == c[name].tobytes() for name in a)


def test_planted_kinds_are_found_and_numbered_by_the_first_map() -> None:
    cases = cohort()
    habitats = fit_habitats(cases, COLUMNS, FEW, seed=1)
    assert habitats.k == 3
    assert np.allclose(habitats.means[:, :2], CENTRES[:, :2], atol=0.3)
    for values in cohort(3, seed=9).values():
        truth = np.argmin(np.abs(values[:, :1] - CENTRES[:, 0]), axis=1) + 1
        labels = habitats.assign(values)
        assert (labels == truth).mean() > 0.99
        row, why = habitats.describe(values, labels)
        assert list(row) == columns_of(3, COLUMNS)
        assert sum(row[f"habitat_{k}_share"] for k in (1, 2, 3)) == pytest.approx(1.0)
        for k in (1, 2, 3):
            if (labels == k).any():
                assert row[f"habitat_{k}_mean_texture"] == pytest.approx(values[labels == k, 1].mean())
        assert set(why) == {name for name, value in row.items() if np.isnan(value)}


def test_numbers_mean_the_same_in_other_folds() -> None:
    """Folds of other patients and other seeds: habitat 1 is the coldest everywhere."""
    cases = cohort(20)
    for seed, left_out in enumerate(("C00", "C07", "C19")):
        train = {name: values for name, values in cases.items() if name != left_out}
        habitats = fit_habitats(train, COLUMNS, FEW, seed=seed)
        assert np.allclose(habitats.means[:, 0], CENTRES[:, 0], atol=0.3)
    by_texture = fit_habitats(
        {name: values[:, [1, 0, 2]] for name, values in cases.items()},
        ("texture", "uptake", "noise"),
        THREE,
        seed=1,
    )
    assert np.all(np.diff(by_texture.means[:, 0]) > 0)


def test_the_number_is_the_largest_that_halves_of_the_cases_agree_on() -> None:
    habitats = fit_habitats(cohort(), COLUMNS, HabitatSettings(halvings=4), seed=2)
    by_k = {choice.k: choice for choice in habitats.choices}
    assert sorted(by_k) == [2, 3, 4, 5]
    assert by_k[3].chosen and by_k[3].agreement > 0.95
    assert by_k[4].agreement < 0.8 > by_k[5].agreement
    # A stricter bar than any reaches: the one that agrees best.
    cloud = {f"C{i}": np.random.default_rng(i).normal(size=(100, 3)) for i in range(12)}
    habitats = fit_habitats(cloud, COLUMNS, HabitatSettings(agreement=1.0), seed=2)
    best = max(habitats.choices, key=lambda choice: choice.agreement)
    assert best.chosen and best.agreement < 1.0


def test_a_single_number_is_taken_as_it_is() -> None:
    habitats = fit_habitats(cohort(), COLUMNS, HabitatSettings(k=(4,)), seed=3)
    assert habitats.k == 4
    assert [choice.chosen for choice in habitats.choices] == [True]
    assert np.isnan(habitats.choices[0].agreement)


def test_prediction_strength_by_counting_pairs() -> None:
    """From its definition: pairs of one cluster that the other clustering keeps together, worst cluster."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        own, other = rng.integers(0, 3, 30), rng.integers(0, 4, 30)
        shares = []
        for cluster in set(own.tolist()):
            pairs = list(combinations(np.flatnonzero(own == cluster), 2))
            shares.append(np.mean([other[i] == other[j] for i, j in pairs]) if pairs else 0.0)
        assert prediction_strength(own, other) == pytest.approx(min(shares))
    same = rng.permutation(np.repeat([0, 1, 2], 10))
    assert prediction_strength(same, (same + 1) % 3) == 1.0


def test_the_order_of_cases_changes_nothing_and_chance_comes_from_the_seed() -> None:
    cases = cohort()
    one = fit_habitats(cases, COLUMNS, FEW, seed=5)
    two = fit_habitats(dict(reversed(cases.items())), COLUMNS, FEW, seed=5)
    assert states_equal(one, two)
    assert one.saw == tuple(sorted(cases))
    assert not states_equal(one, fit_habitats(cases, COLUMNS, FEW, seed=6))


def test_a_large_lesion_has_no_more_say_and_its_draw_is_its_own() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50_000, 3))
    drawn = draw(values, 200, "C01", 7)
    assert drawn.shape == (200, 3)
    assert np.array_equal(draw(values, 200, "C01", 7), drawn)
    assert np.array_equal(draw(drawn, 200, "C01", 7), drawn)
    assert not np.array_equal(draw(values, 200, "C02", 7), drawn)
    holes = values.copy()
    holes[::2, 1] = np.nan
    assert np.isfinite(draw(holes, 200, "C01", 7)).all()


def test_units_do_not_matter() -> None:
    cases = cohort()
    plain = fit_habitats(cases, COLUMNS, THREE, seed=1)
    elsewhere = {name: values * [1000.0, 1e-4, 1.0] + [7.0, 0.0, 3.0] for name, values in cases.items()}
    other = fit_habitats(elsewhere, COLUMNS, THREE, seed=1)
    assert np.array_equal(plain.assign(cases["C03"]), other.assign(elsewhere["C03"]))


def test_a_few_extreme_voxels_found_no_habitat() -> None:
    cases = cohort()
    cases["C00"] = cases["C00"].copy()
    cases["C00"][:3, 1] = 1e6
    habitats = fit_habitats(cases, COLUMNS, THREE, seed=1)
    assert habitats.shares.min() > 0.1


def test_a_map_that_does_not_vary_is_left_out_and_cannot_sway_a_new_case() -> None:
    cases = {name: np.column_stack([values, np.full(len(values), 4.0)]) for name, values in cohort().items()}
    columns = (*COLUMNS, "flat")
    habitats = fit_habitats(cases, columns, THREE, seed=1)
    case = cases["C05"]
    moved = case.copy()
    moved[:, 3] = -1e9
    assert np.array_equal(habitats.assign(case), habitats.assign(moved))


def test_voxels_without_a_value_have_no_habitat() -> None:
    habitats = fit_habitats(cohort(), COLUMNS, THREE, seed=1)
    values = np.array([[1.0, 10.0, 0.0], [np.nan, 10.0, 0.0], [1.0, np.inf, 0.0], [9.0, 10.0, 0.0]])
    labels = habitats.assign(values)
    assert list(labels) == [1, 0, 0, 3]
    row, why = habitats.describe(values, labels)
    assert row["habitat_1_share"] == 0.5
    assert row["habitat_2_share"] == 0.0
    assert why == dict.fromkeys([f"habitat_2_mean_{name}" for name in COLUMNS], "habitat-absent")
    nowhere = np.full((4, 3), np.nan)
    row, why = habitats.describe(nowhere, habitats.assign(nowhere))
    assert set(why.values()) == {"no-habitats"}
    assert set(why) == set(row)


def test_what_was_learnt_travels() -> None:
    habitats = fit_habitats(cohort(), COLUMNS, FEW, seed=1)
    again = Habitats.from_state(*habitats.state())
    assert states_equal(habitats, again)
    single = fit_habitats(cohort(), COLUMNS, HabitatSettings(k=(2,)), seed=1)
    assert np.isnan(Habitats.from_state(*single.state()).choices[0].agreement)


def test_nearest_against_all_distances() -> None:
    rng = np.random.default_rng(3)
    points, centroids = rng.normal(size=(500, 4)), rng.normal(size=(5, 4))
    distances = np.sqrt(((points[:, None] - centroids[None]) ** 2).sum(axis=2))
    assert np.array_equal(nearest(points, centroids), distances.argmin(axis=1))


def test_fewer_kinds_of_voxels_than_habitats_give_fewer_habitats() -> None:
    cases = {f"C{i}": np.repeat([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]], 20, axis=0) for i in range(6)}
    habitats = fit_habitats(cases, COLUMNS, HabitatSettings(k=(5,)), seed=1)
    assert habitats.k == 2
    assert habitats.means[:, 0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ({f"C{i}": np.ones((50, 3)) for i in range(8)}, "no map varies"),
        ({f"C{i}": np.random.default_rng(i).normal(size=(50, 3)) for i in range(3)}, "3 training cases"),
        ({f"C{i}": np.full((50, 3), np.nan) for i in range(8)}, "0 training cases with 0 voxels"),
        ({}, "0 training cases"),
    ],
)
def test_what_cannot_be_clustered_is_refused_in_words(cases: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(CohortError, match=said):
        fit_habitats(cases, COLUMNS, FEW, seed=1)


def test_other_maps_than_those_learnt_are_refused() -> None:
    habitats = fit_habitats(cohort(), COLUMNS, THREE, seed=1)
    with pytest.raises(SchemaError, match="3 maps"):
        habitats.assign(np.zeros((5, 2)))


@pytest.mark.parametrize(
    "given", [{"k": (1,)}, {"k": (2, 2)}, {"features": ("a",), "order_by": "b"}, {"agreement": 0}, {"k": ()}]
)
def test_settings_that_make_no_sense_are_refused(given: dict) -> None:
    with pytest.raises(ValidationError):
        HabitatSettings(**given)


def test_the_ordering_map_comes_first() -> None:
    maps = ("a", "b", "c")
    assert HabitatSettings().columns(maps) == maps
    assert HabitatSettings(order_by="c").columns(maps) == ("c", "a", "b")
    assert HabitatSettings(features=("b", "c"), order_by="c").columns(maps) == ("c", "b")

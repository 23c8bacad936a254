import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.errors import CohortError
from radpipe.segmentation.plan import OUTER_TEST, cross_fit_parts, cross_fit_plan, full_plan

patients = st.lists(st.integers(0, 14).map("P{}".format), min_size=6, max_size=40).filter(lambda p: len(set(p)) >= 3)
parts = st.integers(2, 3)
seeds = st.integers(0, 2**31)


@settings(max_examples=100, deadline=None)
@given(patients, parts, seeds)
def test_parts_keep_patients_together_and_are_balanced(patient_ids, k, seed):
    part = cross_fit_parts(patient_ids, k, seed)
    by_patient = pd.Series(part).groupby(patient_ids).nunique()
    assert (by_patient == 1).all()
    sizes = np.bincount(part, minlength=k)
    assert len(sizes) == k and sizes.min() > 0
    assert sizes.max() - sizes.min() <= pd.Series(patient_ids).value_counts().max()


@settings(max_examples=100, deadline=None)
@given(patients, parts, seeds, st.randoms(use_true_random=False))
def test_parts_do_not_depend_on_the_order_of_rows(patient_ids, k, seed, random):
    order = list(range(len(patient_ids)))
    random.shuffle(order)
    part = cross_fit_parts(patient_ids, k, seed)
    assert (cross_fit_parts([patient_ids[i] for i in order], k, seed) == part[order]).all()


def test_parts_differ_between_seeds_and_are_even_for_one_case_a_patient():
    ids = [f"STS_{i:03d}" for i in range(34)]
    drawn = {tuple(cross_fit_parts(ids, 5, seed)) for seed in range(5)}
    assert len(drawn) == 5
    assert sorted(np.bincount(cross_fit_parts(ids, 5, 1))) == [6, 7, 7, 7, 7]


@settings(max_examples=60, deadline=None)
@given(patients, parts, seeds)
def test_cross_fit_outlines_every_case_once_by_a_network_that_never_saw_its_patient(patient_ids, k, seed):
    case_ids = [f"c{i}" for i in range(len(patient_ids))]
    fits = cross_fit_plan(case_ids, patient_ids, k, seed)
    assert len(fits) == k and {fit.part for fit in fits} == set(range(k))
    assert {(fit.repeat, fit.fold) for fit in fits} == {(-1, -1)}
    _never_seen(fits, dict(zip(case_ids, patient_ids, strict=True)))
    assert sorted(case for fit in fits for case in fit.predict_ids) == sorted(case_ids)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=9, max_size=15), parts, seeds)
def test_full_outlines_every_case_once_a_fold_and_never_learns_from_a_test_patient(cases_of, k, seed):
    patient_of = {f"p{i}c{j}": f"p{i}" for i, n in enumerate(cases_of) for j in range(n)}
    rows = []
    for repeat in range(2):
        fold_of = np.random.default_rng(seed + repeat).permutation(len(cases_of)) % 3
        for fold in range(3):
            for case, patient in patient_of.items():
                number = int(patient[1:])
                role = "test" if fold_of[number] == fold else "selection" if number % 4 == 0 else "train"
                rows.append({"repeat": repeat, "fold": fold, "case_id": case, "patient_id": patient, "role": role})
    splits = pd.DataFrame(rows)
    fits = full_plan(splits, k, seed)
    assert len(fits) == 2 * 3 * (k + 1)
    _never_seen(fits, patient_of)
    for (repeat, fold), of_fold in splits.groupby(["repeat", "fold"]):
        here = [fit for fit in fits if (fit.repeat, fit.fold) == (repeat, fold)]
        assert sorted(case for fit in here for case in fit.predict_ids) == sorted(patient_of)
        test = set(of_fold.loc[of_fold["role"] == "test", "case_id"])
        assert not any(test & set(fit.train_ids) for fit in here)
        (outer,) = [fit for fit in here if fit.part == OUTER_TEST]
        assert set(outer.predict_ids) == test and set(outer.train_ids) == set(patient_of) - test
    shuffled = splits.sample(frac=1.0, random_state=seed % 1000)
    assert full_plan(shuffled, k, seed) == fits


def test_too_few_patients_are_refused():
    with pytest.raises(CohortError, match="3 patients cannot be cut into 5 parts"):
        cross_fit_parts(["a", "a", "b", "c", "c", "c"], 5, 0)


def test_a_patient_on_both_sides_of_a_split_is_refused():
    splits = pd.DataFrame(
        {"repeat": 0, "fold": 0, "case_id": ["a", "b", "c"], "patient_id": ["p", "q", "p"], "role": ["train", "train", "test"]}
    )
    with pytest.raises(CohortError, match="patient p stands in the training and in the test part"):
        full_plan(splits, 2, 0)


def _never_seen(fits, patient_of):
    for fit in fits:
        trained_on = {patient_of[case] for case in fit.train_ids}
        assert trained_on and fit.predict_ids
        assert not trained_on & {patient_of[case] for case in fit.predict_ids}

"""Who is outlined by a network trained on whom. No outcome is an argument anywhere here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radpipe.core.seeds import derive_seed
from radpipe.errors import CohortError
from radpipe.typing import IntArray

OUTER_TEST = -1


@dataclass(frozen=True)
class SegmentationFit:
    """One network to train, and whom it outlines; no patient stands on both sides.

    repeat, fold : the outer fold it belongs to; -1 and -1 where it serves all (nesting: cross_fit).
    part : the part of the patients that it left out; ``OUTER_TEST`` (-1) for the network of the whole outer training part.
    train_ids, predict_ids : case ids, sorted.
    """

    repeat: int
    fold: int
    part: int
    train_ids: tuple[str, ...]
    predict_ids: tuple[str, ...]


def cross_fit_parts(patient_ids: Sequence[str], k: int, seed: int) -> IntArray:
    """The part (0 .. k - 1) of every case, (cases,).

    patient_ids : of every case; the cases of a patient share a part. Parts hold as equal numbers of cases as patients allow:
    those with most cases are placed first, each where fewest cases are. Chance orders patients by a hash of seed and id, so
    that the order of rows does not matter. CohortError for fewer patients than parts.
    """
    names, counts = np.unique(np.asarray(patient_ids, dtype=object).astype(str), return_counts=True)
    if len(names) < k:
        raise CohortError(
            f"{len(names)} patients cannot be cut into {k} parts for the segmentation network.",
            hint=f"Set segmentation.folds to at most {max(len(names), 2)}, or use segmentation.masks: given.",
        )
    order = sorted(range(len(names)), key=lambda i: (-counts[i], derive_seed(seed, "cross_fit_part", names[i])))
    filled = [0] * k
    part_of: dict[str, int] = {}
    for i in order:
        part = filled.index(min(filled))
        part_of[names[i]] = part
        filled[part] += int(counts[i])
    return np.array([part_of[str(patient)] for patient in patient_ids], dtype=np.int64)


def cross_fit_plan(case_ids: Sequence[str], patient_ids: Sequence[str], k: int, seed: int) -> list[SegmentationFit]:
    """k fits for the whole study: each case is outlined once, by the network that left its patient out."""
    return _inner_fits(-1, -1, list(case_ids), list(patient_ids), k, seed)


def full_plan(splits: pd.DataFrame, k: int, seed: int) -> list[SegmentationFit]:
    """k + 1 fits for every outer fold, so that no outline in it owes anything to a test patient.

    splits : columns repeat, fold, case_id, role (train, selection, test; ``core.tables.SPLITS``) and patient_id.
    Cases of train and selection are outlined by cross-fitting among themselves, those of test by a network of all the former.
    """
    fits = []
    for (repeat, fold), rows in splits.groupby(["repeat", "fold"], sort=True):
        is_test = (rows["role"] == "test").to_numpy()
        inside, test = rows[~is_test], rows[is_test]
        shared = sorted(set(inside["patient_id"]) & set(test["patient_id"]))
        if shared:
            raise CohortError(
                f"repeat {repeat}, fold {fold}: patient {shared[0]} stands in the training and in the test part.",
                hint="Splits are drawn by patient; draw them again with `radpipe stage cohort`.",
            )
        fits += _inner_fits(
            int(repeat), int(fold), list(inside["case_id"]), list(inside["patient_id"]), k, derive_seed(seed, repeat, fold)
        )
        if len(test):
            fits.append(SegmentationFit(int(repeat), int(fold), OUTER_TEST, _sorted(inside["case_id"]), _sorted(test["case_id"])))
    return fits


def _inner_fits(repeat: int, fold: int, case_ids: list[str], patient_ids: list[str], k: int, seed: int) -> list[SegmentationFit]:
    parts = cross_fit_parts(patient_ids, k, seed)
    cases = np.asarray(case_ids, dtype=object)
    return [
        SegmentationFit(repeat, fold, part, _sorted(cases[parts != part]), _sorted(cases[parts == part])) for part in range(k)
    ]


def _sorted(case_ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(str(case_id) for case_id in case_ids))

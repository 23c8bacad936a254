"""How far the habitats of a run can be trusted: what the folds found, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from radpipe.report.words import number, plural


def habitat_summary(choice: pd.DataFrame, asked: float) -> dict[str, Any] | None:
    """k of the folds, agreement, and sentences about both; None where the run has no habitats.

    choice : HABITAT_CHOICE, a row for each number that was tried in each fold. asked : the agreement that a number of habitats was to
    reach (``maps.habitats.agreement``).
    """
    if choice.empty:
        return None
    taken = choice[choice["chosen"]]
    counts = {int(k): int(n) for k, n in taken["k"].value_counts().sort_index().items()}
    known = taken["agreement"].dropna().to_numpy(float)
    reached = int((known >= asked).sum())
    tried = sorted({int(k) for k in choice["k"]})
    found = {
        "folds": len(taken),
        "tried": tried,
        "counts": counts,
        "asked": asked,
        "reached": reached,
        "agreement": [float(known.min()), float(np.median(known)), float(known.max())] if len(known) else None,
    }
    return {**found, "sentences": _sentences(found)}


def _sentences(found: dict[str, Any]) -> list[str]:
    folds, counts = found["folds"], found["counts"]
    if found["agreement"] is None:
        return [
            f"The number of habitats, {found['tried'][0]}, was set beforehand. Whether the lesions really fall into so many, so that "
            "other patients would show the same ones, was not asked."
        ]
    low, middle, high = (number(value) for value in found["agreement"])
    span = low if low == high else f"{low} to {high}, the middle fold {middle}"
    said = [
        f"{_listed(found['tried'])} habitats were tried. In every fold the training lesions were split at random into two halves, "
        "habitats were found in each half by itself, and the two were compared: an agreement of 1 means that both halves sort voxels "
        f"alike, 0 that they have nothing in common. At least {number(found['asked'])} was asked for."
    ]
    if found["reached"] == folds:
        said.append(f"That was reached in every fold ({span}): other lesions like these should show much the same habitats.")
    else:
        if found["reached"]:
            where = f"only in {found['reached']} of {plural(folds, 'fold')}; in the others the number with the best agreement was taken"
        else:
            where = f"in none of {plural(folds, 'fold')}, so the number with the best agreement was taken"
        said.append(
            f"That was reached {where} ({span}). So these habitats are no firm property of the lesions: found in other patients, they may "
            "well look different. Take their pictures as an illustration, and what hangs on one of them not as a finding."
        )
    if len(counts) > 1:
        each = ", ".join(f"{k} habitats in {plural(n, 'fold')}" for k, n in counts.items())
        said.append(
            f"Folds differ in how many they found ({each}), so habitat 2 of one fold can be other tissue than habitat 2 of another."
        )
    else:
        said.append(f"Every fold found {next(iter(counts))} habitats.")
    return said


def _listed(tried: list[int]) -> str:
    whole = tried == list(range(tried[0], tried[-1] + 1)) and len(tried) > 2
    return f"{tried[0]} to {tried[-1]}" if whole else f"{', '.join(map(str, tried[:-1]))} or {tried[-1]}"

"""The leakage canary, over the registry of models: a column that is the outcome in the test rows, and noise where anything is learnt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from radpipe.errors import RadpipeError
from radpipe.models.config import PARAMS
from radpipe.models.fit import fit_and_predict
from radpipe.models.registry import MODELS, OUTCOME_KINDS

N, LEARN, SELECT = 90, 30, 10
QUICK = {
    "ann": {"inputs": "features", "members": 1, "iterations": 40},
    "average": {"of": ["first", "second"]},
    "cnn3d": {"epochs": 3, "minimum_epochs": 1, "members": 1, "network_params": {}, "crop_voxels": [8, 8, 8]},
    "forest": {"trees": 30},
    "given": {"column": "first"},
    "logistic": {"inputs": "features"},
    "xgboost": {"rounds": 30},
}
# What eats other models' predictions would be right to believe a prediction that is the outcome; its members are the ones to test.
ON_PREDICTIONS = ("average", "given")
RUNS = {"cnn3d": 5, "ann": 6, "forest": 8, "xgboost": 10}


def study(run: int, kind: str) -> dict:
    """Noise; in the test rows one column, and the middle of the image, is the outcome."""
    rng = np.random.default_rng(run)
    cases = [f"c{k:03}" for k in range(N)]
    y = rng.permutation(np.arange(N) % 2)
    test = np.arange(N) >= LEARN + SELECT
    leak = np.where(test, 3.0 * (2 * y - 1) * rng.choice([-1, 1]), rng.normal(size=N))
    table = pd.DataFrame(rng.normal(size=(N, 4)), index=pd.Index(cases, name="case_id"), columns=list("abcd")).assign(leak=leak)
    images = rng.normal(size=(N, 1, 8, 8, 8)).astype(np.float32)
    images[:, 0, 3:5, 3:5, 3:5] = leak[:, None, None, None]
    outcome = {}
    if "classes" not in OUTCOME_KINDS[kind]:
        number = OUTCOME_KINDS[kind][0] == "number"
        truth = y + 0.1 * rng.random(N)
        further = {"value": truth.tolist()} if number else {"time": (2.5 - truth).tolist(), "horizon": 1.0}
        outcome = {"kind": OUTCOME_KINDS[kind][0], **further}
    return {
        "case_ids": cases, "patient_ids": cases, "y": (0 * y if outcome.get("kind") == "number" else 0 * y + 1 if outcome else y).tolist(),
        "roles": ["test" if is_test else "train" if k < LEARN else "selection" for k, is_test in enumerate(test)],
        "table": table, "images": images if kind == "cnn3d" else None, "truth": y[test], "tested": [c for c, t in zip(cases, test, strict=True) if t],
        **outcome,
    }  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind not in ON_PREDICTIONS])
def test_what_is_the_outcome_in_test_rows_only_leaves_chance(kind):
    """Whatever is fitted, in whatever step, met the column as noise; a step that had looked at the test rows would bring the AUC to 1.

    Runs are independent draws, so their own spread says how far from 0.5 chance may bring the mean.
    """
    params = {"kind": kind, **QUICK.get(kind, {})}
    aucs = []
    for run in range(RUNS.get(kind, 16)):
        made = study(run, kind)
        truth, tested = made.pop("truth"), made.pop("tested")
        found = fit_and_predict(params, seed=run, **made)
        said = found.scores or {case: p[1] for case, p in found.probabilities.items()}
        aucs.append(roc_auc_score(truth, [said[case] for case in tested]))
    if kind == "prevalence":
        assert aucs == [0.5] * len(aucs)
        return
    error = np.std(aucs, ddof=1) / np.sqrt(len(aucs))
    assert error < 0.2
    assert abs(np.mean(aucs) - 0.5) < 4 * error


@pytest.mark.parametrize("kind", MODELS)
def test_every_fitted_thing_says_whom_it_saw_and_a_test_patient_among_them_raises(kind):
    made = study(0, kind)
    tested = made.pop("tested")
    made.pop("truth")
    if kind in ON_PREDICTIONS:
        rng = np.random.default_rng(0)
        made["table"] = pd.DataFrame(rng.random((N, 2)), index=made["table"].index, columns=["first", "second"])
    params = {"kind": kind, **QUICK.get(kind, {})}
    learnt = set(made["case_ids"]) - set(tested)
    found = fit_and_predict(params, seed=0, upstream={"selection": {"saw": made["case_ids"][:LEARN]}}, **made)
    assert set(found.saw[""]) == learnt and set(found.saw["upstream selection"]) == set(made["case_ids"][:LEARN])
    assert all(set(saw) <= learnt for saw in found.saw.values())
    assert (kind in ("average", "given", "prevalence", "cnn3d")) or set(found.saw["encoder"]) <= learnt
    with pytest.raises(RadpipeError, match=r"upstream selection of a model of kind .* was fitted with test patients") as caught:
        fit_and_predict(params, seed=0, upstream={"selection": {"saw": [*made["case_ids"][:LEARN], tested[0]]}}, **made)
    assert caught.value.kind == "leakage"
    assert PARAMS[kind].model_validate(params)

"""Cox's proportional hazards model with a ridge penalty."""

from __future__ import annotations

import numpy as np

from radpipe.models.calibrate import survival_calibration
from radpipe.models.columns import Columns, together
from radpipe.models.config import CoxParams, logarithms
from radpipe.models.fitted import FittedTable, Line, loader
from radpipe.models.model import EVENT, Examples, check_parts
from radpipe.models.survival import fit_cox, partial_likelihood, risk_sets


def fit(train: Examples, selection: Examples, params: CoxParams, *, seed: int) -> FittedTable:
    """Fit on the training and selection part together: nothing is stopped or chosen. The seed changes nothing.

    Competing events end a patient's time at risk (the cause-specific hazard); the probability by the horizon counts them.
    Verweij and van Houwelingen 1994, doi:10.1002/sim.4780132307, for the penalty.
    """
    saw = check_parts(train, selection, kinds=("time_to_event",))
    everyone = together(train, selection)
    columns = Columns.learn(everyone, logarithm=logarithms(params))
    scaled = columns.apply(everyone)
    time, event = np.asarray(everyone.time), everyone.y == EVENT
    coefficients = fit_cox(scaled, time, event, penalty=params.penalty, ties=params.ties)
    score = scaled @ coefficients
    # The likelihood of one column that is the score itself: the same value without p by p derivatives.
    value = partial_likelihood(score[:, None], np.ones(1), risk_sets(time, event), params.ties)[0]
    calibration = survival_calibration(score[: len(train)], train, score[len(train) :], selection)
    events = int(event.sum())
    summary = {
        "n_inputs": len(columns.encoder.names),
        "n_parameters": len(coefficients),
        "epochs": 0,
        "train_error": float(-value / events),
        "regularisation": float(0.5 * params.penalty * np.sum(coefficients**2) / events),
        "selection_error": None,
        "inputs": " ".join(columns.encoder.inputs),
    }
    return FittedTable(params, columns, Line(np.append(coefficients, 0.0)), calibration, saw, summary)


load = loader(CoxParams, Line.from_state)

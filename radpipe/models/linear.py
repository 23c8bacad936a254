"""Ridge regression of a number."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

from radpipe.models.calibrate import NumberCalibration
from radpipe.models.columns import Columns, together
from radpipe.models.config import LinearParams, logarithms
from radpipe.models.fitted import FittedTable, Line, loader
from radpipe.models.model import Examples, check_parts


def fit(train: Examples, selection: Examples, params: LinearParams, *, seed: int) -> FittedTable:
    """Fit on the training and selection part together, as logistic regression: nothing is stopped or chosen. The seed changes nothing.

    Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634. The outcome is standardised for the penalty, so that its unit
    changes nothing but the unit of the answer.
    """
    saw = check_parts(train, selection, kinds=("number",))
    everyone = together(train, selection)
    columns = Columns.learn(everyone, logarithm=logarithms(params))
    scaled = columns.apply(everyone)
    value = np.asarray(everyone.value)
    centre, spread = float(value.mean()), float(value.std(ddof=1))
    model = Ridge(alpha=params.penalty).fit(scaled, (value - centre) / spread)
    coefficients = np.append(model.coef_ * spread, float(model.intercept_) * spread + centre)
    gap = scaled @ coefficients[:-1] + coefficients[-1] - value
    summary = {
        "n_inputs": len(columns.encoder.names),
        "n_parameters": len(coefficients),
        "epochs": 0,
        "train_error": float(np.mean(gap**2)),
        "regularisation": float(0.5 * params.penalty * np.sum(model.coef_**2) / len(everyone)),
        "selection_error": None,
        "inputs": " ".join(columns.encoder.inputs),
    }
    return FittedTable(params, columns, Line(coefficients), NumberCalibration(), saw, summary)


load = loader(LinearParams, Line.from_state)

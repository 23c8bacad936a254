"""No straw man: both arms on adrenalmnist3d, trained on its official training part and judged on its official validation part.

    make adrenal                                   (or: python benchmarks/adrenal.py --write)

1,188 glands to train on, 98 to be judged on; hyperplasia or not, from the gland's outline alone (64 x 64 x 64 voxels of 1 mm).
A quarter of the training part is set aside as the selection part: early stopping and recalibration see it, and nothing else.
The validation part is predicted once, by the same code that predicts the test part of a fold. Settings were chosen inside
the training part (an inner quarter of it as judge). The official test part is kept apart and is not read.
The arrays carry no patient id, and patients have two glands: within the training part a patient's glands may stand on both
sides of the selection split, which early stopping then takes for a little too good; the official parts are split by patient.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pages import put_table
from scipy.stats import norm
from sklearn.model_selection import train_test_split

from radpipe.comparison.delong import delong_covariance
from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row
from radpipe.models.fit import FoldFit, fit_and_predict
from radpipe.preprocessing.config import PreprocessingSettings
from radpipe.preprocessing.crop import crop_around
from radpipe.preprocessing.prepare import prepare

SEED = 20261121
PREPARED = PreprocessingSettings(spacing_mm=(2, 2, 2), intensity="none", margin_mm=0)
SHAPES = FeatureSettings(params={"featureClass": {"shape": []}})
MODELS: dict[str, dict[str, Any]] = {
    "cnn": {
        "kind": "cnn3d", "crop_voxels": [32, 32, 32], "network": "plaincnn3d", "network_params": {"channels": [8, 16, 32]},
        "epochs": 30, "minimum_epochs": 10, "batch": 16, "learning_rate": 0.01, "members": 3,
    },
    "ann": {"kind": "ann", "inputs": "features", "order": {}},
    "volume": {"kind": "logistic", "inputs": "volume"},
}  # fmt: skip
WORDS = {
    "cnn": "3D CNN on the outline as an image, 32 x 32 x 32 voxels of 2 mm",
    "ann": "ANN on radpipe's 14 shape features, order chosen",
    "volume": "volume alone",
}
Data = dict[str, Any]


def read(folder: Path, *, features: bool = True) -> Data:
    """Both parts as the models want them: crops (n, 1, 32, 32, 32) and shape features, one row a gland."""
    with np.load(folder / "adrenalmnist3d" / "adrenalmnist3d_64_train_val.npz") as file:
        voxels = np.concatenate([file["train_images"], file["val_images"]]) > 0
        y = np.concatenate([file["train_labels"], file["val_labels"]])[:, 0].astype(int)
        n_train = len(file["train_labels"])
    grid = Grid((64, 64, 64), (1.0, 1.0, 1.0))
    crops, rows = [], []
    for gland in voxels:
        image, mask = Image(grid, gland.astype(np.float32)), Mask(grid, gland)
        crops.append(crop_around(*prepare(image, mask, PREPARED, "CT"), (32, 32, 32)))
        if features:
            rows.append(extract_row(image, mask, SHAPES))
    case_ids = [f"gland_{number:04}" for number in range(len(y))]
    _, selection = train_test_split(np.arange(n_train), test_size=0.25, stratify=y[:n_train], random_state=SEED)
    roles = np.array(["train"] * n_train + ["test"] * (len(y) - n_train), dtype=object)
    roles[selection] = "selection"
    return {
        "case_ids": case_ids, "y": y.tolist(), "roles": roles.tolist(), "images": np.stack(crops),
        "features": pd.DataFrame(rows, index=case_ids) if features else None,
        "volume": pd.DataFrame({"volume_ml": voxels.sum((1, 2, 3)) / 1000.0}, index=case_ids),
    }  # fmt: skip


def fitted(data: Data, name: str) -> tuple[FoldFit, float]:
    """One model by the code path of a fold, and the CPU seconds it took."""
    inputs = MODELS[name].get("inputs", "image")
    before = time.process_time()
    fit = fit_and_predict(
        MODELS[name], case_ids=data["case_ids"], patient_ids=data["case_ids"], y=data["y"], roles=data["roles"],
        table=data[inputs] if inputs != "image" else None, images=data["images"] if inputs == "image" else None, seed=SEED,
    )  # fmt: skip
    return fit, time.process_time() - before


def networks_of(fit: FoldFit) -> int:
    """How many networks were trained to arrive at this one, tuning included."""
    if fit.info["kind"] == "ann":
        order = fit.info["order"]
        return int(fit.info["params"]["members"]) + (order["networks"] if order else 0)
    return int(fit.info["facts"].get("networks", 1))


def auc(data: Data, fit: FoldFit, role: str) -> tuple[float, float, float]:
    """AUC of that part and its 95 % interval (DeLong, on the logit scale)."""
    places = [place for place, own in enumerate(data["roles"]) if own == role]
    y = np.array([data["y"][place] for place in places])
    scores = np.array([fit.probabilities[data["case_ids"][place]][1] for place in places])
    values, covariance = delong_covariance(y, scores[None, :])
    value, sd = float(values[0]), float(np.sqrt(covariance[0, 0]))
    if not 0 < value < 1:
        return value, value, value
    middle, reach = np.log(value / (1 - value)), norm.ppf(0.975) * sd / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-(middle + np.array([-reach, reach]))))
    return value, float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RADPIPE_DATA", "../shared/data")))
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--write", action="store_true", help="put the table into docs/arms.md")
    arguments = parser.parse_args()
    data = read(arguments.data)
    lines = [
        "| model | AUC, validation part (98 glands) | 95 % interval | AUC, training part | networks fitted | CPU seconds |",
        "|---|---|---|---|---|---|",
    ]
    print(lines[0], flush=True)
    for name in arguments.models:
        fit, seconds = fitted(data, name)
        value, low, high = auc(data, fit, "test")
        train = auc(data, fit, "train")[0]
        networks = networks_of(fit)
        lines.append(f"| {WORDS[name]} | {value:.3f} | {low:.2f} to {high:.2f} | {train:.3f} | {networks} | {seconds:.1f} |")
        print(lines[-1], flush=True)
    if arguments.write:
        put_table("arms.md", "adrenal", lines)


if __name__ == "__main__":
    main()

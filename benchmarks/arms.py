"""The feature arm of 10 x 5 splits of 100 patients and 100 columns, and where its time goes:  python benchmarks/arms.py [--write]

First the arm as a user runs it: `radpipe run` on a table, input selection by trees, order selection and the ANN (recipe modern),
with 2 workers, in a fresh folder; seconds by the clock. Then the networks of those folds trained in three ways in one process
with one thread, in seconds of the processor: one after the other, those of a fold side by side (what radpipe does), and those of all
folds side by side. Every way is taken in turn and the least of the rounds counts. No test times anything. --write puts the
tables into docs/benchmarks.md below "## The feature arm" and leaves the rest of the page alone.
"""
# ruff: noqa: E402 (threads are set before anything that starts them is imported)

from __future__ import annotations

import argparse
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from pages import put_section
from sklearn.model_selection import RepeatedStratifiedKFold

from radpipe.models.ann.batch import Trained, Untrained, train_batch
from radpipe.models.ann.loss import LossIndex
from radpipe.models.config import AnnParams, OrderSettings
from radpipe.networks.layers import ScalingLayer

ROOT = Path(__file__).resolve().parents[1]
TITLE = "## The feature arm"
PATIENTS, COLUMNS, KEPT = 100, 100, 6
ORDER = OrderSettings()
PARAMS = AnnParams(order=ORDER)


def table() -> tuple[pd.DataFrame, np.ndarray]:
    """100 patients, a third of them with the outcome; 100 columns, of which five have something to do with it."""
    rng = np.random.default_rng(20261121)
    y = (np.arange(PATIENTS) % 3 == 0).astype(int)
    values = rng.normal(size=(PATIENTS, COLUMNS))
    values[:, :5] += 0.7 * y[:, None]
    ids = [f"patient_{k:03}" for k in range(PATIENTS)]
    return pd.DataFrame(values, index=pd.Index(ids, name="case_id"), columns=[f"feature_{k:03}" for k in range(COLUMNS)]), y


def whole_run(workers: int, repeats: int) -> Iterator[str]:
    """`radpipe run` on the table, and its stages."""
    features, y = table()
    busy = round(os.getloadavg()[0])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        features.reset_index().to_csv(place / "features.csv", index=False)
        manifest = {"case_id": features.index, "patient_id": features.index, "outcome": y}
        pd.DataFrame(manifest).to_csv(place / "manifest.csv", index=False)
        ann = {"kind": "ann", "inputs": "selected", "recipe": "modern", "order": ORDER.model_dump(mode="json")}
        workflow = {
            "radpipe_workflow": 1, "name": "feature_arm", "cohort": {"manifest": "manifest.csv", "outcome": "outcome"},
            "features": {"table": "features.csv"}, "segmentation": {"masks": "given"}, "splits": {"repeats": repeats, "folds": 5},
            "selection": {"selector": "tree"}, "models": {"ann": ann}, "references": False,
        }  # fmt: skip
        (place / "workflow.yaml").write_text(yaml.safe_dump(workflow))
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "radpipe",
            "run",
            str(place / "workflow.yaml"),
            "--out",
            str(place / "out"),
            "--workers",
            str(workers),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wall = time.monotonic() - began
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        timings = pd.read_csv(place / "out" / "timings.csv")
        metrics = pd.read_csv(place / "out" / "metrics.csv")
    yield f"`radpipe run`, {repeats} x 5 splits, tree selection, recipe modern, order selection, {PARAMS.members} members, {workers} workers:"
    auc = metrics[(metrics["metric"] == "auc") & (metrics["role"] == "test") & (metrics["repeat"] == -1)]["value"]
    yield f"**{wall:.0f} s** by the clock from start to report" + (f" (AUC {auc.iloc[0]:.2f})." if len(auc) else ".")
    yield f"Its tasks took {timings['cpu_s'].sum():.0f} s of the processor; when it began {busy} other processes were at work on"
    yield f"the {os.cpu_count()} cores."
    yield ""
    yield "| stage | tasks | CPU s a task | CPU s in all |"
    yield "|---|---|---|---|"
    for stage, rows in timings.groupby("stage", sort=False):
        yield f"| {stage} | {len(rows)} | {rows['cpu_s'].mean():.2f} | {rows['cpu_s'].sum():.0f} |"


def folds() -> list[dict[str, torch.Tensor]]:
    """Training and selection part of each of the 50 folds, six columns, scaled."""
    features, y = table()
    found = []
    values, outcome = torch.from_numpy(features.to_numpy()[:, :KEPT].copy()), torch.from_numpy(y[:, None].astype(float))
    for inside, _ in RepeatedStratifiedKFold(n_splits=5, n_repeats=10, random_state=0).split(features, y):
        train, selection = torch.from_numpy(inside[:60]), torch.from_numpy(inside[60:])
        scaling = ScalingLayer.fitted(values[train])
        found.append({
            "x": scaling(values[train]), "targets": outcome[train],
            "x_selection": scaling(values[selection]), "targets_selection": outcome[selection],
        })  # fmt: skip
    return found


def networks() -> list[Untrained]:
    """Every order and trial, and the members, of one fold."""
    orders = range(ORDER.minimum, ORDER.maximum + 1)
    return [
        *(Untrained(1000 * order + trial, (order,)) for order in orders for trial in range(ORDER.trials)),
        *(Untrained(member, PARAMS.hidden) for member in range(PARAMS.members)),
    ]


def train(parts: dict[str, torch.Tensor], wanted: list[Untrained]) -> list[Trained]:
    index = LossIndex("cross_entropy", "l2", PARAMS.regularisation_weight)
    return train_batch(wanted, **parts, index=index, output=[float(np.log(0.5))], settings=PARAMS)


def one_by_one(parts: list[dict[str, torch.Tensor]]) -> list[Trained]:
    return [train(part, [network])[0] for part in parts for network in networks()]


def fold_by_fold(parts: list[dict[str, torch.Tensor]]) -> list[Trained]:
    return [network for part in parts for network in train(part, networks())]


def all_at_once(parts: list[dict[str, torch.Tensor]]) -> list[Trained]:
    each = len(networks())
    stacked = {name: torch.stack([part[name] for part in parts for _ in range(each)]) for name in parts[0]}
    return train(stacked, networks() * len(parts))


def three_ways(rounds: int, count: int) -> Iterator[str]:
    parts = folds()[:count]
    ways: dict[str, Callable[[list[dict[str, torch.Tensor]]], list[Trained]]] = {
        "one after the other": one_by_one, "a fold's side by side": fold_by_fold, "all folds' side by side": all_at_once,
    }  # fmt: skip
    least = dict.fromkeys(ways, float("inf"))
    errors: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.process_time()
            trained = way(parts)
            least[name] = min(least[name], time.process_time() - began)
            errors[name] = np.array([network.best["selection_error"] for network in trained])
    total = len(errors["one after the other"])
    yield f"{total:,} networks: {count} folds, orders {ORDER.minimum} to {ORDER.maximum} three times and five members; the least of {rounds} rounds."
    yield ""
    yield "| trained | CPU s | ms a network | largest difference of a selection error |"
    yield "|---|---|---|---|"
    for name, seconds in least.items():
        apart = np.abs(errors[name] - errors["one after the other"]).max()
        yield f"| {name} | {seconds:.1f} | {1000 * seconds / total:.1f} | {apart:.0e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10, help="of the run")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folds", type=int, default=50, help="of the three ways")
    parser.add_argument("--only", choices=("run", "ways"), help="this part alone")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write writes both parts; leave --only out")
    torch.set_num_threads(1)
    lines = [
        "`benchmarks/arms.py --write` remakes this section: 10 x 5 splits of 100 patients and 100 columns, or as many as are named below.",
        "",
    ]
    if arguments.only != "ways":
        lines += [*whole_run(arguments.workers, arguments.repeats), ""]
    if arguments.only != "run":
        lines += [*three_ways(arguments.rounds, arguments.folds), ""]
        lines += [
            "radpipe trains a fold's networks side by side and leaves folds to the workers. A task is then one fold and one model, which the",
            "guard against test patients, the store and resuming after an interruption count on, and two workers halve its time. All folds in",
            "one program would spare each fold the difference of the last two rows, less than a tenth of a second, beside two seconds of input",
            "selection.",
        ]
    print("\n".join(lines))
    if arguments.write:
        put_section("benchmarks.md", TITLE, lines, f"torch {torch.__version__}")


if __name__ == "__main__":
    main()

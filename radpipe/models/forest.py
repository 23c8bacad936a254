"""A random forest on the features, kept as the arrays of its trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import log_loss

from radpipe.core.seeds import derive_seed
from radpipe.models.calibrate import calibrate_for
from radpipe.models.config import ForestParams, logarithms
from radpipe.models.encode import Encoder
from radpipe.models.fitted import FittedTable, loader
from radpipe.models.model import Examples, check_parts
from radpipe.typing import FloatArray, IntArray

_LEAF = -1


@dataclass(frozen=True)
class Trees:
    """All trees' nodes one after the other. roots : (trees,) place of each root. left, right : (nodes,) children, -1 at leaves.
    column, threshold : (nodes,) left where the value, as float32, is at most the threshold. value : (nodes, k), of the leaves."""

    roots: IntArray
    left: IntArray
    right: IntArray
    column: IntArray
    threshold: FloatArray
    value: FloatArray

    def predict(self, x: FloatArray) -> FloatArray:
        """(n, p) -> (n, k) mean over the trees of the leaf each case ends in."""
        x = x.astype(np.float32)  # as scikit-learn grew them
        rows = np.arange(len(x))
        total = np.zeros((len(x), self.value.shape[1]))
        for root in self.roots:
            node = np.full(len(x), root)
            while (inner := self.left[node] != _LEAF).any():
                go = node[inner]
                is_left = x[rows[inner], self.column[go]] <= self.threshold[go]
                node[inner] = np.where(is_left, self.left[go], self.right[go])
            total += self.value[node]
        return np.asarray(total / len(self.roots))

    def raw(self, x: FloatArray) -> FloatArray:
        """(n,) of class 1 or the number, (n, k) of more classes."""
        return _raw(self.predict(x))

    def arrays(self) -> dict[str, np.ndarray]:
        return {part.name: getattr(self, part.name).copy() for part in fields(self)}

    def facts(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> Trees:
        return cls(*(np.array(arrays[part.name]) for part in fields(cls)))

    @classmethod
    def of(cls, model: RandomForestClassifier | RandomForestRegressor) -> Trees:
        """The trees of a fitted forest of scikit-learn."""
        parts = [estimator.tree_ for estimator in model.estimators_]
        starts = np.concatenate([[0], np.cumsum([tree.node_count for tree in parts])]).astype(np.int64)

        def children(name: str) -> IntArray:
            moved = [
                np.where(getattr(tree, name) < 0, _LEAF, getattr(tree, name) + start)
                for tree, start in zip(parts, starts, strict=False)
            ]
            return np.concatenate(moved).astype(np.int64)

        return cls(
            starts[:-1], children("children_left"), children("children_right"),
            np.concatenate([tree.feature for tree in parts]).astype(np.int64),
            np.concatenate([tree.threshold for tree in parts]).astype(np.float64),
            np.concatenate([tree.value[:, 0, :] for tree in parts]).astype(np.float64),
        )  # fmt: skip


def fit(train: Examples, selection: Examples, params: ForestParams, *, seed: int) -> FittedTable:
    """Grow on the training part, recalibrate on the selection part. Breiman 2001, doi:10.1023/A:1010933404324."""
    saw = check_parts(train, selection, kinds=("classes", "number"), many=True)
    encoder = Encoder.learn(train, logarithm=logarithms(params))
    inside, inside_selection = encoder.apply(train), encoder.apply(selection)
    shared = {
        "n_estimators": params.trees, "min_samples_leaf": min(params.leaf, len(train) // 2), "n_jobs": 1,
        "random_state": derive_seed(seed, "forest") % 2**32,
    }  # fmt: skip
    if train.kind == "number":
        model = RandomForestRegressor(max_features=1 / 3, **shared).fit(inside, train.value)
    else:
        model = RandomForestClassifier(max_features="sqrt", **shared).fit(inside, train.y)
    trees = Trees.of(model)
    of_train, of_selection = trees.predict(inside), trees.predict(inside_selection)
    summary = {
        "n_inputs": len(encoder.names),
        "n_parameters": int((trees.left == _LEAF).sum()),
        "epochs": 0,
        "train_error": _error(of_train, train),
        "regularisation": None,
        "selection_error": _error(of_selection, selection),
        "inputs": " ".join(encoder.inputs),
    }
    calibration = calibrate_for(_raw(of_train), train, _raw(of_selection), selection, params.calibration)
    return FittedTable(params, encoder, trees, calibration, saw, summary)


def _raw(found: FloatArray) -> FloatArray:
    return found if found.shape[1] > 2 else found[:, -1]


def _error(found: FloatArray, part: Examples) -> float:
    """Mean squared error of a number, cross-entropy of classes (probabilities of 0 held at machine precision)."""
    if part.kind == "number":
        return float(np.mean((found[:, 0] - np.asarray(part.value)) ** 2))
    return float(log_loss(part.y, found, labels=list(range(found.shape[1]))))


load = loader(ForestParams, Trees.from_state)

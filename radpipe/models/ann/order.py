"""Order selection: how many perceptrons, by the selection error, with OpenNN's histories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radpipe.models.ann.batch import Trained
from radpipe.models.config import OrderSettings

# orders -> the trained trials of each
TrainOrders = Callable[[Sequence[int]], dict[int, list[Trained]]]
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class OrderChoice:
    """order : chosen. history : a row an order, as they were met. networks : how many were trained. stopped : why it ended there."""

    order: int
    history: list[dict[str, Any]]
    networks: int
    stopped: str


def select_order(train: TrainOrders, settings: OrderSettings) -> OrderChoice:
    """The order with the lowest selection error that the strategy meets; of two within the tolerance the one met first.

    history : order, error (of the training part), selection_error (least or mean of the trials, as ``of_trials`` says), trials
    (each trial's selection error), best (the order that leads after this one).
    """
    search = _Search(train, settings)
    stopped = search.incremental() if settings.strategy == "incremental" else search.golden_section()
    return OrderChoice(search.best, search.history, search.networks, stopped)


class _Search:
    def __init__(self, train: TrainOrders, settings: OrderSettings) -> None:
        self.train, self.settings = train, settings
        self.trained: dict[int, list[Trained]] = {}
        self.history: list[dict[str, Any]] = []
        self.networks = 0
        self.best = settings.minimum
        self.best_error = np.inf

    def prepare(self, orders: Sequence[int]) -> None:
        """Train these together, before they are asked for one by one."""
        self.trained |= self.train([order for order in orders if order not in self.trained])
        self.networks = sum(map(len, self.trained.values()))

    def meet(self, order: int) -> float:
        """The order's selection error; it goes into the history the first time."""
        known = next((row for row in self.history if row["order"] == order), None)
        if known is not None:
            return float(known["selection_error"])
        if order not in self.trained:
            self.prepare([order])
        trials = [network.best for network in self.trained[order]]
        errors = np.array([trial["selection_error"] for trial in trials])
        least = int(np.argmin(errors))
        mean = self.settings.of_trials == "mean"
        error = float(errors.mean() if mean else errors[least])
        training = float(np.mean([trial["error"] for trial in trials]) if mean else trials[least]["error"])
        if error < self.best_error - self.settings.tolerance:
            self.best, self.best_error = order, error
        self.history.append({
            "order": order, "error": training, "selection_error": error, "trials": errors.tolist(), "best": self.best,
        })  # fmt: skip
        return error

    def incremental(self) -> str:
        settings = self.settings
        orders = range(settings.minimum, settings.maximum + 1)
        # The rule cannot stop before it has met patience + 1 orders, so as many are trained together.
        failures, before = 0, np.inf
        for place, order in enumerate(orders):
            if order not in self.trained:
                self.prepare(orders[place : place + settings.patience + 1])
            error = self.meet(order)
            failures += bool(error > before)
            before = error
            if failures >= settings.patience:
                return f"the selection error rose {failures} times"
        return "the highest order was reached"

    def golden_section(self) -> str:
        low, high = self.settings.minimum, self.settings.maximum
        while high - low > 3:
            width = high - low
            left, right = round(high - GOLDEN * width), round(low + GOLDEN * width)
            if left >= right:
                left, right = low + width // 2, low + width // 2 + 1
            self.prepare([left, right])
            if self.meet(left) <= self.meet(right):
                high = right
            else:
                low = left
        self.prepare(range(low, high + 1))
        for order in range(low, high + 1):
            self.meet(order)
        return "the bracket cannot be narrowed"

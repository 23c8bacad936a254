"""Early stopping on the selection error, keeping the best parameters. Shared by the networks."""

from __future__ import annotations

import math
from typing import Any


class BestSoFar:
    """Remembers what stood at the lowest selection error, and says when to stop.

    minimum : the first steps have no say; ``offer`` keeps the latest of them, so that one is always kept.
    patience : steps in a row without a lower error before ``stop`` is true.
    """

    def __init__(self, minimum: int, patience: int) -> None:
        self.minimum = minimum
        self.patience = patience
        self.error = math.inf
        self.step = -1
        self.kept: Any = None
        self.stop = False

    def offer(self, step: int, error: float, parameters: Any) -> None:
        """Step number (from 0, the start), its selection error, and a copy of the parameters."""
        if step <= self.minimum or error < self.error:
            self.error, self.step, self.kept = error, step, parameters
        self.stop = step - max(self.step, self.minimum) >= self.patience

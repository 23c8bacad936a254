"""Sets of inputs tried by the selection error of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from radpipe.core.seeds import derive_seed
from radpipe.errors import ConfigError
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs, Ranking
from radpipe.typing import IntArray

AT_ONCE = 16  # sets trained in one call: networks come in batches, and the search seldom needs all of them


class Search:
    """Walks along sets of inputs with OpenNN's rule of when to stop."""

    def __init__(self, inputs: Inputs, settings: SelectionSettings, seed: int) -> None:
        if inputs.trainer is None or inputs.selection_values is None or inputs.selection_target is None:
            raise ConfigError(
                f"the selector {settings.selector!r} needs the selection part and a network to train.",
                hint="In a workflow it has both; alone, give InputSelector a trainer.",
            )
        self.inputs = inputs
        self.seed = seed
        self.failures = settings.selection_failures or max(3, len(inputs.names) // 5)
        # Rounded, so that ties are settled by name and not by the last digit.
        self.order: IntArray = np.argsort(-np.round(inputs.relevance, 9), kind="stable")

    def keep(self, columns: Sequence[int] | IntArray, steps: tuple[tuple[int, float], ...] = ()) -> Ranking:
        """These; the importance is the relevance."""
        important = np.zeros(len(self.inputs.names), bool)
        important[list(columns)] = True
        return Ranking(self.inputs.relevance, important, steps)

    def walk(self, subsets: Sequence[IntArray]) -> Ranking:
        """The subset with the least selection error (of equal ones the smaller), among those met before the search stops."""
        errors: list[float] = []
        risen = 0
        for start in range(0, len(subsets), AT_ONCE):
            some = subsets[start : start + AT_ONCE]
            for error in self._errors(some):
                risen += bool(errors) and error > errors[-1]
                errors.append(error)
                if risen >= self.failures:
                    break
            if risen >= self.failures:
                break
        best = min(range(len(errors)), key=lambda place: (errors[place], len(subsets[place])))
        steps = tuple((len(subsets[place]), error) for place, error in enumerate(errors))
        return self.keep(subsets[best], steps)

    def _errors(self, subsets: Sequence[IntArray]) -> list[float]:
        inputs = self.inputs
        assert inputs.trainer is not None and inputs.selection_values is not None and inputs.selection_target is not None
        # In alphabetical order, as the network will have them.
        columns = [sorted(map(int, subset)) for subset in subsets]
        seed = derive_seed(self.seed, "inputs")
        found = inputs.trainer(inputs.values, inputs.target, inputs.selection_values, inputs.selection_target, columns, seed=seed)
        return [float(error) for error in np.nan_to_num(np.asarray(found, dtype=float), nan=np.inf)]

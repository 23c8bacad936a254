"""One seed in the workflow, an independent generator for every (stage, fold, case)."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, *names: object) -> int:
    """A 63-bit seed that depends on every name and nothing else: not on order of execution, workers or hash randomisation."""
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """A numpy generator from :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *names))
